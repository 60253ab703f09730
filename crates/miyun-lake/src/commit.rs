//! Commits: small JSON files, each written whole and renamed into place.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use miyun_core::{Series, Subject};
use serde::{Deserialize, Serialize};

use crate::LakeError;

/// What one import made visible, or what several did that were merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Order of the commits, from 1; of merged ones the last.
    pub sequence: u64,
    /// Of merged commits the sequence of the first; commits from there on are replaced by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// When it was recorded, RFC 3339 UTC; of merged ones when the last was.
    pub recorded_at: String,
    /// The files it came from.
    pub files: Vec<FileInfo>,
    /// Subjects it describes.
    pub subjects: Vec<Subject>,
    /// Series it has values of; spans point into it.
    pub series: Vec<Series>,
    /// Of merged commits: for each series the files that have values of it, as runs of positions in
    /// [`Commit::files`], first and last. Empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub came_from: Vec<Vec<(usize, usize)>>,
    /// Parquet parts.
    pub parts: Vec<PartInfo>,
}

impl Commit {
    /// Rows of all its parts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|p| p.rows).sum()
    }

    /// Sequence of the first import in it.
    #[must_use]
    pub fn begins(&self) -> u64 {
        self.first.unwrap_or(self.sequence)
    }

    /// Sequence of the import that brought a file, and when it was recorded, RFC 3339 UTC.
    #[must_use]
    pub fn recorded<'a>(&'a self, file: &'a FileInfo) -> (u64, &'a str) {
        file.recorded
            .as_ref()
            .map_or((self.sequence, self.recorded_at.as_str()), |r| {
                (r.sequence, r.at.as_str())
            })
    }

    /// Positions of its files by digest.
    pub(crate) fn file_index(&self) -> HashMap<&str, usize> {
        let all = self.files.iter().enumerate();
        all.map(|(k, f)| (f.digest.as_str(), k)).collect()
    }

    /// When values of the series at this position were recorded, in the order of the imports, each
    /// moment once.
    #[must_use]
    pub fn moments(&self, series: usize) -> Vec<&str> {
        let Some(runs) = self.came_from.get(series) else {
            return vec![self.recorded_at.as_str()];
        };
        let files = runs.iter().flat_map(|(a, b)| self.files.get(*a..=*b));
        let mut out: Vec<&str> = files.flatten().map(|f| self.recorded(f).1).collect();
        out.dedup();
        out
    }

    /// True if values of the series at this position were recorded by then, RFC 3339 UTC.
    #[must_use]
    pub fn knew(&self, series: usize, then: &str) -> bool {
        self.recorded_at.as_str() <= then || self.moments(series).iter().any(|at| *at <= then)
    }

    fn replaces(&self, other: &Self) -> bool {
        self.begins() <= other.begins()
            && other.sequence <= self.sequence
            && (self.begins(), self.sequence) != (other.begins(), other.sequence)
    }
}

/// A file that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name as the user gave it.
    pub name: String,
    /// BLAKE3 of its bytes as they were given, lower-case hex.
    pub digest: String,
    /// How its labels were declared: `hour-end, +08:00`.
    pub declared: String,
    /// Rows seen.
    pub rows: u64,
    /// Values stored.
    pub values: u64,
    /// Problems met.
    pub problems: u64,
    /// Its values were reviewed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reviewed: bool,
    /// Of a file in merged commits: the import that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
}

/// One import among merged ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its sequence.
    pub sequence: u64,
    /// When it was recorded, RFC 3339 UTC.
    pub at: String,
}

/// One Parquet part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Path below the lake's folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Runs of rows of one series, in the order of the file.
    pub spans: Vec<Span>,
}

/// A run of rows of one series inside one row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Position in [`Commit::series`].
    pub series: usize,
    /// Position in [`Commit::files`] of the file that the rows came from, the last one of several.
    pub file: usize,
    /// True if the rows came from several files: the part's `origin` says from which.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// Row group of the part.
    pub group: usize,
    /// First row inside the group.
    pub start: usize,
    /// Rows.
    pub rows: usize,
    /// First label, seconds since 1970 UTC.
    pub first_s: i64,
    /// Last label.
    pub last_s: i64,
    /// True if every value may be used (no flag says invalid).
    pub usable: bool,
}

/// The commits that hold, in order.
pub(crate) fn read_all(root: &Path) -> Result<Vec<Commit>, LakeError> {
    Ok(scan(root)?.0)
}

/// A commit that a merged one replaces, and when that was written.
pub(crate) struct Replaced {
    pub path: PathBuf,
    pub commit: Commit,
    pub since: SystemTime,
}

/// The commits that hold, in order, and those that merged ones replace.
pub(crate) fn scan(root: &Path) -> Result<(Vec<Commit>, Vec<Replaced>), LakeError> {
    let all = read_files(root)?;
    let merged: Vec<_> = all.iter().filter(|(_, c)| c.first.is_some()).collect();
    let replaced_by = |c: &Commit| merged.iter().find(|(_, by)| by.replaces(c));
    let mut replaced = Vec::new();
    let mut names = HashSet::new();
    for (path, commit) in &all {
        if let Some((by, _)) = replaced_by(commit) {
            let since = fs::metadata(by).and_then(|m| m.modified());
            names.insert(path.clone());
            replaced.push(Replaced {
                path: path.clone(),
                commit: commit.clone(),
                since: since.map_err(|e| LakeError::io(by, e))?,
            });
        }
    }
    let mut live: Vec<Commit> = all
        .into_iter()
        .filter(|(path, _)| !names.contains(path))
        .map(|(_, c)| c)
        .collect();
    live.sort_by_key(|c| c.sequence);
    Ok((live, replaced))
}

fn read_files(root: &Path) -> Result<Vec<(PathBuf, Commit)>, LakeError> {
    let dir = root.join("commits");
    let mut names: Vec<_> = fs::read_dir(&dir)
        .map_err(|e| LakeError::io(&dir, e))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    names.sort();
    names
        .iter()
        .map(|path| {
            let text = fs::read(path).map_err(|e| LakeError::io(path, e))?;
            let commit = serde_json::from_slice(&text).map_err(|e| LakeError::Commit {
                path: path.clone(),
                reason: e.to_string(),
            })?;
            Ok((path.clone(), commit))
        })
        .collect()
}

/// The file of a commit.
pub(crate) fn path(root: &Path, commit: &Commit) -> PathBuf {
    let digest = commit
        .files
        .first()
        .map_or("", |f| f.digest.get(..12).unwrap_or(""));
    let name = match commit.first {
        Some(first) => format!("{:06}-from-{first:06}-{digest}.json", commit.sequence),
        None => format!("{:06}-{digest}.json", commit.sequence),
    };
    root.join("commits").join(name)
}

/// Writes the commit; its rename is the moment at which it becomes visible.
pub(crate) fn write(root: &Path, commit: &Commit) -> Result<(), LakeError> {
    let path = path(root, commit);
    let bytes = serde_json::to_vec(commit).map_err(|e| LakeError::Commit {
        path: path.clone(),
        reason: e.to_string(),
    })?;
    write_whole(&path, &bytes)
}

/// Writes a file so that it is there whole or not at all, also after a crash.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LakeError> {
    let temporary = path.with_extension("tmp");
    let fail = |e| LakeError::io(path, e);
    let mut file = File::create(&temporary).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    drop(file);
    fs::rename(&temporary, path).map_err(fail)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Makes renames and new files of a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| LakeError::io(dir, e))
}
