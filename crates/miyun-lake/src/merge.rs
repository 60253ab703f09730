//! Merging many small commits into one: fewer files, longer runs, the same rows. Every row keeps its
//! file and with it the moment at which it was recorded, so that what was known on a day stays what
//! it was.
//!
//! The merged commit is written beside those that it replaces; its rename is the moment of change.
//! What it replaces is removed an hour later, when nobody reads it any more. A crash at any moment
//! leaves the old commits or the merged one.

use std::collections::{BTreeMap, HashMap, HashSet};

use miyun_core::{Series, Subject};

use crate::commit::{self, Commit, FileInfo, Recorded};
use crate::import::write_parts;
use crate::part::{self, Run};
use crate::{Lake, LakeError};

/// What is worth merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merging {
    /// The newest commits are merged once there are so many; older ones are not left alone.
    pub commits: usize,
    /// Rows of a merged commit at most; a commit of half as many stays as it is.
    pub rows: u64,
}

impl Default for Merging {
    fn default() -> Self {
        Self {
            commits: 32,
            rows: 4_000_000,
        }
    }
}

/// What was merged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Merged {
    /// Commits that became one.
    pub commits: usize,
    /// Sequence of the first import in it.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
    /// Rows in it.
    pub rows: u64,
}

impl Merging {
    /// Positions of the oldest commits to be merged.
    fn find(self, all: &[Commit]) -> Option<std::ops::Range<usize>> {
        let (mut from, mut rows) = (0, 0);
        for (k, c) in all.iter().enumerate() {
            let n = c.rows();
            let large = n > self.rows / 2;
            if large || rows + n > self.rows {
                if k - from > 1 {
                    return Some(from..k);
                }
                (from, rows) = if large { (k + 1, 0) } else { (k, n) };
            } else {
                rows += n;
            }
        }
        (all.len() - from >= self.commits.max(2)).then_some(from..all.len())
    }
}

impl Lake {
    /// Merges one run of small commits; `None` if there is none. To be repeated until then.
    ///
    /// # Errors
    /// [`LakeError`]; the lake then shows what it showed before.
    pub fn merge(&mut self, merging: Merging) -> Result<Option<Merged>, LakeError> {
        let _lock = self.lock()?;
        self.refresh()?;
        let Some(which) = merging.find(&self.commits) else {
            return Ok(None);
        };
        let old = &self.commits[which.clone()];
        let Some(last) = old.last() else {
            return Ok(None);
        };
        let files: Vec<FileInfo> = old.iter().flat_map(with_moments).collect();
        let mut draft = Draft::default();
        let mut files_before = 0;
        for c in old {
            draft.take(self, c, files_before)?;
            files_before += c.files.len();
        }
        let origins: Vec<String> = files.iter().map(|f| f.digest.clone()).collect();
        let name = origins
            .iter()
            .fold(blake3::Hasher::new(), |mut h, d| {
                h.update(d.as_bytes());
                h
            })
            .update(b"merged")
            .finalize()
            .to_hex();
        let came_from = draft.came_from();
        let Draft { series, runs, .. } = draft;
        let partitions = runs
            .into_iter()
            .map(|(folder, by_series)| {
                let mut runs: Vec<Run> = by_series
                    .into_values()
                    .map(|run| {
                        let of = &series[run.series];
                        in_order(run, of)
                    })
                    .collect();
                runs.sort_by(|a, b| {
                    let key = |r: &Run| {
                        (
                            &series[r.series].subject,
                            &series[r.series].indicator,
                            r.series,
                        )
                    };
                    key(a).cmp(&key(b))
                });
                (format!("{folder}/{}.parquet", &name[..16]), runs)
            })
            .collect();
        let parts = write_parts(&self.root, &series, &origins, partitions)?;
        let merged = Commit {
            sequence: last.sequence,
            first: Some(old[0].begins()),
            recorded_at: last.recorded_at.clone(),
            files,
            subjects: latest(old),
            series,
            came_from,
            parts,
        };
        commit::write(&self.root, &merged)?;
        let done = Merged {
            commits: old.len(),
            first: merged.begins(),
            last: merged.sequence,
            rows: merged.rows(),
        };
        self.commits.splice(which, [merged]);
        self.index.take();
        Ok(Some(done))
    }
}

/// Files of a commit, each with the moment at which it was recorded.
fn with_moments(c: &Commit) -> impl Iterator<Item = FileInfo> + '_ {
    c.files.iter().map(|f| {
        let (sequence, at) = c.recorded(f);
        FileInfo {
            recorded: Some(Recorded {
                sequence,
                at: at.to_owned(),
            }),
            ..f.clone()
        }
    })
}

/// Subjects of several commits; a later description wins.
fn latest(commits: &[Commit]) -> Vec<Subject> {
    let mut seen = HashSet::new();
    let all = commits.iter().rev().flat_map(|c| c.subjects.iter().rev());
    let mut out: Vec<Subject> = all.filter(|s| seen.insert(&s.id)).cloned().collect();
    out.reverse();
    out
}

/// Rows by local hour; of one hour in the order in which they were recorded, for the last one
/// decides.
fn in_order(run: Run, series: &Series) -> Run {
    let offset = i64::from(series.utc_offset_minutes) * 60;
    let key = |i: &usize| {
        let label = run.label_s[*i];
        ((label + offset).div_euclid(3_600), run.origin[*i], label)
    };
    let mut order: Vec<usize> = (0..run.label_s.len()).collect();
    if order.is_sorted_by_key(key) {
        return run;
    }
    order.sort_by_key(key);
    Run {
        series: run.series,
        file: run.file,
        label_s: order.iter().map(|i| run.label_s[*i]).collect(),
        value: order.iter().map(|i| run.value[*i]).collect(),
        flag: order.iter().map(|i| run.flag[*i]).collect(),
        line: order.iter().map(|i| run.line[*i]).collect(),
        origin: order.iter().map(|i| run.origin[*i]).collect(),
    }
}

/// What the merged commit will hold.
#[derive(Default)]
struct Draft {
    series: Vec<Series>,
    index: HashMap<Series, usize>,
    /// By folder of the partition, then by series.
    runs: BTreeMap<String, BTreeMap<usize, Run>>,
}

impl Draft {
    /// Takes the rows of a commit whose first file has the position `files_before`.
    fn take(&mut self, lake: &Lake, c: &Commit, files_before: usize) -> Result<(), LakeError> {
        let at = c.file_index();
        for p in &c.parts {
            let folder = p.path.rsplit_once('/').map_or("", |(f, _)| f);
            for span in &p.spans {
                let series = &c.series[span.series];
                let k = match self.index.get(series) {
                    Some(k) => *k,
                    None => {
                        self.series.push(series.clone());
                        self.index.insert(series.clone(), self.series.len() - 1);
                        self.series.len() - 1
                    }
                };
                let rows = span.start..span.start + span.rows;
                let c = part::read(&lake.root, &p.path, span.group, rows, true)?;
                let run = self
                    .runs
                    .entry(folder.to_owned())
                    .or_default()
                    .entry(k)
                    .or_insert_with(|| Run {
                        series: k,
                        file: 0,
                        label_s: Vec::new(),
                        value: Vec::new(),
                        flag: Vec::new(),
                        line: Vec::new(),
                        origin: Vec::new(),
                    });
                for origin in &c.origin {
                    let file = at.get(origin.as_str()).ok_or_else(|| {
                        LakeError::parquet(
                            &lake.root.join(&p.path),
                            format!("a row of file {origin}, which its commit does not name"),
                        )
                    })?;
                    run.origin.push(files_before + file);
                    run.file = run.file.max(files_before + file);
                }
                run.label_s.extend(c.label_s);
                run.value.extend(c.value);
                run.flag.extend(c.flag);
                run.line.extend(c.line);
            }
        }
        Ok(())
    }

    /// For each series the files of its rows.
    fn came_from(&self) -> Vec<Vec<(usize, usize)>> {
        let mut files: Vec<Vec<usize>> = vec![Vec::new(); self.series.len()];
        for run in self.runs.values().flat_map(BTreeMap::values) {
            files[run.series].extend(&run.origin);
        }
        files.into_iter().map(runs_of).collect()
    }
}

/// Numbers as runs of neighbours, first and last.
fn runs_of(mut numbers: Vec<usize>) -> Vec<(usize, usize)> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .chunk_by(|a, b| a + 1 == *b)
        .filter_map(|run| Some((*run.first()?, *run.last()?)))
        .collect()
}
