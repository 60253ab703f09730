//! The auditor's bookkeeping: what each applied command does to its tables.

use miyun_ledger::{
    Account, AccountFlags, AccountId, AccountKind, Command, CommandId, Counters, Measure, Op,
    PartyId, Pending, PendingRule, Powers, Reserve, RuleId, SignerId, Transfer, TransferKind,
    Transform,
};

use super::ids::Moved;
use super::{Auditor, Numbers};

type Units = [miyun_ledger::Moved];

impl Auditor {
    pub(super) fn book(&mut self, command: &Command, units: &Units) {
        match &command.op {
            Op::Chain(steps) => {
                let before: usize = units.len();
                let mut seen = 0;
                for step in steps {
                    let fresh = self.ids.spend(step.id);
                    self.expect(5, fresh, || format!("step id {} was spent before", step.id));
                    let own: Vec<_> = units.iter().filter(|u| u.id == step.id).cloned().collect();
                    seen += own.len();
                    self.move_op(step.id, command.signer, &step.op, &own);
                }
                self.expect(4, seen == before, || {
                    "serial numbers moved by no step".into()
                });
            }
            op => self.move_op(command.id, command.signer, op, units),
        }
    }

    fn move_op(&mut self, id: CommandId, signer: SignerId, op: &Op, units: &Units) {
        match op {
            Op::Transfer(t) => self.transfer(id, signer, t, units),
            Op::Reserve(r) => self.reserve(id, signer, r),
            Op::Post { pending, amount } => self.post(id, signer, *pending, *amount, units),
            Op::Void { pending } => self.free(signer, *pending, false),
            Op::Expire { pending } => self.free(signer, *pending, true),
            Op::Reverse {
                original,
                amount,
                rule,
                ..
            } => self.reverse(id, signer, *original, *amount, *rule, units),
            Op::Transform(t) => self.transform(id, signer, t, units),
            Op::SplitBlock {
                series,
                block,
                parts,
            } => {
                let lengths: Option<u64> = parts
                    .iter()
                    .try_fold(0u64, |sum, p| sum.checked_add(p.len()?));
                self.expect(4, lengths == block.len(), || {
                    "the parts of a split do not add up".into()
                });
                for part in parts {
                    self.cut(*series, part.start);
                }
            }
            Op::SetAdjustment {
                series,
                range,
                to,
                rule,
            } => {
                self.rule(*rule, TransferKind::Export);
                self.power(signer, Powers::ISSUE);
                self.adjust(*series, *range, *to);
            }
            _ => self.define(signer, op),
        }
    }

    fn rule(&mut self, rule: RuleId, kind: TransferKind) {
        let now = self.now;
        let permits = self
            .rules
            .get(&rule)
            .is_some_and(|r| r.kinds.has(kind) && r.window.contains(now));
        self.expect(7, permits, || {
            format!("rule {rule} did not permit {kind} at {now}")
        });
    }

    fn power(&mut self, signer: SignerId, power: u8) {
        let holds = self
            .signers
            .get(&signer)
            .is_some_and(|s| s.powers.has(power));
        self.expect(0, holds, || format!("signer {signer} had no such power"));
    }

    fn debits(&mut self, signer: SignerId, account: AccountId) {
        let allowed = match (self.signers.get(&signer), self.accounts.get(&account)) {
            (Some(s), Some(a)) if a.kind == AccountKind::Contra => s.powers.has(Powers::ISSUE),
            (Some(s), Some(a)) => s.party == a.holder || s.powers.has(Powers::MOVE_ANY),
            _ => false,
        };
        self.expect(0, allowed, || {
            format!("signer {signer} may not debit account {account}")
        });
    }

    fn resolves(&mut self, signer: SignerId, parties: &[PartyId]) {
        let allowed = self
            .signers
            .get(&signer)
            .is_some_and(|s| parties.contains(&s.party) || s.powers.has(Powers::MOVE_ANY));
        self.expect(0, allowed, || {
            format!("signer {signer} may not resolve this transfer")
        });
    }

    /// Changes an account's counters; nothing but arithmetic.
    fn change(&mut self, id: AccountId, f: impl FnOnce(&mut Counters) -> Option<()>) {
        self.touched.insert(id);
        let done = match self.accounts.get_mut(&id) {
            Some(account) => f(&mut account.counters).is_some(),
            None => false,
        };
        self.expect(2, done, || {
            format!("account {id} is unknown or its counters overflow")
        });
    }

    fn usable(&mut self, id: AccountId) {
        let usable = self.accounts.get(&id).is_some_and(|a| {
            !a.flags.has(AccountFlags::FROZEN) && !a.flags.has(AccountFlags::CLOSED)
        });
        self.expect(2, usable, || format!("account {id} was frozen or closed"));
    }

    fn posts(&mut self, debit: AccountId, credit: AccountId, amount: u64) {
        self.usable(debit);
        self.usable(credit);
        let assets = [debit, credit].map(|id| self.accounts.get(&id).map(|a| a.asset));
        self.expect(1, amount > 0 && assets[0] == assets[1], || {
            "a posting of nothing, or between assets".into()
        });
        self.change(debit, |c| {
            c.debits_posted = c.debits_posted.checked_add(amount)?;
            Some(())
        });
        self.change(credit, |c| {
            c.credits_posted = c.credits_posted.checked_add(amount)?;
            Some(())
        });
    }

    /// Checks what the class says about a move.
    fn class_knows(&mut self, kind: TransferKind, debit: AccountId, credit: AccountId) {
        let now = self.now;
        let known = (|| {
            let (d, c) = (self.accounts.get(&debit)?, self.accounts.get(&credit)?);
            let asset = self.assets.get(&d.asset)?;
            let class = self.classes.get(&asset.class)?;
            let winding_up = matches!(
                kind,
                TransferKind::Unlock | TransferKind::Cancel | TransferKind::Expire
            );
            let listed = class
                .moves
                .iter()
                .any(|m| m.kind == kind && m.from.has(d.kind) && m.to.has(c.kind));
            (listed && (winding_up || now < asset.usable_until)).then_some(())
        })();
        self.expect(7, known.is_some(), || {
            format!("the class does not allow {kind} from {debit} to {credit} at {now}")
        });
        let permitted = self.permitted(debit, credit);
        self.expect(7, permitted, || {
            format!("no permit on both sides from {debit} to {credit} at {now}")
        });
    }

    /// True unless the class wants permits and one side has none in force.
    fn permitted(&self, debit: AccountId, credit: AccountId) -> bool {
        let (Some(d), Some(c)) = (self.accounts.get(&debit), self.accounts.get(&credit)) else {
            return false;
        };
        let class = self
            .assets
            .get(&d.asset)
            .and_then(|asset| self.classes.get(&asset.class));
        if d.holder == c.holder || !class.is_some_and(|class| class.permits) {
            return true;
        }
        let holds = |account: &Account, measure| {
            account.kind.is_boundary()
                || account.limits.iter().any(|id| {
                    self.limits
                        .get(id)
                        .is_some_and(|l| l.measure == measure && l.window.contains(self.now))
                })
        };
        holds(d, Measure::Debits) && holds(c, Measure::Credits)
    }

    fn transfer(&mut self, id: CommandId, signer: SignerId, t: &Transfer, units: &Units) {
        self.debits(signer, t.debit);
        self.rule(t.rule, t.kind);
        self.class_knows(t.kind, t.debit, t.credit);
        self.posts(t.debit, t.credit, t.amount);
        self.hand_over(t.kind, t.debit, t.credit, t.amount, units);
        self.remember(id, t.kind, t.debit, t.credit, t.amount);
    }

    fn remember(
        &mut self,
        id: CommandId,
        kind: TransferKind,
        debit: AccountId,
        credit: AccountId,
        amount: u64,
    ) {
        let moved = Moved {
            kind,
            debit,
            credit,
            amount,
        };
        self.ids.moved(id, moved);
    }

    fn reserve(&mut self, id: CommandId, signer: SignerId, r: &Reserve) {
        let t = &r.transfer;
        self.debits(signer, t.debit);
        self.rule(t.rule, t.kind);
        self.class_knows(t.kind, t.debit, t.credit);
        self.usable(t.debit);
        self.usable(t.credit);
        self.change(t.debit, |c| {
            c.debits_pending = c.debits_pending.checked_add(t.amount)?;
            Some(())
        });
        self.change(t.credit, |c| {
            c.credits_pending = c.credits_pending.checked_add(t.amount)?;
            Some(())
        });
        self.lock(t.debit, t.amount, t.range, id);
        self.pendings.insert(
            id,
            Pending {
                id,
                kind: t.kind,
                debit: t.debit,
                credit: t.credit,
                amount: t.amount,
                opens: r.opens,
                expires: r.expires,
                resolver: r.resolver,
                four_eyes: r.four_eyes,
                signer,
                discrepancy: r.discrepancy,
                rule: t.rule,
                case: t.case,
                overdue: false,
            },
        );
    }

    fn is_goods(&self, account: AccountId) -> bool {
        (|| {
            let asset = self.assets.get(&self.accounts.get(&account)?.asset)?;
            Some(self.classes.get(&asset.class)?.pending == PendingRule::Goods)
        })() == Some(true)
    }

    fn take_pending(&mut self, id: CommandId) -> Option<Pending> {
        let taken = self.pendings.remove(&id);
        let once = taken.is_some() && self.resolved.insert(id);
        self.expect(6, once, || {
            format!("pending {id} was unknown or resolved before")
        });
        let p = taken?;
        self.change(p.debit, |c| {
            c.debits_pending = c.debits_pending.checked_sub(p.amount)?;
            Some(())
        });
        self.change(p.credit, |c| {
            c.credits_pending = c.credits_pending.checked_sub(p.amount)?;
            Some(())
        });
        Some(p)
    }

    fn post(
        &mut self,
        id: CommandId,
        signer: SignerId,
        pending: CommandId,
        amount: Option<u64>,
        units: &Units,
    ) {
        let Some(p) = self.take_pending(pending) else {
            return;
        };
        self.resolves(signer, &[p.resolver]);
        let (now, amount) = (self.now, amount.unwrap_or(p.amount));
        self.expect(7, now >= p.opens, || "posted before its delay".into());
        self.expect(7, !p.four_eyes || signer != p.signer, || {
            "posted by the one who reserved".into()
        });
        if !self.is_goods(p.debit) {
            self.expect(6, now < p.expires || p.expires.0 == i64::MAX, || {
                "posted after it ran out".into()
            });
            self.expect(6, amount <= p.amount, || "more posted than reserved".into());
            self.unlock(p.debit, pending);
            self.posts(p.debit, p.credit, amount);
            self.hand_over(p.kind, p.debit, p.credit, amount, units);
            self.remember(id, p.kind, p.debit, p.credit, amount);
            return;
        }
        let Some(gap) = p.discrepancy else {
            self.find(6, "goods without a discrepancy account");
            return;
        };
        let arrived = amount.min(p.amount);
        if arrived > 0 {
            self.posts(p.debit, p.credit, arrived);
        }
        if amount < p.amount {
            self.posts(p.debit, gap, p.amount - amount);
        } else if amount > p.amount {
            self.posts(gap, p.credit, amount - p.amount);
        } else {
            self.remember(id, p.kind, p.debit, p.credit, amount);
        }
    }

    fn free(&mut self, signer: SignerId, pending: CommandId, expires: bool) {
        let now = self.now;
        if expires {
            let Some(p) = self.pendings.get_mut(&pending) else {
                self.find(
                    6,
                    format!("pending {pending} was unknown or resolved before"),
                );
                return;
            };
            let due = p.expires.0 != i64::MAX && now >= p.expires && !p.overdue;
            let debit = p.debit;
            self.expect(6, due, || format!("pending {pending} had not run out"));
            if self.is_goods(debit) {
                if let Some(p) = self.pendings.get_mut(&pending) {
                    p.overdue = true;
                }
                return;
            }
        }
        if let Some(p) = self.take_pending(pending) {
            if !expires {
                let holder = self.accounts.get(&p.debit).map_or(PartyId(0), |a| a.holder);
                self.resolves(signer, &[p.resolver, holder]);
            }
            self.unlock(p.debit, pending);
        }
    }

    fn reverse(
        &mut self,
        id: CommandId,
        signer: SignerId,
        original: CommandId,
        amount: Option<u64>,
        rule: RuleId,
        units: &Units,
    ) {
        let Some(m) = self.ids.get(original) else {
            self.find(7, format!("transfer {original} was never posted as one"));
            return;
        };
        let done = self.reversed.get(&original).copied().unwrap_or(0);
        let left = m.amount - done;
        let amount = amount.unwrap_or(left);
        self.rule(rule, TransferKind::Reverse);
        self.debits(signer, m.credit);
        let sound = amount <= left && m.kind != TransferKind::Reverse;
        self.expect(6, sound, || "more reversed than was moved".into());
        self.posts(m.credit, m.debit, amount);
        self.hand_over(TransferKind::Reverse, m.credit, m.debit, amount, units);
        self.reversed.insert(original, done + amount.min(left));
        self.remember(id, TransferKind::Reverse, m.credit, m.debit, amount);
    }

    fn transform(&mut self, id: CommandId, signer: SignerId, t: &Transform, units: &Units) {
        self.debits(signer, t.input);
        self.rule(t.rule, t.kind);
        let yields = self.rules.get(&t.rule).and_then(|r| r.yields);
        let (low, high) = match (t.kind, yields) {
            (TransferKind::Transform, Some(y)) => (y.min_ppm, y.max_ppm),
            _ => (1_000_000, 1_000_000),
        };
        let out = u128::from(t.amount_out) * 1_000_000;
        let bounds = [low, high].map(|ppm| u128::from(t.amount_in) * u128::from(ppm));
        self.expect(7, bounds[0] <= out && out <= bounds[1], || {
            "a transform gave another yield than its rule".into()
        });
        let kinds = [t.sink, t.source].map(|a| self.accounts.get(&a).map(|a| a.kind));
        let ends = [Some(AccountKind::Consumed), Some(AccountKind::Contra)];
        self.expect(3, kinds == ends, || {
            "a transform between wrong kinds".into()
        });
        let _ = id;
        for (debit, credit, amount) in [
            (t.input, t.sink, t.amount_in),
            (t.source, t.output, t.amount_out),
        ] {
            self.class_knows(t.kind, debit, credit);
            self.posts(debit, credit, amount);
            let own: Vec<_> = units.iter().filter(|u| u.to == credit).cloned().collect();
            self.hand_over(t.kind, debit, credit, amount, &own);
        }
    }

    fn define(&mut self, signer: SignerId, op: &Op) {
        self.power(signer, Powers::DEFINE);
        let fresh = match op {
            Op::DefineClass(d) => self.classes.insert(d.id, d.clone()).is_none(),
            Op::DefineSeries(d) => {
                let numbers = Numbers {
                    def: d.clone(),
                    issued: 0,
                    runs: std::collections::BTreeMap::new(),
                };
                self.series.insert(d.id, numbers).is_none()
            }
            Op::DefineAsset(d) => {
                let fits = self.classes.get(&d.class).is_some_and(|c| {
                    c.serial == d.series.is_some() && (!c.single || d.issue_cap <= 1)
                });
                self.expect(3, fits, || format!("asset {} does not fit its class", d.id));
                self.assets.insert(d.id, d.clone()).is_none()
            }
            Op::DefineRule(d) => self.rules.insert(d.id, d.clone()).is_none(),
            Op::DefineLimit(d) => {
                self.limit_used.insert(d.id, 0);
                self.limits.insert(d.id, d.clone()).is_none()
            }
            Op::DefineSigner(d) => {
                self.power(signer, d.powers.0);
                self.signers.insert(d.id, d.clone()).is_none()
            }
            Op::OpenAccount(d) => {
                let account = Account {
                    id: d.id,
                    holder: d.holder,
                    asset: d.asset,
                    kind: d.kind,
                    flags: AccountFlags::of_kind(d.kind),
                    counters: Counters::default(),
                    limits: d.limits.clone().into(),
                };
                for limit in &d.limits {
                    self.members.entry(*limit).or_default().push(d.id);
                }
                self.touched.insert(d.id);
                self.accounts.insert(d.id, account).is_none()
            }
            Op::CloseRule { rule, until } => match self.rules.get_mut(rule) {
                Some(r) => {
                    r.window.until = *until;
                    true
                }
                None => false,
            },
            Op::SetLimit { limit, cap, window } => match self.limits.get_mut(limit) {
                Some(l) => {
                    (l.cap, l.window) = (*cap, *window);
                    self.limits_changed.insert(*limit);
                    true
                }
                None => false,
            },
            Op::SetIssueCap { asset, cap } => match self.assets.get_mut(asset) {
                Some(a) => {
                    a.issue_cap = *cap;
                    true
                }
                None => false,
            },
            Op::CloseSigner { signer, until } => match self.signers.get_mut(signer) {
                Some(s) => {
                    s.window.until = *until;
                    true
                }
                None => false,
            },
            Op::SetFrozen { account, frozen } => self.flag(*account, AccountFlags::FROZEN, *frozen),
            Op::CloseAccount { account } => self.flag(*account, AccountFlags::CLOSED, true),
            _ => true,
        };
        self.expect(5, fresh, || {
            "something was defined twice, or changed before it was defined".into()
        });
    }

    fn flag(&mut self, id: AccountId, flag: u8, on: bool) -> bool {
        self.touched.insert(id);
        match self.accounts.get_mut(&id) {
            Some(account) => {
                let bits = account.flags.0;
                account.flags.0 = if on { bits | flag } else { bits & !flag };
                true
            }
            None => false,
        }
    }
}
