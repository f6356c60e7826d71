//! The store as stories.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sealwire_wire::cbor::Value;
use sealwire_wire::id::Digest;
use sealwire_wire::message::Item;

use super::testing::{World, checkpoint, cosignature, entry, id, leaf, note, record_id, signed};
use super::*;

mod faults;
mod forgotten;
mod power;
mod verified;

/// A world in which every kind of fact has been committed.
fn full_world() -> World {
    let (own, sg, au) = (id("ID"), id("SG"), id("AU"));
    let mut world = World::new();
    world.publish(300);
    let control = Item {
        index: 0,
        statement: signed(&sg, 0, true).bytes().to_vec(),
        proof: vec![],
        sealed: BTreeMap::new(),
    };
    let digests = vec![signed(&sg, 0, true).digest(), leaf(&sg, 1), leaf(&sg, 2), leaf(&sg, 3)];
    world.commit(&[
        entry(&sg, 2),
        Fact::Leaves { log: sg.clone(), from: 0, digests },
        checkpoint(&sg, 4),
        Fact::Entry { log: sg.clone(), received_at: 5, item: control },
        Fact::Denial { log: sg.clone(), bytes: vec![1], ranges: vec![(1, 2)] },
    ]);
    let late = BTreeMap::from([("operational".to_owned(), vec![8; 80])]);
    world.commit(&[
        Fact::Parts { log: sg.clone(), index: 2, sealed: late },
        cosignature(&own, &sg, 299, 40),
        cosignature(&own, &sg, 300, 50),
        cosignature(&own, &au, 300, 51),
        cosignature(&sg, &own, 4, 52),
        Fact::Register { bytes: br#"{"signed":{"version":3}}"#.to_vec() },
        Fact::Secret { audience: [1; 16], originator: sg.clone(), sealed: vec![9; 60] },
        Fact::Decision(Decision::Quarantined {
            log: sg.clone(),
            index: 2,
            code: "bad-hs".into(),
            text: "why".into(),
        }),
        Fact::Decision(Decision::Idempotent {
            principal: "lab".into(),
            key: "1".into(),
            request: Digest([6; 32]),
            index: 7,
        }),
        Fact::Decision(Decision::RefusedBy {
            member: sg,
            index: 5,
            code: "c".into(),
            text: "t".into(),
        }),
    ]);
    world
}

/// Every file under a directory, with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn everything_is_visible_after_its_commit() {
    let (own, sg, au) = (id("ID"), id("SG"), id("AU"));
    let world = full_world();
    let r = world.reader();
    let stored = r.entry(&own, 7).unwrap().unwrap();
    assert_eq!((stored.cursor, stored.received_at, stored.quarantined), (8, 1007, None));
    assert_eq!(stored.item.statement, signed(&own, 7, false).bytes());
    assert_eq!(r.locate(&record_id(&own, 7)), Some((own.clone(), 7)));
    assert_eq!(
        r.known_content(&signed(&sg, 2, false).content_digest()),
        Some((sg.clone(), 2)),
        "the digest of the Sig_structure is that of the wire crate"
    );
    let late = r.entry(&sg, 2).unwrap().unwrap();
    assert_eq!(late.item.sealed.keys().collect::<Vec<_>>(), ["core", "operational"]);
    assert_eq!(late.quarantined, Some(("bad-hs".to_owned(), "why".to_owned())));
    assert_eq!(r.last_cursor(), 301);
    assert_eq!(r.entry_count(), 302);
    assert_eq!(r.feed(299, 10), [(300, own.clone(), 299), (301, sg.clone(), 2)]);
    assert_eq!(r.feed(0, 2), [(1, own.clone(), 0), (2, own.clone(), 1)]);
    assert!(r.feed(u64::MAX, 2).is_empty());
    assert_eq!(r.control_entries("audience"), [(sg.clone(), 0)]);
    assert!(r.control_entries("key").is_empty());
    assert_eq!(r.logs(), [own.clone(), sg.clone()]);
    assert_eq!(r.missing(&sg, 10), [3]);
    assert_eq!(r.checkpoint(&own), Some((300, note(&own, 300))));
    assert_eq!(r.checkpoint_at(&own, 299), Some(note(&own, 299)));
    let sizes: Vec<_> = r.cosignatures(&own).iter().map(|c| (c.by.clone(), c.size)).collect();
    assert_eq!(sizes, [(au.clone(), 300), (sg.clone(), 300)]);
    assert_eq!(r.cosignatures_at(&own, 299).len(), 1);
    assert_eq!(r.cosigned_at(&own, &sg, 298), Some((299, 40)));
    assert_eq!(r.cosigned_at(&own, &sg, 299), Some((300, 50)));
    assert_eq!(r.cosigned_at(&own, &sg, 300), None);
    assert_eq!(r.cosigned_at(&own, &au, 0), Some((300, 51)));
    assert_eq!(r.secret(&[1; 16]), Some((sg.clone(), vec![9; 60])));
    assert_eq!(r.secret(&[2; 16]), None);
    assert_eq!(r.idempotent("lab", "1"), Some((Digest([6; 32]), 7)));
    assert_eq!(r.idempotent("la", "b1"), None);
    assert_eq!(r.refused_by(5), [(sg.clone(), "c".to_owned(), "t".to_owned())]);
    assert_eq!(r.register_versions(), [br#"{"signed":{"version":3}}"#.to_vec()]);
    assert_eq!(r.entry(&sg, 3).unwrap(), None);
}

#[test]
fn reopening_and_rebuilding_give_the_same_answers() {
    let mut world = full_world();
    let expected = world.answers();
    world.reopen(|_| {});
    assert_eq!(world.answers(), expected, "reopened");
    world.reopen(|data| fs::remove_dir_all(data.join("index")).unwrap());
    assert_eq!(world.answers(), expected, "index deleted");
    world.reopen(|data| {
        fs::remove_dir_all(data.join("index")).unwrap();
        fs::write(data.join("index"), "a file").unwrap();
        fs::remove_file(data.join("index")).unwrap();
    });
    world.publish(1);
    assert_eq!(world.reader().size(&id("ID")), 301, "and it goes on");
}

#[test]
fn a_corrupted_index_is_rebuilt() {
    let mut world = full_world();
    let expected = world.answers();
    for round in 0u64..8 {
        world.reopen(|data| {
            for (name, mut bytes) in files(&data.join("index")) {
                let mut noise = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let step = 1 + bytes.len() / 40;
                for at in (usize::try_from(round).unwrap()..bytes.len()).step_by(step) {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    bytes[at] = (noise >> 33) as u8;
                }
                fs::write(data.join("index").join(name), bytes).unwrap();
            }
        });
        assert_eq!(world.answers(), expected, "round {round}");
        world.commit(&[cosignature(&id("SG"), &id("ID"), 4, 52)]);
    }
    world.reopen(|data| {
        for name in files(&data.join("index")).keys() {
            fs::write(data.join("index").join(name), "").unwrap();
        }
    });
    assert_eq!(world.answers(), expected, "emptied");
}

#[test]
fn an_index_found_damaged_in_use_stops_commits_and_is_rebuilt() {
    let mut world = full_world();
    let expected = world.answers();
    let key = rows::at_key(row::LEAF, &id("ID"), 3);
    let short = Some(b"short".as_slice().into());
    world.reader().inner.table.put(table::Rows::from([(key.into(), short)]));
    assert_eq!(world.reader().leaf(&id("ID"), 3), None);
    assert!(world.reader().fault().is_some());
    let refused = world.writer().commit(&[entry(&id("ID"), 300)]).unwrap_err();
    assert!(matches!(refused, CommitError::Stopped(_)), "{refused}");
    world.reopen(|_| {});
    assert_eq!(world.answers(), expected);
}

#[test]
fn an_index_of_another_journal_or_member_is_rebuilt() {
    let (mut one, mut other) = (World::new(), World::new());
    one.publish(3);
    other.commit(&[entry(&id("SG"), 0), entry(&id("SG"), 1)]);
    other.publish(2);
    let expected = other.answers();
    let mut foreign = BTreeMap::new();
    one.reopen(|data| foreign = files(&data.join("index")));
    other.reopen(|data| {
        fs::remove_dir_all(data.join("index")).unwrap();
        for (name, bytes) in &foreign {
            let path = data.join("index").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    });
    assert_eq!(other.answers(), expected);
}

#[test]
fn log_files_hold_what_was_committed_and_are_rebuilt_byte_for_byte() {
    let mut world = full_world();
    world.writer().settle().unwrap();
    let data = world.data().to_owned();
    // Which partial tiles of the size before are left depends on how commits fell into passes.
    world.reopen(|_| {});
    world.writer().settle().unwrap();
    let (logs, register) = (files(&data.join("logs")), files(&data.join("register")));
    assert_eq!(register["3.root.json"], br#"{"signed":{"version":3}}"#);
    let names: Vec<&str> =
        logs.keys().map(String::as_str).filter(|name| name.starts_with("ID/")).collect();
    assert_eq!(
        names,
        [
            "ID/checkpoint",
            "ID/outcomes",
            "ID/statement/000",
            "ID/statement/001",
            "ID/tile/0/000",
            "ID/tile/0/001.p/44",
            "ID/tile/1/000.p/1",
            "ID/tile/entries/000",
            "ID/tile/entries/001.p/44",
        ]
    );
    let checkpoint = String::from_utf8(logs["ID/checkpoint"].clone()).unwrap();
    assert!(checkpoint.starts_with(&note(&id("ID"), 300)));
    assert!(checkpoint.ends_with("\u{2014} AU/cosign 300+51\n\u{2014} SG/cosign 300+50\n"));
    let root = Digest(logs["ID/tile/1/000.p/1"].as_slice().try_into().unwrap());
    assert_eq!(root, world.reader().root(&id("ID"), 256).unwrap());
    let line = first_line(&logs["ID/statement/001"]);
    assert_eq!(line[0], Value::from(256));
    let opened = line[3].as_map().unwrap();
    assert_eq!(opened, &[(Value::from("core"), Value::from(b"opened 256".as_slice()))]);

    world.reopen(|data| fs::remove_dir_all(data.join("logs")).unwrap());
    world.writer().settle().unwrap();
    assert_eq!(files(&data.join("logs")), logs);
    world.reopen(|data| {
        fs::write(data.join("logs/ID/tile/0/000"), "cut").unwrap();
        fs::write(data.join("logs/ID/statement/000"), "").unwrap();
        fs::write(data.join("logs/ID/statement/001"), "cut").unwrap();
        fs::remove_dir_all(data.join("logs/SG/tile")).unwrap();
        fs::remove_dir_all(data.join("register")).unwrap();
    });
    world.writer().settle().unwrap();
    assert_eq!(files(&data.join("logs")), logs);
    assert_eq!(files(&data.join("register")), register);
}

fn first_line(bytes: &[u8]) -> Vec<Value> {
    let end = (1..=bytes.len())
        .find(|end| sealwire_wire::cbor::decode("line", &bytes[..*end], 1 << 20).is_ok());
    let line = &bytes[..end.unwrap()];
    sealwire_wire::cbor::decode("line", line, 1 << 20).unwrap().into_array().unwrap()
}

#[test]
fn log_files_grow_with_the_log_as_they_would_be_built_at_once() {
    let mut world = World::new();
    let data = world.data().to_owned();
    for step in [1, 1, 254, 1, 255, 3] {
        world.publish(step);
        world.writer().settle().unwrap();
    }
    let sg = id("SG");
    // Out of order, and late parts: files are written anew where appending is not enough.
    world.commit(&[entry(&sg, 1)]);
    let digests = (0..3).map(|index| leaf(&sg, index)).collect();
    world.commit(&[Fact::Leaves { log: sg.clone(), from: 0, digests }, checkpoint(&sg, 3)]);
    world.writer().settle().unwrap();
    world.commit(&[entry(&sg, 2)]);
    world.writer().settle().unwrap();
    world.commit(&[entry(&sg, 0), entry(&sg, 9)]);
    world.writer().settle().unwrap();
    let sealed = BTreeMap::from([("nominal".to_owned(), vec![1; 90])]);
    world.commit(&[Fact::Parts { log: sg, index: 1, sealed }]);
    world.writer().settle().unwrap();
    let mut grown = files(&data.join("logs"));
    world.reopen(|data| fs::remove_dir_all(data.join("logs")).unwrap());
    world.writer().settle().unwrap();
    let built = files(&data.join("logs"));
    // The partial tiles of the size before stay for readers that are between two files.
    grown.retain(|name, _| !name.contains(".p/") || built.contains_key(name));
    assert_eq!(grown, built);
    assert!(built["SG/statement/000"].len() < 5000, "index 9 is beyond the checkpoint");
}

#[test]
fn a_frame_cut_in_half_loses_only_what_was_never_acknowledged() {
    let mut world = World::new();
    world.publish(3);
    let expected = world.answers();
    world.reopen_after(
        |journal| {
            journal.append(&[entry(&id("ID"), 3).to_frame()]).unwrap();
        },
        |data, end| {
            let segment = data.join("journal/00000000000000000001.seg");
            let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
            file.set_len(end - 300).unwrap();
        },
    );
    assert_eq!(world.answers(), expected);
    world.publish(2);
    assert_eq!(world.reader().size(&id("ID")), 5);
}

#[test]
fn what_a_crash_left_between_journal_and_index_is_applied_at_the_next_start() {
    let mut whole = World::new();
    whole.publish(40);
    let mut world = World::new();
    world.publish(10);
    world.reopen_after(
        |journal| {
            for index in 10..40 {
                let facts = [entry(&id("ID"), index), checkpoint(&id("ID"), index + 1)];
                let frames: Vec<_> = facts.iter().map(Fact::to_frame).collect();
                journal.append(&frames).unwrap();
            }
        },
        |_, _| {},
    );
    assert_eq!(world.answers(), whole.answers());
    world.writer().settle().unwrap();
    assert!(world.data().join("logs/ID/tile/0/000.p/40").exists());
}

#[test]
fn entries_may_come_before_their_leaves_and_in_any_order() {
    let sg = id("SG");
    let mut world = World::new();
    world.commit(&[entry(&sg, 5), entry(&sg, 2)]);
    assert_eq!(world.reader().size(&sg), 0);
    assert!(world.reader().missing(&sg, 10).is_empty());
    let leaves = |from: u64, to: u64| Fact::Leaves {
        log: sg.clone(),
        from,
        digests: (from..to).map(|index| leaf(&sg, index)).collect(),
    };
    world.commit(&[leaves(0, 4)]);
    assert_eq!(world.reader().missing(&sg, 10), [0, 1, 3]);
    world.commit(&[leaves(2, 7)]);
    assert_eq!(world.reader().missing(&sg, 10), [0, 1, 3, 4, 6]);
    assert_eq!(world.reader().missing(&sg, 2), [0, 1]);
    world.commit(&[entry(&sg, 4), entry(&sg, 4), entry(&sg, 0)]);
    assert_eq!(world.reader().missing(&sg, 10), [1, 3, 6]);
    assert_eq!(world.reader().entry_count(), 4, "the same entry again changes nothing");
    let cursors: Vec<u64> = world.reader().feed(0, 10).iter().map(|(_, _, at)| *at).collect();
    assert_eq!(cursors, [5, 2, 4, 0], "in the order of arrival");
    let refused = world.writer().commit(&[leaves(8, 9)]).unwrap_err();
    assert!(matches!(refused, CommitError::OutOfOrder { index: 8, size: 7, .. }));
    assert_eq!(world.reader().leaves(&sg, 5, 9), [leaf(&sg, 5), leaf(&sg, 6)]);
}

#[test]
fn a_denial_covers_what_is_missing_now_and_what_comes_under_it_later() {
    let sg = id("SG");
    let mut world = World::new();
    let leaves = |from: u64, to: u64| Fact::Leaves {
        log: sg.clone(),
        from,
        digests: (from..to).map(|index| leaf(&sg, index)).collect(),
    };
    let denial = |ranges: &[(u64, u64)]| Fact::Denial {
        log: sg.clone(),
        bytes: vec![1],
        ranges: ranges.to_vec(),
    };
    world.commit(&[leaves(0, 10), denial(&[(1, 3), (8, 14), (13, 15)])]);
    assert_eq!(world.reader().missing(&sg, 20), [0, 3, 4, 5, 6, 7]);
    world.commit(&[denial(&[(12, 16), (u64::MAX - 1, u64::MAX)])]);
    world.commit(&[leaves(10, 20)]);
    assert_eq!(world.reader().missing(&sg, 20), [0, 3, 4, 5, 6, 7, 16, 17, 18, 19]);
    world.commit(&[denial(&[(0, u64::MAX)])]);
    world.commit(&[leaves(20, 30)]);
    assert!(world.reader().missing(&sg, 20).is_empty());
    world.commit(&[entry(&sg, 25)]);
    assert!(world.reader().entry(&sg, 25).unwrap().is_some(), "an entry beats a denial");
    let expected = world.answers();
    world.reopen(|data| fs::remove_dir_all(data.join("index")).unwrap());
    assert_eq!(world.answers(), expected);
}

#[test]
fn a_quarantined_entry_does_not_keep_a_record_id() {
    let (sg, au) = (id("SG"), id("AU"));
    let mut world = World::new();
    // AU takes the id of a record of SG.
    let Fact::Entry { item, .. } = entry(&sg, 0) else { unreachable!() };
    world.commit(&[
        Fact::Entry { log: au.clone(), received_at: 1, item },
        Fact::Decision(Decision::Quarantined {
            log: au.clone(),
            index: 0,
            code: "wrong-issuer".into(),
            text: "t".into(),
        }),
    ]);
    assert_eq!(world.reader().locate(&record_id(&sg, 0)), Some((au.clone(), 0)));
    world.commit(&[entry(&sg, 0)]);
    assert_eq!(world.reader().locate(&record_id(&sg, 0)), Some((sg.clone(), 0)));
    let Fact::Entry { item, .. } = entry(&sg, 0) else { unreachable!() };
    let again = Item { index: 1, ..item };
    world.commit(&[Fact::Entry { log: au, received_at: 1, item: again }]);
    assert_eq!(world.reader().locate(&record_id(&sg, 0)), Some((sg, 0)), "the first one keeps it");
}

#[test]
fn bytes_that_are_no_statement_are_kept_and_found_by_index() {
    let sg = id("SG");
    let mut world = World::new();
    let item = Item { index: 0, statement: vec![1, 2, 3], proof: vec![], sealed: BTreeMap::new() };
    world.commit(&[Fact::Entry { log: sg.clone(), received_at: 1, item: item.clone() }]);
    let stored = world.reader().entry(&sg, 0).unwrap().unwrap();
    assert_eq!((stored.item, stored.cursor), (item, 0));
    assert!(world.reader().feed(0, 9).is_empty());
}

#[test]
fn the_own_log_refuses_gaps_repeats_and_leaves_from_elsewhere() {
    let own = id("ID");
    let mut world = World::new();
    world.publish(2);
    for facts in [
        vec![entry(&own, 3)],
        vec![entry(&own, 1)],
        vec![entry(&own, 2), entry(&own, 2)],
        vec![Fact::Leaves { log: own.clone(), from: 2, digests: vec![Digest([1; 32])] }],
    ] {
        let refused = world.writer().commit(&facts).unwrap_err();
        assert!(matches!(refused, CommitError::OutOfOrder { .. }), "{refused}");
    }
    let bad = Fact::Checkpoint { log: own.clone(), note: "no size".into() };
    assert!(matches!(world.writer().commit(&[bad]), Err(CommitError::Note(_))));
    let expected = world.answers();
    world.reopen(|data| fs::remove_dir_all(data.join("index")).unwrap());
    assert_eq!(world.answers(), expected, "nothing of it reached the journal");
    world.commit(&[entry(&own, 2), entry(&own, 3), checkpoint(&own, 4)]);
}

#[test]
fn one_process_at_a_time_and_only_a_directory_that_was_made() {
    let mut world = World::new();
    let again = open(world.data(), &id("ID"), testing::discloser());
    assert!(matches!(again, Err(StoreFault::InUse(_))));
    let nowhere = world.root().join("nowhere");
    let refused = open(&nowhere, &id("ID"), testing::discloser()).err().unwrap();
    assert!(matches!(refused, StoreFault::Format(_)), "{refused}");
    assert!(!nowhere.exists());
    let data = world.data().to_owned();
    world.close();
    fs::remove_dir_all(data.join("journal")).unwrap();
    let refused = open(&data, &id("ID"), testing::discloser()).err().unwrap();
    assert!(matches!(refused, StoreFault::NoJournal(_)), "{refused}");
    assert!(matches!(create(&data), Err(StoreFault::Format(_))));
    fs::write(data.join("format"), "sealwire-data 2\n").unwrap();
    let refused = open(&data, &id("ID"), testing::discloser()).err().unwrap();
    assert!(refused.to_string().contains("newer version"), "{refused}");
}
