//! The durable log of the ledger: one writer, group commit, one sync a batch, and an answer only
//! after it; Merkle proofs and signed heads that a stranger checks offline; snapshots; recovery;
//! an independent verifier; exports and disposable SQL read models.

mod applier;
pub mod audit;
mod engine;
mod envelope;
mod error;
pub mod export;
pub mod format;
mod journal;
pub mod log;
pub use miyun_merkle as merkle;
pub mod proof;
pub mod rebuild;
mod storage;
pub mod verify;

pub use applier::expiry_id;
pub use engine::{Engine, Handle, Options, QUEUE_MAX};
pub use envelope::{
    Admitted, COMMANDS_MAX, DoorKeeper, ENVELOPE_LEN_MAX, Envelope, envelope_message,
};
pub use error::{Door, JournalError};
pub use journal::{Applied, Journal, Recovery, read_genesis};
pub use storage::{DirStorage, MemStorage, Storage};

/// Reads the whole log in order, checking hashes, roots and chain, and gives each batch to `visit`.
/// A torn tail ends it and is named; everything before it is visited.
///
/// # Errors
/// [`JournalError::Corrupt`], [`JournalError::Missing`], [`JournalError::Storage`], and what
/// `visit` returns.
pub fn read_log<S: Storage>(
    storage: &S,
    visit: impl FnMut(&format::Batch<'_>) -> Result<(), JournalError>,
) -> Result<log::Walked, JournalError> {
    let (genesis, hash) = read_genesis(storage)?;
    log::walk(storage, &genesis.ledger, &hash, None, visit)
}

/// The ledger as it was at an instant: every batch until then applied again, each record compared
/// with what it answered. Gives each of these batches to `visit`. The index holds these batches
/// alone, so that heads and proofs made with it are those of that instant.
///
/// # Errors
/// As [`read_log`], and [`JournalError::Corrupt`] if a batch does not give what it gave.
pub fn read_until<S: Storage>(
    storage: &S,
    until: miyun_ledger::Time,
    mut visit: impl FnMut(&format::Batch<'_>) -> Result<(), JournalError>,
) -> Result<(miyun_ledger::State, log::Index), JournalError> {
    let (genesis, _) = read_genesis(storage)?;
    let mut applier = applier::Applier::new(genesis);
    let mut past = log::Index {
        time: miyun_ledger::Time::MIN,
        ..log::Index::default()
    };
    let walked = read_log(storage, |batch| {
        // Instants never go back: from the first later batch on, all are.
        if batch.header.time > until {
            return Ok(());
        }
        applier
            .replay(&batch.header, &batch.body.records)
            .map_err(|reason| JournalError::Corrupt {
                segment: format!("batch {}", batch.header.batch),
                at: 0,
                reason,
            })?;
        past.tree.push(batch.hash);
        past.records += u64::from(batch.header.records);
        past.time = batch.header.time;
        past.digest = batch.header.digest;
        visit(batch)
    })?;
    past.places = walked.index.places;
    past.places.truncate(past.tree.leaves().len());
    Ok((applier.state, past))
}
