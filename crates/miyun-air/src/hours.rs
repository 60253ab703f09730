//! Hours of one station, dense and local, as the engine reads them.

use std::sync::Arc;

use jiff::civil::Date;
use miyun_core::IndicatorId;
use miyun_core::observation::IntervalLabel;

/// Marks an hour without a usable value.
pub const MISSING: i64 = i64::MIN;

/// Dense hours of one station. Hour `h` of day `d` is the interval `[h, h+1)` in local time, at
/// index `24 d + h`.
///
/// # Units
/// Integers of 10^-6 of the indicator's canonical unit (ug/m3, CO mg/m3); [`MISSING`] for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Local date of index 0.
    pub first_day: Date,
    /// Number of days; every series has `24 * days` values.
    pub days: usize,
    /// One series per indicator, shared with whoever read it.
    pub series: Vec<(IndicatorId, Arc<Vec<i64>>)>,
}

impl Hours {
    /// Empty hours for the days from `first_day`.
    #[must_use]
    pub fn empty(first_day: Date, days: usize) -> Self {
        Self {
            first_day,
            days,
            series: Vec::new(),
        }
    }

    /// The series of `indicator`, empty if there is none.
    #[must_use]
    pub fn get(&self, indicator: &str) -> &[i64] {
        self.series
            .iter()
            .find(|(i, _)| i.as_str() == indicator)
            .map_or(&[], |(_, v)| v)
    }

    /// The date of day `day`.
    #[must_use]
    pub fn date(&self, day: usize) -> Date {
        self.first_day.saturating_add(
            jiff::Span::new().days(i64::try_from(day).unwrap_or(i64::MAX).min(1_000_000)),
        )
    }

    /// Index of the hour that the label `hour` of the day `day` names; `None` if it lies outside.
    /// Under [`IntervalLabel::HourEnd`] the label 0 names the last hour of the day before.
    #[must_use]
    pub fn index(&self, day: i64, hour: i64, label: IntervalLabel) -> Option<usize> {
        let shift = match label {
            IntervalLabel::HourBegin => 0,
            IntervalLabel::HourEnd => -1,
        };
        let index = usize::try_from(day * 24 + hour + shift).ok()?;
        (index < self.days * 24).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_label_of_midnight_belongs_to_the_day_before() {
        let hours = Hours::empty(Date::constant(2016, 1, 1), 2);
        assert_eq!(hours.index(1, 0, IntervalLabel::HourBegin), Some(24));
        assert_eq!(hours.index(1, 0, IntervalLabel::HourEnd), Some(23));
        assert_eq!(hours.index(0, 0, IntervalLabel::HourEnd), None);
        assert_eq!(hours.index(2, 0, IntervalLabel::HourBegin), None);
        assert_eq!(hours.index(2, 0, IntervalLabel::HourEnd), Some(47));
    }
}
