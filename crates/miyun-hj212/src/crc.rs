//! The frame check of annex A and the dialects met in the field.
//!
//! The annex drops the low byte in each round, so its register carries 8 bits from byte to byte and
//! the step between bytes is linear with period 8. Bytes that stand 8 apart therefore act alike:
//! they are folded by XOR, and eight table steps finish the work. Equal to the bitwise form of the
//! annex (see the tests), and a hundred times as fast. For the same reason the check is weak: 256
//! values occur, and a receiver must keep a real hash of what it took.

use serde::{Deserialize, Serialize};

/// How a device computes and writes the check (rulebook/vocabulary/hj212/crc-dialects.toml).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrcDialect {
    /// HJ 212 annex A, high byte first.
    Hj212,
    /// CRC-16/MODBUS, low byte first.
    ModbusLowFirst,
    /// CRC-16/MODBUS, high byte first.
    ModbusHighFirst,
    /// Annex A, low byte first.
    Hj212Swapped,
}

impl CrcDialect {
    /// All dialects, the standard's first.
    pub const ALL: [Self; 4] = [
        Self::Hj212,
        Self::ModbusLowFirst,
        Self::ModbusHighFirst,
        Self::Hj212Swapped,
    ];

    /// The word used in files and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hj212 => "hj212",
            Self::ModbusLowFirst => "modbus-low-first",
            Self::ModbusHighFirst => "modbus-high-first",
            Self::Hj212Swapped => "hj212-swapped",
        }
    }

    /// The four hexadecimal digits on the wire, read high digit first, for `segment`.
    #[must_use]
    pub fn of(self, segment: &[u8]) -> u16 {
        match self {
            Self::Hj212 => hj212(segment),
            Self::Hj212Swapped => hj212(segment).swap_bytes(),
            Self::ModbusHighFirst => modbus(segment),
            Self::ModbusLowFirst => modbus(segment).swap_bytes(),
        }
    }
}

impl std::str::FromStr for CrcDialect {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|d| d.as_str() == text || d.as_str().replace('-', "_") == text)
            .ok_or_else(|| {
                format!(
                    "unknown CRC dialect {text:?}: use hj212, modbus-low-first, modbus-high-first or hj212-swapped"
                )
            })
    }
}

/// A set of dialects that a listener takes from one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CrcSet(u8);

impl CrcSet {
    /// The standard's check only.
    pub const STANDARD: Self = Self(1);
    /// Every dialect: for tools that look, never for a listener (it multiplies false accepts).
    pub const ANY: Self = Self(0b1111);

    /// Only `dialect`.
    #[must_use]
    pub fn only(dialect: CrcDialect) -> Self {
        Self(1 << dialect as u8)
    }

    /// With `dialect` as well.
    #[must_use]
    pub fn with(self, dialect: CrcDialect) -> Self {
        Self(self.0 | 1 << dialect as u8)
    }

    /// True if `dialect` is taken.
    #[must_use]
    pub fn has(self, dialect: CrcDialect) -> bool {
        self.0 & (1 << dialect as u8) != 0
    }

    /// The first dialect of the set, in the order of [`CrcDialect::ALL`]; what an encoder writes.
    #[must_use]
    pub fn first(self) -> CrcDialect {
        CrcDialect::ALL
            .into_iter()
            .find(|d| self.has(*d))
            .unwrap_or(CrcDialect::Hj212)
    }

    /// The dialect of the set that gives `wire` for `segment`. Each algorithm runs at most once.
    #[must_use]
    pub fn fits(self, segment: &[u8], wire: u16) -> Option<CrcDialect> {
        use CrcDialect as D;
        let standard = hj212(segment);
        if standard == wire && self.has(D::Hj212) {
            return Some(D::Hj212);
        }
        if self.has(D::ModbusLowFirst) || self.has(D::ModbusHighFirst) {
            let other = modbus(segment);
            if other.swap_bytes() == wire && self.has(D::ModbusLowFirst) {
                return Some(D::ModbusLowFirst);
            }
            if other == wire && self.has(D::ModbusHighFirst) {
                return Some(D::ModbusHighFirst);
            }
        }
        (standard.swap_bytes() == wire && self.has(D::Hj212Swapped)).then_some(D::Hj212Swapped)
    }
}

impl Default for CrcSet {
    fn default() -> Self {
        Self::STANDARD
    }
}

const POLYNOMIAL: u16 = 0xA001;

const fn steps(mut reg: u16) -> u16 {
    let mut k = 0;
    while k < 8 {
        let out = reg & 1;
        reg >>= 1;
        if out == 1 {
            reg ^= POLYNOMIAL;
        }
        k += 1;
    }
    reg
}

const TABLE: [u16; 256] = {
    let mut t = [0; 256];
    let mut x = 0;
    while x < 256 {
        t[x] = steps(x as u16);
        x += 1;
    }
    t
};

/// The check of annex A for `segment`.
///
/// Clause: HJ 212-2017 annex A.
#[must_use]
pub fn hj212(segment: &[u8]) -> u16 {
    let Some((&first, rest)) = segment.split_first() else {
        return 0xFFFF;
    };
    // Bytes are grouped by their distance from the last byte, modulo 8.
    let head = rest.len() % 8;
    let mut folded = [0u8; 8];
    // The initial register acts as a change of the first byte.
    folded[7 - head % 8] ^= first ^ 0xFF;
    let (odd, words) = rest.split_at(head);
    for (k, b) in odd.iter().enumerate() {
        folded[8 - head + k] ^= b;
    }
    let mut sum = 0u64;
    for w in words.chunks_exact(8) {
        sum ^= u64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]);
    }
    let mut high = 0u8;
    for (f, s) in folded.iter().zip(sum.to_le_bytes()) {
        // `high` is the register's high byte; the last round returns the whole register.
        high = (TABLE[usize::from(high)] >> 8) as u8 ^ f ^ s;
    }
    // The first step above used T[0] = 0, so the sum is H-weighted as the annex does.
    TABLE[usize::from(high)]
}

/// `SLICES[k][x]`: the register that byte `x` leaves after `k` zero bytes.
const SLICES: [[u16; 256]; 8] = {
    let mut s = [TABLE; 8];
    let mut k = 1;
    while k < 8 {
        let mut x = 0;
        while x < 256 {
            let before = s[k - 1][x];
            s[k][x] = (before >> 8) ^ TABLE[(before & 0xFF) as usize];
            x += 1;
        }
        k += 1;
    }
    s
};

/// CRC-16/MODBUS of `segment`, eight bytes a step.
#[must_use]
pub fn modbus(segment: &[u8]) -> u16 {
    let mut reg = 0xFFFFu16;
    let (words, rest) = segment.as_chunks::<8>();
    for w in words {
        let [low, high] = reg.to_le_bytes();
        let w = [w[0] ^ low, w[1] ^ high, w[2], w[3], w[4], w[5], w[6], w[7]];
        reg = 0;
        for (k, b) in w.into_iter().enumerate() {
            reg ^= SLICES[7 - k][usize::from(b)];
        }
    }
    rest.iter().fold(reg, |reg, b| {
        (reg >> 8) ^ TABLE[usize::from((reg ^ u16::from(*b)) as u8)]
    })
}

/// The value of four hexadecimal digits, and whether one of them is a lower-case letter.
#[must_use]
pub fn digits(field: &[u8]) -> Option<(u16, bool)> {
    let field: &[u8; 4] = field.try_into().ok()?;
    let mut value = 0u16;
    let mut lower = false;
    for b in field {
        let d = match b {
            b'0'..=b'9' => b - b'0',
            b'A'..=b'F' => b - b'A' + 10,
            b'a'..=b'f' => {
                lower = true;
                b - b'a' + 10
            }
            _ => return None,
        };
        value = value << 4 | u16::from(d);
    }
    Some((value, lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Annex A as printed.
    fn bitwise(segment: &[u8]) -> u16 {
        let mut reg = 0xFFFFu16;
        for b in segment {
            reg = (reg >> 8) ^ u16::from(*b);
            for _ in 0..8 {
                let out = reg & 1;
                reg >>= 1;
                if out == 1 {
                    reg ^= 0xA001;
                }
            }
        }
        reg
    }

    #[test]
    fn the_examples_of_the_annexes() {
        let s = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&";
        assert_eq!(hj212(s), 0x1C80); // HJ 212-2017 annex A
        let s = b"QN=20240601085857223;ST=32;CN=1011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&&&";
        assert_eq!(hj212(s), 0x2200); // HJ 212-2025 annex A.1
        assert_eq!(modbus(b"123456789"), 0x4B37); // the check value of CRC-16/MODBUS
        assert_eq!(hj212(b""), bitwise(b""));
    }

    /// CRC-16/MODBUS, one bit at a time.
    fn modbus_bitwise(segment: &[u8]) -> u16 {
        segment.iter().fold(0xFFFF, |reg: u16, b| {
            (0..8).fold(reg ^ u16::from(*b), |reg, _| {
                (reg >> 1) ^ if reg & 1 == 1 { 0xA001 } else { 0 }
            })
        })
    }

    proptest! {
        #[test]
        fn slices_equal_single_bits(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(modbus(&bytes), modbus_bitwise(&bytes));
            for d in CrcDialect::ALL {
                prop_assert!(CrcSet::only(d).fits(&bytes, d.of(&bytes)) == Some(d));
            }
        }

        #[test]
        fn folding_equals_the_annex(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(hj212(&bytes), bitwise(&bytes));
        }
    }

    #[test]
    fn digits_are_four_and_hexadecimal() {
        assert_eq!(digits(b"1C80"), Some((0x1C80, false)));
        assert_eq!(digits(b"f9c1"), Some((0xF9C1, true)));
        assert_eq!(digits(b"12 4"), None);
        assert_eq!(digits(b"123"), None);
    }

    #[test]
    fn a_set_takes_what_it_names() {
        let s = b"CP=&&&&";
        let wire = CrcDialect::ModbusLowFirst.of(s);
        assert_eq!(CrcSet::STANDARD.fits(s, wire), None);
        let both = CrcSet::STANDARD.with(CrcDialect::ModbusLowFirst);
        assert_eq!(both.fits(s, wire), Some(CrcDialect::ModbusLowFirst));
        assert_eq!("modbus_low_first".parse(), Ok(CrcDialect::ModbusLowFirst));
    }
}
