//! The crash table over every write step of journal, tiles, statements, checkpoint and register:
//! before, torn and after; refused and gone on, killed, and with the power lost.

use std::collections::BTreeMap;

use super::super::testing::{entry, id, leaf};
use super::super::{CommitError, Fact};
use super::verified::{BEFORE, Case, cosigned, grow, others};
use crate::journal::AppendError;
use crate::journal::faulty::Fails;

/// What a run does: it completes a tile and a statement file, mirrors a log, and gets parts and
/// cosignatures.
fn script() -> Vec<Vec<Fact>> {
    let sg = id("SG");
    let digests = (0..3).map(|index| leaf(&sg, index)).collect();
    let sealed = BTreeMap::from([("nominal".to_owned(), vec![1; 90])]);
    vec![
        grow(BEFORE, 252),
        vec![
            Fact::Leaves { log: sg.clone(), from: 0, digests },
            entry(&sg, 0),
            entry(&sg, 2),
            others(3),
        ],
        grow(252, 258),
        cosigned(258, 40),
        vec![Fact::Parts { log: sg, index: 0, sealed }],
        grow(258, 259),
        cosigned(259, 50),
    ]
}

/// Goes through the script from a commit on; the first that was not acknowledged, if one was not.
fn run(case: &Case, script: &[Vec<Fact>], from: usize) -> Option<usize> {
    let Ok((mut writer, _)) = case.open() else { return Some(from) };
    for (number, facts) in script.iter().enumerate().skip(from) {
        let mut outcome = writer.commit(facts);
        if let Err(CommitError::Append(AppendError::Full { .. } | AppendError::Write { .. })) =
            outcome
        {
            // Refused: without any help the next attempt succeeds, unless the process has ended.
            outcome = writer.commit(facts);
        }
        match outcome {
            Ok(()) => {}
            // It was durable when the process before this one ended.
            Err(CommitError::OutOfOrder { .. }) => {}
            Err(_) => return Some(number),
        }
        if writer.settle().is_err() && !case.disk.dead() {
            writer.settle().expect("log files are tried again and succeed");
        }
    }
    None
}

/// What befalls the process at the step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    GoesOn,
    IsKilled,
    LosesPower,
}

/// One row of the table; false if the run has fewer steps.
fn row(
    script: &[Vec<Fact>],
    (nth, how, then): (u64, Fails, Then),
    clean: &BTreeMap<String, Vec<u8>>,
) -> bool {
    let case = Case::new();
    let what = format!("step {nth} {how:?}, {then:?}");
    case.disk.fail(nth, how, then != Then::GoesOn);
    let stopped = run(&case, script, 0);
    if !case.disk.failed() {
        return false;
    }
    case.disk.revive();
    if then == Then::LosesPower {
        case.disk.lose_power(None);
    }
    // As far as it came, the auditor accepts it.
    let before = case.derived().unwrap_or_else(|cause| panic!("{what}: {cause}"));
    assert!(before.contains_key("ID/checkpoint"), "{what}");
    case.audit(0).unwrap_or_else(|report| panic!("{what}: {report}"));
    if let Some(number) = stopped {
        assert_eq!(run(&case, script, number), None, "{what}: the next process goes on");
    }
    let after = case.derived().unwrap_or_else(|cause| panic!("{what}: {cause}"));
    assert!(after == *clean, "{what}: the files are those of a run without a fault");
    true
}

fn table(how: Fails) {
    let (case, script) = (Case::new(), script());
    assert_eq!(run(&case, &script, 0), None);
    let clean = case.derived().unwrap();
    assert_eq!(case.audit(1), Ok(259));
    for then in [Then::GoesOn, Then::IsKilled, Then::LosesPower] {
        let mut nth = 1;
        while row(&script, (nth, how, then), &clean) {
            nth += 1;
        }
        assert!(nth > 100, "the table covers journal and files: {nth} steps");
    }
}

#[test]
fn a_step_that_is_refused_and_not_done_leaves_the_files_of_a_run_without_a_fault() {
    table(Fails::NotPersisted);
}

#[test]
fn a_step_that_is_refused_although_done_leaves_the_files_of_a_run_without_a_fault() {
    table(Fails::ButPersisted);
}

#[test]
fn a_step_that_is_torn_leaves_the_files_of_a_run_without_a_fault() {
    table(Fails::Short);
}
