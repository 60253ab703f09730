//! The end of a batch: invariants over what it touched, totals, and the state digest.
//!
//! What is checked here is computed from the counters before and after the batch, not from the
//! amounts that the transfers named, so a mistake in booking shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::Wire;
use crate::digest::{Hash, entry_hash};
use crate::moves::measured;
use crate::state::State;
use crate::{
    AccountFlags, AccountId, AccountKind, AssetId, CommandId, Counters, LimitId, SeriesId, Time,
};

/// What a batch left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The batch, from 1.
    pub batch: u64,
    /// Records of the ledger so far.
    pub records: u64,
    /// The digest of the state.
    pub digest: Hash,
}

/// An invariant does not hold: a defect of this program, never of a command. Nothing of the batch
/// may be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Invariant 1.
    #[error("asset {asset}: {debits} were debited and {credits} credited in one batch")]
    Conservation {
        /// The asset.
        asset: AssetId,
        /// Debited.
        debits: i128,
        /// Credited.
        credits: i128,
    },
    /// Invariant 1, for what is pending.
    #[error("asset {0}: pending debits and credits differ")]
    Pending(AssetId),
    /// Invariant 2.
    #[error("account {0} is overdrawn")]
    Overdraft(AccountId),
    /// Invariant 3.
    #[error("terminal account {0} decreased")]
    Terminal(AccountId),
    /// Invariant 3.
    #[error("asset {0}: what is held is not what was issued")]
    Issued(AssetId),
    /// Invariant 4.
    #[error("account {account}: {held} serial numbers for a balance of {balance}")]
    Serials {
        /// The account.
        account: AccountId,
        /// Numbers held.
        held: u64,
        /// Balance.
        balance: i128,
    },
    /// Invariant 4.
    #[error("account {0}: locked serial numbers are not the pending debits")]
    Locked(AccountId),
    /// Invariant 4.
    #[error("series {0}: number {1} lies in no block or in two")]
    Partition(SeriesId, u64),
    /// Invariant 6.
    #[error("pending transfer {0} is listed wrongly")]
    Due(CommandId),
    /// Invariant 7.
    #[error("limit {0} does not equal its accounts or is exceeded")]
    Limit(LimitId),
}

impl State {
    /// Ends a batch: checks the invariants over what it touched and returns the state digest.
    ///
    /// # Errors
    /// [`Violation`] if an invariant does not hold. The state must then be thrown away.
    pub fn seal(&mut self) -> Result<Seal, Violation> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut assets: BTreeSet<u32> = BTreeSet::new();
        let mut pending_delta: BTreeMap<u32, (i128, i128, i128, i128)> = BTreeMap::new();
        let mut limit_delta: BTreeMap<u32, i128> = BTreeMap::new();
        let mut bytes = Vec::with_capacity(128);
        for &(ix, before) in &dirty {
            self.check_account(ix, &before)?;
            let row = &mut self.accounts[ix as usize];
            let after = row.account.counters;
            let delta = pending_delta.entry(row.asset_ix).or_default();
            delta.0 += i128::from(after.debits_posted) - i128::from(before.debits_posted);
            delta.1 += i128::from(after.credits_posted) - i128::from(before.credits_posted);
            delta.2 += i128::from(after.debits_pending) - i128::from(before.debits_pending);
            delta.3 += i128::from(after.credits_pending) - i128::from(before.credits_pending);
            self.assets[row.asset_ix as usize].balance[row.account.kind as usize] +=
                after.balance() - before.balance();
            assets.insert(row.asset_ix);
            for id in &row.account.limits {
                if let Some(&lx) = self.limit_ix.get(id) {
                    let measure = self.limits[lx as usize].def.measure;
                    *limit_delta.entry(lx).or_default() +=
                        measured(measure, &after) - measured(measure, &before);
                }
            }
            if let Some(hash) = row.hash {
                self.sum.sub(&hash);
            }
            bytes.clear();
            row.account.put(&mut bytes);
            let hash = entry_hash(b'A', &bytes);
            self.sum.add(&hash);
            row.hash = Some(hash);
        }
        self.dirty = dirty;
        self.dirty.clear();
        for ix in assets {
            self.check_asset(ix, pending_delta.get(&ix).copied().unwrap_or_default())?;
        }
        self.check_limits(&limit_delta)?;
        self.check_blocks()?;
        if let Some(&(at, id)) = self.due.iter().next()
            && self.pendings.get(&id).is_none_or(|p| p.expires != at)
        {
            return Err(Violation::Due(id));
        }
        let seal = Seal {
            batch: self.batch,
            records: self.records,
            digest: self.sum.bytes(),
        };
        self.batch += 1;
        Ok(seal)
    }

    fn check_account(&self, ix: u32, before: &Counters) -> Result<(), Violation> {
        let row = &self.accounts[ix as usize];
        let (account, after) = (&row.account, &row.account.counters);
        if account.flags.has(AccountFlags::NO_OVERDRAFT) && after.available() < 0 {
            return Err(Violation::Overdraft(account.id));
        }
        if account.flags.has(AccountFlags::CREDIT_ONLY)
            && (after.debits_posted > 0
                || after.debits_pending > 0
                || after.credits_posted < before.credits_posted)
        {
            return Err(Violation::Terminal(account.id));
        }
        if self.assets[row.asset_ix as usize].series_ix.is_some() {
            // contra holds only what came back to it
            let balance = match account.kind {
                AccountKind::Contra => i128::from(after.credits_posted),
                _ => after.balance(),
            };
            if i128::from(row.serial_held) != balance {
                return Err(Violation::Serials {
                    account: account.id,
                    held: row.serial_held,
                    balance,
                });
            }
            if row.serial_locked != after.debits_pending {
                return Err(Violation::Locked(account.id));
            }
        }
        Ok(())
    }

    fn check_asset(
        &mut self,
        ix: u32,
        (debits, credits, debits_pending, credits_pending): (i128, i128, i128, i128),
    ) -> Result<(), Violation> {
        let asset = &mut self.assets[ix as usize];
        if debits != credits || debits < 0 {
            return Err(Violation::Conservation {
                asset: asset.def.id,
                debits,
                credits,
            });
        }
        asset.debits += debits as u128;
        asset.credits += credits as u128;
        asset.debits_pending += debits_pending;
        asset.credits_pending += credits_pending;
        if asset.debits_pending != asset.credits_pending || asset.debits_pending < 0 {
            return Err(Violation::Pending(asset.def.id));
        }
        let held: i128 =
            asset.balance.iter().sum::<i128>() - asset.balance[AccountKind::Contra as usize];
        if held != asset.issued() || asset.issued() > i128::from(u64::MAX) {
            return Err(Violation::Issued(asset.def.id));
        }
        asset.totals = AccountKind::ALL
            .iter()
            .map(|&kind| (kind, asset.balance[kind as usize]))
            .filter(|(_, total)| *total != 0)
            .collect();
        Ok(())
    }

    fn check_limits(&mut self, delta: &BTreeMap<u32, i128>) -> Result<(), Violation> {
        for (&lx, &delta) in delta {
            let limit = &self.limits[lx as usize];
            let before = self.limits_before.get(&lx).copied().unwrap_or(limit.used);
            // a cap that was lowered in this batch may lie below what the batch used before
            let grew = limit.used > before && !self.limits_set.contains(&lx);
            if before + delta != limit.used || (grew && limit.used > i128::from(limit.def.cap)) {
                return Err(Violation::Limit(limit.def.id));
            }
        }
        self.limits_before.clear();
        self.limits_set.clear();
        Ok(())
    }

    fn check_blocks(&mut self) -> Result<(), Violation> {
        let mut touched = std::mem::take(&mut self.dirty_blocks);
        touched.sort_unstable();
        touched.dedup();
        for &(sx, start) in &touched {
            let series = &self.series[sx as usize];
            let broken = |number| Err(Violation::Partition(series.def.id, number));
            let mut near = series.blocks.range(..=start).rev().take(2);
            let here = near.next();
            match here {
                None if series.issued >= 1 && !series.blocks.contains_key(&1) => return broken(1),
                None => {}
                Some((&at, row)) => {
                    let next = row.end.checked_add(1);
                    let follows = series
                        .blocks
                        .range(at + 1..)
                        .next()
                        .map(|(&start, _)| start);
                    let sound = match follows {
                        Some(start) => next == Some(start),
                        None => row.end == series.issued,
                    };
                    if row.end < at || !sound {
                        return broken(row.end);
                    }
                    let before = near.next().map_or(0, |(_, row)| row.end);
                    if before.checked_add(1) != Some(at) {
                        return broken(at);
                    }
                }
            }
        }
        touched.clear();
        self.dirty_blocks = touched;
        Ok(())
    }

    /// Moves the ledger's time on without a command, for a batch that only passes time.
    pub fn pass_time(&mut self, now: Time) {
        self.now = self.now.max(now);
    }
}
