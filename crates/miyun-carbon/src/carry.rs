//! What may be carried into the next vintage.

use miyun_core::{Decimal, RuleRef};
use serde::Serialize;

use crate::Error;
use crate::law::Law;

/// What becomes of a holding at the end of a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CarryOver {
    /// Most that may be carried.
    pub max: u64,
    /// What is carried.
    pub carried: u64,
    /// What lapses or stays unusable.
    pub lapses: u64,
    /// The rule of the base.
    pub rule: RuleRef,
}

/// Base plus a multiple of the net sales; a net buyer has the base only.
///
/// # Errors
/// [`Error::Law`] if the market says nothing for this sector, [`Error::Overflow`],
/// [`Error::Field`] for a vintage outside the rule's window.
pub fn carry_over(
    law: &Law<'_>,
    sector: &str,
    vintage: i16,
    net_sold: i64,
    holding: u64,
) -> Result<CarryOver, Error> {
    let base = law.whole(&format!("carry-over-base/{sector}"))?;
    let multiple = match law.number(&format!("carry-over-net-sales-multiple/{sector}")) {
        Ok(m) => m.value,
        // Nothing to multiply: the base alone answers.
        Err(crate::LawError::None { .. }) if net_sold <= 0 => Decimal::ZERO,
        Err(e) => return Err(e.into()),
    };
    let window = |side: &str| Law::maybe(law.whole(&format!("carry-over-{side}-vintage/{sector}")));
    let year = u64::try_from(vintage).unwrap_or(0);
    let (first, last) = (window("first")?, window("last")?);
    if first.is_some_and(|f| year < f.value) || last.is_some_and(|l| year > l.value) {
        return Err(Error::Field {
            field: "vintage",
            reason: format!("{vintage} is outside the vintages of {}", base.rule),
        });
    }
    let sold = Decimal::from(net_sold.max(0));
    let max = multiple
        .checked_mul(sold)
        .and_then(|m| u64::try_from(m.trunc()).ok())
        .and_then(|m| m.checked_add(base.value))
        .ok_or_else(|| Error::Overflow {
            what: "carry-over",
            detail: format!("{} + {multiple} x {net_sold}", base.value),
        })?;
    let carried = holding.min(max);
    Ok(CarryOver {
        max,
        carried,
        lapses: holding - carried,
        rule: base.rule,
    })
}
