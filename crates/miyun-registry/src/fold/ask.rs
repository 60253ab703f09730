//! What each request changes in the model.

use std::collections::BTreeMap;

use miyun_carbon::compliance::EntryKind;
use miyun_carbon::project::{Project, Stage};
use miyun_core::Period;
use miyun_ledger::{AssetId, PartyId, Receipt, SeriesId, Step as Part, Time};

use super::At;
use crate::Error;
use crate::model::{
    ALLOWANCE, Asset, CREDIT, Model, OPERATOR, OwnedProject, Party, Representative, Retired, Step,
    Transfer, TransferState,
};
use crate::policy::Out;
use crate::request::{Ask, Request, Role};

impl Model {
    fn settle(&mut self, id: &str, moves: &[Part]) {
        if let Some(t) = self.transfers.get_mut(id) {
            t.state = TransferState::Settled;
            t.posted = moves.first().map(|m| m.id);
            let amount = i64::try_from(t.amount).unwrap_or(i64::MAX);
            let (from, to) = (
                (t.from.clone(), t.asset.clone()),
                (t.to.clone(), t.asset.clone()),
            );
            let sold = self.net_sold.entry(from).or_default();
            *sold = sold.saturating_add(amount);
            let bought = self.net_sold.entry(to).or_default();
            *bought = bought.saturating_sub(amount);
        }
    }

    fn new_asset(
        &mut self,
        name: &str,
        class: miyun_ledger::ClassId,
        vintage: u16,
        project: Option<(String, u32)>,
        out: &Out,
    ) {
        let Some(number) = out.number.and_then(|n| u32::try_from(n).ok()) else {
            return;
        };
        let number = AssetId(number);
        self.assets.insert(
            name.to_owned(),
            Asset {
                name: name.to_owned(),
                number,
                class,
                vintage,
                project,
                series: out.series.map(SeriesId),
            },
        );
        self.asset_names.insert(number, name.to_owned());
    }

    fn note(&mut self, project: &str, at: &At<'_>, what: &str, detail: String) {
        if let Some(p) = self.projects.get_mut(project) {
            p.history.push(Step {
                record: at.record,
                at: at.now,
                by: at.by.to_owned(),
                what: what.to_owned(),
                detail,
            });
        }
    }

    fn life(&mut self, project: &str) -> Result<&mut Project, Error> {
        self.projects
            .get_mut(project)
            .map(|p| &mut p.life)
            .ok_or_else(|| Error::Unknown {
                kind: "project",
                id: project.into(),
            })
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each request")]
    pub(super) fn ask(
        &mut self,
        at: &At<'_>,
        request: &Request,
        out: &Out,
        moves: &[Part],
        receipt: &Receipt,
    ) -> Result<(), Error> {
        let (party, representative) = at.by.rsplit_once(':').unwrap_or((at.by, ""));
        match &request.ask {
            Ask::Found {
                market,
                authority,
                name,
                representative,
                key,
                simulated,
            } => {
                self.market.clone_from(market);
                self.authority.clone_from(authority);
                self.simulated = *simulated;
                self.add_party(
                    authority,
                    OPERATOR,
                    Role::Authority,
                    name.clone(),
                    authority.clone(),
                    None,
                );
                self.add_key(authority, representative, key, at.now);
            }
            Ask::RegisterParty {
                party,
                role,
                name,
                group,
                sector,
            } => {
                let group = group.clone().unwrap_or_else(|| party.clone());
                let number = PartyId(out.number.unwrap_or(0));
                self.next.party = self.next.party.max(number.0 + 1);
                self.add_party(party, number, *role, name.clone(), group, sector.clone());
            }
            Ask::AddRepresentative {
                party,
                representative,
                key,
            } => self.add_key(party, representative, key, at.now),
            Ask::RemoveRepresentative {
                party,
                representative,
            } => {
                if let Some(r) = self
                    .parties
                    .get_mut(party)
                    .and_then(|p| p.representatives.get_mut(representative))
                {
                    r.until = Some(at.now);
                }
            }
            Ask::Trust { party: other } => {
                if let Some(p) = self.parties.get_mut(party) {
                    p.trusted
                        .insert(other.clone(), Time(out.effective.unwrap_or(i64::MAX)));
                }
            }
            Ask::IssueAllowances {
                programme, vintage, ..
            } => {
                let name = crate::policy::allowance_name(programme, *vintage);
                self.new_asset(&name, ALLOWANCE, *vintage, None, out);
            }
            Ask::Allocate { asset, to, amount } => {
                let year = self
                    .assets
                    .get(asset)
                    .map_or(0, |a| i16::try_from(a.vintage).unwrap_or(0));
                let sum = self.allocated.entry((to.clone(), year)).or_default();
                *sum = sum.saturating_add(amount.get()?);
            }
            Ask::Transfer {
                asset,
                to,
                amount,
                serials,
            } => {
                let Some(reserve) = moves.first() else {
                    return Ok(());
                };
                self.transfers.insert(
                    request.id.clone(),
                    Transfer {
                        id: request.id.clone(),
                        from: party.to_owned(),
                        to: to.clone(),
                        asset: asset.clone(),
                        amount: amount.get()?,
                        serials: *serials,
                        proposed_by: at.by.to_owned(),
                        proposed_at: at.now,
                        approve_until: Time(out.approve_until.unwrap_or(i64::MAX)),
                        approved_by: None,
                        effective: None,
                        state: TransferState::Proposed,
                        pending: reserve.id,
                        posted: None,
                        rule: out.rule.clone(),
                    },
                );
            }
            Ask::Approve { transfer } => {
                if let Some(t) = self.transfers.get_mut(transfer) {
                    t.approved_by = Some(at.by.to_owned());
                    t.effective = out.effective.map(Time);
                    if !out.settled
                        && let Some(reserve) = moves.last()
                    {
                        t.state = TransferState::Approved;
                        t.pending = reserve.id;
                    }
                }
                if out.settled {
                    self.settle(transfer, moves);
                }
            }
            Ask::Withdraw { transfer } => {
                if let Some(t) = self.transfers.get_mut(transfer) {
                    t.state = TransferState::Withdrawn;
                }
            }
            Ask::Settle { transfer } => self.settle(transfer, moves),
            Ask::ProposeProject {
                project,
                name,
                methodology,
                started,
                outside,
                reversible,
            } => {
                self.projects.insert(
                    project.clone(),
                    OwnedProject {
                        owner: party.to_owned(),
                        name: name.clone(),
                        life: Project {
                            id: project.clone(),
                            methodology: methodology.clone(),
                            started: *started,
                            outside: *outside,
                            reversible: *reversible,
                            stage: Stage::Proposed,
                            validator: None,
                            monitoring: Vec::new(),
                        },
                        series: None,
                        history: Vec::new(),
                    },
                );
                self.note(project, at, "propose", methodology.clone());
            }
            Ask::ValidateProject { project } => {
                self.life(project)?.validate(party)?;
                self.note(project, at, "validate", String::new());
            }
            Ask::RegisterProject { project } => {
                self.life(project)?.register()?;
                self.note(project, at, "register", String::new());
            }
            Ask::Monitor {
                project,
                from,
                until,
            } => {
                let n = self.life(project)?.monitor(Period::days(*from, *until))?;
                self.note(project, at, "monitor", format!("P{n} {from}..{until}"));
            }
            Ask::Verify {
                project,
                period,
                tonnes,
            } => {
                let t = tonnes.get()?;
                self.life(project)?.verify(*period as usize, party, t)?;
                self.note(project, at, "verify", format!("P{period} {t} t"));
            }
            Ask::IssueCredits {
                project,
                period,
                tonnes,
            } => {
                let t = tonnes.get()?;
                let life = self.life(project)?;
                let mut year = 0;
                if let Some(m) = life.monitoring.get_mut(*period as usize) {
                    m.issued = m.issued.saturating_add(t);
                    year = m
                        .period
                        .until
                        .map_or(0, |d| u16::try_from(d.year()).unwrap_or(0));
                }
                if let Some(p) = self.projects.get_mut(project) {
                    p.series = p.series.or(out.series.map(SeriesId));
                }
                let name = crate::policy::credit_name(project, *period);
                self.new_asset(&name, CREDIT, year, Some((project.clone(), *period)), out);
                let first = receipt.moved.first().map_or(String::new(), |m| {
                    format!(" {}-{}", m.range.start, m.range.end)
                });
                self.note(
                    project,
                    at,
                    "issue",
                    format!("{name} {t} t{first}, buffer {} t", out.rest.unwrap_or(0)),
                );
            }
            Ask::ReverseProject {
                asset,
                tonnes,
                reason,
            } => self.note_asset(asset, at, "reversal", format!("{} t: {reason}", tonnes.0)),
            Ask::Adjust {
                asset,
                first,
                last,
                to,
            } => self.note_asset(asset, at, "adjust", format!("{first}-{last} {to}")),
            Ask::Export {
                asset,
                amount,
                registry,
                ..
            } => self.note_asset(asset, at, "export", format!("{} t to {registry}", amount.0)),
            Ask::ReportEmissions {
                party,
                year,
                tonnes,
            } => self.entry(party, out.civil, *year, EntryKind::Verified(tonnes.get()?)),
            Ask::Surrender { amount, year, .. } => {
                self.entry(
                    party,
                    out.civil,
                    *year,
                    EntryKind::Surrendered(amount.get()?),
                );
            }
            Ask::UseOffset {
                asset,
                amount,
                year,
            } => {
                let t = amount.get()?;
                self.entry(party, out.civil, *year, EntryKind::Surrendered(t));
                let outside = self
                    .assets
                    .get(asset)
                    .and_then(|a| a.project.as_ref())
                    .and_then(|(p, _)| self.projects.get(p))
                    .is_some_and(|p| p.life.outside);
                let used = self.offsets.entry((party.to_owned(), *year)).or_default();
                let side = if outside {
                    &mut used.outside
                } else {
                    &mut used.local
                };
                *side = side.saturating_add(t);
                self.note_asset(asset, at, "offset", format!("{t} t by {party} for {year}"));
            }
            Ask::CarryOver { .. } | Ask::Correct { .. } => {}
            Ask::Retire {
                asset,
                amount,
                retirement,
                ..
            } => {
                let serials = receipt
                    .moved
                    .iter()
                    .map(|m| [m.range.start, m.range.end])
                    .collect();
                let t = amount.get()?;
                self.retired.insert(
                    request.id.clone(),
                    Retired {
                        id: request.id.clone(),
                        record: at.record,
                        at: at.now,
                        party: party.to_owned(),
                        asset: asset.clone(),
                        amount: t,
                        serials,
                        retirement: retirement.clone(),
                        rule: out.rule.clone(),
                    },
                );
                self.note_asset(
                    asset,
                    at,
                    "retire",
                    format!("{t} t for {}", retirement.beneficiary),
                );
            }
            Ask::Cancel {
                asset,
                amount,
                reason,
                ..
            } => {
                self.note_asset(asset, at, "cancel", format!("{} t: {reason}", amount.0));
            }
            Ask::Freeze { party, frozen, .. } => {
                if let Some(p) = self.parties.get_mut(party) {
                    p.frozen = *frozen;
                }
            }
        }
        let _ = representative;
        Ok(())
    }

    fn note_asset(&mut self, asset: &str, at: &At<'_>, what: &str, detail: String) {
        if let Some((project, _)) = self.assets.get(asset).and_then(|a| a.project.clone()) {
            self.note(&project, at, what, format!("{asset} {detail}"));
        }
    }

    fn add_party(
        &mut self,
        id: &str,
        number: PartyId,
        role: Role,
        name: miyun_core::Text,
        group: String,
        sector: Option<String>,
    ) {
        self.party_names.insert(number, id.to_owned());
        self.parties.insert(
            id.to_owned(),
            Party {
                id: id.to_owned(),
                number,
                role,
                name,
                group,
                sector,
                representatives: BTreeMap::new(),
                trusted: BTreeMap::new(),
                frozen: false,
            },
        );
    }

    fn add_key(&mut self, party: &str, representative: &str, key: &str, from: Time) {
        if let Some(p) = self.parties.get_mut(party) {
            p.representatives.insert(
                representative.to_owned(),
                Representative {
                    key: key.to_ascii_lowercase(),
                    from,
                    until: None,
                },
            );
        }
    }
}
