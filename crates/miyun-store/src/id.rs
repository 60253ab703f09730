//! Typed ids of records: ULIDs, which sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a text is no id of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id")]
pub struct RecordIdError(pub String);

fn ulid(text: &str) -> Result<String, RecordIdError> {
    let bad = || RecordIdError(text.chars().take(40).collect());
    let id = ulid::Ulid::from_string(text).map_err(|_| bad())?;
    Ok(id.to_string())
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id of that moment.
            #[must_use]
            pub fn new(at: Timestamp) -> Self {
                let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
                Self(ulid::Ulid::from_parts(ms, rand::random()).to_string())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = RecordIdError;
            fn from_str(text: &str) -> Result<Self, RecordIdError> {
                ulid(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = RecordIdError;
            fn try_from(text: String) -> Result<Self, RecordIdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

id! {
    /// A person who signs in.
    PersonId;
    /// A role given to a person.
    GrantId;
    /// An API key.
    KeyId;
    /// Something that waits for a second person.
    ProposalId;
    /// An article.
    ArticleId;
    /// A reader's collection.
    CollectionId;
    /// A job.
    JobId;
    /// One publication of a figure.
    FigureId;
}

/// A person, by the name that pages use.
pub type UserId = PersonId;

/// A stored file, named by the BLAKE3 digest of its bytes in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaId(String);

impl MediaId {
    /// The id of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaId {
    type Err = RecordIdError;
    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        if text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(RecordIdError(text.chars().take(40).collect()))
        }
    }
}
impl TryFrom<String> for MediaId {
    type Error = RecordIdError;
    fn try_from(text: String) -> Result<Self, RecordIdError> {
        text.parse()
    }
}
impl From<MediaId> for String {
    fn from(id: MediaId) -> String {
        id.0
    }
}
impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_refuse_what_is_none() {
        let at = |s: i64| Timestamp::from_second(s).unwrap();
        let (a, b) = (ArticleId::new(at(1_000)), ArticleId::new(at(2_000)));
        assert!(a < b);
        assert_eq!(a.as_str().parse::<ArticleId>().unwrap(), a);
        for bad in [
            "",
            "x",
            "../../etc/passwd",
            "01ARZ3NDEKTSV4RRFFQ69G5FA!",
            &"A".repeat(300),
        ] {
            assert!(bad.parse::<ArticleId>().is_err(), "{bad}");
        }
        assert!("../x".parse::<MediaId>().is_err());
        assert!(MediaId::of(b"x").as_str().parse::<MediaId>().is_ok());
    }
}
