//! The daily course of a series, held against that of its neighbours in the same hours.

use miyun_core::SubjectId;

use crate::finding::short;
use crate::params::Diurnal;
use crate::{Finding, Kind, View, Weight};

/// Daily courses of a window, own and the neighbours', over the hours in which both have values.
struct Courses {
    /// Slope of the own course on the neighbours'.
    slope: f64,
    correlation: f64,
    /// Standard deviations over the 24 hours.
    own: f64,
    others: f64,
    /// Standard error of an hour of the neighbours' course.
    error: f64,
}

fn courses(view: &View<'_>, hours: std::ops::Range<usize>, p: &Diurnal) -> Option<Courses> {
    let mut n = [0u32; 24];
    let (mut a, mut b, mut bb) = ([0f64; 24], [0f64; 24], [0f64; 24]);
    for (k, (x, y)) in view.x[hours.clone()]
        .iter()
        .zip(&view.others[hours])
        .enumerate()
    {
        if x.is_nan() || y.is_nan() {
            continue;
        }
        let (h, x, y) = (k % 24, f64::from(*x), f64::from(*y));
        n[h] += 1;
        a[h] += x;
        b[h] += y;
        bb[h] += y * y;
    }
    let total: u32 = n.iter().sum();
    if (total as usize) < p.values_min || n.iter().any(|n| *n < 3) {
        return None;
    }
    let mut variance = 0.0;
    for h in 0..24 {
        let m = f64::from(n[h]);
        a[h] /= m;
        b[h] /= m;
        variance += (bb[h] / m - b[h] * b[h]).max(0.0) / m / 24.0;
    }
    let mean = |v: &[f64; 24]| v.iter().sum::<f64>() / 24.0;
    let (ma, mb) = (mean(&a), mean(&b));
    let (mut saa, mut sbb, mut sab) = (0.0, 0.0, 0.0);
    for h in 0..24 {
        let (x, y) = (a[h] - ma, b[h] - mb);
        saa += x * x;
        sbb += y * y;
        sab += x * y;
    }
    if sbb <= 0.0 {
        return None;
    }
    Some(Courses {
        slope: sab / sbb,
        correlation: if saa > 0.0 {
            sab / (saa * sbb).sqrt()
        } else {
            0.0
        },
        own: (saa / 24.0).sqrt(),
        others: (sbb / 24.0).sqrt(),
        error: variance.sqrt(),
    })
}

pub(crate) fn find(subject: &SubjectId, view: &View<'_>, p: &Diurnal) -> Vec<Finding> {
    let length = p.window_days.max(1) * 24;
    let windows: Vec<Option<Courses>> = (0..view.x.len() / length)
        .map(|w| courses(view, w * length..(w + 1) * length, p))
        .collect();
    let strong = |c: &&Courses| c.others >= p.cycle_min * c.error;
    let (mut slopes, mut correlations): (Vec<f64>, Vec<f64>) = windows
        .iter()
        .flatten()
        .filter(strong)
        .map(|c| (c.slope, c.correlation))
        .unzip();
    if slopes.len() < 6 {
        return Vec::new();
    }
    slopes.sort_unstable_by(f64::total_cmp);
    correlations.sort_unstable_by(f64::total_cmp);
    let (usual, correlation) = (
        slopes[slopes.len() / 2],
        correlations[correlations.len() / 2],
    );
    if correlation < p.usual_correlation_min || usual <= 0.0 {
        return Vec::new();
    }
    let lost = |c: &Courses| {
        strong(&c) && c.slope <= p.left_max * usual && c.own <= p.left_max * usual * c.others
    };
    let mut out = Vec::new();
    let mut w = 0;
    while w < windows.len() {
        if !windows[w].as_ref().is_some_and(lost) {
            w += 1;
            continue;
        }
        let first = w;
        let (mut own, mut expected) = (0.0, 0.0);
        while let Some(c) = windows.get(w).and_then(Option::as_ref).filter(|c| lost(c)) {
            own += c.own;
            expected += usual * c.others;
            w += 1;
        }
        let n = (w - first) as f64;
        let (own, expected) = (own / n, expected / n);
        let weight = if w - first > 1 {
            Weight::Fault
        } else {
            Weight::Doubt
        };
        let days = (w - first) * p.window_days;
        out.push(
            Finding::new(Kind::DiurnalLost, subject, Some(view.indicator), (first * length, w * length - 1))
                .weighs(weight, n * p.left_max * expected / own.max(1e-3 * expected))
                .because(
                    format!("{days} 天内日变化幅度（标准差）仅 {}，按其他站点应为 {}", short(own as f32), short(expected as f32)),
                    format!("in {days} days the daily course has a standard deviation of {}, where that of the other stations lets expect {}", short(own as f32), short(expected as f32)),
                ),
        );
    }
    out
}
