//! Commits: small JSON files, each written whole and renamed into place.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use miyun_core::{Series, Subject};
use serde::{Deserialize, Serialize};

use crate::LakeError;

/// What one import made visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Order of the commits, from 1.
    pub sequence: u64,
    /// When it was recorded, RFC 3339 UTC.
    pub recorded_at: String,
    /// The files it came from.
    pub files: Vec<FileInfo>,
    /// Subjects it describes.
    pub subjects: Vec<Subject>,
    /// Series it has values of; spans point into it.
    pub series: Vec<Series>,
    /// Parquet parts.
    pub parts: Vec<PartInfo>,
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
    /// Position in [`Commit::files`] of the file that the rows came from.
    pub file: usize,
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

pub(crate) fn read_all(root: &Path) -> Result<Vec<Commit>, LakeError> {
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
            serde_json::from_slice(&text).map_err(|e| LakeError::Commit {
                path: path.clone(),
                reason: e.to_string(),
            })
        })
        .collect()
}

/// Writes the commit; its rename is the moment at which it becomes visible.
pub(crate) fn write(root: &Path, commit: &Commit) -> Result<(), LakeError> {
    let dir = root.join("commits");
    let digest = commit
        .files
        .first()
        .map_or("", |f| f.digest.get(..12).unwrap_or(""));
    let path = dir.join(format!("{:06}-{digest}.json", commit.sequence));
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
