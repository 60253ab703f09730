//! A clock early or late, found by cross-correlation with the neighbours.
//!
//! Levels are useless for that: stations share seasons and episodes at any lag. So hourly changes
//! are taken, their mean course of the day is taken away, and what is left is held against the
//! neighbours' at every lag. Weather that reaches one station an hour before another looks the
//! same; it does not move all indicators alike, nor the daily course, which the sun makes. Where
//! the evidence allows both, nothing is said.

use miyun_core::SubjectId;

use crate::params::Clock;
use crate::{Finding, Kind, View, Weight};

/// Days over which a mean course of the day is taken.
const COURSE_DAYS: usize = 30;
/// Changes beyond so many mean changes are cut: one front must not decide a month.
const CUT: f32 = 4.0;

/// Lags taken at once: as many as the registers of any machine hold.
const BLOCK: usize = 32;

/// Sums by day of one indicator.
struct Sums {
    /// `[day][lag]`: products of the neighbours' change with the own change `lag` hours later.
    product: Vec<f32>,
    /// Lags of a day in `product`.
    width: usize,
    own: Vec<f32>,
    others: Vec<f32>,
    pairs: Vec<u32>,
}

/// Changes from the hour before without their mean course of the day; 0 where unknown.
fn changes(x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    for (o, pair) in out.iter_mut().skip(1).zip(x.windows(2)) {
        *o = pair[1] - pair[0];
    }
    for block in out.chunks_mut(COURSE_DAYS * 24) {
        let (mut sum, mut n) = ([0f32; 24], [0f32; 24]);
        for day in block.chunks(24) {
            for (h, v) in day.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
                sum[h] += v;
                n[h] += 1.0;
            }
        }
        let (mut size, mut count) = (0f32, 0f32);
        for day in block.chunks_mut(24) {
            for (h, v) in day.iter_mut().enumerate().filter(|(_, v)| !v.is_nan()) {
                *v -= sum[h] / n[h];
                size += v.abs();
                count += 1.0;
            }
        }
        let cut = CUT * size / count.max(1.0);
        for v in block.iter_mut() {
            *v = if v.is_nan() { 0.0 } else { v.clamp(-cut, cut) };
        }
    }
    out
}

fn sums(view: &View<'_>, days: usize, lags: usize) -> Sums {
    let (own, others) = (changes(view.x), changes(view.others));
    let width = (2 * lags + 1).next_multiple_of(BLOCK);
    let mut padded = vec![0f32; lags];
    padded.extend(&own);
    padded.resize(own.len() + lags + width, 0.0);
    let mut product = vec![0f32; days * width];
    for (d, out) in product.chunks_exact_mut(width).enumerate() {
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let mut sum = [0f32; BLOCK];
            for h in d * 24..(d + 1) * 24 {
                let (y, x) = (others[h], &padded[h + block * BLOCK..][..BLOCK]);
                for k in 0..BLOCK {
                    sum[k] += y * x[k];
                }
            }
            out.copy_from_slice(&sum);
        }
    }
    let square = |v: &[f32]| {
        v.chunks(24)
            .take(days)
            .map(|day| day.iter().map(|x| x * x).sum())
            .collect()
    };
    let pairs = own
        .chunks(24)
        .zip(others.chunks(24))
        .take(days)
        .map(|(a, b)| {
            a.iter()
                .zip(b)
                .map(|(a, b)| u32::from((*a != 0.0) & (*b != 0.0)))
                .sum()
        })
        .collect();
    Sums {
        product,
        width,
        own: square(&own),
        others: square(&others),
        pairs,
    }
}

/// What a span of days says of a lag.
struct Said {
    /// Mean Fisher z at the lag and at none.
    z: f64,
    z_unshifted: f64,
    /// Indicators, and those whose own best lag it is.
    indicators: usize,
    agree: usize,
    /// Standard errors between the two.
    margin: f64,
}

impl Said {
    fn convinces(&self, p: &Clock) -> bool {
        self.indicators >= p.indicators_min.max(1)
            && self.z >= p.z_min
            && self.z_unshifted <= p.unshifted_share_max * self.z
            && self.agree as f64 >= p.agree_min * self.indicators as f64
            && self.margin >= p.margin_min
    }

    fn convinces_alone(&self, p: &Clock) -> bool {
        self.convinces(p)
            && self.z_unshifted <= p.unshifted_share_max_alone * self.z
            && self.agree as f64 >= p.agree_min_alone * self.indicators as f64
    }
}

/// Fisher z of every lag over the days, by indicator with enough pairs.
fn z_of(all: &[Sums], days: std::ops::Range<usize>, p: &Clock) -> (Vec<Vec<f64>>, f64) {
    let mut pairs_sum = 0.0;
    let out = all
        .iter()
        .filter_map(|s| {
            let pairs: u32 = s.pairs[days.clone()].iter().sum();
            let energy = |v: &[f32]| v[days.clone()].iter().map(|x| f64::from(*x)).sum::<f64>();
            let norm = (energy(&s.own) * energy(&s.others)).sqrt();
            if (pairs as usize) < p.pairs_min || norm <= 0.0 {
                return None;
            }
            pairs_sum += f64::from(pairs);
            let mut by_lag = vec![0f64; 2 * p.lag_hours_max + 1];
            for day in s
                .product
                .chunks_exact(s.width)
                .skip(days.start)
                .take(days.len())
            {
                for (sum, x) in by_lag.iter_mut().zip(day) {
                    *sum += f64::from(*x);
                }
            }
            by_lag
                .iter_mut()
                .for_each(|sum| *sum = (*sum / norm).clamp(-0.999, 0.999).atanh());
            Some(by_lag)
        })
        .collect();
    (out, pairs_sum)
}

fn best(z: &[f64]) -> usize {
    (0..z.len())
        .max_by(|a, b| z[*a].total_cmp(&z[*b]))
        .unwrap_or(0)
}

fn said(
    all: &[Sums],
    days: std::ops::Range<usize>,
    lag: Option<usize>,
    p: &Clock,
) -> Option<(usize, Said)> {
    let (z, pairs) = z_of(all, days, p);
    if z.is_empty() {
        return None;
    }
    let k = z.len() as f64;
    let mean: Vec<f64> = (0..z[0].len())
        .map(|l| z.iter().map(|z| z[l]).sum::<f64>() / k)
        .collect();
    let zero = p.lag_hours_max;
    let lag = lag.unwrap_or_else(|| best(&mean));
    let error = (2.0 / pairs).sqrt();
    Some((
        lag,
        Said {
            z: mean[lag],
            z_unshifted: mean[zero].max(0.0),
            indicators: z.len(),
            agree: z.iter().filter(|z| best(z) == lag).count(),
            margin: (mean[lag] - mean[zero]) / error,
        },
    ))
}

/// First and last day of the part of `days` that gains most by the lag.
fn edges(all: &[Sums], days: std::ops::Range<usize>, lag: usize, p: &Clock) -> (usize, usize) {
    let zero = p.lag_hours_max;
    let scale: Vec<f32> = all
        .iter()
        .map(|s| {
            let e = |v: &[f32]| v[days.clone()].iter().sum::<f32>();
            (e(&s.own) * e(&s.others)).sqrt().max(f32::MIN_POSITIVE)
        })
        .collect();
    let (mut sum, mut start) = (0f32, days.start);
    let mut most = (f32::NEG_INFINITY, days.start, days.start);
    for d in days {
        if sum <= 0.0 {
            (sum, start) = (0.0, d);
        }
        sum += all
            .iter()
            .zip(&scale)
            .map(|(s, scale)| {
                (s.product[d * s.width + lag] - s.product[d * s.width + zero]) / scale
            })
            .sum::<f32>();
        if sum > most.0 {
            most = (sum, start, d);
        }
    }
    (most.1, most.2)
}

pub(crate) fn find(
    subject: &SubjectId,
    views: &[View<'_>],
    stations: usize,
    p: &Clock,
) -> Vec<Finding> {
    let days = views.iter().map(|v| v.x.len() / 24).min().unwrap_or(0);
    let window = p.window_days.max(1);
    if stations < 2 || days < window {
        return Vec::new();
    }
    let all: Vec<Sums> = views
        .iter()
        .map(|v| sums(v, days, p.lag_hours_max))
        .collect();
    // Windows that convince, as spans of days by lag; overlapping ones become one.
    let mut spans: Vec<(usize, usize, usize)> = Vec::new();
    for start in (0..=days - window).step_by(p.step_days.max(1)) {
        let Some((lag, s)) = said(&all, start..start + window, None, p) else {
            continue;
        };
        if lag == p.lag_hours_max || !s.convinces(p) {
            continue;
        }
        match spans.iter_mut().rev().find(|x| x.0 == lag) {
            Some(x) if x.2 >= start => x.2 = start + window,
            _ => spans.push((lag, start, start + window)),
        }
    }
    spans
        .into_iter()
        .filter_map(|(lag, from, until)| {
            let around = from.saturating_sub(window)..(until + window).min(days);
            let (first, last) = edges(&all, around, lag, p);
            let (_, s) = said(&all, first..last + 1, Some(lag), p)?;
            let hours = (first * 24, last * 24 + 23);
            let lag = lag as i64 - p.lag_hours_max as i64;
            // The steadiest daily course is the witness: transport moves changes and leaves the sun
            // where it is, a clock moves both. Without a witness the rest must be clearer.
            let witness = views
                .iter()
                .filter_map(|v| course_moved(v, hours, p))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|w| w.0);
            let believed = match witness {
                Some(d) => {
                    s.convinces(p) && (d - lag as f64).abs() <= 0.5 * lag.unsigned_abs() as f64
                }
                None => s.convinces_alone(p),
            };
            believed.then(|| finding(subject, hours, lag, &s, witness, stations, p))
        })
        .collect()
}

/// Phase of the mean daily course over some hours, in hours; `None` if a time of day is missing.
fn phase(x: &[f32]) -> Option<f64> {
    let (mut sum, mut n) = ([0f64; 24], [0u32; 24]);
    for (h, v) in x.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
        sum[h % 24] += f64::from(*v);
        n[h % 24] += 1;
    }
    if n.iter().any(|n| *n < 3) {
        return None;
    }
    let turn = std::f64::consts::TAU / 24.0;
    let (mut re, mut im) = (0.0, 0.0);
    for h in 0..24 {
        let v = sum[h] / f64::from(n[h]);
        re += v * (turn * h as f64).cos();
        im += v * (turn * h as f64).sin();
    }
    Some(im.atan2(re) / turn)
}

/// Hours by which the daily course is later than the neighbours', between -12 and 12.
fn course_lag(view: &View<'_>, hours: std::ops::Range<usize>) -> Option<f64> {
    let (a, b) = (phase(&view.x[hours.clone()])?, phase(&view.others[hours])?);
    Some((a - b + 12.0).rem_euclid(24.0) - 12.0)
}

/// Hours by which the daily course moved against the neighbours' in `hours`, compared with the rest
/// of the record, and how unsteady it is there; `None` if too unsteady to be a witness.
fn course_moved(view: &View<'_>, hours: (usize, usize), p: &Clock) -> Option<(f64, f64)> {
    let length = p.window_days.max(1) * 24;
    let mut rest: Vec<f64> = (0..view.x.len() / length)
        .map(|w| w * length..(w + 1) * length)
        .filter(|w| w.end <= hours.0 || w.start > hours.1)
        .filter_map(|w| course_lag(view, w))
        .collect();
    if rest.len() < p.witness_windows_min.max(1) {
        return None;
    }
    let usual = middle(&mut rest);
    rest.iter_mut().for_each(|d| *d = (*d - usual).abs());
    let spread = middle(&mut rest);
    if spread > p.witness_spread_max {
        return None;
    }
    Some((course_lag(view, hours.0..hours.1 + 1)? - usual, spread))
}

fn middle(v: &mut [f64]) -> f64 {
    let at = v.len() / 2;
    *v.select_nth_unstable_by(at, f64::total_cmp).1
}

fn finding(
    subject: &SubjectId,
    hours: (usize, usize),
    lag: i64,
    s: &Said,
    course: Option<f64>,
    stations: usize,
    p: &Clock,
) -> Finding {
    let n = lag.unsigned_abs();
    let (zh, en) = if lag > 0 {
        ("晚", "late")
    } else {
        ("早", "early")
    };
    let (zh_whose, en_whose) = if stations == 2 {
        (
            "；只有一个邻站，不能判断是哪一站的时钟",
            "; with one neighbour it cannot be said whose clock it is",
        )
    } else {
        ("", "")
    };
    let (zh_course, en_course) = course.map_or((String::new(), String::new()), |d| {
        (
            format!("；日变化也移动了 {d:.1} 小时"),
            format!("; the daily course moved by {d:.1} h as well"),
        )
    });
    let weight = if stations > 2 && course.is_some() && s.margin >= 1.5 * p.margin_min {
        Weight::Fault
    } else {
        Weight::Doubt
    };
    let (a, b) = (s.z.tanh(), s.z_unshifted.tanh());
    Finding::new(Kind::ClockShift, subject, None, hours)
        .weighs(weight, s.margin / p.margin_min)
        .because(
            format!("时标比邻站{zh} {n} 小时：移动 {n} 小时后逐时变化的相关系数为 {a:.2}，不移动为 {b:.2}（差 {:.0} 倍标准误；{} 项中 {} 项各自最佳移动即此）{zh_course}{zh_whose}", s.margin, s.indicators, s.agree),
            format!("labels are {n} h {en} against the neighbours: hourly changes correlate {a:.2} when moved by {n} h and {b:.2} when not ({:.0} standard errors apart; it is the best move of {} of {} indicators){en_course}{en_whose}", s.margin, s.agree, s.indicators),
        )
}
