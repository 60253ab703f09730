//! Which frames were stored lately, so that a resent one is answered and not stored twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::merkle::Hash;

/// Takes the low half of a SHA-256 as it is: it is as random as a hash can make it.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for (i, b) in bytes.iter().take(8).enumerate() {
            self.0 |= u64::from(*b) << (8 * i);
        }
    }
    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

type Set = HashSet<u128, BuildHasherDefault<AsIs>>;

/// The last frames in two generations: at least `window`, at most twice as many are known. Memory
/// is about 20 bytes a frame.
///
/// The key is 128 bits of the SHA-256 of the frame as it came, which holds MN, CN, QN and PNO: two
/// frames of one key are one frame.
#[derive(Debug)]
pub struct Seen {
    window: usize,
    young: Set,
    old: Set,
}

impl Seen {
    /// Remembers at least `window` frames.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            young: Set::default(),
            old: Set::default(),
        }
    }

    /// True if the frame was not known; it is now.
    pub fn insert(&mut self, frame: &Hash) -> bool {
        let k = key(frame);
        if self.old.contains(&k) || !self.young.insert(k) {
            return false;
        }
        if self.young.len() >= self.window {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }

    /// True if the frame is known.
    #[must_use]
    pub fn knows(&self, frame: &Hash) -> bool {
        let k = key(frame);
        self.old.contains(&k) || self.young.contains(&k)
    }

    /// Frames known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// True if none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn key(frame: &Hash) -> u128 {
    let mut k = [0; 16];
    k.copy_from_slice(&frame[..16]);
    u128::from_le_bytes(k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::sha256;

    #[test]
    fn the_last_frames_are_known_and_memory_is_bounded() {
        let mut seen = Seen::new(100);
        let h = |i: u32| sha256(&i.to_le_bytes());
        for i in 0..1_000 {
            assert!(seen.insert(&h(i)));
            assert!(!seen.insert(&h(i)), "the same frame again");
            assert!(seen.len() <= 200);
        }
        for i in 900..1_000 {
            assert!(seen.knows(&h(i)));
        }
        assert!(!seen.knows(&h(0)), "older ones are forgotten");
    }
}
