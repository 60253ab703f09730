//! Away and back within hours, farther than the air of this place goes, while the neighbours stay.

use miyun_core::SubjectId;

use crate::finding::{exact, short};
use crate::params::Jump;
use crate::{Finding, Kind, View, Weight};

pub(crate) fn find(subject: &SubjectId, view: &View<'_>, p: &Jump) -> Vec<Finding> {
    let mut out = Vec::new();
    let x = view.x;
    let mut h = 1;
    while h < x.len() {
        let (before, here) = (x[h - 1], x[h]);
        let size = here - before;
        // False where either is missing.
        let large = size.abs() >= p.changes_min * view.profile.change(view.raw[h - 1])
            && here.max(before) >= p.ratio_min * here.min(before).max(0.0);
        if !large {
            h += 1;
            continue;
        }
        match back(view, p, h) {
            Some((last, after)) => {
                out.extend(judged(subject, view, p, (h, last), after));
                h = after;
            }
            None => h += 1,
        }
    }
    out
}

/// Last hour away and first hour back, if the series comes back in time. Missing hours may follow
/// the stay away: a fault often ends with a gap.
fn back(view: &View<'_>, p: &Jump, h: usize) -> Option<(usize, usize)> {
    let (before, size) = (view.x[h - 1], view.x[h] - view.x[h - 1]);
    let mut last = h;
    for k in h + 1..view.x.len().min(h + p.hours_max + p.gap_hours_max + 1) {
        let away = (view.x[k] - before) / size;
        if away.is_nan() {
            if k - last > p.gap_hours_max {
                return None;
            }
        } else if away <= p.back_max {
            return Some((last, k));
        } else if away < 0.5 || k - h >= p.hours_max {
            // Still on its way rather than back and forth: a peak with slopes is air.
            return None;
        } else {
            last = k;
        }
    }
    None
}

fn judged(
    subject: &SubjectId,
    view: &View<'_>,
    p: &Jump,
    (first, last): (usize, usize),
    next: usize,
) -> Option<Finding> {
    let (before, after) = (view.x[first - 1], view.x[next]);
    let away = &view.x[first..=last];
    let up = away[0] > before;
    // The least extreme hour away against the nearer side: all of it must be far.
    let (inner, outer) = if up {
        (
            away.iter().copied().fold(f32::INFINITY, f32::min),
            before.max(after),
        )
    } else {
        (
            away.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            before.min(after),
        )
    };
    let size = (inner - outer).abs();
    let scale = view
        .profile
        .change(if up {
            view.raw[first - 1].max(view.raw[next])
        } else {
            view.raw[first - 1].min(view.raw[next])
        })
        .max(f32::MIN_POSITIVE);
    let ratio = inner.max(outer) / inner.min(outer).max(1e-6);
    if size < p.changes_min * scale || ratio < p.ratio_min {
        return None;
    }
    // What the neighbours did the same way, at any of these hours against the hour before.
    let base = view.others[first - 1];
    let same_way = view.others[first..=last]
        .iter()
        .map(|o| if up { o - base } else { base - o })
        .fold(f32::NEG_INFINITY, f32::max);
    let judged_by = same_way.is_finite();
    if judged_by && same_way > p.neighbours_max * size {
        return None;
    }
    let n = next - first;
    let extreme = if up {
        view.raw[first..=last].iter().copied().max()
    } else {
        view.raw[first..=last]
            .iter()
            .copied()
            .filter(|v| *v != crate::MISSING)
            .min()
    }?;
    let changes = size / scale;
    let (zh, en) = if judged_by {
        (
            format!("其他站点同向变动至多 {}", short(same_way.max(0.0))),
            format!(
                "the other stations moved by at most {} that way",
                short(same_way.max(0.0))
            ),
        )
    } else {
        (
            "没有其他站点可比".to_owned(),
            "no other station to compare with".to_owned(),
        )
    };
    let weight = if judged_by && ratio >= 2.0 * p.ratio_min {
        Weight::Fault
    } else {
        Weight::Doubt
    };
    Some(
        Finding::new(Kind::Jump, subject, Some(view.indicator), (first, last))
            .weighs(weight, f64::from(changes / p.changes_min))
            .because(
                format!("由 {} 跳到 {}，{n} 小时后回到 {}：是此浓度水平每小时平均变化的 {} 倍；{zh}", exact(view.raw[first - 1]), exact(extreme), exact(view.raw[next]), short(changes)),
                format!("from {} to {} and back to {} after {n} h: {} times the mean hourly change at that level; {en}", exact(view.raw[first - 1]), exact(extreme), exact(view.raw[next]), short(changes)),
            ),
    )
}
