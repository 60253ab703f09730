//! Legal instruments and their rules, as types. `miyun-rulebook` fills them from files, checks
//! and resolves them; the domain crates read them. Numbers keep the decimals they were printed
//! with.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::decimal::Rounding;
use crate::id::{IndicatorId, InstrumentId, JurisdictionId, StatisticId, UnitId};
use crate::period::Period;
use crate::text::Text;

/// One legal instrument: a law, standard, technical regulation, plan or permit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Instrument {
    /// As it is cited, for example `CN/GB-3095-2026`.
    pub id: InstrumentId,
    /// Its title.
    pub title: Text,
    /// What sort of instrument it is.
    pub kind: InstrumentKind,
    /// Medium it concerns, for example `air`.
    pub medium: String,
    /// Where it holds.
    pub jurisdiction: JurisdictionId,
    /// Who issued it.
    pub issuer: Vec<String>,
    /// Day of issue, if known.
    pub issued: Option<Date>,
    /// Days on which it is in force.
    pub in_force: Period,
    /// Places where it was in force earlier than `in_force` says.
    pub adopted: Vec<Adoption>,
    /// Instruments that it replaces on its first day.
    pub supersedes: Vec<InstrumentId>,
    /// The instrument that it amends, for an amendment.
    pub amends: Option<InstrumentId>,
    /// Laws that it rests on, each with the days on which it does.
    pub legal_basis: Vec<LegalBasis>,
    /// Where the text was read.
    pub citations: Vec<Citation>,
    /// Stages with different limits, if any.
    pub stages: Vec<Stage>,
    /// Classes of place that take different columns, if any.
    pub classes: Vec<PlaceClass>,
    /// What a reader must know, for example which parts could not be read.
    pub note: Option<Text>,
    /// Its tables, in the order of the law.
    pub tables: Vec<Table>,
}

/// What sort of instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstrumentKind {
    /// A law or code.
    Law,
    /// What the environment must attain (the criterion).
    QualityStandard,
    /// What a source may discharge.
    DischargeStandard,
    /// How data are judged (the method).
    Method,
    /// Emission or conversion factors.
    Factor,
    /// A plan with targets.
    Plan,
    /// A permit.
    Permit,
    /// A warning or emergency plan with triggers.
    WarningPlan,
    /// Advice of a body without legislative power, such as the WHO guidelines.
    Guideline,
}

/// A place that applied an instrument before its general date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// Where.
    pub jurisdiction: JurisdictionId,
    /// From which day.
    pub from: Date,
    /// Key of the citation that says so.
    pub citation: String,
}

/// A law on which an instrument rests, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegalBasis {
    /// The law.
    pub law: Text,
    /// Article, empty if the whole law.
    #[serde(default)]
    pub clause: String,
    /// From the first day of this basis.
    #[serde(default)]
    pub from: Option<Date>,
    /// To the last day of this basis.
    #[serde(default)]
    pub until: Option<Date>,
    /// False until someone has read the law itself.
    #[serde(default)]
    pub verified: bool,
    /// How it is known.
    #[serde(default)]
    pub note: String,
}

/// Where a text was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Key used by tables of the same instrument.
    pub id: String,
    /// What was read, with edition and pages.
    pub title: String,
    /// Web address, if any.
    #[serde(default)]
    pub url: String,
    /// Digest of the document, if recorded.
    #[serde(default)]
    pub sha256: String,
    /// When and how it was compared.
    pub checked: Checked,
}

/// When and how a text was compared with the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Day of the comparison.
    pub on: Date,
    /// How it was done, or why it could not be.
    pub how: String,
}

/// A stage of an instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its id, for example `transitional`.
    pub id: String,
    /// When it holds.
    pub period: Period,
}

/// A class of place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceClass {
    /// Its id, for example `2`.
    pub id: String,
    /// The zone that takes it, for example `air-function/2`.
    pub zone: String,
    /// Its name.
    pub name: Text,
}

/// One table or clause of an instrument.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Number or short name, unique in the instrument.
    pub id: String,
    /// Clause and page.
    pub clause: String,
    /// Keys of the instrument's citations that show it.
    pub citations: Vec<String>,
    /// False if any of it was not read in the instrument itself.
    pub verified: bool,
    /// Why not, or how it is known.
    pub note: String,
    /// True if it holds only where an authority adopts it.
    pub where_adopted: bool,
    /// Line in the file at which it starts.
    pub line: u64,
    /// What it says.
    pub body: Body,
}

/// What a table says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "rows")]
pub enum Body {
    /// Limits: what must be met.
    Limit(Vec<Limit>),
    /// A piecewise linear scale.
    Breakpoints(Breakpoints),
    /// Closed bands with gaps between them (US AQI).
    Bands(Vec<Band>),
    /// Fewest data that make a statistic valid.
    Validity(Vec<Validity>),
    /// Named levels of an index.
    Level(Vec<Level>),
    /// Statistics that an assessment consists of.
    Item(Vec<Item>),
    /// How values are rounded.
    Rounding(Vec<RoundingRule>),
    /// Numbers and words that a method needs.
    Parameter(Vec<Parameter>),
    /// What starts a warning.
    Trigger(Vec<Trigger>),
    /// The state of the air that concentrations are stated at.
    Condition(Vec<Condition>),
}

impl Body {
    /// The rule kind as written in files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Breakpoints(_) => "breakpoints",
            Self::Bands(_) => "bands",
            Self::Validity(_) => "validity",
            Self::Level(_) => "level",
            Self::Item(_) => "item",
            Self::Rounding(_) => "rounding",
            Self::Parameter(_) => "parameter",
            Self::Trigger(_) => "trigger",
            Self::Condition(_) => "condition",
        }
    }
}

/// When a value breaks a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// Above the limit.
    Above,
    /// At the limit or above.
    AtOrAbove,
    /// Below the limit.
    Below,
}

impl Breach {
    /// True if `value` breaks `limit`.
    #[must_use]
    pub fn broken(self, value: Decimal, limit: Decimal) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtOrAbove => value >= limit,
            Self::Below => value < limit,
        }
    }
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub indicator: IndicatorId,
    /// Over what it is taken.
    pub statistic: StatisticId,
    /// Unit of the value.
    pub unit: UnitId,
    /// Stage it belongs to, `None` if the instrument has none.
    pub stage: Option<String>,
    /// Class of place or target level, `None` if the instrument has none.
    pub class: Option<String>,
    /// When it is broken.
    pub breach: Breach,
    /// The limit as printed.
    pub value: Decimal,
    /// False if the cell was not read in the instrument.
    pub verified: bool,
}

/// A piecewise linear scale: index values and, per indicator and statistic, the concentrations
/// at which they are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breakpoints {
    /// Name of the index, for example `IAQI`.
    pub output: String,
    /// Index values, increasing.
    pub index: Vec<Decimal>,
    /// One column per indicator and statistic.
    pub columns: Vec<BreakpointColumn>,
}

/// One column of a [`Breakpoints`] table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakpointColumn {
    /// What is measured.
    pub indicator: IndicatorId,
    /// Over what it is taken.
    pub statistic: StatisticId,
    /// Unit of the points.
    pub unit: UnitId,
    /// Concentrations, one per index value from the first; shorter than the index where the
    /// instrument prints a dash.
    pub points: Vec<Decimal>,
    /// What holds above the last point.
    pub above: Above,
}

/// What an index is above the last breakpoint of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Above {
    /// The last index value of the scale.
    Last,
    /// A fixed value (HJ 633-2026 Table 3, notes b and c).
    Fixed(Decimal),
    /// No index from this column (HJ 633-2012 Table 1, notes 2 and 3).
    None,
    /// The last segment is extended (US AQI).
    Extrapolate,
}

/// One band of an index that is defined by closed bands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// What is measured.
    pub indicator: IndicatorId,
    /// Over what it is taken.
    pub statistic: StatisticId,
    /// Unit of the concentrations.
    pub unit: UnitId,
    /// Name of the band.
    pub category: String,
    /// Lowest concentration.
    pub low: Decimal,
    /// Highest concentration, `None` if open.
    pub high: Option<Decimal>,
    /// Index at `low`.
    pub index_low: Decimal,
    /// Index at `high`, `None` if open.
    pub index_high: Option<Decimal>,
}

/// Fewest data that make a statistic valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// What is measured.
    pub indicator: IndicatorId,
    /// The statistic that needs the data.
    pub statistic: StatisticId,
    /// The data it needs.
    pub of: StatisticId,
    /// How many at least.
    pub at_least: Decimal,
    /// In what: `year`, `month`, `february`, `day`, `8h`, `hour`, `city`.
    pub per: String,
    /// A condition under which fewer are enough, for example `exceeds-limit`.
    pub unless: Option<String>,
    /// False if the row was not read in the instrument.
    pub verified: bool,
}

/// A named level of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Number of the level, from 1.
    pub level: u32,
    /// Lowest index value.
    pub low: Decimal,
    /// Highest index value, `None` if open.
    pub high: Option<Decimal>,
    /// Its name.
    pub name: Text,
    /// Colour as `#rrggbb`.
    pub colour: String,
    /// What it means for health, paraphrased.
    pub effect: Text,
    /// Advice, paraphrased.
    pub advice: Text,
}

/// A statistic that an assessment consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is measured.
    pub indicator: IndicatorId,
    /// The statistic judged, for example `annual-p98`.
    pub statistic: StatisticId,
    /// What it is taken of, for example `daily-mean`.
    pub of: StatisticId,
    /// Percentile in percent, `None` for a mean.
    pub percentile: Option<Decimal>,
    /// The statistic whose limit it is held against, for example `daily-mean` for a percentile of daily means.
    pub limit: StatisticId,
    /// Weight in a composite index, `None` if it has none.
    pub weight: Option<Decimal>,
    /// False if the row was not read in the instrument.
    pub verified: bool,
}

/// How a value is rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundingRule {
    /// What: an indicator id, or a named quantity such as `IAQI`, `exceedance-multiple`, `ratio-percent`.
    pub of: String,
    /// At which step: `input`, `evaluation`, `output`.
    pub step: String,
    /// Decimals kept.
    pub decimals: u32,
    /// How.
    pub rule: Rounding,
    /// False if the row was not read in the instrument.
    pub verified: bool,
}

/// A number or word that a method needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name, for example `window-hours`.
    pub name: String,
    /// The indicator it concerns, `None` for all.
    pub indicator: Option<IndicatorId>,
    /// Its value: a number as printed or a word from the method.
    pub value: String,
    /// Unit, empty for words and counts.
    pub unit: String,
    /// Clause of this row, if narrower than the table's.
    pub clause: String,
    /// False if the row was not read in the instrument.
    pub verified: bool,
}

impl Parameter {
    /// The value as a number, `None` if it is a word.
    #[must_use]
    pub fn number(&self) -> Option<Decimal> {
        self.value.parse().ok()
    }
}

/// One way to reach a warning level: `days` consecutive days with the metric above `above`, and
/// (if present) at least `with_days` of them above `with_above`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// Level, lowest first: `blue`, `yellow`, `orange`, `red`.
    pub level: String,
    /// What is compared, for example `AQI`.
    pub metric: String,
    /// Over what it is taken: `daily` or `running-24h-mean`.
    pub statistic: String,
    /// Value that must be exceeded.
    pub above: Decimal,
    /// For how long.
    pub days: Decimal,
    /// A higher value that must be exceeded within it.
    pub with_above: Option<Decimal>,
    /// On how many of the days.
    pub with_days: Option<Decimal>,
    /// False if the row was not read in the instrument.
    pub verified: bool,
}

/// The state of the air that concentrations are stated at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Indicators it concerns.
    pub indicator: IndicatorId,
    /// Days on which it holds.
    pub period: Period,
    /// Temperature in kelvin, `None` for ambient.
    pub temperature_k: Option<Decimal>,
    /// Pressure in hectopascal, `None` for ambient.
    pub pressure_hpa: Option<Decimal>,
}

/// Which rule: enough to find the line of the law.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleRef {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The table in it.
    pub table: String,
    /// Clause and page.
    pub clause: String,
    /// False if the rule was not read in the instrument: shown to users as such.
    pub verified: bool,
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.instrument, self.clause)?;
        if !self.verified {
            f.write_str(" (unverified)")?;
        }
        Ok(())
    }
}

impl Instrument {
    /// The stage that holds on `day`: `None` if the instrument has no stages or none holds.
    #[must_use]
    pub fn stage_on(&self, day: Date) -> Option<&Stage> {
        self.stages.iter().find(|s| s.period.contains(day))
    }

    /// The table with this id.
    #[must_use]
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.id == id)
    }

    /// Where a row of `table` stands; `row_verified` is false for a cell that was not read.
    #[must_use]
    pub fn rule_ref(&self, table: &Table, row_verified: bool) -> RuleRef {
        RuleRef {
            instrument: self.id.clone(),
            table: table.id.clone(),
            clause: table.clause.clone(),
            verified: table.verified && row_verified,
        }
    }

    /// Every breakpoint table with its table.
    pub fn breakpoints(&self) -> impl Iterator<Item = (&Table, &Breakpoints)> {
        self.tables.iter().filter_map(|t| match &t.body {
            Body::Breakpoints(b) => Some((t, b)),
            _ => None,
        })
    }
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident: $variant:ident;)*) => {
        impl Instrument {$(
            $(#[$doc])*
            pub fn $name(&self) -> impl Iterator<Item = (&Table, &$crate::rule::row::$variant)> {
                self.tables.iter().flat_map(|t| {
                    let rows = match &t.body {
                        Body::$variant(rows) => rows.as_slice(),
                        _ => &[],
                    };
                    rows.iter().map(move |row| (t, row))
                })
            }
        )*}
    };
}

/// Row types by the name of their [`Body`] variant.
mod row {
    pub use super::{
        Band as Bands, Condition, Item, Level, Limit, Parameter, RoundingRule as Rounding, Trigger,
        Validity,
    };
}

rows! {
    /// Every limit of the instrument with its table.
    limits: Limit;
    /// Every band with its table.
    bands: Bands;
    /// Every validity row with its table.
    validity: Validity;
    /// Every level with its table.
    levels: Level;
    /// Every item of assessment with its table.
    items: Item;
    /// Every rounding rule with its table.
    roundings: Rounding;
    /// Every parameter with its table.
    parameters: Parameter;
    /// Every trigger with its table.
    triggers: Trigger;
    /// Every reference state with its table.
    conditions: Condition;
}
