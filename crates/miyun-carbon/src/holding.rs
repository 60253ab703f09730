//! How much a holder, or a group of related parties, may hold.

use std::collections::BTreeMap;

use miyun_core::{Decimal, RuleRef};
use serde::Serialize;

use crate::Error;
use crate::law::{Law, Ruled};

/// What sort of holder, as far as limits tell holders apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HolderClass {
    /// Has a duty to surrender.
    Compliance,
    /// Has none.
    Institution,
}

impl HolderClass {
    /// The word in rule names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Compliance => "compliance",
            Self::Institution => "institution",
        }
    }
}

/// A limit and the rule that gives it.
pub type Limit = Ruled<u64>;

fn overflow(detail: String) -> Error {
    Error::Overflow {
        what: "holding limit",
        detail,
    }
}

/// The limit of a market that takes shares of its annual budget (17 CCR 95920): a share of the
/// base plus a smaller share of the budget above it, cut to whole tonnes.
///
/// # Errors
/// [`Error::Law`] if the market has no such formula, [`Error::Overflow`].
pub fn of_budget(law: &Law<'_>, budget: u64) -> Result<Limit, Error> {
    let share = law.number("holding-share-of-base")?;
    let rest = law.number("holding-share-of-rest")?.value;
    let base = law.number("holding-base")?.value;
    let above = Decimal::from(budget) - base;
    let limit = share
        .value
        .checked_mul(base)
        .zip(rest.checked_mul(above.max(Decimal::ZERO)))
        .and_then(|(a, b)| a.checked_add(b))
        .and_then(|l| u64::try_from(l.trunc()).ok())
        .ok_or_else(|| overflow(format!("budget {budget}")))?;
    Ok(Ruled {
        value: limit,
        rule: share.rule,
    })
}

/// The limit of one holder in a market that adds a fixed amount to its own allowances of the
/// year (Beijing, 2014 to 2025).
///
/// # Errors
/// [`Error::Law`] if the market has no such limit in force, [`Error::Overflow`].
pub fn of_holder(law: &Law<'_>, class: HolderClass, own_allowances: u64) -> Result<Limit, Error> {
    let plus = law.whole(&format!("holding-plus/{}", class.word()))?;
    let own = match class {
        HolderClass::Compliance => own_allowances,
        HolderClass::Institution => 0,
    };
    let value = plus
        .value
        .checked_add(own)
        .ok_or_else(|| overflow(format!("{} + {own}", plus.value)))?;
    Ok(Ruled {
        value,
        rule: plus.rule,
    })
}

/// What one member of a group counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Holding {
    /// Tonnes held and tonnes about to arrive.
    pub held: u64,
    /// Tonnes that do not count: in the compliance account, up to the obligation.
    pub exempt: u64,
}

/// Lets a group hold what it holds if the sum stays within the limit. Members are joined by
/// group, so that moving tonnes between related parties hides nothing.
///
/// # Errors
/// [`Error::HoldingLimit`] naming the group, [`Error::Overflow`].
pub fn admit(
    group: &str,
    members: &BTreeMap<String, Holding>,
    limit: &Limit,
) -> Result<u64, Error> {
    let mut held = 0u64;
    for (member, h) in members {
        held = held
            .checked_add(h.held.saturating_sub(h.exempt))
            .ok_or_else(|| overflow(format!("group {group}, member {member}")))?;
    }
    if held > limit.value {
        return Err(Error::HoldingLimit {
            group: group.into(),
            held,
            limit: limit.value,
        });
    }
    Ok(held)
}

/// The rule that limits holdings, for the transfer that it lets pass.
#[must_use]
pub fn rule(limit: &Limit) -> &RuleRef {
    &limit.rule
}
