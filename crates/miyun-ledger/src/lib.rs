//! Double entry for everything that must be conserved: allowances, credits, hazardous waste,
//! radioactive sources, deposits.
//!
//! [`State`] is a deterministic state machine: it takes [`Command`]s and an instant, and answers a
//! [`Receipt`] or a [`Refusal`] with a stable code. It reads no clock, draws no random number and
//! does no I/O; the journal that feeds it is `miyun-journal`. What a kind of good may do is data
//! ([`ClassDef`]), and so is every rulebook row that permits a move ([`RuleDef`]).
//!
//! At the end of each batch [`State::seal`] checks the invariants over what the batch touched.

mod account;
mod asset;
mod check;
pub mod codec;
mod codec_op;
mod command;
pub mod digest;
mod ids;
mod moves;
mod pending;
mod read;
mod refusal;
mod seal;
mod serial;
mod setup;
mod snapshot;
mod state;
mod table;

pub use account::{Account, AccountDef, AccountFlags, AccountKind, Counters, KindSet};
pub use asset::{
    AssetDef, ClassDef, LimitDef, Measure, Move, PendingRule, Powers, RuleDef, SeriesDef,
    SignerDef, TransferKind, TransferKinds, Yield,
};
pub use codec::DecodeError;
pub use command::{
    Adjustment, COMMAND_LEN_MAX, Command, LIMITS_MAX, MEMO_MAX, MOVES_MAX, Moved, NAME_MAX, Op,
    PARTS_MAX, Range, Receipt, Reserve, STEPS_MAX, Step, Transfer, Transform,
};
pub use ids::{
    AccountId, AssetId, ClassId, CommandId, LimitId, PartyId, RuleId, SeriesId, SignerId, Time,
    Window, parse_amount,
};
pub use refusal::Refusal;
pub use seal::{Seal, Violation};
pub use serial::MOVED_MAX;
pub use snapshot::SnapshotError;
pub use state::{Asset, Block, Genesis, Limit, Outcome, Pending, Posted, SYSTEM, Series, State};
