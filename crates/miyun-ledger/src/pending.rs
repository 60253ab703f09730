//! Two-phase transfers: reserve, post, void, expire.

use crate::codec::{Reader, Wire};
use crate::moves::{Leg, add, room};
use crate::state::{Pending, State, Undo};
use crate::{
    AccountKind, CommandId, DecodeError, PartyId, PendingRule, Powers, Refusal, Reserve, SignerId,
    Time, TransferKind,
};

macro_rules! wire_pending {
    ($($field:ident),*) => {
        impl Wire for Pending {
            fn put(&self, out: &mut Vec<u8>) { $(self.$field.put(out);)* }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Wire::get(r)?),* })
            }
        }
    };
}
wire_pending!(
    id,
    kind,
    debit,
    credit,
    amount,
    opens,
    expires,
    resolver,
    four_eyes,
    signer,
    discrepancy,
    rule,
    case,
    overdue
);

impl State {
    pub(crate) fn reserve(
        &mut self,
        id: CommandId,
        signer: SignerId,
        r: &Reserve,
    ) -> Result<(u32, u32), Refusal> {
        let t = &r.transfer;
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
        if self.accounts[di as usize].account.kind == AccountKind::Contra {
            // what does not exist yet cannot be promised
            return Err(Refusal::MoveNotAllowed);
        }
        if r.expires <= self.now || r.opens >= r.expires {
            return Err(Refusal::PendingExpired);
        }
        self.check_discrepancy(r, di)?;
        let mut d = self.accounts[di as usize].account.counters;
        let mut c = self.accounts[ci as usize].account.counters;
        add(&mut d.debits_pending, t.amount)?;
        add(&mut c.credits_pending, t.amount)?;
        room(&d)?;
        room(&c)?;
        self.set_counters(di, d)?;
        self.set_counters(ci, c)?;
        self.lock_serials(id, leg, t.range)?;
        let pending = Pending {
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
        };
        self.entry(None::<&Pending>, Some(&pending), b'P');
        if pending.expires != Time::MAX {
            self.due.insert((pending.expires, id));
        }
        self.pendings.insert(id, pending);
        self.undo.push(Undo::PendingAdded(id));
        Ok((di, ci))
    }

    fn pending_rule(&self, account_ix: u32) -> PendingRule {
        let asset = &self.assets[self.accounts[account_ix as usize].asset_ix as usize];
        self.classes[asset.class_ix as usize].def.pending
    }

    fn check_discrepancy(&self, r: &Reserve, di: u32) -> Result<(), Refusal> {
        match (self.pending_rule(di), r.discrepancy) {
            (PendingRule::Goods, Some(id)) => {
                let ix = self.account_index(id)?;
                if id == r.transfer.debit || id == r.transfer.credit {
                    return Err(Refusal::SameAccount);
                }
                let row = &self.accounts[ix as usize];
                if row.account.kind != AccountKind::Discrepancy
                    || row.asset_ix != self.accounts[di as usize].asset_ix
                {
                    return Err(Refusal::DiscrepancyMissing);
                }
                self.usable(ix)
            }
            (PendingRule::Goods, None) => Err(Refusal::DiscrepancyMissing),
            (PendingRule::Money, None) => Ok(()),
            (PendingRule::Money, Some(_)) => Err(Refusal::Inconsistent),
        }
    }

    pub(crate) fn open_pending(&self, id: CommandId) -> Result<Pending, Refusal> {
        match self.pendings.get(&id) {
            Some(pending) => Ok(pending.clone()),
            None => Err(match self.table.get(id).map(|row| row.fate()) {
                Some(crate::table::Fate::Reserved(_)) => Refusal::PendingResolved,
                _ => Refusal::UnknownPending,
            }),
        }
    }

    fn signs_for(&self, signer: SignerId, parties: &[PartyId]) -> Result<(), Refusal> {
        let s = self.signers.get(&signer).ok_or(Refusal::SignerUnknown)?;
        if parties.contains(&s.party) || s.powers.has(Powers::MOVE_ANY) {
            return Ok(());
        }
        Err(Refusal::SignerNotAllowed)
    }

    /// Takes a pending transfer off the list and its amounts off the pending counters.
    fn release(&mut self, pending: &Pending) -> Result<(u32, u32), Refusal> {
        let (di, ci) = (
            self.account_index(pending.debit)?,
            self.account_index(pending.credit)?,
        );
        let mut d = self.accounts[di as usize].account.counters;
        let mut c = self.accounts[ci as usize].account.counters;
        d.debits_pending = d
            .debits_pending
            .checked_sub(pending.amount)
            .ok_or(Refusal::AmountOverflow)?;
        c.credits_pending = c
            .credits_pending
            .checked_sub(pending.amount)
            .ok_or(Refusal::AmountOverflow)?;
        self.set_counters(di, d)?;
        self.set_counters(ci, c)?;
        self.entry(Some(pending), None::<&Pending>, b'P');
        self.due.remove(&(pending.expires, pending.id));
        self.overdue.remove(&pending.id);
        self.pendings.remove(&pending.id);
        self.undo.push(Undo::PendingWas(pending.clone()));
        Ok((di, ci))
    }

    /// Posts a pending transfer; true at the end if it became more than one movement.
    pub(crate) fn post(
        &mut self,
        id: CommandId,
        signer: SignerId,
        pending: CommandId,
        amount: Option<u64>,
    ) -> Result<(TransferKind, u32, u32, u64, bool), Refusal> {
        let p = self.open_pending(pending)?;
        self.signs_for(signer, &[p.resolver])?;
        if p.four_eyes && signer == p.signer {
            return Err(Refusal::FourEyes);
        }
        if self.now < p.opens {
            return Err(Refusal::PendingTooEarly);
        }
        let rule = self.pending_rule(self.account_index(p.debit)?);
        if rule == PendingRule::Money && p.expires != Time::MAX && self.now >= p.expires {
            return Err(Refusal::PendingExpired);
        }
        let amount = amount.unwrap_or(p.amount);
        if amount == 0 && rule == PendingRule::Money {
            return Err(Refusal::ZeroAmount);
        }
        if amount > p.amount && rule == PendingRule::Money {
            return Err(Refusal::PendingOver);
        }
        let (di, ci) = self.release(&p)?;
        self.usable(di)?;
        self.usable(ci)?;
        let asset_ix = self.accounts[di as usize].asset_ix;
        self.asset_usable(asset_ix, p.kind)?;
        let leg = Leg {
            kind: p.kind,
            debit: di,
            credit: ci,
            amount: amount.min(p.amount),
        };
        if rule == PendingRule::Money {
            self.book(di, ci, amount)?;
            self.post_serials(id, pending, leg)?;
            return Ok((p.kind, di, ci, amount, false));
        }
        // goods: the whole declared amount has left; what was measured has arrived
        let gap = match p.discrepancy {
            Some(account) => self.account_index(account)?,
            None => return Err(Refusal::DiscrepancyMissing),
        };
        self.usable(gap)?;
        if leg.amount > 0 {
            self.book(di, ci, leg.amount)?;
        }
        if amount < p.amount {
            self.book(di, gap, p.amount - amount)?;
        } else if amount > p.amount {
            self.book(gap, ci, amount - p.amount)?;
        }
        Ok((p.kind, di, ci, amount, amount != p.amount))
    }

    pub(crate) fn void(&mut self, signer: SignerId, pending: CommandId) -> Result<(), Refusal> {
        let p = self.open_pending(pending)?;
        let holder = self.accounts[self.account_index(p.debit)? as usize]
            .account
            .holder;
        self.signs_for(signer, &[p.resolver, holder])?;
        let (di, _) = self.release(&p)?;
        self.unlock_serials(pending, di);
        Ok(())
    }

    pub(crate) fn expire(&mut self, pending: CommandId) -> Result<(), Refusal> {
        let p = self.open_pending(pending)?;
        if p.expires == Time::MAX || self.now < p.expires || p.overdue {
            return Err(Refusal::PendingNotDue);
        }
        if self.pending_rule(self.account_index(p.debit)?) == PendingRule::Goods {
            let mut after = p.clone();
            after.overdue = true;
            self.entry(Some(&p), Some(&after), b'P');
            self.due.remove(&(p.expires, pending));
            self.overdue.insert(pending);
            self.pendings.insert(pending, after);
            self.undo.push(Undo::PendingWas(p));
            return Ok(());
        }
        let (di, _) = self.release(&p)?;
        self.unlock_serials(pending, di);
        Ok(())
    }
}
