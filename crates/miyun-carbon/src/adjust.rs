//! Authorisation and corresponding adjustment (Article 6): units leave only when both are done.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::law::Law;
use miyun_core::RuleRef;

/// Where a block of credits stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adjustment {
    /// Nobody asked for it.
    #[default]
    None,
    /// The authority has authorised the block for use abroad.
    Authorised,
    /// The host has applied the corresponding adjustment.
    Applied,
    /// The authorisation was taken back before the adjustment.
    Revoked,
}

impl Adjustment {
    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "not authorised",
            Self::Authorised => "authorised, not adjusted",
            Self::Applied => "authorised and adjusted",
            Self::Revoked => "revoked",
        }
    }

    /// After authorisation.
    ///
    /// # Errors
    /// [`Error::Adjustment`] unless nothing was done yet.
    pub fn authorise(self) -> Result<Self, Error> {
        match self {
            Self::None => Ok(Self::Authorised),
            from => Err(Error::Adjustment {
                step: "authorise",
                from: from.word(),
            }),
        }
    }

    /// After the adjustment.
    ///
    /// # Errors
    /// [`Error::Adjustment`] unless authorised.
    pub fn apply(self) -> Result<Self, Error> {
        match self {
            Self::Authorised => Ok(Self::Applied),
            from => Err(Error::Adjustment {
                step: "apply",
                from: from.word(),
            }),
        }
    }

    /// After the authorisation was taken back.
    ///
    /// # Errors
    /// [`Error::Adjustment`] unless authorised and not yet adjusted.
    pub fn revoke(self) -> Result<Self, Error> {
        match self {
            Self::Authorised => Ok(Self::Revoked),
            from => Err(Error::Adjustment {
                step: "revoke",
                from: from.word(),
            }),
        }
    }
}

/// Lets a block leave the registry.
///
/// # Errors
/// [`Error::ExportGate`] unless authorised and adjusted, [`Error::Law`] if no rule opens the gate.
pub fn export(law: &Law<'_>, state: Adjustment) -> Result<RuleRef, Error> {
    let rule = law.text("export-needs")?.rule;
    match state {
        Adjustment::Applied => Ok(rule),
        other => Err(Error::ExportGate(other.word())),
    }
}
