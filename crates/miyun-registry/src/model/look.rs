//! Reading the model.

use jiff::civil::DateTime;
use miyun_carbon::compliance::Entry;
use miyun_ledger::{AccountId, Time};

use super::{AccountKey, Asset, Line, Model, OffsetsUsed, OwnedProject, Party, Retired, Transfer};
use crate::Error;

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident($map:ident, $kind:literal) -> $t:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Error::Unknown`] if there is none.
        pub fn $name(&self, id: &str) -> Result<&$t, Error> {
            self.$map.get(id).ok_or_else(|| Error::Unknown { kind: $kind, id: id.chars().take(80).collect() })
        }
    )*};
}

impl Model {
    known! {
        /// The party with this id.
        party(parties, "party") -> Party;
        /// The asset with this name.
        asset(assets, "asset") -> Asset;
        /// The project with this id.
        project(projects, "project") -> OwnedProject;
        /// The transfer proposed by this request.
        transfer(transfers, "transfer") -> Transfer;
        /// The retirement done by this request.
        retirement(retired, "retirement") -> Retired;
    }

    /// The market whose rules hold.
    #[must_use]
    pub fn market(&self) -> &str {
        &self.market
    }

    /// The authority.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// True if everything here is simulated.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// All parties.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// All assets but filings.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// All projects.
    pub fn projects(&self) -> impl Iterator<Item = &OwnedProject> {
        self.projects.values()
    }

    /// All proposed transfers.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.values()
    }

    /// All retirements.
    pub fn retirements(&self) -> impl Iterator<Item = &Retired> {
        self.retired.values()
    }

    /// All movements, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Movements of an account, oldest first.
    pub fn lines_of(&self, account: AccountId) -> impl Iterator<Item = &Line> {
        self.lines_of
            .get(&account)
            .into_iter()
            .flatten()
            .filter_map(|i| self.lines.get(*i))
    }

    /// Accounts of a party.
    pub fn accounts_of<'m>(
        &'m self,
        party: &'m str,
    ) -> impl Iterator<Item = (&'m AccountKey, AccountId)> {
        self.accounts
            .iter()
            .filter(move |(k, _)| k.party == party)
            .map(|(k, a)| (k, *a))
    }

    /// What an account is.
    #[must_use]
    pub fn account_key(&self, id: AccountId) -> Option<&AccountKey> {
        self.account_keys.get(&id)
    }

    /// Compliance entries of a party.
    #[must_use]
    pub fn entries(&self, party: &str) -> &[Entry] {
        self.entries.get(party).map_or(&[], Vec::as_slice)
    }

    /// Tonnes allocated to a party for a year.
    #[must_use]
    pub fn allocated(&self, party: &str, year: i16) -> u64 {
        self.allocated
            .get(&(party.to_owned(), year))
            .copied()
            .unwrap_or(0)
    }

    /// Offsets used by a party for a year.
    #[must_use]
    pub fn offsets(&self, party: &str, year: i16) -> OffsetsUsed {
        self.offsets
            .get(&(party.to_owned(), year))
            .copied()
            .unwrap_or_default()
    }

    /// Every filing: record, instant, and the signed request.
    pub fn filings(&self) -> impl Iterator<Item = (u64, Time, &crate::fold::Filing)> {
        self.filings.iter().map(|(r, t, f)| (*r, *t, f))
    }

    /// Records folded.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The instant of the last record.
    #[must_use]
    pub fn last(&self) -> Time {
        self.last
    }

    /// The public key of a representative who may sign at `now`.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none or it has left.
    pub fn key(&self, party: &str, representative: &str, now: Time) -> Result<[u8; 32], Error> {
        let unknown = || Error::Unknown {
            kind: "representative",
            id: format!("{party}:{representative}")
                .chars()
                .take(80)
                .collect(),
        };
        let r = self
            .party(party)?
            .representatives
            .get(representative)
            .filter(|r| r.from <= now && r.until.is_none_or(|u| now < u))
            .ok_or_else(unknown)?;
        crate::request::public_key(&r.key)
    }

    /// Net sales of an asset by a party: what left by transfer less what came.
    #[must_use]
    pub fn net_sold(&self, party: &str, asset: &str) -> i64 {
        self.net_sold
            .get(&(party.to_owned(), asset.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// First compliance year with a verified value, for cumulation.
    #[must_use]
    pub fn first_year(&self, party: &str) -> Option<i16> {
        self.entries(party).iter().map(|e| e.year).min()
    }

    pub(crate) fn entry(
        &mut self,
        party: &str,
        at: DateTime,
        year: i16,
        what: miyun_carbon::compliance::EntryKind,
    ) {
        self.entries
            .entry(party.to_owned())
            .or_default()
            .push(Entry { at, year, what });
    }
}
