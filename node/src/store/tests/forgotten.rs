//! Erased parts: unreadable at once, gone from every file later, and never back.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sealwire_wire::id::MemberId;
use sealwire_wire::seal::AudienceId;
use sealwire_wire::statement::{
    AudienceManifest, Body, PartRef, RecordManifest, Relation, RelationVerb,
};

use super::super::testing::said;
use super::*;

/// What a sealed part holds in these tests: nothing else in the files has it.
const CANARY: [u8; 64] = [0xe7; 64];
const ALONE: AudienceId = [6; 16];
const SHARED: AudienceId = [4; 16];

fn record(parts: &[&str], relation: Option<Relation>) -> RecordManifest {
    let part = |class: &&str| {
        let audience = if *class == "nominal" { ALONE } else { SHARED };
        let part = PartRef { commitment: Digest([3; 32]), length: 256, audience };
        ((*class).to_owned(), part)
    };
    RecordManifest {
        kind: if relation.is_some() { "erasure" } else { "lab-alert" }.into(),
        community: "labs".into(),
        to: None,
        schema: "urn:schema".into(),
        schema_digest: Digest([7; 32]),
        code_lists: BTreeMap::new(),
        handling: sealwire_wire::cbor::map([
            ("retainUntil", Value::from("2027-01-31")),
            ("reviewDate", Value::from("2026-12-31")),
        ])
        .into(),
        relation,
        parts: parts.iter().map(part).collect(),
    }
}

fn sealed(log: &MemberId, index: u64, record: RecordManifest) -> Fact {
    let parts = record.parts.keys().map(|class| {
        let kept = matches!(class.as_str(), "core" | "open");
        let canary = if kept { vec![0x11; 64] } else { CANARY.to_vec() };
        (class.clone(), canary)
    });
    let sealed = parts.collect();
    let statement = said(log, index, Body::Record(record)).bytes().to_vec();
    let item = Item { index, statement, proof: vec![], sealed };
    Fact::Entry { log: log.clone(), received_at: 1, item }
}

fn alert(log: &MemberId, index: u64) -> Fact {
    sealed(log, index, record(&["core", "nominal", "open", "text"], None))
}

/// The entry that announces the shared audience.
fn audience(log: &MemberId, index: u64) -> Fact {
    let body = Body::Audience(AudienceManifest {
        audience: SHARED,
        community: "labs".into(),
        to: BTreeSet::from([id("SG")]),
        commitment: Digest([2; 32]),
        until: 9,
    });
    let statement = said(log, index, body).bytes().to_vec();
    let item = Item { index, statement, proof: vec![], sealed: BTreeMap::new() };
    Fact::Entry { log: log.clone(), received_at: 1, item }
}

fn erasure(log: &MemberId, index: u64, classes: &[&str]) -> Fact {
    Fact::Erasure(Erasure {
        record: record_id(log, index),
        originator: log.clone(),
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        rule: "originator-order".into(),
        at: 77,
    })
}

fn classes(world: &World, log: &MemberId, index: u64) -> Vec<String> {
    let entry = world.reader().entry(log, index).unwrap().unwrap();
    entry.item.sealed.into_keys().collect()
}

fn purge(world: &mut World) -> bool {
    let Some(purge) = world.writer().purge(|_, _| false).unwrap() else { return false };
    let facts = purge.run(99).unwrap();
    world.commit(&facts);
    world.writer().settle().unwrap();
    true
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// The files below `data` in which the bytes stand.
fn holding(data: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files_below(data, &mut files);
    files.retain(|path| fs::read(path).unwrap().windows(bytes.len()).any(|w| w == bytes));
    files
}

#[test]
fn an_erased_part_is_unreadable_at_once_and_gone_from_every_file_after_the_purge() {
    let (own, sg) = (id("ID"), id("SG"));
    let mut world = World::new();
    let digest = |fact: &Fact| match fact {
        Fact::Entry { item, .. } => Digest::of(&item.statement),
        _ => unreachable!(),
    };
    let theirs = alert(&sg, 0);
    let leaves = Fact::Leaves { log: sg.clone(), from: 0, digests: vec![digest(&theirs)] };
    let secret =
        |audience, byte| Fact::Secret { audience, originator: own.clone(), sealed: vec![byte; 64] };
    let entries = [alert(&own, 0), audience(&own, 1), checkpoint(&own, 2)];
    world.commit(&[&[secret(ALONE, 0xa7), secret(SHARED, 0xb7)][..], &entries].concat());
    world.commit(&[secret(ALONE, 0xa8), leaves, theirs, checkpoint(&sg, 1)]);
    world.writer().settle().unwrap();
    assert!(holding(world.data(), &CANARY).len() > 2, "journal and log files");

    world.commit(&[
        erasure(&own, 0, &["nominal", "text"]),
        erasure(&sg, 0, &["nominal", "open", "text"]),
    ]);
    for log in [&own, &sg] {
        assert_eq!(classes(&world, log, 0), ["core", "open"], "{log}");
        let erased = world.reader().erased(log, 0).unwrap();
        assert_eq!(erased.keys().collect::<Vec<_>>(), ["nominal", "text"]);
        assert_eq!(erased["text"], Erased { at: 77, rule: "originator-order".into() });
        let left = world.reader().terms_of(log, 0).unwrap().classes;
        assert_eq!(left, BTreeSet::from(["core".to_owned()]));
        let blocked = world.reader().blocked_entry(log, 0).unwrap().unwrap();
        assert_eq!(blocked.item.sealed.len(), 4, "still in the journal");
    }
    assert!(world.writer().purge(|_, _| true).unwrap().is_none(), "what is held stays");
    assert!(purge(&mut world));
    assert_eq!(holding(world.data(), &CANARY), [] as [PathBuf; 0]);
    assert_eq!(holding(world.data(), &[0xa7; 64]), [] as [PathBuf; 0], "its secret is gone");
    assert_eq!(holding(world.data(), &[0xa8; 64]), [] as [PathBuf; 0], "each time it was kept");
    assert!(!holding(world.data(), &[0xb7; 64]).is_empty(), "others are sealed with this one");
    assert!(world.reader().is_destroyed(&ALONE) && !world.reader().is_destroyed(&SHARED));
    assert!(world.reader().secret(&ALONE).is_none() && world.reader().secret(&SHARED).is_some());
    assert!(!purge(&mut world), "nothing is left to do");
    assert_eq!(world.reader().unattested(9), [(sg.clone(), 0)], "the originator is to be told");

    let answers = |world: &World| {
        let parts = [&own, &sg].map(|log| (classes(world, log, 0), world.reader().erased(log, 0)));
        format!("{parts:?} {:?} {:?}", world.reader().terms(None, 9), world.answers())
    };
    let before = answers(&world);
    for remove in ["index", "logs"] {
        world.reopen(|data| fs::remove_dir_all(data.join(remove)).unwrap());
        world.writer().settle().unwrap();
        assert_eq!(answers(&world), before, "without {remove}");
        assert_eq!(holding(world.data(), &CANARY), [] as [PathBuf; 0], "without {remove}");
    }
    let order =
        Relation { verb: RelationVerb::Erases, record: record_id(&sg, 0), issuer: sg.clone() };
    world.commit(&[sealed(&own, 2, record(&["open"], Some(order)))]);
    assert_eq!(world.reader().unattested(9), []);
    assert_eq!(world.reader().erasures_of(&record_id(&sg, 0), &sg), [(own.clone(), 2)]);
    assert!(!world.reader().is_ordered(&record_id(&sg, 0), &sg), "an attestation is no order");
    assert!(world.reader().terms_of(&own, 2).is_none(), "an erasure is not forgotten itself");
}

#[test]
fn a_part_that_comes_after_its_erasure_is_never_readable_and_purged_too() {
    let sg = id("SG");
    let mut world = World::new();
    world.commit(&[erasure(&sg, 0, &["nominal", "text", "core"])]);
    world.commit(&[alert(&sg, 0)]);
    assert_eq!(classes(&world, &sg, 0), ["open"]);
    let again = BTreeMap::from([("nominal".to_owned(), CANARY.to_vec())]);
    world.commit(&[Fact::Parts { log: sg.clone(), index: 0, sealed: again }]);
    assert_eq!(classes(&world, &sg, 0), ["open"]);
    assert!(world.reader().terms(None, 9).is_empty());
    assert!(purge(&mut world));
    assert_eq!(holding(world.data(), &CANARY), [] as [PathBuf; 0]);
}

#[test]
fn terms_are_read_page_by_page() {
    let (own, sg) = (id("ID"), id("SG"));
    let mut world = World::new();
    world.commit(&[alert(&own, 0), alert(&own, 1), alert(&sg, 0)]);
    let all = world.reader().terms(None, 9);
    assert_eq!(all.len(), 3);
    let terms = &all[1];
    assert_eq!((terms.log.clone(), terms.index, terms.issued_at), (own.clone(), 1, 1_700_000_000));
    assert_eq!(terms.retain_until.unwrap().to_string(), "2027-01-31");
    assert_eq!(terms.review_date.unwrap().to_string(), "2026-12-31");
    assert_eq!(terms.community, "labs");
    assert_eq!(world.reader().terms(Some((&own, 0)), 1), all[1..2]);
    assert_eq!(world.reader().terms(Some((&own, 1)), 9), all[2..]);
}

#[test]
fn a_legal_hold_takes_two_steps_to_be_placed_and_two_to_be_lifted() {
    let own = id("ID");
    let mut world = World::new();
    let step = |step| Hold {
        record: record_id(&own, 0),
        originator: own.clone(),
        step,
        by: "a".into(),
        at: 1,
        until: "2027-01-31".into(),
        reason: "court".into(),
    };
    let mut held = Vec::new();
    for each in [HoldStep::Asked, HoldStep::Placed, HoldStep::LiftAsked, HoldStep::Lifted] {
        world.commit(&[Fact::Hold(step(each))]);
        let hold = world.reader().hold(&record_id(&own, 0), &own).unwrap();
        assert_eq!(hold, step(each));
        held.push(hold.step.holds());
        assert_eq!(world.reader().holds(), [hold]);
    }
    assert_eq!(held, [false, true, true, false]);
}
