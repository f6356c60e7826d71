//! Power loss over journal and derived files, and what each safeguard of the store is for: with
//! any one left out, the same tests find the loss.

use std::fs;

use super::super::evidence;
use super::super::testing::{entry, id};
use super::super::{CommitError, Fact, StoreFault};
use super::verified::{BEFORE, Case, built_anew, grow, root};
use crate::journal::JournalFault;
use crate::journal::faulty::{Chance, Fails, Op, Step};

/// Rounds of the test, and most that a negative control takes to find the loss.
const ROUNDS: u64 = 50;
const ENOUGH: u64 = 100;
/// Processes of one round.
const LIVES: usize = 3;

/// Several processes after one another, each ended at an instant of its own, with the power or
/// without; then every acknowledged entry is there, the root is the right one, and the files are
/// those that the journal alone makes.
fn round(case: &Case, seed: u64) -> Result<(), String> {
    let (mut chance, own) = (Chance::new(seed), id("ID"));
    let mut acknowledged = BEFORE;
    for _ in 0..LIVES {
        let how = [Fails::NotPersisted, Fails::ButPersisted, Fails::Short];
        case.disk.fail(1 + chance.below(120), how[chance.below(3) as usize], true);
        let mut under_way = acknowledged;
        if let Ok((mut writer, _)) = case.open() {
            for _ in 0..1 + chance.below(6) {
                under_way = acknowledged + 1 + chance.below(4);
                match writer.commit(&grow(acknowledged, under_way)) {
                    Ok(()) => acknowledged = under_way,
                    Err(_) => break,
                }
                // Now and then the files keep up; else one pass takes several commits.
                if chance.below(2) == 0 && writer.settle().is_err() {
                    break;
                }
            }
        }
        case.disk.revive();
        match chance.below(4) {
            0 => {}
            1 => case.disk.lose_power(None),
            _ => case.disk.lose_power(Some(&mut chance)),
        }
        if chance.below(3) == 0 {
            let _missing = fs::remove_dir_all(case.data().join("index"));
        }
        let (writer, reader) = case.open().map_err(|fault| fault.to_string())?;
        let size = reader.size(&own);
        if size != acknowledged && size != under_way {
            return Err(format!("{size} entries, {acknowledged} were acknowledged"));
        }
        acknowledged = size;
        let found = reader.root(&own, size).map_err(|fault| fault.to_string())?;
        if found != root(size) {
            return Err(format!("another root at size {size}"));
        }
        writer.settle().map_err(|fault| fault.to_string())?;
    }
    if case.derived()? != built_anew(&case.data()) {
        return Err("files that the journal alone does not make".to_owned());
    }
    let audited = case.audit(0)?;
    if audited == acknowledged { Ok(()) } else { Err(format!("audited {audited}")) }
}

#[test]
fn fifty_rounds_of_lost_power_leave_every_acknowledged_entry_and_the_same_files() {
    for seed in 0..ROUNDS {
        if let Err(loss) = round(&Case::new(), seed) {
            panic!("seed {seed}: {loss}");
        }
    }
}

#[test]
fn with_a_wait_for_a_complete_statement_file_left_out_a_loss_is_found() {
    type Chosen = fn(&Step<'_>) -> bool;
    let waits: [(&str, Chosen); 2] = [
        ("bytes", |s| {
            s.op == Op::Sync && s.path.components().any(|c| c.as_os_str() == "statement")
        }),
        ("name", |s| s.op == Op::SyncDirectory && s.path.ends_with("statement")),
    ];
    for (name, chosen) in waits {
        let found = (0..ENOUGH).find(|seed| {
            let case = Case::new();
            case.disk.leave_out(chosen);
            round(&case, *seed).is_err()
        });
        assert!(found.is_some(), "{name}: left out, and {ENOUGH} rounds found no loss");
    }
}

/// Whether evidence is there after the power was lost just behind its keeping.
fn evidence_lasts(left_out: fn(&Step<'_>) -> bool) -> bool {
    let case = Case::new();
    case.disk.leave_out(left_out);
    let log = id("SG");
    evidence::keep(&case.disk, &case.data(), &log, "forked").unwrap();
    case.disk.lose_power(None);
    let kept = case.data().join("evidence/SG.json");
    fs::read_to_string(kept).is_ok_and(|text| text == "forked")
}

#[test]
fn evidence_lasts_and_without_any_one_of_its_three_waits_it_is_lost() {
    assert!(evidence_lasts(|_| false));
    assert!(!evidence_lasts(|s| s.op == Op::Sync));
    assert!(!evidence_lasts(|s| s.op == Op::SyncDirectory && s.path.ends_with("evidence")));
    assert!(!evidence_lasts(|s| s.op == Op::SyncDirectory && s.path.ends_with("data")));
}

#[test]
fn each_lock_alone_keeps_a_second_process_out_and_without_both_entries_are_lost() {
    let case = Case::new();
    let (mut first, reader) = case.open().unwrap();
    assert!(matches!(case.open(), Err(StoreFault::InUse(_))));
    case.disk.leave_out(|step| step.op == Op::Lock && step.path.ends_with("lock"));
    let held = case.open();
    assert!(matches!(held, Err(StoreFault::Journal(JournalFault::Locked { .. }))));
    first.commit(&grow(BEFORE, BEFORE + 1)).unwrap();
    case.disk.leave_out(|step| step.op == Op::Lock);
    let (mut second, _) = case.open().unwrap();
    first.commit(&grow(BEFORE + 1, BEFORE + 3)).unwrap();
    second.commit(&grow(BEFORE + 1, BEFORE + 2)).unwrap();
    drop((first, second, reader));
    let after = case.open().map(|(_, reader)| reader.size(&id("ID")));
    assert!(!matches!(after, Ok(size) if size >= BEFORE + 3), "{after:?}");
}

#[test]
fn without_the_comparison_of_the_head_a_draft_is_acknowledged_and_lost() {
    let case = Case::new();
    let (mut writer, reader) = case.open().unwrap();
    // Two that have read the same head; the second comes after the first was acknowledged.
    let Fact::Entry { log, received_at, mut item } = entry(&id("ID"), BEFORE + 7) else {
        panic!("an entry")
    };
    item.index = BEFORE;
    let statement = item.statement.clone();
    let stale = [Fact::Entry { log, received_at, item }];
    writer.commit(&grow(BEFORE, BEFORE + 1)).unwrap();
    assert!(matches!(writer.commit(&stale), Err(CommitError::OutOfOrder { .. })));
    let there = || reader.entry(&id("ID"), BEFORE).unwrap().unwrap().item.statement;
    let first = there();
    writer.append(&stale).unwrap();
    assert_eq!(there(), first);
    assert_ne!(there(), statement);
}
