//! What is registered of devices: list, set, refuse, the simulated fleet.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use miyun_gateway::registry::Property;

use super::{FOLDER, now_ms, registry, when};
use crate::cmd::hj212::{FLEET_KEY, spoken};
use crate::out::{Format, Rows, line, print};

/// List devices and what waits for a person.
///
/// Example: miyun gateway devices --waiting
#[derive(Args)]
pub struct Devices {
    /// Only devices with a proposal, or not confirmed.
    #[arg(long)]
    waiting: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Devices {
    pub fn run(self, dir: &Path) -> Result<()> {
        let all: Vec<_> = registry(dir)?
            .devices()
            .into_iter()
            .filter(|d| {
                !self.waiting || !d.proposals.is_empty() || d.last(&Property::Status).is_none()
            })
            .collect();
        let shown: Vec<serde_json::Value> = all
            .iter()
            .map(|d| {
                let p: std::collections::BTreeMap<String, &str> =
                    d.properties.iter().filter(|(k, _)| !matches!(k, Property::Key | Property::Password)).filter_map(|(k, _)| Some((k.to_string(), d.last(k)?))).collect();
                serde_json::json!({ "mn": d.mn, "since": when(d.since_ms), "properties": p, "proposals": d.proposals })
            })
            .collect();
        print(self.format, &shown, || {
            let mut rows =
                Rows::new(&["mn", "since", "status", "subject", "edition", "crc", "asks"]);
            for d in &all {
                let p = |k: Property| d.last(&k).unwrap_or("").to_owned();
                let asks: Vec<String> = d
                    .proposals
                    .iter()
                    .map(|p| format!("{}={} ({})", p.property, p.value, p.why))
                    .collect();
                rows.push(vec![
                    d.mn.clone(),
                    when(d.since_ms),
                    p(Property::Status),
                    p(Property::Subject),
                    p(Property::Edition),
                    p(Property::Crc),
                    asks.join("; "),
                ]);
            }
            rows
        })
    }
}

/// Set dated properties of a device on a person's word (also confirms a proposal).
///
/// Example: miyun gateway set 010000A8900016F000169DC0 status=accepted subject=linxi/outlet-7 unit.a34004=ug/m3 --by li --why "manual, page 12"
#[derive(Args)]
pub struct Set {
    /// The device.
    mn: String,
    /// PROPERTY=VALUE: status, edition, crc, key, cipher, clock-offset, minute-interval, password, subject, position, unit.FACTOR, indicator.FACTOR.
    #[arg(required = true)]
    properties: Vec<String>,
    /// Who says so.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long, default_value = "")]
    why: String,
    /// From when it holds, RFC 3339; from always if absent.
    #[arg(long)]
    from: Option<jiff::Timestamp>,
}

impl Set {
    pub fn run(self, dir: &Path) -> Result<()> {
        let from = self.from.map_or(0, |t| t.as_millisecond());
        let mut changes = Vec::new();
        for text in &self.properties {
            let (p, v) = text
                .split_once('=')
                .with_context(|| format!("{text:?}: write PROPERTY=VALUE"))?;
            let property: Property = p.parse().map_err(anyhow::Error::msg)?;
            changes.push((
                self.mn.clone(),
                property,
                v.to_owned(),
                from,
                self.why.clone(),
            ));
        }
        registry(dir)?.set(&self.by, now_ms(), &changes)?;
        line(&format!("{}: {} set\n", self.mn, changes.len()))
    }
}

/// Refuse what the gateway proposes.
///
/// Example: miyun gateway refuse 010000A8900016F000169DC0 crc=modbus-low-first --by li
#[derive(Args)]
pub struct Refuse {
    /// The device.
    mn: String,
    /// PROPERTY=VALUE as proposed.
    property: String,
    /// Who says so.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long, default_value = "")]
    why: String,
}

impl Refuse {
    pub fn run(self, dir: &Path) -> Result<()> {
        let (p, v) = self
            .property
            .split_once('=')
            .context("write PROPERTY=VALUE")?;
        registry(dir)?.refuse(
            &self.by,
            now_ms(),
            &self.mn,
            p.parse().map_err(anyhow::Error::msg)?,
            v,
            &self.why,
        )?;
        Ok(())
    }
}

/// Register the devices of a simulated fleet (see miyun hj212 fleet).
///
/// Example: miyun gateway register-fleet --count 200 --seed 1
#[derive(Args)]
pub struct Fleet {
    /// Devices.
    #[arg(long, default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Seed of the fleet.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// City of the outlets.
    #[arg(long, default_value = "linxi")]
    city: String,
}

/// Indicators of the rulebook that factors of the simulated fleet are.
const FLEET_INDICATORS: [(&str, &str, &str); 5] = [
    ("31", "a21026", "SO2-stack"),
    ("31", "a21002", "NOx-stack"),
    ("31", "a34013", "PM-stack"),
    ("32", "w01018", "COD-effluent"),
    ("32", "w21003", "NH3N-effluent"),
];

/// Registers the simulated fleet of the demonstration city, unless the gateway knows devices already.
pub fn register_fleet(lake: &Path, count: u32, seed: u64, city: &str) -> Result<()> {
    let dir = lake.join(FOLDER);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    if !registry(&dir)?.devices().is_empty() {
        return Ok(());
    }
    let city = city.to_owned();
    Fleet { count, seed, city }.run(&dir)
}

impl Fleet {
    pub fn run(self, dir: &Path) -> Result<()> {
        let fleet = miyun_sim::devices::Fleet::new(self.seed, self.count as usize);
        let mut changes = Vec::new();
        for d in &fleet.devices {
            let mut set = |p: Property, v: String| {
                changes.push((d.mn.clone(), p, v, 0, "simulated fleet".to_owned()))
            };
            let what = match d.kind.system() {
                "22" | "23" => "site",
                _ => "outlet",
            };
            set(Property::Status, "accepted".into());
            set(
                Property::Subject,
                format!("{}/{what}-{}", self.city, d.number),
            );
            let (lon, lat) = d.position();
            set(Property::Position, format!("{lon:.4},{lat:.4}"));
            // Of some the gateway asks what edition they speak.
            if d.number % 8 != 3 {
                set(Property::Edition, d.edition.to_string());
            }
            set(Property::MinuteInterval, d.minutes.to_string());
            set(Property::Crc, d.crc.into());
            if d.encrypted {
                set(
                    Property::Key,
                    String::from_utf8_lossy(FLEET_KEY).into_owned(),
                );
            }
            if d.clock_ahead_s.abs() > 60 {
                set(Property::ClockOffset, d.clock_ahead_s.to_string());
            }
            for (code, _, unit) in d.kind.factors() {
                if code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    set(Property::Unit(spoken(d, code)), (*unit).into());
                }
            }
            for (_, code, indicator) in FLEET_INDICATORS
                .iter()
                .filter(|(st, ..)| *st == d.kind.system())
            {
                set(Property::Indicator(spoken(d, code)), (*indicator).into());
            }
        }
        registry(dir)?.set("register-fleet", now_ms(), &changes)?;
        line(&format!(
            "{} simulated devices registered\n",
            fleet.devices.len()
        ))
    }
}
