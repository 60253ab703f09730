//! `miyun gateway`: runs the receiver, and speaks with one that runs through its journals.

mod folder;
mod lake;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_gateway::command::{self, Ask, Patience};
use miyun_gateway::journal::Journal;
use miyun_gateway::log::{DayRoot, Kind, Position, Proof, prove, segments, verify};
use miyun_gateway::registry::{Property, number_of};
use miyun_gateway::relay::write_cursor;
use miyun_gateway::server::paths;
use miyun_gateway::{Registry, Running, Settings};
use miyun_rulebook::Rulebook;
use miyun_web::devices::{self, Hub};

pub use lake::Place;

use crate::out::{Format, Rows, line, print};

/// Folder of the gateway below the lake's.
const FOLDER: &str = "gateway";

#[derive(Subcommand)]
pub enum Gateway {
    Run(Run),
    Devices(Devices),
    Set(Set),
    Refuse(Refuse),
    RegisterFleet(Fleet),
    Ask(AskCommand),
    Commands(Commands),
    Roots(Roots),
    Prove(Prove),
    Verify(Verify),
    Replay(Replay),
}

/// Receive: HJ 212 over TCP and TLS, relays, MQTT, folders, pages.
///
/// Example: miyun gateway run --settings gateway.toml --http 127.0.0.1:8212 --city linxi --simulated
#[derive(Args)]
pub struct Run {
    /// Settings (TOML); defaults listen on 127.0.0.1:7212.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Address for HJ 212, instead of the settings'.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Address for pages and API.
    #[arg(long, default_value = "127.0.0.1:8212")]
    http: SocketAddr,
    #[command(flatten)]
    how: How,
}

/// How a gateway's data enter the lake.
#[derive(Args, Clone)]
pub struct How {
    /// City that the outlets belong to.
    #[arg(long, default_value = "linxi")]
    pub city: String,
    /// Where they lie in law.
    #[arg(long, default_value = "CN/sim")]
    pub jurisdiction: String,
    /// All devices are simulated; pages and subjects say so.
    #[arg(long)]
    pub simulated: bool,
    /// Seconds between runs that bring readings into the lake.
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lake_every_s: u64,
    /// Bearer token for changes by HTTP; without one there are none.
    #[arg(long, env = "MIYUN_GATEWAY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// A gateway with everything that belongs to it; stops when dropped.
pub struct Begun {
    running: Option<Running>,
    /// For the pages.
    pub hub: Arc<Hub>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Begun {
    /// Where it listens for HJ 212.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.as_ref().map_or(&[], |r| r.addresses())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(r) = self.running.take() {
            r.stop();
        }
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

/// Opens and starts a gateway below the lake's folder, with its compactor and folders; for
/// `miyun gateway run` and for `miyun serve`.
pub fn begin(lake: &Path, settings: Settings, how: &How) -> Result<Begun> {
    let dir = lake.join(FOLDER);
    let book = Rulebook::embedded();
    let place = Place {
        city: how.city.parse().context("--city")?,
        jurisdiction: how.jurisdiction.parse().context("--jurisdiction")?,
        simulated: how.simulated,
    };
    let folders = settings.folder.clone();
    let mut running = miyun_gateway::Gateway::open(&dir, settings)?.start()?;
    running.attend(patience(book))?;
    let hub = Hub::new(
        &running,
        book,
        place.jurisdiction.clone(),
        how.simulated,
        how.token.clone(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let follow = running.follow();
    let (s, l, every) = (
        Arc::clone(&stop),
        lake.to_owned(),
        Duration::from_secs(how.lake_every_s),
    );
    let city = how.city.clone();
    let compactor = std::thread::Builder::new()
        .name("miyun-lake".into())
        .spawn(move || {
            let mut next = std::time::Instant::now() + every;
            // Once more at the end, so that a short run leaves nothing behind.
            loop {
                let last = s.load(Ordering::Acquire);
                if last || std::time::Instant::now() >= next {
                    next = std::time::Instant::now() + every;
                    if let Err(e) = lake::compact(&dir, &l, &follow, book, &place) {
                        tracing::error!("lake: {e:#}");
                    }
                    for f in &folders {
                        if let Err(e) = folder::sweep(f, &l, &city) {
                            tracing::error!("{}: {e:#}", f.path.display());
                        }
                    }
                }
                if last {
                    return;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        })?;
    Ok(Begun {
        running: Some(running),
        hub,
        stop,
        threads: vec![compactor],
    })
}

/// How long to wait for devices (2017 table 1): the longest of the networks, as the rulebook has it.
fn patience(book: &Rulebook) -> Patience {
    let t = &book.vocabulary().hj212.timeouts;
    let answer = Duration::from_secs(t.iter().map(|t| u64::from(t.timeout_s)).max().unwrap_or(10));
    Patience {
        answer,
        resends: t.iter().map(|t| t.resends).max().unwrap_or(3),
        result: answer * 6,
    }
}

impl Gateway {
    pub fn run(self, lake: &Path) -> Result<()> {
        let dir = lake.join(FOLDER);
        match self {
            Self::Run(c) => c.run(lake),
            Self::Devices(c) => c.run(&dir),
            Self::Set(c) => c.run(&dir),
            Self::Refuse(c) => c.run(&dir),
            Self::RegisterFleet(c) => c.run(&dir),
            Self::Ask(c) => c.run(&dir),
            Self::Commands(c) => c.run(&dir),
            Self::Roots(c) => c.run(&dir),
            Self::Prove(c) => c.run(&dir),
            Self::Verify(c) => c.run(),
            Self::Replay(c) => c.run(&dir),
        }
    }
}

impl Run {
    fn run(self, lake: &Path) -> Result<()> {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing::Level::INFO)
            .init();
        let mut settings = match &self.settings {
            Some(p) => Settings::read(
                p,
                &std::fs::read_to_string(p).with_context(|| p.display().to_string())?,
            )?,
            None => Settings::default(),
        };
        if let Some(a) = self.listen {
            settings.listen = vec![a];
        }
        let begun = begin(lake, settings, &self.how)?;
        if let Some(r) = &begun.running {
            let rec = r.recovery();
            eprintln!(
                "log: {} records; {:.1} MB read in {:.2} s",
                rec.records,
                rec.bytes_read as f64 / 1e6,
                rec.seconds
            );
            if let Some(c) = &rec.cut {
                eprintln!(
                    "log: cut {} bytes of a batch that was never acknowledged ({})",
                    c.bytes,
                    c.path.display()
                );
            }
            for a in r.addresses() {
                eprintln!("HJ 212 on {a}");
            }
            for a in r.tls_addresses() {
                eprintln!("HJ 212 over TLS on {a}");
            }
        }
        let app = site(Arc::clone(&begun.hub));
        tokio::runtime::Runtime::new()?.block_on(async {
            let listener = tokio::net::TcpListener::bind(self.http).await.with_context(|| self.http.to_string())?;
            eprintln!("pages on http://{}/zh/devices", listener.local_addr()?);
            axum::serve(listener, app)
                .with_graceful_shutdown(async {
                    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = async { match &mut term { Some(t) => { t.recv().await; } None => std::future::pending().await } } => {}
                    }
                })
                .await?;
            anyhow::Ok(())
        })?;
        drop(begun);
        Ok(())
    }
}

/// Pages and API of a gateway that runs alone.
fn site(hub: Arc<Hub>) -> axum::Router {
    use axum::http::{HeaderName, HeaderValue};
    use axum::response::Redirect;
    use axum::routing::get;
    use tower_http::set_header::SetResponseHeaderLayer;
    let set = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    devices::router(hub)
        .route("/", get(|| async { Redirect::to("/zh/devices") }))
        .route("/static/{name}", get(miyun_web::assets::file))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(set("content-security-policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"))
        .layer(set("x-content-type-options", "nosniff"))
        .layer(set("referrer-policy", miyun_web::server::REFERRER))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn when(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

fn registry(dir: &Path) -> Result<Registry> {
    Ok(Registry::open(&paths::registry(dir), usize::MAX)?)
}

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
    fn run(self, dir: &Path) -> Result<()> {
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
    /// PROPERTY=VALUE: status, edition, crc, key, cipher, clock-offset, password, subject, position, unit.FACTOR, indicator.FACTOR.
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
    fn run(self, dir: &Path) -> Result<()> {
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
    fn run(self, dir: &Path) -> Result<()> {
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

/// Register the devices of a simulated fleet (see miyun hj212 send --fleet).
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
    fn run(self, dir: &Path) -> Result<()> {
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
            set(Property::Edition, d.edition.to_string());
            set(Property::Crc, d.crc.into());
            if d.encrypted {
                set(
                    Property::Key,
                    String::from_utf8_lossy(super::hj212::FLEET_KEY).into_owned(),
                );
            }
            if d.clock_ahead_s.abs() > 60 {
                set(Property::ClockOffset, d.clock_ahead_s.to_string());
            }
            for (code, _, unit) in d.kind.factors() {
                if code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    set(Property::Unit((*code).into()), (*unit).into());
                }
            }
            for (_, code, indicator) in FLEET_INDICATORS
                .iter()
                .filter(|(st, ..)| *st == d.kind.system())
            {
                set(Property::Indicator((*code).into()), (*indicator).into());
            }
        }
        registry(dir)?.set("register-fleet", now_ms(), &changes)?;
        line(&format!(
            "{} simulated devices registered\n",
            fleet.devices.len()
        ))
    }
}

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
    fn run(self, dir: &Path) -> Result<()> {
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
    fn run(self, dir: &Path) -> Result<()> {
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
    fn run(self, dir: &Path) -> Result<()> {
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
    fn run(self, dir: &Path) -> Result<()> {
        let log = paths::log(dir);
        // Everything that is whole: the gateway may be running.
        let Some((segment, path)) = segments(&log)?.pop() else {
            bail!("the log is empty");
        };
        let end = Position {
            segment,
            offset: std::fs::metadata(&path)?.len(),
        };
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
    fn run(self) -> Result<()> {
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
    fn run(self, dir: &Path) -> Result<()> {
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
