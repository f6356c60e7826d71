//! What a proof accepts and refuses, and what it must not hold.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Checkpoint, sign as sign_checkpoint};
use crate::id::{MemberId, RecordId};
use crate::merkle::{leaf_hash, node_hash};
use crate::statement::{AudienceManifest, Claims, Manifest, PartRef, RecordManifest, sign};

pub(super) const ORIGIN: &str = "test.example/ID";

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn member(id: &str) -> MemberId {
    id.parse().unwrap()
}

pub(super) fn record() -> RecordId {
    RecordId::new(1_700_000_000_000, &[7; 10])
}

pub(super) fn disclosure(pointer: &str, value: impl Into<Value>, salt: u8) -> Disclosure {
    Disclosure { pointer: pointer.into(), value: value.into(), salt: [salt; 16] }
}

/// The parts of the record: every value and salt is found by its bytes.
pub(super) fn parts() -> BTreeMap<String, Part> {
    let core = vec![
        disclosure("/goodsItem/0/found/classificationId", "293399", 0xa1),
        disclosure("/result/0/qualifier", "detected", 0xa2),
        disclosure("/substance/0/casNumber", "2504100-70-1", 0xa3),
    ];
    let operational = vec![
        disclosure("/consignment/transportEquipment/0/id", "CSQU3054383", 0xb1),
        disclosure("/riskIndicatorId", "SECRET-RULE", 0xb2),
        disclosure("/sample/0/sealed", true, 0xb3),
        disclosure("/sample/0/sequenceNumeric", 7, 0xb4),
    ];
    let part = |class: &str, fields| (class.to_owned(), Part::new(fields).unwrap());
    BTreeMap::from([part("core", core), part("operational", operational)])
}

fn manifest(body: Body) -> Manifest {
    Manifest {
        federation: "test.example".to_owned(),
        register: 1,
        nonce: [5; 32],
        heads: BTreeMap::new(),
        body,
    }
}

pub(super) fn statement(parts: &BTreeMap<String, Part>) -> Vec<u8> {
    let refs = parts.iter().map(|(class, part)| {
        let commitment = part.commitment(&record(), class);
        (class.clone(), PartRef { commitment, length: 256, audience: [4; 16] })
    });
    signed(Body::Record(RecordManifest {
        kind: "lab-alert".to_owned(),
        community: "substances".to_owned(),
        to: None,
        schema: "https://example.org/schemas/lab-alert/1".to_owned(),
        schema_digest: Digest([5; 32]),
        code_lists: BTreeMap::from([("hs".to_owned(), "2022".to_owned())]),
        handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
        relation: None,
        parts: refs.collect(),
    }))
}

fn signed(body: Body) -> Vec<u8> {
    let claims = Claims { issuer: member("ID"), subject: record(), issued_at: 1_700_000_000 };
    sign(&key(), claims, manifest(body)).unwrap().bytes().to_vec()
}

/// The receipt of a statement that is the second of three entries.
pub(super) fn receipt(statement: &[u8]) -> Receipt {
    let [before, after] = [leaf_hash(b"before"), leaf_hash(b"after")];
    let own = leaf_hash(&leaf_data(&Digest::of(statement)));
    let root = node_hash(&node_hash(&before, &own), &after);
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root };
    let note = sign_checkpoint(&head, &key()).to_string();
    Receipt::new(1, vec![before, after], note).with_statement(statement.to_vec())
}

pub(super) fn opened(class: &str, pointers: &[&str]) -> (String, OpenedPart) {
    let part = &parts()[class];
    let pointers = pointers.iter().copied().collect();
    (class.to_owned(), OpenedPart::of(part, &pointers).unwrap())
}

/// The proof of one core and two operational fields.
pub(super) fn proof() -> FieldProof {
    let fields = ["/riskIndicatorId", "/sample/0/sealed"];
    let opened = [opened("core", &["/substance/0/casNumber"]), opened("operational", &fields)];
    FieldProof::new(receipt(&statement(&parts())), opened.into()).unwrap()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_proof_is_read_back_matches_its_statement_and_leads_to_the_checkpoint() {
    let proof = proof();
    let read = FieldProof::parse(&proof.to_bytes()).unwrap();
    assert_eq!(read, proof);
    let public = key().verifying_key().to_bytes();
    assert_eq!(read.verify(ORIGIN, &public).unwrap().checkpoint().size, 3);
    assert!(read.verify("test.example/SG", &public).is_err());
    let part = &read.parts()["operational"];
    assert_eq!((part.fields(), part.disclosures().len()), (4, 2));
}

#[test]
fn nothing_of_the_other_fields_is_in_it() {
    let bytes = proof().to_bytes();
    let opened = ["/substance/0/casNumber", "/riskIndicatorId", "/sample/0/sealed"];
    for field in parts().values().flat_map(Part::disclosures) {
        let shown = opened.contains(&field.pointer.as_str());
        assert_eq!(holds(&bytes, field.pointer.as_bytes()), shown, "{}", field.pointer);
        assert_eq!(holds(&bytes, &field.salt), shown, "salt of {}", field.pointer);
        if let Value::Text(text) = &field.value {
            assert_eq!(holds(&bytes, text.as_bytes()), shown, "value of {}", field.pointer);
        }
        assert!(holds(&bytes, &field.digest().0), "its digest is there");
    }
}

#[test]
fn a_field_of_another_value_place_class_or_record_does_not_match() {
    let good = proof();
    let alter = |change: &dyn Fn(&mut OpenedPart)| {
        let mut bad = good.clone();
        change(bad.parts.get_mut("operational").unwrap());
        bad
    };
    let value = alter(&|part| part.disclosures[0].value = Value::from("OTHER-RULE"));
    let place = alter(&|part| part.disclosures[0].pointer = "/remark".to_owned());
    let salt = alter(&|part| part.disclosures[0].salt[0] ^= 1);
    let order = alter(&|part| part.disclosures.swap(0, 1));
    let none = alter(&|part| part.disclosures.clear());
    for bad in [value, place, salt, order, none] {
        assert!(FieldProof::parse(&bad.to_bytes()).is_err());
    }
    // Whole in itself, and not what was signed.
    let forged = alter(&|part| {
        part.disclosures[0].value = Value::from("OTHER-RULE");
        part.digests[1] = part.disclosures[0].digest();
    });
    let read = FieldProof::parse(&forged.to_bytes()).unwrap();
    assert_eq!(read.matches(), Err(FieldProofError::Commitment("operational".to_owned())));
    let fewer = alter(&|part| {
        part.digests.pop();
    });
    let read = FieldProof::parse(&fewer.to_bytes()).unwrap();
    assert_eq!(read.matches(), Err(FieldProofError::Commitment("operational".to_owned())));
    let mut moved = good.clone();
    let part = moved.parts.remove("operational").unwrap();
    moved.parts.insert("commercial".to_owned(), part);
    let read = FieldProof::parse(&moved.to_bytes()).unwrap();
    assert_eq!(read.matches(), Err(FieldProofError::NoPart("commercial".to_owned())));
}

#[test]
fn a_proof_is_not_made_of_what_cannot_be_proved() {
    let one = || BTreeMap::from([opened("core", &["/substance/0/casNumber"])]);
    let bare = receipt(&statement(&parts()));
    let bare = Receipt::new(bare.index(), bare.proof().to_vec(), bare.checkpoint().to_owned());
    assert_eq!(FieldProof::new(bare, one()), Err(FieldProofError::NoStatement));
    let other = signed(Body::Audience(AudienceManifest {
        audience: [4; 16],
        community: "substances".to_owned(),
        to: BTreeSet::from([member("SG")]),
        commitment: Digest([6; 32]),
        until: 1,
    }));
    assert_eq!(FieldProof::new(receipt(&other), one()), Err(FieldProofError::NotARecord));
    let part = &parts()["core"];
    assert_eq!(OpenedPart::of(part, &BTreeSet::from(["/nowhere"])), None);
    assert_eq!(OpenedPart::of(part, &BTreeSet::from(["/result/0/qualifier", "/no"])), None);
    assert_eq!(OpenedPart::of(part, &BTreeSet::new()), None);
}

#[test]
fn a_proof_larger_than_the_limit_is_refused_when_it_is_made_and_when_it_is_read() {
    let text = "x".repeat(300_000);
    let field = |at: u8| disclosure("/remark", text.as_str(), at);
    let classes = ["core", "operational", "commercial", "text"];
    let large: BTreeMap<String, Part> = classes
        .iter()
        .zip(0..)
        .map(|(class, at)| ((*class).to_owned(), Part::new(vec![field(at)]).unwrap()))
        .collect();
    let pointers = BTreeSet::from(["/remark"]);
    let opened =
        large.iter().map(|(class, part)| (class.clone(), OpenedPart::of(part, &pointers).unwrap()));
    let made = FieldProof::new(receipt(&statement(&large)), opened.collect());
    let Err(FieldProofError::TooLarge(length)) = made else { panic!("made: {made:?}") };
    assert!(length > MAX_FIELD_PROOF_BYTES);
    let read = FieldProof::parse(&vec![0; MAX_FIELD_PROOF_BYTES + 1]);
    assert!(matches!(read, Err(FieldProofError::Form(CborError::TooLarge { .. }))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(FieldProof::parse(&bytes).is_err());
    }

    #[test]
    fn one_byte_changed_is_refused_or_another_proof_that_does_not_pass(
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let good = proof();
        let mut bytes = good.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = FieldProof::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes, "read as something else");
            let public = key().verifying_key().to_bytes();
            prop_assert!(read.verify(ORIGIN, &public).is_err());
        }
    }

    #[test]
    fn any_choice_of_fields_is_proved_and_read_back(chosen in prop::collection::btree_set(0..4usize, 1..4)) {
        let part = &parts()["operational"];
        let pointers = chosen.iter().map(|at| part.disclosures()[*at].pointer.as_str()).collect();
        let opened = OpenedPart::of(part, &pointers).unwrap();
        let named = BTreeMap::from([("operational".to_owned(), opened)]);
        let proof = FieldProof::new(receipt(&statement(&parts())), named).unwrap();
        prop_assert_eq!(FieldProof::parse(&proof.to_bytes()), Ok(proof));
    }
}
