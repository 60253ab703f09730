//! Charts small enough for a card or a table cell.

use maud::{Markup, html};

use super::px;

/// A line without axes; missing values are gaps. Decorative: the number stands beside it.
#[must_use]
pub fn sparkline(values: &[Option<f64>], target: Option<f64>) -> Markup {
    let known = || values.iter().flatten().copied().chain(target);
    let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    if !low.is_finite() {
        return html! {};
    }
    let y = super::Scale::exact(low, high, 26.0, 2.0);
    let x = super::Scale::exact(0.0, (values.len().max(2) - 1) as f64, 1.0, 119.0);
    let mut d = String::new();
    let mut pen = false;
    for (i, v) in values.iter().enumerate() {
        pen = match v {
            Some(v) => {
                d.push(if pen { 'L' } else { 'M' });
                d.push_str(&format!("{} {}", px(x.px(i as f64)), px(y.px(*v))));
                true
            }
            None => false,
        };
    }
    html! {
        svg.spark viewBox="0 0 120 28" aria-hidden="true" {
            @if let Some(t) = target { line.limit x1="0" x2="120" y1=(px(y.px(t))) y2=(px(y.px(t))) {} }
            path.line.s1 d=(d) {}
        }
    }
}

/// Elapsed share of the period against used share of the allowance, both 0..1 and beyond.
#[must_use]
pub fn pace_bar(elapsed: f64, used: f64, label: &str) -> Markup {
    let width = |share: f64| px(share.clamp(0.0, 1.25) / 1.25 * 240.0);
    html! {
        svg.pace viewBox="0 0 240 14" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.track x="0" y="4" width="240" height="6" {}
            rect.used .over[used > elapsed] x="0" y="4" width=(width(used)) height="6" {}
            line.now x1=(width(elapsed)) x2=(width(elapsed)) y1="0" y2="14" {}
        }
    }
}
