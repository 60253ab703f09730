//! Reading dense hours: the values that hold, hour by hour, with what they rest on.

mod piece;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::{Series, SubjectId};
use miyun_import::SeriesRows;

use self::piece::{Origin, Piece, in_runs};
use crate::import::Held;
use crate::part;
use crate::{Commit, Lake, LakeError, Span};

/// Marks an hour without a usable value.
pub const MISSING: i64 = i64::MIN;

/// Which hours are wanted.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Subjects; empty for all.
    pub subjects: &'a [SubjectId],
    /// Indicators; empty for all.
    pub indicators: &'a [&'a str],
    /// First local day.
    pub first_day: Date,
    /// How many days.
    pub days: usize,
    /// Reads labels this way whatever the series declares.
    pub interval: Option<IntervalLabel>,
    /// Only what was recorded by then, RFC 3339 UTC.
    pub as_known_on: Option<&'a str>,
}

/// Dense hours of one series as the sender stated it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// The series: unit, time zone, declared label.
    pub series: Series,
    /// How the labels were read.
    pub interval: IntervalLabel,
    /// Local hours from the first day: 10^-6 of the series' unit, [`MISSING`] for none. Shared, as
    /// an engine that reads this unit takes them as they are.
    pub values: Arc<Vec<i64>>,
    /// Values that fell into the days, whatever their flag.
    pub rows: u64,
    /// Of these, flagged invalid.
    pub invalid: u64,
    /// Files they came from, oldest first, each with the hours it gave.
    origins: Vec<(String, Vec<Range<usize>>)>,
}

impl Dense {
    /// Digests of the files that gave some of the hours, superseded or not, oldest first. They are the
    /// same whether these hours or more were asked for.
    #[must_use]
    pub fn origins(&self, hours: &Range<usize>) -> Vec<String> {
        let meets = |r: &Range<usize>| r.start < hours.end && hours.start < r.end;
        let some = self.origins.iter().filter(|(_, of)| of.iter().any(meets));
        some.map(|(digest, _)| digest.clone()).collect()
    }

    /// How many values hold in the hours, and BLAKE3 of these: the label of the first hour (seconds
    /// since 1970), then the value of every hour, [`MISSING`] where none holds, all i64
    /// little-endian. Lower-case hex.
    #[must_use]
    pub fn digest(&self, first_day: Date, hours: Range<usize>) -> (u64, String) {
        let from = hours.start.min(self.values.len());
        let values = &self.values[from..hours.end.clamp(from, self.values.len())];
        let label = first_label_s(first_day, &self.series, self.interval) + 3_600 * from as i64;
        let mut hash = blake3::Hasher::new();
        hash.update(&label.to_le_bytes());
        if cfg!(target_endian = "little") {
            hash.update(bytemuck::cast_slice(values));
        } else {
            values.iter().for_each(|v| {
                hash.update(&v.to_le_bytes());
            });
        }
        let n = values.iter().filter(|v| **v != MISSING).count();
        (n as u64, hash.finalize().to_hex().to_string())
    }
}

/// Dense hours of one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectHours {
    /// The subject.
    pub subject: SubjectId,
    /// Its series; where a subject has one indicator in two units, both, the older first.
    pub series: Vec<Dense>,
}

/// One stored row behind a figure.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Name of the file.
    pub file: String,
    /// Digest of the file.
    pub origin: String,
    /// Line in it.
    pub line: u32,
    /// Label as the sender wrote it, local time.
    pub label: String,
    /// Value in 10^-6 of `unit`.
    pub value: i64,
    /// Unit.
    pub unit: String,
    /// Flag.
    pub flag: Flag,
    /// When it was recorded.
    pub recorded_at: String,
    /// False if a later recorded value replaced it.
    pub holds: bool,
}

/// Instant of the label of the first local hour.
fn first_label_s(first_day: Date, series: &Series, interval: IntervalLabel) -> i64 {
    let days = i64::from((first_day - jiff::civil::date(1970, 1, 1)).get_days());
    let shift = i64::from(interval == IntervalLabel::HourEnd);
    days * 86_400 - i64::from(series.utc_offset_minutes) * 60 + shift * 3_600
}

/// Position of a span: commit, part of it, span of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    commit: usize,
    part: usize,
    span: usize,
}

/// Spans of one row group that a request touches.
struct Unit<'a> {
    commit: &'a Commit,
    part: &'a str,
    group: usize,
    spans: Vec<&'a Span>,
}

impl Lake {
    /// Spans that a request touches, by row group, oldest commit first.
    fn units<'a>(&'a self, r: &Request<'_>) -> Vec<Unit<'a>> {
        let mut places: Vec<Place> = match r.subjects {
            [] => self.index().values().flatten().copied().collect(),
            some => some
                .iter()
                .filter_map(|s| self.index().get(s))
                .flatten()
                .copied()
                .collect(),
        };
        places.sort_unstable();
        places.dedup();
        let mut units: Vec<Unit<'a>> = Vec::new();
        let mut last = None;
        for place in places {
            let commit = &self.commits[place.commit];
            let part = &commit.parts[place.part];
            let span = &part.spans[place.span];
            let series = &commit.series[span.series];
            let start = first_label_s(r.first_day, series, r.interval.unwrap_or(series.interval));
            let known = r.as_known_on.is_none_or(|t| commit.knew(span.series, t));
            let asked =
                r.indicators.is_empty() || r.indicators.contains(&series.indicator.as_str());
            let inside = span.last_s >= start && span.first_s < start + 3_600 * 24 * r.days as i64;
            if !(known && asked && inside) {
                continue;
            }
            let here = Some((place.commit, place.part, span.group));
            if here != last {
                last = here;
                units.push(Unit {
                    commit,
                    part: &part.path,
                    group: span.group,
                    spans: Vec::new(),
                });
            }
            if let Some(unit) = units.last_mut() {
                unit.spans.push(span);
            }
        }
        units
    }

    /// Spans of some subjects with their commits and parts, oldest commit first.
    pub(crate) fn spans_of<'a>(
        &'a self,
        subjects: &[SubjectId],
    ) -> impl Iterator<Item = (&'a Commit, &'a str, &'a Span)> {
        let mut places: Vec<Place> = subjects
            .iter()
            .filter_map(|s| self.index().get(s))
            .flatten()
            .copied()
            .collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|p| {
            let commit = &self.commits[p.commit];
            let part = &commit.parts[p.part];
            (commit, part.path.as_str(), &part.spans[p.span])
        })
    }

    /// Where the spans of each subject are.
    fn index(&self) -> &HashMap<SubjectId, Vec<Place>> {
        self.index.get_or_init(|| {
            let mut by: HashMap<SubjectId, Vec<Place>> = HashMap::new();
            for (c, commit) in self.commits.iter().enumerate() {
                for (p, part) in commit.parts.iter().enumerate() {
                    for (s, span) in part.spans.iter().enumerate() {
                        let Some(series) = commit.series.get(span.series) else {
                            continue;
                        };
                        let place = Place {
                            commit: c,
                            part: p,
                            span: s,
                        };
                        match by.get_mut(&series.subject) {
                            Some(list) => list.push(place),
                            None => {
                                by.insert(series.subject.clone(), vec![place]);
                            }
                        }
                    }
                }
            }
            by
        })
    }

    /// Dense hours of the requested subjects, sorted by subject; a series without a row in them is
    /// left out. Where a label was recorded more than once, the last recorded value holds.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn hours(&self, r: &Request<'_>) -> Result<Vec<SubjectHours>, LakeError> {
        self.hours_on(2, r)
    }

    /// [`Lake::hours`] on at most `threads` threads, for callers that have threads of their own.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn hours_on(
        &self,
        threads: usize,
        r: &Request<'_>,
    ) -> Result<Vec<SubjectHours>, LakeError> {
        let units = self.units(r);
        let pieces = in_order(&units, threads, |u| self.pieces(u, r))?;
        let mut at: HashMap<&Series, usize> = HashMap::new();
        let mut all: Vec<Dense> = Vec::new();
        let mut origins: Vec<BTreeMap<Origin<'_>, Vec<Range<usize>>>> = Vec::new();
        for mut piece in pieces.into_iter().flatten().filter(|p| p.rows > 0) {
            let of = std::mem::take(&mut piece.origins);
            match at.get(piece.series) {
                Some(i) => {
                    for (origin, hours) in of {
                        origins[*i].entry(origin).or_default().extend(hours);
                    }
                    all[*i].supersede(piece);
                }
                None => {
                    at.insert(piece.series, all.len());
                    origins.push(of);
                    all.push(Dense::of(piece, r));
                }
            }
        }
        let mut subjects: BTreeMap<SubjectId, Vec<Dense>> = BTreeMap::new();
        for (mut dense, of) in all.into_iter().zip(origins) {
            // In the order of the imports, whichever part or merged commit they stand in.
            dense.origins = of
                .into_iter()
                .map(|((_, _, digest), hours)| (digest.to_owned(), in_runs(hours)))
                .collect();
            dense.forget_unusable();
            match subjects.get_mut(&dense.series.subject) {
                Some(list) => list.push(dense),
                None => {
                    subjects.insert(dense.series.subject.clone(), vec![dense]);
                }
            }
        }
        Ok(subjects
            .into_iter()
            .map(|(subject, series)| SubjectHours { subject, series })
            .collect())
    }

    /// What one row group says of each series.
    fn pieces<'a>(&self, u: &Unit<'a>, r: &Request<'_>) -> Result<Vec<Piece<'a>>, LakeError> {
        let mut out: Vec<Piece<'a>> = Vec::new();
        let mut at: HashMap<usize, usize> = HashMap::new();
        let mut target = Vec::with_capacity(u.spans.len());
        for span in &u.spans {
            let series = &u.commit.series[span.series];
            let k = *at.entry(span.series).or_insert_with(|| {
                out.push(Piece::of(series, r));
                out.len() - 1
            });
            out[k].widen(span, r);
            target.push(k);
        }
        for piece in &mut out {
            piece.values = vec![MISSING; piece.hours.len()];
        }
        let ranges: Vec<_> = u.spans.iter().map(|s| s.start..s.start + s.rows).collect();
        let flags = u.spans.iter().any(|s| !s.usable);
        // Rows of merged commits say their files one by one.
        let mixed = u.spans.iter().any(|s| s.mixed);
        let files = mixed.then(|| u.commit.file_index());
        let file_of = files
            .as_ref()
            .map(|m| move |digest: &str| m.get(digest).copied().unwrap_or(usize::MAX));
        let file_of = file_of.as_ref().map(|f| f as &dyn Fn(&str) -> usize);
        part::visit(
            &self.root,
            u.part,
            u.group,
            &ranges,
            flags,
            file_of,
            |k, rows| match u.spans[k].mixed {
                true => out[target[k]].overlay_mixed(rows, u.commit, r),
                false => out[target[k]].overlay(rows, Some(u.spans[k].file)),
            },
        )?;
        for piece in &mut out {
            piece.name_files(u.commit);
        }
        Ok(out)
    }

    /// Every stored row behind the local hours of a series, superseded ones too, in order of label
    /// and recording.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn rows(&self, r: &Request<'_>) -> Result<Vec<Row>, LakeError> {
        let mut out: Vec<(i64, Row)> = Vec::new();
        for u in self.units(r) {
            let files = u.commit.file_index();
            for span in &u.spans {
                let series = &u.commit.series[span.series];
                let start =
                    first_label_s(r.first_day, series, r.interval.unwrap_or(series.interval));
                let end = start + 3_600 * 24 * r.days as i64;
                let c = part::read(
                    &self.root,
                    u.part,
                    u.group,
                    span.start..span.start + span.rows,
                    true,
                )?;
                for i in 0..c.value.len() {
                    if c.label_s[i] < start || c.label_s[i] >= end {
                        continue;
                    }
                    let file = files.get(c.origin[i].as_str()).map(|k| &u.commit.files[*k]);
                    let recorded_at =
                        file.map_or(u.commit.recorded_at.as_str(), |f| u.commit.recorded(f).1);
                    if r.as_known_on.is_some_and(|t| recorded_at > t) {
                        continue;
                    }
                    out.push((
                        c.label_s[i],
                        Row {
                            file: file.map_or(String::new(), |f| f.name.clone()),
                            origin: c.origin[i].clone(),
                            line: c.line[i],
                            label: local_text(c.label_s[i], series.utc_offset_minutes),
                            value: c.value[i],
                            unit: series.unit.to_string(),
                            flag: c.flag[i],
                            recorded_at: recorded_at.to_owned(),
                            holds: true,
                        },
                    ));
                }
            }
        }
        out.sort_by_key(|(t, _)| *t);
        for i in 1..out.len() {
            if out[i].0 == out[i - 1].0 {
                out[i - 1].1.holds = false;
            }
        }
        Ok(out.into_iter().map(|(_, r)| r).collect())
    }

    /// Values that hold for the labels of `rows`, for series and labels that are already there.
    pub(crate) fn known_values(&self, rows: &SeriesRows) -> Result<HashMap<i64, Held>, LakeError> {
        let mut known = HashMap::new();
        let (Some(low), Some(high)) = (rows.label_s.iter().min(), rows.label_s.iter().max()) else {
            return Ok(known);
        };
        for place in self.index().get(&rows.series.subject).into_iter().flatten() {
            let commit = &self.commits[place.commit];
            let part = &commit.parts[place.part];
            let span = &part.spans[place.span];
            if commit.series[span.series] != rows.series
                || span.last_s < *low
                || span.first_s > *high
            {
                continue;
            }
            let c = part::read(
                &self.root,
                &part.path,
                span.group,
                span.start..span.start + span.rows,
                span.mixed,
            )?;
            let reviewed: HashSet<&str> = commit
                .files
                .iter()
                .filter(|f| f.reviewed)
                .map(|f| f.digest.as_str())
                .collect();
            let whole = &commit.files[span.file];
            for (i, label_s) in c.label_s.iter().enumerate() {
                let origin = c.origin.get(i).unwrap_or(&whole.digest).as_str();
                let reviewed = reviewed.contains(origin);
                let (value, flag) = (c.value[i], c.flag[i]);
                known.insert(
                    *label_s,
                    Held {
                        value,
                        flag,
                        reviewed,
                    },
                );
            }
        }
        Ok(known)
    }
}

/// `2016-05-01T13:00+08:00`.
fn local_text(label_s: i64, offset_minutes: i16) -> String {
    let local = label_s + i64::from(offset_minutes) * 60;
    let day = jiff::civil::date(1970, 1, 1).saturating_add(
        jiff::Span::new().days(local.div_euclid(86_400).clamp(-700_000, 2_900_000)),
    );
    let s = local.rem_euclid(86_400);
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let o = offset_minutes.unsigned_abs();
    format!(
        "{day}T{:02}:{:02}{sign}{:02}:{:02}",
        s / 3_600,
        s % 3_600 / 60,
        o / 60,
        o % 60
    )
}

/// `work` of every item, on at most two threads, results in the order of the items.
fn in_order<I: Sync, T: Send>(
    items: &[I],
    threads: usize,
    work: impl Fn(&I) -> Result<T, LakeError> + Sync,
) -> Result<Vec<T>, LakeError> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || -> Result<Vec<(usize, T)>, LakeError> {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(item) = items.get(i) else {
                return Ok(done);
            };
            done.push((i, work(item)?));
        }
    };
    let (a, b) = std::thread::scope(|s| {
        let other = (threads > 1 && items.len() > 1).then(|| s.spawn(run));
        let here = run();
        (
            here,
            other.map(|o| o.join().unwrap_or_else(|p| std::panic::resume_unwind(p))),
        )
    });
    let mut all: Vec<(usize, T)> = a?;
    all.extend(b.transpose()?.into_iter().flatten());
    all.sort_by_key(|(i, _)| *i);
    Ok(all.into_iter().map(|(_, t)| t).collect())
}
