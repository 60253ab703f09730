//! What the registry knows beyond balances: parties, representatives, projects, proposals,
//! retirements, compliance entries. A fold over the records of the journal; nothing else writes it.

mod look;

use std::collections::BTreeMap;

use miyun_carbon::compliance::Entry;
use miyun_carbon::project::Project;
use miyun_carbon::retire::Retirement;
use miyun_core::Text;
use miyun_ledger::{
    AccountId, AccountKind, AssetId, ClassId, CommandId, LimitId, PartyId, RuleId, SeriesId, Time,
};
use serde::{Deserialize, Serialize};

use crate::request::Role;

/// Class of filings: every request that was carried out is one unit, issued once, whose memo is
/// the signed request. That puts the request and its movements into one atomic record.
pub const FILING: ClassId = ClassId(1);
/// Class of allowances.
pub const ALLOWANCE: ClassId = ClassId(2);
/// Class of credits, with serial numbers.
pub const CREDIT: ClassId = ClassId(3);
/// The asset of filings.
pub const FILING_ASSET: AssetId = AssetId(1);
/// Whence filings come.
pub const FILING_CONTRA: AccountId = AccountId(1);
/// Where filings end.
pub const FILING_SINK: AccountId = AccountId(2);
/// The rule under which filings are filed.
pub const FILING_RULE: RuleId = RuleId(1);
/// The operator of the registry.
pub const OPERATOR: PartyId = PartyId(1);

/// A party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// Its number in the ledger.
    pub number: PartyId,
    /// What it is.
    pub role: Role,
    /// Its name.
    pub name: Text,
    /// Its group of related parties.
    pub group: String,
    /// Its sector.
    pub sector: Option<String>,
    /// Its representatives by id.
    pub representatives: BTreeMap<String, Representative>,
    /// Parties to which transfers need no delay, each from an instant.
    pub trusted: BTreeMap<String, Time>,
    /// True if nothing may move.
    pub frozen: bool,
}

/// Someone who signs for a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Representative {
    /// Public key, hexadecimal.
    pub key: String,
    /// First instant.
    pub from: Time,
    /// First instant at which the key no longer signs.
    pub until: Option<Time>,
}

/// What the registry knows of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// Its name, for example `LXA-2025`.
    pub name: String,
    /// Its number in the ledger.
    pub number: AssetId,
    /// Its class.
    pub class: ClassId,
    /// Its vintage.
    pub vintage: u16,
    /// Project and number of the monitoring period, for credits.
    pub project: Option<(String, u32)>,
    /// Its series, for credits.
    pub series: Option<SeriesId>,
}

/// A project with its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnedProject {
    /// Who owns it.
    pub owner: String,
    /// Its name.
    pub name: Text,
    /// Its life.
    pub life: Project,
    /// Its serial numbers, once the first credits exist.
    pub series: Option<SeriesId>,
    /// Records that concern it, oldest first: record, instant, what.
    pub history: Vec<Step>,
}

/// One step of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Record in the journal.
    pub record: u64,
    /// When.
    pub at: Time,
    /// Who signed.
    pub by: String,
    /// What, as the word of the request.
    pub what: String,
    /// In words.
    pub detail: String,
}

/// State of a proposed transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferState {
    /// Waits for a second representative.
    Proposed,
    /// Approved; waits for the delay.
    Approved,
    /// Posted.
    Settled,
    /// Taken back.
    Withdrawn,
    /// Nobody approved it in time.
    Lapsed,
}

impl TransferState {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Settled => "settled",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}

/// A transfer on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Request id of the proposal.
    pub id: String,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What.
    pub asset: String,
    /// How much.
    pub amount: u64,
    /// Which serials, if named.
    pub serials: Option<[u64; 2]>,
    /// Who proposed it.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Time,
    /// Until when it may be approved.
    pub approve_until: Time,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// From when it may be posted.
    pub effective: Option<Time>,
    /// Its state, as recorded; see [`Transfer::state_at`].
    pub state: TransferState,
    /// The reservation in the ledger that holds the units now.
    #[serde(skip)]
    pub pending: CommandId,
    /// The movement in the ledger that posted it.
    #[serde(skip)]
    pub posted: Option<CommandId>,
    /// The rule of the delay.
    pub rule: String,
}

impl Transfer {
    /// The state at an instant: a proposal that nobody approved lapses by itself.
    #[must_use]
    pub fn state_at(&self, now: Time) -> TransferState {
        if self.state == TransferState::Proposed && now >= self.approve_until {
            TransferState::Lapsed
        } else {
            self.state
        }
    }
}

/// Units retired for someone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retired {
    /// Request id, also the number of the certificate.
    pub id: String,
    /// Record in the journal.
    pub record: u64,
    /// When.
    pub at: Time,
    /// Who retired.
    pub party: String,
    /// What.
    pub asset: String,
    /// How much.
    pub amount: u64,
    /// Which serials.
    pub serials: Vec<[u64; 2]>,
    /// For whom and why.
    pub retirement: Retirement,
    /// The rule.
    pub rule: String,
}

/// One movement, as a statement shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Record in the journal.
    pub record: u64,
    /// Number of the movement in the record.
    pub step: u32,
    /// When.
    pub at: Time,
    /// Request id.
    pub request: String,
    /// `issue`, `transfer`, `reserve transfer`, `post`, ...
    pub what: String,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much.
    pub amount: u64,
    /// Serials that moved.
    pub serials: Vec<[u64; 2]>,
    /// The rulebook row that permits it.
    pub rule: String,
    /// True once the units are where the line says; false for reservations.
    pub posted: bool,
    /// The id under which the ledger knows the movement.
    #[serde(skip)]
    pub id: CommandId,
}

/// An account by what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey {
    /// Whose.
    pub party: String,
    /// Of what.
    pub asset: String,
    /// What for.
    pub kind: AccountKind,
    /// Compliance year of a surrendered account, otherwise nought.
    pub year: i16,
}

/// Done requests, for repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// SHA-256 of signer and text.
    pub digest: [u8; 32],
    /// The record.
    pub record: u64,
    /// The rule named.
    pub rule: String,
}

/// Offsets used for a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OffsetsUsed {
    /// Local.
    pub local: u64,
    /// From outside.
    pub outside: u64,
}

/// The fold.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub(crate) market: String,
    pub(crate) authority: String,
    pub(crate) simulated: bool,
    pub(crate) parties: BTreeMap<String, Party>,
    pub(crate) party_names: BTreeMap<PartyId, String>,
    pub(crate) assets: BTreeMap<String, Asset>,
    pub(crate) asset_names: BTreeMap<AssetId, String>,
    pub(crate) accounts: BTreeMap<AccountKey, AccountId>,
    pub(crate) account_keys: BTreeMap<AccountId, AccountKey>,
    pub(crate) projects: BTreeMap<String, OwnedProject>,
    pub(crate) transfers: BTreeMap<String, Transfer>,
    pub(crate) pending: BTreeMap<CommandId, (AccountId, AccountId, u64, String)>,
    pub(crate) retired: BTreeMap<String, Retired>,
    pub(crate) entries: BTreeMap<String, Vec<Entry>>,
    pub(crate) allocated: BTreeMap<(String, i16), u64>,
    pub(crate) offsets: BTreeMap<(String, i16), OffsetsUsed>,
    pub(crate) net_sold: BTreeMap<(String, String), i64>,
    pub(crate) rules: BTreeMap<String, RuleId>,
    pub(crate) rule_names: BTreeMap<RuleId, String>,
    pub(crate) limits: BTreeMap<String, LimitId>,
    pub(crate) lines: Vec<Line>,
    pub(crate) lines_of: BTreeMap<AccountId, Vec<usize>>,
    pub(crate) done: BTreeMap<u128, Done>,
    pub(crate) next: Next,
    pub(crate) records: u64,
    pub(crate) last: Time,
    pub(crate) filings: Vec<(u64, Time, crate::fold::Filing)>,
}

/// Numbers not yet given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub account: u64,
    pub party: u64,
    pub asset: u32,
    pub series: u32,
    pub rule: u32,
    pub limit: u32,
}

impl Default for Next {
    fn default() -> Self {
        Self {
            account: 3,
            party: 2,
            asset: 2,
            series: 1,
            rule: 2,
            limit: 1,
        }
    }
}
