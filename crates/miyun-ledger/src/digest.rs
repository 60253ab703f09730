//! The state digest: the sum modulo 2^256 of the SHA-256 of every entry of the state.
//!
//! A sum can be kept up to date by subtracting the entry that was and adding the entry that is, so
//! a batch costs as many hashes as entries it touched. It needs no order, so an independent program
//! computes it from its own tables. It is a check on the state machine; what binds history is the
//! Merkle tree of the records, from which the state follows.

use sha2::{Digest as _, Sha256};

/// 32 bytes.
pub type Hash = [u8; 32];

/// SHA-256 of an entry: a letter that says what it is, then its canonical bytes.
#[must_use]
pub fn entry_hash(letter: u8, bytes: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update([letter]);
    h.update(bytes);
    h.finalize().into()
}

/// A sum of entry hashes, four little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u64; 4]);

fn words(hash: &Hash) -> [u64; 4] {
    let mut out = [0; 4];
    for (word, chunk) in out.iter_mut().zip(hash.chunks_exact(8)) {
        let mut b = [0; 8];
        b.copy_from_slice(chunk);
        *word = u64::from_le_bytes(b);
    }
    out
}

impl Sum {
    /// Adds an entry.
    pub fn add(&mut self, hash: &Hash) {
        let mut carry = 0u64;
        for (word, add) in self.0.iter_mut().zip(words(hash)) {
            let sum = u128::from(*word) + u128::from(add) + u128::from(carry);
            *word = sum as u64;
            carry = (sum >> 64) as u64;
        }
    }

    /// Takes an entry away.
    pub fn sub(&mut self, hash: &Hash) {
        let mut borrow = false;
        for (word, sub) in self.0.iter_mut().zip(words(hash)) {
            let (a, b1) = word.overflowing_sub(sub);
            let (b, b2) = a.overflowing_sub(u64::from(borrow));
            *word = b;
            borrow = b1 || b2;
        }
    }

    /// The sum as bytes.
    #[must_use]
    pub fn bytes(&self) -> Hash {
        let mut out = [0; 32];
        for (chunk, word) in out.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The sum with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &Hash) -> Self {
        Self(words(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_taking_away_in_any_order_gives_nothing() {
        let a = [0xff; 32];
        let b = entry_hash(b'A', b"x");
        let mut sum = Sum::default();
        sum.add(&a);
        sum.add(&b);
        sum.add(&a);
        sum.sub(&b);
        sum.sub(&a);
        assert_eq!(sum.bytes(), a);
        sum.sub(&a);
        assert_eq!(sum, Sum::default());
        sum.sub(&a);
        sum.add(&a);
        assert_eq!(sum, Sum::default());
    }
}
