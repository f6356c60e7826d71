//! Writes `conformance/vectors/tree`, or holds this implementation to the files there.
//!
//! With `SEALWIRE_WRITE_VECTORS=1` the files are written; otherwise they are compared with what
//! would be written. Each verdict in them is also checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::tile::{Resource, TileId, TileReader, encode_bundle, tiles_for_growth};

/// Writes or compares all files of one area; a file there that is not listed fails.
pub(crate) fn settle(area: &str, files: &[(&str, Value)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors").join(area);
    let write = std::env::var("SEALWIRE_WRITE_VECTORS").is_ok_and(|v| v == "1");
    if write {
        std::fs::create_dir_all(&folder).unwrap();
    }
    for (name, content) in files {
        let (path, text) = (folder.join(name), format!("{content:#}\n"));
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "hint: if the change is meant, run with SEALWIRE_WRITE_VECTORS=1";
        assert!(found == text, "{} is not what this program writes\n{hint}", path.display());
    }
    let listed: BTreeSet<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
    let present: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, listed, "every file in {} is read", folder.display());
}

/// Leaf data of an entry: `01 ‖ SHA-256(index as 8 bytes)`.
fn entry(index: u64) -> [u8; 33] {
    let mut data = [1; 33];
    data[1..].copy_from_slice(&Digest::of(&index.to_be_bytes()).0);
    data
}

/// The files of a log of `size` such entries.
pub(crate) fn tiles(size: u64) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for tile in tiles_for_growth(0, size) {
        let indexes = || tile.index() * 256..tile.index() * 256 + u64::from(tile.width());
        let reader = TileReader::new(size, |id: TileId| files.get(&id.path()).cloned());
        let half = |at| reader.subtree(8 * tile.level() - 1, at).unwrap();
        let hash = |at: u64| match tile.level() {
            0 => leaf_hash(&entry(at)),
            _ => node_hash(&half(2 * at), &half(2 * at + 1)),
        };
        let content: Vec<u8> = indexes().flat_map(|at| hash(at).0).collect();
        files.insert(tile.path(), content);
        if let Some(path) = tile.entries_path() {
            let entries: Vec<[u8; 33]> = indexes().map(entry).collect();
            files.insert(path, encode_bundle(&entries));
        }
    }
    files
}

/// The hashes of such a log.
pub(crate) fn log(size: u64) -> TileReader<impl Fn(TileId) -> Option<Vec<u8>>> {
    let files = tiles(size);
    TileReader::new(size, move |id| files.get(&id.path()).cloned())
}

/// Leaf data of entry `index`, its inclusion proof and the root at `size`.
pub(crate) fn proven(index: u64, size: u64) -> ([u8; 33], Vec<Digest>, Digest) {
    let log = log(size);
    let proof = inclusion_proof(&log, index, size).unwrap();
    (entry(index), proof, root_at(&log, size).unwrap())
}

fn hashing() -> Value {
    // The eight leaves that certificate transparency programs have been tested with since 2013.
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let mut tree = Frontier::new();
    let mut roots = vec![tree.root()];
    for leaf in leaves {
        tree.push(leaf_hash(leaf));
        roots.push(tree.root());
    }
    let known = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
    assert_eq!(tree.root().to_string(), known);
    let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
    json!({
        "leaf": { "data": hex::encode("left"), "hash": left },
        "node": { "left": left, "right": right, "hash": node_hash(&left, &right) },
        "tree": { "leaves": leaves.map(hex::encode), "roots_by_size": roots },
    })
}

fn inclusion() -> Value {
    let mut cases = Vec::new();
    let mut add = |why: &str, valid, leaf: &[u8], index, size, proof: &[Digest], root: &Digest| {
        let verdict = verify_inclusion(&leaf_hash(leaf), index, size, proof, root);
        assert_eq!(verdict.is_ok(), valid, "{why}");
        cases.push(json!({
            "why": why, "valid": valid, "leaf": hex::encode(leaf), "index": index, "size": size,
            "proof": proof, "root": root,
        }));
    };
    for size in 1..=9 {
        for index in 0..size {
            let (leaf, proof, root) = proven(index, size);
            add("as built", true, &leaf, index, size, &proof, &root);
        }
    }
    for (index, size) in [(0, 300), (255, 300), (256, 300), (299, 300), (511, 600)] {
        let (leaf, proof, root) = proven(index, size);
        add("as built, over several tiles", true, &leaf, index, size, &proof, &root);
    }
    for (index, size) in [(0, 1), (0, 8), (4, 7), (6, 7), (299, 300)] {
        let (leaf, proof, root) = proven(index, size);
        let mut no = |why: &str, index, size, proof: &[Digest]| {
            add(why, false, &leaf, index, size, proof, &root);
        };
        no("index is the size", size, size, &proof);
        no("tree is empty", 0, 0, &proof);
        no("one node more", index, size, &[&proof[..], &[root]].concat());
        no("one node more in front", index, size, &[&[root], &proof[..]].concat());
        if let Some((last, rest)) = proof.split_last() {
            no("last node missing", index, size, rest);
            no("first node missing", index, size, &proof[1..]);
            no("another index", index ^ 1, size, &proof);
            let mut flipped = *last;
            flipped.0[31] ^= 1;
            no("one bit flipped", index, size, &[rest, &[flipped]].concat());
            let reversed: Vec<Digest> = proof.iter().rev().copied().collect();
            no("nodes in reverse order", index, size, &reversed);
        }
        add("another leaf", false, &entry(index + 1), index, size, &proof, &root);
        add("another root", false, &leaf, index, size, &proof, &leaf_hash(&leaf[1..]));
    }
    json!(cases)
}

fn consistency() -> Value {
    let mut cases = Vec::new();
    let mut add = |why: &str, valid, old: (u64, Digest), new: (u64, Digest), proof: &[Digest]| {
        let verdict = verify_consistency(old.0, &old.1, new.0, &new.1, proof);
        assert_eq!(verdict.is_ok(), valid, "{why}");
        cases.push(json!({
            "why": why, "valid": valid, "old_size": old.0, "old_root": old.1,
            "new_size": new.0, "new_root": new.1, "proof": proof,
        }));
    };
    let log = log(600);
    let at = |size: u64| (size, root_at(&log, size).unwrap());
    let sizes = (0..=9).flat_map(|new| (0..=new).map(move |old| (old, new)));
    for (old, new) in sizes.chain([(1, 300), (255, 300), (256, 300), (257, 600), (512, 600)]) {
        let proof = consistency_proof(&log, old, new).unwrap();
        add("as built", true, at(old), at(new), &proof);
    }
    let lie = leaf_hash(b"lie");
    for (old, new) in [(1, 2), (3, 7), (4, 7), (6, 8), (8, 9), (255, 300), (256, 300)] {
        let proof = consistency_proof(&log, old, new).unwrap();
        let (last, rest) = proof.split_last().unwrap();
        let mut flipped = *last;
        flipped.0[0] ^= 0x80;
        add("another old root", false, (old, lie), at(new), &proof);
        add("another new root", false, at(old), (new, lie), &proof);
        add("sizes exchanged", false, at(new), at(old), &proof);
        add("another old size", false, (old - 1, at(old).1), at(new), &proof);
        add("last node missing", false, at(old), at(new), rest);
        add("one node more", false, at(old), at(new), &[&proof[..], &[lie]].concat());
        add("one bit flipped", false, at(old), at(new), &[rest, &[flipped]].concat());
        add("no proof", false, at(old), at(new), &[]);
    }
    add("from nothing, with a node", false, at(0), at(5), &[lie]);
    add("from nothing with a root", false, (0, lie), at(5), &[]);
    add("from nothing, equal roots", false, (0, lie), (5, lie), &[]);
    add("nothing with a root", false, (0, lie), (0, lie), &[]);
    add("same size, with a node", false, at(5), at(5), &[lie]);
    add("same size, another root", false, at(5), (5, lie), &[]);
    json!(cases)
}

fn layout() -> Value {
    let tile = |level, index, width| TileId::new(level, index, width).unwrap();
    let paths: Vec<Value> = [
        (0, 0, 256),
        (0, 0, 1),
        (0, 999, 256),
        (0, 1000, 255),
        (0, 1_234_067, 256),
        (1, 5, 17),
        (0, 1_000_000_000, 256),
        (7, 0, 255),
    ]
    .iter()
    .map(|&(level, index, width)| {
        let tile = tile(level, index, width);
        json!({
            "level": level, "index": index, "width": width,
            "tile": tile.path(), "entries": tile.entries_path(),
        })
    })
    .collect();
    let refused = [
        "",
        "tile/0",
        "/tile/0/000",
        "tile/0/0",
        "tile/00/000",
        "tile/8/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/../000",
        "tile/entries/0000",
        "tile/7/000",
    ];
    assert!(refused.iter().all(|path| path.parse::<Resource>().is_err()));
    let growth: Vec<Value> =
        [(0, 0), (0, 1), (0, 256), (255, 256), (256, 257), (300, 600), (65_535, 65_537), (9, 9)]
            .iter()
            .map(|&(old, new)| {
                let tiles: Vec<String> = tiles_for_growth(old, new).map(|t| t.path()).collect();
                json!({ "old": old, "new": new, "tiles": tiles })
            })
            .collect();
    let logs: Vec<Value> = [1, 255, 256, 600]
        .iter()
        .map(|&size| {
            let files: BTreeMap<String, Digest> =
                tiles(size).into_iter().map(|(path, bytes)| (path, Digest::of(&bytes))).collect();
            json!({ "size": size, "root": root_at(&log(size), size).unwrap(), "sha256": files })
        })
        .collect();
    json!({
        "paths": paths, "refused_paths": refused, "growth": growth,
        "entry": "01, then SHA-256 of the index as 8 bytes, big-endian", "logs": logs,
    })
}

#[test]
fn the_tree_vectors_are_what_this_program_computes() {
    settle(
        "tree",
        &[
            ("hashing.json", hashing()),
            ("inclusion.json", inclusion()),
            ("consistency.json", consistency()),
            ("layout.json", layout()),
        ],
    );
}
