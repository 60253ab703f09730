use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use miyun_core::subject::SubjectKind;
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;
use miyun_store::{AuditQuery, Backend, JobState, Role, Store};
use serde::Serialize;

use crate::config::Config;
use crate::out::{Format, Rows, print};

/// Check installation, disk, clock, rulebook, lake and records.
///
/// Checks the installation, disk, clock, rulebook, lake and records, and says how to mend what is
/// wrong. Exit code 1 if something must be mended.
///
/// Example: miyun --config /etc/miyun/miyun.toml doctor
#[derive(Args)]
pub struct Doctor {
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Worth a look.
    Note,
    /// Must be mended.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    mend: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, what: &'static str, found: impl ToString) {
        self.add(what, State::Good, found, "");
    }
    fn note(&mut self, what: &'static str, found: impl ToString, mend: impl ToString) {
        self.add(what, State::Note, found, mend);
    }
    fn bad(&mut self, what: &'static str, found: impl ToString, mend: impl ToString) {
        self.add(what, State::Bad, found, mend);
    }
    fn add(&mut self, what: &'static str, state: State, found: impl ToString, mend: impl ToString) {
        self.0.push(Finding {
            what,
            state,
            found: found.to_string(),
            mend: mend.to_string(),
        });
    }
}

impl Doctor {
    pub fn run(self, config: Result<Config>) -> Result<()> {
        let mut f = Findings::default();
        match config {
            Ok(config) => {
                installation(&mut f, &config);
                disk(&mut f, &config.lake);
                rulebook(&mut f);
                let newest = lake(&mut f, &config.lake);
                let recorded = tokio::runtime::Runtime::new()?.block_on(records(&mut f, &config));
                clock(
                    &mut f,
                    &config.lake,
                    newest.into_iter().chain(recorded).max(),
                );
            }
            Err(e) => f.bad(
                "configuration",
                format!("{e:#}"),
                "compare the file with miyun.sample.toml",
            ),
        }
        print(self.format, &f.0, || {
            let mut rows = Rows::new(&["what", "state", "found", "to mend it"]);
            for x in &f.0 {
                let state = match x.state {
                    State::Good => "ok",
                    State::Note => "note",
                    State::Bad => "BAD",
                };
                rows.push(vec![
                    x.what.into(),
                    state.into(),
                    x.found.clone(),
                    x.mend.clone(),
                ]);
            }
            rows
        })?;
        let bad = f.0.iter().filter(|x| x.state == State::Bad).count();
        if bad > 0 {
            bail!("{bad} to mend");
        }
        Ok(())
    }
}

fn installation(f: &mut Findings, config: &Config) {
    let version = env!("CARGO_PKG_VERSION");
    match &config.file {
        Some(file) => f.good(
            "installation",
            format!("miyun {version}, {}", file.display()),
        ),
        None => f.note(
            "installation",
            format!("miyun {version}, no configuration file: defaults hold"),
            "copy miyun.sample.toml to miyun.toml for anything but a trial",
        ),
    }
    #[cfg(unix)]
    if let Some(file) = &config.file {
        use std::os::unix::fs::PermissionsExt;
        let open = fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o007 != 0);
        let text = fs::read_to_string(file).unwrap_or_default();
        let secret = text.lines().map(str::trim_start).any(|l| {
            !l.starts_with('#') && (l.starts_with("client_secret") || l.contains("postgres://"))
        });
        if open && secret {
            f.bad(
                "configuration",
                format!("{} holds a secret and everyone may read it", file.display()),
                format!("chmod 0640 {}", file.display()),
            );
        }
    }
    if !config.listen.ip().is_loopback() && !config.web.https {
        f.bad(
            "network",
            format!(
                "listens on {} and web.https is off: passwords travel in the clear",
                config.listen
            ),
            "put a proxy that speaks https in front, listen on 127.0.0.1, set https = true",
        );
    } else {
        f.good("network", format!("listens on {}", config.listen));
    }
}

/// Less free space than this is too little for an import and its commit.
const FREE_BYTES_MIN: u64 = 1 << 30;

fn disk(f: &mut Findings, lake: &Path) {
    if let Err(e) = fs::create_dir_all(lake) {
        f.bad(
            "disk",
            format!("{}: {e}", lake.display()),
            "make the folder and give it to the user that runs miyun",
        );
        return;
    }
    let probe = lake.join(format!(".doctor-{}", std::process::id()));
    let tried = File::create(&probe)
        .and_then(|mut p| p.write_all(b"x").and_then(|()| p.sync_all()))
        .and_then(|()| fs::remove_file(&probe));
    if let Err(e) = tried {
        f.bad(
            "disk",
            format!("{} cannot be written: {e}", lake.display()),
            "give the folder to the user that runs miyun, or free some space",
        );
        return;
    }
    match rustix::fs::statvfs(lake) {
        Ok(s) => {
            let free = s.f_bavail.saturating_mul(s.f_frsize);
            let text = format!("{} writable, {} GiB free", lake.display(), free / (1 << 30));
            if free < FREE_BYTES_MIN {
                f.bad(
                    "disk",
                    text,
                    "free space or move the lake: below 1 GiB imports may fail",
                );
            } else {
                f.good("disk", text);
            }
        }
        Err(e) => f.note(
            "disk",
            format!("free space is unknown: {e}"),
            "look with df",
        ),
    }
}

fn rulebook(f: &mut Findings) {
    let book = Rulebook::embedded();
    let today = super::today();
    let in_force = book
        .instruments()
        .iter()
        .filter(|i| i.in_force.contains(today))
        .count();
    let text = format!(
        "{} instruments, {in_force} in force today",
        book.instruments().len()
    );
    if in_force == 0 {
        f.bad("rulebook", text, "install a current version of miyun");
    } else {
        f.good("rulebook", text);
    }
}

/// A Parquet file begins and ends with PAR1; a torn one does not.
fn whole(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let mut mark = [0u8; 4];
    file.read_exact(&mut mark)?;
    let begins = &mark == b"PAR1";
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut mark)?;
    Ok(begins && &mark == b"PAR1")
}

/// Looks at the lake; returns the newest time that it recorded.
fn lake(f: &mut Findings, root: &Path) -> Option<Timestamp> {
    let lake = match Lake::open(root) {
        Ok(l) => l,
        Err(e) => {
            f.bad("lake", e, "restore the lake from a backup: miyun restore");
            return None;
        }
    };
    let parts: Vec<_> = lake.commits().iter().flat_map(|c| &c.parts).collect();
    let torn: Vec<String> = parts
        .iter()
        .map(|p| root.join(&p.path))
        .filter(|p| !whole(p).unwrap_or(false))
        .map(|p| p.display().to_string())
        .collect();
    if let Some(first) = torn.first() {
        f.bad(
            "lake",
            format!(
                "{} of {} parts are missing or torn, first {first}",
                torn.len(),
                parts.len()
            ),
            "restore the lake from a backup: miyun restore",
        );
    } else if lake.subjects().iter().any(|s| s.kind == SubjectKind::City) {
        f.good(
            "lake",
            format!(
                "{} imports, {} parts, {} rows",
                lake.commits().last().map_or(0, |c| c.sequence),
                parts.len(),
                parts.iter().map(|p| p.rows).sum::<u64>()
            ),
        );
    } else {
        f.note(
            "lake",
            "no city yet",
            "miyun import FILES, or miyun serve --demo",
        );
    }
    let commits = lake.commits();
    let begins = commits.iter().map(miyun_lake::Commit::begins);
    let expected = std::iter::once(1).chain(commits.iter().map(|c| c.sequence + 1));
    if !begins.eq(expected.take(commits.len())) {
        f.bad(
            "lake",
            "a commit is missing or there twice",
            "restore the lake from a backup: miyun restore",
        );
    }
    lake.commits()
        .iter()
        .filter_map(|c| c.recorded_at.parse().ok())
        .max()
}

/// Looks at the records; returns the newest time that they recorded.
async fn records(f: &mut Findings, config: &Config) -> Option<Timestamp> {
    let store = match Store::open(&config.records_url()).await {
        Ok(s) => s,
        Err(e) => {
            f.bad(
                "records",
                e,
                "is the database running, the URL right, the file writable? If it is damaged: miyun restore",
            );
            return None;
        }
    };
    let newest = look(f, &store).await;
    store.close().await;
    match newest {
        Ok(n) => n,
        Err(e) => {
            f.bad("records", e, "if the database is damaged: miyun restore");
            None
        }
    }
}

async fn look(
    f: &mut Findings,
    store: &Store,
) -> Result<Option<Timestamp>, miyun_store::StoreError> {
    let kind = match store.backend() {
        Backend::Sqlite => "SQLite",
        Backend::Postgres => "PostgreSQL",
    };
    let broken = store.integrity().await?;
    if let Some(b) = broken.first() {
        f.bad(
            "records",
            format!("{kind}: {b}"),
            "restore a backup: miyun restore",
        );
    } else {
        f.good(
            "records",
            format!("{kind}, schema {}", store.schema_version().await?),
        );
    }
    match store.audit_check().await? {
        None => f.good("audit log", "every entry fits the one before"),
        Some(b) => f.bad(
            "audit log",
            format!("entry {}: {}", b.seq, b.reason),
            "somebody changed the log outside of miyun: compare it with the last backup",
        ),
    }
    let at = Timestamp::now();
    let (_, people) = store.people(1, 100_000).await?;
    let mut admins = 0;
    for p in people.iter().filter(|p| p.disabled_at.is_none()) {
        let grants = store.grants(&p.id, at, at).await?;
        admins += usize::from(grants.iter().any(|g| g.role == Role::Admin));
    }
    match admins {
        0 => f.note(
            "people",
            format!("{} people, no administrator", people.len()),
            "miyun user add NAME --role admin",
        ),
        1 => f.note(
            "people",
            format!("{} people, one administrator", people.len()),
            "a second one lets two people decide: miyun user add NAME --role admin",
        ),
        n => f.good(
            "people",
            format!("{} people, {n} administrators", people.len()),
        ),
    }
    let (_, jobs) = store.jobs(1, 100).await?;
    match jobs.iter().find(|j| j.state == JobState::Failed) {
        Some(j) => f.note(
            "jobs",
            format!("{} failed: {}", j.id, j.error.as_deref().unwrap_or("")),
            "read its page and begin it again",
        ),
        None => f.good(
            "jobs",
            format!("{} of the last hundred, none failed", jobs.len()),
        ),
    }
    let last = store
        .audit_entries(&AuditQuery {
            limit: 1,
            ..AuditQuery::default()
        })
        .await?;
    Ok(last.first().map(|e| e.at))
}

/// A clock may differ from that of the disk by this much.
const DRIFT_MAX: Duration = Duration::from_secs(5);
/// The program was written then: an earlier clock is wrong.
const WRITTEN: &str = "2026-11-01T00:00:00Z";

fn clock(f: &mut Findings, lake: &Path, newest: Option<Timestamp>) {
    let now = Timestamp::now();
    let mend = "set the clock and keep it right: timedatectl set-ntp true";
    if WRITTEN.parse().is_ok_and(|w: Timestamp| now < w) {
        f.bad(
            "clock",
            format!("{now} is before this program was written"),
            mend,
        );
        return;
    }
    if let Some(n) = newest.filter(|n| *n > now) {
        f.bad(
            "clock",
            format!("it is {now}, but something was recorded at {n}"),
            mend,
        );
        return;
    }
    let probe = lake.join(format!(".doctor-clock-{}", std::process::id()));
    let written = fs::write(&probe, b"x")
        .and_then(|()| fs::metadata(&probe))
        .and_then(|m| m.modified());
    let _ = fs::remove_file(&probe);
    if let Ok(m) = written {
        let here = SystemTime::now();
        let drift = here.duration_since(m).or_else(|_| m.duration_since(here));
        if drift.is_ok_and(|d| d > DRIFT_MAX) {
            f.note(
                "clock",
                "the disk's clock is another than this machine's",
                mend,
            );
            return;
        }
    }
    f.good("clock", now);
}
