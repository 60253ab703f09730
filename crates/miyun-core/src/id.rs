//! Typed ids: one type per kind of thing, so that a station can never be passed for an instrument.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("an id may not be empty")]
    Empty,
    /// The text is longer than [`ID_LEN_MAX`] bytes.
    #[error("an id has at most {ID_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text holds a character that would break paths, tables or addresses.
    #[error("an id may not hold {0:?}")]
    Character(char),
}

/// Longest id in bytes. Ids become file names, table cells and web addresses.
pub const ID_LEN_MAX: usize = 200;

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_LEN_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    match text
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || "|\\\"'<>".contains(*c))
    {
        Some(c) => Err(IdError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id of `text`.
            ///
            /// # Errors
            /// [`IdError`] if the text is empty, too long, or holds whitespace, control
            /// characters or one of `| \ " ' < >`.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The id as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &self.0)
            }
        }
    )*};
}

id! {
    /// One assessment: a result with its trace, for example `a-5f0c…`.
    AssessmentId;
    /// What is measured, for example `PM2.5` or `O3`; a row of `vocabulary/indicators.toml`.
    IndicatorId;
    /// A legal instrument as it is cited, for example `CN/GB-3095-2026`.
    InstrumentId;
    /// Where a rule holds: `CN`, `CN/11` (Beijing), `US`. A prefix contains what it prefixes.
    JurisdictionId;
    /// One measure of a plan, for example `beijing-2024/2.1`.
    MeasureId;
    /// How observations are condensed, for example `daily-mean`; a row of `vocabulary/statistics.toml`.
    StatisticId;
    /// A place, party, facility, outlet, asset or project, for example `beijing/dongsi`.
    SubjectId;
    /// A unit of measurement, for example `ug/m3`; a row of `vocabulary/units.toml`.
    UnitId;
}

impl JurisdictionId {
    /// True if a rule of this jurisdiction holds at `place`: `CN` contains `CN/11`.
    #[must_use]
    pub fn contains(&self, place: &Self) -> bool {
        place
            .as_str()
            .strip_prefix(self.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_break_tables_and_paths() {
        assert_eq!(SubjectId::new(""), Err(IdError::Empty));
        assert_eq!(SubjectId::new("a b"), Err(IdError::Character(' ')));
        assert_eq!(SubjectId::new("a|b"), Err(IdError::Character('|')));
        assert_eq!(SubjectId::new(&"x".repeat(201)), Err(IdError::TooLong(201)));
        assert!(SubjectId::new("北京/东四").is_ok());
    }

    #[test]
    fn a_jurisdiction_contains_its_parts_and_no_namesake() {
        let id = |t| JurisdictionId::new(t).unwrap();
        assert!(id("CN").contains(&id("CN/11")));
        assert!(id("CN").contains(&id("CN")));
        assert!(!id("CN/1").contains(&id("CN/11")));
        assert!(!id("CN/11").contains(&id("CN")));
    }
}
