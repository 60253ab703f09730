//! Reading dense hours: the values that hold, hour by hour, with what they rest on.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::{Series, SubjectId};
use miyun_import::SeriesRows;

use crate::part::{self, Columns};
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
    /// Local hours from the first day: 10^-6 of the series' unit, [`MISSING`] for none.
    pub values: Vec<i64>,
    /// Values that fell into the days, whatever their flag.
    pub rows: u64,
    /// Of these, flagged invalid.
    pub invalid: u64,
    /// Digests of the files they came from, oldest first.
    pub origins: Vec<String>,
}

impl Dense {
    /// BLAKE3 of the values that hold: label (seconds since 1970) and value, both i64
    /// little-endian, in order of time. Lower-case hex.
    #[must_use]
    pub fn digest(&self, first_day: Date, hours: std::ops::Range<usize>) -> (u64, String) {
        let mut hasher = blake3::Hasher::new();
        let mut n = 0;
        let start = first_label_s(first_day, &self.series, self.interval);
        let mut buffer = Vec::with_capacity(16 * hours.len().min(1 << 16));
        for h in hours {
            match self.values.get(h) {
                Some(v) if *v != MISSING => {
                    buffer.extend((start + 3_600 * h as i64).to_le_bytes());
                    buffer.extend(v.to_le_bytes());
                    n += 1;
                }
                _ => {}
            }
        }
        hasher.update(&buffer);
        (n, hasher.finalize().to_hex().to_string())
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

/// Spans of one row group that a request touches.
struct Unit<'a> {
    commit: &'a Commit,
    part: &'a str,
    group: usize,
    spans: Vec<&'a Span>,
}

impl Lake {
    fn wanted<'a>(&'a self, r: &Request<'_>, commit: &'a Commit) -> Vec<bool> {
        commit
            .series
            .iter()
            .map(|s| {
                (r.subjects.is_empty() || r.subjects.contains(&s.subject))
                    && (r.indicators.is_empty() || r.indicators.contains(&s.indicator.as_str()))
            })
            .collect()
    }

    fn units<'a>(&'a self, r: &Request<'_>) -> Vec<Unit<'a>> {
        let mut units: Vec<Unit<'a>> = Vec::new();
        for commit in self
            .commits
            .iter()
            .filter(|c| r.as_known_on.is_none_or(|t| c.recorded_at.as_str() <= t))
        {
            let wanted = self.wanted(r, commit);
            for part in &commit.parts {
                let mut groups: BTreeMap<usize, Vec<&Span>> = BTreeMap::new();
                for span in part
                    .spans
                    .iter()
                    .filter(|s| wanted.get(s.series) == Some(&true))
                {
                    let series = &commit.series[span.series];
                    let start =
                        first_label_s(r.first_day, series, r.interval.unwrap_or(series.interval));
                    if span.last_s >= start && span.first_s < start + 3_600 * 24 * r.days as i64 {
                        groups.entry(span.group).or_default().push(span);
                    }
                }
                units.extend(groups.into_iter().map(|(group, spans)| Unit {
                    commit,
                    part: &part.path,
                    group,
                    spans,
                }));
            }
        }
        units
    }

    /// Dense hours of the requested subjects, sorted by subject. Where a label was recorded more
    /// than once, the last recorded value holds.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn hours(&self, r: &Request<'_>) -> Result<Vec<SubjectHours>, LakeError> {
        let mut by: HashMap<Series, Dense> = HashMap::new();
        let mut order: Vec<Series> = Vec::new();
        let units = self.units(r);
        let columns = in_order(&units, |u| self.columns(u))?;
        for (unit, (first, columns)) in units.iter().zip(&columns) {
            for span in &unit.spans {
                let series = &unit.commit.series[span.series];
                let dense = by.entry(series.clone()).or_insert_with(|| {
                    order.push(series.clone());
                    Dense::empty(series, r)
                });
                dense.overlay(r, span, *first, columns);
                dense.name_origin(unit.commit, span);
            }
        }
        let mut subjects: BTreeMap<SubjectId, Vec<Dense>> = BTreeMap::new();
        for key in order {
            if let Some(dense) = by.remove(&key) {
                subjects.entry(key.subject.clone()).or_default().push(dense);
            }
        }
        Ok(subjects
            .into_iter()
            .map(|(subject, series)| SubjectHours { subject, series })
            .collect())
    }

    /// Calls `each` for every subject of the request, on two threads, holding one row group per
    /// thread in memory. For assessments of whole countries.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn scan<T: Send>(
        &self,
        r: &Request<'_>,
        each: impl Fn(SubjectHours) -> T + Sync,
    ) -> Result<Vec<T>, LakeError> {
        let units = self.units(r);
        // Subjects whose rows lie in one row group are handled there; the rest are gathered.
        let mut places: HashMap<&SubjectId, usize> = HashMap::new();
        for u in &units {
            let mut here: Vec<&SubjectId> = u
                .spans
                .iter()
                .map(|s| &u.commit.series[s.series].subject)
                .collect();
            here.dedup();
            for s in here {
                *places.entry(s).or_default() += 1;
            }
        }
        let whole =
            |s: &Span, u: &Unit<'_>| places.get(&u.commit.series[s.series].subject) == Some(&1);
        let done = in_order(&units, |u| {
            let kept: Vec<&Span> = u.spans.iter().copied().filter(|s| whole(s, u)).collect();
            if kept.is_empty() {
                return Ok(Vec::new());
            }
            let (first, columns) = self.columns(u)?;
            let mut out = Vec::new();
            for spans in kept.chunk_by(|a, b| {
                u.commit.series[a.series].subject == u.commit.series[b.series].subject
            }) {
                let mut hours = SubjectHours {
                    subject: u.commit.series[spans[0].series].subject.clone(),
                    series: Vec::with_capacity(spans.len()),
                };
                for span in spans {
                    let series = &u.commit.series[span.series];
                    if hours
                        .series
                        .last()
                        .is_none_or(|d: &Dense| d.series != *series)
                    {
                        hours.series.push(Dense::empty(series, r));
                    }
                    if let Some(dense) = hours.series.last_mut() {
                        dense.name_origin(u.commit, span);
                        dense.overlay(r, span, first, &columns);
                    }
                }
                out.push(each(hours));
            }
            Ok(out)
        })?;
        let mut out: Vec<T> = done.into_iter().flatten().collect();
        let scattered: Vec<SubjectId> = places
            .iter()
            .filter(|(_, n)| **n > 1)
            .map(|(s, _)| (*s).clone())
            .collect();
        if !scattered.is_empty() {
            let rest = Request {
                subjects: &scattered,
                ..r.clone()
            };
            out.extend(self.hours(&rest)?.into_iter().map(each));
        }
        Ok(out)
    }

    /// Columns of the rows from the first to the last span of a unit, and the row of the first.
    fn columns(&self, u: &Unit<'_>) -> Result<(usize, Columns), LakeError> {
        let first = u.spans.iter().map(|s| s.start).min().unwrap_or(0);
        let end = u.spans.iter().map(|s| s.start + s.rows).max().unwrap_or(0);
        let flags = u.spans.iter().any(|s| !s.usable);
        Ok((
            first,
            part::read(&self.root, u.part, u.group, first..end, flags, false)?,
        ))
    }

    /// Every stored row behind the local hours of a series, superseded ones too, in order of label
    /// and recording.
    ///
    /// # Errors
    /// [`LakeError`] if a part cannot be read.
    pub fn rows(&self, r: &Request<'_>) -> Result<Vec<Row>, LakeError> {
        let mut out: Vec<(i64, Row)> = Vec::new();
        for u in self.units(r) {
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
                    true,
                )?;
                for i in 0..c.value.len() {
                    if c.label_s[i] < start || c.label_s[i] >= end {
                        continue;
                    }
                    let name = u
                        .commit
                        .files
                        .iter()
                        .find(|f| f.digest == c.origin[i])
                        .map_or("", |f| f.name.as_str());
                    out.push((
                        c.label_s[i],
                        Row {
                            file: name.to_owned(),
                            origin: c.origin[i].clone(),
                            line: c.line[i],
                            label: local_text(c.label_s[i], series.utc_offset_minutes),
                            value: c.value[i],
                            unit: series.unit.to_string(),
                            flag: c.flag[i],
                            recorded_at: u.commit.recorded_at.clone(),
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
    pub(crate) fn known_values(
        &self,
        rows: &SeriesRows,
    ) -> Result<HashMap<i64, (i64, Flag)>, LakeError> {
        let mut known = HashMap::new();
        let (Some(low), Some(high)) = (rows.label_s.iter().min(), rows.label_s.iter().max()) else {
            return Ok(known);
        };
        for commit in &self.commits {
            for part in &commit.parts {
                for span in part.spans.iter().filter(|s| {
                    commit.series[s.series] == rows.series && s.last_s >= *low && s.first_s <= *high
                }) {
                    let c = part::read(
                        &self.root,
                        &part.path,
                        span.group,
                        span.start..span.start + span.rows,
                        true,
                        false,
                    )?;
                    known.extend(
                        c.label_s
                            .iter()
                            .zip(c.value.iter().zip(&c.flag))
                            .map(|(t, (v, f))| (*t, (*v, *f))),
                    );
                }
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

impl Dense {
    fn empty(series: &Series, r: &Request<'_>) -> Self {
        Self {
            series: series.clone(),
            interval: r.interval.unwrap_or(series.interval),
            values: vec![MISSING; r.days * 24],
            rows: 0,
            invalid: 0,
            origins: Vec::new(),
        }
    }

    fn name_origin(&mut self, commit: &Commit, span: &Span) {
        if let Some(file) = commit
            .files
            .get(span.file)
            .filter(|f| !self.origins.contains(&f.digest))
        {
            self.origins.push(file.digest.clone());
        }
    }

    fn overlay(&mut self, r: &Request<'_>, span: &Span, first: usize, c: &Columns) {
        let start = first_label_s(r.first_day, &self.series, self.interval);
        let rows = span.start - first..span.start - first + span.rows;
        let (labels, values) = (&c.label_s[rows.clone()], &c.value[rows.clone()]);
        let n = self.values.len();
        if span.usable {
            for (t, v) in labels.iter().zip(values) {
                let h = (t - start).div_euclid(3_600);
                if let Some(slot) = usize::try_from(h).ok().filter(|h| *h < n) {
                    self.values[slot] = *v;
                    self.rows += 1;
                }
            }
            return;
        }
        for ((t, v), flag) in labels.iter().zip(values).zip(&c.flag[rows]) {
            let h = (t - start).div_euclid(3_600);
            if let Some(slot) = usize::try_from(h).ok().filter(|h| *h < n) {
                self.values[slot] = if flag.usable() { *v } else { MISSING };
                self.rows += 1;
                self.invalid += u64::from(!flag.usable());
            }
        }
    }
}

/// `work` of every item, on two threads, results in the order of the items.
fn in_order<I: Sync, T: Send>(
    items: &[I],
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
        let other = (items.len() > 1).then(|| s.spawn(run));
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
