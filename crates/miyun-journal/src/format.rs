//! The layout of the journal on disk. `docs/ledger.md` says the same in words.
//!
//! A segment is a file `<first batch, 16 hex digits>.seg`: a segment head, then batches. A batch is
//! a header, the header's leaf hash, and a body: envelopes, then records.

use miyun_ledger::codec::{Reader, Wire};
use miyun_ledger::{Command, DecodeError, Moved, Refusal, SignerId, Time};
use sha2::{Digest as _, Sha256};

use crate::merkle::{self, Hash};

/// Length of a segment's head.
pub const SEGMENT_HEAD_LEN: usize = 80;
/// Length of a batch header.
pub const HEADER_LEN: usize = 236;
/// Length of a batch header with its hash.
pub const HEADER_HASHED_LEN: usize = HEADER_LEN + 32;
/// Most bytes of a batch's body.
pub const BODY_LEN_MAX: usize = 64 << 20;
/// Most records of a batch: what is asked, and what runs out before it.
pub const RECORDS_MAX: usize = 16_384;
/// Most bytes of a record.
pub const RECORD_LEN_MAX: usize = 4 << 20;

const SEGMENT_MAGIC: [u8; 8] = *b"MIYUNSG\x01";
/// First bytes of a batch header; the last one is the version.
pub const BATCH_MAGIC: [u8; 8] = *b"MIYUNBA\x01";

/// The head of a segment.
#[must_use]
pub fn segment_head(ledger: &[u8; 32], first_batch: u64) -> [u8; SEGMENT_HEAD_LEN] {
    let mut out = [0; SEGMENT_HEAD_LEN];
    out[..8].copy_from_slice(&SEGMENT_MAGIC);
    out[8..40].copy_from_slice(ledger);
    out[40..48].copy_from_slice(&first_batch.to_le_bytes());
    let hash = Sha256::digest(&out[..48]);
    out[48..].copy_from_slice(&hash);
    out
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its number, from 0.
    pub batch: u64,
    /// The number of its first record.
    pub first_record: u64,
    /// How many records it has.
    pub records: u32,
    /// How many envelopes it has.
    pub envelopes: u32,
    /// Bytes of its body.
    pub body_len: u32,
    /// Its instant, at which all its commands were applied.
    pub time: Time,
    /// The ledger.
    pub ledger: [u8; 32],
    /// Root of the tree over all earlier headers; of batch 0, the SHA-256 of the genesis.
    pub previous: Hash,
    /// Root of the tree over its records.
    pub records_root: Hash,
    /// SHA-256 of its envelopes.
    pub envelopes_hash: Hash,
    /// Digest of the state after it.
    pub digest: Hash,
    /// Version of the rulebook in use.
    pub rulebook: Hash,
}

impl Header {
    /// Its bytes: what is hashed as a leaf of the log's tree.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_HASHED_LEN);
        out.extend_from_slice(&BATCH_MAGIC);
        self.batch.put(&mut out);
        self.first_record.put(&mut out);
        self.records.put(&mut out);
        self.envelopes.put(&mut out);
        self.body_len.put(&mut out);
        self.time.put(&mut out);
        for hash in [
            &self.ledger,
            &self.previous,
            &self.records_root,
            &self.envelopes_hash,
            &self.digest,
            &self.rulebook,
        ] {
            hash.put(&mut out);
        }
        out
    }

    /// The header in `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.take(8)? != BATCH_MAGIC {
            return Err(DecodeError::Tag {
                what: "batch header",
                value: u64::from(bytes[7]),
                at: 0,
            });
        }
        let header = Self {
            batch: Wire::get(&mut r)?,
            first_record: Wire::get(&mut r)?,
            records: Wire::get(&mut r)?,
            envelopes: Wire::get(&mut r)?,
            body_len: Wire::get(&mut r)?,
            time: Wire::get(&mut r)?,
            ledger: Wire::get(&mut r)?,
            previous: Wire::get(&mut r)?,
            records_root: Wire::get(&mut r)?,
            envelopes_hash: Wire::get(&mut r)?,
            digest: Wire::get(&mut r)?,
            rulebook: Wire::get(&mut r)?,
        };
        r.end()?;
        if header.body_len as usize > BODY_LEN_MAX || header.records as usize > RECORDS_MAX {
            return Err(DecodeError::TooLong {
                what: "batch",
                len: u64::from(header.body_len),
                max: BODY_LEN_MAX,
                at: 32,
            });
        }
        Ok(header)
    }

    /// Its leaf hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        merkle::leaf(&self.to_bytes())
    }
}

/// What a record says became of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Applied; these serial numbers moved.
    Applied(Vec<Moved>),
    /// Refused.
    Refused(Refusal),
}

impl Wire for Answer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Applied(moved) => put_applied(moved, out),
            Self::Refused(refusal) => put_refused(*refusal, out),
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::get(r)? {
            0 => {
                let len = r.len("moved", RECORD_LEN_MAX / 44)?;
                let mut moved = Vec::with_capacity(len.min(r.left() / 44));
                for _ in 0..len {
                    moved.push(Moved::get(r)?);
                }
                Ok(Self::Applied(moved))
            }
            1 => {
                let number = u16::get(r)?;
                match Refusal::from_number(number) {
                    Some(refusal) => Ok(Self::Refused(refusal)),
                    None => Err(DecodeError::Tag {
                        what: "refusal",
                        value: u64::from(number),
                        at: r.offset() - 2,
                    }),
                }
            }
            other => Err(DecodeError::Tag {
                what: "answer",
                value: u64::from(other),
                at: r.offset() - 1,
            }),
        }
    }
}

pub(crate) fn put_applied(moved: &[Moved], out: &mut Vec<u8>) {
    out.push(0);
    (moved.len() as u32).put(out);
    for m in moved {
        m.put(out);
    }
}

pub(crate) fn put_refused(refusal: Refusal, out: &mut Vec<u8>) {
    out.push(1);
    refusal.number().put(out);
}

/// A record: a command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What was asked.
    pub command: Command,
    /// What became of it.
    pub answer: Answer,
}

impl Record {
    /// The record in `bytes`: the command's length, the command, the answer.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (command, r) = Self::split(bytes)?;
        let mut r = r;
        let record = Self {
            command: Command::from_bytes(command)?,
            answer: Wire::get(&mut r)?,
        };
        r.end()?;
        Ok(record)
    }

    /// The bytes of the record's command, and a reader at its answer.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn split(bytes: &[u8]) -> Result<(&[u8], Reader<'_>), DecodeError> {
        let mut r = Reader::new(bytes);
        let len = r.len("command", RECORD_LEN_MAX)?;
        let command = r.take(len)?;
        Ok((command, r))
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let command = self.command.to_bytes();
        let mut out = Vec::with_capacity(command.len() + 16);
        (command.len() as u32).put(&mut out);
        out.extend_from_slice(&command);
        self.answer.put(&mut out);
        out
    }
}

/// Who signed which commands of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeEntry {
    /// The signer.
    pub signer: SignerId,
    /// The signature; none for commands that the journal made itself.
    pub signature: Option<[u8; 64]>,
    /// One entry a command, in the order signed: none if its record follows in this batch, its
    /// SHA-256 if it left no record (a repetition, or refused before it was known).
    pub commands: Vec<Option<Hash>>,
}

impl Wire for EnvelopeEntry {
    fn put(&self, out: &mut Vec<u8>) {
        self.signer.put(out);
        match &self.signature {
            None => out.push(0),
            Some(signature) => {
                out.push(1);
                out.extend_from_slice(signature);
            }
        }
        (self.commands.len() as u32).put(out);
        if self.commands.iter().all(Option::is_none) {
            out.push(1);
            return;
        }
        out.push(0);
        for command in &self.commands {
            command.put(out);
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let signer = Wire::get(r)?;
        let signature = if bool::get(r)? {
            let mut signature = [0; 64];
            signature.copy_from_slice(r.take(64)?);
            Some(signature)
        } else {
            None
        };
        let len = r.len("commands", RECORDS_MAX)?;
        let commands = if bool::get(r)? {
            vec![None; len]
        } else {
            let mut commands = Vec::with_capacity(len.min(r.left()));
            for _ in 0..len {
                commands.push(Wire::get(r)?);
            }
            commands
        };
        Ok(Self {
            signer,
            signature,
            commands,
        })
    }
}

/// The body of a batch, cut into its parts.
#[derive(Debug, Clone)]
pub struct Body<'a> {
    /// The bytes of the envelopes.
    pub envelopes: &'a [u8],
    /// The bytes of each record.
    pub records: Vec<&'a [u8]>,
}

impl<'a> Body<'a> {
    /// Cuts a body: the length of the envelopes, the envelopes, then each record with its length.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn cut(bytes: &'a [u8], records: u32) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let len = r.len("envelopes", BODY_LEN_MAX)?;
        let envelopes = r.take(len)?;
        let mut all = Vec::with_capacity((records as usize).min(r.left() / 4));
        for _ in 0..records {
            let len = r.len("record", RECORD_LEN_MAX)?;
            all.push(r.take(len)?);
        }
        r.end()?;
        Ok(Self {
            envelopes,
            records: all,
        })
    }

    /// The envelopes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn entries(&self, count: u32) -> Result<Vec<EnvelopeEntry>, DecodeError> {
        let mut r = Reader::new(self.envelopes);
        let mut all = Vec::with_capacity((count as usize).min(self.envelopes.len()));
        for _ in 0..count {
            all.push(EnvelopeEntry::get(&mut r)?);
        }
        r.end()?;
        Ok(all)
    }
}

/// A batch as it lies in a segment.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// Its header.
    pub header: Header,
    /// The header's leaf hash.
    pub hash: Hash,
    /// Its body.
    pub body: Body<'a>,
    /// Its length in the segment.
    pub len: usize,
}

/// A batch's records, copied, to be handed to another thread.
#[derive(Debug)]
pub(crate) struct OwnedBatch {
    pub header: Header,
    body: Vec<u8>,
    spans: Vec<std::ops::Range<usize>>,
}

impl OwnedBatch {
    pub fn of(batch: &Batch<'_>) -> Self {
        let mut body = Vec::with_capacity(batch.header.body_len as usize);
        let mut spans = Vec::with_capacity(batch.body.records.len());
        for record in &batch.body.records {
            spans.push(body.len()..body.len() + record.len());
            body.extend_from_slice(record);
        }
        Self {
            header: batch.header,
            body,
            spans,
        }
    }

    pub fn records(&self) -> Vec<&[u8]> {
        self.spans.iter().map(|s| &self.body[s.clone()]).collect()
    }
}

/// Reads the batch at the start of `bytes` and checks everything that needs no other batch: the
/// header's hash, the envelopes' hash, the records' root.
///
/// # Errors
/// What is wrong, in words.
pub fn read_batch(bytes: &[u8]) -> Result<Batch<'_>, String> {
    let (header, hash) = read_header(bytes)?;
    let len = HEADER_HASHED_LEN + header.body_len as usize;
    let Some(body) = bytes.get(HEADER_HASHED_LEN..len) else {
        return Err(format!(
            "batch {} has {} of {len} bytes",
            header.batch,
            bytes.len()
        ));
    };
    let body = Body::cut(body, header.records).map_err(|e| e.to_string())?;
    let envelopes_hash: Hash = Sha256::digest(body.envelopes).into();
    if envelopes_hash != header.envelopes_hash {
        return Err(format!(
            "the envelopes of batch {} do not have the hash in its header",
            header.batch
        ));
    }
    let leaves: Vec<_> = body.records.iter().map(|r| merkle::leaf(r)).collect();
    if merkle::root(&leaves) != header.records_root {
        return Err(format!(
            "the records of batch {} do not have the root in its header",
            header.batch
        ));
    }
    Ok(Batch {
        header,
        hash,
        body,
        len,
    })
}

/// Reads a header and checks its hash.
///
/// # Errors
/// What is wrong, in words.
pub fn read_header(bytes: &[u8]) -> Result<(Header, Hash), String> {
    let Some(hashed) = bytes.get(..HEADER_HASHED_LEN) else {
        return Err(format!(
            "a batch header has {} of {HEADER_HASHED_LEN} bytes",
            bytes.len()
        ));
    };
    let hash = merkle::leaf(&hashed[..HEADER_LEN]);
    if hash != hashed[HEADER_LEN..] {
        return Err("a batch header does not have the hash after it".to_owned());
    }
    let header = Header::from_bytes(&hashed[..HEADER_LEN]).map_err(|e| e.to_string())?;
    Ok((header, hash))
}

/// Reads the head of a segment.
///
/// # Errors
/// What is wrong, in words.
pub fn read_segment_head(bytes: &[u8]) -> Result<([u8; 32], u64), String> {
    let Some(head) = bytes.get(..SEGMENT_HEAD_LEN) else {
        return Err(format!(
            "a segment's head has {} of {SEGMENT_HEAD_LEN} bytes",
            bytes.len()
        ));
    };
    if head[..8] != SEGMENT_MAGIC || Sha256::digest(&head[..48])[..] != head[48..] {
        return Err("a segment's head is not one that this program writes".to_owned());
    }
    let mut ledger = [0; 32];
    ledger.copy_from_slice(&head[8..40]);
    let mut first = [0; 8];
    first.copy_from_slice(&head[40..48]);
    Ok((ledger, u64::from_le_bytes(first)))
}
