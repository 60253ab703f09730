//! Ids, instants, windows and amounts of the ledger: small integers, because tens of millions of
//! them are held in memory and hashed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Refusal;

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

number_id! {
    /// One account: one holder, one asset, one kind.
    AccountId(u64);
    /// A party of the registry: who holds accounts and whose signers may debit them.
    PartyId(u64);
    /// What is held: one vintage of an allowance, one issuance of a project, one lot, one source.
    AssetId(u32);
    /// A class of assets: the rules that a kind of good obeys.
    ClassId(u16);
    /// A run of serial numbers, shared by all assets of one project.
    SeriesId(u32);
    /// A dated row of the rulebook, as registered in the ledger.
    RuleId(u32);
    /// A key that may sign commands for a party.
    SignerId(u32);
    /// A budget: a cap on what a set of accounts holds, receives or gives.
    LimitId(u32);
}

/// The idempotent id of a command or of a step of a chain. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CommandId(pub u128);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CommandId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for CommandId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An instant: milliseconds since 1970-01-01 00:00 UTC. The ledger never reads a clock; business
/// calendars are resolved to instants by its caller.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// Before every other instant.
    pub const MIN: Self = Self(i64::MIN);
    /// After every other instant: "never ends".
    pub const MAX: Self = Self(i64::MAX);
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The instants `from <= t < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub from: Time,
    /// First instant outside.
    pub until: Time,
}

impl Window {
    /// Every instant.
    pub const ALWAYS: Self = Self {
        from: Time::MIN,
        until: Time::MAX,
    };

    /// True if `at` is inside; a window without end includes [`Time::MAX`].
    #[must_use]
    pub fn contains(&self, at: Time) -> bool {
        self.from <= at && (at < self.until || self.until == Time::MAX)
    }
}

/// The amount written in `text`: a whole, positive number of the asset's smallest unit.
///
/// # Errors
/// [`Refusal::NegativeAmount`], [`Refusal::ZeroAmount`], [`Refusal::AmountOverflow`] above 2^64-1,
/// [`Refusal::Malformed`] for anything else.
pub fn parse_amount(text: &str) -> Result<u64, Refusal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    if digits.len() < text.len() {
        return Err(Refusal::NegativeAmount);
    }
    match digits.parse::<u64>() {
        Ok(0) => Err(Refusal::ZeroAmount),
        Ok(amount) => Ok(amount),
        Err(_) => Err(Refusal::AmountOverflow),
    }
}
