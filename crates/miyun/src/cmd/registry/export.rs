//! Exports: CSV, JSON, Parquet, CAD Trust.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_lake::{Cells, Column};
use miyun_registry::export::{self, Movement};

use crate::out::line;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Every movement.
    Movements,
    /// Projects, issuances and units in the CAD Trust data model (JSON).
    CadTrust,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    Csv,
    Json,
    Parquet,
}

#[derive(Args)]
pub struct Export {
    /// Folder of the registry.
    dir: PathBuf,
    /// What.
    #[arg(value_enum)]
    what: What,
    /// In which form.
    #[arg(long, value_enum, default_value = "json")]
    format: As,
    /// Where to; standard output if absent.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn parquet(rows: &[Movement]) -> Result<Vec<u8>> {
    let int = |f: &dyn Fn(&Movement) -> u64| -> Cells {
        Cells::Integer(rows.iter().map(|r| i64::try_from(f(r)).ok()).collect())
    };
    let text = |f: &dyn Fn(&Movement) -> &str| -> Cells {
        Cells::Text(rows.iter().map(|r| Some(f(r).to_owned())).collect())
    };
    // Amounts above 63 bits would be lost in a signed column: they are kept as text too.
    let amount: Vec<Option<String>> = rows.iter().map(|r| Some(r.amount.to_string())).collect();
    let columns = [
        ("record", int(&|r| r.record)),
        ("step", int(&|r| u64::from(r.step))),
        ("at", text(&|r| &r.at)),
        ("request", text(&|r| &r.request)),
        ("what", text(&|r| &r.what)),
        ("asset", text(&|r| &r.asset)),
        ("debit", int(&|r| r.debit)),
        ("credit", int(&|r| r.credit)),
        ("from", text(&|r| &r.from)),
        ("from_kind", text(&|r| &r.from_kind)),
        ("to", text(&|r| &r.to)),
        ("to_kind", text(&|r| &r.to_kind)),
        ("tonnes", int(&|r| r.amount)),
        ("amount", Cells::Text(amount)),
        ("serials", text(&|r| &r.serials)),
        ("rule", text(&|r| &r.rule)),
        (
            "posted",
            Cells::Truth(rows.iter().map(|r| Some(r.posted)).collect()),
        ),
        (
            "simulated",
            Cells::Truth(rows.iter().map(|r| Some(r.simulated)).collect()),
        ),
    ]
    .map(|(name, cells)| Column {
        name: name.to_owned(),
        cells,
    });
    Ok(miyun_lake::parquet(&columns)?)
}

impl Export {
    pub fn run(self) -> Result<()> {
        let (registry, _) = super::open(&self.dir)?;
        let bytes = match (self.what, self.format) {
            (What::CadTrust, As::Json) => {
                serde_json::to_string_pretty(&export::cad_trust(&registry)?)?.into_bytes()
            }
            (What::CadTrust, _) => {
                bail!("the CAD Trust tables are one JSON document: --format json")
            }
            (What::Movements, form) => {
                let rows = export::movements(&registry.model());
                match form {
                    As::Csv => export::csv(&rows)?.into_bytes(),
                    As::Json => serde_json::to_string_pretty(&rows)?.into_bytes(),
                    As::Parquet => parquet(&rows)?,
                }
            }
        };
        match &self.out {
            Some(path) => {
                std::fs::write(path, &bytes).with_context(|| path.display().to_string())?;
                eprintln!("{} ({} bytes)", path.display(), bytes.len());
                Ok(())
            }
            None if self.format == As::Parquet => bail!("Parquet goes to a file: --out FILE"),
            None => line(&(String::from_utf8(bytes)? + "\n")),
        }
    }
}
