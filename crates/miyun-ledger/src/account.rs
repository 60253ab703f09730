//! Accounts: kinds, flags and four counters.

use serde::{Deserialize, Serialize};

use crate::{AccountId, AssetId, LimitId, PartyId};

macro_rules! byte_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)* }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The value with this number.
            #[must_use]
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($value => Some(Self::$variant),)* _ => None }
            }

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use byte_enum;

byte_enum! {
    /// What an account is for. The kind decides whether it may be overdrawn or ever debited.
    AccountKind {
        /// Freely held by a party.
        Holding = 1, "holding";
        /// Held for compliance; may be exempt from holding limits by not joining them.
        Compliance = 2, "compliance";
        /// Locked behind an order.
        OrderLock = 3, "order_lock";
        /// Locked behind a bid.
        AuctionLock = 4, "auction_lock";
        /// Pool that answers for reversals.
        Buffer = 5, "buffer";
        /// Under way between two parties.
        Transit = 6, "transit";
        /// Where measured and declared amounts differ; may have either sign.
        Discrepancy = 7, "discrepancy";
        /// Waiting for a decision.
        Suspense = 8, "suspense";
        /// Given up for compliance; terminal.
        Surrendered = 9, "surrendered";
        /// Retired for a beneficiary; terminal.
        Retired = 10, "retired";
        /// Cancelled; terminal.
        Cancelled = 11, "cancelled";
        /// Left for another registry; terminal.
        Exported = 12, "exported";
        /// Treated, destroyed, or converted into another asset; terminal.
        Consumed = 13, "consumed";
        /// The other side of issuance: its debit balance is what exists.
        Contra = 14, "contra";
    }
}

impl AccountKind {
    /// True if the account accepts credits only and never decreases.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Surrendered | Self::Retired | Self::Cancelled | Self::Exported | Self::Consumed
        )
    }

    /// True if the account may be overdrawn: only the boundary of the ledger may.
    #[must_use]
    pub fn is_boundary(self) -> bool {
        matches!(self, Self::Contra | Self::Discrepancy)
    }
}

/// A set of account kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindSet(pub u32);

impl KindSet {
    /// Every kind.
    pub const ANY: Self = Self(u32::MAX);

    /// The set of `kinds`.
    #[must_use]
    pub fn of(kinds: &[AccountKind]) -> Self {
        Self(kinds.iter().fold(0, |set, &kind| set | 1 << kind as u8))
    }

    /// True if `kind` is in the set.
    #[must_use]
    pub fn has(self, kind: AccountKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// What is asked when an account is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDef {
    /// Its id, chosen by the caller.
    pub id: AccountId,
    /// Who holds it.
    pub holder: PartyId,
    /// What it holds.
    pub asset: AssetId,
    /// What it is for.
    pub kind: AccountKind,
    /// Budgets that it counts towards, at most [`crate::LIMITS_MAX`].
    pub limits: Vec<LimitId>,
}

/// The four counters of an account, in the asset's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Reserved to leave.
    pub debits_pending: u64,
    /// Left.
    pub debits_posted: u64,
    /// Reserved to arrive.
    pub credits_pending: u64,
    /// Arrived.
    pub credits_posted: u64,
}

impl Counters {
    /// What has arrived less what has left; negative only on a boundary account.
    #[must_use]
    pub fn balance(&self) -> i128 {
        i128::from(self.credits_posted) - i128::from(self.debits_posted)
    }

    /// The balance less what is reserved to leave.
    #[must_use]
    pub fn available(&self) -> i128 {
        self.balance() - i128::from(self.debits_pending)
    }
}

/// Flags of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountFlags(pub u8);

impl AccountFlags {
    /// Debits, pending ones included, may not exceed credits.
    pub const NO_OVERDRAFT: u8 = 1;
    /// Accepts credits only.
    pub const CREDIT_ONLY: u8 = 2;
    /// Nothing may enter or leave until it is thawed.
    pub const FROZEN: u8 = 4;
    /// Nothing may enter or leave ever again; the balance is nought unless it is terminal.
    pub const CLOSED: u8 = 8;

    /// The flags that follow from a kind.
    #[must_use]
    pub fn of_kind(kind: AccountKind) -> Self {
        let mut flags = 0;
        if !kind.is_boundary() {
            flags |= Self::NO_OVERDRAFT;
        }
        if kind.is_terminal() {
            flags |= Self::CREDIT_ONLY;
        }
        Self(flags)
    }

    /// True if all bits of `flag` are set.
    #[must_use]
    pub fn has(self, flag: u8) -> bool {
        self.0 & flag == flag
    }
}

/// One account as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Who holds it.
    pub holder: PartyId,
    /// What it holds.
    pub asset: AssetId,
    /// What it is for.
    pub kind: AccountKind,
    /// What it may not do.
    pub flags: AccountFlags,
    /// What went in and out.
    pub counters: Counters,
    /// Budgets that it counts towards.
    pub limits: Box<[LimitId]>,
}
