//! Days to a year: annual items with validity by month and year, level counts, composite index.

use std::collections::BTreeMap;

use jiff::civil::Date;
use miyun_core::{Decimal, IndicatorId, Period};
use serde::Serialize;

use crate::daily::{DaySeries, RoundedDays};
use crate::edition::{AnnualItem, Cited, Edition, LimitCell, Places};
use crate::exact::Exact;
use crate::index::Index;

/// Days of a month against what the rule needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonthCount {
    /// Year.
    pub year: i16,
    /// Month, from 1.
    pub month: i8,
    /// Valid days.
    pub have: u32,
    /// Days needed, `None` if no rule counts months.
    pub need: Option<u32>,
}

/// One annual item of one year.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnualValue {
    /// Position in [`Edition::annual`].
    pub item: usize,
    /// Valid days.
    pub days: u32,
    /// Valid days by month.
    pub months: Vec<MonthCount>,
    /// True if year and every month have enough.
    pub valid: bool,
    /// The value, exact, also where it is not valid.
    pub value: Option<Exact>,
    /// The value from daily values that were rounded first.
    pub value_from_rounded_days: Option<Exact>,
    /// The value as compared.
    pub rounded: Option<Decimal>,
    /// True if the rounded value meets the limit; `None` without value or limit.
    pub attained: Option<bool>,
    /// (C - S) / S where exceeded, rounded; zero where attained.
    pub multiple: Option<Decimal>,
}

impl AnnualValue {
    /// Months with too few days.
    pub fn short_months(&self) -> impl Iterator<Item = &MonthCount> {
        self.months
            .iter()
            .filter(|m| m.need.is_some_and(|n| m.have < n))
    }
}

/// The `p`-percentile (in percent) of `sorted`: `k = 1 + (n - 1) p / 100`, linear between
/// neighbours.
///
/// # Clause
/// HJ 663 Annex A.6. Equal to numpy's `linear` and a spreadsheet's `PERCENTILE.INC`.
#[must_use]
pub fn percentile(sorted: &[Exact], p: Decimal) -> Option<Exact> {
    let rank = Rank::of(sorted.len(), p)?;
    rank.between(*sorted.get(rank.low)?, sorted.get(rank.low + 1).copied())
}

/// [`percentile`] of values in any order, which it rearranges: two order statistics need no sort.
fn percentile_of<T: Copy + Ord>(
    values: &mut [T],
    p: Decimal,
    exact: impl Fn(T) -> Exact,
) -> Option<Exact> {
    let rank = Rank::of(values.len(), p)?;
    if rank.low >= values.len() {
        return None;
    }
    let (_, low, above) = values.select_nth_unstable(rank.low);
    rank.between(exact(*low), above.iter().min().copied().map(exact))
}

/// The mean of the values, or their percentile.
fn condense<T: Copy + Ord>(
    values: &[T],
    percentile: Option<Decimal>,
    exact: impl Fn(T) -> Exact,
) -> Option<Exact> {
    match percentile {
        None => Exact::mean(values.iter().copied().map(exact)),
        Some(p) => percentile_of(&mut values.to_vec(), p, exact),
    }
}

/// Where a percentile lies: `num / den` of the way from one order statistic to the next.
struct Rank {
    low: usize,
    num: i128,
    den: i128,
}

impl Rank {
    fn of(n: usize, p: Decimal) -> Option<Self> {
        let last = n.checked_sub(1)?;
        let p = p.normalize();
        let den = 100 * 10i128.pow(p.scale());
        let rank = i128::try_from(last).ok()? * p.mantissa();
        Some(Self {
            low: usize::try_from(rank / den).ok()?.min(last),
            num: rank % den,
            den,
        })
    }

    fn between(&self, low: Exact, next: Option<Exact>) -> Option<Exact> {
        match next {
            Some(next) if self.num != 0 => {
                low.checked_add(next.checked_sub(low)?.scale(self.num, self.den)?)
            }
            _ => Some(low),
        }
    }
}

/// Indices into a day series of `first_day` that lie in `period`.
#[must_use]
pub fn day_range(first_day: Date, len: usize, period: &Period) -> std::ops::Range<usize> {
    let offset = |d: Date| i64::from((d - first_day).get_days());
    let from = period.from.map_or(0, offset).clamp(0, len as i64) as usize;
    let until = period
        .until
        .map_or(len as i64, |u| offset(u) + 1)
        .clamp(0, len as i64) as usize;
    from..until.max(from)
}

impl Edition {
    /// Every annual item over the days of `period` (a calendar year, or what of it is over).
    /// `rounded` are the days of `series` from [`Edition::rounded_days`].
    ///
    /// # Clause
    /// HJ 663 items, percentile and rounding; GB 3095 Table 4 for the days that a year and its
    /// months need.
    #[must_use]
    pub fn annual_values(
        &self,
        first_day: Date,
        series: &[DaySeries],
        rounded: &[RoundedDays],
        period: &Period,
    ) -> Vec<AnnualValue> {
        let len = series.first().map_or(0, Vec::len);
        let months = months(first_day, len, period);
        let range = day_range(first_day, len, period);
        // Several items condense one slot: its values are gathered once.
        let slots: Vec<(Vec<Exact>, Vec<i64>)> = series
            .iter()
            .zip(rounded)
            .map(|(days, rounded)| {
                (
                    days[range.clone()].iter().flatten().copied().collect(),
                    rounded[range.clone()].iter().flatten().copied().collect(),
                )
            })
            .collect();
        self.annual
            .iter()
            .enumerate()
            .map(|(k, item)| {
                let months = month_counts(&series[item.slot], &months, item);
                self.annual_value(k, item, &slots[item.slot], months)
            })
            .collect()
    }

    /// `values` are those of the valid days of the period, exact, and rounded in 10^-6 units.
    fn annual_value(
        &self,
        k: usize,
        item: &AnnualItem,
        (values, rounded_first): &(Vec<Exact>, Vec<i64>),
        months: Vec<MonthCount>,
    ) -> AnnualValue {
        let places = &self.slots[item.slot].rounding.value;
        let have: u32 = months.iter().map(|m| m.have).sum();
        let enough = item
            .days_year
            .as_ref()
            .is_none_or(|need| have >= need.value);
        let valid = enough && months.iter().all(|m| m.need.is_none_or(|n| m.have >= n));
        let value = condense(values, item.item.percentile, |v| v);
        let rounded = value.map(|v| v.round(places.decimals, places.rule));
        let (attained, multiple) = match (rounded, &item.limit) {
            (Some(c), Some(l)) => judge(c, l, &self.multiple_rounding.value),
            _ => (None, None),
        };
        AnnualValue {
            item: k,
            days: have,
            months,
            valid,
            value,
            value_from_rounded_days: condense(rounded_first, item.item.percentile, Exact::steps),
            rounded,
            attained,
            multiple,
        }
    }

    /// The composite index of city ranking, `None` if the edition has none or a term has no value.
    ///
    /// # Clause
    /// Sum of `C_i / S_i` over the six items, by weight, two decimals.
    #[must_use]
    pub fn composite(&self, values: &[AnnualValue]) -> Option<Decimal> {
        let ranking = self.ranking.as_ref()?;
        let mut sum = Exact::steps(0);
        for (k, limit, weight) in &ranking.terms {
            let c = Exact::from_decimal(values.get(*k)?.rounded?)?;
            let one = i128::from(crate::exact::ONE);
            let ratio = c.scale(one, i128::from(limit.value.steps))?;
            let weighted = ratio.scale(i128::from(crate::exact::steps_of(*weight)?), one)?;
            sum = sum.checked_add(weighted)?;
        }
        let p = &ranking.rounding.value;
        Some(sum.round(p.decimals, p.rule))
    }
}

/// Whether `c` meets the limit, and by how much it does not.
#[must_use]
pub fn judge(
    c: Decimal,
    limit: &Cited<LimitCell>,
    places: &Places,
) -> (Option<bool>, Option<Decimal>) {
    let s = limit.value.limit.value;
    if !limit.value.limit.breach.broken(c, s) {
        return (
            Some(true),
            Some(miyun_core::round(
                Decimal::ZERO,
                places.decimals,
                places.rule,
            )),
        );
    }
    let multiple = (c - s)
        .checked_div(s)
        .map(|m| miyun_core::round(m, places.decimals, places.rule));
    (Some(false), multiple)
}

/// Calendar months of a period: year, month, days of it as indices into a day series of
/// `first_day`. Every month of the period counts, also one without a single row.
pub(crate) fn months(
    first_day: Date,
    len: usize,
    period: &Period,
) -> Vec<(i16, i8, std::ops::Range<usize>)> {
    let from = period.from.unwrap_or(first_day);
    let until = period
        .until
        .unwrap_or_else(|| date_of(first_day, len.saturating_sub(1)));
    let mut out = Vec::new();
    let mut m = from.first_of_month();
    while m <= until {
        let days = Period::days(m.max(from), m.last_of_month().min(until));
        out.push((m.year(), m.month(), day_range(first_day, len, &days)));
        let next = m.saturating_add(jiff::Span::new().months(1));
        if next == m {
            break;
        }
        m = next;
    }
    out
}

fn month_counts(
    days: &DaySeries,
    months: &[(i16, i8, std::ops::Range<usize>)],
    item: &AnnualItem,
) -> Vec<MonthCount> {
    months
        .iter()
        .map(|(year, month, range)| MonthCount {
            year: *year,
            month: *month,
            have: days[range.clone()]
                .iter()
                .map(|v| u32::from(v.is_some()))
                .sum(),
            need: item.days_of(*month),
        })
        .collect()
}

impl AnnualItem {
    /// Days that a month needs, `None` if no rule counts months.
    #[must_use]
    pub fn days_of(&self, month: i8) -> Option<u32> {
        let rule = if month == 2 {
            self.days_february.as_ref().or(self.days_month.as_ref())
        } else {
            self.days_month.as_ref()
        };
        rule.map(|r| r.value)
    }
}

/// The date `days` after `first_day`.
#[must_use]
pub fn date_of(first_day: Date, days: usize) -> Date {
    first_day
        .saturating_add(jiff::Span::new().days(i64::try_from(days).unwrap_or(0).min(4_000_000)))
}

/// Counts of a year of indices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DayCounts {
    /// Days with a published index.
    pub published: u32,
    /// Days without.
    pub not_published: u32,
    /// Days by level, from level 1.
    pub levels: Vec<u32>,
    /// Days of level 1 and 2.
    pub good: u32,
    /// Days of level 5 and 6.
    pub heavy: u32,
    /// Good days in percent of published days.
    pub good_percent: Option<Decimal>,
    /// Days above level 2 by primary pollutant; a tie counts for each.
    pub primary: BTreeMap<IndicatorId, u32>,
}

/// Index above which a day is counted under its primary pollutant: the top of level 2.
fn top_of_good(edition: &Edition) -> Option<u16> {
    let high = edition.levels.get(1)?.value.high?;
    u16::try_from(high.trunc().mantissa()).ok()
}

impl Edition {
    /// Level counts over a run of daily indices. Good days are levels 1 and 2, heavy days 5 and 6.
    #[must_use]
    pub fn day_counts<'a>(&self, indices: impl IntoIterator<Item = &'a Index>) -> DayCounts {
        let mut c = DayCounts {
            levels: vec![0; self.levels.len()],
            ..DayCounts::default()
        };
        let top = top_of_good(self);
        for index in indices {
            let (Some(aqi), Some(level)) = (index.aqi, index.level) else {
                c.not_published += 1;
                continue;
            };
            c.published += 1;
            if let Some(n) = c.levels.get_mut(usize::from(level) - 1) {
                *n += 1;
            }
            c.good += u32::from(level <= 2);
            c.heavy += u32::from(level >= 5);
            if top.is_some_and(|t| aqi > t) {
                for name in self.primary_names(index) {
                    *c.primary.entry(name.clone()).or_default() += 1;
                }
            }
        }
        if c.published > 0 {
            let p = &self.percent_rounding.value;
            let share = Decimal::from(c.good) * Decimal::ONE_HUNDRED / Decimal::from(c.published);
            c.good_percent = Some(miyun_core::round(share, p.decimals, p.rule));
        }
        c
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_percentile_needs_no_order(
            values in prop::collection::vec((-1_000_000i64..1_000_000, 1i128..25), 0..80),
            p in prop::sample::select(vec!["90", "95", "98", "50", "0", "100", "97.5"]),
        ) {
            let p: Decimal = p.parse().unwrap();
            let mut values: Vec<Exact> = values.iter().map(|(n, d)| Exact::new(i128::from(*n), *d)).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            prop_assert_eq!(percentile_of(&mut values, p, |v| v), percentile(&sorted, p));
        }
    }

    #[test]
    fn months_of_a_period_keep_their_days() {
        let first = Date::constant(2015, 11, 20);
        let period: Period = "2015-12-15..2016-03-05".parse().unwrap();
        let found = months(first, 60, &period);
        let days: Vec<_> = found.iter().map(|(y, m, r)| (*y, *m, r.len())).collect();
        // The series ends on 2016-01-18; later months count, without a day.
        assert_eq!(
            days,
            [(2015, 12, 17), (2016, 1, 18), (2016, 2, 0), (2016, 3, 0)]
        );
        assert_eq!(found[0].2.start, 25);
    }
}
