//! Merkle trees as in RFC 6962, section 2: SHA-256, a 0 byte before a leaf, a 1 byte before a node.

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

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
    let mut h = Sha256::new();
    h.update([1]);
    h.update(left);
    h.update(right);
    h.finalize().into()
}

/// The root over no leaf at all.
#[must_use]
pub fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// The largest power of two below `n`, for `n` of 2 or more.
fn half(n: usize) -> usize {
    let power = n.next_power_of_two();
    power / 2
}

/// The root over leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty(),
        [one] => *one,
        _ => {
            let mut level = leaves.to_vec();
            while level.len() > 1 {
                let pairs = level.len() / 2;
                for n in 0..pairs {
                    level[n] = node(&level[2 * n], &level[2 * n + 1]);
                }
                if level.len() % 2 == 1 {
                    level[pairs] = level[level.len() - 1];
                    level.truncate(pairs + 1);
                } else {
                    level.truncate(pairs);
                }
            }
            level[0]
        }
    }
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

/// A tree that grows by one leaf at a time and knows its root in a handful of hashes.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    leaves: Vec<Hash>,
    /// Roots of the complete subtrees, largest first, with their heights.
    peaks: Vec<(u32, Hash)>,
}

impl Tree {
    /// The tree over these leaf hashes.
    #[must_use]
    pub fn of(leaves: Vec<Hash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }

    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        let (mut height, mut hash) = (0, leaf);
        while let Some(&(h, left)) = self.peaks.last()
            && h == height
        {
            self.peaks.pop();
            hash = node(&left, &hash);
            height += 1;
        }
        self.peaks.push((height, hash));
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(&(_, mut hash)) = peaks.next() else {
            return empty();
        };
        for (_, left) in peaks {
            hash = node(left, &hash);
        }
        hash
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
}
