//! Parts: which plaintexts are read, and what they are committed to.

use serde_json::json;

use super::{edited, record};
use crate::cbor::{self, Value};
use crate::id::{Digest, RecordId};
use crate::merkle::vectors::settle;
use crate::part::{Disclosure, MAX_POINTER_LEN, Part, commitment_of};

const CLASS: &str = "core";

fn disclosure(pointer: &str, value: impl Into<Value>, salt: u8) -> Disclosure {
    Disclosure { pointer: pointer.into(), value: value.into(), salt: [salt; 16] }
}

/// `[salt, value, pointer]`, whatever they are.
fn triple(salt: &[u8], value: impl Into<Value>, pointer: &str) -> Value {
    Value::Array(vec![cbor::bytes(salt), value.into(), pointer.into()])
}

/// One case. What a plaintext that is refused would be committed to is given all the same, so
/// that it is not refused for a commitment of something else.
fn case(
    why: &str,
    valid: bool,
    (record, class): (&RecordId, &str),
    plaintext: &[u8],
    commitment: &Digest,
) -> serde_json::Value {
    let read = Part::from_bytes(plaintext);
    let holds = read.as_ref().is_ok_and(|part| part.commitment(record, class) == *commitment);
    assert_eq!(holds, valid, "{why}: {read:?}");
    let disclosures = read.ok().filter(|_| valid).map(|part| {
        let items = part.disclosures().iter();
        let items = items.map(|item| {
            json!({
                "pointer": item.pointer, "value": cbor::to_json(&item.value).unwrap(),
                "salt": hex::encode(item.salt), "digest": item.digest(),
            })
        });
        items.collect::<Vec<_>>()
    });
    json!({
        "why": why, "valid": valid, "record": record.to_string(), "class": class,
        "plaintext": hex::encode(plaintext), "commitment": commitment, "expected": disclosures,
    })
}

fn good() -> Vec<(&'static str, Vec<Disclosure>)> {
    let integers = [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX];
    let negative = [-1, -24, -25, -256, -257, i64::MIN];
    let numbers =
        integers.into_iter().map(Value::from).chain(negative.into_iter().map(Value::from));
    let numbers = numbers.enumerate();
    let numbers = numbers.map(|(at, value)| disclosure(&format!("/n/{at}"), value, at as u8));
    let many = (0..300_u16).map(|at| disclosure(&format!("/l/{at}"), u64::from(at), at as u8));
    let longest = format!("/{}", "p".repeat(MAX_POINTER_LEN - 1));
    vec![
        ("one text", vec![disclosure("/container", "CSQU3054383", 7)]),
        (
            "a text, an integer, both booleans and an empty text",
            vec![
                disclosure("/a", "x", 1),
                disclosure("/b", 7, 2),
                disclosure("/c", true, 3),
                disclosure("/d", false, 4),
                disclosure("/e", "", 5),
            ],
        ),
        ("integers at the steps of their lengths", numbers.collect()),
        (
            "pointers in the order of their bytes, which is not that of UTF-16",
            ["/Z", "/a", "/a/b", "/a0", "/a~0~1", "/\u{e9}", "/\u{ff5e}", "/\u{1f600}"]
                .map(|pointer| disclosure(pointer, "Jos\u{e9} \u{1f600}", 8))
                .to_vec(),
        ),
        ("more disclosures than one byte counts", many.collect()),
        ("the longest pointer", vec![disclosure(&longest, "x", 9)]),
    ]
}

/// Arrays that are deterministic CBOR, and no parts.
fn misshapen() -> Vec<(&'static str, Vec<Value>)> {
    let (salt, one) = ([1; 16], || triple(&[1; 16], "x", "/a"));
    let array = |items: &[Value]| Value::Array(items.to_vec());
    let longer = format!("/{}", "p".repeat(MAX_POINTER_LEN));
    vec![
        ("no disclosure", vec![]),
        ("pointers in another order", vec![triple(&salt, "x", "/b"), one()]),
        (
            "pointers ordered by length first",
            vec![triple(&salt, "x", "/b"), triple(&salt, 1, "/ab")],
        ),
        ("a pointer twice", vec![one(), triple(&[2; 16], "y", "/a")]),
        ("the same disclosure twice", vec![one(), one()]),
        ("a salt of 15 bytes", vec![triple(&[1; 15], "x", "/a")]),
        ("a salt of 17 bytes", vec![triple(&[1; 17], "x", "/a")]),
        (
            "a salt that is a text",
            vec![array(&["0123456789abcdef".into(), "x".into(), "/a".into()])],
        ),
        ("a byte string as the value", vec![triple(&salt, cbor::bytes(*b"x"), "/a")]),
        ("an array as the value", vec![triple(&salt, array(&["x".into()]), "/a")]),
        ("a map as the value", vec![triple(&salt, cbor::map([]), "/a")]),
        ("the whole record as the pointer", vec![triple(&salt, "x", "")]),
        ("a pointer without a slash", vec![triple(&salt, "x", "a")]),
        ("a pointer of 513 bytes", vec![triple(&salt, "x", &longer)]),
        ("a pointer that is an integer", vec![array(&[cbor::bytes(salt), "x".into(), 1.into()])]),
        ("no pointer", vec![array(&[cbor::bytes(salt), "x".into()])]),
        ("a fourth item", vec![array(&[cbor::bytes(salt), "x".into(), "/a".into(), true.into()])]),
        ("a disclosure that is a map", vec![cbor::map([("/a", "x".into())])]),
    ]
}

/// `81 83 50 01… 17 62 2f61`, the part with 23 at `/a`, with what is no value in place of 23.
fn misvalued(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let value = |digits: &str| edited(good, "1762", &format!("{digits}62"));
    vec![
        ("an integer beyond 64 bits", value("c249010000000000000000")),
        ("an integer far below zero", value("c349010000000000000000")),
        ("a floating point number", value("fb3fb999999999999a")),
        ("null", value("f6")),
        ("undefined", value("f7")),
        ("a value under a tag", value("d903e817")),
    ]
}

/// The same part, and what is not its encoding.
fn misencoded(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let edit = |from, to| edited(good, from, to);
    vec![
        ("array head in the long form", edit("8183", "980183")),
        ("array of unknown length", [&[0x9f], &good[1..], &[0xff]].concat()),
        ("salt in the long form", edit("8350", "835810")),
        ("integer in the long form", edit("1762", "181762")),
        ("integer in the longest form", edit("1762", "1b000000000000001762")),
        ("integer as a bignum", edit("1762", "c2411762")),
        ("text in the long form", edit("622f61", "78022f61")),
        ("text in chunks", edit("622f61", "7f622f61ff")),
        ("text that is not UTF-8", edit("622f61", "622fff")),
        ("a part under a tag", [&[0xd9, 0xd9, 0xf7], good].concat()),
        ("one byte more", [good, &[0]].concat()),
        ("one byte less", good[..good.len() - 1].to_vec()),
        ("nothing", vec![]),
        ("a disclosure that is not in an array", good[1..].to_vec()),
    ]
}

#[test]
fn the_part_vectors_are_what_this_program_computes() {
    let (id, other) = (record(1), record(2));
    let here = (&id, CLASS);
    let mut cases = Vec::new();
    for (why, disclosures) in good() {
        let part = Part::new(disclosures).unwrap();
        cases.push(case(why, true, here, &part.to_bytes(), &part.commitment(&id, CLASS)));
    }
    let part = Part::new(vec![disclosure("/a", "x", 1), disclosure("/b", "y", 2)]).unwrap();
    let (bytes, commitment) = (part.to_bytes(), part.commitment(&id, CLASS));
    let of_text = part.commitment(&id, "text");
    cases.push(case("in another class", true, (&id, "text"), &bytes, &of_text));
    let mut no = |why, place, commitment: &Digest| {
        cases.push(case(why, false, place, &bytes, commitment));
    };
    no("commitment for another class", here, &of_text);
    no("commitment for a coarser class", (&id, "core.coarse"), &commitment);
    no("commitment for another record", (&other, CLASS), &commitment);
    let digests: Vec<Digest> = part.disclosures().iter().map(Disclosure::digest).collect();
    let reversed: Vec<Digest> = digests.iter().rev().copied().collect();
    no("commitment with the digests in another order", here, &commitment_of(&id, CLASS, &reversed));
    no("commitment to the first only", here, &commitment_of(&id, CLASS, &digests[..1]));
    no("digest of the plaintext", here, &Digest::of(&bytes));
    for (why, items) in misshapen() {
        let digests: Vec<Digest> = items.iter().map(|i| Digest::of(&cbor::encode(i))).collect();
        let (bytes, would) = (cbor::encode(&items.into()), commitment_of(&id, CLASS, &digests));
        cases.push(case(why, false, here, &bytes, &would));
    }
    let part = Part::new(vec![disclosure("/a", 23, 1)]).unwrap();
    for (why, bytes) in misvalued(&part.to_bytes()) {
        let would = commitment_of(&id, CLASS, &[Digest::of(&bytes[1..])]);
        cases.push(case(why, false, here, &bytes, &would));
    }
    for (why, bytes) in misencoded(&part.to_bytes()) {
        cases.push(case(why, false, here, &bytes, &part.commitment(&id, CLASS)));
    }
    settle("part", &[("part.json", json!(cases))]);
}
