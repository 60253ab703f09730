//! What is wrong with hourly series, each doubt said with its hours, its numbers and its reason.
//!
//! Pure: hours in, findings out. Nothing is deleted, edited or left out of a statistic; a finding
//! is a statement beside the data. The thresholds are not law but our own method's: they are
//! [`Params`], passed in, recorded with every finding.
//!
//! An event is no fault. Where a station has neighbours they are the judge: dust that all stations
//! see is not a jump, clean air that all stations see is not a stuck instrument.
//!
//! ```
//! use miyun_forensics::{Inspection, Kind, MISSING, Network, Params, Station};
//! let (subject, indicator) = ("linxi/hexi".parse().unwrap(), "PM2.5".parse().unwrap());
//! // A hundred days of a lively series with two days of one value.
//! let mut hours: Vec<i64> = (0..2_400).map(|h| 1_000_000 * (20 + h * 37 % 41)).collect();
//! hours[1_000..1_048].fill(31_000_000);
//! let network = Network {
//!     subject: None,
//!     first_day: jiff::civil::date(2024, 1, 1),
//!     days: 100,
//!     stations: vec![Station { subject: &subject, series: vec![(&indicator, &hours)] }],
//! };
//! let found = Inspection::new(&network, &Params::default()).all();
//! assert_eq!(found.len(), 1);
//! assert_eq!((found[0].kind, found[0].first, found[0].last), (Kind::Stuck, 1_000, 1_047));
//! ```

mod clock;
mod copied;
mod diurnal;
mod finding;
mod gap;
mod jump;
mod neighbours;
mod pair;
mod params;
mod profile;
mod stuck;
mod unit;

use jiff::civil::Date;
use miyun_core::{IndicatorId, SubjectId};

pub use finding::{Finding, Kind, Weight};
pub use neighbours::Prepared;
pub use params::{
    Above, Clock, Copied, Diurnal, Factor, Gap, Jump, Pair, Pairs, Params, Stuck, UnitParams, Usual,
};

use profile::Profile;

/// Marks an hour without a usable value.
pub const MISSING: i64 = i64::MIN;
/// Version of the methods; changes when findings may change.
pub const VERSION: &str = "1";

/// Stations that see the same air, over the same hours.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    /// Whom a doubt about all stations at once concerns, for example the city.
    pub subject: Option<SubjectId>,
    /// Local date of hour 0.
    pub first_day: Date,
    /// Days; every series has `24 * days` values, shorter ones count as missing at the end.
    pub days: usize,
    /// The stations.
    pub stations: Vec<Station<'a>>,
}

/// The hours of one station.
#[derive(Debug, Clone)]
pub struct Station<'a> {
    /// The station.
    pub subject: &'a SubjectId,
    /// One series per indicator.
    ///
    /// # Units
    /// Integers of 10^-6 of the indicator's canonical unit; [`MISSING`] for none. Hour `h` of day
    /// `d` is at `24 d + h`.
    pub series: Vec<(&'a IndicatorId, &'a [i64])>,
}

/// One series, prepared.
pub(crate) struct View<'a> {
    pub indicator: &'a IndicatorId,
    pub raw: &'a [i64],
    /// Values in the canonical unit, NaN for missing.
    pub x: &'a [f32],
    /// Median of the other stations at each hour, NaN where too few have a value.
    pub others: &'a [f32],
    pub profile: &'a Profile,
}

impl View<'_> {
    pub(crate) fn present(&self, hour: usize) -> bool {
        self.raw[hour] != MISSING
    }
}

/// A network, prepared so that its stations can be looked at one by one, also on several threads.
pub struct Inspection<'a> {
    network: &'a Network<'a>,
    params: &'a Params,
    hours: usize,
    indicators: Vec<&'a IndicatorId>,
    prepared: Vec<Prepared>,
}

/// Every indicator of the network, in order of appearance.
#[must_use]
pub fn indicators<'a>(network: &Network<'a>) -> Vec<&'a IndicatorId> {
    let mut out: Vec<&IndicatorId> = Vec::new();
    for (i, _) in network.stations.iter().flat_map(|s| &s.series) {
        if !out.contains(i) {
            out.push(i);
        }
    }
    out
}

impl<'a> Inspection<'a> {
    /// Prepares `network`.
    #[must_use]
    pub fn new(network: &'a Network<'a>, params: &'a Params) -> Self {
        let prepared = (0..indicators(network).len())
            .map(|k| Prepared::of(network, k))
            .collect();
        Self::from_prepared(network, params, prepared)
    }

    /// Puts together what [`Prepared::of`] made of each of [`indicators`], in that order; for
    /// callers that prepare on several threads.
    #[must_use]
    pub fn from_prepared(
        network: &'a Network<'a>,
        params: &'a Params,
        prepared: Vec<Prepared>,
    ) -> Self {
        Self {
            network,
            params,
            hours: network.days * 24,
            indicators: indicators(network),
            prepared,
        }
    }

    /// How many stations.
    #[must_use]
    pub fn stations(&self) -> usize {
        self.network.stations.len()
    }

    /// Every finding: of the whole network, then station by station; within a station by
    /// indicator and time.
    #[must_use]
    pub fn all(&self) -> Vec<Finding> {
        let mut out = self.network();
        for k in 0..self.stations() {
            out.extend(self.station(k));
        }
        out
    }

    /// Findings about all stations at once: hours that repeat the hour before everywhere.
    #[must_use]
    pub fn network(&self) -> Vec<Finding> {
        copied::repeated(self.network, self.hours, &self.params.copied)
    }

    /// Findings about station `k`, empty if there is none.
    #[must_use]
    pub fn station(&self, k: usize) -> Vec<Finding> {
        let Some(station) = self.network.stations.get(k) else {
            return Vec::new();
        };
        let views: Vec<View<'_>> = station
            .series
            .iter()
            .filter_map(|(indicator, raw)| {
                let n = self.indicators.iter().position(|i| i == indicator)?;
                let own = self.prepared.get(n)?.own(k)?;
                Some(View {
                    indicator,
                    raw: raw.get(..self.hours)?,
                    x: &own.x,
                    others: &own.others,
                    profile: &own.profile,
                })
            })
            .collect();
        let p = self.params;
        let mut out = Vec::new();
        for view in &views {
            out.extend(stuck::find(station.subject, view, &p.stuck));
            out.extend(jump::find(station.subject, view, &p.jump));
            out.extend(unit::find(station.subject, view, &p.unit));
            out.extend(diurnal::find(station.subject, view, &p.diurnal));
        }
        out.extend(pair::find(station.subject, &views, p));
        out.extend(gap::find(station.subject, &views, &p.gap));
        out.extend(clock::find(
            station.subject,
            &views,
            self.stations(),
            &p.clock,
        ));
        out.sort_by(|a, b| {
            let key = |f: &Finding| (f.indicator.clone(), f.first, f.kind);
            key(a).cmp(&key(b))
        });
        out
    }
}
