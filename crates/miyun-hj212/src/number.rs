//! Decimal text as it is printed in a region, exact.

use miyun_core::observation::VALUE_SCALE;

/// Powers of ten.
const POWERS: [i64; 19] = {
    let mut p = [1; 19];
    let mut k = 1;
    while k < 19 {
        p[k] = p[k - 1] * 10;
        k += 1;
    }
    p
};

/// `mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Digits and sign.
    pub mantissa: i64,
    /// Power of ten.
    pub exponent: i16,
}

impl Number {
    /// The number in `text`: digits, one point, a sign, an exponent as in `1.2E-3`. `None` if it is
    /// no number or has more than 18 digits.
    #[must_use]
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut value = 0u64;
        let mut count = 0usize;
        let mut point = None;
        let mut exponent = 0i16;
        for (i, &b) in digits.iter().enumerate() {
            let d = b.wrapping_sub(b'0');
            if d < 10 {
                count += 1;
                if count > 18 {
                    return None;
                }
                value = value * 10 + u64::from(d);
            } else if b == b'.' && point.is_none() {
                point = Some(count);
            } else if matches!(b, b'e' | b'E') && count > 0 {
                exponent = power(&digits[i + 1..])?;
                break;
            } else {
                return None;
            }
        }
        if count == 0 {
            return None;
        }
        let decimals = point.map_or(0, |p| (count - p) as i16);
        let value = i64::try_from(value).ok()?;
        Some(Self {
            mantissa: if negative { -value } else { value },
            exponent: exponent - decimals,
        })
    }

    /// The number in steps of 10^-6 (how observations are stored), `None` if it does not fit
    /// exactly.
    #[must_use]
    #[inline]
    pub fn micro(self) -> Option<i64> {
        self.steps(VALUE_SCALE as i16)
    }

    /// The number in steps of 10^-`decimals`, `None` if it does not fit exactly.
    #[must_use]
    #[inline]
    pub fn steps(self, decimals: i16) -> Option<i64> {
        let shift = self.exponent.checked_add(decimals)?;
        if self.mantissa == 0 {
            return Some(0);
        }
        let power = *POWERS.get(usize::from(shift.unsigned_abs()))?;
        if shift >= 0 {
            self.mantissa.checked_mul(power)
        } else {
            (self.mantissa % power == 0).then(|| self.mantissa / power)
        }
    }

    /// The nearest binary number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.mantissa as f64 * 10f64.powi(i32::from(self.exponent))
    }
}

fn power(text: &[u8]) -> Option<i16> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0i16, |v, d| v * 10 + i16::from(d - b'0'));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_numbers_are_exact() {
        let n = |t: &str| Number::parse(t).and_then(Number::micro);
        assert_eq!(n("7.1"), Some(7_100_000));
        assert_eq!(n("-0.0"), Some(0));
        assert_eq!(n("1.2E-3"), Some(1_200));
        assert_eq!(n("+12"), Some(12_000_000));
        assert_eq!(n("0.0000001"), None); // below the last decimal kept
        assert_eq!(n("0.1000000"), Some(100_000));
        for bad in [
            "",
            "-",
            ".",
            "1.2.3",
            "N",
            "2.2…",
            "1E",
            "1E+",
            "1E9999",
            "0x1",
            "1234567890123456789",
        ] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
        assert_eq!(n("9E18"), None);
        assert!((Number::parse("1.2E-3").unwrap().to_f64() - 0.0012).abs() < 1e-15);
    }
}
