//! The log itself: appends batches to segments, and reads them back in order.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::error::JournalError;
use crate::format::{
    HEADER_HASHED_LEN, Header, SEGMENT_HEAD_LEN, read_batch, read_segment_head, segment_head,
};
use crate::merkle::{Hash, Tree};
use crate::storage::Storage;

/// A segment takes no new batch once it is longer than this.
pub const SEGMENT_LEN: u64 = 64 << 20;
/// The file that a ledger starts from.
pub const GENESIS: &str = "genesis";

/// The name of the segment that starts with this batch.
#[must_use]
pub fn segment_name(first_batch: u64) -> String {
    format!("{first_batch:016x}.seg")
}

/// The batch that a segment of this name starts with.
#[must_use]
pub fn segment_first(name: &str) -> Option<u64> {
    let hex = name.strip_suffix(".seg")?;
    (hex.len() == 16)
        .then(|| u64::from_str_radix(hex, 16).ok())
        .flatten()
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First record.
    pub first_record: u64,
    /// The segment's first batch.
    pub segment: u64,
    /// Offset in the segment.
    pub at: u64,
    /// Length.
    pub len: u32,
}

/// What is known about the durable batches: shared between the writer and those who prove.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The tree over their headers.
    pub tree: Tree,
    /// Where they lie. Batches before a snapshot that recovery started from have no place here.
    pub places: Vec<Place>,
    /// The first batch with a place.
    pub first_place: u64,
    /// Durable records.
    pub records: u64,
    /// Instant of the last batch.
    pub time: miyun_ledger::Time,
    /// State digest after the last batch.
    pub digest: Hash,
}

/// An index that grows behind a lock.
#[derive(Debug, Clone, Default)]
pub struct SharedIndex(Arc<RwLock<Index>>);

impl SharedIndex {
    pub(crate) fn new(index: Index) -> Self {
        Self(Arc::new(RwLock::new(index)))
    }

    /// The index as of now.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, header: &Header, hash: Hash, place: Place) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.tree.push(hash);
        index.places.push(place);
        index.records = header.first_record + u64::from(header.records);
        index.time = header.time;
        index.digest = header.digest;
    }
}

/// A batch ready to be written: everything but its place in the chain.
#[derive(Debug)]
pub struct Sealed {
    /// Its header; `previous` and `records_root` are filled in by the log.
    pub header: Header,
    /// Its body.
    pub body: Vec<u8>,
    /// Start and end of each record in the body.
    pub spans: Vec<(u32, u32)>,
}

/// The writer of the log.
#[derive(Debug)]
pub struct Log<S> {
    storage: S,
    ledger: [u8; 32],
    genesis_hash: Hash,
    index: SharedIndex,
    segment: u64,
    segment_len: u64,
    stopped: bool,
    buffer: Vec<u8>,
}

impl<S: Storage> Log<S> {
    pub(crate) fn new(
        storage: S,
        ledger: [u8; 32],
        genesis_hash: Hash,
        index: Index,
        segment: u64,
        segment_len: u64,
    ) -> Self {
        Self {
            storage,
            ledger,
            genesis_hash,
            index: SharedIndex::new(index),
            segment,
            segment_len,
            stopped: false,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn index(&self) -> &SharedIndex {
        &self.index
    }

    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// Hashes, chains, appends and syncs a batch. When it returns, the batch is durable.
    ///
    /// # Errors
    /// [`JournalError::Storage`]; from then on [`JournalError::Stopped`].
    pub fn append(&mut self, mut sealed: Sealed) -> Result<Header, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        let leaves: Vec<Hash> = sealed
            .spans
            .iter()
            .map(|&(start, end)| crate::merkle::leaf(&sealed.body[start as usize..end as usize]))
            .collect();
        sealed.header.records_root = crate::merkle::root(&leaves);
        let batches = {
            let index = self.index.read();
            sealed.header.previous = match index.tree.leaves() {
                [] => self.genesis_hash,
                _ => index.tree.root(),
            };
            index.tree.leaves().len() as u64
        };
        sealed.header.batch = batches;
        let bytes = sealed.header.to_bytes();
        let hash = crate::merkle::leaf(&bytes);
        self.buffer.clear();
        if self.segment_len == 0 || self.segment_len > SEGMENT_LEN {
            self.segment = batches;
            self.segment_len = 0;
            self.buffer
                .extend_from_slice(&segment_head(&self.ledger, batches));
        }
        let at = self.segment_len + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        self.buffer.extend_from_slice(&hash);
        self.buffer.extend_from_slice(&sealed.body);
        let name = segment_name(self.segment);
        self.write(&name)?;
        self.segment_len += self.buffer.len() as u64;
        let place = Place {
            first_record: sealed.header.first_record,
            segment: self.segment,
            at,
            len: (HEADER_HASHED_LEN + sealed.body.len()) as u32,
        };
        self.index.push(&sealed.header, hash, place);
        Ok(sealed.header)
    }

    fn write(&mut self, name: &str) -> Result<(), JournalError> {
        let failed = |what, error| JournalError::Storage {
            what,
            name: name.to_owned(),
            error,
        };
        // until both have succeeded nothing is known about the tail of the file
        self.stopped = true;
        self.storage
            .append(name, &self.buffer)
            .map_err(|e| failed("append", e))?;
        self.storage.sync(name).map_err(|e| failed("sync", e))?;
        self.stopped = false;
        Ok(())
    }
}

/// Where reading a log stopped before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub segment: String,
    /// Offset of the first byte that is no valid batch.
    pub at: u64,
    /// Bytes from there to the end.
    pub bytes: u64,
    /// Why it is no valid batch.
    pub reason: String,
}

/// What a walk over the log found.
#[derive(Debug)]
pub struct Walked {
    /// Headers, their tree and their places.
    pub index: Index,
    /// First batch of the last segment, and its valid length; nothing if there is no segment.
    pub last: Option<(u64, u64)>,
    /// What lies behind the last valid batch.
    pub torn: Option<Torn>,
}

/// Walks over all batches from `start` on, in order, and gives each to `visit`. Checks hashes,
/// roots, the chain and the order of numbers and instants.
///
/// A tail of the last segment that is no valid batch, and behind which no valid header follows, is
/// torn: the walk ends before it and says so. Anything else that is not as written is corrupt.
///
/// # Errors
/// [`JournalError::Corrupt`], [`JournalError::Storage`], and what `visit` returns.
pub fn walk<S: Storage>(
    storage: &S,
    ledger: &[u8; 32],
    genesis_hash: &Hash,
    start: Option<Index>,
    mut visit: impl FnMut(&crate::format::Batch<'_>) -> Result<(), JournalError>,
) -> Result<Walked, JournalError> {
    let names = storage.list().map_err(|error| JournalError::Storage {
        what: "list",
        name: String::new(),
        error,
    })?;
    let segments: Vec<u64> = names.iter().filter_map(|n| segment_first(n)).collect();
    let mut index = start.unwrap_or_default();
    let skip = index.tree.leaves().len() as u64;
    index.first_place = u64::MAX;
    let mut last = None;
    let mut expected = None;
    for (n, &first) in segments.iter().enumerate() {
        // everything before the next segment's first batch was seen by the snapshot
        if segments.get(n + 1).is_some_and(|&next| next <= skip) {
            continue;
        }
        let name = segment_name(first);
        let corrupt = |at: usize, reason: String| JournalError::Corrupt {
            segment: name.clone(),
            at: at as u64,
            reason,
        };
        let bytes = storage.read(&name).map_err(|error| JournalError::Storage {
            what: "read",
            name: name.clone(),
            error,
        })?;
        let is_last = n + 1 == segments.len();
        let torn = |at: usize, reason: String| Torn {
            segment: name.clone(),
            at: at as u64,
            bytes: (bytes.len() - at) as u64,
            reason,
        };
        match read_segment_head(&bytes) {
            Ok((id, number)) if id == *ledger && number == first => {}
            Ok(_) => {
                return Err(corrupt(
                    0,
                    "the segment belongs to another ledger or place".into(),
                ));
            }
            Err(reason) => {
                if is_last && !valid_header_follows(&bytes, 0, first) {
                    return Ok(Walked {
                        index,
                        last,
                        torn: Some(torn(0, reason)),
                    });
                }
                return Err(corrupt(0, reason));
            }
        }
        let mut at = SEGMENT_HEAD_LEN;
        let mut number = *expected.get_or_insert(first);
        if number != first || first > skip && index.tree.leaves().len() as u64 != first {
            return Err(corrupt(
                0,
                format!("batch {number} is missing before this segment"),
            ));
        }
        while at < bytes.len() {
            let batch = match read_batch(&bytes[at..]) {
                Ok(batch) => batch,
                Err(reason) => {
                    if is_last && !valid_header_follows(&bytes, at + 1, number) {
                        return Ok(Walked {
                            index,
                            last: Some((first, at as u64)),
                            torn: Some(torn(at, reason)),
                        });
                    }
                    return Err(corrupt(at, reason));
                }
            };
            if batch.header.batch != number || batch.header.ledger != *ledger {
                return Err(corrupt(at, format!("batch {number} should stand here")));
            }
            if number < skip {
                if index.tree.leaves()[number as usize] != batch.hash {
                    return Err(corrupt(
                        at,
                        "a batch is not the one the snapshot knows".into(),
                    ));
                }
            } else {
                let previous = match index.tree.leaves() {
                    [] => *genesis_hash,
                    _ => index.tree.root(),
                };
                if batch.header.previous != previous {
                    return Err(corrupt(
                        at,
                        "the header does not follow from those before".into(),
                    ));
                }
                let first_record = batch.header.first_record;
                let earlier = number > 0 && batch.header.time < index.time;
                if first_record != index.records || earlier {
                    return Err(corrupt(
                        at,
                        "record numbers or instants do not follow".into(),
                    ));
                }
                index.tree.push(batch.hash);
                index.records += u64::from(batch.header.records);
                index.time = batch.header.time;
                index.digest = batch.header.digest;
                visit(&batch)?;
            }
            if index.first_place == u64::MAX {
                index.first_place = number;
            }
            index.places.push(Place {
                first_record: batch.header.first_record,
                segment: first,
                at: at as u64,
                len: batch.len as u32,
            });
            number += 1;
            at += batch.len;
        }
        expected = Some(number);
        last = Some((first, bytes.len() as u64));
    }
    if index.first_place == u64::MAX {
        index.first_place = index.tree.leaves().len() as u64;
    }
    if (index.tree.leaves().len() as u64) < skip || expected.is_some_and(|n| n < skip) {
        return Err(JournalError::Corrupt {
            segment: segment_name(skip),
            at: 0,
            reason: "the log ends before the snapshot".to_owned(),
        });
    }
    Ok(Walked {
        index,
        last,
        torn: None,
    })
}

/// True if somewhere behind `from` stands a valid header of batch `number` or a later one: then
/// what lies before it was once durable, and is not a torn tail.
fn valid_header_follows(bytes: &[u8], from: usize, number: u64) -> bool {
    let mut at = from;
    while let Some(found) = bytes.get(at..).and_then(|rest| {
        rest.windows(crate::format::BATCH_MAGIC.len())
            .position(|w| w == crate::format::BATCH_MAGIC)
    }) {
        at += found;
        if let Ok((header, _)) = crate::format::read_header(&bytes[at..])
            && header.batch >= number
        {
            return true;
        }
        at += 1;
    }
    false
}
