//! Hour values of outlets against what their permit or the discharge standard allows.

use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Decimal, JurisdictionId, RuleRef, unit};
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::state::DeviceState;
use miyun_rulebook::hj212::Known;
use miyun_rulebook::{Query, Rulebook};
use serde::Serialize;

use super::stored;

/// What an hour came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At or below the limit.
    Attained,
    /// Above it.
    Exceeded,
    /// The sender's flag says that it is no measurement.
    Insufficient,
    /// It rests on fewer valid minutes than the standard asks for.
    TooFewMinutes,
    /// Limits speak of the converted mean, and the device sent none.
    NotConverted,
    /// Start-up or shut-down is marked: the permit says what holds then, a person decides.
    NeedsJudgement,
    /// No rule limits it here.
    NoLimit,
}

/// One judged hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Indicator of the rulebook.
    pub indicator: String,
    /// Factor code.
    pub code: String,
    /// `ZsAvg` where the device converts, else `Avg`.
    pub attribute: String,
    /// Beginning of the hour, seconds since 1970 UTC.
    pub label_s: i64,
    /// Value in `unit`.
    pub value: Decimal,
    /// Unit of value and limit.
    pub unit: String,
    /// Limit, if any.
    pub limit: Option<Decimal>,
    /// Where it stands.
    pub rule: Option<RuleRef>,
    /// Flag as sent.
    pub flag: char,
    /// Valid minutes that it rests on; none if the standard sets no number for this system or if it
    /// is not registered over how many minutes the device's minute reports go.
    pub minutes: Option<Minutes>,
    /// What it came to.
    pub outcome: Outcome,
}

/// Valid minutes behind an hour mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Minutes {
    /// Those that came with a flag that counts.
    pub valid: u32,
    /// Those that the standard asks for.
    pub needed: u32,
    /// Where it stands in HJ 212-2017.
    pub clause: String,
}

/// The valid minutes of an hour mean of a system that rests on so many minute reports; a report over
/// ten minutes counts as ten. None if the standard sets no number for the system, or nobody
/// registered over how many minutes the reports go.
#[must_use]
pub fn minutes(
    book: &Rulebook,
    device: &Device,
    system: &str,
    label_s: i64,
    reports: u32,
) -> Option<Minutes> {
    let each = device.minute_interval(label_s * 1_000)?;
    minutes_of(book, system, (reports * each).min(60))
}

/// The same of minutes that were counted before.
#[must_use]
pub fn minutes_of(book: &Rulebook, system: &str, valid: u32) -> Option<Minutes> {
    let rule = book.vocabulary().hj212.mean(system, "hour")?;
    Some(Minutes {
        valid,
        needed: rule.at_least,
        clause: rule.clause.clone(),
    })
}

/// True if the last condition mark before the end of an hour says start-up, shut-down or another
/// state than normal; `marks` are in order of time.
#[must_use]
pub fn marked(marks: &[(i64, String)], label_s: i64) -> bool {
    let last = marks.iter().rev().find(|(from, _)| *from < label_s + 3_600);
    last.is_some_and(|(_, m)| !m.is_empty() && m != "N")
}

/// What an hour mean comes to: the one rule of pages, map, API and plan.
#[must_use]
pub fn outcome(
    value: Decimal,
    limit: Option<Decimal>,
    usable: bool,
    minutes: Option<&Minutes>,
    marked: bool,
) -> Outcome {
    let Some(limit) = limit else {
        return Outcome::NoLimit;
    };
    if !usable {
        Outcome::Insufficient
    } else if minutes.is_some_and(|m| m.valid < m.needed) {
        Outcome::TooFewMinutes
    } else if value <= limit {
        Outcome::Attained
    } else if marked {
        Outcome::NeedsJudgement
    } else {
        Outcome::Exceeded
    }
}

/// The unit in which a device sends a factor at a moment: its dated property, else the default of
/// the standard, which the second value says.
#[must_use]
pub fn unit_of(book: &Rulebook, device: &Device, code: &str, at_ms: i64) -> Option<(String, bool)> {
    if let Some(u) = device.at(&Property::Unit(code.to_owned()), at_ms) {
        return Some((u.to_owned(), false));
    }
    match book.vocabulary().hj212.factor(code) {
        Known::Factor(f) if !f.unit.is_empty() => Some((f.unit.clone(), true)),
        _ => None,
    }
}

/// True if a data flag lets a value count as a measurement (2017 table 8).
#[must_use]
pub fn usable(book: &Rulebook, flag: char) -> bool {
    book.vocabulary()
        .hj212
        .named("Flag", flag.encode_utf8(&mut [0; 4]))
        .is_some_and(|n| n.usable != "no")
}

/// The class of an outlet in a permit: the last part of its id.
fn class(subject: Option<&str>) -> Option<String> {
    subject
        .and_then(|s| s.rsplit('/').next())
        .map(str::to_owned)
}

/// The local date of an instant.
#[must_use]
pub fn date(label_s: i64, utc_offset_minutes: i32) -> Date {
    let days = (label_s + i64::from(utc_offset_minutes) * 60).div_euclid(86_400);
    jiff::civil::date(1970, 1, 1)
        .saturating_add(jiff::Span::new().days(days.clamp(-700_000, 2_900_000)))
}

/// The limit of an hour value: the permit's if there is one, else the discharge standard's.
#[must_use]
pub fn limit(
    book: &Rulebook,
    place: &JurisdictionId,
    subject: Option<&str>,
    indicator: &str,
    on: Date,
) -> Option<(Decimal, String, RuleRef)> {
    [InstrumentKind::Permit, InstrumentKind::DischargeStandard]
        .into_iter()
        .find_map(|kind| {
            let q = Query {
                indicator: indicator.parse().ok()?,
                statistic: "hourly-mean".parse().ok()?,
                jurisdiction: place.clone(),
                class: class(subject),
                on,
                kind,
            };
            let r = book.resolve(&q).ok()?.decides;
            Some((r.limit.value, r.limit.unit.to_string(), r.rule))
        })
}

/// Where outlets lie and by which clock their days run.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The law.
    pub book: &'a Rulebook,
    /// Jurisdiction.
    pub jurisdiction: &'a JurisdictionId,
    /// Zone.
    pub utc_offset_minutes: i32,
}

/// Judges the hours of a device, newest first. `marks` are condition marks of the outlet, from
/// whichever device sends them.
#[must_use]
pub fn judge(
    p: Place<'_>,
    device: &Device,
    state: &DeviceState,
    marks: &[(i64, String)],
) -> Vec<Judged> {
    let mut out = Vec::new();
    for ((code, attribute), hours) in &state.hours {
        let Some(indicator) = device.last(&Property::Indicator(code.clone())) else {
            continue;
        };
        let wanted = stored::mean(indicator);
        let converted = attribute == wanted;
        let other = state.hours.contains_key(&(code.clone(), wanted.into()));
        if !converted && (attribute == "ZsAvg" || other) {
            continue;
        }
        for (label_s, hour) in hours {
            let at_ms = label_s * 1_000;
            let Some((sent, _)) = unit_of(p.book, device, code, at_ms) else {
                continue;
            };
            let raw = Decimal::new(hour.micro, 6).normalize();
            let subject = device
                .at(&Property::Subject, at_ms.max(device.since_ms))
                .or(device.last(&Property::Subject));
            let found = limit(
                p.book,
                p.jurisdiction,
                subject,
                indicator,
                date(*label_s, p.utc_offset_minutes),
            );
            let words = p.book.vocabulary();
            let found = found.and_then(|(limit, to, rule)| {
                let value = unit::convert(raw, words.unit(&sent)?, words.unit(&to)?, None, None);
                Some((value.ok()?, to, limit, rule))
            });
            let reports = state.minute_reports(code, *label_s, |f| usable(p.book, f));
            let minutes = minutes(p.book, device, &state.st, *label_s, reports);
            let (value, unit, limit, rule) = match found {
                Some((value, unit, limit, rule)) => (value, unit, Some(limit), Some(rule)),
                None => (raw, sent, None, None),
            };
            let usable = usable(p.book, hour.flag);
            let marked = marked(marks, *label_s);
            let outcome = match outcome(value, limit, usable, minutes.as_ref(), marked) {
                Outcome::Attained | Outcome::Exceeded | Outcome::NeedsJudgement if !converted => {
                    Outcome::NotConverted
                }
                outcome => outcome,
            };
            out.push(Judged {
                indicator: indicator.to_owned(),
                code: code.clone(),
                attribute: attribute.clone(),
                label_s: *label_s,
                value,
                unit,
                limit,
                rule,
                flag: hour.flag,
                minutes,
                outcome,
            });
        }
    }
    out.sort_by(|a, b| (b.label_s, &a.code).cmp(&(a.label_s, &b.code)));
    out
}

/// Condition marks that devices sent, oldest first.
pub(crate) fn marks(seen: &super::Seen, devices: &[std::sync::Arc<Device>]) -> Vec<(i64, String)> {
    marks_of(devices.iter().filter_map(|d| seen.state.device(d.number)))
}

/// Condition marks of devices, oldest first.
#[must_use]
pub fn marks_of(states: impl Iterator<Item = DeviceState>) -> Vec<(i64, String)> {
    let mut out: Vec<(i64, String)> = states
        .flat_map(|s| {
            s.marks
                .into_iter()
                .flat_map(|(t, m)| m.into_iter().map(move |(_, v)| (t, v)))
        })
        .collect();
    out.sort();
    out
}
