//! The values of one quantity over time that hold, newest or oldest first, in pieces.

use std::collections::HashMap;

use miyun_core::observation::Flag;
use miyun_core::{SubjectId, UnitId};

use crate::commit::{Commit, Span};
use crate::part;
use crate::{Lake, LakeError};

/// Which values are wanted.
#[derive(Debug, Clone)]
pub struct Window<'a> {
    /// Subjects that it was observed at, one after the other.
    pub subjects: &'a [SubjectId],
    /// Indicators that it is stored under.
    pub indicators: &'a [&'a str],
    /// First label, seconds since 1970 UTC.
    pub from_s: i64,
    /// Label before which they end.
    pub until_s: i64,
    /// Newest first; oldest first otherwise.
    pub newest_first: bool,
    /// It may end after so many values, though more lie in the window.
    pub enough: usize,
    /// Rows looked at, at most.
    pub rows_max: u64,
}

/// A value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Its label, seconds since 1970 UTC.
    pub label_s: i64,
    /// Value in 10^-6 of `unit`.
    pub value: i64,
    /// Unit.
    pub unit: UnitId,
    /// Flag.
    pub flag: Flag,
    /// When it was recorded, RFC 3339 UTC.
    pub recorded_at: String,
    /// A person reviewed it.
    pub reviewed: bool,
}

impl Lake {
    /// The values in a window, in its order; of a label that was recorded more than once the last.
    ///
    /// # Errors
    /// [`LakeError::TooMuch`] if it would take more rows than allowed, others if a part cannot be
    /// read.
    pub fn observed(&self, w: &Window<'_>) -> Result<Vec<Observed>, LakeError> {
        let mut spans: Vec<(&Commit, &str, &Span)> = self
            .spans_of(w.subjects)
            .filter(|(c, _, s)| {
                w.indicators
                    .contains(&c.series[s.series].indicator.as_str())
                    && s.last_s >= w.from_s
                    && s.first_s < w.until_s
            })
            .collect();
        if w.newest_first {
            spans.sort_by_key(|(_, _, s)| std::cmp::Reverse(s.last_s));
        } else {
            spans.sort_by_key(|(_, _, s)| s.first_s);
        }
        let mut files: HashMap<u64, HashMap<&str, usize>> = HashMap::new();
        let mut found: Vec<((u64, usize), Observed)> = Vec::new();
        let mut rows = 0;
        for (k, (commit, path, span)) in spans.iter().enumerate() {
            // What is complete: labels that no span to come can hold.
            let edge = if w.newest_first {
                span.last_s
            } else {
                span.first_s
            };
            if k.is_power_of_two() || k % 64 == 63 {
                let beyond =
                    |o: &Observed| (o.label_s > edge) == w.newest_first && o.label_s != edge;
                let mut labels: Vec<i64> = found
                    .iter()
                    .filter(|(_, o)| beyond(o))
                    .map(|(_, o)| o.label_s)
                    .collect();
                labels.sort_unstable();
                labels.dedup();
                if labels.len() >= w.enough {
                    found.retain(|(_, o)| beyond(o));
                    break;
                }
            }
            rows += span.rows as u64;
            if rows > w.rows_max {
                return Err(LakeError::TooMuch { most: w.rows_max });
            }
            let range = span.start..span.start + span.rows;
            let c = part::read(self.root(), path, span.group, range, span.mixed)?;
            let unit = &commit.series[span.series].unit;
            for i in 0..c.value.len() {
                if c.label_s[i] < w.from_s || c.label_s[i] >= w.until_s {
                    continue;
                }
                let place = match c.origin.get(i) {
                    Some(origin) => files
                        .entry(commit.sequence)
                        .or_insert_with(|| commit.file_index())
                        .get(origin.as_str())
                        .copied(),
                    None => Some(span.file),
                };
                let Some((place, file)) = place.and_then(|k| Some((k, commit.files.get(k)?)))
                else {
                    continue;
                };
                let (sequence, at) = commit.recorded(file);
                found.push((
                    (sequence, place),
                    Observed {
                        label_s: c.label_s[i],
                        value: c.value[i],
                        unit: unit.clone(),
                        flag: c.flag[i],
                        recorded_at: at.to_owned(),
                        reviewed: file.reviewed,
                    },
                ));
            }
        }
        // The last recorded one of a label first, so that it is the one that stays.
        found.reverse();
        found.sort_by(|(x, a), (y, b)| {
            let label = if w.newest_first {
                b.label_s.cmp(&a.label_s)
            } else {
                a.label_s.cmp(&b.label_s)
            };
            label.then(y.cmp(x))
        });
        found.dedup_by_key(|(_, o)| o.label_s);
        Ok(found.into_iter().map(|(_, o)| o).collect())
    }
}
