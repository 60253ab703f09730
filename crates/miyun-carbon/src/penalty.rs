//! Fines for missing allowances: the range that the law leaves, never a decision within it.

use miyun_core::{Decimal, Rounding, RuleRef, round};
use serde::Serialize;

use crate::Error;
use crate::law::Law;

/// A range of fines in CNY with two decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FineRange {
    /// Least.
    pub min_cny: Decimal,
    /// Most.
    pub max_cny: Decimal,
    /// The rule.
    pub rule: RuleRef,
}

/// Missing tonnes times a mean price times the multiples of the law, rounded half up to 0.01.
///
/// # Errors
/// [`Error::Law`] if no rule holds, [`Error::Overflow`].
pub fn shortfall(law: &Law<'_>, missing: u64, mean_price_cny: Decimal) -> Result<FineRange, Error> {
    let min = law.number("shortfall-fine-multiple-min")?;
    let max = law.number("shortfall-fine-multiple-max")?;
    let amount = |multiple: Decimal| {
        Decimal::from(missing)
            .checked_mul(mean_price_cny)
            .and_then(|m| m.checked_mul(multiple))
            .map(|m| round(m, 2, Rounding::HalfUp))
            .ok_or_else(|| Error::Overflow {
                what: "fine",
                detail: format!("{missing} t x {mean_price_cny} x {multiple}"),
            })
    };
    Ok(FineRange {
        min_cny: amount(min.value)?,
        max_cny: amount(max.value)?,
        rule: min.rule,
    })
}
