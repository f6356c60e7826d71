//! Writes `conformance/vectors/cose-receipt`, or holds this implementation to the file there, in
//! the way of [`crate::merkle::vectors`].

use serde_json::{Value as Json, json};

use super::tests::{ORIGIN, checkpoint, export, holds_bare, key, public, relabelled, statement};
use super::*;
use crate::checkpoint::sign;
use crate::merkle::vectors::{proven, settle};
use crate::note::{PublicKey, VerifierKey};

/// The receipt with one change in the value below its tag.
fn changed(receipt: &CoseReceipt, change: impl FnOnce(&mut Vec<Value>)) -> Vec<u8> {
    let path = receipt.path.iter().map(|node| cbor::bytes(node.0)).collect();
    let proof = vec![receipt.size.into(), receipt.index.into(), Value::Array(path)];
    let mut parts = vec![
        Value::Map(vec![
            (1.into(), ALG_ED25519.into()),
            (4.into(), cbor::bytes(receipt.key_id.0)),
            (LABEL_VDS.into(), VDS_RFC9162_SHA256.into()),
        ]),
        Value::Array(proof),
        Value::Null,
        cbor::bytes(receipt.signature),
        Value::Map(Vec::new()),
        Value::Array(Vec::new()),
    ];
    change(&mut parts);
    let [protected, proof, payload, signature, surplus, proofs]: [Value; 6] =
        parts.try_into().unwrap();
    let mut proofs = proofs.into_array().unwrap();
    proofs.insert(0, cbor::bytes(cbor::encode(&proof)));
    let inclusion = Value::Map(vec![(LABEL_INCLUSION.into(), Value::Array(proofs))]);
    let mut unprotected = surplus.into_map().unwrap();
    unprotected.push((LABEL_VDP.into(), inclusion));
    let protected = cbor::encode(&protected);
    // Signed again, so that the form alone is at fault.
    let root = proven(4, 7).2;
    let again = key(1).sign(&sig_structure(&protected, &root.0)).unwrap();
    let signature =
        if signature == cbor::bytes(receipt.signature) { cbor::bytes(again) } else { signature };
    let message = vec![cbor::bytes(protected), Value::Map(unprotected), payload, signature];
    cbor::encode(&Value::Tag(TAG_SIGN1, Box::new(Value::Array(message))))
}

fn header(parts: &mut [Value]) -> &mut Vec<(Value, Value)> {
    parts[0].as_map_mut().unwrap()
}

fn proof(parts: &mut [Value]) -> &mut Vec<Value> {
    parts[1].as_array_mut().unwrap()
}

/// An export around any bytes in the place of a receipt.
fn around(receipt: Vec<u8>, good: &Export) -> Vec<u8> {
    cbor::encode(&cbor::map([
        ("type", TYPE.into()),
        ("receipt", cbor::bytes(receipt)),
        ("checkpoint", good.checkpoint.as_str().into()),
        ("statement", cbor::bytes(good.statement.as_slice())),
    ]))
}

/// Exports whose receipt is of the form: why, whether it holds by RFC 9942 alone, and beside its
/// checkpoint.
fn judged() -> Vec<(String, bool, bool, Export)> {
    let good = export(257, 300);
    let mut cases = Vec::new();
    let mut add =
        |why: &str, bare, valid, export| cases.push((why.to_owned(), bare, valid, export));
    for (index, size) in [(257, 300), (0, 2), (1, 2), (4, 7), (6, 7), (0, 300)] {
        add("as issued", true, true, export(index, size));
    }
    for size in [289, 299, 301, 320] {
        add(&format!("relabelled to size {size}"), true, false, relabelled(&good, 257, size));
    }
    add("relabelled to index 65 of size 97", true, false, relabelled(&good, 65, 97));
    add("relabelled to a size with another path", false, false, relabelled(&good, 257, 288));
    add("relabelled to size 321", false, false, relabelled(&good, 257, 321));
    add("another index", false, false, relabelled(&good, 256, 300));
    add("an index beyond the tree", false, false, relabelled(&good, 300, 300));
    add("a tree of no size", false, false, relabelled(&good, 0, 0));
    let grown = Export { checkpoint: checkpoint(301), ..good.clone() };
    add("beside a later checkpoint", true, false, grown.clone());
    let both = relabelled(&grown, 257, 301);
    add("relabelled to the later checkpoint's size", true, false, both);
    let root = proven(257, 300).2;
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 300, root };
    let forged = Export { checkpoint: sign(&head, &key(2)).to_string(), ..good.clone() };
    add("beside a checkpoint that another key signed", true, false, forged);
    let edited = good.checkpoint.replacen("\n300\n", "\n301\n", 1);
    let edited = Export { checkpoint: edited, ..relabelled(&good, 257, 301) };
    add("beside a checkpoint with its size edited", true, false, edited);
    let other = Checkpoint { origin: "test.example/SG".to_owned(), ..head.clone() };
    let other = Export { checkpoint: sign(&other, &key(1)).to_string(), ..good.clone() };
    add("beside a checkpoint of another log", true, false, other);
    let stranger = CoseReceipt::sign(&key(2), &head, 257, &good.receipt.path).unwrap();
    add(
        "signed by another key",
        false,
        false,
        Export { receipt: stranger.clone(), ..good.clone() },
    );
    let named = CoseReceipt { signature: stranger.signature, ..good.receipt.clone() };
    add(
        "signed by another key in the log's name",
        false,
        false,
        Export { receipt: named, ..good.clone() },
    );
    let mut flipped = good.receipt.clone();
    flipped.signature[63] ^= 0x10;
    add(
        "one bit of the signature flipped",
        false,
        false,
        Export { receipt: flipped, ..good.clone() },
    );
    let mut flipped = good.receipt.clone();
    flipped.path[0].0[0] ^= 1;
    add("one bit of the path flipped", false, false, Export { receipt: flipped, ..good.clone() });
    add("another statement", false, false, Export { statement: statement(258), ..good });
    cases
}

/// Exports of another form.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let good = export(4, 7);
    let with = |change: fn(&mut Vec<Value>)| around(changed(&good.receipt, change), &good);
    assert_eq!(with(|_| ()), good.to_bytes(), "the parts are those of the receipt");
    let bytes = good.to_bytes();
    let receipt = good.receipt.to_bytes();
    let text = hex::encode(&bytes);
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from));
        hex::decode(text.replacen(from, to, 1)).unwrap()
    };
    let type_ = hex::encode(TYPE);
    let surplus = cbor::map([
        ("type", TYPE.into()),
        ("receipt", cbor::bytes(receipt.as_slice())),
        ("checkpoint", good.checkpoint.as_str().into()),
        ("statement", cbor::bytes(good.statement.as_slice())),
        ("more", 1.into()),
    ]);
    vec![
        ("another version", edited(&type_, &hex::encode(TYPE.replace("v1", "v2")))),
        ("a field more", cbor::encode(&surplus)),
        ("fields in another order", {
            let (first, rest) = bytes[1..].split_at(5 + 2 + TYPE.len());
            [&bytes[..1], rest, first].concat()
        }),
        ("one byte more", [&bytes[..], &[0]].concat()),
        ("cut short", bytes[..bytes.len() - 1].to_vec()),
        ("no receipt", around(Vec::new(), &good)),
        ("without its tag", around(receipt[1..].to_vec(), &good)),
        ("one byte more in the receipt", around([&receipt[..], &[0]].concat(), &good)),
        ("the root attached", with(|p| p[2] = cbor::bytes(proven(4, 7).2.0))),
        ("a payload that is not null", with(|p| p[2] = cbor::bytes([]))),
        ("algorithm EdDSA", with(|p| header(p)[0].1 = (-8).into())),
        ("another structure", with(|p| header(p)[2].1 = 2.into())),
        ("no key named", with(|p| drop(header(p).remove(1)))),
        ("no structure named", with(|p| drop(header(p).remove(2)))),
        ("a protected parameter more", with(|p| header(p).push((3.into(), 0.into())))),
        ("an unprotected parameter more", with(|p| p[4] = Value::Map(vec![(3.into(), 0.into())]))),
        ("two inclusion proofs", with(|p| p[5] = Value::Array(vec![cbor::bytes([0x80])]))),
        ("an empty path", with(|p| proof(p)[2] = Value::Array(Vec::new()))),
        ("a node of 31 bytes", with(|p| proof(p)[2] = Value::Array(vec![cbor::bytes([1; 31])]))),
        ("a negative index", with(|p| proof(p)[1] = (-4).into())),
        ("a proof of four items", with(|p| proof(p).push(0.into()))),
        ("a signature of 63 bytes", with(|p| p[3] = cbor::bytes([1; 63]))),
        ("a size in two bytes", {
            // The proof's head, size and index; one byte more in each length around it.
            let long = changed(&good.receipt, |_| ());
            let digits = hex::encode(long);
            let proof = cbor::encode(&Value::Array(vec![7.into(), 4.into()]));
            let numbers = hex::encode(&proof[1..]);
            let length = hex::encode([good.receipt.path.len() as u8 * 34 + 4]);
            let longer = hex::encode([good.receipt.path.len() as u8 * 34 + 5]);
            let from = format!("58{length}83{numbers}");
            assert!(digits.contains(&from));
            let to = format!("58{longer}83180704");
            around(hex::decode(digits.replacen(&from, &to, 1)).unwrap(), &good)
        }),
    ]
}

#[test]
fn the_cose_receipt_vectors_are_what_this_program_computes() {
    let mut cases: Vec<Json> = Vec::new();
    for (why, bare, valid, export) in judged() {
        let read = Export::parse(&export.to_bytes()).unwrap();
        let note = Note::parse(read.checkpoint.as_bytes()).unwrap();
        let beside = Checkpoint::parse(note.text()).unwrap().root;
        let roots = [beside, proven(257, 300).2];
        assert_eq!(roots.iter().any(|root| holds_bare(&read, root)), bare, "{why}");
        let verdict = read.verify(ORIGIN, &public(1));
        assert_eq!(verdict.is_ok(), valid, "{why}: {verdict:?}");
        let export = hex::encode(export.to_bytes());
        cases.push(json!({ "why": why, "bare": bare, "valid": valid, "export": export }));
    }
    for (why, bytes) in malformed() {
        assert!(Export::parse(&bytes).is_err(), "{why}");
        let export = hex::encode(bytes);
        cases.push(json!({ "why": why, "bare": null, "valid": false, "export": export }));
    }
    let log = VerifierKey { name: ORIGIN.to_owned(), public: PublicKey::Ed25519(public(1)) };
    let file = json!({ "vkey": log.to_string(), "cases": cases });
    settle("cose-receipt", &[("cose-receipt.json", file)]);
}
