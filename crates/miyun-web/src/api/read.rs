//! What everyone may read: places, imports, air, plans.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use miyun_air::annual::{date_of, day_range};
use miyun_core::subject::SubjectKind;
use miyun_core::{Date, Decimal, Period, SubjectId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::table::{Cell, Format, Page, Rows, Table, hundred, json, one};
use crate::app::{Platform, Shared};
use crate::failure::Failure;
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

fn as_known(text: Option<&str>) -> Result<Known, Problem> {
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
#[utoipa::path(get, path = "/api/v1/places", tag = "data", params(PlacesQuery),
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
#[utoipa::path(get, path = "/api/v1/imports", tag = "data", params(TableQuery),
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
            vec![
                number(c.sequence),
                Cell::text(&c.recorded_at),
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

/// A city over a period.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AirQuery {
    /// City; the first one if not given.
    #[param(example = "linxi")]
    city: Option<String>,
    /// Only this place of it.
    place: Option<String>,
    /// Period: a year, a month, or `from..until`.
    #[param(example = "2024")]
    period: String,
    /// `in-force`, or an edition of the rulebook.
    #[param(example = "in-force")]
    edition: Option<String>,
    /// Only what was known at this moment: a day or an RFC 3339 time.
    known: Option<String>,
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

fn evaluation(
    p: &Platform,
    q: &AirQuery,
) -> Result<std::sync::Arc<miyun_assess::air::AirEvaluation>, Problem> {
    let city = p.site.city(q.city.as_deref())?;
    let edition = q
        .edition
        .as_deref()
        .filter(|e| !e.is_empty())
        .unwrap_or("in-force");
    let known = as_known(q.known.as_deref())?;
    Ok(p.site
        .evaluation(&city.id, period(&q.period)?, edition, &known)?)
}

fn of_place(q: &AirQuery, id: &SubjectId) -> bool {
    q.place
        .as_deref()
        .is_none_or(|p| p.is_empty() || id.as_str() == p)
}

/// Annual items with validity, limit and verdict; each row's `id` answers why.
#[utoipa::path(get, path = "/api/v1/air/items", tag = "data", params(AirQuery),
    responses((status = 200, description = "Annual items", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, edition or data", body = Problem)))]
pub(super) async fn air_items(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    away(move || {
        let ev = evaluation(&p, &q)?;
        let rows = ev
            .assessments
            .iter()
            .filter(|a| of_place(&q, &a.subject))
            .map(|a| {
                vec![
                    Cell::text(&a.id),
                    Cell::text(&a.subject),
                    Cell::text(&a.indicator),
                    Cell::text(&a.statistic),
                    Cell::text(a.period),
                    Cell::decimal(a.value),
                    Cell::text(&a.unit),
                    Cell::decimal(a.limit),
                    Cell::text(&a.verdict),
                    Cell::decimal(a.exceedance),
                    Cell::Bool(a.sufficiency.valid),
                    Cell::Int(i64::from(a.sufficiency.have)),
                    Cell::text(a.sufficiency.missing.join("; ")),
                ]
            })
            .collect();
        let table = Table {
            name: "air-items",
            columns: names(&[
                "id",
                "place",
                "indicator",
                "statistic",
                "period",
                "value",
                "unit",
                "limit",
                "verdict",
                "times_over",
                "valid",
                "data",
                "missing",
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
    })
    .await
}

/// Valid daily values, sub-indices, index and level of every place.
#[utoipa::path(get, path = "/api/v1/air/days", tag = "data", params(AirQuery),
    responses((status = 200, description = "Days", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, edition or data", body = Problem)))]
pub(super) async fn air_days(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    away(move || {
        let ev = evaluation(&p, &q)?;
        let e = &ev.edition.edition;
        let mut columns = names(&["place", "date"]);
        columns.extend(
            e.slots
                .iter()
                .map(|s| format!("{}_{}", s.indicator, s.statistic)),
        );
        columns.extend(
            e.slots
                .iter()
                .map(|s| format!("iaqi_{}_{}", s.indicator, s.statistic)),
        );
        columns.extend(names(&["aqi", "level", "primary", "status"]));
        let mut rows = Vec::new();
        for place in ev.places().filter(|x| of_place(&q, &x.subject.id)) {
            for d in ev.range() {
                let i = &place.indices[d];
                let mut row = vec![
                    Cell::text(&place.subject.id),
                    Cell::text(date_of(ev.first_day, d)),
                ];
                row.extend(
                    place
                        .series
                        .iter()
                        .map(|s| Cell::decimal(s[d].and_then(|v| v.to_string().parse().ok()))),
                );
                row.extend(i.sub.iter().map(|v| Cell::int(*v)));
                let primary: Vec<String> =
                    e.primary_names(i).iter().map(ToString::to_string).collect();
                row.extend([
                    Cell::int(i.aqi),
                    Cell::int(i.level),
                    Cell::text(primary.join("+")),
                    Cell::text(i.status.as_str()),
                ]);
                rows.push(row);
            }
        }
        let table = Table {
            name: "air-days",
            columns,
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
    })
    .await
}

/// Most hours of one answer.
const HOURS_DAYS_MAX: usize = 366;

/// Hourly values in canonical units, at most a year.
#[utoipa::path(get, path = "/api/v1/air/hours", tag = "data", params(AirQuery),
    responses((status = 200, description = "Hours", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city or data", body = Problem)))]
pub(super) async fn air_hours(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    away(move || {
        let city = p.site.city(q.city.as_deref())?;
        let record = p.site.record(&city.id, &as_known(q.known.as_deref())?)?;
        let days = day_range(record.first_day, record.days, &period(&q.period)?);
        if days.len() > HOURS_DAYS_MAX {
            return Err(Problem::bad(format!(
                "period: at most {HOURS_DAYS_MAX} days of hours at once"
            )));
        }
        let stations: Vec<_> = record
            .stations
            .iter()
            .filter(|s| of_place(&q, &s.subject.id))
            .collect();
        if stations.is_empty() {
            return Err(Failure::NotFound(format!(
                "no place {:?}",
                q.place.as_deref().unwrap_or("")
            ))
            .into());
        }
        let mut columns = names(&["place", "date", "hour"]);
        columns.extend(
            miyun_assess::air::INDICATORS
                .iter()
                .map(|i| (*i).to_owned()),
        );
        let mut rows = Vec::new();
        for s in stations {
            for d in days.clone() {
                for h in 0..24usize {
                    let mut row = vec![
                        Cell::text(&s.subject.id),
                        Cell::text(date_of(record.first_day, d)),
                        Cell::Int(h as i64),
                    ];
                    for i in miyun_assess::air::INDICATORS {
                        let v = s
                            .hours
                            .series
                            .iter()
                            .find(|(x, _)| x == i)
                            .map(|(_, v)| v[d * 24 + h])
                            .filter(|v| *v != miyun_air::MISSING);
                        row.push(Cell::decimal(v.map(|v| Decimal::new(v, 6).normalize())));
                    }
                    rows.push(row);
                }
            }
        }
        let table = Table {
            name: "air-hours",
            columns,
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
    })
    .await
}

/// Plans with their measures and targets.
#[utoipa::path(get, path = "/api/v1/plans", tag = "plan",
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
#[utoipa::path(get, path = "/api/v1/plans/{id}/status", tag = "plan", params(("id" = String, Path, description = "Plan", example = "linxi-sim"), PlanQuery),
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
