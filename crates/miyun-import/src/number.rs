//! Decimal text to integers of 10^-6 units, without floats.

use miyun_core::observation::VALUE_SCALE;

/// Why a text is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// Not a decimal number.
    Syntax,
    /// Larger than 10^9 units.
    Range,
    /// More than six decimals that are not zero.
    Decimals,
}

/// Largest value in 10^-6 units, 10^9 units: a year of hours of it still adds up in 64 bits.
const STEPS_MAX: i64 = 1_000_000_000_000_000;

/// `text` (digits, one point, a sign; also `1e-3` as some programs write) in 10^-6 units.
///
/// # Errors
/// [`NumberError`]; in particular a seventh decimal is refused, not rounded away.
pub fn steps(text: &[u8]) -> Result<i64, NumberError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(i) => (&digits[..i], exponent(&digits[i + 1..])?),
        None => (digits, 0),
    };
    let mut value: i64 = 0;
    let mut decimals: i32 = 0;
    let mut seen_point = false;
    let mut seen_digit = false;
    for &b in mantissa {
        match b {
            b'0'..=b'9' => {
                seen_digit = true;
                // Zeros past the sixth decimal say nothing.
                if seen_point && decimals >= 18 {
                    if b != b'0' {
                        return Err(NumberError::Decimals);
                    }
                    continue;
                }
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(i64::from(b - b'0')))
                    .ok_or(NumberError::Range)?;
                decimals += i32::from(seen_point);
            }
            b'.' if !seen_point => seen_point = true,
            _ => return Err(NumberError::Syntax),
        }
    }
    if !seen_digit {
        return Err(NumberError::Syntax);
    }
    let mut shift = VALUE_SCALE as i32 - decimals + exponent;
    while shift < 0 && value % 10 == 0 && value != 0 {
        value /= 10;
        shift += 1;
    }
    if value == 0 {
        return Ok(0);
    }
    if shift < 0 {
        return Err(NumberError::Decimals);
    }
    for _ in 0..shift {
        value = value.checked_mul(10).ok_or(NumberError::Range)?;
    }
    if value > STEPS_MAX {
        return Err(NumberError::Range);
    }
    Ok(if negative { -value } else { value })
}

fn exponent(text: &[u8]) -> Result<i32, NumberError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<i32>().ok())
        .filter(|e| e.abs() <= 30)
        .ok_or(NumberError::Syntax)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_files_hold() {
        for (text, want) in [
            ("9", 9_000_000),
            ("0.2856", 285_600),
            ("-21.4", -21_400_000),
            ("+3", 3_000_000),
            ("1e-3", 1_000),
            ("2.5E1", 25_000_000),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("3.7000000000", 3_700_000),
            ("0", 0),
            ("-0.0", 0),
        ] {
            assert_eq!(steps(text.as_bytes()), Ok(want), "{text}");
        }
        for (text, want) in [
            ("", NumberError::Syntax),
            ("-", NumberError::Syntax),
            ("1.2.3", NumberError::Syntax),
            ("NaN", NumberError::Syntax),
            ("inf", NumberError::Syntax),
            ("1e", NumberError::Syntax),
            ("1,5", NumberError::Syntax),
            ("0.0000001", NumberError::Decimals),
            ("99999999999999999999", NumberError::Range),
            ("1e30", NumberError::Range),
            ("1000000000.000001", NumberError::Range),
        ] {
            assert_eq!(steps(text.as_bytes()), Err(want), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_six_decimal_number_survives(n in -1_000_000_000_000i64..1_000_000_000_000) {
            let text = miyun_core::Decimal::new(n, 6).to_string();
            prop_assert_eq!(steps(text.as_bytes()), Ok(n));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = steps(&bytes);
        }
    }
}
