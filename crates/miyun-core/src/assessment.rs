//! A result that can say why: value, verdict, sufficiency and trace, kept apart.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::id::{AssessmentId, IndicatorId, StatisticId, SubjectId, UnitId};
use crate::period::Period;
use crate::rule::RuleRef;

/// What an assessment came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule is met.
    Attained,
    /// The rule is broken.
    Exceeded,
    /// Too few data to judge. The value, if any, is shown as invalid.
    Insufficient,
    /// The rule does not hold here.
    Exempt,
    /// A person must decide.
    NeedsJudgement,
    /// An ordered outcome where pass and fail do not fit: a level, a class, a grade.
    Outcome(String),
    /// A figure that no rule judges, such as a mean shown for information.
    Figure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Attained => "attained",
            Self::Exceeded => "exceeded",
            Self::Insufficient => "insufficient",
            Self::Exempt => "exempt",
            Self::NeedsJudgement => "needs-judgement",
            Self::Outcome(o) => o,
            Self::Figure => "figure",
        })
    }
}

/// Whether the data are enough, and what is missing if not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sufficiency {
    /// True if every validity rule is met.
    pub valid: bool,
    /// Data at hand, in the unit of the first validity rule (hours, days).
    pub have: u32,
    /// Data needed by it.
    pub need: u32,
    /// What fails, in words: `2014-04: 15 of 27 days`.
    pub missing: Vec<String>,
}

/// A rule and the part it played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleUse {
    /// Its part: `limit`, `validity`, `rounding`, `statistic`, `breakpoints`, `reference-state`.
    pub role: String,
    /// Which rule.
    pub rule: RuleRef,
    /// What it says here: `PM2.5 daily-mean, class 2: 75 ug/m3`.
    pub says: String,
}

/// The code that computed a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MethodVersion {
    /// Name of the method, for example `miyun-air/annual-items`.
    pub name: String,
    /// Its version; changes when results may change.
    pub version: String,
}

/// Rows an assessment was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where.
    pub subject: SubjectId,
    /// What.
    pub indicator: IndicatorId,
    /// Which days.
    pub period: Period,
    /// How many rows were used.
    pub rows: u64,
    /// BLAKE3 of the rows used, in order of time: label (seconds since 1970, i64), value (10^-6
    /// units, i64), both little-endian. Lower-case hex.
    pub digest: String,
    /// Digests of the files that the rows came from.
    pub origins: Vec<String>,
}

/// One step of a derivation that a lawyer can check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was done: `mean of 24 hours`, `rounded half-even to 0 decimals`.
    pub what: String,
    /// The result of it.
    pub result: String,
}

/// Why a figure is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The rules applied, in order.
    pub rules: Vec<RuleUse>,
    /// The derivation.
    pub steps: Vec<Step>,
    /// The rows it rests on.
    pub evidence: Vec<Evidence>,
    /// The code that computed it.
    pub method: MethodVersion,
    /// Declared properties that a reader must know: interval label, time zone, simulated.
    pub declared: Vec<String>,
}

/// One result, append-only: never edited, only superseded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Its id, derived from everything below: the same evidence, rules and method give the same id.
    pub id: AssessmentId,
    /// What was judged.
    pub subject: SubjectId,
    /// What was measured.
    pub indicator: IndicatorId,
    /// Over what it was taken.
    pub statistic: StatisticId,
    /// Which days.
    pub period: Period,
    /// The value as compared, with the decimals of its rounding rule. `None` if there are no data.
    pub value: Option<Decimal>,
    /// The value before rounding, to six decimals.
    pub value_unrounded: Option<Decimal>,
    /// Unit of both.
    pub unit: UnitId,
    /// Whether the data are enough.
    pub sufficiency: Sufficiency,
    /// What it came to.
    pub verdict: Verdict,
    /// The limit it was held against.
    pub limit: Option<Decimal>,
    /// Limit minus value (positive: room left), in `unit`.
    pub margin: Option<Decimal>,
    /// Exceedance multiple (C - S) / S where exceeded.
    pub exceedance: Option<Decimal>,
    /// Why.
    pub trace: Trace,
}
