//! Which frames were stored lately, so that a resent one is answered and not stored twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::merkle::Hash;

/// Takes the low half of a SHA-256, or a device number made of one, as it is: it is as random as a
/// hash can make it.
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
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

type Set = HashSet<u128, BuildHasherDefault<AsIs>>;

/// The last frames in two generations: about `window` to twice as many are known. Memory is about
/// 20 bytes a frame.
///
/// The table is cut into [`PARTS`] by the key, each of which grows and ages by itself: a table that
/// doubles moves all its keys at once, and one of millions would hold up the writer.
///
/// The key is 128 bits of the SHA-256 of the frame as it came, which holds MN, CN, QN and PNO: two
/// frames of one key are one frame.
#[derive(Debug)]
pub struct Seen {
    /// Frames of one part's generation.
    window: usize,
    parts: Box<[Part]>,
}

#[derive(Debug, Default, Clone)]
struct Part {
    young: Set,
    old: Set,
}

/// Parts of the table.
const PARTS: usize = 64;

impl Seen {
    /// Remembers `window` frames, give or take the chance of one part filling before another.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            window: window.div_ceil(PARTS).max(1),
            parts: vec![Part::default(); PARTS].into(),
        }
    }

    /// True if the frame was not known; it is now.
    pub fn insert(&mut self, frame: &Hash) -> bool {
        let k = key(frame);
        let part = &mut self.parts[place(k)];
        if part.old.contains(&k) || !part.young.insert(k) {
            return false;
        }
        if part.young.len() >= self.window {
            part.old = std::mem::take(&mut part.young);
        }
        true
    }

    /// True if the frame is known.
    #[must_use]
    pub fn knows(&self, frame: &Hash) -> bool {
        let k = key(frame);
        let part = &self.parts[place(k)];
        part.old.contains(&k) || part.young.contains(&k)
    }

    /// Frames known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.young.len() + p.old.len()).sum()
    }

    /// True if none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The part of a key: bits that the tables inside do not use.
fn place(key: u128) -> usize {
    (key >> 64) as usize % PARTS
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
        let mut seen = Seen::new(20_000);
        let h = |i: u32| sha256(&i.to_le_bytes());
        for i in 0..200_000 {
            assert!(seen.insert(&h(i)));
            assert!(!seen.insert(&h(i)), "the same frame again");
        }
        assert!(seen.len() <= 40_100, "{}", seen.len());
        // Parts do not fill alike; a quarter less is always known.
        for i in 185_000..200_000 {
            assert!(seen.knows(&h(i)), "{i}");
        }
        assert!(!seen.knows(&h(0)), "older ones are forgotten");
    }
}
