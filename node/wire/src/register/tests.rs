//! Claims about the register, told as stories of one small federation.

mod attacks;
mod life;

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::id::ed25519_thumbprint;

mod optional;

/// 1 January 2030.
const EXPIRES: i64 = 1_893_456_000;

/// A key that depends on its name only.
fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Digest::of(name.as_bytes()).0)
}

fn public(name: &str) -> [u8; 32] {
    key(name).verifying_key().to_bytes()
}

fn id(text: &str) -> MemberId {
    text.parse().unwrap()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|i| (*i).to_owned()).collect()
}

fn introduction(member: &str) -> Introduction {
    let [node, log, cosign] = ["node", "log", "cosign"].map(|u| public(&format!("{member} {u}")));
    let names = BTreeMap::from([
        ("en".to_owned(), format!("Customs of {member}")),
        ("fr".to_owned(), format!("Douanes de {member} (é)")),
    ]);
    let addresses = vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()];
    let roles = vec!["administration".to_owned()];
    let sign = key(&format!("{member} sign"));
    Introduction::new(id(member), names, roles, addresses, (&node, &log, &cosign), &sign).unwrap()
}

fn community(name: &str, members: &[&str], witnesses: u32) -> Community {
    Community {
        id: name.to_owned(),
        title: "New substances".to_owned(),
        agreement: "MoU 2026/1".to_owned(),
        members: members.iter().map(|m| id(m)).collect(),
        kinds: set(&["lab-alert"]),
        classes: set(&["open", "core", "operational"]),
        tlp_ceiling: "AMBER".to_owned(),
        purposes: set(&["drug-control"]),
        retention_days: 365,
        class_retention_days: BTreeMap::new(),
        witnesses,
        delivery: None,
        directions: BTreeMap::new(),
    }
}

/// A complete draft of version 1 with `seats` governors `g1`, `g2`, …
fn draft(threshold: u32, seats: u32) -> Draft {
    let mut draft = Draft::new("example.org", threshold, EXPIRES).unwrap();
    for n in 1..=seats {
        draft.add_seat(&format!("g{n}"), &public(&format!("g{n}"))).unwrap();
    }
    draft.set_schema("lab-alert", "urn:example:lab-alert:1", Digest::of(b"schema"));
    draft.set_code_list("hs", "2022");
    for member in ["ID", "SG", "AU"] {
        draft.add_member(&introduction(member)).unwrap();
    }
    draft.add_community(&community("substances", &["AU", "ID", "SG"], 2)).unwrap();
    draft.add_community(&community("seizures", &["ID", "SG"], 1)).unwrap();
    draft
}

fn sign(draft: &mut Draft, previous: Option<&Register>, names: &[&str]) {
    for name in names {
        draft.sign(&key(name), previous).unwrap();
    }
}

/// Version 1, signed by two of three.
fn first() -> Register {
    let mut draft = draft(2, 3);
    sign(&mut draft, None, &["g1", "g3"]);
    draft.finish(None).unwrap()
}

fn refusal(result: Result<Register, RegisterError>) -> &'static str {
    result.map(|r| r.version()).unwrap_err().code()
}

/// Changes the signed content behind the draft's back and signs it as the governors would.
fn forged(change: impl FnOnce(&mut Value)) -> Result<Register, RegisterError> {
    let mut value: Value = serde_json::from_slice(&draft(1, 3).to_bytes()).unwrap();
    change(&mut value["signed"]);
    let signed = form::canonical(&value["signed"]);
    let signature = |name: &str| {
        let keyid = form::key_id(&form::root_key(&public(name))).to_string();
        let sig = ed25519_dalek::Signer::sign(&key(name), &signed);
        json!({"keyid": keyid, "sig": hex::encode(sig.to_bytes())})
    };
    value["signatures"] = json!([signature("g1"), signature("g2"), signature("g3")]);
    Register::trust_first(value.to_string().as_bytes(), None)
}

#[test]
fn accepts_any_k_of_any_n_and_refuses_one_less() {
    for seats in 1..=6_u32 {
        for threshold in 1..=seats {
            let mut draft = draft(threshold, seats);
            for n in 1..threshold {
                sign(&mut draft, None, &[&format!("g{n}")]);
            }
            assert_eq!(refusal(draft.finish(None)), "register-too-few-signatures");
            sign(&mut draft, None, &[&format!("g{seats}")]);
            let register = draft.finish(None).unwrap();
            assert_eq!(register.threshold(), threshold);
        }
        assert_eq!(draft(seats + 1, seats).check().unwrap_err().code(), "register-threshold");
        assert_eq!(draft(0, seats).check().unwrap_err().code(), "register-threshold");
    }
}

#[test]
fn gives_back_what_was_put_in() {
    let register = first();
    assert_eq!((register.version(), register.federation()), (1, "example.org"));
    assert_eq!(register.expires_unix(), EXPIRES);
    assert_eq!(register.members().count(), 3);
    let indonesia = register.member(&id("ID")).unwrap();
    assert_eq!(indonesia.name("fr"), "Douanes de ID (é)");
    assert_eq!(indonesia.name("de"), "Customs of ID");
    assert_eq!(register.member_by_peer_id(&indonesia.peer_id), Some(indonesia));
    assert_eq!(register.member_by_peer_id("12D3KooW"), None);
    assert_eq!(indonesia.log_key().unwrap().public, public("ID log"));
    assert_eq!(indonesia.cosign_key().unwrap().public, public("ID cosign"));
    assert_eq!(indonesia.node_key().unwrap().public, public("ID node"));
    assert_eq!(register.community("seizures").unwrap(), &community("seizures", &["ID", "SG"], 1));
    assert_eq!(register.schemas()["lab-alert"].digest, Digest::of(b"schema"));
    assert_eq!(register.code_lists()["hs"], "2022");
    let signed: Vec<_> = register.seats().into_iter().filter(|s| s.valid).map(|s| s.seat).collect();
    assert_eq!(signed, ["g1", "g3"]);
}

#[test]
fn fingerprint_is_the_digest_in_groups_of_four_and_does_not_depend_on_who_signed() {
    let register = first();
    let mut other = draft(2, 3);
    sign(&mut other, None, &["g2", "g3"]);
    let other = other.finish(None).unwrap();
    assert_ne!(register.bytes(), other.bytes());
    assert_eq!(register.digest(), other.digest());
    assert_eq!(register.fingerprint().replace(' ', ""), register.digest().to_string());
    assert_eq!(register.fingerprint().split(' ').filter(|g| g.len() == 4).count(), 16);
}

#[test]
fn peer_ids_are_those_of_libp2p() {
    // The peer id that libp2p-identity's own tests use.
    let public =
        hex::decode("e7370c66efec8000d587fc4165928ee0755f9486cb5cf0f780d8e06c98ce7da9").unwrap();
    let expected = "12D3KooWRNw2pJC9748Fmq4WNV27HoSTcX3r37132FLkQMrbKAiC";
    assert_eq!(peer_id(&public.try_into().unwrap()), expected);
}

#[test]
fn updates_need_the_old_and_the_new_threshold() {
    let one = first();
    let mut two = Draft::next(&one, EXPIRES + 1).unwrap();
    for seat in ["g1", "g2", "g3"] {
        two.remove_seat(seat).unwrap();
    }
    for seat in ["h1", "h2"] {
        two.add_seat(seat, &public(seat)).unwrap();
    }
    sign(&mut two, Some(&one), &["h1", "h2", "g2"]);
    let error = two.finish(Some(&one)).unwrap_err();
    assert!(matches!(
        error,
        RegisterError::TooFewSignatures { version: 2, governors_of: 1, valid: 1, threshold: 2, .. }
    ));
    assert!(error.to_string().contains("g1, g3"), "{error}");
    sign(&mut two, Some(&one), &["g1"]);
    let accepted = two.finish(Some(&one)).unwrap();
    assert_eq!(accepted.version(), 2);

    let mut old_only = Draft::from_bytes(&two.to_bytes()).unwrap();
    old_only.set_threshold(2);
    sign(&mut old_only, Some(&one), &["g1", "g2", "h1"]);
    let error = old_only.finish(Some(&one)).unwrap_err();
    assert!(matches!(error, RegisterError::TooFewSignatures { governors_of: 2, valid: 1, .. }));
}

#[test]
fn refuses_rollback_skip_repetition_and_another_federation() {
    let one = first();
    let next = |previous: &Register| {
        let mut draft = Draft::next(previous, EXPIRES).unwrap();
        sign(&mut draft, Some(previous), &["g1", "g2"]);
        draft.finish(Some(previous)).unwrap()
    };
    let two = next(&one);
    let three = next(&two);
    assert_eq!(refusal(two.update(one.bytes())), "register-version");
    assert_eq!(refusal(two.update(two.bytes())), "register-version");
    assert_eq!(refusal(one.update(three.bytes())), "register-version");
    assert_eq!(refusal(Register::trust_first(two.bytes(), None)), "register-not-first");
    assert!(Register::trust_first(two.bytes(), Some(&two.digest())).is_ok());
    assert_eq!(refusal(Register::trust_first(two.bytes(), Some(&one.digest()))), "register-pinned");
    let elsewhere = forged(|s| s["x-sealwire"]["federation"] = json!("example.net")).unwrap();
    assert_eq!(refusal(one.update(elsewhere.bytes())), "register-federation");
}

#[test]
fn one_signature_repeated_does_not_make_a_threshold() {
    let mut draft = draft(2, 3);
    sign(&mut draft, None, &["g1", "g1"]);
    assert_eq!(refusal(draft.finish(None)), "register-too-few-signatures");
    let mut value: Value = serde_json::from_slice(&draft.to_bytes()).unwrap();
    let again = value["signatures"][0].clone();
    value["signatures"].as_array_mut().unwrap().push(again);
    let bytes = value.to_string();
    assert_eq!(refusal(Register::trust_first(bytes.as_bytes(), None)), "register-signed-twice");
}

#[test]
fn refuses_a_seat_with_two_keys_and_a_key_without_a_seat() {
    let second = |s: &Value| s["x-sealwire"]["seats"]["g2"][0].clone();
    let two = forged(|s| {
        let keyid = second(s);
        s["x-sealwire"]["seats"]["g1"].as_array_mut().unwrap().push(keyid);
    });
    assert_eq!(refusal(two), "register-seat-keys");
    let shared = forged(|s| s["x-sealwire"]["seats"]["g1"][0] = second(s));
    assert_eq!(refusal(shared), "register-seat-mismatch");
    let stray = forged(|s| {
        s["x-sealwire"]["seats"].as_object_mut().unwrap().remove("g2");
    });
    assert_eq!(refusal(stray), "register-seat-mismatch");
    let other_role = forged(|s| s["roles"]["targets"]["threshold"] = json!(2));
    assert_eq!(refusal(other_role), "register-field");
}

#[test]
fn says_valid_then_grace_then_expired() {
    let register = first();
    let day = 86_400;
    assert_eq!(register.check_expiry(EXPIRES - 1, day), Expiry::Valid);
    let grace = Expiry::Grace { until_unix: EXPIRES + day };
    assert_eq!(register.check_expiry(EXPIRES, day), grace);
    assert_eq!(register.check_expiry(EXPIRES + day - 1, day), grace);
    assert_eq!(register.check_expiry(EXPIRES + day, day), Expiry::Expired);
    assert_eq!(register.check_expiry(EXPIRES, 0), Expiry::Expired);
    assert_eq!(register.check_expiry(i64::MAX, i64::MAX), Expiry::Expired);
}

#[test]
fn a_sign_key_counts_by_position_only() {
    let one = first();
    let mut two = Draft::next(&one, EXPIRES).unwrap();
    let (old, new) = (ed25519_thumbprint(&public("ID sign")), ed25519_thumbprint(&public("new")));
    two.end_key(&id("ID"), &old, 10).unwrap();
    two.add_key(&id("ID"), KeyUse::Sign, &public("new"), 10).unwrap();
    sign(&mut two, Some(&one), &["g1", "g2"]);
    let two = two.finish(Some(&one)).unwrap();
    let member = two.member(&id("ID")).unwrap();
    assert!(member.sign_key_at(&old, 9).is_some());
    assert!(member.sign_key_at(&old, 10).is_none());
    assert!(member.sign_key_at(&new, 9).is_none());
    assert!(member.sign_key_at(&new, 10).is_some());
    assert!(member.sign_key_at(&ed25519_thumbprint(&public("ID log")), 0).is_none());

    // A later version may lower the end, but neither raise it nor take the key away.
    let change = |until: Option<u64>| {
        let mut three = Draft::next(&two, EXPIRES).unwrap();
        if let Some(until) = until {
            three.end_key(&id("ID"), &old, until).unwrap();
        }
        three.sign(&key("g1"), Some(&two)).map(|_| ())
    };
    assert!(change(Some(7)).is_ok());
    assert!(change(None).is_ok());
    assert_eq!(change(Some(11)).unwrap_err().code(), "register-key-history");
}

#[test]
fn members_leave_but_do_not_vanish() {
    let one = first();
    let mut two = Draft::next(&one, EXPIRES).unwrap();
    two.set_status(&id("AU"), Status::Left).unwrap();
    let mut witnesses = community("substances", &["ID", "SG"], 1);
    witnesses.title = "New psychoactive substances".to_owned();
    two.set_community(&witnesses);
    two.set_status(&id("SG"), Status::Suspended).unwrap();
    sign(&mut two, Some(&one), &["g1", "g2"]);
    let two = two.finish(Some(&one)).unwrap();
    assert_eq!(two.member(&id("AU")).unwrap().status, Status::Left);
    let left = two.community("substances").unwrap();
    let active: Vec<_> = two.active_members(left).map(|m| m.id.as_str()).collect();
    assert_eq!(active, ["ID"]);

    let mut value: Value = serde_json::from_slice(two.bytes()).unwrap();
    value["signed"]["version"] = json!(3);
    value["signed"]["x-sealwire"]["members"].as_object_mut().unwrap().remove("AU");
    let mut three = Draft::from_bytes(value.to_string().as_bytes()).unwrap();
    let refused = three.sign(&key("g1"), Some(&two)).unwrap_err();
    assert_eq!(refused.code(), "register-member-dropped");
}

#[test]
fn refuses_content_that_contradicts_itself() {
    type Case = (&'static str, fn(&mut Value));
    let cases: &[Case] = &[
        ("register-unknown-member", |x| x["communities"]["seizures"]["members"] = json!(["FR"])),
        ("register-member-left", |x| x["members"]["ID"]["status"] = json!("left")),
        ("register-unknown-kind", |x| x["communities"]["seizures"]["kinds"] = json!(["tip"])),
        ("register-witnesses", |x| x["communities"]["seizures"]["witnesses"] = json!(2)),
        ("register-key-reused", |x| {
            x["members"]["ID"]["keys"][1]["public"] =
                x["members"]["SG"]["keys"][1]["public"].clone();
            x["members"]["ID"]["keys"][1]["thumbprint"] =
                x["members"]["SG"]["keys"][1]["thumbprint"].clone();
        }),
        ("register-current-keys", |x| x["members"]["ID"]["keys"][1]["until"] = json!(5)),
        ("register-field", |x| x["members"]["ID"]["keys"][3]["from"] = json!(5)),
        ("register-field", |x| x["members"]["ID"]["peerId"] = x["members"]["SG"]["peerId"].clone()),
        ("register-field", |x| x["members"]["ID"]["status"] = json!("revoked")),
        ("register-field", |x| x["members"]["ID"]["addresses"] = json!(["192.0.2.1:4001"])),
        ("register-field", |x| x["members"]["ID"]["keys"][0]["algorithm"] = json!("ML-DSA-44")),
        ("register-field", |x| x["members"]["ID"]["keys"][0]["public"] = json!("00".repeat(32))),
        ("register-field", |x| x["communities"]["seizures"]["tlpCeiling"] = json!("PURPLE")),
        ("register-field", |x| x["communities"]["seizures"]["classes"] = json!(["secret"])),
        ("register-field", |x| x["communities"]["seizures"]["members"] = json!(["ID", "ID"])),
        ("register-field", |x| x["profile"] = json!(2)),
        ("register-field", |x| x["federation"] = json!("Example.org")),
        ("register-not-json", |x| x["members"]["ID"]["note"] = json!("unknown field")),
        ("register-not-json", |x| x["more"] = json!(1)),
        ("register-not-json", |x| x["members"]["ID"]["keys"][0]["until"] = json!(null)),
        ("register-ambiguous-text", |x| x["members"]["ID"]["names"]["en"] = json!("e\u{301}")),
        ("register-ambiguous-text", |x| x["members"]["ID"]["names"]["en"] = json!("a\u{1}b")),
    ];
    for (code, change) in cases {
        let error = forged(|s| change(&mut s["x-sealwire"])).unwrap_err();
        assert_eq!(error.code(), *code, "{error}");
        assert!(error.to_string().contains("\nhint: "), "{error}");
    }
}

#[test]
fn refuses_a_name_twice_leftovers_and_too_many_bytes() {
    let text = String::from_utf8(first().bytes().to_vec()).unwrap();
    let code = |text: &str| refusal(Register::trust_first(text.as_bytes(), None));
    let twice = text.replacen("\"hs\": \"2022\"", "\"hs\": \"2022\", \"hs\": \"2022\"", 1);
    assert_eq!(code(&twice), "register-not-json");
    assert_eq!(code(&format!("{text} 1")), "register-not-json");
    let long = format!("{text}{}", " ".repeat(MAX_REGISTER_BYTES));
    assert_eq!(code(&long), "register-too-large");
    assert!(Register::trust_first(format!("{text}  \n").as_bytes(), None).is_ok());
}

#[test]
fn refuses_every_tampered_byte_of_the_signed_part() {
    let register = first();
    let original = String::from_utf8(register.bytes().to_vec()).unwrap();
    let start = original.find("\"signed\"").unwrap();
    for at in (start..original.len()).step_by(7) {
        let mut bytes = original.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(accepted) = Register::trust_first(&bytes, None) {
            // Only white space may change: the signed content is the same.
            assert_eq!(accepted.digest(), register.digest());
            assert!(original.as_bytes()[at].is_ascii_whitespace());
        }
    }
}

#[test]
fn a_draft_takes_only_governors_and_loses_signatures_when_changed() {
    let mut edited = draft(2, 3);
    assert_eq!(edited.sign(&key("stranger"), None).unwrap_err().code(), "register-no-seat");
    sign(&mut edited, None, &["g1", "g2"]);
    edited.set_code_list("hs", "2027");
    assert!(edited.signatures().unwrap().iter().all(|s| !s.valid));
    let again = Draft::from_bytes(&edited.to_bytes()).unwrap();
    assert_eq!(again.digest(), edited.digest());
    assert_eq!(edited.add_seat("g1", &public("x")).unwrap_err().code(), "register-exists");
    assert_eq!(edited.remove_seat("g9").unwrap_err().code(), "register-absent");
}

#[test]
fn introductions_catch_a_changed_byte_and_a_swapped_key() {
    let given = introduction("ID");
    let read = Introduction::from_bytes(&given.to_bytes()).unwrap();
    assert_eq!(read.fingerprint(), given.fingerprint());
    assert_eq!(read.keys()[&KeyUse::Sign], public("ID sign"));

    let text = String::from_utf8(given.to_bytes()).unwrap();
    let code = |text: String| Introduction::from_bytes(text.as_bytes()).unwrap_err().code();
    assert_eq!(code(text.replace("Customs of ID", "Customs of IE")), "introduction-signature");
    let (log, other) = (hex::encode(public("ID log")), hex::encode(public("SG log")));
    assert_eq!(code(text.replace(&log, &other)), "introduction-signature");
    let cosign = hex::encode(public("ID cosign"));
    assert_eq!(code(text.replace(&log, &cosign)), "register-key-reused");
    assert_eq!(code(text.replace("\"log\"", "\"cosign\"")), "register-field");

    let mut draft = draft(1, 1);
    draft.add_member(&given).unwrap();
    let names = BTreeMap::from([("en".to_owned(), "Impostor".to_owned())]);
    let keys = (&public("a"), &public("b"), &public("c"));
    let roles = vec!["administration".to_owned()];
    let swapped = Introduction::new(id("ID"), names, roles, Vec::new(), keys, &key("d")).unwrap();
    assert_eq!(draft.add_member(&swapped).unwrap_err().code(), "introduction-other-keys");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Register::trust_first(&bytes, None).is_err());
        prop_assert!(Draft::from_bytes(&bytes).is_err());
        prop_assert!(Introduction::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_damaged_register_never_panics(at in any::<prop::sample::Index>(), with in any::<Vec<u8>>()) {
        let mut bytes = first().bytes().to_vec();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + with.len());
        bytes.splice(at..end, with);
        let _ = Register::trust_first(&bytes, None);
    }
}
