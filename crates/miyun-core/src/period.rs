//! Spans of days.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Days from `from` to `until`, both included; an absent bound is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub until: Option<Date>,
}

impl Period {
    /// The closed period of two days.
    #[must_use]
    pub fn days(from: Date, until: Date) -> Self {
        Self {
            from: Some(from),
            until: Some(until),
        }
    }

    /// The calendar year, `None` outside jiff's range.
    #[must_use]
    pub fn year(year: i16) -> Option<Self> {
        Some(Self::days(
            Date::new(year, 1, 1).ok()?,
            Date::new(year, 12, 31).ok()?,
        ))
    }

    /// True if `day` lies in the period.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from.is_none_or(|f| f <= day) && self.until.is_none_or(|u| day <= u)
    }

    /// True if the two share a day.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let ends_before =
            |a: &Self, b: &Self| matches!((a.until, b.from), (Some(u), Some(f)) if u < f);
        !ends_before(self, other) && !ends_before(other, self)
    }
}

impl fmt::Display for Period {
    /// `2016`, `2016-05`, `2016-05-03`, `2016-01-01..2016-06-30`, `..2026-02-28`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.until) {
            (Some(a), Some(b)) if a == b => write!(f, "{a}"),
            (Some(a), Some(b))
                if a.year() == b.year() && a.day() == 1 && b == b.last_of_month() =>
            {
                match (a.month(), b.month()) {
                    (1, 12) => write!(f, "{:04}", a.year()),
                    (x, y) if x == y => write!(f, "{:04}-{:02}", a.year(), x),
                    _ => write!(f, "{a}..{b}"),
                }
            }
            (a, b) => {
                if let Some(a) = a {
                    write!(f, "{a}")?;
                }
                f.write_str("..")?;
                if let Some(b) = b {
                    write!(f, "{b}")?;
                }
                Ok(())
            }
        }
    }
}

/// A text that is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a period: write a year (2016), a month (2016-05), a day (2016-05-03) or a span (2016-01-01..2016-06-30)"
)]
pub struct PeriodError(String);

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let bad = || PeriodError(text.to_owned());
        let part = |t: &str| -> Option<Period> {
            match t.len() {
                4 => Period::year(t.parse().ok()?),
                7 => {
                    let first: Date = format!("{t}-01").parse().ok()?;
                    Some(Period::days(first, first.last_of_month()))
                }
                10 => t.parse().ok().map(|d| Period::days(d, d)),
                _ => None,
            }
        };
        match text.split_once("..") {
            None => part(text).ok_or_else(bad),
            Some((a, b)) => {
                let from = if a.is_empty() {
                    None
                } else {
                    part(a).ok_or_else(bad)?.from
                };
                let until = if b.is_empty() {
                    None
                } else {
                    part(b).ok_or_else(bad)?.until
                };
                if matches!((from, until), (Some(f), Some(u)) if f > u) {
                    return Err(bad());
                }
                Ok(Period { from, until })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "2016",
            "2016-05",
            "2016-05-03",
            "2016-01-01..2016-06-29",
            "..2026-02-28",
            "2026-03-01..",
        ] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!(
            "2013..2016"
                .parse::<Period>()
                .unwrap()
                .until
                .unwrap()
                .to_string(),
            "2016-12-31"
        );
        for text in ["16", "2016-13", "2017..2016", "yesterday", ""] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn touching_periods_do_not_overlap() {
        let p = |t: &str| t.parse::<Period>().unwrap();
        assert!(!p("..2026-02-28").overlaps(&p("2026-03-01..")));
        assert!(p("..2026-03-01").overlaps(&p("2026-03-01..")));
        assert!(p("..").overlaps(&p("2020")));
    }
}
