//! The rulebook in the repository: free of problems, equal to the tables it was taken from, and
//! giving the answers that the worked examples beside the law expect.

use std::collections::BTreeMap;
use std::path::Path;

use miyun_core::rule::{Body, InstrumentKind};
use miyun_core::{Date, Decimal};
use miyun_rulebook::{EMBEDDED, ExampleKind, Query, ResolveError, Rulebook, examples};

fn book() -> &'static Rulebook {
    Rulebook::embedded()
}

fn query(indicator: &str, statistic: &str, class: &str, on: &str) -> Query {
    Query {
        indicator: indicator.parse().unwrap(),
        statistic: statistic.parse().unwrap(),
        jurisdiction: "CN/11".parse().unwrap(),
        class: Some(class.into()),
        on: on.parse().unwrap(),
        kind: InstrumentKind::QualityStandard,
    }
}

#[test]
fn the_rulebook_has_no_problems() {
    let (_, problems) = Rulebook::from_files(EMBEDDED.iter().map(|(n, t)| (*n, *t)));
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(text.is_empty(), "{}", text.join("\n"));
    assert!(book().instruments().len() >= 15);
}

#[test]
fn sixty_three_micrograms_have_three_verdicts() {
    let limit = |on| {
        book()
            .resolve(&query("PM2.5", "daily-mean", "2", on))
            .unwrap()
            .decides
    };
    let value = Decimal::from(63);
    for (on, printed, broken, instrument) in [
        ("2026-02-28", "75", false, "CN/GB-3095-2012"),
        ("2026-03-01", "60", true, "CN/GB-3095-2026"),
        ("2031-01-01", "50", true, "CN/GB-3095-2026"),
    ] {
        let c = limit(on);
        assert_eq!(c.limit.value.to_string(), printed);
        assert_eq!(c.limit.breach.broken(value, c.limit.value), broken);
        assert_eq!(c.rule.instrument, instrument);
        assert!(!c.rule.clause.is_empty());
    }
}

#[test]
fn worked_examples_beside_the_law() {
    let mut ran = 0;
    for (file, text) in EMBEDDED.iter().filter(|(n, _)| n.ends_with(".examples.md")) {
        for e in examples(file, text)
            .iter()
            .filter(|e| e.kind == ExampleKind::Limit)
        {
            let at = format!("{}:{}", e.file, e.line);
            let mut q = query(
                e.get("indicator"),
                e.get("statistic"),
                e.get("class"),
                e.get("date"),
            );
            q.jurisdiction = e.get("jurisdiction").parse().unwrap();
            match book().resolve(&q) {
                Ok(r) => {
                    let value: Decimal = e.get("value").parse().unwrap();
                    let verdict = if r.decides.limit.breach.broken(value, r.decides.limit.value) {
                        "exceeded"
                    } else {
                        "attained"
                    };
                    assert_eq!(verdict, e.get("verdict"), "{at}");
                    assert_eq!(r.decides.limit.value.to_string(), e.get("limit"), "{at}");
                    assert_eq!(
                        r.decides.rule.instrument.as_str(),
                        e.get("instrument"),
                        "{at}"
                    );
                }
                Err(e2) => assert_eq!(e.get("verdict"), "no rule", "{at}: {e2}"),
            }
            ran += 1;
        }
    }
    assert!(ran >= 8, "only {ran} examples ran");
}

/// From its first day on, every national limit has exactly one answer on every day to 2040.
#[test]
fn no_gap_and_no_overlap_from_1990_to_2040() {
    let first = Date::constant(1990, 1, 1);
    let keys: Vec<(String, String, String)> = book()
        .instrument("CN/GB-3095-2026")
        .unwrap()
        .limits()
        .filter(|(t, _)| !t.where_adopted)
        .map(|(_, l)| {
            (
                l.indicator.to_string(),
                l.statistic.to_string(),
                l.class.clone().unwrap(),
            )
        })
        .collect();
    assert!(keys.len() >= 28);
    for (indicator, statistic, class) in keys {
        let mut begun = false;
        let mut day = first;
        while day.year() <= 2040 {
            let mut q = query(&indicator, &statistic, &class, "2026-01-01");
            q.on = day;
            match book().resolve(&q) {
                Ok(_) => begun = true,
                Err(ResolveError::None { .. }) => {
                    assert!(!begun, "gap: {indicator} {statistic} {class} on {day}")
                }
                Err(e) => panic!("{e}"),
            }
            day = day.saturating_add(jiff::Span::new().days(if begun { 9 } else { 1 }));
        }
        assert!(begun);
        // The days around every change, which a stride of nine may step over.
        for edge in [
            "2013-01-01",
            "2016-01-01",
            "2026-02-28",
            "2026-03-01",
            "2030-12-31",
            "2031-01-01",
        ] {
            book()
                .resolve(&query(&indicator, &statistic, &class, edge))
                .unwrap();
        }
    }
}

#[test]
fn beijing_applied_the_standard_before_the_country() {
    let mut q = query("PM2.5", "annual-mean", "2", "2014-06-01");
    assert!(book().resolve(&q).is_ok());
    q.jurisdiction = "CN/13".parse().unwrap();
    let e = book().resolve(&q).unwrap_err().to_string();
    assert!(
        e.contains("there is CN/GB-3095-2012 (2016-01-01..2026-02-28"),
        "{e}"
    );
}

#[test]
fn the_reference_state_has_its_step() {
    let k = |on: &str| {
        book()
            .gas_state("SO2", on.parse().unwrap())
            .map(|s| s.temperature_k.to_string())
    };
    assert_eq!(k("2018-08-31").as_deref(), Some("273"));
    assert_eq!(k("2018-09-01").as_deref(), Some("298.15"));
    assert_eq!(k("2026-03-01").as_deref(), Some("298.15"));
    assert_eq!(
        book().gas_state("PM2.5", "2020-01-01".parse().unwrap()),
        None
    );
}

#[test]
fn an_edition_has_all_its_instruments() {
    let place = "CN/11".parse().unwrap();
    for e in book().editions() {
        for (kind, role) in [
            (InstrumentKind::QualityStandard, ""),
            (InstrumentKind::Method, "index"),
            (InstrumentKind::Method, "evaluation"),
            (InstrumentKind::Method, "ranking"),
        ] {
            book().in_force(kind, "air", role, &place, e.as_of).unwrap();
        }
    }
    let id = |role, on: &str| {
        book()
            .in_force(
                InstrumentKind::Method,
                "air",
                role,
                &place,
                on.parse().unwrap(),
            )
            .unwrap()
            .id
            .to_string()
    };
    assert_eq!(id("index", "2026-02-28"), "CN/HJ-633-2012");
    assert_eq!(id("index", "2026-03-01"), "CN/HJ-633-2026");
    assert_eq!(id("evaluation", "2026-03-01"), "CN/HJ-663-2026");
}

#[test]
fn foreign_instruments_do_not_judge_here() {
    let r = book()
        .resolve(&query("PM2.5", "annual-mean", "2", "2026-06-01"))
        .unwrap();
    assert!(r.also.is_empty());
}

/// What nobody read in the law never passes for law.
#[test]
fn unread_parts_are_marked() {
    for id in ["CN/HJ-663-2013", "CN/HJ-663-2026"] {
        let i = book().instrument(id).unwrap();
        assert!(i.tables.iter().all(|t| !t.verified), "{id}");
        assert!(i.note.is_some());
    }
    assert!(
        book()
            .instrument("CN/GB-3095-2026")
            .unwrap()
            .tables
            .iter()
            .all(|t| t.verified)
    );
}

/// The CSV files that the tables were taken from; `None` outside a checkout with shared data.
fn standards(file: &str) -> Option<Vec<BTreeMap<String, String>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/standards/air")
        .join(file);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    Some(
        reader
            .records()
            .map(|r| {
                header
                    .iter()
                    .zip(r.unwrap().iter())
                    .map(|(h, v)| (h.to_owned(), v.to_owned()))
                    .collect()
            })
            .collect(),
    )
}

fn statistic(word: &str) -> &str {
    match word {
        "annual" => "annual-mean",
        "24h" => "daily-mean",
        "1h" => "hourly-mean",
        "8h" => "8h-mean",
        "daily_max_8h" => "daily-max-8h",
        "quarter" => "quarterly-mean",
        other => other,
    }
}

#[test]
fn limits_equal_the_tables_they_were_taken_from() {
    for (file, id) in [
        ("gb3095_2012.csv", "CN/GB-3095-2012"),
        ("gb3095_2026.csv", "CN/GB-3095-2026"),
    ] {
        let Some(rows) = standards(file) else { return };
        let instrument = book().instrument(id).unwrap();
        let mut compared = 0;
        for r in rows.iter().filter(|r| r["class"] != "reference") {
            let class = if r["class"] == "I" { "1" } else { "2" };
            let on: Date = r["effective_from"].parse().unwrap();
            let stage = instrument.stage_on(on).map(|s| s.id.as_str());
            let (_, limit) = instrument
                .limits()
                .find(|(_, l)| {
                    l.indicator == *r["pollutant"]
                        && l.statistic == *statistic(&r["averaging_time"])
                        && l.class.as_deref() == Some(class)
                        && l.stage.as_deref() == stage
                })
                .unwrap_or_else(|| panic!("{id}: {r:?}"));
            assert_eq!(limit.value.to_string(), r["value"], "{r:?}");
            assert_eq!(limit.unit, *r["unit"]);
            compared += 1;
        }
        assert!(compared > 40, "{compared}");
    }
}

#[test]
fn breakpoints_equal_the_tables_they_were_taken_from() {
    for (file, id) in [
        ("hj633_2012_iaqi.csv", "CN/HJ-633-2012"),
        ("hj633_2026_iaqi.csv", "CN/HJ-633-2026"),
    ] {
        let Some(rows) = standards(file) else { return };
        let (_, b) = book().instrument(id).unwrap().breakpoints().next().unwrap();
        for r in rows.iter().filter(|r| !r["breakpoint"].is_empty()) {
            let column = b
                .columns
                .iter()
                .find(|c| {
                    c.indicator == *r["pollutant"]
                        && c.statistic == *statistic(&r["averaging_time"])
                })
                .unwrap();
            let k = b
                .index
                .iter()
                .position(|i| i.to_string() == r["iaqi"])
                .unwrap();
            assert_eq!(column.points[k].to_string(), r["breakpoint"], "{r:?}");
        }
    }
}

#[test]
fn foreign_tables_equal_the_ones_they_were_taken_from() {
    let Some(rows) = standards("us_epa_aqi_2024.csv") else {
        return;
    };
    let bands: Vec<_> = book()
        .instrument("US/EPA-454-B-24-002")
        .unwrap()
        .bands()
        .map(|(_, b)| b)
        .collect();
    assert_eq!(bands.len(), rows.len());
    for (b, r) in bands.iter().zip(&rows) {
        assert_eq!(
            (b.low.to_string(), b.high.unwrap().to_string()),
            (r["conc_low"].clone(), r["conc_high"].clone())
        );
        assert_eq!(
            (b.index_low.to_string(), b.index_high.unwrap().to_string()),
            (r["aqi_low"].clone(), r["aqi_high"].clone())
        );
    }
    let Some(rows) = standards("who_aqg_2021.csv") else {
        return;
    };
    let limits: Vec<_> = book()
        .instrument("WHO/AQG-2021")
        .unwrap()
        .limits()
        .map(|(_, l)| l)
        .collect();
    assert_eq!(limits.len(), rows.len());
    for r in &rows {
        assert!(
            limits.iter().any(|l| l.indicator == *r["pollutant"]
                && l.class.as_deref() == Some(&r["level"])
                && l.value.to_string() == r["value"]),
            "{r:?}"
        );
    }
}

/// The two example files that define the format load without a complaint.
#[test]
fn the_format_by_example_loads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/standards");
    let Ok(gb) = std::fs::read_to_string(dir.join("example-gb-3095-2026.toml")) else {
        println!("skipped: {} is not here", dir.display());
        return;
    };
    let vocabulary = EMBEDDED
        .iter()
        .filter(|(n, _)| n.contains("vocabulary") || n.ends_with("gb-3095-2012.toml"))
        .copied();
    let (b, problems) = Rulebook::from_files(vocabulary.chain([("gb.toml", gb.as_str())]));
    assert!(problems.is_empty(), "{problems:?}");
    let i = b.instrument("CN/GB-3095-2026").unwrap();
    assert!(i.limits().count() > 80 && i.conditions().count() == 10);
    assert!(matches!(i.table("4").unwrap().body, Body::Validity(ref v) if !v.is_empty()));
}
