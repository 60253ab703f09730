//! Binds lake, rulebook and bodies of knowledge into assessments that answer why.

pub mod air;
pub mod forensics;
pub mod region;
pub mod trace;

use std::collections::BTreeMap;

use miyun_air::{CompileError, Edition, Sources};
use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Instrument, JurisdictionId, Period};
use miyun_import::Words;
use miyun_lake::{Functions, LakeError};
use miyun_rulebook::{ResolveError, Rulebook};

/// Why an assessment could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AssessError {
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// No rule answers.
    #[error(transparent)]
    Rule(#[from] ResolveError),
    /// The instruments do not make an edition.
    #[error(transparent)]
    Edition(#[from] CompileError),
    /// Nothing to assess.
    #[error("{0}")]
    NoData(String),
    /// A period that cannot be assessed.
    #[error(
        "{0}: air is assessed over whole days with both ends given, for example 2016 or 2016-01-01..2016-06-30"
    )]
    Period(Period),
}

/// Words that importers may expect, from the rulebook's vocabulary.
#[must_use]
pub fn words(book: &Rulebook) -> Words {
    let v = book.vocabulary();
    Words {
        indicators: v
            .indicators
            .iter()
            .map(|i| (i.id.to_string(), i.unit.clone()))
            .collect(),
        units: v
            .units
            .iter()
            .map(|u| (u.unit.id.to_string(), u.unit.dimension.clone()))
            .collect(),
    }
}

/// Medium of an indicator, for the partitions of the lake.
#[must_use]
pub fn medium(book: &Rulebook, indicator: &str) -> String {
    book.vocabulary()
        .indicator(indicator)
        .map_or("other".into(), |i| i.medium.clone())
}

/// An edition with the words that describe it.
#[derive(Debug, Clone)]
pub struct NamedEdition {
    /// `2012`, `2026`, `2031`, or `in-force`.
    pub name: String,
    /// The day whose law it is.
    pub as_of: Date,
    /// Compiled.
    pub edition: Edition,
}

/// Which edition to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditionChoice {
    /// The law in force on the last day of the period.
    InForce,
    /// A named one.
    Named(String),
}

/// The instruments in force for air at `place` on `on`.
///
/// # Errors
/// [`ResolveError`] naming what is not in force.
pub fn air_sources<'b>(
    book: &'b Rulebook,
    place: &JurisdictionId,
    on: Date,
) -> Result<Sources<'b>, ResolveError> {
    let method = |role: &str| book.in_force(InstrumentKind::Method, "air", role, place, on);
    let find = |r: Result<&'b Instrument, ResolveError>| r;
    Ok(Sources {
        criterion: book.in_force(InstrumentKind::QualityStandard, "air", "", place, on)?,
        index: find(method("index"))?,
        method: find(method("evaluation"))?,
        ranking: method("ranking").ok(),
    })
}

/// The edition of `choice` for a class of place; `until` is the last day of the period.
///
/// # Errors
/// [`AssessError`] if there is no such edition or nothing is in force.
pub fn air_edition(
    book: &Rulebook,
    choice: &EditionChoice,
    place: &JurisdictionId,
    class: &str,
    until: Date,
) -> Result<NamedEdition, AssessError> {
    let (name, as_of) = match choice {
        EditionChoice::InForce => ("in-force".to_owned(), until),
        EditionChoice::Named(n) => (n.clone(), book.edition("air", n)?.as_of),
    };
    let sources = air_sources(book, place, as_of)?;
    let stage = sources.criterion.stage_on(as_of).map(|s| s.id.clone());
    let edition = Edition::compile(sources, stage.as_deref(), class)?;
    Ok(NamedEdition {
        name,
        as_of,
        edition,
    })
}

/// `work` of every item on two threads, results in the order of the items.
pub(crate) fn on_two_threads<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(i) else {
                return done;
            };
            done.push((i, work(item)));
        }
    };
    let mut done = std::thread::scope(|s| {
        let other = (items.len() > 1).then(|| s.spawn(run));
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
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, t)| t).collect()
}

/// Functions for SQL that need rules: `iaqi(indicator, statistic, value, edition)`.
///
/// # Errors
/// [`AssessError`] if an edition of the rulebook does not compile.
pub fn sql_functions(book: &Rulebook) -> Result<Functions, AssessError> {
    let place: JurisdictionId =
        JurisdictionId::new("CN").map_err(|e| AssessError::NoData(e.to_string()))?;
    let mut editions = BTreeMap::new();
    for e in book.editions() {
        let named = air_edition(
            book,
            &EditionChoice::Named(e.id.clone()),
            &place,
            "2",
            e.as_of,
        )?;
        editions.insert(e.id.clone(), named.edition);
    }
    Ok(Functions {
        iaqi: std::sync::Arc::new(move |indicator, statistic, value, edition| {
            let e = editions.get(edition)?;
            let slot = e.slot(indicator, statistic)?;
            e.sub_index(slot, miyun_air::Exact::from_decimal(value.parse().ok()?)?)
        }),
    })
}
