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
