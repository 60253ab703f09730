//! Linear axes with round ticks.

/// A linear map from data to pixels, with ticks at round numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
    /// Ticks at 1, 2 or 5 times a power of ten.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// A scale that covers `low..=high`, widened to round numbers, with about `ticks` ticks.
    #[must_use]
    pub fn round(low: f64, high: f64, from_px: f64, to_px: f64, ticks: usize) -> Self {
        let (low, high) = if high > low {
            (low, high)
        } else {
            (low - 0.5, low + 0.5)
        };
        let step = round_step((high - low) / ticks.max(1) as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        Self {
            low: first as f64 * step,
            high: last as f64 * step,
            from_px,
            to_px,
            ticks: (first..=last).map(|i| i as f64 * step).collect(),
        }
    }

    /// A scale that covers exactly `low..=high`, without ticks.
    #[must_use]
    pub fn exact(low: f64, high: f64, from_px: f64, to_px: f64) -> Self {
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            from_px,
            to_px,
            ticks: Vec::new(),
        }
    }

    /// Where `x` lies, in pixels.
    #[must_use]
    pub fn px(&self, x: f64) -> f64 {
        self.from_px + (x - self.low) / (self.high - self.low) * (self.to_px - self.from_px)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let lead = raw / power;
    let round = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|r| lead <= *r + 1e-9)
        .unwrap_or(10.0);
    round * power
}

/// A tick as text: no more decimals than its step needs.
pub(super) fn tick_text(tick: f64, ticks: &[f64]) -> String {
    let step = ticks
        .windows(2)
        .map(|w| w[1] - w[0])
        .fold(f64::INFINITY, f64::min);
    let decimals = if step.is_finite() {
        (-step.log10()).ceil().clamp(0.0, 6.0) as usize
    } else {
        0
    };
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        let s = Scale::round(3.0, 97.0, 200.0, 0.0, 5);
        assert_eq!(s.ticks, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(s.px(0.0), 200.0);
        assert_eq!(s.px(100.0), 0.0);
        assert_eq!(
            tick_text(0.2, &Scale::round(0.0, 1.0, 0.0, 1.0, 5).ticks),
            "0.2"
        );
    }

    #[test]
    fn a_single_value_still_has_an_axis() {
        let s = Scale::round(7.0, 7.0, 0.0, 100.0, 4);
        assert!(s.ticks.len() >= 2 && s.px(7.0) > 0.0 && s.px(7.0) < 100.0);
    }
}
