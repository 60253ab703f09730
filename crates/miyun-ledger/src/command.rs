//! Commands: everything that can be asked of the ledger, as data.

use serde::{Deserialize, Serialize};

use crate::{
    AccountDef, AccountId, AssetDef, AssetId, ClassDef, CommandId, LimitDef, LimitId, PartyId,
    RuleDef, RuleId, SeriesDef, SeriesId, SignerDef, SignerId, Time, TransferKind, Window,
};

/// Longest memo in bytes.
pub const MEMO_MAX: usize = 1_000;
/// Longest name, unit or prefix in bytes.
pub const NAME_MAX: usize = 200;
/// Most steps of a chain.
pub const STEPS_MAX: usize = 1_024;
/// Most parts of a split.
pub const PARTS_MAX: usize = 1_024;
/// Most limits of an account.
pub const LIMITS_MAX: usize = 8;
/// Most moves of a class.
pub const MOVES_MAX: usize = 64;
/// Longest encoded command in bytes.
pub const COMMAND_LEN_MAX: usize = 1 << 20;

/// A command: who asks what, under which id, and when it may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Idempotent id: sent again with the same content it returns the first receipt, with other
    /// content it is refused.
    pub id: CommandId,
    /// Who asks. The signature itself is checked at the journal's door.
    pub signer: SignerId,
    /// When it may be applied; a copy that arrives outside is refused.
    pub window: Window,
    /// What is asked.
    pub op: Op,
}

/// A closed range of serial numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First.
    pub start: u64,
    /// Last.
    pub end: u64,
}

impl Range {
    /// Units inside, `end - start + 1`; none if it is backwards, starts at 0, or leaves 64 bits.
    #[must_use]
    pub fn len(self) -> Option<u64> {
        if self.start == 0 || self.end < self.start {
            return None;
        }
        (self.end - self.start).checked_add(1)
    }

    /// True if it is no range.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len().is_none()
    }

    /// True if `inner` lies inside.
    #[must_use]
    pub fn contains(self, inner: Self) -> bool {
        self.start <= inner.start && inner.end <= self.end && !inner.is_empty()
    }
}

/// Moves an amount at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Why.
    pub kind: TransferKind,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much, in the asset's smallest unit.
    pub amount: u64,
    /// Which serial numbers, for serial assets. Without it the ledger gives the tail of the
    /// account's last blocks; at issue it numbers on.
    pub range: Option<Range>,
    /// The rulebook row that permits it.
    pub rule: RuleId,
    /// The case, order, manifest or compliance year it belongs to; 0 for none.
    pub case: u64,
    /// Beneficiary, reason, jurisdiction: public text, in the record and its proof.
    pub memo: Box<str>,
}

/// Reserves an amount: it can no longer be spent, and has not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// What is to move, once posted.
    pub transfer: Transfer,
    /// From when it may be posted (a delay); [`Time::MIN`] for at once.
    pub opens: Time,
    /// When it runs out; [`Time::MAX`] for never.
    pub expires: Time,
    /// Whose signers may post it (the buyer, the receiver, a second representative).
    pub resolver: PartyId,
    /// True if the signer who posts must be another than the one who reserved.
    pub four_eyes: bool,
    /// For goods: where the difference between declared and measured goes.
    pub discrepancy: Option<AccountId>,
}

/// Takes an amount of one asset out of use and brings an amount of another into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// [`TransferKind::Convert`] (one to one) or [`TransferKind::Transform`] (by the rule's yield).
    pub kind: TransferKind,
    /// Whence the input comes.
    pub input: AccountId,
    /// Where it ends: a consumed account of the input's asset.
    pub sink: AccountId,
    /// How much goes in.
    pub amount_in: u64,
    /// Whence the output comes: a contra account of the output's asset.
    pub source: AccountId,
    /// Where the output goes.
    pub output: AccountId,
    /// How much comes out.
    pub amount_out: u64,
    /// The rulebook row that permits it.
    pub rule: RuleId,
    /// The case, year or batch it belongs to; 0 for none.
    pub case: u64,
    /// Public text.
    pub memo: Box<str>,
}

/// One step of a chain. All steps are applied or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its own idempotent id, by which it can be posted, voided or reversed later.
    pub id: CommandId,
    /// A movement; never a chain or a definition.
    pub op: Op,
}

/// The corresponding adjustment of a unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Adjustment {
    /// Not asked for.
    #[default]
    None = 0,
    /// The host has authorised the use abroad.
    Authorised = 1,
    /// The host has applied the adjustment in its account.
    Applied = 2,
}

impl Adjustment {
    /// The state with this number.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Authorised),
            2 => Some(Self::Applied),
            _ => None,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Moves an amount at once.
    Transfer(Transfer),
    /// Reserves an amount; its id is the command's.
    Reserve(Reserve),
    /// Posts a pending transfer, whole or in part; the rest follows the class's pending rule.
    Post {
        /// The reservation's id.
        pending: CommandId,
        /// How much arrived; all of it if absent.
        amount: Option<u64>,
    },
    /// Gives a pending transfer back.
    Void {
        /// The reservation's id.
        pending: CommandId,
    },
    /// Gives back a pending transfer that has run out; for goods only marks it overdue.
    Expire {
        /// The reservation's id.
        pending: CommandId,
    },
    /// Moves back what an earlier transfer moved, whole or in part, citing it.
    Reverse {
        /// The earlier transfer.
        original: CommandId,
        /// How much; what is left of it if absent.
        amount: Option<u64>,
        /// Which serial numbers, for serial assets; without it the tail of what the receiver holds.
        range: Option<Range>,
        /// The rulebook row that permits it.
        rule: RuleId,
        /// Reason, as public text.
        memo: Box<str>,
    },
    /// One asset into another.
    Transform(Transform),
    /// All steps or none.
    Chain(Vec<Step>),
    /// Cuts one block into parts that keep their holder.
    SplitBlock {
        /// The series.
        series: SeriesId,
        /// The block as it stands.
        block: Range,
        /// A partition of it.
        parts: Vec<Range>,
    },
    /// Moves the corresponding adjustment of a range one step on.
    SetAdjustment {
        /// The series.
        series: SeriesId,
        /// Units held by one account.
        range: Range,
        /// The next state.
        to: Adjustment,
        /// The rulebook row that permits it; it must permit [`TransferKind::Export`].
        rule: RuleId,
    },
    /// Defines a class.
    DefineClass(ClassDef),
    /// Defines a series.
    DefineSeries(SeriesDef),
    /// Defines an asset.
    DefineAsset(AssetDef),
    /// Registers a rulebook row.
    DefineRule(RuleDef),
    /// Ends a rule earlier than its row said.
    CloseRule {
        /// The rule.
        rule: RuleId,
        /// First instant at which it no longer holds; not in the past.
        until: Time,
    },
    /// Defines a limit.
    DefineLimit(LimitDef),
    /// Changes a limit. A cap below what is used stops growth; it takes nothing away.
    SetLimit {
        /// The limit.
        limit: LimitId,
        /// The new cap.
        cap: u64,
        /// The new window.
        window: Window,
    },
    /// Changes how much of an asset may be issued; never below what was.
    SetIssueCap {
        /// The asset.
        asset: AssetId,
        /// The new cap.
        cap: u64,
    },
    /// Registers a key.
    DefineSigner(SignerDef),
    /// Ends a key.
    CloseSigner {
        /// The signer.
        signer: SignerId,
        /// First instant at which it may no longer sign; not in the past.
        until: Time,
    },
    /// Opens an account.
    OpenAccount(AccountDef),
    /// Freezes or thaws an account.
    SetFrozen {
        /// The account.
        account: AccountId,
        /// True to freeze.
        frozen: bool,
    },
    /// Closes an account that is empty or terminal, for good.
    CloseAccount {
        /// The account.
        account: AccountId,
    },
}

/// Serial numbers that a command moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The step or command that moved them.
    pub id: CommandId,
    /// The series.
    pub series: SeriesId,
    /// The range.
    pub range: Range,
    /// The account that holds it now.
    pub to: AccountId,
}

/// What comes back for a command that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The command's id.
    pub id: CommandId,
    /// The number of its record in the log, from 0.
    pub record: u64,
    /// True if it had been applied before and this is the answer to a repetition; then `moved` is
    /// empty: read it from the record.
    pub replayed: bool,
    /// Serial numbers that moved, in order.
    pub moved: Vec<Moved>,
}
