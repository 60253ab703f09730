//! Allowances, verified emissions, surrender, offset use.

use miyun_carbon::offset::{self, CapBase, Usable};
use miyun_ledger::{AccountKind, AssetDef, Measure, Op, Time, TransferKind};

use super::Planner;
use crate::Error;
use crate::model::{ALLOWANCE, AccountKey, CREDIT, OPERATOR};
use crate::request::{Ask, Role};

/// The asset of a programme's vintage.
#[must_use]
pub(crate) fn allowance_name(programme: &str, vintage: u16) -> String {
    format!("{programme}-{vintage}")
}

pub(super) fn plan(p: &mut Planner<'_>, ask: &Ask) -> Result<(), Error> {
    match ask {
        Ask::IssueAllowances {
            programme,
            vintage,
            amount,
        } => issue(p, programme, *vintage, amount.get()?),
        Ask::Allocate { asset, to, amount } => allocate(p, asset, to, amount.get()?),
        Ask::ReportEmissions { party, year, .. } => {
            let c = p.c;
            if c.party.role != Role::Verifier {
                c.authority()?;
            }
            let unit = c.model.party(party)?;
            if unit.role != Role::Compliance {
                return Err(Error::Role {
                    party: party.clone(),
                    role: unit.role.word(),
                    needs: "a unit with a duty to surrender",
                });
            }
            if let Ask::ReportEmissions { tonnes, .. } = ask {
                tonnes.get()?;
            }
            let deadline = c.law.deadline(&format!("surrender-deadline/{year}"))?;
            p.permitted_by(&deadline.rule);
            Ok(())
        }
        Ask::Surrender {
            asset,
            amount,
            year,
        } => surrender(p, asset, amount.get()?, *year),
        Ask::UseOffset {
            asset,
            amount,
            year,
        } => use_offset(p, asset, amount.get()?, *year),
        _ => Ok(()),
    }
}

fn issue(p: &mut Planner<'_>, programme: &str, vintage: u16, amount: u64) -> Result<(), Error> {
    let c = p.c;
    c.authority()?;
    let rule = c.yes("allowance-issue")?;
    p.permitted_by(&rule);
    let plain = programme.len() <= 20
        && !programme.is_empty()
        && programme.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain || !(2000..=2100).contains(&vintage) {
        return Err(Error::Malformed(
            "a programme is 1 to 20 letters and digits, a vintage a year of 2000 to 2100".into(),
        ));
    }
    let name = allowance_name(programme, vintage);
    if c.model.assets.contains_key(&name) {
        return Err(Error::Exists {
            kind: "asset",
            id: name,
        });
    }
    let asset = p.next_asset();
    p.plan.definitions.push(Op::DefineAsset(AssetDef {
        id: asset,
        class: ALLOWANCE,
        name: name.clone().into(),
        vintage,
        series: None,
        issue_cap: amount,
        usable_until: Time::MAX,
    }));
    p.plan.out.number = Some(u64::from(asset.0));
    let key = |party: &str, kind| AccountKey {
        party: party.into(),
        asset: name.clone(),
        kind,
        year: 0,
    };
    let contra = p.account_of_new(
        OPERATOR,
        key("operator", AccountKind::Contra),
        asset,
        Vec::new(),
    );
    let holding = p.account_of_new(
        c.party.number,
        key(&c.party.id, AccountKind::Holding),
        asset,
        Vec::new(),
    );
    let rule = p.rule(&rule, TransferKind::Issue);
    p.transfer(
        TransferKind::Issue,
        (contra, holding),
        amount,
        None,
        rule,
        &name,
    );
    Ok(())
}

fn allocate(p: &mut Planner<'_>, asset: &str, to: &str, amount: u64) -> Result<(), Error> {
    let c = p.c;
    c.authority()?;
    let rule = c.yes("allowance-allocate")?;
    p.permitted_by(&rule);
    let receiver = c.model.party(to)?;
    c.unfrozen(receiver)?;
    if receiver.role != Role::Compliance {
        return Err(Error::Role {
            party: to.into(),
            role: receiver.role.word(),
            needs: "a unit with a duty to surrender",
        });
    }
    if c.model.asset(asset)?.class != ALLOWANCE {
        return Err(Error::Unknown {
            kind: "allowance",
            id: asset.into(),
        });
    }
    let from = c.spend(c.party, asset, amount)?;
    // What is allocated widens the group's limit before it arrives.
    if let Some(limit) = c.group_limit_with(&receiver.group, None, amount)? {
        p.limit(
            format!("holding:{}", receiver.group),
            Measure::Balance,
            limit.value,
        );
    }
    let credit = p.holding(receiver, asset)?;
    let rule = p.rule(&rule, TransferKind::Allocate);
    p.transfer(
        TransferKind::Allocate,
        (from, credit),
        amount,
        None,
        rule,
        "",
    );
    Ok(())
}

fn surrender(p: &mut Planner<'_>, asset: &str, amount: u64, year: i16) -> Result<(), Error> {
    let c = p.c;
    c.needs(Role::Compliance, "a unit with a duty to surrender")?;
    let rule = c.yes("surrender")?;
    p.permitted_by(&rule);
    let deadline = c.law.deadline(&format!("surrender-deadline/{year}"))?;
    p.plan.out.also.push(super::rule_name(&deadline.rule));
    let known = c.model.asset(asset)?;
    if known.class != ALLOWANCE {
        return Err(Error::Unknown {
            kind: "allowance",
            id: asset.into(),
        });
    }
    if i32::from(known.vintage) > i32::from(year) {
        return Err(Error::Carbon(miyun_carbon::Error::Field {
            field: "asset",
            reason: format!("{asset} is of a later vintage than {year}: no borrowing"),
        }));
    }
    let from = c.spend(c.party, asset, amount)?;
    let to = p.account(c.party, asset, AccountKind::Surrendered, year, Vec::new())?;
    let rule = p.rule(&rule, TransferKind::Surrender);
    p.transfer(TransferKind::Surrender, (from, to), amount, None, rule, "");
    Ok(())
}

fn use_offset(p: &mut Planner<'_>, asset: &str, amount: u64, year: i16) -> Result<(), Error> {
    let c = p.c;
    c.needs(Role::Compliance, "a unit with a duty to surrender")?;
    let known = c.model.asset(asset)?;
    let Some((project, _)) = known.project.as_ref().filter(|_| known.class == CREDIT) else {
        return Err(Error::Unknown {
            kind: "credit",
            id: asset.into(),
        });
    };
    let outside = c.model.project(project)?.life.outside;
    let base = match offset::base_of(&c.law)? {
        CapBase::AllowancesIssued => c.model.allocated(&c.party.id, year),
        CapBase::Surrender => {
            miyun_carbon::compliance::verified_of(c.model.entries(&c.party.id), year).unwrap_or(0)
        }
    };
    let caps = offset::caps(&c.law, base)?;
    c.law.deadline(&format!("surrender-deadline/{year}"))?;
    p.permitted_by(&caps.rule);
    let used = c.model.offsets(&c.party.id, year);
    let more = if outside {
        Usable {
            local: 0,
            outside: amount,
        }
    } else {
        Usable {
            local: amount,
            outside: 0,
        }
    };
    caps.admit(
        Usable {
            local: used.local,
            outside: used.outside,
        },
        more,
    )?;
    let from = c.spend(c.party, asset, amount)?;
    // The ledger holds the same caps, so that nothing but a lawful sum can ever be posted.
    let who = format!("{}:{year}", c.party.id);
    let mut limits = vec![p.limit(format!("offset:{who}"), Measure::Credits, caps.total)];
    if let Some(cap) = caps.outside.filter(|_| outside) {
        limits.push(p.limit(format!("offset-outside:{who}"), Measure::Credits, cap));
    }
    let to = p.account(c.party, asset, AccountKind::Surrendered, year, limits)?;
    let rule = p.rule(&caps.rule, TransferKind::Surrender);
    p.transfer(TransferKind::Surrender, (from, to), amount, None, rule, "");
    Ok(())
}
