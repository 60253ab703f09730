//! `miyun air region`: every city of a province or country.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_air::Incomplete;
use miyun_air::annual::date_of;
use miyun_assess::EditionChoice;
use miyun_assess::air::{AirEvaluation, AirRequest, PlaceResult};
use miyun_assess::region::region;
use miyun_core::{Assessment, Date, Decimal, IntervalLabel, JurisdictionId, Period, Rounding};
use miyun_lake::{Cells, Column, Lake, write_columns};
use miyun_rulebook::Rulebook;
use serde::Serialize;

use crate::out::{Format, Rows, opt, print};

#[derive(Args)]
pub struct Region {
    /// Period: 2016, 2016-01..2016-06, ...
    #[arg(long, value_parser = crate::cmd::period)]
    period: Period,
    /// Only cities of this jurisdiction, for example CN/44; all of the lake if not given.
    #[arg(long)]
    within: Option<String>,
    /// Edition: 2012, 2026, 2031, or the law in force on the last day of the period.
    #[arg(long, default_value = "in-force")]
    edition: String,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = crate::cmd::interval)]
    interval: Option<IntervalLabel>,
    /// Publish the index of a day with missing indicators above this value, whatever the edition
    /// says.
    #[arg(long)]
    publish_incomplete_above: Option<i64>,
    /// Only what was recorded by then (RFC 3339).
    #[arg(long)]
    as_known_on: Option<String>,
    /// Prints the stations too, not only the cities.
    #[arg(long)]
    stations: bool,
    /// Writes the figures of cities and stations to this Parquet file.
    #[arg(long)]
    items: Option<PathBuf>,
    /// Writes daily values, indices and primary pollutants of cities and stations to this Parquet file.
    #[arg(long)]
    days: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// One figure of one place.
#[derive(Serialize)]
struct Figure {
    edition: String,
    place: String,
    kind: &'static str,
    period: Period,
    indicator: String,
    statistic: String,
    value: Option<Decimal>,
    unit: String,
    limit: Option<Decimal>,
    verdict: String,
    times_over: Option<Decimal>,
    days: u32,
    missing: Vec<String>,
    unrounded: Option<Decimal>,
    why: String,
}

/// What is kept of a city.
struct Kept {
    figures: Vec<Figure>,
    days: Vec<Vec<Column>>,
    declared: Vec<String>,
}

impl Region {
    pub fn run(&self, lake: &Path) -> Result<()> {
        if self.edition == "all" {
            bail!("choose one edition: 2012, 2026, 2031 or in-force");
        }
        let lake = Lake::open(lake)?;
        let within: Option<JurisdictionId> = self
            .within
            .as_ref()
            .map(|w| w.parse())
            .transpose()
            .context("--within")?;
        let request = AirRequest {
            city: None,
            period: self.period,
            choice: match self.edition.as_str() {
                "in-force" => EditionChoice::InForce,
                name => EditionChoice::Named(name.to_owned()),
            },
            interval: self.interval,
            incomplete: self
                .publish_incomplete_above
                .map_or(Incomplete::AsEdition, Incomplete::PublishAbove),
            as_known_on: self.as_known_on.clone(),
        };
        let outcomes = region(
            &lake,
            Rulebook::embedded(),
            &request,
            within.as_ref(),
            |_, ev| self.keep(ev),
        )?;
        let (mut figures, mut days, mut declared) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = 0;
        for o in outcomes {
            match o.outcome {
                Ok(kept) => {
                    figures.extend(kept.figures);
                    for d in kept.days {
                        append(&mut days, d)?;
                    }
                    declared.extend(kept.declared);
                }
                Err(e) => {
                    failed += 1;
                    eprintln!("{}: {e}", o.city.id);
                }
            }
        }
        declared.sort();
        declared.dedup();
        if figures.is_empty() {
            bail!("none of the {failed} cities could be assessed");
        }
        if let Some(path) = &self.items {
            write_columns(path, &figure_columns(&figures))?;
        }
        if let Some(path) = &self.days {
            write_columns(path, &days)?;
        }
        figures.retain(|f| self.stations || f.kind == "city");
        print(self.format, &figures, || rows(&figures))?;
        for d in declared {
            eprintln!("{d}");
        }
        Ok(())
    }

    fn keep(&self, ev: &AirEvaluation) -> Kept {
        let wanted = self.stations || self.items.is_some();
        Kept {
            figures: ev
                .assessments
                .iter()
                .filter(|a| wanted || a.subject == ev.city.subject.id)
                .map(|a| figure(ev, a))
                .collect(),
            days: if self.days.is_some() {
                ev.places().map(|p| place_days(ev, p)).collect()
            } else {
                Vec::new()
            },
            declared: ev.declared.clone(),
        }
    }
}

fn figure(ev: &AirEvaluation, a: &Assessment) -> Figure {
    Figure {
        edition: ev.edition.name.clone(),
        place: a.subject.to_string(),
        kind: if a.subject == ev.city.subject.id {
            "city"
        } else {
            "station"
        },
        period: a.period,
        indicator: a.indicator.to_string(),
        statistic: a.statistic.to_string(),
        value: a.value,
        unit: a.unit.to_string(),
        limit: a.limit,
        verdict: a.verdict.to_string(),
        times_over: a.exceedance,
        days: a.sufficiency.have,
        missing: a.sufficiency.missing.clone(),
        unrounded: a.value_unrounded,
        why: a.id.to_string(),
    }
}

fn rows(figures: &[Figure]) -> Rows {
    let mut rows = Rows::new(&[
        "edition",
        "place",
        "kind",
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
    for f in figures {
        rows.push(vec![
            f.edition.clone(),
            f.place.clone(),
            f.kind.into(),
            f.period.to_string(),
            f.indicator.clone(),
            f.statistic.clone(),
            opt(f.value),
            f.unit.clone(),
            opt(f.limit),
            f.verdict.clone(),
            opt(f.times_over),
            f.days.to_string(),
            f.missing.join("; "),
            opt(f.unrounded),
            f.why.clone(),
        ]);
    }
    rows
}

fn steps(v: Option<Decimal>) -> Option<i64> {
    miyun_air::exact::steps_of(v?)
}

fn column(name: impl Into<String>, cells: Cells) -> Column {
    Column {
        name: name.into(),
        cells,
    }
}

fn figure_columns(figures: &[Figure]) -> Vec<Column> {
    let word = |name: &str, of: &dyn Fn(&Figure) -> String| {
        column(
            name,
            Cells::Word(figures.iter().map(|f| Some(of(f))).collect()),
        )
    };
    let decimal = |name: &str, of: &dyn Fn(&Figure) -> Option<Decimal>| {
        column(
            name,
            Cells::Decimal(figures.iter().map(|f| steps(of(f))).collect()),
        )
    };
    vec![
        word("edition", &|f| f.edition.clone()),
        word("place", &|f| f.place.clone()),
        word("kind", &|f| f.kind.into()),
        word("period", &|f| f.period.to_string()),
        word("indicator", &|f| f.indicator.clone()),
        word("statistic", &|f| f.statistic.clone()),
        decimal("value", &|f| f.value),
        word("unit", &|f| f.unit.clone()),
        decimal("limit", &|f| f.limit),
        word("verdict", &|f| f.verdict.clone()),
        decimal("times_over", &|f| f.times_over),
        column(
            "days",
            Cells::Integer(figures.iter().map(|f| Some(i64::from(f.days))).collect()),
        ),
        word("missing", &|f| f.missing.join("; ")),
        decimal("unrounded", &|f| f.unrounded),
        word("why", &|f| f.why.clone()),
    ]
}

/// Days of one place: `place, day, value_<slot>, iaqi_<slot>, aqi, level, primary, status`.
fn place_days(ev: &AirEvaluation, place: &PlaceResult) -> Vec<Column> {
    let e = &ev.edition.edition;
    let range = ev.range();
    let indices = &place.indices[range.clone()];
    let id = place.subject.id.to_string();
    let epoch = Date::constant(1970, 1, 1);
    let mut out = vec![
        column("place", Cells::Word(vec![Some(id); range.len()])),
        column(
            "day",
            Cells::Date(
                range
                    .clone()
                    .map(|d| (date_of(ev.first_day, d) - epoch).get_days())
                    .collect(),
            ),
        ),
    ];
    for (k, slot) in e.slots.iter().enumerate() {
        let name = format!("{}_{}", slot.indicator, slot.statistic);
        out.push(column(
            format!("value_{name}"),
            Cells::Decimal(
                place.series[k][range.clone()]
                    .iter()
                    .map(|v| v.and_then(|v| v.round_steps(6, Rounding::HalfEven)))
                    .collect(),
            ),
        ));
        out.push(column(
            format!("iaqi_{name}"),
            Cells::Integer(indices.iter().map(|i| i.sub[k].map(i64::from)).collect()),
        ));
    }
    let integer = |of: &dyn Fn(&miyun_air::Index) -> Option<i64>| {
        Cells::Integer(indices.iter().map(of).collect())
    };
    out.push(column("aqi", integer(&|i| i.aqi.map(i64::from))));
    out.push(column("level", integer(&|i| i.level.map(i64::from))));
    out.push(column(
        "primary",
        Cells::Word(
            indices
                .iter()
                .map(|i| {
                    let names: Vec<&str> = e.primary_names(i).iter().map(|n| n.as_str()).collect();
                    Some(names.join("+"))
                })
                .collect(),
        ),
    ));
    out.push(column(
        "status",
        Cells::Word(
            indices
                .iter()
                .map(|i| Some(i.status.as_str().to_owned()))
                .collect(),
        ),
    ));
    out
}

/// Puts the rows of `more` below those of `all`.
fn append(all: &mut Vec<Column>, more: Vec<Column>) -> Result<()> {
    if all.is_empty() {
        *all = more;
        return Ok(());
    }
    let same = all.len() == more.len() && all.iter().zip(&more).all(|(a, b)| a.name == b.name);
    for (a, b) in all.iter_mut().zip(more) {
        match (&mut a.cells, b.cells) {
            _ if !same => bail!(
                "two cities have different daily statistics: use --within to write their days to files of their own"
            ),
            (Cells::Word(x), Cells::Word(y)) => x.extend(y),
            (Cells::Integer(x), Cells::Integer(y)) => x.extend(y),
            (Cells::Decimal(x), Cells::Decimal(y)) => x.extend(y),
            (Cells::Date(x), Cells::Date(y)) => x.extend(y),
            (Cells::Truth(x), Cells::Truth(y)) => x.extend(y),
            _ => bail!("column {} has two types", a.name),
        }
    }
    Ok(())
}
