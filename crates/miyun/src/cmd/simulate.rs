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

/// Simulates the demonstration city and imports it: first as its instruments said it, then the
/// correction of one of them. A lake that has both up to this day is left as it is; on a later day
/// the corrected city is added.
pub fn import(lake: &Path, seed: u64) -> Result<()> {
    let mut city = city(seed, None)?;
    let read = city.csv();
    let correction = city.correct();
    let mut lake = Lake::open(lake)?;
    let known = |lake: &Lake, text: &str| lake.imported(&digest(text)).is_some();
    let before = lake.commits().len();
    let name = format!("simulated-city-seed-{seed}.csv");
    if lake.commits().is_empty() {
        put(&mut lake, &city, name, read)?;
    } else if !known(&lake, &read) {
        let corrected = city.csv();
        if !known(&lake, &corrected) {
            put(&mut lake, &city, name, corrected)?;
        }
    }
    if let Some(text) = correction
        && !known(&lake, &text)
    {
        let name = format!("simulated-correction-seed-{seed}.csv");
        put(&mut lake, &city, name, text)?;
    }
    if lake.commits().len() > before {
        super::forensics::after_import(&lake, miyun_sim::CITY, true);
    }
    Ok(())
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Imports one file of the city.
fn put(lake: &mut Lake, city: &miyun_sim::City, name: String, text: String) -> Result<()> {
    // What was known when is told apart by the second.
    if lake
        .commits()
        .last()
        .is_some_and(|c| c.recorded_at == super::now())
    {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    let declared = miyun_import::Declared {
        interval: Some(miyun_core::IntervalLabel::HourBegin),
        subject_prefix: format!("{}/", miyun_sim::CITY),
        ..miyun_import::Declared::default()
    };
    let book = Rulebook::embedded();
    let words = miyun_assess::words(book);
    let parsed = miyun_import::read_csv(&name, text.as_bytes(), Layout::Long, &declared, &words)?;
    let file = ImportFile {
        name,
        digest: digest(&text),
        declared: "hour-begin, UTC+8, simulated".into(),
        reviewed: false,
        parsed,
    };
    let subjects: Vec<Subject> = city.subjects.clone();
    let medium = |i: &str| miyun_assess::medium(book, i);
    let report = lake.import(vec![file], subjects, &medium, &super::now())?;
    eprintln!(
        "simulated city: {} values new, {} revised, {} already there",
        report.values_new, report.values_revised, report.values_known
    );
    Ok(())
}
