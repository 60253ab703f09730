//! What was wrong with input, said so that the sender can mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Taken, but worth a look.
    Warning,
    /// Not taken.
    Error,
}

/// One thing wrong with one place of the input. Readers of messy input return
/// `(T, Vec<Problem>)`: what could be read, and these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case code, for example `not-a-number`.
    pub code: String,
    /// The file or stream, as the user named it.
    pub file: String,
    /// Line in the file, from 1; 0 if it concerns the whole file.
    pub line: u64,
    /// Column of the line in characters, from 1; 0 if it concerns the whole line.
    pub column: u64,
    /// The field or key, empty if none.
    pub field: String,
    /// What is wrong, with the offending text.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, ": {severity}[{}]", self.code)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.reason)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}
