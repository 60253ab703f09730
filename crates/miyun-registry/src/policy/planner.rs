//! A plan under construction.

use miyun_core::RuleRef;
use miyun_ledger::{
    AccountDef, AccountId, AccountKind, LimitDef, LimitId, Measure, Op, Range, RuleDef, RuleId,
    Time, Transfer, TransferKind, TransferKinds, Window,
};

use super::{Context, Plan, rule_name};
use crate::Error;
use crate::model::{AccountKey, Party};
use miyun_core::Date;

/// A plan under construction: gives out numbers, opens accounts and registers rules as needed.
pub(crate) struct Planner<'a> {
    pub c: &'a Context<'a>,
    next: crate::model::Next,
    rules: Vec<(String, RuleId)>,
    pub plan: Plan,
}

impl<'a> Planner<'a> {
    pub fn new(c: &'a Context<'a>) -> Self {
        let mut plan = Plan::default();
        plan.out.civil = c.zone.civil(c.now);
        Self {
            c,
            next: c.model.next,
            rules: Vec::new(),
            plan,
        }
    }

    /// Names the rule that permits the request.
    pub fn permitted_by(&mut self, rule: &RuleRef) {
        self.plan.out.rule = rule_name(rule);
    }

    /// The ledger's number for a rulebook row and a kind of movement.
    pub fn rule(&mut self, rule: &RuleRef, kind: TransferKind) -> RuleId {
        let name = rule_name(rule);
        let key = format!("{name}|{kind}");
        if let Some(id) = self.c.model.rules.get(&key).copied().or_else(|| {
            self.rules
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, id)| *id)
        }) {
            return id;
        }
        let id = RuleId(self.next.rule);
        self.next.rule += 1;
        let force = self
            .c
            .instruments
            .iter()
            .find(|i| i.id == rule.instrument)
            .map(|i| i.in_force)
            .unwrap_or_default();
        let midnight = |d: Date| self.c.zone.instant(d.at(0, 0, 0, 0));
        self.plan.definitions.push(Op::DefineRule(RuleDef {
            id,
            name: name.into(),
            kinds: TransferKinds::of(&[kind]),
            window: Window {
                from: force.from.map_or(Time::MIN, midnight),
                until: force
                    .until
                    .and_then(|u| u.tomorrow().ok())
                    .map_or(Time::MAX, midnight),
            },
            yields: None,
        }));
        self.rules.push((key, id));
        id
    }

    /// The account of a party, opened if it does not exist.
    pub fn account(
        &mut self,
        party: &Party,
        asset: &str,
        kind: AccountKind,
        year: i16,
        limits: Vec<LimitId>,
    ) -> Result<AccountId, Error> {
        let key = AccountKey {
            party: party.id.clone(),
            asset: asset.to_owned(),
            kind,
            year,
        };
        if let Some(id) = self.c.model.accounts.get(&key).copied().or_else(|| {
            self.plan
                .out
                .accounts
                .iter()
                .find(|(_, k)| *k == key)
                .map(|(id, _)| AccountId(*id))
        }) {
            return Ok(id);
        }
        let asset = self.c.model.asset(asset)?;
        let id = AccountId(self.next.account);
        self.next.account += 1;
        self.plan.definitions.push(Op::OpenAccount(AccountDef {
            id,
            holder: party.number,
            asset: asset.number,
            kind,
            limits,
        }));
        self.plan.out.accounts.push((id.0, key));
        Ok(id)
    }

    /// As [`Self::account`], for an asset that the same plan defines.
    pub fn account_of_new(
        &mut self,
        number: miyun_ledger::PartyId,
        key: AccountKey,
        asset: miyun_ledger::AssetId,
        limits: Vec<LimitId>,
    ) -> AccountId {
        let id = AccountId(self.next.account);
        self.next.account += 1;
        self.plan.definitions.push(Op::OpenAccount(AccountDef {
            id,
            holder: number,
            asset,
            kind: key.kind,
            limits,
        }));
        self.plan.out.accounts.push((id.0, key));
        id
    }

    /// The holding account of a party, which counts towards its group's limit.
    pub fn holding(&mut self, party: &Party, asset: &str) -> Result<AccountId, Error> {
        let limits = self.holding_limits(party);
        self.account(party, asset, AccountKind::Holding, 0, limits)
    }

    /// The limits that a party's holdings count towards.
    pub fn holding_limits(&self, party: &Party) -> Vec<LimitId> {
        self.c
            .model
            .limits
            .get(&format!("holding:{}", party.group))
            .copied()
            .into_iter()
            .collect()
    }

    /// Defines a limit, or sets its cap if it exists with another.
    pub fn limit(&mut self, name: String, measure: Measure, cap: u64) -> LimitId {
        if let Some(id) = self.c.model.limits.get(&name).copied() {
            if self.c.state.limit(id).is_some_and(|l| l.def.cap != cap) {
                self.plan.definitions.push(Op::SetLimit {
                    limit: id,
                    cap,
                    window: Window::ALWAYS,
                });
            }
            return id;
        }
        let id = LimitId(self.next.limit);
        self.next.limit += 1;
        self.plan.definitions.push(Op::DefineLimit(LimitDef {
            id,
            name: name.into(),
            measure,
            unit: "t".into(),
            cap,
            window: Window::ALWAYS,
        }));
        id
    }

    pub fn next_party(&mut self) -> miyun_ledger::PartyId {
        let n = self.next.party;
        self.next.party += 1;
        miyun_ledger::PartyId(n)
    }

    pub fn next_asset(&mut self) -> miyun_ledger::AssetId {
        let n = self.next.asset;
        self.next.asset += 1;
        miyun_ledger::AssetId(n)
    }

    pub fn next_series(&mut self) -> miyun_ledger::SeriesId {
        let n = self.next.series;
        self.next.series += 1;
        miyun_ledger::SeriesId(n)
    }

    /// Moves an amount at once.
    pub fn transfer(
        &mut self,
        kind: TransferKind,
        (from, to): (AccountId, AccountId),
        amount: u64,
        serials: Option<[u64; 2]>,
        rule: RuleId,
        memo: &str,
    ) {
        self.plan.moves.push(Op::Transfer(movement(
            kind, from, to, amount, serials, rule, memo,
        )));
    }
}

pub(crate) fn movement(
    kind: TransferKind,
    debit: AccountId,
    credit: AccountId,
    amount: u64,
    serials: Option<[u64; 2]>,
    rule: RuleId,
    memo: &str,
) -> Transfer {
    let mut cut = memo.len().min(miyun_ledger::MEMO_MAX);
    while !memo.is_char_boundary(cut) {
        cut -= 1;
    }
    Transfer {
        kind,
        debit,
        credit,
        amount,
        range: serials.map(|[start, end]| Range { start, end }),
        rule,
        case: 0,
        memo: memo[..cut].into(),
    }
}
