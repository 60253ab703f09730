//! The compliance year: what is due when, and the state of a unit at the deadline and now.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::law::{Law, Ruled};

/// State of a unit: the letters of the EU Transaction Log without remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// Cumulative surrendered is at least cumulative verified.
    A,
    /// It is less.
    B,
    /// There is no cumulative verified value.
    C,
}

impl Code {
    /// The letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

/// The code of a unit.
#[must_use]
pub fn code(cumulative_verified: Option<u64>, cumulative_surrendered: u64) -> Code {
    match cumulative_verified {
        None => Code::C,
        Some(v) if cumulative_surrendered >= v => Code::A,
        Some(_) => Code::B,
    }
}

/// One entry of a unit's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, civil time of the registry.
    pub at: DateTime,
    /// Compliance year it counts for.
    pub year: i16,
    /// What.
    pub what: EntryKind,
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Verified emissions of the year; a later entry replaces an earlier one.
    Verified(u64),
    /// Tonnes surrendered, offsets included.
    Surrendered(u64),
}

/// A unit in a compliance year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// The year.
    pub year: i16,
    /// Until when to surrender, and the rule that says so.
    pub deadline: Ruled<DateTime>,
    /// Verified emissions up to the year, `None` if any year lacks them.
    pub cumulative_verified: Option<u64>,
    /// Surrendered for the years up to it, at the deadline.
    pub surrendered_at_deadline: u64,
    /// The same now.
    pub surrendered_now: u64,
    /// The code that stays: the state at the deadline, `None` before it.
    pub at_deadline: Option<Code>,
    /// The code now.
    pub now: Code,
    /// Tonnes missing now.
    pub missing: u64,
}

/// The state of a unit in `year`, from its entries, as seen `at`. `first` is the first compliance
/// year of the cumulation.
///
/// # Errors
/// [`Error::Law`] if the year has no deadline, [`Error::Overflow`].
pub fn state(
    law: &Law<'_>,
    first: i16,
    year: i16,
    entries: &[Entry],
    at: DateTime,
) -> Result<State, Error> {
    let deadline = law.deadline(&format!("surrender-deadline/{year}"))?;
    let overflow = || Error::Overflow {
        what: "compliance",
        detail: format!("cumulative tonnes of {year}"),
    };
    let verified = |until: DateTime| -> Result<Option<u64>, Error> {
        let mut sum = Some(0u64);
        for y in first..=year {
            let last = entries
                .iter()
                .filter(|e| e.year == y && e.at <= until)
                .filter_map(|e| match e.what {
                    EntryKind::Verified(t) => Some((e.at, t)),
                    EntryKind::Surrendered(_) => None,
                })
                .max_by_key(|(at, _)| *at);
            sum = match (sum, last) {
                (Some(s), Some((_, t))) => Some(s.checked_add(t).ok_or_else(overflow)?),
                _ => None,
            };
        }
        Ok(sum)
    };
    let surrendered = |until: DateTime| -> Result<u64, Error> {
        entries
            .iter()
            .filter(|e| (first..=year).contains(&e.year) && e.at <= until)
            .try_fold(0u64, |sum, e| match e.what {
                EntryKind::Surrendered(t) => sum.checked_add(t).ok_or_else(overflow),
                EntryKind::Verified(_) => Ok(sum),
            })
    };
    let cut = deadline.value.min(at);
    let (then, now) = (surrendered(cut)?, surrendered(at)?);
    let cumulative_verified = verified(at)?;
    Ok(State {
        year,
        cumulative_verified,
        surrendered_at_deadline: then,
        surrendered_now: now,
        at_deadline: if at >= deadline.value {
            Some(code(verified(cut)?, then))
        } else {
            None
        },
        now: code(cumulative_verified, now),
        missing: cumulative_verified.unwrap_or(0).saturating_sub(now),
        deadline,
    })
}

/// The verified emissions of one year: the last entry counts.
#[must_use]
pub fn verified_of(entries: &[Entry], year: i16) -> Option<u64> {
    entries
        .iter()
        .filter(|e| e.year == year)
        .filter_map(|e| match e.what {
            EntryKind::Verified(t) => Some((e.at, t)),
            EntryKind::Surrendered(_) => None,
        })
        .max_by_key(|(at, _)| *at)
        .map(|(_, t)| t)
}
