//! The nouns every part of Miyun shares: ids, periods, decimals, units, citations, rules as
//! types, subjects, observations, assessments and their traces.
//!
//! No I/O, no clock, no randomness, and no knowledge of any medium: nothing here says what
//! PM2.5 is. Numbers of laws arrive as data (see `miyun-rulebook`).

pub mod assessment;
pub mod decimal;
pub mod id;
pub mod observation;
pub mod period;
pub mod problem;
pub mod rule;
pub mod subject;
pub mod text;
pub mod unit;

pub use assessment::{Assessment, Evidence, MethodVersion, RuleUse, Sufficiency, Trace, Verdict};
pub use decimal::{Rounding, round};
pub use id::{
    AssessmentId, IdError, IndicatorId, InstrumentId, JurisdictionId, MeasureId, StatisticId,
    SubjectId, UnitId,
};
pub use jiff::civil::Date;
pub use observation::{Flag, IntervalLabel, Series};
pub use period::Period;
pub use problem::{Problem, Severity};
pub use rule::{Instrument, RuleRef};
pub use rust_decimal::Decimal;
pub use subject::Subject;
pub use text::Text;
pub use unit::Unit;
