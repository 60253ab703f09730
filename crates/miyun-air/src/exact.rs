//! Exact values: integers of 10^-6 units and fractions of them, so that a half is a half and
//! rounding has nothing to guess.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZero;

use miyun_core::decimal::Rounding;
use miyun_core::{Decimal, observation::VALUE_SCALE};
use serde::{Serialize, Serializer};

/// How many integer steps one unit has.
pub const ONE: i64 = 10i64.pow(VALUE_SCALE);

/// A fraction of 10^-6 units: the value is `num / den * 10^-6`, `den > 0`. Not always reduced: a
/// mean of 24 hours stays a sum over 24, so that sums and comparisons of such need no division.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    num: i128,
    /// Never zero, which leaves zero to say that there is no value: a year of days is a third smaller.
    den: NonZero<i128>,
}

const UNDIVIDED: NonZero<i128> = NonZero::new(1).unwrap();

/// Numbers here mostly fit 64 bits, where a division costs a tenth of one of 128 bits.
fn small(a: i128, b: i128) -> Option<(i64, i64)> {
    Some((i64::try_from(a).ok()?, i64::try_from(b).ok()?))
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    loop {
        if b == 0 {
            return a as i128;
        }
        if let (Ok(mut x), Ok(mut y)) = (u64::try_from(a), u64::try_from(b)) {
            while y != 0 {
                (x, y) = (y, x % y);
            }
            return i128::from(x);
        }
        (a, b) = (b, a % b);
    }
}

fn mul(a: i128, b: i128) -> Option<i128> {
    match small(a, b) {
        Some((a, b)) => Some(i128::from(a) * i128::from(b)),
        None => a.checked_mul(b),
    }
}

/// `a / b`, towards zero; `b` is positive.
fn div(a: i128, b: i128) -> i128 {
    match small(a, b) {
        Some((_, 1)) => a,
        Some((x, y)) if y > 0 => i128::from(x / y),
        _ => a / b,
    }
}

/// A running sum over one common denominator, reduced only when it is read: the denominators of a
/// year's days soon repeat, so that adding a value is one multiplication.
struct Sum {
    num: i128,
    den: i128,
    /// The last denominator added, and how often it goes into `den`.
    last: (i128, i128),
}

impl Sum {
    fn of(num: i128, den: i128) -> Self {
        Self {
            num,
            den,
            last: (den, 1),
        }
    }

    fn add(&mut self, v: Exact) -> Option<()> {
        if v.den() != self.last.0 {
            let mut times = div(self.den, v.den());
            if mul(times, v.den()) != Some(self.den) {
                let up = div(v.den(), gcd(self.den, v.den()));
                *self = Self::of(mul(self.num, up)?, mul(self.den, up)?);
                times = div(self.den, v.den());
            }
            self.last = (v.den(), times);
        }
        let scaled = mul(v.num, self.last.1)?;
        self.num = self.num.checked_add(scaled)?;
        Some(())
    }
}

impl Exact {
    /// `num / den` as it is; `den` must not be zero.
    fn raw(num: i128, den: i128) -> Self {
        debug_assert!(den != 0);
        Self {
            num,
            den: NonZero::new(den).unwrap_or(UNDIVIDED),
        }
    }

    fn den(self) -> i128 {
        self.den.get()
    }

    /// The mean of `n` values whose sum is `sum` 10^-6 units. `n` must not be zero.
    #[must_use]
    pub fn sum_over(sum: i64, n: u8) -> Self {
        Self::raw(i128::from(sum), i128::from(n))
    }

    /// `num / den` 10^-6 units, reduced. `den` must not be zero.
    #[must_use]
    pub fn new(num: i128, den: i128) -> Self {
        let g = gcd(num, den).max(1) * den.signum();
        if g == 1 {
            return Self::raw(num, den);
        }
        Self::raw(div(num, g), div(den, g))
    }

    /// `value` 10^-6 units.
    #[must_use]
    pub fn steps(value: i64) -> Self {
        Self {
            num: i128::from(value),
            den: UNDIVIDED,
        }
    }

    /// The decimal, `None` if it has more than six decimals or is too large.
    #[must_use]
    pub fn from_decimal(value: Decimal) -> Option<Self> {
        steps_of(value).map(Self::steps)
    }

    /// The sum, `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let g = gcd(self.den(), other.den());
        let (up, over) = (div(other.den(), g), div(self.den(), g));
        let den = mul(self.den(), up)?;
        let a = mul(self.num, up)?;
        let b = mul(other.num, over)?;
        Some(Self::new(a.checked_add(b)?, den))
    }

    /// The difference, `None` on overflow.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self {
            num: -other.num,
            ..other
        })
    }

    /// The product with `num / den`, `None` on overflow.
    #[must_use]
    pub fn scale(self, num: i128, den: i128) -> Option<Self> {
        let (a, b) = (Self::new(num, self.den()), Self::new(self.num, den));
        Some(Self::new(mul(a.num, b.num)?, mul(a.den(), b.den())?))
    }

    /// The mean of the values, `None` if there are none or the sum overflows.
    #[must_use]
    pub fn mean(values: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut sum = Sum::of(0, 1);
        let mut n = 0i128;
        for v in values {
            if sum.add(v).is_none() {
                let r = Self::new(sum.num, sum.den).checked_add(v)?;
                sum = Sum::of(r.num, r.den());
            }
            n += 1;
        }
        if n == 0 {
            return None;
        }
        match mul(sum.den, n) {
            Some(den) => Some(Self::new(sum.num, den)),
            None => Self::new(sum.num, sum.den).scale(1, n),
        }
    }

    /// The value with `places` decimals (at most six) under `rule`.
    #[must_use]
    pub fn round(self, places: u32, rule: Rounding) -> Decimal {
        Decimal::from_i128_with_scale(self.rounded(places, rule).0, places.min(VALUE_SCALE))
    }

    /// The value with `places` decimals under `rule`, in 10^-6 units; `None` if it is too large.
    #[must_use]
    pub fn round_steps(self, places: u32, rule: Rounding) -> Option<i64> {
        let (q, unit) = self.rounded(places, rule);
        i64::try_from(mul(q, unit)?).ok()
    }

    /// The rounded value in its last kept decimal, and how many 10^-6 units that decimal is.
    fn rounded(self, places: u32, rule: Rounding) -> (i128, i128) {
        let unit = i128::from(10i64.pow(VALUE_SCALE - places.min(VALUE_SCALE)));
        (
            round_div(self.num, self.den().saturating_mul(unit), rule),
            unit,
        )
    }

    /// The value as a float, for statistics and drawing only.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let r = Self::new(self.num, self.den());
        r.num as f64 / (r.den() as f64 * ONE as f64)
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (
            Self::new(self.num, self.den()),
            Self::new(other.num, other.den()),
        );
        (a.num, a.den()) == (b.num, b.den())
    }
}

impl Eq for Exact {}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.den() == other.den() {
            return self.num.cmp(&other.num);
        }
        match (mul(self.num, other.den()), mul(other.num, self.den())) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

/// Six decimals of the nearest double: for reading and for comparison with other programs, which
/// print that. Rules round the fraction itself ([`Exact::round`]), never this text.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.to_f64())
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `num / den` to an integer under `rule`.
#[must_use]
#[inline]
pub fn round_div(num: i128, den: i128, rule: Rounding) -> i128 {
    debug_assert!(den > 0);
    if let Some((n, d)) = small(num, den) {
        let (q, r) = (n.div_euclid(d), n.rem_euclid(d));
        return i128::from(q) + i128::from(up(r.cmp(&(d - r)), q & 1 != 0, r > 0, n >= 0, rule));
    }
    let (q, r) = (num.div_euclid(den), num.rem_euclid(den));
    q + i128::from(up(r.cmp(&(den - r)), q & 1 != 0, r > 0, num >= 0, rule))
}

/// Whether a quotient rounded down is to be one more. `half` is the order of the remainder and what
/// is left of the divisor: comparing them compares twice the remainder without overflow.
fn up(half: Ordering, odd: bool, rest: bool, positive: bool, rule: Rounding) -> bool {
    match rule {
        Rounding::HalfEven => half == Ordering::Greater || (half == Ordering::Equal && odd),
        Rounding::HalfUp => half == Ordering::Greater || (half == Ordering::Equal && positive),
        Rounding::Ceiling => rest,
        Rounding::Truncate => rest && !positive,
    }
}

/// A decimal as 10^-6 steps, `None` if that is not exact.
#[must_use]
pub fn steps_of(value: Decimal) -> Option<i64> {
    let mut scaled = value.normalize();
    if scaled.scale() > VALUE_SCALE {
        return None;
    }
    scaled.rescale(VALUE_SCALE);
    i64::try_from(scaled.mantissa()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_half_goes_to_the_even_digit() {
        // 1210 / 20 = 60.5 exactly: 60 under GB/T 8170, 61 for those who round half up.
        let v = Exact::new(1210 * i128::from(ONE), 20);
        assert_eq!(v.round(0, Rounding::HalfEven).to_string(), "60");
        assert_eq!(v.round(0, Rounding::HalfUp).to_string(), "61");
        assert_eq!(v.round(1, Rounding::HalfEven).to_string(), "60.5");
    }

    proptest! {
        #[test]
        fn rounding_a_fraction_agrees_with_rounding_its_decimal(n in -1_000_000_000i64..1_000_000_000, places in 0u32..6) {
            // Denominators 2^a 5^b have finite decimals, so Decimal is a second way to the answer.
            for den in [1i64, 2, 4, 8, 20] {
                let exact = Exact::new(i128::from(n), i128::from(den));
                let decimal = Decimal::new(n, 6) / Decimal::from(den);
                for rule in [Rounding::HalfEven, Rounding::HalfUp, Rounding::Ceiling, Rounding::Truncate] {
                    prop_assert_eq!(exact.round(places, rule), miyun_core::round(decimal, places, rule));
                }
            }
        }

        #[test]
        fn sums_do_not_depend_on_the_order(values in proptest::collection::vec((-10_000_000i64..10_000_000, 1i128..25), 1..40)) {
            let exact: Vec<Exact> = values.iter().map(|(n, d)| Exact::new(i128::from(*n), *d)).collect();
            let mut back = exact.clone();
            back.reverse();
            let slow = exact.iter().try_fold(Exact::steps(0), |s, v| s.checked_add(*v)).and_then(|s| s.scale(1, exact.len() as i128));
            prop_assert_eq!(Exact::mean(exact.iter().copied()), slow);
            prop_assert_eq!(Exact::mean(exact), Exact::mean(back));
        }
    }
}
