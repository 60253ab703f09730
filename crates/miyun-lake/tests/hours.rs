//! Dense hours equal what a reader gets who walks the rows one by one.

use std::collections::BTreeMap;

use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::{Date, Series, SubjectId};
use miyun_import::{Parsed, SeriesRows};
use miyun_lake::{ImportFile, Lake, MISSING, Request};
use proptest::prelude::*;

/// 2015-12-31T16:00Z, the first hour of 2016 in Beijing.
const NEW_YEAR_S: i64 = 1_451_577_600;
/// Some days before the turn of the year and as many after, so that a series has two parts.
const FIRST: Date = Date::constant(2015, 12, 30);
const DAYS: usize = 4;

fn series(subject: &str, indicator: &str, interval: IntervalLabel) -> Series {
    Series {
        subject: subject.parse().unwrap(),
        indicator: indicator.parse().unwrap(),
        unit: "ug/m3".parse().unwrap(),
        interval,
        utc_offset_minutes: 480,
    }
}

/// One row: seconds after the first hour of the request, value, flag.
type Row = (i64, i64, Flag);

fn file(k: usize, of: &[(Series, Vec<Row>)]) -> ImportFile {
    let start = NEW_YEAR_S - 2 * 86_400;
    let series = of
        .iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(series, rows)| SeriesRows {
            series: series.clone(),
            label_s: rows.iter().map(|r| start + r.0).collect(),
            value: rows.iter().map(|r| r.1).collect(),
            flag: rows.iter().map(|r| r.2).collect(),
            line: (2..).take(rows.len()).collect(),
        })
        .collect();
    ImportFile {
        name: format!("{k}.csv"),
        digest: format!("{k:064x}"),
        declared: String::new(),
        reviewed: false,
        parsed: Parsed {
            series,
            ..Parsed::default()
        },
    }
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        5 => Just(Flag::Good),
        1 => Just(Flag::Invalid),
        1 => Just(Flag::Suspect),
        1 => Just(Flag::BelowDetection),
    ]
}

/// Rows of one series in one file: a run without gaps, or scattered rows, some off the hour.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let run = (
        -30i64..110,
        prop::collection::vec((0i64..1_000, flag()), 0..60),
    )
        .prop_map(|(from, values)| {
            (from..)
                .zip(values)
                .map(|(h, (v, f))| (h * 3_600, v * 1_000_000, f))
                .collect::<Vec<Row>>()
        });
    let scattered = prop::collection::vec(
        (
            -30i64..130,
            prop_oneof![4 => Just(0i64), 1 => 0i64..3_600],
            0i64..1_000,
            flag(),
        ),
        0..40,
    )
    .prop_map(|rows| {
        let mut by: BTreeMap<i64, Row> = BTreeMap::new();
        for (h, s, v, f) in rows {
            by.insert(h * 3_600 + s, (h * 3_600 + s, v * 1_000_000, f));
        }
        by.into_values().collect::<Vec<Row>>()
    });
    prop_oneof![run, scattered]
}

/// The value of every hour: the last recorded row of it decides, also if it may not be used.
fn walk(files: &[Vec<Row>], interval: IntervalLabel) -> (Vec<i64>, u64) {
    let shift = i64::from(interval == IntervalLabel::HourEnd) * 3_600;
    let mut out = vec![MISSING; DAYS * 24];
    let mut last: BTreeMap<i64, (i64, Flag)> = BTreeMap::new();
    let mut seen = 0;
    for rows in files {
        for (s, v, f) in rows {
            // An import leaves out what the lake already says.
            if last.get(s) == Some(&(*v, *f)) {
                continue;
            }
            last.insert(*s, (*v, *f));
            let hour = (s - shift).div_euclid(3_600);
            if let Ok(h) = usize::try_from(hour)
                && h < out.len()
            {
                out[h] = if f.usable() { *v } else { MISSING };
                seen += 1;
            }
        }
    }
    (out, seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn dense_hours_are_the_rows_that_hold(
        files in prop::collection::vec((rows(), rows(), rows()), 1..4),
        end in any::<bool>(),
    ) {
        let interval = if end { IntervalLabel::HourEnd } else { IntervalLabel::HourBegin };
        let keys = [
            series("x/a", "NO2", interval),
            series("x/a", "PM2.5", interval),
            series("x/b", "NO2", interval),
        ];
        let dir = tempfile::tempdir().unwrap();
        let mut lake = Lake::open(dir.path()).unwrap();
        for (k, (a, b, c)) in files.iter().enumerate() {
            let of: Vec<_> = keys.iter().cloned().zip([a.clone(), b.clone(), c.clone()]).collect();
            lake.import(vec![file(k, &of)], Vec::new(), &|_| "air".into(), "2026-01-01T00:00:00Z").unwrap();
        }
        let ids: Vec<SubjectId> = vec!["x/a".parse().unwrap(), "x/b".parse().unwrap()];
        let request = Request { subjects: &ids, first_day: FIRST, days: DAYS, ..Request::default() };
        for (k, key) in keys.iter().enumerate() {
            let mine: Vec<Vec<Row>> = files
                .iter()
                .map(|f| [&f.0, &f.1, &f.2][k].clone())
                .collect();
            let (want, seen) = walk(&mine, interval);
            for found in [lake.hours(&request).unwrap(), lake.hours_on(1, &request).unwrap()] {
                let dense = found.iter().flat_map(|s| &s.series).find(|d| d.series == *key);
                match dense {
                    Some(d) => {
                        prop_assert_eq!(d.values.as_slice(), want.as_slice(), "{} {}", key.subject, key.indicator);
                        prop_assert_eq!(d.rows, seen);
                    }
                    None => prop_assert_eq!(seen, 0),
                }
            }
            // One indicator alone reads the same.
            let one = [key.indicator.as_str()];
            let found = lake.hours(&Request { indicators: &one, ..request.clone() }).unwrap();
            let alone = found.iter().flat_map(|s| &s.series).find(|d| d.series == *key);
            prop_assert_eq!(alone.map_or(vec![MISSING; DAYS * 24], |d| d.values.to_vec()), want);
        }
    }
}
