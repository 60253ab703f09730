//! Figures with their reasons: rules with clauses, steps that can be checked by hand, rows with
//! digests.

use miyun_air::annual::{AnnualValue, date_of, day_range};
use miyun_air::edition::{AnnualItem, Cited};
use miyun_air::{Exact, MISSING};
use miyun_core::assessment::Step;
use miyun_core::{
    Assessment, AssessmentId, Date, Decimal, Evidence, MethodVersion, Period, RuleRef, RuleUse,
    Subject, Sufficiency, Trace, Verdict,
};

use crate::air::{AirEvaluation, PlaceResult, Record};
use crate::{AssessError, NamedEdition};

/// Changes when the same evidence and rules may give another figure.
const METHOD: &str = "1";

fn method(name: &str) -> MethodVersion {
    MethodVersion {
        name: name.into(),
        version: METHOD.into(),
    }
}

fn rule<T>(role: &str, c: &Cited<T>, says: String) -> RuleUse {
    RuleUse {
        role: role.into(),
        rule: c.rule.clone(),
        says,
    }
}

fn step(what: impl Into<String>, result: impl ToString) -> Step {
    Step {
        what: what.into(),
        result: result.to_string(),
    }
}

/// The assessments of a period: annual items of every place, then its good days.
pub(crate) fn annual(ev: &AirEvaluation, record: &Record) -> Vec<Assessment> {
    let basis = Basis::new(record, &ev.request.period);
    let mut out = Vec::new();
    for place in ev.places() {
        for value in &place.items {
            out.push(item(ev, &basis, place, value));
        }
        out.extend(counts(ev, &basis, place));
    }
    out
}

/// Rows of a record over a period, digested once for all the figures that rest on them.
struct Basis<'a> {
    city: &'a Subject,
    /// Whether the station takes part in the city mean, and its evidence by series.
    stations: Vec<(bool, Vec<Evidence>)>,
}

impl<'a> Basis<'a> {
    fn new(record: &'a Record, period: &Period) -> Self {
        let days = day_range(record.first_day, record.days, period);
        let hours = days.start * 24..days.end * 24;
        Self {
            city: &record.city,
            stations: record
                .stations
                .iter()
                .map(|s| {
                    let evidence = s
                        .evidence
                        .iter()
                        .map(|d| {
                            let (rows, digest) = d.digest(record.first_day, hours.clone());
                            Evidence {
                                subject: s.subject.id.clone(),
                                indicator: d.series.indicator.clone(),
                                period: *period,
                                rows,
                                digest,
                                origins: d.origins(&hours),
                            }
                        })
                        .collect();
                    (!s.subject.control, evidence)
                })
                .collect(),
        }
    }

    /// Rows behind a figure of a place: its own, or those of the city's stations.
    fn of(&self, subject: &Subject, indicator: &str) -> Vec<Evidence> {
        let city = subject.id == self.city.id;
        self.stations
            .iter()
            .filter(|(member, e)| {
                if city {
                    *member
                } else {
                    e.first().is_some_and(|e| e.subject == subject.id)
                }
            })
            .flat_map(|(_, e)| e)
            .filter(|e| e.indicator == indicator)
            .cloned()
            .collect()
    }
}

/// Good days, heavy days and the share of good days: figures without a limit of their own.
fn counts(ev: &AirEvaluation, basis: &Basis<'_>, place: &PlaceResult) -> Vec<Assessment> {
    let c = &place.counts;
    let e = &ev.edition.edition;
    let rows = [
        (
            "good-days",
            "annual-count",
            "d",
            Some(Decimal::from(c.good)),
            "days of level 1 and 2",
        ),
        (
            "heavy-days",
            "annual-count",
            "d",
            Some(Decimal::from(c.heavy)),
            "days of level 5 and 6",
        ),
        (
            "good-day-ratio",
            "annual-ratio",
            "%",
            c.good_percent,
            "good days in percent of published days",
        ),
    ];
    let breakpoints = e.slots.iter().find_map(|s| s.scale.as_ref());
    rows.into_iter()
        .filter_map(|(indicator, statistic, unit, value, what)| {
            let mut rules: Vec<RuleUse> = e
                .levels
                .iter()
                .map(|l| {
                    rule(
                        "level",
                        l,
                        format!(
                            "level {} {}: from {}",
                            l.value.level, l.value.name.en, l.value.low
                        ),
                    )
                })
                .collect();
            rules.extend(breakpoints.map(|b| {
                rule(
                    "breakpoints",
                    b,
                    "sub-indices by interpolation, rounded up; the index is the largest".into(),
                )
            }));
            let not_published = (c.not_published > 0)
                .then(|| format!("{} days without a published index", c.not_published));
            Some(sealed(Assessment {
                id: unsealed(),
                subject: place.subject.id.clone(),
                indicator: indicator.parse().ok()?,
                statistic: statistic.parse().ok()?,
                period: ev.request.period,
                value,
                value_unrounded: value,
                unit: unit.parse().ok()?,
                sufficiency: Sufficiency {
                    valid: c.published > 0,
                    have: c.published,
                    need: 0,
                    missing: not_published.into_iter().collect(),
                },
                verdict: Verdict::Figure,
                limit: None,
                margin: None,
                exceedance: None,
                trace: Trace {
                    rules,
                    steps: vec![
                        step(
                            "days by level",
                            c.levels
                                .iter()
                                .map(ToString::to_string)
                                .collect::<Vec<_>>()
                                .join(" / "),
                        ),
                        step(what, value.map_or(String::new(), |v| v.to_string())),
                    ],
                    evidence: crate::air::INDICATORS
                        .iter()
                        .flat_map(|i| basis.of(&place.subject, i))
                        .collect(),
                    method: method("miyun-air/day-counts"),
                    declared: declared(ev),
                },
            }))
        })
        .collect()
}

/// The assessment with the id that its contents give.
#[must_use]
pub fn sealed(mut a: Assessment) -> Assessment {
    // Serialising plain data to memory does not fail; an empty text would only make ids equal.
    let text = serde_json::to_vec(&a).unwrap_or_default();
    let digest = blake3::hash(&text).to_hex();
    if let Ok(id) = AssessmentId::new(&format!("a-{}", &digest[..20])) {
        a.id = id;
    }
    a
}

fn unsealed() -> AssessmentId {
    // A literal without blanks is always an id.
    AssessmentId::new("a-unsealed").unwrap_or_else(|_| unreachable!())
}

fn item(ev: &AirEvaluation, basis: &Basis<'_>, place: &PlaceResult, v: &AnnualValue) -> Assessment {
    let e = &ev.edition.edition;
    let it = &e.annual[v.item];
    let slot = &e.slots[it.slot];
    let mut rules = vec![RuleUse {
        role: "statistic".into(),
        rule: it.rule.clone(),
        says: statistic_says(it),
    }];
    rules.push(rule(
        "daily validity",
        &slot.at_least,
        format!(
            "{} {}: at least {}{}",
            slot.indicator,
            slot.statistic,
            slot.at_least.value,
            if slot.unless_exceeds {
                ", fewer if above the limit"
            } else {
                ""
            }
        ),
    ));
    for (c, per) in [
        (&it.days_year, "year"),
        (&it.days_month, "month"),
        (&it.days_february, "February"),
    ] {
        if let Some(c) = c {
            rules.push(rule(
                "annual validity",
                c,
                format!("at least {} valid days in the {per}", c.value),
            ));
        }
    }
    rules.push(rule(
        "rounding",
        &slot.rounding,
        format!(
            "{} decimals, {}",
            slot.rounding.value.decimals,
            slot.rounding.value.rule.as_str()
        ),
    ));
    if let Some(l) = &it.limit {
        rules.push(rule(
            "limit",
            l,
            format!(
                "{} {}, class {}{}: {} {}",
                l.value.limit.indicator,
                l.value.limit.statistic,
                e.class,
                e.stage
                    .as_ref()
                    .map_or(String::new(), |s| format!(", stage {s}")),
                l.value.limit.value,
                l.value.limit.unit
            ),
        ));
    }
    let city = place.cells.is_none();
    if city && let Some(share) = &e.city_share_percent {
        rules.push(rule(
            "city",
            share,
            format!(
                "mean of the stations without control stations, a day needs {} % of them",
                share.value
            ),
        ));
    }
    let limit = it.limit.as_ref().map(|l| l.value.limit.value);
    let unit = slot.unit.clone();
    let mut steps = Vec::new();
    if city {
        steps.push(step(
            format!(
                "daily values: mean over {} stations",
                ev.stations.iter().filter(|s| !s.control).count()
            ),
            format!("{} valid days", v.days),
        ));
    } else {
        steps.push(step(
            format!("{} of each day", slot.statistic),
            format!("{} valid days", v.days),
        ));
    }
    if let Some(x) = v.value {
        steps.push(step(
            it.item
                .percentile
                .map_or(format!("mean of {} days", v.days), |p| {
                    format!(
                        "percentile {p}: rank 1 + ({} - 1) x {p} / 100, linear between neighbours",
                        v.days
                    )
                }),
            format!("{x} {unit}"),
        ));
    }
    if let Some(r) = v.rounded {
        steps.push(step(
            format!(
                "rounded {} to {} decimals",
                slot.rounding.value.rule.as_str(),
                slot.rounding.value.decimals
            ),
            format!("{r} {unit}"),
        ));
    }
    if let (Some(r), Some(l)) = (v.rounded, limit) {
        steps.push(step(
            format!("compared with {l} {unit}"),
            if v.attained == Some(true) {
                format!("not above, {} to spare", l - r)
            } else {
                format!("above by {}", r - l)
            },
        ));
    }
    let missing: Vec<String> = v
        .short_months()
        .map(|m| {
            format!(
                "{:04}-{:02}: {} of {} days",
                m.year,
                m.month,
                m.have,
                m.need.unwrap_or(0)
            )
        })
        .collect();
    let need = it.days_year.as_ref().map_or(0, |c| c.value);
    let verdict = match (v.valid, v.attained) {
        (false, _) | (_, None) => Verdict::Insufficient,
        (true, Some(true)) => Verdict::Attained,
        (true, Some(false)) => Verdict::Exceeded,
    };
    sealed(Assessment {
        id: unsealed(),
        subject: place.subject.id.clone(),
        indicator: it.item.indicator.clone(),
        statistic: it.item.statistic.clone(),
        period: ev.request.period,
        value: v.rounded,
        value_unrounded: v.value.map(|x| x.round(6, miyun_core::Rounding::HalfEven)),
        unit,
        sufficiency: Sufficiency {
            valid: v.valid,
            have: v.days,
            need,
            missing,
        },
        verdict,
        limit,
        margin: limit.zip(v.rounded).map(|(l, r)| l - r),
        exceedance: v.multiple,
        trace: Trace {
            rules,
            steps,
            evidence: basis.of(&place.subject, it.item.indicator.as_str()),
            method: method("miyun-air/annual-items"),
            declared: declared(ev),
        },
    })
}

fn declared(ev: &AirEvaluation) -> Vec<String> {
    let mut d = ev.declared.clone();
    d.push(format!(
        "edition: {} (law as of {})",
        ev.edition.name, ev.edition.as_of
    ));
    if let Some(t) = &ev.request.as_known_on {
        d.push(format!("as known on {t}"));
    }
    d
}

fn statistic_says(it: &AnnualItem) -> String {
    match it.item.percentile {
        None => format!(
            "{} {}: mean of {}",
            it.item.indicator, it.item.statistic, it.item.of
        ),
        Some(p) => format!(
            "{} {}: percentile {p} of {}",
            it.item.indicator, it.item.statistic, it.item.of
        ),
    }
}

/// The assessment of one statistic of one day of one station, with every hour in its derivation.
///
/// # Errors
/// [`AssessError::NoData`] if there is no such station or statistic.
pub fn day(
    ev: &AirEvaluation,
    record: &Record,
    subject: &str,
    indicator: &str,
    statistic: &str,
    date: Date,
) -> Result<Assessment, AssessError> {
    let e = &ev.edition.edition;
    let k = e.slot(indicator, statistic).ok_or_else(|| {
        AssessError::NoData(format!(
            "edition {} has no {statistic} of {indicator}",
            ev.edition.name
        ))
    })?;
    let slot = &e.slots[k];
    let place = ev
        .places()
        .find(|p| p.subject.id == *subject)
        .ok_or_else(|| AssessError::NoData(format!("no station or city {subject}")))?;
    let d = day_range(record.first_day, record.days, &Period::days(date, date))
        .next()
        .ok_or_else(|| AssessError::NoData(format!("{date} lies outside the record")))?;
    let unit = slot.unit.clone();
    let mut steps = Vec::new();
    let (value, have, valid) = match &place.cells {
        Some(cells) => {
            let c = cells.cells[k][d];
            if let Some(s) = record.stations.iter().find(|s| s.subject.id == *subject) {
                let hours = &s.hours.get(indicator)[d * 24..(d + 1) * 24];
                let list: Vec<String> = hours
                    .iter()
                    .map(|v| {
                        if *v == MISSING {
                            "–".into()
                        } else {
                            Decimal::new(*v, 6).normalize().to_string()
                        }
                    })
                    .collect();
                steps.push(step("hours 0 to 23", list.join(" ")));
            }
            if c.n > 0 {
                let sum = Decimal::new(c.sum, 6).normalize();
                let what = match slot.kind {
                    miyun_air::edition::DayKind::Mean => {
                        format!("mean of {} hours = {sum} / {}", c.n, c.n)
                    }
                    miyun_air::edition::DayKind::MaxHour => "highest hour".to_owned(),
                    miyun_air::edition::DayKind::MaxWindow => format!(
                        "highest of {} valid 8-hour windows = {sum} / {}",
                        c.have, c.n
                    ),
                };
                steps.push(step(
                    what,
                    c.value().map_or(String::new(), |v| format!("{v} {unit}")),
                ));
            }
            (c.value(), u32::from(c.have), c.valid)
        }
        None => {
            let v = place.series[k][d];
            let n = ev
                .stations
                .iter()
                .filter(|s| !s.control && s.series[k][d].is_some())
                .count();
            steps.push(step(
                format!("mean of {n} stations"),
                v.map_or("no valid day".into(), |v| format!("{v} {unit}")),
            ));
            (v, u32::try_from(n).unwrap_or(0), v.is_some())
        }
    };
    let p = &slot.rounding.value;
    let rounded = value.map(|v: Exact| v.round(p.decimals, p.rule));
    if let Some(r) = rounded {
        steps.push(step(
            format!("rounded {} to {} decimals", p.rule.as_str(), p.decimals),
            format!("{r} {unit}"),
        ));
    }
    let mut rules = vec![
        rule(
            "validity",
            &slot.at_least,
            format!("at least {}", slot.at_least.value),
        ),
        rule(
            "rounding",
            &slot.rounding,
            format!("{} decimals, {}", p.decimals, p.rule.as_str()),
        ),
    ];
    let limit = slot.limit.as_ref().map(|l| l.value.limit.value);
    if let Some(l) = &slot.limit {
        rules.push(rule(
            "limit",
            l,
            format!("class {}: {} {}", e.class, l.value.limit.value, unit),
        ));
    }
    if let (Some(v), Some(scale)) = (value, &slot.scale)
        && let Some(i) = e.sub_index(k, v)
    {
        rules.push(rule(
            "breakpoints",
            scale,
            format!("{} points", scale.value.points.len()),
        ));
        steps.push(step("sub-index, interpolated and rounded up", i));
    }
    let broken = rounded
        .zip(slot.limit.as_ref())
        .map(|(r, l)| l.value.limit.breach.broken(r, l.value.limit.value));
    Ok(sealed(Assessment {
        id: unsealed(),
        subject: place.subject.id.clone(),
        indicator: slot.indicator.clone(),
        statistic: slot.statistic.clone(),
        period: Period::days(date, date),
        value: rounded,
        value_unrounded: value.map(|v| v.round(6, miyun_core::Rounding::HalfEven)),
        unit,
        sufficiency: Sufficiency {
            valid,
            have,
            need: u32::from(slot.at_least.value),
            missing: Vec::new(),
        },
        verdict: match (valid, broken) {
            (false, _) => Verdict::Insufficient,
            (true, Some(true)) => Verdict::Exceeded,
            (true, Some(false)) => Verdict::Attained,
            (true, None) => Verdict::Figure,
        },
        limit,
        margin: limit.zip(rounded).map(|(l, r)| l - r),
        exceedance: None,
        trace: Trace {
            rules,
            steps,
            evidence: Basis::new(record, &Period::days(date, date)).of(&place.subject, indicator),
            method: method("miyun-air/daily"),
            declared: declared(ev),
        },
    }))
}

/// Days of the period on which a rule of the edition that nobody verified played a part.
#[must_use]
pub fn unverified(edition: &NamedEdition) -> Vec<RuleRef> {
    let e = &edition.edition;
    let mut out: Vec<RuleRef> = e
        .annual
        .iter()
        .flat_map(|a| {
            [
                Some(&a.rule),
                a.limit.as_ref().map(|l| &l.rule),
                a.days_year.as_ref().map(|d| &d.rule),
                a.days_month.as_ref().map(|d| &d.rule),
            ]
        })
        .flatten()
        .chain(
            e.slots
                .iter()
                .flat_map(|s| [&s.at_least.rule, &s.rounding.rule]),
        )
        .filter(|r| !r.verified)
        .cloned()
        .collect();
    out.sort();
    out.dedup();
    out
}

/// First day of a record's day index.
#[must_use]
pub fn date(record: &Record, day: usize) -> Date {
    date_of(record.first_day, day)
}
