//! Measures the gateway's promise. `cargo run --release -- all` reproduces every number.
//!
//! The receiver runs in a process of its own; the load generator shares the machine's cores with
//! it, so every number is what the two achieve together.

mod load;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use load::{KEY, Logger, Manner, Tally, Template, mn, quantile, spawn};
use miyun_gateway::command::Patience;
use miyun_gateway::log::{Position, Reader};
use miyun_gateway::registry::Property;
use miyun_gateway::{Gateway, Settings};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seconds =
        |n: usize, default: u64| args.get(n).and_then(|s| s.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("serve") => serve(
            Path::new(&args[1]),
            args.get(2).is_some_and(|a| a == "encrypted"),
        ),
        Some("speed") => speed(seconds(1, 60), false),
        Some("encrypted") => speed(seconds(1, 60), true),
        Some("latency") => latency(seconds(1, 30), seconds(2, 100_000)),
        Some("idle") => idle(seconds(1, 14_000)),
        Some("backlog") => backlog(seconds(1, 28_800_000)),
        Some("all") => {
            speed(60, false)?;
            speed(60, true)?;
            latency(30, 100_000)?;
            idle(14_000)?;
            backlog(28_800_000)
        }
        _ => bail!(
            "usage: gateway-bench all | speed [s] | encrypted [s] | latency [s] [frames/s] | idle [connections] | backlog [frames]"
        ),
    }
}

/// The receiver: prints its address and recovery, answers `stats` on standard input.
fn serve(dir: &Path, encrypted: bool) -> Result<()> {
    let mut settings = Settings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        ..Settings::default()
    };
    settings.limits.connections = 19_000;
    settings.limits.connections_per_address = 19_000;
    settings.limits.unconfirmed_devices = 100_000;
    settings.limits.first_frame_s = 3_600;
    settings.readers = std::env::var("READERS")
        .ok()
        .and_then(|r| r.parse().ok())
        .unwrap_or(1);
    let gateway = Gateway::open(dir, settings)?;
    if encrypted {
        let set: Vec<_> = (0..1_000)
            .flat_map(|k| {
                [
                    (mn(k), Property::Key, KEY.to_owned(), 0, "bench".to_owned()),
                    (
                        mn(k),
                        Property::Edition,
                        "2025".to_owned(),
                        0,
                        "bench".to_owned(),
                    ),
                ]
            })
            .collect();
        gateway.registry().set("bench", 0, &set)?;
    }
    let recovery = gateway.recovery().clone();
    let mut running = gateway.start()?;
    // As in service: live state, commands and retention follow the log on the same cores.
    if std::env::var("FOLLOW").as_deref() != Ok("0") {
        running.attend(Patience {
            answer: Duration::from_secs(10),
            resends: 3,
            result: Duration::from_secs(60),
        })?;
    }
    println!(
        "{} {}",
        running.addresses()[0],
        serde_json::to_string(&recovery)?
    );
    std::io::stdout().flush()?;
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "stats" => println!("{}", serde_json::to_string(&running.stats().now())?),
            "open" => println!("{}", running.open_connections()),
            "behind" => {
                // Frames stored that the live state has not taken in.
                let seen: u64 = running.state().with(|all| all.values().map(|d| d.frames).sum());
                println!("{}", running.stats().now().frames.saturating_sub(seen));
            }
            _ => break,
        }
        std::io::stdout().flush()?;
    }
    running.stop();
    Ok(())
}

struct Server {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
    recovery: serde_json::Value,
}

impl Server {
    fn start(dir: &Path, encrypted: bool) -> Result<Self> {
        let mut c = Command::new(std::env::current_exe()?);
        c.arg("serve")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if encrypted {
            c.arg("encrypted");
        }
        let mut child = c.spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let (address, recovery) = line
            .trim()
            .split_once(' ')
            .context("the receiver did not start")?;
        Ok(Self {
            child,
            out,
            address: address.parse()?,
            recovery: serde_json::from_str(recovery)?,
        })
    }

    fn ask(&mut self, what: &str) -> Result<serde_json::Value> {
        writeln!(self.child.stdin.as_mut().context("no input")?, "{what}")?;
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Field of /proc/PID/status in kB.
    fn status_kb(&self, field: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        text.lines()
            .find_map(|l| {
                l.strip_prefix(field)?
                    .trim_start_matches(':')
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .with_context(|| format!("no {field}"))
    }

    /// CPU seconds used so far.
    fn cpu_s(&self) -> Result<f64> {
        cpu_s(self.child.id())
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

fn cpu_s(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    Ok((rest[11].parse::<f64>()? + rest[12].parse::<f64>()?) / 100.0)
}

/// A folder for the log on the disk to be measured, removed in the end.
fn folder() -> Result<tempfile::TempDir> {
    let base = std::env::var("BENCH_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    Ok(tempfile::tempdir_in(base)?)
}

fn now14() -> String {
    jiff::tz::TimeZone::fixed(jiff::tz::offset(8))
        .to_datetime(jiff::Timestamp::now())
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

fn header(what: &str) {
    println!("\n== {what}");
}

/// Frames of the log and whether any stands twice.
fn audit(dir: &Path) -> Result<(u64, u64)> {
    let log = miyun_gateway::server::paths::log(dir);
    let mut reader = Reader::at(&log, Position::default());
    let end = Position {
        segment: u64::MAX,
        offset: 0,
    };
    let mut seen = std::collections::HashSet::new();
    let mut n = 0;
    loop {
        match reader.next(end) {
            Ok(Some(b)) => {
                for r in b.records() {
                    n += 1;
                    let mut k = [0; 8];
                    k.copy_from_slice(&r.hash[..8]);
                    seen.insert(u64::from_le_bytes(k));
                }
            }
            // The end of a log is not marked; the reader says that nothing whole follows.
            Ok(None) | Err(_) => return Ok((n, n - seen.len() as u64)),
        }
    }
}

fn speed(seconds: u64, encrypted: bool) -> Result<()> {
    header(if encrypted {
        "durable acknowledged frames/s, SM4, 1,000 connections"
    } else {
        "durable acknowledged frames/s, plain, 1,000 connections"
    });
    let dir = folder()?;
    let mut server = Server::start(dir.path(), encrypted)?;
    let tally = Arc::new(Tally::default());
    let time = now14();
    let bytes = Template::new(0, &time, encrypted, false).len();
    let loggers = (0..1_000)
        .map(|k| Logger {
            server: server.address,
            templates: vec![Template::new(k, &time, encrypted, false)],
            manner: Manner::Window(64),
            frames: u64::MAX,
            first: 0,
            phase: Duration::ZERO,
        })
        .collect();
    let threads = spawn(loggers, 1, &tally);
    std::thread::sleep(Duration::from_secs(3));
    let (start, from) = (Instant::now(), tally.answered.load(Ordering::Relaxed));
    let (cpu, own) = (server.cpu_s()?, cpu_s(std::process::id())?);
    let mut last = from;
    let mut worst = f64::INFINITY;
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let n = tally.answered.load(Ordering::Relaxed);
        worst = worst.min((n - last) as f64);
        last = n;
    }
    let wall = start.elapsed().as_secs_f64();
    let n = tally.answered.load(Ordering::Relaxed) - from;
    let stats = server.ask("stats")?;
    println!(
        "{:.0} frames/s over {wall:.0} s ({bytes} B frames; worst second {worst:.0}); receiver {:.2} cores, generator {:.2} cores, receiver memory {} MB",
        n as f64 / wall,
        (server.cpu_s()? - cpu) / wall,
        (cpu_s(std::process::id())? - own) / wall,
        server.status_kb("VmRSS")? / 1024
    );
    println!(
        "the live state is {} frames behind",
        server.ask("behind")?
    );
    println!(
        "{} batches, mean {:.0} frames, mean commit {:.1} ms",
        stats["batches"],
        stats["frames"].as_f64().unwrap_or(0.0) / stats["batches"].as_f64().unwrap_or(1.0),
        stats["commit_us"].as_f64().unwrap_or(0.0)
            / stats["batches"].as_f64().unwrap_or(1.0)
            / 1_000.0
    );
    // The promise: kill it now, under load; whatever was answered must be there, once.
    server.kill()?;
    tally.stop.store(true, Ordering::Relaxed);
    for t in threads {
        let _ = t.join();
    }
    let answered = tally.answered.load(Ordering::Relaxed);
    let again = Server::start(dir.path(), encrypted)?;
    let r = &again.recovery;
    println!(
        "killed under load: {answered} answered, {} stored; restart read {:.2} GB in {:.2} s",
        r["records"],
        r["bytes_read"].as_f64().unwrap_or(0.0) / 1e9,
        r["seconds"].as_f64().unwrap_or(0.0)
    );
    anyhow::ensure!(
        r["records"].as_u64() >= Some(answered),
        "acknowledged frames are missing"
    );
    again.kill()?;
    let (stored, doubled) = audit(dir.path())?;
    println!("audit of the log: {stored} records, {doubled} doubled");
    anyhow::ensure!(doubled == 0 && stored >= answered, "the promise is broken");
    Ok(())
}

fn latency(seconds: u64, rate: u64) -> Result<()> {
    header(&format!(
        "last byte to 9014 at {rate} frames/s, 1,000 connections"
    ));
    let dir = folder()?;
    let server = Server::start(dir.path(), false)?;
    let tally = Arc::new(Tally::default());
    let time = now14();
    const BURST: usize = 20;
    let every = Duration::from_secs_f64(1_000.0 * BURST as f64 / rate as f64);
    let loggers = (0..1_000)
        .map(|k| Logger {
            server: server.address,
            templates: vec![Template::new(k, &time, false, false)],
            manner: Manner::Paced {
                burst: BURST,
                every,
            },
            frames: u64::MAX,
            first: 0,
            phase: every.mul_f64((k % 997) as f64 / 997.0),
        })
        .collect();
    let threads = spawn(loggers, 1, &tally);
    std::thread::sleep(Duration::from_secs(3));
    let (start, from) = (Instant::now(), tally.answered.load(Ordering::Relaxed));
    tally.measuring.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(seconds));
    tally.measuring.store(false, Ordering::Relaxed);
    let n = tally.answered.load(Ordering::Relaxed) - from;
    let wall = start.elapsed().as_secs_f64();
    tally.stop.store(true, Ordering::Relaxed);
    for t in threads {
        let _ = t.join();
    }
    let mut l = std::mem::take(&mut *tally.latencies.lock().unwrap());
    l.sort_unstable();
    println!(
        "{:.0} frames/s in bursts of {BURST}; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, worst {:.1} ms ({} answers)",
        n as f64 / wall,
        quantile(&l, 0.5),
        quantile(&l, 0.99),
        quantile(&l, 0.999),
        quantile(&l, 1.0),
        l.len()
    );
    server.kill()
}

fn idle(most: u64) -> Result<()> {
    header("memory of idle connections (each has sent one frame and was answered)");
    let dir = folder()?;
    let server = Server::start(dir.path(), false)?;
    let tally = Arc::new(Tally::default());
    let time = now14();
    let mut points = Vec::new();
    let before = kernel_kb()?;
    points.push((0u64, server.status_kb("VmRSS")?, 0u64));
    let mut held = Vec::new();
    let mut k = 0;
    for step in 1..=4u64 {
        let goal = most * step / 4;
        while k < goal {
            let mut s = std::net::TcpStream::connect(server.address)?;
            let mut out = Vec::new();
            Template::new(k as usize, &time, false, false).put(1, &mut out);
            s.write_all(&out)?;
            held.push(s);
            k += 1;
        }
        std::thread::sleep(Duration::from_secs(2));
        let _ = tally.up.load(Ordering::Relaxed);
        points.push((
            k,
            server.status_kb("VmRSS")?,
            kernel_kb()?.saturating_sub(before),
        ));
    }
    for (n, rss, kernel) in &points {
        println!(
            "{n:>6} connections: receiver {:.1} MB, kernel socket memory on both ends {:.1} MB",
            *rss as f64 / 1024.0,
            *kernel as f64 / 1024.0
        );
    }
    let (a, b) = (points[1], points[points.len() - 1]);
    let slope = (b.1 - a.1) as f64 * 1024.0 / (b.0 - a.0) as f64;
    let kernel = (b.2.saturating_sub(a.2)) as f64 * 1024.0 / (b.0 - a.0) as f64;
    println!(
        "slope: {slope:.0} B a connection in the receiver, {kernel:.0} B in the kernel for both ends; {:.2} GB per 100,000 (receiver and half of the kernel)",
        (slope + kernel / 2.0) * 1e5 / 1e9
    );
    server.kill()
}

/// Slab memory of the machine in kB: where the kernel keeps sockets.
fn kernel_kb() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    text.lines()
        .find_map(|l| {
            l.strip_prefix("Slab:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .context("no Slab line")
}

fn backlog(frames: u64) -> Result<()> {
    header(&format!(
        "backlog of {frames} frames from 10,000 loggers, with live data beside it"
    ));
    let dir = folder()?;
    let mut server = Server::start(dir.path(), false)?;
    let (old, live) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let connections = 1_000usize;
    let loggers = (0..connections)
        .map(|c| Logger {
            server: server.address,
            templates: (0..10)
                .map(|j| Template::new(1_000 + c * 10 + j, "20260101000000", false, true))
                .collect(),
            manner: Manner::Window(64),
            frames: frames / connections as u64,
            first: 0,
            phase: Duration::ZERO,
        })
        .collect();
    let every = Duration::from_secs(2);
    let time = now14();
    let lively = (0..1_000)
        .map(|k| Logger {
            server: server.address,
            templates: vec![Template::new(20_000 + k, &time, false, false)],
            manner: Manner::Paced { burst: 1, every },
            frames: u64::MAX,
            first: 0,
            phase: every.mul_f64(k as f64 / 1_000.0),
        })
        .collect();
    live.measuring.store(true, Ordering::Relaxed);
    let live_threads = spawn(lively, 1, &live);
    std::thread::sleep(Duration::from_secs(3));
    live.latencies.lock().unwrap().clear();
    let start = Instant::now();
    for t in spawn(loggers, 1, &old) {
        anyhow::ensure!(t.join().unwrap_or(1) == 0, "some loggers failed");
    }
    let wall = start.elapsed().as_secs_f64();
    live.stop.store(true, Ordering::Relaxed);
    for t in live_threads {
        let _ = t.join();
    }
    let mut l = std::mem::take(&mut *live.latencies.lock().unwrap());
    l.sort_unstable();
    println!(
        "{} frames in {wall:.0} s ({:.0}/s); a whole day (28.8 M) at this pace: {:.0} s; live answers meanwhile: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms ({})",
        old.answered.load(Ordering::Relaxed),
        frames as f64 / wall,
        28.8e6 / (frames as f64 / wall),
        quantile(&l, 0.5),
        quantile(&l, 0.99),
        quantile(&l, 1.0),
        l.len()
    );
    let stats = server.ask("stats")?;
    println!(
        "stored {}, memory {} MB; the live state is {} frames behind",
        stats["frames"],
        server.status_kb("VmRSS")? / 1024,
        server.ask("behind")?
    );
    server.kill()
}
