//! The plans in the repository, broken plans, and the rules of standing.

use std::cell::RefCell;

use miyun_core::assessment::Trace;
use miyun_core::{Assessment, Date, Decimal, MethodVersion, Period, Sufficiency, Verdict};
use miyun_plan::{EMBEDDED, Figure, Figures, Indicator, Standing, embedded, read, status};
use miyun_rulebook::Rulebook;
use proptest::prelude::*;

/// Rows of the mission.
const ROWS: [&str; 43] = [
    "0.1", "0.2", "1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6",
    "2.7", "2.8", "2.9", "2.10", "2.11", "2.12", "2.13", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6",
    "3.7", "3.8", "4.1", "4.2", "4.3", "4.4", "5.1", "5.2", "5.3", "5.4", "5.5", "6.1", "6.2",
    "6.3", "6.4", "6.5", "6.6",
];

#[test]
fn the_plans_have_no_problems_and_beijing_has_every_row() {
    let v = Rulebook::embedded().vocabulary();
    for (name, text) in EMBEDDED {
        let (plan, problems) = read(name, text, v);
        assert!(
            problems.is_empty(),
            "{}",
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        );
        assert!(plan.is_some());
    }
    let plans = embedded(v);
    let rows: Vec<&str> = plans[0].measures.iter().map(|m| m.row.as_str()).collect();
    assert_eq!(rows, ROWS);
    assert!(plans[1].simulated);
}

#[test]
fn the_rows_are_those_of_the_mission() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mission.md");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not here", path.display());
        return;
    };
    let rows: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("| "))
        .filter_map(|l| l.split(' ').next())
        .filter(|w| {
            w.split_once('.')
                .is_some_and(|(a, b)| a.parse::<u8>().is_ok() && b.parse::<u8>().is_ok())
        })
        .collect();
    assert_eq!(rows, ROWS);
}

/// Each way to break a plan gives its code at its line.
#[test]
fn broken_plans_say_where_and_how_to_mend() {
    let v = Rulebook::embedded().vocabulary();
    let good = EMBEDDED[0].1;
    let break_it = [
        (
            "direction = \"at-most\"",
            "direction = \"below\"",
            "unknown-direction",
        ),
        ("direction = \"at-most\"\n", "", "missing-key"),
        (
            "target    = \"32\"",
            "target    = \"thirty\"",
            "not-a-decimal",
        ),
        ("target    = \"32\"", "target    = 32", "bare-number"),
        (
            "indicator = \"PM2.5\"",
            "indicator = \"PM2,5\"",
            "unknown-indicator",
        ),
        ("unit      = \"d\"", "unit      = \"days\"", "unknown-unit"),
        (
            "due       = 2024-12-31",
            "due       = 2025-12-31",
            "due-outside",
        ),
        (
            "due       = 2024-12-31",
            "due       = 2023-12-31",
            "period-reversed",
        ),
        ("due       = 2024-12-31", "due       = \"soon\"", "bad-date"),
        (
            "citation  = \"year-before\"",
            "citation  = \"rumour\"",
            "unresolved-citation",
        ),
        ("chapter = \"2\"", "chapter = \"9\"", "unknown-chapter"),
        ("id      = \"2.2\"", "id      = \"2.1\"", "duplicate-id"),
        ("zh = \"扬尘管控\", en", "en", "missing-key"),
        ("lead    =", "leads   =", "unknown-key"),
        (
            "needs   = { zh = \"车辆登记与行业台账\", en = \"vehicle registrations by industry\" }\n",
            "",
            "unbound",
        ),
        ("[plan]", "[plan", "toml-syntax"),
    ];
    for (from, to, code) in break_it {
        assert!(good.contains(from), "{from}");
        let (_, problems) = read("p.toml", &good.replacen(from, to, 1), v);
        let p = problems
            .iter()
            .find(|p| p.code == code)
            .unwrap_or_else(|| panic!("{code}: {problems:?}"));
        assert!(p.line > 0 && !p.reason.is_empty(), "{p:?}");
    }
}

/// A figure that is whatever the test says.
struct Fixed {
    value: Option<Decimal>,
    valid: bool,
    until: Date,
    asked: RefCell<u32>,
}

impl Figures for Fixed {
    fn figure(&self, i: &Indicator, period: &Period, _: Date) -> Option<Figure> {
        *self.asked.borrow_mut() += 1;
        let value = self.value?;
        Some(Figure {
            assessment: Assessment {
                id: "a-test".parse().unwrap(),
                subject: i.subject.clone(),
                indicator: i.indicator.clone(),
                statistic: i.statistic.clone(),
                period: *period,
                value: Some(value),
                value_unrounded: Some(value),
                unit: i.unit.clone(),
                sufficiency: Sufficiency {
                    valid: self.valid,
                    ..Sufficiency::default()
                },
                verdict: Verdict::Figure,
                limit: None,
                margin: None,
                exceedance: None,
                trace: Trace {
                    rules: vec![],
                    steps: vec![],
                    evidence: vec![],
                    method: MethodVersion {
                        name: "t".into(),
                        version: "1".into(),
                    },
                    declared: vec![],
                },
            },
            data_until: self.until,
            forecast: None,
        })
    }
    fn limit(&self, _: &Indicator, _: Date) -> Option<(Decimal, String)> {
        Some((Decimal::from(35), "clause".into()))
    }
}

fn day(t: &str) -> Date {
    t.parse().unwrap()
}

fn plans() -> &'static [miyun_plan::Plan] {
    static PLANS: std::sync::OnceLock<Vec<miyun_plan::Plan>> = std::sync::OnceLock::new();
    PLANS.get_or_init(|| embedded(Rulebook::embedded().vocabulary()))
}

fn pm25(value: Option<i64>, valid: bool, on: &str, until: &str) -> Standing {
    let plans = plans();
    let figures = Fixed {
        value: value.map(Decimal::from),
        valid,
        until: day(until),
        asked: RefCell::new(0),
    };
    let s = status(&plans[0], day(on), &figures);
    let m = s.measures.iter().find(|m| m.measure.row == "2.6").unwrap();
    m.indicators[0].standing
}

#[test]
fn the_day_decides() {
    assert_eq!(
        pm25(Some(30), true, "2024-06-30", "2024-06-30"),
        Standing::OnTrack
    );
    assert_eq!(
        pm25(Some(40), true, "2024-06-30", "2024-06-30"),
        Standing::AtRisk
    );
    assert_eq!(
        pm25(Some(30), true, "2024-12-31", "2024-12-31"),
        Standing::Attained
    );
    assert_eq!(
        pm25(Some(40), true, "2024-12-31", "2024-12-31"),
        Standing::Missed
    );
    assert_eq!(
        pm25(None, true, "2024-12-31", "2024-12-31"),
        Standing::NoData
    );
    assert_eq!(
        pm25(Some(30), false, "2024-12-31", "2024-12-31"),
        Standing::NoData,
        "too few days never attain"
    );
    assert_eq!(
        pm25(Some(30), true, "2024-12-31", "2024-11-30"),
        Standing::NoData,
        "eleven months are no year"
    );
}

#[test]
fn coverage_is_honest() {
    let plans = embedded(Rulebook::embedded().vocabulary());
    let figures = Fixed {
        value: None,
        valid: true,
        until: day("2024-12-31"),
        asked: RefCell::new(0),
    };
    let s = status(&plans[0], day("2024-12-31"), &figures);
    assert_eq!(
        (s.coverage.measures, s.coverage.bound, s.coverage.judged),
        (43, 4, 0)
    );
    assert_eq!(
        s.measures
            .iter()
            .filter(|m| m.standing == Standing::NotBound)
            .count(),
        39
    );
    assert_eq!(*figures.asked.borrow(), 8);
}

proptest! {
    /// Cuts out a stretch of a real plan and repeats a bit of it elsewhere.
    #[test]
    fn no_mutilated_plan_makes_it_panic(from in any::<prop::sample::Index>(), length in 0usize..60, at in any::<prop::sample::Index>(), graft in 0usize..40) {
        let text: Vec<char> = EMBEDDED[1].1.chars().collect();
        let (i, j) = (from.index(text.len()), at.index(text.len()));
        let mut broken: String = text[..i].iter().collect();
        broken.extend(&text[j..(j + graft).min(text.len())]);
        broken.extend(&text[(i + length).min(text.len())..]);
        let (_, problems) = read("p.toml", &broken, Rulebook::embedded().vocabulary());
        prop_assert!(problems.iter().all(|p| p.file == "p.toml" && !p.fix.is_empty()));
    }

    #[test]
    fn a_lower_value_never_stands_worse(a in 0i64..100, less in 0i64..50, month in 1u8..13) {
        let on = format!("2024-{month:02}-28");
        let worse = pm25(Some(a), true, &on, &on);
        let better = pm25(Some((a - less).max(0)), true, &on, &on);
        prop_assert!(better <= worse);
    }
}
