//! The append-only frame log. A batch is on disk, whole, before [`FrameLog::commit`] returns; a torn
//! tail is cut when the log is opened, and said.

mod format;
mod keep;
mod proof;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::BuildHasherDefault;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use format::{
    BACKFILL, BATCH_HEAD, BODY_MAX, BatchHead, Kind, RECORD_HEAD, RECORD_MAX, Record, Records,
    put_record,
};
pub use keep::{Keeping, Kept};
pub use proof::{DayRoot, Proof, ProofError, day_number, prove, verify};
pub use read::{Batch, Position, Reader, first_record, first_time, segments, whole};

use crate::GatewayError;
use crate::files::{Files, SegmentFile};
use crate::merkle::{self, Frontier, Hash};
use crate::seen::AsIs;

/// Settings of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// A segment longer than this is closed and a new one begun.
    pub segment_bytes: u64,
    /// Offset of the zone whose days get a root, in minutes.
    pub utc_offset_minutes: i32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            utc_offset_minutes: 480,
        }
    }
}

/// What recovery needs of everything before a segment; stands at its beginning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Past {
    /// Number of the segment's first batch.
    batch: u64,
    /// Number of its first record.
    record: u64,
    /// When the last batch before it was closed.
    time_ms: i64,
    #[serde(with = "merkle::hex_hash")]
    previous: Hash,
    day: Option<OpenDay>,
    /// Chain of each device: its number, records, head.
    chains: BTreeMap<u64, Chain>,
}

/// Hash chain over the records of one device: `head = SHA-256(head before || leaf)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Records in it.
    pub records: u64,
    /// Its last link.
    #[serde(with = "merkle::hex_hash")]
    pub head: Hash,
}

/// A torn tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Segment.
    pub path: PathBuf,
    /// Length that is left.
    pub at: u64,
    /// Bytes that were cut: part of a batch that was never acknowledged.
    pub bytes: u64,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Number of the batch.
    pub batch: u64,
    /// Number of its first record.
    pub first: u64,
    /// Where the log ends now.
    pub end: Position,
}

/// The tree of the day that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenDay {
    day: i32,
    first_batch: u64,
    first_record: u64,
    tree: Frontier,
}

/// A log open for writing; one process at a time.
pub struct FrameLog {
    dir: PathBuf,
    settings: LogSettings,
    files: Box<dyn Files>,
    file: Option<Box<dyn SegmentFile>>,
    segment: u64,
    length: u64,
    batch: u64,
    record: u64,
    time_ms: i64,
    previous: Hash,
    day: Option<OpenDay>,
    /// No batch may join a day before this one: its root is published.
    day_floor: i32,
    chains: HashMap<u64, Chain, BuildHasherDefault<AsIs>>,
    buffer: Vec<u8>,
    packed: Vec<u8>,
    leaves: Vec<Hash>,
    _lock: File,
}

impl FrameLog {
    /// Opens the log in `dir`, cuts a torn tail, and shows the batches of the last segment to
    /// `visit`: what opening has read need not be read again.
    ///
    /// # Errors
    /// [`GatewayError`] if the folder cannot be used, another process writes the log, or a segment
    /// is damaged elsewhere than at its tail.
    pub fn open(
        dir: &Path,
        settings: LogSettings,
        files: Box<dyn Files>,
        visit: &mut dyn FnMut(&Batch),
    ) -> Result<(Self, Option<Cut>), GatewayError> {
        fs::create_dir_all(dir).map_err(|e| GatewayError::io(dir, e))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(|e| GatewayError::io(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(GatewayError::Locked(dir.to_owned())),
            Err(fs::TryLockError::Error(e)) => return Err(GatewayError::io(&lock_path, e)),
        }
        let mut log = Self {
            dir: dir.to_owned(),
            settings,
            files,
            file: None,
            segment: 0,
            length: 0,
            batch: 0,
            record: 0,
            time_ms: i64::MIN,
            previous: [0; 32],
            day: None,
            day_floor: i32::MIN,
            chains: HashMap::default(),
            buffer: Vec::new(),
            packed: Vec::new(),
            leaves: Vec::new(),
            _lock: lock,
        };
        let cut = log.recover(visit)?;
        Ok((log, cut))
    }

    fn recover(&mut self, visit: &mut dyn FnMut(&Batch)) -> Result<Option<Cut>, GatewayError> {
        let mut segments = segments(&self.dir)?;
        let mut lost = None;
        // A segment without a whole head never held a batch: the crash came while it was begun.
        let (past, start) = loop {
            let Some((_, path)) = segments.last().cloned() else {
                return Ok(lost);
            };
            match read_past(&path)? {
                Some(p) => break p,
                None => {
                    let bytes = fs::metadata(&path).map_or(0, |m| m.len());
                    fs::remove_file(&path).map_err(|e| GatewayError::io(&path, e))?;
                    lost = Some(Cut { path, at: 0, bytes });
                    segments.pop();
                }
            }
        };
        let Some((number, path)) = segments.last().cloned() else {
            return Ok(lost);
        };
        self.take_past(past);
        self.segment = number;
        let mut reader = Reader::at(
            &self.dir,
            Position {
                segment: number,
                offset: start,
            },
        );
        let mut end = start;
        while let Some(batch) = reader.next_intact()? {
            if batch.head.number != self.batch || batch.head.previous != self.previous {
                return Err(GatewayError::Damaged {
                    path,
                    at: end,
                    reason: format!(
                        "batch {} follows batch {}",
                        batch.head.number,
                        self.batch.wrapping_sub(1)
                    ),
                });
            }
            self.account(&batch.head, &batch.body);
            visit(&batch);
            end = reader.position().offset;
        }
        let torn = read::written_beyond(&path, end).map_err(|e| GatewayError::io(&path, e))?;
        self.file = Some(
            self.files
                .resume(&path, end)
                .map_err(|e| GatewayError::io(&path, e))?,
        );
        self.length = end;
        Ok(if torn > 0 {
            Some(Cut {
                path,
                at: end,
                bytes: torn,
            })
        } else {
            lost
        })
    }

    fn take_past(&mut self, p: Past) {
        (self.batch, self.record, self.time_ms, self.previous) =
            (p.batch, p.record, p.time_ms, p.previous);
        self.day = p.day;
        self.chains = p.chains.into_iter().collect();
    }

    fn past(&self) -> Past {
        Past {
            batch: self.batch,
            record: self.record,
            time_ms: self.time_ms,
            previous: self.previous,
            day: self.day.clone(),
            chains: self.chains.iter().map(|(n, c)| (*n, *c)).collect(),
        }
    }

    /// Takes an intact batch into the running state.
    fn account(&mut self, head: &BatchHead, body: &[u8]) {
        for r in Records(body) {
            self.link(r.device, &r.leaf());
        }
        self.close_batch(head);
    }

    /// The next link of a device's chain.
    fn link(&mut self, device: u64, leaf: &Hash) {
        let c = self.chains.entry(device).or_insert(Chain {
            records: 0,
            head: [0; 32],
        });
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&c.head);
        bytes[32..].copy_from_slice(leaf);
        c.head = merkle::sha256(&bytes);
        c.records += 1;
    }

    fn close_batch(&mut self, head: &BatchHead) {
        if self.day.as_ref().is_none_or(|d| d.day != head.day) {
            self.day = Some(OpenDay {
                day: head.day,
                first_batch: head.number,
                first_record: head.first,
                tree: Frontier::default(),
            });
        }
        if let Some(d) = &mut self.day {
            d.tree.push(merkle::leaf(&head.root));
        }
        self.batch = head.number + 1;
        self.record = head.first + u64::from(head.records);
        self.time_ms = head.time_ms;
        self.previous = head_hash(head);
    }

    /// Writes `body` (records as [`put_record`] makes them) as one batch and returns when it is on
    /// the disk. After an error nothing of it counts as stored and it may be offered again.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses.
    pub fn commit(
        &mut self,
        body: &[u8],
        records: u32,
        time_ms: i64,
    ) -> Result<(Receipt, Option<DayRoot>), GatewayError> {
        debug_assert!(body.len() <= BODY_MAX);
        let time_ms = time_ms.max(self.time_ms);
        let day = self
            .day_of(time_ms)
            .max(self.day_floor)
            .max(self.day.as_ref().map_or(i32::MIN, |d| d.day));
        let full = self.length > self.settings.segment_bytes && self.batch > self.segment;
        if self.file.is_none() || full {
            self.roll()?;
        }
        // Leaves first; chains only move once the batch is on the disk.
        self.leaves.clear();
        self.leaves.extend(Records(body).map(|r| r.leaf()));
        debug_assert_eq!(self.leaves.len(), records as usize);
        self.packed
            .resize(lz4_flex::block::get_maximum_output_size(body.len()), 0);
        let stored = match lz4_flex::block::compress_into(body, &mut self.packed) {
            Ok(n) if n < body.len() => &self.packed[..n],
            _ => body,
        };
        let head = BatchHead {
            stored_len: u32::try_from(stored.len()).unwrap_or(u32::MAX),
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            records,
            number: self.batch,
            first: self.record,
            time_ms,
            day,
            root: merkle::root(&self.leaves),
            previous: self.previous,
        };
        self.buffer.clear();
        head.put(stored, &mut self.buffer);
        self.write_buffer()?;
        let ended = self
            .day
            .as_ref()
            .filter(|d| d.day < day)
            .map(|d| d.root_of());
        let leaves = std::mem::take(&mut self.leaves);
        for (r, leaf) in Records(body).zip(&leaves) {
            self.link(r.device, leaf);
        }
        self.leaves = leaves;
        self.close_batch(&head);
        self.length += self.buffer.len() as u64;
        Ok((
            Receipt {
                batch: head.number,
                first: head.first,
                end: self.end(),
            },
            ended,
        ))
    }

    fn write_buffer(&mut self) -> Result<(), GatewayError> {
        let path = read::segment_path(&self.dir, self.segment);
        let Some(file) = self.file.as_mut() else {
            return Err(GatewayError::io(
                &path,
                std::io::Error::other("segment is not open"),
            ));
        };
        let done = file.write(&self.buffer).and_then(|()| file.sync());
        if let Err(e) = done {
            // After a failed sync nobody knows what the disk holds. Cut back to what was durable;
            // where even that fails the file is given up and opened anew before the next attempt.
            let cut = file.cut(self.length).and_then(|()| file.sync());
            if cut.is_err() {
                self.file = None;
                self.file = self.files.resume(&path, self.length).ok();
            }
            return Err(GatewayError::io(&path, e));
        }
        Ok(())
    }

    /// Begins a new segment, named by its first batch.
    fn roll(&mut self) -> Result<(), GatewayError> {
        let path = read::segment_path(&self.dir, self.batch);
        // Left by a failed attempt to begin it: a segment is named by its first batch, and that
        // batch is not stored yet.
        if path.exists() {
            fs::remove_file(&path).map_err(|e| GatewayError::io(&path, e))?;
        }
        let state = serde_json::to_vec(&self.past()).map_err(|e| GatewayError::Damaged {
            path: path.clone(),
            at: 0,
            reason: e.to_string(),
        })?;
        let mut head = Vec::with_capacity(state.len() + 16);
        head.extend_from_slice(format::SEGMENT_MAGIC);
        head.extend_from_slice(&u32::try_from(state.len()).unwrap_or(u32::MAX).to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(&state).to_le_bytes());
        head.extend_from_slice(&state);
        let made = self.files.create(&path).and_then(|mut f| {
            f.write(&head)?;
            f.sync()?;
            Ok(f)
        });
        match made {
            Ok(f) => {
                // What was reserved in the old segment and not written is given back. Zeros left by
                // a crash at this moment do no harm: no batch begins with them.
                if let Some(old) = &mut self.file
                    && let Err(e) = old.cut(self.length)
                {
                    tracing::warn!("segment {}: {e}", self.segment);
                }
                (self.file, self.segment, self.length) = (Some(f), self.batch, head.len() as u64);
                Ok(())
            }
            Err(e) => {
                let _ = fs::remove_file(&path);
                Err(GatewayError::io(&path, e))
            }
        }
    }

    /// Later batches belong to `day` or a later one, whatever the clock says: the roots before it
    /// are published.
    pub fn not_before_day(&mut self, day: i32) {
        self.day_floor = self.day_floor.max(day);
    }

    /// Where the log ends.
    #[must_use]
    pub fn end(&self) -> Position {
        Position {
            segment: self.segment,
            offset: self.length,
        }
    }

    /// Time of the last batch, `i64::MIN` if there is none.
    #[must_use]
    pub fn last_time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Batches and records so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.batch, self.record)
    }

    /// The chain of a device.
    #[must_use]
    pub fn chain(&self, device: u64) -> Option<Chain> {
        self.chains.get(&device).copied()
    }

    /// The root of the open day as of now.
    #[must_use]
    pub fn open_day(&self) -> Option<DayRoot> {
        self.day.as_ref().map(OpenDay::root_of)
    }

    /// Day of an instant in the log's zone.
    #[must_use]
    pub fn day_of(&self, time_ms: i64) -> i32 {
        day_of(time_ms, self.settings.utc_offset_minutes)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl OpenDay {
    fn root_of(&self) -> DayRoot {
        DayRoot {
            day: proof::date(self.day),
            first_batch: self.first_batch,
            batches: self.tree.size(),
            first_record: self.first_record,
            root: self.tree.root(),
        }
    }
}

/// Day of an instant, days since 1970, in a zone.
#[must_use]
pub fn day_of(time_ms: i64, utc_offset_minutes: i32) -> i32 {
    let local = time_ms.saturating_add(i64::from(utc_offset_minutes) * 60_000);
    i32::try_from(local.div_euclid(86_400_000)).unwrap_or(i32::MAX)
}

/// SHA-256 of a batch's head as stored, without its checksum.
fn head_hash(head: &BatchHead) -> Hash {
    let mut bytes = Vec::with_capacity(BATCH_HEAD);
    head.put(&[], &mut bytes);
    merkle::sha256(&bytes[8..])
}

/// State and length of a segment's head; `None` if it is not whole.
fn read_past(path: &Path) -> Result<Option<(Past, u64)>, GatewayError> {
    let file = File::open(path).map_err(|e| GatewayError::io(path, e))?;
    let mut head = [0; 16];
    if file.read_exact_at(&mut head, 0).is_err() || !head.starts_with(format::SEGMENT_MAGIC) {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let crc = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    if u64::from(length) > file.metadata().map_or(0, |m| m.len()) {
        return Ok(None);
    }
    let mut state = vec![0; length as usize];
    if file.read_exact_at(&mut state, 16).is_err() || crc32c::crc32c(&state) != crc {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&state)
        .ok()
        .map(|p| (p, 16 + u64::from(length))))
}

#[cfg(test)]
mod tests;
