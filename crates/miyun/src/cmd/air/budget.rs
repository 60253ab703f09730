//! `miyun air budget`: the 0.1 microgram ledger.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_assess::air::{AirEvaluation, AirRequest, Record};
use miyun_core::{Date, Decimal, IntervalLabel, Period};
use miyun_lake::Lake;

use super::{Common, run};
use crate::out::{Format, Rows, line, print};

#[derive(Args)]
pub struct Budget {
    /// Indicator.
    #[arg(long, default_value = "PM2.5")]
    indicator: String,
    /// Year.
    #[arg(long)]
    year: i16,
    /// Last day known; the end of the data if not given.
    #[arg(long, value_parser = crate::cmd::date)]
    until: Option<Date>,
    /// Target of the annual mean; the limit in force if not given.
    #[arg(long)]
    target: Option<Decimal>,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = crate::cmd::interval)]
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
    pub fn run(&self, lake: &Path) -> Result<()> {
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
