//! A bounded list of problems.

use miyun_core::Problem;

/// Problems kept per file; more are counted, not kept.
pub const PROBLEMS_MAX: usize = 1_000;

/// The first problems of a file and the number of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first [`PROBLEMS_MAX`].
    pub kept: Vec<Problem>,
    /// How many there were.
    pub total: u64,
}

impl Problems {
    /// Adds a problem; the closure runs only if it is kept.
    pub fn push(&mut self, make: impl FnOnce() -> Problem) {
        self.total += 1;
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(make());
        }
    }
}
