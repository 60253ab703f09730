//! The data region: items in groups, values as printed.

use crate::finding::{Finding, FindingCode, Findings};
use crate::number::Number;
use crate::scan::next_of;
use crate::time::Stamp;

/// One `name=value` of a region. `a34013-Rtd=7.1` has code `a34013` and attribute `Rtd`;
/// `DataTime=...` has no attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Number of the group (between `;`), from 0; groups without items are not counted.
    pub group: u16,
    /// What stands before `=`, without blanks around it; the whole token if there is no `=`.
    pub key: &'a str,
    /// What stands after `=`, without blanks around it; `None` if there is no `=`.
    pub value: Option<&'a str>,
}

impl<'a> Item<'a> {
    /// Code and attribute, for example `a34013` and `Rtd`; `None` for a name without `-`.
    #[must_use]
    #[inline]
    pub fn split(&self) -> Option<(&'a str, &'a str)> {
        let at = self.key.bytes().position(|b| b == b'-')?;
        Some((&self.key[..at], &self.key[at + 1..]))
    }

    /// The value as a number.
    #[must_use]
    #[inline]
    pub fn number(&self) -> Option<Number> {
        Number::parse(self.value?)
    }

    /// The text of a log without its slashes.
    #[must_use]
    pub fn log(&self) -> Option<&'a str> {
        self.value?.strip_prefix("//")?.strip_suffix("//")
    }
}

/// The items of a region, in order, without loss.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    text: &'a str,
    at: usize,
    group: u16,
    /// An item of the present group was seen.
    filled: bool,
}

impl<'a> Items<'a> {
    /// The items of `region` (the text between the `&&`).
    #[must_use]
    pub fn new(region: &'a str) -> Self {
        Self {
            text: region,
            at: 0,
            group: 0,
            filled: false,
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            if self.at >= bytes.len() {
                return None;
            }
            let start = self.at;
            let mut i = next_of::<b';', b',', b'='>(bytes, start);
            let mut equals = None;
            if bytes.get(i) == Some(&b'=') {
                equals = Some(i);
                let value = after_log(bytes, i + 1).unwrap_or(i + 1);
                i = next_of::<b';', b',', b';'>(bytes, value);
            }
            self.at = i + 1;
            let group = self.group;
            let had = start < i;
            if had {
                self.filled = true;
            }
            if bytes.get(i) == Some(&b';') && self.filled {
                self.group = self.group.saturating_add(1);
                self.filled = false;
            }
            if !had {
                continue;
            }
            let (key, value) = match equals {
                Some(e) => (trim(&self.text[start..e]), Some(trim(&self.text[e + 1..i]))),
                None => (trim(&self.text[start..i]), None),
            };
            return Some(Item { group, key, value });
        }
    }
}

#[inline]
/// Where the scan goes on if a log text `//...//` begins at `at`.
fn after_log(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'/') {
        return None;
    }
    let inner = bytes[at..].strip_prefix(b"//")?;
    let end = memchr::memmem::find(inner, b"//")?;
    Some(at + 2 + end + 2)
}

#[inline]
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [] => text,
        [first, .., last] | [first @ last]
            if *first > b' ' && *first < 128 && *last > b' ' && *last < 128 =>
        {
            text
        }
        _ => text.trim(),
    }
}

/// What a value of an attribute must look like.
fn numeric(attribute: &str) -> bool {
    matches!(
        attribute,
        "Rtd"
            | "Min"
            | "Avg"
            | "Max"
            | "ZsRtd"
            | "ZsMin"
            | "ZsAvg"
            | "ZsMax"
            | "Cou"
            | "Data"
            | "DayData"
            | "NightData"
            | "RT"
    )
}

/// Keys above this number are compared by sorting.
const FEW: usize = 48;

/// What the region breaks.
#[must_use]
pub fn check(region: &str) -> Findings {
    let mut out = Findings::NONE;
    walk(region, |code, _| out.add(code));
    out
}

/// What the region breaks, with the text of each place.
pub(crate) fn report(region: &str, out: &mut Vec<Finding>) {
    walk(region, |code, text| out.push(Finding::new(code, text)));
}

fn walk<'a>(region: &'a str, mut say: impl FnMut(FindingCode, &'a str)) {
    let mut few: [&str; FEW] = [""; FEW];
    let mut count = 0;
    let mut many: Vec<&str> = Vec::new();
    let mut mask = [0u64; 4];
    for item in Items::new(region) {
        let Some(value) = item.value else {
            say(FindingCode::CpBareToken, item.key);
            continue;
        };
        // Only if the key's mark was seen before can the key itself have been.
        let mark = key_mark(item.key);
        let (word, bit) = (&mut mask[mark / 64], 1u64 << (mark % 64));
        let maybe = *word & bit != 0;
        *word |= bit;
        if count < FEW {
            if maybe && few[..count].contains(&item.key) {
                say(FindingCode::CpDuplicateKey, item.key);
            } else {
                few[count] = item.key;
                count += 1;
            }
        } else {
            many.push(item.key);
        }
        match item.split() {
            None if item.key == "DataTime" => {
                if value.len() != 14 || !value.bytes().all(|b| b.is_ascii_digit()) {
                    say(FindingCode::BadDataTime, value);
                } else if Stamp::parse(value).is_none() {
                    say(FindingCode::ImpossibleTime, value);
                }
            }
            Some((_, "Flag")) => {
                if value.len() != 1 {
                    say(FindingCode::BadDataFlag, value);
                }
            }
            Some((_, attribute)) if numeric(attribute) => {
                if Number::parse(value).is_none() {
                    say(FindingCode::CpBadNumber, item.key);
                }
            }
            _ => {
                if value.starts_with("//") && (value.len() < 4 || !value.ends_with("//")) {
                    say(FindingCode::CpUnclosedLog, item.key);
                }
            }
        }
    }
    if !many.is_empty() {
        many.extend_from_slice(&few);
        many.sort_unstable();
        for pair in many.windows(2) {
            if pair[0] == pair[1] {
                say(FindingCode::CpDuplicateKey, pair[0]);
                break;
            }
        }
    }
}

/// A number of 0 to 255 that equal keys share: the last eight bytes, which differ between the
/// attributes of one factor and between factors, mixed by a multiplication.
#[inline]
fn key_mark(key: &str) -> usize {
    let bytes = key.as_bytes();
    let word = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes.iter().fold(0, |w, b| w << 8 | u64::from(*b)),
    };
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(region: &str) -> Vec<(u16, &str, Option<&str>)> {
        Items::new(region)
            .map(|i| (i.group, i.key, i.value))
            .collect()
    }

    #[test]
    fn items_keep_order_and_groups() {
        assert_eq!(
            groups("DataTime=20160801085857;w01001-Rtd=7.1,w01001-Flag=N;…"),
            [
                (0, "DataTime", Some("20160801085857")),
                (1, "w01001-Rtd", Some("7.1")),
                (1, "w01001-Flag", Some("N")),
                (2, "…", None),
            ]
        );
        assert_eq!(groups(";;,,DataTime=1;;"), [(0, "DataTime", Some("1"))]);
        assert_eq!(groups(" "), [(0, "", None)]);
        assert_eq!(groups(""), []);
        assert_eq!(groups(" VaseNo=1 "), [(0, "VaseNo", Some("1"))]);
    }

    #[test]
    fn a_log_may_hold_separators() {
        assert_eq!(
            groups("i11001-Info=//清洗;管路,一/条=2//;x=1"),
            [
                (0, "i11001-Info", Some("//清洗;管路,一/条=2//")),
                (1, "x", Some("1")),
            ]
        );
        let open = "i11001-Info=//abc;x=1";
        assert_eq!(groups(open)[1], (1, "x", Some("1")));
        assert!(check(open).has(FindingCode::CpUnclosedLog));
        assert_eq!(Items::new("a-Info=//b//").next().unwrap().log(), Some("b"));
    }

    #[test]
    fn what_a_region_breaks() {
        use FindingCode as C;
        let of = |t: &str| check(t).iter().collect::<Vec<_>>();
        assert_eq!(of("DataTime=20160801085857;a-Rtd=1;a-Flag=N"), []);
        assert_eq!(of("DataTime=2016-08-01 08:58:57"), [C::BadDataTime]);
        assert_eq!(of("DataTime=20160231085857"), [C::ImpossibleTime]);
        assert_eq!(of("a-Rtd=1,a-Rtd=2"), [C::CpDuplicateKey]);
        assert_eq!(of("a-Rtd=x"), [C::CpBadNumber]);
        assert_eq!(of("a-Flag=NN"), [C::BadDataFlag]);
        let many: String = (0..200).map(|k| format!("a{k}-Rtd=1;")).collect();
        assert_eq!(of(&many), []);
        assert_eq!(of(&(many.clone() + "a3-Rtd=2")), [C::CpDuplicateKey]);
        assert_eq!(of(&(many + "a150-Rtd=2")), [C::CpDuplicateKey]);
    }
}
