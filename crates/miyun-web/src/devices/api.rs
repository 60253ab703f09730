//! JSON over HTTP: devices, readings in, commands, proofs, live events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use miyun_gateway::command::{self, Ask};
use miyun_gateway::log::{Position, prove};
use miyun_gateway::reading::Document;
use miyun_gateway::registry::Property;
use miyun_gateway::server::paths;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::judge::{self, Outcome};
use super::pages::cells;

/// A problem document (RFC 9457) with a stable code.
pub(super) struct Problem(pub StatusCode, pub &'static str, pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "type": format!("about:blank#{}", self.1), "title": self.0.canonical_reason(), "status": self.0.as_u16(), "code": self.1, "detail": self.2 });
        (
            self.0,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body.to_string(),
        )
            .into_response()
    }
}

type Shared = State<Arc<Hub>>;
type Answer = Result<Json<Value>, Problem>;

pub(super) fn broken(e: impl ToString) -> Problem {
    Problem(StatusCode::INTERNAL_SERVER_ERROR, "gateway", e.to_string())
}

pub(super) fn no_device(mn: &str) -> Problem {
    Problem(
        StatusCode::NOT_FOUND,
        "no-device",
        format!("no device with MN {mn:?} was ever seen or registered"),
    )
}

/// Lets a request change something only if it bears the token.
fn allowed(hub: &Hub, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &hub.token else {
        return Err(Problem(StatusCode::FORBIDDEN, "read-only", "this gateway takes no changes by HTTP: start it with a token (MIYUN_GATEWAY_TOKEN), or use the command line".into()));
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "))
        .unwrap_or("");
    // Digests are compared, so that time says nothing about the token.
    let digest = |t: &str| miyun_gateway::merkle::sha256(t.as_bytes());
    if digest(given) == digest(token) {
        Ok(())
    } else {
        Err(Problem(
            StatusCode::UNAUTHORIZED,
            "token",
            "send Authorization: Bearer TOKEN".into(),
        ))
    }
}

pub(super) async fn devices(State(hub): Shared) -> Answer {
    let all: Vec<Value> = hub
        .follow
        .registry
        .devices()
        .iter()
        .map(|d| {
            let s = hub.follow.state.device(d.number);
            json!({
                "mn": d.mn, "subject": d.last(&Property::Subject), "status": d.last(&Property::Status),
                "connected": hub.caller.online(d.number), "seen_ms": s.as_ref().map(|s| s.seen_ms),
                "data_s": s.as_ref().map(|s| s.data_s), "lag_ms": s.as_ref().map(|s| s.lag_ms),
                "frames": s.as_ref().map(|s| s.frames), "proposals": d.proposals.len(),
            })
        })
        .collect();
    Ok(Json(json!({ "devices": all, "simulated": hub.simulated })))
}

pub(super) async fn device(State(hub): Shared, Path(mn): Path<String>) -> Answer {
    let d = hub
        .follow
        .registry
        .find(&mn)
        .ok_or_else(|| no_device(&mn))?;
    let state = hub.follow.state.device(d.number).unwrap_or_default();
    let seen = hub.now();
    let place = super::pages::place(&hub);
    let marks = judge::marks(&seen, &super::pages::beside(&seen, &d));
    let judged = judge::judge(place, &d, &state, &marks);
    let exceeded = judged
        .iter()
        .filter(|j| j.outcome == Outcome::Exceeded)
        .count();
    let values: Vec<Value> = state
        .values
        .iter()
        .map(|((code, attribute, span), v)| json!({ "code": code, "attribute": attribute, "span": span, "micro": v.micro, "label_s": v.label_s, "flag": v.flag, "unit": v.unit.clone().or(judge::unit_of(hub.book, &d, code, v.label_s * 1_000).map(|u| u.0)) }))
        .collect();
    // Keys stay in the registry's file.
    let properties: HashMap<String, Value> = d
        .properties
        .iter()
        .filter(|(p, _)| !matches!(p, Property::Key | Property::Password))
        .map(|(p, v)| (p.to_string(), json!(v)))
        .collect();
    let proposals: Vec<_> = d
        .proposals
        .iter()
        .filter(|p| p.property != Property::Key)
        .collect();
    Ok(Json(json!({
        "mn": d.mn, "number": d.number, "properties": properties, "proposals": proposals, "simulated": hub.simulated,
        "connected": hub.caller.online(d.number), "seen_ms": state.seen_ms, "lag_ms": state.lag_ms, "frames": state.frames,
        "quarantined": state.quarantined, "findings": state.findings, "values": values, "hours": judged, "exceedance_hours": exceeded,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    by: String,
    property: Property,
    value: String,
    /// From when it holds, RFC 3339; from now if absent.
    #[serde(default)]
    from: Option<jiff::Timestamp>,
    #[serde(default)]
    why: String,
    /// Refuse this proposal instead of taking it.
    #[serde(default)]
    refuse: bool,
}

pub(super) async fn set(
    State(hub): Shared,
    Path(mn): Path<String>,
    headers: HeaderMap,
    Json(c): Json<Change>,
) -> Answer {
    allowed(&hub, &headers)?;
    let bad = |e: miyun_gateway::GatewayError| {
        Problem(StatusCode::UNPROCESSABLE_ENTITY, "property", e.to_string())
    };
    if c.by.trim().is_empty() {
        return Err(Problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "by",
            "say who: by".into(),
        ));
    }
    let now = hub.follow.clock.now_ms();
    let registry = Arc::clone(&hub.follow.registry);
    let done = tokio::task::spawn_blocking(move || {
        if c.refuse {
            registry.refuse(&c.by, now, &mn, c.property, &c.value, &c.why)
        } else {
            registry.set(
                &c.by,
                now,
                &[(
                    mn,
                    c.property,
                    c.value,
                    c.from.map_or(now, |t| t.as_millisecond()),
                    c.why,
                )],
            )
        }
    });
    done.await.map_err(broken)?.map_err(bad)?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(super) struct AskBody {
    by: String,
    #[serde(default)]
    why: String,
    #[serde(flatten)]
    ask: Ask,
}

pub(super) async fn ask(
    State(hub): Shared,
    Path(mn): Path<String>,
    headers: HeaderMap,
    Json(a): Json<AskBody>,
) -> Answer {
    allowed(&hub, &headers)?;
    hub.follow
        .registry
        .find(&mn)
        .ok_or_else(|| no_device(&mn))?;
    let id = tokio::task::spawn_blocking(move || {
        command::ask(
            &hub.dir,
            hub.follow.clock.now_ms(),
            &a.by,
            &a.why,
            &mn,
            a.ask,
        )
    })
    .await
    .map_err(broken)?
    .map_err(|e| Problem(StatusCode::UNPROCESSABLE_ENTITY, "command", e.to_string()))?;
    Ok(Json(json!({ "id": id })))
}

pub(super) async fn commands(State(hub): Shared, Path(mn): Path<String>) -> Answer {
    let lines = tokio::task::spawn_blocking(move || command::history(&hub.dir))
        .await
        .map_err(broken)?
        .map_err(broken)?;
    let suffix = format!("-{mn}");
    let mine: Vec<_> = lines
        .into_iter()
        .filter(|l| l.id.ends_with(&suffix))
        .collect();
    Ok(Json(json!({ "commands": mine })))
}

/// Readings by HTTP: answered 201 only after they are on disk, like 9014.
pub(super) async fn push(
    State(hub): Shared,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    allowed(&hub, &headers)?;
    let (document, readings) = Document::read(&body)
        .map_err(|e| Problem(StatusCode::UNPROCESSABLE_ENTITY, "document", e))?;
    let device = hub
        .follow
        .registry
        .meet(&document.mn, hub.follow.clock.now_ms())
        .ok_or_else(|| {
            Problem(
                StatusCode::TOO_MANY_REQUESTS,
                "strangers",
                "too many unconfirmed devices wait; register this one first".into(),
            )
        })?;
    let door = Arc::clone(&hub.door);
    tokio::task::spawn_blocking(move || door.put(device.number, &body, Duration::from_secs(20)))
        .await
        .map_err(broken)?
        .map_err(|e| Problem(StatusCode::SERVICE_UNAVAILABLE, "disk", e.to_string()))?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "stored": readings.len() })),
    )
        .into_response())
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    qn: String,
}

/// The inclusion proof of a device's frame.
pub(super) async fn proof(
    State(hub): Shared,
    Path(mn): Path<String>,
    Query(w): Query<Wanted>,
) -> Answer {
    let d = hub
        .follow
        .registry
        .find(&mn)
        .ok_or_else(|| no_device(&mn))?;
    if w.qn.len() != 17 || !w.qn.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem(
            StatusCode::BAD_REQUEST,
            "qn",
            "qn: 17 digits".into(),
        ));
    }
    let needle = format!("QN={}", w.qn).into_bytes();
    let found = tokio::task::spawn_blocking(move || {
        let (end, open) = (hub.follow.progress.end(), hub.follow.progress.open_day());
        prove(
            &hub.follow.log,
            Position::default(),
            end,
            open.as_ref(),
            |r| r.device == d.number && r.frame.windows(needle.len()).any(|f| f == needle),
        )
    });
    let proof = found
        .await
        .map_err(broken)?
        .map_err(broken)?
        .ok_or_else(|| {
            Problem(
                StatusCode::NOT_FOUND,
                "no-frame",
                format!("no frame of {mn} with QN={} is in the log", w.qn),
            )
        })?;
    Ok(Json(json!(proof)))
}

pub(super) async fn roots(State(hub): Shared) -> Answer {
    let open = hub.follow.progress.open_day();
    let closed = tokio::task::spawn_blocking(move || {
        miyun_gateway::journal::Journal::<miyun_gateway::log::DayRoot>::open(&paths::roots(
            &hub.dir,
        ))
        .and_then(|mut j| j.news())
    })
    .await
    .map_err(broken)?
    .map_err(broken)?;
    Ok(Json(json!({ "closed": closed, "open": open })))
}

pub(super) async fn gateway(State(hub): Shared) -> Answer {
    let relays: Vec<Value> = hub
        .relays
        .iter()
        .map(|(name, s)| {
            use std::sync::atomic::Ordering::Relaxed;
            json!({ "name": name, "answered": s.answered.load(Relaxed), "lost": s.lost.load(Relaxed), "connected": s.connected.load(Relaxed) })
        })
        .collect();
    Ok(Json(
        json!({ "stats": hub.stats.now(), "recovery": hub.recovery, "relays": relays }),
    ))
}

/// Server-sent events: once a second the devices that changed, as the cells that a page shows.
pub(super) async fn live(
    State(hub): Shared,
    Query(q): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let lang = if q.get("lang").is_some_and(|l| l == "zh") {
        miyun_core::text::Lang::Zh
    } else {
        miyun_core::text::Lang::En
    };
    let Ok(permit) = hub
        .listeners
        .try_acquire()
        .map(tokio::sync::SemaphorePermit::forget)
    else {
        return Err(Problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "listeners",
            "too many pages are kept up to date; reload instead".into(),
        ));
    };
    let () = permit;
    let place = Listening {
        version: hub.follow.state.version(),
        hub,
        lang,
    };
    let events = futures_util::stream::unfold(place, |mut l| async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = l.hub.follow.state.version();
            if now == l.version {
                continue;
            }
            let changed = l.hub.follow.state.since(l.version);
            l.version = now;
            let rows: Vec<Value> = changed
                .into_iter()
                .take(500)
                .filter_map(|n| {
                    let d = l.hub.follow.registry.device(n)?;
                    let s = l.hub.follow.state.device(n)?;
                    Some(json!({ "mn": d.mn, "cells": cells(l.lang, &l.hub, l.hub.follow.clock.now_ms(), &s) }))
                })
                .collect();
            let event = Event::default()
                .event("devices")
                .data(Value::from(rows).to_string());
            return Some((Ok::<_, Infallible>(event), l));
        }
    });
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// One open page; gives its place back when it goes.
struct Listening {
    hub: Arc<Hub>,
    version: u64,
    lang: miyun_core::text::Lang,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.hub.listeners.add_permits(1);
    }
}
