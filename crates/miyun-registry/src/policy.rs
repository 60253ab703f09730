//! Policies: what a request must fulfil, and which ledger operations carry it out. Every movement
//! names the dated rulebook row that permits it; where no row does, the request is refused.

mod carry;
mod comply;
mod credit;
mod party;
mod planner;
mod transfer;

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use miyun_carbon::{Law, LawError, Ruled};
use miyun_core::{Instrument, RuleRef};
use miyun_ledger::{AccountId, AccountKind, CommandId, Op, Range, State, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::model::{AccountKey, Model, OPERATOR, Party};
use crate::request::{Ask, Role};
use crate::time::Zone;

/// What a policy worked out and the fold needs: kept in the filing beside the request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Out {
    /// The rule that permits it.
    pub rule: String,
    /// Civil time of the registry.
    pub civil: DateTime,
    /// Number given to a party, an asset or a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Number given to a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u32>,
    /// Accounts opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<(u64, AccountKey)>,
    /// Until when a proposal may be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve_until: Option<i64>,
    /// From when it may be posted; the reservation is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<i64>,
    /// True if the units arrived at once.
    #[serde(default)]
    pub settled: bool,
    /// Tonnes that the policy worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    /// Tonnes to the buffer, or tonnes that lapse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<u64>,
    /// Further rules named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Definitions that must exist first.
    pub definitions: Vec<Op>,
    /// Movements, all or none.
    pub moves: Vec<Op>,
    /// What the fold needs.
    pub out: Out,
}

/// Days on which the office is closed or open against the weekday rule.
#[derive(Debug, Clone, Default)]
pub struct Holidays {
    /// Closed.
    pub closed: BTreeSet<Date>,
    /// Open.
    pub open: BTreeSet<Date>,
}

pub(crate) use comply::allowance_name;
pub(crate) use credit::credit_name;
pub(crate) use planner::{Planner, movement};

/// Who asks, when, and what holds.
pub(crate) struct Context<'a> {
    pub model: &'a Model,
    pub state: &'a State,
    pub instruments: &'a [Instrument],
    pub law: Law<'a>,
    pub zone: Zone,
    pub holidays: &'a Holidays,
    pub now: Time,
    pub by: &'a str,
    pub party: &'a Party,
}

/// The id of step `n` of request `id`: derived, so that a repetition has the same.
#[must_use]
pub fn step_id(id: u128, n: u32) -> CommandId {
    let mut hash = Sha256::new();
    hash.update(b"miyun registry step");
    hash.update(id.to_be_bytes());
    hash.update(n.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    CommandId(u128::from_be_bytes(bytes))
}

/// First number of the steps that are movements; filings and definitions count from elsewhere.
pub const MOVES_FROM: u32 = 1_000_000;
/// First number of the definitions.
pub const DEFINITIONS_FROM: u32 = 2_000_000;

/// How a rule is named in the ledger: instrument, table, clause, and whether it was verified.
#[must_use]
pub fn rule_name(r: &RuleRef) -> String {
    let mut name = format!("{}#{} {}", r.instrument, r.table, r.clause);
    if !r.verified {
        name.push_str(" (unverified)");
    }
    let mut cut = name.len().min(miyun_ledger::NAME_MAX);
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    name.truncate(cut);
    name
}

impl Context<'_> {
    /// A rule that must say yes.
    fn yes(&self, name: &str) -> Result<RuleRef, Error> {
        let r = self.law.yes(name)?;
        if r.value {
            return Ok(r.rule);
        }
        Err(LawError::Unusable {
            name: name.into(),
            rule: Box::new(r.rule),
            found: "no".into(),
            expected: "yes",
        }
        .into())
    }

    fn needs(&self, role: Role, needs: &'static str) -> Result<(), Error> {
        if self.party.role == role {
            return Ok(());
        }
        Err(Error::Role {
            party: self.party.id.clone(),
            role: self.party.role.word(),
            needs,
        })
    }

    fn authority(&self) -> Result<(), Error> {
        self.needs(Role::Authority, "the authority")
    }

    /// The account that a party would spend from, and that it holds enough.
    fn spend(&self, party: &Party, asset: &str, amount: u64) -> Result<AccountId, Error> {
        self.model.asset(asset)?;
        let key = AccountKey {
            party: party.id.clone(),
            asset: asset.to_owned(),
            kind: AccountKind::Holding,
            year: 0,
        };
        let account = self.model.accounts.get(&key).copied();
        let available = account
            .and_then(|a| self.state.account(a))
            .map_or(0, |a| a.counters.available());
        match account {
            Some(a) if available >= i128::from(amount) => Ok(a),
            _ => Err(Error::Insufficient {
                party: party.id.clone(),
                asset: asset.to_owned(),
                available,
                asked: amount,
                unit: "t",
            }),
        }
    }

    fn unfrozen(&self, party: &Party) -> Result<(), Error> {
        if party.frozen {
            return Err(Error::Frozen(party.id.clone()));
        }
        Ok(())
    }

    /// Number of serials must be the amount.
    fn serials(&self, serials: Option<[u64; 2]>, amount: u64) -> Result<(), Error> {
        match serials {
            None => Ok(()),
            Some([start, end]) if (Range { start, end }).len() == Some(amount) => Ok(()),
            Some(_) => Err(Error::Ledger(miyun_ledger::Refusal::SerialLength)),
        }
    }

    /// Lets the group of `to` hold `amount` more.
    fn holding_limit(
        &self,
        from: Option<&Party>,
        to: &Party,
        amount: u64,
    ) -> Result<Option<RuleRef>, Error> {
        let Some(limit) = self.group_limit(&to.group)? else {
            return Ok(None);
        };
        let id = self.model.limits.get(&format!("holding:{}", to.group));
        let held = id
            .and_then(|id| self.state.limit(*id))
            .and_then(|l| u64::try_from(l.used).ok())
            .unwrap_or(0);
        let more = if from.is_some_and(|f| f.group == to.group) {
            0
        } else {
            amount
        };
        let members = std::collections::BTreeMap::from([
            (
                "held".to_owned(),
                miyun_carbon::holding::Holding { held, exempt: 0 },
            ),
            (
                "arrives".to_owned(),
                miyun_carbon::holding::Holding {
                    held: more,
                    exempt: 0,
                },
            ),
        ]);
        if more > 0 {
            miyun_carbon::holding::admit(&to.group, &members, &limit)?;
        }
        Ok(Some(limit.rule))
    }

    /// The limit of a group: what its members were allocated and, once, the fixed amount of the
    /// market; `None` where the market has no limit.
    fn group_limit(&self, group: &str) -> Result<Option<Ruled<u64>>, Error> {
        self.group_limit_with(group, None, 0)
    }

    fn group_limit_with(
        &self,
        group: &str,
        joining: Option<Role>,
        more: u64,
    ) -> Result<Option<Ruled<u64>>, Error> {
        use miyun_carbon::holding::{HolderClass, of_holder};
        let members: Vec<&Party> = self.model.parties().filter(|p| p.group == group).collect();
        let class = if members.iter().any(|p| p.role == Role::Compliance)
            || joining == Some(Role::Compliance)
        {
            HolderClass::Compliance
        } else {
            HolderClass::Institution
        };
        if members.iter().any(|p| p.role == Role::Authority) {
            return Ok(None);
        }
        let own = members
            .iter()
            .flat_map(|p| {
                self.model
                    .allocated
                    .iter()
                    .filter(move |((party, _), _)| *party == p.id)
                    .map(|(_, t)| *t)
            })
            .try_fold(more, u64::checked_add)
            .ok_or(Error::Ledger(miyun_ledger::Refusal::AmountOverflow))?;
        match of_holder(&self.law, class, own) {
            Ok(l) => Ok(Some(l)),
            Err(miyun_carbon::Error::Law(LawError::None { .. })) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// Works out what a request does.
///
/// # Errors
/// The refusal, before anything is touched.
pub(crate) fn plan(c: &Context<'_>, ask: &Ask) -> Result<Plan, Error> {
    if c.party.number != OPERATOR && !matches!(ask, Ask::Settle { .. }) {
        c.unfrozen(c.party)?;
    }
    let mut p = Planner::new(c);
    match ask {
        Ask::Found { .. } => {
            return Err(Error::Exists {
                kind: "registry",
                id: c.model.market.clone(),
            });
        }
        Ask::RegisterParty { .. }
        | Ask::AddRepresentative { .. }
        | Ask::RemoveRepresentative { .. }
        | Ask::Trust { .. }
        | Ask::Freeze { .. }
        | Ask::Correct { .. } => party::plan(&mut p, ask)?,
        Ask::Transfer { .. }
        | Ask::Approve { .. }
        | Ask::Withdraw { .. }
        | Ask::Settle { .. }
        | Ask::Retire { .. }
        | Ask::Cancel { .. } => transfer::plan(&mut p, ask)?,
        Ask::IssueAllowances { .. }
        | Ask::Allocate { .. }
        | Ask::ReportEmissions { .. }
        | Ask::Surrender { .. }
        | Ask::UseOffset { .. } => comply::plan(&mut p, ask)?,
        Ask::CarryOver { asset, into } => carry::plan(&mut p, asset, into)?,
        Ask::ProposeProject { .. }
        | Ask::ValidateProject { .. }
        | Ask::RegisterProject { .. }
        | Ask::Monitor { .. }
        | Ask::Verify { .. }
        | Ask::IssueCredits { .. }
        | Ask::ReverseProject { .. }
        | Ask::Adjust { .. }
        | Ask::Export { .. } => credit::plan(&mut p, ask)?,
    }
    Ok(p.plan)
}
