//! The Merkle tree of RFC 9162 §2.1 (identical to RFC 6962 for SHA-256): hashing, the frontier of
//! a growing tree, proofs and their verification.
//!
//! This module knows nothing of what a leaf means or where hashes are kept: proofs are built from
//! a caller's [`Subtrees`].

use sha2::{Digest as _, Sha256};

use crate::id::Digest;

/// Hash of a leaf: SHA-256 over `00 ‖ data`.
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0x00]).chain_update(data).finalize().into())
}

/// Hash of an inner node: SHA-256 over `01 ‖ left ‖ right`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0);
    Digest(hash.finalize().into())
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size, or the sizes are in the wrong order.
    #[error("cannot check proof: index or size out of range")]
    OutOfRange,
    /// Too few or too many nodes.
    #[error("cannot check proof: it has {found} nodes, which do not fit the sizes")]
    WrongLength {
        /// Nodes in the proof.
        found: usize,
    },
    /// The recomputed root is another.
    #[error("cannot check proof: it leads to another root")]
    OtherRoot,
}

/// The right edge of a growing tree: enough to append and to know the root at every size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Complete subtrees, largest first: one for each bit set in `size`.
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` leaves with these complete subtrees, largest first; `None` when their
    /// number does not fit the size.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The complete subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends a leaf by its [`leaf_hash`].
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root at the present size.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// Where the hashes of complete subtrees come from.
pub trait Subtrees {
    /// Why a hash cannot be had.
    type Error;

    /// Hash of the complete subtree of `2^level` leaves that starts at leaf `index * 2^level`.
    fn subtree(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// Root of the first `size` leaves.
pub fn root_at<S: Subtrees>(subtrees: &S, size: u64) -> Result<Digest, S::Error> {
    if size == 0 { Ok(empty_root()) } else { range_hash(subtrees, 0, size) }
}

/// The right edge at `size` leaves.
pub fn frontier_at<S: Subtrees>(subtrees: &S, size: u64) -> Result<Frontier, S::Error> {
    let mut peaks = Vec::new();
    let mut from = 0u64;
    for level in (0..64u8).rev().filter(|level| (size >> level) & 1 == 1) {
        peaks.push(subtrees.subtree(level, from >> level)?);
        from += 1 << level;
    }
    Ok(Frontier { size, peaks })
}

/// Inclusion path of leaf `index` among the first `size`, leaf to root (RFC 9162 §2.1.3.1); empty
/// when `index` is not below `size`.
pub fn inclusion_proof<S: Subtrees>(
    subtrees: &S,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, S::Error> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while index < size && to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range_hash(subtrees, middle, to)?);
            to = middle;
        } else {
            path.push(range_hash(subtrees, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Consistency proof from `old` to `size` leaves (RFC 9162 §2.1.4.1); empty when `old` is 0 or
/// not below `size`.
pub fn consistency_proof<S: Subtrees>(
    subtrees: &S,
    old: u64,
    size: u64,
) -> Result<Vec<Digest>, S::Error> {
    if old == 0 || old >= size {
        return Ok(Vec::new());
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range_hash(subtrees, middle, to)?);
            to = middle;
        } else {
            path.push(range_hash(subtrees, from, middle)?);
            from = middle;
        }
    }
    if from != 0 {
        path.push(range_hash(subtrees, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an inclusion proof (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let wrong_length = ProofError::WrongLength { found: proof.len() };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        Err(wrong_length)
    } else if hash == *root {
        Ok(())
    } else {
        Err(ProofError::OtherRoot)
    }
}

/// Checks a consistency proof (RFC 9162 §2.1.4.2). From an empty tree, and between equal sizes,
/// the proof is empty.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange);
    }
    let wrong_length = ProofError::WrongLength { found: proof.len() };
    if old_size == 0 || old_size == new_size {
        // Every tree continues the empty one, but the empty one has only one root.
        let is_empty = |size: u64, root: &Digest| size > 0 || *root == empty_root();
        let same = is_empty(old_size, old_root)
            && is_empty(new_size, new_root)
            && (old_size < new_size || old_root == new_root);
        return match (proof.is_empty(), same) {
            (false, _) => Err(wrong_length),
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::OtherRoot),
        };
    }
    let mut nodes = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { nodes.next() };
    let Some(first) = first else { return Err(wrong_length) };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in nodes {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        Err(wrong_length)
    } else if old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(ProofError::OtherRoot)
    }
}

/// Hash of the leaves in `[from, to)`, which is not empty.
fn range_hash<S: Subtrees>(subtrees: &S, from: u64, to: u64) -> Result<Digest, S::Error> {
    let len = to - from;
    if len.is_power_of_two() && from.is_multiple_of(len) {
        let level = len.trailing_zeros() as u8;
        return subtrees.subtree(level, from >> level);
    }
    let middle = from + split(len);
    let left = range_hash(subtrees, from, middle)?;
    Ok(node_hash(&left, &range_hash(subtrees, middle, to)?))
}

/// Largest power of two below `len`, which is at least 2.
fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

#[cfg(test)]
pub(crate) mod vectors;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// All complete subtrees, by level.
    struct Leaves(Vec<Vec<Digest>>);

    /// RFC 9162 §2.1.1, word for word.
    fn mth(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(&mth(&many[..k]), &mth(&many[k..]))
            }
        }
    }

    impl Subtrees for Leaves {
        type Error = Infallible;
        fn subtree(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
            Ok(self.0[usize::from(level)][index as usize])
        }
    }

    fn leaves(count: u64) -> Leaves {
        let mut levels = vec![(0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|l| l.len() > 1) {
            let above = below.chunks_exact(2).map(|p| node_hash(&p[0], &p[1])).collect();
            levels.push(above);
        }
        Leaves(levels)
    }

    #[test]
    fn the_frontier_knows_the_root_at_every_size() {
        let all = leaves(300);
        let mut frontier = Frontier::new();
        for (size, leaf) in all.0[0].iter().enumerate() {
            assert_eq!(frontier.root(), mth(&all.0[0][..size]), "size {size}");
            assert_eq!(frontier_at(&all, size as u64).unwrap(), frontier);
            assert_eq!(root_at(&all, size as u64).unwrap(), frontier.root());
            let (size, peaks) = (frontier.size(), frontier.peaks().to_vec());
            assert_eq!(Frontier::from_peaks(size, peaks).as_ref(), Some(&frontier));
            frontier.push(*leaf);
        }
        assert!(Frontier::from_peaks(3, vec![]).is_none());
    }

    #[test]
    fn every_inclusion_proof_holds_and_no_other_does() {
        let all = leaves(300);
        for size in 1..=300 {
            let root = root_at(&all, size).unwrap();
            for index in 0..size {
                let leaf = all.0[0][index as usize];
                let mut proof = inclusion_proof(&all, index, size).unwrap();
                let check = |leaf: &Digest, index, proof: &[Digest]| {
                    verify_inclusion(leaf, index, size, proof, &root)
                };
                assert_eq!(check(&leaf, index, &proof), Ok(()));
                if size > 40 {
                    continue;
                }
                for other in (0..size + 2).filter(|other| *other != index) {
                    assert!(check(&leaf, other, &proof).is_err(), "{index} as {other} of {size}");
                }
                assert!(check(&leaf_hash(b"x"), index, &proof).is_err());
                proof.push(leaf);
                assert_eq!(
                    check(&leaf, index, &proof),
                    Err(ProofError::WrongLength { found: proof.len() })
                );
                proof.truncate(proof.len().saturating_sub(2));
                assert!(size == 1 || check(&leaf, index, &proof).is_err());
            }
        }
    }

    #[test]
    fn every_consistency_proof_holds_and_no_other_does() {
        let all = leaves(300);
        let lie = leaf_hash(b"x");
        for new in 0..=300 {
            let new_root = root_at(&all, new).unwrap();
            for old in 0..=new {
                let old_root = root_at(&all, old).unwrap();
                let mut proof = consistency_proof(&all, old, new).unwrap();
                let check =
                    |proof: &[Digest]| verify_consistency(old, &old_root, new, &new_root, proof);
                assert_eq!(check(&proof), Ok(()), "{old} to {new}");
                if new > 40 {
                    continue;
                }
                assert!(verify_consistency(old, &lie, new, &new_root, &proof).is_err());
                if old > 0 {
                    assert!(verify_consistency(old, &old_root, new, &lie, &proof).is_err());
                }
                proof.push(lie);
                assert!(check(&proof).is_err());
                if proof.len() > 1 {
                    proof.truncate(proof.len() - 2);
                    assert!(check(&proof).is_err());
                }
            }
        }
    }

    #[test]
    fn the_empty_tree_has_one_root_only() {
        let (empty, other) = (empty_root(), leaf_hash(b"x"));
        assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
        assert_eq!(verify_consistency(0, &empty, 5, &other, &[]), Ok(()));
        for new in [0, 5] {
            assert!(verify_consistency(0, &other, new, &other, &[]).is_err());
        }
    }

    #[test]
    fn a_shrunk_tree_is_not_consistent() {
        let root = empty_root();
        assert_eq!(verify_consistency(2, &root, 1, &root, &[]), Err(ProofError::OutOfRange));
    }

    proptest! {
        #[test]
        fn arbitrary_proofs_never_panic(
            index: u64, size: u64, nodes in prop::collection::vec(any::<[u8; 32]>(), 0..70)
        ) {
            let proof: Vec<Digest> = nodes.into_iter().map(Digest).collect();
            let root = empty_root();
            prop_assert!(verify_inclusion(&root, index, size, &proof, &root).is_err());
            let _ = verify_consistency(index, &root, size, &root, &proof);
        }

        #[test]
        fn one_flipped_bit_refutes_a_proof(
            sizes in (1u64..400, 0u64..400), flip in (0usize..64, 0usize..256)
        ) {
            let (new, other) = (sizes.0, sizes.1 % sizes.0);
            let all = leaves(new);
            let root = root_at(&all, new).unwrap();
            let flipped = |hash: &Digest| {
                let mut bytes = hash.0;
                bytes[flip.1 / 8] ^= 1 << (flip.1 % 8);
                Digest(bytes)
            };
            let damaged = |proof: &[Digest]| {
                let mut proof = proof.to_vec();
                let at = flip.0 % proof.len().max(1);
                if let Some(node) = proof.get_mut(at) {
                    *node = flipped(node);
                }
                proof
            };
            let leaf = all.0[0][other as usize];
            let proof = inclusion_proof(&all, other, new).unwrap();
            let bad = damaged(&proof);
            prop_assert!(bad.is_empty() || verify_inclusion(&leaf, other, new, &bad, &root).is_err());
            prop_assert!(verify_inclusion(&flipped(&leaf), other, new, &proof, &root).is_err());
            prop_assert!(verify_inclusion(&leaf, other, new, &proof, &flipped(&root)).is_err());
            let old_root = root_at(&all, other).unwrap();
            let proof = consistency_proof(&all, other, new).unwrap();
            let bad = damaged(&proof);
            let check = |old: &Digest, proof: &[Digest]| {
                verify_consistency(other, old, new, &root, proof)
            };
            prop_assert!(bad.is_empty() || check(&old_root, &bad).is_err());
            prop_assert!(check(&flipped(&old_root), &proof).is_err());
        }
    }
}
