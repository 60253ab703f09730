//! Hours to days: means, highest hours, highest windows, each with its count and validity.

use jiff::civil::Date;

use crate::edition::{DayKind, DaySlot, Edition, Places, Windows};
use crate::exact::Exact;
use crate::hours::{Hours, MISSING};

/// One statistic of one day: `sum / n` in 10^-6 units, and how many data it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayCell {
    /// Sum of the values used; for a highest hour the value itself.
    pub sum: i64,
    /// How many values the sum has; 0 means there is no value.
    pub n: u8,
    /// Hours (windows for a highest window) at hand.
    pub have: u8,
    /// True if the validity rule is met.
    pub valid: bool,
}

impl DayCell {
    /// The value, also if it is not valid.
    #[must_use]
    pub fn value(&self) -> Option<Exact> {
        (self.n > 0).then(|| Exact::sum_over(self.sum, self.n))
    }

    /// The value if it is valid.
    #[must_use]
    pub fn valid_value(&self) -> Option<Exact> {
        self.value().filter(|_| self.valid)
    }
}

/// The days of one station: `cells[slot][day]`, slots as in [`Edition::slots`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationDays {
    /// Date of day 0.
    pub first_day: Date,
    /// One vector of days per slot.
    pub cells: Vec<Vec<DayCell>>,
}

impl StationDays {
    /// How many days.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Days of one statistic: the value of each day, `None` where it is not valid.
pub type DaySeries = Vec<Option<Exact>>;

/// Days of one statistic as an edition compares and indexes them: rounded, in 10^-6 units; `None`
/// where there is no valid value, or one that is too large to be rounded.
pub type RoundedDays = Vec<Option<i64>>;

/// The valid daily values of a station, one series per slot.
#[must_use]
pub fn valid_days(days: &StationDays) -> Vec<DaySeries> {
    days.cells
        .iter()
        .map(|cells| cells.iter().map(|c| c.valid_value()).collect())
        .collect()
}

impl Edition {
    /// Daily values rounded as each slot prescribes.
    #[must_use]
    pub fn rounded_days(&self, series: &[DaySeries]) -> Vec<RoundedDays> {
        let slots = series.iter().zip(&self.slots);
        slots
            .map(|(days, slot)| {
                let Places { decimals, rule } = slot.rounding.value;
                days.iter()
                    .map(|v| v.and_then(|v| v.round_steps(decimals, rule)))
                    .collect()
            })
            .collect()
    }
}

/// Condenses the hours of one station into days under `edition`.
///
/// # Clause
/// Validity by the day: GB 3095 Table 4 and HJ 663 6.1.2, as compiled into the edition. The day is
/// the natural day.
#[must_use]
pub fn station_days(hours: &Hours, edition: &Edition) -> StationDays {
    let cells = edition
        .slots
        .iter()
        .map(|slot| {
            let series = hours.get(slot.indicator.as_str());
            if series.len() < hours.days * 24 {
                return vec![DayCell::default(); hours.days];
            }
            let days = series.as_chunks::<24>().0.iter().take(hours.days);
            match slot.kind {
                DayKind::Mean => days.map(|day| mean(day, slot)).collect(),
                DayKind::MaxHour => days.map(|day| max_hour(day, slot)).collect(),
                DayKind::MaxWindow => days
                    .map(|day| max_window(day, slot, &edition.windows))
                    .collect(),
            }
        })
        .collect();
    StationDays {
        first_day: hours.first_day,
        cells,
    }
}

/// Sum and count of the hours that have a value.
fn sum_count(day: &[i64]) -> (i64, u8) {
    let mut sum = 0i64;
    let mut n = 0u8;
    for &v in day {
        let here = v != MISSING;
        sum += if here { v } else { 0 };
        n += u8::from(here);
    }
    (sum, n)
}

fn mean(day: &[i64; 24], slot: &DaySlot) -> DayCell {
    let (sum, n) = sum_count(day);
    DayCell {
        sum,
        n,
        have: n,
        valid: n >= slot.at_least.value,
    }
}

fn max_hour(day: &[i64; 24], slot: &DaySlot) -> DayCell {
    let (_, have) = sum_count(day);
    let max = day.iter().copied().max().unwrap_or(MISSING);
    if max == MISSING {
        return DayCell::default();
    }
    DayCell {
        sum: max,
        n: 1,
        have,
        valid: have >= slot.at_least.value,
    }
}

/// The highest window that ends in the day and has enough hours. Windows lie inside the day
/// (HJ 663 6.1.2: the eight-hour means that end at 08:00 ... 24:00).
fn max_window(day: &[i64; 24], slot: &DaySlot, w: &Windows) -> DayCell {
    let mut sums = [0i64; 25];
    let mut counts = [0u8; 25];
    for (h, &v) in day.iter().enumerate() {
        let here = v != MISSING;
        sums[h + 1] = sums[h] + if here { v } else { 0 };
        counts[h + 1] = counts[h] + u8::from(here);
    }
    let mut best: Option<(i64, u8)> = None;
    let mut have = 0u8;
    for end in w.first_end.max(w.hours)..=w.last_end {
        let (sum, n) = (
            sums[end] - sums[end - w.hours],
            counts[end] - counts[end - w.hours],
        );
        if usize::from(n) < w.at_least {
            continue;
        }
        have += 1;
        // sum/n > best, compared without dividing
        if best.is_none_or(|(s, m)| i128::from(sum) * i128::from(m) > i128::from(s) * i128::from(n))
        {
            best = Some((sum, n));
        }
    }
    let Some((sum, n)) = best else {
        return DayCell::default();
    };
    let above = || {
        slot.limit
            .as_ref()
            .is_some_and(|l| i128::from(sum) > i128::from(l.value.steps) * i128::from(n))
    };
    DayCell {
        sum,
        n,
        have,
        valid: have >= slot.at_least.value || (slot.unless_exceeds && above()),
    }
}
