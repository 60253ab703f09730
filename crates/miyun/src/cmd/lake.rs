use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use miyun_lake::{Lake, Merging};

use crate::out::{Format, Rows, print};

#[derive(Subcommand)]
pub enum LakeCommand {
    Compact(Compact),
}

/// Merge many small commits, as a gateway makes them, into few large ones.
///
/// No value changes and none is left out: every row keeps its file and the moment at which it was
/// recorded, so "as known on" answers what it answered before. What is replaced is removed by the
/// first import an hour later. Safe to interrupt and to run beside readers.
///
/// Example: miyun lake compact
#[derive(Args)]
pub struct Compact {
    /// The newest commits are merged once there are so many.
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u32).range(2..))]
    commits: u32,
    /// Rows of a merged commit at most; each takes about 40 bytes of memory meanwhile.
    #[arg(long, default_value = "4000000", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl LakeCommand {
    pub fn run(self, lake: &Path) -> Result<()> {
        match self {
            Self::Compact(c) => c.run(lake),
        }
    }
}

impl Compact {
    fn run(self, lake: &Path) -> Result<()> {
        let mut lake = Lake::open(lake)?;
        let merging = Merging {
            commits: self.commits as usize,
            rows: self.rows,
        };
        let mut all = Vec::new();
        while let Some(merged) = lake.merge(merging)? {
            all.push(merged);
        }
        print(self.format, &all, || {
            let mut rows = Rows::new(&["first#", "last#", "commits#", "rows#"]);
            for m in &all {
                rows.push(vec![
                    m.first.to_string(),
                    m.last.to_string(),
                    m.commits.to_string(),
                    m.rows.to_string(),
                ]);
            }
            rows
        })
    }
}
