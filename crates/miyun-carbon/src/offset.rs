//! How many offsets a unit may use.

use miyun_core::{Decimal, RuleRef};
use serde::Serialize;

use crate::Error;
use crate::law::Law;

/// What the cap is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapBase {
    /// Allowances issued to the unit for the year.
    AllowancesIssued,
    /// What the unit must surrender for the year.
    Surrender,
}

/// Caps in whole tonnes; fractions are cut (an assumption of the worked cases).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OffsetCaps {
    /// Tonnes that the shares were taken of.
    pub base: u64,
    /// What the base is.
    pub of: CapBase,
    /// All offsets together.
    pub total: u64,
    /// Offsets from outside, `None` if the market does not tell them apart.
    pub outside: Option<u64>,
    /// Share of all in percent, as printed.
    pub share: Decimal,
    /// Share from outside in percent, as printed.
    pub outside_share: Option<Decimal>,
    /// The rule of the total cap.
    pub rule: RuleRef,
}

/// What may be used of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usable {
    /// Local offsets.
    pub local: u64,
    /// Offsets from outside.
    pub outside: u64,
}

/// `share` percent of `base`, cut to whole tonnes.
pub(crate) fn percent(base: u64, share: Decimal) -> Result<u64, Error> {
    let overflow = || Error::Overflow {
        what: "share",
        detail: format!("{share} % of {base}"),
    };
    Decimal::from(base)
        .checked_mul(share)
        .and_then(|p| p.checked_div(Decimal::ONE_HUNDRED))
        .and_then(|p| u64::try_from(p.trunc()).ok())
        .ok_or_else(overflow)
}

/// What the cap of this market is taken of.
///
/// # Errors
/// [`Error::Law`] if no rule says it.
pub fn base_of(law: &Law<'_>) -> Result<CapBase, Error> {
    let of = law.text("offset-cap-of")?;
    match of.value {
        "allowances-issued" => Ok(CapBase::AllowancesIssued),
        "surrender" => Ok(CapBase::Surrender),
        other => Err(Error::Law(crate::LawError::Unusable {
            name: "offset-cap-of".into(),
            rule: Box::new(of.rule),
            found: other.into(),
            expected: "allowances-issued or surrender",
        })),
    }
}

/// The caps of a unit with `base` tonnes.
///
/// # Errors
/// [`Error::Law`] if the market has no cap in force, [`Error::Overflow`].
pub fn caps(law: &Law<'_>, base: u64) -> Result<OffsetCaps, Error> {
    let share = law.number("offset-cap-share")?;
    let outside = Law::maybe(law.number("offset-outside-cap-share"))?;
    Ok(OffsetCaps {
        base,
        of: base_of(law)?,
        total: percent(base, share.value)?,
        outside: outside
            .as_ref()
            .map(|o| percent(base, o.value))
            .transpose()?,
        share: share.value,
        outside_share: outside.map(|o| o.value),
        rule: share.rule,
    })
}

impl OffsetCaps {
    /// What may be used of an offer: from outside up to its cap, then local up to the total.
    #[must_use]
    pub fn usable(&self, local: u64, outside: u64) -> Usable {
        let outside = outside
            .min(self.outside.unwrap_or(self.total))
            .min(self.total);
        Usable {
            outside,
            local: local.min(self.total - outside),
        }
    }

    /// Lets a use pass that, with what was `used` before, stays within both caps.
    ///
    /// # Errors
    /// [`Error::OffsetCap`] naming the cap that it breaks.
    pub fn admit(&self, used: Usable, more: Usable) -> Result<(), Error> {
        let sum = u64::saturating_add;
        let outside = sum(used.outside, more.outside);
        let all = sum(sum(used.local, more.local), outside);
        if let (Some(cap), Some(share)) = (self.outside, self.outside_share)
            && outside > cap
        {
            return Err(Error::OffsetCap {
                class: "outside",
                offered: outside,
                cap,
                share: share.to_string(),
                base: self.base,
            });
        }
        if all > self.total {
            return Err(Error::OffsetCap {
                class: "all",
                offered: all,
                cap: self.total,
                share: self.share.to_string(),
                base: self.base,
            });
        }
        Ok(())
    }
}
