//! Bytes of the frame log: segments of batches of records. All numbers are little-endian.
//!
//! ```text
//! segment  "MYFRLOG1" | length u32 | crc32c u32 | state (JSON: what recovery needs of the past)
//! batch    "BTCH" | crc32c u32 of all that follows | stored length u32 | records u32 | number u64
//!          | first record u64 | time ms i64 | day i32 | length u32 | Merkle root 32 | previous batch 32
//!          | records, as one LZ4 block if that is shorter than their length
//! record   length u32 | kind u8 | flags u8 | 0 u16 | device u64 | received ms i64
//!          | SHA-256 of the frame 32 | frame
//! ```
//! A record's leaf in the batch's tree is its 56-byte head, which holds the frame's SHA-256.

use crate::merkle::{self, Hash};

/// First bytes of a segment.
pub const SEGMENT_MAGIC: &[u8; 8] = b"MYFRLOG1";
/// First bytes of a batch.
pub const BATCH_MAGIC: &[u8; 4] = b"BTCH";
/// Length of a batch's head.
pub const BATCH_HEAD: usize = 112;
/// Length of a record's head.
pub const RECORD_HEAD: usize = 56;
/// Longest body that a reader takes; a longer one is damage.
pub const BODY_MAX: usize = 64 << 20;
/// Longest document of one record.
pub const RECORD_MAX: usize = 1 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A frame whose check passed.
    Frame = 0,
    /// Bytes with the shape of a frame whose check fails under the device's dialects: kept, never read as data until a person says how.
    Quarantined = 1,
    /// Readings that came through another door, as JSON.
    Document = 2,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Frame),
            1 => Some(Self::Quarantined),
            2 => Some(Self::Document),
            _ => None,
        }
    }
}

/// The record came as back-fill.
pub const BACKFILL: u8 = 1;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it holds.
    pub kind: Kind,
    /// [`BACKFILL`].
    pub flags: u8,
    /// Number of the device, see [`crate::registry::number_of`].
    pub device: u64,
    /// When it was received, milliseconds since 1970 UTC.
    pub received_ms: i64,
    /// SHA-256 of the frame.
    pub hash: Hash,
    /// The frame as it came.
    pub frame: &'a [u8],
    /// Head and frame as stored.
    pub raw: &'a [u8],
}

impl Record<'_> {
    /// The record's leaf in the tree of its batch.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        merkle::leaf(&self.raw[..RECORD_HEAD])
    }
}

/// Appends a record to `out`.
pub fn put_record(
    out: &mut Vec<u8>,
    kind: Kind,
    flags: u8,
    device: u64,
    received_ms: i64,
    hash: &Hash,
    frame: &[u8],
) {
    let mut head = [0; RECORD_HEAD];
    head[..4].copy_from_slice(&u32::try_from(frame.len()).unwrap_or(0).to_le_bytes());
    head[4] = kind as u8;
    head[5] = flags;
    head[8..16].copy_from_slice(&device.to_le_bytes());
    head[16..24].copy_from_slice(&received_ms.to_le_bytes());
    head[24..].copy_from_slice(hash);
    out.extend_from_slice(&head);
    out.extend_from_slice(frame);
}

/// Walks over the records of a body; ends at the first that does not fit.
#[derive(Debug, Clone)]
pub struct Records<'a>(pub &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;
    fn next(&mut self) -> Option<Record<'a>> {
        let head = self.0.get(..RECORD_HEAD)?;
        let length = u32_at(head, 0) as usize;
        let raw = self.0.get(..RECORD_HEAD.checked_add(length)?)?;
        let record = Record {
            kind: Kind::of(head[4])?,
            flags: head[5],
            device: u64_at(head, 8),
            received_ms: i64_at(head, 16),
            hash: hash_at(head, 24),
            frame: &raw[RECORD_HEAD..],
            raw,
        };
        self.0 = &self.0[raw.len()..];
        Some(record)
    }
}

/// Head of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// Bytes of the records as stored.
    pub stored_len: u32,
    /// Bytes of the records; packed (LZ4) if more than those stored.
    pub body_len: u32,
    /// Records.
    pub records: u32,
    /// Number of the batch, from 0.
    pub number: u64,
    /// Number of its first record, from 0.
    pub first: u64,
    /// When it was closed.
    pub time_ms: i64,
    /// Day of the tree that it belongs to, days since 1970 in the gateway's zone.
    pub day: i32,
    /// Merkle root over the leaves of its records.
    pub root: Hash,
    /// SHA-256 of the head of the batch before.
    pub previous: Hash,
}

impl BatchHead {
    /// The head followed by the records as stored, checksum filled in, appended to `out`.
    pub fn put(&self, body: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(BATCH_MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.day.to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(body);
        let crc = crc32c::crc32c(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a head; `None` if it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let b = bytes.get(..BATCH_HEAD)?;
        let head = Self {
            stored_len: u32_at(b, 8),
            body_len: u32_at(b, 44),
            records: u32_at(b, 12),
            number: u64_at(b, 16),
            first: u64_at(b, 24),
            time_ms: i64_at(b, 32),
            day: u32_at(b, 40).cast_signed(),
            root: hash_at(b, 48),
            previous: hash_at(b, 80),
        };
        let fits = head.body_len as usize <= BODY_MAX && head.stored_len <= head.body_len;
        (b.starts_with(BATCH_MAGIC) && fits).then_some(head)
    }

    /// True if the checksum of head and body fits.
    #[must_use]
    pub fn intact(head: &[u8], body: &[u8]) -> bool {
        head.len() == BATCH_HEAD
            && u32_at(head, 4) == crc32c::crc32c_append(crc32c::crc32c(&head[8..]), body)
    }
}

/// The records of a batch from their stored form; `None` if they do not unpack to their length.
#[must_use]
pub fn unpack(head: &BatchHead, stored: Vec<u8>) -> Option<Vec<u8>> {
    if head.stored_len == head.body_len {
        return Some(stored);
    }
    let mut body = vec![0; head.body_len as usize];
    let n = lz4_flex::block::decompress_into(&stored, &mut body).ok()?;
    (n == body.len()).then_some(body)
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    let mut x = [0; 4];
    x.copy_from_slice(&b[at..at + 4]);
    u32::from_le_bytes(x)
}
fn u64_at(b: &[u8], at: usize) -> u64 {
    let mut x = [0; 8];
    x.copy_from_slice(&b[at..at + 8]);
    u64::from_le_bytes(x)
}
fn i64_at(b: &[u8], at: usize) -> i64 {
    u64_at(b, at).cast_signed()
}
fn hash_at(b: &[u8], at: usize) -> Hash {
    let mut x = [0; 32];
    x.copy_from_slice(&b[at..at + 32]);
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_a_short_tail_ends_the_walk() {
        let mut body = Vec::new();
        for (i, text) in ["one", "", "three"].iter().enumerate() {
            let hash = merkle::sha256(text.as_bytes());
            put_record(
                &mut body,
                Kind::Frame,
                BACKFILL,
                i as u64,
                7,
                &hash,
                text.as_bytes(),
            );
        }
        let frames: Vec<_> = Records(&body).map(|r| (r.device, r.frame.len())).collect();
        assert_eq!(frames, [(0, 3), (1, 0), (2, 5)]);
        assert_eq!(Records(&body[..body.len() - 1]).count(), 2);
    }

    #[test]
    fn any_changed_byte_of_a_batch_is_seen() {
        let mut body = Vec::new();
        put_record(&mut body, Kind::Frame, 0, 1, 7, &[9; 32], b"frame");
        let head = BatchHead {
            stored_len: body.len() as u32,
            body_len: body.len() as u32,
            records: 1,
            number: 3,
            first: 10,
            time_ms: 5,
            day: -2,
            root: [1; 32],
            previous: [2; 32],
        };
        let mut out = Vec::new();
        head.put(&body, &mut out);
        let whole = |b: &[u8]| {
            BatchHead::parse(b).is_some() && BatchHead::intact(&b[..BATCH_HEAD], &b[BATCH_HEAD..])
        };
        assert_eq!(BatchHead::parse(&out), Some(head));
        assert!(whole(&out));
        for i in 0..out.len() {
            let mut bad = out.clone();
            bad[i] ^= 0x40;
            assert!(!whole(&bad), "byte {i}");
        }
    }
}
