//! Transfers, transforms and reversals.

use crate::state::{State, Undo};
use crate::table::Fate;
use crate::{
    AccountFlags, AccountId, AccountKind, CommandId, Counters, Measure, Powers, Range, Refusal,
    RuleId, SignerId, Transfer, TransferKind, Transform,
};

/// One leg of a movement, by index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    pub kind: TransferKind,
    pub debit: u32,
    pub credit: u32,
    pub amount: u64,
}

impl State {
    pub(crate) fn account_index(&self, id: AccountId) -> Result<u32, Refusal> {
        self.account_ix
            .get(&id)
            .copied()
            .ok_or(Refusal::UnknownAccount)
    }

    /// The two accounts, different, open, and of one asset.
    pub(crate) fn pair(&self, debit: AccountId, credit: AccountId) -> Result<(u32, u32), Refusal> {
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        let (di, ci) = (self.account_index(debit)?, self.account_index(credit)?);
        self.usable(di)?;
        self.usable(ci)?;
        if self.accounts[di as usize].asset_ix != self.accounts[ci as usize].asset_ix {
            return Err(Refusal::AssetMismatch);
        }
        Ok((di, ci))
    }

    pub(crate) fn usable(&self, ix: u32) -> Result<(), Refusal> {
        let flags = self.accounts[ix as usize].account.flags;
        if flags.has(AccountFlags::CLOSED) {
            return Err(Refusal::AccountClosed);
        }
        if flags.has(AccountFlags::FROZEN) {
            return Err(Refusal::AccountFrozen);
        }
        Ok(())
    }

    pub(crate) fn has_power(&self, signer: SignerId, power: u8) -> bool {
        self.signers
            .get(&signer)
            .is_some_and(|s| s.powers.has(power))
    }

    pub(crate) fn may_debit(&self, signer: SignerId, ix: u32) -> Result<(), Refusal> {
        let account = &self.accounts[ix as usize].account;
        let signer = self.signers.get(&signer).ok_or(Refusal::SignerUnknown)?;
        let allowed = if account.kind == AccountKind::Contra {
            signer.powers.has(Powers::ISSUE)
        } else {
            signer.party == account.holder || signer.powers.has(Powers::MOVE_ANY)
        };
        allowed.then_some(()).ok_or(Refusal::SignerNotAllowed)
    }

    pub(crate) fn rule_permits(&self, rule: RuleId, kind: TransferKind) -> Result<(), Refusal> {
        let rule = self.rules.get(&rule).ok_or(Refusal::UnknownRule)?;
        if !rule.window.contains(self.now) {
            return Err(Refusal::RuleNotInForce);
        }
        if !rule.kinds.has(kind) {
            return Err(Refusal::RuleWrongKind);
        }
        Ok(())
    }

    /// Checks a move against the asset's class, its usable time, its permits and its issue cap.
    pub(crate) fn class_permits(&self, leg: Leg) -> Result<(), Refusal> {
        let (d, c) = (
            &self.accounts[leg.debit as usize],
            &self.accounts[leg.credit as usize],
        );
        let asset = &self.assets[d.asset_ix as usize];
        let class = &self.classes[asset.class_ix as usize];
        if d.account.kind.is_terminal() {
            return Err(Refusal::TerminalAccount);
        }
        let known = class.moves[leg.kind as usize]
            .iter()
            .any(|(from, to)| from.has(d.account.kind) && to.has(c.account.kind));
        if !known {
            return Err(Refusal::MoveNotAllowed);
        }
        self.asset_usable(d.asset_ix, leg.kind)?;
        if class.def.permits && d.account.holder != c.account.holder {
            let holds = |row: &crate::state::AccountRow, measure| {
                row.account.limits.iter().any(|id| {
                    self.limit(*id).is_some_and(|l| {
                        l.def.measure == measure && l.def.window.contains(self.now)
                    })
                })
            };
            let gives = d.account.kind.is_boundary() || holds(d, Measure::Debits);
            let takes = c.account.kind.is_boundary() || holds(c, Measure::Credits);
            if !gives || !takes {
                return Err(Refusal::PermitMissing);
            }
        }
        Ok(())
    }

    pub(crate) fn asset_usable(&self, asset_ix: u32, kind: TransferKind) -> Result<(), Refusal> {
        let def = &self.assets[asset_ix as usize].def;
        let winding_up = matches!(
            kind,
            TransferKind::Unlock | TransferKind::Cancel | TransferKind::Expire
        );
        if !winding_up && self.now >= def.usable_until {
            return Err(Refusal::AssetExpired);
        }
        Ok(())
    }

    /// Replaces the counters of an account, keeps the old ones for roll-back and for the seal, and
    /// moves the limits it counts towards.
    pub(crate) fn set_counters(&mut self, ix: u32, after: Counters) -> Result<(), Refusal> {
        let row = &mut self.accounts[ix as usize];
        let before = row.account.counters;
        if row.touched != self.batch {
            row.touched = self.batch;
            self.dirty.push((ix, before));
        }
        self.undo.push(Undo::Counters(ix, before));
        row.account.counters = after;
        let kind = row.account.kind;
        if row.account.flags.has(AccountFlags::NO_OVERDRAFT) && after.available() < 0 {
            return Err(Refusal::Insufficient);
        }
        if kind == AccountKind::Contra {
            let cap = self.assets[row.asset_ix as usize].def.issue_cap;
            let grows = after.available() < before.available();
            if grows && -after.available() > i128::from(cap) {
                return Err(Refusal::IssueCap);
            }
        }
        for n in 0..self.accounts[ix as usize].account.limits.len() {
            let limit = self.accounts[ix as usize].account.limits[n];
            let Some(&lx) = self.limit_ix.get(&limit) else {
                return Err(Refusal::UnknownLimit);
            };
            let limit = &mut self.limits[lx as usize];
            let delta = measured(limit.def.measure, &after) - measured(limit.def.measure, &before);
            if delta != 0 {
                self.limits_before.entry(lx).or_insert(limit.used);
                self.undo.push(Undo::Limit(lx, limit.used));
                limit.used += delta;
                match self.growth.iter_mut().find(|(l, _)| *l == lx) {
                    Some((_, total)) => *total += delta,
                    None => self.growth.push((lx, delta)),
                }
            }
        }
        Ok(())
    }

    /// Limits hold after the whole command: what grew must be open and within its cap.
    pub(crate) fn check_growth(&self) -> Result<(), Refusal> {
        for &(lx, delta) in &self.growth {
            let limit = &self.limits[lx as usize];
            if delta > 0 {
                if !limit.def.window.contains(self.now) {
                    return Err(Refusal::LimitClosed);
                }
                if limit.used > i128::from(limit.def.cap) {
                    return Err(Refusal::LimitExceeded);
                }
            }
        }
        Ok(())
    }

    /// Posts an amount from one account to the other.
    pub(crate) fn book(&mut self, debit: u32, credit: u32, amount: u64) -> Result<(), Refusal> {
        if amount == 0 {
            return Err(Refusal::ZeroAmount);
        }
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        let mut d = self.accounts[debit as usize].account.counters;
        let mut c = self.accounts[credit as usize].account.counters;
        add(&mut d.debits_posted, amount)?;
        add(&mut c.credits_posted, amount)?;
        room(&d)?;
        room(&c)?;
        self.set_counters(debit, d)?;
        self.set_counters(credit, c)
    }

    pub(crate) fn transfer(
        &mut self,
        id: CommandId,
        signer: SignerId,
        t: &Transfer,
    ) -> Result<(u32, u32), Refusal> {
        if t.amount == 0 {
            return Err(Refusal::ZeroAmount);
        }
        let (di, ci) = self.pair(t.debit, t.credit)?;
        self.may_debit(signer, di)?;
        self.rule_permits(t.rule, t.kind)?;
        let leg = Leg {
            kind: t.kind,
            debit: di,
            credit: ci,
            amount: t.amount,
        };
        self.class_permits(leg)?;
        self.book(di, ci, t.amount)?;
        self.move_serials(id, leg, t.range)?;
        Ok((di, ci))
    }

    pub(crate) fn transform(
        &mut self,
        id: CommandId,
        signer: SignerId,
        t: &Transform,
    ) -> Result<(u32, u32), Refusal> {
        if t.amount_in == 0 || t.amount_out == 0 {
            return Err(Refusal::ZeroAmount);
        }
        let (input, sink) = self.pair(t.input, t.sink)?;
        let (source, output) = self.pair(t.source, t.output)?;
        self.may_debit(signer, input)?;
        // the rule, not the signer, is what allows the output: it fixes how much comes out
        self.rule_permits(t.rule, t.kind)?;
        if self.accounts[sink as usize].account.kind != AccountKind::Consumed
            || self.accounts[source as usize].account.kind != AccountKind::Contra
        {
            return Err(Refusal::MoveNotAllowed);
        }
        let own = self.accounts[input as usize].account.holder;
        if self.accounts[output as usize].account.holder != own
            && !self.has_power(signer, Powers::MOVE_ANY)
        {
            return Err(Refusal::SignerNotAllowed);
        }
        let yields = self.rules.get(&t.rule).and_then(|r| r.yields);
        let (min, max) = match yields {
            Some(y) if t.kind == TransferKind::Transform => (y.min_ppm, y.max_ppm),
            _ => (1_000_000, 1_000_000),
        };
        let out = u128::from(t.amount_out) * 1_000_000;
        let within = out >= u128::from(t.amount_in) * u128::from(min)
            && out <= u128::from(t.amount_in) * u128::from(max);
        if !within {
            return Err(Refusal::YieldOutOfBounds);
        }
        for (debit, credit, amount) in [(input, sink, t.amount_in), (source, output, t.amount_out)]
        {
            let leg = Leg {
                kind: t.kind,
                debit,
                credit,
                amount,
            };
            self.class_permits(leg)?;
            self.book(debit, credit, amount)?;
            self.move_serials(id, leg, None)?;
        }
        Ok((input, sink))
    }

    pub(crate) fn reverse(
        &mut self,
        id: CommandId,
        signer: SignerId,
        original: CommandId,
        (amount, range): (Option<u64>, Option<Range>),
        rule: RuleId,
    ) -> Result<(u32, u32, u64), Refusal> {
        let row = *self.table.get(original).ok_or(Refusal::UnknownTransfer)?;
        match row.fate() {
            Fate::Posted(TransferKind::Reverse) => return Err(Refusal::NotReversible),
            Fate::Posted(_) => {}
            _ => return Err(Refusal::NotReversible),
        }
        // money flows back: what was credited is debited
        let (di, ci) = (row.credit, row.debit);
        if self.accounts[di as usize].account.kind.is_terminal() {
            return Err(Refusal::NotReversible);
        }
        self.usable(di)?;
        self.usable(ci)?;
        self.may_debit(signer, di)?;
        self.rule_permits(rule, TransferKind::Reverse)?;
        let done = self.reversed.get(&original).copied().unwrap_or(0);
        let left = row.amount - done;
        let amount = amount.unwrap_or(left);
        if amount == 0 && left > 0 {
            return Err(Refusal::ZeroAmount);
        }
        if amount > left || left == 0 {
            return Err(Refusal::ReversalOver);
        }
        self.book(di, ci, amount)?;
        let leg = Leg {
            kind: TransferKind::Reverse,
            debit: di,
            credit: ci,
            amount,
        };
        self.move_serials(id, leg, range)?;
        let before = (done > 0).then_some(done);
        self.undo.push(Undo::Reversed(original, before));
        self.reversed.insert(original, done + amount);
        let (was, is) = (before.map(|d| (original, d)), (original, done + amount));
        self.entry(was.as_ref(), Some(&is), b'R');
        Ok((di, ci, amount))
    }
}

impl crate::codec::Wire for (CommandId, u64) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(r: &mut crate::codec::Reader<'_>) -> Result<Self, crate::DecodeError> {
        Ok((crate::codec::Wire::get(r)?, crate::codec::Wire::get(r)?))
    }
}

/// What an account contributes to a limit.
pub(crate) fn measured(measure: Measure, c: &Counters) -> i128 {
    match measure {
        Measure::Balance => c.balance() + i128::from(c.credits_pending),
        Measure::Credits => i128::from(c.credits_posted) + i128::from(c.credits_pending),
        Measure::Debits => i128::from(c.debits_posted) + i128::from(c.debits_pending),
    }
}

pub(crate) fn add(counter: &mut u64, amount: u64) -> Result<(), Refusal> {
    *counter = counter.checked_add(amount).ok_or(Refusal::AmountOverflow)?;
    Ok(())
}

/// Posted and pending together stay within 64 bits, so that posting what is pending cannot fail.
pub(crate) fn room(c: &Counters) -> Result<(), Refusal> {
    c.debits_posted
        .checked_add(c.debits_pending)
        .and(c.credits_posted.checked_add(c.credits_pending))
        .map(|_| ())
        .ok_or(Refusal::AmountOverflow)
}
