//! Makes a lake of one simulated year of a whole country's stations, for the benchmark beside it.
//!
//! `national_lake OUT [STATIONS] [SEED]`: one import per province, through the door that every
//! import takes. Values are in the precision that the national platform publishes (ug/m3 as
//! integers, CO in tenths of mg/m3); about two in a hundred are flagged invalid, in single hours
//! of calibration and in outages, some of which cost a station its month and its year.

use std::io::Write;
use std::process::ExitCode;

use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::subject::SubjectKind;
use miyun_core::{Series, Subject, Text};
use miyun_import::{Parsed, SeriesRows};
use miyun_lake::{ImportFile, Lake};

const HOURS: usize = 366 * 24;
/// 2016-01-01T00:00+08:00.
const FIRST_S: i64 = 1_451_577_600;
/// Provinces, autonomous regions and municipalities.
const PROVINCES: [u32; 31] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65,
];
/// Stations of ten cities in turn; 1,700 stations are 340 cities.
const SIZES: [usize; 10] = [2, 3, 3, 4, 4, 5, 5, 6, 8, 10];
/// Cities of this many stations have a control station among them.
const WITH_CONTROL: usize = 6;

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Mean 0, variance 1, without functions that differ between machines.
    fn normal(&mut self) -> f64 {
        (self.uniform() + self.uniform() + self.uniform() - 1.5) * 2.0
    }
}

/// A smooth wave in -1..1 with its top at `peak`.
fn wave(x: f64, peak: f64, period: f64) -> f64 {
    let phase = (x - peak).rem_euclid(period) / period;
    let t = (4.0 * phase - 2.0).abs() - 1.0;
    t * (1.5 - 0.5 * t * t)
}

/// Indicator, unit, 10^-6 units in its last decimal.
const INDICATORS: [(&str, &str, i64); 6] = [
    ("CO", "mg/m3", 100_000),
    ("NO2", "ug/m3", 1_000_000),
    ("O3", "ug/m3", 1_000_000),
    ("PM10", "ug/m3", 1_000_000),
    ("PM2.5", "ug/m3", 1_000_000),
    ("SO2", "ug/m3", 1_000_000),
];

/// A year of one station, in last decimals: `[indicator][hour]`.
fn year(random: &mut Random, dirt: f64) -> [Vec<i64>; 6] {
    let mut out: [Vec<i64>; 6] = std::array::from_fn(|_| Vec::with_capacity(HOURS));
    let local: [f64; 6] = std::array::from_fn(|_| dirt * (0.75 + 0.5 * random.uniform()));
    let (mut still, mut memory) = (0.0f64, 0.0f64);
    for h in 0..HOURS {
        let (hour, day) = ((h % 24) as f64, (h / 24) as f64);
        let winter = wave(day, 15.0, 366.0);
        let mixing = 1.0 - 0.3 * wave(hour, 15.0, 24.0);
        let traffic = 1.0 + 0.25 * wave(hour, 8.0, 12.0);
        let sun = (wave(hour, 15.0, 24.0) + 0.4).max(0.0) * (1.0 - 0.55 * winter);
        still = 0.985 * still + 0.09 * random.normal();
        memory = 0.9 * memory + 0.1 * random.normal();
        let level = (1.0 + 0.5 * still + 0.2 * winter).max(0.12);
        let level = level * level * mixing * (1.0 + memory).max(0.3);
        let dust = if random.0.is_multiple_of(4096) {
            6.0
        } else {
            1.0
        };
        let values = [
            7.0 * local[0] * level.sqrt() * traffic + 1.5,
            26.0 * local[1] * level.sqrt() * traffic,
            18.0 + 88.0 * local[2].min(1.3) * sun / level.max(0.4).sqrt().sqrt(),
            66.0 * local[3] * level * dust + 8.0,
            36.0 * local[4] * level + 4.0,
            15.0 * local[5] * level.sqrt() * (1.0 + 0.5 * winter) + 2.0,
        ];
        for (series, v) in out.iter_mut().zip(values) {
            let noise = 1.0 + 0.06 * random.normal();
            series.push((v * noise.max(0.1)).round().max(1.0) as i64);
        }
    }
    out
}

/// Invalid hours of one series: calibrations, short faults, and for one series in six an outage of
/// up to three weeks.
fn flags(random: &mut Random) -> Vec<Flag> {
    let mut flags = vec![Flag::Good; HOURS];
    for day in 0..366 {
        if random.uniform() < 0.2 {
            let at = day * 24 + (random.next() % 24) as usize;
            flags[at] = Flag::Invalid;
        }
        if random.uniform() < 0.004 {
            let at = day * 24 + (random.next() % 24) as usize;
            let n = 4 + (random.next() % 20) as usize;
            flags[at..(at + n).min(HOURS)].fill(Flag::Invalid);
        }
    }
    if random.uniform() < 0.17 {
        let at = (random.next() % HOURS as u64) as usize;
        let n = 24 * (1 + (random.next() % 21) as usize);
        flags[at..(at + n).min(HOURS)].fill(Flag::Invalid);
    }
    flags
}

fn place(id: &str, kind: SubjectKind, province: u32, part_of: Option<&str>) -> Option<Subject> {
    Some(Subject {
        id: id.parse().ok()?,
        kind,
        name: Text::new(id, id),
        jurisdiction: format!("CN/{province}").parse().ok()?,
        part_of: part_of.and_then(|p| p.parse().ok()),
        district: None,
        lon_deg: None,
        lat_deg: None,
        zone_class: None,
        control: false,
        simulated: true,
    })
}

/// Sizes of the cities, until the stations are spent.
fn cities(stations: usize) -> Vec<usize> {
    let mut left = stations;
    let mut out = Vec::new();
    for size in SIZES.iter().cycle() {
        if left == 0 {
            return out;
        }
        out.push((*size).min(left));
        left -= (*size).min(left);
    }
    out
}

/// The stations of a province as one parsed file, with its subjects.
fn province(code: u32, k: usize, sizes: &[usize], seed: u64) -> Option<(Parsed, Vec<Subject>)> {
    let mut parsed = Parsed::default();
    let mut subjects = Vec::new();
    for (c, size) in sizes.iter().enumerate().skip(k).step_by(PROVINCES.len()) {
        let city = format!("p{code}/c{:02}", c / PROVINCES.len());
        subjects.push(place(&city, SubjectKind::City, code, None)?);
        let mut random = Random(seed ^ (c as u64) << 32);
        let dirt = 0.55 + 0.9 * random.uniform();
        for s in 0..*size {
            let id = format!("{city}/s{s:02}");
            let mut station = place(&id, SubjectKind::Station, code, Some(&city))?;
            station.control = s == 0 && *size >= WITH_CONTROL;
            let clean = if station.control { 0.6 } else { 1.0 };
            let values = year(&mut random, dirt * clean);
            for ((indicator, unit, step), values) in INDICATORS.iter().zip(values) {
                let line = u32::try_from(parsed.rows).ok()? + 2;
                parsed.rows += HOURS as u64;
                parsed.series.push(SeriesRows {
                    series: Series {
                        subject: station.id.clone(),
                        indicator: indicator.parse().ok()?,
                        unit: unit.parse().ok()?,
                        interval: IntervalLabel::HourBegin,
                        utc_offset_minutes: 480,
                    },
                    label_s: (0..HOURS as i64).map(|h| FIRST_S + 3_600 * h).collect(),
                    value: values.into_iter().map(|v| v * step).collect(),
                    flag: flags(&mut random),
                    line: (line..).take(HOURS).collect(),
                });
            }
            subjects.push(station);
        }
    }
    Some((parsed, subjects))
}

fn run(out: &str, stations: usize, seed: u64) -> Result<String, Box<dyn std::error::Error>> {
    let sizes = cities(stations);
    let mut lake = Lake::open(out)?;
    let (mut values, mut bytes) = (0, 0);
    for (k, code) in PROVINCES.iter().enumerate() {
        let name = format!("simulated: seed {seed}, {stations} stations, province {code}");
        let (parsed, subjects) = province(*code, k, &sizes, seed).ok_or("ids")?;
        if subjects.is_empty() {
            continue;
        }
        let file = ImportFile {
            digest: format!("{:064x}", seed << 32 | u64::from(*code)),
            declared: "hour-begin, UTC+8".into(),
            name,
            reviewed: false,
            parsed,
        };
        let report = lake.import(
            vec![file],
            subjects,
            &|_| "air".into(),
            "2017-01-01T00:00:00Z",
        )?;
        values += report.values_new;
        eprint!("\rprovince {} of {}", k + 1, PROVINCES.len());
        std::io::stderr().flush()?;
    }
    for part in lake.commits().iter().flat_map(|c| &c.parts) {
        bytes += std::fs::metadata(lake.root().join(&part.path))?.len();
    }
    eprintln!();
    Ok(format!(
        "{{\"stations\":{stations},\"cities\":{},\"values\":{values},\"bytes\":{bytes}}}",
        sizes.len()
    ))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, otherwise: u64| args.get(i).map_or(Ok(otherwise), |a| a.parse());
    let (Some(out), Ok(stations), Ok(seed)) = (args.get(1), number(2, 1_700), number(3, 1)) else {
        eprintln!("national_lake OUT [STATIONS] [SEED]");
        return ExitCode::from(2);
    };
    match run(out, stations as usize, seed) {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("national_lake: {e}");
            ExitCode::FAILURE
        }
    }
}
