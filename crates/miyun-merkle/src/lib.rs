//! Merkle trees as in RFC 6962, section 2: SHA-256, a 0 byte before a leaf, a 1 byte before a node.

pub mod hex_hash;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The hash of a leaf.
#[must_use]
pub fn leaf(data: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update([0]);
    h.update(data);
    h.finalize().into()
}

/// The hash of a node over two others.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    sha256(&bytes)
}

/// The root over no leaf at all.
#[must_use]
pub fn empty() -> Hash {
    sha256(&[])
}

/// The largest power of two below `n`, for `n` of 2 or more.
fn half(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// The root over leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree.root()
}

/// The audit path of leaf `index`, from the leaf upward; none if there is no such leaf.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index, mut path) = (leaves, index, Vec::new());
    while leaves.len() > 1 {
        let k = half(leaves.len());
        let (left, right) = leaves.split_at(k);
        if index < k {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            leaves = right;
            index -= k;
        }
    }
    path.reverse();
    Some(path)
}

/// The root that a leaf hash and its audit path lead to; none if the path has the wrong length.
#[must_use]
pub fn root_from_path(hash: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut fnode, mut snode, mut hash) = (index, size - 1, hash);
    for sibling in path {
        if snode == 0 {
            return None;
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node(sibling, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    (snode == 0).then_some(hash)
}

/// The proof that the tree over the first `old` leaves is a beginning of this one; none unless
/// `0 < old <= leaves`.
#[must_use]
pub fn consistency(leaves: &[Hash], old: usize) -> Option<Vec<Hash>> {
    if old == 0 || old > leaves.len() {
        return None;
    }
    let (mut leaves, mut old, mut whole, mut path) = (leaves, old, true, Vec::new());
    while old < leaves.len() {
        let k = half(leaves.len());
        let (left, right) = leaves.split_at(k);
        if old <= k {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            leaves = right;
            old -= k;
            whole = false;
        }
    }
    if !whole {
        path.push(root(leaves));
    }
    path.reverse();
    Some(path)
}

/// True if `proof` shows that the tree of `old` leaves with `old_root` is a beginning of the tree of
/// `new` leaves with `new_root`.
#[must_use]
pub fn is_consistent(old: u64, new: u64, old_root: Hash, new_root: Hash, proof: &[Hash]) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut proof = proof.iter();
    let (mut fnode, mut snode) = (old - 1, new - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    let first = if fnode == 0 {
        old_root
    } else {
        match proof.next() {
            Some(hash) => *hash,
            None => return false,
        }
    };
    let (mut from_old, mut from_new) = (first, first);
    for hash in proof {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            from_old = node(hash, &from_old);
            from_new = node(hash, &from_new);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            from_new = node(&from_new, hash);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && from_old == old_root && from_new == new_root
}

/// Where a leaf stands in a tree and the hashes beside its way to the root: with the leaf, all that
/// a checker needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The leaf's place, from 0.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// The audit path, from the leaf upward.
    #[serde(with = "hex_hash::list")]
    pub path: Vec<Hash>,
}

impl Way {
    /// The way of leaf `index`; none if there is no such leaf.
    #[must_use]
    pub fn of(leaves: &[Hash], index: usize) -> Option<Self> {
        Some(Self {
            index: index as u64,
            size: leaves.len() as u64,
            path: path(leaves, index)?,
        })
    }

    /// The root that the leaf hash leads to; none if the path has the wrong length.
    #[must_use]
    pub fn root(&self, leaf: Hash) -> Option<Hash> {
        root_from_path(leaf, self.index, self.size, &self.path)
    }
}

/// A tree that grows by one leaf at a time and keeps only the roots of its complete subtrees: memory
/// of the logarithm of its size.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, largest first: one for each 1 in the size.
    #[serde(with = "hex_hash::list")]
    full: Vec<Hash>,
}

#[derive(Deserialize)]
struct Parts {
    size: u64,
    #[serde(with = "hex_hash::list")]
    full: Vec<Hash>,
}

impl TryFrom<Parts> for Frontier {
    type Error = &'static str;
    fn try_from(p: Parts) -> Result<Self, Self::Error> {
        if p.full.len() != p.size.count_ones() as usize {
            return Err("a tree has one complete subtree for each 1 in its size");
        }
        Ok(Self {
            size: p.size,
            full: p.full,
        })
    }
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

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let peaks = self.full.iter().rev().copied();
        peaks
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(empty)
    }
}

/// A [`Frontier`] that keeps its leaves too, so that it can prove them.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    leaves: Vec<Hash>,
    frontier: Frontier,
}

impl Tree {
    /// The tree over these leaf hashes.
    #[must_use]
    pub fn of(leaves: Vec<Hash>) -> Self {
        let mut frontier = Frontier::default();
        for leaf in &leaves {
            frontier.push(*leaf);
        }
        Self { leaves, frontier }
    }

    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        self.frontier.push(leaf);
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The leaf hashes.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex32(text: &str) -> Hash {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// The test vectors that implementations of RFC 6962 share: eight leaves and their roots.
    #[test]
    fn roots_equal_the_published_vectors() {
        let data: [&str; 8] = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let leaves: Vec<_> = data
            .iter()
            .map(|d| leaf(&hex::decode(d).unwrap()))
            .collect();
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        for (n, expected) in roots.iter().enumerate() {
            tree.push(leaves[n]);
            assert_eq!(tree.root(), hex32(expected));
            assert_eq!(root(&leaves[..=n]), hex32(expected));
        }
        assert_eq!(
            empty(),
            hex32("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
    }

    #[test]
    fn every_path_and_every_beginning_is_proved_and_nothing_else() {
        let leaves: Vec<_> = (0u8..33).map(|n| leaf(&[n])).collect();
        for size in 1..=leaves.len() {
            let all = &leaves[..size];
            let top = root(all);
            for (index, hash) in all.iter().enumerate() {
                let way = path(all, index).unwrap();
                let (i, n) = (index as u64, size as u64);
                assert_eq!(root_from_path(*hash, i, n, &way), Some(top));
                let other = leaf(b"other");
                assert_ne!(root_from_path(other, i, n, &way), Some(top));
                if size > 1 {
                    assert_ne!(root_from_path(*hash, i ^ 1, n, &way), Some(top));
                }
            }
            for old in 1..=size {
                let proof = consistency(all, old).unwrap();
                let (o, n) = (old as u64, size as u64);
                assert!(is_consistent(o, n, root(&leaves[..old]), top, &proof));
                assert!(!is_consistent(o, n, leaf(b"x"), top, &proof));
                assert!(!is_consistent(
                    o,
                    n,
                    root(&leaves[..old]),
                    leaf(b"x"),
                    &proof
                ));
                if old < size {
                    assert!(!is_consistent(o + 1, n, root(&leaves[..old]), top, &proof));
                }
            }
        }
    }

    /// The recursive definition of RFC 6962, 2.1.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(half(leaves.len()));
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    proptest! {
        #[test]
        fn a_tree_that_grew_equals_the_definition(n in 0usize..200, pick in 0usize..200) {
            let leaves: Vec<Hash> = (0..n).map(|i| leaf(&i.to_be_bytes())).collect();
            let top = root(&leaves);
            prop_assert_eq!(top, by_definition(&leaves));
            let tree = Tree::of(leaves.clone());
            prop_assert_eq!(tree.root(), top);
            let text = serde_json::to_string(&tree.frontier).unwrap();
            let again: Frontier = serde_json::from_str(&text).unwrap();
            prop_assert_eq!((again.size(), again.root()), (n as u64, top));
            let wrong = text.replace("\"full\":[", &format!("\"full\":[\"{}\",", hex::encode(top)));
            prop_assert!(serde_json::from_str::<Frontier>(&wrong.replace(",]", "]")).is_err());
            if n > 0 {
                let way = Way::of(&leaves, pick % n).unwrap();
                prop_assert_eq!(way.root(leaves[pick % n]), Some(top));
            }
        }
    }
}
