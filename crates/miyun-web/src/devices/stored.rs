//! Under which name, in which unit and with which flag a device's readings stand in the lake.

use miyun_core::observation::Flag;
use miyun_core::{Decimal, SubjectId, unit};
use miyun_gateway::reading::{Reading, Span};
use miyun_gateway::registry::{Device, Property};
use miyun_rulebook::{Indicator, Rulebook};

/// The name of a reading that no registered indicator stands for: `a21026-Rtd/real-time`.
#[must_use]
pub fn own_name(code: &str, attribute: &str, span: Span) -> String {
    format!("{code}-{attribute}/{}", span.as_str())
}

/// The item of an hour report that an indicator is.
#[must_use]
pub fn mean(indicator: &str) -> &'static str {
    if indicator.ends_with("-stack") {
        "ZsAvg"
    } else {
        "Avg"
    }
}

/// Name under which it is kept how many valid minutes the hours of an indicator rest on, as a system
/// of HJ 212 counts them: `SO2-stack/valid-minutes-31`.
#[must_use]
pub fn minutes_name(indicator: &str, system: &str) -> String {
    format!("{indicator}/valid-minutes-{system}")
}

/// Name under which it is kept whether start-up or shut-down was marked at the end of an hour.
pub const MARKED: &str = "condition/marked";

/// True for what is kept beside hour values to judge them by.
#[must_use]
pub fn judges_hours(name: &str) -> bool {
    name == MARKED || name.contains("/valid-minutes-")
}

/// The indicator of the rulebook that hour means of a factor are: the converted mean of stacks, for
/// that is what limits speak of, the mean of others.
#[must_use]
pub fn registered<'a>(
    book: &'a Rulebook,
    device: &Device,
    code: &str,
    attribute: &str,
    span: Span,
) -> Option<&'a Indicator> {
    let name = device.last(&Property::Indicator(code.to_owned()))?;
    if span != Span::Hour || attribute != mean(name) {
        return None;
    }
    book.vocabulary().indicator(name)
}

/// A value in another unit, in 10^-6 of it; none if the units do not convert.
#[must_use]
pub fn convert(book: &Rulebook, micro: i64, from: &str, to: &str) -> Option<i64> {
    if from == to {
        return Some(micro);
    }
    let words = book.vocabulary();
    let value = Decimal::new(micro, 6);
    let c = unit::convert(value, words.unit(from)?, words.unit(to)?, None, None).ok()?;
    i64::try_from((c * Decimal::from(1_000_000)).round().mantissa()).ok()
}

/// Indicator, unit and value as stored: hour means of registered indicators in the rulebook's unit,
/// everything else under the factor's own name in the unit of the device.
#[must_use]
pub fn stored(book: &Rulebook, device: &Device, r: &Reading, sent: &str) -> (String, String, i64) {
    let known = registered(book, device, &r.code, &r.attribute, r.span);
    let converted = known.and_then(|k| Some((k, convert(book, r.micro, sent, k.unit.as_str())?)));
    match converted {
        Some((k, micro)) => (k.id.to_string(), k.unit.to_string(), micro),
        None => {
            let own = own_name(&r.code, &r.attribute, r.span);
            (own, sent.to_owned(), r.micro)
        }
    }
}

/// The subject that a device measured at a moment; a device that nobody placed measures one of its
/// own.
#[must_use]
pub fn subject(device: &Device, at_ms: i64) -> Option<SubjectId> {
    device
        .at(&Property::Subject, at_ms)
        .or(device.last(&Property::Subject))
        .and_then(|s| s.parse().ok())
        .or_else(|| SubjectId::new(&format!("device/{}", device.mn)).ok())
}

/// All subjects that a device has measured.
#[must_use]
pub fn subjects(device: &Device) -> Vec<SubjectId> {
    let dated = device.properties.get(&Property::Subject);
    let mut all: Vec<SubjectId> = dated
        .into_iter()
        .flatten()
        .filter_map(|d| d.value.parse().ok())
        .chain(SubjectId::new(&format!("device/{}", device.mn)))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// What a data flag means for statistics (2017 table 8, as the rulebook has it).
#[must_use]
pub fn flag(book: &Rulebook, f: char) -> Flag {
    match book
        .vocabulary()
        .hj212
        .named("Flag", f.encode_utf8(&mut [0; 4]))
        .map(|n| n.usable.as_str())
    {
        Some("yes") => Flag::Good,
        Some("no") => Flag::Invalid,
        _ => Flag::Suspect,
    }
}
