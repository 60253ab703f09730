//! The journal: applies envelopes to the ledger, and makes what it applied durable. One thread, no
//! clock of its own; [`crate::Engine`] runs the two halves of it on two threads.

use miyun_ledger::codec::{Reader, Wire};
use miyun_ledger::{Genesis, Receipt, Refusal, SYSTEM, State, Time};
use sha2::{Digest as _, Sha256};

use crate::applier::Applier;
use crate::envelope::{Admitted, DoorKeeper};
use crate::error::JournalError;
use crate::format::OwnedBatch;
use crate::log::{GENESIS, Index, Log, SharedIndex, Torn, segment_name, walk};
use crate::merkle::{Hash, Tree};
use crate::storage::Storage;

/// What became of one command of an envelope.
pub type Applied = Result<Receipt, Refusal>;

/// What opening a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Batches in the log.
    pub batches: u64,
    /// Records in the log.
    pub records: u64,
    /// Batches that a snapshot saved from being replayed.
    pub from_snapshot: u64,
    /// Records replayed.
    pub replayed: u64,
    /// A torn tail that was cut. No command in it was ever acknowledged.
    pub cut: Option<Torn>,
    /// Snapshots that could not be used, with the reason.
    pub bad_snapshots: Vec<(String, String)>,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} batches, {} records; {} batches from a snapshot, {} records replayed",
            self.batches, self.records, self.from_snapshot, self.replayed
        )?;
        if let Some(cut) = &self.cut {
            write!(
                f,
                "; cut a torn tail of {} bytes at byte {} of {} ({})",
                cut.bytes, cut.at, cut.segment, cut.reason
            )?;
        }
        for (name, reason) in &self.bad_snapshots {
            write!(f, "; did not use snapshot {name} ({reason})")?;
        }
        Ok(())
    }
}

/// A journal on one thread.
#[derive(Debug)]
pub struct Journal<S> {
    pub(crate) applier: Applier,
    pub(crate) log: Log<S>,
    pub(crate) door: DoorKeeper,
    stopped: bool,
}

/// Prefix of what a snapshot file holds: SHA-256 of the rest, then the header hashes, then the state.
fn snapshot_name(batches: u64) -> String {
    format!("{batches:016x}.snap")
}

fn storage_error(what: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> JournalError {
    let name = name.to_owned();
    move |error| JournalError::Storage { what, name, error }
}

/// The genesis of the journal in `storage`, and its SHA-256.
///
/// # Errors
/// [`JournalError::Missing`], [`JournalError::Storage`], [`JournalError::Decode`].
pub fn read_genesis<S: Storage>(storage: &S) -> Result<(Genesis, Hash), JournalError> {
    let bytes = match storage.read(GENESIS) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(JournalError::Missing("there is no genesis file".to_owned()));
        }
        Err(error) => return Err(storage_error("read", GENESIS)(error)),
    };
    let mut r = Reader::new(&bytes);
    let genesis = Genesis::get(&mut r)?;
    r.end()?;
    Ok((genesis, Sha256::digest(&bytes).into()))
}

impl<S: Storage> Journal<S> {
    /// A new journal.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::Genesis`], [`JournalError::Storage`].
    pub fn create(storage: S, genesis: Genesis) -> Result<Self, JournalError> {
        if genesis.root.id == SYSTEM {
            return Err(JournalError::Genesis(
                "signer 0 is the journal itself; give the first signer another id".to_owned(),
            ));
        }
        if ed25519_dalek::VerifyingKey::from_bytes(&genesis.root.key).is_err() {
            return Err(JournalError::Genesis(
                "the first signer's key is no Ed25519 public key".to_owned(),
            ));
        }
        let names = storage.list().map_err(storage_error("list", ""))?;
        if names.iter().any(|n| n == GENESIS || n.ends_with(".seg")) {
            return Err(JournalError::Exists);
        }
        let mut bytes = Vec::new();
        genesis.put(&mut bytes);
        storage
            .replace(GENESIS, &bytes)
            .map_err(storage_error("write", GENESIS))?;
        let hash = Sha256::digest(&bytes).into();
        let index = Index {
            time: Time::MIN,
            ..Index::default()
        };
        Ok(Self::assemble(
            storage,
            State::new(genesis),
            hash,
            index,
            (0, 0),
        ))
    }

    fn assemble(
        storage: S,
        state: State,
        genesis_hash: Hash,
        index: Index,
        (segment, segment_len): (u64, u64),
    ) -> Self {
        let ledger = state.genesis().ledger;
        let door = DoorKeeper::new(ledger);
        for signer in state.signers() {
            door.add(signer.id, &signer.key);
        }
        Self {
            applier: Applier {
                state,
                rulebook: Hash::default(),
                ledger,
            },
            log: Log::new(storage, ledger, genesis_hash, index, segment, segment_len),
            door,
            stopped: false,
        }
    }

    /// The journal in `storage`: the newest usable snapshot, and every batch after it. A torn tail
    /// is cut at the last valid batch; anything else that is not as written is an error.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn open(storage: S) -> Result<(Self, Recovery), JournalError> {
        let (genesis, genesis_hash) = read_genesis(&storage)?;
        let ledger = genesis.ledger;
        let mut bad_snapshots = Vec::new();
        let start = Self::newest_snapshot(&storage, &genesis, &mut bad_snapshots)?;
        let (state, index) = match start {
            Some((state, index)) => (state, Some(index)),
            None => (State::new(genesis), None),
        };
        let from_snapshot = index.as_ref().map_or(0, |i| i.tree.leaves().len() as u64);
        let records_before = state.records();
        let mut applier = Applier {
            state,
            rulebook: Hash::default(),
            ledger,
        };
        let mut rulebook = Hash::default();
        // one thread reads and hashes, the other applies
        let (tx, rx) = std::sync::mpsc::sync_channel::<OwnedBatch>(8);
        let (walked, replayed) = std::thread::scope(|scope| {
            let applying = scope.spawn(move || {
                for batch in rx {
                    applier
                        .replay(&batch.header, &batch.records())
                        .map_err(|reason| JournalError::Corrupt {
                            segment: format!("batch {}", batch.header.batch),
                            at: 0,
                            reason,
                        })?;
                }
                Ok(applier)
            });
            let walked = walk(&storage, &ledger, &genesis_hash, index, |batch| {
                rulebook = batch.header.rulebook;
                tx.send(OwnedBatch::of(batch))
                    .map_err(|_| JournalError::Stopped)
            });
            drop(tx);
            let replayed = applying.join().unwrap_or(Err(JournalError::Stopped));
            (walked, replayed)
        });
        // what stopped the second thread says more than that it stopped
        let applier: Applier = replayed?;
        let walked = walked?;
        let last = Self::mend(&storage, &walked)?;
        let recovery = Recovery {
            batches: walked.index.tree.leaves().len() as u64,
            records: walked.index.records,
            from_snapshot,
            replayed: walked.index.records - records_before,
            cut: walked.torn,
            bad_snapshots,
        };
        let mut journal = Self::assemble(storage, applier.state, genesis_hash, walked.index, last);
        journal.applier.rulebook = rulebook;
        Ok((journal, recovery))
    }

    /// Cuts a torn tail, and writes the last segment anew: after a failed sync the system may show
    /// bytes that are not on the disk, so what was read is made durable before anything rests on it.
    fn mend(storage: &S, walked: &crate::log::Walked) -> Result<(u64, u64), JournalError> {
        if let Some(torn) = &walked.torn
            && torn.at == 0
        {
            storage
                .remove(&torn.segment)
                .map_err(storage_error("remove", &torn.segment))?;
        }
        let Some((first, len)) = walked.last else {
            return Ok((0, 0));
        };
        let name = segment_name(first);
        let bytes = storage
            .read_at(&name, 0, usize::try_from(len).unwrap_or(usize::MAX))
            .map_err(storage_error("read", &name))?;
        storage
            .replace(&name, &bytes)
            .map_err(storage_error("write", &name))?;
        Ok((first, len))
    }

    fn newest_snapshot(
        storage: &S,
        genesis: &Genesis,
        bad: &mut Vec<(String, String)>,
    ) -> Result<Option<(State, Index)>, JournalError> {
        let names = storage.list().map_err(storage_error("list", ""))?;
        for name in names.iter().rev().filter(|n| n.ends_with(".snap")) {
            let bytes = storage.read(name).map_err(storage_error("read", name))?;
            match Self::read_snapshot(&bytes, genesis) {
                Ok(found) => return Ok(Some(found)),
                Err(reason) => bad.push((name.clone(), reason)),
            }
        }
        Ok(None)
    }

    fn read_snapshot(bytes: &[u8], genesis: &Genesis) -> Result<(State, Index), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let mut r = Reader::new(bytes);
        let hash = Hash::get(&mut r).map_err(|e| text(&e))?;
        let rest = r.take(r.left()).map_err(|e| text(&e))?;
        if Sha256::digest(rest)[..] != hash {
            return Err("its bytes do not have its hash".to_owned());
        }
        let mut r = Reader::new(rest);
        let time = Time::get(&mut r).map_err(|e| text(&e))?;
        let count = u64::get(&mut r).map_err(|e| text(&e))?;
        let mut leaves = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(r.left() / 32));
        for _ in 0..count {
            leaves.push(Hash::get(&mut r).map_err(|e| text(&e))?);
        }
        let state = r.take(r.left()).map_err(|e| text(&e))?;
        let state = State::from_snapshot(state).map_err(|e| text(&e))?;
        if state.genesis() != genesis {
            return Err("it belongs to another ledger".to_owned());
        }
        let index = Index {
            tree: Tree::of(leaves),
            records: state.records(),
            time,
            digest: state.digest(),
            ..Index::default()
        };
        Ok((state, index))
    }

    /// Writes a snapshot of the durable state and removes the older ones but one.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn snapshot(&self) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        write_snapshot(self.log.storage(), self.log.index(), &self.applier.state)
    }

    /// The door, to be shared with those who bring envelopes.
    #[must_use]
    pub fn door(&self) -> &DoorKeeper {
        &self.door
    }

    /// The state. What it shows is durable.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.applier.state
    }

    /// The durable batches.
    #[must_use]
    pub fn index(&self) -> &SharedIndex {
        self.log.index()
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &S {
        self.log.storage()
    }

    /// Sets the version of the rulebook that later headers name.
    pub fn set_rulebook(&mut self, rulebook: Hash) {
        self.applier.rulebook = rulebook;
    }

    /// Applies envelopes at `now` (or at the last instant, if that is later) as one batch, together
    /// with the expiry of what is due. When it returns, all of it is durable.
    ///
    /// # Errors
    /// [`JournalError::Storage`] or [`JournalError::Violation`]; from then on
    /// [`JournalError::Stopped`], and it must be opened again.
    pub fn commit(
        &mut self,
        now: Time,
        envelopes: &[Admitted],
    ) -> Result<Vec<Vec<Applied>>, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        self.stopped = true;
        let batched = self.applier.apply(now, envelopes)?;
        if let Some(sealed) = batched.sealed {
            self.log.append(sealed)?;
        }
        for key in &batched.keys {
            self.door.add(key.id, &key.key);
        }
        self.stopped = false;
        Ok(batched.answers)
    }
}

pub(crate) fn write_snapshot<S: Storage>(
    storage: &S,
    index: &SharedIndex,
    state: &State,
) -> Result<(), JournalError> {
    let (batches, mut bytes) = {
        let index = index.read();
        let leaves = index.tree.leaves();
        let mut bytes = vec![0; 32];
        index.time.put(&mut bytes);
        (leaves.len() as u64).put(&mut bytes);
        for leaf in leaves {
            leaf.put(&mut bytes);
        }
        (leaves.len() as u64, bytes)
    };
    if batches == 0 {
        return Ok(());
    }
    bytes.extend_from_slice(&state.to_snapshot());
    let hash = Sha256::digest(&bytes[32..]);
    bytes[..32].copy_from_slice(&hash);
    let name = snapshot_name(batches);
    storage
        .replace(&name, &bytes)
        .map_err(storage_error("write", &name))?;
    let names = storage.list().map_err(storage_error("list", ""))?;
    let snapshots: Vec<_> = names.iter().filter(|n| n.ends_with(".snap")).collect();
    for name in snapshots.iter().rev().skip(2) {
        storage
            .remove(name)
            .map_err(storage_error("remove", name))?;
    }
    Ok(())
}
