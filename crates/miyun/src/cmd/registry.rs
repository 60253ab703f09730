mod demo;
mod export;
mod serve;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use miyun_core::{JurisdictionId, Text};
use miyun_ledger::Time;
use miyun_registry::policy::Holidays;
use miyun_registry::request::{Envelope, Request};
use miyun_registry::service::{Registry as Service, Setup};
use miyun_registry::{book, certificate, time};
use miyun_rulebook::Rulebook;
use sha2::{Digest as _, Sha256};

use crate::out::{Format, Rows, line, opt, print};

/// Example: miyun registry demo linxi-registry --seed 1 && miyun registry serve linxi-registry
#[derive(Subcommand)]
pub enum Registry {
    /// Found a registry in an empty folder: key, journal, first record.
    ///
    /// Example: miyun registry init linxi --market CN/sim --authority bureau --name-zh 局 --name-en Bureau --simulated
    Init(Init),
    /// Draw a key for a representative.
    ///
    /// Example: miyun registry key --out zhang.key
    Key(Key),
    /// Sign a request; prints the envelope as JSON.
    ///
    /// Example: miyun registry sign linxi --by bureau:operator --key linxi/operator.key --ask '{"do":"retire",...}'
    Sign(Sign),
    /// Submit envelopes, one JSON document a line, from a file or `-`.
    ///
    /// Example: miyun registry sign ... | miyun registry submit linxi -
    Submit(Submit),
    /// Post the transfers whose delay has passed.
    ///
    /// Example: miyun registry tick linxi
    Tick(Dir),
    /// Show parties, accounts, balances, projects, transfers, retirements or a compliance year.
    ///
    /// Example: miyun registry show linxi balances
    Show(Show),
    /// Write the certificate of a retirement as PDF.
    ///
    /// Example: miyun registry certificate linxi 9f... --out certificate.pdf
    Certificate(Certificate),
    /// Export movements, compliance or the CAD Trust tables.
    ///
    /// Example: miyun registry export linxi movements --format parquet --out movements.parquet
    Export(export::Export),
    /// Rebuild the SQL read model from the journal.
    ///
    /// Example: miyun registry rebuild linxi --read-model postgres://localhost/registry
    Rebuild(serve::Rebuild),
    /// Make a simulated market of one seed: enterprises, credits, a compliance year.
    ///
    /// Example: miyun registry demo linxi --seed 1 --enterprises 300
    Demo(demo::Demo),
    /// Serve the pages and the API.
    ///
    /// Example: miyun registry serve linxi --listen 127.0.0.1:8040 --mirror eutl.csv
    Serve(serve::Serve),
}

#[derive(Args)]
pub struct Dir {
    /// Folder of the registry.
    dir: PathBuf,
}

#[derive(Args)]
pub struct Init {
    /// Folder of the registry; made if absent.
    dir: PathBuf,
    /// Jurisdiction whose carbon rules hold.
    #[arg(long)]
    market: String,
    /// Id of the authority.
    #[arg(long)]
    authority: String,
    /// Its name in Chinese.
    #[arg(long)]
    name_zh: String,
    /// Its name in English.
    #[arg(long)]
    name_en: String,
    /// Mark everything as simulated.
    #[arg(long)]
    simulated: bool,
}

#[derive(Args)]
pub struct Key {
    /// Where the secret goes; nobody else may read the file.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub struct Sign {
    /// Folder of the registry, for the ledger's id.
    dir: PathBuf,
    /// PARTY:REPRESENTATIVE.
    #[arg(long)]
    by: String,
    /// File of the secret key.
    #[arg(long)]
    key: PathBuf,
    /// What is asked, as JSON.
    #[arg(long)]
    ask: String,
    /// For how many hours the request is good.
    #[arg(long, default_value_t = 24)]
    hours: i64,
}

#[derive(Args)]
pub struct Submit {
    /// Folder of the registry.
    dir: PathBuf,
    /// File of envelopes, or `-`.
    file: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    Parties,
    Accounts,
    Balances,
    Projects,
    Transfers,
    Retirements,
    Compliance,
}

#[derive(Args)]
pub struct Show {
    /// Folder of the registry.
    dir: PathBuf,
    /// What.
    #[arg(value_enum)]
    what: What,
    /// Only this party.
    #[arg(long)]
    party: Option<String>,
    /// Compliance year.
    #[arg(long)]
    year: Option<i16>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Certificate {
    /// Folder of the registry.
    dir: PathBuf,
    /// Request id of the retirement.
    id: String,
    /// Where the PDF goes.
    #[arg(long)]
    out: PathBuf,
    /// Address of the registry, for the QR code.
    #[arg(long, default_value = "http://127.0.0.1:8040")]
    base: String,
}

/// Reads a secret key written in hexadecimal.
fn read_key(path: &Path) -> Result<SigningKey> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let bytes: [u8; 32] = hex::decode(text.trim())
        .ok()
        .and_then(|b| b.try_into().ok())
        .with_context(|| format!("{}: not 64 hexadecimal digits", path.display()))?;
    Ok(SigningKey::from_bytes(&bytes))
}

/// Writes a secret that only its owner may read; an existing file is kept.
fn write_key(path: &Path, key: &SigningKey) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(hex::encode(key.to_bytes()).as_bytes())?;
    Ok(())
}

/// Random bytes of the system.
fn draw<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .context("the system's random numbers")?;
    Ok(bytes)
}

/// Milliseconds since 1970.
fn now() -> Time {
    let t = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Time(i64::try_from(t.as_millis()).unwrap_or(i64::MAX))
}

/// Official closed and open days beside the journal: `holidays.csv` with `date,day` rows, where
/// day is `closed` or `open`.
fn holidays(dir: &Path) -> Result<Holidays> {
    let path = dir.join("holidays.csv");
    let mut out = Holidays::default();
    if !path.exists() {
        return Ok(out);
    }
    let mut reader = csv::Reader::from_path(&path)?;
    for (n, row) in reader
        .deserialize::<(miyun_core::Date, String)>()
        .enumerate()
    {
        let place = || format!("{}, row {}", path.display(), n + 2);
        let (date, day) = row.with_context(place)?;
        match day.as_str() {
            "closed" => out.closed.insert(date),
            "open" => out.open.insert(date),
            other => bail!("{}: {other:?} is neither closed nor open", place()),
        };
    }
    Ok(out)
}

fn setup(dir: &Path, operator: SigningKey, clock: miyun_registry::service::Clock) -> Result<Setup> {
    Ok(Setup {
        instruments: Rulebook::embedded().instruments(),
        holidays: holidays(dir)?,
        operator,
        clock,
    })
}

/// The registry in a folder, and what recovery found.
pub fn open(dir: &Path) -> Result<(Service, miyun_journal::Recovery)> {
    let operator = read_key(&dir.join("operator.key"))?;
    let (registry, recovery) = book::open(
        &super::ledger::journal(dir),
        setup(dir, operator, Arc::new(now))?,
    )?;
    if let Some(cut) = &recovery.cut {
        eprintln!("recovery: {recovery}");
        tracing_cut(cut);
    }
    Ok((registry, recovery))
}

fn tracing_cut(cut: &miyun_journal::log::Torn) {
    eprintln!(
        "the torn tail held nothing that was ever acknowledged: {}",
        cut.reason
    );
}

/// A registry in a new folder.
fn found(
    dir: &Path,
    operator: SigningKey,
    clock: miyun_registry::service::Clock,
    (market, authority, name): (&str, &str, Text),
    simulated: bool,
) -> Result<Service> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("operator.key");
    if path.exists() {
        bail!("{} holds a registry already", dir.display());
    }
    let market = JurisdictionId::new(market)?;
    let mut hash = Sha256::new();
    hash.update(b"miyun registry ledger");
    hash.update(operator.verifying_key().to_bytes());
    hash.update(authority.as_bytes());
    let ledger: [u8; 32] = hash.finalize().into();
    let setup = setup(dir, operator.clone(), clock)?;
    let registry = book::create(
        &dir.join("journal"),
        ledger,
        setup,
        &market,
        (authority, name),
        simulated,
    )?;
    write_key(&path, &operator)?;
    Ok(registry)
}

pub use serve::desk;

/// Makes the simulated registry of the demonstration city in a new folder.
pub fn demo(dir: &Path, seed: u64) -> Result<()> {
    demo::Demo::of(dir, seed).run()
}

impl Registry {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Init(c) => c.run(),
            Self::Key(c) => c.run(),
            Self::Sign(c) => c.run(),
            Self::Submit(c) => c.run(),
            Self::Tick(c) => {
                let n = open(&c.dir)?.0.tick()?;
                line(&format!("{n} transfers posted\n"))
            }
            Self::Show(c) => c.run(),
            Self::Certificate(c) => c.run(),
            Self::Export(c) => c.run(),
            Self::Rebuild(c) => c.run(),
            Self::Demo(c) => c.run(),
            Self::Serve(c) => c.run(),
        }
    }
}

impl Init {
    fn run(self) -> Result<()> {
        let operator = SigningKey::from_bytes(&draw()?);
        let r = found(
            &self.dir,
            operator,
            Arc::new(now),
            (
                &self.market,
                &self.authority,
                Text::new(self.name_zh, self.name_en),
            ),
            self.simulated,
        )?;
        line(&format!(
            "ledger {}\noperator's key {}\nsign as {}:operator with {}\n",
            hex::encode(r.ledger()),
            hex::encode(r.operator_key()),
            self.authority,
            self.dir.join("operator.key").display()
        ))
    }
}

impl Key {
    fn run(self) -> Result<()> {
        let key = SigningKey::from_bytes(&draw()?);
        write_key(&self.out, &key)?;
        line(&format!(
            "{}\n",
            hex::encode(key.verifying_key().to_bytes())
        ))
    }
}

impl Sign {
    fn run(self) -> Result<()> {
        let storage = miyun_journal::DirStorage::read_only(&super::ledger::journal(&self.dir));
        let (genesis, _) = miyun_journal::read_genesis(&storage)?;
        let now = now();
        let request = Request {
            id: hex::encode(draw::<16>()?),
            from: time::text(Time(now.0 - 60_000)),
            until: time::text(Time(now.0 + self.hours.saturating_mul(3_600_000))),
            ask: serde_json::from_str(&self.ask).context("--ask")?,
        };
        let envelope = Envelope::sign(&genesis.ledger, &self.by, &request, &read_key(&self.key)?)?;
        line(&(serde_json::to_string(&envelope)? + "\n"))
    }
}

impl Submit {
    fn run(self) -> Result<()> {
        let text = if self.file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())?
        } else {
            std::fs::read_to_string(&self.file).with_context(|| self.file.display().to_string())?
        };
        let (registry, _) = open(&self.dir)?;
        let mut answers = Vec::new();
        let mut refused = 0;
        for (n, text) in text
            .lines()
            .enumerate()
            .filter(|(_, l)| !l.trim().is_empty())
        {
            match registry.submit(text.as_bytes()) {
                Ok(a) => answers.push(a),
                Err(e) => {
                    refused += 1;
                    eprintln!("miyun: line {}: {} [{}]", n + 1, e, e.code());
                }
            }
        }
        print(self.format, &answers, || {
            let mut rows = Rows::new(&[
                "request",
                "record#",
                "replayed",
                "rule",
                "transfer",
                "effective",
            ]);
            for a in &answers {
                rows.push(vec![
                    a.id.clone(),
                    a.record.to_string(),
                    a.replayed.to_string(),
                    a.rule.clone(),
                    opt(a.transfer.map(|t| t.word())),
                    opt(a.effective.clone()),
                ]);
            }
            rows
        })?;
        if refused > 0 {
            bail!("{refused} refused; they changed nothing");
        }
        Ok(())
    }
}

impl Certificate {
    fn run(self) -> Result<()> {
        let (registry, _) = open(&self.dir)?;
        let record = registry.model().retirement(&self.id)?.record;
        let proof = registry.proof(record)?;
        let model = registry.model();
        let pdf = certificate::pdf(&model, model.retirement(&self.id)?, &proof, &self.base)?;
        std::fs::write(&self.out, &pdf).with_context(|| self.out.display().to_string())?;
        eprintln!("{} ({} bytes)", self.out.display(), pdf.len());
        Ok(())
    }
}

impl Show {
    fn run(self) -> Result<()> {
        let (registry, _) = open(&self.dir)?;
        let one = |party: &str| self.party.as_deref().is_none_or(|p| p == party);
        match self.what {
            What::Parties => {
                let m = registry.model();
                let list: Vec<_> = m.parties().filter(|p| one(&p.id)).collect();
                print(self.format, &list, || {
                    let mut rows = Rows::new(&["id", "name", "role", "group", "frozen"]);
                    for p in &list {
                        rows.push(vec![
                            p.id.clone(),
                            p.name.zh.clone(),
                            p.role.word().into(),
                            p.group.clone(),
                            p.frozen.to_string(),
                        ]);
                    }
                    rows
                })
            }
            What::Accounts => {
                let ids: Vec<String> = registry
                    .model()
                    .parties()
                    .filter(|p| one(&p.id))
                    .map(|p| p.id.clone())
                    .collect();
                let mut list = Vec::new();
                for id in ids {
                    list.extend(registry.accounts(&id)?);
                }
                print(self.format, &list, || {
                    let mut rows = Rows::new(&[
                        "account#", "party", "asset", "kind", "year#", "balance#", "free#",
                    ]);
                    for a in &list {
                        rows.push(vec![
                            a.account.to_string(),
                            a.key.party.clone(),
                            a.key.asset.clone(),
                            a.key.kind.name().into(),
                            a.key.year.to_string(),
                            a.balance.to_string(),
                            a.available.to_string(),
                        ]);
                    }
                    rows
                })
            }
            What::Balances => {
                let names: Vec<String> =
                    registry.model().assets().map(|a| a.name.clone()).collect();
                let list = names
                    .iter()
                    .map(|n| registry.balance(n))
                    .collect::<Result<Vec<_>, _>>()?;
                print(self.format, &list, || {
                    let mut rows = Rows::new(&["asset", "issued#", "where", "adds up", "serials"]);
                    for b in &list {
                        let parts: Vec<String> =
                            b.parts.iter().map(|(k, t)| format!("{k} {t}")).collect();
                        rows.push(vec![
                            b.asset.clone(),
                            b.issued.to_string(),
                            parts.join(" + "),
                            b.balanced.to_string(),
                            opt(b.serials),
                        ]);
                    }
                    rows
                })?;
                if list.iter().any(|b| !b.balanced || b.serials == Some(false)) {
                    bail!("a balance does not add up");
                }
                Ok(())
            }
            What::Projects => {
                let m = registry.model();
                let list: Vec<_> = m.projects().filter(|p| one(&p.owner)).collect();
                print(self.format, &list, || {
                    let mut rows = Rows::new(&[
                        "project",
                        "name",
                        "owner",
                        "methodology",
                        "periods#",
                        "issued#",
                    ]);
                    for p in &list {
                        let issued: u64 = p.life.monitoring.iter().map(|m| m.issued).sum();
                        rows.push(vec![
                            p.life.id.clone(),
                            p.name.zh.clone(),
                            p.owner.clone(),
                            p.life.methodology.clone(),
                            p.life.monitoring.len().to_string(),
                            issued.to_string(),
                        ]);
                    }
                    rows
                })
            }
            What::Transfers => {
                let now = registry.now();
                let m = registry.model();
                let list: Vec<_> = m
                    .transfers()
                    .filter(|t| one(&t.from) || one(&t.to))
                    .collect();
                print(self.format, &list, || {
                    let mut rows = Rows::new(&[
                        "request",
                        "from",
                        "to",
                        "asset",
                        "t#",
                        "state",
                        "effective",
                        "rule",
                    ]);
                    for t in &list {
                        rows.push(vec![
                            t.id.clone(),
                            t.from.clone(),
                            t.to.clone(),
                            t.asset.clone(),
                            t.amount.to_string(),
                            t.state_at(now).word().into(),
                            opt(t.effective.map(time::text)),
                            t.rule.clone(),
                        ]);
                    }
                    rows
                })
            }
            What::Retirements => {
                let m = registry.model();
                let list: Vec<_> = m.retirements().filter(|r| one(&r.party)).collect();
                print(self.format, &list, || {
                    let mut rows = Rows::new(&[
                        "certificate",
                        "record#",
                        "at",
                        "party",
                        "asset",
                        "t#",
                        "beneficiary",
                    ]);
                    for r in &list {
                        rows.push(vec![
                            r.id.clone(),
                            r.record.to_string(),
                            time::text(r.at),
                            r.party.clone(),
                            r.asset.clone(),
                            r.amount.to_string(),
                            r.retirement.beneficiary.clone(),
                        ]);
                    }
                    rows
                })
            }
            What::Compliance => {
                let year = self.year.context("--year says which compliance year")?;
                let mut list = registry.compliance(year, registry.now())?;
                list.retain(|r| one(&r.party));
                print(self.format, &list, || {
                    let mut rows = Rows::new(&[
                        "unit",
                        "allocated#",
                        "verified#",
                        "offsets#",
                        "surrendered#",
                        "missing#",
                        "at deadline",
                        "now",
                    ]);
                    for r in &list {
                        rows.push(vec![
                            r.party.clone(),
                            r.allocated.to_string(),
                            opt(r.verified),
                            r.offsets.to_string(),
                            r.state.surrendered_now.to_string(),
                            r.state.missing.to_string(),
                            opt(r.state.at_deadline.map(|c| c.letter())),
                            r.state.now.letter().into(),
                        ]);
                    }
                    rows
                })
            }
        }
    }
}
