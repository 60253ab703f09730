//! What can be wrong between files: supersession, gaps and overlaps in time, units without
//! indicators.

use std::collections::BTreeMap;

use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Instrument, Problem, Severity};
use toml_edit::{Item, Table};

use crate::Rulebook;
use crate::page::Page;

/// Where an instrument was read from, and where its file says what other files depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub name: String,
    in_force: (u64, u64),
    supersedes: (u64, u64),
}

impl Source {
    pub fn of(page: &Page<'_>, doc: &Table) -> Self {
        let head = doc.get("instrument");
        let place = |key: &str| {
            head.and_then(|h| h.get(key))
                .and_then(Item::span)
                .map_or((1, 1), |s| page.place(s.start))
        };
        let supersedes = place("supersedes");
        Self {
            name: page.name.to_owned(),
            in_force: place("in_force"),
            supersedes: if supersedes == (1, 1) {
                place("amends")
            } else {
                supersedes
            },
        }
    }

    fn problem(&self, code: &str, field: &str, reason: String, fix: &str) -> Problem {
        let (line, column) = match field {
            "instrument.in_force" => self.in_force,
            _ => self.supersedes,
        };
        Problem {
            severity: Severity::Error,
            code: code.into(),
            file: self.name.clone(),
            line,
            column,
            field: field.into(),
            reason,
            fix: fix.into(),
        }
    }
}

pub(crate) fn across(book: &Rulebook) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, file) in book.instruments.iter().zip(&book.files) {
        supersession(book, i, file, &mut problems);
        loops(book, i, file, &mut problems);
    }
    overlaps(book, &mut problems);
    for indicator in &book.vocabulary.indicators {
        if book.vocabulary.unit(indicator.unit.as_str()).is_none() {
            problems.push(Problem {
                severity: Severity::Error,
                code: "unknown-unit".into(),
                file: "rulebook/vocabulary".into(),
                line: 0,
                column: 0,
                field: indicator.id.to_string(),
                reason: format!(
                    "{} is stated in {:?}, which is no known unit",
                    indicator.id,
                    indicator.unit.as_str()
                ),
                fix: "add it to the units".into(),
            });
        }
    }
    problems
}

/// What is superseded ends on the day before its successor begins.
fn supersession(book: &Rulebook, i: &Instrument, file: &Source, problems: &mut Vec<Problem>) {
    for id in i.supersedes.iter().chain(&i.amends) {
        let Some(old) = book.instrument(id.as_str()) else {
            problems.push(file.problem(
                "unknown-instrument",
                "instrument.supersedes",
                format!("{} names {id}, which is not in the rulebook", i.id),
                "add its file or mend the id",
            ));
            continue;
        };
        if i.amends.as_ref() == Some(id) {
            continue;
        }
        let expected = i.in_force.from.and_then(|f| f.yesterday().ok());
        match (old.in_force.until, expected) {
            (Some(u), Some(e)) if u == e => {}
            (Some(u), Some(e)) if u < e => problems.push(file.problem(
                "time-gap",
                "instrument.in_force",
                format!(
                    "{} ends on {u}, {} begins after {e}: nothing holds in between",
                    old.id, i.id
                ),
                "mend one of the dates, or name what holds in between",
            )),
            (u, _) => problems.push(file.problem(
                "time-overlap",
                "instrument.in_force",
                format!(
                    "{} is in force until {}, although {} supersedes it",
                    old.id,
                    u.map_or("further notice".into(), |u| u.to_string()),
                    i.id
                ),
                "end it on the day before",
            )),
        }
    }
}

fn loops(book: &Rulebook, start: &Instrument, file: &Source, problems: &mut Vec<Problem>) {
    let mut seen = vec![&start.id];
    let mut at = start;
    while let Some(next) = at
        .supersedes
        .first()
        .and_then(|id| book.instrument(id.as_str()))
    {
        if next.id == start.id {
            problems.push(file.problem(
                "supersession-loop",
                "instrument.supersedes",
                format!(
                    "{} supersedes itself by way of {}",
                    start.id,
                    seen.iter()
                        .map(|s| s.as_str())
                        .collect::<Vec<_>>()
                        .join(" -> ")
                ),
                "an instrument supersedes only older ones",
            ));
            return;
        }
        if seen.contains(&&next.id) {
            return;
        }
        seen.push(&next.id);
        at = next;
    }
}

/// One jurisdiction has at most one criterion for one thing on one day.
fn overlaps(book: &Rulebook, problems: &mut Vec<Problem>) {
    type Span<'a> = (Date, Option<Date>, &'a Instrument, &'a Source);
    type Key<'a> = (u8, &'a str, &'a str, &'a str, Option<&'a str>);
    let mut spans: BTreeMap<Key<'_>, Vec<Span<'_>>> = BTreeMap::new();
    for (i, file) in book.instruments.iter().zip(&book.files) {
        let Some(kind) = judged(i.kind).filter(|_| i.amends.is_none()) else {
            continue;
        };
        let Some(from) = i.in_force.from else {
            continue;
        };
        for (_, l) in i.limits().filter(|(t, _)| !t.where_adopted) {
            let key = (
                kind,
                i.jurisdiction.as_str(),
                l.indicator.as_str(),
                l.statistic.as_str(),
                l.class.as_deref(),
            );
            let rows = spans.entry(key).or_default();
            if !rows.iter().any(|(_, _, o, _)| o.id == i.id) {
                rows.push((from, i.in_force.until, i, file));
            }
        }
    }
    let mut said: Vec<(&str, &str)> = Vec::new();
    for ((_, _, indicator, statistic, _), mut rows) in spans {
        rows.sort_by_key(|r| r.0);
        for pair in rows.windows(2) {
            let ((_, until, a, _), (from, _, b, file)) = (&pair[0], &pair[1]);
            if until.is_none_or(|u| u >= *from)
                && !b.supersedes.contains(&a.id)
                && !said.contains(&(a.id.as_str(), b.id.as_str()))
            {
                said.push((a.id.as_str(), b.id.as_str()));
                problems.push(file.problem(
                    "time-overlap",
                    "instrument.in_force",
                    format!(
                        "{} and {} both limit {indicator} {statistic} from {from}",
                        a.id, b.id
                    ),
                    "end one before the other, or name it in supersedes",
                ));
            }
        }
    }
}

/// Kinds whose limits judge; guidelines and plans may stand beside each other.
fn judged(kind: InstrumentKind) -> Option<u8> {
    match kind {
        InstrumentKind::QualityStandard => Some(0),
        InstrumentKind::DischargeStandard => Some(1),
        _ => None,
    }
}
