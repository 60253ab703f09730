use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::civil::DateTime;
use miyun_hj212::{Event, Framer, cn};
use miyun_sim::devices::{Act, Device, Fleet};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Color;
use super::fleet::{Outgoing, Speaker};
use crate::out::{Format, Rows, print};

#[derive(Args)]
pub struct Send {
    /// Host and port, for example 127.0.0.1:9212.
    to: String,
    /// Simulated devices, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    devices: usize,
    /// Simulated minutes to send.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Frames per second of all devices together; without it, devices keep their real pace.
    #[arg(long)]
    rate: Option<f64>,
    /// Seed: the same seed sends the same frames for the same start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First simulated time (local); the present if not given.
    #[arg(long)]
    start: Option<DateTime>,
    /// No faults: every device keeps the standard of its edition.
    #[arg(long)]
    clean: bool,
    /// Send the bytes of this file instead of a fleet, over one connection.
    #[arg(long, conflicts_with_all = ["devices", "minutes", "seed", "start", "clean"])]
    file: Option<PathBuf>,
    /// Seconds to wait for the last answers.
    #[arg(long, default_value_t = 10)]
    wait_s: u64,
    /// Speak TLS and trust the certificates of this PEM file.
    #[arg(long, value_name = "CA.PEM")]
    tls: Option<PathBuf>,
    /// Name to expect in the host's certificate, if not the host of the address.
    #[arg(long, requires = "tls")]
    tls_name: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Colours (for the same look of all commands).
    #[arg(long, value_enum, default_value = "auto", hide = true)]
    color: Color,
    /// Seconds from the start that are history and sent at once, from and to.
    #[arg(skip)]
    history: (i64, i64),
}

/// What was sent and what came back.
#[derive(Debug, Default, Serialize)]
struct Tally {
    devices: usize,
    reports: u64,
    frames: u64,
    bytes: u64,
    /// Frames that asked for an answer and were sent whole.
    asked: u64,
    answered: u64,
    /// Answers with an error code (9011 with QnRtn other than 1).
    refused: u64,
    /// Requests of the host, each obeyed or refused.
    requests: u64,
    unanswered: u64,
    reconnects: u64,
    failed_connections: u64,
    seconds: f64,
    answer_p50_ms: f64,
    answer_p99_ms: f64,
    #[serde(skip)]
    latencies: Vec<u32>,
}

/// The standard's times are Beijing times.
fn beijing(at: jiff::Timestamp) -> DateTime {
    jiff::tz::TimeZone::fixed(jiff::tz::offset(8)).to_datetime(at)
}

/// History that a city's loggers have at most.
const HISTORY_S: i64 = 48 * 3_600;

type Shared = Arc<Mutex<Tally>>;

/// Outstanding answers of one device.
type Waiting = Arc<Mutex<HashMap<String, Instant>>>;

/// Reports that a device sends before it waits for answers.
const WINDOW: usize = 64;

trait Stream: AsyncRead + AsyncWrite + Unpin + std::marker::Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + std::marker::Send> Stream for T {}

/// A fleet that streams in the background until this is dropped.
pub struct Streaming {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Send {
    pub fn run(self) -> Result<()> {
        if self.rate.is_some_and(|r| !(r > 0.0 && r.is_finite())) {
            bail!("--rate must be above zero");
        }
        let tally: Shared = Arc::default();
        let begun = Instant::now();
        tokio::runtime::Runtime::new()?.block_on(self.send(Arc::clone(&tally)))?;
        let mut t = std::mem::take(&mut *lock(&tally));
        t.seconds = begun.elapsed().as_secs_f64();
        t.latencies.sort_unstable();
        let at = |share: f64| {
            let n = t.latencies.len().saturating_sub(1) as f64 * share;
            t.latencies
                .get(n as usize)
                .map_or(0.0, |us| f64::from(*us) / 1000.0)
        };
        (t.answer_p50_ms, t.answer_p99_ms) = (at(0.5), at(0.99));
        print(self.format, &t, || {
            let mut rows = Rows::new(&["what", "count#"]);
            for (what, count) in [
                ("devices", t.devices.to_string()),
                ("reports", t.reports.to_string()),
                ("frames", t.frames.to_string()),
                ("bytes", t.bytes.to_string()),
                ("answers asked for", t.asked.to_string()),
                ("answered", t.answered.to_string()),
                ("refused", t.refused.to_string()),
                ("requests of the host", t.requests.to_string()),
                ("unanswered", t.unanswered.to_string()),
                ("reconnects", t.reconnects.to_string()),
                ("failed connections", t.failed_connections.to_string()),
                ("seconds", format!("{:.1}", t.seconds)),
                (
                    "frames per second",
                    format!("{:.0}", t.frames as f64 / t.seconds),
                ),
                ("answer p50 ms", format!("{:.1}", t.answer_p50_ms)),
                ("answer p99 ms", format!("{:.1}", t.answer_p99_ms)),
            ] {
                rows.push(vec![what.to_owned(), count]);
            }
            rows
        })?;
        if t.frames == 0 {
            bail!("nothing was sent to {}", self.to);
        }
        Ok(())
    }

    async fn send(&self, tally: Shared) -> Result<()> {
        let door = Arc::new(Door::new(self)?);
        if let Some(file) = &self.file {
            return self.send_file(file, &door, &tally).await;
        }
        let start = self
            .start
            .unwrap_or_else(|| beijing(jiff::Timestamp::now()));
        let mut fleet = match self.history {
            (0, 0) => Fleet::new(self.seed, self.devices),
            _ => Fleet::of_a_city(self.seed, self.devices),
        };
        for d in &mut fleet.devices {
            d.history = self.history;
        }
        if self.clean {
            for d in &mut fleet.devices {
                d.fault = None;
                d.clock_ahead_s = 0;
                d.mn = format!("51{:010X}{:012X}", self.seed & 0xFF_FFFF_FFFF, d.number);
            }
        }
        lock(&tally).devices = fleet.devices.len();
        let pause = self
            .rate
            .map(|r| Duration::from_secs_f64(fleet.devices.len() as f64 / r));
        let mut tasks = tokio::task::JoinSet::new();
        for device in fleet.devices {
            let one = One {
                door: Arc::clone(&door),
                tally: Arc::clone(&tally),
                start,
                last_second: i64::from(self.minutes) * 60,
                devices: self.devices.max(1),
                pause,
                wait: Duration::from_secs(self.wait_s),
            };
            tasks.spawn(async move { one.run(device).await });
        }
        let mut first = None;
        while let Some(done) = tasks.join_next().await {
            if let Err(e) = done.context("a device stopped")? {
                lock(&tally).failed_connections += 1;
                first.get_or_insert(e);
            }
        }
        match first {
            Some(e) if lock(&tally).frames == 0 => Err(e),
            Some(e) => {
                eprintln!("miyun: of the devices that failed, the first: {e:#}");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn send_file(&self, file: &std::path::Path, door: &Door, tally: &Shared) -> Result<()> {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let frames = bytes.windows(2).filter(|w| w == b"##").count();
        let stream = door.open().await?;
        let (read, mut write) = tokio::io::split(stream);
        let waiting: Waiting = Arc::default();
        let reader = tokio::spawn(answers(read, waiting, Arc::clone(tally), None));
        write.write_all(&bytes).await?;
        {
            let mut t = lock(tally);
            t.devices = 1;
            t.reports = frames as u64;
            t.frames = frames as u64;
            t.bytes = bytes.len() as u64;
        }
        // Whoever sends a file wants to see what comes back.
        sleep(Duration::from_secs(self.wait_s)).await;
        write.shutdown().await.ok();
        reader.abort();
        Ok(())
    }
}

/// How to reach the host.
struct Door {
    to: String,
    tls: Option<(
        tokio_rustls::TlsConnector,
        rustls_pki_types::ServerName<'static>,
    )>,
}

impl Door {
    fn new(s: &Send) -> Result<Self> {
        let host =
            s.to.rsplit_once(':')
                .map(|(h, _)| h.trim_matches(['[', ']']))
                .with_context(|| format!("{:?} is no host:port", s.to))?;
        let tls = match &s.tls {
            None => None,
            Some(file) => {
                use rustls_pki_types::pem::PemObject;
                let name = format!("cannot read certificates of {}", file.display());
                let mut roots = tokio_rustls::rustls::RootCertStore::empty();
                for cert in rustls_pki_types::CertificateDer::pem_file_iter(file)
                    .with_context(|| name.clone())?
                {
                    roots.add(cert.with_context(|| name.clone())?)?;
                }
                if roots.is_empty() {
                    bail!("{name}: there is none");
                }
                let config = tokio_rustls::rustls::ClientConfig::builder()
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                let name = s.tls_name.as_deref().unwrap_or(host).to_owned();
                let name = rustls_pki_types::ServerName::try_from(name)
                    .context("--tls-name is no host name")?;
                Some((Arc::new(config).into(), name))
            }
        };
        Ok(Self {
            to: s.to.clone(),
            tls,
        })
    }

    async fn open(&self) -> Result<Box<dyn Stream>> {
        let connect = async {
            let tcp = TcpStream::connect(&self.to).await?;
            tcp.set_nodelay(true)?;
            Ok::<Box<dyn Stream>, std::io::Error>(match &self.tls {
                None => Box::new(tcp),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), tcp).await?),
            })
        };
        timeout(Duration::from_secs(10), connect)
            .await
            .map_err(|_| anyhow::anyhow!("no connection to {} in 10 s", self.to))?
            .with_context(|| format!("cannot connect to {}", self.to))
    }
}

/// One device.
struct One {
    door: Arc<Door>,
    tally: Shared,
    start: DateTime,
    last_second: i64,
    devices: usize,
    pause: Option<Duration>,
    wait: Duration,
}

/// A device's side of a connection; reports and answers to requests share it.
type Writer = Arc<tokio::sync::Mutex<WriteHalf<Box<dyn Stream>>>>;

struct Link {
    write: Writer,
    reader: tokio::task::JoinHandle<()>,
}

/// What the reader of a connection needs to answer a host's requests.
struct Ear {
    speaker: Arc<Mutex<Speaker>>,
    write: Writer,
}

impl One {
    async fn open(&self, waiting: &Waiting, speaker: &Arc<Mutex<Speaker>>) -> Result<Link> {
        let (read, write) = tokio::io::split(self.door.open().await?);
        let write = Arc::new(tokio::sync::Mutex::new(write));
        let ear = Ear {
            speaker: Arc::clone(speaker),
            write: Arc::clone(&write),
        };
        let (waiting, tally) = (Arc::clone(waiting), Arc::clone(&self.tally));
        let reader = tokio::spawn(answers(read, waiting, tally, Some(ear)));
        Ok(Link { write, reader })
    }

    async fn run(self, device: Device) -> Result<()> {
        let waiting: Waiting = Arc::default();
        let speaker = Arc::new(Mutex::new(Speaker::new(device.clone(), self.start)));
        let mut link = self.open(&waiting, &speaker).await?;
        let begun = Instant::now();
        let mut sent = 0u32;
        let share = device.number as f64 / self.devices as f64;
        for (second, act) in device.acts(self.start) {
            if second >= self.last_second {
                break;
            }
            let due = match self.pause {
                // Devices begin one after the other within the first pause.
                Some(pause) => begun + pause * sent + pause.mul_f64(share),
                None => {
                    let ahead = (second - device.history.1).max(0);
                    begun + Duration::from_secs(ahead.unsigned_abs())
                }
            };
            tokio::time::sleep_until(due.into()).await;
            match act {
                Act::Reconnect => {
                    // Answers under way would be lost with the connection.
                    self.drained(&waiting, 0).await;
                    link.write.lock().await.shutdown().await.ok();
                    link.reader.abort();
                    link = self.open(&waiting, &speaker).await?;
                    lock(&self.tally).reconnects += 1;
                }
                Act::Noise(bytes) => link.write.lock().await.write_all(&bytes).await?,
                Act::Send(report) => {
                    self.drained(&waiting, WINDOW).await;
                    let out = {
                        let mut speaker = lock(&speaker);
                        if speaker.holds_back(report.kind) {
                            continue;
                        }
                        speaker.say(&report)?
                    };
                    sent += out.frames as u32;
                    lock(&self.tally).reports += 1;
                    note(&out, &waiting, &self.tally);
                    link.write.lock().await.write_all(&out.bytes).await?;
                }
            }
        }
        self.drained(&waiting, 0).await;
        let left = lock(&waiting).len() as u64;
        lock(&self.tally).unanswered += left;
        link.write.lock().await.shutdown().await.ok();
        link.reader.abort();
        Ok(())
    }

    /// Waits until at most `n` answers are outstanding, but not forever.
    async fn drained(&self, waiting: &Waiting, n: usize) {
        let until = Instant::now() + self.wait;
        while lock(waiting).len() > n && Instant::now() < until {
            sleep(Duration::from_millis(2)).await;
        }
        if n > 0 && lock(waiting).len() > n {
            // The host does not answer: count what waits and go on.
            let left = std::mem::take(&mut *lock(waiting)).len() as u64;
            lock(&self.tally).unanswered += left;
        }
    }
}

/// Counts what goes out and waits for its answers.
fn note(out: &Outgoing, waiting: &Waiting, tally: &Shared) {
    let now = Instant::now();
    for qn in &out.waits {
        lock(waiting).insert(qn.clone(), now);
    }
    let mut t = lock(tally);
    t.frames += out.frames as u64;
    t.bytes += out.bytes.len() as u64;
    t.asked += out.waits.len() as u64;
}

/// Reads answers and requests until the connection ends.
async fn answers(
    mut read: impl AsyncRead + Unpin,
    waiting: Waiting,
    tally: Shared,
    ear: Option<Ear>,
) {
    let mut profile = miyun_hj212::DeviceProfile::lenient();
    if let Some(ear) = &ear {
        profile.keys = lock(&ear.speaker).profile().keys.clone();
    }
    let mut framer = Framer::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = read.read(&mut piece).await {
        framer.push(&piece[..n]);
        let mut replies = Vec::new();
        while let Some(event) = framer.next(&profile) {
            let Event::Frame(f) = event else { continue };
            if let (Some(ear), Some(number)) = (&ear, f.cn_number())
                && !cn::is_answer(number)
            {
                lock(&tally).requests += 1;
                if let Ok(out) = lock(&ear.speaker).obey(&f) {
                    replies.push(out);
                }
                continue;
            }
            let mut t = lock(&tally);
            match f.cn_number() {
                Some(cn::DATA_ANSWER | cn::NOTICE_ANSWER) => {
                    t.answered += 1;
                    if let Some(at) = f.qn().and_then(|qn| lock(&waiting).remove(qn)) {
                        let us = u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX);
                        t.latencies.push(us);
                    }
                }
                Some(cn::REQUEST_ANSWER) if f.global("QnRtn") != Some("1") => t.refused += 1,
                _ => {}
            }
        }
        for out in replies {
            note(&out, &waiting, &tally);
            let Some(ear) = &ear else { continue };
            if ear.write.lock().await.write_all(&out.bytes).await.is_err() {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Whoever panicked with the lock held left numbers, not invariants.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Streaming {
    /// Streams the fleet of a city to a host at its real pace, after the means of what it has not
    /// heard since a moment, of two days at most. Host and fleet are one process, so there is no end
    /// to wait for and no tally to print.
    pub fn begin(
        to: &str,
        devices: u32,
        seed: u64,
        heard: Option<jiff::Timestamp>,
    ) -> Result<Self> {
        let now = jiff::Timestamp::now();
        let from = heard.map_or(i64::MIN, jiff::Timestamp::as_second);
        let from = from.clamp(now.as_second() - HISTORY_S, now.as_second());
        // Hours and their parts begin on the clock, and history with a whole hour.
        let start = from - from.rem_euclid(3_600);
        let from = if heard.is_some() { from } else { start };
        let send = Send {
            to: to.to_owned(),
            devices: devices as usize,
            minutes: u32::MAX,
            rate: None,
            seed,
            start: Some(beijing(jiff::Timestamp::from_second(start)?)),
            clean: false,
            file: None,
            wait_s: 10,
            tls: None,
            tls_name: None,
            format: Format::Table,
            color: Color::Never,
            history: (from - start, now.as_second() - start),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("miyun-loggers".into())
            .spawn(move || {
                runtime.block_on(async {
                    let tally: Shared = Arc::default();
                    tokio::select! {
                        done = send.send(tally) => {
                            if let Err(e) = done {
                                tracing::warn!("simulated loggers: {e:#}");
                            }
                        }
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
