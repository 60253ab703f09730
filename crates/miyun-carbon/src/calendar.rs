//! Business time: days and hours that count, and delays that run only in them.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan};

use crate::law::{Law, LawError, Ruled};

/// When an office is open. Times are civil times of its own zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Opens at.
    pub opens: Time,
    /// Closes at; later than `opens`.
    pub closes: Time,
    /// Open weekdays, Monday 1 to Sunday 7.
    pub weekdays: BTreeSet<i8>,
    /// Closed days.
    pub holidays: BTreeSet<Date>,
    /// Open days that the weekday rule would close (Chinese 调休).
    pub workdays: BTreeSet<Date>,
}

/// Longest search for an open day; a calendar without any is an error of its rule.
const SEARCH_DAYS: u32 = 4000;

impl Calendar {
    /// The calendar of a market, with the closed and the extra open days of its official lists.
    ///
    /// # Errors
    /// [`LawError`] if opening hours or weekdays are missing or unusable.
    pub fn of(
        law: &Law<'_>,
        holidays: BTreeSet<Date>,
        workdays: BTreeSet<Date>,
    ) -> Result<Ruled<Self>, LawError> {
        let unusable = |name: &str, r: &Ruled<&str>, expected| LawError::Unusable {
            name: name.into(),
            rule: Box::new(r.rule.clone()),
            found: r.value.into(),
            expected,
        };
        let time = |name: &str| -> Result<Time, LawError> {
            let r = law.text(name)?;
            r.value
                .parse()
                .map_err(|_| unusable(name, &r, "a time of day such as 10:00"))
        };
        let (opens, closes) = (time("business-opens")?, time("business-closes")?);
        let days = law.text("business-weekdays")?;
        let range = days.value.split_once('-').and_then(|(a, b)| {
            let (a, b): (i8, i8) = (a.parse().ok()?, b.parse().ok()?);
            (1 <= a && a <= b && b <= 7 && opens < closes).then_some(a..=b)
        });
        let Some(range) = range else {
            return Err(unusable(
                "business-weekdays",
                &days,
                "weekdays such as 1-5, and opening before closing",
            ));
        };
        Ok(Ruled {
            value: Self {
                opens,
                closes,
                weekdays: range.collect(),
                holidays,
                workdays,
            },
            rule: days.rule,
        })
    }

    /// True if the office is open on `day`.
    #[must_use]
    pub fn open_on(&self, day: Date) -> bool {
        self.workdays.contains(&day)
            || (self
                .weekdays
                .contains(&day.weekday().to_monday_one_offset())
                && !self.holidays.contains(&day))
    }

    /// The first open instant at `at` or after it; `None` if no day is ever open.
    #[must_use]
    pub fn next_open(&self, at: DateTime) -> Option<DateTime> {
        let mut day = at.date();
        if self.open_on(day) && at.time() < self.closes {
            return Some(day.to_datetime(at.time().max(self.opens)));
        }
        for _ in 0..SEARCH_DAYS {
            day = day.tomorrow().ok()?;
            if self.open_on(day) {
                return Some(day.to_datetime(self.opens));
            }
        }
        None
    }

    /// When `seconds` of open time have passed since `at`. An end at closing time is the next
    /// opening: the office must have been open through the whole delay.
    #[must_use]
    pub fn after_open(&self, at: DateTime, seconds: u64) -> Option<DateTime> {
        let mut now = self.next_open(at)?;
        let mut left = i64::try_from(seconds).ok()?;
        for _ in 0..SEARCH_DAYS {
            let closes = now.date().to_datetime(self.closes);
            let open = i64::from(now.time().until(self.closes).ok()?.total_seconds()?);
            if left < open {
                return now.checked_add(Span::new().seconds(left)).ok();
            }
            left -= open;
            now = self.next_open(closes)?;
        }
        None
    }

    /// Seconds of one business day.
    #[must_use]
    pub fn day_seconds(&self) -> u64 {
        self.opens
            .until(self.closes)
            .ok()
            .and_then(|s| s.total_seconds())
            .unwrap_or(0)
            .into()
    }

    /// When `days` business days have passed since `at`, counted in open hours.
    ///
    /// ```
    /// # use miyun_carbon::calendar::Calendar;
    /// # let c = Calendar { opens: "10:00".parse()?, closes: "16:00".parse()?, weekdays: (1..=5).collect(),
    /// #     holidays: Default::default(), workdays: Default::default() };
    /// // Approved on a Thursday at 11:30, effective on the next Wednesday at 11:30.
    /// let approved = "2026-11-19T11:30".parse()?;
    /// assert_eq!(c.after_days(approved, 4), Some("2026-11-25T11:30".parse()?));
    /// # Ok::<(), jiff::Error>(())
    /// ```
    #[must_use]
    pub fn after_days(&self, at: DateTime, days: u64) -> Option<DateTime> {
        self.after_open(at, days.checked_mul(self.day_seconds())?)
    }
}

trait Seconds {
    fn total_seconds(&self) -> Option<u32>;
}

impl Seconds for Span {
    fn total_seconds(&self) -> Option<u32> {
        let seconds = self.total(jiff::Unit::Second).ok()?;
        // A span inside one day: whole, small, not negative.
        (0.0..=86_400.0)
            .contains(&seconds)
            .then_some(seconds as u32)
    }
}

/// How long a transfer waits, and when it becomes effective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Effective at, civil time of the registry.
    pub effective: DateTime,
}

/// When a transfer approved at `approved` becomes effective.
///
/// # Errors
/// [`crate::Error::Law`] if the market has no delay or no calendar,
/// [`crate::Error::Overflow`] if no such instant exists.
pub fn delay(
    law: &Law<'_>,
    holidays: &BTreeSet<Date>,
    workdays: &BTreeSet<Date>,
    approved: DateTime,
) -> Result<Ruled<Delay>, crate::Error> {
    let days = law.whole("transfer-delay")?;
    let calendar = Calendar::of(law, holidays.clone(), workdays.clone())?;
    let effective = calendar
        .value
        .after_days(approved, days.value)
        .ok_or_else(|| crate::Error::Overflow {
            what: "transfer delay",
            detail: format!("{} business days from {approved}", days.value),
        })?;
    Ok(Ruled {
        value: Delay { effective },
        rule: days.rule,
    })
}

/// When a proposal lapses if no second representative approves it.
///
/// # Errors
/// [`crate::Error::Law`] if the market does not say it.
pub fn approval_until(law: &Law<'_>, proposed: DateTime) -> Result<Ruled<DateTime>, crate::Error> {
    let days = law.whole("second-representative-within")?;
    let value = i64::try_from(days.value)
        .ok()
        .and_then(|d| d.try_days())
        .and_then(|d| proposed.checked_add(d).ok())
        .ok_or_else(|| crate::Error::Overflow {
            what: "approval",
            detail: format!("{} days from {proposed}", days.value),
        })?;
    Ok(Ruled {
        value,
        rule: days.rule,
    })
}

trait TryDays {
    fn try_days(self) -> Option<Span>;
}

impl TryDays for i64 {
    fn try_days(self) -> Option<Span> {
        (0..=36_500).contains(&self).then(|| self.days())
    }
}
