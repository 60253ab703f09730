//! The carbon registry: who may do what to which units, and under which dated rule.
//!
//! A [`request`] is signed by a representative. A [`policy`] holds it against the rules in force
//! and turns it into ledger transfers that name the rulebook row permitting them. Both go into the
//! journal as one record, so that state is the fold of the journal and nothing else: [`model`]
//! folds, [`service`] is the single writer, [`read`] keeps disposable SQL copies.
//!
//! The law arrives as data; the clock and the keys come from the edge.

pub mod book;
pub mod certificate;
pub mod export;
pub mod fold;
pub mod mirror;
pub mod model;
pub mod policy;
pub mod read;
pub mod request;
pub mod service;
pub mod statement;
pub mod time;

pub use model::Model;
pub use request::{Ask, Envelope, Request};
pub use service::{Answer, Registry};

/// Why the registry refuses or fails. The code is stable: see [`Error::code`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is no request.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// The signature is not the representative's.
    #[error("the signature is not that of {0}")]
    WrongSigner(String),
    /// No such party, representative, asset, account, project or transfer.
    #[error("there is no {kind} {id:?}")]
    Unknown {
        /// What sort of thing.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Something of this id exists.
    #[error("{kind} {id:?} exists already")]
    Exists {
        /// What sort of thing.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The party's role does not allow it.
    #[error("{party} is {role}; this needs {needs}")]
    Role {
        /// Who asked.
        party: String,
        /// What it is.
        role: &'static str,
        /// What it would have to be.
        needs: &'static str,
    },
    /// The party is frozen.
    #[error("{0} is frozen: nothing may leave or enter its accounts")]
    Frozen(String),
    /// The request came outside its window.
    #[error("the request is good from {from} until {until}, it is {now}; sign it again")]
    OutOfWindow {
        /// First instant.
        from: String,
        /// First instant outside.
        until: String,
        /// Now.
        now: String,
    },
    /// The window is longer than the registry keeps requests open.
    #[error("the window of a request is at most {0} hours")]
    WindowTooLong(i64),
    /// The id was used with other content.
    #[error("request id {0} was used for another request; draw a new one")]
    IdReused(String),
    /// The party does not hold enough.
    #[error("{party} has {available} {unit} of {asset} free, {asked} were asked for")]
    Insufficient {
        /// Who.
        party: String,
        /// What.
        asset: String,
        /// Free.
        available: i128,
        /// Asked for.
        asked: u64,
        /// Unit.
        unit: &'static str,
    },
    /// The approver is the proposer.
    #[error("{0} proposed this transfer; another representative must approve it")]
    SamePerson(String),
    /// A transfer is not in the state that a step needs.
    #[error("transfer {id} is {is}; this needs one that is {needs}")]
    TransferState {
        /// The transfer.
        id: String,
        /// Its state.
        is: &'static str,
        /// What it should be.
        needs: &'static str,
    },
    /// A rule of the body of knowledge refuses.
    #[error(transparent)]
    Carbon(#[from] miyun_carbon::Error),
    /// The ledger refuses.
    #[error("{}", .0)]
    Ledger(miyun_ledger::Refusal),
    /// The journal's door refuses, or storage fails.
    #[error("journal: {text}")]
    Journal {
        /// Its code.
        code: String,
        /// In words.
        text: String,
    },
    /// The journal holds something that this program does not understand.
    #[error("record {record}: {reason}")]
    Record {
        /// Which.
        record: u64,
        /// What.
        reason: String,
    },
    /// A file or a database.
    #[error("{what}: {reason}")]
    Storage {
        /// Which file or query.
        what: String,
        /// Why.
        reason: String,
    },
}

impl From<miyun_carbon::LawError> for Error {
    fn from(e: miyun_carbon::LawError) -> Self {
        Self::Carbon(e.into())
    }
}

impl From<miyun_ledger::Refusal> for Error {
    fn from(e: miyun_ledger::Refusal) -> Self {
        Self::Ledger(e)
    }
}

impl Error {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongSigner(_) => "wrong_signer",
            Self::Unknown { .. } => "unknown",
            Self::Exists { .. } => "exists",
            Self::Role { .. } => "role",
            Self::Frozen(_) => "frozen",
            Self::OutOfWindow { .. } => "out_of_window",
            Self::WindowTooLong(_) => "window_too_long",
            Self::IdReused(_) => "id_reused",
            Self::Insufficient { .. } => "insufficient",
            Self::SamePerson(_) => "same_person",
            Self::TransferState { .. } => "transfer_state",
            Self::Carbon(e) => e.code(),
            Self::Ledger(r) => r.code(),
            Self::Journal { code, .. } => code,
            Self::Record { .. } => "record",
            Self::Storage { .. } => "storage",
        }
    }

    /// True if the sender can mend it: a refusal, not a failure of the registry.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Journal { .. } | Self::Record { .. } | Self::Storage { .. }
        )
    }
}
