//! Opens the log, starts the threads, takes connections.

mod accept;
mod door;
mod running;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use self::accept::accept_all;
pub use self::door::{Door, DoorError};
pub use self::running::{Caller, Follow, Running};
use crate::GatewayError;
use crate::clock::wall_ms;
use crate::files::{Disk, Files};
use crate::hearing::Hearing;
use crate::journal::Journal;
use crate::log::{Cut, DayRoot, FrameLog, LogSettings, Position, Reader, day_number};
use crate::merkle::Hash;
use crate::registry::Registry;
use crate::seen::Seen;
use crate::settings::Settings;
use crate::shard::{Common, Shard};
use crate::writer::{Bell, Inbox, Progress, SharedClock, Stats, Wall, Writer};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recovery {
    /// Torn tail that was cut.
    pub cut: Option<Cut>,
    /// Records in the log.
    pub records: u64,
    /// Bytes read to recover.
    pub bytes_read: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// A gateway with its log open, not yet listening.
pub struct Gateway {
    dir: PathBuf,
    settings: Settings,
    log: FrameLog,
    seen: Seen,
    registry: Arc<Registry>,
    roots: Journal<DayRoot>,
    recovery: Recovery,
    wall: Wall,
}

/// Names below a gateway's folder.
pub mod paths {
    use std::path::{Path, PathBuf};
    /// The frame log.
    #[must_use]
    pub fn log(dir: &Path) -> PathBuf {
        dir.join("log")
    }
    /// The device registry.
    #[must_use]
    pub fn registry(dir: &Path) -> PathBuf {
        dir.join("devices.jsonl")
    }
    /// Roots of closed days.
    #[must_use]
    pub fn roots(dir: &Path) -> PathBuf {
        dir.join("roots.jsonl")
    }
    /// Commands and what became of them.
    #[must_use]
    pub fn commands(dir: &Path) -> PathBuf {
        dir.join("commands.jsonl")
    }
    /// Cursors of those who read the log.
    #[must_use]
    pub fn cursor(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}.cursor"))
    }
}

impl Gateway {
    /// Opens the gateway in `dir`.
    ///
    /// # Errors
    /// [`GatewayError`] if settings, log or registry cannot be used.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, GatewayError> {
        Self::open_on(dir, settings, Box::new(Disk))
    }

    /// Opens the gateway with segments on `files`.
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub fn open_on(
        dir: &Path,
        settings: Settings,
        files: Box<dyn Files>,
    ) -> Result<Self, GatewayError> {
        settings.check()?;
        let start = Instant::now();
        let log_settings = LogSettings {
            segment_bytes: settings.segment_bytes,
            utc_offset_minutes: settings.utc_offset_minutes,
        };
        let (mut last, mut bytes_read) = (Vec::new(), 0);
        let (mut log, cut) = FrameLog::open(&paths::log(dir), log_settings, files, &mut |b| {
            bytes_read += b.body.len() as u64;
            last.extend(b.records().map(|r| r.hash));
        })?;
        if let Some(c) = &cut {
            tracing::warn!(
                "{}: cut {} bytes of a batch that was never acknowledged",
                c.path.display(),
                c.bytes
            );
        }
        let mut roots: Journal<DayRoot> = Journal::open(&paths::roots(dir))?;
        if let Some(last) = roots.news()?.last() {
            log.not_before_day(day_number(last.day) + 1);
        }
        let registry = Arc::new(Registry::open(
            &paths::registry(dir),
            settings.limits.unconfirmed_devices,
        )?);
        let (seen, earlier) = recall(&log, settings.seen_frames, &last)?;
        bytes_read += earlier;
        let (_, records) = log.counts();
        Ok(Self {
            dir: dir.to_owned(),
            settings,
            log,
            seen,
            registry,
            roots,
            recovery: Recovery {
                cut,
                records,
                bytes_read,
                seconds: start.elapsed().as_secs_f64(),
            },
            wall: Box::new(wall_ms),
        })
    }

    /// Reads another wall clock than the machine's.
    #[must_use]
    pub fn with_wall(mut self, wall: Wall) -> Self {
        self.wall = wall;
        self
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Starts listening.
    ///
    /// # Errors
    /// [`GatewayError`] if an address cannot be bound or a certificate cannot be used.
    pub fn start(self) -> Result<Running, GatewayError> {
        let s = &self.settings;
        let tls = match (&s.certificate, &s.private_key) {
            (Some(c), Some(k)) => Some(crate::tls::acceptor(c, k)?),
            _ => None,
        };
        let bind = |a: &SocketAddr| -> Result<std::net::TcpListener, GatewayError> {
            let fail = |error| GatewayError::Net {
                address: a.to_string(),
                error,
            };
            let l = std::net::TcpListener::bind(a).map_err(fail)?;
            l.set_nonblocking(true).map_err(fail)?;
            Ok(l)
        };
        let mut listeners = Vec::new();
        for a in &s.listen {
            listeners.push((bind(a)?, false));
        }
        for a in &s.listen_tls {
            listeners.push((bind(a)?, true));
        }
        let local = |tls: bool| -> Vec<SocketAddr> {
            listeners
                .iter()
                .filter(|(_, t)| *t == tls)
                .filter_map(|(l, _)| l.local_addr().ok())
                .collect()
        };
        let (addresses, tls_addresses) = (local(false), local(true));
        let stats = Arc::new(Stats::default());
        let clock = Arc::new(SharedClock::new(self.log.last_time_ms(), self.wall));
        let progress = Arc::new(Progress::default());
        progress.set(self.log.end(), self.log.open_day());
        let bell = Arc::new(Bell::default());
        let common = Arc::new(Common {
            limits: s.limits.clone(),
            registry: Arc::clone(&self.registry),
            stats: Arc::clone(&stats),
            clock: Arc::clone(&clock),
            bell: Arc::clone(&bell),
            open: AtomicUsize::new(0),
            per_address: Mutex::default(),
            lines: Mutex::default(),
            hearing: Arc::new(Hearing::default()),
            utc_offset_minutes: s.utc_offset_minutes,
            tls,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (mut inboxes, mut back, mut orders, mut threads) = (vec![], vec![], vec![], vec![]);
        for id in 0..s.readers {
            let inbox = Arc::new(Inbox::default());
            let (to_shard, written) = mpsc::unbounded_channel();
            let (order, taken) = mpsc::unbounded_channel();
            let (c, i) = (Arc::clone(&common), Arc::clone(&inbox));
            threads.push(spawn(format!("miyun-reader-{id}"), move || {
                block_on(Shard::new(id, c, i).run(taken, written));
            })?);
            inboxes.push(inbox);
            back.push(to_shard);
            orders.push(order);
        }
        // One more inbox for documents that come through other doors.
        let door = Door::new(&common, &mut inboxes, &mut back);
        let mut roots = self.roots;
        let writer = Writer {
            store: Box::new(self.log),
            seen: self.seen,
            inboxes,
            back,
            bell: Arc::clone(&bell),
            stop: Arc::clone(&stop),
            stats: Arc::clone(&stats),
            progress: Arc::clone(&progress),
            clock: Arc::clone(&clock),
            registry: Arc::clone(&self.registry),
            utc_offset_minutes: s.utc_offset_minutes,
            publish: Box::new(move |day| match roots.append(std::slice::from_ref(day)) {
                Ok(_) => true,
                Err(e) => {
                    tracing::error!("{e}");
                    false
                }
            }),
        };
        let writer = spawn("miyun-writer".into(), move || writer.run())?;
        let quit = Arc::new(Notify::new());
        let (c, o, q) = (Arc::clone(&common), orders.clone(), Arc::clone(&quit));
        let accept = spawn("miyun-accept".into(), move || {
            block_on(async move {
                tokio::select! {
                    () = accept_all(listeners, c, o) => {}
                    () = q.notified() => {}
                }
            });
        })?;
        Ok(Running {
            dir: self.dir,
            settings: self.settings,
            addresses,
            tls_addresses,
            recovery: self.recovery,
            registry: self.registry,
            stats,
            clock,
            progress,
            common,
            orders,
            door,
            stop,
            bell,
            quit,
            threads,
            accept: Some(accept),
            writer: Some(writer),
            state: Arc::default(),
            leave: Arc::default(),
            followers: Vec::new(),
            relays: Vec::new(),
        })
    }
}

fn spawn(name: String, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, GatewayError> {
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(f)
        .map_err(|e| GatewayError::setting(name, format!("no thread: {e}")))
}

/// Runs a future on this thread, with local tasks.
pub(crate) fn block_on(f: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(31)
        .build()
    {
        Ok(rt) => tokio::task::LocalSet::new().block_on(&rt, f),
        Err(e) => tracing::error!("no event loop: {e}"),
    }
}

/// Remembers the last frames of the log; also gives the bytes read. `last` are the hashes of the last
/// segment, which opening has read.
fn recall(log: &FrameLog, window: usize, last: &[Hash]) -> Result<(Seen, u64), GatewayError> {
    let mut seen = Seen::new(window);
    let (_, records) = log.counts();
    let wanted = records.saturating_sub(window as u64);
    let mut bytes = 0;
    if last.len() < window {
        // The last segment whose first record lies at or before the window's first.
        let mut from = Position::default();
        for (segment, _) in crate::log::segments(log.dir())? {
            let at = Position { segment, offset: 0 };
            match crate::log::first_record(log.dir(), at)? {
                Some(first) if first <= wanted => from = at,
                _ => {}
            }
        }
        let end = Position {
            segment: log.end().segment,
            offset: 0,
        };
        let mut reader = Reader::at(log.dir(), from);
        while let Some(batch) = reader.next(end)? {
            bytes += batch.body.len() as u64;
            for r in batch.records() {
                seen.insert(&r.hash);
            }
        }
    }
    for hash in last {
        seen.insert(hash);
    }
    Ok((seen, bytes))
}
