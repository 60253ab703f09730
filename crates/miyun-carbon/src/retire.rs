//! What a retirement must say.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Why units are retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Voluntary neutrality of a unit or person.
    Neutrality,
    /// Neutrality of an event.
    Event,
    /// Compensation of ecological damage.
    DamageCompensation,
    /// A product's footprint.
    Product,
    /// Anything else, said in the note.
    Other,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Neutrality,
        Self::Event,
        Self::DamageCompensation,
        Self::Product,
        Self::Other,
    ];

    /// The reason in both languages.
    #[must_use]
    pub fn text(self) -> miyun_core::Text {
        let (zh, en) = match self {
            Self::Neutrality => ("碳中和", "carbon neutrality"),
            Self::Event => ("活动碳中和", "neutrality of an event"),
            Self::DamageCompensation => ("生态环境损害赔偿", "compensation of ecological damage"),
            Self::Product => ("产品碳足迹抵消", "footprint of a product"),
            Self::Other => ("其他", "other"),
        };
        miyun_core::Text::new(zh, en)
    }
}

/// What is said when units are retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// For whom.
    pub beneficiary: String,
    /// Why.
    pub reason: Reason,
    /// Where the beneficiary is, for example `CN/11`.
    pub jurisdiction: String,
    /// In words.
    #[serde(default)]
    pub note: String,
}

/// Longest text of a field in characters.
pub const TEXT_MAX: usize = 200;

impl Retirement {
    /// Checks that it says what it must.
    ///
    /// # Errors
    /// [`Error::Field`] naming the field.
    pub fn check(&self) -> Result<(), Error> {
        let long = |t: &str| t.chars().count() > TEXT_MAX || t.chars().any(char::is_control);
        let bad = |field, reason: &str| {
            Err(Error::Field {
                field,
                reason: reason.into(),
            })
        };
        if self.beneficiary.trim().is_empty() {
            return bad("beneficiary", "say for whom the units are retired");
        }
        if long(&self.beneficiary) || long(&self.note) {
            return bad(
                "beneficiary",
                "beneficiary and note have at most 200 characters and no control characters",
            );
        }
        if miyun_core::JurisdictionId::new(&self.jurisdiction).is_err() {
            return bad("jurisdiction", "write a code such as CN/11");
        }
        if self.reason == Reason::Other && self.note.trim().is_empty() {
            return bad("note", "the reason other needs words");
        }
        Ok(())
    }
}
