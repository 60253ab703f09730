//! Proofs that a stranger checks offline, with nothing but the operator's public key: that a record
//! is in the log, and that one head continues another.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use miyun_ledger::codec::{Reader, Wire};
use miyun_ledger::{CommandId, DecodeError, Time};
use serde::{Deserialize, Serialize};

use crate::error::JournalError;
use crate::format::{HEADER_LEN, Header, RECORD_LEN_MAX, Record, read_batch};
use crate::log::{Index, Place, segment_name};
use crate::merkle::{self, Hash};
use crate::storage::Storage;

const HEAD_DOMAIN: &[u8] = b"miyun-head-1";
const PROOF_VERSION: u8 = 1;
/// Longest audit path: a tree of 2^64 leaves.
const PATH_MAX: usize = 64;

/// The head of the log after a number of batches, signed by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHead {
    /// The ledger.
    pub ledger: [u8; 32],
    /// Batches under it.
    pub batches: u64,
    /// Records under it.
    pub records: u64,
    /// Instant of the last batch.
    pub time: Time,
    /// Root of the tree over the batch headers.
    pub root: Hash,
    /// Ed25519 over [`SignedHead::message`].
    pub signature: [u8; 64],
}

impl SignedHead {
    /// The bytes that are signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut out = HEAD_DOMAIN.to_vec();
        self.ledger.put(&mut out);
        self.batches.put(&mut out);
        self.records.put(&mut out);
        self.time.put(&mut out);
        self.root.put(&mut out);
        out
    }

    /// The head of an index, signed.
    #[must_use]
    pub fn sign(ledger: [u8; 32], index: &Index, key: &SigningKey) -> Self {
        let mut head = Self {
            ledger,
            batches: index.tree.leaves().len() as u64,
            records: index.records,
            time: index.time,
            root: index.tree.root(),
            signature: [0; 64],
        };
        head.signature = key.sign(&head.message()).to_bytes();
        head
    }

    /// True if the operator's key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        VerifyingKey::from_bytes(key).is_ok_and(|key| {
            key.verify_strict(&self.message(), &Signature::from_bytes(&self.signature))
                .is_ok()
        })
    }
}

impl Wire for SignedHead {
    fn put(&self, out: &mut Vec<u8>) {
        self.ledger.put(out);
        self.batches.put(out);
        self.records.put(out);
        self.time.put(out);
        self.root.put(out);
        out.extend_from_slice(&self.signature);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut head = Self {
            ledger: Wire::get(r)?,
            batches: Wire::get(r)?,
            records: Wire::get(r)?,
            time: Wire::get(r)?,
            root: Wire::get(r)?,
            signature: [0; 64],
        };
        head.signature.copy_from_slice(r.take(64)?);
        Ok(head)
    }
}

/// The proof that a record is in the log under a signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The record's bytes.
    pub record: Vec<u8>,
    /// Its place in its batch.
    pub place: u32,
    /// Audit path in the batch.
    pub record_path: Vec<Hash>,
    /// The batch header's bytes.
    pub header: Vec<u8>,
    /// Audit path in the log.
    pub header_path: Vec<Hash>,
    /// The head.
    pub head: SignedHead,
}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The record's number.
    pub number: u64,
    /// The record.
    pub record: Record,
    /// The header of its batch: instant, rulebook, state digest.
    pub header: Header,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It cannot be read.
    #[error("the proof cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The text form cannot be read.
    #[error("the proof is no JSON of the documented form: {0}")]
    Json(String),
    /// The operator did not sign the head.
    #[error("the head is not signed by this operator")]
    Head,
    /// The record is not in the batch.
    #[error("the record does not lead to the root of its batch")]
    Record,
    /// The batch is not in the log.
    #[error("the batch does not lead to the root of the head")]
    Header,
    /// The header names another ledger.
    #[error("the batch belongs to another ledger than the head")]
    Ledger,
    /// The newer log does not continue the older.
    #[error("the newer head does not continue the older one")]
    Consistency,
}

fn put_path(path: &[Hash], out: &mut Vec<u8>) {
    out.push(path.len() as u8);
    for hash in path {
        hash.put(out);
    }
}

fn get_path(r: &mut Reader<'_>) -> Result<Vec<Hash>, DecodeError> {
    let at = r.offset();
    let len = u8::get(r)? as usize;
    if len > PATH_MAX {
        return Err(DecodeError::TooLong {
            what: "path",
            len: len as u64,
            max: PATH_MAX,
            at,
        });
    }
    (0..len).map(|_| Hash::get(r)).collect()
}

impl Proof {
    /// Checks the proof against the operator's public key.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, operator: &[u8; 32]) -> Result<Proved, ProofError> {
        if !self.head.is_signed_by(operator) {
            return Err(ProofError::Head);
        }
        let header = Header::from_bytes(&self.header)?;
        if header.ledger != self.head.ledger {
            return Err(ProofError::Ledger);
        }
        let record_hash = merkle::leaf(&self.record);
        let (place, size) = (u64::from(self.place), u64::from(header.records));
        let root = merkle::root_from_path(record_hash, place, size, &self.record_path);
        if root != Some(header.records_root) {
            return Err(ProofError::Record);
        }
        let header_hash = merkle::leaf(&self.header);
        let root = merkle::root_from_path(
            header_hash,
            header.batch,
            self.head.batches,
            &self.header_path,
        );
        if root != Some(self.head.root) {
            return Err(ProofError::Header);
        }
        Ok(Proved {
            number: header.first_record.saturating_add(place),
            record: Record::from_bytes(&self.record)?,
            header,
        })
    }

    /// The binary form, short enough for a QR code where the record is.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![PROOF_VERSION];
        (self.record.len() as u32).put(&mut out);
        out.extend_from_slice(&self.record);
        self.place.put(&mut out);
        put_path(&self.record_path, &mut out);
        out.extend_from_slice(&self.header);
        put_path(&self.header_path, &mut out);
        self.head.put(&mut out);
        out
    }

    /// The proof in `bytes`.
    ///
    /// # Errors
    /// [`ProofError::Decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut r = Reader::new(bytes);
        match u8::get(&mut r)? {
            PROOF_VERSION => {}
            other => return Err(DecodeError::Version(other).into()),
        }
        let len = r.len("record", RECORD_LEN_MAX)?;
        let proof = Self {
            record: r.take(len)?.to_vec(),
            place: Wire::get(&mut r)?,
            record_path: get_path(&mut r)?,
            header: r.take(HEADER_LEN)?.to_vec(),
            header_path: get_path(&mut r)?,
            head: Wire::get(&mut r)?,
        };
        r.end()?;
        Ok(proof)
    }

    /// The text form: JSON, hashes and bytes in hexadecimal.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let path = |p: &[Hash]| p.iter().map(hex::encode).collect::<Vec<_>>();
        serde_json::json!({
            "version": PROOF_VERSION,
            "record": hex::encode(&self.record),
            "place": self.place,
            "record_path": path(&self.record_path),
            "header": hex::encode(&self.header),
            "header_path": path(&self.header_path),
            "head": HeadText::of(&self.head),
        })
    }

    /// The proof in a JSON text.
    ///
    /// # Errors
    /// [`ProofError::Json`].
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let text: ProofText =
            serde_json::from_str(text).map_err(|e| ProofError::Json(e.to_string()))?;
        if text.version != PROOF_VERSION {
            return Err(DecodeError::Version(text.version).into());
        }
        let bytes = |t: &str| hex::decode(t).map_err(|e| ProofError::Json(e.to_string()));
        let path = |p: &[String]| p.iter().map(|t| hash_of(t)).collect::<Result<Vec<_>, _>>();
        let proof = Self {
            record: bytes(&text.record)?,
            place: text.place,
            record_path: path(&text.record_path)?,
            header: bytes(&text.header)?,
            header_path: path(&text.header_path)?,
            head: text.head.read()?,
        };
        // the bounds of the binary form hold for the text as well
        Self::from_bytes(&proof.to_bytes())
    }
}

fn hash_of(text: &str) -> Result<Hash, ProofError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|e| ProofError::Json(e.to_string()))?;
    Ok(hash)
}

/// A signed head as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadText {
    ledger: String,
    batches: u64,
    records: u64,
    time: Time,
    root: String,
    signature: String,
}

impl HeadText {
    /// The text form of a head.
    #[must_use]
    pub fn of(head: &SignedHead) -> Self {
        Self {
            ledger: hex::encode(head.ledger),
            batches: head.batches,
            records: head.records,
            time: head.time,
            root: hex::encode(head.root),
            signature: hex::encode(head.signature),
        }
    }

    /// The head that it says.
    ///
    /// # Errors
    /// [`ProofError::Json`].
    pub fn read(&self) -> Result<SignedHead, ProofError> {
        let mut signature = [0; 64];
        hex::decode_to_slice(&self.signature, &mut signature)
            .map_err(|e| ProofError::Json(e.to_string()))?;
        Ok(SignedHead {
            ledger: hash_of(&self.ledger)?,
            batches: self.batches,
            records: self.records,
            time: self.time,
            root: hash_of(&self.root)?,
            signature,
        })
    }
}

#[derive(Debug, Deserialize)]
struct ProofText {
    version: u8,
    record: String,
    place: u32,
    record_path: Vec<String>,
    header: String,
    header_path: Vec<String>,
    head: HeadText,
}

/// The proof that a newer head continues an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The older head.
    pub old: SignedHead,
    /// The newer head.
    pub new: SignedHead,
    /// The hashes between them.
    pub path: Vec<Hash>,
}

impl Consistency {
    /// Checks the proof against the operator's public key.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, operator: &[u8; 32]) -> Result<(), ProofError> {
        if !self.old.is_signed_by(operator) || !self.new.is_signed_by(operator) {
            return Err(ProofError::Head);
        }
        let same = self.old.ledger == self.new.ledger;
        let continues = self.old.records <= self.new.records
            && merkle::is_consistent(
                self.old.batches,
                self.new.batches,
                self.old.root,
                self.new.root,
                &self.path,
            );
        if same && continues {
            Ok(())
        } else {
            Err(ProofError::Consistency)
        }
    }

    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![PROOF_VERSION];
        self.old.put(&mut out);
        self.new.put(&mut out);
        put_path(&self.path, &mut out);
        out
    }

    /// The proof in `bytes`.
    ///
    /// # Errors
    /// [`ProofError::Decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut r = Reader::new(bytes);
        match u8::get(&mut r)? {
            PROOF_VERSION => {}
            other => return Err(DecodeError::Version(other).into()),
        }
        let proof = Self {
            old: Wire::get(&mut r)?,
            new: Wire::get(&mut r)?,
            path: get_path(&mut r)?,
        };
        r.end()?;
        Ok(proof)
    }

    /// The proof that the log of `index` continues `old`, with the new head signed.
    ///
    /// # Errors
    /// [`JournalError::Behind`] if the log is shorter than the head, or is another one.
    pub fn prove(index: &Index, old: &SignedHead, key: &SigningKey) -> Result<Self, JournalError> {
        let leaves = index.tree.leaves();
        let behind = JournalError::Behind(old.batches);
        let Ok(count) = usize::try_from(old.batches) else {
            return Err(behind);
        };
        if count > leaves.len() || merkle::root(&leaves[..count]) != old.root {
            return Err(behind);
        }
        let Some(path) = merkle::consistency(leaves, count) else {
            return Err(behind);
        };
        Ok(Self {
            old: *old,
            new: SignedHead::sign(old.ledger, index, key),
            path,
        })
    }
}

fn no_record(index: &Index, number: u64) -> JournalError {
    JournalError::NoSuch {
        what: "record",
        number,
        len: index.records,
    }
}

/// Where the batch with a record lies.
pub(crate) fn place_of(index: &Index, number: u64) -> Result<Place, JournalError> {
    let after = index.places.partition_point(|p| p.first_record <= number);
    match after.checked_sub(1) {
        Some(n) if number < index.records => Ok(index.places[n]),
        _ => Err(no_record(index, number)),
    }
}

fn bytes_at<S: Storage>(storage: &S, place: Place) -> Result<Vec<u8>, JournalError> {
    let name = segment_name(place.segment);
    storage
        .read_at(&name, place.at, place.len as usize)
        .map_err(|error| JournalError::Storage {
            what: "read",
            name,
            error,
        })
}

/// The record with a number, in the batch at `place`.
pub(crate) fn record_at<S: Storage>(
    storage: &S,
    place: Place,
    number: u64,
) -> Result<Record, JournalError> {
    let bytes = bytes_at(storage, place)?;
    let batch = read_batch(&bytes).map_err(|reason| JournalError::Corrupt {
        segment: segment_name(place.segment),
        at: place.at,
        reason,
    })?;
    let within = number - place.first_record;
    let bytes = usize::try_from(within)
        .ok()
        .and_then(|n| batch.body.records.get(n));
    match bytes {
        Some(bytes) => Ok(Record::from_bytes(bytes)?),
        None => Err(JournalError::NoSuch {
            what: "record",
            number,
            len: place.first_record + u64::from(batch.header.records),
        }),
    }
}

/// The proof that record `number` is in the log.
///
/// # Errors
/// [`JournalError::NoSuch`], [`JournalError::Storage`], [`JournalError::Corrupt`].
pub fn prove<S: Storage>(
    storage: &S,
    index: &Index,
    number: u64,
    ledger: [u8; 32],
    key: &SigningKey,
) -> Result<Proof, JournalError> {
    let place = place_of(index, number)?;
    let bytes = bytes_at(storage, place)?;
    let batch = read_batch(&bytes).map_err(|reason| JournalError::Corrupt {
        segment: segment_name(place.segment),
        at: place.at,
        reason,
    })?;
    let leaves: Vec<Hash> = batch.body.records.iter().map(|r| merkle::leaf(r)).collect();
    let within = (number - batch.header.first_record) as usize;
    let headers = index.tree.leaves();
    let (Some(record), Some(record_path), Some(header_path)) = (
        batch.body.records.get(within),
        merkle::path(&leaves, within),
        merkle::path(
            headers,
            usize::try_from(batch.header.batch).unwrap_or(usize::MAX),
        ),
    ) else {
        return Err(no_record(index, number));
    };
    Ok(Proof {
        record: record.to_vec(),
        place: within as u32,
        record_path,
        header: batch.header.to_bytes(),
        header_path,
        head: SignedHead::sign(ledger, index, key),
    })
}

/// The number of the record that holds a command or a step of a chain, found by reading the log.
///
/// # Errors
/// [`JournalError::NoSuchCommand`], and what reading the log can fail with.
pub fn find_command<S: Storage>(storage: &S, id: CommandId) -> Result<u64, JournalError> {
    let mut found = None;
    crate::read_log(storage, |batch| {
        for (n, bytes) in batch.body.records.iter().enumerate() {
            // version byte, then the id
            let (command, _) = Record::split(bytes)?;
            // a chain has the tag 8 behind signer and window, and its steps have ids of their own
            let inside = command.get(37) == Some(&8)
                && matches!(
                    miyun_ledger::Command::from_bytes(command)?.op,
                    miyun_ledger::Op::Chain(steps) if steps.iter().any(|s| s.id == id)
                );
            if inside || command.get(1..17) == Some(&id.0.to_le_bytes()) {
                found.get_or_insert(batch.header.first_record + n as u64);
            }
        }
        Ok(())
    })?;
    found.ok_or(JournalError::NoSuchCommand(id))
}
