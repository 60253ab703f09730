use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_core::{Assessment, Period};
use miyun_lake::{FindingRow, Lake, Request, Row};
use miyun_rulebook::Rulebook;

use super::air::{Common, run};
use crate::out::{Format, line, print};

/// Why a figure is what it is: rule, clause, citation, rows, digest.
///
/// Takes the id of an assessment (or its beginning), or names a day's figure as
/// PLACE:INDICATOR:STATISTIC:DATE.
///
/// Examples: miyun why a-0c4f; miyun why beijing/dongsi:PM2.5:daily-mean:2016-12-20 --edition 2026
#[derive(Args)]
pub struct Why {
    /// Id or figure.
    figure: String,
    /// Reads labels this way whatever the series declare (for a day's figure).
    #[arg(long, value_parser = super::interval)]
    interval: Option<miyun_core::IntervalLabel>,
    #[command(flatten)]
    common: Common,
    /// How many rows to list.
    #[arg(long, default_value_t = 30)]
    rows: usize,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(serde::Serialize)]
struct Answer {
    assessment: Assessment,
    recorded_at: Option<String>,
    /// True if the rows in the lake still have the digest that the assessment names.
    evidence_unchanged: Option<bool>,
    rows: Vec<Row>,
    rows_total: usize,
    /// Findings of the data forensics that touch the evidence, weightiest first.
    findings: Vec<FindingRow>,
}

impl Why {
    pub fn run(self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let parts: Vec<&str> = self.figure.split(':').collect();
        let (assessment, recorded_at) = match parts.as_slice() {
            [place, indicator, statistic, date] => {
                (self.day(&lake, place, indicator, statistic, date)?, None)
            }
            _ => {
                let mut found = lake.find_assessments(&self.figure)?;
                match found.len() {
                    0 => bail!(
                        "no assessment {:?}: ids are printed by `miyun air evaluate` and `miyun plan status`, or name a figure as PLACE:INDICATOR:STATISTIC:DATE",
                        self.figure
                    ),
                    1 => {
                        let (a, t) = found.remove(0);
                        (a, Some(t))
                    }
                    n => bail!(
                        "{n} assessments begin with {:?}; give more of the id",
                        self.figure
                    ),
                }
            }
        };
        let (rows, rows_total, evidence_unchanged) = self.evidence(&lake, &assessment)?;
        let findings = miyun_assess::forensics::touching(&lake, &assessment)?;
        let answer = Answer {
            assessment,
            recorded_at,
            evidence_unchanged,
            rows,
            rows_total,
            findings,
        };
        if self.format == Format::Table {
            return line(&words(&answer));
        }
        print(self.format, &answer, || {
            let mut out = crate::out::Rows::new(&[
                "file", "line#", "label", "value#", "unit", "flag", "holds",
            ]);
            for r in &answer.rows {
                out.push(vec![
                    r.file.clone(),
                    r.line.to_string(),
                    r.label.clone(),
                    miyun_core::Decimal::new(r.value, 6).normalize().to_string(),
                    r.unit.clone(),
                    r.flag.as_str().into(),
                    r.holds.to_string(),
                ]);
            }
            out
        })
    }

    fn day(
        &self,
        lake: &Lake,
        place: &str,
        indicator: &str,
        statistic: &str,
        date: &str,
    ) -> Result<Assessment> {
        let date = super::date(date).map_err(anyhow::Error::msg)?;
        let (record, all) = run(
            lake,
            &self
                .common
                .requests(Period::days(date, date), self.interval)?,
        )?;
        Ok(miyun_assess::trace::day(
            &all[0], &record, place, indicator, statistic, date,
        )?)
    }

    /// Rows behind a figure (the first of them), how many there are, and whether their digest is
    /// still the one in the trace.
    fn evidence(&self, lake: &Lake, a: &Assessment) -> Result<(Vec<Row>, usize, Option<bool>)> {
        let (Some(from), Some(until)) = (a.period.from, a.period.until) else {
            return Ok((Vec::new(), 0, None));
        };
        let days = usize::try_from((until - from).get_days() + 1).context("period")?;
        let mut rows = Vec::new();
        let mut total = 0;
        let mut same = true;
        for e in &a.trace.evidence {
            let interval = a.trace.declared.iter().find_map(|d| {
                d.strip_prefix("labels read as ")
                    .and_then(|d| d.split(',').next())
                    .and_then(|w| w.parse().ok())
            });
            let indicators = [e.indicator.as_str()];
            let request = Request {
                subjects: std::slice::from_ref(&e.subject),
                indicators: &indicators,
                first_day: from,
                days,
                interval,
                as_known_on: None,
            };
            let found = lake.hours(&request)?;
            same &= found
                .iter()
                .flat_map(|s| &s.series)
                .any(|d| d.digest(from, 0..days * 24) == (e.rows, e.digest.clone()));
            let all = lake.rows(&request)?;
            total += all.len();
            rows.extend(all.into_iter().take(self.rows.saturating_sub(rows.len())));
        }
        Ok((rows, total, Some(same)))
    }
}

fn words(w: &Answer) -> String {
    let a = &w.assessment;
    let book = Rulebook::embedded();
    let v = |d: Option<miyun_core::Decimal>| d.map_or("–".into(), |d| d.to_string());
    let mut out = format!(
        "{}  {}  {} {}  {}\n",
        a.id, a.subject, a.indicator, a.statistic, a.period
    );
    out.push_str(&format!(
        "value {} {} (before rounding {}), limit {}, margin {}, verdict {}\n",
        v(a.value),
        a.unit,
        v(a.value_unrounded),
        v(a.limit),
        v(a.margin),
        a.verdict
    ));
    if !a.sufficiency.valid {
        out.push_str(&format!(
            "not valid: {} of {} needed; {}\n",
            a.sufficiency.have,
            a.sufficiency.need,
            a.sufficiency.missing.join("; ")
        ));
    }
    out.push_str("\nderivation\n");
    for s in &a.trace.steps {
        out.push_str(&format!("  {} -> {}\n", s.what, s.result));
    }
    out.push_str("\nrules\n");
    for r in &a.trace.rules {
        out.push_str(&format!("  {}: {}\n    {}\n", r.role, r.says, r.rule));
        if let Some(i) = book.instrument(r.rule.instrument.as_str())
            && let Some(t) = i.table(&r.rule.table)
        {
            for c in i.citations.iter().filter(|c| t.citations.contains(&c.id)) {
                out.push_str(&format!(
                    "    {} {}(checked {}: {})\n",
                    c.title,
                    if c.url.is_empty() {
                        String::new()
                    } else {
                        format!("<{}> ", c.url)
                    },
                    c.checked.on,
                    c.checked.how
                ));
            }
        }
    }
    out.push_str("\nevidence\n");
    for e in &a.trace.evidence {
        out.push_str(&format!(
            "  {} {} {}: {} rows, blake3 {}\n",
            e.subject, e.indicator, e.period, e.rows, e.digest
        ));
        for o in &e.origins {
            out.push_str(&format!("    from file blake3 {o}\n"));
        }
    }
    if let Some(same) = w.evidence_unchanged {
        out.push_str(if same {
            "  the rows in the lake have this digest today\n"
        } else {
            "  THE ROWS IN THE LAKE HAVE CHANGED since: a later assessment supersedes this one\n"
        });
    }
    for r in &w.rows {
        out.push_str(&format!(
            "  {}:{}  {}  {} {}  {}{}\n",
            r.file,
            r.line,
            r.label,
            miyun_core::Decimal::new(r.value, 6).normalize(),
            r.unit,
            r.flag.as_str(),
            if r.holds { "" } else { "  (superseded)" }
        ));
    }
    if w.rows_total > w.rows.len() {
        out.push_str(&format!(
            "  ... {} more rows (--rows)\n",
            w.rows_total - w.rows.len()
        ));
    }
    out.push_str(&doubts(&w.findings));
    out.push_str(&format!(
        "\nmethod {} version {}\n",
        a.trace.method.name, a.trace.method.version
    ));
    for d in &a.trace.declared {
        out.push_str(&format!("declared: {d}\n"));
    }
    if let Some(t) = &w.recorded_at {
        out.push_str(&format!("recorded {t}\n"));
    }
    out
}

/// Findings about the evidence, the weightiest in full, the rest counted.
fn doubts(findings: &[FindingRow]) -> String {
    const LISTED: usize = 12;
    if findings.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\ndoubts about the evidence (findings: {}; nothing was left out for them)\n",
        findings.len()
    );
    for f in findings.iter().take(LISTED) {
        let (first, last) = miyun_assess::forensics::local_hours(f);
        out.push_str(&format!(
            "  {} {} {} {} {}..{}: {}\n    {} ({} {})\n",
            f.weight,
            f.kind,
            f.subject,
            if f.indicator.is_empty() {
                "all indicators"
            } else {
                &f.indicator
            },
            first,
            last,
            f.reason.en,
            f.id,
            f.method.name,
            f.method.version,
        ));
    }
    if findings.len() > LISTED {
        for c in miyun_assess::forensics::counts(&findings[LISTED..]) {
            out.push_str(&format!(
                "  ... and {} {} ({} faults, {} doubts, {} notes)\n",
                c.fault + c.doubt + c.note,
                c.kind,
                c.fault,
                c.doubt,
                c.note
            ));
        }
    }
    out
}
