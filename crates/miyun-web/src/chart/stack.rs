//! Shares of a whole, and bars against a common scale.

use maud::{Markup, html};

use super::px;

/// One part of a stacked bar.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Its size.
    pub value: f64,
    /// CSS class that gives the colour.
    pub class: String,
    /// Text colour class on it, for example `t1`.
    pub text_class: String,
}

/// One horizontal bar of 100 %: parts in order, each with its number if it has room.
#[must_use]
pub fn stack(title: &str, segments: &[Segment], caption: &str) -> Markup {
    let total: f64 = segments.iter().map(|s| s.value).sum();
    let mut at = 0.0;
    let placed: Vec<(f64, f64, &Segment)> = segments
        .iter()
        .map(|s| {
            let width = if total > 0.0 {
                s.value / total * 720.0
            } else {
                0.0
            };
            at += width;
            (at - width, width, s)
        })
        .collect();
    html! {
        figure.chart {
            svg viewBox="0 0 720 34" role="img" aria-label=(title) {
                @for (x, width, s) in placed.iter().filter(|(_, w, _)| *w > 0.0) {
                    g {
                        title { (s.name) ": " (s.value) }
                        rect class=(s.class) x=(px(*x)) y="2" width=(px(*width)) height="30" {}
                        @if *width > 22.0 {
                            text class={ "mid " (s.text_class) } x=(px(x + width / 2.0)) y="22" { (s.value) }
                        }
                    }
                }
            }
            figcaption { (caption) }
        }
    }
}

/// Grouped bars: `groups` of (label, one value per name).
#[must_use]
pub fn bars(
    title: &str,
    unit: &str,
    names: &[(String, &'static str)],
    groups: &[(String, Vec<f64>)],
    caption: &str,
) -> Markup {
    let high = groups
        .iter()
        .flat_map(|g| g.1.iter().copied())
        .fold(1.0, f64::max);
    let y = super::Scale::round(0.0, high, 196.0, 16.0, 4);
    let group_width = 660.0 / groups.len().max(1) as f64;
    let bar_width = (group_width * 0.86 / names.len().max(1) as f64).min(28.0);
    html! {
        figure.chart {
            p.legend aria-hidden="true" {
                @for (name, class) in names { span { svg viewBox="0 0 10 10" width="10" height="10" { rect class=(class) width="10" height="10" {} } " " (name) " " } }
            }
            svg viewBox="0 0 720 220" role="img" aria-label=(title) {
                text.unit x="0" y="11" { (unit) }
                @for tick in &y.ticks {
                    line.grid x1="44" x2="716" y1=(px(y.px(*tick))) y2=(px(y.px(*tick))) {}
                    text.tick.end x="38" y=(px(y.px(*tick) + 4.0)) { (super::scale::tick_text(*tick, &y.ticks)) }
                }
                @for (g, (label, values)) in groups.iter().enumerate() {
                    @let left = 50.0 + group_width * g as f64;
                    text.tick.mid x=(px(left + group_width / 2.0)) y="214" { (label) }
                    @for (k, value) in values.iter().enumerate().filter(|(_, v)| **v > 0.0) {
                        @let used = bar_width * names.len() as f64;
                        @let x = left + (group_width - used) / 2.0 + bar_width * k as f64;
                        rect class=(names.get(k).map_or("s1", |n| n.1)) x=(px(x)) y=(px(y.px(*value))) width=(px(bar_width - 1.0)) height=(px(196.0 - y.px(*value))) {
                            title { (label) " " (names.get(k).map_or("", |n| n.0.as_str())) ": " (value) " " (unit) }
                        }
                    }
                }
            }
            figcaption { (caption) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar() {
        let part = |v| Segment {
            name: "n".into(),
            value: v,
            class: "l1".into(),
            text_class: "t1".into(),
        };
        let svg = stack("t", &[part(1.0), part(3.0), part(0.0)], "c").into_string();
        assert!(svg.contains(r#"width="180""#) && svg.contains(r#"width="540""#));
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(!stack("t", &[], "c").into_string().contains("NaN"));
    }
}
