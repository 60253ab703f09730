//! On PRSA, whose flaws are known: longest runs, shares and hours below were counted apart from
//! this code, from the files.
#![allow(missing_docs)]

mod common;

use std::sync::OnceLock;

use common::Data;
use miyun_forensics::{Factor, Finding, Inspection, Kind, MISSING, Params, Weight};

fn looked() -> Option<&'static (Data, Vec<Finding>)> {
    static ONCE: OnceLock<Option<(Data, Vec<Finding>)>> = OnceLock::new();
    ONCE.get_or_init(|| {
        let data = common::prsa()?;
        let found = Inspection::new(&data.network(), &params()).all();
        Some((data, found))
    })
    .as_ref()
}

/// Defaults, and ppb at 273 K.
fn params() -> Params {
    let mut p = Params::default();
    p.unit.factors = [("SO2", 2.858), ("NO2", 2.053), ("O3", 2.141)]
        .map(|(indicator, factor)| Factor {
            indicator: indicator.into(),
            factor,
            unit: "ppb".into(),
        })
        .to_vec();
    p
}

fn at<'f>(
    data: &Data,
    found: &'f [Finding],
    kind: Kind,
    station: &str,
    indicator: &str,
    time: &str,
) -> Option<&'f Finding> {
    let h = data.hour(time);
    let subject = if station.is_empty() {
        data.city.clone()
    } else {
        data.stations[data.station(station)].clone()
    };
    found.iter().find(|f| {
        f.kind == kind
            && f.subject == subject
            && f.indicator.as_ref().map_or("", |i| i.as_str()) == indicator
            && f.first <= h
            && h <= f.last
    })
}

#[test]
fn known_stuck_runs_are_found_and_clean_air_is_not() {
    let Some((data, found)) = looked() else {
        return;
    };
    for (station, indicator, first, n) in [
        ("guanyuan", "O3", "2013-03-16T13", 51),
        ("gucheng", "O3", "2013-03-16T14", 50),
        ("dongsi", "O3", "2013-03-16T14", 29),
        ("huairou", "PM10", "2014-09-23T17", 19),
        ("wanshouxigong", "PM2.5", "2013-09-26T14", 22),
    ] {
        let f = at(data, found, Kind::Stuck, station, indicator, first)
            .unwrap_or_else(|| panic!("{station} {indicator} {first}"));
        assert_eq!(data.time(f.first), first, "{}", data.line(f));
        assert!(f.reason.en.contains(&n.to_string()), "{}", data.line(f));
    }
    // The longest run of all, 204 hours of SO2 at 2, is one of the lowest value: noted, not doubted.
    let f = at(data, found, Kind::Floor, "gucheng", "SO2", "2015-08-05T18").unwrap();
    assert!(
        f.weight == Weight::Note && f.reason.en.contains("204"),
        "{}",
        data.line(f)
    );
    // 68 hours of ozone at 2 in June look stuck, but three dark days had 2 to 7 at every station.
    let f = at(
        data,
        found,
        Kind::Floor,
        "wanshouxigong",
        "O3",
        "2013-06-06T07",
    )
    .unwrap();
    assert_eq!(f.weight, Weight::Note, "{}", data.line(f));
    // The longest run of PM2.5, 41 hours at 3, is a cold front that every station saw.
    assert_eq!(
        at(data, found, Kind::Stuck, "dongsi", "PM2.5", "2014-10-12T10"),
        None
    );
    // CO has steps of 0.1 mg/m3 and repeats a third of its values: no flood of findings.
    let co =
        |f: &&Finding| f.kind == Kind::Stuck && f.indicator.as_ref().is_some_and(|i| i == "CO");
    assert!(found.iter().filter(co).count() < 12 * 10);
}

#[test]
fn copies_are_found_whole() {
    let Some((data, found)) = looked() else {
        return;
    };
    for (station, first, n) in [
        ("dongsi", "2014-06-24T14", 649),
        ("aotizhongxin", "2014-08-01T06", 394),
        ("dingling", "2013-10-02T19", 186),
    ] {
        let f = at(data, found, Kind::Copied, station, "PM10", first).unwrap();
        assert!(f.weight == Weight::Fault, "{}", data.line(f));
        assert!(f.last - f.first + 1 >= n, "{}", data.line(f));
    }
    // Hours that nearly all 72 series repeat: filled in by the archive.
    for time in [
        "2014-01-17T07",
        "2014-02-08T14",
        "2014-04-18T13",
        "2015-07-01T09",
    ] {
        let f = at(data, found, Kind::Copied, "", "", time).unwrap_or_else(|| panic!("{time}"));
        assert!(f.reason.en.starts_with("100 %"), "{}", data.line(f));
    }
    // Six equal hours in a row, counted naively, are in a finding each.
    let (part, whole) = (data.indicator("PM2.5"), data.indicator("PM10"));
    for (k, subject) in data.stations.iter().enumerate() {
        let (a, b) = (&data.values[k][part], &data.values[k][whole]);
        let mut runs = 0;
        for h in 0..a.len() - 6 {
            if (h..h + 6).all(|h| a[h] != MISSING && a[h] == b[h]) {
                runs += 1;
                assert!(
                    found.iter().any(|f| f.kind == Kind::Copied
                        && f.subject == *subject
                        && f.indicator.is_some()
                        && f.first <= h
                        && h + 5 <= f.last),
                    "{subject} {}",
                    data.time(h)
                );
            }
        }
        assert!(runs > 2_000, "{subject} {runs}");
    }
}

#[test]
fn fine_particles_above_coarse_ones() {
    let Some((data, found)) = looked() else {
        return;
    };
    // Longest runs, from the files.
    for (station, first, n) in [
        ("dingling", "2014-02-14T00", 83),
        ("huairou", "2014-02-14T20", 67),
        ("dongsi", "2014-02-15T02", 65),
    ] {
        let (first, subject) = (data.hour(first), &data.stations[data.station(station)]);
        let in_findings = (first..first + n)
            .filter(|h| {
                found.iter().any(|f| {
                    f.kind == Kind::PartAboveWhole
                        && f.subject == *subject
                        && f.first <= *h
                        && *h <= f.last
                })
            })
            .count();
        // Some of the hours are above by no more than two good instruments differ.
        assert!(in_findings * 10 >= n * 6, "{station}: {in_findings} of {n}");
    }
    // Most hours that are above by more than 10 ug/m3 lie in an episode of three hours or more.
    let (part, whole) = (data.indicator("PM2.5"), data.indicator("PM10"));
    let (mut hours, mut covered) = (0, 0);
    for (k, subject) in data.stations.iter().enumerate() {
        let (a, b) = (&data.values[k][part], &data.values[k][whole]);
        for h in 0..a.len() {
            if a[h] != MISSING && b[h] != MISSING && a[h] - b[h] > 10_000_000 {
                hours += 1;
                covered += usize::from(found.iter().any(|f| {
                    f.kind == Kind::PartAboveWhole
                        && f.subject == *subject
                        && f.first <= h
                        && h <= f.last
                }));
            }
        }
    }
    assert_eq!(hours, 14_429, "as counted from the files");
    assert!(covered * 10 >= hours * 8, "{covered} of {hours}");
}

#[test]
fn jumps_units_courses() {
    let Some((data, found)) = looked() else {
        return;
    };
    for (station, indicator, time) in [
        ("dongsi", "CO", "2015-06-04T23"),
        ("dingling", "O3", "2016-12-27T14"),
        ("gucheng", "CO", "2015-03-27T13"),
        // Ozone of 673 in a night of April, then a gap.
        ("tiantan", "O3", "2013-04-08T17"),
    ] {
        let f = at(data, found, Kind::Jump, station, indicator, time)
            .unwrap_or_else(|| panic!("{station} {indicator} {time}"));
        assert_eq!(data.time(f.first), time);
    }
    let f = at(data, found, Kind::Unit, "wanliu", "SO2", "2013-08-05T00").unwrap();
    assert!(
        f.reason.en.contains("ppb") && f.weight == Weight::Doubt,
        "{}",
        data.line(f)
    );
    assert_eq!(found.iter().filter(|f| f.kind == Kind::Unit).count(), 1);
    let f = at(
        data,
        found,
        Kind::DiurnalLost,
        "dingling",
        "SO2",
        "2016-10-05T00",
    )
    .unwrap();
    assert!(f.weight >= Weight::Doubt);
}

#[test]
fn carbon_monoxide_declared_in_milligrams_is_a_unit_confusion() {
    let Some((data, _)) = looked() else { return };
    let mut data = Data {
        city: data.city.clone(),
        first_day: data.first_day,
        days: 200,
        indicators: data.indicators.clone(),
        stations: data.stations.clone(),
        values: data.values.clone(),
    };
    let co = data.indicator("CO");
    for s in data.values.iter_mut().flatten() {
        s.truncate(200 * 24);
    }
    for s in &mut data.values {
        s[co]
            .iter_mut()
            .filter(|v| **v != MISSING)
            .for_each(|v| *v *= 1_000);
    }
    let found = Inspection::new(&data.network(), &params()).all();
    let units: Vec<&Finding> = found.iter().filter(|f| f.kind == Kind::Unit).collect();
    assert_eq!(units.len(), 12, "every station is off by the same factor");
    assert!(
        units
            .iter()
            .all(|f| f.indicator.as_ref().is_some_and(|i| i == "CO") && f.weight == Weight::Fault)
    );
}

#[test]
fn every_gap_of_a_day_is_found() {
    let Some((data, found)) = looked() else {
        return;
    };
    let mut gaps = 0;
    for (k, subject) in data.stations.iter().enumerate() {
        for (i, series) in data.values[k].iter().enumerate() {
            let (mut h, mut run) = (0, 0);
            while h < series.len() {
                run = if series[h] == MISSING { run + 1 } else { 0 };
                if run == 24 {
                    gaps += 1;
                    let middle = h - 12;
                    assert!(
                        found.iter().any(|f| f.kind == Kind::Gap
                            && f.subject == *subject
                            && f.indicator
                                .as_ref()
                                .is_none_or(|x| *x == data.indicators[i])
                            && f.first <= middle
                            && middle <= f.last),
                        "{subject} {} {}",
                        data.indicators[i],
                        data.time(h)
                    );
                }
                h += 1;
            }
        }
    }
    assert!(gaps > 100, "{gaps}");
}

#[test]
fn clocks_of_the_network_agree_and_a_planted_shift_is_found() {
    let Some((data, found)) = looked() else {
        return;
    };
    // Transport brings fronts to the hills an hour or two apart; that is no clock.
    let shifts: Vec<String> = found
        .iter()
        .filter(|f| f.kind == Kind::ClockShift)
        .map(|f| data.line(f))
        .collect();
    assert!(shifts.is_empty(), "{shifts:#?}");
    let mut moved = Data {
        city: data.city.clone(),
        first_day: data.first_day,
        days: data.days,
        indicators: data.indicators.clone(),
        stations: data.stations.clone(),
        values: data.values.clone(),
    };
    let (k, from) = (moved.station("gucheng"), moved.hour("2014-05-03T00"));
    for s in &mut moved.values[k] {
        s[from..from + 24 * 45].rotate_right(2);
    }
    let network = moved.network();
    let p = params();
    let found = Inspection::new(&network, &p).station(k);
    let f = found.iter().find(|f| f.kind == Kind::ClockShift).unwrap();
    assert!(f.reason.en.contains("2 h late"), "{}", moved.line(f));
    assert_eq!(moved.time(f.first), "2014-05-03T00", "{}", moved.line(f));
    assert_eq!(moved.time(f.last), "2014-06-16T23", "{}", moved.line(f));
}

/// The known label fact: PRSA reads one hour later than the five-city data of the same instrument.
#[test]
fn labels_are_an_hour_late_against_the_five_cities() {
    let Some((data, _)) = looked() else { return };
    let Some(other) = common::dongsi_of_five_cities(data) else {
        return;
    };
    // To the end of the other data set.
    let days = data.hour("2015-12-31T23") / 24;
    let own = &data.values[data.station("dongsi")][data.indicator("PM2.5")];
    let two = Data {
        city: data.city.clone(),
        first_day: data.first_day,
        days,
        indicators: vec!["PM2.5".parse().unwrap()],
        stations: vec![
            "beijing/dongsi".parse().unwrap(),
            "five/dongsi".parse().unwrap(),
        ],
        values: vec![
            vec![own[..days * 24].to_vec()],
            vec![other[..days * 24].to_vec()],
        ],
    };
    let network = two.network();
    let p = params();
    let i = Inspection::new(&network, &p);
    for (station, word) in [(0, "1 h late"), (1, "1 h early")] {
        let found = i.station(station);
        let shifts: Vec<&Finding> = found
            .iter()
            .filter(|f| f.kind == Kind::ClockShift)
            .collect();
        let hours: usize = shifts.iter().map(|f| f.last - f.first + 1).sum();
        assert!(hours > days * 24 * 8 / 10, "{hours} of {}", days * 24);
        for f in shifts {
            assert!(f.reason.en.contains(word), "{}", two.line(f));
            assert!(f.reason.en.contains("one neighbour"), "{}", two.line(f));
        }
    }
}
