//! Taking bytes out of closed segments: what stays, what goes, and what a crash leaves.

use std::collections::BTreeMap;

use super::super::faulty::{Fails, Faulty};
use super::super::*;
use super::{SMALL, all, batch, files, frame, frames, open, reopened};

const SECRET: u8 = 0x5a;

/// A journal of several segments, with two frames that are to go, and where these are.
fn written(journal: &mut Journal) -> Vec<Position> {
    let marked = |seed: usize| {
        let mut frames = batch(seed, 3);
        frames[1].payload = vec![SECRET; 60];
        frames
    };
    let mut places = Vec::new();
    for seed in 0..12 {
        let to_go = seed == 1 || seed == 5;
        let frames = if to_go { marked(seed) } else { batch(seed, 3) };
        let positions = journal.append(&frames).unwrap();
        if to_go {
            places.push(positions[1]);
        }
    }
    places
}

fn purge(journal: &mut Journal, places: &[Position]) -> Result<(), JournalFault> {
    let purger = journal.purger();
    for place in places {
        purger.replace(place.segment, &BTreeMap::from([(place.offset, vec![0; 60])]))?;
    }
    Ok(())
}

fn holds_secret(directory: &Path) -> bool {
    files(directory).values().any(|bytes| bytes.windows(60).any(|w| w == [SECRET; 60]))
}

#[test]
fn purged_bytes_are_on_the_disk_no_more_and_all_else_stays_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).unwrap();
    let places = written(&mut journal);
    let before = all(&journal.reader());
    assert!(holds_secret(dir.path()));
    purge(&mut journal, &places).unwrap();
    assert!(!holds_secret(dir.path()));
    let after = all(&journal.reader());
    assert_eq!(before.len(), after.len());
    for ((at, was), (still, is)) in before.into_iter().zip(after) {
        assert_eq!(at, still);
        assert_eq!(was.kind, is.kind);
        let gone = places.contains(&at);
        assert_eq!(is.payload, if gone { vec![0; 60] } else { was.payload });
    }
    let reader = journal.reader();
    let kept = frames(&reader);
    journal.append(&[frame(9, 9)]).unwrap();
    drop(journal);
    assert_eq!(reopened(dir.path()).unwrap().0.len(), kept.len() + 1);
}

#[test]
fn the_segment_that_is_written_is_closed_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), Options::default()).unwrap();
    let places = written(&mut journal);
    let refused = purge(&mut journal, &places).unwrap_err();
    assert!(matches!(refused, JournalFault::Beyond { .. }), "{refused}");
    journal.close(places[0].segment).unwrap();
    purge(&mut journal, &places).unwrap();
    assert!(!holds_secret(dir.path()));
    journal.append(&[frame(9, 9)]).unwrap();
}

#[test]
fn a_payload_of_another_length_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).unwrap();
    let places = written(&mut journal);
    let other = BTreeMap::from([(places[0].offset, vec![0; 59])]);
    assert!(journal.purger().replace(places[0].segment, &other).is_err());
    let nowhere = BTreeMap::from([(places[0].offset + 1, vec![0; 60])]);
    assert!(journal.purger().replace(places[0].segment, &nowhere).is_err());
}

#[test]
fn every_step_of_a_purge_may_fail_and_nothing_but_what_is_to_go_is_lost() {
    let mut steps = 0;
    for how in [Fails::NotPersisted, Fails::ButPersisted, Fails::Short] {
        for power_loss in [false, true] {
            for nth in 1.. {
                let dir = tempfile::tempdir().unwrap();
                let disk = Faulty::over(dir.path());
                let on = Arc::new(disk.clone());
                let (mut journal, _) = Journal::open_on(on, dir.path(), SMALL).unwrap();
                let places = written(&mut journal);
                let before = all(&journal.reader());
                disk.fail(nth, how, true);
                let done = purge(&mut journal, &places).is_ok();
                let reached = disk.failed();
                drop(journal);
                if power_loss {
                    disk.lose_power(None);
                }
                let case = format!("operation {nth} {how:?}, power loss {power_loss}");
                let (journal, _) = open(dir.path()).unwrap_or_else(|e| panic!("{case}: {e}"));
                let after = all(&journal.reader());
                assert_eq!(before.len(), after.len(), "{case}");
                for ((at, was), (still, is)) in before.iter().zip(&after) {
                    let gone = places.contains(at) && is.payload == vec![0; 60];
                    assert!(at == still && (gone || is == was), "{case}: {at}");
                }
                assert!(!done || !holds_secret(dir.path()), "{case}: it said that they are gone");
                drop(journal);
                let (mut journal, _) = open(dir.path()).unwrap();
                purge(&mut journal, &places).unwrap();
                assert!(!holds_secret(dir.path()), "{case}: tried again");
                assert!(!files(dir.path()).keys().any(|p| p.extension().unwrap() == "new"));
                steps = steps.max(nth);
                if !reached {
                    break;
                }
            }
        }
    }
    assert!(steps > 10, "the table covers copying, syncing and renaming: {steps}");
}
