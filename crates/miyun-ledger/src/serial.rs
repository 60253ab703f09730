//! Serial numbers: an interval map per series in which every number from 1 to the last one issued
//! lies in exactly one block.

use crate::codec::Wire;
use crate::digest::entry_hash;
use crate::moves::Leg;
use crate::state::{BlockRow, State, Undo};
use crate::{
    AccountKind, Adjustment, CommandId, Moved, Powers, Range, Refusal, RuleId, SeriesId, SignerId,
    TransferKind,
};

/// Most blocks that one movement may carry, so that its record stays small.
pub const MOVED_MAX: usize = 1_024;

impl State {
    fn block_hash(&self, series: u32, start: u64, row: &BlockRow) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(64);
        self.series[series as usize].def.id.put(&mut bytes);
        start.put(&mut bytes);
        row.end.put(&mut bytes);
        self.assets[row.asset_ix as usize].def.id.put(&mut bytes);
        self.accounts[row.account_ix as usize]
            .account
            .id
            .put(&mut bytes);
        row.locked.put(&mut bytes);
        row.adjustment.put(&mut bytes);
        entry_hash(b'B', &bytes)
    }

    /// Puts, replaces or takes a block, with everything that follows from it; returns what was.
    pub(crate) fn swap_block(
        &mut self,
        series: u32,
        start: u64,
        block: Option<BlockRow>,
    ) -> Option<BlockRow> {
        let blocks = &mut self.series[series as usize].blocks;
        let before = match block {
            Some(row) => blocks.insert(start, row),
            None => blocks.remove(&start),
        };
        if let Some(row) = before {
            let hash = self.block_hash(series, start, &row);
            self.sum.sub(&hash);
            self.held.remove(&(row.account_ix, start));
            let len = row.end - start + 1;
            let account = &mut self.accounts[row.account_ix as usize];
            account.serial_held -= len;
            if row.locked.is_some() {
                account.serial_locked -= len;
            }
        }
        if let Some(row) = block {
            let hash = self.block_hash(series, start, &row);
            self.sum.add(&hash);
            self.held.insert((row.account_ix, start));
            let len = row.end - start + 1;
            let account = &mut self.accounts[row.account_ix as usize];
            account.serial_held += len;
            if row.locked.is_some() {
                account.serial_locked += len;
            }
        }
        self.dirty_blocks.push((series, start));
        before
    }

    fn put_block(&mut self, series: u32, start: u64, block: Option<BlockRow>) {
        let before = self.swap_block(series, start, block);
        self.undo.push(Undo::Block(series, start, before));
    }

    /// Cuts the block that holds `at` so that one starts there.
    fn cut_at(&mut self, series: u32, at: u64) {
        let found = self.series[series as usize].blocks.range(..=at).next_back();
        if let Some((&start, &row)) = found
            && start < at
            && at <= row.end
        {
            self.put_block(series, start, Some(BlockRow { end: at - 1, ..row }));
            self.put_block(series, at, Some(row));
        }
    }

    fn series_of(&self, account_ix: u32) -> Option<u32> {
        self.assets[self.accounts[account_ix as usize].asset_ix as usize].series_ix
    }

    /// Chooses `amount` units of an account: the given range, or the tail of its last free blocks.
    /// Cuts blocks so that what comes back are whole blocks, by number.
    fn choose(
        &mut self,
        account_ix: u32,
        series: u32,
        amount: u64,
        range: Option<Range>,
    ) -> Result<Vec<u64>, Refusal> {
        if let Some(range) = range {
            if range.len() != Some(amount) {
                return Err(Refusal::SerialLength);
            }
            let blocks = &self.series[series as usize].blocks;
            let found = blocks.range(..=range.start).next_back();
            let Some((&start, row)) = found else {
                return Err(Refusal::BlockNotOwned);
            };
            let whole = Range {
                start,
                end: row.end,
            };
            if !whole.contains(range) || row.account_ix != account_ix {
                return Err(Refusal::BlockNotOwned);
            }
            if row.locked.is_some() {
                return Err(Refusal::BlockLocked);
            }
            if let Some(next) = range.end.checked_add(1) {
                self.cut_at(series, next);
            }
            self.cut_at(series, range.start);
            return Ok(vec![range.start]);
        }
        let mut chosen = Vec::new();
        let mut left = amount;
        let mut cut = None;
        for &(_, start) in self
            .held
            .range((account_ix, 0)..=(account_ix, u64::MAX))
            .rev()
        {
            let Some(row) = self.series[series as usize].blocks.get(&start) else {
                continue;
            };
            if row.locked.is_some() {
                continue;
            }
            let len = row.end - start + 1;
            if len > left {
                cut = Some(row.end - left + 1);
                chosen.push(row.end - left + 1);
                left = 0;
            } else {
                chosen.push(start);
                left -= len;
            }
            if left == 0 {
                break;
            }
            if chosen.len() == MOVED_MAX {
                return Err(Refusal::TooMany);
            }
        }
        if left > 0 {
            return Err(Refusal::BlockNotOwned);
        }
        if let Some(at) = cut {
            self.cut_at(series, at);
        }
        chosen.reverse();
        Ok(chosen)
    }

    fn hand_over(
        &mut self,
        id: CommandId,
        series: u32,
        start: u64,
        leg: Leg,
    ) -> Result<(), Refusal> {
        let Some(&row) = self.series[series as usize].blocks.get(&start) else {
            return Err(Refusal::BlockNotOwned);
        };
        if leg.kind == TransferKind::Export && row.adjustment != Adjustment::Applied {
            return Err(Refusal::AdjustmentMissing);
        }
        self.put_block(
            series,
            start,
            Some(BlockRow {
                account_ix: leg.credit,
                locked: None,
                ..row
            }),
        );
        if self.moved.len() == MOVED_MAX * 4 {
            return Err(Refusal::TooMany);
        }
        self.moved.push(Moved {
            id,
            series: self.series[series as usize].def.id,
            range: Range {
                start,
                end: row.end,
            },
            to: self.accounts[leg.credit as usize].account.id,
        });
        Ok(())
    }

    fn not_serial(&self, leg: Leg, range: Option<Range>) -> Result<(), Refusal> {
        if range.is_some() {
            return Err(Refusal::SerialRequired);
        }
        if leg.kind == TransferKind::Export {
            return Err(Refusal::AdjustmentMissing);
        }
        Ok(())
    }

    /// Moves the serial numbers of a posted leg; does nothing for assets without.
    pub(crate) fn move_serials(
        &mut self,
        id: CommandId,
        leg: Leg,
        range: Option<Range>,
    ) -> Result<(), Refusal> {
        let Some(series) = self.series_of(leg.debit) else {
            return self.not_serial(leg, range);
        };
        if self.accounts[leg.debit as usize].account.kind == AccountKind::Contra {
            return self.number(id, series, leg, range);
        }
        for start in self.choose(leg.debit, series, leg.amount, range)? {
            self.hand_over(id, series, start, leg)?;
        }
        Ok(())
    }

    /// Gives out new numbers after the last one.
    fn number(
        &mut self,
        id: CommandId,
        series: u32,
        leg: Leg,
        range: Option<Range>,
    ) -> Result<(), Refusal> {
        let issued = self.series[series as usize].issued;
        let end = issued
            .checked_add(leg.amount)
            .ok_or(Refusal::AmountOverflow)?;
        let next = Range {
            start: issued + 1,
            end,
        };
        if range.is_some_and(|range| range != next) {
            return Err(Refusal::SerialLength);
        }
        self.set_issued(series, end);
        self.put_block(
            series,
            next.start,
            Some(BlockRow {
                end,
                asset_ix: self.accounts[leg.credit as usize].asset_ix,
                account_ix: leg.credit,
                locked: None,
                adjustment: Adjustment::None,
            }),
        );
        self.moved.push(Moved {
            id,
            series: self.series[series as usize].def.id,
            range: next,
            to: self.accounts[leg.credit as usize].account.id,
        });
        Ok(())
    }

    fn set_issued(&mut self, series: u32, issued: u64) {
        let row = &mut self.series[series as usize];
        let before = row.issued;
        row.issued = issued;
        let id = row.def.id;
        self.undo.push(Undo::Issued(series, before));
        self.entry(Some(&(id, before)), Some(&(id, issued)), b'N');
    }

    /// Locks the serial numbers of a reservation.
    pub(crate) fn lock_serials(
        &mut self,
        id: CommandId,
        leg: Leg,
        range: Option<Range>,
    ) -> Result<(), Refusal> {
        let Some(series) = self.series_of(leg.debit) else {
            return self.not_serial(leg, range);
        };
        for start in self.choose(leg.debit, series, leg.amount, range)? {
            let Some(&row) = self.series[series as usize].blocks.get(&start) else {
                return Err(Refusal::BlockNotOwned);
            };
            if leg.kind == TransferKind::Export && row.adjustment != Adjustment::Applied {
                return Err(Refusal::AdjustmentMissing);
            }
            self.put_block(
                series,
                start,
                Some(BlockRow {
                    locked: Some(id),
                    ..row
                }),
            );
        }
        Ok(())
    }

    fn locked_by(&self, pending: CommandId, account_ix: u32, series: u32) -> Vec<(u64, BlockRow)> {
        self.held
            .range((account_ix, 0)..=(account_ix, u64::MAX))
            .filter_map(|&(_, start)| {
                let row = self.series[series as usize].blocks.get(&start)?;
                (row.locked == Some(pending)).then_some((start, *row))
            })
            .collect()
    }

    /// Hands over the tail of what a reservation locked, and frees the rest.
    pub(crate) fn post_serials(
        &mut self,
        id: CommandId,
        pending: CommandId,
        leg: Leg,
    ) -> Result<(), Refusal> {
        let Some(series) = self.series_of(leg.debit) else {
            return Ok(());
        };
        self.unlock_serials(pending, leg.debit);
        let mut left = leg.amount;
        let mut give = Vec::new();
        let unlocked = std::mem::take(&mut self.unlocked);
        for &(start, end) in unlocked.iter().rev() {
            if left == 0 {
                break;
            }
            let len = end - start + 1;
            if len > left {
                let at = end - left + 1;
                self.cut_at(series, at);
                give.push(at);
                left = 0;
            } else {
                give.push(start);
                left -= len;
            }
        }
        if left > 0 {
            return Err(Refusal::BlockNotOwned);
        }
        for start in give.into_iter().rev() {
            self.hand_over(id, series, start, leg)?;
        }
        Ok(())
    }

    /// Frees what a reservation locked.
    pub(crate) fn unlock_serials(&mut self, pending: CommandId, account_ix: u32) {
        self.unlocked.clear();
        let Some(series) = self.series_of(account_ix) else {
            return;
        };
        for (start, row) in self.locked_by(pending, account_ix, series) {
            self.put_block(
                series,
                start,
                Some(BlockRow {
                    locked: None,
                    ..row
                }),
            );
            self.unlocked.push((start, row.end));
        }
    }

    pub(crate) fn split_block(
        &mut self,
        signer: SignerId,
        series: SeriesId,
        block: Range,
        parts: &[Range],
    ) -> Result<(), Refusal> {
        let series = self.series_index(series)?;
        let row = match self.series[series as usize].blocks.get(&block.start) {
            Some(&row) if row.end == block.end => row,
            _ => return Err(Refusal::BlockNotOwned),
        };
        self.may_debit(signer, row.account_ix)?;
        self.usable(row.account_ix)?;
        if row.locked.is_some() {
            return Err(Refusal::BlockLocked);
        }
        check_partition(block, parts)?;
        for part in parts {
            self.cut_at(series, part.start);
        }
        Ok(())
    }

    pub(crate) fn set_adjustment(
        &mut self,
        signer: SignerId,
        series: SeriesId,
        range: Range,
        to: Adjustment,
        rule: RuleId,
    ) -> Result<(), Refusal> {
        let series = self.series_index(series)?;
        if !self.has_power(signer, Powers::ISSUE) {
            return Err(Refusal::SignerNotAllowed);
        }
        self.rule_permits(rule, TransferKind::Export)?;
        if range.is_empty() || range.end > self.series[series as usize].issued {
            return Err(Refusal::BlockNotOwned);
        }
        self.cut_at(series, range.start);
        if let Some(next) = range.end.checked_add(1) {
            self.cut_at(series, next);
        }
        let inside: Vec<_> = self.series[series as usize]
            .blocks
            .range(range.start..=range.end)
            .map(|(&start, &row)| (start, row))
            .collect();
        for (start, row) in inside {
            if row.adjustment as u8 + 1 != to as u8 {
                return Err(Refusal::AdjustmentOrder);
            }
            self.put_block(
                series,
                start,
                Some(BlockRow {
                    adjustment: to,
                    ..row
                }),
            );
        }
        Ok(())
    }

    pub(crate) fn series_index(&self, id: SeriesId) -> Result<u32, Refusal> {
        self.series_ix
            .get(&id)
            .copied()
            .ok_or(Refusal::UnknownSeries)
    }
}

impl Wire for (SeriesId, u64) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(r: &mut crate::codec::Reader<'_>) -> Result<Self, crate::DecodeError> {
        Ok((Wire::get(r)?, Wire::get(r)?))
    }
}

/// Checks that `parts`, in order, cover `block` exactly once.
///
/// # Errors
/// [`Refusal::NotAPartition`].
pub(crate) fn check_partition(block: Range, parts: &[Range]) -> Result<(), Refusal> {
    let mut next = Some(block.start);
    for part in parts {
        if part.is_empty() || next != Some(part.start) {
            return Err(Refusal::NotAPartition);
        }
        next = part.end.checked_add(1);
    }
    if parts.last().map(|part| part.end) == Some(block.end) {
        Ok(())
    } else {
        Err(Refusal::NotAPartition)
    }
}
