//! Each detector on small made-up series: what it finds, and what it must leave alone.
#![allow(missing_docs)]

use miyun_core::{IndicatorId, SubjectId};
use miyun_forensics::{Finding, Inspection, Kind, MISSING, Network, Params, Station, Weight};
use miyun_sim::Random;

const DAYS: usize = 60;
const HOURS: usize = DAYS * 24;
const ONE: i64 = 1_000_000;

/// A few stations with the indicators given, each `[station][indicator][hour]`.
struct City {
    indicators: Vec<IndicatorId>,
    values: Vec<Vec<Vec<i64>>>,
}

impl City {
    /// Stations that share weather and have a life of their own, in steps of one.
    fn lively(stations: usize, indicators: &[&str], seed: u64) -> Self {
        let mut r = Random::new(seed);
        let mut values = vec![vec![Vec::with_capacity(HOURS); indicators.len()]; stations];
        for i in 0..indicators.len() {
            let mut shared = 0.0;
            for h in 0..HOURS {
                shared = 0.9 * shared + 5.0 * r.normal();
                let sun = [0.0, 12.0, 20.0, 12.0, 0.0, -12.0, -20.0, -12.0][h % 24 / 3];
                for station in &mut values {
                    let v = 70.0 + sun + shared + 3.0 * r.normal();
                    station[i].push(v.max(1.0).round() as i64 * ONE);
                }
            }
        }
        Self {
            indicators: indicators.iter().map(|i| i.parse().unwrap()).collect(),
            values,
        }
    }

    fn look(&self) -> Vec<Finding> {
        self.look_with(&Params::default())
    }

    fn look_with(&self, params: &Params) -> Vec<Finding> {
        let subjects: Vec<SubjectId> = (0..self.values.len())
            .map(|k| format!("x/{k}").parse().unwrap())
            .collect();
        let network = Network {
            subject: Some("x".parse().unwrap()),
            first_day: jiff::civil::date(2024, 1, 1),
            days: DAYS,
            stations: subjects
                .iter()
                .zip(&self.values)
                .map(|(subject, v)| Station {
                    subject,
                    series: self
                        .indicators
                        .iter()
                        .zip(v.iter().map(Vec::as_slice))
                        .collect(),
                })
                .collect(),
        };
        Inspection::new(&network, params).all()
    }
}

fn of(found: &[Finding], kind: Kind) -> Vec<(String, usize, usize)> {
    found
        .iter()
        .filter(|f| f.kind == kind)
        .map(|f| (f.subject.to_string(), f.first, f.last))
        .collect()
}

#[test]
fn lively_series_are_left_alone() {
    for seed in 0..20 {
        let found = City::lively(4, &["NO2", "O3"], seed).look();
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    }
}

#[test]
fn a_stuck_run_bridges_short_gaps_and_ends_with_the_value() {
    let mut c = City::lively(3, &["NO2"], 1);
    c.values[1][0][700..720].fill(83 * ONE);
    c.values[1][0][705..708].fill(MISSING);
    c.values[1][0][699] = 84 * ONE;
    c.values[1][0][720] = 82 * ONE;
    let found = c.look();
    assert_eq!(of(&found, Kind::Stuck), [("x/1".into(), 700, 719)]);
    assert!(
        found[0].reason.en.starts_with("17 values"),
        "{}",
        found[0].reason.en
    );
    assert!(found[0].reason.zh.contains("83"));
    assert!(found[0].score >= 1.0);
    // Four missing hours end it; what is left before is too short.
    c.values[1][0][705..709].fill(MISSING);
    assert_eq!(of(&c.look(), Kind::Stuck), [("x/1".into(), 709, 719)]);
}

#[test]
fn a_coarse_resolution_is_no_fault() {
    let mut c = City::lively(3, &["CO"], 2);
    for v in c.values.iter_mut().flatten().flatten() {
        *v = *v / (40 * ONE) * 40 * ONE;
    }
    let found = c.look();
    assert!(of(&found, Kind::Stuck).is_empty(), "{found:?}");
}

#[test]
fn the_lowest_value_is_judged_by_the_neighbours() {
    let mut c = City::lively(4, &["SO2"], 3);
    // Long at the lowest value while the others go on: stuck.
    c.values[0][0][800..820].fill(ONE);
    let found = c.look();
    assert_eq!(of(&found, Kind::Stuck), [("x/0".into(), 800, 819)]);
    assert!(found[0].reason.en.contains("the lowest of this series"));
    // All of them low: a note from 48 hours, nothing before.
    for station in &mut c.values {
        station[0][800..848].fill(ONE);
    }
    let found = c.look();
    assert!(of(&found, Kind::Stuck).is_empty());
    let floors: Vec<_> = found.iter().filter(|f| f.kind == Kind::Floor).collect();
    assert_eq!(floors.len(), 4);
    assert!(floors.iter().all(|f| f.weight == Weight::Note));
    for station in &mut c.values {
        station[0][847] = 50 * ONE;
    }
    assert!(of(&c.look(), Kind::Floor).is_empty());
}

/// PM10 is PM2.5 and as much again.
fn particles(seed: u64) -> City {
    let mut c = City::lively(3, &["PM2.5", "PM10"], seed);
    for station in &mut c.values {
        station[1] = (0..)
            .zip(&station[0])
            .map(|(h, part)| part * 3 / 2 + h % 7 * ONE)
            .collect();
    }
    c
}

#[test]
fn a_part_above_its_whole_beyond_tolerance_for_hours() {
    let mut c = particles(4);
    assert!(c.look().is_empty());
    // Above by 8 %: two good instruments may.
    for h in 500..510 {
        c.values[2][1][h] = c.values[2][0][h] * 100 / 108;
    }
    assert!(of(&c.look(), Kind::PartAboveWhole).is_empty());
    for h in 500..503 {
        c.values[2][1][h] = c.values[2][0][h] / 2;
    }
    let found = c.look();
    assert_eq!(of(&found, Kind::PartAboveWhole), [("x/2".into(), 500, 502)]);
    let f = found
        .iter()
        .find(|f| f.kind == Kind::PartAboveWhole)
        .unwrap();
    assert_eq!(f.weight, Weight::Fault);
    assert!(f.reason.en.contains("in 3 hours"), "{}", f.reason.en);
    // Two hours are no episode.
    c.values[2][1][502] = 200 * ONE;
    assert!(of(&c.look(), Kind::PartAboveWhole).is_empty());
}

#[test]
fn copies_of_six_hours_and_no_less() {
    let mut c = particles(5);
    for h in 600..605 {
        c.values[1][1][h] = c.values[1][0][h];
    }
    assert!(of(&c.look(), Kind::Copied).is_empty());
    // A missing hour inside does not end it.
    c.values[1][0][605] = MISSING;
    c.values[1][1][606] = c.values[1][0][606];
    let found = c.look();
    assert_eq!(of(&found, Kind::Copied), [("x/1".into(), 600, 606)]);
    assert_eq!(found[0].indicator.as_ref().unwrap().as_str(), "PM10");
}

#[test]
fn an_hour_that_the_whole_network_repeats() {
    let mut c = City::lively(6, &["NO2", "O3"], 6);
    for series in c.values.iter_mut().flatten() {
        series[900] = series[899];
        series[901] = series[899];
    }
    let found = c.look();
    assert_eq!(of(&found, Kind::Copied), [("x".into(), 900, 901)]);
    assert_eq!(found[0].indicator, None);
    assert_eq!(found[0].weight, Weight::Fault);
    // Ten series are too few to speak for a network.
    c.values.truncate(5);
    assert!(of(&c.look(), Kind::Copied).is_empty());
}

#[test]
fn jumps_away_and_back_that_the_neighbours_do_not_share() {
    let clean = City::lively(4, &["O3"], 7);
    let mut c = City {
        indicators: clean.indicators.clone(),
        values: clean.values.clone(),
    };
    c.values[2][0][1_000..1_003].fill(900 * ONE);
    let found = c.look();
    assert_eq!(of(&found, Kind::Jump), [("x/2".into(), 1_000, 1_002)]);
    assert!(
        found[0].reason.en.contains("to 900"),
        "{}",
        found[0].reason.en
    );
    // Ended by a gap.
    c.values[2][0][1_002..1_010].fill(MISSING);
    assert_eq!(of(&c.look(), Kind::Jump), [("x/2".into(), 1_000, 1_001)]);
    // Down to nothing, from far enough up.
    c.values = clean.values.clone();
    let high = (2..HOURS - 2)
        .find(|h| (h - 1..h + 2).all(|h| clean.values[2][0][h] > 85 * ONE))
        .unwrap();
    c.values[2][0][high] = ONE / 10;
    assert_eq!(of(&c.look(), Kind::Jump), [("x/2".into(), high, high)]);
    // Everywhere: dust, not a fault.
    c.values = clean.values.clone();
    for station in &mut c.values {
        station[0][1_000..1_003].fill(900 * ONE);
    }
    assert!(of(&c.look(), Kind::Jump).is_empty());
    // A peak with slopes is air.
    c.values = clean.values.clone();
    for (h, v) in [
        (1_000, 300),
        (1_001, 900),
        (1_002, 500),
        (1_003, 220),
        (1_004, 120),
    ] {
        c.values[2][0][h] = v * ONE;
    }
    assert!(of(&c.look(), Kind::Jump).iter().all(|f| f.1 == 1_001));
    // More hours away than a jump takes: a level, not a jump.
    c.values = clean.values.clone();
    c.values[2][0][1_000..1_008].fill(900 * ONE);
    assert!(of(&c.look(), Kind::Jump).is_empty());
}

#[test]
fn units_off_by_a_thousand_for_hours_or_as_a_whole() {
    let mut c = City::lively(3, &["PM2.5"], 8);
    for h in 400..404 {
        c.values[0][0][h] *= 1_000;
        c.values[1][0][h + 100] /= 1_000;
    }
    let found = c.look();
    assert_eq!(
        of(&found, Kind::Unit),
        [("x/0".into(), 400, 403), ("x/1".into(), 500, 503)]
    );
    assert!(
        found
            .iter()
            .any(|f| f.reason.en.contains("below the other stations"))
    );
    // The whole network in milligrams: no neighbour tells, the usual range does.
    let mut c = City::lively(3, &["PM2.5"], 8);
    c.values
        .iter_mut()
        .flatten()
        .flatten()
        .for_each(|v| *v /= 1_000);
    let found = c.look();
    assert_eq!(of(&found, Kind::Unit).len(), 3);
    assert!(
        found
            .iter()
            .all(|f| f.reason.en.contains("declared at import"))
    );
    // An indicator without a usual range is left alone.
    c.indicators = vec!["H2S".parse().unwrap()];
    assert!(c.look().is_empty());
}

#[test]
fn gaps_inside_the_record_of_the_station() {
    let mut c = City::lively(2, &["NO2", "O3"], 9);
    // Not there yet: no gap of this series.
    c.values[0][1][..300].fill(MISSING);
    // A day of one indicator; 23 hours are none.
    c.values[0][0][400..424].fill(MISSING);
    c.values[0][0][600..623].fill(MISSING);
    // Half a day of all: said once, for the station.
    for series in &mut c.values[1] {
        series[700..712].fill(MISSING);
        series[800..811].fill(MISSING);
    }
    let found = c.look();
    assert_eq!(
        of(&found, Kind::Gap),
        [("x/0".into(), 400, 423), ("x/1".into(), 700, 711)]
    );
    assert_eq!(found[0].indicator.as_ref().unwrap().as_str(), "NO2");
    assert_eq!(found[1].indicator, None);
    // One instrument that stops for good while the other goes on.
    c.values[0][0][1_000..].fill(MISSING);
    assert!(of(&c.look(), Kind::Gap).contains(&("x/0".into(), 1_000, HOURS - 1)));
}

#[test]
fn clocks_late_and_early() {
    for (late, word) in [(true, "4 h late"), (false, "4 h early")] {
        let mut c = City::lively(5, &["NO2", "O3"], 10);
        for series in &mut c.values[3] {
            let part = &mut series[15 * 24..45 * 24];
            if late {
                part.rotate_right(4);
            } else {
                part.rotate_left(4);
            }
        }
        let found = c.look();
        let shifts: Vec<&Finding> = found
            .iter()
            .filter(|f| f.kind == Kind::ClockShift)
            .collect();
        assert_eq!(shifts.len(), 1, "{found:?}");
        assert_eq!(shifts[0].subject.as_str(), "x/3");
        assert!(
            shifts[0].reason.en.contains(word),
            "{}",
            shifts[0].reason.en
        );
        assert!(
            shifts[0].first.abs_diff(15 * 24) <= 24,
            "{}",
            shifts[0].first
        );
        assert!(
            shifts[0].last.abs_diff(45 * 24 - 1) <= 24,
            "{}",
            shifts[0].last
        );
    }
}

#[test]
fn parameters_are_data() {
    let text = serde_json::to_string(&Params::default()).unwrap();
    assert_eq!(
        serde_json::from_str::<Params>(&text).unwrap(),
        Params::default()
    );
    let strict: Params = serde_json::from_str(r#"{"gap": {"hours_min": 2}}"#).unwrap();
    assert_eq!(strict.stuck, Params::default().stuck);
    assert!(serde_json::from_str::<Params>(r#"{"gap": {"hours": 2}}"#).is_err());
    let mut c = City::lively(1, &["NO2"], 11);
    c.values[0][0][100..102].fill(MISSING);
    assert!(c.look().is_empty());
    let mut strict = strict;
    strict.gap.silent_hours_min = 2;
    assert_eq!(
        of(&c.look_with(&strict), Kind::Gap),
        [("x/0".into(), 100, 101)]
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever the values, a look ends, stays within the record and says the same twice.
    #[test]
    fn any_values_are_looked_at(
        seed in 0u64..1_000,
        stations in 1usize..5,
        palette in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::prelude::Just(MISSING),
                proptest::prelude::Just(i64::MAX),
                proptest::prelude::Just(i64::MIN + 1),
                proptest::prelude::Just(0),
                -5 * ONE..5 * ONE,
                0..2_000 * ONE,
            ],
            1..12,
        ),
    ) {
        let mut c = City::lively(stations, &["PM2.5", "PM10", "O3"], seed);
        let mut r = Random::new(seed + 1);
        for series in c.values.iter_mut().flatten() {
            // Stretches of the palette among lively hours.
            let mut h = 0;
            while h < series.len() {
                h += (r.uniform() * 60.0) as usize;
                let value = palette[(r.uniform() * palette.len() as f64) as usize];
                let end = (h + (r.uniform() * 40.0) as usize).min(series.len());
                if h < end {
                    series[h..end].fill(value);
                }
                h = end.max(h + 1);
            }
        }
        let found = c.look();
        for f in &found {
            proptest::prop_assert!(f.first <= f.last && f.last < HOURS, "{f:?}");
            proptest::prop_assert!(!f.reason.zh.is_empty() && !f.reason.en.is_empty());
            proptest::prop_assert!(!f.score.is_nan());
        }
        proptest::prop_assert_eq!(found, c.look());
    }
}
