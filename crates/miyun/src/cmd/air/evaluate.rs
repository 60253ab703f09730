//! `miyun air evaluate`: annual items of a city and its stations, and the report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use miyun_assess::air::AirEvaluation;
use miyun_assess::forensics;
use miyun_core::Period;
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;
use miyun_web::report;

use super::{Common, run};
use crate::cmd::import::{How, import};
use crate::out::{Format, Rows, line, opt, print};

#[derive(Args)]
pub struct Evaluate {
    /// Files or folders to import first.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Period: 2016, 2016-01..2016-06, ...
    #[arg(long, value_parser = crate::cmd::period)]
    period: Period,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    how: How,
    /// Where the report goes.
    #[arg(long, default_value = "air-report.html")]
    report: PathBuf,
    /// Language of the report: en or zh.
    #[arg(long, default_value = "en", value_parser = crate::cmd::lang)]
    lang: miyun_core::text::Lang,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Evaluate {
    pub fn run(&self, lake: &Path) -> Result<()> {
        let mut lake = Lake::open(lake)?;
        if !self.data.is_empty() {
            let done = match import(&mut lake, &self.data, &self.how) {
                // A file is imported once; another --interval then reads its labels another way.
                Err(e)
                    if e.downcast_ref::<miyun_lake::LakeError>()
                        .is_some_and(|e| matches!(e, miyun_lake::LakeError::Redeclared { .. })) =>
                {
                    eprintln!("note: {e}");
                    None
                }
                other => Some(other?),
            };
            if let Some(done) = done {
                for p in done.problems.iter().take(20) {
                    eprintln!("{p}");
                }
                let r = &done.report;
                eprintln!(
                    "imported: {} files new, {} already there; {} values new, {} revised, {} problems",
                    r.files_new, r.files_known, r.values_new, r.values_revised, done.problems_total
                );
            }
        }
        let requests = self.common.requests(self.period, self.how.interval)?;
        let (record, evaluations) = run(&lake, &requests)?;
        let now = crate::cmd::now();
        let found = if self.common.as_known_on.is_some() {
            // What was known then is looked at and not kept: the log says what holds now.
            forensics::inspect(Rulebook::embedded(), &record)
        } else {
            forensics::look(Rulebook::embedded(), &lake, &record, &now)?.findings
        };
        let findings: Vec<_> = found
            .into_iter()
            .filter(|f| forensics::within(f, &self.period))
            .collect();
        for ev in &evaluations {
            crate::cmd::keep(&lake, &ev.assessments)?;
        }
        let html = report::air(self.lang, Rulebook::embedded(), &evaluations, &findings);
        std::fs::write(&self.report, html).with_context(|| self.report.display().to_string())?;
        let all: Vec<_> = evaluations.iter().flat_map(|e| &e.assessments).collect();
        print(self.format, &all, || item_rows(&evaluations))?;
        if self.format == Format::Table {
            line(&summary(&evaluations))?;
        }
        eprintln!("report: {}", self.report.display());
        Ok(())
    }
}

fn item_rows(evaluations: &[AirEvaluation]) -> Rows {
    let mut rows = Rows::new(&[
        "edition",
        "place",
        "period",
        "indicator",
        "statistic",
        "value#",
        "unit",
        "limit#",
        "verdict",
        "times over#",
        "days#",
        "missing",
        "unrounded#",
        "why",
    ]);
    for ev in evaluations {
        for a in &ev.assessments {
            rows.push(vec![
                ev.edition.name.clone(),
                a.subject.to_string(),
                a.period.to_string(),
                a.indicator.to_string(),
                a.statistic.to_string(),
                opt(a.value),
                a.unit.to_string(),
                opt(a.limit),
                a.verdict.to_string(),
                opt(a.exceedance),
                a.sufficiency.have.to_string(),
                a.sufficiency.missing.join("; "),
                opt(a.value_unrounded),
                a.id.to_string(),
            ]);
        }
    }
    rows
}

/// Days by level, in words, and what nobody has verified.
fn summary(evaluations: &[AirEvaluation]) -> String {
    let mut out = String::new();
    for ev in evaluations {
        out.push_str(&format!(
            "\nedition {} (law as of {}): {}\n",
            ev.edition.name,
            ev.edition.as_of,
            ev.edition
                .edition
                .instruments
                .iter()
                .map(|i| i.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ));
        for p in ev.places() {
            let c = &p.counts;
            out.push_str(&format!(
                "  {}{}: {} days published, {} not; levels {}; good {} ({} %), heavy {}; composite index {}\n",
                p.subject.id,
                if p.control { " (control station, not in the city mean)" } else { "" },
                c.published,
                c.not_published,
                c.levels.iter().map(ToString::to_string).collect::<Vec<_>>().join("/"),
                c.good,
                opt(c.good_percent),
                c.heavy,
                opt(p.composite)
            ));
        }
        let doubts = miyun_assess::trace::unverified(&ev.edition);
        if !doubts.is_empty() {
            out.push_str("  rests on rules that nobody read in the law itself:\n");
            for d in doubts {
                out.push_str(&format!("    {d}\n"));
            }
        }
        for d in &ev.declared {
            out.push_str(&format!("  {d}\n"));
        }
    }
    out
}
