//! The head of a segment: `QN=...;ST=...;CN=...;PW=...;MN=...;Flag=...;`.

use memchr::memmem;

use crate::finding::{FindingCode, Findings};
use crate::scan::next_of;

/// A field of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// Request number.
    Qn,
    /// System code.
    St,
    /// Command code.
    Cn,
    /// Password.
    Pw,
    /// Device id.
    Mn,
    /// Version, answer and split bits.
    Flag,
    /// Packets of a split message.
    Pnum,
    /// Number of this packet.
    Pno,
    /// Back-fill (2025).
    Rf,
}

const FIELDS: usize = 9;

impl Field {
    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"QN" => Self::Qn,
            b"ST" => Self::St,
            b"CN" => Self::Cn,
            b"PW" => Self::Pw,
            b"MN" => Self::Mn,
            b"Flag" => Self::Flag,
            b"PNUM" => Self::Pnum,
            b"PNO" => Self::Pno,
            b"RF" => Self::Rf,
            _ => return None,
        })
    }
}

/// `Flag` as a number: V5 V4 V3 V2 V1 V0 D A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flag(pub u8);

impl Flag {
    /// The flag of a version (0, 1 or 2 for 2005, 2017, 2025).
    #[must_use]
    pub fn new(version: u8, split: bool, ack: bool) -> Self {
        Self(version << 2 | u8::from(split) << 1 | u8::from(ack))
    }

    /// An answer is asked for.
    #[must_use]
    pub fn ack(self) -> bool {
        self.0 & 1 != 0
    }

    /// PNUM and PNO are present.
    #[must_use]
    pub fn split(self) -> bool {
        self.0 & 2 != 0
    }

    /// Version bits.
    #[must_use]
    pub fn version(self) -> u8 {
        self.0 >> 2
    }
}

/// Where the fields stand in the head; positions, so that it can be copied out of a buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spans {
    at: [(u16, u16); FIELDS],
    pub odd: Findings,
}

impl Spans {
    /// Reads the head of `segment` up to the first `CP=&&`, and where that stands. Without one, the
    /// fields before the first `&`. The first of two equal fields counts.
    pub fn scan(segment: &[u8]) -> (Self, Option<usize>) {
        let mut out = Self::default();
        let mut start = 0;
        while start < segment.len() {
            if segment[start..].starts_with(b"CP=&&") {
                return (out, Some(start));
            }
            let eq = next_of::<b';', b'=', b'&'>(segment, start);
            let mut end = eq;
            if segment.get(eq) == Some(&b'=') {
                end = next_of::<b';', b'&', b';'>(segment, eq + 1);
            }
            if segment.get(end) == Some(&b'&') {
                // The `;` before CP is missing, or something stranger.
                let cp_at = memmem::find(segment, b"CP=&&");
                let end = cp_at.or_else(|| memchr::memchr(b'&', segment));
                return (Self::read(&segment[..end.unwrap_or(segment.len())]), cp_at);
            }
            out.take(segment, start, eq, end);
            start = end + 1;
        }
        (out, None)
    }

    /// Reads a head that may hold any byte.
    fn read(head: &[u8]) -> Self {
        let mut out = Self::default();
        let mut start = 0;
        for token in head.split(|b| *b == b';') {
            let end = start + token.len();
            let eq = memchr::memchr(b'=', token).map_or(end, |n| start + n);
            out.take(head, start, eq, end);
            start = end + 1;
        }
        out
    }

    /// Takes the token from `start` to `end` whose `=` is at `eq` (or none, if that is `end`).
    #[inline]
    fn take(&mut self, head: &[u8], start: usize, eq: usize, end: usize) {
        if eq >= end {
            if !head[start..end].trim_ascii().is_empty() {
                self.odd.add(FindingCode::HeadUnknown);
            }
            return;
        }
        let (mut from, mut to) = (eq + 1, end);
        while from < to && head[from].is_ascii_whitespace() {
            from += 1;
        }
        while from < to && head[to - 1].is_ascii_whitespace() {
            to -= 1;
        }
        let Some(field) = Field::of(head[start..eq].trim_ascii()) else {
            self.odd.add(FindingCode::HeadUnknown);
            return;
        };
        if self.at[field as usize].0 != 0 {
            self.odd.add(FindingCode::HeadDuplicate);
            return;
        }
        self.at[field as usize] = (from as u16, to as u16);
        if field == Field::Pnum && self.at[Field::Pno as usize].0 != 0 {
            self.odd.add(FindingCode::HeadOrder);
        }
    }

    /// The field's text in the head that was read.
    pub fn get<'a>(&self, head: &'a str, field: Field) -> Option<&'a str> {
        let (from, to) = self.at[field as usize];
        (from > 0).then(|| head.get(usize::from(from)..usize::from(to)).unwrap_or(""))
    }

    /// The field's bytes in the head that was read.
    pub fn bytes<'a>(&self, head: &'a [u8], field: Field) -> Option<&'a [u8]> {
        let (from, to) = self.at[field as usize];
        (from > 0).then(|| head.get(usize::from(from)..usize::from(to)).unwrap_or(&[]))
    }
}

/// The number in `text`, `None` unless it is 1 to `max_digits` digits.
pub(crate) fn digits(text: &str, max_digits: usize) -> Option<u16> {
    let b = text.as_bytes();
    if b.is_empty() || b.len() > max_digits {
        return None;
    }
    b.iter().try_fold(0u16, |v, d| {
        let d = d.wrapping_sub(b'0');
        (d < 10).then_some(())?;
        v.checked_mul(10)?.checked_add(u16::from(d))
    })
}

/// What the head breaks of table 3.
pub(crate) fn judge(spans: &Spans, head: &str) -> Findings {
    use FindingCode as C;
    let mut out = spans.odd;
    let mut need = |field, missing, bad, good: fn(&str) -> bool| match spans.get(head, field) {
        None => out.add(missing),
        Some(text) => out.add_if(!good(text), bad),
    };
    need(Field::Qn, C::MissingQn, C::BadQn, |t| {
        t.len() == 17 && t.bytes().all(|b| b.is_ascii_digit())
    });
    need(Field::St, C::MissingSt, C::BadSt, |t| {
        t.len() == 2
            && t.bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    });
    need(Field::Cn, C::MissingCn, C::BadCn, |t| {
        t.len() == 4 && t.bytes().all(|b| b.is_ascii_digit())
    });
    need(Field::Pw, C::MissingPw, C::BadPw, |t| {
        (1..=6).contains(&t.len())
    });
    need(Field::Mn, C::MissingMn, C::BadMn, |t| {
        t.len() == 24 && t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
    });
    need(Field::Flag, C::MissingFlag, C::BadFlag, |t| {
        flag(t).is_some()
    });
    let split = spans
        .get(head, Field::Flag)
        .and_then(flag)
        .is_some_and(Flag::split);
    let pnum = spans.get(head, Field::Pnum);
    let pno = spans.get(head, Field::Pno);
    if split {
        out.add_if(pnum.is_none(), C::MissingPnum);
        out.add_if(pno.is_none(), C::MissingPno);
    }
    let total = pnum.and_then(|t| digits(t, 4)).filter(|n| *n > 0);
    out.add_if(pnum.is_some() && total.is_none(), C::BadPnum);
    let number = pno.and_then(|t| digits(t, 4)).filter(|n| *n > 0);
    let beyond = matches!((number, total), (Some(n), Some(t)) if n > t);
    out.add_if(pno.is_some() && (number.is_none() || beyond), C::BadPno);
    out.add_if(
        spans.get(head, Field::Rf).is_some_and(|t| t != "1"),
        C::BadRf,
    );
    out
}

/// The flag in `text`, `None` unless it is an integer from 0 to 255.
pub(crate) fn flag(text: &str) -> Option<Flag> {
    digits(text, 3).and_then(|n| u8::try_from(n).ok()).map(Flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_counts_and_blanks_go() {
        let head = "QN=1;QN=2; ST=31 ;Foo=3;PNO=1;PNUM=2;;x";
        let s = Spans::scan(head.as_bytes()).0;
        assert_eq!(s.get(head, Field::Qn), Some("1"));
        assert_eq!(s.get(head, Field::St), Some("31"));
        assert_eq!(s.get(head, Field::Cn), None);
        for c in [
            FindingCode::HeadDuplicate,
            FindingCode::HeadUnknown,
            FindingCode::HeadOrder,
        ] {
            assert!(s.odd.has(c), "{c:?}");
        }
    }

    #[test]
    fn flags_are_bits() {
        let f = flag("11").unwrap();
        assert!(f.ack() && f.split() && f.version() == 2);
        assert_eq!(Flag::new(1, true, false), Flag(6));
        assert_eq!(flag("256"), None);
        assert_eq!(flag("-1"), None);
        assert_eq!(flag(""), None);
    }

    #[test]
    fn packets_count_from_one_to_all() {
        let of = |h: &str| judge(&Spans::scan(h.as_bytes()).0, h);
        assert!(of("Flag=6").has(FindingCode::MissingPnum));
        assert!(of("Flag=6;PNUM=2;PNO=3").has(FindingCode::BadPno));
        assert!(of("Flag=6;PNUM=0;PNO=0").has(FindingCode::BadPnum));
        assert!(of("RF=0").has(FindingCode::BadRf));
        let good = "QN=20160801085857223;ST=32;CN=2061;PW=123456;MN=010000A8900016F000169DC0;Flag=7;PNUM=2;PNO=2;";
        assert!(of(good).is_empty());
    }
}
