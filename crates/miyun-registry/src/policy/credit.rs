//! Credit projects: from proposal to issuance, buffer, reversal, adjustment, export.

use miyun_carbon::adjust;
use miyun_carbon::project::Project;
use miyun_core::Period;
use miyun_ledger::{AccountKind, Adjustment, AssetDef, Op, Range, SeriesDef, Time, TransferKind};

use super::Planner;
use crate::Error;
use crate::model::{AccountKey, CREDIT, OPERATOR, OwnedProject};
use crate::request::{Ask, Role};

/// The credits of a project's monitoring period.
#[must_use]
pub(crate) fn credit_name(project: &str, period: u32) -> String {
    format!("{project}-P{period}")
}

fn owner<'m>(p: &Planner<'m>, project: &str) -> Result<&'m OwnedProject, Error> {
    let owned = p.c.model.project(project)?;
    if owned.owner != p.c.party.id {
        return Err(Error::Role {
            party: p.c.party.id.clone(),
            role: p.c.party.role.word(),
            needs: "the owner of the project",
        });
    }
    Ok(owned)
}

pub(super) fn plan(p: &mut Planner<'_>, ask: &Ask) -> Result<(), Error> {
    let c = p.c;
    match ask {
        Ask::ProposeProject {
            project,
            methodology,
            started,
            outside,
            reversible,
            ..
        } => {
            let plain = !project.is_empty()
                && project.len() <= 40
                && project
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !plain {
                return Err(Error::Malformed(
                    "a project id is 1 to 40 letters, digits and dashes".into(),
                ));
            }
            if c.model.projects.contains_key(project) {
                return Err(Error::Exists {
                    kind: "project",
                    id: project.clone(),
                });
            }
            let (_, rule) = Project::propose(
                &c.law,
                project,
                methodology,
                *started,
                *outside,
                *reversible,
            )?;
            p.permitted_by(&rule);
        }
        Ask::ValidateProject { project } => {
            c.needs(Role::Verifier, "a validator")?;
            c.model
                .project(project)?
                .life
                .clone()
                .validate(&c.party.id)?;
        }
        Ask::RegisterProject { project } => {
            c.authority()?;
            c.model.project(project)?.life.clone().register()?;
        }
        Ask::Monitor {
            project,
            from,
            until,
        } => {
            owner(p, project)?
                .life
                .clone()
                .monitor(Period::days(*from, *until))?;
        }
        Ask::Verify {
            project,
            period,
            tonnes,
        } => {
            c.needs(Role::Verifier, "a verifier")?;
            let mut life = c.model.project(project)?.life.clone();
            life.verify(*period as usize, &c.party.id, tonnes.get()?)?;
        }
        Ask::IssueCredits {
            project,
            period,
            tonnes,
        } => issue(p, project, *period, tonnes.get()?)?,
        Ask::ReverseProject {
            asset,
            tonnes,
            reason,
        } => reverse(p, asset, tonnes.get()?, reason)?,
        Ask::Adjust {
            asset,
            first,
            last,
            to,
        } => {
            c.authority()?;
            let gate = c.law.text("export-needs")?.rule;
            p.permitted_by(&gate);
            let series = c.model.asset(asset)?.series.ok_or_else(|| Error::Unknown {
                kind: "credit",
                id: asset.clone(),
            })?;
            let range = Range {
                start: *first,
                end: *last,
            };
            let to = adjustable(p, asset, series, range, to)?;
            let rule = p.rule(&gate, TransferKind::Export);
            p.plan.definitions.push(Op::SetAdjustment {
                series,
                range,
                to,
                rule,
            });
        }
        Ask::Export {
            asset,
            amount,
            serials,
            registry,
        } => export(p, asset, amount.get()?, *serials, registry)?,
        _ => {}
    }
    Ok(())
}

/// The next state of a range, after checking what the ledger will ask: units of this asset, held
/// by one account, free, and all in the state before.
fn adjustable(
    p: &Planner<'_>,
    asset: &str,
    series: miyun_ledger::SeriesId,
    range: Range,
    to: &str,
) -> Result<Adjustment, Error> {
    let number = p.c.model.asset(asset)?.number;
    let blocks: Vec<_> =
        p.c.state
            .blocks(series)
            .filter(|b| b.range.start <= range.end && range.start <= b.range.end)
            .collect();
    let covered: u64 = blocks
        .iter()
        .filter_map(|b| {
            Range {
                start: b.range.start.max(range.start),
                end: b.range.end.min(range.end),
            }
            .len()
        })
        .sum();
    let one = blocks.windows(2).all(|w| w[0].account == w[1].account);
    if range.len() != Some(covered) || !one || blocks.iter().any(|b| b.asset != number) {
        return Err(Error::Ledger(miyun_ledger::Refusal::BlockNotOwned));
    }
    if blocks.iter().any(|b| b.locked.is_some()) {
        return Err(Error::Ledger(miyun_ledger::Refusal::BlockLocked));
    }
    for b in &blocks {
        let state = carbon(b.adjustment);
        match to {
            "authorised" => state.authorise()?,
            "applied" => state.apply()?,
            other => {
                return Err(Error::Malformed(format!(
                    "unknown adjustment {other:?}: authorised or applied"
                )));
            }
        };
    }
    Ok(if to == "applied" {
        Adjustment::Applied
    } else {
        Adjustment::Authorised
    })
}

fn carbon(a: Adjustment) -> adjust::Adjustment {
    match a {
        Adjustment::None => adjust::Adjustment::None,
        Adjustment::Authorised => adjust::Adjustment::Authorised,
        Adjustment::Applied => adjust::Adjustment::Applied,
    }
}

fn issue(p: &mut Planner<'_>, project: &str, period: u32, tonnes: u64) -> Result<(), Error> {
    let c = p.c;
    c.authority()?;
    let rule = c.yes("credit-issue")?;
    p.permitted_by(&rule);
    let owned = c.model.project(project)?;
    let owner = c.model.party(&owned.owner)?;
    let mut life = owned.life.clone();
    let split = life.issue(&c.law, period as usize, tonnes)?;
    let name = credit_name(project, period);
    let verified = life
        .monitoring
        .get(period as usize)
        .and_then(|m| m.verified.as_ref())
        .map_or(0, |v| v.tonnes);
    let key = |party: &str, kind| AccountKey {
        party: party.into(),
        asset: name.clone(),
        kind,
        year: 0,
    };
    let series = match owned.series {
        Some(s) => s,
        None => {
            let s = p.next_series();
            p.plan.definitions.push(Op::DefineSeries(SeriesDef {
                id: s,
                prefix: project.into(),
            }));
            s
        }
    };
    p.plan.out.series = Some(series.0);
    let (contra, holding) = if let Some(known) = c.model.assets.get(&name) {
        let contra = p.account(&operator(), &known.name, AccountKind::Contra, 0, Vec::new())?;
        (contra, p.holding(owner, &name)?)
    } else {
        let asset = p.next_asset();
        let year = owned
            .life
            .monitoring
            .get(period as usize)
            .and_then(|m| m.period.until)
            .map_or(0, |d| u16::try_from(d.year()).unwrap_or(0));
        p.plan.definitions.push(Op::DefineAsset(AssetDef {
            id: asset,
            class: CREDIT,
            name: name.clone().into(),
            vintage: year,
            series: Some(series),
            // The ledger itself refuses more than was verified: a retry can never mint.
            issue_cap: verified,
            usable_until: Time::MAX,
        }));
        p.plan.out.number = Some(u64::from(asset.0));
        let contra = p.account_of_new(
            OPERATOR,
            key("operator", AccountKind::Contra),
            asset,
            Vec::new(),
        );
        let limits = p.holding_limits(owner);
        let holding = p.account_of_new(
            owner.number,
            key(&owner.id, AccountKind::Holding),
            asset,
            limits,
        );
        if split.buffer > 0 {
            p.account_of_new(
                OPERATOR,
                key("operator", AccountKind::Buffer),
                asset,
                Vec::new(),
            );
        }
        (contra, holding)
    };
    let rule_id = p.rule(&rule, TransferKind::Issue);
    p.transfer(
        TransferKind::Issue,
        (contra, holding),
        tonnes,
        None,
        rule_id,
        &name,
    );
    p.plan.out.amount = Some(split.owner);
    p.plan.out.rest = Some(split.buffer);
    if let Some(r) = &split.buffer_rule
        && split.buffer > 0
    {
        let buffer = p.buffer(&name)?;
        let rule = p.rule(r, TransferKind::BufferIn);
        p.plan.out.also.push(super::rule_name(r));
        p.transfer(
            TransferKind::BufferIn,
            (holding, buffer),
            split.buffer,
            None,
            rule,
            "",
        );
    }
    Ok(())
}

/// The operator as a party, for accounts that it holds.
fn operator() -> crate::model::Party {
    crate::model::Party {
        id: "operator".into(),
        number: OPERATOR,
        role: Role::Authority,
        name: miyun_core::Text::new("登记机构", "operator"),
        group: "operator".into(),
        sector: None,
        representatives: std::collections::BTreeMap::new(),
        trusted: std::collections::BTreeMap::new(),
        frozen: false,
    }
}

impl Planner<'_> {
    /// The buffer of an asset, opened in this plan or before.
    fn buffer(&mut self, asset: &str) -> Result<miyun_ledger::AccountId, Error> {
        let opened = self
            .plan
            .out
            .accounts
            .iter()
            .find(|(_, k)| k.kind == AccountKind::Buffer && k.asset == asset)
            .map(|(id, _)| miyun_ledger::AccountId(*id));
        match opened {
            Some(id) => Ok(id),
            None => self.account(&operator(), asset, AccountKind::Buffer, 0, Vec::new()),
        }
    }
}

fn reverse(p: &mut Planner<'_>, asset: &str, tonnes: u64, reason: &str) -> Result<(), Error> {
    let c = p.c;
    c.authority()?;
    let rule = c.yes("buffer-reversal")?;
    p.permitted_by(&rule);
    c.model.asset(asset)?;
    let buffer = p.buffer(asset)?;
    let available = c
        .state
        .account(buffer)
        .map_or(0, |a| a.counters.available());
    if available < i128::from(tonnes) {
        return Err(Error::Insufficient {
            party: "buffer".into(),
            asset: asset.into(),
            available,
            asked: tonnes,
            unit: "t",
        });
    }
    let to = p.account(&operator(), asset, AccountKind::Cancelled, 0, Vec::new())?;
    let rule = p.rule(&rule, TransferKind::Cancel);
    p.transfer(
        TransferKind::Cancel,
        (buffer, to),
        tonnes,
        None,
        rule,
        reason,
    );
    Ok(())
}

fn export(
    p: &mut Planner<'_>,
    asset: &str,
    amount: u64,
    serials: Option<[u64; 2]>,
    registry: &str,
) -> Result<(), Error> {
    let c = p.c;
    c.serials(serials, amount)?;
    let from = c.spend(c.party, asset, amount)?;
    // Which units would leave: those named, or the newest of the account, as the ledger takes them.
    let mut left = amount;
    let mut blocks: Vec<miyun_ledger::Block> = c
        .state
        .blocks_of(from)
        .filter(|b| b.locked.is_none())
        .collect();
    blocks.reverse();
    for b in &blocks {
        let named = serials.map_or(left > 0, |[s, e]| b.range.start <= e && s <= b.range.end);
        if named {
            adjust::export(&c.law, carbon(b.adjustment))?;
            left = left.saturating_sub(b.range.len().unwrap_or(0));
        }
    }
    let rule = adjust::export(&c.law, adjust::Adjustment::Applied)?;
    p.permitted_by(&rule);
    let to = p.account(c.party, asset, AccountKind::Exported, 0, Vec::new())?;
    let rule = p.rule(&rule, TransferKind::Export);
    p.transfer(
        TransferKind::Export,
        (from, to),
        amount,
        serials,
        rule,
        registry,
    );
    Ok(())
}
