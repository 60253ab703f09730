//! Opens the log, starts the threads, takes connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use crate::GatewayError;
use crate::command::Patience;
use crate::files::{Disk, Files};
use crate::hearing::Hearing;
use crate::journal::Journal;
use crate::log::Keeping;
use crate::log::{
    Cut, DayRoot, FrameLog, Kind, LogSettings, Position, RECORD_MAX, Reader, day_number, put_record,
};
use crate::merkle::{Hash, sha256};
use crate::registry::Registry;
use crate::relay::RelayStats;
use crate::seen::Seen;
use crate::settings::Settings;
use crate::shard::{Common, Line, Order, Shard};
use crate::state::State;
use crate::writer::{Ack, Bell, Class, Inbox, Progress, SharedClock, Stats, Writer, Written};

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
        })
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
        let clock = Arc::new(SharedClock::new(self.log.last_time_ms()));
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

async fn accept_all(
    listeners: Vec<(std::net::TcpListener, bool)>,
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
) {
    let mut tasks = Vec::new();
    for (l, tls) in listeners {
        match TcpListener::from_std(l) {
            Ok(l) => tasks.push(tokio::task::spawn_local(accept(
                l,
                tls,
                Arc::clone(&common),
                orders.clone(),
            ))),
            Err(e) => tracing::error!("{e}"),
        }
    }
    for t in tasks {
        let _ = t.await;
    }
    std::future::pending::<()>().await;
}

async fn accept(
    listener: TcpListener,
    tls: bool,
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
) {
    let mut next = 0usize;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(x) => x,
            Err(e) => {
                // Out of descriptors, mostly: what is open goes on, new ones wait.
                tracing::warn!("accept: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let address = peer.ip();
        if !admit(&common, address) {
            common.stats.turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let instead = common.open.fetch_add(1, Ordering::AcqRel) >= common.limits.connections;
        common.stats.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        next = (next + 1) % orders.len().max(1);
        let order = Order::Take {
            stream,
            address,
            tls,
            instead,
        };
        if orders.get(next).is_none_or(|o| o.send(order).is_err()) {
            return;
        }
    }
}

/// Counts a connection of an address; false if it has too many.
fn admit(common: &Common, address: IpAddr) -> bool {
    let mut per: std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> = common
        .per_address
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let n = per.entry(address).or_insert(0);
    if *n >= common.limits.connections_per_address {
        return false;
    }
    *n += 1;
    true
}

/// Takes documents from other doors (MQTT, HTTP) into the same log under the same promise.
pub struct Door {
    inbox: Arc<Inbox>,
    bell: Arc<Bell>,
    clock: Arc<SharedClock>,
    limit: usize,
    waiting: Arc<Mutex<HashMap<u32, std::sync::mpsc::SyncSender<()>>>>,
    next: std::sync::atomic::AtomicU32,
}

/// Why a document was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// It is too long.
    #[error("a document has at most {RECORD_MAX} bytes")]
    TooLong,
    /// The disk is slower than what comes in; send it again later.
    #[error("too much is waiting for the disk; send it again later")]
    Busy,
    /// The disk did not take it in time; it may or may not be stored: send it again.
    #[error("the disk did not take it in time; send it again, it is stored once")]
    Late,
}

impl Door {
    fn new(
        common: &Arc<Common>,
        inboxes: &mut Vec<Arc<Inbox>>,
        back: &mut Vec<mpsc::UnboundedSender<Written>>,
    ) -> Arc<Self> {
        let inbox = Arc::new(Inbox::default());
        let (to, mut from) = mpsc::unbounded_channel::<Written>();
        inboxes.push(Arc::clone(&inbox));
        back.push(to);
        let waiting: Arc<Mutex<HashMap<u32, std::sync::mpsc::SyncSender<()>>>> = Arc::default();
        let (w, i) = (Arc::clone(&waiting), Arc::clone(&inbox));
        // Ends with the writer, whose sender is the only one.
        let told = std::thread::Builder::new()
            .name("miyun-door".into())
            .spawn(move || {
                while let Some(Written { chunk }) = from.blocking_recv() {
                    let mut waiting = w.lock().unwrap_or_else(PoisonError::into_inner);
                    for a in &chunk.acks {
                        if let Some(s) = waiting.remove(&a.conn) {
                            let _ = s.try_send(());
                        }
                    }
                    drop(waiting);
                    i.recycle(chunk);
                }
            });
        if let Err(e) = told {
            tracing::error!("no thread for other doors: {e}");
        }
        Arc::new(Self {
            inbox,
            bell: Arc::clone(&common.bell),
            clock: Arc::clone(&common.clock),
            limit: common.limits.waiting_bytes,
            waiting,
            next: std::sync::atomic::AtomicU32::new(0),
        })
    }

    /// Stores a document of a device and returns once it is on disk. Blocks.
    ///
    /// # Errors
    /// [`DoorError`]; only [`DoorError::Late`] leaves it open whether it is stored.
    pub fn put(&self, device: u64, document: &[u8], wait: Duration) -> Result<(), DoorError> {
        if document.len() > RECORD_MAX {
            return Err(DoorError::TooLong);
        }
        if self.inbox.waiting(Class::New) > self.limit {
            return Err(DoorError::Busy);
        }
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ticket, tx);
        {
            let mut q = self.inbox.lock();
            let chunk = q.open(Class::New);
            let before = chunk.body.len();
            let (hash, now) = (sha256(document), self.clock.now_ms());
            put_record(
                &mut chunk.body,
                Kind::Document,
                0,
                device,
                now,
                &hash,
                document,
            );
            chunk.acks.push(Ack {
                conn: ticket,
                generation: 0,
                answer: 0,
            });
            let added = chunk.body.len() - before;
            self.inbox.added(Class::New, added);
        }
        self.bell.ring();
        let done = rx.recv_timeout(wait);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&ticket);
        done.map_err(|_| DoorError::Late)
    }
}

/// A running gateway.
pub struct Running {
    dir: PathBuf,
    settings: Settings,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    recovery: Recovery,
    registry: Arc<Registry>,
    stats: Arc<Stats>,
    clock: Arc<SharedClock>,
    progress: Arc<Progress>,
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    door: Arc<Door>,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    quit: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
    accept: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    state: Arc<State>,
    /// Tells those who follow the log to leave.
    leave: Arc<AtomicBool>,
    followers: Vec<JoinHandle<()>>,
    relays: Vec<(String, Arc<RelayStats>)>,
}

impl Running {
    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// Addresses that it listens on in plain TCP.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
    /// Addresses that it listens on in TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
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
    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<SharedClock> {
        &self.clock
    }
    /// How far the log is durable.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
    /// What the readers hear beside data.
    #[must_use]
    pub fn hearing(&self) -> &Arc<Hearing> {
        &self.common.hearing
    }
    /// The door for documents.
    #[must_use]
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }
    /// Connections now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.common.open.load(Ordering::Acquire)
    }
    /// A handle that sends to devices.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller {
            common: Arc::clone(&self.common),
            orders: self.orders.clone(),
        }
    }

    /// What those need who follow the log.
    #[must_use]
    pub fn follow(&self) -> Follow {
        Follow {
            log: paths::log(&self.dir),
            progress: Arc::clone(&self.progress),
            registry: Arc::clone(&self.registry),
            hearing: Arc::clone(&self.common.hearing),
            clock: Arc::clone(&self.clock),
            state: Arc::clone(&self.state),
            utc_offset_minutes: self.settings.utc_offset_minutes,
        }
    }

    /// Live state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Counters of the relays, by name.
    #[must_use]
    pub fn relays(&self) -> &[(String, Arc<RelayStats>)] {
        &self.relays
    }

    /// Starts what follows the log: live state, relays, commands, brokers, retention.
    ///
    /// # Errors
    /// [`GatewayError`] if a thread cannot be started or the log cannot be read.
    pub fn attend(&mut self, patience: Patience) -> Result<(), GatewayError> {
        let follow = self.follow();
        let from = crate::state::start_of_hours(&follow.log, self.clock.now_ms())?;
        let (f, stop) = (follow.clone(), Arc::clone(&self.leave));
        self.followers.push(spawn("miyun-state".into(), move || {
            crate::state::follow(&Arc::clone(&f.state), &f, from, &stop);
        })?);
        for to in self.settings.relay.clone() {
            let stats = Arc::new(RelayStats::default());
            self.relays.push((to.name.clone(), Arc::clone(&stats)));
            let (f, stop, dir) = (follow.clone(), Arc::clone(&self.leave), self.dir.clone());
            self.followers
                .push(spawn(format!("miyun-relay-{}", to.name), move || {
                    crate::relay::run(dir, &to, &f, &stats, &stop);
                })?);
        }
        let (f, stop, dir, caller) = (
            follow.clone(),
            Arc::clone(&self.leave),
            self.dir.clone(),
            self.caller(),
        );
        self.followers.push(spawn("miyun-commands".into(), move || {
            crate::command::run(&dir, &f, &caller, patience, &stop);
        })?);
        for from in self.settings.mqtt.clone() {
            let (door, stop, registry, clock) = (
                Arc::clone(&self.door),
                Arc::clone(&self.leave),
                Arc::clone(&self.registry),
                Arc::clone(&self.clock),
            );
            self.followers.push(spawn("miyun-mqtt".into(), move || {
                crate::mqtt::run(&from, &door, &registry, &clock, &stop);
            })?);
        }
        let (f, stop, dir, keep) = (
            follow,
            Arc::clone(&self.leave),
            self.dir.clone(),
            self.settings.keep,
        );
        let mut readers: Vec<String> = self.settings.relay.iter().map(|r| r.name.clone()).collect();
        readers.push("lake".into());
        self.followers.push(spawn("miyun-keep".into(), move || {
            keep_log(&dir, keep, &readers, &f, &stop)
        })?);
        Ok(())
    }

    /// Stops listening, writes what waits, answers it, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.leave.store(true, Ordering::Release);
        self.quit.notify_one();
        if let Some(t) = self.accept.take() {
            let _ = t.join();
        }
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(w) = self.writer.take() {
            let _ = w.join();
        }
        for o in &self.orders {
            let _ = o.send(Order::Stop);
        }
        for t in self.threads.drain(..).chain(self.followers.drain(..)) {
            let _ = t.join();
        }
    }
}

/// Packs and removes old segments once a minute, never one that a reader still needs.
fn keep_log(dir: &Path, keep: Keeping, readers: &[String], f: &Follow, stop: &AtomicBool) {
    let mut waited = 0;
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(500));
        waited += 1;
        if waited % 120 != 1 || keep == Keeping::default() {
            continue;
        }
        let needed = readers
            .iter()
            .map(|r| crate::relay::read_cursor(dir, r))
            .try_fold(f.progress.end(), |least, c| c.map(|c| least.min(c)));
        match needed.and_then(|n| keep.apply(&f.log, n, f.clock.now_ms())) {
            Ok(done) if done.packed + done.removed > 0 => {
                tracing::info!(
                    "log: {} segments packed, {} removed",
                    done.packed,
                    done.removed
                );
            }
            Ok(_) => {}
            Err(e) => tracing::error!("{e}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// What those need who follow a running gateway's log.
#[derive(Clone)]
pub struct Follow {
    /// Folder of the log.
    pub log: PathBuf,
    /// How far it is durable.
    pub progress: Arc<Progress>,
    /// The registry.
    pub registry: Arc<Registry>,
    /// What the readers hear beside data.
    pub hearing: Arc<Hearing>,
    /// The clock.
    pub clock: Arc<SharedClock>,
    /// Live state.
    pub state: Arc<State>,
    /// The gateway's zone.
    pub utc_offset_minutes: i32,
}

/// Sends bytes to devices that are connected.
#[derive(Clone)]
pub struct Caller {
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Caller {
    /// True if the device is connected.
    #[must_use]
    pub fn online(&self, device: u64) -> bool {
        self.line(device).is_some()
    }

    fn line(&self, device: u64) -> Option<Line> {
        self.common
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&device)
            .copied()
    }

    /// Sends `bytes` to a device; false if it is not connected.
    #[must_use]
    pub fn send(&self, device: u64, bytes: Vec<u8>) -> bool {
        self.line(device).is_some_and(|l| {
            self.orders.get(l.shard).is_some_and(|o| {
                o.send(Order::Send {
                    conn: l.conn,
                    generation: l.generation,
                    bytes,
                })
                .is_ok()
            })
        })
    }
}
