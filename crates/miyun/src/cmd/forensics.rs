use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use miyun_assess::air::Record;
use miyun_assess::forensics::{self, Kind, KindCount, Look, Weight, kind_name, within};
use miyun_core::{Period, SubjectId};
use miyun_lake::{FindingRow, Lake};
use miyun_rulebook::Rulebook;

use crate::out::{Format, Rows, line, print};

/// Looks at the whole record of a city, keeps what is new and prints what was asked for.
#[derive(Args)]
pub struct Forensics {
    /// The city; needed only if the lake has several.
    #[arg(long = "of")]
    of: Option<String>,
    /// Only findings that touch these days; the look is at the whole record all the same.
    #[arg(long, value_parser = super::period)]
    period: Option<Period>,
    /// Only this kind: stuck, floor, part-above-whole, copied, jump, clock-shift, unit,
    /// diurnal-lost, gap.
    #[arg(long, value_parser = |t: &str| t.parse::<Kind>())]
    kind: Option<Kind>,
    /// Only of this station, for example beijing/dongsi.
    #[arg(long)]
    station: Option<String>,
    /// Notes too: what is worth knowing and looks like this in good data as well.
    #[arg(long)]
    notes: bool,
    /// How many findings a table lists, weightiest first; JSON and CSV list all.
    #[arg(long, default_value_t = 40)]
    rows: usize,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Forensics {
    pub fn run(self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let book = Rulebook::embedded();
        let city = self
            .of
            .as_ref()
            .map(|c| c.parse())
            .transpose()
            .context("--of")?;
        let record = Record::read(&lake, book, city.as_ref(), None, None)?;
        let look = forensics::look(book, &lake, &record, &super::now())?;
        let mut found: Vec<FindingRow> = look
            .findings
            .iter()
            .filter(|f| self.period.is_none_or(|p| within(f, &p)))
            .filter(|f| self.kind.is_none_or(|k| k.as_str() == f.kind))
            .filter(|f| self.station.as_ref().is_none_or(|s| *s == f.subject))
            .filter(|f| self.notes || self.kind.is_some() || forensics::weight(f) > Weight::Note)
            .cloned()
            .collect();
        if self.format == Format::Table {
            found.sort_by(|a, b| {
                forensics::weight(b)
                    .cmp(&forensics::weight(a))
                    .then(b.score.total_cmp(&a.score))
            });
            let shown = &found[..found.len().min(self.rows)];
            line(&(finding_rows(shown).table() + "\n"))?;
            if found.len() > shown.len() {
                line(&format!(
                    "... and {} more (--rows, --period, --kind, --station, --format csv)\n",
                    found.len() - shown.len()
                ))?;
            }
            line(&(count_rows(&forensics::counts(&found)).table() + "\n"))?;
            return line(&kept(&look));
        }
        print(self.format, &found, || finding_rows(&found))
    }
}

/// What the log gained, in words.
fn kept(look: &Look) -> String {
    look.kept.map_or_else(
        || "not kept: the labels were read another way than declared\n".to_owned(),
        |k| {
            format!(
                "{} findings hold; {} of them new, {} earlier ones withdrawn\n",
                k.holding, k.new, k.withdrawn
            )
        },
    )
}

fn finding_rows(found: &[FindingRow]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "kind",
        "weight",
        "place",
        "indicator",
        "first hour",
        "last hour",
        "hours#",
        "score#",
        "reason",
    ]);
    for f in found {
        let (first, last) = forensics::local_hours(f);
        rows.push(vec![
            f.id.clone(),
            f.kind.clone(),
            f.weight.clone(),
            f.subject.clone(),
            if f.indicator.is_empty() {
                "all".into()
            } else {
                f.indicator.clone()
            },
            first,
            last,
            forensics::hours(f).to_string(),
            f.score.to_string(),
            f.reason.en.clone(),
        ]);
    }
    rows
}

/// Counts by kind as rows.
pub fn count_rows(counts: &[KindCount]) -> Rows {
    let mut rows = Rows::new(&["kind", "meaning", "faults#", "doubts#", "notes#", "hours#"]);
    for c in counts {
        rows.push(vec![
            c.kind.clone(),
            kind_name(&c.kind).en,
            c.fault.to_string(),
            c.doubt.to_string(),
            c.note.to_string(),
            c.hours.to_string(),
        ]);
    }
    rows
}

/// What is wrong with the air of a city, for a caller whose own work must not fail for it: a look
/// if data came in or nobody has looked yet, else what the log holds. `None` if there is no air.
pub fn after_import(lake: &Lake, city: &str, changed: bool) -> Option<(Vec<KindCount>, u64)> {
    let id: SubjectId = city.parse().ok()?;
    let told = |e: &dyn std::fmt::Display| eprintln!("note: the data were not looked at: {e}");
    if !changed {
        match lake.findings() {
            Ok(all) if !all.is_empty() => {
                let holds = all
                    .iter()
                    .filter(|f| f.withdrawn_at.is_none() && f.scope == city);
                return Some((forensics::counts(holds), 0));
            }
            Ok(_) => {}
            Err(e) => {
                told(&e);
                return None;
            }
        }
    }
    let book = Rulebook::embedded();
    let record = match Record::read(lake, book, Some(&id), None, None) {
        Ok(r) => r,
        // A file of another medium brings no air to look at.
        Err(miyun_assess::AssessError::NoData(_)) => return None,
        Err(e) => {
            told(&e);
            return None;
        }
    };
    match forensics::look(book, lake, &record, &super::now()) {
        Ok(look) => Some((
            forensics::counts(&look.findings),
            look.kept.map_or(0, |k| k.new),
        )),
        Err(e) => {
            told(&e);
            None
        }
    }
}
