//! Merging commits changes no answer: not the values, not what was known when, not where a row came
//! from.

use std::path::{Path, PathBuf};

use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::{Date, Series};
use miyun_import::{Parsed, SeriesRows};
use miyun_lake::{ImportFile, Lake, Merging, Request, Row, SubjectHours, Window};
use proptest::prelude::*;

const FIRST: Date = Date::constant(2015, 12, 30);
const DAYS: usize = 4;
/// 2015-12-29T16:00Z, the first hour of the request in Beijing.
const START_S: i64 = 1_451_404_800;

/// Series, seconds after the start, value, usable.
type Told = (usize, i64, i64, bool);

fn series(k: usize) -> Series {
    Series {
        subject: format!("city/s{}", k / 2).parse().unwrap(),
        indicator: ["PM2.5", "NO2"][k % 2].parse().unwrap(),
        unit: "ug/m3".parse().unwrap(),
        interval: IntervalLabel::HourBegin,
        utc_offset_minutes: 480,
    }
}

fn file(k: usize, told: &[Told]) -> ImportFile {
    let mut parsed = Parsed::default();
    for s in 0..4 {
        let rows: Vec<&Told> = told.iter().filter(|t| t.0 == s).collect();
        if rows.is_empty() {
            continue;
        }
        let flag = |ok| if ok { Flag::Good } else { Flag::Invalid };
        parsed.series.push(SeriesRows {
            series: series(s),
            label_s: rows.iter().map(|t| START_S + t.1).collect(),
            value: rows.iter().map(|t| t.2 * 1_000_000).collect(),
            flag: rows.iter().map(|t| flag(t.3)).collect(),
            line: (2..).take(rows.len()).collect(),
        });
    }
    ImportFile {
        name: format!("{k}.csv"),
        digest: blake3(k),
        declared: String::new(),
        reviewed: false,
        parsed,
    }
}

fn blake3(k: usize) -> String {
    format!("{:064x}", (k + 1) * 0x1234_5678_9abc)
}

fn now(k: usize) -> String {
    format!("2016-01-02T03:{k:02}:00Z")
}

fn import(lake: &mut Lake, k: usize, told: &[Told]) {
    let medium = |_: &str| "air".to_owned();
    lake.import(vec![file(k, told)], Vec::new(), &medium, &now(k))
        .unwrap();
}

/// Everything that the lake answers, as of now and as of each import, in order of its rows.
fn answers(lake: &Lake, imports: usize) -> Vec<(Vec<SubjectHours>, Vec<Row>)> {
    let times: Vec<Option<String>> = (0..imports).map(|k| Some(now(k))).chain([None]).collect();
    let mut out = Vec::new();
    for t in &times {
        for s in (0..4).map(series) {
            let r = Request {
                subjects: std::slice::from_ref(&s.subject),
                indicators: &[s.indicator.as_str()],
                first_day: FIRST,
                days: DAYS,
                as_known_on: t.as_deref(),
                ..Request::default()
            };
            out.push((lake.hours(&r).unwrap(), lake.rows(&r).unwrap()));
        }
    }
    out
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let row = (
        0usize..4,
        -20i64..110,
        prop_oneof![6 => Just(0i64), 1 => 1i64..3_600],
        0i64..5,
        prop::bool::weighted(0.85),
    );
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        // A file says one thing of one label.
        let mut by = std::collections::BTreeMap::new();
        for (s, h, off, v, ok) in rows {
            by.insert((s, h * 3_600 + off), (s, h * 3_600 + off, v, ok));
        }
        by.into_values().collect()
    })
}

fn everything() -> Merging {
    Merging {
        commits: 2,
        rows: 1_000_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_answer_changes(files in prop::collection::vec(told(), 2..9), cut in 1usize..8) {
        let dir = tempfile::tempdir().unwrap();
        let mut lake = Lake::open(dir.path()).unwrap();
        let cut = cut.min(files.len() - 1);
        for (k, f) in files.iter().enumerate() {
            // Merged twice: a merged commit is merged again.
            if k == cut {
                while lake.merge(everything()).unwrap().is_some() {}
            }
            import(&mut lake, k, f);
        }
        let before = answers(&lake, files.len());
        let merged = lake.merge(everything()).unwrap().unwrap();
        prop_assert_eq!((merged.first, merged.last), (1, files.len() as u64));
        prop_assert_eq!(lake.commits().len(), 1);
        prop_assert_eq!(&answers(&lake, files.len()), &before);
        // And for one who opens it anew.
        let again = Lake::open(dir.path()).unwrap();
        prop_assert_eq!(again.commits(), lake.commits());
        prop_assert_eq!(&answers(&again, files.len()), &before);
        prop_assert_eq!(lake.merge(everything()).unwrap(), None);
        // A file stays known, with its moment.
        for k in 0..files.len() {
            prop_assert_eq!(again.imported(&blake3(k)).unwrap().1, now(k));
        }
    }
}

fn commit_files(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir.join("commits"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.sort();
    all
}

#[test]
fn an_old_reader_reads_on_and_an_unfinished_merge_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    let day = |v: i64| {
        (0..24)
            .map(|h| (0, h * 3_600, v, true))
            .collect::<Vec<Told>>()
    };
    for k in 0..5 {
        import(&mut lake, k, &day(k as i64));
    }
    let before = answers(&lake, 5);
    let reader = Lake::open(dir.path()).unwrap();
    let old = commit_files(dir.path());
    lake.merge(everything()).unwrap().unwrap();
    assert_eq!(answers(&reader, 5), before, "what it names is still there");
    import(&mut lake, 5, &day(9));
    assert_eq!(
        answers(&reader, 5),
        before,
        "an import does not sweep it either"
    );
    assert_eq!(answers(&lake, 5)[..20], before[..20]);
    // A merge that was killed before its rename: parts that nobody names.
    let merged: Vec<PathBuf> = commit_files(dir.path())
        .into_iter()
        .filter(|p| !old.contains(p) && p.to_string_lossy().contains("000005-from-000001-"))
        .collect();
    assert_eq!(merged.len(), 1);
    std::fs::remove_file(&merged[0]).unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    assert_eq!(lake.commits().len(), 6);
    assert_eq!(answers(&lake, 5)[..20], before[..20]);
    // What it left is swept by the next run, and that merges the same.
    lake.merge(everything()).unwrap().unwrap();
    assert_eq!(answers(&lake, 5)[..20], before[..20]);
    // An hour later the replaced commits are gone, and their parts.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7_200);
    let newest = lake.commit_files().pop().unwrap();
    std::fs::File::options()
        .write(true)
        .open(newest)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    import(&mut lake, 6, &day(1));
    assert_eq!(commit_files(dir.path()).len(), 2);
    let parts = std::fs::read_dir(dir.path().join("observations/medium=air/year=2015")).unwrap();
    assert_eq!(parts.count(), 2);
    assert_eq!(answers(&lake, 5)[..20], before[..20]);
}

#[test]
fn large_commits_stay_and_small_ones_wait_for_company() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    let rows = |n: i64, v: i64| {
        (0..n)
            .map(|h| (1, h * 3_600, v, true))
            .collect::<Vec<Told>>()
    };
    let merging = Merging {
        commits: 3,
        rows: 100,
    };
    for (k, n) in [10, 90, 10, 10].into_iter().enumerate() {
        import(&mut lake, k, &rows(n, k as i64));
        assert_eq!(lake.merge(merging).unwrap(), None, "after import {k}");
    }
    import(&mut lake, 4, &rows(10, 7));
    let m = lake.merge(merging).unwrap().unwrap();
    assert_eq!((m.first, m.last, m.commits, m.rows), (3, 5, 3, 30));
    let sequences: Vec<u64> = lake.commits().iter().map(|c| c.sequence).collect();
    assert_eq!(sequences, [1, 2, 5]);
}

/// Imports and says how many preliminary values were left out.
fn import_as(lake: &mut Lake, k: usize, told: &[Told], reviewed: bool) -> u64 {
    let f = ImportFile {
        reviewed,
        ..file(k, told)
    };
    let report = lake.import(vec![f], Vec::new(), &|_| "air".to_owned(), &now(k));
    report.unwrap().values_outranked
}

/// The first hours of series 0, in whole units.
fn hours_of_0(lake: &Lake, known: Option<&str>) -> Vec<i64> {
    let s = series(0);
    let r = Request {
        subjects: std::slice::from_ref(&s.subject),
        indicators: &[s.indicator.as_str()],
        first_day: FIRST,
        days: 1,
        as_known_on: known,
        ..Request::default()
    };
    let all = lake.hours(&r).unwrap();
    all[0].series[0].values[..3]
        .iter()
        .map(|v| v / 1_000_000)
        .collect()
}

#[test]
fn a_reviewed_value_replaces_a_preliminary_one_and_never_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    let at = |h: i64, v: i64| (0, h * 3_600, v, true);
    assert_eq!(
        import_as(&mut lake, 0, &[at(0, 5), at(1, 5), at(2, 5)], false),
        0
    );
    // One hour corrected, one found right.
    assert_eq!(import_as(&mut lake, 1, &[at(0, 7), at(1, 5)], true), 0);
    // Late preliminary values.
    assert_eq!(
        import_as(&mut lake, 2, &[at(0, 9), at(1, 9), at(2, 9)], false),
        2
    );
    assert_eq!(hours_of_0(&lake, None), [7, 5, 9]);
    assert_eq!(
        hours_of_0(&lake, Some(&now(0))),
        [5, 5, 5],
        "still reachable"
    );
    while lake.merge(everything()).unwrap().is_some() {}
    assert_eq!(hours_of_0(&lake, None), [7, 5, 9]);
    assert_eq!(hours_of_0(&lake, Some(&now(0))), [5, 5, 5]);
    assert_eq!(
        import_as(&mut lake, 3, &[at(0, 9), at(1, 9)], false),
        2,
        "after a merge"
    );
    assert_eq!(
        import_as(&mut lake, 4, &[at(0, 6)], true),
        0,
        "reviewed again"
    );
    assert_eq!(hours_of_0(&lake, None), [6, 5, 9]);
}

#[test]
fn observations_come_in_pieces_as_they_would_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    // Thirty imports that overlap, so that most labels are recorded several times.
    for k in 0..30i64 {
        let told: Vec<Told> = (0..9)
            .map(|i| (0, (k * 3 + i * (1 + k % 3)) * 600, k, true))
            .collect();
        import(&mut lake, k as usize, &told);
        if k == 17 {
            lake.merge(everything()).unwrap().unwrap();
        }
    }
    let s = series(0);
    let window = |enough, newest_first| Window {
        subjects: std::slice::from_ref(&s.subject),
        indicators: &["PM2.5"],
        from_s: START_S + 3_000,
        until_s: START_S + 60_000,
        newest_first,
        enough,
        rows_max: 10_000,
    };
    let whole = lake.observed(&window(usize::MAX, false)).unwrap();
    assert!(whole.len() > 50 && whole.is_sorted_by(|a, b| a.label_s < b.label_s));
    // The last recorded of each label, found the long way.
    let mut last = std::collections::BTreeMap::new();
    for k in 0..30i64 {
        for i in 0..9 {
            let t = START_S + (k * 3 + i * (1 + k % 3)) * 600;
            if (START_S + 3_000..START_S + 60_000).contains(&t) {
                last.insert(t, k * 1_000_000);
            }
        }
    }
    let found: Vec<(i64, i64)> = whole.iter().map(|o| (o.label_s, o.value)).collect();
    assert_eq!(found, last.into_iter().collect::<Vec<_>>());
    let mut backward = whole.clone();
    backward.reverse();
    for enough in [1, 5, 20, 60] {
        let some = lake.observed(&window(enough, false)).unwrap();
        assert!(some.len() >= enough.min(whole.len()), "{enough}");
        assert_eq!(some, whole[..some.len()]);
        let some = lake.observed(&window(enough, true)).unwrap();
        assert_eq!(some, backward[..some.len()]);
    }
    let narrow = Window {
        rows_max: 20,
        ..window(usize::MAX, true)
    };
    assert!(
        lake.observed(&narrow)
            .unwrap_err()
            .to_string()
            .contains("shorter time")
    );
}
