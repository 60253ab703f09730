//! What can go wrong with the journal.

use miyun_ledger::{DecodeError, SnapshotError, Violation};

/// A failure of the journal. A command that is merely refused is no failure.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The storage failed. The journal takes nothing more until it is opened again.
    #[error("{what} of {name}: {error}")]
    Storage {
        /// What was tried.
        what: &'static str,
        /// Which file.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// There is a journal already.
    #[error("a journal exists here already; open it instead")]
    Exists,
    /// There is no journal.
    #[error("no journal here ({0}); create one first")]
    Missing(String),
    /// The genesis cannot be used.
    #[error("the genesis cannot be used: {0}")]
    Genesis(String),
    /// Something that was durable is not as it was written.
    #[error("{segment} at byte {at}: {reason}. This is not a torn tail; restore a copy")]
    Corrupt {
        /// The segment.
        segment: String,
        /// Where.
        at: u64,
        /// Why.
        reason: String,
    },
    /// The log is shorter than, or different from, a signed head that is known.
    #[error("the log does not contain the signed head over {0} batches")]
    Behind(u64),
    /// A snapshot is unusable.
    #[error("snapshot: {0}")]
    Snapshot(#[from] SnapshotError),
    /// Bytes are no record, envelope, head or proof.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The state machine broke an invariant: a defect of this program.
    #[error("an invariant of the ledger does not hold: {0}")]
    Violation(#[from] Violation),
    /// An earlier failure stopped the journal.
    #[error("the journal has stopped after an earlier failure; open it again")]
    Stopped,
    /// No such record or batch.
    #[error("no {what} {number}; the log has {len}")]
    NoSuch {
        /// Record or batch.
        what: &'static str,
        /// Asked for.
        number: u64,
        /// There are.
        len: u64,
    },
    /// No record has this command id.
    #[error("no record holds the command {0}")]
    NoSuchCommand(miyun_ledger::CommandId),
    /// A reader of rows gave up.
    #[error("the receiver of rows failed: {0}")]
    Sink(String),
}

/// Why the door did not let an envelope in. Nothing of it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Door {
    /// It cannot be read.
    #[error("the envelope cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// It is for another ledger.
    #[error("the envelope is addressed to another ledger")]
    OtherLedger,
    /// It has no command, more than allowed, or too many bytes.
    #[error(
        "an envelope holds 1 to {COMMANDS_MAX} commands of {COMMAND_LEN_MAX} bytes at most, {ENVELOPE_LEN_MAX} in all"
    )]
    TooLarge,
    /// A command names another signer than the envelope, or the system.
    #[error("every command of an envelope names the envelope's signer")]
    WrongSigner,
    /// The signer has no key here.
    #[error("the signer is not registered")]
    SignerUnknown,
    /// The signature is wrong.
    #[error("the signature does not fit the signer's key")]
    BadSignature,
    /// Too much is waiting.
    #[error("the ledger is busy; try again with the same ids")]
    Overloaded,
    /// The journal has stopped; whether the commands were recorded is known after it is opened
    /// again. Repeating them with the same ids is always safe.
    #[error("the ledger has stopped: {0}")]
    Stopped(String),
}

use crate::envelope::{COMMANDS_MAX, ENVELOPE_LEN_MAX};
use miyun_ledger::COMMAND_LEN_MAX;

impl Door {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::OtherLedger => "other_ledger",
            Self::TooLarge => "too_large",
            Self::WrongSigner => "wrong_signer",
            Self::SignerUnknown => "signer_unknown",
            Self::BadSignature => "bad_signature",
            Self::Overloaded => "overloaded",
            Self::Stopped(_) => "stopped",
        }
    }
}
