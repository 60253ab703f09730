use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use miyun_air::annual::{date_of, day_range};
use miyun_core::{IntervalLabel, Period};
use miyun_lake::Lake;

use super::{Common, run};
use crate::out::{Format, Rows, opt, print};

/// The real-time index of one station and hour.
#[derive(serde::Serialize)]
struct Hour {
    place: String,
    /// Local beginning of the hour.
    begins: String,
    /// Sub-indices by indicator and statistic.
    sub_indices: Vec<(String, Option<u16>)>,
    aqi: Option<u16>,
    level: Option<u8>,
    primary: String,
    status: &'static str,
}

/// The real-time index of every hour: particles as 24-hour running means under HJ 633-2012, as
/// one-hour values under HJ 633-2026.
///
/// Example: miyun air hours --period 2016-12-20 --edition 2026 --station dongsi
#[derive(Args)]
pub struct Hours {
    /// Period.
    #[arg(long, value_parser = crate::cmd::period)]
    period: Period,
    /// Only stations whose id ends so.
    #[arg(long, default_value = "")]
    station: String,
    /// Reads labels this way whatever the series declare.
    #[arg(long, value_parser = crate::cmd::interval)]
    interval: Option<IntervalLabel>,
    #[command(flatten)]
    common: Common,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Hours {
    pub fn run(&self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let requests = self.common.requests(self.period, self.interval)?;
        let [request] = requests.as_slice() else {
            bail!("choose one edition: 2012, 2026 or 2031");
        };
        let (record, evaluations) = run(&lake, &requests)?;
        let edition = &evaluations[0].edition.edition;
        // As in the index itself: only what has breakpoints takes part.
        let slots: Vec<_> = edition.hours.iter().filter(|s| s.scale.is_some()).collect();
        let days = day_range(record.first_day, record.days, &self.period);
        let mut out = Vec::new();
        for s in &record.stations {
            if !s.subject.id.as_str().ends_with(&self.station) {
                continue;
            }
            let indices = edition.hour_indices(&s.hours, request.incomplete);
            let range = days.start * 24..days.end * 24;
            for (h, i) in indices
                .iter()
                .enumerate()
                .skip(range.start)
                .take(range.len())
            {
                let mut primary: Vec<&str> = i
                    .primary
                    .iter()
                    .filter_map(|k| slots.get(*k))
                    .map(|s| s.indicator.as_str())
                    .collect();
                primary.sort_unstable();
                primary.dedup();
                out.push(Hour {
                    place: s.subject.id.to_string(),
                    begins: format!("{}T{:02}:00", date_of(record.first_day, h / 24), h % 24),
                    sub_indices: slots
                        .iter()
                        .zip(&i.sub)
                        .map(|(s, v)| (format!("{}_{}", s.indicator, s.statistic), *v))
                        .collect(),
                    aqi: i.aqi,
                    level: i.level,
                    primary: primary.join("+"),
                    status: i.status.as_str(),
                });
            }
        }
        if out.is_empty() {
            bail!("no station ends in {:?}", self.station);
        }
        print(self.format, &out, || {
            let mut header = vec!["place", "begins"];
            for (name, _) in &out[0].sub_indices {
                // Columns depend on the edition; the names live as long as the program.
                header.push(Box::leak(format!("iaqi_{name}#").into_boxed_str()));
            }
            header.extend(["aqi#", "level#", "primary", "status"]);
            let mut rows = Rows::new(&header);
            for h in &out {
                let mut cells = vec![h.place.clone(), h.begins.clone()];
                cells.extend(h.sub_indices.iter().map(|(_, v)| opt(*v)));
                cells.extend([opt(h.aqi), opt(h.level), h.primary.clone(), h.status.into()]);
                rows.push(cells);
            }
            rows
        })
    }
}
