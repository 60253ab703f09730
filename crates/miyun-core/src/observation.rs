//! Measured values and what must be known of a series before they mean anything.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{IndicatorId, SubjectId, UnitId};

/// Which end of its interval a label names. Two users of one file who disagree on this disagree
/// on the AQI of most days, so it is a required property of every series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalLabel {
    /// Label `h` means `[h, h+1)`.
    HourBegin,
    /// Label `h` means `[h-1, h)`.
    HourEnd,
}

impl IntervalLabel {
    /// The word used in files and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HourBegin => "hour-begin",
            Self::HourEnd => "hour-end",
        }
    }
}

impl FromStr for IntervalLabel {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour-begin" => Ok(Self::HourBegin),
            "hour-end" => Ok(Self::HourEnd),
            other => Err(format!(
                "unknown interval {other:?}: use hour-begin or hour-end"
            )),
        }
    }
}

/// What a value's sender, or our forensics, says about it. A flag is a statement with a reason,
/// never a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Nothing said against it.
    Good,
    /// Below the detection limit.
    BelowDetection,
    /// The sender marks it invalid (calibration, fault, power failure).
    Invalid,
    /// Doubtful: kept and counted, shown as such.
    Suspect,
}

impl Flag {
    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::BelowDetection => "below-detection",
            Self::Invalid => "invalid",
            Self::Suspect => "suspect",
        }
    }

    /// True if statistics may use the value.
    #[must_use]
    pub fn usable(self) -> bool {
        self != Self::Invalid
    }
}

impl FromStr for Flag {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "good" => Ok(Self::Good),
            "below-detection" => Ok(Self::BelowDetection),
            "invalid" => Ok(Self::Invalid),
            "suspect" => Ok(Self::Suspect),
            other => Err(format!(
                "unknown flag {other:?}: use good, below-detection, invalid or suspect"
            )),
        }
    }
}

/// One indicator at one subject and the properties without which its labels and numbers have no
/// meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Where it was measured.
    pub subject: SubjectId,
    /// What was measured.
    pub indicator: IndicatorId,
    /// The unit of the stored numbers, as the sender used it.
    pub unit: UnitId,
    /// Which end of the hour a label names.
    pub interval: IntervalLabel,
    /// Offset of the labels' clock from UTC in minutes (480 = Beijing time).
    pub utc_offset_minutes: i16,
}

/// Decimals kept of an observed value: values are stored as integers of 10^-6 of their unit, so
/// that sums are exact.
pub const VALUE_SCALE: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for flag in [
            Flag::Good,
            Flag::BelowDetection,
            Flag::Invalid,
            Flag::Suspect,
        ] {
            assert_eq!(flag.as_str().parse(), Ok(flag));
        }
        for label in [IntervalLabel::HourBegin, IntervalLabel::HourEnd] {
            assert_eq!(label.as_str().parse(), Ok(label));
        }
        assert!("hour".parse::<IntervalLabel>().is_err());
    }
}
