//! What people ask of a registry: statements, balances that must sum, compliance.

use miyun_carbon::compliance::{self, State as Compliance};
use miyun_ledger::{AccountKind, Adjustment, State, Time};
use serde::Serialize;

use crate::Error;
use crate::model::{AccountKey, Asset, CREDIT, Line, Model};
use crate::service::Registry;

/// One account with its counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its number.
    pub account: u64,
    /// What it is.
    #[serde(flatten)]
    pub key: AccountKey,
    /// What it holds.
    pub balance: i128,
    /// What of it is free.
    pub available: i128,
    /// What is reserved to arrive.
    pub arriving: u64,
    /// Blocks of serials, for credits.
    pub blocks: Vec<BlockView>,
}

/// A block of serials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockView {
    /// First.
    pub first: u64,
    /// Last.
    pub last: u64,
    /// As written: `PROJECT-first-last-VINTAGE`.
    pub serial: String,
    /// Account that holds it.
    pub account: u64,
    /// Holder and kind of that account.
    pub holder: String,
    /// Kind of that account.
    pub kind: String,
    /// True if a reservation holds it.
    pub locked: bool,
    /// Corresponding adjustment.
    pub adjustment: String,
}

/// "Issued = held + locked + surrendered + retired + cancelled + ..." of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetBalance {
    /// The asset.
    pub asset: String,
    /// Its vintage.
    pub vintage: u16,
    /// What came into being.
    pub issued: i128,
    /// Where it is: kind of account and sum. Locked units are counted apart from held ones.
    pub parts: Vec<(String, i128)>,
    /// True if the parts add up to what was issued.
    pub balanced: bool,
    /// For credits: true if the serials of all blocks are exactly `1..` without gap or overlap and
    /// add up per account. `None` for allowances.
    pub serials: Option<bool>,
    /// The record up to which this holds.
    pub records: u64,
}

/// A unit in a compliance year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComplianceRow {
    /// The unit.
    pub party: String,
    /// Its name.
    pub name: miyun_core::Text,
    /// Allocated for the year.
    pub allocated: u64,
    /// Verified for the year, `None` if it is missing.
    pub verified: Option<u64>,
    /// Offsets used for the year.
    pub offsets: u64,
    /// Deadline, codes, missing tonnes.
    #[serde(flatten)]
    pub state: Compliance,
}

fn adjustment(a: Adjustment) -> String {
    match a {
        Adjustment::None => "none",
        Adjustment::Authorised => "authorised",
        Adjustment::Applied => "applied",
    }
    .into()
}

fn blocks(
    model: &Model,
    asset: &Asset,
    found: impl Iterator<Item = miyun_ledger::Block>,
) -> Vec<BlockView> {
    let prefix = asset.project.as_ref().map_or("", |(p, _)| p.as_str());
    found
        .map(|b| {
            let key = model.account_key(b.account);
            BlockView {
                first: b.range.start,
                last: b.range.end,
                serial: miyun_carbon::serial::Serial {
                    prefix: prefix.into(),
                    first: b.range.start,
                    last: b.range.end,
                    suffix: asset.vintage.to_string(),
                }
                .to_string(),
                account: b.account.0,
                holder: key.map_or_else(String::new, |k| k.party.clone()),
                kind: key.map_or_else(String::new, |k| k.kind.name().into()),
                locked: b.locked.is_some(),
                adjustment: adjustment(b.adjustment),
            }
        })
        .collect()
}

fn view(
    model: &Model,
    state: &State,
    key: &AccountKey,
    id: miyun_ledger::AccountId,
) -> Option<AccountView> {
    let a = state.account(id)?;
    let asset = model.asset(&key.asset).ok()?;
    let found = if asset.class == CREDIT {
        blocks(model, asset, state.blocks_of(id))
    } else {
        Vec::new()
    };
    Some(AccountView {
        account: id.0,
        key: key.clone(),
        balance: a.counters.balance(),
        available: a.counters.available(),
        arriving: a.counters.credits_pending,
        blocks: found,
    })
}

impl Registry {
    /// The accounts of a party.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an unknown party.
    pub fn accounts(&self, party: &str) -> Result<Vec<AccountView>, Error> {
        let model = self.model();
        model.party(party)?;
        self.look(|state| {
            model
                .accounts_of(party)
                .filter_map(|(k, id)| view(&model, state, k, id))
                .collect()
        })
    }

    /// One account and its movements, oldest first.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an unknown account.
    pub fn statement(&self, account: u64) -> Result<(AccountView, Vec<Line>), Error> {
        let model = self.model();
        let id = miyun_ledger::AccountId(account);
        let unknown = || Error::Unknown {
            kind: "account",
            id: account.to_string(),
        };
        let key = model.account_key(id).ok_or_else(unknown)?;
        let found = self
            .look(|state| view(&model, state, key, id))?
            .ok_or_else(unknown)?;
        Ok((found, model.lines_of(id).cloned().collect()))
    }

    /// Where the units of an asset are.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an unknown asset.
    pub fn balance(&self, asset: &str) -> Result<AssetBalance, Error> {
        let model = self.model();
        let known = model.asset(asset)?.clone();
        self.look(|state| {
            let mut sums: std::collections::BTreeMap<String, i128> =
                std::collections::BTreeMap::new();
            let mut issued = 0;
            let mut per_account: std::collections::BTreeMap<u64, i128> =
                std::collections::BTreeMap::new();
            for a in state.accounts().filter(|a| a.asset == known.number) {
                if a.kind == AccountKind::Contra {
                    issued -= a.counters.balance();
                    continue;
                }
                let locked = i128::from(a.counters.debits_pending);
                per_account.insert(a.id.0, a.counters.balance());
                *sums.entry(a.kind.name().into()).or_default() += a.counters.balance() - locked;
                if locked > 0 {
                    *sums.entry("locked".into()).or_default() += locked;
                }
            }
            let serials = known.series.map(|series| {
                let mut all: Vec<_> = state.blocks(series).collect();
                all.sort_by_key(|b| b.range.start);
                let whole = all
                    .windows(2)
                    .all(|w| w[0].range.end + 1 == w[1].range.start)
                    && all.first().is_none_or(|b| b.range.start == 1);
                let mut held: std::collections::BTreeMap<u64, i128> =
                    std::collections::BTreeMap::new();
                for b in all.iter().filter(|b| b.asset == known.number) {
                    *held.entry(b.account.0).or_default() += i128::from(b.range.len().unwrap_or(0));
                }
                whole
                    && per_account
                        .iter()
                        .all(|(a, t)| held.get(a).copied().unwrap_or(0) == *t)
            });
            AssetBalance {
                asset: known.name.clone(),
                vintage: known.vintage,
                issued,
                balanced: sums.values().sum::<i128>() == issued,
                parts: sums.into_iter().collect(),
                serials,
                records: model.records(),
            }
        })
    }

    /// Every block of an asset.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an unknown asset.
    pub fn blocks(&self, asset: &str) -> Result<Vec<BlockView>, Error> {
        let model = self.model();
        let known = model.asset(asset)?;
        let Some(series) = known.series else {
            return Ok(Vec::new());
        };
        self.look(|state| {
            blocks(
                &model,
                known,
                state.blocks(series).filter(|b| b.asset == known.number),
            )
        })
    }

    /// The units with a duty in a year, as of `at`.
    ///
    /// # Errors
    /// [`Error::Carbon`] if the year has no deadline.
    pub fn compliance(&self, year: i16, at: Time) -> Result<Vec<ComplianceRow>, Error> {
        let (law, zone) = self.law(at)?;
        let civil = zone.civil(at);
        let model = self.model();
        model
            .parties()
            .filter(|p| p.role == crate::request::Role::Compliance)
            .filter(|p| {
                model.allocated(&p.id, year) > 0
                    || model.entries(&p.id).iter().any(|e| e.year == year)
            })
            .map(|p| {
                let entries = model.entries(&p.id);
                let first = model.first_year(&p.id).unwrap_or(year).min(year);
                let used = model.offsets(&p.id, year);
                Ok(ComplianceRow {
                    party: p.id.clone(),
                    name: p.name.clone(),
                    allocated: model.allocated(&p.id, year),
                    verified: compliance::verified_of(entries, year),
                    offsets: used.local.saturating_add(used.outside),
                    state: compliance::state(&law, first, year, entries, civil)?,
                })
            })
            .collect()
    }
}
