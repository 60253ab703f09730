use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_air::Incomplete;
use miyun_assess::EditionChoice;
use miyun_assess::air::{AirEvaluation, AirRequest, Record, evaluate_all};
use miyun_assess::forensics;
use miyun_core::{Date, Decimal, IntervalLabel, Period};
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;
use miyun_web::report;

use super::import::{How, import};
use crate::out::{Format, Rows, line, opt, print};

#[derive(Subcommand)]
pub enum Air {
    /// Assess a city over a period: annual items, validity, days, trends; the report is one HTML file.
    ///
    /// Example: miyun air evaluate --data data/prsa --period 2016 --edition all --interval hour-end
    Evaluate(Box<Evaluate>),
    /// Assess every city of a province or country, city by city: annual items, validity, days.
    ///
    /// Example: miyun air region --period 2016 --edition 2026 --within CN/44 --stations --format csv
    Region(super::region::Region),
    /// Daily values and indices of every station and the city.
    ///
    /// Example: miyun air days --period 2016 --edition 2012 --format csv
    Days(Days),
    Hours(super::hours::Hours),
    /// The 0.1 microgram ledger: spent, left, and what the choices of counting are worth.
    ///
    /// Example: miyun air budget --year 2016 --until 2016-09-30 --target 60
    Budget(Budget),
    /// Heavy-pollution warnings that a run of days reaches, under every warning plan.
    ///
    /// Example: miyun air warnings --period 2016
    Warnings(Days),
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

#[derive(Args)]
pub struct Evaluate {
    /// Files or folders to import first.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Period: 2016, 2016-01..2016-06, ...
    #[arg(long, value_parser = super::period)]
    period: Period,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    how: How,
    /// Where the report goes.
    #[arg(long, default_value = "air-report.html")]
    report: PathBuf,
    /// Language of the report: en or zh.
    #[arg(long, default_value = "en", value_parser = super::lang)]
    lang: miyun_core::text::Lang,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Days {
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

#[derive(Args)]
pub struct Budget {
    /// Indicator.
    #[arg(long, default_value = "PM2.5")]
    indicator: String,
    /// Year.
    #[arg(long)]
    year: i16,
    /// Last day known; the end of the data if not given.
    #[arg(long, value_parser = super::date)]
    until: Option<Date>,
    /// Target of the annual mean; the limit in force if not given.
    #[arg(long)]
    target: Option<Decimal>,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = super::interval)]
    interval: Option<IntervalLabel>,
    /// Seed of the block bootstrap.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: Common,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
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
            Self::Warnings(c) => warnings(&c, lake),
        }
    }
}

impl Evaluate {
    fn run(&self, lake: &Path) -> Result<()> {
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
        let now = super::now();
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
            super::keep(&lake, &ev.assessments)?;
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
    fn run(&self, lake: &Path) -> Result<()> {
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
                        sub_indices: i.sub.clone(),
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
}

fn warnings(c: &Days, lake: &Path) -> Result<()> {
    let lake = Lake::open(lake)?;
    let (_, evaluations) = run(&lake, &c.common.requests(c.period, c.interval)?)?;
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
    print(c.format, &found, || {
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

/// A choice of counting and the annual mean it gives.
#[derive(serde::Serialize)]
struct Choice {
    choice: &'static str,
    mean: f64,
    difference: f64,
}

#[derive(serde::Serialize)]
struct Ledger {
    indicator: String,
    year: i16,
    until: Date,
    target_from: String,
    budget: miyun_air::budget::Budget,
    stations: Vec<String>,
    choices: Vec<Choice>,
    change_on_last_year: Option<miyun_air::budget::Change>,
    change_in_words: String,
    days_above_daily_limit: Option<miyun_air::budget::PercentileHeadroom>,
    declared: Vec<String>,
}

impl Budget {
    fn run(&self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let year = Period::year(self.year).context("--year is out of range")?;
        let requests = self.common.requests(year, self.interval)?;
        let (record, evaluations) = run(&lake, &requests)?;
        let ledger = self.ledger(&lake, &record, &evaluations[0])?;
        print(self.format, &ledger, || {
            let mut rows = Rows::new(&[
                "date",
                "value#",
                "cost of the annual mean#",
                "above target#",
            ]);
            for d in &ledger.budget.worst {
                rows.push(vec![
                    d.date.to_string(),
                    d.value.to_string(),
                    format!("{:.3}", d.cost.to_f64()),
                    format!("{:.3}", d.above.to_f64()),
                ]);
            }
            rows
        })?;
        if self.format == Format::Table {
            line(&self.words(&ledger))?;
        }
        Ok(())
    }

    fn ledger(&self, lake: &Lake, record: &Record, ev: &AirEvaluation) -> Result<Ledger> {
        let e = &ev.edition.edition;
        let (k, item) = e
            .annual
            .iter()
            .enumerate()
            .find(|(_, a)| a.item.indicator == *self.indicator && a.item.percentile.is_none())
            .with_context(|| format!("{} has no annual mean", self.indicator))?;
        let _ = k;
        let limit = item.limit.as_ref();
        let (target, target_from) = match (self.target, limit) {
            (Some(t), _) => (t, "given".to_owned()),
            (None, Some(l)) => (l.value.limit.value, l.rule.to_string()),
            (None, None) => bail!("there is no limit; give --target"),
        };
        let city = &ev.city.series[item.slot];
        let members: Vec<_> = ev.stations.iter().filter(|s| !s.control).collect();
        let stations: Vec<miyun_air::DaySeries> = members
            .iter()
            .map(|s| s.series[item.slot].clone())
            .collect();
        let last = miyun_air::annual::date_of(record.first_day, record.days.saturating_sub(1));
        let year_end = Date::new(self.year, 12, 31)?;
        let until = self.until.unwrap_or(last.min(year_end));
        let of_year = |y: i16| -> Option<miyun_air::DaySeries> {
            let p = Period::year(y)?;
            let covered = p.from? >= record.first_day && p.until? <= last;
            covered.then(|| {
                city[miyun_air::annual::day_range(record.first_day, city.len(), &p)].to_vec()
            })
        };
        let past: Vec<_> = (record.first_day.year()..self.year)
            .filter_map(of_year)
            .collect();
        let budget = miyun_air::budget::budget(
            record.first_day,
            city,
            &stations,
            &past,
            self.year,
            until,
            target,
        )
        .context("the ledger overflows")?;
        let mut state = self.seed;
        // SplitMix64: enough for resampling, and the seed is printed.
        let mut random = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        let change = of_year(self.year - 1)
            .zip(of_year(self.year))
            .and_then(|(a, b)| miyun_air::budget::change(&a, &b, 14, 2_000, &mut random));
        let change_in_words = match &change {
            None => "no whole year before this one to compare with".to_owned(),
            Some(c) if c.covers_zero() => format!(
                "{:+.1} on the year before, 95 % interval {:+.1} to {:+.1} (blocks of 14 days, seed {}): not distinguishable from zero",
                c.change, c.low, c.high, self.seed
            ),
            Some(c) => format!(
                "{:+.1} on the year before, 95 % interval {:+.1} to {:+.1} (blocks of 14 days, seed {})",
                c.change, c.low, c.high, self.seed
            ),
        };
        let range = miyun_air::annual::day_range(
            record.first_day,
            city.len(),
            &Period::days(Date::new(self.year, 1, 1)?, until),
        );
        let values: Vec<miyun_air::Exact> = city[range.clone()].iter().flatten().copied().collect();
        let percentile = e
            .annual
            .iter()
            .find(|a| a.item.indicator == *self.indicator && a.item.percentile.is_some());
        let days_above = percentile.and_then(|p| {
            Some(miyun_air::budget::percentile_headroom(
                &values,
                miyun_air::Exact::from_decimal(p.limit.as_ref()?.value.limit.value)?,
                p.item.percentile?,
                budget.days_year,
            ))
        });
        Ok(Ledger {
            indicator: self.indicator.clone(),
            year: self.year,
            until,
            target_from,
            choices: self.choices(lake, ev, item.slot, &stations, range)?,
            stations: members.iter().map(|s| s.subject.id.to_string()).collect(),
            budget,
            change_on_last_year: change,
            change_in_words,
            days_above_daily_limit: days_above,
            declared: ev.declared.clone(),
        })
    }

    /// The annual mean under other admissible choices of counting.
    fn choices(
        &self,
        lake: &Lake,
        ev: &AirEvaluation,
        slot: usize,
        stations: &[miyun_air::DaySeries],
        range: std::ops::Range<usize>,
    ) -> Result<Vec<Choice>> {
        let mean = |s: &miyun_air::DaySeries| {
            miyun_air::Exact::mean(s[range.clone()].iter().flatten().copied())
                .map(miyun_air::Exact::to_f64)
        };
        let Some(base) = mean(&ev.city.series[slot]) else {
            return Ok(Vec::new());
        };
        let mut out = vec![Choice {
            choice: "as counted",
            mean: base,
            difference: 0.0,
        }];
        let mut add = |choice, m: Option<f64>| {
            if let Some(mean) = m {
                out.push(Choice {
                    choice,
                    mean,
                    difference: mean - base,
                });
            }
        };
        let means: Vec<f64> = stations.iter().filter_map(mean).collect();
        add(
            "mean of station means",
            (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64),
        );
        let p = &ev.edition.edition.slots[slot].rounding.value;
        let rounded: miyun_air::DaySeries = ev.city.series[slot]
            .iter()
            .map(|v| v.and_then(|v| miyun_air::Exact::from_decimal(v.round(p.decimals, p.rule))))
            .collect();
        add("daily values rounded first", mean(&rounded));
        let all: Vec<Vec<miyun_air::DaySeries>> =
            stations.iter().map(|s| vec![s.clone()]).collect();
        add(
            "every day with one station or more",
            mean(&miyun_air::city::city_days(&all, None)[0]),
        );
        for (label, name) in [
            (IntervalLabel::HourBegin, "labels read as hour-begin"),
            (IntervalLabel::HourEnd, "labels read as hour-end"),
        ] {
            let request = AirRequest {
                interval: Some(label),
                ..ev.request.clone()
            };
            let (_, other) = run(lake, std::slice::from_ref(&request))?;
            let o = &other[0];
            let r = miyun_air::annual::day_range(
                o.first_day,
                o.city.series[slot].len(),
                &Period::days(
                    miyun_air::annual::date_of(ev.first_day, range.start),
                    miyun_air::annual::date_of(ev.first_day, range.end.saturating_sub(1)),
                ),
            );
            add(
                name,
                miyun_air::Exact::mean(o.city.series[slot][r].iter().flatten().copied())
                    .map(miyun_air::Exact::to_f64),
            );
        }
        Ok(out)
    }

    fn words(&self, l: &Ledger) -> String {
        let b = &l.budget;
        let f =
            |v: Option<miyun_air::Exact>| v.map_or("–".into(), |v| format!("{:.1}", v.to_f64()));
        let mut out = format!(
            "\n{} {} until {}: mean {} of at most {} ({}); {} of {} days over, {} with a valid value\n",
            l.indicator,
            l.year,
            l.until,
            f(b.mean),
            b.target,
            l.target_from,
            b.days_over,
            b.days_year,
            b.days_valid
        );
        out.push_str(&format!("allowance {:.0} ug/m3 x d, spent {}, left {}; mean allowed for the rest of the year {}\n", b.allowance.to_f64(), f(b.spent), f(b.left), f(b.allowed_mean)));
        if let Some(fan) = &b.fan {
            let q = fan.quantiles;
            out.push_str(&format!(
                "finish if the rest is like one of {} past years: {:.1} (from {:.1} to {:.1})\n",
                fan.years, q[2], q[0], q[4]
            ));
        }
        out.push_str(&format!("change: {}\n", l.change_in_words));
        if let Some(h) = &l.days_above_daily_limit {
            out.push_str(&format!(
                "days above the daily limit: {} of at most {} that the year's percentile allows\n",
                h.above, h.allowed
            ));
        }
        out.push_str("stations (city mean with it minus without it):\n");
        for (s, name) in b.stations.iter().zip(&l.stations) {
            out.push_str(&format!(
                "  {name}: {} , effect {}\n",
                f(s.mean),
                s.effect.map_or("–".into(), |e| format!("{e:+.2}"))
            ));
        }
        out.push_str("other admissible choices of counting:\n");
        for c in &l.choices {
            out.push_str(&format!(
                "  {}: {:.2} ({:+.2})\n",
                c.choice, c.mean, c.difference
            ));
        }
        for d in &l.declared {
            out.push_str(&format!("{d}\n"));
        }
        out
    }
}
