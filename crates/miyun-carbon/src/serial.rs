//! Serial numbers as registries write them. The ledger keeps intervals; this is their face.

use serde::Serialize;

use crate::Error;

/// A closed interval of serials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serial {
    /// What stands before the numbers, for example `CA0004-VU-CH-356`.
    pub prefix: String,
    /// First number.
    pub first: u64,
    /// Last number, not below the first.
    pub last: u64,
    /// What stands after, often the vintage.
    pub suffix: String,
}

impl Serial {
    /// How many units it holds.
    #[must_use]
    pub fn length(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Reads a serial in the form of `scheme`.
    ///
    /// # Errors
    /// [`Error::Field`] if it is not of that form or ends before it begins.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('-').collect();
        let at = match scheme {
            Scheme::Own => parts.len().checked_sub(3).filter(|at| *at >= 1),
            Scheme::Verra => (parts.len() > 3).then_some(1),
        };
        let number = |t: &str| {
            t.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| t.parse::<u64>().ok())
                .flatten()
        };
        let found = at.and_then(|at| {
            let (first, last) = (number(parts[at])?, number(parts[at + 1])?);
            (first <= last).then(|| Self {
                prefix: parts[..at].join("-"),
                first,
                last,
                suffix: parts[at + 2..].join("-"),
            })
        });
        found.ok_or_else(|| Error::Field {
            field: "serial",
            reason: format!(
                "{text:?} is no serial of this form; write {}",
                scheme.example()
            ),
        })
    }
}

/// How a registry writes serials. Which two numbers are the interval cannot be guessed: the
/// project number `356` before `3001-5000` looks like one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `PROJECT-first-last-VINTAGE`.
    Own,
    /// `BATCH-first-last-...`.
    Verra,
}

impl Scheme {
    fn example(self) -> &'static str {
        match self {
            Self::Own => "PROJECT-1-3000-2023",
            Self::Verra => "19385-941467007-941467431-VCS-VCU-1507",
        }
    }
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.prefix, self.first, self.last)?;
        if !self.suffix.is_empty() {
            write!(f, "-{}", self.suffix)?;
        }
        Ok(())
    }
}
