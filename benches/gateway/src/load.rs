//! The sending side: loggers that build real frames and count the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use miyun_hj212::CrcDialect;
use miyun_hj212::sm4::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// SM4 key of every encrypting logger of the bench.
pub const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// Bytes of a 9014 for the MNs made here.
const ANSWER: usize = 6 + 87 + 4 + 2;
/// Where the 17 digits of QN stand in a frame.
const QN_AT: usize = 6 + 3;

/// MN of logger `k`.
pub fn mn(k: usize) -> String {
    format!("{k:024X}")
}

/// Frames of one logger, their QN patched for each sending. Values change from frame to frame; an
/// encrypting logger turns over a pool of regions encrypted beforehand, so that the bench measures
/// the receiver's SM4 and not the generator's.
pub struct Template {
    pool: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    next: usize,
}

/// Regions of a logger.
const POOL: usize = 8;

impl Template {
    /// Frames of logger `k` with data of `data_time`; about 299 bytes, 4 factors.
    pub fn new(k: usize, data_time: &str, encrypted: bool, backfill: bool) -> Self {
        let mut random = k as u64 * 0x9E37_79B9_7F4A_7C15 + 1;
        let mut value = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let pool = (0..POOL)
            .map(|_| {
                let region = format!(
                    "DataTime={data_time};a21026-Rtd={:03}.{:02},a21026-ZsRtd={:03}.{:02},a21026-Flag=N;a21002-Rtd={:03}.{:02},a21002-ZsRtd={:03}.{:02},a21002-Flag=N;a34013-Rtd={:02}.{:03},a34013-Flag=N;a19001-Rtd={:02}.{:03},a19001-Flag=N",
                    value(1_000), value(100), value(1_000), value(100), value(1_000), value(100), value(1_000), value(100), value(100), value(1_000), value(100), value(1_000)
                );
                let rf = if backfill { "RF=1;" } else { "" };
                let flag = if encrypted || backfill { 9 } else { 5 };
                let head = format!("QN=20260101000000000;ST=31;CN=2011;PW=123456;MN={};Flag={flag};{rf}CP=&&", mn(k));
                let length = head.len() + region.len() + 2;
                let plain = format!("##{length:04}{head}{region}&&").into_bytes();
                let cipher = encrypted.then(|| {
                    let mut c = plain.clone();
                    let from = 6 + head.len();
                    let key = Key::parse(KEY).expect("the key is well formed");
                    let n = c.len();
                    key.encrypt(&mut c[from..n - 2]);
                    c
                });
                (plain, cipher)
            })
            .collect();
        Self { pool, next: 0 }
    }

    /// Bytes of one frame with check and CR LF.
    pub fn len(&self) -> usize {
        self.pool[0].0.len() + 6
    }

    /// Appends the frame number `n`.
    pub fn put(&mut self, n: u64, out: &mut Vec<u8>) {
        let digits = 20_260_101_000_000_000 + n;
        let mut text = [b'0'; 17];
        let mut rest = digits;
        for d in text.iter_mut().rev() {
            *d = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.next = (self.next + 1) % POOL;
        let (plain, cipher) = &mut self.pool[self.next];
        plain[QN_AT..QN_AT + 17].copy_from_slice(&text);
        let check = CrcDialect::Hj212.of(&plain[6..]);
        match cipher {
            Some(c) => {
                c[QN_AT..QN_AT + 17].copy_from_slice(&text);
                out.extend_from_slice(c);
            }
            None => out.extend_from_slice(plain),
        }
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for shift in [12, 8, 4, 0] {
            out.push(HEX[usize::from((check >> shift) & 15)]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What the senders share.
#[derive(Default)]
pub struct Tally {
    /// Answers received.
    pub answered: AtomicU64,
    /// Latencies in microseconds.
    pub latencies: std::sync::Mutex<Vec<u32>>,
    /// Measuring has begun.
    pub measuring: AtomicBool,
    /// Sending ends.
    pub stop: AtomicBool,
    /// Connections that are up.
    pub up: AtomicU64,
}

/// How a connection sends.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Keeps this many frames unanswered.
    Window(usize),
    /// Sends this many frames at once, every so often; measures each answer.
    Paced { burst: usize, every: Duration },
}

/// One connection of loggers `k, k + step, ...`.
pub struct Logger {
    pub server: SocketAddr,
    pub templates: Vec<Template>,
    pub manner: Manner,
    pub frames: u64,
    pub first: u64,
    /// Delay before the first burst, so that not all send at once.
    pub phase: Duration,
}

impl Logger {
    pub async fn run(mut self, tally: Arc<Tally>) -> anyhow::Result<()> {
        let stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        tally.up.fetch_add(1, Ordering::Relaxed);
        let (mut reader, mut writer) = stream.into_split();
        match self.manner {
            Manner::Window(window) => {
                let (mut sent, mut answered, mut partial) = (0u64, 0u64, 0usize);
                let mut out = Vec::with_capacity(window * self.templates[0].len());
                let mut scratch = vec![0; ANSWER * window.max(8)];
                while answered < self.frames && !tally.stop.load(Ordering::Relaxed) {
                    // Refill in halves: fewer, larger writes.
                    if sent - answered <= window as u64 / 2 {
                        out.clear();
                        while sent < self.frames && sent - answered < window as u64 {
                            let t = (sent % self.templates.len() as u64) as usize;
                            self.templates[t].put(self.first + sent, &mut out);
                            sent += 1;
                        }
                        writer.write_all(&out).await?;
                    }
                    let n = reader.read(&mut scratch).await?;
                    anyhow::ensure!(n > 0, "closed by the gateway");
                    partial += n;
                    let whole = (partial / ANSWER) as u64;
                    partial %= ANSWER;
                    answered += whole;
                    tally.answered.fetch_add(whole, Ordering::Relaxed);
                }
            }
            Manner::Paced { burst, every } => {
                tokio::time::sleep(self.phase).await;
                let mut tick = tokio::time::interval(every);
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                let mut out = Vec::new();
                let mut scratch = vec![0; ANSWER * burst.max(8)];
                let mut mine = Vec::new();
                let mut sent = 0;
                while sent < self.frames && !tally.stop.load(Ordering::Relaxed) {
                    tick.tick().await;
                    out.clear();
                    for _ in 0..burst {
                        let t = (sent % self.templates.len() as u64) as usize;
                        self.templates[t].put(self.first + sent, &mut out);
                        sent += 1;
                    }
                    writer.write_all(&out).await?;
                    let start = Instant::now();
                    let mut left = burst * ANSWER;
                    while left > 0 {
                        let n = reader.read(&mut scratch).await?;
                        anyhow::ensure!(n > 0 && n <= left, "closed by the gateway");
                        let before = left.div_ceil(ANSWER);
                        left -= n;
                        let whole = before - left.div_ceil(ANSWER);
                        tally.answered.fetch_add(whole as u64, Ordering::Relaxed);
                        if tally.measuring.load(Ordering::Relaxed) {
                            let us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
                            mine.extend(std::iter::repeat_n(us, whole));
                        }
                    }
                    if mine.len() > 10_000 {
                        tally.latencies.lock().unwrap().append(&mut mine);
                    }
                }
                tally.latencies.lock().unwrap().append(&mut mine);
            }
        }
        Ok(())
    }
}

/// Runs loggers on `threads` threads until all are done.
pub fn spawn(
    loggers: Vec<Logger>,
    threads: usize,
    tally: &Arc<Tally>,
) -> Vec<std::thread::JoinHandle<u64>> {
    let mut per: Vec<Vec<Logger>> = (0..threads).map(|_| Vec::new()).collect();
    for (k, l) in loggers.into_iter().enumerate() {
        per[k % threads].push(l);
    }
    per.into_iter()
        .map(|mine| {
            let tally = Arc::clone(tally);
            std::thread::spawn(move || {
                let rt = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("an event loop");
                let local = tokio::task::LocalSet::new();
                local.block_on(&rt, async move {
                    let tasks: Vec<_> = mine
                        .into_iter()
                        .map(|l| tokio::task::spawn_local(l.run(Arc::clone(&tally))))
                        .collect();
                    let mut failed = 0;
                    for t in tasks {
                        match t.await {
                            Ok(Ok(())) => {}
                            Ok(Err(e)) => {
                                if failed == 0 && !tally.stop.load(Ordering::Relaxed) {
                                    eprintln!("a logger failed: {e}");
                                }
                                failed += 1;
                            }
                            Err(e) => eprintln!("{e}"),
                        }
                    }
                    failed
                })
            })
        })
        .collect()
}

/// The `q`-quantile of latencies, in milliseconds.
pub fn quantile(sorted: &[u32], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let at = ((sorted.len() - 1) as f64 * q).round() as usize;
    f64::from(sorted[at]) / 1_000.0
}
