//! Plans as data: measures bound to indicators, and where each stands on a day. Pure: figures and
//! the day come from outside.

mod file;
mod status;

use miyun_core::{
    Date, Decimal, IndicatorId, JurisdictionId, MeasureId, Period, StatisticId, SubjectId, Text,
    UnitId,
};
use serde::Serialize;

pub use file::{EMBEDDED, embedded, read};
pub use status::{
    Coverage, Figure, Figures, IndicatorStatus, MeasureStatus, PlanStatus, Standing, status,
};

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// Where it holds.
    pub jurisdiction: JurisdictionId,
    /// Its period.
    pub period: Period,
    /// What a reader must know.
    pub note: Option<Text>,
    /// True for the plan of a simulated city.
    pub simulated: bool,
    /// Where targets come from: key, title, how it was checked.
    pub citations: Vec<(String, Text, String)>,
    /// Chapters in order.
    pub chapters: Vec<Chapter>,
    /// Measures in order.
    pub measures: Vec<Measure>,
}

/// A chapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chapter {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Text,
}

/// A measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// `plan/row`.
    pub id: MeasureId,
    /// Row in the plan.
    pub row: String,
    /// Chapter.
    pub chapter: String,
    /// Title.
    pub title: Text,
    /// What the plan asks, in own words.
    pub text: Text,
    /// Who leads.
    pub lead: Text,
    /// False until the lead was read in the plan's text.
    pub lead_verified: bool,
    /// What evidence would bind it, for a measure without indicators.
    pub needs: Option<Text>,
    /// Indicators.
    pub indicators: Vec<Indicator>,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A number, as printed.
    Value(Decimal),
    /// The limit in force.
    Limit,
}

/// Which side of the target is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// At most the target.
    AtMost,
    /// At least the target.
    AtLeast,
}

/// When a target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Over one period, due on its last day.
    Once(Period),
    /// Every calendar year.
    EveryYear,
}

/// An indicator of a measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Indicator {
    /// Where.
    pub subject: SubjectId,
    /// What.
    pub indicator: IndicatorId,
    /// Over what.
    pub statistic: StatisticId,
    /// Unit of the target.
    pub unit: UnitId,
    /// Target.
    pub target: Target,
    /// Good side.
    pub direction: Direction,
    /// When.
    pub when: When,
    /// Key of the citation of the target.
    pub citation: String,
    /// False until the target was read where it was set.
    pub verified: bool,
}

impl Indicator {
    /// The period that counts on `on`: the one of the target, or the year of the day. `None` if the
    /// target's period has not begun.
    #[must_use]
    pub fn period_on(&self, on: Date) -> Option<Period> {
        match self.when {
            When::Once(p) => p.from.is_none_or(|f| f <= on).then_some(p),
            When::EveryYear => Period::year(on.year()),
        }
    }
}
