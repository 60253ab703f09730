//! OGC SensorThings 1.1, read side: Things are devices, Datastreams their factors.
//!
//! Datastreams are those of the live state and those of the lake, however long ago the last value
//! came. The observations of a datastream are its history in the lake and what has come since; the
//! collection of all observations is the live state.

mod history;
mod listed;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use miyun_core::Decimal;
use miyun_gateway::reading::Span;
use miyun_gateway::registry::Device;
use miyun_gateway::state::DeviceState;
use serde_json::{Value, json};

use self::history::{Asked, Observation};
pub(super) use self::listed::Listed;
use super::Hub;
use super::api::{Problem, broken};
use super::judge::unit_of;
use super::stored;

const BASE: &str = "/sta/v1.1";
/// Most entities of one page.
const TOP_MAX: usize = 1_000;

type Shared = State<Arc<Hub>>;
type Params = Query<HashMap<String, String>>;
type Answer = Result<Json<Value>, Problem>;

pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new()
        .route("/sta/v1.1", get(root))
        .route("/sta/v1.1/{collection}", get(collection))
        .route("/sta/v1.1/{collection}/{sub}", get(nested))
}

async fn root() -> Json<Value> {
    let link = |n: &str| json!({ "name": n, "url": format!("{BASE}/{n}") });
    Json(json!({
        "value": [link("Things"), link("Locations"), link("Datastreams"), link("ObservedProperties"), link("Observations")],
        "serverSettings": { "conformance": ["http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel", "http://www.opengis.net/spec/iot_sensing/1.1/req/resource-path/resource-path-to-entities"] }
    }))
}

/// A datastream's key: device, factor, item, span.
type Key = (String, String, Span);

fn id(d: &Device, k: &Key) -> String {
    format!("{}:{}:{}:{}", d.mn, k.0, k.1, k.2.as_str())
}

fn time(s: i64) -> String {
    jiff::Timestamp::from_second(s).map_or_else(|_| String::new(), |t| t.to_string())
}

fn quoted(id: &str) -> String {
    format!("'{}'", id.replace('\'', "''"))
}

fn thing(hub: &Hub, d: &Device) -> Value {
    let me = format!("{BASE}/Things({})", quoted(&d.mn));
    json!({ "@iot.id": d.mn, "@iot.selfLink": me, "name": d.mn, "description": d.last(&miyun_gateway::Property::Subject).unwrap_or("a device"),
        "properties": { "simulated": hub.simulated, "connected": hub.caller.online(d.number) }, "Datastreams@iot.navigationLink": format!("{me}/Datastreams"), "Locations@iot.navigationLink": format!("{me}/Locations") })
}

/// Where a device measures, if that is registered.
fn location(d: &Device) -> Option<Value> {
    let (lon, lat) = d.position()?;
    let me = format!("{BASE}/Locations({})", quoted(&d.mn));
    Some(
        json!({ "@iot.id": d.mn, "@iot.selfLink": me, "name": d.mn, "description": d.last(&miyun_gateway::Property::Subject).unwrap_or("a device"),
        "encodingType": "application/geo+json", "location": { "type": "Point", "coordinates": [lon, lat] }, "Things@iot.navigationLink": format!("{me}/Things") }),
    )
}

fn property(hub: &Hub, code: &str) -> Value {
    let name = match hub.book.vocabulary().hj212.factor(code) {
        miyun_rulebook::hj212::Known::Factor(f) if !f.zh.is_empty() => f.zh.as_str(),
        _ => code,
    };
    json!({ "@iot.id": code, "@iot.selfLink": format!("{BASE}/ObservedProperties({})", quoted(code)), "name": code, "definition": "HJ 212", "description": name })
}

fn datastream(hub: &Hub, d: &Device, k: &Key) -> Value {
    let id = id(d, k);
    let me = format!("{BASE}/Datastreams({})", quoted(&id));
    let unit = unit_of(hub.book, d, &k.0, i64::MAX).map(|u| u.0);
    json!({ "@iot.id": id, "@iot.selfLink": me, "name": format!("{} {} {}", k.0, k.1, k.2.as_str()), "description": format!("{} of {}", k.0, d.mn),
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": { "name": unit, "symbol": unit, "definition": unit },
        "Thing@iot.navigationLink": format!("{me}/Thing"), "ObservedProperty@iot.navigationLink": format!("{me}/ObservedProperty"), "Observations@iot.navigationLink": format!("{me}/Observations") })
}

fn observation(d: &Device, k: &Key, o: &Observation) -> Value {
    let result: Value = serde_json::from_str(&Decimal::new(o.micro, 6).normalize().to_string())
        .unwrap_or(Value::Null);
    json!({ "@iot.id": format!("{}@{}", id(d, k), o.label_s), "phenomenonTime": time(o.label_s), "resultTime": o.recorded_at, "result": result,
        "resultQuality": o.flag.as_str(), "parameters": { "reviewed": o.reviewed } })
}

/// What the live state holds of a datastream, newest first.
fn newest(hub: &Hub, d: &Device, s: &DeviceState, k: &Key) -> Vec<Value> {
    let held = history::live(s, k).into_iter().rev();
    held.map(|(label_s, micro, flag)| {
        let o = Observation {
            label_s,
            micro,
            flag: stored::flag(hub.book, flag),
            recorded_at: None,
            reviewed: false,
        };
        observation(d, k, &o)
    })
    .collect()
}

/// A page of the history of a datastream.
fn observations(
    hub: &Hub,
    d: &Device,
    s: &DeviceState,
    k: &Key,
    path: &str,
    q: &HashMap<String, String>,
) -> Answer {
    let asked = Asked::read(q)?;
    let lake = hub.lake_now().map_err(broken)?;
    let (page, more, count) = history::page(&lake, hub.book, d, Some(s), k, &asked)?;
    let value: Vec<Value> = page.iter().map(|o| observation(d, k, o)).collect();
    let mut out = json!({ "value": value });
    if let Some(n) = count {
        out["@iot.count"] = json!(n);
    }
    if more && asked.top > 0 {
        let (top, skip) = (asked.top, asked.skip + asked.top);
        let mut next = format!("{BASE}/{path}?$top={top}&$skip={skip}");
        for name in ["$filter", "$orderby", "$count"] {
            if let Some(text) = q.get(name) {
                next.push_str(&format!("&{name}={}", crate::shell::encode(text)));
            }
        }
        out["@iot.nextLink"] = json!(next);
    }
    Ok(Json(out))
}

/// `$top` and `$skip` applied, with the link to the next page.
fn paged(path: &str, q: &HashMap<String, String>, all: Vec<Value>) -> Answer {
    let number = |name: &str, default: usize| match q.get(name) {
        Some(t) => t.parse::<usize>().map_err(|_| {
            Problem(
                StatusCode::BAD_REQUEST,
                "query",
                format!("{name}={t}: write a whole number"),
            )
        }),
        None => Ok(default),
    };
    for known in q.keys() {
        if !["$top", "$skip", "$count"].contains(&known.as_str()) {
            return Err(Problem(
                StatusCode::NOT_IMPLEMENTED,
                "query",
                format!("{known} is not offered here; use $top, $skip, $count"),
            ));
        }
    }
    let (top, skip) = (number("$top", 100)?.min(TOP_MAX), number("$skip", 0)?);
    let count = all.len();
    let value: Vec<Value> = all.into_iter().skip(skip).take(top).collect();
    let mut out = json!({ "value": value });
    if q.get("$count").is_some_and(|c| c == "true") {
        out["@iot.count"] = json!(count);
    }
    if top > 0 && skip + top < count {
        let counted = q
            .get("$count")
            .map_or(String::new(), |c| format!("&$count={c}"));
        let next = format!("{BASE}/{path}?$top={top}&$skip={}{counted}", skip + top);
        out["@iot.nextLink"] = json!(next);
    }
    Ok(Json(out))
}

/// Name and key of `Things('x')`.
fn entity(text: &str) -> Option<(&str, String)> {
    let (name, rest) = text.split_once('(')?;
    let key = rest.strip_suffix(')')?;
    let key = key
        .strip_prefix('\'')
        .and_then(|k| k.strip_suffix('\''))
        .unwrap_or(key);
    Some((name, key.replace("''", "'")))
}

/// The datastream of a key, live or of the lake.
fn find_stream(hub: &Hub, key: &str) -> Result<Option<(Arc<Device>, DeviceState, Key)>, Problem> {
    let mut parts = key.rsplitn(4, ':');
    let (Some(span), Some(attribute), Some(code), Some(mn)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let Some(d) = hub.follow.registry.find(mn) else {
        return Ok(None);
    };
    let s = hub.follow.state.device(d.number).unwrap_or_default();
    let keys = Listed::read(hub)?.keys(&d, Some(&s));
    let found = |k: &Key| k.0 == code && k.1 == attribute && k.2.as_str() == span;
    Ok(keys.into_iter().find(found).map(|k| (d, s, k)))
}

fn no(text: &str) -> Problem {
    Problem(
        StatusCode::NOT_FOUND,
        "no-entity",
        format!("there is no {text}"),
    )
}

/// Answers away from the threads that serve: the lake may have to be read.
async fn away(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(broken(e)))
}

async fn collection(State(hub): Shared, Path(name): Path<String>, Query(q): Params) -> Answer {
    away(move || listing(&hub, &name, &q)).await
}

fn listing(hub: &Hub, name: &str, q: &HashMap<String, String>) -> Answer {
    let devices = hub.follow.registry.devices();
    let state = |d: &Device| hub.follow.state.device(d.number);
    match name {
        "Things" => {
            let all = devices.iter().map(|d| thing(hub, d)).collect();
            paged("Things", q, all)
        }
        "Locations" => {
            let all = devices.iter().filter_map(|d| location(d)).collect();
            paged("Locations", q, all)
        }
        "Datastreams" => {
            let listed = Listed::read(hub)?;
            let of = |d: &Arc<Device>| streams(hub, &listed, d);
            paged("Datastreams", q, devices.iter().flat_map(of).collect())
        }
        "ObservedProperties" => {
            let listed = Listed::read(hub)?;
            let codes = devices
                .iter()
                .flat_map(|d| listed.keys(d, state(d).as_ref()));
            let codes: BTreeSet<String> = codes.map(|k| k.0).collect();
            let all = codes.iter().map(|c| property(hub, c)).collect();
            paged("ObservedProperties", q, all)
        }
        "Observations" => {
            let live = |d: &Arc<Device>| {
                let s = state(d).unwrap_or_default();
                let keys = s.values.keys();
                keys.flat_map(|k| newest(hub, d, &s, k)).collect::<Vec<_>>()
            };
            paged("Observations", q, devices.iter().flat_map(live).collect())
        }
        other => {
            let missing = || no(other);
            let (set, key) = entity(other).ok_or_else(missing)?;
            let device = || hub.follow.registry.find(&key).ok_or_else(missing);
            Ok(Json(match set {
                "Things" => thing(hub, &*device()?),
                "Locations" => location(&*device()?).ok_or_else(missing)?,
                "ObservedProperties" => property(hub, &key),
                "Datastreams" => {
                    let (d, _, k) = find_stream(hub, &key)?.ok_or_else(missing)?;
                    datastream(hub, &d, &k)
                }
                _ => return Err(missing()),
            }))
        }
    }
}

fn streams(hub: &Hub, listed: &Listed, d: &Device) -> Vec<Value> {
    let state = hub.follow.state.device(d.number);
    let keys = listed.keys(d, state.as_ref());
    keys.iter().map(|k| datastream(hub, d, k)).collect()
}

async fn nested(
    State(hub): Shared,
    Path((of, sub)): Path<(String, String)>,
    Query(q): Params,
) -> Answer {
    let path = format!("{of}/{sub}");
    away(move || {
        let missing = || no(&of);
        let (set, key) = entity(&of).ok_or_else(missing)?;
        let device = || hub.follow.registry.find(&key).ok_or_else(missing);
        let stream = || find_stream(&hub, &key)?.ok_or_else(missing);
        match (set, sub.as_str()) {
            ("Things", "Datastreams") => paged(&path, &q, {
                let listed = Listed::read(&hub)?;
                streams(&hub, &listed, &*device()?)
            }),
            ("Things", "Locations") => {
                paged(&path, &q, location(&*device()?).into_iter().collect())
            }
            ("Locations", "Things") => paged(&path, &q, vec![thing(&hub, &*device()?)]),
            ("Datastreams", "Observations") => {
                let (d, s, k) = stream()?;
                observations(&hub, &d, &s, &k, &path, &q)
            }
            ("Datastreams", "Thing") => Ok(Json(thing(&hub, &stream()?.0))),
            ("Datastreams", "ObservedProperty") => Ok(Json(property(&hub, &stream()?.2.0))),
            _ => Err(no(&path)),
        }
    })
    .await
}
