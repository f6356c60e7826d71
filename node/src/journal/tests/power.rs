//! Power loss: what was acknowledged, or seen by a reader, is there afterwards; and with any one
//! wait for the disk left out, these same rounds find the loss.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::faulty::{Chance, Fails, Faulty, Op, Step};
use super::super::segment::{HEAD, HEADER, SEAL};
use super::super::*;
use super::{SMALL, batch, frame, frames};

/// Rounds of the test, and most that a negative control takes to find the loss.
const ROUNDS: u64 = 50;
const ENOUGH: u64 = 2_000;
/// Processes of one round, each of which ends at an instant of its own.
const LIVES: usize = 4;

/// A disk with the journal's directory not yet on it.
struct Bench {
    dir: tempfile::TempDir,
    disk: Faulty,
    /// Whether the journal is being opened.
    opening: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Faulty::over(dir.path());
        Self { dir, disk, opening: Arc::default() }
    }

    fn open(&self) -> Result<Journal, JournalFault> {
        self.opening.store(true, Ordering::SeqCst);
        let disk = Arc::new(self.disk.clone());
        let opened = Journal::open_on(disk, &self.dir.path().join("journal"), SMALL);
        self.opening.store(false, Ordering::SeqCst);
        Ok(opened?.0)
    }
}

/// What the journal owes.
#[derive(Default)]
struct Owed {
    /// Acknowledged, or shown to a reader.
    frames: Vec<Frame>,
    /// Under way when the process ended, or with unknown result: there as a whole, or not.
    perhaps: Vec<Frame>,
}

impl Owed {
    /// Compares with what an opened journal shows, which is owed from then on.
    fn check(&mut self, journal: &Journal) -> Result<(), String> {
        let found: Result<Vec<_>, _> = journal.reader().scan(Position::START).collect();
        let found: Vec<Frame> =
            found.map_err(|fault| fault.to_string())?.into_iter().map(|(_, f)| f).collect();
        let with: Vec<Frame> = self.frames.iter().chain(&self.perhaps).cloned().collect();
        if found != self.frames && found != with {
            let (owed, perhaps) = (self.frames.len(), self.perhaps.len());
            return Err(format!("{} frames of {owed}, and {perhaps} perhaps", found.len()));
        }
        (self.frames, self.perhaps) = (found, Vec::new());
        Ok(())
    }
}

/// Several processes after one another on one disk, each ended by itself or with the power.
fn round(bench: &Bench, seed: u64) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let mut owed = Owed::default();
    for life in 0..LIVES {
        let how = [Fails::NotPersisted, Fails::ButPersisted, Fails::Short];
        let how = how[chance.below(3) as usize];
        let deadly = chance.below(2) == 0;
        bench.disk.fail(1 + chance.below(40), how, deadly);
        if let Ok(mut journal) = bench.open() {
            owed.check(&journal)?;
            for step in 0..chance.below(14) {
                let batch = batch(life * 40 + step as usize, 1 + chance.below(4) as usize);
                match journal.append(&batch) {
                    Ok(_) => owed.frames.extend(batch),
                    Err(AppendError::Full { .. } | AppendError::Write { .. })
                        if !(deadly && bench.disk.failed()) =>
                    {
                        // Refused, and never to be seen again, also if nothing follows.
                        if chance.below(2) == 0 {
                            break;
                        }
                    }
                    Err(_) => {
                        owed.perhaps = batch;
                        break;
                    }
                }
            }
        }
        bench.disk.revive();
        match chance.below(4) {
            0 => {}
            1 => bench.disk.lose_power(None),
            _ => bench.disk.lose_power(Some(&mut chance)),
        }
        let journal = bench.open().map_err(|fault| fault.to_string())?;
        owed.check(&journal)?;
    }
    Ok(())
}

#[test]
fn fifty_rounds_of_lost_power_lose_nothing_that_was_acknowledged_or_seen() {
    for seed in 0..ROUNDS {
        if let Err(loss) = round(&Bench::new(), seed) {
            panic!("seed {seed}: {loss}");
        }
    }
}

/// The kind of the last frame of the segment, as far as its file shows.
fn closed(segment: &Path) -> bool {
    let bytes = fs::read(segment).unwrap_or_default();
    let head = bytes.len().checked_sub(HEAD as usize).and_then(|at| bytes.get(at..));
    head.is_some_and(|head| head[4] == SEAL)
}

/// Whether the newest segment below the directory holds its header alone.
fn just_begun(directory: &Path) -> bool {
    let newest = super::files(directory).into_iter().next_back();
    newest.is_some_and(|(_, bytes)| bytes.len() as u64 <= HEADER)
}

#[test]
fn with_any_one_wait_for_the_disk_left_out_a_loss_is_found() {
    type Chosen = fn(&Step<'_>, bool) -> bool;
    let waits: [(&str, Chosen); 8] = [
        ("name of the journal", |s, _| s.op == Op::SyncDirectory && !s.path.ends_with("journal")),
        ("names of segments", |s, _| {
            s.op == Op::SyncDirectory && s.path.ends_with("journal") && just_begun(s.path)
        }),
        ("header", |s, _| s.op == Op::Sync && s.after == Some((Op::Write, 0))),
        ("batch", |s, opening| {
            let written = matches!(s.after, Some((Op::Write, HEADER..)));
            s.op == Op::Sync && !opening && written
        }),
        ("batch found at the start", |s, opening| {
            s.op == Op::Sync && opening && matches!(s.after, Some((Op::Write, HEADER..)))
        }),
        ("write taken back", |s, _| {
            s.op == Op::Sync && matches!(s.after, Some((Op::Cut, _))) && !closed(s.path)
        }),
        ("seal", |s, opening| {
            let cut = matches!(s.after, Some((Op::Cut, _)));
            s.op == Op::Sync && !opening && cut && closed(s.path)
        }),
        ("seal found at the start", |s, opening| {
            let cut = matches!(s.after, Some((Op::Cut, _)));
            s.op == Op::Sync && opening && cut && closed(s.path)
        }),
    ];
    for (name, chosen) in waits {
        let found = (0..ENOUGH).find(|seed| {
            let bench = Bench::new();
            let opening = bench.opening.clone();
            bench.disk.leave_out(move |step| chosen(step, opening.load(Ordering::SeqCst)));
            round(&bench, *seed).is_err()
        });
        assert!(found.is_some(), "{name}: left out, and {ENOUGH} rounds found no loss");
    }
}

/// A journal that another program put there and did not wait for, used at once.
fn copied(left_out: bool) -> Result<(), String> {
    let original = Bench::new();
    original.open().unwrap().append(&[frame(1, 40)]).unwrap();
    let bench = Bench::new();
    let journal = bench.dir.path().join("journal");
    bench.disk.make_directory(&journal).unwrap();
    for (path, bytes) in super::files(&original.dir.path().join("journal")) {
        let copy = bench.disk.create(&journal.join(path.file_name().unwrap())).unwrap();
        bench.disk.write(&copy, &bytes, 0).unwrap();
    }
    if left_out {
        bench.disk.leave_out(|s| s.op == Op::SyncDirectory && s.path.ends_with("journal"));
    }
    bench.open().unwrap().append(&[frame(2, 50)]).unwrap();
    bench.disk.lose_power(None);
    let found = frames(&bench.open().map_err(|fault| fault.to_string())?.reader());
    if found == [frame(1, 40), frame(2, 50)] { Ok(()) } else { Err(format!("{found:?}")) }
}

#[test]
fn what_is_appended_to_a_copied_journal_lasts_because_its_name_is_waited_for() {
    copied(false).unwrap();
    copied(true).unwrap_err();
}

/// Two writers of one journal, where the second is let in; and what is there afterwards.
fn two_writers(bench: &Bench) -> Result<(), String> {
    let mut first = bench.open().unwrap();
    let mut second = match bench.open() {
        Err(JournalFault::Locked { .. }) => return Ok(()),
        opened => opened.unwrap(),
    };
    first.append(&[frame(1, 40)]).unwrap();
    second.append(&[frame(2, 50)]).unwrap();
    drop((first, second));
    let mut owed = Owed { frames: vec![frame(1, 40), frame(2, 50)], perhaps: Vec::new() };
    owed.check(&bench.open().map_err(|fault| fault.to_string())?)
}

#[test]
fn without_the_lock_a_second_writer_destroys_what_the_first_acknowledged() {
    two_writers(&Bench::new()).unwrap();
    let bench = Bench::new();
    bench.disk.leave_out(|step| step.op == Op::Lock);
    two_writers(&bench).unwrap_err();
}
