//! What everyone may read: places, imports, air, plans.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use miyun_core::subject::SubjectKind;
use miyun_core::{Date, Decimal, Period};
use serde::Deserialize;
use utoipa::IntoParams;

use super::table::{Cell, Format, Page, Rows, Table, hundred, json, one};
use crate::app::Shared;
use crate::problem::Problem;
use crate::site::Known;

/// Runs work that reads files or computes away from the threads that answer.
pub(super) async fn away<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(f)
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
    /// What the table comes as.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Page, from 1.
    #[serde(default = "one")]
    #[param(default = 1, minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// Rows a page.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 100_000)]
    per_page: u32,
}

/// Cities and stations.
#[utoipa::path(get, operation_id = "places", path = "/api/v1/places", tag = "data", params(PlacesQuery),
    responses((status = 200, description = "Places", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn places(
    State(p): Shared,
    Query(q): Query<PlacesQuery>,
    uri: Uri,
    headers: HeaderMap,
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
    let table = Table {
        name: "places",
        columns: names(&[
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
        ]),
        rows,
    };
    table.answer(
        q.format,
        Page {
            page: q.page,
            per_page: q.per_page,
        },
        &uri,
        &headers,
    )
}

pub(super) fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|n| (*n).to_owned()).collect()
}

/// A table without other parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TableQuery {
    /// What the table comes as.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Page, from 1.
    #[serde(default = "one")]
    #[param(default = 1, minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// Rows a page.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 100_000)]
    per_page: u32,
}

/// Imported files with their digests.
#[utoipa::path(get, operation_id = "imports", path = "/api/v1/imports", tag = "data", params(TableQuery),
    responses((status = 200, description = "Imported files", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn imports(
    State(p): Shared,
    Query(q): Query<TableQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
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
    let table = Table {
        name: "imports",
        columns: names(&[
            "commit",
            "recorded_at",
            "file",
            "declared",
            "rows",
            "values",
            "problems",
            "blake3",
        ]),
        rows,
    };
    table.answer(
        q.format,
        Page {
            page: q.page,
            per_page: q.per_page,
        },
        &uri,
        &headers,
    )
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
    away(move || {
        let plan = p
            .site
            .plans
            .iter()
            .find(|x| x.id == id)
            .ok_or_else(|| Problem::not_found(format!("there is no plan {id:?}")))?;
        let on = match q.on.as_deref().filter(|t| !t.is_empty()) {
            Some(t) => date("on", t)?,
            None => p.site.today,
        };
        let state = p.site.plan_state(plan, on, &as_known(q.known.as_deref())?);
        json(&*state, &headers)
    })
    .await
}
