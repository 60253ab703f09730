//! Charts as SVG, drawn on the server: no script, no outside host, sharp on paper.
//!
//! Every chart is a `<figure>` with a one-sentence caption made from its data, and carries its
//! numbers as text where a reader would ask for them. Colour never speaks alone: levels also have
//! a shape and a word, limits a label.

mod calendar;
mod line;
mod scale;
mod spark;
mod stack;

pub use calendar::{CalendarDay, calendar};
pub use line::{Band, Line, LineChart, Mark};
pub use scale::Scale;
pub use spark::{pace_bar, sparkline};
pub use stack::{Segment, bars, stack};

/// Marks a level of an index besides its colour.
pub const LEVEL_SHAPES: [&str; 6] = ["●", "▲", "◆", "■", "✚", "✖"];

/// A number for an SVG attribute: two decimals, no trailing noise.
pub(crate) fn px(x: f64) -> String {
    let text = format!("{x:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::px;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(px(1.0), "1");
        assert_eq!(px(1.256), "1.26");
        assert_eq!(px(-0.5), "-0.5");
    }
}
