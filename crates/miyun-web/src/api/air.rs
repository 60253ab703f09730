//! Ambient air: annual items, days, hours.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use miyun_air::annual::{date_of, day_range};
use miyun_core::{Decimal, SubjectId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::read::{as_known, away, names, period};
use super::table::{Cell, Format, Page, Rows, Table, hundred, one};
use crate::app::{Platform, Shared};
use crate::problem::Problem;

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
) -> Result<Arc<miyun_assess::air::AirEvaluation>, Problem> {
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
#[utoipa::path(get, operation_id = "air_items", path = "/api/v1/air/items", tag = "data", params(AirQuery),
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
#[utoipa::path(get, operation_id = "air_days", path = "/api/v1/air/days", tag = "data", params(AirQuery),
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
#[utoipa::path(get, operation_id = "air_hours", path = "/api/v1/air/hours", tag = "data", params(AirQuery),
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
            return Err(Problem::not_found(format!(
                "no place {:?}",
                q.place.as_deref().unwrap_or("")
            )));
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
