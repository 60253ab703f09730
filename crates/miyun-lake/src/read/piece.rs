//! What one row group says of a series, and how pieces become dense hours: the last recorded value of
//! an hour holds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use miyun_core::Series;

use super::{Dense, MISSING, Request, first_label_s};
use crate::part;
use crate::{Commit, Span};

/// Marks, until all pieces are laid over each other, an hour whose last recorded value may not be
/// used: it replaces an earlier value, where [`MISSING`] would leave it.
const UNUSABLE: i64 = i64::MIN + 1;
const HOUR_MS: i64 = 3_600_000;

/// A file: sequence of its import, position in its commit, digest.
pub(super) type Origin<'a> = (u64, usize, &'a str);

/// What one row group says of one series: some of the hours of a request.
pub(super) struct Piece<'a> {
    pub series: &'a Series,
    /// Label of hour 0 of the request, milliseconds since 1970.
    start_ms: i64,
    /// Hours of the request between its first and last row.
    pub hours: Range<usize>,
    pub values: Vec<i64>,
    pub rows: u64,
    invalid: u64,
    pub origins: BTreeMap<Origin<'a>, Vec<Range<usize>>>,
    /// The hours that each of the commit's files gave, run by run.
    gave: BTreeMap<usize, Vec<Range<usize>>>,
}

impl<'a> Piece<'a> {
    pub fn of(series: &'a Series, r: &Request<'_>) -> Self {
        let interval = r.interval.unwrap_or(series.interval);
        Self {
            series,
            start_ms: first_label_s(r.first_day, series, interval) * 1_000,
            hours: 0..0,
            values: Vec::new(),
            rows: 0,
            invalid: 0,
            origins: BTreeMap::new(),
            gave: BTreeMap::new(),
        }
    }

    /// Makes room for the hours of a span.
    pub fn widen(&mut self, span: &Span, r: &Request<'_>) {
        let hours = (r.days * 24) as i64;
        let hour = |s: i64| (s * 1_000 - self.start_ms).div_euclid(HOUR_MS);
        let from = hour(span.first_s).clamp(0, hours) as usize;
        let until = (hour(span.last_s) + 1).clamp(0, hours) as usize;
        self.hours = if self.hours.is_empty() {
            from..until
        } else {
            self.hours.start.min(from)..self.hours.end.max(until)
        };
    }

    /// Lays rows of merged commits over what is there: those that were recorded by the time asked
    /// for.
    pub fn overlay_mixed(&mut self, rows: &part::Rows<'_>, commit: &Commit, r: &Request<'_>) {
        let knew = |k: usize| {
            let file = commit.files.get(k);
            r.as_known_on
                .is_none_or(|t| file.is_some_and(|f| commit.recorded(f).1 <= t))
        };
        let all_known = r
            .as_known_on
            .is_none_or(|t| commit.recorded_at.as_str() <= t);
        let start = self.start_ms + self.hours.start as i64 * HOUR_MS;
        let end = self.start_ms + self.hours.end as i64 * HOUR_MS;
        for i in 0..rows.time_ms.len() {
            let Some(file) = rows.file(i) else { continue };
            if all_known {
                if (start..end).contains(&rows.time_ms[i]) {
                    let hour = ((rows.time_ms[i] - self.start_ms) / HOUR_MS) as usize;
                    note(&mut self.gave, file, hour..hour + 1);
                }
            } else if knew(file) {
                self.overlay(&rows.row(i), Some(file));
            }
        }
        if all_known {
            self.overlay(rows, None);
        }
    }

    /// Names the files that gave something.
    pub fn name_files(&mut self, commit: &'a Commit) {
        for (k, hours) in std::mem::take(&mut self.gave) {
            if let Some(f) = commit.files.get(k) {
                let origin = (commit.recorded(f).0, k, f.digest.as_str());
                self.origins.entry(origin).or_default().extend(hours);
            }
        }
    }

    /// Lays rows over what is there; they came from `file`, if that is not noted otherwise.
    pub fn overlay(&mut self, rows: &part::Rows<'_>, file: Option<usize>) {
        let Some(first) = rows.time_ms.first() else {
            return;
        };
        let start = self.start_ms + self.hours.start as i64 * HOUR_MS;
        let (offset, slots) = (first - start, self.values.as_mut_slice());
        // A run without a gap has its place as a whole; most have none.
        let whole = offset.rem_euclid(HOUR_MS) == 0
            && rows.time_ms.array_windows().all(|[a, b]| b - a == HOUR_MS);
        if whole {
            let at = offset.div_euclid(HOUR_MS);
            let n = rows.value.len() as i64;
            let from = (-at).clamp(0, n);
            let until = (slots.len() as i64 - at).clamp(from, n);
            let rows_in = from as usize..until as usize;
            if rows_in.is_empty() {
                return;
            }
            let hours = (at + from) as usize..(at + until) as usize;
            if let Some(file) = file {
                let first = self.hours.start;
                note(&mut self.gave, file, first + hours.start..first + hours.end);
            }
            let slots = &mut slots[hours];
            slots.copy_from_slice(&rows.value[rows_in.clone()]);
            self.rows += rows_in.len() as u64;
            let (words, keys) = rows.usable.unwrap_or_default();
            // One pass a word, without a look-up for each row; one word says invalid.
            for (word, _) in words.iter().enumerate().filter(|(_, usable)| !**usable) {
                let mut invalid = 0u64;
                for (slot, key) in slots.iter_mut().zip(&keys[rows_in.clone()]) {
                    let here = *key as usize == word;
                    *slot = if here { UNUSABLE } else { *slot };
                    invalid += u64::from(here);
                }
                self.invalid += invalid;
            }
            return;
        }
        for (i, (t, v)) in rows.time_ms.iter().zip(rows.value).enumerate() {
            let hour = usize::try_from((t - start).div_euclid(HOUR_MS)).ok();
            if let Some(hour) = hour
                && let Some(slot) = slots.get_mut(hour)
            {
                if let Some(file) = file {
                    let hour = self.hours.start + hour;
                    note(&mut self.gave, file, hour..hour + 1);
                }
                let usable = rows.usable(i);
                *slot = if usable { *v } else { UNUSABLE };
                self.rows += 1;
                self.invalid += u64::from(!usable);
            }
        }
    }
}

/// Adds hours to those of a file.
fn note(gave: &mut BTreeMap<usize, Vec<Range<usize>>>, file: usize, hours: Range<usize>) {
    let runs = gave.entry(file).or_default();
    match runs.last_mut() {
        Some(run) if run.start <= hours.start && hours.start <= run.end => {
            run.end = run.end.max(hours.end);
        }
        _ => runs.push(hours),
    }
}

/// The same hours in order, as few runs as there can be.
pub(super) fn in_runs(mut hours: Vec<Range<usize>>) -> Vec<Range<usize>> {
    hours.sort_unstable_by_key(|r| r.start);
    hours.dedup_by(|next, run| {
        let meets = next.start <= run.end;
        if meets {
            run.end = run.end.max(next.end);
        }
        meets
    });
    hours
}

impl Dense {
    pub(super) fn of(piece: Piece<'_>, r: &Request<'_>) -> Self {
        let mut dense = Self {
            series: piece.series.clone(),
            interval: r.interval.unwrap_or(piece.series.interval),
            values: Arc::default(),
            rows: 0,
            invalid: 0,
            origins: Vec::new(),
        };
        if piece.hours == (0..r.days * 24) {
            dense.rows = piece.rows;
            dense.invalid = piece.invalid;
            dense.values = Arc::new(piece.values);
        } else {
            dense.values = Arc::new(vec![MISSING; r.days * 24]);
            dense.supersede(piece);
        }
        dense
    }

    /// Lays a later piece over what is there.
    pub(super) fn supersede(&mut self, piece: Piece<'_>) {
        let values = Arc::make_mut(&mut self.values);
        for (slot, v) in values[piece.hours].iter_mut().zip(&piece.values) {
            if *v != MISSING {
                *slot = *v;
            }
        }
        self.rows += piece.rows;
        self.invalid += piece.invalid;
    }

    pub(super) fn forget_unusable(&mut self) {
        if self.invalid > 0 {
            for v in Arc::make_mut(&mut self.values) {
                *v = if *v == UNUSABLE { MISSING } else { *v };
            }
        }
    }
}
