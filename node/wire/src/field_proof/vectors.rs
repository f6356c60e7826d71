//! Writes `conformance/vectors/field`, or holds this implementation to the file there, in the way
//! of [`crate::merkle::vectors`].

use serde_json::{Value as Json, json};

use super::tests::{ORIGIN, key, opened, parts, proof, receipt, statement};
use super::*;
use crate::merkle::vectors::settle;
use crate::note::{PublicKey, VerifierKey};

/// Whether a file proves its fields to whoever trusts the key for log and statements.
fn proved(bytes: &[u8]) -> bool {
    let public = key().verifying_key().to_bytes();
    FieldProof::parse(bytes).is_ok_and(|proof| {
        let signed = proof.statement().clone().verify(&public).is_ok();
        signed && proof.verify(ORIGIN, &public).is_ok()
    })
}

fn case(why: &str, valid: bool, bytes: &[u8]) -> Json {
    assert_eq!(proved(bytes), valid, "{why}");
    let read = FieldProof::parse(bytes).ok().filter(|_| valid);
    let expected = read.map(|proof| {
        let parts = proof.parts().iter().map(|(class, part)| {
            let fields = part.disclosures().iter().map(|field| {
                json!({"pointer": field.pointer, "value": cbor::to_json(&field.value).unwrap()})
            });
            let fields: Vec<Json> = fields.collect();
            json!({"class": class, "of": part.fields(), "fields": fields})
        });
        json!({
            "record": proof.statement().claims().subject.to_string(),
            "issuer": proof.statement().claims().issuer,
            "index": proof.receipt().index(),
            "parts": parts.collect::<Vec<_>>(),
        })
    });
    json!({"why": why, "valid": valid, "proof": hex::encode(bytes), "expected": expected})
}

fn changed(change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let bytes = proof().to_bytes();
    let Ok(Value::Map(mut fields)) = cbor::decode("proof", &bytes, MAX_FIELD_PROOF_BYTES) else {
        panic!("a map")
    };
    change(&mut fields);
    cbor::encode(&Value::Map(fields))
}

/// The value of a key in a map.
fn of<'a>(fields: &'a mut [(Value, Value)], name: &str) -> &'a mut Value {
    &mut fields.iter_mut().find(|(key, _)| *key == Value::from(name)).unwrap().1
}

/// A proof with one change in the part `core`: its digests, its disclosures.
fn core(change: impl FnOnce(&mut Vec<Value>, &mut Vec<Value>)) -> Vec<u8> {
    changed(|fields| {
        let part = of(of(fields, "parts").as_map_mut().unwrap(), "core").as_map_mut().unwrap();
        let mut digests = of(part, "digests").as_array().unwrap().clone();
        let mut disclosures = of(part, "disclosures").as_array().unwrap().clone();
        change(&mut digests, &mut disclosures);
        *of(part, "digests") = Value::Array(digests);
        *of(part, "disclosures") = Value::Array(disclosures);
    })
}

#[test]
fn field_proofs() {
    let whole = parts();
    let all = whole.iter().map(|(class, part)| {
        let pointers = part.disclosures().iter().map(|field| field.pointer.as_str()).collect();
        (class.clone(), OpenedPart::of(part, &pointers).unwrap())
    });
    let all = FieldProof::new(receipt(&statement(&whole)), all.collect()).unwrap();
    let one = BTreeMap::from([opened("core", &["/result/0/qualifier"])]);
    let one = FieldProof::new(receipt(&statement(&whole)), one).unwrap();
    let field = |value: &str, salt: u8| {
        Value::Array(vec![cbor::bytes([salt; 16]), value.into(), "/substance/0/casNumber".into()])
    };
    let digest = |field: &Value| cbor::bytes(Digest::of(&cbor::encode(field)).0);
    let mut other = whole.clone();
    other.remove("operational");
    let other = receipt(&statement(&other)).to_string();
    let foreign = receipt(&statement(&whole)).to_string().replacen("index 1", "index 0", 1);
    let bare = proof().receipt().to_string();
    let bare = bare.lines().filter(|line| !line.starts_with("extra ")).map(|l| format!("{l}\n"));
    let bare: String = bare.collect();
    let cases = [
        case("one field of one part", true, &one.to_bytes()),
        case("fields of two parts", true, &proof().to_bytes()),
        case("every field", true, &all.to_bytes()),
        case("another value", false, &core(|_, fields| fields[0] = field("50-36-2", 0xa3))),
        case("another salt", false, &core(|_, fields| fields[0] = field("2504100-70-1", 0xa4))),
        case(
            "another value with its digest",
            false,
            &core(|digests, fields| {
                fields[0] = field("50-36-2", 0xa3);
                digests[2] = digest(&fields[0]);
            }),
        ),
        case("a digest less", false, &core(|digests, _| drop(digests.remove(0)))),
        case("a digest more", false, &core(|digests, _| digests.push(cbor::bytes([9; 32])))),
        case("digests in another order", false, &core(|digests, _| digests.swap(0, 1))),
        case(
            "a digest of another length",
            false,
            &core(|digests, _| {
                digests[0] = cbor::bytes([9; 31]);
            }),
        ),
        case("no field", false, &core(|_, fields| fields.clear())),
        case("a field twice", false, &core(|_, fields| fields.push(fields[0].clone()))),
        case("no part", false, &changed(|fields| *of(fields, "parts") = Value::Map(vec![]))),
        case(
            "a part that the statement does not have",
            false,
            &changed(|fields| {
                let parts = of(fields, "parts").as_map_mut().unwrap();
                parts[0].0 = "commercial".into();
            }),
        ),
        case(
            "a part under another class",
            false,
            &changed(|fields| {
                let parts = of(fields, "parts").as_map_mut().unwrap();
                let [a, b] = [parts[0].1.clone(), parts[1].1.clone()];
                (parts[0].1, parts[1].1) = (b, a);
            }),
        ),
        case(
            "another type",
            false,
            &changed(|fields| {
                *of(fields, "type") = "sealwire-field-proof-v2".into();
            }),
        ),
        case("a further field", false, &changed(|fields| fields.push(("x".into(), 1.into())))),
        case(
            "the receipt of another statement",
            false,
            &changed(|fields| {
                *of(fields, "receipt") = other.as_str().into();
            }),
        ),
        case(
            "another index",
            false,
            &changed(|fields| {
                *of(fields, "receipt") = foreign.as_str().into();
            }),
        ),
        case(
            "a receipt without its statement",
            false,
            &changed(|fields| {
                *of(fields, "receipt") = bare.as_str().into();
            }),
        ),
        case("cut short", false, &proof().to_bytes()[..200]),
        case("a byte more", false, &[proof().to_bytes(), vec![0]].concat()),
    ];
    let public = PublicKey::Ed25519(key().verifying_key().to_bytes());
    let vkey = VerifierKey { name: ORIGIN.to_owned(), public }.to_string();
    let public = hex::encode(key().verifying_key().to_bytes());
    let vector = json!({
        "about": "Proofs of single fields (PROTOCOL 8.8): the key signs log and statements alike.",
        "vkey": vkey, "public": public, "cases": cases,
    });
    settle("field", &[("field.json", vector)]);
}
