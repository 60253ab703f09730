//! The next of three bytes, eight at a time. Tokens here are 4 to 20 bytes long, too short for
//! calls into a searcher to pay.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// High bits where a byte of `word` is `byte`; the lowest one is exact.
#[inline(always)]
const fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ (LOW * byte as u64);
    x.wrapping_sub(LOW) & !x & HIGH
}

/// The first place at or behind `from` that holds `A`, `B` or `C`; the length if none does.
#[inline(always)]
pub(crate) fn next_of<const A: u8, const B: u8, const C: u8>(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let hit = equal(word, A) | equal(word, B) | equal(word, C);
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] != A && bytes[at] != B && bytes[at] != C {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_one_by_one(bytes in proptest::collection::vec(0x2Au8..0x40, 0..40), from in 0usize..40) {
            let from = from.min(bytes.len());
            let want = bytes[from..].iter().position(|b| b";,=".contains(b)).map_or(bytes.len(), |n| from + n);
            prop_assert_eq!(next_of::<b';', b',', b'='>(&bytes, from), want);
        }
    }
}
