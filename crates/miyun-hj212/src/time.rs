//! Times as the standard writes them: local digits without a zone.

use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan};

/// A request number: 17 digits `YYYYMMDDhhmmsszzz` of local time, unique per exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qn(DateTime);

impl Qn {
    /// The request number of a local time; finer than a millisecond is cut off.
    #[must_use]
    pub fn new(at: DateTime) -> Self {
        let ms = i64::from(at.subsec_nanosecond()) / 1_000_000;
        let whole = at
            .with()
            .subsec_nanosecond(ms as i32 * 1_000_000)
            .build()
            .unwrap_or(at);
        Self(whole)
    }

    /// The request number in `text`, `None` unless it is 17 digits of a time that exists.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 17 {
            return None;
        }
        let at = civil(&b[..14])?;
        let ms = number(&b[14..])?;
        at.with().millisecond(ms).build().ok().map(Self)
    }

    /// Its local time.
    #[must_use]
    pub fn at(self) -> DateTime {
        self.0
    }

    /// The request number `ms` later (packets of a split answer count up by 1, C.50).
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(
            self.0
                .checked_add(SignedDuration::from_millis(ms))
                .unwrap_or(self.0),
        )
    }

    /// Milliseconds from `earlier` to `self`.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_millis() as i64
    }
}

impl std::fmt::Display for Qn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:03}", Stamp(self.0), self.0.millisecond())
    }
}

/// A local time to the second, written as 14 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub DateTime);

impl Stamp {
    /// The time in 14 digits, `None` unless it exists.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 14 {
            return None;
        }
        civil(b).map(Self)
    }

    /// The start of the interval of `minutes` that ends at this time.
    #[must_use]
    pub fn minutes_before(self, minutes: i64) -> Self {
        Self(self.0.checked_sub(minutes.minutes()).unwrap_or(self.0))
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

fn number(b: &[u8]) -> Option<i16> {
    let mut v = 0i16;
    for d in b {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        v = v * 10 + i16::from(d);
    }
    Some(v)
}

/// `YYYYMMDDhhmmss`.
fn civil(b: &[u8]) -> Option<DateTime> {
    let two = |i: usize| number(&b[i..i + 2]).map(|v| v as i8);
    DateTime::new(
        number(&b[..4])?,
        two(4)?,
        two(6)?,
        two(8)?,
        two(10)?,
        two(12)?,
        0,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        let q = Qn::parse("20160801085857223").unwrap();
        assert_eq!(q.to_string(), "20160801085857223");
        assert_eq!(q.plus_ms(777).to_string(), "20160801085858000");
        assert_eq!(q.plus_ms(777).ms_since(q), 777);
        assert_eq!(Qn::parse("20160231085857223"), None);
        assert_eq!(Qn::parse("2016080108585722"), None);
        assert_eq!(Qn::parse("2016080108585722x"), None);
        assert_eq!(
            Stamp::parse("20240520210600").unwrap().to_string(),
            "20240520210600"
        );
        assert_eq!(Stamp::parse("20210305003817000"), None);
        let s = Stamp::parse("20240101000000").unwrap().minutes_before(10);
        assert_eq!(s.to_string(), "20231231235000");
    }
}
