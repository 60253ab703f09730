use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use miyun_core::{Date, Subject};
use miyun_import::Layout;
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;

use crate::out::{Format, Rows, print};

/// Years that the demonstration city looks back on before the year of the day.
const YEARS_BACK: i16 = 2;

/// Write a simulated city as files.
///
/// Writes the simulated city as files: hourly air and weather (long CSV), and what is wrong with
/// it on purpose. The same seed gives the same bytes.
///
/// Example: miyun simulate --seed 1 --until 2026-06-30 --out linxi.csv
#[derive(Args)]
pub struct Simulate {
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Last day; yesterday if not given.
    #[arg(long, value_parser = super::date)]
    until: Option<Date>,
    /// Where the observations go.
    #[arg(long, default_value = "linxi.csv")]
    out: PathBuf,
    /// How to print the list of planted flaws.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Simulate {
    pub fn run(self) -> Result<()> {
        let city = city(self.seed, self.until)?;
        std::fs::write(&self.out, city.csv()).with_context(|| self.out.display().to_string())?;
        print(self.format, &city.flaws, || {
            let mut rows = Rows::new(&["flaw", "where", "indicator", "first", "last"]);
            for f in &city.flaws {
                rows.push(vec![
                    f.kind.into(),
                    f.subject.clone(),
                    f.indicator.clone(),
                    city.hour(f.hours.0),
                    city.hour(f.hours.1),
                ]);
            }
            rows
        })?;
        eprintln!("SIMULATED observations: {}", self.out.display());
        Ok(())
    }
}

/// The demonstration city up to a day. Whole years are simulated and then cut, so that tomorrow's
/// city begins with today's bytes.
fn city(seed: u64, until: Option<Date>) -> Result<miyun_sim::City> {
    let until = match until {
        Some(d) => d,
        None => super::today().yesterday().context("today")?,
    };
    let first = Date::new(until.year() - YEARS_BACK, 1, 1)?;
    let last = Date::new(until.year(), 12, 31)?;
    let days = usize::try_from((last - first).get_days() + 1)?;
    let mut city = miyun_sim::city(seed, first, days);
    city.cut(until);
    Ok(city)
}

/// Simulates the demonstration city and imports it; a lake that has it up to this day is left as
/// it is.
pub fn import(lake: &Path, seed: u64) -> Result<()> {
    let city = city(seed, None)?;
    let csv = city.csv();
    let digest = blake3::hash(csv.as_bytes()).to_hex().to_string();
    let mut lake = Lake::open(lake)?;
    if lake.imported(&digest).is_some() {
        return Ok(());
    }
    let name = format!("simulated-city-seed-{seed}.csv");
    let declared = miyun_import::Declared {
        interval: Some(miyun_core::IntervalLabel::HourBegin),
        subject_prefix: format!("{}/", miyun_sim::CITY),
        ..miyun_import::Declared::default()
    };
    let book = Rulebook::embedded();
    let words = miyun_assess::words(book);
    let parsed = miyun_import::read_csv(&name, csv.as_bytes(), Layout::Long, &declared, &words)?;
    let subjects: Vec<Subject> = city.subjects;
    let report = lake.import(
        vec![ImportFile {
            name,
            digest,
            declared: "hour-begin, UTC+8, simulated".into(),
            reviewed: false,
            parsed,
        }],
        subjects,
        &|i| miyun_assess::medium(book, i),
        &super::now(),
    )?;
    super::forensics::after_import(&lake, miyun_sim::CITY, report.commit.is_some());
    eprintln!(
        "simulated city: {} values new, {} revised, {} already there",
        report.values_new, report.values_revised, report.values_known
    );
    Ok(())
}
