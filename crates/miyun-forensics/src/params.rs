//! Thresholds of the methods: ours, not law. Data passed in, recorded with every finding.

use serde::{Deserialize, Serialize};

/// All thresholds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Stuck values, and long stays at the lowest value.
    pub stuck: Stuck,
    /// A part above its whole.
    pub above: Above,
    /// Copied values.
    pub copied: Copied,
    /// Jumps.
    pub jump: Jump,
    /// Clock shifts.
    pub clock: Clock,
    /// Units.
    pub unit: UnitParams,
    /// Lost diurnal cycles.
    pub diurnal: Diurnal,
    /// Gaps.
    pub gap: Gap,
    /// Which indicator is part of which.
    pub pairs: Pairs,
}

/// Pairs of which the first is part of the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pairs(pub Vec<Pair>);

impl Default for Pairs {
    fn default() -> Self {
        Self(vec![Pair {
            part: "PM2.5".into(),
            whole: "PM10".into(),
        }])
    }
}

/// An indicator that is part of another, in the same unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The part.
    pub part: String,
    /// The whole.
    pub whole: String,
}

/// Stuck values. How often this series, at this level, repeats a value is counted in the series
/// itself, so a coarse resolution does not make findings; a run is a finding when runs as long
/// would be expected less than once in 10^`surprise_min` values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stuck {
    /// Shortest run, in values.
    pub hours_min: usize,
    /// Missing hours that do not end a run.
    pub bridge_hours_max: usize,
    /// Powers of ten a run must be away from chance when the neighbours move meanwhile.
    pub surprise_min: f64,
    /// The same where the neighbours stand still too, or there are none.
    pub surprise_min_still: f64,
    /// Shortest run at the lowest value that is doubted because the neighbours are not low.
    pub floor_hours_min: usize,
    /// Shortest run at the lowest value that is noted though the neighbours are low too.
    pub floor_note_hours_min: usize,
    /// A value with at most this share of the series below it is its lowest.
    pub floor_below_max: f64,
    /// The same for a value which many hours hold.
    pub floor_below_max_common: f64,
    /// Share of the hours that makes a value common.
    pub floor_common_min: f64,
}

impl Default for Stuck {
    fn default() -> Self {
        Self {
            hours_min: 6,
            bridge_hours_max: 3,
            surprise_min: 6.0,
            surprise_min_still: 12.0,
            floor_hours_min: 12,
            floor_note_hours_min: 48,
            floor_below_max: 0.02,
            floor_below_max_common: 0.10,
            floor_common_min: 0.02,
        }
    }
}

/// A part above its whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Above {
    /// Excess that two good instruments may show, in the canonical unit.
    pub excess_min: f32,
    /// The same as a share of the whole.
    pub share_min: f32,
    /// Fewest hours of one episode.
    pub hours_min: usize,
    /// Other hours that do not end an episode.
    pub bridge_hours_max: usize,
    /// Mean ratio of part to whole from which an episode is a fault.
    pub ratio_fault: f32,
}

impl Default for Above {
    fn default() -> Self {
        Self {
            excess_min: 2.0,
            share_min: 0.1,
            hours_min: 3,
            bridge_hours_max: 2,
            ratio_fault: 1.5,
        }
    }
}

/// Copied values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Copied {
    /// Fewest hours in which part and whole are equal one after the other.
    pub hours_min: usize,
    /// Missing hours that do not end a run.
    pub bridge_hours_max: usize,
    /// Hours from which it is a fault.
    pub hours_fault: usize,
    /// Share of all series that must repeat their value for an hour to be a copy of the one before.
    pub repeat_share_min: f64,
    /// Fewest series for that.
    pub repeat_series_min: usize,
}

impl Default for Copied {
    fn default() -> Self {
        Self {
            hours_min: 6,
            bridge_hours_max: 3,
            hours_fault: 24,
            repeat_share_min: 0.75,
            repeat_series_min: 12,
        }
    }
}

/// Jumps: away and back within hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jump {
    /// Longest stay away.
    pub hours_max: usize,
    /// Missing hours that may lie between the stay away and the return.
    pub gap_hours_max: usize,
    /// Size in mean hourly changes at that level.
    pub changes_min: f32,
    /// Size as a ratio of the higher to the lower level.
    pub ratio_min: f32,
    /// How near it must come back, as a share of its size.
    pub back_max: f32,
    /// Share of its size that the neighbours may move the same way.
    pub neighbours_max: f32,
}

impl Default for Jump {
    fn default() -> Self {
        Self {
            hours_max: 6,
            gap_hours_max: 24,
            changes_min: 10.0,
            ratio_min: 4.0,
            back_max: 0.25,
            neighbours_max: 0.2,
        }
    }
}

/// Clock shifts: hourly changes, less their mean daily course, held against the neighbours' at
/// every lag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clock {
    /// Largest shift looked for, in hours.
    pub lag_hours_max: usize,
    /// Length of the windows.
    pub window_days: usize,
    /// Days from one window to the next.
    pub step_days: usize,
    /// Fewest pairs of hours of an indicator in a window.
    pub pairs_min: usize,
    /// Fewest indicators that must be there and agree.
    pub indicators_min: usize,
    /// Least correlation at the shift (Fisher z, mean of the indicators).
    pub z_min: f64,
    /// Correlation without shift, at most this share of the correlation at the shift.
    pub unshifted_share_max: f64,
    /// The same where no daily course bears witness.
    pub unshifted_share_max_alone: f64,
    /// Share of the indicators whose own best lag is the shift.
    pub agree_min: f64,
    /// The same where no daily course bears witness.
    pub agree_min_alone: f64,
    /// Margin over the unshifted correlation, in standard errors.
    pub margin_min: f64,
    /// Windows outside the shift that make an indicator's daily course a witness.
    pub witness_windows_min: usize,
    /// Median deviation of its lag against the neighbours' course, in hours, at most.
    pub witness_spread_max: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            lag_hours_max: 12,
            window_days: 20,
            step_days: 5,
            pairs_min: 200,
            indicators_min: 1,
            z_min: 0.1,
            unshifted_share_max: 0.6,
            unshifted_share_max_alone: 0.4,
            agree_min: 0.5,
            agree_min_alone: 0.75,
            margin_min: 4.0,
            witness_windows_min: 6,
            witness_spread_max: 0.75,
        }
    }
}

/// A factor by which numbers of another unit are off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Which indicator.
    pub indicator: String,
    /// Canonical value divided by the number of the other unit, for example 2.14 ug/m3 in a ppb.
    pub factor: f64,
    /// The other unit, for example `ppb`.
    pub unit: String,
}

/// Where the median of a long record usually lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usual {
    /// Which indicator.
    pub indicator: String,
    /// Lowest median, in the canonical unit.
    pub low: f64,
    /// Highest median.
    pub high: f64,
}

/// Units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnitParams {
    /// Fewest hours a thousand times too high or too low.
    pub hours_min: usize,
    /// Other hours that do not end an episode.
    pub bridge_hours_max: usize,
    /// Powers of ten that a ratio may be away from the factor.
    pub tolerance_log10: f64,
    /// Factors near one (ppb against ug/m3), per indicator; found over months.
    pub factors: Vec<Factor>,
    /// Share that a month's ratio may be away from such a factor.
    pub factor_tolerance: f64,
    /// Usual medians, for records that are off as a whole.
    pub usual: Vec<Usual>,
}

impl Default for UnitParams {
    fn default() -> Self {
        let usual = |indicator: &str, low, high| Usual {
            indicator: indicator.into(),
            low,
            high,
        };
        Self {
            hours_min: 3,
            bridge_hours_max: 6,
            tolerance_log10: 0.5,
            factors: Vec::new(),
            factor_tolerance: 0.12,
            usual: vec![
                usual("SO2", 0.3, 500.0),
                usual("NO2", 0.5, 300.0),
                usual("CO", 0.03, 20.0),
                usual("O3", 3.0, 400.0),
                usual("PM10", 2.0, 1500.0),
                usual("PM2.5", 1.0, 1000.0),
            ],
        }
    }
}

/// Lost diurnal cycles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diurnal {
    /// Length of a window.
    pub window_days: usize,
    /// Fewest values of a window.
    pub values_min: usize,
    /// Amplitude left, at most this share of what the neighbours' cycle lets expect.
    pub left_max: f64,
    /// Least correlation with the neighbours' cycle that the series has in other windows.
    pub usual_correlation_min: f64,
    /// Cycle of the neighbours, in standard errors of its hours.
    pub cycle_min: f64,
}

impl Default for Diurnal {
    fn default() -> Self {
        Self {
            window_days: 10,
            values_min: 120,
            left_max: 0.25,
            usual_correlation_min: 0.7,
            cycle_min: 1.5,
        }
    }
}

/// Gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gap {
    /// Shortest gap of one indicator.
    pub hours_min: usize,
    /// Shortest gap of all indicators of a station at once.
    pub silent_hours_min: usize,
    /// Gap from which it is a doubt and no note.
    pub hours_doubt: usize,
}

impl Default for Gap {
    fn default() -> Self {
        Self {
            hours_min: 24,
            silent_hours_min: 12,
            hours_doubt: 72,
        }
    }
}
