//! Importing: parsed files become parts, one commit makes them visible.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use miyun_core::observation::Flag;
use miyun_core::{Series, Subject};
use miyun_import::{Parsed, SeriesRows};

use crate::commit::{self, Commit, FileInfo, PartInfo};
use crate::part::{self, Run};
use crate::{Lake, LakeError};

/// How long a reader that opened the lake before a merge may still read what the merge replaced.
const READERS_LEAVE: Duration = Duration::from_secs(3_600);

/// A parsed file to import.
#[derive(Debug)]
pub struct ImportFile {
    /// Its name as the user gave it.
    pub name: String,
    /// BLAKE3 of its bytes, lower-case hex.
    pub digest: String,
    /// How its labels were declared.
    pub declared: String,
    /// Its values were reviewed: they replace preliminary ones and are not replaced by them. In one
    /// import reviewed files stand behind the others.
    pub reviewed: bool,
    /// What it says.
    pub parsed: Parsed,
}

/// A value that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub value: i64,
    pub flag: Flag,
    pub reviewed: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct ImportReport {
    /// Files that were already there, byte for byte.
    pub files_known: u64,
    /// Files read.
    pub files_new: u64,
    /// Values stored for the first time.
    pub values_new: u64,
    /// Values stored beside an earlier different one, which they supersede.
    pub values_revised: u64,
    /// Values that were already there.
    pub values_known: u64,
    /// Preliminary values left out because a reviewed one holds.
    pub values_outranked: u64,
    /// Sequence of the commit, `None` if nothing was stored.
    pub commit: Option<u64>,
}

impl Lake {
    /// How a file with this digest was declared and when, if it was imported.
    #[must_use]
    pub fn imported(&self, digest: &str) -> Option<(&FileInfo, &str)> {
        self.commits.iter().find_map(|c| {
            c.files
                .iter()
                .find(|f| f.digest == digest)
                .map(|f| (f, c.recorded(f).1))
        })
    }

    /// Imports files in one commit. Files that are there already are left out, values that are
    /// there already are not stored again, different values are stored as revisions.
    ///
    /// `medium` names the partition of an indicator; `now` is the recorded time, RFC 3339 UTC.
    ///
    /// # Errors
    /// [`LakeError`]; the lake then shows what it showed before.
    pub fn import(
        &mut self,
        files: Vec<ImportFile>,
        subjects: Vec<Subject>,
        medium: &(dyn Fn(&str) -> String + Sync),
        now: &str,
    ) -> Result<ImportReport, LakeError> {
        let _lock = self.lock()?;
        self.refresh()?;
        let mut report = ImportReport::default();
        let mut fresh = Vec::new();
        for file in files {
            match self.imported(&file.digest) {
                Some((known, on)) if known.declared != file.declared => {
                    return Err(LakeError::Redeclared {
                        file: file.name,
                        on: on.into(),
                        was: known.declared.clone(),
                        now: file.declared,
                    });
                }
                Some(_) => report.files_known += 1,
                None => fresh.push(file),
            }
        }
        report.files_new = fresh.len() as u64;
        if fresh.is_empty() {
            let known = self.subjects();
            if subjects.iter().all(|s| known.contains(s)) {
                return Ok(report);
            }
        }
        let mut draft = Draft::default();
        for file in fresh {
            draft.add(self, file, &mut report)?;
        }
        let origins: Vec<String> = draft.files.iter().map(|f| f.digest.clone()).collect();
        let partitions = draft.partitions(medium);
        let parts = write_parts(&self.root, &draft.series, &origins, partitions)?;
        let sequence = self.commits.last().map_or(1, |c| c.sequence + 1);
        let commit = Commit {
            sequence,
            first: None,
            recorded_at: now.to_owned(),
            files: draft.files,
            subjects,
            series: draft.series,
            came_from: Vec::new(),
            parts,
        };
        commit::write(&self.root, &commit)?;
        self.commits.push(commit);
        self.index.take();
        report.commit = Some(sequence);
        Ok(report)
    }

    pub(crate) fn lock(&self) -> Result<File, LakeError> {
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(|e| LakeError::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(LakeError::Locked(self.root.clone())),
            Err(fs::TryLockError::Error(e)) => Err(LakeError::io(&path, e)),
        }
    }

    /// Looks at the commits again; removes what an interrupted import left (temporary files, parts
    /// that no commit names) and commits that merged ones have replaced for so long that nobody
    /// reads them any more.
    pub(crate) fn refresh(&mut self) -> Result<(), LakeError> {
        let (commits, mut replaced) = commit::scan(&self.root)?;
        self.commits = commits;
        self.index.take();
        let before = replaced.len();
        let mut failed = None;
        replaced.retain(|r| {
            let read = r.since.elapsed().is_ok_and(|age| age < READERS_LEAVE);
            if !read && let Err(e) = fs::remove_file(&r.path) {
                failed = Some(LakeError::io(&r.path, e));
            }
            read
        });
        if let Some(e) = failed {
            return Err(e);
        }
        if replaced.len() < before {
            commit::sync_dir(&self.root.join("commits"))?;
        }
        let named: HashSet<_> = self
            .commits
            .iter()
            .chain(replaced.iter().map(|r| &r.commit))
            .flat_map(|c| &c.parts)
            .map(|p| self.root.join(&p.path))
            .collect();
        self.sweep(&named)
    }

    fn sweep(&self, named: &HashSet<PathBuf>) -> Result<(), LakeError> {
        let mut stack = vec![
            self.root.join("observations"),
            self.root.join("commits"),
            self.root.join("assessments"),
            self.root.join("findings"),
        ];
        while let Some(dir) = stack.pop() {
            for entry in fs::read_dir(&dir)
                .map_err(|e| LakeError::io(&dir, e))?
                .flatten()
            {
                let path = entry.path();
                let extension = path.extension().and_then(|e| e.to_str());
                if path.is_dir() {
                    stack.push(path);
                } else if extension == Some("tmp")
                    || (extension == Some("parquet")
                        && path.starts_with(self.root.join("observations"))
                        && !named.contains(&path))
                {
                    fs::remove_file(&path).map_err(|e| LakeError::io(&path, e))?;
                }
            }
        }
        Ok(())
    }
}

/// What a commit will hold.
#[derive(Default)]
struct Draft {
    files: Vec<FileInfo>,
    series: Vec<Series>,
    runs: Vec<Run>,
    /// Position of each series.
    index: HashMap<Series, usize>,
}

impl Draft {
    fn add(
        &mut self,
        lake: &Lake,
        file: ImportFile,
        report: &mut ImportReport,
    ) -> Result<(), LakeError> {
        let mut info = FileInfo {
            name: file.name,
            digest: file.digest,
            declared: file.declared,
            rows: file.parsed.rows,
            values: 0,
            problems: file.parsed.problems.total,
            reviewed: file.reviewed,
            recorded: None,
        };
        let at = self.files.len();
        for rows in file.parsed.series {
            let known = lake.known_values(&rows)?;
            let k = *self.index.entry(rows.series.clone()).or_insert_with(|| {
                self.series.push(rows.series.clone());
                self.series.len() - 1
            });
            let run = sorted(k, at, rows, file.reviewed, &known, report);
            info.values += run.value.len() as u64;
            if !run.value.is_empty() {
                self.runs.push(run);
            }
        }
        self.files.push(info);
        Ok(())
    }

    /// Runs by medium and local year, each sorted by subject, indicator, file.
    fn partitions(&mut self, medium: &dyn Fn(&str) -> String) -> Vec<(String, Vec<Run>)> {
        let mut by: BTreeMap<(String, i64), Vec<Run>> = BTreeMap::new();
        for run in std::mem::take(&mut self.runs) {
            let series = &self.series[run.series];
            let m = medium(series.indicator.as_str());
            let offset = i64::from(series.utc_offset_minutes) * 60;
            let mut rest = run;
            while let Some(first) = rest.label_s.first() {
                let year = year_of(first + offset);
                let end = rest
                    .label_s
                    .partition_point(|t| year_of(t + offset) == year);
                let tail = Run {
                    series: rest.series,
                    file: rest.file,
                    label_s: rest.label_s.split_off(end),
                    value: rest.value.split_off(end),
                    flag: rest.flag.split_off(end),
                    line: rest.line.split_off(end),
                    origin: Vec::new(),
                };
                by.entry((m.clone(), year)).or_default().push(rest);
                rest = tail;
            }
        }
        let digest = self.files.iter().fold(blake3::Hasher::new(), |mut h, f| {
            h.update(f.digest.as_bytes());
            h
        });
        let name = digest.finalize().to_hex();
        by.into_iter()
            .map(|((m, year), mut runs)| {
                runs.sort_by(|a, b| {
                    let key = |r: &Run| {
                        (
                            &self.series[r.series].subject,
                            &self.series[r.series].indicator,
                            r.file,
                            r.series,
                        )
                    };
                    key(a).cmp(&key(b))
                });
                (
                    format!(
                        "observations/medium={m}/year={year:04}/{}.parquet",
                        &name[..16]
                    ),
                    runs,
                )
            })
            .collect()
    }
}

/// Calendar year of an instant given in local seconds.
fn year_of(local_s: i64) -> i64 {
    let days = local_s.div_euclid(86_400);
    let date = jiff::civil::date(1970, 1, 1)
        .saturating_add(jiff::Span::new().days(days.clamp(-700_000, 2_900_000)));
    i64::from(date.year())
}

/// The rows of a file that say something new, sorted by label.
fn sorted(
    series: usize,
    file: usize,
    rows: SeriesRows,
    reviewed: bool,
    known: &HashMap<i64, Held>,
    report: &mut ImportReport,
) -> Run {
    let in_order = rows.label_s.is_sorted();
    if in_order && known.is_empty() {
        report.values_new += rows.len() as u64;
        return Run {
            series,
            file,
            label_s: rows.label_s,
            value: rows.value,
            flag: rows.flag,
            line: rows.line,
            origin: Vec::new(),
        };
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if !in_order {
        order.sort_by_key(|i| rows.label_s[*i]);
    }
    order.retain(|i| match known.get(&rows.label_s[*i]) {
        Some(old) if old.reviewed && !reviewed => {
            report.values_outranked += 1;
            false
        }
        Some(old)
            if *old
                == Held {
                    value: rows.value[*i],
                    flag: rows.flag[*i],
                    reviewed,
                } =>
        {
            report.values_known += 1;
            false
        }
        Some(_) => {
            report.values_revised += 1;
            true
        }
        None => {
            report.values_new += 1;
            true
        }
    });
    Run {
        series,
        file,
        label_s: order.iter().map(|i| rows.label_s[*i]).collect(),
        value: order.iter().map(|i| rows.value[*i]).collect(),
        flag: order.iter().map(|i| rows.flag[*i]).collect(),
        line: order.iter().map(|i| rows.line[*i]).collect(),
        origin: Vec::new(),
    }
}

/// Writes the parts on two threads: encoding is the larger part of an import.
pub(crate) fn write_parts(
    root: &Path,
    series: &[Series],
    origins: &[String],
    partitions: Vec<(String, Vec<Run>)>,
) -> Result<Vec<PartInfo>, LakeError> {
    let queue = std::sync::Mutex::new(partitions);
    let work = || -> Result<Vec<PartInfo>, LakeError> {
        let mut done = Vec::new();
        loop {
            let next = queue
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .pop();
            let Some((path, runs)) = next else {
                return Ok(done);
            };
            done.push(part::write(root, &path, series, origins, &runs)?);
        }
    };
    let (a, b) = std::thread::scope(|s| {
        let other = s.spawn(work);
        let here = work();
        (
            here,
            other
                .join()
                .unwrap_or_else(|p| std::panic::resume_unwind(p)),
        )
    });
    let mut parts: Vec<PartInfo> = a?.into_iter().chain(b?).collect();
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(parts)
}
