//! The CDDL files of `schemas/cddl` against bytes that the wire crate writes.
//!
//! Every format is validated by a foreign CDDL implementation, and damaged copies have to be
//! refused by it, so that a file that says nothing cannot pass.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cddl::validate_cbor_from_slice;
use ed25519_dalek::SigningKey;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use sealwire_wire::bundle::{Held, Outcome};
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::checkpoint::{self, Checkpoint};
use sealwire_wire::cose_receipt::Export;
use sealwire_wire::field_proof::{FieldProof, OpenedPart};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::merkle;
use sealwire_wire::message::{
    About, Announcement, Blinded, Consistency, Item, Range, Request, Response, Tags,
};
use sealwire_wire::part::{Disclosure, Part};
use sealwire_wire::receipt::Receipt;
use sealwire_wire::seal::{
    AudienceContext, AudienceSecret, PartContext, SealSecretKey, seal_part, wrap,
};
use sealwire_wire::statement::{
    AudienceManifest, Body, Claims, Denial, Head, KeyManifest, Manifest, MatchSide,
    MatchesManifest, PartRef, ReadsManifest, RecordManifest, RegisterManifest, Relation,
    RelationVerb, leaf_data, sign,
};

/// Every file that there is; a file that is not listed fails the run.
const FILES: [&str; 11] = [
    "audience",
    "bundle",
    "commitment",
    "cose-receipt",
    "field-proof",
    "message",
    "not-addressed",
    "part",
    "sealed-part",
    "statement",
    "statement-file",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/cddl")
}

fn grammar(file: &str) -> String {
    let path = folder().join(format!("{file}.cddl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn accepts(file: &str, bytes: &[u8]) {
    if let Err(cause) = validate_cbor_from_slice(&grammar(file), bytes, None) {
        panic!("{file}.cddl refuses {}: {cause}", hex(bytes));
    }
}

fn refuses(file: &str, bytes: &[u8], why: &str) {
    let verdict = validate_cbor_from_slice(&grammar(file), bytes, None);
    assert!(verdict.is_err(), "{file}.cddl accepts {why}: {}", hex(bytes));
}

fn hex(bytes: &[u8]) -> String {
    let text: String = bytes.iter().take(200).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > 200 { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}

/// The same bytes with one change in the decoded value, below the tag if there is one.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = cbor::decode("test", bytes, 1 << 24).unwrap();
    match &mut value {
        Value::Tag(_, inner) => change(inner),
        other => change(other),
    }
    cbor::encode(&value)
}

fn array(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("the format is an array")
}

fn member(id: &str) -> MemberId {
    id.parse().unwrap()
}

fn record() -> RecordId {
    RecordId::new(1_790_000_000_000, &[7; 10])
}

fn claims() -> Claims {
    Claims { issuer: member("ID"), subject: record(), issued_at: 1_790_000_000 }
}

fn part() -> Part {
    let disclosure = |pointer: &str, value: Value| Disclosure {
        pointer: pointer.to_owned(),
        value,
        salt: [9; 16],
    };
    Part::new(vec![
        disclosure("/substance/casNumber", Value::from("1189805-46-6")),
        disclosure("/substance/purity", Value::from(9_850)),
        disclosure("/substance/controlled", Value::from(true)),
        disclosure("/sample/temperature", Value::from(-4)),
    ])
    .unwrap()
}

fn record_body(to: Option<BTreeSet<MemberId>>, relation: Option<Relation>) -> Body {
    let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
    Body::Record(RecordManifest {
        kind: "lab-alert".to_owned(),
        community: "substances".to_owned(),
        to,
        schema: "https://example.org/schemas/lab-alert/1".to_owned(),
        schema_digest: Digest([5; 32]),
        code_lists: BTreeMap::from([("hs".to_owned(), "2022".to_owned())]),
        handling: cbor::map([
            ("tlp", Value::from("TLP:AMBER")),
            ("purpose", Value::Array(vec![Value::from("enforcement")])),
            ("retainDays", Value::from(365)),
        ])
        .into(),
        relation,
        parts: BTreeMap::from([("core".to_owned(), part), ("core.coarse".to_owned(), part)]),
    })
}

fn bodies() -> Vec<Body> {
    let to = BTreeSet::from([member("AU"), member("ID-RCL")]);
    let relation = Relation { verb: RelationVerb::Answers, record: record(), issuer: member("SG") };
    let seal_key = SealSecretKey::from_seed([1; 32]).public().unwrap();
    vec![
        record_body(None, None),
        record_body(Some(to.clone()), Some(relation)),
        Body::Audience(AudienceManifest {
            audience: [4; 16],
            community: "substances".to_owned(),
            to,
            commitment: Digest([6; 32]),
            until: 1_790_086_400,
        }),
        Body::Key(KeyManifest {
            epoch: 1,
            public: seal_key.as_bytes().to_vec(),
            from: 1_790_000_000,
            until: 1_792_678_400,
            match_key: Some([9; 32]),
        }),
        Body::Register(RegisterManifest { version: 2, digest: Digest([8; 32]) }),
        Body::Dummy,
        Body::Reads(ReadsManifest {
            to: BTreeSet::from([member("SG")]),
            from: 1_790_000_000,
            until: 1_790_000_900,
            counts: BTreeMap::from([(record(), BTreeMap::from([("nominal".to_owned(), 3)]))]),
            commitment: Digest([9; 32]),
        }),
        Body::Matches(MatchesManifest {
            to: BTreeSet::from([member("SG")]),
            side: MatchSide::Asked,
            day: 20_717,
            counts: BTreeMap::from([(
                "substances".to_owned(),
                BTreeMap::from([(
                    "risk-analysis".to_owned(),
                    BTreeMap::from([("container".to_owned(), 3)]),
                )]),
            )]),
        }),
    ]
}

fn statement(body: Body) -> Vec<u8> {
    let manifest = Manifest {
        federation: "customs.example".to_owned(),
        register: 2,
        nonce: [2; 32],
        heads: BTreeMap::from([(member("SG"), Head { size: 17, root: Digest([1; 32]) })]),
        body,
    };
    let key = SigningKey::from_bytes(&[11; 32]);
    sign(&key, claims(), manifest).unwrap().bytes().to_vec()
}

/// The statement with one change in its manifest.
fn manifest_changed(bytes: &[u8], change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    changed(bytes, |sign1| {
        let payload = array(sign1)[2].as_bytes().unwrap().clone();
        let manifest = changed(&payload, |manifest| change(manifest.as_map_mut().unwrap()));
        array(sign1)[2] = cbor::bytes(manifest);
    })
}

#[test]
fn every_grammar_is_exercised_here() {
    let found: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> = FILES.iter().map(|name| format!("{name}.cddl")).collect();
    assert_eq!(found, listed);
}

#[test]
fn parts_and_commitments_are_as_their_grammars_say() {
    let part = part();
    accepts("part", &part.to_bytes());
    refuses("part", &cbor::encode(&Value::Array(vec![])), "a part without disclosures");
    let short = changed(&part.to_bytes(), |part| {
        array(&mut array(part)[0])[0] = cbor::bytes([9; 15]);
    });
    refuses("part", &short, "a salt of 15 bytes");
    let rootless = changed(&part.to_bytes(), |part| {
        array(&mut array(part)[0])[2] = Value::from("substance");
    });
    refuses("part", &rootless, "a pointer that does not begin with a slash");

    let digests = part.disclosures().iter().map(|d| cbor::bytes(d.digest().0)).collect();
    let input = Value::Array(vec![
        Value::Text(record().to_string()),
        Value::from("core"),
        Value::Array(digests),
    ]);
    let bytes = cbor::encode(&input);
    accepts("commitment", &bytes);
    assert_eq!(Digest::of(&bytes), part.commitment(&record(), "core"));
    let unknown = changed(&bytes, |input| array(input)[1] = Value::from("secret"));
    refuses("commitment", &unknown, "a class that the standard does not have");
}

#[test]
fn statements_of_all_bodies_are_as_their_grammar_says() {
    for body in bodies() {
        let bytes = statement(body);
        accepts("statement", &bytes);
        let unsigned = changed(&bytes, |sign1| {
            array(sign1).pop();
        });
        refuses("statement", &unsigned, "a statement without signature");
        let header = changed(&bytes, |sign1| {
            array(sign1)[1] = Value::Map(vec![(Value::from(33), Value::from(1))]);
        });
        refuses("statement", &header, "an unprotected header");
        let surplus = manifest_changed(&bytes, |fields| {
            fields.push((Value::from("surplus"), Value::from(1)));
        });
        refuses("statement", &surplus, "a manifest with an unknown field");
        let newer = manifest_changed(&bytes, |fields| {
            let profile = fields.iter_mut().find(|(key, _)| key.as_text() == Some("profile"));
            profile.unwrap().1 = Value::from(2);
        });
        refuses("statement", &newer, "profile 2");
    }
}

#[test]
fn range_answers_are_as_their_grammar_says() {
    let denial = Denial {
        federation: "customs.example".to_owned(),
        asker: member("AU"),
        register: 2,
        ranges: vec![(0, 3), (7, 8)],
    };
    let bytes = denial.sign(&SigningKey::from_bytes(&[11; 32]), claims());
    accepts("not-addressed", &bytes);
    refuses("statement", &bytes, "a range answer in the place of a statement");
    refuses("not-addressed", &statement(bodies().remove(0)), "a statement in its place");
}

#[test]
fn sealed_bytes_are_as_their_grammars_say() {
    let (id, sg) = (member("ID"), member("SG"));
    let secret = AudienceSecret::from_bytes([1; 32]);
    let context = AudienceContext { originator: &id, audience: &[4; 16] };
    let key = |seed| SealSecretKey::from_seed([seed; 32]).public().unwrap();
    let keys = [key(1), key(2)];
    let members = [(&id, &keys[0]), (&sg, &keys[1])];
    let bytes = wrap(&secret, context, &members, &mut UnwrapErr(SysRng)).unwrap();
    accepts("audience", &bytes);
    let nobody = changed(&bytes, |encrypt| array(encrypt)[3] = Value::Array(vec![]));
    refuses("audience", &nobody, "an audience of nobody");
    let classical = changed(&bytes, |encrypt| {
        let recipient = array(&mut array(encrypt)[3]).first_mut().unwrap();
        array(recipient)[1] = Value::Map(vec![(Value::from(-4), cbor::bytes([0; 32]))]);
    });
    refuses("audience", &classical, "a classical encapsulated key");

    let commitment = part().commitment(&record(), "core");
    let place =
        PartContext { originator: &id, record: &record(), class: "core", commitment: &commitment };
    let sealed = seal_part(&secret, place, &part().to_bytes(), [3; 12]);
    accepts("sealed-part", &sealed);
    refuses("sealed-part", &bytes, "an audience in the place of a part");
}

fn about() -> About {
    About {
        community: "substances".to_owned(),
        purpose: "risk-analysis".to_owned(),
        kind: "container".to_owned(),
    }
}

fn items() -> Vec<Item> {
    vec![
        Item {
            index: 3,
            statement: statement(bodies().remove(0)),
            proof: vec![Digest([4; 32]), Digest([5; 32])],
            sealed: BTreeMap::from([("core".to_owned(), vec![5; 40])]),
        },
        Item { index: 4, statement: vec![1], proof: vec![], sealed: BTreeMap::new() },
    ]
}

#[test]
fn requests_are_as_their_grammar_says() {
    let log = member("ID");
    let announcement =
        Announcement { log: log.clone(), checkpoint: "note\n".to_owned(), items: items() };
    accepts("message", &announcement.to_bytes());
    for request in [
        Request::Head(log.clone()),
        Request::Pull { log: log.clone(), from: 9 },
        Request::Fetch { log, indexes: vec![1, 5] },
        Request::Push(announcement),
        Request::Cosigned { note: "n".to_owned() },
        Request::Rewrap { audience: [1; 16] },
        Request::Consistency { log: "SG".parse().unwrap(), size: 7 },
        Request::Register { version: 2, digest: Digest([1; 32]) },
        Request::MatchTags { about: about(), have: 0 },
        Request::Match(Blinded { about: about(), serial: 5, elements: vec![[7; 32]] }),
        Request::Quarantined { index: 1, code: "c".to_owned(), text: "t".to_owned() },
    ] {
        accepts("message", &request.to_bytes());
    }
    let call = |values: Vec<Value>| cbor::encode(&Value::Array(values));
    refuses("message", &call(vec!["shout".into(), "ID".into()]), "an unknown verb");
    refuses("message", &call(vec!["pull".into(), "ID".into()]), "a pull from nowhere");
    refuses("message", &call(vec!["rewrap".into(), cbor::bytes([1; 15])]), "a short audience id");
    refuses("message", &call(vec!["head".into(), "ID".into(), 1.into()]), "a surplus argument");
}

#[test]
fn responses_are_as_their_grammar_says() {
    let range = Range {
        checkpoint: "c".to_owned(),
        from: 1,
        leaves: vec![Digest([1; 32]); 3],
        consistency: vec![],
        items: items(),
        denial: Some(vec![9]),
    };
    for response in [
        Response::Head("n".to_owned()),
        Response::Nothing,
        Response::Range(Range { denial: None, ..range.clone() }),
        Response::Range(range),
        Response::Items { items: items(), denial: None },
        Response::Items { items: vec![], denial: Some(vec![1]) },
        Response::Taken,
        Response::Refused { code: "c".to_owned(), text: "t".to_owned() },
        Response::Wrapped(vec![1]),
        Response::Consistency(Consistency {
            checkpoint: "c".to_owned(),
            root: Digest([2; 32]),
            proof: vec![Digest([3; 32])],
        }),
        Response::Registers(vec![vec![1], vec![2]]),
        Response::MatchTags(Tags { epoch: 1, day: 2, serial: 3, tags: vec![0; 16] }),
        Response::Matched(vec![[7; 32]], [9; 64]),
    ] {
        accepts("message", &response.to_bytes());
    }
}

#[test]
fn statement_files_are_as_their_grammar_says() {
    let map =
        |class: &str, bytes: Vec<u8>| Value::Map(vec![(Value::from(class), Value::Bytes(bytes))]);
    let element = |opened: Value| {
        cbor::encode(&Value::Array(vec![
            Value::from(256),
            cbor::bytes(statement(bodies().remove(0))),
            map("core", vec![1; 40]),
            opened,
        ]))
    };
    accepts("statement-file", &element(map("core", part().to_bytes())));
    accepts("statement-file", &element(Value::Map(vec![])));
    refuses("statement-file", &element(Value::from("none")), "a text for a map");
}

#[test]
fn cose_receipts_beside_their_checkpoint_are_as_their_grammar_says() {
    let key = SigningKey::from_bytes(&[11; 32]);
    let (statement, sibling) = (statement(bodies().remove(0)), Digest([7; 32]));
    let leaf = merkle::leaf_hash(&leaf_data(&Digest::of(&statement)));
    let root = merkle::node_hash(&leaf, &sibling);
    let head = Checkpoint { origin: "customs.example/ID".to_owned(), size: 2, root };
    let note = checkpoint::sign(&head, &key).to_string();
    let proof = Receipt::new(0, vec![sibling], note).with_statement(statement);
    let bytes = Export::sign(&proof, &key).unwrap().to_bytes();
    accepts("cose-receipt", &bytes);
    let field = |name: &str, change: &dyn Fn(&mut Value)| {
        changed(&bytes, |export| {
            let fields = export.as_map_mut().unwrap().iter_mut();
            fields.filter(|(key, _)| key.as_text() == Some(name)).for_each(|(_, v)| change(v));
        })
    };
    refuses("cose-receipt", &field("type", &|v| *v = Value::from("v2")), "another type");
    refuses("cose-receipt", &field("receipt", &|v| *v = cbor::bytes([0x80])), "no COSE_Sign1");
    refuses("cose-receipt", &field("checkpoint", &|v| *v = cbor::bytes([1])), "bytes for a note");
    let attached = field("receipt", &|receipt| {
        let mut bytes = receipt.as_bytes().unwrap().clone();
        let null = bytes.len() - 67;
        assert_eq!(bytes[null], 0xf6);
        bytes[null] = 0x40;
        *receipt = cbor::bytes(bytes);
    });
    refuses("cose-receipt", &attached, "a payload that is not detached");
}

#[test]
fn proofs_of_single_fields_are_as_their_grammar_says() {
    let key = SigningKey::from_bytes(&[11; 32]);
    let Body::Record(mut record) = bodies().remove(0) else { panic!("not a record") };
    let commitment = part().commitment(&self::record(), "core");
    record.parts.get_mut("core").unwrap().commitment = commitment;
    let statement = statement(Body::Record(record));
    let root = merkle::leaf_hash(&leaf_data(&Digest::of(&statement)));
    let head = Checkpoint { origin: "customs.example/ID".to_owned(), size: 1, root };
    let note = checkpoint::sign(&head, &key).to_string();
    let receipt = Receipt::new(0, vec![], note).with_statement(statement);
    let pointers = BTreeSet::from(["/substance/casNumber", "/substance/controlled"]);
    let opened = OpenedPart::of(&part(), &pointers).unwrap();
    let proof = FieldProof::new(receipt, BTreeMap::from([("core".to_owned(), opened)])).unwrap();
    let bytes = proof.to_bytes();
    accepts("field-proof", &bytes);
    fn of<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
        let mut fields = value.as_map_mut().unwrap().iter_mut();
        &mut fields.find(|(key, _)| key.as_text() == Some(name)).unwrap().1
    }
    let in_core = |name: &str, to: Value| {
        changed(&bytes, |proof| *of(of(of(proof, "parts"), "core"), name) = to)
    };
    let of_type = changed(&bytes, |proof| *of(proof, "type") = Value::from("v2"));
    refuses("field-proof", &of_type, "another type");
    let no_receipt = changed(&bytes, |proof| *of(proof, "receipt") = cbor::bytes([1]));
    refuses("field-proof", &no_receipt, "bytes for a receipt");
    let short = Value::Array(vec![cbor::bytes([7; 31])]);
    refuses("field-proof", &in_core("digests", short), "a digest of 31 bytes");
    refuses("field-proof", &in_core("disclosures", Value::Array(vec![])), "no field");
}

#[test]
fn outcomes_and_held_entries_of_a_bundle_are_as_their_grammar_says() {
    let (code, reason) = ("bad-signature".to_owned(), "the disk was lost".to_owned());
    let until = "2027-01-31".to_owned();
    let refused = Outcome::Refused { by: member("SG"), index: 4, code: code.clone() };
    let outcomes = [
        Outcome::Denied(vec![1, 2]),
        Outcome::Quarantined { index: 3, code },
        refused.clone(),
        Outcome::HeadAccepted { size: 5, at: 6, reason: reason.clone() },
        Outcome::Erased { index: 7, classes: vec!["text".into()], rule: "r".into(), at: 8 },
        Outcome::Hold {
            index: 9,
            step: "placed".into(),
            by: "clerk".into(),
            at: 10,
            until,
            reason,
        },
    ];
    for outcome in outcomes {
        accepts("bundle", &outcome.to_bytes());
    }
    let mut held = Held::default();
    accepts("bundle", &held.to_bytes());
    assert!([0, 1, 7].into_iter().all(|index| held.push(index)));
    accepts("bundle", &held.to_bytes());
    let with = |at: usize, value: Value| {
        changed(&refused.to_bytes(), |outcome| array(outcome)[at] = value)
    };
    refuses("bundle", &with(0, Value::from("lost")), "an unknown outcome");
    refuses("bundle", &with(1, Value::from(7)), "a number for a member");
    refuses("bundle", &with(2, Value::from(-1)), "an index below 0");
}
