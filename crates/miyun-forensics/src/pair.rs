//! A part and its whole: above it, or equal to it for too long.

use miyun_core::SubjectId;

use crate::finding::{exact, short};
use crate::params::{Above, Copied, Params};
use crate::{Finding, Kind, View, Weight};

pub(crate) fn find(subject: &SubjectId, views: &[View<'_>], p: &Params) -> Vec<Finding> {
    let mut out = Vec::new();
    for pair in &p.pairs.0 {
        let by = |id: &str| views.iter().find(|v| v.indicator.as_str() == id);
        if let (Some(part), Some(whole)) = (by(&pair.part), by(&pair.whole)) {
            out.extend(above(subject, part, whole, &p.above));
            out.extend(equal(subject, part, whole, &p.copied));
        }
    }
    out
}

/// Hours in which the part exceeds the whole by more than two good instruments would show.
fn above(subject: &SubjectId, part: &View<'_>, whole: &View<'_>, p: &Above) -> Vec<Finding> {
    #[derive(Clone, Copy, Default)]
    struct Episode {
        first: usize,
        last: usize,
        n: usize,
        part: f64,
        whole: f64,
        worst: (f32, usize),
    }
    let mut out = Vec::new();
    let mut open: Option<Episode> = None;
    let mut close = |e: Option<Episode>| {
        let Some(e) = e.filter(|e| e.n >= p.hours_min) else {
            return;
        };
        let n = e.n as f64;
        let (a, b) = (e.part / n, e.whole / n);
        let ratio = a / b.max(1e-9);
        let (pi, wi) = (part.indicator, whole.indicator);
        let worst = (exact(part.raw[e.worst.1]), exact(whole.raw[e.worst.1]));
        let weight = if ratio >= f64::from(p.ratio_fault) {
            Weight::Fault
        } else {
            Weight::Doubt
        };
        out.push(
            Finding::new(Kind::PartAboveWhole, subject, Some(part.indicator), (e.first, e.last))
                .weighs(weight, n / p.hours_min as f64)
                .because(
                    format!(
                        "{} 小时内 {pi} 高于 {wi}，而前者是后者的一部分：平均 {} 对 {}，最甚 {} 对 {}",
                        e.n, short(a as f32), short(b as f32), worst.0, worst.1
                    ),
                    format!(
                        "{pi} is above {wi}, of which it is a part, in {} hours: {} against {} on average, {} against {} at worst",
                        e.n, short(a as f32), short(b as f32), worst.0, worst.1
                    ),
                ),
        );
    };
    for h in 0..part.raw.len().min(whole.raw.len()) {
        let (a, b) = (part.x[h], whole.x[h]);
        // False for a missing value of either.
        let excess = a - b;
        if !(excess > p.excess_min && excess > p.share_min * b) {
            continue;
        }
        let e = match open {
            Some(e) if h - e.last <= p.bridge_hours_max + 1 => e,
            _ => {
                close(open.take());
                Episode {
                    first: h,
                    ..Episode::default()
                }
            }
        };
        open = Some(Episode {
            first: e.first,
            last: h,
            n: e.n + 1,
            part: e.part + f64::from(a),
            whole: e.whole + f64::from(b),
            worst: if e.n == 0 || excess > e.worst.0 {
                (excess, h)
            } else {
                e.worst
            },
        });
    }
    close(open);
    out
}

/// Hours in which both have the same value, one after the other.
fn equal(subject: &SubjectId, part: &View<'_>, whole: &View<'_>, p: &Copied) -> Vec<Finding> {
    let mut out = Vec::new();
    // First hour, last hour, hours, and how many different values.
    let mut open: Option<(usize, usize, usize, usize)> = None;
    let mut close = |run: Option<(usize, usize, usize, usize)>| {
        let Some((first, last, n, different)) = run.filter(|r| r.2 >= p.hours_min) else {
            return;
        };
        let (pi, wi) = (part.indicator, whole.indicator);
        let weight = if n >= p.hours_fault {
            Weight::Fault
        } else {
            Weight::Doubt
        };
        out.push(
            Finding::new(Kind::Copied, subject, Some(wi), (first, last))
                .weighs(weight, n as f64 / p.hours_min as f64)
                .because(
                    format!("连续 {n} 小时 {wi} 与 {pi} 完全相等（共 {different} 个不同数值）：其中一项由另一项填写或改写"),
                    format!("{wi} equals {pi} in {n} hours one after the other ({different} different values): one was filled in from the other or raised to it"),
                ),
        );
    };
    for h in 0..part.raw.len().min(whole.raw.len()) {
        if !part.present(h) || !whole.present(h) {
            continue;
        }
        if part.raw[h] != whole.raw[h] {
            close(open.take());
            continue;
        }
        open = match open {
            Some((first, last, n, different)) if h - last <= p.bridge_hours_max + 1 => Some((
                first,
                h,
                n + 1,
                different + usize::from(part.raw[h] != part.raw[last]),
            )),
            other => {
                close(other);
                Some((h, h, 1, 1))
            }
        };
    }
    close(open);
    out
}
