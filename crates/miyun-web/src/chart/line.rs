//! Series over an ordered axis, with limits, bands and gaps that stay gaps.

use maud::{Markup, html};

use super::px;
use super::scale::{Scale, tick_text};

/// One series; a missing value breaks the line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Name, shown at the right end.
    pub name: String,
    /// One value per position of the axis.
    pub values: Vec<Option<f64>>,
    /// CSS class that gives the colour: `s1`, `s2`, ...
    pub class: &'static str,
    /// True to draw a dot at each value.
    pub dots: bool,
}

/// A range around a series, such as a fan or an interval.
#[derive(Debug, Clone)]
pub struct Band {
    /// Lower and upper edge per position.
    pub edges: Vec<Option<(f64, f64)>>,
    /// CSS class.
    pub class: &'static str,
}

/// A horizontal line with a label: a limit or a target.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// What it is, with unit.
    pub label: String,
}

/// A chart of series.
#[derive(Debug, Clone)]
pub struct LineChart {
    /// Accessible name.
    pub title: String,
    /// Unit of the vertical axis.
    pub unit: String,
    /// Labels of the horizontal axis; an empty label draws no tick.
    pub x_labels: Vec<String>,
    /// Series.
    pub lines: Vec<Line>,
    /// Ranges, drawn below the series.
    pub bands: Vec<Band>,
    /// Limits and targets.
    pub marks: Vec<Mark>,
    /// One sentence that says what is to be seen.
    pub caption: String,
}

const W: f64 = 720.0;
const H: f64 = 246.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 24.0;

impl LineChart {
    /// The chart as a figure.
    #[must_use]
    pub fn render(&self) -> Markup {
        let y = self.y_scale();
        let n = self.x_labels.len().max(2);
        let x = Scale::exact(0.0, (n - 1) as f64, LEFT, W - RIGHT);
        html! {
            figure.chart {
                svg viewBox=(format!("0 0 {W} {H}")) role="img" aria-label=(self.title) {
                    text.unit x="0" y="11" { (self.unit) }
                    @for tick in &y.ticks {
                        line.grid x1=(px(LEFT)) x2=(px(W - RIGHT)) y1=(px(y.px(*tick))) y2=(px(y.px(*tick))) {}
                        text.tick.end x=(px(LEFT - 6.0)) y=(px(y.px(*tick) + 4.0)) { (tick_text(*tick, &y.ticks)) }
                    }
                    @for (i, label) in self.x_labels.iter().enumerate().filter(|(_, l)| !l.is_empty()) {
                        text.tick.mid x=(px(x.px(i as f64))) y=(px(H - 6.0)) { (label) }
                    }
                    @for band in &self.bands {
                        path class={ "band " (band.class) } d=(band_path(&band.edges, &x, &y)) {}
                    }
                    @for mark in &self.marks {
                        line.limit x1=(px(LEFT)) x2=(px(W - RIGHT)) y1=(px(y.px(mark.at))) y2=(px(y.px(mark.at))) {}
                        text.limit x=(px(W - RIGHT + 4.0)) y=(px(y.px(mark.at) + 4.0)) { (mark.label) }
                    }
                    @for line in &self.lines {
                        path class={ "line " (line.class) } d=(line_path(&line.values, &x, &y)) {}
                        @if line.dots {
                            @for (i, v) in line.values.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))) {
                                circle class={ "dot " (line.class) } cx=(px(x.px(i as f64))) cy=(px(y.px(v))) r="2.5" {
                                    title { (self.x_labels.get(i).map_or("", String::as_str)) " " (line.name) ": " (v) }
                                }
                            }
                        }
                    }
                    @for (line, at) in self.line_ends(&y) {
                        text class={ "name " (line.class) } x=(px(W - RIGHT + 4.0)) y=(px(at)) { (line.name) }
                    }
                }
                figcaption { (self.caption) }
            }
        }
    }

    fn y_scale(&self) -> Scale {
        let values = self
            .lines
            .iter()
            .flat_map(|l| l.values.iter().flatten().copied());
        let bands = self
            .bands
            .iter()
            .flat_map(|b| b.edges.iter().flatten().flat_map(|(a, b)| [*a, *b]));
        let marks = self.marks.iter().map(|m| m.at);
        let (low, high) = values
            .chain(bands)
            .chain(marks)
            .filter(|v| v.is_finite())
            .fold((0.0f64, f64::NEG_INFINITY), |(l, h), v| {
                (l.min(v), h.max(v))
            });
        Scale::round(
            low,
            if high.is_finite() { high } else { 1.0 },
            H - BOTTOM,
            TOP,
            5,
        )
    }

    /// Where the name of each line goes, pushed apart so that names and limits do not overprint.
    fn line_ends(&self, y: &Scale) -> Vec<(&Line, f64)> {
        if self.lines.len() < 2 {
            return Vec::new();
        }
        let mut ends: Vec<(&Line, f64)> = self
            .lines
            .iter()
            .filter_map(|l| {
                Some((
                    l,
                    y.px(l.values.iter().rev().flatten().next().copied()?) + 4.0,
                ))
            })
            .collect();
        ends.sort_by(|a, b| a.1.total_cmp(&b.1));
        let taken: Vec<f64> = self.marks.iter().map(|m| y.px(m.at) + 4.0).collect();
        let mut last = f64::NEG_INFINITY;
        for (_, at) in &mut ends {
            *at = at.max(last + 13.0);
            while let Some(t) = taken.iter().find(|t| (**t - *at).abs() < 12.0) {
                *at = t + 12.5;
            }
            last = *at;
        }
        ends
    }
}

fn line_path(values: &[Option<f64>], x: &Scale, y: &Scale) -> String {
    let mut d = String::new();
    let mut pen = false;
    for (i, value) in values.iter().enumerate() {
        match value.filter(|v| v.is_finite()) {
            Some(v) => {
                d.push(if pen { 'L' } else { 'M' });
                d.push_str(&format!("{} {}", px(x.px(i as f64)), px(y.px(v))));
                pen = true;
            }
            None => pen = false,
        }
    }
    d
}

fn band_path(edges: &[Option<(f64, f64)>], x: &Scale, y: &Scale) -> String {
    let mut d = String::new();
    for run in edges
        .iter()
        .enumerate()
        .collect::<Vec<_>>()
        .split(|(_, e)| e.is_none())
    {
        let points: Vec<(usize, (f64, f64))> =
            run.iter().filter_map(|(i, e)| Some((*i, (**e)?))).collect();
        let upper = points.iter().map(|(i, (_, b))| (*i, *b));
        let lower = points.iter().rev().map(|(i, (a, _))| (*i, *a));
        for (k, (i, v)) in upper.chain(lower).enumerate() {
            d.push(if k == 0 { 'M' } else { 'L' });
            d.push_str(&format!("{} {}", px(x.px(i as f64)), px(y.px(v))));
        }
        if !points.is_empty() {
            d.push('Z');
        }
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_stays_a_gap() {
        let x = Scale::exact(0.0, 3.0, 0.0, 3.0);
        let y = Scale::exact(0.0, 1.0, 1.0, 0.0);
        let d = line_path(&[Some(0.0), Some(1.0), None, Some(1.0)], &x, &y);
        assert_eq!(d, "M0 1L1 0M3 0");
        assert_eq!(
            band_path(&[Some((0.0, 1.0)), None, None, None], &x, &y),
            "M0 0L0 1Z"
        );
    }

    #[test]
    fn names_do_not_overprint() {
        let line = |name: &str, v| Line {
            name: name.into(),
            values: vec![Some(0.0), Some(v)],
            class: "s1",
            dots: false,
        };
        let chart = LineChart {
            title: "t".into(),
            unit: "u".into(),
            x_labels: vec!["a".into(), "b".into()],
            lines: vec![line("one", 10.0), line("two", 10.1)],
            bands: vec![],
            marks: vec![Mark {
                at: 10.0,
                label: "limit".into(),
            }],
            caption: String::new(),
        };
        let ends = chart.line_ends(&chart.y_scale());
        assert!((ends[0].1 - ends[1].1).abs() >= 12.0);
    }
}
