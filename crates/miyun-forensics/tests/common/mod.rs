//! Networks to look at: simulated, and the twelve stations of PRSA.
#![allow(dead_code)]

use std::io::Read;
use std::path::PathBuf;

use jiff::civil::Date;
use miyun_core::{IndicatorId, SubjectId};
use miyun_forensics::{Finding, MISSING, Network, Station};

/// Owns what a network borrows.
pub struct Data {
    pub city: SubjectId,
    pub first_day: Date,
    pub days: usize,
    pub indicators: Vec<IndicatorId>,
    pub stations: Vec<SubjectId>,
    /// `[station][indicator][hour]` in 10^-6 of the canonical unit.
    pub values: Vec<Vec<Vec<i64>>>,
}

impl Data {
    pub fn network(&self) -> Network<'_> {
        Network {
            subject: Some(self.city.clone()),
            first_day: self.first_day,
            days: self.days,
            stations: self
                .stations
                .iter()
                .zip(&self.values)
                .map(|(subject, series)| Station {
                    subject,
                    series: self
                        .indicators
                        .iter()
                        .zip(series.iter().map(Vec::as_slice))
                        .collect(),
                })
                .collect(),
        }
    }

    pub fn station(&self, name: &str) -> usize {
        self.stations
            .iter()
            .position(|s| s.as_str().ends_with(&format!("/{name}")))
            .unwrap_or_else(|| panic!("no station {name}"))
    }

    pub fn indicator(&self, id: &str) -> usize {
        self.indicators
            .iter()
            .position(|i| i.as_str() == id)
            .unwrap_or_else(|| panic!("no indicator {id}"))
    }

    /// Hour of a local time written `2014-10-11T19`.
    pub fn hour(&self, time: &str) -> usize {
        let (date, hour) = time.split_once('T').unwrap();
        let date: Date = date.parse().unwrap();
        let days = (date - self.first_day).get_days();
        usize::try_from(days).unwrap() * 24 + hour.parse::<usize>().unwrap()
    }

    /// `2014-10-11T19`.
    pub fn time(&self, hour: usize) -> String {
        let date = self
            .first_day
            .saturating_add(jiff::Span::new().days((hour / 24) as i64));
        format!("{date}T{:02}", hour % 24)
    }

    pub fn line(&self, f: &Finding) -> String {
        format!(
            "{} {} {} {}..{} {} {}: {}",
            f.kind.as_str(),
            f.subject,
            f.indicator.as_ref().map_or("-", |i| i.as_str()),
            self.time(f.first),
            self.time(f.last),
            f.weight.as_str(),
            f.score,
            f.reason.en
        )
    }
}

/// The simulator's city, and what it planted.
pub fn simulated(seed: u64, days: usize) -> (Data, Vec<miyun_sim::Flaw>) {
    let city = miyun_sim::city(seed, jiff::civil::date(2023, 1, 1), days);
    let flaws = city.flaws.clone();
    (of(&city), flaws)
}

fn of(city: &miyun_sim::City) -> Data {
    let stations = city
        .subjects
        .iter()
        .filter(|s| s.part_of.is_some())
        .map(|s| s.id.clone())
        .collect();
    let values = city
        .values
        .iter()
        .map(|s| {
            s.iter()
                .zip(miyun_sim::INDICATORS)
                .map(|(series, (_, _, scale))| {
                    series
                        .iter()
                        .map(|v| v.map_or(MISSING, |v| i64::from(v) * 1_000_000 / i64::from(scale)))
                        .collect()
                })
                .collect()
        })
        .collect();
    Data {
        city: miyun_sim::CITY.parse().unwrap(),
        first_day: city.first_day,
        days: city.days,
        indicators: miyun_sim::INDICATORS
            .iter()
            .map(|i| i.0.parse().unwrap())
            .collect(),
        stations,
        values,
    }
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if root.exists() {
        return Some(root);
    }
    eprintln!("skipped: {} is not there", root.display());
    None
}

fn unpacked(path: &std::path::Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The twelve stations of PRSA as their labels stand (label `h` taken as the hour from `h`), CO in
/// mg/m3. `None` if the data are not there.
pub fn prsa() -> Option<Data> {
    let dir = shared("data/air/prsa")?;
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "gz"))
        .collect();
    files.sort();
    let (mut stations, mut values) = (Vec::new(), Vec::new());
    for path in &files {
        let text = unpacked(path);
        let mut series: Vec<Vec<i64>> = (0..6).map(|_| Vec::with_capacity(35_064)).collect();
        let mut name = "";
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            name = cells[17].trim_matches('"');
            for (k, s) in series.iter_mut().enumerate() {
                // CO is written in micrograms.
                let scale = if k == 4 { 1_000.0 } else { 1_000_000.0 };
                s.push(
                    cells[5 + k]
                        .parse::<f64>()
                        .map_or(MISSING, |v| (v * scale).round() as i64),
                );
            }
        }
        stations.push(format!("beijing/{}", name.to_lowercase()).parse().unwrap());
        values.push(series);
    }
    Some(Data {
        city: "beijing".parse().unwrap(),
        first_day: jiff::civil::date(2013, 3, 1),
        days: values[0][0].len() / 24,
        indicators: ["PM2.5", "PM10", "SO2", "NO2", "CO", "O3"]
            .map(|i| i.parse().unwrap())
            .to_vec(),
        stations,
        values,
    })
}

/// PM2.5 of Dongsi in the data set of five cities, over the days of `like`.
pub fn dongsi_of_five_cities(like: &Data) -> Option<Vec<i64>> {
    let path = shared("data/air/pm25-five-cities/BeijingPM20100101_20151231.csv.gz")?;
    let text = unpacked(&path);
    let header: Vec<&str> = text.lines().next()?.split(',').collect();
    let column = header
        .iter()
        .position(|h| h.trim_matches('"') == "PM_Dongsi")?;
    let mut out = vec![MISSING; like.days * 24];
    for line in text.lines().skip(1) {
        let c: Vec<&str> = line.split(',').collect();
        let date = Date::new(c[1].parse().ok()?, c[2].parse().ok()?, c[3].parse().ok()?).ok()?;
        let Ok(days) = usize::try_from((date - like.first_day).get_days()) else {
            continue;
        };
        let (Some(slot), Ok(v)) = (
            out.get_mut(days * 24 + c[4].parse::<usize>().ok()?),
            c[column].parse::<i64>(),
        ) else {
            continue;
        };
        *slot = v * 1_000_000;
    }
    Some(out)
}
