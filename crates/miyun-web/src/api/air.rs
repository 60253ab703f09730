//! Ambient air: annual items, days, hours.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use miyun_air::annual::{date_of, day_range};
use miyun_core::{Decimal, SubjectId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::read::{as_known, away, period};
use super::table::{Cell, Rows, Sheet, SheetQuery, Table};
use crate::app::{Platform, Shared};
use crate::pages::ledger::{Ledger, members};
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
#[utoipa::path(get, operation_id = "air_items", path = "/api/v1/air/items", tag = "data", params(AirQuery, SheetQuery),
    responses((status = 200, description = "Annual items", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, edition or data", body = Problem)))]
pub(super) async fn air_items(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    sheet: Sheet,
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
        sheet.answer(&Table::new(
            "air-items",
            &[
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
            ],
            rows,
        ))
    })
    .await
}

/// Valid daily values, sub-indices, index and level of every place.
#[utoipa::path(get, operation_id = "air_days", path = "/api/v1/air/days", tag = "data", params(AirQuery, SheetQuery),
    responses((status = 200, description = "Days", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, edition or data", body = Problem)))]
pub(super) async fn air_days(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    away(move || {
        let ev = evaluation(&p, &q)?;
        let e = &ev.edition.edition;
        let mut columns = vec!["place".to_owned(), "date".to_owned()];
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
        columns.extend(["aqi", "level", "primary", "status"].map(str::to_owned));
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
        sheet.answer(&table)
    })
    .await
}

/// Most hours of one answer.
const HOURS_DAYS_MAX: usize = 366;

/// Hourly values in canonical units, at most a year.
#[utoipa::path(get, operation_id = "air_hours", path = "/api/v1/air/hours", tag = "data", params(AirQuery, SheetQuery),
    responses((status = 200, description = "Hours", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city or data", body = Problem)))]
pub(super) async fn air_hours(
    State(p): Shared,
    Query(q): Query<AirQuery>,
    sheet: Sheet,
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
        let mut columns = ["place", "date", "hour"].map(str::to_owned).to_vec();
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
        sheet.answer(&table)
    })
    .await
}

/// Which ledger.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LedgerQuery {
    /// City; the first one if not given.
    #[param(example = "linxi")]
    city: Option<String>,
    /// Year; the last one with data if not given.
    #[param(example = 2024)]
    year: Option<String>,
    /// Indicator with an annual limit.
    #[param(example = "PM2.5")]
    indicator: Option<String>,
    /// Target; the plan's or the limit in force if not given.
    #[param(example = "30.0")]
    target: Option<String>,
    /// `days`, the dearest first, or `stations`.
    #[param(example = "days")]
    part: Option<String>,
    /// Only what was known at this moment: a day or an RFC 3339 time.
    known: Option<String>,
}

/// The 0.1 microgram ledger of a year: what its dearest days cost of the annual mean, and by how
/// much each station moves the city mean.
#[utoipa::path(get, operation_id = "air_ledger", path = "/api/v1/air/ledger", tag = "data", params(LedgerQuery, SheetQuery),
    responses((status = 200, description = "Days or stations", body = Rows), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, indicator or data", body = Problem)))]
pub(super) async fn air_ledger(
    State(p): Shared,
    Query(q): Query<LedgerQuery>,
    sheet: Sheet,
) -> Result<Response, Problem> {
    let table = away(move || {
        let known = as_known(q.known.as_deref())?;
        let asked = [
            ("city", &q.city),
            ("year", &q.year),
            ("indicator", &q.indicator),
            ("target", &q.target),
        ];
        let params = asked
            .into_iter()
            .filter_map(|(k, v)| Some((k.to_owned(), v.clone()?)))
            .collect();
        let l = crate::pages::ledger::read(&p.site, &known, &params)?;
        match q.part.as_deref().unwrap_or("days") {
            "days" => Ok(dearest(&l)),
            "stations" => Ok(effects(&l)),
            other => Err(Problem::bad(format!("part: {other:?}: days or stations"))),
        }
    })
    .await?;
    sheet.answer(&table)
}

/// A measured figure for a table: four decimals.
fn fourth(v: f64) -> Cell {
    Cell::decimal(Decimal::try_from(v).ok().map(|d| d.round_dp(4)))
}

fn dearest(l: &Ledger) -> Table {
    let rows = l.b.worst.iter().map(|d| {
        vec![
            Cell::text(&l.city.id),
            Cell::text(d.date),
            fourth(d.value.to_f64()),
            fourth(d.cost.to_f64()),
            fourth(d.above.to_f64()),
        ]
    });
    Table::new(
        "air-ledger-days",
        &["place", "date", "value", "share_of_mean", "above_target"],
        rows.collect(),
    )
}

fn effects(l: &Ledger) -> Table {
    let members = members(&l.ev);
    let rows = l.b.stations.iter().filter_map(|r| {
        Some(vec![
            Cell::text(&members.get(r.station)?.subject.id),
            r.mean.map_or(Cell::Null, |m| fourth(m.to_f64())),
            r.effect.map_or(Cell::Null, fourth),
        ])
    });
    Table::new(
        "air-ledger-stations",
        &["place", "mean", "effect"],
        rows.collect(),
    )
}
