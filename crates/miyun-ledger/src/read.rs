//! What can be read from the ledger.

use crate::codec::Wire;
use crate::digest::{Hash, entry_hash};
use crate::state::{
    Asset, Block, BlockRow, Genesis, Limit, Outcome, Pending, Posted, Series, State,
};
use crate::table::Fate;
use crate::{
    Account, AccountId, AssetId, ClassDef, ClassId, CommandId, LimitId, Range, RuleDef, RuleId,
    SeriesId, SignerDef, SignerId, Time,
};

impl State {
    /// What the ledger started from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The last instant applied.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Records so far: commands applied or refused with their id spent.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The digest of the state as it is now.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut sum = self.sum;
        let mut bytes = Vec::with_capacity(128);
        for &(ix, _) in &self.dirty {
            let row = &self.accounts[ix as usize];
            if let Some(hash) = &row.hash {
                sum.sub(hash);
            }
            bytes.clear();
            row.account.put(&mut bytes);
            sum.add(&entry_hash(b'A', &bytes));
        }
        sum.bytes()
    }

    /// The account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        let ix = *self.account_ix.get(&id)?;
        Some(&self.accounts[ix as usize].account)
    }

    /// Every account, in the order of opening.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(|row| &row.account)
    }

    /// The asset.
    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<&Asset> {
        let ix = *self.asset_ix.get(&id)?;
        Some(&self.assets[ix as usize])
    }

    /// Every asset, in the order of definition.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.iter()
    }

    /// The class.
    #[must_use]
    pub fn class(&self, id: ClassId) -> Option<&ClassDef> {
        let ix = *self.class_ix.get(&id)?;
        Some(&self.classes[ix as usize].def)
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&RuleDef> {
        self.rules.get(&id)
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self, id: LimitId) -> Option<&Limit> {
        let ix = *self.limit_ix.get(&id)?;
        Some(&self.limits[ix as usize])
    }

    /// The series.
    #[must_use]
    pub fn series(&self, id: SeriesId) -> Option<&Series> {
        let ix = *self.series_ix.get(&id)?;
        Some(&self.series[ix as usize])
    }

    /// Every series, in the order of definition.
    pub fn all_series(&self) -> impl Iterator<Item = &Series> {
        self.series.iter()
    }

    /// The signer.
    #[must_use]
    pub fn signer(&self, id: SignerId) -> Option<&SignerDef> {
        self.signers.get(&id)
    }

    /// Every signer, by id.
    #[must_use]
    pub fn signers(&self) -> Vec<&SignerDef> {
        let mut all: Vec<_> = self.signers.values().collect();
        all.sort_by_key(|s| s.id);
        all
    }

    /// The pending transfer, while it is open.
    #[must_use]
    pub fn pending(&self, id: CommandId) -> Option<&Pending> {
        self.pendings.get(&id)
    }

    /// Every open pending transfer, by id.
    #[must_use]
    pub fn pendings(&self) -> Vec<&Pending> {
        let mut all: Vec<_> = self.pendings.values().collect();
        all.sort_by_key(|p| p.id);
        all
    }

    /// At most `max` pending transfers that have run out at `now`, the oldest first.
    #[must_use]
    pub fn due(&self, now: Time, max: usize) -> Vec<CommandId> {
        self.due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(max)
            .map(|&(_, id)| id)
            .collect()
    }

    /// Goods that are still under way though their clock has run out.
    pub fn overdue(&self) -> impl Iterator<Item = &Pending> {
        self.overdue.iter().filter_map(|id| self.pendings.get(id))
    }

    fn block(&self, series: &Series, start: u64, row: &BlockRow) -> Block {
        Block {
            series: series.def.id,
            range: Range {
                start,
                end: row.end,
            },
            asset: self.assets[row.asset_ix as usize].def.id,
            account: self.accounts[row.account_ix as usize].account.id,
            locked: row.locked,
            adjustment: row.adjustment,
        }
    }

    /// Every block of a series, by number.
    pub fn blocks(&self, id: SeriesId) -> impl Iterator<Item = Block> {
        let ix = self.series_ix.get(&id).copied();
        ix.into_iter().flat_map(move |ix| {
            let series = &self.series[ix as usize];
            series
                .blocks
                .iter()
                .map(move |(&start, row)| self.block(series, start, row))
        })
    }

    /// Every block of an account, by number.
    pub fn blocks_of(&self, id: AccountId) -> impl Iterator<Item = Block> {
        let ix = self.account_ix.get(&id).copied();
        ix.into_iter().flat_map(move |ix| {
            self.held
                .range((ix, 0)..=(ix, u64::MAX))
                .filter_map(move |&(_, start)| {
                    let asset = self.accounts[ix as usize].asset_ix;
                    let series = &self.series[self.assets[asset as usize].series_ix? as usize];
                    let row = series.blocks.get(&start)?;
                    Some(self.block(series, start, row))
                })
        })
    }

    /// The block that holds a serial number.
    #[must_use]
    pub fn block_at(&self, id: SeriesId, number: u64) -> Option<Block> {
        let series = self.series(id)?;
        let (&start, row) = series.blocks.range(..=number).next_back()?;
        (number <= row.end).then(|| self.block(series, start, row))
    }

    /// The transfer that posted under this id.
    #[must_use]
    pub fn transfer_of(&self, id: CommandId) -> Option<Posted> {
        let row = self.table.get(id)?;
        let kind = match row.fate() {
            Fate::Posted(kind) | Fate::PostedMany(kind) => kind,
            _ => return None,
        };
        Some(Posted {
            id,
            kind,
            debit: self.accounts[row.debit as usize].account.id,
            credit: self.accounts[row.credit as usize].account.id,
            amount: row.amount,
            reversed: self.reversed.get(&id).copied().unwrap_or(0),
            record: row.record,
        })
    }

    /// What became of an id.
    #[must_use]
    pub fn outcome(&self, id: CommandId) -> Option<Outcome> {
        let row = self.table.get(id)?;
        Some(match row.fate() {
            Fate::Refused(refusal) => Outcome::Refused(row.record, refusal),
            _ => Outcome::Applied(row.record),
        })
    }
}
