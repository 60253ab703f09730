//! The auditor's checks after each batch and at the end.

use std::collections::{BTreeMap, BTreeSet};

use miyun_ledger::codec::Wire;
use miyun_ledger::digest::{Sum, entry_hash};
use miyun_ledger::{AccountFlags, AccountId, AccountKind, AssetId, LimitId, Measure};

use super::Auditor;
use crate::merkle::Hash;

/// Series with more runs than this are not looked through after every batch.
const RUNS_AT_ONCE: usize = 4_096;

impl Auditor {
    pub(super) fn end_of_batch(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        let mut limits: BTreeSet<LimitId> = BTreeSet::new();
        for &id in &touched {
            self.check_account(id);
            if let Some(account) = self.accounts.get(&id) {
                limits.extend(account.limits.iter());
            }
        }
        for limit in limits {
            self.check_limit(limit);
        }
        // a long series is looked through when the digest is due, so that a batch stays cheap
        for series in std::mem::take(&mut self.runs_touched) {
            if self
                .series
                .get(&series)
                .is_some_and(|n| n.runs.len() <= RUNS_AT_ONCE)
            {
                self.check_partition(series);
            }
        }
        self.limits_changed.clear();
        self.touched = touched;
        self.touched.clear();
    }

    fn check_account(&mut self, id: AccountId) {
        let Some(a) = self.accounts.get(&id) else {
            return;
        };
        let c = a.counters;
        let out = u128::from(c.debits_posted) + u128::from(c.debits_pending);
        let covered = out <= u128::from(c.credits_posted);
        let (flags, kind, asset) = (a.flags, a.kind, a.asset);
        let bounded = !flags.has(AccountFlags::NO_OVERDRAFT);
        self.expect(2, covered || bounded, || {
            format!("account {id} is overdrawn")
        });
        let terminal = flags.has(AccountFlags::CREDIT_ONLY);
        self.expect(3, !terminal || out == 0, || {
            format!("terminal account {id} decreased")
        });
        if kind == AccountKind::Contra {
            let cap = self.assets.get(&asset).map_or(0, |a| a.issue_cap);
            self.expect(3, -c.available() <= i128::from(cap), || {
                format!("more of asset {asset} exists than may")
            });
        }
    }

    fn check_limit(&mut self, id: LimitId) {
        let Some(limit) = self.limits.get(&id) else {
            self.find(7, format!("limit {id} was never defined"));
            return;
        };
        let used: i128 = self
            .members
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|a| self.accounts.get(a))
            .map(|a| {
                let c = &a.counters;
                match limit.measure {
                    Measure::Balance => c.balance() + i128::from(c.credits_pending),
                    Measure::Credits => {
                        i128::from(c.credits_posted) + i128::from(c.credits_pending)
                    }
                    Measure::Debits => i128::from(c.debits_posted) + i128::from(c.debits_pending),
                }
            })
            .sum();
        let within = used <= i128::from(limit.cap) && limit.window.contains(self.now);
        let before = self.limit_used.insert(id, used).unwrap_or(0);
        let excused = used <= before || self.limits_changed.contains(&id);
        self.expect(7, within || excused, || {
            format!("limit {id} is exceeded: {used} after {before}")
        });
    }

    fn check_partition(&mut self, id: miyun_ledger::SeriesId) {
        let Some(numbers) = self.series.get(&id) else {
            return;
        };
        let mut next = Some(1u64);
        let mut whole = true;
        for (&start, run) in &numbers.runs {
            whole &= next == Some(start) && run.end >= start;
            next = run.end.checked_add(1);
        }
        whole &= next.map(|n| n - 1).unwrap_or(u64::MAX) == numbers.issued;
        self.expect(4, whole, || {
            format!("the numbers of series {id} are not each in one block")
        });
    }

    /// Everything at once, from all accounts: conservation, what exists, serial numbers, digest.
    pub fn finish(&mut self, digest: &Hash) {
        let mut sums: BTreeMap<AssetId, [i128; 4]> = BTreeMap::new();
        let mut held: BTreeMap<AccountId, (u64, u64)> = BTreeMap::new();
        for numbers in self.series.values() {
            for (&start, run) in &numbers.runs {
                let len = run.end - start + 1;
                let entry = held.entry(run.account).or_default();
                entry.0 = entry.0.saturating_add(len);
                if run.locked.is_some() {
                    entry.1 = entry.1.saturating_add(len);
                }
            }
        }
        let mut wrong = Vec::new();
        for a in self.accounts.values() {
            let c = a.counters;
            let sum = sums.entry(a.asset).or_default();
            sum[0] += i128::from(c.debits_posted) - i128::from(c.credits_posted);
            sum[1] += i128::from(c.debits_pending) - i128::from(c.credits_pending);
            if a.kind == AccountKind::Contra {
                sum[2] -= c.balance();
            } else {
                sum[3] += c.balance();
            }
            if self.series_of_asset(a.asset) {
                let (length, locked) = held.get(&a.id).copied().unwrap_or_default();
                let balance = match a.kind {
                    AccountKind::Contra => i128::from(c.credits_posted),
                    _ => c.balance(),
                };
                if i128::from(length) != balance || locked != c.debits_pending {
                    wrong.push(a.id);
                }
            }
        }
        for id in wrong {
            self.find(
                4,
                format!("account {id} holds other numbers than its balance"),
            );
        }
        for (asset, [posted, pending, issued, there]) in sums {
            self.expect(1, posted == 0 && pending == 0, || {
                format!("asset {asset}: debits and credits differ")
            });
            self.expect(3, issued == there, || {
                format!("asset {asset}: {issued} issued, {there} there")
            });
        }
        for id in self.limits.keys().copied().collect::<Vec<_>>() {
            self.limits_changed.insert(id);
            self.check_limit(id);
        }
        self.check_digest(digest);
    }

    fn series_of_asset(&self, asset: AssetId) -> bool {
        self.assets.get(&asset).is_some_and(|a| a.series.is_some())
    }

    /// How many entries the digest covers, about.
    pub(super) fn entries(&self) -> u64 {
        let runs: usize = self.series.values().map(|n| n.runs.len() + 2).sum();
        (self.accounts.len()
            + self.assets.len()
            + self.rules.len()
            + self.limits.len()
            + self.signers.len()
            + self.pendings.len()
            + self.reversed.len()
            + runs) as u64
    }

    /// The digest of the auditor's own tables, by the published list of entries.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut sum = Sum::default();
        let mut bytes = Vec::new();
        let mut add = |letter: u8, put: &mut dyn FnMut(&mut Vec<u8>)| {
            bytes.clear();
            put(&mut bytes);
            sum.add(&entry_hash(letter, &bytes));
        };
        for a in self.accounts.values() {
            add(b'A', &mut |out| a.put(out));
        }
        for d in self.classes.values() {
            add(b'C', &mut |out| d.put(out));
        }
        for d in self.assets.values() {
            add(b'T', &mut |out| d.put(out));
        }
        for d in self.rules.values() {
            add(b'U', &mut |out| d.put(out));
        }
        for d in self.limits.values() {
            add(b'L', &mut |out| d.put(out));
        }
        for d in self.signers.values() {
            add(b'K', &mut |out| d.put(out));
        }
        for p in self.pendings.values() {
            add(b'P', &mut |out| p.put(out));
        }
        for (id, amount) in &self.reversed {
            add(b'R', &mut |out| {
                id.put(out);
                amount.put(out);
            });
        }
        for (id, numbers) in &self.series {
            add(b'S', &mut |out| numbers.def.put(out));
            add(b'N', &mut |out| {
                id.put(out);
                numbers.issued.put(out);
            });
            for (start, run) in &numbers.runs {
                add(b'B', &mut |out| {
                    id.put(out);
                    start.put(out);
                    run.end.put(out);
                    run.asset.put(out);
                    run.account.put(out);
                    run.locked.put(out);
                    run.adjustment.put(out);
                });
            }
        }
        sum.bytes()
    }

    pub(super) fn check_digest(&mut self, expected: &Hash) {
        self.since_digest = 0;
        for series in self.series.keys().copied().collect::<Vec<_>>() {
            self.check_partition(series);
        }
        let same = self.digest() == *expected;
        self.expect(8, same, || {
            "the state digest is another than the auditor's".into()
        });
    }
}
