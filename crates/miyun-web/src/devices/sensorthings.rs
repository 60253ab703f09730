//! OGC SensorThings 1.1, read side: Things are devices, Datastreams their factors.
//!
//! The observations of a datastream are its history in the lake and what has come since; the
//! collection of all observations is the live state.

mod history;

use std::collections::HashMap;
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
        "value": [link("Things"), link("Datastreams"), link("ObservedProperties"), link("Observations")],
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
        "properties": { "simulated": hub.simulated, "connected": hub.caller.online(d.number) }, "Datastreams@iot.navigationLink": format!("{me}/Datastreams") })
}

fn datastream(hub: &Hub, d: &Device, k: &Key) -> Value {
    let id = id(d, k);
    let me = format!("{BASE}/Datastreams({})", quoted(&id));
    let unit = unit_of(hub.book, d, &k.0, i64::MAX).map(|u| u.0);
    json!({ "@iot.id": id, "@iot.selfLink": me, "name": format!("{} {} {}", k.0, k.1, k.2.as_str()), "description": format!("{} of {}", k.0, d.mn),
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": { "name": unit, "symbol": unit, "definition": unit },
        "Thing@iot.navigationLink": format!("{BASE}/Things({})", quoted(&d.mn)), "Observations@iot.navigationLink": format!("{me}/Observations") })
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
async fn observations(
    hub: Arc<Hub>,
    d: Arc<Device>,
    s: DeviceState,
    k: Key,
    path: String,
    q: HashMap<String, String>,
) -> Answer {
    let asked = Asked::read(&q)?;
    let work = move || -> Answer {
        let lake = hub.lake_now().map_err(broken)?;
        let (page, more, count) = history::page(&lake, hub.book, &d, Some(&s), &k, &asked)?;
        let value: Vec<Value> = page.iter().map(|o| observation(&d, &k, o)).collect();
        let mut out = json!({ "value": value });
        if let Some(n) = count {
            out["@iot.count"] = json!(n);
        }
        if more && asked.top > 0 {
            let mut next = format!(
                "{BASE}/{path}?$top={}&$skip={}",
                asked.top,
                asked.skip + asked.top
            );
            for name in ["$filter", "$orderby", "$count"] {
                if let Some(text) = q.get(name) {
                    next.push_str(&format!("&{name}={}", crate::shell::encode(text)));
                }
            }
            out["@iot.nextLink"] = json!(next);
        }
        Ok(Json(out))
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(broken(e)))
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
        out["@iot.nextLink"] = json!(format!("{BASE}/{path}?$top={top}&$skip={}", skip + top));
    }
    Ok(Json(out))
}

fn streams(hub: &Hub, d: &Device) -> Vec<Value> {
    hub.follow
        .state
        .device(d.number)
        .map(|s| s.values.keys().map(|k| datastream(hub, d, k)).collect())
        .unwrap_or_default()
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

fn find_stream(hub: &Hub, key: &str) -> Option<(Arc<Device>, DeviceState, Key)> {
    let mut parts = key.rsplitn(4, ':');
    let (span, attribute, code, mn) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let d = hub.follow.registry.find(mn)?;
    let s = hub.follow.state.device(d.number)?;
    let k = s
        .values
        .keys()
        .find(|k| k.0 == code && k.1 == attribute && k.2.as_str() == span)?
        .clone();
    Some((d, s, k))
}

fn no(text: &str) -> Problem {
    Problem(
        StatusCode::NOT_FOUND,
        "no-entity",
        format!("there is no {text}"),
    )
}

async fn collection(State(hub): Shared, Path(name): Path<String>, Query(q): Params) -> Answer {
    let devices = hub.follow.registry.devices();
    match name.as_str() {
        "Things" => paged(
            "Things",
            &q,
            devices.iter().map(|d| thing(&hub, d)).collect(),
        ),
        "Datastreams" => paged(
            "Datastreams",
            &q,
            devices.iter().flat_map(|d| streams(&hub, d)).collect(),
        ),
        "ObservedProperties" => {
            let mut codes: Vec<String> = hub.follow.state.with(|all| {
                all.values()
                    .flat_map(|s| s.values.keys().map(|k| k.0.clone()))
                    .collect()
            });
            codes.sort();
            codes.dedup();
            paged("ObservedProperties", &q, codes.into_iter().map(|c| json!({ "@iot.id": c, "name": c, "definition": "HJ 212", "description": c })).collect())
        }
        "Observations" => {
            let all = devices
                .iter()
                .filter_map(|d| Some((d, hub.follow.state.device(d.number)?)))
                .flat_map(|(d, s)| {
                    s.values
                        .keys()
                        .flat_map(|k| newest(&hub, d, &s, k))
                        .collect::<Vec<_>>()
                })
                .collect();
            paged("Observations", &q, all)
        }
        other => match entity(other) {
            Some(("Things", mn)) => Ok(Json(thing(
                &hub,
                &*hub.follow.registry.find(&mn).ok_or_else(|| no(other))?,
            ))),
            Some(("Datastreams", key)) => {
                let (d, _, k) = find_stream(&hub, &key).ok_or_else(|| no(other))?;
                Ok(Json(datastream(&hub, &d, &k)))
            }
            _ => Err(no(other)),
        },
    }
}

async fn nested(
    State(hub): Shared,
    Path((of, sub)): Path<(String, String)>,
    Query(q): Params,
) -> Answer {
    let path = format!("{of}/{sub}");
    match (entity(&of), sub.as_str()) {
        (Some(("Things", mn)), "Datastreams") => {
            let d = hub.follow.registry.find(&mn).ok_or_else(|| no(&of))?;
            paged(&path, &q, streams(&hub, &d))
        }
        (Some(("Datastreams", key)), "Observations") => {
            let (d, s, k) = find_stream(&hub, &key).ok_or_else(|| no(&of))?;
            observations(hub, d, s, k, path, q).await
        }
        (Some(("Datastreams", key)), "Thing") => {
            let (d, _, _) = find_stream(&hub, &key).ok_or_else(|| no(&of))?;
            Ok(Json(thing(&hub, &d)))
        }
        _ => Err(no(&path)),
    }
}
