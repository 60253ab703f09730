//! One value for too long.
//!
//! A run of one value is judged against the series' own habit at that level, so that a resolution
//! of 0.1 mg/m3 makes no findings, and against the neighbours: where they move, the run is
//! doubted sooner; where they are low too, a stay at the lowest value is noted at most.

use miyun_core::SubjectId;

use crate::finding::{exact, short};
use crate::params::Stuck;
use crate::{Finding, Kind, View, Weight};

/// Hours `first..=last` hold one value `n` times, with short gaps at most.
struct Run {
    first: usize,
    last: usize,
    n: usize,
}

fn runs(view: &View<'_>, p: &Stuck) -> Vec<Run> {
    let mut out = Vec::new();
    let mut run: Option<Run> = None;
    let mut close = |run: Option<Run>| {
        if let Some(r) = run.filter(|r| r.n >= p.hours_min) {
            out.push(r);
        }
    };
    for (h, v) in view.raw.iter().enumerate() {
        if *v == crate::MISSING {
            continue;
        }
        match &mut run {
            Some(r) if view.raw[r.last] == *v && h - r.last <= p.bridge_hours_max + 1 => {
                r.last = h;
                r.n += 1;
            }
            _ => {
                close(run.take());
                run = Some(Run {
                    first: h,
                    last: h,
                    n: 1,
                });
            }
        }
    }
    close(run);
    out
}

/// What the neighbours did in some hours.
struct Meanwhile {
    /// Mean over the hours of the median of the others.
    mean: f32,
    range: f32,
}

fn meanwhile(view: &View<'_>, r: &Run) -> Option<Meanwhile> {
    let (mut n, mut sum) = (0, 0f32);
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for x in view.others[r.first..=r.last].iter().filter(|x| !x.is_nan()) {
        n += 1;
        sum += x;
        low = low.min(*x);
        high = high.max(*x);
    }
    (n * 2 >= r.n).then(|| Meanwhile {
        mean: sum / n as f32,
        range: high - low,
    })
}

pub(crate) fn find(subject: &SubjectId, view: &View<'_>, p: &Stuck) -> Vec<Finding> {
    runs(view, p)
        .iter()
        .filter_map(|r| {
            let raw = view.raw[r.first];
            let (below, equal) = view.profile.share(raw);
            let lowest = below <= p.floor_below_max
                || (below <= p.floor_below_max_common && equal >= p.floor_common_min);
            let with = meanwhile(view, r);
            if lowest {
                floor(subject, view, p, r, with)
            } else {
                stuck(subject, view, p, r, with)
            }
        })
        .collect()
}

fn stuck(
    subject: &SubjectId,
    view: &View<'_>,
    p: &Stuck,
    r: &Run,
    with: Option<Meanwhile>,
) -> Option<Finding> {
    let raw = view.raw[r.first];
    let surprise = view.profile.surprise(raw, r.n);
    let still = with
        .as_ref()
        .is_none_or(|w| w.range <= 2.0 * view.profile.change(raw));
    let need = if still {
        p.surprise_min_still
    } else {
        p.surprise_min
    };
    if surprise < need {
        return None;
    }
    let (n, value) = (r.n, exact(raw));
    let (zh, en) = match &with {
        Some(w) => (
            format!("同期其他站点中位数变动了 {}", short(w.range)),
            format!(
                "the other stations' median moved by {} meanwhile",
                short(w.range)
            ),
        ),
        None => (
            "同期没有其他站点可比".to_owned(),
            "no other station to compare with".to_owned(),
        ),
    };
    let weight = if surprise >= 2.0 * need && !still {
        Weight::Fault
    } else {
        Weight::Doubt
    };
    Some(
        Finding::new(Kind::Stuck, subject, Some(view.indicator), (r.first, r.last))
            .weighs(weight, surprise / need)
            .because(
                format!("连续 {n} 个数值都是 {value}；按本序列在此浓度水平的重复习惯，偶然出现的概率约为 10^-{surprise:.0}；{zh}"),
                format!("{n} values one after the other are {value}; as often as this series repeats a value at that level, chance would do it with 10^-{surprise:.0}; {en}"),
            ),
    )
}

fn floor(
    subject: &SubjectId,
    view: &View<'_>,
    p: &Stuck,
    r: &Run,
    with: Option<Meanwhile>,
) -> Option<Finding> {
    let (n, value) = (r.n, exact(view.raw[r.first]));
    let usual = view.profile.quantile(0.5).unwrap_or(f32::INFINITY);
    // Neighbours at levels this series itself usually has, and well above what it shows.
    let doubted = with
        .as_ref()
        .filter(|w| w.mean >= usual && w.mean >= 3.0 * view.x[r.first].max(0.0));
    if let Some(w) = doubted.filter(|_| n >= p.floor_hours_min) {
        return Some(
            Finding::new(Kind::Stuck, subject, Some(view.indicator), (r.first, r.last))
                .weighs(
                    if n >= 2 * p.floor_hours_min { Weight::Fault } else { Weight::Doubt },
                    n as f64 / p.floor_hours_min as f64,
                )
                .because(
                    format!("连续 {n} 个数值都是本序列的最低值 {value}，而同期其他站点中位数平均为 {}", short(w.mean)),
                    format!("{n} values one after the other are {value}, the lowest of this series, while the other stations' median was {} on average", short(w.mean)),
                ),
        );
    }
    if n < p.floor_note_hours_min {
        return None;
    }
    let (zh, en) = with.map_or(
        (
            "没有其他站点可比".to_owned(),
            "no other station to compare with".to_owned(),
        ),
        |w| {
            (
                format!("同期其他站点中位数平均为 {}", short(w.mean)),
                format!(
                    "the other stations' median was {} on average",
                    short(w.mean)
                ),
            )
        },
    );
    Some(
        Finding::new(Kind::Floor, subject, Some(view.indicator), (r.first, r.last))
            .weighs(Weight::Note, n as f64 / p.floor_note_hours_min as f64)
            .because(
                format!("连续 {n} 个数值都是本序列的最低值 {value}：可能低于检出限，也可能不变；{zh}"),
                format!("{n} values one after the other are {value}, the lowest of this series: below the detection limit, or stuck there; {en}"),
            ),
    )
}
