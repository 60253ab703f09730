//! The plain long layout: one row per value.

use std::collections::HashMap;

use jiff::civil::{DateTime, date};
use miyun_core::observation::Flag;
use miyun_core::{Problem, Series, UnitId};

use crate::number::{NumberError, steps};
use crate::{
    Declared, Parsed, ReadError, SeriesRows, Station, Words, line_of, problem, reader, subject,
    trim, without_bom,
};

pub(crate) fn read(
    file: &str,
    bytes: &[u8],
    declared: &Declared,
    words: &Words,
) -> Result<Parsed, ReadError> {
    let bytes = without_bom(bytes);
    let mut reader = reader(bytes);
    let header: Vec<String> = reader
        .byte_headers()
        .map(|h| {
            h.iter()
                .map(|f| String::from_utf8_lossy(trim(f)).into_owned())
                .collect()
        })
        .unwrap_or_default();
    let at = |name: &str| header.iter().position(|h| h == name);
    let (Some(s), Some(i), Some(t), Some(v)) =
        (at("station"), at("indicator"), at("time"), at("value"))
    else {
        let missing: Vec<&str> = ["station", "indicator", "time", "value"]
            .into_iter()
            .filter(|n| at(n).is_none())
            .collect();
        return Err(ReadError::Header {
            file: file.into(),
            missing: missing.join(", "),
            found: header.join(", "),
        });
    };
    let mut rows = Rows {
        file,
        bytes,
        declared,
        words,
        out: Parsed::default(),
        keys: HashMap::new(),
        seen: HashMap::new(),
    };
    rows.ask(at("unit").is_some(), bytes)?;
    let columns = Columns {
        s,
        i,
        t,
        v,
        unit: at("unit"),
        flag: at("flag"),
    };
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => rows.row(&record, &columns),
            Ok(false) => break,
            Err(e) => {
                rows.out.problems.push(|| {
                    problem(
                        file,
                        e.position().map_or(0, csv::Position::line),
                        "",
                        "bad-row",
                        e.to_string(),
                        "mend or drop the row",
                    )
                });
                break;
            }
        }
    }
    Ok(rows.out)
}

struct Columns {
    s: usize,
    i: usize,
    t: usize,
    v: usize,
    unit: Option<usize>,
    flag: Option<usize>,
}

/// Station, indicator and unit as written.
type Key = (Vec<u8>, Vec<u8>, Vec<u8>);

struct Rows<'a> {
    file: &'a str,
    bytes: &'a [u8],
    declared: &'a Declared,
    words: &'a Words,
    out: Parsed,
    /// Series by station, indicator and unit as written; `None` for what was refused once.
    keys: HashMap<Key, Option<usize>>,
    /// Labels seen by series.
    seen: HashMap<(usize, i64), u32>,
}

impl Rows<'_> {
    /// What neither file nor user says, asked for by name before a row is read.
    fn ask(&self, has_unit: bool, bytes: &[u8]) -> Result<(), ReadError> {
        let mut asks = Vec::new();
        if self.declared.interval.is_none() {
            asks.push("the layout does not say which end of the hour a label names: add --interval hour-begin or --interval hour-end".to_owned());
        }
        if self.declared.utc_offset_minutes.is_none() && !first_time_has_offset(bytes) {
            asks.push("the times have no offset from UTC: add --tz +08:00, or write times as 2016-05-01T13:00+08:00".to_owned());
        }
        if !has_unit && self.declared.units.is_empty() {
            asks.push(
                "there is no unit column: add --unit PM2.5=ug/m3 for each indicator".to_owned(),
            );
        }
        if asks.is_empty() {
            Ok(())
        } else {
            Err(ReadError::Undeclared {
                file: self.file.into(),
                asks,
            })
        }
    }

    fn row(&mut self, record: &csv::ByteRecord, c: &Columns) {
        self.out.rows += 1;
        let line = line_of(self.bytes, record);
        let field = |i: usize| trim(record.get(i).unwrap_or(b""));
        let unit = c.unit.map_or(b"".as_slice(), field);
        let text = field(c.v);
        if text.is_empty() || text == b"NA" {
            return;
        }
        let Some((label_s, offset)) = self.time(field(c.t)) else {
            let shown = String::from_utf8_lossy(field(c.t)).into_owned();
            self.out.problems.push(|| problem(self.file, line, "time", "bad-time", format!("{shown:?} is no time"), "write 2016-05-01T13:00 or 2016-05-01 13:00, with an offset such as +08:00 or with --tz"));
            return;
        };
        let Some(k) = self.series(field(c.s), field(c.i), unit, offset, line) else {
            return;
        };
        let flag = match c
            .flag
            .map(field)
            .map(|f| (String::from_utf8_lossy(f).parse::<Flag>(), f))
        {
            None => Flag::Good,
            Some((Ok(f), _)) => f,
            Some((Err(e), _)) => {
                self.out.problems.push(|| {
                    problem(
                        self.file,
                        line,
                        "flag",
                        "unknown-flag",
                        e,
                        "the row was left out",
                    )
                });
                return;
            }
        };
        let value = match steps(text) {
            Ok(v) => v,
            Err(e) => {
                let shown = String::from_utf8_lossy(text).into_owned();
                self.out
                    .problems
                    .push(|| number_problem(self.file, line, "value", &shown, e));
                return;
            }
        };
        if let Some(first) = self
            .seen
            .insert((k, label_s), u32::try_from(line).unwrap_or(u32::MAX))
        {
            self.out.problems.push(|| {
                problem(
                    self.file,
                    line,
                    "time",
                    "duplicate-row",
                    format!("the same station, indicator and time stand in line {first}"),
                    "the first row was kept",
                )
            });
            self.seen.insert((k, label_s), first);
            return;
        }
        self.out.series[k].push(label_s, value, flag, line);
    }

    /// The label as an instant, with the offset it was read under.
    fn time(&self, text: &[u8]) -> Option<(i64, i16)> {
        let text = std::str::from_utf8(text).ok()?;
        let (civil, offset) = split_offset(text);
        let offset = match offset {
            Some(o) => offset_minutes(o)?,
            None => self.declared.utc_offset_minutes?,
        };
        let time: DateTime = civil.replacen(' ', "T", 1).parse().ok()?;
        let days = i64::from((time.date() - date(1970, 1, 1)).get_days());
        let seconds = i64::from(time.hour()) * 3_600
            + i64::from(time.minute()) * 60
            + i64::from(time.second());
        Some((days * 86_400 + seconds - i64::from(offset) * 60, offset))
    }

    fn series(
        &mut self,
        station: &[u8],
        indicator: &[u8],
        unit: &[u8],
        offset: i16,
        line: u64,
    ) -> Option<usize> {
        let key = (station.to_vec(), indicator.to_vec(), unit.to_vec());
        if let Some(known) = self.keys.get(&key) {
            if known.is_none() {
                // Said once with its reason; every further row is counted.
                self.out.problems.push(|| {
                    problem(
                        self.file,
                        line,
                        "indicator",
                        "refused-series",
                        "this series was refused above".into(),
                        "",
                    )
                });
            }
            return *known;
        }
        let made = self.new_series(station, indicator, unit, offset, line);
        self.keys.insert(key, made);
        made
    }

    fn new_series(
        &mut self,
        station: &[u8],
        indicator: &[u8],
        unit: &[u8],
        offset: i16,
        line: u64,
    ) -> Option<usize> {
        let name = String::from_utf8_lossy(station).into_owned();
        let indicator = String::from_utf8_lossy(indicator).into_owned();
        let stated = String::from_utf8_lossy(unit).into_owned();
        let file = self.file;
        let mut refuse = |field: &str, code: &str, reason: String, fix: &str| {
            self.out
                .problems
                .push(|| problem(file, line, field, code, reason, fix));
            None
        };
        let Some(subject) = subject(&self.declared.subject_prefix, &name) else {
            return refuse(
                "station",
                "bad-station",
                format!("{name:?} is no station name"),
                "the row was left out",
            );
        };
        let Some(canonical) = self.words.indicators.get(&indicator) else {
            let known: Vec<&str> = self.words.indicators.keys().map(String::as_str).collect();
            return refuse(
                "indicator",
                "unknown-indicator",
                format!("unknown indicator {indicator:?}"),
                &format!("known: {}", known.join(", ")),
            );
        };
        let unit: Option<UnitId> = if stated.is_empty() {
            self.declared.units.get(&indicator).cloned()
        } else {
            stated.parse().ok()
        };
        let Some(unit) = unit else {
            return refuse(
                "unit",
                "missing-unit",
                format!("{indicator} has no unit"),
                &format!("fill the unit column or add --unit {indicator}={canonical}"),
            );
        };
        if !self.words.convertible(&indicator, unit.as_str()) {
            return refuse(
                "unit",
                "wrong-unit",
                format!("{unit:?} cannot measure {indicator}"),
                &format!("use a unit like {canonical}"),
            );
        }
        let series = Series {
            subject: subject.clone(),
            indicator: indicator.parse().ok()?,
            unit,
            interval: self.declared.interval?,
            utc_offset_minutes: offset,
        };
        if !self.out.stations.iter().any(|s| s.subject == subject) {
            self.out.stations.push(Station { name, subject });
        }
        // The same series may be written with and without its unit: one series all the same.
        if let Some(k) = self.out.series.iter().position(|s| s.series == series) {
            return Some(k);
        }
        self.out.series.push(SeriesRows::new(series));
        Some(self.out.series.len() - 1)
    }
}

fn first_time_has_offset(bytes: &[u8]) -> bool {
    let mut reader = reader(bytes);
    let at = reader
        .byte_headers()
        .ok()
        .and_then(|h| h.iter().position(|f| trim(f) == b"time"));
    let mut record = csv::ByteRecord::new();
    let first = reader.read_byte_record(&mut record).unwrap_or(false);
    first
        && at
            .and_then(|i| record.get(i))
            .and_then(|t| std::str::from_utf8(t).ok())
            .is_some_and(|t| split_offset(t.trim()).1.is_some())
}

/// A time text and its offset, if it has one.
fn split_offset(text: &str) -> (&str, Option<&str>) {
    if let Some(t) = text.strip_suffix('Z') {
        return (t, Some("+00:00"));
    }
    match text.get(11..).and_then(|rest| rest.rfind(['+', '-'])) {
        Some(i) => (&text[..11 + i], Some(&text[11 + i..])),
        None => (text, None),
    }
}

/// Minutes east of UTC of a text such as `+08:00`, `+0800` or `+08`; `None` if it is not one.
#[must_use]
pub fn offset_minutes(text: &str) -> Option<i16> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let (h, m) = match digits.len() {
        2 => (digits.parse::<i16>().ok()?, 0),
        4 => (
            digits.get(..2)?.parse::<i16>().ok()?,
            digits.get(2..)?.parse::<i16>().ok()?,
        ),
        _ => return None,
    };
    (h <= 18 && m < 60).then_some(sign * (h * 60 + m))
}

pub(crate) fn number_problem(
    file: &str,
    line: u64,
    field: &str,
    text: &str,
    e: NumberError,
) -> Problem {
    let (code, reason, fix) = match e {
        NumberError::Syntax => (
            "not-a-number",
            format!("{text:?} is not a number"),
            "write digits with a point; leave the cell empty or write NA for a missing value",
        ),
        NumberError::Range => (
            "out-of-range",
            format!("{text:?} is too large"),
            "check the unit",
        ),
        NumberError::Decimals => (
            "too-many-decimals",
            format!("{text:?} has more than six decimals"),
            "round it, or use a smaller unit",
        ),
    };
    problem(file, line, field, code, reason, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use miyun_core::observation::IntervalLabel;
    use proptest::prelude::*;

    fn words() -> Words {
        let mut w = Words::default();
        for (i, u) in [("PM2.5", "ug/m3"), ("CO", "mg/m3"), ("O3", "ug/m3")] {
            w.indicators.insert(i.into(), u.parse().unwrap());
        }
        for (u, d) in [
            ("ug/m3", "mass-concentration"),
            ("mg/m3", "mass-concentration"),
            ("ppb", "volume-fraction"),
            ("hPa", "pressure"),
        ] {
            w.units.insert(u.into(), d.into());
        }
        w
    }
    fn declared() -> Declared {
        Declared {
            interval: Some(IntervalLabel::HourBegin),
            utc_offset_minutes: Some(480),
            ..Declared::default()
        }
    }

    #[test]
    fn every_missing_property_is_asked_for_by_name() {
        let e = read(
            "a.csv",
            b"station,indicator,time,value\na,CO,2016-01-01 00:00,1\n",
            &Declared::default(),
            &words(),
        )
        .unwrap_err()
        .to_string();
        for ask in ["--interval", "--tz", "--unit"] {
            assert!(e.contains(ask), "{e}");
        }
        let e = read("a.csv", b"station,time,value\n", &declared(), &words())
            .unwrap_err()
            .to_string();
        assert!(e.contains("indicator"), "{e}");
    }

    #[test]
    fn rows_are_judged_one_by_one() {
        let text = "# made for a test\nvalue,flag,unit,station,indicator,time\n\
            1.5,good,mg/m3,A b,CO,2016-01-01 00:00\n\
            x,,ug/m3,A b,PM2.5,2016-01-01 00:00\n\
            3,invalid,ug/m3,A b,PM2.5,2016-01-01T01:00+08:00\n\
            3,,hPa,A b,PM2.5,2016-01-01 02:00\n\
            3,,ug/m3,A b,PM2,2016-01-01 02:00\n\
            4,,mg/m3,A b,CO,2016-01-01 00:00\n\
            ,,mg/m3,A b,CO,2016-01-01 05:00\n\
            40,,ppb,A b,O3,2016-01-01T00:00Z\n\
            1,bad,mg/m3,A b,CO,2016-01-01 06:00\n\
            1,,mg/m3,A b,CO,2016-02-30 06:00\n";
        let p = read("a.csv", text.as_bytes(), &declared(), &words()).unwrap();
        let codes: Vec<(u64, &str)> = p
            .problems
            .kept
            .iter()
            .map(|p| (p.line, p.code.as_str()))
            .collect();
        assert_eq!(
            codes,
            [
                (4, "not-a-number"),
                (6, "wrong-unit"),
                (7, "unknown-indicator"),
                (8, "duplicate-row"),
                (11, "unknown-flag"),
                (12, "bad-time")
            ]
        );
        let get = |i: &str| p.series.iter().find(|s| s.series.indicator == i).unwrap();
        assert_eq!(
            (
                get("CO").value.as_slice(),
                get("CO").series.subject.as_str()
            ),
            ([1_500_000].as_slice(), "a-b")
        );
        assert_eq!(get("PM2.5").flag, [Flag::Invalid]);
        assert_eq!(get("O3").label_s, [1_451_606_400]);
        assert_eq!(get("CO").label_s, [1_451_606_400 - 28_800]);
    }

    #[test]
    fn offsets() {
        assert_eq!(offset_minutes("+08:00"), Some(480));
        assert_eq!(offset_minutes("-0330"), Some(-210));
        assert_eq!(offset_minutes("+08"), Some(480));
        assert_eq!(offset_minutes("08:00"), None);
        assert_eq!(offset_minutes("+99:00"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut text = b"station,indicator,time,value,unit,flag\n".to_vec();
            text.extend(bytes);
            let _ = read("f", &text, &declared(), &words());
            let _ = crate::prsa::read("f", &text[8..], &declared(), &words());
        }

        #[test]
        fn one_bad_row_costs_one_row(bad in "[a-z0-9,.:\\- ]{0,40}", good in 1usize..20) {
            prop_assume!(!bad.contains('"') && !bad.trim().is_empty() && !bad.starts_with('#'));
            let row = |h: usize| format!("s,CO,2016-01-01 {h:02}:00,1,mg/m3,\n");
            let before: String = (0..good).map(row).collect();
            let text = format!("station,indicator,time,value,unit,flag\n{before}{bad}\n{}", row(23));
            let p = read("f", text.as_bytes(), &declared(), &words()).unwrap();
            let co = p.series.iter().find(|s| s.series.indicator == "CO" && s.series.subject == "s").unwrap();
            prop_assert!(co.len() > good);
        }
    }
}
