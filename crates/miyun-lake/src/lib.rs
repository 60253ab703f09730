//! Observations as Parquet files that any Arrow, DuckDB or pandas user can open, made visible by
//! commits.
//!
//! A lake is a folder:
//! ```text
//! observations/medium=air/year=2016/<digest>.parquet   immutable parts, sorted by subject, indicator, time
//! assessments/<digest>.parquet                          results, append-only
//! findings/000001-<digest>.parquet                      doubts about the data, append-only
//! commits/000001-<digest>.json                          what is visible; the rename of this file is the commit
//! ```
//! Many small commits are merged into one that replaces them ([`Lake::merge`]); it keeps for every
//! row from which file it came and when that was recorded.
//! A part that no commit names does not exist for readers. A crash at any moment leaves the old
//! state or the new one; leftovers are swept by the next import.

mod assessments;
mod commit;
mod findings;
mod import;
mod merge;
mod observed;
mod parquet_in;
mod part;
mod read;
mod sql;
mod table;
mod words;

use std::path::{Path, PathBuf};

use miyun_core::{Series, Subject};

pub use assessments::RunInfo;
pub use commit::{Commit, FileInfo, PartInfo, Recorded, Span};
pub use findings::{FindingRow, FindingsReport};
pub use import::{ImportFile, ImportReport};
pub use merge::{Merged, Merging};
pub use observed::{Observed, Window};
pub use parquet_in::read_parquet;
pub use read::{Dense, MISSING, Request, Row, SubjectHours};
pub use sql::{Functions, IndexFunction, SqlTable};
pub use table::{Cells, Column, parquet, write_columns};

/// Why a lake could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file or folder could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A commit file does not parse.
    #[error(
        "{path}: damaged commit: {reason}; restore it from a backup or remove it to forget its import"
    )]
    Commit {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A Parquet file could not be read or written.
    #[error("{path}: {reason}")]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process is importing.
    #[error("{0} is locked by another import; wait for it to end")]
    Locked(PathBuf),
    /// A file to import could not be read.
    #[error(transparent)]
    Read(#[from] miyun_import::ReadError),
    /// A query failed.
    #[error("query: {0}")]
    Query(String),
    /// A window with too many rows.
    #[error("more than {most} rows: ask for a shorter time")]
    TooMuch {
        /// Rows that are read at most.
        most: u64,
    },
    /// A query that would change something.
    #[error("only queries are allowed here, not {0}")]
    ReadOnly(String),
    /// The same file with other properties.
    #[error(
        "{file} was imported on {on} as {was}, now it is declared {now}: a file is imported once; use --interval when evaluating to read its labels another way"
    )]
    Redeclared {
        /// The file.
        file: String,
        /// When it was imported.
        on: String,
        /// How it was declared.
        was: String,
        /// How it is declared now.
        now: String,
    },
}

impl LakeError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
    pub(crate) fn parquet(path: &Path, reason: impl ToString) -> Self {
        Self::Parquet {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// A lake as of the moment it was opened.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    commits: Vec<Commit>,
    /// Where the spans of each subject are; forgotten when the commits change.
    index: std::sync::OnceLock<std::collections::HashMap<miyun_core::SubjectId, Vec<read::Place>>>,
}

impl Lake {
    /// Opens the lake in `root`; the folder is made if it is absent.
    ///
    /// # Errors
    /// [`LakeError`] if the folder cannot be made or a commit is damaged.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, LakeError> {
        let root = root.into();
        for dir in ["observations", "assessments", "findings", "commits"] {
            let path = root.join(dir);
            std::fs::create_dir_all(&path).map_err(|e| LakeError::io(&path, e))?;
        }
        let commits = commit::read_all(&root)?;
        Ok(Self {
            root,
            commits,
            index: std::sync::OnceLock::new(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files of the commits that hold, oldest first.
    #[must_use]
    pub fn commit_files(&self) -> Vec<PathBuf> {
        let path = |c| commit::path(&self.root, c);
        self.commits.iter().map(path).collect()
    }

    /// When a commit came or was merged last, as the folder says.
    #[must_use]
    pub fn changed_at(&self) -> Option<std::time::SystemTime> {
        let commits = std::fs::metadata(self.root.join("commits"));
        commits.and_then(|m| m.modified()).ok()
    }

    /// Imports, oldest first.
    #[must_use]
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// Every subject; a later import's description wins.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        let mut seen = std::collections::HashSet::new();
        let mut out: Vec<Subject> = Vec::new();
        for s in self.commits.iter().rev().flat_map(|c| &c.subjects) {
            if seen.insert(&s.id) {
                out.push(s.clone());
            }
        }
        out.sort_by(|a, b| a.id.cmp(&b.id));
        out
    }

    /// Every series.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        let mut out: Vec<Series> = self
            .commits
            .iter()
            .flat_map(|c| &c.series)
            .cloned()
            .collect();
        out.sort_by(|a, b| {
            (&a.subject, &a.indicator, &a.unit).cmp(&(&b.subject, &b.indicator, &b.unit))
        });
        out.dedup();
        out
    }
}
