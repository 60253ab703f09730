//! Looks at a city's record for what is wrong with it, keeps the findings in the lake, and says
//! which of them touch a figure.

use miyun_core::unit::{VOLUME_FRACTION, convert};
use miyun_core::{Assessment, Date, Decimal, Period, SubjectId};
use miyun_forensics::{
    Factor, Finding, Inspection, Network, Params, Prepared, Station, indicators,
};
pub use miyun_forensics::{Kind, Weight};
use miyun_lake::{FindingRow, FindingsReport, Lake};
use miyun_rulebook::Rulebook;
use serde::Serialize;

use crate::AssessError;
use crate::air::Record;

/// What a look at a record came to.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// Everything found, the weightier kinds in the order of the methods.
    pub findings: Vec<FindingRow>,
    /// What the log of findings gained; `None` if it was not kept, because labels were read
    /// another way than declared.
    pub kept: Option<FindingsReport>,
}

/// How many findings of a kind and weight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KindCount {
    /// What kind.
    pub kind: String,
    /// Cannot be true of the air.
    pub fault: u64,
    /// Hard to explain with air.
    pub doubt: u64,
    /// Worth knowing.
    pub note: u64,
    /// Hours they concern, an hour of two findings twice.
    pub hours: u64,
}

/// The parameters of the methods: their defaults, with the factors between volume fraction and mass
/// of the vocabulary's gases at the reference state of `on`.
#[must_use]
pub fn params(book: &Rulebook, on: Date) -> Params {
    let mut p = Params::default();
    let v = book.vocabulary();
    for indicator in v.indicators.iter().filter(|i| i.molar_mass.is_some()) {
        let Some(to) = v.unit(indicator.unit.as_str()) else {
            continue;
        };
        let state = book.gas_state(indicator.id.as_str(), on);
        for unit in v
            .units
            .iter()
            .filter(|u| u.unit.dimension == VOLUME_FRACTION)
        {
            let one = convert(Decimal::ONE, &unit.unit, to, indicator.molar_mass, state);
            let Some(factor) = one
                .ok()
                .and_then(|f| f.round_dp(6).to_string().parse().ok())
            else {
                continue;
            };
            // Micrograms in ppb, milligrams in ppm: the other two are a thousand times off.
            if (0.1..10.0).contains(&factor) {
                p.unit.factors.push(Factor {
                    indicator: indicator.id.to_string(),
                    factor,
                    unit: unit.unit.id.to_string(),
                });
            }
        }
    }
    p
}

/// Everything that is wrong with a record, on two threads. Nothing is kept or changed.
#[must_use]
pub fn inspect(book: &Rulebook, record: &Record) -> Vec<FindingRow> {
    let params = params(book, record.first_day);
    let network = Network {
        subject: Some(record.city.id.clone()),
        first_day: record.first_day,
        days: record.days,
        stations: record
            .stations
            .iter()
            .map(|s| Station {
                subject: &s.subject.id,
                series: s
                    .hours
                    .series
                    .iter()
                    .map(|(i, v)| (i, v.as_slice()))
                    .collect(),
            })
            .collect(),
    };
    let prepared = spread(indicators(&network).len(), |k| Prepared::of(&network, k));
    let inspection = Inspection::from_prepared(&network, &params, prepared);
    let mut found = inspection.network();
    found.extend(
        spread(inspection.stations(), |k| inspection.station(k))
            .into_iter()
            .flatten(),
    );
    let offset = record
        .stations
        .iter()
        .flat_map(|s| &s.evidence)
        .map(|d| d.series.utc_offset_minutes)
        .next()
        .unwrap_or(0);
    let parameters = serde_json::to_value(&params).unwrap_or_default();
    let texts = |kind: Kind| -> String {
        let of = |names: &[&str]| {
            let all: serde_json::Map<String, serde_json::Value> = names
                .iter()
                .filter_map(|n| Some(((*n).to_owned(), parameters.get(*n)?.clone())))
                .collect();
            serde_json::Value::Object(all).to_string()
        };
        match kind {
            Kind::Stuck | Kind::Floor => of(&["stuck"]),
            Kind::PartAboveWhole => of(&["above", "pairs"]),
            Kind::Copied => of(&["copied", "pairs"]),
            Kind::Jump => of(&["jump"]),
            Kind::ClockShift => of(&["clock"]),
            Kind::Unit => of(&["unit"]),
            Kind::DiurnalLost => of(&["diurnal"]),
            Kind::Gap => of(&["gap"]),
        }
    };
    let by_kind: Vec<(Kind, String)> = Kind::ALL.iter().map(|k| (*k, texts(*k))).collect();
    let start_s = i64::from((record.first_day - Date::constant(1970, 1, 1)).get_days()) * 86_400
        - i64::from(offset) * 60;
    found
        .into_iter()
        .map(|f| {
            let parameters = by_kind
                .iter()
                .find(|(k, _)| *k == f.kind)
                .map_or("", |(_, p)| p);
            row(&record.city.id, f, (start_s, offset), parameters)
        })
        .collect()
}

fn row(
    scope: &SubjectId,
    f: Finding,
    (start_s, offset): (i64, i16),
    parameters: &str,
) -> FindingRow {
    let (first_s, last_s) = (
        start_s + 3_600 * f.first as i64,
        start_s + 3_600 * f.last as i64,
    );
    let indicator = f.indicator.map(|i| i.to_string()).unwrap_or_default();
    // The id says which hours and how much by which method; the words may differ when a neighbour
    // is added.
    let mut h = blake3::Hasher::new();
    for part in [
        f.kind.as_str(),
        f.subject.as_str(),
        &indicator,
        &first_s.to_string(),
        &last_s.to_string(),
        f.weight.as_str(),
        &f.method.name,
        &f.method.version,
        parameters,
    ] {
        h.update(part.as_bytes()).update(b"\n");
    }
    FindingRow {
        id: format!("f-{}", &h.finalize().to_hex()[..20]),
        scope: scope.to_string(),
        kind: f.kind.as_str().to_owned(),
        subject: f.subject.to_string(),
        indicator,
        first_s,
        last_s,
        utc_offset_minutes: offset,
        weight: f.weight.as_str().to_owned(),
        score: f.score,
        reason: f.reason,
        method: f.method,
        parameters: parameters.to_owned(),
        recorded_at: String::new(),
        withdrawn_at: None,
    }
}

/// Looks at a record and keeps what is found in the lake; a look that finds the same again writes
/// nothing. `now` is RFC 3339 UTC.
///
/// # Errors
/// [`AssessError`] if the log of findings cannot be read or written.
pub fn look(book: &Rulebook, lake: &Lake, record: &Record, now: &str) -> Result<Look, AssessError> {
    let findings = inspect(book, record);
    // Labels read another way are a what-if: its hours are not the hours that were declared.
    let as_declared = record
        .stations
        .iter()
        .flat_map(|s| &s.evidence)
        .all(|d| d.interval == d.series.interval);
    let kept = if as_declared {
        Some(lake.put_findings(&record.city.id, &findings, now)?)
    } else {
        None
    };
    Ok(Look { findings, kept })
}

/// Counts by kind, in the order of the methods; kinds that were not found are left out.
#[must_use]
pub fn counts<'f>(findings: impl IntoIterator<Item = &'f FindingRow>) -> Vec<KindCount> {
    let mut out: Vec<KindCount> = Kind::ALL
        .iter()
        .map(|k| KindCount {
            kind: k.as_str().to_owned(),
            fault: 0,
            doubt: 0,
            note: 0,
            hours: 0,
        })
        .collect();
    for f in findings {
        if let Some(c) = out.iter_mut().find(|c| c.kind == f.kind) {
            match f.weight.as_str() {
                "fault" => c.fault += 1,
                "doubt" => c.doubt += 1,
                _ => c.note += 1,
            }
            c.hours += hours(f);
        }
    }
    out.retain(|c| c.fault + c.doubt + c.note > 0);
    out
}

/// Hours that a finding concerns.
#[must_use]
pub fn hours(f: &FindingRow) -> u64 {
    ((f.last_s - f.first_s) / 3_600 + 1).unsigned_abs()
}

/// Beginning of the first and of the last hour in local time, `2014-10-11T19:00`.
#[must_use]
pub fn local_hours(f: &FindingRow) -> (String, String) {
    let text = |s: i64| {
        let local = s + i64::from(f.utc_offset_minutes) * 60;
        jiff::Timestamp::from_second(local).map_or_else(
            |_| s.to_string(),
            |t| t.strftime("%Y-%m-%dT%H:%M").to_string(),
        )
    };
    (text(f.first_s), text(f.last_s))
}

/// How much a finding weighs, for sorting.
#[must_use]
pub fn weight(f: &FindingRow) -> Weight {
    match f.weight.as_str() {
        "fault" => Weight::Fault,
        "doubt" => Weight::Doubt,
        _ => Weight::Note,
    }
}

/// The name of a kind for people; the word itself for a kind of another version.
#[must_use]
pub fn kind_name(kind: &str) -> miyun_core::Text {
    kind.parse::<Kind>()
        .map_or_else(|_| miyun_core::Text::new(kind, kind), Kind::name)
}

/// True if a finding shares an hour with the local days of `period`.
#[must_use]
pub fn within(f: &FindingRow, period: &Period) -> bool {
    let day = |d: Date| {
        i64::from((d - Date::constant(1970, 1, 1)).get_days()) * 86_400
            - i64::from(f.utc_offset_minutes) * 60
    };
    period.from.is_none_or(|d| day(d) <= f.last_s)
        && period.until.is_none_or(|d| f.first_s < day(d) + 86_400)
}

/// Findings that hold and touch the evidence of a figure, weightiest first: of its subjects and
/// indicators (or all indicators of a subject, or the whole network), within its days. For
/// `miyun why` and the pages.
///
/// # Errors
/// [`AssessError`] if the log of findings cannot be read.
pub fn touching(lake: &Lake, a: &Assessment) -> Result<Vec<FindingRow>, AssessError> {
    Ok(touching_of(&lake.findings()?, a))
}

/// As [`touching`], with the rows of [`Lake::findings`] at hand.
#[must_use]
pub fn touching_of(rows: &[FindingRow], a: &Assessment) -> Vec<FindingRow> {
    let mut out: Vec<FindingRow> = rows
        .iter()
        .filter(|f| f.withdrawn_at.is_none())
        .filter(|f| {
            a.trace.evidence.iter().any(|e| {
                let of_subject = f.subject == e.subject.as_str()
                    && (f.indicator.is_empty()
                        || f.indicator == e.indicator.as_str()
                        // A copy or an inversion is a doubt about both of the pair.
                        || (["copied", "part-above-whole"].contains(&f.kind.as_str())
                            && pair_of(e.indicator.as_str(), &f.indicator)));
                let of_network = f.subject == f.scope
                    && e.subject
                        .as_str()
                        .strip_prefix(f.scope.as_str())
                        .is_some_and(|rest| rest.starts_with('/'));
                (of_subject || of_network) && within(f, &e.period)
            })
        })
        .cloned()
        .collect();
    out.sort_by(|a, b| {
        weight(b)
            .cmp(&weight(a))
            .then(b.score.total_cmp(&a.score))
            .then(a.first_s.cmp(&b.first_s))
            .then(a.id.cmp(&b.id))
    });
    out
}

fn pair_of(a: &str, b: &str) -> bool {
    miyun_forensics::Pairs::default()
        .0
        .iter()
        .any(|p| (p.part == a && p.whole == b) || (p.part == b && p.whole == a))
}

/// `work` of every number below `n`, on two threads, in order.
fn spread<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let k = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if k >= n {
                return done;
            }
            done.push((k, work(k)));
        }
    };
    let mut all = std::thread::scope(|s| {
        let other = (n > 1).then(|| s.spawn(run));
        let mut here = run();
        if let Some(other) = other {
            here.extend(
                other
                    .join()
                    .unwrap_or_else(|p| std::panic::resume_unwind(p)),
            );
        }
        here
    });
    all.sort_by_key(|(k, _)| *k);
    all.into_iter().map(|(_, t)| t).collect()
}
