//! Ambient air: daily values, indices, annual items, trends, the 0.1 microgram ledger.
//!
//! Pure: hours in, results out. No number of a law stands here; an [`Edition`] is compiled from
//! instruments and every number in it knows its clause. Where a rounding or a comparison is
//! prescribed, arithmetic is exact ([`Exact`]).

pub mod annual;
pub mod budget;
pub mod city;
pub mod daily;
pub mod edition;
pub mod exact;
pub mod hours;
pub mod index;
pub mod replay;
pub mod trend;
pub mod warning;

pub use annual::{AnnualValue, DayCounts};
pub use daily::{DayCell, DaySeries, RoundedDays, StationDays, station_days, valid_days};
pub use edition::{CompileError, Edition, Sources};
pub use exact::Exact;
pub use hours::{Hours, MISSING};
pub use index::{Completeness, Incomplete, Index};
