//! The auditor's serial numbers: runs that are cut, handed over, locked and adjusted.

use miyun_ledger::{AccountId, AccountKind, Adjustment, CommandId, Range, SeriesId, TransferKind};

use super::{Auditor, Run};

type Units = [miyun_ledger::Moved];

impl Auditor {
    pub(super) fn series_of(&self, account: AccountId) -> Option<SeriesId> {
        self.assets.get(&self.accounts.get(&account)?.asset)?.series
    }

    pub(super) fn cut(&mut self, series: SeriesId, at: u64) {
        self.runs_touched.insert(series);
        let Some(numbers) = self.series.get_mut(&series) else {
            return;
        };
        let Some((&start, &run)) = numbers.runs.range(..at).next_back() else {
            return;
        };
        if at <= run.end {
            numbers.runs.insert(start, Run { end: at - 1, ..run });
            numbers.runs.insert(at, run);
        }
    }

    /// Sets every run inside a range, after cutting at its ends; false if a number has no run.
    pub(super) fn set_runs(
        &mut self,
        series: SeriesId,
        range: Range,
        mut f: impl FnMut(&mut Run) -> bool,
    ) -> bool {
        self.cut(series, range.start);
        if let Some(next) = range.end.checked_add(1) {
            self.cut(series, next);
        }
        let Some(numbers) = self.series.get_mut(&series) else {
            return false;
        };
        let mut next = range.start;
        for (&start, run) in numbers.runs.range_mut(range.start..=range.end) {
            if start != next || !f(run) {
                return false;
            }
            next = run.end.wrapping_add(1);
        }
        next == range.end.wrapping_add(1)
    }

    pub(super) fn hand_over(
        &mut self,
        kind: TransferKind,
        debit: AccountId,
        credit: AccountId,
        amount: u64,
        units: &Units,
    ) {
        let Some(series) = self.series_of(debit) else {
            self.expect(4, units.is_empty(), || "numbers without a series".into());
            return;
        };
        let lengths: Option<u64> = units
            .iter()
            .try_fold(0u64, |sum, u| sum.checked_add(u.range.len()?));
        let named = units.iter().all(|u| u.series == series && u.to == credit);
        self.expect(4, lengths == Some(amount) && named, || {
            "the numbers that moved are not the amount that moved".into()
        });
        let minted = self
            .accounts
            .get(&debit)
            .is_some_and(|a| a.kind == AccountKind::Contra);
        let asset = self.accounts.get(&credit).map(|a| a.asset);
        for unit in units {
            let done = if minted {
                self.mint(series, unit.range, credit, asset)
            } else {
                self.set_runs(series, unit.range, |run| {
                    let own = run.account == debit && run.locked.is_none();
                    let exported =
                        kind != TransferKind::Export || run.adjustment == Adjustment::Applied;
                    run.account = credit;
                    own && exported
                })
            };
            self.expect(4, done, || {
                format!(
                    "numbers {} to {} were not the giver's to give",
                    unit.range.start, unit.range.end
                )
            });
        }
    }

    pub(super) fn mint(
        &mut self,
        series: SeriesId,
        range: Range,
        account: AccountId,
        asset: Option<miyun_ledger::AssetId>,
    ) -> bool {
        self.runs_touched.insert(series);
        let (Some(numbers), Some(asset)) = (self.series.get_mut(&series), asset) else {
            return false;
        };
        let follows = numbers.issued.checked_add(1) == Some(range.start) && !range.is_empty();
        numbers.issued = range.end;
        let run = Run {
            end: range.end,
            account,
            asset,
            locked: None,
            adjustment: Adjustment::None,
        };
        numbers.runs.insert(range.start, run).is_none() && follows
    }

    /// The numbers that a reservation takes: those named, or the tail of the last free runs.
    pub(super) fn lock(
        &mut self,
        account: AccountId,
        amount: u64,
        range: Option<Range>,
        by: CommandId,
    ) {
        let Some(series) = self.series_of(account) else {
            return;
        };
        let mut ranges = Vec::new();
        if let Some(range) = range {
            ranges.push(range);
        } else if let Some(numbers) = self.series.get(&series) {
            let mut left = amount;
            for (&start, run) in numbers.runs.iter().rev() {
                if left == 0 {
                    break;
                }
                if run.account != account || run.locked.is_some() {
                    continue;
                }
                let take = left.min(run.end - start + 1);
                ranges.push(Range {
                    start: run.end - take + 1,
                    end: run.end,
                });
                left -= take;
            }
        }
        let mut sum = 0u64;
        for &range in &ranges {
            sum = sum.saturating_add(range.len().unwrap_or(0));
            let free = self.set_runs(series, range, |run| {
                let free = run.account == account && run.locked.is_none();
                run.locked = Some(by);
                free
            });
            self.expect(4, free, || "numbers reserved twice".into());
        }
        self.expect(4, sum == amount, || "fewer numbers than reserved".into());
        self.locks.insert(by, ranges);
    }

    pub(super) fn unlock(&mut self, account: AccountId, by: CommandId) {
        let Some(series) = self.series_of(account) else {
            return;
        };
        for range in self.locks.remove(&by).unwrap_or_default() {
            let own = self.set_runs(series, range, |run| {
                let own = run.locked == Some(by);
                run.locked = None;
                own
            });
            self.expect(4, own, || "reserved numbers were not locked".into());
        }
    }

    pub(super) fn adjust(&mut self, series: SeriesId, range: Range, to: Adjustment) {
        let done = self.set_runs(series, range, |run| {
            let next = run.adjustment as u8 + 1 == to as u8;
            run.adjustment = to;
            next
        });
        self.expect(4, done, || "an adjustment skipped a state".into());
    }
}
