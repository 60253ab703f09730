//! An edition: the criterion, index and method in force together, compiled into flat tables for
//! the hot loops. Every number keeps the [`RuleRef`] it came from.

mod compile;

use miyun_core::decimal::Rounding;
use miyun_core::rule::{Item, Level, Limit};
use miyun_core::{Decimal, IndicatorId, RuleRef, StatisticId, UnitId};
use serde::Serialize;

pub use compile::{CompileError, Sources};

/// A value of a law with the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cited<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub rule: RuleRef,
}

/// How a day is condensed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayKind {
    /// Mean of the hours.
    Mean,
    /// Highest hour.
    MaxHour,
    /// Highest moving window.
    MaxWindow,
}

/// Rounding of a concentration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Places {
    /// Decimals kept.
    pub decimals: u32,
    /// How.
    pub rule: Rounding,
}

/// A limit in 10^-6 units and as printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitCell {
    /// The row of the law.
    pub limit: Limit,
    /// Its value in 10^-6 units.
    pub steps: i64,
}

/// A column of breakpoints, ready for exact interpolation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// Concentrations in 10^-6 units, increasing.
    pub points: Vec<i64>,
    /// Index at each point.
    pub index: Vec<i64>,
    /// Index above the last point; `None` means no index there.
    pub above: Option<i64>,
}

/// One statistic of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaySlot {
    /// What is measured.
    pub indicator: IndicatorId,
    /// The statistic, for example `daily-mean`.
    pub statistic: StatisticId,
    /// Unit of values.
    pub unit: UnitId,
    /// How it is condensed.
    pub kind: DayKind,
    /// Hours (windows for [`DayKind::MaxWindow`]) that make it valid.
    pub at_least: Cited<u8>,
    /// Fewer are enough if the value is above the limit (HJ 663, ozone).
    pub unless_exceeds: bool,
    /// Rounding before a value is compared or indexed.
    pub rounding: Cited<Places>,
    /// The limit of the day, if the criterion has one.
    pub limit: Option<Cited<LimitCell>>,
    /// The breakpoints, if it takes part in the daily index.
    pub scale: Option<Cited<Scale>>,
}

/// Moving windows of ozone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Hours in a window.
    pub hours: usize,
    /// First hour at which a window of the day ends.
    pub first_end: usize,
    /// Last hour at which one ends.
    pub last_end: usize,
    /// Hours that make a window valid.
    pub at_least: usize,
    /// Where the windows are defined.
    pub rule: RuleRef,
}

/// How an hour of the real-time index is condensed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HourSlot {
    /// What is measured.
    pub indicator: IndicatorId,
    /// The statistic, for example `running-24h-mean`.
    pub statistic: StatisticId,
    /// Hours it looks back, including its own.
    pub hours: usize,
    /// Hours that make it valid.
    pub at_least: usize,
    /// Rounding before the index.
    pub rounding: Cited<Places>,
    /// The breakpoints, if the edition gives it an index.
    pub scale: Option<Cited<Scale>>,
}

/// One annual item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnnualItem {
    /// The row of the method.
    pub item: Item,
    /// Where it stands.
    pub rule: RuleRef,
    /// The slot whose days it condenses.
    pub slot: usize,
    /// Fewest days in the year.
    pub days_year: Option<Cited<u32>>,
    /// Fewest days in a month.
    pub days_month: Option<Cited<u32>>,
    /// Fewest days in February.
    pub days_february: Option<Cited<u32>>,
    /// The limit it is held against.
    pub limit: Option<Cited<LimitCell>>,
}

/// The instruments of an edition, compiled for one class of place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edition {
    /// The criterion, the index, the method and, if any, the ranking instrument, by id.
    pub instruments: Vec<miyun_core::InstrumentId>,
    /// Stage of the criterion.
    pub stage: Option<String>,
    /// Class of place.
    pub class: String,
    /// Statistics of a day.
    pub slots: Vec<DaySlot>,
    /// Ozone windows.
    pub windows: Windows,
    /// Statistics of the real-time index.
    pub hours: Vec<HourSlot>,
    /// Annual items.
    pub annual: Vec<AnnualItem>,
    /// Levels of the index.
    pub levels: Vec<Cited<Level>>,
    /// Rounding of a sub-index.
    pub index_rounding: Cited<Places>,
    /// Above this index a primary pollutant is named.
    pub primary_above: Cited<i64>,
    /// An index of a day with missing indicators is published only above this; `None` where the
    /// edition has no such rule.
    pub incomplete_above: Option<Cited<i64>>,
    /// Rounding of the exceedance multiple.
    pub multiple_rounding: Cited<Places>,
    /// Rounding of ratios in percent.
    pub percent_rounding: Cited<Places>,
    /// Share of the stations, in percent, that a city value needs.
    pub city_share_percent: Option<Cited<Decimal>>,
    /// Composite index: item, class II reference and weight, with its rounding.
    pub ranking: Option<Ranking>,
}

/// The composite index of the ranking instrument.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// Annual item (index into [`Edition::annual`]), reference value, weight.
    pub terms: Vec<(usize, Cited<LimitCell>, Decimal)>,
    /// Rounding of the index.
    pub rounding: Cited<Places>,
}

impl Edition {
    /// Position of the slot for `indicator` and `statistic`.
    #[must_use]
    pub fn slot(&self, indicator: &str, statistic: &str) -> Option<usize> {
        self.slots
            .iter()
            .position(|s| s.indicator == indicator && s.statistic == statistic)
    }
}
