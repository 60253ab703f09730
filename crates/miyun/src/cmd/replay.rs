use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use miyun_air::replay::{flips, level_flips};
use miyun_core::{IntervalLabel, Period};
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;

use super::air::{Common, run};
use crate::out::{Format, Rows, opt, print};

/// List what changes its verdict under another edition.
///
/// Example: miyun replay --rules 2026 --period 2016
#[derive(Args)]
pub struct Replay {
    /// The other edition: 2012, 2026, 2031, or an instrument such as CN/GB-3095-2026.
    #[arg(long)]
    rules: String,
    /// Period.
    #[arg(long, value_parser = super::period)]
    period: Period,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = super::interval)]
    interval: Option<IntervalLabel>,
    #[command(flatten)]
    common: Common,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// A day that changes its verdict or its level.
#[derive(serde::Serialize)]
struct Change {
    place: String,
    date: String,
    what: String,
    value: String,
    before: String,
    after: String,
    clause_before: String,
    clause_after: String,
}

impl Replay {
    pub fn run(self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let mut requests = self.common.requests(self.period, self.interval)?;
        requests.truncate(1);
        let other = Common {
            edition: self.edition_of()?,
            ..self.common.clone()
        };
        requests.extend(
            other
                .requests(self.period, self.interval)?
                .into_iter()
                .take(1),
        );
        let (_, all) = run(&lake, &requests)?;
        let (a, b) = (&all[0], &all[1]);
        let mut changes = Vec::new();
        for (p, q) in a.places().zip(b.places()) {
            for f in flips(
                &a.edition.edition,
                &p.series,
                &b.edition.edition,
                &q.series,
                a.first_day,
                &self.period,
            ) {
                let verdict = |met: bool, limit: &str| {
                    format!(
                        "{} {limit}",
                        if met {
                            "attained, limit"
                        } else {
                            "exceeded, limit"
                        }
                    )
                };
                changes.push(Change {
                    place: p.subject.id.to_string(),
                    date: f.date.to_string(),
                    what: f.indicator.to_string(),
                    value: f.value.to_string(),
                    before: verdict(f.attained_a, &f.limit_a.0),
                    after: verdict(f.attained_b, &f.limit_b.0),
                    clause_before: f.limit_a.1.to_string(),
                    clause_after: f.limit_b.1.to_string(),
                });
            }
            for f in level_flips(&p.indices, &q.indices, a.first_day, &self.period) {
                changes.push(Change {
                    place: p.subject.id.to_string(),
                    date: f.date.to_string(),
                    what: "level".into(),
                    value: String::new(),
                    before: format!("AQI {} level {}", opt(f.a.0), opt(f.a.1)),
                    after: format!("AQI {} level {}", opt(f.b.0), opt(f.b.1)),
                    clause_before: a
                        .edition
                        .edition
                        .instruments
                        .get(1)
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    clause_after: b
                        .edition
                        .edition
                        .instruments
                        .get(1)
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                });
            }
        }
        print(self.format, &changes, || {
            let mut rows = Rows::new(&[
                "place",
                "date",
                "what",
                "value#",
                "before",
                "after",
                "clause before",
                "clause after",
            ]);
            for c in &changes {
                rows.push(vec![
                    c.place.clone(),
                    c.date.clone(),
                    c.what.clone(),
                    c.value.clone(),
                    c.before.clone(),
                    c.after.clone(),
                    c.clause_before.clone(),
                    c.clause_after.clone(),
                ]);
            }
            rows
        })?;
        eprintln!(
            "{} changes between edition {} and edition {}",
            changes.len(),
            a.edition.name,
            b.edition.name
        );
        Ok(())
    }

    /// The edition that `--rules` names, also by the id of one of its instruments.
    fn edition_of(&self) -> Result<String> {
        let book = Rulebook::embedded();
        if book.editions().iter().any(|e| e.id == self.rules) {
            return Ok(self.rules.clone());
        }
        let i = book.instrument(&self.rules).with_context(|| {
            format!(
                "no edition or instrument {:?}; editions: {}",
                self.rules,
                book.editions()
                    .iter()
                    .map(|e| e.id.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        })?;
        let e = book
            .editions()
            .iter()
            .find(|e| i.in_force.contains(e.as_of))
            .with_context(|| format!("{} belongs to no named edition", i.id))?;
        Ok(e.id.clone())
    }
}
