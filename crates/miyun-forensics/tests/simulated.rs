//! Scored on the simulator's planted flaws: every one found at its place, nothing else doubted.
#![allow(missing_docs)]

mod common;

use miyun_forensics::{Inspection, Kind, Params, Weight};

/// Kind of finding that a planted flaw asks for; a dust day is an event and asks for none.
fn asked(flaw: &str) -> Option<Kind> {
    match flaw {
        "gap" => Some(Kind::Gap),
        "stuck" => Some(Kind::Stuck),
        "copied" => Some(Kind::Copied),
        "unit" => Some(Kind::Unit),
        "clock-shift" => Some(Kind::ClockShift),
        "dust-day" => None,
        other => panic!("the simulator plants {other}: say what finds it"),
    }
}

#[test]
fn every_planted_flaw_is_found_at_its_place_and_nothing_else_is_doubted() {
    let params = Params::default();
    for seed in [1, 2, 3, 4] {
        let (data, flaws) = common::simulated(seed, 400);
        let network = data.network();
        let found = Inspection::new(&network, &params).all();
        for flaw in &flaws {
            let Some(kind) = asked(flaw.kind) else {
                continue;
            };
            let hit = found.iter().find(|f| {
                f.kind == kind
                    && f.subject.as_str() == flaw.subject
                    && f.indicator.as_ref().map_or("", |i| i.as_str()) == flaw.indicator
            });
            let hit = hit.unwrap_or_else(|| panic!("seed {seed}: {flaw:?} not found"));
            let overlap = hit.last.min(flaw.hours.1) + 1 - hit.first.max(flaw.hours.0);
            let both = hit.last.max(flaw.hours.1) + 1 - hit.first.min(flaw.hours.0);
            // A shift is found to the day, the rest nearly to the hour.
            let share = if kind == Kind::ClockShift { 0.7 } else { 0.95 };
            assert!(
                overlap as f64 >= share * both as f64,
                "seed {seed}: {flaw:?} found as {}",
                data.line(hit)
            );
            assert!(hit.weight > Weight::Note, "{}", data.line(hit));
        }
        // 12 stations x 6 indicators x 400 days: whatever is doubted overlaps what was planted.
        let alarms: Vec<String> = found
            .iter()
            .filter(|f| f.weight > Weight::Note)
            .filter(|f| {
                !flaws.iter().any(|p| {
                    p.subject == f.subject.as_str() && p.hours.0 <= f.last && f.first <= p.hours.1
                })
            })
            .map(|f| data.line(f))
            .collect();
        assert!(alarms.is_empty(), "seed {seed}: {alarms:#?}");
        let notes = found.iter().filter(|f| f.weight == Weight::Note).count();
        assert!(notes <= 24, "seed {seed}: {notes} notes");
        // The dust day is an event: nobody may take it for a fault.
        let dust = flaws.iter().find(|f| f.kind == "dust-day").unwrap();
        assert!(
            !found
                .iter()
                .any(|f| f.first <= dust.hours.1 && dust.hours.0 <= f.last && f.kind == Kind::Jump)
        );
    }
}

#[test]
fn a_flaw_is_found_on_any_station_and_indicator() {
    let params = Params::default();
    let (clean, _) = common::simulated(5, 119);
    assert!(
        Inspection::new(&clean.network(), &params)
            .all()
            .iter()
            .all(|f| f.weight == Weight::Note),
        "nothing is planted into a short city"
    );
    for station in [0, 3, 7, 10] {
        let mut data = common::simulated(5, 119).0;
        let hours = (50 * 24, 54 * 24 - 1);
        // NO2 stuck, O3 a thousandth, PM10 copied from PM2.5 one after the other.
        let v = &mut data.values[station];
        let value = v[1][hours.0];
        v[1][hours.0..=hours.1].fill(value);
        v[3][hours.0..=hours.1].iter_mut().for_each(|x| *x /= 1_000);
        let copy = v[5][hours.0..=hours.1].to_vec();
        v[4][hours.0..=hours.1].copy_from_slice(&copy);
        let network = data.network();
        let found = Inspection::new(&network, &params).station(station);
        for (kind, indicator) in [
            (Kind::Stuck, "NO2"),
            (Kind::Unit, "O3"),
            (Kind::Copied, "PM10"),
        ] {
            let hit = found
                .iter()
                .find(|f| f.kind == kind && f.indicator.as_ref().is_some_and(|i| i == indicator));
            let hit = hit.unwrap_or_else(|| panic!("{kind:?} {indicator} at {station}"));
            assert_eq!((hit.first, hit.last), hours, "{}", data.line(hit));
        }
    }
}

#[test]
fn a_lost_daily_course_is_found() {
    let params = Params::default();
    let mut data = common::simulated(6, 119).0;
    let (station, o3) = (2, data.indicator("O3"));
    // Twenty days of daily means with a little life of their own: not stuck, but without a course.
    for day in 60..80 {
        let hours = &mut data.values[station][o3][day * 24..(day + 1) * 24];
        let mean = hours.iter().sum::<i64>() / 24;
        for (h, v) in hours.iter_mut().enumerate() {
            *v = mean + (h as i64 * 7 % 5) * 100_000;
        }
    }
    let network = data.network();
    let found = Inspection::new(&network, &params).station(station);
    let hit = found
        .iter()
        .find(|f| f.kind == Kind::DiurnalLost)
        .expect("lost course");
    assert_eq!((hit.first, hit.last), (60 * 24, 80 * 24 - 1));
    assert_eq!(hit.weight, Weight::Fault);
}

#[test]
fn one_station_alone_and_empty_series_are_no_trouble() {
    let params = Params::default();
    let (mut data, _) = common::simulated(7, 60);
    data.stations.truncate(1);
    data.values.truncate(1);
    let found = Inspection::new(&data.network(), &params).all();
    assert!(found.iter().all(|f| f.kind != Kind::ClockShift));
    for s in &mut data.values[0] {
        s.fill(miyun_forensics::MISSING);
    }
    assert!(Inspection::new(&data.network(), &params).all().is_empty());
    data.values[0].clear();
    data.days = 0;
    assert!(Inspection::new(&data.network(), &params).all().is_empty());
}
