//! Measures the ledger: durable transfers a second, latency at a steady rate, verification,
//! recovery; and, in the same run, a PostgreSQL registry with row locks. `README.md` says what is
//! and is not comparable.

mod load;
mod pg;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use miyun_journal::verify::{VerifyOptions, verify};
use miyun_journal::{Admitted, DirStorage, Engine, Envelope, Handle, Journal, Options};
use miyun_ledger::Time;

use load::{Mix, Stream};

/// Measures the ledger and compares it with PostgreSQL.
#[derive(Debug, Parser)]
struct Args {
    /// Where journals are written; on the disk that is to be measured.
    #[arg(long, default_value = "/var/tmp/miyun-bench-ledger")]
    dir: PathBuf,
    /// Transfers of each throughput run.
    #[arg(long, default_value_t = 2_000_000)]
    transfers: usize,
    /// Accounts.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// Repeats of each run.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of each run at a steady rate and of each PostgreSQL run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Records of the log that is verified and recovered; 0 leaves it out.
    #[arg(long, default_value_t = 10_000_000)]
    recover: usize,
    /// A PostgreSQL to compare with, for example `host=127.0.0.1 port=5499 user=postgres`.
    #[arg(long)]
    postgres: Option<String>,
    /// Only the throughput of the ledger.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = ["throughput".to_owned(), "steady".to_owned(), "recovery".to_owned()])]
    parts: Vec<String>,
}

fn now() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Time(since.as_millis() as i64)
}

/// Processor seconds of this process so far, all threads.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |n: usize| {
        fields
            .get(n)
            .and_then(|t| t.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // user and system time in hundredths of a second
    (ticks(11) + ticks(12)) / 100.0
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map(|t| t.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

type Running = (Engine<DirStorage>, Handle<DirStorage>);

fn start(dir: &Path, accounts: u64) -> Result<Running> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    let storage = Arc::new(DirStorage::new(dir)?);
    let journal = Journal::create(storage, load::genesis())?;
    let options = Options {
        clock: Box::new(now),
        tick: Duration::from_secs(1),
    };
    let engine = Engine::start(journal, options)?;
    let handle = engine.handle();
    for commands in load::set_up(accounts) {
        let answers = handle.call(load::sign(commands))?;
        if let Some(Err(refusal)) = answers.iter().find(|a| a.is_err()) {
            bail!("setting up: {refusal}");
        }
    }
    Ok((engine, handle))
}

/// Admits and submits envelopes with at most `flight` of them under way, and gives each answer's
/// latency to `seen`.
struct Flight {
    free: Receiver<Option<String>>,
    back: SyncSender<Option<String>>,
    left: usize,
    flight: usize,
}

impl Flight {
    fn new(flight: usize) -> Self {
        let (back, free) = sync_channel(flight);
        Self {
            free,
            back,
            left: flight,
            flight,
        }
    }

    fn wait(&mut self) -> Result<()> {
        match self.free.recv()? {
            None => self.left += 1,
            Some(refusal) => bail!("a command was refused: {refusal}"),
        }
        Ok(())
    }

    fn send(&mut self, handle: &Handle<DirStorage>, envelope: Envelope) -> Result<()> {
        let admitted = handle.admit(envelope)?;
        self.send_admitted(handle, admitted)
    }

    fn send_admitted(&mut self, handle: &Handle<DirStorage>, admitted: Admitted) -> Result<()> {
        while self.left == 0 {
            self.wait()?;
        }
        self.left -= 1;
        let back = self.back.clone();
        handle.submit_admitted(admitted, move |result| {
            let refused = match result {
                Ok(answers) => answers
                    .into_iter()
                    .find_map(|a| a.err().map(|r| r.to_string())),
                Err(door) => Some(door.to_string()),
            };
            let _ = back.send(refused);
        })?;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        while self.left < self.flight {
            self.wait()?;
        }
        Ok(())
    }
}

/// What a throughput run gave.
#[derive(Debug, Clone, Copy)]
struct Speed {
    /// Transfers a second.
    rate: f64,
    /// Processor microseconds a transfer, all threads; 0 where not measured.
    work: f64,
}

/// Durable transfers a second with envelopes of `size` commands. Envelopes are made and signed
/// beforehand; decoding is not inside, checking signatures is.
fn throughput(args: &Args, mix: Mix, size: usize, total: usize) -> Result<Speed> {
    let (engine, handle) = start(&args.dir, args.accounts)?;
    let mut stream = Stream::new(1, mix, args.accounts);
    let envelopes: Vec<Envelope> = (0..total / size)
        .map(|_| load::sign(stream.take(size)))
        .collect();
    let count = envelopes.len() * size;
    let mut flight = Flight::new((4 * 8_192 / size).clamp(4, 8_192));
    let (began, work) = (Instant::now(), processor());
    for envelope in envelopes {
        flight.send(&handle, envelope)?;
    }
    flight.finish()?;
    let took = began.elapsed();
    let work = processor() - work;
    engine.stop()?;
    Ok(Speed {
        rate: count as f64 / took.as_secs_f64(),
        work: work * 1e6 / count as f64,
    })
}

/// Clients that send at a steady rate together.
const CLIENTS: usize = 4;

/// Latencies at a steady rate of transfers a second, each in an envelope of `size`, from the moment
/// it was due to the moment its answer was durable.
fn steady(args: &Args, rate: u64, size: usize) -> Result<Vec<Duration>> {
    let (engine, handle) = start(&args.dir, args.accounts)?;
    let mut stream = Stream::new(2, Mix::Uniform, args.accounts);
    let n = (rate * args.seconds) as usize / size;
    let envelopes: Vec<Envelope> = (0..n).map(|_| load::sign(stream.take(size))).collect();
    let (tx, rx) = sync_channel(n);
    let gap = Duration::from_secs_f64(size as f64 / rate as f64);
    let began = Instant::now() + Duration::from_millis(50);
    let mut shares: Vec<Vec<(Instant, Envelope)>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (k, envelope) in envelopes.into_iter().enumerate() {
        shares[k % CLIENTS].push((began + gap * k as u32, envelope));
    }
    let clients: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let (handle, tx) = (handle.clone(), tx.clone());
            std::thread::spawn(move || -> Result<()> {
                for (due, envelope) in share {
                    if let Some(wait) = due.checked_duration_since(Instant::now()) {
                        std::thread::sleep(wait);
                    }
                    let tx = tx.clone();
                    handle.submit(envelope, move |result| {
                        let sound =
                            matches!(&result, Ok(answers) if answers.iter().all(Result::is_ok));
                        let _ = tx.send((due.elapsed(), sound));
                    })?;
                }
                Ok(())
            })
        })
        .collect();
    drop(tx);
    let mut latencies = Vec::with_capacity(n);
    while latencies.len() < n {
        let (latency, sound) = rx.recv()?;
        if !sound {
            bail!("a command was refused");
        }
        latencies.push(latency);
    }
    for client in clients {
        client
            .join()
            .map_err(|_| anyhow::anyhow!("a client failed"))??;
    }
    engine.stop()?;
    latencies.sort_unstable();
    Ok(latencies)
}

/// As `throughput` with envelopes of one, but signatures were checked before: what is left is what a
/// registry without signatures does.
fn without_door(args: &Args, total: usize) -> Result<Speed> {
    let (engine, handle) = start(&args.dir, args.accounts)?;
    let mut stream = Stream::new(1, Mix::Uniform, args.accounts);
    let mut admitted = Vec::with_capacity(total);
    for _ in 0..total {
        admitted.push(handle.admit(load::sign(stream.take(1)))?);
    }
    let mut flight = Flight::new(8_192);
    let (began, work) = (Instant::now(), processor());
    for one in admitted {
        flight.send_admitted(&handle, one)?;
    }
    flight.finish()?;
    let took = began.elapsed();
    let work = processor() - work;
    engine.stop()?;
    Ok(Speed {
        rate: total as f64 / took.as_secs_f64(),
        work: work * 1e6 / total as f64,
    })
}

fn percentile(sorted: &[Duration], p: f64) -> f64 {
    let n = ((sorted.len() as f64 * p) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(n).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
}

fn spread(name: &str, mut runs: Vec<Speed>) -> f64 {
    runs.sort_unstable_by(|a, b| a.rate.total_cmp(&b.rate));
    // of two, the worse
    let median = runs[(runs.len() - 1) / 2];
    let work = match median.work {
        0.0 => String::new(),
        work => format!("  {work:.2} us of processor each"),
    };
    println!(
        "{name:<58} median {:>9.0}/s  worst {:>9.0}/s  best {:>9.0}/s{work}",
        median.rate,
        runs[0].rate,
        runs[runs.len() - 1].rate,
    );
    median.rate
}

fn recovery(args: &Args) -> Result<()> {
    let (engine, handle) = start(&args.dir, args.accounts)?;
    let mut stream = Stream::new(3, Mix::Uniform, args.accounts);
    let mut flight = Flight::new(6);
    for _ in 0..args.recover.div_ceil(8_192) {
        flight.send(&handle, load::sign(stream.take(8_192)))?;
    }
    flight.finish()?;
    let began = Instant::now();
    handle.snapshot()?;
    println!(
        "snapshot of the state                                      {:.1} s",
        began.elapsed().as_secs_f64()
    );
    engine.stop()?;
    drop(handle);
    let bytes: u64 = std::fs::read_dir(&args.dir)?
        .filter_map(|e| e.ok()?.metadata().ok())
        .map(|m| m.len())
        .sum();
    for (name, signatures, replay) in [
        ("verify: hashes, chain, invariants", false, false),
        ("verify: the same and signatures", true, false),
        ("verify: the same and the state machine again", true, true),
    ] {
        let storage = DirStorage::read_only(&args.dir);
        let began = Instant::now();
        let options = VerifyOptions {
            signatures,
            replay,
            head: None,
        };
        let report = verify(&storage, &options)?;
        if !report.is_sound() {
            bail!("the log is not sound: {:?}", report.findings);
        }
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{name:<58} {:>9.0} records/s  ({} records in {seconds:.1} s, load {})",
            report.records as f64 / seconds,
            report.records,
            load_average()
        );
    }
    println!(
        "journal and snapshot                                       {:.0} MB",
        bytes as f64 / 1e6
    );
    for snapshot in [true, false] {
        if !snapshot {
            for entry in std::fs::read_dir(&args.dir)? {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == "snap") {
                    std::fs::remove_file(path)?;
                }
            }
        }
        let began = Instant::now();
        let (journal, recovery) = Journal::open(Arc::new(DirStorage::new(&args.dir)?))?;
        println!(
            "recovery {:<49} {:.1} s  ({recovery}; load {})",
            if snapshot {
                "from a snapshot"
            } else {
                "from the first record"
            },
            began.elapsed().as_secs_f64(),
            load_average()
        );
        drop(journal);
    }
    Ok(())
}

fn main() -> Result<()> {
    let args = Args::parse();
    println!(
        "{} cores, load {}, journals in {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        load_average(),
        args.dir.display()
    );
    let pg = match &args.postgres {
        Some(url) => {
            println!("{}", pg::set_up(url, args.accounts).context("PostgreSQL")?);
            Some(url)
        }
        None => None,
    };
    let mut runs: Vec<(String, Vec<Speed>)> = Vec::new();
    let mut note = |name: &str, rate: Speed| match runs.iter_mut().find(|(n, _)| n == name) {
        Some((_, rates)) => rates.push(rate),
        None => runs.push((name.to_owned(), vec![rate])),
    };
    let plain = |rate| Speed { rate, work: 0.0 };
    let time = Duration::from_secs(args.seconds);
    let mut pg_latency = Vec::new();
    let part = |name: &str| args.parts.iter().any(|p| p == name);
    let repeats = if part("throughput") { args.repeats } else { 0 };
    for repeat in 0..repeats {
        println!("repeat {}, load {}", repeat + 1, load_average());
        let few = args.transfers / 10;
        note(
            "ledger W1 uniform, batch 8192",
            throughput(&args, Mix::Uniform, 8_192, args.transfers)?,
        );
        if args.quick {
            continue;
        }
        note(
            "ledger W1 uniform, envelopes of 1000",
            throughput(&args, Mix::Uniform, 1_000, args.transfers)?,
        );
        note(
            "ledger W1 uniform, one signature a transfer",
            throughput(&args, Mix::Uniform, 1, few.min(100_000))?,
        );
        note(
            "ledger W1 uniform, one at a time, signatures not timed",
            without_door(&args, few.min(100_000))?,
        );
        note(
            "ledger W2 hot accounts, batch 8192",
            throughput(&args, Mix::Hot, 8_192, args.transfers)?,
        );
        note(
            "ledger W3 reserve, post, void, batch 8192",
            throughput(&args, Mix::TwoPhase, 8_192, args.transfers)?,
        );
        note(
            "ledger W4 serial blocks, batch 8192",
            throughput(&args, Mix::Serial, 8_192, few)?,
        );
        if let Some(url) = pg {
            let seed = 1_000 * (repeat as u64 + 1);
            let one = pg::run(url, args.accounts, 12, 1, time, seed)?;
            note(
                "PostgreSQL, 12 clients, one transfer a transaction",
                plain(one.rate),
            );
            pg_latency = one.latencies;
            let many = pg::run(url, args.accounts, 12, 1_000, time, seed + 100)?;
            note(
                "PostgreSQL, 12 clients, 1000 transfers a transaction",
                plain(many.rate),
            );
        }
    }
    let medians: Vec<(String, f64)> = runs
        .into_iter()
        .map(|(name, rates)| {
            let median = spread(&name, rates);
            (name, median)
        })
        .collect();
    let of = |part: &str| medians.iter().find(|(n, _)| n.contains(part)).map(|m| m.1);
    if let (Some(a), Some(b)) = (of("1000 transfers a tr"), of("envelopes of 1000")) {
        println!(
            "ratio, 1000 transfers at once on both sides                {:.0}",
            b / a
        );
    }
    let one = of("one transfer a tr");
    if let (Some(a), Some(b)) = (one, of("signatures not timed")) {
        println!(
            "ratio, one transfer at a time, no signatures on both sides {:.0}",
            b / a
        );
    }
    if let (Some(a), Some(b)) = (one, of("one signature a tr")) {
        println!(
            "ratio, one transfer at a time, the ledger checks signatures {:.1}",
            b / a
        );
    }
    if !pg_latency.is_empty() {
        println!(
            "PostgreSQL, 12 clients, as fast as they can                p50 {:.1} ms, p99 {:.1} ms",
            percentile(&pg_latency, 0.50),
            percentile(&pg_latency, 0.99)
        );
    }
    if args.quick {
        return Ok(());
    }
    let sizes: &[(usize, &str)] = &[
        (1, "ledger at 10000/s, one signature a transfer, 4 clients"),
        (10, "ledger at 10000/s, envelopes of 10, 4 clients"),
    ];
    for &(size, name) in sizes.iter().filter(|_| part("steady")) {
        for _ in 0..args.repeats.max(1) {
            let l = steady(&args, 10_000, size)?;
            println!(
                "{name:<58} p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, worst {:.1} ms (load {})",
                percentile(&l, 0.50),
                percentile(&l, 0.99),
                percentile(&l, 0.999),
                percentile(&l, 1.0),
                load_average()
            );
        }
    }
    if args.recover > 0 && part("recovery") {
        recovery(&args)?;
    }
    if args.dir.exists() {
        std::fs::remove_dir_all(&args.dir)?;
    }
    Ok(())
}
