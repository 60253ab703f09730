//! The one thread that writes: takes what the readers parsed, leaves out doubles, makes one batch,
//! and gives the answers back once it is on disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::GatewayError;
use crate::clock::{Clock, Jump};
use crate::log::{DayRoot, FrameLog, Position, Receipt, Records, day_of};
use crate::merkle::Hash;
use crate::registry::Registry;
use crate::seen::Seen;

/// Where batches become durable.
pub trait Store: Send {
    /// Makes `body` durable as one batch and returns only then. After an error nothing of it counts
    /// as stored, and it may be offered again.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses.
    fn commit(
        &mut self,
        body: &[u8],
        records: u32,
        time_ms: i64,
    ) -> Result<(Receipt, Option<DayRoot>), GatewayError>;

    /// The root of the open day.
    fn open_day(&self) -> Option<DayRoot>;

    /// Later batches belong to `day` or a later one.
    fn not_before_day(&mut self, day: i32);
}

impl Store for FrameLog {
    fn commit(
        &mut self,
        body: &[u8],
        records: u32,
        time_ms: i64,
    ) -> Result<(Receipt, Option<DayRoot>), GatewayError> {
        Self::commit(self, body, records, time_ms)
    }
    fn open_day(&self) -> Option<DayRoot> {
        Self::open_day(self)
    }
    fn not_before_day(&mut self, day: i32) {
        Self::not_before_day(self, day);
    }
}

/// Bytes after which a chunk is closed.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of a batch: new data first, then back-fill.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of back-fill in a batch of its own: new data that come meanwhile wait for it.
const BACKFILL_ALONE: usize = 1 << 20;
/// Bytes of back-fill in a batch that also has new data, so that new data are not kept waiting.
const BACKFILL_SHARE: usize = 512 << 10;

/// Whom an answer goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    pub conn: u32,
    pub generation: u32,
    /// Bytes of the answer in the chunk's answers; may be 0.
    pub answer: u32,
}

/// Records of one reader, and the answers due once they are on disk.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub body: Vec<u8>,
    pub answers: Vec<u8>,
    pub acks: Vec<Ack>,
}

impl Chunk {
    fn clear(&mut self) {
        self.body.clear();
        self.answers.clear();
        self.acks.clear();
    }
    fn size(&self) -> usize {
        self.body.len() + self.answers.len()
    }
}

/// New data, or back-fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    New = 0,
    Backfill = 1,
}

#[derive(Debug, Default)]
pub(crate) struct Queues {
    chunks: [VecDeque<Chunk>; 2],
    spare: Vec<Chunk>,
}

impl Queues {
    /// The chunk that is being filled.
    pub fn open(&mut self, class: Class) -> &mut Chunk {
        let queue = &mut self.chunks[class as usize];
        if queue.back().is_none_or(|c| c.size() >= CHUNK_BYTES) {
            queue.push_back(self.spare.pop().unwrap_or_default());
        }
        let last = queue.len() - 1;
        &mut queue[last]
    }
}

/// What one reader hands over.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    waiting: [AtomicUsize; 2],
}

impl Inbox {
    pub fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that were added to a class.
    pub fn added(&self, class: Class, bytes: usize) {
        self.waiting[class as usize].fetch_add(bytes, Ordering::AcqRel);
    }

    /// Bytes that wait, or are being written, in a class.
    pub fn waiting(&self, class: Class) -> usize {
        self.waiting[class as usize].load(Ordering::Acquire)
    }

    /// Gives a chunk's memory back.
    pub fn recycle(&self, mut chunk: Chunk) {
        chunk.clear();
        let mut q = self.lock();
        if q.spare.len() < 32 {
            q.spare.push(chunk);
        }
    }
}

/// A written chunk on its way back to its reader.
pub(crate) struct Written {
    pub chunk: Chunk,
}

/// Wakes the writer.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condvar: Condvar,
    sleeping: AtomicBool,
}

impl Bell {
    pub fn ring(&self) {
        if self.sleeping.load(Ordering::SeqCst) {
            *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.condvar.notify_one();
        }
    }

    fn wait(&self, at_most: Duration, ready: impl Fn() -> bool) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleeping.store(true, Ordering::SeqCst);
        if !*rung && !ready() {
            rung = self
                .condvar
                .wait_timeout(rung, at_most)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        self.sleeping.store(false, Ordering::SeqCst);
        *rung = false;
    }
}

/// How far the log is durable, for those who read it.
#[derive(Debug, Default)]
pub struct Progress {
    end: Mutex<(Position, u64)>,
    moved: Condvar,
    /// Root of the open day as of the last commit.
    day: Mutex<Option<DayRoot>>,
}

impl Progress {
    /// Where the durable log ends.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The open day's root.
    #[must_use]
    pub fn open_day(&self) -> Option<DayRoot> {
        self.day
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the log goes beyond `at`, or for `at_most`; gives the end.
    #[must_use]
    pub fn wait_beyond(&self, at: Position, at_most: Duration) -> Position {
        let guard = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = self
            .moved
            .wait_timeout_while(guard, at_most, |(end, _)| *end <= at)
            .unwrap_or_else(PoisonError::into_inner);
        guard.0
    }

    pub(crate) fn set(&self, end: Position, day: Option<DayRoot>) {
        let mut guard = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 = end;
        guard.1 += 1;
        drop(guard);
        *self.day.lock().unwrap_or_else(PoisonError::into_inner) = day;
        self.moved.notify_all();
    }
}

/// Counters of a gateway; all only grow.
#[derive(Debug, Default)]
pub struct Stats {
    /// Frames stored.
    pub frames: AtomicU64,
    /// Bytes stored.
    pub bytes: AtomicU64,
    /// Frames answered that were stored before.
    pub doubles: AtomicU64,
    /// Batches written.
    pub batches: AtomicU64,
    /// Microseconds spent in commits.
    pub commit_us: AtomicU64,
    /// Failed attempts to write.
    pub failures: AtomicU64,
    /// Candidates kept in quarantine.
    pub quarantined: AtomicU64,
    /// Bytes that belong to no frame.
    pub noise: AtomicU64,
    /// Connections taken.
    pub connections: AtomicU64,
    /// Connections turned away or closed for a limit.
    pub turned_away: AtomicU64,
    /// Jumps of the machine's clock.
    pub clock_jumps: AtomicU64,
    /// Log2 of commit time in microseconds, counted.
    pub commit_histogram: [AtomicU64; 24],
}

/// A snapshot of [`Stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs)]
pub struct StatsNow {
    pub frames: u64,
    pub bytes: u64,
    pub doubles: u64,
    pub batches: u64,
    pub commit_us: u64,
    pub failures: u64,
    pub quarantined: u64,
    pub noise: u64,
    pub connections: u64,
    pub turned_away: u64,
    pub clock_jumps: u64,
}

impl Stats {
    /// The counters now.
    #[must_use]
    pub fn now(&self) -> StatsNow {
        let g = |a: &AtomicU64| a.load(Ordering::Relaxed);
        StatsNow {
            frames: g(&self.frames),
            bytes: g(&self.bytes),
            doubles: g(&self.doubles),
            batches: g(&self.batches),
            commit_us: g(&self.commit_us),
            failures: g(&self.failures),
            quarantined: g(&self.quarantined),
            noise: g(&self.noise),
            connections: g(&self.connections),
            turned_away: g(&self.turned_away),
            clock_jumps: g(&self.clock_jumps),
        }
    }
}

/// Reads a wall clock, milliseconds since 1970 UTC.
pub type Wall = Box<dyn Fn() -> i64 + Send + Sync>;

/// The clock that all threads read.
pub struct SharedClock {
    clock: Mutex<Clock>,
    wall: Wall,
}

impl std::fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedClock").field(&self.clock).finish()
    }
}

impl SharedClock {
    /// A clock that does not start before `not_before_ms`.
    #[must_use]
    pub fn new(not_before_ms: i64, wall: Wall) -> Self {
        let clock = Clock::new(wall(), not_before_ms, Instant::now());
        Self {
            clock: Mutex::new(clock),
            wall,
        }
    }

    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at(Instant::now())
    }

    fn compare(&self) -> Option<Jump> {
        self.clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .compare((self.wall)(), Instant::now())
    }
}

/// Everything the writer works on.
pub(crate) struct Writer {
    pub store: Box<dyn Store>,
    pub seen: Seen,
    pub inboxes: Vec<Arc<Inbox>>,
    pub back: Vec<tokio::sync::mpsc::UnboundedSender<Written>>,
    pub bell: Arc<Bell>,
    pub stop: Arc<AtomicBool>,
    pub stats: Arc<Stats>,
    pub progress: Arc<Progress>,
    pub clock: Arc<SharedClock>,
    pub registry: Arc<Registry>,
    pub utc_offset_minutes: i32,
    /// Told of a day that is over; true once its root is published.
    pub publish: Box<dyn FnMut(&DayRoot) -> bool + Send>,
}

/// How often the writer looks at clocks and days while nothing comes.
const TICK: Duration = Duration::from_millis(500);
/// How long it waits after the disk refused.
const RETRY: Duration = Duration::from_millis(250);

impl Writer {
    /// Runs until told to stop and nothing waits.
    pub fn run(mut self) {
        let mut taken: Vec<(usize, Class, Chunk)> = Vec::new();
        let mut body = Vec::with_capacity(BATCH_BYTES);
        let mut fresh: Vec<Hash> = Vec::new();
        let mut ticked = Instant::now();
        let mut unpublished: Vec<DayRoot> = Vec::new();
        loop {
            self.take(&mut taken);
            if taken.is_empty() {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                let inboxes = &self.inboxes;
                self.bell.wait(TICK, || {
                    inboxes
                        .iter()
                        .any(|i| i.waiting(Class::New) + i.waiting(Class::Backfill) > 0)
                });
            } else {
                body.clear();
                fresh.clear();
                let mut doubles = 0;
                for (_, _, chunk) in &taken {
                    for r in Records(&chunk.body) {
                        if self.seen.insert(&r.hash) {
                            body.extend_from_slice(r.raw);
                            fresh.push(r.hash);
                        } else {
                            doubles += 1;
                        }
                    }
                }
                self.stats.doubles.fetch_add(doubles, Ordering::Relaxed);
                if !fresh.is_empty() {
                    match self.commit(&body, fresh.len()) {
                        Some(ended) => unpublished.extend(ended),
                        // Told to stop while the disk refuses: nothing of this was acknowledged.
                        None => return,
                    }
                }
                for (shard, class, chunk) in taken.drain(..) {
                    self.inboxes[shard].waiting[class as usize]
                        .fetch_sub(chunk.size(), Ordering::AcqRel);
                    // A reader that is gone needs no answers.
                    let _ = self.back[shard].send(Written { chunk });
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick(&mut unpublished);
            }
        }
    }

    /// Takes all new data and some back-fill, as much as one batch holds.
    fn take(&self, out: &mut Vec<(usize, Class, Chunk)>) {
        let mut bytes = 0;
        for class in [Class::New, Class::Backfill] {
            let share = match (class, bytes) {
                (Class::New, _) => BATCH_BYTES,
                (Class::Backfill, 0) => BACKFILL_ALONE,
                (Class::Backfill, b) => (b + BACKFILL_SHARE).min(BATCH_BYTES),
            };
            // Round robin, so that one reader's backlog does not hold up the other's.
            let mut some = true;
            while some && bytes < share {
                some = false;
                for (k, inbox) in self.inboxes.iter().enumerate() {
                    if bytes >= share || inbox.waiting(class) == 0 {
                        continue;
                    }
                    if let Some(chunk) = inbox.lock().chunks[class as usize].pop_front() {
                        bytes += chunk.body.len();
                        out.push((k, class, chunk));
                        some = true;
                    }
                }
            }
        }
    }

    /// Commits until the disk takes it; `None` if told to stop first.
    fn commit(&mut self, body: &[u8], records: usize) -> Option<Option<DayRoot>> {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        loop {
            let start = Instant::now();
            match self.store.commit(body, records, self.clock.now_ms()) {
                Ok((receipt, ended)) => {
                    let us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                    let s = &self.stats;
                    s.frames.fetch_add(u64::from(records), Ordering::Relaxed);
                    s.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                    s.batches.fetch_add(1, Ordering::Relaxed);
                    s.commit_us.fetch_add(us, Ordering::Relaxed);
                    let bin = (u64::BITS - us.leading_zeros()) as usize;
                    s.commit_histogram[bin.min(23)].fetch_add(1, Ordering::Relaxed);
                    self.progress.set(receipt.end, self.store.open_day());
                    return Some(ended);
                }
                Err(e) => {
                    // Said once a second at most; senders wait meanwhile, nothing is acknowledged.
                    let n = self.stats.failures.fetch_add(1, Ordering::Relaxed);
                    if n.is_multiple_of(4) {
                        tracing::error!("frames are not acknowledged, the disk refuses: {e}");
                    }
                    if self.stop.load(Ordering::Acquire) {
                        return None;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    fn tick(&mut self, unpublished: &mut Vec<DayRoot>) {
        if let Some(jump) = self.clock.compare() {
            self.stats.clock_jumps.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "the machine's clock jumped by {} ms; {}",
                jump.by_ms,
                if jump.believed {
                    "it lasted ten minutes and is taken over"
                } else {
                    "the gateway keeps its own time until it has lasted ten minutes"
                }
            );
        }
        if let Err(e) = self.registry.save() {
            tracing::error!("{e}");
        }
        let today = day_of(self.clock.now_ms(), self.utc_offset_minutes);
        if let Some(open) = self.store.open_day()
            && crate::log::day_number(open.day) < today
        {
            self.store.not_before_day(today);
            if !unpublished.contains(&open) {
                unpublished.push(open);
            }
        }
        unpublished.retain(|d| !(self.publish)(d));
    }
}
