//! One module per command.

pub mod air;
pub mod gateway;
pub mod hj212;
pub mod import;
pub mod replay;
pub mod rulebook;
pub mod sql;
pub mod why;

use miyun_core::Period;

/// A period option.
pub fn period(text: &str) -> Result<Period, String> {
    text.parse()
        .map_err(|e: miyun_core::period::PeriodError| e.to_string())
}

/// A date option.
pub fn date(text: &str) -> Result<miyun_core::Date, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a date: write 2026-03-01"))
}

/// A label option.
pub fn interval(text: &str) -> Result<miyun_core::IntervalLabel, String> {
    text.parse()
}
