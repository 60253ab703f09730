use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_lake::Lake;
use miyun_store::{RecordsReport, Store};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::out::{Format, Rows, print};

/// Copy lake and records while the platform runs.
///
/// Into a new folder. What was acknowledged
/// before the command is in it; every file has its digest in manifest.json.
///
/// Example: miyun backup /srv/backup/2026-11-25
#[derive(Args)]
pub struct Backup {
    /// Folder to make; it must not exist.
    to: PathBuf,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Fill an empty lake and empty records from a backup.
///
/// The records may be another database than the one that the
/// backup was made of.
///
/// Example: miyun --config /etc/miyun/miyun.toml restore /srv/backup/2026-11-25
#[derive(Args)]
pub struct Restore {
    /// Folder of the backup.
    from: PathBuf,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    made_at: String,
    program: String,
    schema: i64,
    rows: Vec<(String, u64)>,
    files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    bytes: u64,
    blake3: String,
}

const MANIFEST: &str = "manifest.json";

fn digest(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; 1 << 20], 0u64);
    loop {
        let n = file
            .read(&mut buffer)
            .with_context(|| path.display().to_string())?;
        if n == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// Copies a file so that it is whole on the disk.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    File::open(to)
        .and_then(|f| f.sync_all())
        .with_context(|| to.display().to_string())
}

/// Files of a folder with an ending, sorted.
fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut out: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| dir.display().to_string())?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == ending))
        .collect();
    out.sort();
    Ok(out)
}

fn report(format: Format, what: &str, m: &Manifest) -> Result<()> {
    print(format, m, || {
        let mut rows = Rows::new(&["what", "number#"]);
        rows.push(vec!["files".into(), m.files.len().to_string()]);
        let bytes: u64 = m.files.iter().map(|f| f.bytes).sum();
        rows.push(vec!["bytes".into(), bytes.to_string()]);
        for (table, n) in &m.rows {
            rows.push(vec![format!("rows of {table}"), n.to_string()]);
        }
        rows
    })?;
    eprintln!("{what}");
    Ok(())
}

impl Backup {
    pub fn run(self, config: &Config) -> Result<()> {
        if self.to.exists() {
            bail!("{} exists: name a new folder", self.to.display());
        }
        // It gets its name when it is whole.
        let part = self.to.with_extension("part");
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
        }
        fs::create_dir_all(part.join("records")).with_context(|| part.display().to_string())?;
        // Records first: a record may speak of observations, never the other way round.
        let records = tokio::runtime::Runtime::new()?.block_on(async {
            let store = Store::open(&config.records_url()).await?;
            let done = store.backup(&part.join("records")).await;
            store.close().await;
            done
        })?;
        // The lake as of its last commit: parts and commits never change once they are there.
        let lake = Lake::open(&config.lake)?;
        let (from, to) = (lake.root(), part.join("lake"));
        for dir in ["commits", "observations", "assessments"] {
            fs::create_dir_all(to.join(dir)).with_context(|| to.display().to_string())?;
        }
        for p in lake.commits().iter().flat_map(|c| &c.parts) {
            copy(&from.join(&p.path), &to.join(&p.path))?;
        }
        for path in files(&from.join("assessments"), "parquet")? {
            copy(
                &path,
                &to.join("assessments")
                    .join(path.file_name().unwrap_or_default()),
            )?;
        }
        for path in lake.commit_files() {
            copy(
                &path,
                &to.join("commits")
                    .join(path.file_name().unwrap_or_default()),
            )?;
        }
        let manifest = Manifest {
            made_at: super::now(),
            program: env!("CARGO_PKG_VERSION").into(),
            schema: records.schema,
            rows: records.rows,
            files: list(&part)?,
        };
        let mut file = File::create(part.join(MANIFEST))?;
        file.write_all(serde_json::to_string_pretty(&manifest)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &self.to).with_context(|| self.to.display().to_string())?;
        report(
            self.format,
            &format!("backup: {}", self.to.display()),
            &manifest,
        )
    }
}

/// Every file below `root` with its digest, by path.
fn list(root: &Path) -> Result<Vec<Entry>> {
    let (mut stack, mut out) = (vec![root.to_owned()], Vec::new());
    while let Some(dir) = stack.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                stack.push(path);
            } else {
                let (bytes, blake3) = digest(&path)?;
                let path = path
                    .strip_prefix(root)?
                    .to_string_lossy()
                    .replace('\\', "/");
                out.push(Entry {
                    path,
                    bytes,
                    blake3,
                });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

impl Restore {
    pub fn run(self, config: &Config) -> Result<()> {
        let path = self.from.join(MANIFEST);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} is no whole backup", path.display()))?;
        let manifest: Manifest =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        for f in &manifest.files {
            let plain = Path::new(&f.path)
                .components()
                .all(|c| matches!(c, std::path::Component::Normal(_)));
            if !plain {
                bail!(
                    "{}: {:?} leaves the backup's folder",
                    path.display(),
                    f.path
                );
            }
            let (bytes, blake3) = digest(&self.from.join(&f.path))?;
            if (bytes, &blake3) != (f.bytes, &f.blake3) {
                bail!(
                    "{} is damaged: it is not what manifest.json says; nothing was restored",
                    f.path
                );
            }
        }
        let lake = Lake::open(&config.lake)?;
        if !lake.commits().is_empty() {
            bail!(
                "{} is not empty: restore into an empty lake (another --lake, or move it away)",
                config.lake.display()
            );
        }
        let records: RecordsReport = tokio::runtime::Runtime::new()?.block_on(async {
            let store = Store::open(&config.records_url()).await?;
            let done = store.restore(&self.from.join("records")).await;
            store.close().await;
            done
        })?;
        // Commits last: until then the lake shows nothing.
        let of_lake = |commits: bool| {
            manifest
                .files
                .iter()
                .filter_map(move |f| f.path.strip_prefix("lake/").map(|p| (f, p)))
                .filter(move |(_, p)| p.starts_with("commits/") == commits)
        };
        for (f, p) in of_lake(false).chain(of_lake(true)) {
            copy(&self.from.join(&f.path), &config.lake.join(p))?;
        }
        if records.rows != manifest.rows {
            bail!("the records hold other numbers of rows than the manifest says");
        }
        report(
            self.format,
            &format!("restored from {}", self.from.display()),
            &manifest,
        )
    }
}
