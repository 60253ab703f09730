//! Where a plan stands on a day.

use miyun_core::{Assessment, Date, Decimal, Period, Text};
use serde::Serialize;

use crate::{Chapter, Direction, Indicator, Measure, Plan, Target};

/// A figure of an indicator's period so far, as the binder brings it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The assessment over the period up to the day, with its trace.
    pub assessment: Assessment,
    /// Last day that the data cover.
    pub data_until: Date,
    /// The value projected to the end of the period, with a 90 % interval, if past years allow one.
    pub forecast: Option<(f64, f64, f64)>,
}

/// Where figures come from.
pub trait Figures {
    /// The figure of an indicator over `period` as far as `on`, `None` without data.
    fn figure(&self, indicator: &Indicator, period: &Period, on: Date) -> Option<Figure>;
    /// The limit in force for the indicator on a day, with its clause.
    fn limit(&self, indicator: &Indicator, on: Date) -> Option<(Decimal, String)>;
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The period is over and the target was met.
    Attained,
    /// On the good side of the target so far, and the forecast stays there.
    OnTrack,
    /// On the bad side so far, or the forecast crosses the target, with time left.
    AtRisk,
    /// The period is over and the target was not met.
    Missed,
    /// Bound, but there are no data, or too few to judge.
    NoData,
    /// No indicator yet.
    NotBound,
}

impl Standing {
    /// In words.
    #[must_use]
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::Attained => ("已完成", "attained"),
            Self::OnTrack => ("正常", "on track"),
            Self::AtRisk => ("有风险", "at risk"),
            Self::Missed => ("未完成", "missed"),
            Self::NoData => ("无数据", "no data"),
            Self::NotBound => ("未绑定指标", "not yet bound"),
        };
        Text::new(zh, en)
    }
}

/// One indicator on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndicatorStatus {
    /// The indicator.
    pub indicator: Indicator,
    /// Period that counts.
    pub period: Option<Period>,
    /// Target as a number, where it could be resolved.
    pub target: Option<Decimal>,
    /// Clause of the target, if it is a limit.
    pub target_clause: String,
    /// The figure.
    pub figure: Option<Figure>,
    /// Share of the period that is over, 0 to 1.
    pub elapsed: f64,
    /// Where it stands.
    pub standing: Standing,
    /// What an officer would say.
    pub words: Text,
}

/// One measure on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureStatus {
    /// The measure.
    pub measure: Measure,
    /// The worst of its indicators.
    pub standing: Standing,
    /// Its indicators.
    pub indicators: Vec<IndicatorStatus>,
}

/// How much of the plan is really watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// Measures.
    pub measures: usize,
    /// Of these, bound to an indicator.
    pub bound: usize,
    /// Of these, with data enough to judge.
    pub judged: usize,
}

/// A plan on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanStatus {
    /// Plan id.
    pub plan: String,
    /// Its title.
    pub title: Text,
    /// The day.
    pub on: Date,
    /// Chapters.
    pub chapters: Vec<Chapter>,
    /// Measures.
    pub measures: Vec<MeasureStatus>,
    /// Coverage.
    pub coverage: Coverage,
    /// True for a simulated city.
    pub simulated: bool,
}

/// Where each measure of `plan` stands on `on`.
#[must_use]
pub fn status(plan: &Plan, on: Date, figures: &dyn Figures) -> PlanStatus {
    let measures: Vec<MeasureStatus> = plan
        .measures
        .iter()
        .map(|m| {
            let indicators: Vec<IndicatorStatus> = m
                .indicators
                .iter()
                .map(|i| indicator(i, on, figures))
                .collect();
            MeasureStatus {
                standing: worst(&indicators),
                measure: m.clone(),
                indicators,
            }
        })
        .collect();
    let judged = |m: &&MeasureStatus| !matches!(m.standing, Standing::NoData | Standing::NotBound);
    let coverage = Coverage {
        measures: measures.len(),
        bound: measures.iter().filter(|m| !m.indicators.is_empty()).count(),
        judged: measures.iter().filter(judged).count(),
    };
    PlanStatus {
        plan: plan.id.clone(),
        title: plan.title.clone(),
        on,
        chapters: plan.chapters.clone(),
        measures,
        coverage,
        simulated: plan.simulated,
    }
}

/// The worst of the indicators that can be judged; a measure is without data only if all are.
fn worst(indicators: &[IndicatorStatus]) -> Standing {
    if indicators.is_empty() {
        return Standing::NotBound;
    }
    indicators
        .iter()
        .map(|i| i.standing)
        .filter(|s| *s != Standing::NoData)
        .max()
        .unwrap_or(Standing::NoData)
}

fn indicator(i: &Indicator, on: Date, figures: &dyn Figures) -> IndicatorStatus {
    let mut out = IndicatorStatus {
        indicator: i.clone(),
        period: i.period_on(on),
        target: None,
        target_clause: String::new(),
        figure: None,
        elapsed: 0.0,
        standing: Standing::NoData,
        words: Text::new("无数据", "no data"),
    };
    let Some(period) = out.period else {
        out.words = Text::new("尚未开始", "has not begun");
        return out;
    };
    let (Some(from), Some(due)) = (period.from, period.until) else {
        return out;
    };
    let days = f64::from((due - from).get_days() + 1);
    out.elapsed = (f64::from((on.min(due) - from).get_days() + 1) / days).clamp(0.0, 1.0);
    (out.target, out.target_clause) = match i.target {
        Target::Value(v) => (Some(v), String::new()),
        Target::Limit => figures
            .limit(i, due)
            .map_or((None, String::new()), |(v, c)| (Some(v), c)),
    };
    out.figure = figures.figure(i, &period, on);
    let over = on >= due;
    // What cannot be counted says why.
    if let Some(a) = out.figure.as_ref().map(|f| &f.assessment)
        && a.value.is_none()
        && !a.sufficiency.missing.is_empty()
    {
        let missing = a.sufficiency.missing.join("; ");
        out.words = Text::new("无数据，原因见推导", format!("no data ({missing})"));
    }
    let Some((figure, value, target)) = out
        .figure
        .as_ref()
        .and_then(|f| Some((f, f.assessment.value?, out.target?)))
    else {
        return out;
    };
    // A period that is over is judged on data of the whole period, or not at all.
    let whole = figure.data_until >= due;
    if over && !(whole && figure.assessment.sufficiency.valid) {
        out.words = Text::new(
            format!(
                "{value} {}，有效日不足，不能判定（{}）",
                i.unit,
                figure.assessment.sufficiency.missing.join("；")
            ),
            format!(
                "{value} {}, not enough valid days to judge ({})",
                i.unit,
                figure.assessment.sufficiency.missing.join("; ")
            ),
        );
        return out;
    }
    let good = |v: Decimal| match i.direction {
        Direction::AtMost => v <= target,
        Direction::AtLeast => v >= target,
    };
    out.standing = match (over, good(value)) {
        (true, true) => Standing::Attained,
        (true, false) => Standing::Missed,
        (false, met) => early(i, met, target, figure.forecast),
    };
    out.words = words(i, value, target, out.elapsed, figure, over);
    out
}

/// Before the due day: on track only if the figure so far is good and the upper half of the
/// forecast does not cross the target.
fn early(i: &Indicator, met: bool, target: Decimal, forecast: Option<(f64, f64, f64)>) -> Standing {
    let t: f64 = target.to_string().parse().unwrap_or(f64::NAN);
    let safe = forecast.is_none_or(|(_, mid, _)| match i.direction {
        Direction::AtMost => mid <= t,
        Direction::AtLeast => mid >= t,
    });
    if met && safe {
        Standing::OnTrack
    } else {
        Standing::AtRisk
    }
}

fn words(
    i: &Indicator,
    value: Decimal,
    target: Decimal,
    elapsed: f64,
    figure: &Figure,
    over: bool,
) -> Text {
    let (zh, en) = match i.direction {
        Direction::AtMost => ("至多", "at most"),
        Direction::AtLeast => ("至少", "at least"),
    };
    let percent = (elapsed * 100.0).round();
    let mut z = format!("{value}，目标{zh} {target} {}", i.unit);
    let mut e = format!("{value} of {en} {target} {}", i.unit);
    if !over {
        z.push_str(&format!("；期间已过 {percent} %"));
        e.push_str(&format!("; {percent} % of the time gone"));
        if let Some((low, mid, high)) = figure.forecast {
            z.push_str(&format!("；按此趋势期末 {mid:.1}（{low:.1}–{high:.1}）"));
            e.push_str(&format!(
                "; at this pace {mid:.1} ({low:.1} to {high:.1}) at the end"
            ));
        }
    }
    Text::new(z, e)
}
