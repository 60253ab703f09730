//! `miyun air`: ambient air.

mod budget;
mod days;
mod evaluate;
mod hours;
mod region;

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use miyun_air::Incomplete;
use miyun_assess::EditionChoice;
use miyun_assess::air::{AirEvaluation, AirRequest, Record, evaluate_all};
use miyun_core::{IntervalLabel, Period};
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;

#[derive(Subcommand)]
pub enum Air {
    /// Assess a city over a period: annual items, validity, days, trends; the report is one HTML file.
    ///
    /// Example: miyun air evaluate --data data/prsa --period 2016 --edition all --interval hour-end
    Evaluate(Box<evaluate::Evaluate>),
    /// Assess every city of a province or country, city by city: annual items, validity, days.
    ///
    /// Example: miyun air region --period 2016 --edition 2026 --within CN/44 --stations --format csv
    Region(region::Region),
    /// Daily values and indices of every station and the city.
    ///
    /// Example: miyun air days --period 2016 --edition 2012 --format csv
    Days(days::Days),
    Hours(hours::Hours),
    /// The 0.1 microgram ledger: spent, left, and what the choices of counting are worth.
    ///
    /// Example: miyun air budget --year 2016 --until 2016-09-30 --target 60
    Budget(budget::Budget),
    /// Heavy-pollution warnings that a run of days reaches, under every warning plan.
    ///
    /// Example: miyun air warnings --period 2016
    Warnings(days::Days),
}

#[derive(Args, Clone)]
pub struct Common {
    /// The city; needed only if the lake has several.
    #[arg(long = "of")]
    pub of: Option<String>,
    /// Edition: 2012, 2026, 2031, all, or the law in force on the last day of the period.
    #[arg(long, default_value = "in-force")]
    pub edition: String,
    /// Publish the index of a day with missing indicators above this value, whatever the edition
    /// says (HJ 633-2026 5.3.1 says 100; HJ 633-2012 says nothing).
    #[arg(long)]
    pub publish_incomplete_above: Option<i64>,
    /// Only what was recorded by then (RFC 3339).
    #[arg(long)]
    pub as_known_on: Option<String>,
}

impl Common {
    pub fn requests(
        &self,
        period: Period,
        interval: Option<IntervalLabel>,
    ) -> Result<Vec<AirRequest>> {
        let names: Vec<String> = match self.edition.as_str() {
            "all" => Rulebook::embedded()
                .editions()
                .iter()
                .map(|e| e.id.clone())
                .collect(),
            one => vec![one.to_owned()],
        };
        let city = self
            .of
            .as_ref()
            .map(|c| c.parse())
            .transpose()
            .context("--of")?;
        let incomplete = self
            .publish_incomplete_above
            .map_or(Incomplete::AsEdition, Incomplete::PublishAbove);
        Ok(names
            .into_iter()
            .map(|name| AirRequest {
                city: city.clone(),
                period,
                choice: if name == "in-force" {
                    EditionChoice::InForce
                } else {
                    EditionChoice::Named(name)
                },
                interval,
                incomplete,
                as_known_on: self.as_known_on.clone(),
            })
            .collect())
    }
}

/// Reads the record once and assesses it under each request.
pub fn run(lake: &Lake, requests: &[AirRequest]) -> Result<(Record, Vec<AirEvaluation>)> {
    let book = Rulebook::embedded();
    let first = requests.first().context("no edition asked for")?;
    let record = Record::read(
        lake,
        book,
        first.city.as_ref(),
        first.interval,
        first.as_known_on.as_deref(),
    )?;
    let all = evaluate_all(book, &record, requests)?;
    Ok((record, all))
}

impl Air {
    pub fn run(self, lake: &Path) -> Result<()> {
        match self {
            Self::Evaluate(c) => c.run(lake),
            Self::Region(c) => c.run(lake),
            Self::Days(c) => c.run(lake),
            Self::Hours(c) => c.run(lake),
            Self::Budget(c) => c.run(lake),
            Self::Warnings(c) => c.warnings(lake),
        }
    }
}
