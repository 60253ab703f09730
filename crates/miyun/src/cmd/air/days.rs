//! `miyun air days` and `miyun air warnings`.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use miyun_core::{Date, IntervalLabel, Period};
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;

use super::{Common, run};
use crate::out::{Format, Rows, opt, print};

#[derive(Args)]
pub struct Days {
    /// Period.
    #[arg(long, value_parser = crate::cmd::period)]
    period: Period,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = crate::cmd::interval)]
    interval: Option<IntervalLabel>,
    #[command(flatten)]
    common: Common,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// One day of one place.
#[derive(serde::Serialize)]
struct DayRow {
    edition: String,
    place: String,
    date: Date,
    values: Vec<Option<String>>,
    sub_indices: Vec<Option<u16>>,
    aqi: Option<u16>,
    level: Option<u8>,
    primary: String,
    status: &'static str,
}

impl Days {
    pub fn run(&self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let requests = self.common.requests(self.period, self.interval)?;
        if requests.len() != 1 {
            bail!("choose one edition: 2012, 2026 or 2031");
        }
        let (_, evaluations) = run(&lake, &requests)?;
        let ev = &evaluations[0];
        let e = &ev.edition.edition;
        let rows: Vec<DayRow> = ev
            .places()
            .flat_map(|p| {
                ev.range().map(move |d| {
                    let i = &p.indices[d];
                    DayRow {
                        edition: ev.edition.name.clone(),
                        place: p.subject.id.to_string(),
                        date: miyun_air::annual::date_of(ev.first_day, d),
                        values: p
                            .series
                            .iter()
                            .map(|s| s[d].map(|v| v.to_string()))
                            .collect(),
                        sub_indices: i.sub.to_vec(),
                        aqi: i.aqi,
                        level: i.level,
                        primary: e
                            .primary_names(i)
                            .iter()
                            .map(|n| n.as_str())
                            .collect::<Vec<_>>()
                            .join("+"),
                        status: i.status.as_str(),
                    }
                })
            })
            .collect();
        print(self.format, &rows, || {
            // Columns depend on the edition; the names live as long as the program.
            let mut header = vec!["place", "date"];
            for s in &e.slots {
                header.push(Box::leak(
                    format!("{}_{}#", s.indicator, s.statistic).into_boxed_str(),
                ));
            }
            for s in &e.slots {
                header.push(Box::leak(
                    format!("iaqi_{}_{}#", s.indicator, s.statistic).into_boxed_str(),
                ));
            }
            header.extend(["aqi#", "level#", "primary", "status"]);
            let mut out = Rows::new(&header);
            for r in &rows {
                let mut cells = vec![r.place.clone(), r.date.to_string()];
                cells.extend(r.values.iter().map(|v| v.clone().unwrap_or_default()));
                cells.extend(r.sub_indices.iter().map(|v| opt(*v)));
                cells.extend([
                    opt(r.aqi),
                    opt(r.level),
                    r.primary.clone(),
                    r.status.to_owned(),
                ]);
                out.push(cells);
            }
            out
        })
    }

    /// Heavy-pollution warnings instead of days.
    pub fn warnings(&self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let (_, evaluations) = run(&lake, &self.common.requests(self.period, self.interval)?)?;
        let ev = &evaluations[0];
        let range = ev.range();
        let first = miyun_air::annual::date_of(ev.first_day, range.start);
        let mut found = Vec::new();
        for plan in Rulebook::embedded().instruments().iter().filter(|i| {
            i.triggers().next().is_some() && i.jurisdiction.contains(&ev.city.subject.jurisdiction)
        }) {
            found.extend(
                miyun_air::warning::warnings(plan, first, &ev.city.indices[range.clone()])
                    .into_iter()
                    .map(|w| (plan.id.to_string(), plan.in_force, w)),
            );
        }
        print(self.format, &found, || {
            let mut rows = Rows::new(&[
                "plan",
                "in force then",
                "from",
                "until",
                "level",
                "because",
                "verified",
            ]);
            for (plan, in_force, w) in &found {
                rows.push(vec![
                    plan.clone(),
                    if in_force.contains(w.from) {
                        "yes"
                    } else {
                        "no"
                    }
                    .into(),
                    w.from.to_string(),
                    w.until.to_string(),
                    w.level.clone(),
                    w.why.clone(),
                    w.rule.verified.to_string(),
                ]);
            }
            rows
        })
    }
}
