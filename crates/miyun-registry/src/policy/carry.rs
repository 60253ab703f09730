//! Carry-over: units of one vintage become units of the next, as far as the rule lets them.

use miyun_carbon::carry::carry_over;
use miyun_ledger::{AccountKind, Op, TransferKind, Transform};

use super::Planner;
use crate::Error;
use crate::model::{ALLOWANCE, AccountKey};
use crate::request::Role;

pub(super) fn plan(p: &mut Planner<'_>, asset: &str, into: &str) -> Result<(), Error> {
    let c = p.c;
    c.needs(Role::Compliance, "a unit with a duty to surrender")?;
    let (old, new) = (c.model.asset(asset)?, c.model.asset(into)?);
    if old.class != ALLOWANCE || new.class != ALLOWANCE || old.vintage >= new.vintage {
        return Err(Error::Carbon(miyun_carbon::Error::Field {
            field: "into",
            reason: format!("{into} is no later vintage of allowances than {asset}"),
        }));
    }
    let holding = c.spend(c.party, asset, 1)?;
    let held = c
        .state
        .account(holding)
        .and_then(|a| u64::try_from(a.counters.available()).ok())
        .unwrap_or(0);
    let sector = c.party.sector.as_deref().unwrap_or("power");
    let vintage = i16::try_from(old.vintage).unwrap_or(i16::MAX);
    let done = c
        .model
        .lines
        .iter()
        .filter(|l| l.what == "convert" && l.debit == holding)
        .map(|l| l.amount)
        .sum::<u64>();
    let r = carry_over(
        &c.law,
        sector,
        vintage,
        c.model.net_sold(&c.party.id, asset),
        held,
    )?;
    // What was carried before counts against the same ceiling.
    let carried = held.min(r.max.saturating_sub(done));
    if carried == 0 {
        return Err(Error::Ledger(miyun_ledger::Refusal::LimitExceeded));
    }
    p.permitted_by(&r.rule);
    p.plan.out.amount = Some(carried);
    p.plan.out.rest = Some(held - carried);
    let rule = p.rule(&r.rule, TransferKind::Convert);
    let sink = p.account(c.party, asset, AccountKind::Consumed, 0, Vec::new())?;
    let output = p.holding(c.party, into)?;
    let contra = AccountKey {
        party: "operator".into(),
        asset: into.into(),
        kind: AccountKind::Contra,
        year: 0,
    };
    let Some(source) = c.model.accounts.get(&contra).copied() else {
        return Err(Error::Unknown {
            kind: "contra account",
            id: into.into(),
        });
    };
    // Units of the new vintage come into being for units of the old one, and only for them.
    let cap = c.state.asset(new.number).map_or(0, |a| a.def.issue_cap);
    p.plan.definitions.push(Op::SetIssueCap {
        asset: new.number,
        cap: cap
            .checked_add(carried)
            .ok_or(Error::Ledger(miyun_ledger::Refusal::AmountOverflow))?,
    });
    p.plan.moves.push(Op::Transform(Transform {
        kind: TransferKind::Convert,
        input: holding,
        sink,
        amount_in: carried,
        source,
        output,
        amount_out: carried,
        rule,
        case: 0,
        memo: "".into(),
    }));
    Ok(())
}
