//! What a register may have and need not: ML-DSA-44 keys, and how far a record must have come.

use super::*;
use crate::mldsa::{self, MLDSA_PUBLIC_BYTES, MlDsaKey};

fn pq(seed: u8) -> [u8; MLDSA_PUBLIC_BYTES] {
    MlDsaKey::from_seed(&[seed; 32]).public()
}

fn signed_draft(mut draft: Draft, previous: Option<&Register>) -> Result<Register, RegisterError> {
    draft.check()?;
    sign(&mut draft, previous, &["g1", "g2"]);
    draft.finish(previous)
}

#[test]
fn a_member_may_have_one_key_of_mldsa_and_need_not() {
    let register = first();
    assert_eq!(register.member(&id("ID")).unwrap().cosign_pq_key(), None);
    assert!(!String::from_utf8_lossy(register.bytes()).contains("cosign-pq"));

    let mut next = Draft::next(&register, EXPIRES).unwrap();
    next.add_cosign_pq_key(&id("ID"), &pq(1), 0).unwrap();
    let second = signed_draft(next, Some(&register)).unwrap();
    let member = second.member(&id("ID")).unwrap();
    let key = member.cosign_pq_key().unwrap();
    assert_eq!((*key.public, key.thumbprint), (pq(1), mldsa::thumbprint(&pq(1))));
    assert_eq!(member.keys, register.member(&id("ID")).unwrap().keys, "the others are untouched");

    let mut twice = Draft::next(&second, EXPIRES).unwrap();
    twice.add_cosign_pq_key(&id("ID"), &pq(2), 0).unwrap();
    assert_eq!(twice.check().unwrap_err().code(), "register-current-keys");
    twice.end_key(&id("ID"), &key.thumbprint, 7).unwrap();
    let third = signed_draft(twice, Some(&second)).unwrap();
    let member = third.member(&id("ID")).unwrap();
    assert_eq!(*member.cosign_pq_key().unwrap().public, pq(2));
    assert_eq!(member.cosign_pq.len(), 2, "an ended key stays known");

    let mut same = Draft::next(&second, EXPIRES).unwrap();
    same.add_cosign_pq_key(&id("SG"), &pq(1), 0).unwrap();
    assert_eq!(same.check().unwrap_err().code(), "register-key-reused");
}

#[test]
fn a_key_of_mldsa_keeps_its_past_and_its_form() {
    let mut draft = draft(2, 3);
    draft.add_cosign_pq_key(&id("ID"), &pq(1), 0).unwrap();
    let first = signed_draft(draft, None).unwrap();
    let next = Draft::next(&first, EXPIRES).unwrap();
    let mut dropped: Value = serde_json::from_slice(&next.to_bytes()).unwrap();
    let keys = dropped.pointer_mut("/signed/x-sealwire/members/ID/keys").unwrap();
    keys.as_array_mut().unwrap().retain(|key| key["use"] != "cosign-pq");
    let dropped = Draft::from_bytes(dropped.to_string().as_bytes()).unwrap();
    let refused = signed_draft_unchecked(dropped, &first);
    assert_eq!(refused, "register-key-history");

    let changed = |name: &str, value: Value| {
        let mut json: Value = serde_json::from_slice(&next.to_bytes()).unwrap();
        let keys = json.pointer_mut("/signed/x-sealwire/members/ID/keys").unwrap();
        keys.as_array_mut().unwrap().last_mut().unwrap()[name] = value;
        Draft::from_bytes(json.to_string().as_bytes()).unwrap().check().unwrap_err().code()
    };
    assert_eq!(changed("algorithm", json!("Ed25519")), "register-field");
    assert_eq!(changed("public", json!(hex::encode([1; 32]))), "register-field");
    assert_eq!(changed("public", json!(hex::encode(pq(3)))), "register-field", "other thumbprint");
    assert_eq!(changed("use", json!("cosign")), "register-field");
}

fn signed_draft_unchecked(mut draft: Draft, previous: &Register) -> &'static str {
    draft.sign(&key("g1"), Some(previous)).unwrap_err().code()
}

#[test]
fn an_introduction_may_bring_a_key_of_mldsa_also_to_a_member_that_is_there() {
    let sign = key("ID sign");
    let with = introduction("ID").with_cosign_pq(&pq(1), &sign).unwrap();
    let read = Introduction::from_bytes(&with.to_bytes()).unwrap();
    assert_eq!(read.cosign_pq(), Some(&pq(1)));
    assert_eq!(read.keys(), introduction("ID").keys());
    let spoilt = String::from_utf8(with.to_bytes()).unwrap();
    let spoilt = spoilt.replacen(&hex::encode(pq(1)), &hex::encode(pq(2)), 1);
    let refused = Introduction::from_bytes(spoilt.as_bytes()).unwrap_err();
    assert_eq!(refused.code(), "introduction-signature");

    let mut draft = draft(1, 1);
    draft.add_member(&with).unwrap();
    draft.add_member(&with).unwrap();
    let listed = |draft: &Draft| {
        let members = draft.summary().unwrap().members;
        members.into_iter().find(|m| m.id == id("ID")).unwrap().cosign_pq.len()
    };
    assert_eq!(listed(&draft), 1);
    draft.add_member(&introduction("ID")).unwrap();
    assert_eq!(listed(&draft), 1, "one without takes nothing away");
    let other = introduction("ID").with_cosign_pq(&pq(2), &sign).unwrap();
    assert_eq!(draft.add_member(&other).unwrap_err().code(), "introduction-other-keys");
}

#[test]
fn a_community_may_say_how_many_members_a_record_must_have_reached() {
    let mut draft = draft(2, 3);
    let mut community = community("substances", &["AU", "ID", "SG"], 2);
    for (delivery, possible) in [(None, true), (Some(1), true), (Some(2), true)] {
        community.delivery = delivery;
        draft.set_community(&community);
        assert_eq!(draft.check().is_ok(), possible);
        let shown = String::from_utf8(draft.to_bytes()).unwrap().contains("\"delivery\"");
        assert_eq!(shown, delivery.is_some());
    }
    let register = signed_draft(draft.clone(), None).unwrap();
    assert_eq!(register.community("substances").unwrap().delivery, Some(2));
    assert_eq!(register.community("seizures").unwrap().delivery, None);
    for impossible in [0, 3] {
        community.delivery = Some(impossible);
        draft.set_community(&community);
        assert_eq!(draft.check().unwrap_err().code(), "register-field");
    }
    let null = |signed: &mut Value| {
        signed["x-sealwire"]["communities"]["seizures"]["delivery"] = Value::Null;
    };
    assert!(forged(null).is_err(), "nothing has one spelling");
}
