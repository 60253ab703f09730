//! The 0.1 microgram ledger: what of a year's mean is spent, by which days and stations, and what
//! the choices of counting are worth.
//!
//! 0.1 ug/m3 of an annual mean is 36.5 ug/m3 times a day; the worst day of a year may cost ten
//! times that. So every statement here comes with the spread that the counting itself has, and a
//! change smaller than its interval is "not distinguishable from zero".

use jiff::civil::Date;
use miyun_core::{Decimal, Period};
use serde::Serialize;

use crate::annual::{date_of, day_range};
use crate::daily::DaySeries;
use crate::exact::Exact;

/// A day and what it cost of the annual mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayCost {
    /// The day.
    pub date: Date,
    /// Its value.
    pub value: Exact,
    /// Its share of the annual mean: value / days of the year.
    pub cost: Exact,
    /// What it burnt above the allowed mean: (value - target) / days of the year.
    pub above: Exact,
}

/// A station and what it does to the city mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StationEffect {
    /// Position of the station in the input.
    pub station: usize,
    /// Its own mean of the days so far.
    pub mean: Option<Exact>,
    /// City mean with it minus city mean without it.
    pub effect: Option<f64>,
}

/// Quantiles of finishes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fan {
    /// Past years that were continued.
    pub years: usize,
    /// 5 %, 25 %, 50 %, 75 %, 95 % of the annual mean at the end of the year.
    pub quantiles: [f64; 5],
}

/// The ledger of one year.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// Days of the year.
    pub days_year: u32,
    /// Days with a valid value so far.
    pub days_valid: u32,
    /// Days over so far, valid or not.
    pub days_over: u32,
    /// Target as printed.
    pub target: Decimal,
    /// Mean of the valid days so far.
    pub mean: Option<Exact>,
    /// Allowance of the year in ug/m3 times days: target x days.
    pub allowance: Exact,
    /// Spent so far: mean x days over (days without a value are taken at the mean).
    pub spent: Option<Exact>,
    /// Left.
    pub left: Option<Exact>,
    /// Mean that the rest of the year may have; `None` when the year is over. Negative means the
    /// target cannot be met any more.
    pub allowed_mean: Option<Exact>,
    /// Days that cost most, worst first.
    pub worst: Vec<DayCost>,
    /// Stations.
    pub stations: Vec<StationEffect>,
    /// Finishes of the year if its rest is like the rest of a past year.
    pub fan: Option<Fan>,
}

/// The ledger of `year` over the days known up to `until` (included).
///
/// `city` are the city's valid daily values and `stations` those of its stations, all from
/// `first_day`; `past` are whole past years of the city (from 1 January, 365 or 366 values) that
/// the fan continues this year with.
#[must_use]
pub fn budget(
    first_day: Date,
    city: &DaySeries,
    stations: &[DaySeries],
    past: &[DaySeries],
    year: i16,
    until: Date,
    target: Decimal,
) -> Option<Budget> {
    let whole = Period::year(year)?;
    let days_year = u32::try_from((whole.until? - whole.from?).get_days()).ok()? + 1;
    let so_far = Period::days(whole.from?, until.min(whole.until?));
    let range = day_range(first_day, city.len(), &so_far);
    let days_over = u32::try_from((so_far.until? - so_far.from?).get_days() + 1).unwrap_or(0);
    let goal = Exact::from_decimal(target)?;
    let values: Vec<(Date, Exact)> = range
        .clone()
        .filter_map(|d| Some((date_of(first_day, d), city[d]?)))
        .collect();
    let mean = Exact::mean(values.iter().map(|(_, v)| *v));
    let allowance = goal.scale(i128::from(days_year), 1)?;
    let spent = mean.and_then(|m| m.scale(i128::from(days_over), 1));
    let left = spent.and_then(|s| allowance.checked_sub(s));
    let days_left = days_year.saturating_sub(days_over);
    let allowed_mean = left
        .filter(|_| days_left > 0)
        .and_then(|l| l.scale(1, i128::from(days_left)));
    let mut worst: Vec<DayCost> = values
        .iter()
        .filter_map(|(date, value)| {
            let cost = value.scale(1, i128::from(days_year))?;
            let above = value.checked_sub(goal)?.scale(1, i128::from(days_year))?;
            Some(DayCost {
                date: *date,
                value: *value,
                cost,
                above,
            })
        })
        .collect();
    worst.sort_by(|a, b| b.value.cmp(&a.value).then(a.date.cmp(&b.date)));
    worst.truncate(20);
    Some(Budget {
        days_year,
        days_valid: u32::try_from(values.len()).ok()?,
        days_over,
        target,
        mean,
        allowance,
        spent,
        left,
        allowed_mean,
        worst,
        stations: station_effects(stations, range),
        fan: fan(mean, days_over, days_year, past),
    })
}

/// Leave one station out: the mean over days of the mean over stations, with and without it.
fn station_effects(stations: &[DaySeries], range: std::ops::Range<usize>) -> Vec<StationEffect> {
    let mean_without = |skip: Option<usize>| -> Option<f64> {
        let days = range.clone().filter_map(|d| {
            let present: Vec<f64> = stations
                .iter()
                .enumerate()
                .filter(|(k, _)| Some(*k) != skip)
                .filter_map(|(_, s)| s.get(d).copied().flatten())
                .map(Exact::to_f64)
                .collect();
            (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
        });
        let days: Vec<f64> = days.collect();
        (!days.is_empty()).then(|| days.iter().sum::<f64>() / days.len() as f64)
    };
    let all = mean_without(None);
    (0..stations.len())
        .map(|k| StationEffect {
            station: k,
            mean: Exact::mean(
                stations[k]
                    .get(range.clone())
                    .unwrap_or(&[])
                    .iter()
                    .flatten()
                    .copied(),
            ),
            effect: all.zip(mean_without(Some(k))).map(|(a, w)| a - w),
        })
        .collect()
}

/// Continues this year's mean with the rest of each past year.
fn fan(mean: Option<Exact>, days_over: u32, days_year: u32, past: &[DaySeries]) -> Option<Fan> {
    let mean = mean?.to_f64();
    let mut finishes: Vec<f64> = past
        .iter()
        .filter_map(|year| {
            let rest: Vec<f64> = year
                .iter()
                .skip(days_over as usize)
                .flatten()
                .map(|v| v.to_f64())
                .collect();
            if days_over >= days_year {
                return Some(mean);
            }
            if rest.is_empty() {
                return None;
            }
            let rest_mean = rest.iter().sum::<f64>() / rest.len() as f64;
            let w = f64::from(days_over) / f64::from(days_year);
            Some(mean * w + rest_mean * (1.0 - w))
        })
        .collect();
    if finishes.is_empty() {
        return None;
    }
    finishes.sort_by(f64::total_cmp);
    Some(Fan {
        years: finishes.len(),
        quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| quantile(&finishes, q)),
    })
}

/// Linear quantile of sorted values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let k = q * (sorted.len() - 1) as f64;
    let s = k.floor() as usize;
    let next = sorted[(s + 1).min(sorted.len() - 1)];
    sorted[s] + (next - sorted[s]) * (k - s as f64)
}

/// A difference of two annual means with the interval that days alone give it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// Second mean minus first.
    pub change: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Resamples.
    pub resamples: usize,
    /// Days in a block.
    pub block_days: usize,
}

impl Change {
    /// True if the interval covers zero: the change must be called not distinguishable from zero.
    #[must_use]
    pub fn covers_zero(&self) -> bool {
        self.low <= 0.0 && 0.0 <= self.high
    }
}

/// The change of the mean from year `a` to year `b`, with a moving-block bootstrap interval over
/// blocks of `block_days`, which keep the weather of a fortnight together. `random` must give
/// uniform numbers in [0, 1).
#[must_use]
pub fn change(
    a: &DaySeries,
    b: &DaySeries,
    block_days: usize,
    resamples: usize,
    random: &mut dyn FnMut() -> f64,
) -> Option<Change> {
    let values = |s: &DaySeries| -> Vec<f64> { s.iter().flatten().map(|v| v.to_f64()).collect() };
    let (a, b) = (values(a), values(b));
    if a.len() < block_days || b.len() < block_days || block_days == 0 || resamples < 20 {
        return None;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let mut resample = |v: &[f64]| {
        let (mut sum, mut n) = (0.0, 0);
        while n < v.len() {
            let start =
                ((random() * (v.len() - block_days + 1) as f64) as usize).min(v.len() - block_days);
            for x in &v[start..start + block_days.min(v.len() - n)] {
                sum += x;
                n += 1;
            }
        }
        sum / n as f64
    };
    let mut changes: Vec<f64> = (0..resamples)
        .map(|_| resample(&b) - resample(&a))
        .collect();
    changes.sort_by(f64::total_cmp);
    Some(Change {
        change: mean(&b) - mean(&a),
        low: quantile(&changes, 0.025),
        high: quantile(&changes, 0.975),
        resamples,
        block_days,
    })
}

/// How many more days above the present percentile may come before it moves past `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PercentileHeadroom {
    /// Days above the limit so far.
    pub above: u32,
    /// Days above the limit that a year of `days_year` days may have.
    pub allowed: u32,
}

/// Days above `limit` so far, and how many a full year may have before its `percentile` exceeds it.
#[must_use]
pub fn percentile_headroom(
    values: &[Exact],
    limit: Exact,
    percentile: Decimal,
    days_year: u32,
) -> PercentileHeadroom {
    let above = u32::try_from(values.iter().filter(|v| **v > limit).count()).unwrap_or(u32::MAX);
    // The percentile sits at rank 1 + (n - 1) p: with m values above the limit it stays at or
    // below the limit as long as that rank lies among the n - m others.
    let n = Decimal::from(days_year);
    let rank = Decimal::ONE + (n - Decimal::ONE) * percentile / Decimal::ONE_HUNDRED;
    let allowed = (n - rank.ceil()).trunc();
    PercentileHeadroom {
        above,
        allowed: u32::try_from(allowed.mantissa()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::ONE;

    fn day(v: i64) -> Option<Exact> {
        Some(Exact::steps(v * ONE))
    }

    #[test]
    fn the_ledger_adds_up() {
        let first = Date::constant(2023, 1, 1);
        let city: DaySeries = (0..365)
            .map(|d| day(if d < 100 { 40 } else { 20 }))
            .collect();
        let b = budget(
            first,
            &city,
            std::slice::from_ref(&city),
            std::slice::from_ref(&city),
            2023,
            Date::constant(2023, 4, 10),
            Decimal::from(30),
        )
        .unwrap();
        assert_eq!((b.days_year, b.days_over, b.days_valid), (365, 100, 100));
        assert_eq!(b.spent.unwrap().to_f64(), 4_000.0);
        assert_eq!(b.left.unwrap().to_f64(), 365.0 * 30.0 - 4_000.0);
        let rest = b.allowed_mean.unwrap().to_f64();
        assert!(((4_000.0 + rest * 265.0) / 365.0 - 30.0).abs() < 1e-9);
        // The rest of the past year is 20: the finish is the whole year's mean.
        assert!((b.fan.unwrap().quantiles[2] - (4_000.0 + 20.0 * 265.0) / 365.0).abs() < 1e-9);
        let sum: f64 = city
            .iter()
            .take(100)
            .map(|v| v.unwrap().to_f64() / 365.0)
            .sum();
        assert!(
            (b.worst.iter().map(|w| w.cost.to_f64()).sum::<f64>() / 20.0 * 100.0 - sum).abs()
                < 1e-9
        );
    }

    #[test]
    fn equal_years_are_not_distinguishable() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        let noise: DaySeries = (0..365).map(|d| day(30 + (d * 37) % 60)).collect();
        let c = change(&noise, &noise, 14, 400, &mut random).unwrap();
        assert!(c.covers_zero() && c.low < c.high);
        let lower: DaySeries = noise
            .iter()
            .map(|v| v.map(|v| v.checked_sub(Exact::steps(25 * ONE)).unwrap()))
            .collect();
        let c = change(&noise, &lower, 14, 400, &mut random).unwrap();
        assert!(!c.covers_zero() && (c.change + 25.0).abs() < 1e-9);
    }

    #[test]
    fn the_percentile_moves_when_the_headroom_is_used() {
        let limit = Exact::steps(160 * ONE);
        let h = percentile_headroom(&[], limit, Decimal::from(90), 365);
        for extra in [0, 1] {
            let mut year: Vec<Exact> = (0..365)
                .map(|d| Exact::steps(if d < h.allowed + extra { 200 } else { 130 } * ONE))
                .collect();
            year.sort_unstable();
            let p = crate::annual::percentile(&year, Decimal::from(90)).unwrap();
            assert_eq!(p > limit, extra == 1, "{} days above", h.allowed + extra);
        }
    }
}
