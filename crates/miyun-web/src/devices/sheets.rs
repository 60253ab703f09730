//! The tables of the pages of devices and outlets as files: the same queries, as known at the same
//! moment.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use miyun_core::Decimal;
use miyun_core::text::Lang;
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::state::{HOURS, finding};

use super::judge::{self, Judged};
use super::pages::{at_outlet, beside, found, judged, place, step};
use super::{Hub, Seen};
use crate::api::{Cell, Rows, Sheet, SheetQuery, Table};
use crate::problem::Problem;
use crate::server::AsKnown;

type Params = HashMap<String, String>;

/// A table of the pages of devices and outlets, whole. Only where a gateway runs.
#[utoipa::path(get, operation_id = "device_tables", path = "/api/v1/device-tables/{name}", tag = "devices", params(
    ("name" = String, Path, description = "`devices`, `properties`, `values`, `received`, `hours`, `findings` or `commands`", example = "devices"),
    ("mn" = Option<String>, Query, description = "Which device; `devices` needs none"),
    ("outlet" = Option<String>, Query, description = "Which outlet, for `hours`"),
    ("q" = Option<String>, Query, description = "Part of an MN or outlet, for `devices`"),
    ("known" = Option<String>, Query, description = "Only what was known at this moment: a day or an RFC 3339 time"),
    SheetQuery),
    responses((status = 200, description = "The table", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such table or device, or no gateway runs here", body = Problem)))]
pub(super) async fn sheet(
    State(hub): State<Arc<Hub>>,
    AsKnown(known): AsKnown,
    sheet: Sheet,
    Path(name): Path<String>,
    Query(q): Query<Params>,
) -> Result<Response, Problem> {
    let seen = hub.at(known.as_deref()).await.map_err(Problem::internal)?;
    let table = match name.as_str() {
        "devices" => devices(&hub, &seen, q.get("q").map_or("", |t| t.trim())),
        "hours" => match q.get("outlet") {
            Some(o) => hours(judged(&hub, &seen, &at_outlet(&seen, o))),
            None => {
                let d = device(&seen, &q)?;
                let s = seen.state.device(d.number).unwrap_or_default();
                let marks = judge::marks(&seen, &beside(&seen, &d));
                hours(judge::judge(place(&hub), &d, &s, &marks))
            }
        },
        "properties" => properties(&*device(&seen, &q)?),
        "values" => values(&hub, &seen, &*device(&seen, &q)?),
        "received" => received(&seen, &*device(&seen, &q)?),
        "findings" => findings(&seen, &*device(&seen, &q)?),
        "commands" => {
            let lines = hub.commands(&device(&seen, &q)?.mn, &seen).await;
            let row = |l: &miyun_gateway::command::Line| {
                vec![
                    time(l.at_ms),
                    Cell::text(&l.id),
                    Cell::text(step(Lang::En, &l.what)),
                ]
            };
            let rows = lines.iter().rev().map(row).collect();
            Table::new("commands", &["at", "id", "what"], rows)
        }
        other => return Err(Problem::not_found(format!("there is no table {other:?}"))),
    };
    sheet.answer(&table)
}

fn device(seen: &Seen, q: &Params) -> Result<Arc<Device>, Problem> {
    let mn = q
        .get("mn")
        .ok_or_else(|| Problem::bad("this table needs mn="))?;
    seen.registry.find(mn).ok_or_else(|| {
        Problem::not_found(format!("no device with MN {mn:?} was seen or registered"))
    })
}

fn time(ms: i64) -> Cell {
    if ms <= 0 {
        return Cell::Null;
    }
    jiff::Timestamp::from_millisecond(ms).map_or(Cell::Null, Cell::text)
}

fn count(n: impl TryInto<i64>) -> Cell {
    n.try_into().map_or(Cell::Null, Cell::Int)
}

/// A share as a percentage with one decimal.
fn percent(share: f64) -> Cell {
    Cell::decimal(Decimal::try_from(share * 100.0).ok().map(|d| d.round_dp(1)))
}

fn devices(hub: &Hub, seen: &Seen, search: &str) -> Table {
    let hour = seen.now_ms.div_euclid(3_600_000);
    let rows = found(seen, search)
        .iter()
        .map(|d| {
            let s = seen.state.device(d.number).unwrap_or_default();
            let every = s.interval_min();
            let share = (1..=24).map(|h| s.share(hour - h, every)).sum::<f64>() / 24.0;
            vec![
                Cell::text(&d.mn),
                d.last(&Property::Subject).map_or(Cell::Null, Cell::text),
                Cell::text(&s.st),
                d.last(&Property::Status).map_or(Cell::Null, Cell::text),
                // Who was connected then is not recorded.
                if seen.past {
                    Cell::Null
                } else {
                    Cell::Bool(hub.caller.online(d.number))
                },
                time(s.seen_ms),
                time(s.data_s.saturating_mul(1_000)),
                Cell::Int(s.lag_ms),
                percent(share),
                count(s.frames),
                count(s.findings.len()),
                count(d.proposals.len()),
            ]
        })
        .collect();
    Table::new(
        "devices",
        &[
            "mn",
            "outlet",
            "system",
            "status",
            "connected",
            "last_heard",
            "data_of",
            "lag_ms",
            "came_24h_percent",
            "frames",
            "findings",
            "questions",
        ],
        rows,
    )
}

fn properties(d: &Device) -> Table {
    let mut rows = Vec::new();
    for (p, all) in &d.properties {
        for x in all {
            let secret = matches!(p, Property::Key | Property::Password);
            rows.push(vec![
                Cell::text(&d.mn),
                Cell::text(p),
                if secret {
                    Cell::Null
                } else {
                    Cell::text(&x.value)
                },
                time(x.from_ms),
                Cell::text(&x.by),
            ]);
        }
    }
    Table::new(
        "properties",
        &["mn", "property", "value", "from", "by"],
        rows,
    )
}

fn values(hub: &Hub, seen: &Seen, d: &Device) -> Table {
    let s = seen.state.device(d.number).unwrap_or_default();
    let rows = s
        .values
        .iter()
        .map(|((code, attribute, span), x)| {
            let named = judge::unit_of(hub.book, d, code, x.label_s * 1_000).map(|u| u.0);
            vec![
                Cell::text(&d.mn),
                Cell::text(code),
                Cell::text(attribute),
                Cell::text(span.as_str()),
                Cell::Decimal(Decimal::new(x.micro, 6).normalize()),
                x.unit.clone().or(named).map_or(Cell::Null, Cell::Text),
                Cell::text(x.flag),
                time(x.label_s * 1_000),
            ]
        })
        .collect();
    Table::new(
        "values",
        &[
            "mn", "factor", "item", "span", "value", "unit", "flag", "at",
        ],
        rows,
    )
}

fn received(seen: &Seen, d: &Device) -> Table {
    let s = seen.state.device(d.number).unwrap_or_default();
    let (now, every) = (seen.now_ms.div_euclid(3_600_000), s.interval_min());
    let rows = (0..HOURS as i64)
        .map(|h| {
            vec![
                Cell::text(&d.mn),
                time((now - h) * 3_600_000),
                percent(s.share(now - h, every)),
            ]
        })
        .collect();
    Table::new("received", &["mn", "hour", "came_percent"], rows)
}

fn findings(seen: &Seen, d: &Device) -> Table {
    let s = seen.state.device(d.number).unwrap_or_default();
    let rows = s
        .findings
        .iter()
        .map(|(code, n)| {
            let words = |l| finding(code).map_or(Cell::Null, |f| Cell::text(f.words(l)));
            vec![
                Cell::text(&d.mn),
                Cell::text(code),
                words(Lang::Zh),
                words(Lang::En),
                count(*n),
            ]
        })
        .collect();
    Table::new(
        "findings",
        &["mn", "code", "says_zh", "says_en", "frames"],
        rows,
    )
}

fn hours(judged: Vec<Judged>) -> Table {
    let rows = judged
        .into_iter()
        .map(|j| {
            let outcome = serde_json::to_value(j.outcome).unwrap_or_default();
            vec![
                time(j.label_s * 1_000),
                Cell::Text(j.indicator),
                Cell::Text(j.code),
                Cell::Text(j.attribute),
                Cell::Decimal(j.value),
                Cell::decimal(j.limit),
                Cell::Text(j.unit),
                Cell::text(j.flag),
                Cell::text(outcome.as_str().unwrap_or("")),
                j.rule.map_or(Cell::Null, Cell::text),
            ]
        })
        .collect();
    Table::new(
        "hours",
        &[
            "hour",
            "indicator",
            "factor",
            "item",
            "value",
            "limit",
            "unit",
            "flag",
            "outcome",
            "rule",
        ],
        rows,
    )
}
