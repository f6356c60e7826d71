//! Which paths and tiles there are, and that proofs can be built from them.

use super::*;
use crate::merkle::{
    Frontier, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;
use std::collections::HashMap;

fn leaf(index: u64) -> Digest {
    leaf_hash(&index.to_be_bytes())
}

/// The tiles of a growing log, written as a log writes them.
fn grow(tiles: &mut HashMap<TileId, Vec<u8>>, old: u64, new: u64) {
    for tile in tiles_for_growth(old, new) {
        let reader = TileReader::new(new, |id| tiles.get(&id).cloned());
        let half = |level: u8, at: u64| reader.subtree(8 * level - 1, at).unwrap();
        let hash = |at: u64| match tile.level() {
            0 => leaf(at),
            level => node_hash(&half(level, 2 * at), &half(level, 2 * at + 1)),
        };
        let first = tile.index() * 256;
        let content = (first..first + u64::from(tile.width())).flat_map(|at| hash(at).0);
        let content: Vec<u8> = content.collect();
        tiles.insert(tile, content);
    }
}

#[test]
fn paths_are_those_of_the_specification() {
    let tile = |level, index, width| TileId::new(level, index, width).unwrap();
    assert_eq!(tile(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
    assert_eq!(tile(2, 0, 1).path(), "tile/2/000.p/1");
    assert_eq!(tile(0, 1000, 112).entries_path().unwrap(), "tile/entries/x001/000.p/112");
    assert_eq!(tile(1, 0, 256).entries_path(), None);
    let of_70_000: Vec<String> = partial_tiles(70_000).map(|t| t.path()).collect();
    assert_eq!(of_70_000, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(tiles_for_growth(0, 70_000).count(), 274 + 2 + 1);
}

#[test]
fn refuses_every_other_spelling_of_a_path() {
    for bad in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x01/002",
        "tile/0/x001/x002",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/-01",
        "tile/0/000/",
        "tile/0/../000",
        "tile/entries/x000/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/7/001",
        "tile/7/000",
    ] {
        assert_eq!(bad.parse::<Resource>(), Err(TileError::Path(bad.into())), "{bad}");
    }
}

#[test]
fn only_tiles_that_a_tree_can_have_have_a_name() {
    assert!(TileId::new(7, 0, 255).is_ok());
    assert!(TileId::new(7, 0, 256).is_err(), "2^64 leaves are one too many");
    assert!(TileId::new(0, u64::MAX / 256, 255).is_ok());
    assert!(TileId::new(0, u64::MAX, 1).is_err());
    assert_eq!(tiles_for_growth(u64::MAX - 1, u64::MAX).count(), 1);
    assert_eq!(tiles_for_growth(9, 9).count() + tiles_for_growth(9, 3).count(), 0);
}

#[test]
fn every_proof_can_be_built_from_tiles() {
    let (mut tiles, mut tree, mut roots) = (HashMap::new(), Frontier::new(), Vec::new());
    let sizes = [1u64, 2, 255, 256, 257, 511, 600, 66_000];
    for (step, size) in sizes.iter().enumerate() {
        grow(&mut tiles, if step == 0 { 0 } else { sizes[step - 1] }, *size);
        (tree.size()..*size).for_each(|index| tree.push(leaf(index)));
        roots.push(tree.root());
    }
    for (size, root) in sizes.iter().zip(&roots) {
        let reader = TileReader::new(*size, |id| tiles.get(&id).cloned());
        assert_eq!(root_at(&reader, *size).unwrap(), *root, "size {size}");
        for index in [0, 1, 254, 255, 256, 511, 65_535, 65_999] {
            if index < *size {
                let proof = inclusion_proof(&reader, index, *size).unwrap();
                assert_eq!(verify_inclusion(&leaf(index), index, *size, &proof, root), Ok(()));
            }
        }
        for (old, old_root) in sizes.iter().zip(&roots).filter(|(old, _)| *old <= size) {
            let proof = consistency_proof(&reader, *old, *size).unwrap();
            assert_eq!(verify_consistency(*old, old_root, *size, root, &proof), Ok(()));
        }
    }
    // A partial tile that is gone is replaced by the full one, and by nothing else.
    tiles.retain(|id, _| id.is_full());
    let reader = TileReader::new(255, |id| tiles.get(&id).cloned());
    assert_eq!(root_at(&reader, 255).unwrap(), roots[2]);
    let reader = TileReader::new(600, |id| tiles.get(&id).cloned());
    assert_eq!(root_at(&reader, 600).unwrap(), roots[6]);
    let reader = TileReader::new(66_000, |id| tiles.get(&id).cloned());
    assert!(matches!(root_at(&reader, 66_000), Err(TileError::Missing { .. })));
}

#[test]
fn refuses_tiles_of_another_length_and_subtrees_beyond_the_tree() {
    let reader = TileReader::new(3, |_| Some(vec![0; 64]));
    assert!(matches!(reader.subtree(0, 0), Err(TileError::WrongLength { .. })));
    for (level, index) in [(0, 3), (1, 1), (2, 0), (63, 0), (64, 0), (255, 0), (0, u64::MAX)] {
        let beyond = TileError::OutOfTree { level, index, size: 3 };
        assert_eq!(reader.subtree(level, index), Err(beyond));
    }
}

#[test]
fn refuses_bundles_that_are_cut_lengthened_or_of_other_entries() {
    let entries = [[1; 33], [2; 33]];
    let bundle = encode_bundle(&entries);
    assert_eq!(decode_bundle(&bundle, 2).unwrap(), entries);
    assert!(decode_bundle(&bundle, 1).is_err() && decode_bundle(&bundle, 3).is_err());
    assert!(decode_bundle(&bundle[..69], 2).is_err());
    assert!(decode_bundle(&[bundle.as_slice(), &[0]].concat(), 2).is_err());
    let mut other = bundle;
    other[36] = 32;
    assert!(decode_bundle(&other, 2).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        path in "(tile/)?[0-9entrisx./p+]{0,40}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        width: u16, level: u8, index: u64, size: u64,
    ) {
        if let Ok(resource) = path.parse::<Resource>() {
            prop_assert_eq!(resource.to_string(), path);
        }
        let _ = decode_bundle(&bytes, width);
        let _ = TileReader::new(size, |_| Some(bytes.clone())).subtree(level, index);
    }

    #[test]
    fn paths_are_read_back(level in 0..=7u8, index: u64, width in 1..=256u16) {
        let index = index >> (8 * level) >> 9;
        // A full tile of level 7 would hold 2^64 leaves, one more than a size can say.
        let width = if level == 7 { width.min(255) } else { width };
        let tile = TileId::new(level, index, width).unwrap();
        prop_assert_eq!(tile.path().parse(), Ok(Resource::Tile(tile)));
        if let Some(path) = tile.entries_path() {
            prop_assert_eq!(path.parse(), Ok(Resource::Entries(tile)));
        }
    }

    #[test]
    fn bundles_are_read_back(entries in prop::collection::vec(any::<[u8; 32]>(), 0..20)) {
        let entries: Vec<[u8; 33]> = entries.iter().map(|e| {
            let mut entry = [1; 33];
            entry[1..].copy_from_slice(e);
            entry
        }).collect();
        let width = entries.len() as u16;
        prop_assert_eq!(decode_bundle(&encode_bundle(&entries), width).unwrap(), entries);
    }
}
