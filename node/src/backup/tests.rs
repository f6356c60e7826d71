//! Backups as stories.

use super::*;
use crate::keys::{Keys, Passphrase, Windows};
use crate::store::testing::{World, id};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;
const WINDOWS: Windows = Windows { epoch: 31 * 24 * 3600, grace: 0 };

#[test]
fn a_backup_is_restored_with_every_fact_and_a_marker() {
    let mut world = World::new();
    world.publish(5);
    world.writer().settle().unwrap();
    fs::create_dir(world.data().join("evidence")).unwrap();
    fs::write(world.data().join("evidence/SG.json"), "evidence").unwrap();
    let keys = world.root().join("keys");
    Keys::create(&keys, 1, WINDOWS, Some(&Passphrase::of("twelve letters"))).unwrap();
    let sign = fs::read(keys.join("sign.key")).unwrap();
    let (out, data, restored_keys) =
        (world.root().join("out"), world.root().join("data2"), world.root().join("keys2"));
    let report = backup(world.data(), &id("ID"), Some(&keys), &out, NOW).unwrap();
    assert_eq!((report.tree_size, report.keys), (5, true));
    assert_eq!(restore(&out, &data, Some(&restored_keys)).unwrap(), report);
    assert_eq!(fs::read(restored_keys.join("sign.key")).unwrap(), sign);
    assert!(sign.starts_with(b"sealed "));
    assert!(is_restored(&data) && !is_restored(world.data()));
    let evidence = |data: &Path| fs::read(data.join("evidence/SG.json")).unwrap();
    assert_eq!(evidence(&data), b"evidence");
    let expected = world.answers();
    let copy = World::open(&data);
    assert_eq!(copy.answers(), expected);
    clear_restored(&data).unwrap();
    assert!(!is_restored(&data));
}

#[test]
fn keys_are_only_taken_and_given_when_asked_for() {
    let mut world = World::new();
    world.publish(1);
    let keys = world.root().join("keys");
    let mut made = Keys::create(&keys, 1, WINDOWS, None).unwrap();
    let out = world.root().join("out");
    let plain = backup(world.data(), &id("ID"), Some(&keys), &out, NOW).unwrap_err();
    assert!(matches!(plain, BackupError::PlainKeys(_)), "no key in clear: {plain}");
    assert!(!out.exists());
    made.set_passphrase(&Passphrase::of("twelve letters")).unwrap();
    assert!(!backup(world.data(), &id("ID"), None, &out, NOW).unwrap().keys);
    assert!(!out.join("keys").exists());
    let (data, target) = (world.root().join("data2"), world.root().join("keys2"));
    assert!(matches!(restore(&out, &data, Some(&target)), Err(BackupError::NoKeys)));
    assert!(!data.exists(), "nothing was written");
}

#[test]
fn a_tampered_backup_is_refused_before_anything_is_written() {
    let mut world = World::new();
    world.publish(3);
    let out = world.root().join("out");
    backup(world.data(), &id("ID"), None, &out, NOW).unwrap();
    let segment = regular_files(&out.join("data/journal")).unwrap().remove(0);
    let good = fs::read(&segment).unwrap();
    let target = world.root().join("data2");
    let refused = || match restore(&out, &target, None) {
        Err(BackupError::Changed { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&segment, &bad).unwrap();
    assert_eq!(refused(), "its digest is not that of the manifest");
    fs::write(&segment, &good[..good.len() - 1]).unwrap();
    assert_eq!(refused(), "its digest is not that of the manifest");
    fs::remove_file(&segment).unwrap();
    assert_eq!(refused(), "it is missing");
    fs::write(&segment, &good).unwrap();
    let manifest = out.join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("data/format", "data/../../x")).unwrap();
    assert_eq!(refused(), "not a name of a backup");
    fs::write(&manifest, text.replace("sealwire-backup 1", "sealwire-backup 2")).unwrap();
    assert!(matches!(restore(&out, &target, None), Err(BackupError::Manifest { .. })));
    assert!(!target.exists());
    fs::write(&manifest, text).unwrap();
    restore(&out, &target, None).unwrap();
}

#[test]
fn neither_way_overwrites_anything() {
    let mut world = World::new();
    world.publish(1);
    let out = world.root().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "x").unwrap();
    let not_empty = |e| matches!(e, BackupError::Format(FormatError::NotEmpty(_)));
    assert!(not_empty(backup(world.data(), &id("ID"), None, &out, NOW).unwrap_err()));
    fs::remove_file(out.join("mine")).unwrap();
    backup(world.data(), &id("ID"), None, &out, NOW).unwrap();
    assert!(not_empty(restore(&out, world.data(), None).unwrap_err()));
}

#[test]
fn a_backup_taken_while_the_node_commits_loses_nothing_acknowledged_before() {
    let mut world = World::new();
    world.publish(20);
    for round in 0..4 {
        let before = world.reader().size(&id("ID"));
        let out = world.root().join(format!("out{round}"));
        let data = world.data().to_owned();
        let report = std::thread::scope(|scope| {
            let taking = scope.spawn(|| backup(&data, &id("ID"), None, &out, NOW));
            while !taking.is_finished() {
                world.publish(1);
            }
            taking.join().unwrap().unwrap()
        });
        assert!(report.tree_size >= before, "{} < {before}", report.tree_size);
        let target = world.root().join(format!("data{round}"));
        restore(&out, &target, None).unwrap();
        let copy = World::open(&target);
        assert_eq!(copy.reader().size(&id("ID")), report.tree_size);
        for index in 0..before {
            let (ours, theirs) = (world.reader(), copy.reader());
            assert_eq!(
                ours.entry(&id("ID"), index).unwrap(),
                theirs.entry(&id("ID"), index).unwrap()
            );
        }
    }
}
