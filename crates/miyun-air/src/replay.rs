//! What changes when another edition judges the same air.

use jiff::civil::Date;
use miyun_core::{IndicatorId, RuleRef};
use serde::Serialize;

use crate::annual::{date_of, day_range};
use crate::daily::DaySeries;
use crate::edition::Edition;
use crate::exact::{Exact, steps_of};
use crate::index::Index;

/// One daily limit that a day meets under one edition and not under the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// The day.
    pub date: Date,
    /// What was measured.
    pub indicator: IndicatorId,
    /// The daily value.
    pub value: Exact,
    /// Limit before, as printed, and where it stands.
    pub limit_a: (String, RuleRef),
    /// Limit after.
    pub limit_b: (String, RuleRef),
    /// True if the day is attained under the first edition.
    pub attained_a: bool,
    /// True if it is attained under the second.
    pub attained_b: bool,
}

/// A day whose level of the index differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelFlip {
    /// The day.
    pub date: Date,
    /// Index and level under the first edition.
    pub a: (Option<u16>, Option<u8>),
    /// Under the second.
    pub b: (Option<u16>, Option<u8>),
}

/// Daily limits whose verdict differs between the editions `a` and `b`, over `period`. `days_a`
/// and `days_b` are the valid days under each, because validity may differ too.
#[must_use]
pub fn flips(
    a: &Edition,
    days_a: &[DaySeries],
    b: &Edition,
    days_b: &[DaySeries],
    first_day: Date,
    period: &miyun_core::Period,
) -> Vec<Flip> {
    let mut out = Vec::new();
    for (k, slot) in a.slots.iter().enumerate() {
        let Some(j) = b.slot(slot.indicator.as_str(), slot.statistic.as_str()) else {
            continue;
        };
        let (Some(la), Some(lb)) = (&slot.limit, &b.slots[j].limit) else {
            continue;
        };
        for d in day_range(first_day, days_a[k].len(), period) {
            let (Some(v), Some(w)) = (days_a[k][d], days_b[j][d]) else {
                continue;
            };
            let met = |e: &Edition, s: usize, v: Exact| {
                let p = &e.slots[s].rounding.value;
                let l = e.slots[s].limit.as_ref().map_or(0, |l| l.value.steps);
                steps_of(v.round(p.decimals, p.rule)).is_some_and(|c| c <= l)
            };
            let (ma, mb) = (met(a, k, v), met(b, j, w));
            if ma != mb {
                out.push(Flip {
                    date: date_of(first_day, d),
                    indicator: slot.indicator.clone(),
                    value: v,
                    limit_a: (la.value.limit.value.to_string(), la.rule.clone()),
                    limit_b: (lb.value.limit.value.to_string(), lb.rule.clone()),
                    attained_a: ma,
                    attained_b: mb,
                });
            }
        }
    }
    out.sort_by(|x, y| (x.date, &x.indicator).cmp(&(y.date, &y.indicator)));
    out
}

/// Days whose level differs.
#[must_use]
pub fn level_flips(
    a: &[Index],
    b: &[Index],
    first_day: Date,
    period: &miyun_core::Period,
) -> Vec<LevelFlip> {
    day_range(first_day, a.len().min(b.len()), period)
        .filter(|d| a[*d].level != b[*d].level)
        .map(|d| LevelFlip {
            date: date_of(first_day, d),
            a: (a[d].aqi, a[d].level),
            b: (b[d].aqi, b[d].level),
        })
        .collect()
}
