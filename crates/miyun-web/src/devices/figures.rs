//! Figures of the plan about outlets, from the hour values in the lake: how many are on line, which
//! share of the hours came, how many hours were above the limit.

use std::collections::HashMap;

use miyun_assess::trace::sealed;
use miyun_core::assessment::Step;
use miyun_core::subject::SubjectKind;
use miyun_core::{
    Assessment, AssessmentId, Date, Decimal, Evidence, MethodVersion, Period, RuleUse, Subject,
    SubjectId, Sufficiency, Trace, Verdict, unit,
};
use miyun_lake::{Dense, Lake, Request};
use miyun_plan::{Figure, Indicator};
use miyun_rulebook::Rulebook;

use super::judge::limit;

/// Medium of indicators whose hours are judged, in `vocabulary/indicators.toml`.
const MEDIUM: &str = "emission";
/// An hour without a usable value.
const MISSING: i64 = i64::MIN;

/// True if the indicator is one of these.
#[must_use]
pub fn knows(i: &Indicator) -> bool {
    ["outlets-online", "data-capture", "exceedance-hours"].contains(&i.indicator.as_str())
}

/// Hours of one outlet's indicator inside the period.
struct Hours<'a> {
    outlet: &'a Subject,
    dense: &'a Dense,
    /// From its first to the last hour of data of all.
    range: std::ops::Range<usize>,
}

impl Hours<'_> {
    fn usable(&self) -> usize {
        self.dense.values[self.range.clone()]
            .iter()
            .filter(|v| **v != MISSING)
            .count()
    }
}

/// The figure over the part of `period` up to `on` that has data; only what was recorded by `known`
/// (RFC 3339 UTC) counts, if that is given.
#[must_use]
pub fn figure(
    lake: &Lake,
    book: &Rulebook,
    i: &Indicator,
    period: &Period,
    on: Date,
    known: Option<&str>,
) -> Option<Figure> {
    let (from, due) = (period.from?, period.until?);
    let until = on.min(due);
    let days = usize::try_from((until - from).get_days() + 1)
        .ok()
        .filter(|d| (1..=3_700).contains(d))?;
    let subjects = lake.subjects();
    let outlets: Vec<&Subject> = subjects
        .iter()
        .filter(|s| s.kind == SubjectKind::Outlet && s.part_of.as_ref() == Some(&i.subject))
        .collect();
    if outlets.is_empty() {
        return None;
    }
    let ids: Vec<SubjectId> = outlets.iter().map(|s| s.id.clone()).collect();
    let judged: Vec<&str> = book
        .vocabulary()
        .indicators
        .iter()
        .filter(|v| v.medium == MEDIUM)
        .map(|v| v.id.as_str())
        .collect();
    let read = lake
        .hours(&Request {
            subjects: &ids,
            indicators: &judged,
            first_day: from,
            days,
            as_known_on: known,
            ..Request::default()
        })
        .ok()?;
    let last = read
        .iter()
        .flat_map(|s| &s.series)
        .filter_map(|d| d.values.iter().rposition(|v| *v != MISSING))
        .max()?;
    let hours: Vec<Hours<'_>> = read
        .iter()
        .filter_map(|s| Some((outlets.iter().find(|o| o.id == s.subject)?, s)))
        .flat_map(|(outlet, s)| {
            s.series.iter().filter_map(move |dense| {
                let first = dense.values.iter().position(|v| *v != MISSING)?;
                Some(Hours {
                    outlet,
                    dense,
                    range: first..last + 1,
                })
            })
        })
        .collect();
    let mut steps = Vec::new();
    let mut rules = Vec::new();
    let percent = |part: usize, whole: usize| {
        let p = Decimal::from(part) * Decimal::ONE_HUNDRED / Decimal::from(whole.max(1));
        p.round_dp(1)
    };
    let step = |what: String, result: String| Step { what, result };
    let value = match i.indicator.as_str() {
        "outlets-online" => {
            let day = last.saturating_sub(23)..last + 1;
            let online = outlets
                .iter()
                .filter(|o| {
                    hours.iter().any(|h| {
                        h.outlet.id == o.id
                            && h.dense.values[day.clone()].iter().any(|v| *v != MISSING)
                    })
                })
                .count();
            steps.push(step(
                "outlets with a usable hour value in the last 24 hours of data".into(),
                format!("{online} of {}", outlets.len()),
            ));
            percent(online, outlets.len())
        }
        "data-capture" => {
            let (have, want) = hours
                .iter()
                .fold((0, 0), |(a, b), h| (a + h.usable(), b + h.range.len()));
            steps.push(step("usable hour values of all outlets and limited indicators, each from its first value on".into(), format!("{have} of {want}")));
            percent(have, want)
        }
        _ => {
            let over = exceeded(book, &hours, from, &mut rules);
            for (outlet, n) in &over {
                steps.push(step(
                    format!("{outlet}: hours above the limit"),
                    n.to_string(),
                ));
            }
            Decimal::from(over.values().sum::<u64>())
        }
    };
    let evidence: Vec<Evidence> = hours
        .iter()
        .map(|h| {
            let (rows, digest) = h.dense.digest(from, h.range.clone());
            Evidence {
                subject: h.outlet.id.clone(),
                indicator: h.dense.series.indicator.clone(),
                period: Period::days(from, until),
                rows,
                digest,
                origins: h.dense.origins(&h.range),
            }
        })
        .collect();
    let simulated = outlets.iter().any(|o| o.simulated);
    let data_until =
        from.saturating_add(jiff::Span::new().days(i64::try_from(last / 24).unwrap_or(0)));
    let assessment = sealed(Assessment {
        id: AssessmentId::new("a-unsealed").ok()?,
        subject: i.subject.clone(),
        indicator: i.indicator.clone(),
        statistic: i.statistic.clone(),
        period: Period::days(from, until),
        value: Some(value),
        value_unrounded: Some(value),
        unit: i.unit.clone(),
        sufficiency: Sufficiency {
            valid: true,
            have: u32::try_from(hours.len()).unwrap_or(u32::MAX),
            need: 1,
            missing: Vec::new(),
        },
        verdict: Verdict::Figure,
        limit: None,
        margin: None,
        exceedance: None,
        trace: Trace {
            rules,
            steps,
            evidence,
            method: MethodVersion {
                name: "miyun-web/outlet-hours".into(),
                version: "1".into(),
            },
            declared: simulated
                .then(|| "simulated".to_owned())
                .into_iter()
                .chain(known.map(|t| format!("as known on {t}")))
                .collect(),
        },
    });
    Some(Figure {
        assessment,
        data_until: data_until.min(until),
        forecast: None,
    })
}

/// Hours above the limit, by outlet.
fn exceeded(
    book: &Rulebook,
    hours: &[Hours<'_>],
    from: Date,
    rules: &mut Vec<RuleUse>,
) -> std::collections::BTreeMap<String, u64> {
    let words = book.vocabulary();
    let mut out = std::collections::BTreeMap::new();
    let mut limits: HashMap<(String, String, Date), Option<(Decimal, String)>> = HashMap::new();
    for h in hours {
        let series = &h.dense.series;
        let Some(own) = words.unit(series.unit.as_str()) else {
            continue;
        };
        for k in h.range.clone() {
            let v = h.dense.values[k];
            if v == MISSING {
                continue;
            }
            let on =
                from.saturating_add(jiff::Span::new().days(i64::try_from(k / 24).unwrap_or(0)));
            let key = (h.outlet.id.to_string(), series.indicator.to_string(), on);
            let found = limits.entry(key).or_insert_with(|| {
                let (value, unit, rule) = limit(
                    book,
                    &h.outlet.jurisdiction,
                    Some(h.outlet.id.as_str()),
                    series.indicator.as_str(),
                    on,
                )?;
                let says = format!("{} hourly-mean: {value} {unit}", series.indicator);
                if !rules.iter().any(|r| r.rule == rule && r.says == says) {
                    rules.push(RuleUse {
                        role: "limit".into(),
                        rule,
                        says,
                    });
                }
                Some((value, unit))
            });
            let Some((value, limit_unit)) = found else {
                continue;
            };
            let Some(to) = words.unit(limit_unit) else {
                continue;
            };
            if unit::convert(Decimal::new(v, 6), own, to, None, None).is_ok_and(|c| c > *value) {
                *out.entry(h.outlet.id.to_string()).or_insert(0) += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use miyun_core::Text;
    use miyun_import::{Declared, Layout};
    use miyun_lake::ImportFile;

    use super::*;

    /// Imports a day of hours of one outlet, recorded at a moment.
    fn import(lake: &mut Lake, book: &Rulebook, day: u32, at: &str) {
        let mut csv = String::from("station,indicator,time,value,unit,flag\n");
        for h in 0..24 {
            csv.push_str(&format!(
                "outlet-7,SO2-stack,2026-03-{day:02}T{h:02}:00+08:00,12.5,mg/m3,\n"
            ));
        }
        let declared = Declared {
            interval: Some(miyun_core::IntervalLabel::HourBegin),
            subject_prefix: "linxi/".into(),
            ..Declared::default()
        };
        let words = miyun_assess::words(book);
        let name = format!("{day}.csv");
        let parsed =
            miyun_import::read_csv(&name, csv.as_bytes(), Layout::Long, &declared, &words).unwrap();
        let file = ImportFile {
            name,
            digest: blake3::hash(csv.as_bytes()).to_hex().to_string(),
            declared: "hour-begin".into(),
            reviewed: false,
            parsed,
        };
        let subject = |id: &str, kind, part_of: Option<&str>| Subject {
            id: id.parse().unwrap(),
            kind,
            name: Text::new(id, id),
            jurisdiction: "CN/sim".parse().unwrap(),
            part_of: part_of.map(|p| p.parse().unwrap()),
            district: None,
            lon_deg: None,
            lat_deg: None,
            zone_class: None,
            control: false,
            simulated: true,
        };
        let subjects = vec![
            subject("linxi", SubjectKind::City, None),
            subject("linxi/outlet-7", SubjectKind::Outlet, Some("linxi")),
        ];
        let medium = |i: &str| miyun_assess::medium(book, i);
        lake.import(vec![file], subjects, &medium, at).unwrap();
    }

    #[test]
    fn a_figure_of_loggers_as_known_on_a_past_day() {
        let dir = tempfile::tempdir().unwrap();
        let book = Rulebook::embedded();
        let mut lake = Lake::open(dir.path()).unwrap();
        import(&mut lake, book, 1, "2026-03-02T00:00:00Z");
        import(&mut lake, book, 2, "2026-03-05T00:00:00Z");
        let plans = miyun_plan::embedded(book.vocabulary());
        let wanted = plans
            .iter()
            .flat_map(|p| &p.measures)
            .flat_map(|m| &m.indicators)
            .find(|i| i.indicator == "data-capture" && i.subject == "linxi")
            .expect("a plan of the simulated city counts hours of outlets");
        let year = Period::year(2026).unwrap();
        let on = Date::constant(2026, 3, 10);
        let of = |known: Option<&str>| figure(&lake, book, wanted, &year, on, known);
        let says = |known| of(known).map(|f| f.assessment.trace.steps[0].result.clone());
        assert_eq!(says(None).as_deref(), Some("48 of 48"));
        assert_eq!(
            says(Some("2026-03-03T00:00:00Z")).as_deref(),
            Some("24 of 24")
        );
        assert_eq!(says(Some("2026-03-01T00:00:00Z")), None);
        let then = of(Some("2026-03-03T00:00:00Z")).unwrap().assessment;
        assert_ne!(then.id, of(None).unwrap().assessment.id);
        assert!(
            then.trace
                .declared
                .iter()
                .any(|d| d == "as known on 2026-03-03T00:00:00Z")
        );
    }
}
