use anyhow::Result;
use clap::Args;
use miyun_sim::devices::Fleet;

use crate::out::{Format, Rows, print};

#[derive(Args)]
pub struct Members {
    /// Devices.
    #[arg(long, default_value_t = 10)]
    devices: usize,
    /// Seed, as for send.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Members {
    pub fn run(self) -> Result<()> {
        let fleet = Fleet::new(self.seed, self.devices);
        print(self.format, &fleet.devices, || {
            let mut rows = Rows::new(&[
                "mn",
                "edition",
                "crc",
                "encrypted",
                "kind",
                "st",
                "clock_ahead_s#",
                "fault",
                "units",
            ]);
            for d in &fleet.devices {
                let units: Vec<String> = d
                    .kind
                    .factors()
                    .iter()
                    .map(|(code, _, unit)| format!("{code}={unit}"))
                    .collect();
                rows.push(vec![
                    d.mn.clone(),
                    d.edition.to_string(),
                    d.crc.to_owned(),
                    d.encrypted.to_string(),
                    d.kind.as_str().to_owned(),
                    d.kind.system().to_owned(),
                    d.clock_ahead_s.to_string(),
                    d.fault.map_or("", |f| f.as_str()).to_owned(),
                    units.join(" "),
                ]);
            }
            rows
        })
    }
}
