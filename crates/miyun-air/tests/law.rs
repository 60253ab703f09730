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
