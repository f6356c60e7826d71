//! Statements: what is signed, by whom, and what is refused.

mod facts;

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use super::{edited, flipped, member, record};
use crate::cbor::{self, Reader, Value};
use crate::id::{Digest, ed25519_thumbprint};
use crate::merkle::leaf_hash;
use crate::merkle::vectors::settle;
use crate::seal::SealSecretKey;
use crate::statement::*;
use facts::facts;

const SEED: [u8; 32] = [1; 32];
/// Order of the group of Ed25519, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
const ISSUED_AT: u64 = 1_700_000_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&SEED)
}

fn public() -> [u8; 32] {
    key().verifying_key().to_bytes()
}

fn manifest(body: Body) -> Manifest {
    let head = |size, root| Head { size, root: Digest([root; 32]) };
    Manifest {
        federation: "test.example".into(),
        register: 3,
        nonce: [5; 32],
        heads: [(member("SG"), head(7, 6)), (member("AU-LAB-2"), head(1 << 33, 7))].into(),
        body,
    }
}

fn handling() -> Value {
    let purposes = Value::Array(vec!["safety".into(), "research".into()]);
    cbor::map([("tlp", "AMBER".into()), ("days", 365.into()), ("purposes", purposes)])
}

/// A record for named members, with every field.
fn addressed() -> RecordManifest {
    let part = |commitment, length, audience| PartRef {
        commitment: Digest([commitment; 32]),
        length,
        audience: [audience; 16],
    };
    RecordManifest {
        kind: "lab-alert".into(),
        community: "labs".into(),
        to: Some(["AU-LAB-2", "SG"].map(member).into()),
        schema: "https://test.example/schemas/lab-alert".into(),
        schema_digest: Digest([8; 32]),
        code_lists: BTreeMap::from([("HS".into(), "2022".into()), ("UNLOCODE".into(), "1".into())]),
        handling: handling().into(),
        relation: Some(Relation {
            verb: RelationVerb::Answers,
            record: record(9),
            issuer: member("SG"),
        }),
        parts: [("core", part(10, 256, 11)), ("core.coarse", part(12, 1088, 13))]
            .map(|(class, part)| (class.to_owned(), part))
            .into(),
    }
}

fn good() -> Vec<(&'static str, Manifest)> {
    let plain = RecordManifest {
        to: None,
        relation: None,
        code_lists: BTreeMap::new(),
        handling: cbor::map([]).into(),
        ..addressed()
    };
    let supersedes = addressed().relation.map(|r| Relation { verb: RelationVerb::Supersedes, ..r });
    let audience = AudienceManifest {
        audience: [1; 16],
        community: "labs".into(),
        to: BTreeSet::from(["AU", "SG", "ID-RCL"].map(member)),
        commitment: Digest([2; 32]),
        until: ISSUED_AT + 86_400,
    };
    let seal_key = SealSecretKey::from_seed([4; 32]).public().unwrap();
    let key = KeyManifest {
        epoch: 1,
        public: seal_key.as_bytes().to_vec(),
        from: ISSUED_AT,
        until: ISSUED_AT + 2_592_000,
        match_key: None,
    };
    let with_match = KeyManifest { match_key: Some([9; 32]), ..key.clone() };
    let register = RegisterManifest { version: 3, digest: Digest([4; 32]) };
    let classes = BTreeMap::from([("commercial".to_owned(), 1), ("operational".to_owned(), 300)]);
    let reads = ReadsManifest {
        to: BTreeSet::from([member("SG")]),
        from: ISSUED_AT - 900,
        until: ISSUED_AT,
        counts: BTreeMap::from([(record(3), classes)]),
        commitment: Digest([6; 32]),
    };
    let kinds = BTreeMap::from([("container".to_owned(), 2), ("vessel".to_owned(), 300)]);
    let purposes = BTreeMap::from([("risk-analysis".to_owned(), kinds)]);
    let matches = MatchesManifest {
        to: BTreeSet::from([member("SG")]),
        side: MatchSide::Asked,
        day: ISSUED_AT / 86_400,
        counts: BTreeMap::from([("labs".to_owned(), purposes)]),
    };
    let alone = Manifest {
        heads: BTreeMap::new(),
        ..manifest(Body::Record(RecordManifest { relation: supersedes, ..addressed() }))
    };
    let deepest = RecordManifest { handling: nested(15).into(), ..addressed() };
    let deepest = manifest(Body::Record(deepest));
    let longest = RecordManifest { kind: format!("a-0{}", "z".repeat(61)), ..addressed() };
    vec![
        ("a record for named members", manifest(Body::Record(addressed()))),
        ("a record for its community", manifest(Body::Record(plain))),
        ("a record that supersedes, with no heads seen", alone),
        ("a record whose manifest is the largest", sized(MAX_MANIFEST_BYTES)),
        ("a record whose handling is the deepest", deepest),
        ("a record whose kind is the longest", manifest(Body::Record(longest))),
        ("an audience", manifest(Body::Audience(audience))),
        ("a seal key", manifest(Body::Key(key))),
        ("the adoption of a register", manifest(Body::Register(register))),
        ("a dummy", manifest(Body::Dummy)),
        ("counts of reads", manifest(Body::Reads(reads))),
        ("a seal key with a match key", manifest(Body::Key(with_match))),
        ("counts of questions", manifest(Body::Matches(matches))),
    ]
}

/// A record whose manifest has exactly this many bytes.
fn sized(len: usize) -> Manifest {
    let filled = |len| {
        let handling = cbor::map([("note", "x".repeat(len).into())]).into();
        manifest(Body::Record(RecordManifest { handling, ..addressed() }))
    };
    let bytes = sign(&key(), claims(), filled(1000)).unwrap();
    filled(1000 + len - payload_of(bytes.bytes()).len())
}

fn claims() -> Claims {
    Claims { issuer: member("ID"), subject: record(2), issued_at: ISSUED_AT }
}

fn case(
    why: &str,
    public: &[u8; 32],
    bytes: &[u8],
    expected: Option<&Manifest>,
) -> serde_json::Value {
    let verdict = Statement::parse(bytes).and_then(|statement| statement.verify(public));
    assert_eq!(verdict.is_ok(), expected.is_some(), "{why}: {verdict:?}");
    let expected = verdict.ok().zip(expected).map(|(read, manifest)| {
        assert_eq!((read.claims(), read.manifest()), (&claims(), manifest));
        let leaf = leaf_data(&read.digest());
        json!({
            "keyId": read.key_id(), "issuer": read.claims().issuer,
            "subject": read.claims().subject.to_string(), "issuedAt": read.claims().issued_at,
            "manifest": facts(manifest), "digest": read.digest(),
            "contentDigest": read.content_digest(), "leaf": hex::encode(leaf),
            "leafHash": leaf_hash(&leaf),
        })
    });
    json!({
        "why": why, "valid": expected.is_some(), "public": hex::encode(public),
        "statement": hex::encode(bytes), "expected": expected,
    })
}

fn fields(bytes: &[u8]) -> Reader {
    let names = ["protected", "unprotected", "payload", "signature"];
    let message = cbor::decode_tagged("test", 18, bytes, usize::MAX).unwrap();
    Reader::of_array("test", message, &names).unwrap()
}

fn payload_of(bytes: &[u8]) -> Vec<u8> {
    fields(bytes).take_bytes("payload").unwrap()
}

/// A COSE_Sign1 with this tag, whatever is in it.
fn sign1(
    tag: u64,
    protected: &[u8],
    unprotected: Value,
    payload: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    let items =
        vec![cbor::bytes(protected), unprotected, cbor::bytes(payload), cbor::bytes(signature)];
    cbor::encode(&Value::Tag(tag, Box::new(Value::Array(items))))
}

fn signature(protected: &[u8], payload: &[u8]) -> [u8; 64] {
    let items =
        ["Signature1".into(), cbor::bytes(protected), cbor::bytes([]), cbor::bytes(payload)];
    key().sign(&cbor::encode(&Value::Array(items.to_vec()))).to_bytes()
}

/// The map in `bytes` with another value under `key`, or with none.
fn set(bytes: &[u8], key: impl Into<Value>, value: Option<Value>) -> Vec<u8> {
    let key = key.into();
    let mut map = cbor::decode_plain("test", bytes, usize::MAX).unwrap().into_map().unwrap();
    map.retain(|(found, _)| *found != key);
    map.extend(value.map(|value| (key, value)));
    cbor::encode(&Value::Map(map))
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(cbor::map([]), |inner, _| cbor::map([("a", inner)]))
}

fn keyed(key: Value) -> Value {
    Value::Map(vec![(key, "AMBER".into())])
}

/// Protected headers that are not ours, by what differs.
fn headers(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let header = |label: i64, value| set(good, label, value);
    let claims = |label: i64, value| {
        let mut header = cbor::decode_plain("test", good, 1024).unwrap().into_map().unwrap();
        let at = header.iter().position(|(label, _)| *label == 15.into()).unwrap();
        let claims = set(&cbor::encode(&header.remove(at).1), label, value);
        set(good, 15, Some(cbor::decode_plain("test", &claims, 1024).unwrap()))
    };
    let text = |text: &str| Some(Value::from(text));
    vec![
        ("algorithm EdDSA", header(1, Some((-8).into()))),
        ("algorithm ES256", header(1, Some((-7).into()))),
        ("algorithm by name", header(1, text("Ed25519"))),
        ("no algorithm", header(1, None)),
        ("the label true, not 1", set(&header(1, None), true, Some((-19).into()))),
        ("the id of another key", header(4, Some(cbor::bytes([3; 32])))),
        ("no key id", header(4, None)),
        ("no claims", header(15, None)),
        ("the type of a not-addressed answer", header(16, text(TYP_DENIAL))),
        ("no type", header(16, None)),
        ("a content type beside", header(3, text("application/cbor"))),
        ("a critical header beside", header(2, Some(Value::Array(vec![99.into()])))),
        ("an issuer that is no member id", claims(1, text("id"))),
        ("no issuer", claims(1, None)),
        (
            "a subject of another version",
            claims(2, text("urn:uuid:00000000-0000-4000-8000-000000000000")),
        ),
        (
            "a subject in capitals",
            claims(
                2,
                text(&record(0xab).to_string().to_uppercase().replace("URN:UUID", "urn:uuid")),
            ),
        ),
        ("issued before 1970", claims(6, Some((-1).into()))),
        ("no time of issue", claims(6, None)),
        ("an expiry beside", claims(4, Some(ISSUED_AT.into()))),
        ("header with an integer in the long form", edited(good, "a40132", "a4013812")),
        (
            "header with its labels in another order",
            [&[0xa4], &good[3..38], &good[1..3], &good[38..]].concat(),
        ),
        ("header with the algorithm twice", [&[0xa5], &good[1..3], &good[1..]].concat()),
        ("header of unknown length", [&[0xbf], &good[1..], &[0xff]].concat()),
        ("no header", vec![]),
    ]
}

/// Payloads that are no manifests, by what differs from that of [`addressed`].
fn payloads(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let with = |key: &str, value: Value| set(good, key, Some(value));
    let without = |key: &str| set(good, key, None);
    let list = |items: &[&str]| Value::Array(items.iter().map(|i| Value::from(*i)).collect());
    let part = |items: &[Value]| cbor::map([("core", Value::Array(items.to_vec()))]);
    let relation = |verb: &str| list(&[verb, &record(9).to_string(), "SG"]);
    vec![
        ("profile 2", with("profile", 2.into())),
        ("no profile", without("profile")),
        ("a profile that is a text", with("profile", "1".into())),
        ("no federation", without("federation")),
        ("a negative register version", with("register", (-1).into())),
        ("a nonce of 31 bytes", with("nonce", cbor::bytes([5; 31]))),
        ("no nonce", without("nonce")),
        ("no heads", without("heads")),
        (
            "a head of no member",
            with("heads", cbor::map([("sg", Value::Array(vec![7.into(), cbor::bytes([6; 32])]))])),
        ),
        (
            "a root of 31 bytes",
            with("heads", cbor::map([("SG", Value::Array(vec![7.into(), cbor::bytes([6; 31])]))])),
        ),
        ("a head without a root", with("heads", cbor::map([("SG", Value::Array(vec![7.into()]))]))),
        ("no kind", without("kind")),
        ("a kind that is a number", with("kind", 1.into())),
        ("an empty kind", with("kind", "".into())),
        ("a kind in capitals", with("kind", "LAB-ALERT".into())),
        ("a kind that begins with a digit", with("kind", "2-alert".into())),
        ("a kind that begins with a hyphen", with("kind", "-alert".into())),
        ("a kind with an underscore", with("kind", "lab_alert".into())),
        ("a kind with a letter beyond ASCII", with("kind", "lab-alért".into())),
        ("a kind with a line end", with("kind", "lab-alert\n".into())),
        ("a kind of 65 letters", with("kind", "a".repeat(65).into())),
        ("an unknown field", with("extra", 1.into())),
        ("another body's kind", with("kind", "register".into())),
        ("no community", without("community")),
        ("a schema digest of 31 bytes", with("schemaDigest", cbor::bytes([8; 31]))),
        ("an edition that is a number", with("codeLists", cbor::map([("HS", 2022.into())]))),
        ("handling that is a text", with("handling", "AMBER".into())),
        ("handling that nests 16 levels", with("handling", nested(16))),
        ("a byte string in handling", with("handling", cbor::map([("tlp", cbor::bytes([1]))]))),
        (
            "a byte string deep in handling",
            with("handling", cbor::map([("a", Value::Array(vec![cbor::bytes([])]))])),
        ),
        ("an integer as a key in handling", with("handling", keyed(1.into()))),
        ("a byte string as a key in handling", with("handling", keyed(cbor::bytes(*b"tlp")))),
        (
            "a boolean as a key deep in handling",
            with("handling", cbor::map([("a", keyed(true.into()))])),
        ),
        ("no parts", without("parts")),
        ("an empty list of parts", with("parts", cbor::map([]))),
        ("a part without an audience", with("parts", part(&[cbor::bytes([1; 32]), 256.into()]))),
        (
            "an audience of 15 bytes",
            with("parts", part(&[cbor::bytes([1; 32]), 256.into(), cbor::bytes([1; 15])])),
        ),
        ("nobody addressed", with("to", list(&[]))),
        ("addressees in another order", with("to", list(&["SG", "AU"]))),
        ("an addressee twice", with("to", list(&["SG", "SG"]))),
        ("an addressee that is no member id", with("to", list(&["sg"]))),
        ("an unknown relation", with("relation", relation("amends"))),
        ("a relation to no record id", with("relation", list(&["answers", "9", "SG"]))),
        (
            "a relation to no member's record",
            with("relation", list(&["answers", &record(9).to_string(), "sg"])),
        ),
        (
            "a relation without an issuer",
            with("relation", list(&["answers", &record(9).to_string()])),
        ),
        (
            "a floating point number",
            edited(good, "646461797319016d", "6464617973fb3fb999999999999a"),
        ),
        ("null", edited(good, "646461797319016d", "6464617973f6")),
        ("an integer in the long form", edited(good, "646461797319016d", "64646179731a0000016d")),
        ("a text under a tag", edited(good, "65414d424552", "d903e865414d424552")),
        ("a map of unknown length", [&[0xbf], &good[1..], &[0xff]].concat()),
        ("one byte more", [good, &[0]].concat()),
        ("a payload that is a list", cbor::encode(&list(&["manifest"]))),
        ("an empty payload", vec![]),
        (
            "a manifest beyond the limit",
            set(good, "handling", Some(cbor::map([("note", "x".repeat(16_384).into())]))),
        ),
    ]
}

/// What is wrong with the envelope or with its signature.
fn envelopes(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let protected = fields(good).take_bytes("protected").unwrap();
    let (payload, held) = (payload_of(good), fields(good).take_bytes("signature").unwrap());
    let with = |unprotected, payload: &[u8], signature: &[u8]| {
        sign1(18, &protected, unprotected, payload, signature)
    };
    let mut same = held.clone();
    let mut carry = 0;
    for (byte, order) in same[32..].iter_mut().zip(hex::decode(ORDER).unwrap()) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    let none = || cbor::map([]);
    let payload_at = good.len() - 66 - payload.len();
    let key_id = Value::Map(vec![(4.into(), cbor::bytes([3; 32]))]);
    let unsigned = cbor::encode(&fields(good).take("unprotected").unwrap());
    assert_eq!(unsigned, [0xa0]);
    vec![
        ("first bit of the signature flipped", flipped(good, good.len() - 64)),
        ("a bit of the signature's number flipped", flipped(good, good.len() - 32)),
        (
            "a bit of the nonce flipped",
            edited(good, &"05".repeat(32), &format!("04{}", "05".repeat(31))),
        ),
        ("a bit of the issuer flipped", edited(good, "01624944", "01624844")),
        ("the same signature in another number", with(none(), &payload, &same)),
        ("a signature of zeros", with(none(), &payload, &[0; 64])),
        ("a signature of 63 bytes", with(none(), &payload, &held[..63])),
        ("no signature", with(none(), &payload, &[])),
        ("an unprotected header", with(key_id, &payload, &held)),
        ("without its tag", good[1..].to_vec()),
        ("tagged as COSE_Mac0", sign1(17, &protected, none(), &payload, &held)),
        ("tagged twice", [&[0xd2], good].concat()),
        ("the tag in the long form", [&[0xd8, 0x12], &good[1..]].concat()),
        (
            "the payload's length in a longer form",
            [&good[..payload_at - 3], &[0x5a, 0, 0], &good[payload_at - 2..]].concat(),
        ),
        (
            "the signature in the long form",
            [&good[..good.len() - 66], &[0x59, 0, 64], &good[good.len() - 64..]].concat(),
        ),
        ("a fifth item", [&[0xd2, 0x85], &good[2..], &[0]].concat()),
        ("one byte more", [good, &[0]].concat()),
        ("one byte less", good[..good.len() - 1].to_vec()),
        ("nothing", vec![]),
    ]
}

/// Under the neutral point as the key, this holds for every message; a strict reader refuses it.
fn under_a_key_of_low_order(good: &[u8]) -> ([u8; 32], Vec<u8>) {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key_id = cbor::bytes(ed25519_thumbprint(&neutral).0);
    let protected = set(&fields(good).take_bytes("protected").unwrap(), 4, Some(key_id));
    let signature = [neutral, [0; 32]].concat();
    (neutral, sign1(18, &protected, cbor::map([]), &payload_of(good), &signature))
}

#[test]
fn the_entry_vectors_are_what_this_program_computes() {
    let mut cases = Vec::new();
    for (why, manifest) in good() {
        let signed = sign(&key(), claims(), manifest.clone()).unwrap();
        cases.push(case(why, &public(), signed.bytes(), Some(&manifest)));
    }
    let signed = sign(&key(), claims(), manifest(Body::Record(addressed()))).unwrap();
    let protected = fields(signed.bytes()).take_bytes("protected").unwrap();
    let payload = payload_of(signed.bytes());
    let other = SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes();
    cases.push(case("under another key", &other, signed.bytes(), None));
    let (low, forged) = under_a_key_of_low_order(signed.bytes());
    cases.push(case("under a key of low order", &low, &forged, None));
    for (why, bytes) in envelopes(signed.bytes()) {
        cases.push(case(why, &public(), &bytes, None));
    }
    let mut no = |why: &str, protected: &[u8], payload: &[u8]| {
        let held = signature(protected, payload);
        let bytes = sign1(18, protected, cbor::map([]), payload, &held);
        cases.push(case(why, &public(), &bytes, None));
    };
    headers(&protected).iter().for_each(|(why, header)| no(why, header, &payload));
    payloads(&payload).iter().for_each(|(why, payload)| no(why, &protected, payload));
    let (_, reads) = good().pop().unwrap();
    let reads = payload_of(sign(&key(), claims(), reads).unwrap().bytes());
    for (why, key, value) in [
        ("reads of two members' records", "to", Value::Array(vec!["AU".into(), "SG".into()])),
        ("reads that count nothing", "counts", cbor::map([])),
        ("reads that end before they begin", "until", 0.into()),
    ] {
        no(why, &protected, &set(&reads, key, Some(value)));
    }
    let vector = json!({ "seed": hex::encode(SEED), "cases": cases });
    settle("entry", &[("statement.json", vector)]);
}
