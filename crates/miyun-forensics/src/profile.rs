//! Habits of one series: how often it repeats a value at each level, how far it moves in an hour,
//! where its lowest values lie.

use crate::MISSING;

/// Half octaves of value, from 10^-6 to 10^12 of the stored step.
const LEVELS: usize = 128;
/// Repeats of one run that count: long runs must not teach the series that they are usual.
const REPEATS_COUNTED: usize = 5;
/// Pairs that a level must have to speak for itself.
const PAIRS_MIN: u32 = 200;

/// Habits of one series.
pub(crate) struct Profile {
    /// Keys of the values, sorted.
    sorted: Vec<u32>,
    /// Probability of a repeat by level, negative decimal logarithm.
    repeat: Vec<f64>,
    /// Mean change of an hour by level, in the canonical unit.
    change: Vec<f32>,
}

/// Steps of a key: 10^-4 of the unit, finer than any instrument, coarse enough for half the width.
const KEY: i64 = 100;

fn key(raw: i64) -> u32 {
    u32::try_from((raw / KEY).max(0)).unwrap_or(u32::MAX)
}

fn level(raw: i64) -> usize {
    if raw <= 0 {
        return 0;
    }
    // The exponent, and whether the mantissa lies above the square root of two.
    let e = raw.ilog2() as usize;
    let above = (raw as f64) >= std::f64::consts::SQRT_2 * (1u64 << e) as f64;
    (2 * e + usize::from(above)).min(LEVELS - 1)
}

#[derive(Clone, Copy, Default)]
struct Counts {
    pairs: u32,
    repeats: u32,
    change: f64,
}

impl Profile {
    pub(crate) fn of(raw: &[i64]) -> Self {
        let mut sorted: Vec<u32> = raw
            .iter()
            .filter(|v| **v != MISSING)
            .map(|v| key(*v))
            .collect();
        sorted.sort_unstable();
        let mut by = [Counts::default(); LEVELS];
        let mut run = 0;
        for pair in raw.windows(2) {
            if pair[0] == MISSING || pair[1] == MISSING {
                run = 0;
                continue;
            }
            if pair[0] == pair[1] {
                run += 1;
                if run > REPEATS_COUNTED {
                    continue;
                }
            } else {
                run = 0;
            }
            let c = &mut by[level(pair[0])];
            c.pairs += 1;
            c.repeats += u32::from(pair[0] == pair[1]);
            c.change += (pair[1].saturating_sub(pair[0])).unsigned_abs() as f64 * 1e-6;
        }
        let all = by.iter().fold(Counts::default(), |a, c| Counts {
            pairs: a.pairs + c.pairs,
            repeats: a.repeats + c.repeats,
            change: a.change + c.change,
        });
        let rated = |c: &Counts| {
            let c = if c.pairs < PAIRS_MIN { &all } else { c };
            let p = (f64::from(c.repeats) + 1.0) / (f64::from(c.pairs) + 2.0);
            (
                -p.clamp(0.01, 0.99).log10(),
                (c.change / f64::from(c.pairs.max(1))) as f32,
            )
        };
        let (repeat, change) = by.iter().map(rated).unzip();
        Self {
            sorted,
            repeat,
            change,
        }
    }

    /// How many values.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Powers of ten by which a run of `n` values of `raw` is away from chance.
    pub(crate) fn surprise(&self, raw: i64, n: usize) -> f64 {
        n.saturating_sub(1) as f64 * self.repeat[level(raw)]
    }

    /// Mean change of an hour at the level of `raw`, in the canonical unit.
    pub(crate) fn change(&self, raw: i64) -> f32 {
        self.change[level(raw)]
    }

    /// Share of the values below `raw`, and share equal to it.
    pub(crate) fn share(&self, raw: i64) -> (f64, f64) {
        let n = self.sorted.len().max(1) as f64;
        let key = key(raw);
        let below = self.sorted.partition_point(|v| *v < key);
        let up_to = self.sorted.partition_point(|v| *v <= key);
        (below as f64 / n, (up_to - below) as f64 / n)
    }

    /// Quantile, by the nearest rank, in the canonical unit.
    pub(crate) fn quantile(&self, p: f64) -> Option<f32> {
        let last = self.sorted.len().checked_sub(1)?;
        let at = (p * last as f64).round() as usize;
        Some((f64::from(self.sorted[at.min(last)]) * KEY as f64 * 1e-6) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_with_values_and_never_leave_the_table() {
        let mut before = 0;
        for e in 0..63 {
            for raw in [1i64 << e, (1i64 << e) + (1i64 << e) / 2] {
                assert!(level(raw) >= before && level(raw) < LEVELS, "{raw}");
                before = level(raw);
            }
        }
        assert_eq!(level(-5), 0);
        assert_eq!(level(i64::MAX), 125);
    }

    #[test]
    fn a_coarse_series_expects_repeats_and_a_fine_one_does_not() {
        // Every value three times over, and no value twice.
        let coarse: Vec<i64> = (0..3_000).map(|h| 1_000_000 * (20 + (h / 3) % 7)).collect();
        let fine: Vec<i64> = (0..3_000).map(|h| 1_000_000 * (20 + h * 37 % 41)).collect();
        let (c, f) = (Profile::of(&coarse), Profile::of(&fine));
        assert!(c.surprise(22_000_000, 6) < 2.0);
        assert!(f.surprise(22_000_000, 6) > 9.0);
        assert_eq!(c.share(20_000_000).0, 0.0);
    }
}
