//! Heavy-pollution warnings: which level a run of days reaches under a warning plan.

use jiff::civil::Date;
use miyun_core::rule::Trigger;
use miyun_core::{Decimal, Instrument, RuleRef};
use serde::Serialize;

use crate::annual::date_of;
use crate::index::Index;

/// A run of days that reaches a warning level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
    /// Highest level reached.
    pub level: String,
    /// The trigger that it meets, in words.
    pub why: String,
    /// Where it stands.
    pub rule: RuleRef,
}

const ORDER: [&str; 4] = ["blue", "yellow", "orange", "red"];

/// Runs of days that meet a trigger of `plan`, the highest level of each run. Plans act on
/// forecasts; this applies their triggers to what was measured.
#[must_use]
pub fn warnings(plan: &Instrument, first_day: Date, indices: &[Index]) -> Vec<Warning> {
    let triggers: Vec<(&Trigger, RuleRef)> = plan
        .triggers()
        .map(|(t, r)| (r, plan.rule_ref(t, r.verified)))
        .collect();
    let Some(lowest) = triggers.iter().map(|(t, _)| t.above).min() else {
        return Vec::new();
    };
    let above = |d: usize, v: Decimal| indices[d].aqi.is_some_and(|a| Decimal::from(a) > v);
    let mut out = Vec::new();
    let mut d = 0;
    while d < indices.len() {
        if !above(d, lowest) {
            d += 1;
            continue;
        }
        let end = (d..indices.len())
            .find(|e| !above(*e, lowest))
            .unwrap_or(indices.len());
        let best = triggers
            .iter()
            .filter(|(t, _)| reached(t, d..end, &above))
            .max_by_key(|(t, _)| ORDER.iter().position(|o| *o == t.level));
        if let Some((t, rule)) = best {
            out.push(Warning {
                from: date_of(first_day, d),
                until: date_of(first_day, end - 1),
                level: t.level.clone(),
                why: match t.with_above.zip(t.with_days) {
                    Some((a, n)) => format!("{} days above {} with {n} above {a}", t.days, t.above),
                    None => format!("{} days above {}", t.days, t.above),
                },
                rule: rule.clone(),
            });
        }
        d = end;
    }
    out
}

/// True if some stretch inside `run` stays above the trigger long enough.
fn reached(
    t: &Trigger,
    run: std::ops::Range<usize>,
    above: &dyn Fn(usize, Decimal) -> bool,
) -> bool {
    let mut length = Decimal::ZERO;
    let mut high = Decimal::ZERO;
    for d in run {
        if !above(d, t.above) {
            (length, high) = (Decimal::ZERO, Decimal::ZERO);
            continue;
        }
        length += Decimal::ONE;
        high += Decimal::from(u8::from(t.with_above.is_some_and(|w| above(d, w))));
        if length >= t.days && t.with_days.is_none_or(|n| high >= n) {
            return true;
        }
    }
    false
}
