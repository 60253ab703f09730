//! Commands to devices and what became of them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_gateway::command::{self, Ask};

use super::{now_ms, registry, when};
use crate::out::{Format, Rows, line, print};

/// Ask a device something; the running gateway sends it.
///
/// Example: miyun gateway ask 010000A8900016F000169DC0 hours --from 20260301000000 --to 20260301050000 --by li --why "gap of 1 March"
#[derive(Args)]
pub struct AskCommand {
    /// The device.
    mn: String,
    #[command(subcommand)]
    what: AskWhat,
    /// Who asks.
    #[arg(long, global = true)]
    by: Option<String>,
    /// Why.
    #[arg(long, global = true, default_value = "")]
    why: String,
}

#[derive(Subcommand)]
enum AskWhat {
    /// Set its clock to the gateway's time (1012).
    SetClock,
    /// Read its clock (1011).
    ReadClock,
    /// Fetch minute data (2051).
    Minutes(Times),
    /// Fetch hour data (2061).
    Hours(Times),
    /// Zero and span calibration (3011).
    Calibrate {
        /// Factor of the instrument.
        factor: String,
    },
    /// Take a sample at once (3012).
    Sample {
        /// Factor of the instrument.
        factor: String,
    },
}

#[derive(Args)]
struct Times {
    /// First interval, local time, 14 digits.
    #[arg(long)]
    from: String,
    /// Last interval.
    #[arg(long)]
    to: String,
}

impl AskCommand {
    pub fn run(self, dir: &Path) -> Result<()> {
        let by = self.by.context("--by NAME: say who asks")?;
        if registry(dir)?.find(&self.mn).is_none() {
            bail!(
                "no device with MN {:?} was ever seen or registered",
                self.mn
            );
        }
        let ask = match self.what {
            AskWhat::SetClock => Ask::SetClock,
            AskWhat::ReadClock => Ask::ReadClock,
            AskWhat::Minutes(t) => Ask::Minutes {
                from: t.from,
                to: t.to,
            },
            AskWhat::Hours(t) => Ask::Hours {
                from: t.from,
                to: t.to,
            },
            AskWhat::Calibrate { factor } => Ask::Calibrate { factor },
            AskWhat::Sample { factor } => Ask::Sample { factor },
        };
        let id = command::ask(dir, now_ms(), &by, &self.why, &self.mn, ask)?;
        line(&format!("{id}\n"))
    }
}

/// What was asked, by whom, and what became of it.
///
/// Example: miyun gateway commands --format json
#[derive(Args)]
pub struct Commands {
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Commands {
    pub fn run(self, dir: &Path) -> Result<()> {
        let all = command::history(dir)?;
        print(self.format, &all, || {
            let mut rows = Rows::new(&["when", "request", "what"]);
            for l in &all {
                rows.push(vec![
                    when(l.at_ms),
                    l.id.clone(),
                    serde_json::to_string(&l.what).unwrap_or_default(),
                ]);
            }
            rows
        })
    }
}
