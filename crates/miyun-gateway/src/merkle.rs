//! Merkle trees with the hashing of RFC 6962: a leaf is `SHA-256(0x00 || data)`, a node
//! `SHA-256(0x01 || left || right)`, the tree over nothing `SHA-256("")`.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Hash of a leaf (RFC 6962, 2.1).
#[must_use]
pub fn leaf(data: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update([0]);
    h.update(data);
    h.finalize().into()
}

/// Hash of an inner node (RFC 6962, 2.1).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    sha256(&bytes)
}

/// Root over leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for l in leaves {
        frontier.push(*l);
    }
    frontier.root()
}

/// A tree that grows leaf by leaf and keeps only the roots of its full subtrees: memory of the
/// logarithm of its size.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of full subtrees, largest first.
    full: Vec<Hash>,
}

impl Frontier {
    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut new = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.full.pop() {
                new = node(&left, &new);
            }
        }
        self.full.push(new);
        self.size += 1;
    }

    /// A tree as [`Frontier::size`] and [`Frontier::full`] described it.
    #[must_use]
    pub fn from_parts(size: u64, full: Vec<Hash>) -> Self {
        Self { size, full }
    }

    /// Roots of the full subtrees, largest first.
    #[must_use]
    pub fn full(&self) -> &[Hash] {
        &self.full
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.full
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| sha256(b""))
    }
}

/// One step up: the sibling and the side on which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Hash of the sibling, lower-case hex.
    #[serde(with = "hex_hash")]
    pub sibling: Hash,
    /// True if the sibling is the left one.
    pub left: bool,
}

/// The way from leaf `index` to the root over `leaves` (RFC 6962, 2.1.1); `None` if there is no
/// such leaf.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Step>> {
    if index >= leaves.len() {
        return None;
    }
    let mut out = Vec::new();
    let (mut from, mut until) = (0, leaves.len());
    while until - from > 1 {
        // The largest power of two smaller than the number of leaves.
        let half = (until - from).next_power_of_two() / 2;
        let middle = from + half;
        if index < middle {
            out.push(Step {
                sibling: root(&leaves[middle..until]),
                left: false,
            });
            until = middle;
        } else {
            out.push(Step {
                sibling: root(&leaves[from..middle]),
                left: true,
            });
            from = middle;
        }
    }
    out.reverse();
    Some(out)
}

/// The root that `leaf` leads to by `path`.
#[must_use]
pub fn climb(leaf: Hash, path: &[Step]) -> Hash {
    path.iter().fold(leaf, |at, s| {
        if s.left {
            node(&s.sibling, &at)
        } else {
            node(&at, &s.sibling)
        }
    })
}

/// Hashes as lower-case hex in documents.
pub mod hex_hash {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a hash.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(hash: &super::Hash, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(hash))
    }

    /// Reads a hash.
    ///
    /// # Errors
    /// If the text is not 64 hex digits.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<super::Hash, D::Error> {
        let text = String::deserialize(d)?;
        let mut out = [0; 32];
        hex::decode_to_slice(&text, &mut out)
            .map_err(|e| D::Error::custom(format!("{text:?} is no SHA-256: {e}")))?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The recursive definition of RFC 6962, 2.1.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => sha256(b""),
            1 => leaves[0],
            n => {
                let k = n.next_power_of_two() / 2;
                node(&by_definition(&leaves[..k]), &by_definition(&leaves[k..]))
            }
        }
    }

    #[test]
    fn the_vectors_of_certificate_transparency() {
        // From the test data of certificate-transparency (merkletree_test.cc).
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|i| leaf(i)).collect();
        for (n, expected) in [
            (
                0,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                1,
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            ),
            (
                2,
                "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            ),
            (
                3,
                "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            ),
            (
                8,
                "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
            ),
        ] {
            assert_eq!(hex::encode(root(&leaves[..n])), expected, "{n} leaves");
        }
    }

    proptest! {
        #[test]
        fn every_leaf_climbs_to_the_root_and_no_other_does(n in 1usize..70, pick in 0usize..70) {
            let leaves: Vec<Hash> = (0..n).map(|i| leaf(&i.to_be_bytes())).collect();
            let top = root(&leaves);
            prop_assert_eq!(top, by_definition(&leaves));
            let i = pick % n;
            let way = path(&leaves, i).unwrap();
            prop_assert_eq!(climb(leaves[i], &way), top);
            prop_assert_ne!(climb(leaf(b"other"), &way), top);
        }
    }
}
