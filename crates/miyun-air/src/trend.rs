//! Trends of monthly means: Theil-Sen and Mann-Kendall, plain and seasonal.
//!
//! Statistics, not prescribed rounding: floats. Four years of monthly data with a season in them
//! say nothing without the seasonal form.

use jiff::civil::Date;
use miyun_core::Period;
use serde::Serialize;

use crate::annual::months;
use crate::daily::DaySeries;
use crate::edition::AnnualItem;
use crate::exact::Exact;

/// A monthly mean and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Month {
    /// Year.
    pub year: i16,
    /// Month, from 1.
    pub month: i8,
    /// Mean of the valid days, `None` if there are too few.
    pub mean: Option<f64>,
    /// Valid days.
    pub days: u32,
}

/// Result of a trend test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// Median slope per year.
    pub slope_per_year: f64,
    /// 95 % interval of the slope (normal approximation of Kendall's S).
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// Kendall's S.
    pub s: i64,
    /// Standard normal deviate with continuity correction.
    pub z: f64,
    /// Two-sided p value.
    pub p: f64,
}

/// Both forms of a trend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trends {
    /// Months with a valid mean.
    pub months: usize,
    /// Over all pairs of months; misleading where there is a season.
    pub plain: Option<Trend>,
    /// Over pairs of the same calendar month.
    pub seasonal: Option<Trend>,
}

/// Monthly means from the first to the last day; a month is valid with as many days as an annual
/// item needs of it.
#[must_use]
pub fn monthly(first_day: Date, days: &DaySeries, item: &AnnualItem) -> Vec<Month> {
    if days.is_empty() {
        return Vec::new();
    }
    months(first_day, days.len(), &Period::default())
        .into_iter()
        .map(|(year, month, range)| {
            let values = days[range].iter().flatten().copied();
            let n = u32::try_from(values.clone().count()).unwrap_or(u32::MAX);
            let enough = item.days_of(month).is_none_or(|need| n >= need);
            Month {
                year,
                month,
                mean: if enough {
                    Exact::mean(values).map(Exact::to_f64)
                } else {
                    None
                },
                days: n,
            }
        })
        .collect()
}

/// Trends of monthly means.
///
/// # Source
/// Sen 1968, Mann 1945, Kendall 1975; seasonal form: Hirsch, Slack and Smith 1982. Variance with
/// correction for ties.
#[must_use]
pub fn trends(months: &[Month]) -> Trends {
    // Time in months from the first, so that a missing month keeps its place.
    let points: Vec<(usize, f64)> = months
        .iter()
        .enumerate()
        .filter_map(|(i, m)| Some((i, m.mean?)))
        .collect();
    let seasons: Vec<Vec<(usize, f64)>> = (1..=12)
        .map(|k| {
            points
                .iter()
                .copied()
                .filter(|(i, _)| months[*i].month == k)
                .collect()
        })
        .collect();
    Trends {
        months: points.len(),
        plain: test(std::slice::from_ref(&points)),
        seasonal: test(&seasons),
    }
}

fn test(groups: &[Vec<(usize, f64)>]) -> Option<Trend> {
    let mut slopes = Vec::new();
    let (mut s, mut variance) = (0i64, 0.0);
    for group in groups {
        for (k, (i, a)) in group.iter().enumerate() {
            for (j, b) in &group[k + 1..] {
                slopes.push((b - a) / ((j - i) as f64 / 12.0));
                s += i64::from(b > a) - i64::from(b < a);
            }
        }
        variance += kendall_variance(group);
    }
    if slopes.is_empty() || variance <= 0.0 {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let z = match s {
        0 => 0.0,
        s => (s - s.signum()) as f64 / variance.sqrt(),
    };
    // Sen's interval: ranks (N -+ z sqrt(var)) / 2 among the slopes.
    let (n, c) = (slopes.len() as f64, 1.959_963_984_540_054 * variance.sqrt());
    let rank = |r: f64| slopes[(r.round().max(0.0) as usize).min(slopes.len() - 1)];
    Some(Trend {
        slope_per_year: median(&slopes),
        low: rank((n - c) / 2.0 - 1.0),
        high: rank((n + c) / 2.0),
        s,
        z,
        p: erfc(z.abs() / std::f64::consts::SQRT_2),
    })
}

fn kendall_variance(group: &[(usize, f64)]) -> f64 {
    let n = group.len() as f64;
    let mut values: Vec<f64> = group.iter().map(|(_, v)| *v).collect();
    values.sort_by(f64::total_cmp);
    let term = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let ties: f64 = values
        .chunk_by(|a, b| a == b)
        .map(|c| term(c.len() as f64))
        .sum();
    (term(n) - ties) / 18.0
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n % 2 == 1 {
        sorted[n / 2]
    } else {
        (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0
    }
}

/// Complementary error function for x >= 0, to 1e-12: series below 2.5, continued fraction above.
fn erfc(x: f64) -> f64 {
    if x < 2.5 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-17 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        1.0 - sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut f = 0.0;
        for k in (1..=60).rev() {
            f = f64::from(k) / 2.0 / (x + f);
        }
        (-x * x).exp() / std::f64::consts::PI.sqrt() / (x + f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_right() {
        for (x, want) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_1),
            (2.4, 6.885_138_966_450_786e-4),
            (2.6, 2.360_344_165_293_492e-4),
            (4.0, 1.541_725_790_028_002e-8),
        ] {
            assert!((erfc(x) - want).abs() < 1e-12, "{x}: {}", erfc(x));
        }
    }

    #[test]
    fn a_straight_line_has_its_slope_and_a_season_alone_has_none() {
        let month = |i: usize, mean| Month {
            year: 2013 + (i / 12) as i16,
            month: (i % 12) as i8 + 1,
            mean: Some(mean),
            days: 30,
        };
        let line: Vec<Month> = (0..48).map(|i| month(i, 10.0 + i as f64 / 12.0)).collect();
        let t = trends(&line);
        assert!((t.plain.unwrap().slope_per_year - 1.0).abs() < 1e-12);
        assert!((t.seasonal.unwrap().slope_per_year - 1.0).abs() < 1e-12);
        let season: Vec<Month> = (0..48)
            .map(|i| month(i, if i % 12 < 6 { 5.0 } else { 50.0 }))
            .collect();
        let t = trends(&season);
        assert_eq!(
            t.seasonal.map(|t| t.slope_per_year),
            None,
            "no variance left inside the seasons"
        );
    }
}
