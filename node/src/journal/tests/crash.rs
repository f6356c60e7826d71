//! The crash table: every write step fails, persisted or not, killed or with the power lost.

use std::fs;

use proptest::prelude::*;

use super::super::faulty::{Fails, Faulty};
use super::super::segment::Identity;
use super::super::*;
use super::{SMALL, batch, files, frame, frames, open, put, reopened};

/// Runs appends with the nth operation failing; then what a kill leaves, and what a power loss
/// leaves, is opened for real. False when there were fewer than n operations.
fn crash(nth: u64, how: Fails, dead: bool, power_loss: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::over(dir.path());
    disk.fail(nth, how, dead);
    let mut acknowledged: Vec<Frame> = Vec::new();
    let mut unknown: Vec<Frame> = Vec::new();
    let case = format!("operation {nth} {how:?}, dead {dead}, power loss {power_loss}");
    if let Ok((mut journal, _)) = Journal::open_on(Arc::new(disk.clone()), dir.path(), SMALL) {
        for seed in 0..9 {
            let batch = batch(seed, 1 + seed % 4);
            match journal.append(&batch) {
                Ok(_) => acknowledged.extend(batch),
                Err(AppendError::Unknown { .. }) => unknown = batch,
                Err(AppendError::Poisoned) => assert!(!unknown.is_empty(), "{case}"),
                Err(AppendError::Full { .. } | AppendError::Write { .. }) => {
                    assert!(!journal.poisoned, "{case}");
                }
                Err(other) => panic!("{case}: {other}"),
            }
            assert_eq!(frames(&journal.reader()), acknowledged, "{case}: readers see the durable");
        }
    }
    let reached = disk.failed();
    if power_loss {
        disk.lose_power(None);
    }
    let (found, _) = reopened(dir.path()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let with: Vec<_> = acknowledged.iter().chain(&unknown).cloned().collect();
    assert!(found == acknowledged || found == with, "{case}: acknowledged frames are there");
    let (mut journal, _) = open(dir.path()).unwrap();
    journal.append(&[frame(77, 7)]).unwrap();
    drop(journal);
    let (again, _) = reopened(dir.path()).unwrap();
    assert_eq!(again.len(), found.len() + 1, "{case}");
    reached
}

#[test]
fn every_write_step_may_fail_and_no_acknowledged_frame_is_lost() {
    let mut steps = 0;
    for how in [Fails::NotPersisted, Fails::ButPersisted, Fails::Short] {
        for dead in [false, true] {
            for power_loss in [false, true] {
                let mut nth = 1;
                while crash(nth, how, dead, power_loss) {
                    nth += 1;
                }
                steps = steps.max(nth);
            }
        }
    }
    assert!(steps > 40, "the table covers opening, commits and rolls: {steps}");
}

#[test]
fn every_step_of_recovery_may_fail_and_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), SMALL).unwrap();
    journal.append(&[frame(1, 300)]).unwrap();
    journal.append(&[frame(2, 100)]).unwrap();
    let unrolled = files(dir.path());
    let sound = frames(&journal.reader());
    drop(journal);
    // A crash in a roll: the successor was begun, the seal is missing.
    let mut rolling = unrolled.clone();
    rolling.insert(segment::path(dir.path(), 2), Identity { sequence: 2, salt: 1 }.header().into());
    let mut headless = unrolled.clone();
    headless.insert(segment::path(dir.path(), 2), vec![0; 9]);
    let mut torn = unrolled.clone();
    let end = 24 + 17 + 300 + 17;
    torn.values_mut().for_each(|bytes| bytes.truncate(end + 20));
    for (before, kept) in [(rolling, &sound[..]), (headless, &sound[..]), (torn, &sound[..1])] {
        for how in [Fails::NotPersisted, Fails::ButPersisted, Fails::Short] {
            for nth in 1..18 {
                put(dir.path(), &before);
                let disk = Faulty::over(dir.path());
                disk.fail(nth, how, true);
                let _ = Journal::open_on(Arc::new(disk), dir.path(), SMALL);
                let (found, _) = reopened(dir.path())
                    .unwrap_or_else(|error| panic!("operation {nth} {how:?}: {error}"));
                assert_eq!(found, kept, "operation {nth} {how:?}");
            }
        }
    }
}

#[test]
fn full_disk_keeps_the_writer_usable_and_failed_sync_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    for (nth, usable) in [(1, true), (2, false)] {
        let dir = dir.path().join(nth.to_string());
        fs::create_dir(&dir).unwrap();
        let disk = Faulty::over(&dir);
        let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), &dir, SMALL).unwrap();
        disk.fail(nth, Fails::Short, false);
        let error = journal.append(&[frame(1, 50)]).unwrap_err();
        assert_eq!(matches!(error, AppendError::Full { length: 67, .. }), usable);
        assert_eq!(matches!(error, AppendError::Unknown { .. }), !usable);
        let second = journal.append(&[frame(2, 50)]);
        assert_eq!(second.is_ok(), usable);
        assert_eq!(matches!(second, Err(AppendError::Poisoned)), !usable);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn power_loss_that_keeps_any_blocks_of_a_batch_never_looks_like_damage(
        kept in prop::collection::vec(any::<bool>(), 64),
        block in prop::sample::select(vec![16_usize, 64, 512]),
        sizes in prop::collection::vec(0_usize..400, 1..6),
        short in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let wide = Options { segment: 1 << 20, ahead: 512 };
        let (mut journal, _) = Journal::open_with(dir.path(), wide).unwrap();
        journal.append(&batch(3, 3)).unwrap();
        // Blocks are whole or not: begin the batch at a block, as a disk's sectors are.
        let pad = 512 - (journal.end().offset + HEAD) % 512;
        journal.append(&[frame(8, pad as usize)]).unwrap();
        let acknowledged = frames(&journal.reader());
        let path = segment::path(dir.path(), 1);
        let before = fs::read(&path).unwrap();
        let last: Vec<Frame> = sizes.iter().map(|size| frame(9, *size)).collect();
        journal.append(&last).unwrap();
        let whole = frames(&journal.reader());
        // The mark is written after the sync: a lost batch has none.
        let mut after = fs::read(&path).unwrap();
        let end = journal.end().offset as usize;
        after[end..end + HEAD as usize].fill(0);
        drop(journal);
        let mut mixed = after.clone();
        for (index, chunk) in mixed.chunks_mut(block).enumerate() {
            if !kept[index % kept.len()] {
                for (offset, byte) in chunk.iter_mut().enumerate() {
                    *byte = before.get(index * block + offset).copied().unwrap_or(0);
                }
            }
        }
        if short {
            mixed.truncate(before.len());
        }
        fs::write(&path, &mixed).unwrap();
        let (found, _) = reopened(dir.path()).unwrap();
        prop_assert!(found == acknowledged || found == whole);
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..600),
        header in any::<bool>(),
        valid in any::<bool>(),
        since in 0_u64..100,
        kind in any::<u8>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let id = Identity { sequence: 1, salt: 5 };
        let mut bytes = if header { id.header().to_vec() } else { Vec::new() };
        if valid {
            let offset = bytes.len() as u64;
            id.encode(&mut bytes, offset, since, kind, &tail);
        }
        bytes.extend_from_slice(&tail);
        fs::write(segment::path(dir.path(), 1), &bytes).unwrap();
        if let Ok((mut journal, _)) = open(dir.path()) {
            journal.append(&[frame(1, 5)]).unwrap();
            prop_assert_eq!(frames(&journal.reader()).pop(), Some(frame(1, 5)));
        }
    }
}
