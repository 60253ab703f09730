//! What everyone may read: places, imports, plans; the one search.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use miyun_core::subject::SubjectKind;
use miyun_core::{Date, Decimal, Period};
use miyun_plan::{Direction, Indicator, IndicatorStatus, MeasureStatus, PlanStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::table::{Cell, Rows, Sheet, SheetQuery, Table, json};
use crate::app::{Platform, Shared};
use crate::problem::Problem;
use crate::search::{self, Kind};
use crate::site::Known;

/// Runs work that reads files or computes away from the threads that answer.
pub(super) async fn away<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(f))
        .await
        .map_err(Problem::internal)?
}

/// A date of a parameter.
pub(super) fn date(name: &str, text: &str) -> Result<Date, Problem> {
    text.parse()
        .map_err(|_| Problem::bad(format!("{name}: {text:?} is no date: write 2026-03-01")))
}

/// A period of a parameter: whole days with both ends, not longer than a century.
pub(super) fn period(text: &str) -> Result<Period, Problem> {
    let bad = |why: &str| Problem::bad(format!("period: {text:?} {why}"));
    let p: Period = text.parse().map_err(|e: miyun_core::period::PeriodError| {
        bad(&format!(
            "is no period ({e}): write 2016 or 2016-01-01..2016-06-30"
        ))
    })?;
    match (p.from, p.until) {
        (Some(a), Some(b)) if a <= b && i32::from(b.year()) - i32::from(a.year()) <= 100 => Ok(p),
        _ => Err(bad("needs both ends, in order, within a century")),
    }
}

/// A moment of a parameter; a day means its end in UTC.
pub(super) fn known(text: Option<&str>) -> Result<Option<jiff::Timestamp>, Problem> {
    let Some(text) = text.filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    let moment = if text.len() == 10 {
        format!("{}T23:59:59.999999Z", date("known", text)?)
    } else {
        text.to_owned()
    };
    moment.parse().map(Some).map_err(|_| {
        Problem::bad(format!(
            "known: {text:?} is no moment: write 2026-11-23 or 2026-11-23T08:00:00Z"
        ))
    })
}

pub(super) fn as_known(text: Option<&str>) -> Result<Known, Problem> {
    Ok(known(text)?.map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// A list of the places.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlacesQuery {
    /// Only this city and what belongs to it.
    #[param(example = "linxi")]
    city: Option<String>,
}

/// Cities and stations.
#[utoipa::path(get, operation_id = "places", path = "/api/v1/places", tag = "data", params(PlacesQuery, SheetQuery),
    responses((status = 200, description = "Places", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn places(
    State(p): Shared,
    Query(q): Query<PlacesQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    let opt = |v: Option<f64>| {
        v.and_then(|v| Decimal::try_from(v).ok())
            .map_or(Cell::Null, Cell::Decimal)
    };
    let rows = p
        .site
        .lake()
        .subjects()
        .into_iter()
        .filter(|s| {
            q.city.as_deref().is_none_or(|c| {
                s.id.as_str() == c || s.part_of.as_ref().is_some_and(|x| x.as_str() == c)
            })
        })
        .map(|s| {
            vec![
                Cell::text(&s.id),
                Cell::text(if s.kind == SubjectKind::City {
                    "city"
                } else {
                    "station"
                }),
                Cell::text(&s.name.zh),
                Cell::text(&s.name.en),
                Cell::text(&s.jurisdiction),
                s.part_of.as_ref().map_or(Cell::Null, Cell::text),
                opt(s.lon_deg),
                opt(s.lat_deg),
                s.zone_class.as_ref().map_or(Cell::Null, Cell::text),
                Cell::Bool(s.control),
                Cell::Bool(s.simulated),
            ]
        })
        .collect();
    sheet.answer(&Table::new(
        "places",
        &[
            "id",
            "kind",
            "name_zh",
            "name_en",
            "jurisdiction",
            "part_of",
            "lon_deg",
            "lat_deg",
            "zone_class",
            "control",
            "simulated",
        ],
        rows,
    ))
}

/// Imported files with their digests.
#[utoipa::path(get, operation_id = "imports", path = "/api/v1/imports", tag = "data", params(SheetQuery),
    responses((status = 200, description = "Imported files", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn imports(State(p): Shared, sheet: Sheet) -> Result<Response, Problem> {
    let number = |n: u64| Cell::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let lake = p.site.lake();
    let rows = lake
        .commits()
        .iter()
        .flat_map(|c| c.files.iter().map(move |f| (c, f)))
        .map(|(c, f)| {
            let (sequence, recorded_at) = c.recorded(f);
            vec![
                number(sequence),
                Cell::text(recorded_at),
                // Folders of the server are nobody's business.
                Cell::text(f.name.rsplit(['/', '\\']).next().unwrap_or("")),
                Cell::text(&f.declared),
                number(f.rows),
                number(f.values),
                number(f.problems),
                Cell::text(&f.digest),
            ]
        })
        .collect();
    sheet.answer(&Table::new(
        "imports",
        &[
            "commit",
            "recorded_at",
            "file",
            "declared",
            "rows",
            "values",
            "problems",
            "blake3",
        ],
        rows,
    ))
}

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// Words, Chinese or English; Chinese is segmented.
    #[param(example = "扬尘", max_length = 120)]
    q: String,
    /// As known at this moment: a day or an RFC 3339 time.
    known: Option<String>,
}

/// Measures, rules, places, articles and terms that hold what is asked, best first in each kind.
#[utoipa::path(get, operation_id = "search", path = "/api/v1/search", tag = "data", params(SearchQuery, SheetQuery),
    responses((status = 200, description = "What was found", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn search(
    State(p): Shared,
    Query(q): Query<SearchQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    let found = search::articles(&p.site, &q.q, known(q.known.as_deref())?).await?;
    let mut hits = away(move || Ok(search::find(&p.site, &q.q))).await?;
    hits.extend(search::as_hits(&found));
    let rows = Kind::ALL
        .into_iter()
        .flat_map(|k| hits.iter().filter(move |h| h.kind == k))
        .map(|h| {
            vec![
                Cell::text(h.kind.as_str()),
                Cell::text(&h.id),
                Cell::text(&h.title.zh),
                Cell::text(&h.title.en),
                Cell::text(&h.link),
            ]
        })
        .collect();
    let columns = ["kind", "id", "title_zh", "title_en", "page"];
    sheet.answer(&Table::new("search", &columns, rows))
}

/// Plans with their measures and targets.
#[utoipa::path(get, operation_id = "plans", path = "/api/v1/plans", tag = "plan",
    responses((status = 200, description = "Plans", body = Vec<Object>)))]
pub(super) async fn plans(State(p): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    json(&p.site.plans, &headers)
}

/// A day to look at a plan.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanQuery {
    /// The day; today if not given.
    #[param(example = "2024-09-30")]
    on: Option<String>,
    /// Only what was known at this moment: a day or an RFC 3339 time.
    known: Option<String>,
}

/// Where a plan stands on a day: every measure, its indicators, figures and verdicts.
#[utoipa::path(get, operation_id = "plan_status", path = "/api/v1/plans/{id}/status", tag = "plan", params(("id" = String, Path, description = "Plan", example = "linxi-sim"), PlanQuery),
    responses((status = 200, description = "Status", body = Object), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such plan", body = Problem)))]
pub(super) async fn plan_status(
    State(p): Shared,
    Path(id): Path<String>,
    Query(q): Query<PlanQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    away(move || json(&*state_of(&p, &id, &q)?, &headers)).await
}

fn state_of(p: &Platform, id: &str, q: &PlanQuery) -> Result<Arc<PlanStatus>, Problem> {
    let plan = p
        .site
        .plans
        .iter()
        .find(|x| x.id == id)
        .ok_or_else(|| Problem::not_found(format!("there is no plan {id:?}")))?;
    let on = match q.on.as_deref().filter(|t| !t.is_empty()) {
        Some(t) => date("on", t)?,
        None => p.site.today(),
    };
    Ok(p.site.plan_state(plan, on, &as_known(q.known.as_deref())?))
}

/// Where a plan stands on a day as a table: a row for each indicator of each measure; a measure
/// without one has a row too.
#[utoipa::path(get, operation_id = "plan_measures", path = "/api/v1/plans/{id}/measures", tag = "plan", params(("id" = String, Path, description = "Plan", example = "linxi-sim"), PlanQuery, SheetQuery),
    responses((status = 200, description = "Measures and indicators", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such plan", body = Problem)))]
pub(super) async fn plan_measures(
    State(p): Shared,
    Path(id): Path<String>,
    Query(q): Query<PlanQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    let state = away(move || state_of(&p, &id, &q)).await?;
    let mut rows = Vec::new();
    for m in &state.measures {
        if m.indicators.is_empty() {
            rows.push(measure_row(m, None));
        }
        rows.extend(m.indicators.iter().map(|i| measure_row(m, Some(i))));
    }
    let columns = [
        "measure",
        "title_zh",
        "title_en",
        "standing",
        "indicator",
        "place",
        "statistic",
        "period",
        "value",
        "unit",
        "target",
        "direction",
        "verdict",
        "data_until",
        "figure",
    ];
    sheet.answer(&Table::new("measures", &columns, rows))
}

fn measure_row(m: &MeasureStatus, i: Option<&IndicatorStatus>) -> Vec<Cell> {
    let standing = serde_json::to_value(i.map_or(m.standing, |i| i.standing)).unwrap_or_default();
    let figure = i.and_then(|i| i.figure.as_ref());
    let of = |f: &dyn Fn(&Indicator) -> Cell| i.map_or(Cell::Null, |i| f(&i.indicator));
    vec![
        Cell::text(&m.measure.id),
        Cell::text(&m.measure.title.zh),
        Cell::text(&m.measure.title.en),
        Cell::text(standing.as_str().unwrap_or("")),
        of(&|i| Cell::text(&i.indicator)),
        of(&|i| Cell::text(&i.subject)),
        of(&|i| Cell::text(&i.statistic)),
        i.and_then(|i| i.period).map_or(Cell::Null, Cell::text),
        Cell::decimal(figure.and_then(|f| f.assessment.value)),
        of(&|i| Cell::text(&i.unit)),
        Cell::decimal(i.and_then(|i| i.target)),
        of(&|i| {
            Cell::text(match i.direction {
                Direction::AtMost => "at-most",
                Direction::AtLeast => "at-least",
            })
        }),
        figure.map_or(Cell::Null, |f| Cell::text(&f.assessment.verdict)),
        figure.map_or(Cell::Null, |f| Cell::text(f.data_until)),
        figure.map_or(Cell::Null, |f| Cell::text(&f.assessment.id)),
    ]
}
