//! Asset classes, assets, rules, limits, signers: everything that is data, not code.
//!
//! A new kind of good joins the ledger by a [`ClassDef`]: which moves it knows, whether its units
//! carry serial numbers, whether it is one indivisible piece, and what a pending transfer means.

use serde::{Deserialize, Serialize};

use crate::account::byte_enum;
use crate::{
    AssetId, ClassId, KindSet, LimitId, PartyId, RuleId, SeriesId, SignerId, Time, Window,
};

byte_enum! {
    /// Why something moves.
    TransferKind {
        /// Comes into being, from contra.
        Issue = 1, "issue";
        /// Handed out by the authority.
        Allocate = 2, "allocate";
        /// Passed from party to party.
        Transfer = 3, "transfer";
        /// Put behind an order or a bid.
        Lock = 4, "lock";
        /// Taken back from behind an order or a bid.
        Unlock = 5, "unlock";
        /// Sold.
        Trade = 6, "trade";
        /// Given up for compliance.
        Surrender = 7, "surrender";
        /// Retired for a beneficiary.
        Retire = 8, "retire";
        /// Cancelled.
        Cancel = 9, "cancel";
        /// Put into the buffer.
        BufferIn = 10, "buffer_in";
        /// Taken from the buffer.
        BufferOut = 11, "buffer_out";
        /// One vintage for another, one to one (banking).
        Convert = 12, "convert";
        /// One good for another, with a declared yield (treatment).
        Transform = 13, "transform";
        /// Dies at its deadline.
        Expire = 14, "expire";
        /// Leaves for another registry; wants the corresponding adjustment.
        Export = 15, "export";
        /// Shipped and delivered.
        Ship = 16, "ship";
        /// A discrepancy explained or a measured difference booked.
        Adjust = 17, "adjust";
        /// Compensates an earlier transfer.
        Reverse = 18, "reverse";
    }
}

/// A set of transfer kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferKinds(pub u32);

impl TransferKinds {
    /// Every kind.
    pub const ANY: Self = Self(u32::MAX);

    /// The set of `kinds`.
    #[must_use]
    pub fn of(kinds: &[TransferKind]) -> Self {
        Self(kinds.iter().fold(0, |set, &kind| set | 1 << kind as u8))
    }

    /// True if `kind` is in the set.
    #[must_use]
    pub fn has(self, kind: TransferKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// One move that a class knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Why.
    pub kind: TransferKind,
    /// From accounts of these kinds.
    pub from: KindSet,
    /// To accounts of these kinds.
    pub to: KindSet,
}

byte_enum! {
    /// What a pending transfer means for a class.
    PendingRule {
        /// A smaller posted amount gives the rest back, a larger one is refused, a timeout gives
        /// everything back.
        Money = 1, "money";
        /// Arrival posts the measured amount whatever it is; the difference of either sign goes to
        /// a discrepancy account; a timeout raises an alarm and moves nothing.
        Goods = 2, "goods";
    }
}

/// The rules of a class of assets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassDef {
    /// Its id.
    pub id: ClassId,
    /// Its name, for example `allowance`.
    pub name: Box<str>,
    /// The smallest unit, for example `t` or `g` or `piece`.
    pub unit: Box<str>,
    /// True if every unit carries a serial number.
    pub serial: bool,
    /// True if an asset is one indivisible piece: at most one unit is ever issued.
    pub single: bool,
    /// True if both sides of a move between parties must hold a permit in force: the giving
    /// account a budget of debits, the receiving account a budget of credits.
    pub permits: bool,
    /// What a pending transfer means.
    pub pending: PendingRule,
    /// The moves that it knows, at most [`crate::MOVES_MAX`]. Anything else is refused.
    pub moves: Vec<Move>,
}

/// An asset: what balances are counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetDef {
    /// Its id.
    pub id: AssetId,
    /// Its class.
    pub class: ClassId,
    /// Its name, for example `BEA-2025`.
    pub name: Box<str>,
    /// Its vintage year, or 0.
    pub vintage: u16,
    /// The serial series, exactly if the class is serial.
    pub series: Option<SeriesId>,
    /// Most that may ever exist: what a verification, a cap or a weighing allows.
    pub issue_cap: u64,
    /// From then on it can only be unlocked, cancelled or expired.
    pub usable_until: Time,
}

/// A run of serial numbers from 1 upward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesDef {
    /// Its id.
    pub id: SeriesId,
    /// What stands before the numbers, for example `CA0004-VU-CH-356`.
    pub prefix: Box<str>,
}

/// Output over input of a transform, in parts per million; both ends are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yield {
    /// Least.
    pub min_ppm: u64,
    /// Most.
    pub max_ppm: u64,
}

/// A dated row of the rulebook that permits moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDef {
    /// Its id.
    pub id: RuleId,
    /// Where it stands in the rulebook, for example `CN/MEE-2024-banking#carry-over`.
    pub name: Box<str>,
    /// The moves that it permits.
    pub kinds: TransferKinds,
    /// When it is in force.
    pub window: Window,
    /// For a transform, what may come out of what goes in. Without it, one to one.
    pub yields: Option<Yield>,
}

byte_enum! {
    /// What a limit counts over its accounts.
    Measure {
        /// Balances and what is reserved to arrive: a holding limit.
        Balance = 1, "balance";
        /// Everything that arrived or is reserved to: a cap on use, a receiving permit.
        Credits = 2, "credits";
        /// Everything that left or is reserved to: a shipping permit, a bid cap.
        Debits = 3, "debits";
    }
}

/// A cap over a set of accounts (a party, a related-party group, a permit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitDef {
    /// Its id.
    pub id: LimitId,
    /// Its name, with the rulebook row it follows.
    pub name: Box<str>,
    /// What it counts.
    pub measure: Measure,
    /// The unit of every account that joins it.
    pub unit: Box<str>,
    /// Most.
    pub cap: u64,
    /// When movements under it are possible at all.
    pub window: Window,
}

/// What a signer may do besides debiting its own party's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Powers(pub u8);

impl Powers {
    /// Define classes, assets, accounts, rules, limits and signers; freeze and close.
    pub const DEFINE: u8 = 1;
    /// Issue: debit contra accounts and set adjustment states.
    pub const ISSUE: u8 = 2;
    /// Debit any account and resolve any pending transfer: registry, court, clearing.
    pub const MOVE_ANY: u8 = 4;
    /// All of them.
    pub const ALL: Self = Self(7);
    /// None of them: an ordinary representative.
    pub const HOLDER: Self = Self(0);

    /// True if all bits of `power` are held.
    #[must_use]
    pub fn has(self, power: u8) -> bool {
        self.0 & power == power
    }
}

/// A key that may sign for a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerDef {
    /// Its id.
    pub id: SignerId,
    /// Whose accounts it may debit.
    pub party: PartyId,
    /// Ed25519 public key.
    pub key: [u8; 32],
    /// What else it may do.
    pub powers: Powers,
    /// When it may sign.
    pub window: Window,
}
