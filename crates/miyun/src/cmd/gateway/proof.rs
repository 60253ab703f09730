//! Roots of days, proofs of frames, and reading the log again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_gateway::journal::Journal;
use miyun_gateway::log::{DayRoot, Kind, Position, Proof, prove, segments, verify, whole};
use miyun_gateway::registry::number_of;
use miyun_gateway::relay::write_cursor;
use miyun_gateway::server::paths;

use super::{lake, when};
use crate::out::{Format, Rows, line, print};

/// Roots of the days.
///
/// Example: miyun gateway roots --format csv
#[derive(Args)]
pub struct Roots {
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Roots {
    pub fn run(self, dir: &Path) -> Result<()> {
        let all: Vec<DayRoot> = Journal::open(&paths::roots(dir))?.news()?;
        print(self.format, &all, || {
            let mut rows = Rows::new(&["day", "first batch#", "batches#", "root"]);
            for d in &all {
                let hex: String = d.root.iter().map(|b| format!("{b:02x}")).collect();
                rows.push(vec![
                    d.day.to_string(),
                    d.first_batch.to_string(),
                    d.batches.to_string(),
                    hex,
                ]);
            }
            rows
        })
    }
}

/// Prove that a frame was received.
///
/// Example: miyun gateway prove --mn 010000A8900016F000169DC0 --qn 20260301080000000 > proof.json
#[derive(Args)]
pub struct Prove {
    /// The device.
    #[arg(long)]
    mn: String,
    /// Request number of the frame.
    #[arg(long)]
    qn: String,
}

impl Prove {
    pub fn run(self, dir: &Path) -> Result<()> {
        let log = paths::log(dir);
        // Everything that is whole: the gateway may be running.
        let end = whole(&log)?;
        let needle = format!("QN={}", self.qn).into_bytes();
        let device = number_of(&self.mn);
        let closed: Vec<DayRoot> = Journal::open(&paths::roots(dir))?.news()?;
        let mut proof: Proof = prove(&log, Position::default(), end, None, |r| {
            r.device == device
                && r.kind != Kind::Document
                && r.frame.windows(needle.len()).any(|f| f == needle)
        })?
        .with_context(|| format!("no frame of {} with QN={} is in the log", self.mn, self.qn))?;
        proof.day_closed = closed.iter().any(|d| d.day == proof.day.day);
        line(&(serde_json::to_string_pretty(&proof)? + "\n"))
    }
}

/// Check a proof against a published root.
///
/// Example: miyun gateway verify proof.json --root 5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
#[derive(Args)]
pub struct Verify {
    /// The proof.
    proof: PathBuf,
    /// Root of the day as published, 64 hexadecimal digits.
    #[arg(long)]
    root: String,
}

impl Verify {
    pub fn run(self) -> Result<()> {
        let text = std::fs::read(&self.proof).with_context(|| self.proof.display().to_string())?;
        let proof: Proof =
            serde_json::from_slice(&text).with_context(|| self.proof.display().to_string())?;
        let mut root = [0; 32];
        let bad = "--root: write 64 hexadecimal digits";
        if self.root.len() != 64 {
            bail!(bad);
        }
        for (k, b) in root.iter_mut().enumerate() {
            *b = self
                .root
                .get(2 * k..2 * k + 2)
                .and_then(|h| u8::from_str_radix(h, 16).ok())
                .context(bad)?;
        }
        verify(&proof, &root)?;
        line(&format!(
            "the frame was received at {} and stands under the root of {}\n",
            when(proof.received_ms),
            proof.day.day
        ))
    }
}

/// Read the log into the lake again, for instance after a device was confirmed.
///
/// Example: miyun gateway replay
#[derive(Args)]
pub struct Replay {
    /// First segment to read; all if absent.
    #[arg(long, default_value = "0")]
    segment: u64,
}

impl Replay {
    pub fn run(self, dir: &Path) -> Result<()> {
        // The next run of the compactor begins there; the lake stores nothing twice.
        write_cursor(
            dir,
            lake::CURSOR,
            Position {
                segment: self.segment,
                offset: 0,
            },
        )?;
        let n = segments(&paths::log(dir))?
            .iter()
            .filter(|(s, _)| *s >= self.segment)
            .count();
        line(&format!(
            "{n} segments will be read into the lake again by the running gateway\n"
        ))
    }
}
