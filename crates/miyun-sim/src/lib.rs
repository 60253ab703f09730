//! A simulated city from one seed: stations, weather, hourly air, and flaws that are known.
//!
//! Everything it makes says that it is simulated. The same seed gives the same bytes on every
//! machine. Flaws are planted on purpose and returned as truth, so that forensics can be scored.

mod air;
pub mod devices;
mod random;
pub mod registry;

use std::fmt::Write as _;

use jiff::civil::Date;
use miyun_core::subject::SubjectKind;
use miyun_core::{Subject, Text};
use serde::Serialize;

pub use air::{INDICATORS, WEATHER};
pub use random::Random;

/// Id of the simulated city.
pub const CITY: &str = "linxi";
/// Its jurisdiction: inside the country, in no real province.
pub const JURISDICTION: &str = "CN/sim";

/// Something wrong that the simulator put into the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// What: `gap`, `stuck`, `dust-day`, `clock-shift`, `copied`, `unit`.
    pub kind: &'static str,
    /// Where.
    pub subject: String,
    /// Indicator, empty if it concerns all.
    pub indicator: String,
    /// First and last hour, counted from the first.
    pub hours: (usize, usize),
}

/// A simulated city.
#[derive(Debug, Clone)]
pub struct City {
    /// City and stations, each marked as simulated.
    pub subjects: Vec<Subject>,
    /// First local day.
    pub first_day: Date,
    /// Days.
    pub days: usize,
    /// `values[station][indicator][hour]` in tenths (CO in hundredths of mg/m3), `None` missing.
    pub values: Vec<Vec<Vec<Option<i32>>>>,
    /// `weather[indicator][hour]` in tenths, of the whole city.
    pub weather: Vec<Vec<Option<i32>>>,
    /// What is wrong with it on purpose.
    pub flaws: Vec<Flaw>,
}

/// What the demonstration's report of 22 November 2026 tells of: an instrument that read high, and
/// what its calibration record makes of the readings.
const CALIBRATION: Calibration = Calibration {
    station: "gangtie",
    indicator: "PM2.5",
    first: Date::constant(2026, 8, 26),
    last: Date::constant(2026, 10, 24),
    share_percent: 70,
};

struct Calibration {
    station: &'static str,
    indicator: &'static str,
    first: Date,
    last: Date,
    share_percent: i32,
}

/// First lines of every file.
const HEAD: &str =
    "# SIMULATED: made by miyun-sim, measured nowhere\nstation,indicator,time,value,unit,flag\n";

/// The station that has the city's weather.
const OBSERVATORY: &str = "guanta";

const STATIONS: [(&str, &str, &str, &str, bool); 12] = [
    ("hedong", "河东", "Hedong", "东城 East", false),
    ("hexi", "河西", "Hexi", "西城 West", false),
    ("guanta", "观塔", "Guanta", "西城 West", false),
    ("xueyuan", "学院路", "Xueyuan Road", "西城 West", false),
    ("gangtie", "钢铁新村", "Steelworks", "南区 South", false),
    ("nanzhan", "南站", "South Station", "南区 South", false),
    ("gaoxin", "高新区", "High-tech Park", "北区 North", false),
    ("beihu", "北湖", "North Lake", "北区 North", false),
    ("dongjiao", "东郊", "East Suburb", "东城 East", false),
    ("linchang", "林场", "Forest Farm", "山区 Hills", false),
    ("xincheng", "新城", "New Town", "北区 North", false),
    ("yuquan", "玉泉山", "Yuquan Hill", "山区 Hills", true),
];

/// Simulates the city from `first_day` over `days` days.
#[must_use]
pub fn city(seed: u64, first_day: Date, days: usize) -> City {
    let (mut values, weather) = air::simulate(seed, first_day, days, STATIONS.len());
    let flaws = air::plant_flaws(&mut values, &STATIONS.map(|s| s.0), days);
    City {
        subjects: subjects(),
        first_day,
        days,
        values,
        weather,
        flaws,
    }
}

/// The city and its stations.
#[must_use]
pub fn subjects() -> Vec<Subject> {
    let Ok(jurisdiction) = JURISDICTION.parse::<miyun_core::JurisdictionId>() else {
        return Vec::new();
    };
    let make = |id: &str, kind, name, part_of: Option<&str>, district, lon, lat, control| {
        Some(Subject {
            id: id.parse().ok()?,
            kind,
            name,
            jurisdiction: jurisdiction.clone(),
            part_of: part_of.and_then(|p| p.parse().ok()),
            district,
            lon_deg: Some(lon),
            lat_deg: Some(lat),
            zone_class: Some("2".into()),
            control,
            simulated: true,
        })
    };
    let mut out: Vec<Subject> = make(
        CITY,
        SubjectKind::City,
        Text::new("临汐市（模拟）", "Linxi (simulated)"),
        None,
        None,
        118.0,
        40.0,
        false,
    )
    .into_iter()
    .collect();
    for (k, (id, zh, en, district, control)) in STATIONS.iter().enumerate() {
        let (dz, de) = district.split_once(' ').unwrap_or((district, district));
        let (row, column) = ((k / 4) as f64, (k % 4) as f64);
        out.extend(make(
            &format!("{CITY}/{id}"),
            SubjectKind::Station,
            Text::new(format!("{zh}（模拟）"), format!("{en} (simulated)")),
            Some(CITY),
            Some(Text::new(dz, de)),
            117.9 + column * 0.07,
            39.9 + row * 0.06,
            *control,
        ));
    }
    out
}

impl City {
    /// Forgets what comes after `last`; flaws that lie there are forgotten too.
    pub fn cut(&mut self, last: Date) {
        let days = usize::try_from((last - self.first_day).get_days() + 1).unwrap_or(0);
        self.days = self.days.min(days);
        let hours = self.days * 24;
        let series = self.values.iter_mut().flatten().chain(&mut self.weather);
        series.for_each(|s| s.truncate(hours));
        self.flaws.retain(|f| f.hours.1 < hours);
    }

    /// Corrects the one instrument that read high, by its calibration record; returns the corrected
    /// hours as a CSV of the same columns, or nothing if the city does not have them.
    pub fn correct(&mut self) -> Option<String> {
        let c = CALIBRATION;
        let station = STATIONS.iter().position(|s| s.0 == c.station)?;
        let k = INDICATORS.iter().position(|i| i.0 == c.indicator)?;
        let day = |d: Date| usize::try_from((d - self.first_day).get_days()).ok();
        let (from, until) = (day(c.first)? * 24, (day(c.last)? + 1) * 24);
        let series = self.values[station][k].get_mut(from..until)?;
        for v in series.iter_mut().flatten() {
            *v = *v * c.share_percent / 100;
        }
        let series = series.to_vec();
        let mut out = String::from(HEAD);
        Self::rows(&mut out, c.station, INDICATORS[k], c.first, &series);
        Some(out)
    }

    /// The local beginning of an hour counted from the first.
    #[must_use]
    pub fn hour(&self, hour: usize) -> String {
        let days = i64::try_from(hour / 24).unwrap_or(i64::MAX).min(100_000);
        let date = self.first_day.saturating_add(jiff::Span::new().days(days));
        format!("{date}T{:02}:00+08:00", hour % 24)
    }

    /// The city as a long CSV file (station, indicator, time, value, unit, flag), labels at the
    /// beginning of the hour, UTC+8. The first line says that it is simulated.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out =
            String::with_capacity(self.values.len() * INDICATORS.len() * self.days * 24 * 44);
        out.push_str(HEAD);
        for (station, (id, ..)) in self.values.iter().zip(STATIONS) {
            for (series, column) in station.iter().zip(INDICATORS) {
                Self::rows(&mut out, id, column, self.first_day, series);
            }
        }
        for (series, column) in self.weather.iter().zip(WEATHER) {
            Self::rows(&mut out, OBSERVATORY, column, self.first_day, series);
        }
        out
    }

    fn rows(
        out: &mut String,
        id: &str,
        (indicator, unit, scale): (&str, &str, i32),
        first_day: Date,
        series: &[Option<i32>],
    ) {
        let mut date = first_day;
        let width = if scale == 100 { 2 } else { 1 };
        for day in series.chunks(24) {
            for (h, v) in day.iter().enumerate() {
                if let Some(v) = v {
                    let (sign, whole, part) = (
                        if *v < 0 { "-" } else { "" },
                        (v / scale).abs(),
                        (v % scale).abs(),
                    );
                    // Writing to a String does not fail.
                    let _ = writeln!(
                        out,
                        "{id},{indicator},{date}T{h:02}:00+08:00,{sign}{whole}.{part:0width$},{unit},"
                    );
                }
            }
            date = date.tomorrow().unwrap_or(date);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_years(seed: u64) -> City {
        city(seed, Date::constant(2023, 1, 1), 1096)
    }

    /// Mean over stations of the mean of one year.
    fn year_mean(c: &City, indicator: usize, year: usize) -> f64 {
        let all: Vec<f64> = c
            .values
            .iter()
            .flat_map(|s| {
                s[indicator][year * 365 * 24..(year + 1) * 365 * 24]
                    .iter()
                    .flatten()
            })
            .map(|v| f64::from(*v) / f64::from(INDICATORS[indicator].2))
            .collect();
        all.iter().sum::<f64>() / all.len() as f64
    }

    #[test]
    fn a_correction_changes_sixty_days_of_one_instrument() {
        let read = city(1, Date::constant(2026, 1, 1), 365);
        let mut c = read.clone();
        let text = c.correct().unwrap();
        let changed: Vec<(usize, usize, usize)> = (0..STATIONS.len())
            .flat_map(|s| (0..INDICATORS.len()).map(move |k| (s, k)))
            .flat_map(|(s, k)| (0..365 * 24).map(move |h| (s, k, h)))
            .filter(|(s, k, h)| read.values[*s][*k][*h] != c.values[*s][*k][*h])
            .collect();
        let days: std::collections::BTreeSet<usize> = changed.iter().map(|x| x.2 / 24).collect();
        assert!(changed.iter().all(|x| STATIONS[x.0].0 == "gangtie"));
        assert!(changed.iter().all(|x| INDICATORS[x.1].0 == "PM2.5"));
        assert_eq!(days.len(), 60);
        let rows = text.lines().skip(2).count();
        assert!((changed.len()..=60 * 24).contains(&rows), "{rows}");
        assert!(text.contains("gangtie,PM2.5,2026-10-10T"));
        // A city that ends before them has nothing to correct.
        assert!(city(1, Date::constant(2024, 1, 1), 365).correct().is_none());
        assert!(city(1, Date::constant(2027, 1, 1), 365).correct().is_none());
    }

    #[test]
    fn one_seed_one_city() {
        let first = Date::constant(2024, 1, 1);
        let (a, b, c) = (city(7, first, 20), city(7, first, 20), city(8, first, 20));
        assert_eq!(a.csv(), b.csv());
        assert_ne!(a.csv(), c.csv());
        assert!(a.csv().starts_with("# SIMULATED"));
        assert!(
            a.subjects.iter().all(|s| s.simulated
                && s.name.zh.contains("模拟")
                && s.name.en.contains("simulated"))
        );
    }

    #[test]
    fn a_city_cut_short_is_the_beginning_of_the_city() {
        let first = Date::constant(2024, 1, 1);
        let (whole, mut cut) = (city(7, first, 30), city(7, first, 30));
        cut.cut(Date::constant(2024, 1, 10));
        assert_eq!((cut.days, cut.weather[0].len()), (10, 240));
        let lines: std::collections::HashSet<String> =
            whole.csv().lines().map(str::to_owned).collect();
        assert!(cut.csv().lines().all(|l| lines.contains(l)));
        assert_eq!(cut.hour(25), "2024-01-02T01:00+08:00");
    }

    #[test]
    fn the_weather_has_seasons_and_cold_nights() {
        let c = three_years(1);
        let mean = |i: usize, hours: std::ops::Range<usize>| {
            let n = hours.len() as f64;
            let sum: i32 = c.weather[i][hours].iter().flatten().sum();
            f64::from(sum) / 10.0 / n
        };
        let (january, july) = (mean(0, 0..24 * 31), mean(0, 24 * 181..24 * 212));
        assert!((-9.0..2.0).contains(&january), "{january}");
        assert!((23.0..32.0).contains(&july), "{july}");
        assert!(c.csv().contains("guanta,TEMP,2023-01-01T00:00+08:00,-"));
        let rain = mean(3, 0..24 * 365) * 24.0 * 365.0;
        assert!((250.0..1_100.0).contains(&rain), "{rain} mm a year");
        assert!(c.weather[1].iter().zip(&c.weather[0]).all(|(d, t)| d < t));
    }

    #[test]
    fn it_looks_like_a_northern_city_of_today() {
        let c = three_years(1);
        let range = |i: usize, low: f64, high: f64| {
            let m = year_mean(&c, i, 1);
            assert!((low..high).contains(&m), "{} {m}", INDICATORS[i].0);
        };
        range(0, 2.0, 6.0); // SO2
        range(1, 18.0, 36.0); // NO2
        range(2, 0.3, 0.9); // CO
        range(3, 50.0, 85.0); // O3, hourly mean
        range(4, 42.0, 78.0); // PM10
        range(5, 24.0, 38.0); // PM2.5
        assert!(
            year_mean(&c, 5, 2) < year_mean(&c, 5, 0),
            "fine particles fall over the years"
        );
    }

    #[test]
    fn every_kind_of_flaw_is_planted_and_named() {
        let c = three_years(1);
        let mut kinds: Vec<&str> = c.flaws.iter().map(|f| f.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(
            kinds,
            ["clock-shift", "copied", "dust-day", "gap", "stuck", "unit"]
        );
        let stuck = c.flaws.iter().find(|f| f.kind == "stuck").unwrap();
        let station = STATIONS
            .iter()
            .position(|s| stuck.subject.ends_with(s.0))
            .unwrap();
        let series = &c.values[station][INDICATORS
            .iter()
            .position(|i| i.0 == stuck.indicator)
            .unwrap()];
        assert!(
            series[stuck.hours.0..=stuck.hours.1]
                .iter()
                .all(|v| *v == series[stuck.hours.0])
        );
    }
}
