//! Worked examples beside the law, and the mistakes of other programs, on the rulebook's own
//! numbers.

mod common;

use common::edition;
use miyun_air::{Exact, Incomplete};
use miyun_core::Decimal;
use miyun_rulebook::{EMBEDDED, ExampleKind, examples};

#[test]
fn worked_examples_of_the_index() {
    let mut ran = 0;
    for (file, text) in EMBEDDED.iter().filter(|(n, _)| n.ends_with(".examples.md")) {
        for e in examples(file, text)
            .iter()
            .filter(|e| e.kind == ExampleKind::Index)
        {
            let edition = edition(e.get("edition"));
            let slot = edition
                .slot(e.get("indicator"), e.get("statistic"))
                .unwrap();
            let value = Exact::from_decimal(e.get("value").parse().unwrap()).unwrap();
            let index = edition
                .sub_index(slot, value)
                .map_or("-".to_owned(), |i| i.to_string());
            assert_eq!(index, e.get("index"), "{}:{}", e.file, e.line);
            ran += 1;
        }
    }
    assert!(ran >= 15, "only {ran} examples ran");
}

/// Every whole concentration, both editions: the sub-index agrees with a second way to compute it
/// (decimals instead of integers), never falls, and stays within 0 and 500.
#[test]
fn every_whole_concentration_has_its_index() {
    for name in ["2012", "2026", "2031"] {
        let e = edition(name);
        for (k, slot) in e.slots.iter().enumerate() {
            let scale = &slot.scale.as_ref().unwrap().value;
            let (unit, top) = if slot.indicator == "CO" {
                (Decimal::new(1, 1), 700)
            } else {
                (Decimal::ONE, 3000)
            };
            let mut last = 0;
            for c in 0..top {
                let value = unit * Decimal::from(c);
                let got = e.sub_index(k, Exact::from_decimal(value).unwrap());
                let points: Vec<Decimal> =
                    scale.points.iter().map(|p| Decimal::new(*p, 6)).collect();
                let want = match points.windows(2).position(|w| value <= w[1]) {
                    None => scale.above.and_then(|a| u16::try_from(a).ok()),
                    Some(s) => {
                        let (lo, hi) = (
                            Decimal::from(scale.index[s]),
                            Decimal::from(scale.index[s + 1]),
                        );
                        let i = lo + (hi - lo) * (value - points[s]) / (points[s + 1] - points[s]);
                        Some(u16::try_from(i.ceil().mantissa()).unwrap())
                    }
                };
                assert_eq!(got, want, "{name} {} {value}", slot.indicator);
                if let Some(i) = got {
                    assert!(i >= last && i <= 500);
                    last = i;
                }
            }
        }
    }
}

#[test]
fn the_level_of_every_index_is_named_and_has_no_gap() {
    for name in ["2012", "2026"] {
        let e = edition(name);
        let mut last = 1;
        for aqi in 1..=500 {
            let level = e.level(aqi).unwrap();
            assert!(level == last || level == last + 1, "{name} {aqi}");
            last = level;
        }
        assert_eq!(last, 6);
        assert_eq!(
            (
                e.level(50),
                e.level(51),
                e.level(100),
                e.level(101),
                e.level(300),
                e.level(301)
            ),
            (Some(1), Some(2), Some(2), Some(3), Some(5), Some(6))
        );
    }
}

#[test]
fn an_incomplete_day_is_published_only_when_it_is_bad() {
    let e = edition("2026");
    let sub = |v| vec![Some(v), None, Some(10), Some(20), Some(30), Some(40)];
    assert_eq!(
        e.index(sub(101), false, Incomplete::AsEdition).aqi,
        Some(101)
    );
    assert_eq!(e.index(sub(100), false, Incomplete::AsEdition).aqi, None);
    assert_eq!(
        e.index(sub(100), false, Incomplete::AsEdition).max,
        Some(100)
    );
    // The 2012 text has no such rule: an incomplete day is not published.
    let sub = |v| {
        vec![
            Some(v),
            None,
            Some(10),
            Some(20),
            Some(30),
            Some(40),
            Some(1),
        ]
    };
    assert_eq!(
        edition("2012")
            .index(sub(400), false, Incomplete::AsEdition)
            .aqi,
        None
    );
}

/// A dust hour of PM10 600 after clean air. Under 2012 the running mean of 24 hours hardly moves
/// (20 at 49 hours of 10, then (23 * 10 + 600) / 24 = 34.58 -> 35 -> index 35); under 2026 the hour
/// counts by itself on the daily points (600 -> 500).
#[test]
fn one_hour_of_dust_in_real_time() {
    let day = miyun_core::Date::constant(2025, 4, 1);
    let mut hours = miyun_air::Hours::empty(day, 3);
    let unit = miyun_air::exact::ONE;
    let mut dust = vec![10 * unit; 72];
    dust[50] = 600 * unit;
    let clean = [
        ("SO2", 10),
        ("NO2", 20),
        ("CO", 1),
        ("O3", 60),
        ("PM2.5", 10),
    ];
    hours.series.push(("PM10".parse().unwrap(), dust.into()));
    for (name, value) in clean {
        let series = vec![value * unit; 72];
        hours.series.push((name.parse().unwrap(), series.into()));
    }
    let at = |name: &str, hour: usize| {
        let e = edition(name);
        let i = &e.hour_indices(&hours, Incomplete::AsEdition)[hour];
        let slots: Vec<_> = e.hours.iter().filter(|s| s.scale.is_some()).collect();
        let pm10: Vec<u16> = slots
            .iter()
            .zip(&i.sub)
            .filter(|(s, _)| s.indicator == "PM10")
            .filter_map(|(_, v)| *v)
            .collect();
        (i.aqi, pm10)
    };
    let (aqi, pm10) = at("2012", 50);
    assert!(pm10.contains(&35), "{pm10:?}");
    assert!(aqi.is_some_and(|a| a <= 50), "{aqi:?}");
    assert_eq!(at("2026", 50), (Some(500), vec![500]));
    assert_eq!(at("2026", 51).1, [10]);
}
