//! Merkle proofs from the complete subtrees that the index holds.
//!
//! The tree is that of RFC 9162. Every complete subtree is known by level and index, so a proof
//! costs a logarithm of look-ups and no file is read.
//!
//! This module knows nothing of where the subtrees are kept.

use sealwire_wire::id::Digest;
use sealwire_wire::statement::leaf_data;
use sha2::{Digest as _, Sha256};

use super::StoreFault;

/// Hash of the leaf for a statement's digest.
pub(super) fn leaf_hash(statement: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([0]).chain_update(leaf_data(statement)).finalize().into())
}

/// Hash of an inner node.
pub(super) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0);
    Digest(hash.finalize().into())
}

/// Looks up the complete subtree at a level and index; level 0 is a leaf.
pub(super) type Lookup<'a> = dyn Fn(u8, u64) -> Result<Digest, StoreFault> + 'a;

/// Hash of the leaves in `[from, to)`, which is not empty.
pub(super) fn subtree(lookup: &Lookup<'_>, from: u64, to: u64) -> Result<Digest, StoreFault> {
    let len = to.saturating_sub(from);
    if len.is_power_of_two() && from % len == 0 {
        let level = len.trailing_zeros();
        return lookup(u8::try_from(level).map_err(|_| StoreFault::Row)?, from / len);
    }
    let half = split(len)?;
    let left = subtree(lookup, from, from + half)?;
    Ok(node_hash(&left, &subtree(lookup, from + half, to)?))
}

/// Root of the tree of `size` leaves.
pub(super) fn root(lookup: &Lookup<'_>, size: u64) -> Result<Digest, StoreFault> {
    if size == 0 { Ok(Digest::of(b"")) } else { subtree(lookup, 0, size) }
}

/// Complete subtrees that make up the tree of `size` leaves, largest first.
pub(super) fn peaks(lookup: &Lookup<'_>, size: u64) -> Result<Vec<Digest>, StoreFault> {
    let mut peaks = Vec::new();
    let mut from = 0u64;
    for level in (0..64u8).rev().filter(|level| size >> level & 1 == 1) {
        peaks.push(lookup(level, from >> level)?);
        from += 1 << level;
    }
    Ok(peaks)
}

/// Inclusion path of leaf `index` in the tree of `size` leaves, leaf to root.
pub(super) fn inclusion(
    lookup: &Lookup<'_>,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, StoreFault> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from)?;
        if index < middle {
            path.push(subtree(lookup, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(lookup, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Consistency proof from the tree of `old` leaves to that of `size`.
pub(super) fn consistency(
    lookup: &Lookup<'_>,
    old: u64,
    size: u64,
) -> Result<Vec<Digest>, StoreFault> {
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to != old {
        let middle = from + split(to - from)?;
        if old <= middle {
            path.push(subtree(lookup, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(lookup, from, middle)?);
            from = middle;
        }
    }
    if from != 0 {
        path.push(subtree(lookup, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Largest power of two below `len`.
fn split(len: u64) -> Result<u64, StoreFault> {
    match len.checked_sub(1).and_then(u64::checked_ilog2) {
        Some(bits) => Ok(1 << bits),
        None => Err(StoreFault::Row),
    }
}
