//! States from entries in a store of ID, which is in one federation with SG and AU.

use ed25519_dalek::SigningKey;
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::id::Digest;
use sealwire_wire::message::Item;
use sealwire_wire::register::{Draft, Introduction, Register};
use sealwire_wire::statement::{self, Claims, Manifest, PartRef};

use super::*;
use crate::keys::{Keys, Windows};
use crate::store::testing::{World, entry, id, record_id};
use crate::store::{Decision, Fact};

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Digest::of(name.as_bytes()).0)
}

fn register() -> Register {
    let public = |name: &str| key(name).verifying_key().to_bytes();
    let mut draft = Draft::new("test.example", 1, 4_000_000_000).unwrap();
    draft.add_seat("governor", &public("governor")).unwrap();
    draft.set_schema("lab-alert", "urn:schema", Digest([7; 32]));
    for member in ["ID", "SG", "AU"] {
        let [node, log, cosign] =
            ["node", "log", "cosign"].map(|u| public(&format!("{member} {u}")));
        let introduction = Introduction::new(
            id(member),
            BTreeMap::from([("en".to_owned(), member.to_owned())]),
            vec!["administration".to_owned()],
            vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
            (&node, &log, &cosign),
            &key(&format!("{member} sign")),
        );
        draft.add_member(&introduction.unwrap()).unwrap();
    }
    draft.sign(&key("governor"), None).unwrap();
    draft.finish(None).unwrap()
}

struct Node {
    world: World,
    context: Context,
}

impl Node {
    fn new() -> Self {
        let world = World::new();
        let windows = Windows { epoch: 1000, grace: 500 };
        let keys = Keys::create(&world.root().join("keys"), 1, windows, None).unwrap();
        let context = Context::new(id("ID"), keys, register(), world.reader().clone(), None);
        Self { world, context }
    }

    /// What became of the record at an index of a log, and which entries count.
    fn became(&self, log: &str, index: u64) -> (State, Vec<(MemberId, u64, bool)>) {
        let log = id(log);
        let entry = self.context.reader.entry(&log, index).unwrap();
        let became = match entry {
            Some(entry) => {
                let statement = Statement::parse(&entry.item.statement).unwrap();
                of_statement(&self.context, &statement).unwrap()
            }
            None => of_record(&self.context, &log, &record_id(&log, index)).unwrap(),
        };
        let because = became.because.into_iter().map(|b| (b.log, b.index, b.counts));
        (became.state, because.collect())
    }

    fn commit(&mut self, facts: &[Fact]) {
        self.world.commit(facts);
    }
}

/// An entry of SG or AU that refers to a record, and has seen so many entries of other logs.
fn said(
    log: &str,
    index: u64,
    kind: &str,
    verb: RelationVerb,
    (issuer, of): (&str, u64),
    seen: &[(&str, u64)],
) -> Fact {
    let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
    let heads =
        seen.iter().map(|(log, size)| (id(log), Head { size: *size, root: Digest([8; 32]) }));
    let body = Body::Record(RecordManifest {
        kind: kind.into(),
        community: "labs".into(),
        to: None,
        schema: "urn:schema".into(),
        schema_digest: Digest([7; 32]),
        code_lists: BTreeMap::new(),
        handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
        relation: Some(Relation { verb, record: record_id(&id(issuer), of), issuer: id(issuer) }),
        parts: BTreeMap::from([("core".into(), part)]),
    });
    let mut nonce = [5; 32];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    let manifest = Manifest {
        federation: "test.example".into(),
        register: 1,
        nonce,
        heads: heads.collect(),
        body,
    };
    let subject = record_id(&id(log), index);
    let claims = Claims { issuer: id(log), subject, issued_at: 1_700_000_000 };
    let signed = statement::sign(&key(&format!("{log} sign")), claims, manifest).unwrap();
    let statement = signed.bytes().to_vec();
    let item = Item { index, statement, proof: vec![], sealed: BTreeMap::new() };
    Fact::Entry { log: id(log), received_at: 1000 + index, item }
}

const WITHDRAWS: RelationVerb = RelationVerb::Withdraws;
const SUPERSEDES: RelationVerb = RelationVerb::Supersedes;
const ANSWERS: RelationVerb = RelationVerb::Answers;

fn quarantined(log: &str, index: u64) -> Fact {
    let (log, code) = (id(log), "not-originator".to_owned());
    Fact::Decision(Decision::Quarantined { log, index, code, text: "cannot".to_owned() })
}

#[test]
fn the_gravest_amendment_is_the_state_and_one_taken_back_counts_no_more() {
    let mut node = Node::new();
    let sg = || id("SG");
    // The correction comes first, and counts once its record is there.
    node.commit(&[said("SG", 1, CORRECTION, SUPERSEDES, ("SG", 0), &[])]);
    node.commit(&[entry(&sg(), 0)]);
    assert_eq!(node.became("SG", 0), (State::Corrected, vec![(sg(), 1, true)]));
    node.commit(&[said("SG", 2, "lab-alert", SUPERSEDES, ("SG", 0), &[])]);
    assert_eq!(node.became("SG", 0).0, State::Superseded);
    node.commit(&[said("SG", 3, "withdrawal", WITHDRAWS, ("SG", 0), &[])]);
    assert_eq!(node.became("SG", 0).0, State::Withdrawn);
    node.commit(&[said("SG", 4, "withdrawal", WITHDRAWS, ("SG", 3), &[])]);
    node.commit(&[said("SG", 5, "withdrawal", WITHDRAWS, ("SG", 2), &[])]);
    let all = vec![(sg(), 1, true), (sg(), 2, false), (sg(), 3, false)];
    assert_eq!(node.became("SG", 0), (State::Corrected, all));
    assert_eq!(node.became("SG", 3).0, State::Withdrawn);
}

#[test]
fn nobody_else_changes_the_state_of_a_record_or_crowds_out_who_may() {
    let mut node = Node::new();
    node.commit(&[entry(&id("SG"), 0)]);
    let many = u64::try_from(MAX_RELATED).unwrap() + 5;
    let foreign = (0..many).map(|at| said("AU", at, "withdrawal", WITHDRAWS, ("SG", 0), &[]));
    node.commit(&foreign.collect::<Vec<_>>());
    assert_eq!(node.became("SG", 0), (State::Current, vec![]));
    node.commit(&[said("SG", 1, "withdrawal", WITHDRAWS, ("SG", 0), &[])]);
    assert_eq!(node.became("SG", 0).0, State::Withdrawn);
    node.commit(&[quarantined("SG", 1)]);
    assert_eq!(
        node.became("SG", 0),
        (State::Current, vec![]),
        "quarantined, it counts for nothing"
    );
}

#[test]
fn a_dispute_ends_when_its_originator_has_seen_it_and_answers_in_whatever_order_both_come() {
    let conflict = || said("AU", 3, CONFLICT, ANSWERS, ("SG", 0), &[]);
    let seen = || said("SG", 1, CORRECTION, SUPERSEDES, ("SG", 0), &[("AU", 4)]);
    let unseen = || said("SG", 1, CORRECTION, SUPERSEDES, ("SG", 0), &[("AU", 3)]);
    let original = || entry(&id("SG"), 0);
    for facts in [[original(), conflict(), seen()], [seen(), conflict(), original()]] {
        let mut node = Node::new();
        node.commit(&facts);
        assert_eq!(node.became("SG", 0).0, State::Corrected);
        assert_eq!(node.became("AU", 3).0, State::Current, "the conflict is answered");
    }
    for facts in [[original(), conflict(), unseen()], [unseen(), conflict(), original()]] {
        let mut node = Node::new();
        node.commit(&facts);
        assert_eq!(node.became("SG", 0).0, State::Disputed);
        assert_eq!(node.became("AU", 3).0, State::Disputed);
        node.commit(&[said("AU", 4, "withdrawal", WITHDRAWS, ("AU", 3), &[])]);
        assert_eq!(node.became("SG", 0).0, State::Corrected);
        assert_eq!(node.became("AU", 3).0, State::Withdrawn);
    }
    // A member does not dispute its own record, and a comment disputes nothing.
    let mut node = Node::new();
    let own = said("SG", 1, CONFLICT, ANSWERS, ("SG", 0), &[]);
    node.commit(&[original(), own, said("AU", 0, "comment", ANSWERS, ("SG", 0), &[])]);
    assert_eq!(node.became("SG", 0), (State::Current, vec![]));
    assert_eq!(node.became("SG", 1).0, State::Current);
}
