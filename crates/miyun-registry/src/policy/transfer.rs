//! Transfers with a second representative and a delay; retirement; cancellation.

use miyun_carbon::calendar;
use miyun_ledger::{AccountKind, Op, Reserve, Time, TransferKind};

use super::{Planner, movement};
use crate::Error;
use crate::model::{OPERATOR, TransferState};
use crate::request::Ask;

pub(super) fn plan(p: &mut Planner<'_>, ask: &Ask) -> Result<(), Error> {
    match ask {
        Ask::Transfer {
            asset,
            to,
            amount,
            serials,
        } => propose(p, asset, to, amount.get()?, *serials),
        Ask::Approve { transfer } => approve(p, transfer),
        Ask::Withdraw { transfer } => withdraw(p, transfer),
        Ask::Settle { transfer } => settle(p, transfer),
        Ask::Retire {
            asset,
            amount,
            serials,
            retirement,
        } => {
            retirement.check()?;
            end(
                p,
                "retirement",
                TransferKind::Retire,
                AccountKind::Retired,
                asset,
                amount.get()?,
                *serials,
                &retirement.beneficiary,
            )
        }
        Ask::Cancel {
            asset,
            amount,
            serials,
            reason,
        } => end(
            p,
            "cancellation",
            TransferKind::Cancel,
            AccountKind::Cancelled,
            asset,
            amount.get()?,
            *serials,
            reason,
        ),
        _ => Ok(()),
    }
}

fn propose(
    p: &mut Planner<'_>,
    asset: &str,
    to: &str,
    amount: u64,
    serials: Option<[u64; 2]>,
) -> Result<(), Error> {
    let c = p.c;
    c.serials(serials, amount)?;
    let receiver = c.model.party(to)?;
    if receiver.id == c.party.id {
        return Err(Error::Ledger(miyun_ledger::Refusal::SameAccount));
    }
    c.unfrozen(receiver)?;
    let from = c.spend(c.party, asset, amount)?;
    let delay = c.law.whole("transfer-delay")?;
    c.yes("second-representative")?;
    let until = calendar::approval_until(&c.law, c.zone.civil(c.now))?;
    if let Some(limit) = c.holding_limit(Some(c.party), receiver, amount)? {
        p.plan.out.also.push(super::rule_name(&limit));
    }
    p.permitted_by(&delay.rule);
    p.plan.out.also.push(super::rule_name(&until.rule));
    let expires = c.zone.instant(until.value);
    p.plan.out.approve_until = Some(expires.0);
    let credit = p.holding(receiver, asset)?;
    let rule = p.rule(&delay.rule, TransferKind::Transfer);
    p.plan.moves.push(Op::Reserve(Reserve {
        transfer: movement(
            TransferKind::Transfer,
            from,
            credit,
            amount,
            serials,
            rule,
            "",
        ),
        opens: Time::MIN,
        expires,
        resolver: OPERATOR,
        four_eyes: false,
        discrepancy: None,
    }));
    Ok(())
}

fn state(p: &Planner<'_>, id: &str, needs: TransferState) -> Result<crate::model::Transfer, Error> {
    let t = p.c.model.transfer(id)?;
    let is = t.state_at(p.c.now);
    if is == needs {
        return Ok(t.clone());
    }
    Err(Error::TransferState {
        id: id.into(),
        is: is.word(),
        needs: needs.word(),
    })
}

fn approve(p: &mut Planner<'_>, id: &str) -> Result<(), Error> {
    let c = p.c;
    let t = state(p, id, TransferState::Proposed)?;
    if t.from != c.party.id {
        return Err(Error::Role {
            party: c.party.id.clone(),
            role: c.party.role.word(),
            needs: "a second representative of the party that transfers",
        });
    }
    if t.proposed_by == c.by {
        return Err(Error::SamePerson(c.by.into()));
    }
    let receiver = c.model.party(&t.to)?;
    c.unfrozen(receiver)?;
    let free = c
        .law
        .text("transfers-without-delay-to")
        .ok()
        .filter(|r| r.value == "trusted-accounts")
        .filter(|_| {
            c.party
                .trusted
                .get(&t.to)
                .is_some_and(|from| *from <= c.now)
        });
    if let Some(r) = free {
        p.permitted_by(&r.rule);
        p.plan.out.settled = true;
        p.plan.out.effective = Some(c.now.0);
        p.plan.moves.push(Op::Post {
            pending: t.pending,
            amount: None,
        });
        return Ok(());
    }
    let delay = calendar::delay(
        &c.law,
        &c.holidays.closed,
        &c.holidays.open,
        c.zone.civil(c.now),
    )?;
    p.permitted_by(&delay.rule);
    let effective = c.zone.instant(delay.value.effective);
    p.plan.out.effective = Some(effective.0);
    let from = c
        .model
        .accounts_of(&t.from)
        .find(|(k, _)| k.asset == t.asset && k.kind == AccountKind::Holding);
    let Some((_, debit)) = from else {
        return Err(Error::Unknown {
            kind: "account",
            id: t.from,
        });
    };
    let credit = p.holding(receiver, &t.asset)?;
    let rule = p.rule(&delay.rule, TransferKind::Transfer);
    // The proposal's reservation gives way to one that opens after the delay, in one record.
    p.plan.moves.push(Op::Void { pending: t.pending });
    p.plan.moves.push(Op::Reserve(Reserve {
        transfer: movement(
            TransferKind::Transfer,
            debit,
            credit,
            t.amount,
            t.serials,
            rule,
            "",
        ),
        opens: effective,
        expires: Time::MAX,
        resolver: OPERATOR,
        four_eyes: false,
        discrepancy: None,
    }));
    Ok(())
}

fn withdraw(p: &mut Planner<'_>, id: &str) -> Result<(), Error> {
    let c = p.c;
    let t = c.model.transfer(id)?;
    let is = t.state_at(c.now);
    if t.from != c.party.id {
        return Err(Error::Role {
            party: c.party.id.clone(),
            role: c.party.role.word(),
            needs: "a representative of the party that transfers",
        });
    }
    if !matches!(is, TransferState::Proposed | TransferState::Approved) {
        return Err(Error::TransferState {
            id: id.into(),
            is: is.word(),
            needs: "proposed or approved",
        });
    }
    p.plan.out.rule.clone_from(&t.rule);
    p.plan.moves.push(Op::Void { pending: t.pending });
    Ok(())
}

fn settle(p: &mut Planner<'_>, id: &str) -> Result<(), Error> {
    let t = state(p, id, TransferState::Approved)?;
    for party in [&t.from, &t.to] {
        p.c.unfrozen(p.c.model.party(party)?)?;
    }
    p.plan.out.rule.clone_from(&t.rule);
    p.plan.moves.push(Op::Post {
        pending: t.pending,
        amount: None,
    });
    Ok(())
}

#[expect(clippy::too_many_arguments)]
fn end(
    p: &mut Planner<'_>,
    rule: &str,
    kind: TransferKind,
    account: AccountKind,
    asset: &str,
    amount: u64,
    serials: Option<[u64; 2]>,
    memo: &str,
) -> Result<(), Error> {
    let c = p.c;
    c.serials(serials, amount)?;
    let rule = c.yes(rule)?;
    let from = c.spend(c.party, asset, amount)?;
    p.permitted_by(&rule);
    let to = p.account(c.party, asset, account, 0, Vec::new())?;
    let rule = p.rule(&rule, kind);
    p.transfer(kind, (from, to), amount, serials, rule, memo);
    Ok(())
}
