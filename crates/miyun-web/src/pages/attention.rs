//! What needs somebody's attention, worst first.

use miyun_air::annual::date_of;
use miyun_assess::air::AirEvaluation;
use miyun_core::Text;
use miyun_plan::{PlanStatus, Standing};

use crate::show;

/// One thing that needs attention.
pub(super) struct Item {
    /// Class of the sign: `bad`, `warn`, `none`.
    pub class: &'static str,
    /// The sign.
    pub sign: &'static str,
    /// What it is.
    pub text: Text,
    /// Where it leads.
    pub link: String,
}

/// At most `most` things: measures that are behind, heavy days of late, stations without enough
/// data.
pub(super) fn items(status: &PlanStatus, air: Option<&AirEvaluation>, most: usize) -> Vec<Item> {
    let mut out = Vec::new();
    for m in &status.measures {
        let (class, sign, zh, en) = match m.standing {
            Standing::Missed => ("bad", "×", "未完成", "missed"),
            Standing::AtRisk => ("warn", "!", "有风险", "at risk"),
            _ => continue,
        };
        let worst: Vec<&str> = m
            .indicators
            .iter()
            .filter(|i| i.standing == m.standing)
            .map(|i| i.indicator.indicator.as_str())
            .collect();
        let names = |lang| {
            worst
                .iter()
                .map(|i| show::indicator(lang, i))
                .collect::<Vec<_>>()
                .join(", ")
        };
        use miyun_core::text::Lang::{En, Zh};
        out.push(Item {
            class,
            sign,
            text: Text::new(
                format!(
                    "{} {}：{zh}（{}）",
                    m.measure.row,
                    m.measure.title.zh,
                    names(Zh)
                ),
                format!(
                    "{} {}: {en} ({})",
                    m.measure.row,
                    m.measure.title.en,
                    names(En)
                ),
            ),
            link: format!("/plan/{}/{}", status.plan, m.measure.row),
        });
    }
    if let Some(ev) = air {
        out.extend(heavy(ev));
        out.extend(thin(ev));
    }
    out.truncate(most);
    out
}

/// Days of level 4 and worse among the last thirty.
fn heavy(ev: &AirEvaluation) -> Option<Item> {
    let range = ev.range();
    let from = range.end.saturating_sub(30).max(range.start);
    let days: Vec<usize> = (from..range.end)
        .filter(|d| ev.city.indices[*d].level.is_some_and(|l| l >= 4))
        .collect();
    let last = date_of(ev.first_day, *days.last()?);
    Some(Item {
        class: "warn",
        sign: "!",
        text: Text::new(
            format!(
                "近 30 天有 {} 天为四级及以上，最近一天是 {last}",
                days.len()
            ),
            format!(
                "{} of the last 30 days were of level 4 or worse, the latest on {last}",
                days.len()
            ),
        ),
        link: format!("/map?at={last}"),
    })
}

/// Stations with days without a published index among the last thirty.
fn thin(ev: &AirEvaluation) -> Option<Item> {
    let range = ev.range();
    let from = range.end.saturating_sub(30).max(range.start);
    let (station, missing) = ev
        .stations
        .iter()
        .map(|s| {
            (
                s,
                (from..range.end)
                    .filter(|d| s.indices[*d].aqi.is_none())
                    .count(),
            )
        })
        .max_by_key(|(_, n)| *n)
        .filter(|(_, n)| *n >= 3)?;
    Some(Item {
        class: "none",
        sign: "?",
        text: Text::new(
            format!(
                "{}：近 30 天有 {missing} 天数据不足，没有指数",
                station.subject.name.zh
            ),
            format!(
                "{}: {missing} of the last 30 days have too few data for an index",
                station.subject.name.en
            ),
        ),
        link: format!("/air/station/{}", station.subject.id),
    })
}
