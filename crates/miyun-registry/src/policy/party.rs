//! Parties, representatives, trust, freezing, corrections.

use miyun_ledger::{Measure, Op};

use super::Planner;
use crate::Error;
use crate::request::{Ask, Role, number, public_key};

/// Longest id of a party or representative in bytes: names of limits hold them.
const ID_MAX: usize = 80;

fn id(text: &str) -> Result<(), Error> {
    let plain =
        miyun_core::SubjectId::new(text).is_ok() && !text.contains([':', '/', '?', '#', '%']);
    if plain && text.len() <= ID_MAX {
        return Ok(());
    }
    Err(Error::Malformed(format!(
        "id {:?} has at most {ID_MAX} bytes without spaces, quotes or any of : / ? # %",
        text.chars().take(80).collect::<String>()
    )))
}

fn name(text: &miyun_core::Text) -> Result<(), Error> {
    let long =
        |t: &str| t.trim().is_empty() || t.chars().count() > 200 || t.chars().any(char::is_control);
    if long(&text.zh) || long(&text.en) {
        return Err(Error::Malformed(
            "a name has 1 to 200 characters in each language".into(),
        ));
    }
    Ok(())
}

pub(super) fn plan(p: &mut Planner<'_>, ask: &Ask) -> Result<(), Error> {
    let c = p.c;
    match ask {
        Ask::RegisterParty {
            party,
            role,
            name: title,
            group,
            sector,
        } => {
            c.authority()?;
            id(party)?;
            name(title)?;
            let group = group.as_ref().unwrap_or(party);
            id(group)?;
            if let Some(s) = sector {
                id(s)?;
            }
            if c.model.parties.contains_key(party) {
                return Err(Error::Exists {
                    kind: "party",
                    id: party.clone(),
                });
            }
            if *role == Role::Authority || *group == c.model.authority {
                return Err(Error::Role {
                    party: party.clone(),
                    role: role.word(),
                    needs: "another role: a registry has one authority",
                });
            }
            if let Some(limit) = c.group_limit_with(group, Some(*role), 0)? {
                p.permitted_by(&limit.rule);
                p.limit(format!("holding:{group}"), Measure::Balance, limit.value);
            }
            p.plan.out.number = Some(p.next_party().0);
        }
        Ask::AddRepresentative {
            party,
            representative,
            key,
        } => {
            c.authority()?;
            id(representative)?;
            public_key(key)?;
            let known = c.model.party(party)?;
            if known.representatives.contains_key(representative) {
                return Err(Error::Exists {
                    kind: "representative",
                    id: representative.clone(),
                });
            }
            // One key under two names would approve itself.
            if known
                .representatives
                .values()
                .any(|r| r.key.eq_ignore_ascii_case(key))
            {
                return Err(Error::Exists {
                    kind: "key",
                    id: key.clone(),
                });
            }
        }
        Ask::RemoveRepresentative {
            party,
            representative,
        } => {
            c.authority()?;
            c.model.key(party, representative, c.now)?;
        }
        Ask::Trust { party } => {
            c.model.party(party)?;
            let delay = miyun_carbon::calendar::delay(
                &c.law,
                &c.holidays.closed,
                &c.holidays.open,
                c.zone.civil(c.now),
            )?;
            p.permitted_by(&delay.rule);
            p.plan.out.effective = Some(c.zone.instant(delay.value.effective).0);
        }
        Ask::Freeze { party, frozen, .. } => {
            c.authority()?;
            let known = c.model.party(party)?;
            if known.role == Role::Authority {
                return Err(Error::Role {
                    party: party.clone(),
                    role: known.role.word(),
                    needs: "another role: the authority cannot freeze itself",
                });
            }
            for (key, account) in c.model.accounts_of(party) {
                if !key.kind.is_terminal() {
                    p.plan.definitions.push(Op::SetFrozen {
                        account,
                        frozen: *frozen,
                    });
                }
            }
        }
        Ask::Correct { request, reason } => {
            c.authority()?;
            number(request)?;
            let rule = c.yes("correction")?;
            p.permitted_by(&rule);
            let settled = c.model.transfers.get(request).and_then(|t| t.posted);
            let allocated = c
                .model
                .lines
                .iter()
                .find(|l| l.posted && l.request == *request && l.what == "allocate")
                .map(|l| l.id);
            let original = settled.or(allocated).ok_or_else(|| Error::Unknown {
                kind: "posted transfer or allocation of request",
                id: request.clone(),
            })?;
            let rule = p.rule(&rule, miyun_ledger::TransferKind::Reverse);
            p.plan.moves.push(Op::Reverse {
                original,
                amount: None,
                range: None,
                rule,
                memo: reason.chars().take(200).collect::<String>().into(),
            });
        }
        _ => {}
    }
    Ok(())
}
