//! Sub-indices, the air quality index, its level and its primary pollutants.

use miyun_core::decimal::Rounding;
use miyun_core::{Decimal, IndicatorId};
use serde::Serialize;
use smallvec::SmallVec;

use crate::daily::RoundedDays;
use crate::edition::{Cited, Edition, HourSlot, Places, Scale};
use crate::exact::{Exact, round_div};
use crate::hours::{Hours, MISSING};

/// Whether an index rests on all indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completeness {
    /// All indicators have a valid value.
    Full,
    /// Some are missing and the index is published because it is high enough (HJ 633-2026, 5.3.1).
    Partial,
    /// Some are missing and the index is not published.
    #[serde(rename = "NA")]
    None,
    /// No indicator has a valid value.
    NoData,
}

impl Completeness {
    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "NA",
            Self::NoData => "no-data",
        }
    }
}

/// What an edition without a completeness rule does with days that miss an indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    /// As the edition says; an edition that says nothing publishes only complete days.
    AsEdition,
    /// The index is published above this value whatever the edition says.
    PublishAbove(i64),
}

/// Sub-indices by slot. A country's year has a million days: each is one piece of memory.
pub type Subs = SmallVec<[Option<u16>; 8]>;

/// The index of one day or hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// One sub-index per slot of the edition; `None` where there is no valid value or no index.
    pub sub: Subs,
    /// The published index.
    pub aqi: Option<u16>,
    /// Its level, from 1.
    pub level: Option<u8>,
    /// Slots with the largest sub-index, if the index is above the threshold.
    pub primary: SmallVec<[usize; 2]>,
    /// Completeness.
    pub status: Completeness,
    /// The largest sub-index, also where it is not published.
    pub max: Option<u16>,
}

impl Scale {
    /// The sub-index of a concentration (10^-6 units, already rounded): exact linear
    /// interpolation, then rounded under `rounding`. `None` where the instrument gives none.
    ///
    /// # Clause
    /// HJ 633-2012 4.3, HJ 633-2026 4.2.
    #[must_use]
    pub fn sub_index(&self, concentration: i64, rounding: Rounding) -> Option<u16> {
        let c = concentration.max(*self.points.first()?);
        let last = self.points.len() - 1;
        if c > self.points[last] {
            return self.above.and_then(|v| u16::try_from(v).ok());
        }
        let k = self.points.partition_point(|p| *p < c).max(1);
        let (lo, hi) = (self.points[k - 1], self.points[k]);
        let (ilo, ihi) = (self.index[k - 1], self.index[k]);
        let rise = i128::from(ihi - ilo) * i128::from(c - lo);
        let index = i128::from(ilo) + round_div(rise, i128::from(hi - lo), rounding);
        u16::try_from(index).ok()
    }
}

/// `value` rounded for comparison or index, in 10^-6 units.
#[must_use]
pub fn rounded_steps(sum: i64, n: u8, places: &Places) -> i64 {
    let unit = 10i64.pow(miyun_core::observation::VALUE_SCALE - places.decimals.min(6));
    let q = round_div(
        i128::from(sum),
        i128::from(n) * i128::from(unit),
        places.rule,
    );
    i64::try_from(q).map_or(i64::MAX, |q| q.saturating_mul(unit))
}

impl Edition {
    /// The level of an index value, from 1.
    #[must_use]
    pub fn level(&self, aqi: u16) -> Option<u8> {
        let v = Decimal::from(aqi);
        self.levels
            .iter()
            .rev()
            .find(|l| l.value.low <= v)
            .and_then(|l| u8::try_from(l.value.level).ok())
    }

    /// The sub-index of a value of `slot`, `None` if the slot takes no part in the index.
    #[must_use]
    pub fn sub_index(&self, slot: usize, value: Exact) -> Option<u16> {
        let slot = self.slots.get(slot)?;
        let places = &slot.rounding.value;
        let c = value.round_steps(places.decimals, places.rule)?;
        slot.scale
            .as_ref()?
            .value
            .sub_index(c, self.index_rounding.value.rule)
    }

    /// The index from sub-indices; `complete` says whether every indicator has a valid value.
    #[must_use]
    pub fn index(&self, sub: impl Into<Subs>, complete: bool, incomplete: Incomplete) -> Index {
        let sub = sub.into();
        let max = sub.iter().flatten().copied().max();
        let threshold = match incomplete {
            Incomplete::AsEdition => self.incomplete_above.as_ref().map(|c| c.value),
            Incomplete::PublishAbove(v) => Some(v),
        };
        let status = match max {
            Some(_) if complete => Completeness::Full,
            Some(m) if threshold.is_some_and(|t| i64::from(m) > t) => Completeness::Partial,
            Some(_) => Completeness::None,
            None => Completeness::NoData,
        };
        let aqi = max.filter(|_| matches!(status, Completeness::Full | Completeness::Partial));
        let primary = match aqi {
            Some(a) if i64::from(a) > self.primary_above.value => {
                (0..sub.len()).filter(|i| sub[*i] == Some(a)).collect()
            }
            _ => SmallVec::new(),
        };
        Index {
            level: aqi.and_then(|a| self.level(a)),
            aqi,
            primary,
            status,
            max,
            sub,
        }
    }

    /// Names of the primary pollutants, each once, in alphabetical order.
    #[must_use]
    pub fn primary_names(&self, index: &Index) -> Vec<&IndicatorId> {
        let mut names: Vec<&IndicatorId> = index
            .primary
            .iter()
            .filter_map(|i| self.slots.get(*i))
            .map(|s| &s.indicator)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The index of every day, from the days of [`Edition::rounded_days`]; a slot without a value that
    /// day is missing.
    #[must_use]
    pub fn day_indices(&self, rounded: &[RoundedDays], incomplete: Incomplete) -> Vec<Index> {
        let days = rounded.first().map_or(0, Vec::len);
        let rounding = self.index_rounding.value.rule;
        (0..days)
            .map(|d| {
                let mut complete = true;
                let sub = self
                    .slots
                    .iter()
                    .zip(rounded)
                    .map(|(slot, values)| {
                        let scale = slot.scale.as_ref()?;
                        complete &= values[d].is_some();
                        scale.value.sub_index(values[d]?, rounding)
                    })
                    .collect::<Subs>();
                self.index(sub, complete, incomplete)
            })
            .collect()
    }

    /// The real-time index of every hour of a station: `24 * days` entries. Sub-indices are in the
    /// order of [`Edition::hours`]; `primary` points into it.
    ///
    /// # Clause
    /// HJ 633-2012 5.1.3 (particles and eight-hour ozone as running means), HJ 633-2026 4.2.3 and
    /// 4.2.4 (one-hour particles on the daily breakpoints).
    #[must_use]
    pub fn hour_indices(&self, hours: &Hours, incomplete: Incomplete) -> Vec<Index> {
        let n = hours.days * 24;
        let columns: Vec<(&Cited<Scale>, Vec<Option<u16>>)> = self
            .hours
            .iter()
            .filter_map(|slot| Some((slot.scale.as_ref()?, slot)))
            .map(|(scale, slot)| {
                (
                    scale,
                    running(hours.get(slot.indicator.as_str()), n, slot, |c| {
                        scale.value.sub_index(c, self.index_rounding.value.rule)
                    }),
                )
            })
            .collect();
        (0..n)
            .map(|h| {
                let sub: Subs = columns.iter().map(|(_, c)| c[h]).collect();
                let complete = sub.iter().all(Option::is_some);
                self.index(sub, complete, incomplete)
            })
            .collect()
    }
}

/// The sub-index of the running mean of each hour.
fn running(
    series: &[i64],
    n: usize,
    slot: &HourSlot,
    index: impl Fn(i64) -> Option<u16>,
) -> Vec<Option<u16>> {
    if series.len() < n {
        return vec![None; n];
    }
    let (mut sum, mut count) = (0i64, 0u8);
    (0..n)
        .map(|h| {
            if series[h] != MISSING {
                sum += series[h];
                count += 1;
            }
            if h >= slot.hours && series[h - slot.hours] != MISSING {
                sum -= series[h - slot.hours];
                count -= 1;
            }
            (usize::from(count) >= slot.at_least && count > 0)
                .then(|| rounded_steps(sum, count, &slot.rounding.value))
                .and_then(&index)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn u(v: i64) -> i64 {
        v * crate::exact::ONE
    }
    fn scale() -> Scale {
        Scale {
            points: vec![u(0), u(35), u(60), u(115), u(150)],
            index: vec![0, 50, 100, 150, 200],
            above: Some(200),
        }
    }

    #[test]
    fn a_sub_index_is_exact_then_up() {
        let s = scale();
        assert_eq!(s.sub_index(u(0), Rounding::Ceiling), Some(0));
        assert_eq!(s.sub_index(u(35), Rounding::Ceiling), Some(50));
        assert_eq!(s.sub_index(u(36), Rounding::Ceiling), Some(52));
        assert_eq!(s.sub_index(u(50), Rounding::Ceiling), Some(80));
        assert_eq!(s.sub_index(u(60), Rounding::Ceiling), Some(100));
        assert_eq!(s.sub_index(u(151), Rounding::Ceiling), Some(200));
        assert_eq!(
            Scale {
                above: None,
                ..scale()
            }
            .sub_index(u(151), Rounding::Ceiling),
            None
        );
    }

    proptest! {
        #[test]
        fn a_sub_index_never_falls_and_has_no_gap(a in 0i64..200_000_000, step in 0i64..1_000_000) {
            let s = scale();
            let (x, y) = (s.sub_index(a, Rounding::Ceiling).unwrap(), s.sub_index(a + step, Rounding::Ceiling).unwrap());
            prop_assert!(x <= y && y <= x + 4);
            prop_assert!(y <= 200);
        }
    }
}
