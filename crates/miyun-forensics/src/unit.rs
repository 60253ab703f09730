//! Numbers of another unit: a thousand times too high or low for hours, off by the factor between
//! volume fraction and mass for weeks, or off as a whole.

use miyun_core::SubjectId;

use crate::finding::{exact, short};
use crate::params::{Factor, UnitParams};
use crate::{Finding, Kind, View, Weight};

/// Powers of ten between milli and micro, micro and nano.
const THOUSAND_LOG10: f64 = 3.0;
/// A factor nearer to one than this is not told from weather.
const FACTOR_MIN: f64 = 1.5;
/// Days of a window in which the ratio to the neighbours is taken.
const WINDOW_DAYS: usize = 15;

pub(crate) fn find(subject: &SubjectId, view: &View<'_>, p: &UnitParams) -> Vec<Finding> {
    let Some(median) = view.profile.quantile(0.5).filter(|m| *m > 0.0) else {
        return Vec::new();
    };
    if let Some(f) = whole(subject, view, p, median) {
        return vec![f];
    }
    let mut out = thousand(subject, view, p, median);
    for f in p.factors.iter().filter(|f| {
        view.indicator.as_str() == f.indicator.as_str()
            && f.factor.max(1.0 / f.factor) >= FACTOR_MIN
    }) {
        out.extend(factor(subject, view, p, f));
    }
    out
}

/// A record whose median no place has, and would have in the neighbouring unit.
fn whole(subject: &SubjectId, view: &View<'_>, p: &UnitParams, median: f32) -> Option<Finding> {
    let usual = p
        .usual
        .iter()
        .find(|u| u.indicator == view.indicator.as_str())?;
    let m = f64::from(median);
    let inside = |v: f64| (usual.low..=usual.high).contains(&v);
    if inside(m) || view.profile.len() < 24 {
        return None;
    }
    let factor = [1e-3, 1e3].into_iter().find(|f| inside(m * f))?;
    let first = (0..view.raw.len()).find(|h| view.present(*h))?;
    let last = (0..view.raw.len()).rev().find(|h| view.present(*h))?;
    let off = if m > usual.high {
        m / usual.high
    } else {
        usual.low / m
    };
    let (zh, en) = if factor < 1.0 {
        ("千分之一", "a thousandth")
    } else {
        ("一千倍", "a thousand times")
    };
    Some(
        Finding::new(Kind::Unit, subject, Some(view.indicator), (first, last))
            .weighs(Weight::Fault, off)
            .because(
                format!("全部数值的中位数为 {}，通常在 {} 至 {} 之间；其{zh}则在其中：导入时声明的单位可能有误", short(median), usual.low, usual.high),
                format!("the median of all values is {}, usually between {} and {}; {en} of it is: the unit declared at import may be wrong", short(median), usual.low, usual.high),
            ),
    )
}

/// Hours a thousand times above or below the neighbours and the series' own level.
fn thousand(subject: &SubjectId, view: &View<'_>, p: &UnitParams, median: f32) -> Vec<Finding> {
    let mut out = Vec::new();
    // First, last, hours, sign of the power, sum of logarithms, neighbours used.
    let mut open: Option<(usize, usize, usize, f64, f64, bool)> = None;
    let mut close = |run: Option<(usize, usize, usize, f64, f64, bool)>| {
        let Some((first, last, n, sign, sum, judged)) = run.filter(|r| r.2 >= p.hours_min) else {
            return;
        };
        let ratio = 10f64.powf((sum / n as f64).abs()) as f32;
        let (zh_dir, en_dir) = if sign > 0.0 {
            ("高", "above")
        } else {
            ("低", "below")
        };
        let (zh_base, en_base) = if judged {
            ("其他站点", "the other stations")
        } else {
            ("本序列中位数", "the median of the series")
        };
        out.push(
            Finding::new(Kind::Unit, subject, Some(view.indicator), (first, last))
                .weighs(Weight::Fault, n as f64 / p.hours_min as f64)
                .because(
                    format!("{n} 小时的数值比{zh_base}{zh_dir}约 {} 倍（如 {}）：很可能以千分之一或一千倍的单位写成", short(ratio), exact(view.raw[first])),
                    format!("{n} values are about {} times {en_dir} {en_base} (for example {}): very likely written in a unit a thousand times smaller or larger", short(ratio), exact(view.raw[first])),
                ),
        );
    };
    // Cheap bounds first: hardly any hour passes them.
    let (high, low) = (median * 100.0, median * 0.01);
    for (h, x) in view.x.iter().enumerate() {
        if !(*x >= high || *x <= low) || *x <= 0.0 {
            continue;
        }
        let others = view.others[h];
        let judged = others > 0.0;
        let base = if judged { others } else { median };
        let log = f64::from(x / base).log10();
        if (log.abs() - THOUSAND_LOG10).abs() > p.tolerance_log10 {
            continue;
        }
        let sign = log.signum();
        open = match open {
            Some((first, last, n, s, sum, j))
                if s == sign && h - last <= p.bridge_hours_max + 1 =>
            {
                Some((first, h, n + 1, s, sum + log, j && judged))
            }
            other => {
                close(other);
                Some((h, h, 1, sign, log, judged))
            }
        };
    }
    close(open);
    out
}

/// Weeks in which the ratio to the neighbours is off by `f`, with weeks before and after in which
/// it is not.
fn factor(subject: &SubjectId, view: &View<'_>, p: &UnitParams, f: &Factor) -> Vec<Finding> {
    let step = f.factor.ln();
    let windows = view.x.len() / (WINDOW_DAYS * 24);
    let mut ratios: Vec<f32> = Vec::with_capacity(WINDOW_DAYS * 24);
    // Logarithm of the median ratio of each window and its standard error, a day counting once.
    let logs: Vec<Option<(f64, f64)>> = (0..windows)
        .map(|w| {
            let hours = w * WINDOW_DAYS * 24..(w + 1) * WINDOW_DAYS * 24;
            ratios.clear();
            ratios.extend(
                view.x[hours.clone()]
                    .iter()
                    .zip(&view.others[hours])
                    .filter(|(a, b)| **a > 0.0 && **b > 0.0)
                    .map(|(a, b)| a / b),
            );
            if ratios.len() < WINDOW_DAYS * 12 {
                return None;
            }
            let median = middle(&mut ratios);
            ratios
                .iter_mut()
                .for_each(|r| *r = (*r / median).max(median / *r));
            let spread = f64::from(middle(&mut ratios)).ln() * 1.4826;
            let days = ratios.len() as f64 / 24.0;
            Some((f64::from(median).ln(), spread / days.sqrt()))
        })
        .collect();
    let mut known: Vec<f64> = logs.iter().flatten().map(|l| l.0).collect();
    if known.len() < 6 {
        return Vec::new();
    }
    known.sort_unstable_by(f64::total_cmp);
    let usual = known[known.len() / 2];
    let off = |w: usize| {
        logs.get(w)
            .copied()
            .flatten()
            .map(|(l, se)| (l - usual, se))
    };
    let matches = |w: usize, sign: f64| {
        off(w).is_some_and(|(d, se)| {
            (d - sign * step).abs() <= p.factor_tolerance && d.abs() >= 5.0 * se
        })
    };
    let near = |w: Option<usize>| {
        w.is_none_or(|w| off(w).is_none_or(|(d, _)| d.abs() <= 0.4 * step.abs()))
    };
    let mut out = Vec::new();
    let mut w = 0;
    while w < windows {
        let Some(sign) = [-1.0, 1.0].into_iter().find(|s| matches(w, *s)) else {
            w += 1;
            continue;
        };
        let first = w;
        while w < windows && matches(w, sign) {
            w += 1;
        }
        // A ratio that drifts there and back is weather or the site, not a unit.
        if !near(first.checked_sub(1)) || !near((w < windows).then_some(w)) || w - first == windows
        {
            continue;
        }
        let mean = (first..w).filter_map(off).map(|(d, _)| d).sum::<f64>() / (w - first) as f64;
        let ratio = short(mean.exp() as f32);
        let (unit, factor) = (&f.unit, short(f.factor as f32));
        out.push(
            Finding::new(
                Kind::Unit,
                subject,
                Some(view.indicator),
                (first * WINDOW_DAYS * 24, w * WINDOW_DAYS * 24 - 1),
            )
            .weighs(Weight::Doubt, (w - first) as f64)
            .because(
                format!("与其他站点之比是平时的 {ratio} 倍，前后均无此偏差；{unit} 换算系数为 {factor}：可能混用了 {unit}"),
                format!("the ratio to the other stations is {ratio} times its usual one, and not so before and after; the factor to {unit} is {factor}: {unit} may have been mixed in"),
            ),
        );
    }
    out
}

/// The middle value; orders `v` in passing.
fn middle(v: &mut [f32]) -> f32 {
    let at = v.len() / 2;
    *v.select_nth_unstable_by(at, f32::total_cmp).1
}
