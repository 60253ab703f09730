use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_journal::proof::{HeadText, Proof, SignedHead};
use miyun_journal::{DirStorage, verify};
use miyun_ledger::CommandId;

use crate::out::{Format, Rows, line, print};

/// Example: miyun ledger verify linxi-registry --replay
#[derive(Subcommand)]
pub enum Ledger {
    /// Verify the whole log: bytes, hashes, roots, chain, signatures, the eight invariants.
    ///
    /// Example: miyun ledger verify linxi-registry --replay --head head.json --key 4f0c...
    Verify(Verify),
    /// Make the inclusion proof of a record, or check one offline.
    ///
    /// Examples: miyun ledger proof linxi-registry --record 120 > proof.json;
    /// miyun ledger proof --check proof.json --key 4f0c...
    Proof(ProofArgs),
    /// Every movement and definition of the log, flat.
    ///
    /// Example: miyun ledger export linxi-registry --format csv > ledger.csv
    Export(Export),
    /// Write the SQL read model of the log as a script for sqlite3 or psql.
    ///
    /// Example: miyun ledger rebuild linxi-registry | sqlite3 ledger.db
    Rebuild(Rebuild),
}

#[derive(Args)]
pub struct Verify {
    /// Folder of the registry (or of a bare journal).
    dir: PathBuf,
    /// Run the state machine again and compare every answer and digest.
    #[arg(long)]
    replay: bool,
    /// Skip the signatures.
    #[arg(long)]
    no_signatures: bool,
    /// A signed head known from elsewhere, as JSON: the log must contain it.
    #[arg(long, requires = "key")]
    head: Option<PathBuf>,
    /// The operator's public key, hexadecimal.
    #[arg(long)]
    key: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct ProofArgs {
    /// Folder of the registry.
    dir: Option<PathBuf>,
    /// The record.
    #[arg(long)]
    record: Option<u64>,
    /// Or the request id.
    #[arg(long)]
    request: Option<String>,
    /// Check this proof instead of making one.
    #[arg(long, requires = "key")]
    check: Option<PathBuf>,
    /// The operator's public key, hexadecimal.
    #[arg(long)]
    key: Option<String>,
}

#[derive(Args)]
pub struct Export {
    /// Folder of the registry.
    dir: PathBuf,
    /// How to print; a table is cut at 200 rows.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
}

#[derive(Args)]
pub struct Rebuild {
    /// Folder of the registry.
    dir: PathBuf,
}

/// The journal's folder inside a registry's, or the folder itself.
pub fn journal(dir: &Path) -> PathBuf {
    let inner = dir.join("journal");
    if inner.is_dir() {
        inner
    } else {
        dir.to_owned()
    }
}

fn storage(dir: &Path) -> Result<DirStorage> {
    let dir = journal(dir);
    if !dir.is_dir() {
        bail!("{} is no folder of a journal", dir.display());
    }
    Ok(DirStorage::read_only(&dir))
}

fn key(text: &str) -> Result<[u8; 32]> {
    miyun_registry::request::public_key(text.trim()).context("--key")
}

impl Ledger {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Verify(c) => c.run(),
            Self::Proof(c) => c.run(),
            Self::Export(c) => c.run(),
            Self::Rebuild(c) => c.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<()> {
        let head = match (&self.head, &self.key) {
            (Some(path), Some(k)) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                let value: serde_json::Value = serde_json::from_str(&text)?;
                // The API wraps the head; a bare one is taken as well.
                let value = value.get("head").cloned().unwrap_or(value);
                let head: SignedHead = serde_json::from_value::<HeadText>(value)?.read()?;
                Some((head, key(k)?))
            }
            _ => None,
        };
        let options = verify::VerifyOptions {
            signatures: !self.no_signatures,
            replay: self.replay,
            head,
        };
        let start = std::time::Instant::now();
        let report = verify::verify(&storage(&self.dir)?, &options)?;
        print(self.format, &report, || {
            let mut rows = Rows::new(&["what", "value"]);
            for (k, v) in [
                ("batches", report.batches.to_string()),
                ("records", report.records.to_string()),
                ("root", report.root.clone()),
                ("state digest", report.digest.clone()),
                ("findings", report.findings.len().to_string()),
                (
                    "torn tail",
                    report.torn.clone().unwrap_or_else(|| "none".into()),
                ),
            ] {
                rows.push(vec![k.into(), v]);
            }
            rows
        })?;
        eprintln!("verified in {:.2} s", start.elapsed().as_secs_f64());
        if !report.is_sound() {
            for f in report.findings.iter().take(20) {
                eprintln!("miyun: {}", serde_json::to_string(f)?);
            }
            bail!("{} findings", report.findings.len());
        }
        Ok(())
    }
}

impl ProofArgs {
    fn run(self) -> Result<()> {
        if let (Some(path), Some(k)) = (&self.check, &self.key) {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let proof = Proof::from_json(&text)?;
            let proved = proof.check(&key(k)?)?;
            let mut said = format!(
                "holds: record {} of batch {}, {}\n",
                proved.number,
                proved.header.batch,
                miyun_registry::time::text(proved.header.time)
            );
            if let Some((filing, moves)) =
                miyun_registry::fold::Filing::of(proved.number, &proved.record.command)?
            {
                said += &format!(
                    "signed by {}\nunder {}\n{} movements\n{}\n",
                    filing.envelope.by,
                    filing.out.rule,
                    moves.len(),
                    filing.envelope.request
                );
            }
            return line(&said);
        }
        let dir = self
            .dir
            .context("name the folder of the registry, or --check a proof")?;
        let record = match (self.record, &self.request) {
            (Some(r), _) => r,
            (None, Some(id)) => {
                let id: CommandId = id.parse().context("--request")?;
                miyun_journal::proof::find_command(&storage(&dir)?, id)?
            }
            _ => bail!("give --record or --request"),
        };
        let (registry, _) = super::registry::open(&dir)?;
        line(&(serde_json::to_string_pretty(&registry.proof(record)?.to_json())? + "\n"))
    }
}

impl Export {
    fn run(self) -> Result<()> {
        let storage = storage(&self.dir)?;
        let sink = |e: &dyn std::fmt::Display| miyun_journal::JournalError::Sink(e.to_string());
        match self.format {
            Format::Csv => {
                let mut w = csv::Writer::from_writer(BufWriter::new(std::io::stdout().lock()));
                miyun_journal::export::export(&storage, |row| {
                    w.serialize(row).map_err(|e| sink(&e))
                })?;
                w.flush()?;
            }
            Format::Json => {
                let mut w = BufWriter::new(std::io::stdout().lock());
                miyun_journal::export::export(&storage, |row| {
                    let text = serde_json::to_string(row).map_err(|e| sink(&e))?;
                    writeln!(w, "{text}").map_err(|e| sink(&e))
                })?;
                w.flush()?;
            }
            Format::Table => {
                let mut rows = Rows::new(&[
                    "record#", "op", "outcome", "kind", "debit#", "credit#", "amount#", "serials",
                ]);
                let mut n = 0;
                miyun_journal::export::export(&storage, |r| {
                    n += 1;
                    if n <= 200 {
                        rows.push(vec![
                            r.record.to_string(),
                            r.op.into(),
                            r.outcome.into(),
                            r.kind.unwrap_or("").into(),
                            crate::out::opt(r.debit),
                            crate::out::opt(r.credit),
                            crate::out::opt(r.amount),
                            r.serials.clone(),
                        ]);
                    }
                    Ok(())
                })?;
                line(&(rows.table() + "\n"))?;
                eprintln!("{n} rows");
            }
        }
        Ok(())
    }
}

impl Rebuild {
    fn run(self) -> Result<()> {
        let mut script =
            miyun_journal::rebuild::SqlScript(BufWriter::new(std::io::stdout().lock()));
        let done = miyun_journal::rebuild::rebuild(&storage(&self.dir)?, &mut script)?;
        script.0.flush()?;
        eprintln!(
            "{} batches, {} records, {} movements",
            done.batches, done.records, done.moves
        );
        Ok(())
    }
}
