//! Figures of the plan about outlets, from the hour values in the lake and the register of devices:
//! how many are on line, which share of the hours came, how many hours were above the limit. An hour
//! is judged as the pages of devices judge it ([`judge::outcome`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use miyun_assess::trace::sealed;
use miyun_core::assessment::Step;
use miyun_core::subject::SubjectKind;
use miyun_core::{
    Assessment, AssessmentId, Date, Decimal, Evidence, JurisdictionId, MethodVersion, Period,
    RuleRef, RuleUse, Subject, SubjectId, Sufficiency, Trace, Verdict, unit,
};
use miyun_gateway::registry::{Device, Property, Registry};
use miyun_gateway::server::paths;
use miyun_lake::{Dense, Lake, MISSING, Request};
use miyun_plan::{Figure, Indicator};
use miyun_rulebook::Rulebook;

use super::judge::{self, Minutes, Outcome, limit};
use super::stored::{MARKED, minutes_name};

/// Medium of indicators whose hours are judged, in `vocabulary/indicators.toml`.
const MEDIUM: &str = "emission";
/// Outlets that a derivation names one by one.
const NAMED: usize = 20;

/// True if the indicator is one of these.
#[must_use]
pub fn knows(i: &Indicator) -> bool {
    ["outlets-online", "data-capture", "exceedance-hours"].contains(&i.indicator.as_str())
}

/// Hours of one outlet's indicator inside the period.
struct Hours<'a> {
    outlet: &'a Subject,
    dense: &'a Dense,
    /// Valid minutes of each hour, and the system that counts them.
    minutes: Option<(&'a Dense, &'a str)>,
    /// Whether start-up or shut-down was marked, as far as that was said.
    marks: Option<&'a Dense>,
    /// From its first hour to the end of all.
    range: std::ops::Range<usize>,
}

impl Hours<'_> {
    fn minutes(&self, book: &Rulebook, k: usize) -> Option<Minutes> {
        let (dense, system) = self.minutes?;
        let micro = *dense.values.get(k).filter(|v| **v != MISSING)?;
        judge::minutes_of(book, system, u32::try_from(micro / 1_000_000).ok()?)
    }

    /// True if the hour has a value that rests on enough valid minutes.
    fn valid(&self, book: &Rulebook, k: usize) -> bool {
        let enough = self.minutes(book, k).is_none_or(|m| m.valid >= m.needed);
        self.dense.values[k] != MISSING && enough
    }

    fn valid_hours(&self, book: &Rulebook) -> usize {
        self.range.clone().filter(|k| self.valid(book, *k)).count()
    }

    /// Whether a mark stands in each hour: it holds until another comes.
    fn marked(&self) -> Vec<bool> {
        let mut held = false;
        let said = |k: usize| self.marks?.values.get(k).filter(|v| **v != MISSING);
        (0..self.dense.values.len())
            .map(|k| {
                held = said(k).map_or(held, |v| *v > 0);
                held
            })
            .collect()
    }
}

/// Outlets of a city that were registered with an indicator that limits speak of.
fn registered(lake: &Lake, book: &Rulebook, i: &Indicator, known: Option<&str>) -> Vec<SubjectId> {
    let path = paths::registry(&lake.root().join(super::FOLDER));
    let until_ms = known.map_or(Some(i64::MAX), |t| {
        Some(t.parse::<jiff::Timestamp>().ok()?.as_millisecond())
    });
    let Some(registry) = until_ms
        .filter(|_| path.exists())
        .and_then(|t| Registry::as_known(&path, t).ok())
    else {
        return Vec::new();
    };
    let limited = |d: &Device| {
        d.properties.keys().any(|p| match p {
            Property::Indicator(_) => d
                .last(p)
                .and_then(|name| book.vocabulary().indicator(name))
                .is_some_and(|v| v.medium == MEDIUM),
            _ => false,
        })
    };
    let city = format!("{}/", i.subject);
    registry
        .devices()
        .iter()
        .filter(|d| d.accepted(i64::MAX) && limited(d))
        .filter_map(|d| d.last(&Property::Subject))
        .filter(|s| s.starts_with(&city))
        .filter_map(|s| s.parse().ok())
        .collect()
}

/// The figure over the part of `period` up to `on` that has data; only what was recorded by `known`
/// (RFC 3339 UTC) counts, if that is given. None if there is no outlet.
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
    let registered = registered(lake, book, i, known);
    if outlets.is_empty() && registered.is_empty() {
        return None;
    }
    let ids: Vec<SubjectId> = outlets.iter().map(|s| s.id.clone()).collect();
    let words = book.vocabulary();
    let judged: Vec<&str> = words
        .indicators
        .iter()
        .filter(|v| v.medium == MEDIUM)
        .map(|v| v.id.as_str())
        .collect();
    let systems: Vec<&str> = words
        .hj212
        .means
        .iter()
        .map(|m| m.system.as_str())
        .collect();
    let beside: Vec<String> = judged
        .iter()
        .flat_map(|name| systems.iter().map(move |s| minutes_name(name, s)))
        .chain([MARKED.to_owned()])
        .collect();
    let wanted: Vec<&str> = judged
        .iter()
        .copied()
        .chain(beside.iter().map(String::as_str))
        .collect();
    let read = match ids.as_slice() {
        [] => Vec::new(),
        ids => lake
            .hours(&Request {
                subjects: ids,
                indicators: &wanted,
                first_day: from,
                days,
                as_known_on: known,
                ..Request::default()
            })
            .ok()?,
    };
    let is_judged = |d: &&Dense| judged.contains(&d.series.indicator.as_str());
    let last = read
        .iter()
        .flat_map(|s| &s.series)
        .filter(is_judged)
        .filter_map(|d| d.values.iter().rposition(|v| *v != MISSING))
        .max();
    // Whole days without any data are not left out: who sends nothing is not on line.
    let end = last.map_or(0, |l| l + 1).max((days - 1) * 24);
    let hours: Vec<Hours<'_>> = read
        .iter()
        .filter_map(|s| Some((*outlets.iter().find(|o| o.id == s.subject)?, s)))
        .flat_map(|(outlet, s)| {
            let named = |name: &str| {
                s.series
                    .iter()
                    .find(|d| d.series.indicator.as_str() == name)
            };
            let systems = &systems;
            s.series.iter().filter(is_judged).filter_map(move |dense| {
                let name = dense.series.indicator.as_str();
                let minutes = systems
                    .iter()
                    .find_map(|s| Some((named(&minutes_name(name, s))?, *s)));
                let first = dense.values.iter().position(|v| *v != MISSING)?;
                Some(Hours {
                    outlet,
                    dense,
                    minutes,
                    marks: named(MARKED),
                    range: first..end,
                })
            })
        })
        .collect();
    let expected: BTreeSet<&SubjectId> = hours
        .iter()
        .map(|h| &h.outlet.id)
        .chain(&registered)
        .collect();
    if expected.is_empty() {
        return None;
    }
    let counted = match i.indicator.as_str() {
        "outlets-online" => online(book, &hours, &expected, end),
        "data-capture" => capture(book, &hours),
        _ => above(book, &hours, from),
    };
    let evidence: Vec<Evidence> = hours
        .iter()
        .flat_map(|h| {
            let beside = h.minutes.map(|m| m.0).into_iter().chain(h.marks);
            std::iter::once(h.dense)
                .chain(beside)
                .map(|d| (h.outlet, d))
        })
        .map(|(outlet, dense)| {
            let (rows, digest) = dense.digest(from, 0..days * 24);
            Evidence {
                subject: outlet.id.clone(),
                indicator: dense.series.indicator.clone(),
                period: Period::days(from, until),
                rows,
                digest,
                origins: dense.origins(&(0..days * 24)),
            }
        })
        .collect();
    let simulated = subjects
        .iter()
        .any(|s| s.simulated && (s.id == i.subject || expected.contains(&s.id)));
    let data_until = match last {
        Some(l) => from.saturating_add(jiff::Span::new().days(i64::try_from(l / 24).unwrap_or(0))),
        None => until,
    };
    let assessment = sealed(Assessment {
        id: AssessmentId::new("a-unsealed").ok()?,
        subject: i.subject.clone(),
        indicator: i.indicator.clone(),
        statistic: i.statistic.clone(),
        period: Period::days(from, until),
        value: counted.value,
        value_unrounded: counted.value,
        unit: i.unit.clone(),
        sufficiency: Sufficiency {
            valid: counted.value.is_some(),
            have: u32::try_from(hours.len()).unwrap_or(u32::MAX),
            need: 1,
            missing: counted.missing,
        },
        verdict: Verdict::Figure,
        limit: None,
        margin: None,
        exceedance: None,
        trace: Trace {
            rules: counted.rules,
            steps: counted.steps,
            evidence,
            method: MethodVersion {
                name: "miyun-web/outlet-hours".into(),
                version: "2".into(),
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

/// What counting came to.
#[derive(Default)]
struct Counted {
    value: Option<Decimal>,
    steps: Vec<Step>,
    rules: Vec<RuleUse>,
    missing: Vec<String>,
}

impl Counted {
    fn step(&mut self, what: impl Into<String>, result: impl ToString) {
        self.steps.push(Step {
            what: what.into(),
            result: result.to_string(),
        });
    }
}

fn percent(part: usize, whole: usize) -> Decimal {
    let p = Decimal::from(part) * Decimal::ONE_HUNDRED / Decimal::from(whole.max(1));
    p.round_dp(1)
}

/// Outlets with a valid hour in the last 24 hours.
fn online(
    book: &Rulebook,
    hours: &[Hours<'_>],
    expected: &BTreeSet<&SubjectId>,
    end: usize,
) -> Counted {
    let day = end.saturating_sub(24)..end;
    let heard = |h: &&Hours<'_>| day.clone().any(|k| h.valid(book, k));
    let heard: BTreeSet<&SubjectId> = hours.iter().filter(heard).map(|h| &h.outlet.id).collect();
    let mut out = Counted::default();
    out.step(
        "outlets with a valid hour value in the last 24 hours, of those registered or ever heard",
        format!("{} of {}", heard.len(), expected.len()),
    );
    for silent in expected.difference(&heard).take(NAMED) {
        let ever = hours.iter().any(|h| &h.outlet.id == *silent);
        let result = if ever { "silent" } else { "no hour value yet" };
        out.step(format!("{silent}: not on line"), result);
    }
    out.value = Some(percent(heard.len(), expected.len()));
    out
}

/// Share of the hours that came and rest on enough valid minutes.
fn capture(book: &Rulebook, hours: &[Hours<'_>]) -> Counted {
    let mut by_outlet: BTreeMap<&SubjectId, (usize, usize)> = BTreeMap::new();
    for h in hours {
        let (have, want) = by_outlet.entry(&h.outlet.id).or_default();
        *have += h.valid_hours(book);
        *want += h.range.len();
    }
    let (have, want) = by_outlet
        .values()
        .fold((0, 0), |(a, b), (have, want)| (a + have, b + want));
    let mut out = Counted::default();
    if want == 0 {
        out.missing.push("no hour value came".into());
        return out;
    }
    out.step(
        "valid hour values of all outlets and limited indicators, each from its first value on",
        format!("{have} of {want}"),
    );
    let mut worst: Vec<_> = by_outlet.into_iter().filter(|(_, (a, b))| a < b).collect();
    worst.sort_by_key(|(id, (have, want))| (have * 10_000 / want, *id));
    for (outlet, (have, want)) in worst.into_iter().take(NAMED) {
        out.step(
            format!("{outlet}: valid hour values"),
            format!("{have} of {want}"),
        );
    }
    out.value = Some(percent(have, want));
    out
}

/// Hours above the limit.
fn above(book: &Rulebook, hours: &[Hours<'_>], from: Date) -> Counted {
    let mut out = Counted::default();
    let mut limits = Limits::default();
    let mut of: HashMap<Outcome, usize> = HashMap::new();
    let mut over: BTreeMap<&SubjectId, u64> = BTreeMap::new();
    for h in hours {
        let marked = h.marked();
        for k in h.range.clone().filter(|k| h.dense.values[*k] != MISSING) {
            let on =
                from.saturating_add(jiff::Span::new().days(i64::try_from(k / 24).unwrap_or(0)));
            let found = limits.of(book, h, on, &mut out.rules);
            let value = found.as_ref().and_then(|(_, unit)| {
                let words = book.vocabulary();
                let own = words.unit(h.dense.series.unit.as_str())?;
                let value = Decimal::new(h.dense.values[k], 6);
                unit::convert(value, own, words.unit(unit)?, None, None).ok()
            });
            let limit = found.filter(|_| value.is_some()).map(|f| f.0);
            let minutes = h.minutes(book, k);
            let value = value.unwrap_or_default();
            let outcome = judge::outcome(value, limit, true, minutes.as_ref(), marked[k]);
            *of.entry(outcome).or_default() += 1;
            if outcome == Outcome::Exceeded {
                *over.entry(&h.outlet.id).or_default() += 1;
            }
        }
    }
    let n = |o: Outcome| of.get(&o).copied().unwrap_or(0);
    let judged = n(Outcome::Attained) + n(Outcome::Exceeded) + n(Outcome::NeedsJudgement);
    out.step("hours judged", judged);
    for (what, outcome) in [
        (
            "hours left out: fewer valid minutes than the standard asks for",
            Outcome::TooFewMinutes,
        ),
        (
            "hours above the limit while start-up or shut-down is marked: a person decides",
            Outcome::NeedsJudgement,
        ),
        ("hours left out: no limit holds for them", Outcome::NoLimit),
    ] {
        if n(outcome) > 0 {
            out.step(what, n(outcome));
        }
    }
    for (outlet, n) in &over {
        out.step(format!("{outlet}: hours above the limit"), n);
    }
    if judged == 0 {
        out.missing
            .push("no hour could be judged: no limit is known, or no hour is valid".into());
    } else {
        out.value = Some(Decimal::from(over.values().sum::<u64>()));
    }
    if let Some(rule) =
        (hours.iter()).find_map(|h| h.range.clone().find_map(|k| h.minutes(book, k)))
    {
        let says = format!("at least {} valid minutes an hour", rule.needed);
        out.step(format!("HJ 212-2017 {}", rule.clause), says);
    }
    out
}

/// A limit, its unit and where it stands.
type Limit = (Decimal, String, RuleRef);

/// Limits that were looked up, by outlet, indicator and day.
#[derive(Default)]
struct Limits(HashMap<(SubjectId, String, Date), Option<Limit>>);

impl Limits {
    /// Limit and its unit; what it rests on is added to `rules`.
    fn of(
        &mut self,
        book: &Rulebook,
        h: &Hours<'_>,
        on: Date,
        rules: &mut Vec<RuleUse>,
    ) -> Option<(Decimal, String)> {
        let indicator = h.dense.series.indicator.as_str();
        let key = (h.outlet.id.clone(), indicator.to_owned(), on);
        let place: &JurisdictionId = &h.outlet.jurisdiction;
        let found = self.0.entry(key).or_insert_with(|| {
            let found = limit(book, place, Some(h.outlet.id.as_str()), indicator, on)?;
            let says = format!("{indicator} hourly-mean: {} {}", found.0, found.1);
            if !rules.iter().any(|r| r.rule == found.2 && r.says == says) {
                rules.push(RuleUse {
                    role: "limit".into(),
                    rule: found.2.clone(),
                    says,
                });
            }
            Some(found)
        });
        found
            .as_ref()
            .map(|(value, unit, _)| (*value, unit.clone()))
    }
}

#[cfg(test)]
mod tests {
    use miyun_core::Text;
    use miyun_import::{Declared, Layout};
    use miyun_lake::ImportFile;

    use super::*;

    /// Imports lines `station,indicator,time,value,unit,flag` of a city's outlets at a moment.
    fn import(lake: &mut Lake, book: &Rulebook, place: (&str, &str), lines: &str, at: &str) {
        let (city, jurisdiction) = place;
        let csv = format!("station,indicator,time,value,unit,flag\n{lines}");
        let declared = Declared {
            interval: Some(miyun_core::IntervalLabel::HourBegin),
            subject_prefix: format!("{city}/"),
            ..Declared::default()
        };
        let mut words = miyun_assess::words(book);
        words.indicators.extend(
            [("SO2-stack/valid-minutes-31", "min"), (MARKED, "1")]
                .map(|(i, u)| (i.into(), u.parse().unwrap())),
        );
        let name = format!("{at}.csv");
        let parsed =
            miyun_import::read_csv(&name, csv.as_bytes(), Layout::Long, &declared, &words).unwrap();
        assert_eq!(parsed.problems.total, 0, "{:?}", parsed.problems);
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
            jurisdiction: jurisdiction.parse().unwrap(),
            part_of: part_of.map(|p| p.parse().unwrap()),
            district: None,
            lon_deg: None,
            lat_deg: None,
            zone_class: None,
            control: false,
            simulated: jurisdiction == "CN/sim",
        };
        let subjects = vec![
            subject(city, SubjectKind::City, None),
            subject(&format!("{city}/outlet-7"), SubjectKind::Outlet, Some(city)),
        ];
        let medium = |i: &str| miyun_assess::medium(book, i);
        lake.import(vec![file], subjects, &medium, at).unwrap();
    }

    const LINXI: (&str, &str) = ("linxi", "CN/sim");

    /// A day of hours of one outlet.
    fn day(lake: &mut Lake, book: &Rulebook, day: u32, at: &str) {
        let line = |h| format!("outlet-7,SO2-stack,2026-03-{day:02}T{h:02}:00+08:00,12.5,mg/m3,\n");
        let lines: String = (0..24).map(line).collect();
        import(lake, book, LINXI, &lines, at);
    }

    fn indicator(book: &Rulebook, city: &str, name: &str) -> Indicator {
        let plans = miyun_plan::embedded(book.vocabulary());
        let all = plans
            .iter()
            .flat_map(|p| &p.measures)
            .flat_map(|m| &m.indicators);
        let mut found = all.filter(|i| i.indicator == name && i.subject == city);
        let found = found.next();
        found.expect("the plan of the city is bound to it").clone()
    }

    fn steps(f: &Figure) -> Vec<(&str, &str)> {
        let steps = &f.assessment.trace.steps;
        steps
            .iter()
            .map(|s| (s.what.as_str(), s.result.as_str()))
            .collect()
    }

    #[test]
    fn a_figure_of_loggers_as_known_on_a_past_day() {
        let dir = tempfile::tempdir().unwrap();
        let book = Rulebook::embedded();
        let mut lake = Lake::open(dir.path()).unwrap();
        day(&mut lake, book, 1, "2026-03-02T00:00:00Z");
        day(&mut lake, book, 2, "2026-03-05T00:00:00Z");
        let wanted = &indicator(book, "linxi", "data-capture");
        let year = Period::year(2026).unwrap();
        let on = Date::constant(2026, 3, 10);
        let of = |known: Option<&str>| figure(&lake, book, wanted, &year, on, known);
        let says = |known| of(known).map(|f| f.assessment.trace.steps[0].result.clone());
        // Nothing came from the 3rd to the 9th, and that counts.
        assert_eq!(says(None).as_deref(), Some("48 of 216"));
        assert_eq!(
            says(Some("2026-03-03T00:00:00Z")).as_deref(),
            Some("24 of 216")
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

    #[test]
    fn an_hour_is_judged_as_the_pages_judge_it() {
        let dir = tempfile::tempdir().unwrap();
        let book = Rulebook::embedded();
        let mut lake = Lake::open(dir.path()).unwrap();
        // The permit of outlet 7 allows 20 mg/m3. Of five hours above it one rests on 40 minutes, one
        // lies in a start-up that lasts two hours, of which the second is within the limit.
        let mut lines = String::new();
        for (h, value, minutes, marked) in [
            (0, "25", 60, "0"),
            (1, "25", 40, ""),
            (2, "25", 45, "1"),
            (3, "19", 60, ""),
            (4, "25", 50, "0"),
            (5, "25", 60, ""),
        ] {
            let at = format!("2026-03-01T{h:02}:00+08:00");
            lines += &format!("outlet-7,SO2-stack,{at},{value},mg/m3,\n");
            lines += &format!("outlet-7,SO2-stack/valid-minutes-31,{at},{minutes},min,\n");
            if !marked.is_empty() {
                lines += &format!("outlet-7,{MARKED},{at},{marked},1,\n");
            }
        }
        import(&mut lake, book, LINXI, &lines, "2026-03-01T00:00:00Z");
        let on = Date::constant(2026, 3, 1);
        let year = Period::year(2026).unwrap();
        let of = |name: &str| {
            let wanted = indicator(book, "linxi", name);
            figure(&lake, book, &wanted, &year, on, None).unwrap()
        };
        let hours = of("exceedance-hours");
        assert_eq!(hours.assessment.value, Some(Decimal::from(3)));
        let said = steps(&hours);
        for step in [
            ("hours judged", "5"),
            (
                "hours left out: fewer valid minutes than the standard asks for",
                "1",
            ),
            (
                "hours above the limit while start-up or shut-down is marked: a person decides",
                "1",
            ),
            ("linxi/outlet-7: hours above the limit", "3"),
            ("HJ 212-2017 D.2.2", "at least 45 valid minutes an hour"),
        ] {
            assert!(said.contains(&step), "{step:?}: {said:?}");
        }
        let capture = of("data-capture");
        assert_eq!(steps(&capture)[0].1, "5 of 6");
        // What hours are judged by is evidence as they are.
        let evidence = |i: &str| {
            let all = &hours.assessment.trace.evidence;
            all.iter().any(|e| e.indicator == i && e.rows > 0)
        };
        assert!(evidence("SO2-stack/valid-minutes-31") && evidence(MARKED));
    }

    #[test]
    fn beijing_has_figures_when_its_outlets_send_and_none_before() {
        let dir = tempfile::tempdir().unwrap();
        let book = Rulebook::embedded();
        let mut lake = Lake::open(dir.path()).unwrap();
        let on = Date::constant(2026, 3, 1);
        let year = Period::year(2026).unwrap();
        let of = |lake: &Lake, book: &Rulebook, name: &str| {
            figure(
                lake,
                book,
                &indicator(book, "beijing", name),
                &year,
                on,
                None,
            )
        };
        for name in ["outlets-online", "data-capture", "exceedance-hours"] {
            assert_eq!(
                of(&lake, book, name),
                None,
                "nobody sends, nobody is registered"
            );
        }
        let lines = "outlet-7,SO2-stack,2026-03-01T00:00+08:00,25,mg/m3,\n\
                     outlet-7,SO2-stack,2026-03-01T01:00+08:00,15,mg/m3,\n";
        import(
            &mut lake,
            book,
            ("beijing", "CN/11"),
            lines,
            "2026-03-01T00:00:00Z",
        );
        // One outlet sends, another was registered and never heard.
        let path = paths::registry(&dir.path().join(super::super::FOLDER));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let registry = Registry::open(&path, usize::MAX).unwrap();
        let set = |n: &str, p: &str, v: &str| {
            (
                n.to_owned(),
                p.parse().unwrap(),
                v.to_owned(),
                0,
                String::new(),
            )
        };
        let mut changes = Vec::new();
        for n in ["7", "8"] {
            changes.push(set(n, "status", "accepted"));
            changes.push(set(n, "subject", &format!("beijing/outlet-{n}")));
            changes.push(set(n, "indicator.a21026", "SO2-stack"));
        }
        registry.set("li", 1, &changes).unwrap();
        let online = of(&lake, book, "outlets-online").unwrap();
        assert_eq!(
            steps(&online)[1],
            ("beijing/outlet-8: not on line", "no hour value yet")
        );
        assert_eq!(online.assessment.value, Some(Decimal::from(50)));
        assert!(online.assessment.trace.declared.is_empty());
        let capture = of(&lake, book, "data-capture").unwrap();
        assert_eq!(capture.assessment.value, Some(Decimal::from(100)));
        // No limit of Beijing is in the rulebook: hours without a limit are none within it.
        let unknown = of(&lake, book, "exceedance-hours").unwrap().assessment;
        assert_eq!((unknown.value, unknown.sufficiency.valid), (None, false));
        assert!(unknown.sufficiency.missing[0].contains("no limit is known"));
        // With a permit there is a figure, and it names the permit.
        let files = miyun_rulebook::EMBEDDED.iter().map(|(n, t)| {
            let mut text = (*t).to_owned();
            if n.ends_with("linxi-permit-7-sim.toml") {
                text = text.replace("CN/sim", "CN/11");
            }
            ((*n).to_owned(), text)
        });
        let files: Vec<(String, String)> = files.collect();
        let (ours, _) = Rulebook::from_files(files.iter().map(|(n, t)| (n.as_str(), t.as_str())));
        let above = of(&lake, &ours, "exceedance-hours").unwrap().assessment;
        assert_eq!(above.value, Some(Decimal::from(1)));
        let rule = &above.trace.rules[0];
        assert_eq!(rule.rule.instrument.as_str(), "CN/11/permit-outlet-7");
        assert!(rule.says.contains("20 mg/m3"), "{}", rule.says);
    }
}
