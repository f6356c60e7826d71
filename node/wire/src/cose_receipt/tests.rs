//! What an export accepts and refuses, and what a bare receipt would let pass.

use super::*;
use crate::checkpoint::sign;
use crate::merkle::{self, vectors::proven};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

pub(super) const ORIGIN: &str = "test.example/ID";

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

/// Entry `index` of the log of the tree vectors.
pub(super) fn statement(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

pub(super) fn checkpoint(size: u64) -> String {
    let root = proven(0, size).2;
    sign(&Checkpoint { origin: ORIGIN.to_owned(), size, root }, &key(1)).to_string()
}

/// The tlog-proof of an entry.
pub(super) fn proof(index: u64, size: u64) -> Receipt {
    Receipt::new(index, proven(index, size).1, checkpoint(size)).with_statement(statement(index))
}

pub(super) fn export(index: u64, size: u64) -> Export {
    Export::sign(&proof(index, size), &key(1)).unwrap()
}

/// The same with other numbers, which nothing signs.
pub(super) fn relabelled(export: &Export, index: u64, size: u64) -> Export {
    let receipt = CoseReceipt { size, index, ..export.receipt.clone() };
    Export { receipt, ..export.clone() }
}

/// All that RFC 9942 asks of the receipt: the path leads from the leaf to the root that is signed.
pub(super) fn holds_bare(export: &Export, root: &Digest) -> bool {
    let CoseReceipt { protected, size, index, path, signature, .. } = &export.receipt;
    let leaf = merkle::leaf_hash(&leaf_data(&Digest::of(&export.statement)));
    merkle::verify_inclusion(&leaf, *index, *size, path, root).is_ok()
        && verify_strict(&public(1), &sig_structure(protected, &root.0), signature)
}

#[test]
fn an_export_is_read_back_and_proves_its_entry_under_the_logs_key_only() {
    for (index, size) in [(0, 2), (1, 2), (4, 7), (6, 7), (257, 300)] {
        let good = export(index, size);
        let read = Export::parse(&good.to_bytes()).unwrap();
        assert_eq!(read, good);
        assert_eq!(read.proof(), proof(index, size));
        assert_eq!(read.verify(ORIGIN, &public(1)).unwrap().checkpoint().size, size);
        assert!(read.verify("test.example/SG", &public(1)).is_err());
        assert!(read.verify(ORIGIN, &public(2)).is_err());
        let other = Export { statement: statement(index + 1), ..good };
        assert!(other.verify(ORIGIN, &public(1)).is_err());
    }
}

#[test]
fn a_relabelled_size_holds_as_a_bare_receipt_and_is_refused_beside_its_checkpoint() {
    let good = export(257, 300);
    let root = proven(257, 300).2;
    assert!(holds_bare(&good, &root) && good.verify(ORIGIN, &public(1)).is_ok());
    let sizes = (289..=320).map(|size| (257, size)).filter(|(_, size)| *size != 300);
    for (index, size) in sizes.chain([(65, 97)]) {
        let lie = Export::parse(&relabelled(&good, index, size).to_bytes()).unwrap();
        assert!(holds_bare(&lie, &root), "({size}, {index})");
        let refusal = lie.verify(ORIGIN, &public(1)).unwrap_err();
        assert!(!refusal.to_string().is_empty(), "({size}, {index})");
        let bound =
            lie.receipt.verify(&Checkpoint { origin: ORIGIN.into(), size: 300, root }, &public(1));
        assert_eq!(bound, Err(CoseReceiptError::OtherSize { receipt: size, checkpoint: 300 }));
    }
    for (index, size) in [(257, 288), (257, 321), (256, 300), (258, 300), (65, 300)] {
        assert!(!holds_bare(&relabelled(&good, index, size), &root), "({size}, {index})");
    }
}

#[test]
fn a_relabelled_size_is_refused_beside_any_checkpoint_of_that_size() {
    let good = export(257, 300);
    let lie = Export { checkpoint: checkpoint(301), ..relabelled(&good, 257, 301) };
    assert!(lie.verify(ORIGIN, &public(1)).is_err(), "the log's true checkpoint of that size");
    let root = proven(257, 300).2;
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 301, root };
    let lie = Export { checkpoint: sign(&head, &key(2)).to_string(), ..lie };
    assert!(lie.verify(ORIGIN, &public(1)).is_err(), "one that another key signed");
}

#[test]
fn an_export_is_made_of_a_proof_that_holds_and_has_a_path() {
    let sign = |proof: &Receipt| Export::sign(proof, &key(1));
    assert_eq!(sign(&proof(0, 1)), Err(CoseReceiptError::OneLeaf));
    let refusal = CoseReceiptError::OneLeaf.to_string();
    assert!(refusal.starts_with("cannot make COSE receipt: the log has one entry"), "{refusal}");
    let mute = Receipt::new(4, proven(4, 7).1, checkpoint(7));
    assert_eq!(sign(&mute), Err(CoseReceiptError::NoStatement));
    assert!(sign(&mute.clone().with_statement(statement(5))).is_err(), "another statement");
    let other = Receipt::new(5, proven(4, 7).1, checkpoint(7)).with_statement(statement(4));
    assert!(sign(&other).is_err(), "another index");
    assert!(Export::sign(&proof(4, 7), &key(2)).is_err(), "a key that did not sign the checkpoint");
    let unsigned = Receipt::new(4, proven(4, 7).1, "no note".to_owned());
    assert!(sign(&unsigned.with_statement(statement(4))).is_err());
}

#[test]
fn every_changed_byte_refutes_an_export() {
    let good = export(4, 7).to_bytes();
    let holds = |bytes: &[u8]| {
        Export::parse(bytes).is_ok_and(|export| export.verify(ORIGIN, &public(1)).is_ok())
    };
    assert!(holds(&good));
    for at in 0..good.len() {
        for bit in [1, 2, 0x20, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            assert!(!holds(&bytes), "byte {at}, bit {bit}");
        }
        assert!(!holds(&good[..at]), "cut at {at}");
    }
    assert!(!holds(&[&good[..], &[0]].concat()), "one byte more");
}

#[test]
fn refuses_what_is_larger_than_the_limits() {
    let long = CoseReceipt { path: vec![Digest([1; 32]); MAX_PROOF_NODES], ..export(4, 7).receipt };
    assert_eq!(CoseReceipt::parse(&long.to_bytes()), Ok(long.clone()), "the longest path fits");
    let path = vec![Digest([1; 32]); MAX_PROOF_NODES + 1];
    let longer = CoseReceipt { path, ..long };
    assert!(CoseReceipt::parse(&longer.to_bytes()).is_err());
    let size = [MAX_COSE_RECEIPT_BYTES + 1, MAX_EXPORT_BYTES + 1].map(|size| vec![0; size]);
    let too_large = |refusal: CoseReceiptError| {
        assert!(matches!(refusal, CoseReceiptError::Form(CborError::TooLarge { .. })));
    };
    too_large(CoseReceipt::parse(&size[0]).unwrap_err());
    too_large(Export::parse(&size[1]).unwrap_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Export::parse(&bytes);
        let _ = CoseReceipt::parse(&bytes);
        let _ = CoseReceipt::parse(&[&[0xd2, 0x84], &bytes[..]].concat());
    }

    #[test]
    fn what_is_read_is_written_as_the_same_bytes(
        at in any::<prop::sample::Index>(), bit in 0..8u8, index in 0..9u64,
    ) {
        let mut bytes = export(index % 7, 7).receipt().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = CoseReceipt::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
