//! Rounding as instruments prescribe it. A [`Decimal`] keeps its trailing zeros, so a limit
//! printed `1.0` still knows that it has one decimal.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// How a value becomes a shorter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To nearest, ties to the even digit (GB/T 8170, "四舍六入五成双").
    HalfEven,
    /// To nearest, ties away from zero.
    HalfUp,
    /// Up to the next value (the sub-indices of HJ 633).
    Ceiling,
    /// Digits are cut off (concentrations under the US AQI).
    Truncate,
}

impl Rounding {
    /// The word used in the rulebook.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HalfEven => "half-even",
            Self::HalfUp => "half-up",
            Self::Ceiling => "ceiling",
            Self::Truncate => "truncate",
        }
    }
}

impl std::str::FromStr for Rounding {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "half-even" | "GB/T 8170" => Ok(Self::HalfEven),
            "half-up" => Ok(Self::HalfUp),
            "ceiling" => Ok(Self::Ceiling),
            "truncate" => Ok(Self::Truncate),
            other => Err(format!(
                "unknown rounding {other:?}: use half-even (also written GB/T 8170), half-up, ceiling or truncate"
            )),
        }
    }
}

/// `value` with `places` decimals, trailing zeros kept.
///
/// ```
/// use miyun_core::{round, Rounding, Decimal};
/// let d = |t: &str| t.parse::<Decimal>().unwrap();
/// assert_eq!(round(d("60.5"), 0, Rounding::HalfEven).to_string(), "60");
/// assert_eq!(round(d("60.50001"), 0, Rounding::HalfEven).to_string(), "61");
/// assert_eq!(round(d("3"), 1, Rounding::HalfEven).to_string(), "3.0");
/// assert_eq!(round(d("100.0001"), 0, Rounding::Ceiling).to_string(), "101");
/// ```
#[must_use]
pub fn round(value: Decimal, places: u32, rule: Rounding) -> Decimal {
    let strategy = match rule {
        Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
        Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        Rounding::Ceiling => RoundingStrategy::ToPositiveInfinity,
        Rounding::Truncate => RoundingStrategy::ToZero,
    };
    let mut rounded = value.round_dp_with_strategy(places, strategy);
    rounded.rescale(places);
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_moves_a_value_by_less_than_one_unit(n in -10_000_000i64..10_000_000, places in 0u32..4) {
            let value = Decimal::new(n, 4);
            let unit = Decimal::new(1, places);
            for rule in [Rounding::HalfEven, Rounding::HalfUp, Rounding::Ceiling, Rounding::Truncate] {
                let r = round(value, places, rule);
                prop_assert!((r - value).abs() < unit);
                prop_assert_eq!(r.scale(), places);
                prop_assert_eq!(round(r, places, rule), r);
            }
            prop_assert!(round(value, places, Rounding::Ceiling) >= value);
            prop_assert!(round(value, places, Rounding::Truncate).abs() <= value.abs());
        }

        #[test]
        fn half_even_is_half_way_only_to_even_digits(n in -1_000_000i64..1_000_000) {
            // n + 1/2 is always a tie; the even neighbour must win.
            let tie = Decimal::new(n * 10 + 5, 1);
            let r = round(tie, 0, Rounding::HalfEven);
            prop_assert!((r % Decimal::TWO).is_zero());
        }
    }
}
