//! A community in which one member only receives and another only publishes.

use ed25519_dalek::SigningKey;
use sealwire_wire::cbor::{self, Value as CborValue};
use sealwire_wire::id::Digest;
use sealwire_wire::register::{Direction, Draft, Introduction};
use sealwire_wire::statement::{Body, RecordManifest};
use serde_json::json;

use super::*;
use crate::refusal::Refusal;

fn id(text: &str) -> MemberId {
    text.parse().unwrap()
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Digest::of(name.as_bytes()).0)
}

/// ID does both, AU only receives, SG only publishes.
fn register() -> Register {
    register_of(&["lab-alert"])
}

fn register_of(kinds: &[&str]) -> Register {
    let public = |name: &str| key(name).verifying_key().to_bytes();
    let mut draft = Draft::new("test.example", 1, 4_000_000_000).unwrap();
    draft.add_seat("governor", &public("governor")).unwrap();
    for kind in kinds {
        draft.set_schema(kind, "urn:schema", Digest([7; 32]));
    }
    for member in ["ID", "SG", "AU"] {
        let [node, log, cosign] =
            ["node", "log", "cosign"].map(|u| public(&format!("{member} {u}")));
        let names = BTreeMap::from([("en".to_owned(), member.to_owned())]);
        let roles = vec!["administration".to_owned()];
        let keys = (&node, &log, &cosign);
        let sign = key(&format!("{member} sign"));
        let introduction = Introduction::new(id(member), names, roles, Vec::new(), keys, &sign);
        draft.add_member(&introduction.unwrap()).unwrap();
    }
    let set = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<BTreeSet<_>>();
    draft.set_community(&Community {
        id: "labs".to_owned(),
        title: "Laboratories".to_owned(),
        agreement: "MoU 2026/1".to_owned(),
        members: ["ID", "SG", "AU"].map(id).into(),
        kinds: set(kinds),
        classes: set(&["open", "core"]),
        tlp_ceiling: "AMBER".to_owned(),
        purposes: set(&["risk-analysis"]),
        retention_days: 365,
        class_retention_days: BTreeMap::new(),
        witnesses: 1,
        delivery: None,
        directions: BTreeMap::from([
            (id("AU"), Direction::Receive),
            (id("SG"), Direction::Publish),
        ]),
    });
    draft.sign(&key("governor"), None).unwrap();
    draft.finish(None).unwrap()
}

fn plan_of(publisher: &str, to: Option<&str>) -> Result<Plan, Refusal> {
    let wish = Wish { to: to.map(|to| BTreeSet::from([id(to)])), ..Wish::default() };
    let handling = json!({"tlp": "TLP:GREEN", "purpose": ["risk-analysis"]});
    let classes = BTreeSet::from([FieldClass::Open, FieldClass::Core]);
    plan(&register(), &id(publisher), "labs", "lab-alert", &handling, &classes, &wish)
}

#[test]
fn who_only_receives_publishes_nothing_and_who_only_publishes_is_sent_nothing() {
    let refused = plan_of("AU", None).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("direction-not-agreed", 403));
    let only_au = BTreeSet::from([id("AU")]);
    assert!(plan_of("ID", None).unwrap().classes.values().all(|to| *to == only_au));
    assert_eq!(plan_of("ID", Some("SG")).unwrap_err().code, "member-not-entitled");
    let both = BTreeSet::from([id("AU"), id("ID")]);
    assert!(plan_of("SG", None).unwrap().classes.values().all(|to| *to == both));
}

#[test]
fn an_entry_for_the_community_is_addressed_to_those_who_receive() {
    let manifest = Manifest {
        federation: "test.example".into(),
        register: 1,
        nonce: [0; 32],
        heads: BTreeMap::new(),
        body: Body::Record(RecordManifest {
            kind: "lab-alert".into(),
            community: "labs".into(),
            to: None,
            schema: "urn:schema".into(),
            schema_digest: Digest([7; 32]),
            code_lists: BTreeMap::new(),
            handling: cbor::map([("tlp", CborValue::from("GREEN"))]).into(),
            relation: None,
            parts: BTreeMap::new(),
        }),
    };
    let to = |member: &str| serve(&register(), &id("ID"), &manifest, &id("ID"), &id(member));
    let refused = [Err(Rule::DirectionNotAgreed), Err(Rule::MemberNotActive)];
    assert_eq!([to("AU"), to("SG"), to("FR")], [Ok(()), refused[0], refused[1]]);
    assert_eq!(to("ID"), Ok(()), "its owner, that may have lost it");
}

#[test]
fn who_may_ask_whom_and_what_for() {
    let register = register_of(&["lab-alert", ASSISTANCE_REQUEST]);
    let ask = |community, purpose, asker, responder| {
        matching(&register, community, purpose, &id(asker), &id(responder))
    };
    let agreed = |asker, responder| ask("labs", "risk-analysis", asker, responder);
    assert_eq!(agreed("ID", "SG"), Ok(()), "SG sends there, and so answers");
    assert_eq!(agreed("AU", "ID"), Ok(()), "AU receives there, and so asks");
    assert_eq!(agreed("AU", "SG"), Ok(()));
    for (asker, responder) in [("SG", "ID"), ("ID", "AU"), ("SG", "AU")] {
        assert_eq!(agreed(asker, responder), Err(Rule::DirectionNotAgreed), "{asker} {responder}");
    }
    assert_eq!(agreed("FR", "ID"), Err(Rule::MemberNotActive));
    assert_eq!(agreed("ID", "FR"), Err(Rule::MemberNotActive));
    let elsewhere = ask("elsewhere", "risk-analysis", "ID", "SG");
    assert_eq!(elsewhere, Err(Rule::NotInCommunity));
    let other = ask("labs", "training", "ID", "SG");
    assert_eq!(other, Err(Rule::PurposeNotInAgreement));
    let (id, sg, without) = (id("ID"), id("SG"), self::register());
    let without = matching(&without, "labs", "risk-analysis", &id, &sg);
    assert_eq!(without, Err(Rule::KindNotInAgreement), "a hit would lead nowhere");
}
