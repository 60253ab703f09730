//! A figure of a region is the figure of its city.

use miyun_air::Incomplete;
use miyun_assess::air::{AirRequest, Record, evaluate};
use miyun_assess::region::region;
use miyun_assess::{AssessError, EditionChoice};
use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::subject::SubjectKind;
use miyun_core::{Period, Series, Subject, Text};
use miyun_import::{Parsed, SeriesRows};
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;

/// 2016-01-01T00:00+08:00.
const FIRST_S: i64 = 1_451_577_600;
const HOURS: i64 = 70 * 24;

fn subject(id: &str, kind: SubjectKind, place: &str, part_of: Option<&str>) -> Subject {
    Subject {
        id: id.parse().unwrap(),
        kind,
        name: Text::new(id, id),
        jurisdiction: place.parse().unwrap(),
        part_of: part_of.map(|p| p.parse().unwrap()),
        district: None,
        lon_deg: None,
        lat_deg: None,
        zone_class: None,
        control: id.ends_with("control"),
        simulated: true,
    }
}

/// Two cities with data, one without; in three files, the second of which overlaps the first.
fn lake(dir: &std::path::Path) -> Lake {
    let mut subjects = Vec::new();
    let mut parsed = Parsed::default();
    for (c, (city, place)) in [("a", "CN/11"), ("b", "CN/44"), ("empty", "CN/44")]
        .into_iter()
        .enumerate()
    {
        subjects.push(subject(city, SubjectKind::City, place, None));
        if city == "empty" {
            continue;
        }
        for (s, name) in ["one", "two", "control"].into_iter().enumerate() {
            let id = format!("{city}/{name}");
            subjects.push(subject(&id, SubjectKind::Station, place, Some(city)));
            for (k, (indicator, unit)) in [
                ("SO2", "ug/m3"),
                ("NO2", "ug/m3"),
                ("CO", "ug/m3"),
                ("O3", "ug/m3"),
                ("PM10", "ug/m3"),
                ("PM2.5", "ug/m3"),
            ]
            .into_iter()
            .enumerate()
            {
                let seed = (c * 7 + s * 3 + k) as i64;
                let mut rows = SeriesRows {
                    series: Series {
                        subject: id.parse().unwrap(),
                        indicator: indicator.parse().unwrap(),
                        unit: unit.parse().unwrap(),
                        interval: IntervalLabel::HourBegin,
                        utc_offset_minutes: 480,
                    },
                    label_s: Vec::new(),
                    value: Vec::new(),
                    flag: Vec::new(),
                    line: Vec::new(),
                };
                for h in 0..HOURS {
                    // Some hours are missing, some are invalid.
                    if (h * 31 + seed) % 29 == 0 {
                        continue;
                    }
                    rows.label_s.push(FIRST_S + 3_600 * h);
                    rows.value.push(((h * h + seed * 17) % 190 + 3) * 1_000_000);
                    rows.flag.push(if (h + seed) % 41 == 0 {
                        Flag::Invalid
                    } else {
                        Flag::Good
                    });
                    rows.line.push(u32::try_from(h).unwrap() + 2);
                }
                parsed.series.push(rows);
            }
        }
    }
    let mut lake = Lake::open(dir).unwrap();
    for (k, days) in [0..30, 25..50, 50..70].into_iter().enumerate() {
        let file = ImportFile {
            name: format!("{k}.csv"),
            digest: k.to_string().repeat(64),
            declared: String::new(),
            reviewed: false,
            parsed: cut(&parsed, days),
        };
        lake.import(
            vec![file],
            subjects.clone(),
            &|_| "air".into(),
            &format!("2026-01-0{}T00:00:00Z", k + 1),
        )
        .unwrap();
    }
    lake
}

/// The rows of some days, one higher in each later file.
fn cut(all: &Parsed, days: std::ops::Range<i64>) -> Parsed {
    let labels = FIRST_S + days.start * 86_400..FIRST_S + days.end * 86_400;
    let series = all.series.iter().map(|s| {
        let rows: Vec<usize> = (0..s.label_s.len())
            .filter(|i| labels.contains(&s.label_s[*i]))
            .collect();
        SeriesRows {
            series: s.series.clone(),
            label_s: rows.iter().map(|i| s.label_s[*i]).collect(),
            value: rows.iter().map(|i| s.value[*i] + days.start).collect(),
            flag: rows.iter().map(|i| s.flag[*i]).collect(),
            line: rows.iter().map(|i| s.line[*i]).collect(),
        }
    });
    Parsed {
        series: series.collect(),
        ..Parsed::default()
    }
}

fn request(period: &str) -> AirRequest {
    AirRequest {
        city: None,
        period: period.parse().unwrap(),
        choice: EditionChoice::Named("2026".into()),
        interval: None,
        incomplete: Incomplete::AsEdition,
        as_known_on: None,
    }
}

#[test]
fn figures_and_their_ids_are_those_of_the_city_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = lake(dir.path());
    let book = Rulebook::embedded();
    // The whole record, and days that rest on one file, on two, on those merged.
    let periods = [
        "2016-01-01..2016-03-10",
        "2016-01-03..2016-01-20",
        "2016-01-20..2016-02-10",
    ];
    let before: Vec<_> = periods
        .map(|p| same_in_both(&lake, book, &request(p)))
        .into();
    assert!(before[1].iter().all(|n| *n == 1), "{before:?}");
    assert!(before[2].iter().all(|n| *n == 2), "{before:?}");
    let small = miyun_lake::Merging {
        commits: 2,
        ..Default::default()
    };
    while lake.merge(small).unwrap().is_some() {}
    assert_eq!(lake.commits().len(), 1);
    for (p, files) in periods.into_iter().zip(before) {
        assert_eq!(same_in_both(&lake, book, &request(p)), files, "{p}");
    }
}

/// Compares the region with each city alone; gives how many files each piece of evidence names.
fn same_in_both(lake: &Lake, book: &Rulebook, request: &AirRequest) -> Vec<usize> {
    let mut files = Vec::new();
    let found = region(lake, book, request, None, |_, ev| ev.assessments.clone()).unwrap();
    assert_eq!(found.len(), 3);
    for outcome in &found {
        let id = &outcome.city.id;
        if id.as_str() == "empty" {
            assert!(
                matches!(outcome.outcome, Err(AssessError::NoData(_))),
                "{:?}",
                outcome.outcome
            );
            continue;
        }
        let record = Record::read(lake, book, Some(id), None, None).unwrap();
        let alone = evaluate(
            book,
            &record,
            &AirRequest {
                city: Some(id.clone()),
                ..request.clone()
            },
        )
        .unwrap();
        let there = outcome.outcome.as_ref().unwrap();
        assert_eq!(there, &alone.assessments, "{id}");
        // The city, its two stations and its control station, with all annual items and counts.
        assert_eq!(there.len(), 4 * (alone.edition.edition.annual.len() + 3));
        files.extend(
            there
                .iter()
                .flat_map(|a| &a.trace.evidence)
                .map(|e| e.origins.len()),
        );
    }
    files
}

#[test]
fn a_region_is_chosen_by_jurisdiction_and_nothing_of_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, book) = (lake(dir.path()), Rulebook::embedded());
    let within = "CN/11".parse().unwrap();
    let found = region(
        &lake,
        book,
        &request("2016-02"),
        Some(&within),
        |record, _| record.days,
    )
    .unwrap();
    assert_eq!(
        found.iter().map(|o| o.city.id.as_str()).collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(
        *found[0].outcome.as_ref().unwrap(),
        29,
        "only the days of the period are read"
    );
    let nowhere = "CN/99".parse().unwrap();
    let e = region(&lake, book, &request("2016"), Some(&nowhere), |_, _| ()).unwrap_err();
    assert!(e.to_string().contains("CN/99"), "{e}");
    let open = AirRequest {
        period: Period::default(),
        ..request("2016")
    };
    assert!(matches!(
        region(&lake, book, &open, None, |_, _| ()),
        Err(AssessError::Period(_))
    ));
}
