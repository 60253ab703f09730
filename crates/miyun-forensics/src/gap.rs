//! Hours without values, inside the record of the station.

use miyun_core::{IndicatorId, SubjectId};

use crate::params::Gap;
use crate::{Finding, Kind, View, Weight};

/// Runs of hours `(first, last)` for which `missing` holds, of at least `min` hours.
fn runs(
    hours: std::ops::Range<usize>,
    min: usize,
    missing: impl Fn(usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = None;
    let end = hours.end;
    for h in hours {
        match (missing(h), start) {
            (true, None) => start = Some(h),
            (false, Some(s)) => {
                if h - s >= min {
                    out.push((s, h - 1));
                }
                start = None;
            }
            _ => {}
        }
    }
    if let Some(s) = start.filter(|s| end - s >= min) {
        out.push((s, end - 1));
    }
    out
}

pub(crate) fn find(subject: &SubjectId, views: &[View<'_>], p: &Gap) -> Vec<Finding> {
    // The record of the station: from the first value of any indicator to the last.
    let first = views
        .iter()
        .filter_map(|v| (0..v.raw.len()).find(|h| v.present(*h)))
        .min();
    let last = views
        .iter()
        .filter_map(|v| (0..v.raw.len()).rev().find(|h| v.present(*h)))
        .max();
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    let silent = runs(first..last + 1, p.silent_hours_min, |h| {
        views.iter().all(|v| !v.present(h))
    });
    let mut out: Vec<Finding> = silent
        .iter()
        .map(|hours| finding(subject, None, *hours, p.silent_hours_min, p))
        .collect();
    for v in views {
        // From the series' own first value: an instrument that is not there yet has no gap.
        let Some(first) = (0..v.raw.len()).find(|h| v.present(*h)) else {
            continue;
        };
        for hours in runs(first..last + 1, p.hours_min, |h| !v.present(h)) {
            // Said once, where the whole station is silent.
            let covered = silent
                .iter()
                .any(|s| s.0 <= hours.0 + p.hours_min && hours.1 <= s.1 + p.hours_min);
            if !covered {
                out.push(finding(subject, Some(v.indicator), hours, p.hours_min, p));
            }
        }
    }
    out
}

fn finding(
    subject: &SubjectId,
    indicator: Option<&IndicatorId>,
    hours: (usize, usize),
    min: usize,
    p: &Gap,
) -> Finding {
    let n = hours.1 - hours.0 + 1;
    let weight = if n >= p.hours_doubt {
        Weight::Doubt
    } else {
        Weight::Note
    };
    let (zh, en) = match indicator {
        None => (
            format!("全站各项连续 {n} 小时没有数值"),
            format!("no value of any indicator for {n} hours"),
        ),
        Some(_) => (
            format!("连续 {n} 小时没有数值"),
            format!("no value for {n} hours"),
        ),
    };
    Finding::new(Kind::Gap, subject, indicator, hours)
        .weighs(weight, n as f64 / min as f64)
        .because(zh, en)
}
