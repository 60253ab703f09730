//! Proofs that a frame stands in the log: frame, record head, batch root, day root.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::format::{BATCH_HEAD, BatchHead, RECORD_HEAD};
use super::{Position, Reader, segments};
use crate::GatewayError;
use crate::merkle::{self, Hash, Way};

/// The Merkle root over the batches of one day, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRoot {
    /// The day in the gateway's zone.
    pub day: Date,
    /// Number of its first batch.
    pub first_batch: u64,
    /// Batches.
    pub batches: u64,
    /// Number of its first record.
    pub first_record: u64,
    /// The root; a leaf of the tree is the root of a batch.
    #[serde(with = "merkle::hex_hash")]
    pub root: Hash,
}

/// Everything an outsider needs to check that a frame was received, when, and that it is the one
/// under the published root of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The frame as it came, lower-case hex.
    pub frame_hex: String,
    /// The record's head (lengths, device number, time received, SHA-256 of the frame), hex.
    pub record_head_hex: String,
    /// When it was received, milliseconds since 1970 UTC.
    pub received_ms: i64,
    /// Number of the batch.
    pub batch: u64,
    /// From the record to the batch's root.
    pub in_batch: Way,
    /// From the batch's root to the day's root.
    pub in_day: Way,
    /// The day's root.
    pub day: DayRoot,
    /// True if the day is over, so that its root is final.
    pub day_closed: bool,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A field does not parse.
    #[error("{0} is not hex of the right length")]
    Hex(&'static str),
    /// The frame is not the one of the record.
    #[error("the frame's SHA-256 is {found}, the record was made for {expected}")]
    Frame {
        /// SHA-256 of the frame in the proof.
        found: String,
        /// SHA-256 in the record's head.
        expected: String,
    },
    /// A path does not fit its tree.
    #[error("{0}: index, size and path do not belong together")]
    Path(&'static str),
    /// The path leads elsewhere.
    #[error("the path leads to {found}, the published root is {expected}")]
    Root {
        /// Where it leads.
        found: String,
        /// What was published.
        expected: String,
    },
}

/// Checks a proof against a root taken from a place that the checker trusts.
///
/// # Errors
/// [`ProofError`] if the frame, the record and the root do not belong together.
pub fn verify(proof: &Proof, published: &Hash) -> Result<(), ProofError> {
    let frame = hex::decode(&proof.frame_hex).map_err(|_| ProofError::Hex("frame_hex"))?;
    let head = hex::decode(&proof.record_head_hex)
        .ok()
        .filter(|h| h.len() == RECORD_HEAD)
        .ok_or(ProofError::Hex("record_head_hex"))?;
    let found = merkle::sha256(&frame);
    if head[24..] != found {
        return Err(ProofError::Frame {
            found: hex::encode(found),
            expected: hex::encode(&head[24..]),
        });
    }
    let batch = proof
        .in_batch
        .root(merkle::leaf(&head))
        .ok_or(ProofError::Path("in_batch"))?;
    let top = proof
        .in_day
        .root(merkle::leaf(&batch))
        .ok_or(ProofError::Path("in_day"))?;
    if top == *published {
        Ok(())
    } else {
        Err(ProofError::Root {
            found: hex::encode(top),
            expected: hex::encode(published),
        })
    }
}

/// Proves the first record that `wanted` accepts, searching from `from` to `end`.
///
/// # Errors
/// [`GatewayError`] if the log cannot be read.
pub fn prove(
    dir: &Path,
    from: Position,
    end: Position,
    open_day: Option<&DayRoot>,
    mut wanted: impl FnMut(&super::Record<'_>) -> bool,
) -> Result<Option<Proof>, GatewayError> {
    let mut reader = Reader::at(dir, from);
    while let Some(batch) = reader.next(end)? {
        let Some(k) = batch.records().position(|r| wanted(&r)) else {
            continue;
        };
        let leaves: Vec<Hash> = batch.records().map(|r| r.leaf()).collect();
        let Some(record) = batch.records().nth(k) else {
            continue;
        };
        let heads = heads_of_day(dir, batch.head.day)?;
        let roots: Vec<Hash> = heads.iter().map(|h| merkle::leaf(&h.root)).collect();
        let at = heads.iter().position(|h| h.number == batch.head.number);
        let ways = at.map(|at| (Way::of(&leaves, k), Way::of(&roots, at)));
        let (Some((Some(in_batch), Some(in_day))), Some(first)) = (ways, heads.first()) else {
            continue;
        };
        let day = DayRoot {
            day: date(batch.head.day),
            first_batch: first.number,
            batches: heads.len() as u64,
            first_record: first.first,
            root: merkle::root(&roots),
        };
        return Ok(Some(Proof {
            frame_hex: hex::encode(record.frame),
            record_head_hex: hex::encode(&record.raw[..RECORD_HEAD]),
            received_ms: record.received_ms,
            batch: batch.head.number,
            in_batch,
            in_day,
            day_closed: open_day.is_none_or(|d| d.day != day.day),
            day,
        }));
    }
    Ok(None)
}

/// Heads of the batches of a day, in order; those of removed segments come from the kept heads.
fn heads_of_day(dir: &Path, day: i32) -> Result<Vec<BatchHead>, GatewayError> {
    let mut out = Vec::new();
    let mut kept: Vec<_> = std::fs::read_dir(dir)
        .map_err(|e| GatewayError::io(dir, e))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "heads"))
        .collect();
    kept.sort();
    for path in kept {
        let bytes = std::fs::read(&path).map_err(|e| GatewayError::io(&path, e))?;
        out.extend(
            bytes
                .chunks_exact(BATCH_HEAD)
                .filter_map(BatchHead::parse)
                .filter(|h| h.day == day),
        );
    }
    'segments: for (number, _) in segments(dir)? {
        let mut reader = Reader::at(
            dir,
            Position {
                segment: number,
                offset: 0,
            },
        );
        while let Some(head) = reader.next_head()? {
            if head.day > day {
                break 'segments;
            }
            if head.day == day {
                out.push(head);
            }
        }
    }
    // A crash while a segment was removed leaves both its heads and itself.
    out.sort_by_key(|h| h.number);
    out.dedup_by_key(|h| h.number);
    Ok(out)
}

/// The date of a day number.
pub(super) fn date(day: i32) -> Date {
    jiff::civil::date(1970, 1, 1)
        .saturating_add(jiff::Span::new().days(i64::from(day).clamp(-700_000, 2_900_000)))
}

/// The number of a date, days since 1970.
#[must_use]
pub fn day_number(date: Date) -> i32 {
    (date - jiff::civil::date(1970, 1, 1)).get_days()
}
