//! Statements as they are signed, read and refused.

use std::collections::{BTreeMap, BTreeSet};

use super::sign1::Sign1;
use super::*;
use crate::cbor::Value;
use crate::seal::SEAL_PUBLIC_LEN;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn claims() -> Claims {
    Claims {
        issuer: "ID".parse().unwrap(),
        subject: RecordId::new(1_700_000_000_000, &[2; 10]),
        issued_at: 1_700_000_000,
    }
}

fn record(to: Option<&str>) -> Manifest {
    let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
    Manifest {
        federation: "test.example".into(),
        register: 1,
        nonce: [5; 32],
        heads: BTreeMap::from([("SG".parse().unwrap(), Head { size: 7, root: Digest([6; 32]) })]),
        body: Body::Record(RecordManifest {
            kind: "lab-alert".into(),
            community: "labs".into(),
            to: to.map(|m| BTreeSet::from([m.parse().unwrap()])),
            schema: "urn:schema".into(),
            schema_digest: Digest([7; 32]),
            code_lists: BTreeMap::from([("HS".into(), "2022".into())]),
            handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
            relation: Some(Relation {
                verb: RelationVerb::Answers,
                record: RecordId::new(5, &[8; 10]),
                issuer: "SG".parse().unwrap(),
            }),
            parts: BTreeMap::from([("core".into(), part)]),
        }),
    }
}

fn reads() -> ReadsManifest {
    let classes = BTreeMap::from([("commercial".to_owned(), 1), ("operational".to_owned(), 7)]);
    ReadsManifest {
        to: BTreeSet::from(["SG".parse().unwrap()]),
        from: 8,
        until: 8,
        counts: BTreeMap::from([(RecordId::new(5, &[8; 10]), classes)]),
        commitment: Digest([5; 32]),
    }
}

#[test]
fn a_read_log_entry_is_for_one_member_and_counts_something() {
    let bad = [
        ReadsManifest { counts: BTreeMap::new(), ..reads() },
        ReadsManifest {
            to: BTreeSet::from(["AU".parse().unwrap(), "SG".parse().unwrap()]),
            ..reads()
        },
        ReadsManifest { from: 9, ..reads() },
        ReadsManifest {
            counts: reads().counts.into_keys().map(|id| (id, BTreeMap::new())).collect(),
            ..reads()
        },
    ];
    for body in bad {
        let manifest = Manifest { body: Body::Reads(body), ..record(None) };
        let signed = sign(&key(), claims(), manifest.clone()).unwrap();
        assert!(Statement::parse(signed.bytes()).is_err(), "{manifest:?}");
    }
}

fn matches() -> MatchesManifest {
    let kinds = BTreeMap::from([("container".to_owned(), 3)]);
    let purposes = BTreeMap::from([("risk-analysis".to_owned(), kinds)]);
    MatchesManifest {
        to: BTreeSet::from(["SG".parse().unwrap()]),
        side: MatchSide::Answered,
        day: 20_000,
        counts: BTreeMap::from([("labs".to_owned(), purposes)]),
    }
}

#[test]
fn an_entry_on_matching_is_for_one_member_and_counts_something_of_named_purposes() {
    let rows = |rows: usize| {
        let kinds = (0..rows).map(|number| (format!("kind-{number}"), 1)).collect();
        let purposes = BTreeMap::from([("risk-analysis".to_owned(), kinds)]);
        MatchesManifest { counts: BTreeMap::from([("labs".to_owned(), purposes)]), ..matches() }
    };
    let counted = |kind: &str, count| {
        let kinds = BTreeMap::from([(kind.to_owned(), count)]);
        let purposes = BTreeMap::from([("risk-analysis".to_owned(), kinds)]);
        MatchesManifest { counts: BTreeMap::from([("labs".to_owned(), purposes)]), ..matches() }
    };
    let read = |body| {
        let manifest = Manifest { body: Body::Matches(body), ..record(None) };
        Statement::parse(sign(&key(), claims(), manifest).unwrap().bytes()).map(|_| ())
    };
    assert!(read(rows(MAX_MATCH_ROWS)).is_ok());
    for bad in [
        rows(MAX_MATCH_ROWS + 1),
        rows(0),
        counted("container", 0),
        counted("MSKU6011672", 1),
        MatchesManifest { counts: BTreeMap::new(), ..matches() },
        MatchesManifest {
            to: BTreeSet::from(["AU".parse().unwrap(), "SG".parse().unwrap()]),
            ..matches()
        },
    ] {
        assert!(read(bad.clone()).is_err(), "{bad:?}");
    }
}

fn others() -> Vec<Manifest> {
    let with = |body| Manifest { body, ..record(None) };
    vec![
        with(Body::Audience(AudienceManifest {
            audience: [1; 16],
            community: "labs".into(),
            to: BTreeSet::from(["AU".parse().unwrap(), "SG".parse().unwrap()]),
            commitment: Digest([2; 32]),
            until: 9,
        })),
        with(Body::Key(KeyManifest {
            epoch: 1,
            public: vec![3; SEAL_PUBLIC_LEN],
            from: 1,
            until: 2,
            match_key: Some([9; 32]),
        })),
        with(Body::Register(RegisterManifest { version: 2, digest: Digest([4; 32]) })),
        with(Body::Reads(reads())),
        with(Body::Dummy),
        with(Body::Matches(matches())),
    ]
}

#[test]
fn every_kind_of_statement_is_read_back_and_verified() {
    for manifest in [record(None), record(Some("SG"))].into_iter().chain(others()) {
        let signed = sign(&key(), claims(), manifest.clone()).unwrap();
        let read = Statement::parse(signed.bytes()).unwrap();
        assert_eq!(read.manifest(), &manifest);
        assert_eq!(read.claims(), &claims());
        assert_eq!(read.verify(key().verifying_key().as_bytes()).unwrap(), signed);
    }
}

#[test]
fn refuses_any_flipped_bit() {
    let signed = sign(&key(), claims(), record(None)).unwrap();
    for at in 0..signed.bytes().len() * 8 {
        let mut bytes = signed.bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let verdict =
            Statement::parse(&bytes).and_then(|s| s.verify(key().verifying_key().as_bytes()));
        assert!(verdict.is_err(), "bit {at}");
    }
}

#[test]
fn refuses_another_profile_leftovers_and_another_key() {
    let signed = sign(&key(), claims(), record(None)).unwrap();
    let mut longer = signed.bytes().to_vec();
    longer.push(0);
    assert!(Statement::parse(&longer).is_err());
    for cut in 0..signed.bytes().len() {
        assert!(Statement::parse(&signed.bytes()[..cut]).is_err());
    }
    let other = SigningKey::from_bytes(&[9; 32]);
    let refused =
        Statement::parse(signed.bytes()).unwrap().verify(other.verifying_key().as_bytes());
    assert!(matches!(refused, Err(StatementError::OtherKey { .. })));
}

#[test]
fn a_manifest_over_the_limit_is_not_signed() {
    let mut manifest = record(None);
    manifest.federation = "x".repeat(MAX_MANIFEST_BYTES);
    let refused = sign(&key(), claims(), manifest);
    assert!(matches!(refused, Err(StatementError::ManifestTooLarge(_))));
}

/// Why a record with this kind and handling is refused, if it is.
fn refusal(kind: &str, handling: Value) -> Option<String> {
    let mut manifest = record(None);
    if let Body::Record(record) = &mut manifest.body {
        (record.kind, record.handling) = (kind.into(), handling.into());
    }
    let payload = cbor::encode(&manifest.to_value());
    Manifest::from_bytes(&payload).err().map(|refusal| refusal.to_string())
}

#[test]
fn a_kind_of_another_form_is_refused() {
    for good in ["a", "lab-alert", "a0-", &"a".repeat(64)] {
        assert_eq!(refusal(good, cbor::map([])), None, "{good:?}");
    }
    for bad in ["", "A", "-a", "0a", "lab alert", "lab_alert", "é", "a\n", &"a".repeat(65)] {
        let why = refusal(bad, cbor::map([])).unwrap();
        assert!(why.starts_with("cannot read manifest: kind must be 1 to 64 lower-case"), "{why}");
    }
}

#[test]
fn handling_holds_json_and_nothing_else() {
    let deep = |inner: Value| cbor::map([("a", Value::Array(vec![cbor::map([("b", inner)])]))]);
    let keyed = |key: Value| Value::Map(vec![(key, 1.into())]);
    for good in [1.into(), Value::Bool(true), "x".into(), Value::Array(vec![]), cbor::map([])] {
        assert_eq!(refusal("a", deep(good)), None);
    }
    let bytes = || cbor::bytes(*b"x");
    let bad = [
        bytes(),
        Value::Array(vec![]),
        deep(bytes()),
        keyed(1.into()),
        keyed(bytes()),
        deep(keyed(true.into())),
    ];
    for handling in bad {
        let why = refusal("a", handling.clone()).unwrap();
        let text = "cannot read manifest: handling must be a map with text keys";
        assert!(why.starts_with(text), "{handling:?}: {why}");
    }
}

#[test]
fn a_range_answer_is_signed_and_covers_its_ranges_only() {
    let denial = Denial {
        federation: "test.example".into(),
        asker: "AU".parse().unwrap(),
        register: 1,
        ranges: vec![(2, 4), (7, 8)],
    };
    let bytes = denial.sign(&key(), claims());
    let public = *key().verifying_key().as_bytes();
    let (by, read) = Denial::verify(&bytes, |_, _| Some(public)).unwrap();
    assert_eq!((by, &read), (claims(), &denial));
    assert!(read.covers(3) && read.covers(7) && !read.covers(4) && !read.covers(0));
    assert!(Statement::parse(&bytes).is_err(), "it is no statement");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(Statement::parse(&bytes).is_err());
        prop_assert!(Denial::verify(&bytes, |_, _| None).is_err());
    }

    #[test]
    fn an_arbitrary_payload_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let sign1 = Sign1::sign(&key(), TYP_STATEMENT, claims(), &bytes).unwrap();
        prop_assert!(Statement::parse(&sign1.bytes).is_err());
    }
}
