//! The layout of the UCI data set 501, "Beijing multi-site air quality".

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use miyun_core::observation::Flag;
use miyun_core::{IndicatorId, Series, UnitId};

use crate::number::{NumberError, steps};
use crate::{
    Declared, Parsed, ReadError, SeriesRows, Station, Words, line_of, problem, reader, subject,
    trim, without_bom,
};

/// Column, indicator, unit: as the data set documents them.
const COLUMNS: [(&str, &str, &str); 12] = [
    ("PM2.5", "PM2.5", "ug/m3"),
    ("PM10", "PM10", "ug/m3"),
    ("SO2", "SO2", "ug/m3"),
    ("NO2", "NO2", "ug/m3"),
    ("CO", "CO", "ug/m3"),
    ("O3", "O3", "ug/m3"),
    ("TEMP", "TEMP", "degC"),
    ("PRES", "PRES", "hPa"),
    ("DEWP", "DEWP", "degC"),
    ("RAIN", "RAIN", "mm"),
    ("wd", "WD", "deg"),
    ("WSPM", "WSPM", "m/s"),
];
/// Beijing time, as the data set documents it.
const UTC_OFFSET_MINUTES: i16 = 480;

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
    let (Some(y), Some(m), Some(d), Some(h), Some(s)) = (
        at("year"),
        at("month"),
        at("day"),
        at("hour"),
        at("station"),
    ) else {
        return Err(ReadError::Header {
            file: file.into(),
            missing: "year, month, day, hour, station".into(),
            found: header.join(", "),
        });
    };
    let Some(interval) = declared.interval else {
        return Err(ReadError::Undeclared {
            file: file.into(),
            asks: vec!["the layout does not say which end of the hour a label names: add --interval hour-begin or --interval hour-end".into()],
        });
    };
    let offset = declared.utc_offset_minutes.unwrap_or(UTC_OFFSET_MINUTES);
    let columns: Vec<(usize, &str, UnitId)> = COLUMNS
        .iter()
        .filter_map(|(column, indicator, unit)| {
            let unit = declared
                .units
                .get(*indicator)
                .cloned()
                .or_else(|| unit.parse().ok())?;
            Some((at(column)?, *indicator, unit))
        })
        .filter(|(_, indicator, unit)| words.convertible(indicator, unit.as_str()))
        .collect();
    let mut out = Parsed::default();
    let mut places: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut record = csv::ByteRecord::new();
    let mut day = Day::default();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => {
                out.problems.push(|| {
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
        out.rows += 1;
        let line = line_of(bytes, &record);
        let field = |i: usize| trim(record.get(i).unwrap_or(b""));
        let Some(label_s) = day.label(field(y), field(m), field(d), field(h), offset) else {
            let text = [y, m, d, h]
                .map(|i| String::from_utf8_lossy(field(i)).into_owned())
                .join("-");
            out.problems.push(|| {
                problem(
                    file,
                    line,
                    "year, month, day, hour",
                    "bad-time",
                    format!("{text:?} is no hour of a day"),
                    "the row was left out",
                )
            });
            continue;
        };
        let first = match places.get(field(s)) {
            Some(first) => *first,
            None => {
                let name = String::from_utf8_lossy(field(s)).into_owned();
                let Some(id) = subject(&declared.subject_prefix, &name) else {
                    out.problems.push(|| {
                        problem(
                            file,
                            line,
                            "station",
                            "bad-station",
                            format!("{name:?} is no station name"),
                            "the row was left out",
                        )
                    });
                    continue;
                };
                let first = out.series.len();
                for (_, indicator, unit) in &columns {
                    let Ok(indicator) = IndicatorId::new(indicator) else {
                        continue;
                    };
                    out.series.push(SeriesRows::new(Series {
                        subject: id.clone(),
                        indicator,
                        unit: unit.clone(),
                        interval,
                        utc_offset_minutes: offset,
                    }));
                }
                out.stations.push(Station { name, subject: id });
                places.insert(field(s).to_vec(), first);
                first
            }
        };
        for (k, (i, indicator, _)) in columns.iter().enumerate() {
            let text = field(*i);
            if text == b"NA" {
                continue;
            }
            let value = if *indicator == "WD" {
                compass(text).ok_or(NumberError::Syntax)
            } else {
                steps(text)
            };
            match value {
                Ok(v) => out.series[first + k].push(label_s, v, Flag::Good, line),
                Err(e) => {
                    let shown = String::from_utf8_lossy(record.get(*i).unwrap_or(b"")).into_owned();
                    out.problems
                        .push(|| crate::long::number_problem(file, line, indicator, &shown, e));
                }
            }
        }
    }
    out.series.retain(|s| !s.is_empty());
    Ok(out)
}

/// Remembers the day of the last row: 24 rows share it.
#[derive(Default)]
struct Day {
    key: Option<[u32; 3]>,
    start_s: Option<i64>,
}

impl Day {
    fn label(
        &mut self,
        y: &[u8],
        m: &[u8],
        d: &[u8],
        h: &[u8],
        offset_minutes: i16,
    ) -> Option<i64> {
        let number = |t: &[u8]| std::str::from_utf8(t).ok()?.parse::<u32>().ok();
        let key = [number(y)?, number(m)?, number(d)?];
        if self.key != Some(key) {
            self.key = Some(key);
            self.start_s = (|| {
                let day = Date::new(
                    i16::try_from(key[0]).ok()?,
                    i8::try_from(key[1]).ok()?,
                    i8::try_from(key[2]).ok()?,
                )
                .ok()?;
                Some(
                    i64::from((day - date(1970, 1, 1)).get_days()) * 86_400
                        - i64::from(offset_minutes) * 60,
                )
            })();
        }
        let hour = number(h).filter(|h| *h <= 24)?;
        self.start_s.map(|s| s + i64::from(hour) * 3_600)
    }
}

/// A compass point of 16 as degrees, in 10^-6.
fn compass(text: &[u8]) -> Option<i64> {
    const POINTS: [&str; 16] = [
        "N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW",
        "NW", "NNW",
    ];
    let i = POINTS.iter().position(|p| p.as_bytes() == text)?;
    Some(i64::try_from(i).ok()? * 22_500_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use miyun_core::observation::IntervalLabel;

    const HEAD: &str =
        "\"No\",\"year\",\"month\",\"day\",\"hour\",\"PM2.5\",\"CO\",\"wd\",\"station\"\r\n";

    fn words() -> Words {
        let mut w = Words::default();
        for (i, u) in [("PM2.5", "ug/m3"), ("CO", "mg/m3"), ("WD", "deg")] {
            w.indicators.insert(i.into(), u.parse().unwrap());
        }
        for (u, d) in [
            ("ug/m3", "mass-concentration"),
            ("mg/m3", "mass-concentration"),
            ("deg", "angle"),
        ] {
            w.units.insert(u.into(), d.into());
        }
        w
    }
    fn declared() -> Declared {
        Declared {
            interval: Some(IntervalLabel::HourEnd),
            subject_prefix: "beijing/".into(),
            ..Declared::default()
        }
    }

    #[test]
    fn the_interval_is_asked_for_by_name() {
        let e = read("a.csv", HEAD.as_bytes(), &Declared::default(), &words()).unwrap_err();
        assert!(e.to_string().contains("--interval hour-begin"), "{e}");
    }

    #[test]
    fn a_damaged_cell_is_reported_and_its_neighbours_are_kept() {
        let text = format!(
            "{HEAD}1,2013,3,1,0,9,300,\"NNW\",\"Dongsi\"\r\n2,2013,3,1,1, ,300,NA,\"Dongsi\"\r\n3,2013,13,1,1,4,5,N,Dongsi\r\n"
        );
        let p = read("a.csv", text.as_bytes(), &declared(), &words()).unwrap();
        assert_eq!(p.rows, 3);
        assert_eq!(
            p.problems
                .kept
                .iter()
                .map(|p| (p.line, p.code.as_str()))
                .collect::<Vec<_>>(),
            [(3, "not-a-number"), (4, "bad-time")]
        );
        assert_eq!(p.problems.kept[0].field, "PM2.5");
        let co = p
            .series
            .iter()
            .find(|s| s.series.indicator == "CO")
            .unwrap();
        assert_eq!(
            (co.value.as_slice(), co.line.as_slice()),
            ([300_000_000, 300_000_000].as_slice(), [2, 3].as_slice())
        );
        // 2013-03-01 00:00 in Beijing is 16:00 UTC of the day before.
        assert_eq!(co.label_s[0], 1_362_067_200);
        assert_eq!(co.series.subject.as_str(), "beijing/dongsi");
        assert_eq!(
            p.series
                .iter()
                .find(|s| s.series.indicator == "WD")
                .unwrap()
                .value,
            [337_500_000]
        );
    }
}
