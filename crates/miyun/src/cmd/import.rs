use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use miyun_assess::forensics::KindCount;
use miyun_core::subject::SubjectKind;
use miyun_core::{IntervalLabel, Problem, Subject, Text};
use miyun_import::{Declared, Layout};
use miyun_lake::{ImportFile, ImportReport, Lake};
use miyun_rulebook::Rulebook;

use super::forensics::after_import;
use crate::out::{Format, Rows, print};
use crate::places;

/// Import observations; re-importing a file changes nothing.
///
/// Example: miyun import data/PRSA_*.csv.gz --city beijing --interval hour-end
#[derive(Args)]
pub struct Import {
    /// Files or folders (CSV, CSV.gz, Parquet).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub how: How,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What the files do not say themselves.
#[derive(Args, Clone)]
pub struct How {
    /// City that the stations belong to; its built-in places are used if it has any.
    #[arg(long, default_value = "beijing")]
    pub city: String,
    /// Place table (CSV: id, kind, name_zh, name_en, jurisdiction, part_of, ...).
    #[arg(long)]
    pub places: Option<PathBuf>,
    /// Which end of the hour a label names.
    #[arg(long, value_parser = super::interval)]
    pub interval: Option<IntervalLabel>,
    /// Offset of the labels' clock from UTC, for example +08:00.
    #[arg(long, allow_hyphen_values = true)]
    pub tz: Option<String>,
    /// Unit of an indicator, for example CO=ug/m3; may be given several times.
    #[arg(long = "unit")]
    pub units: Vec<String>,
    /// Layout; found from the header if not given.
    #[arg(long, value_enum)]
    pub layout: Option<LayoutName>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LayoutName {
    /// UCI "Beijing multi-site air quality".
    Prsa,
    /// station, indicator, time, value, unit, flag.
    Long,
}

impl How {
    fn declared(&self) -> Result<Declared> {
        let mut d = Declared {
            interval: self.interval,
            subject_prefix: format!("{}/", self.city),
            ..Declared::default()
        };
        if let Some(tz) = &self.tz {
            d.utc_offset_minutes = Some(
                miyun_import::utc_offset_minutes(tz)
                    .with_context(|| format!("--tz {tz:?}: write an offset such as +08:00"))?,
            );
        }
        for unit in &self.units {
            let (indicator, unit) = unit.split_once('=').with_context(|| {
                format!("--unit {unit:?}: write INDICATOR=UNIT, for example CO=ug/m3")
            })?;
            d.units.insert(
                indicator.to_owned(),
                unit.parse()
                    .with_context(|| format!("--unit {indicator}={unit}"))?,
            );
        }
        Ok(d)
    }
}

/// What an import came to.
pub struct Imported {
    pub report: ImportReport,
    pub problems: Vec<Problem>,
    pub problems_total: u64,
}

/// The report of an import as printed.
#[derive(serde::Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a ImportReport,
    problems: u64,
    /// Everything that is wrong with the air of the city, by kind.
    findings: &'a [KindCount],
    findings_new: u64,
}

impl Import {
    pub fn run(self, lake: &Path) -> Result<()> {
        let mut lake = Lake::open(lake)?;
        let done = import(&mut lake, &self.files, &self.how)?;
        for p in &done.problems {
            eprintln!("{p}");
        }
        if done.problems_total > done.problems.len() as u64 {
            eprintln!(
                "... and {} more problems",
                done.problems_total - done.problems.len() as u64
            );
        }
        let r = &done.report;
        let looked = after_import(&lake, &self.how.city, r.commit.is_some());
        let (findings, findings_new) = looked.unwrap_or_default();
        let printed = Printed {
            report: r,
            problems: done.problems_total,
            findings: &findings,
            findings_new,
        };
        print(self.format, &printed, || {
            let mut rows = Rows::new(&["what", "number#"]);
            for (what, n) in [
                ("files new", r.files_new),
                ("files already there", r.files_known),
                ("values new", r.values_new),
                ("values revised", r.values_revised),
                ("values already there", r.values_known),
                ("problems", done.problems_total),
            ] {
                rows.push(vec![what.into(), n.to_string()]);
            }
            // What the data look like, in the words of `miyun forensics`.
            for c in &findings {
                for (weight, n) in [("fault", c.fault), ("doubt", c.doubt), ("note", c.note)] {
                    if n > 0 {
                        rows.push(vec![format!("{} ({weight})", c.kind), n.to_string()]);
                    }
                }
            }
            rows.push(vec!["findings new".into(), findings_new.to_string()]);
            rows
        })
    }
}

/// Files of the paths, folders opened, sorted.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for p in paths {
        if p.is_dir() {
            for entry in std::fs::read_dir(p).with_context(|| p.display().to_string())? {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default();
                if name.ends_with(".csv") || name.ends_with(".csv.gz") || name.ends_with(".parquet")
                {
                    out.push(path);
                }
            }
        } else {
            out.push(p.clone());
        }
    }
    out.sort();
    out.dedup();
    // A table of stations beside the data is no data.
    out.retain(|p| p.file_name().is_none_or(|n| n != "stations.csv"));
    if out.is_empty() {
        bail!(
            "no .csv, .csv.gz or .parquet file in {}",
            paths
                .iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    Ok(out)
}

/// Reads and imports files in one commit; one bad row never stops it, one bad file does, before
/// anything is stored.
pub fn import(lake: &mut Lake, paths: &[PathBuf], how: &How) -> Result<Imported> {
    let book = Rulebook::embedded();
    let words = miyun_assess::words(book);
    let declared = how.declared()?;
    let files = expand(paths)?;
    let bar = ProgressBar::new(files.len() as u64).with_style(
        ProgressStyle::with_template("{spinner} reading {pos}/{len} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let read = |path: &PathBuf| -> Result<ImportFile> {
        let name = path.display().to_string();
        bar.set_message(name.clone());
        let bytes = std::fs::read(path).with_context(|| name.clone())?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let parsed = if name.ends_with(".parquet") {
            miyun_lake::read_parquet(&name, &bytes, &declared, &words)?
        } else {
            let bytes = miyun_import::unpack(&name, bytes)?;
            let layout = match how.layout {
                Some(LayoutName::Prsa) => Layout::Prsa,
                Some(LayoutName::Long) => Layout::Long,
                None => miyun_import::detect(&name, &bytes)?,
            };
            miyun_import::read_csv(&name, &bytes, layout, &declared, &words)?
        };
        bar.inc(1);
        let how = parsed.series.first().map_or(String::new(), |s| {
            format!(
                "{}, UTC{:+}",
                s.series.interval.as_str(),
                f64::from(s.series.utc_offset_minutes) / 60.0
            )
        });
        Ok(ImportFile {
            name,
            digest,
            declared: how,
            reviewed: false,
            parsed,
        })
    };
    let parsed = in_parallel(&files, read)?;
    bar.finish_and_clear();
    let mut problems = Vec::new();
    let mut problems_total = 0;
    let mut stations = Vec::new();
    for f in &parsed {
        problems.extend(f.parsed.problems.kept.iter().cloned());
        problems_total += f.parsed.problems.total;
        stations.extend(f.parsed.stations.iter().cloned());
    }
    let subjects = subjects(how, &stations)?;
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let report = lake.import(parsed, subjects, &|i| miyun_assess::medium(book, i), &now)?;
    Ok(Imported {
        report,
        problems,
        problems_total,
    })
}

/// Subjects of the city and of every station seen.
fn subjects(how: &How, stations: &[miyun_import::Station]) -> Result<Vec<Subject>> {
    let mut known = match &how.places {
        Some(path) => places::read(
            &path.display().to_string(),
            &std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        )?,
        None => places::built_in(&how.city)?,
    };
    if !known.iter().any(|s| s.kind == SubjectKind::City) {
        let name = how.city.clone();
        known.push(Subject {
            id: name.parse().with_context(|| format!("--city {name:?}"))?,
            kind: SubjectKind::City,
            name: Text::new(name.clone(), name),
            jurisdiction: "CN".parse()?,
            part_of: None,
            district: None,
            lon_deg: None,
            lat_deg: None,
            zone_class: None,
            control: false,
            simulated: false,
        });
    }
    let city = known
        .iter()
        .find(|s| s.kind == SubjectKind::City)
        .cloned()
        .context("no city")?;
    for s in stations {
        if !known.iter().any(|k| k.id == s.subject) {
            known.push(miyun_assess::air::plain_station(&city, &s.subject, &s.name));
        }
    }
    known.retain(|k| k.kind == SubjectKind::City || stations.iter().any(|s| s.subject == k.id));
    Ok(known)
}

/// `work` over the files on two threads, results in order.
fn in_parallel(
    files: &[PathBuf],
    work: impl Fn(&PathBuf) -> Result<ImportFile> + Sync,
) -> Result<Vec<ImportFile>> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || -> Result<Vec<(usize, ImportFile)>> {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(f) = files.get(i) else {
                return Ok(done);
            };
            done.push((i, work(f)?));
        }
    };
    let (a, b) = std::thread::scope(|s| {
        let other = s.spawn(run);
        (
            run(),
            other
                .join()
                .unwrap_or_else(|p| std::panic::resume_unwind(p)),
        )
    });
    let mut all = a?;
    all.extend(b?);
    all.sort_by_key(|(i, _)| *i);
    Ok(all.into_iter().map(|(_, f)| f).collect())
}
