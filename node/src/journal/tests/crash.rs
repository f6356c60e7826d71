//! The crash table: every write step fails, persisted or not, killed or with the power lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use proptest::prelude::*;

use super::super::segment::Identity;
use super::super::*;
use super::{SMALL, batch, files, frame, frames, open, put, reopened};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fails {
    /// Refused, nothing of it remains.
    NotPersisted,
    /// Refused, although all of it was done.
    ButPersisted,
    /// A write that stops halfway with the disk full.
    Short,
}

/// What the disk would hold after a power loss: per file, its bytes at the last sync.
type Platter = Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>;

/// Fails the nth operation, and with `dead` every one after it, as if the power went.
struct Faulty {
    left: Arc<Mutex<u64>>,
    how: Fails,
    dead: bool,
    platter: Platter,
}

impl Faulty {
    fn attempt<T>(
        &mut self,
        halfway: impl FnOnce(),
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut left = self.left.lock().unwrap();
        if *left == 0 {
            return if self.dead { Err(io::Error::other("power lost")) } else { act() };
        }
        *left -= 1;
        if *left > 0 {
            return act();
        }
        match self.how {
            Fails::NotPersisted => {}
            Fails::ButPersisted => drop(act()?),
            Fails::Short => halfway(),
        }
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

fn name(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

impl Disk for Faulty {
    fn create(&mut self, path: &Path) -> io::Result<File> {
        self.attempt(|| (), || System.create(path))
    }
    fn write(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let halfway = || file.write_all_at(&bytes[..bytes.len() / 2], offset).unwrap();
        self.attempt(halfway, || System.write(file, bytes, offset))
    }
    fn cut(&mut self, file: &File, length: u64) -> io::Result<()> {
        self.attempt(|| (), || System.cut(file, length))
    }
    fn sync(&mut self, file: &File) -> io::Result<()> {
        let platter = self.platter.clone();
        self.attempt(
            || (),
            || {
                let path = name(file);
                let bytes = fs::read(&path)?;
                platter.lock().unwrap().insert(path, bytes);
                Ok(())
            },
        )
    }
    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.attempt(|| (), || System.sync_directory(path))
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let platter = self.platter.clone();
        self.attempt(
            || (),
            || {
                platter.lock().unwrap().remove(path);
                System.remove(path)
            },
        )
    }
}

/// Runs appends with the nth operation failing; then what a kill leaves, and what a power loss
/// leaves, is opened for real. False when there were fewer than n operations.
fn crash(nth: u64, how: Fails, dead: bool, power_loss: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let platter = Platter::default();
    let left = Arc::new(Mutex::new(nth));
    let disk = Faulty { left: left.clone(), how, dead, platter: platter.clone() };
    let mut acknowledged: Vec<Frame> = Vec::new();
    let mut unknown: Vec<Frame> = Vec::new();
    let case = format!("operation {nth} {how:?}, dead {dead}, power loss {power_loss}");
    if let Ok((mut journal, _)) = Journal::open_on(Box::new(disk), dir.path(), SMALL) {
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
    if power_loss {
        put(dir.path(), &platter.lock().unwrap());
    }
    let (found, _) = reopened(dir.path()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let with: Vec<_> = acknowledged.iter().chain(&unknown).cloned().collect();
    assert!(found == acknowledged || found == with, "{case}: acknowledged frames are there");
    let (mut journal, _) = open(dir.path()).unwrap();
    journal.append(&[frame(77, 7)]).unwrap();
    drop(journal);
    let (again, _) = reopened(dir.path()).unwrap();
    assert_eq!(again.len(), found.len() + 1, "{case}");
    let fewer = *left.lock().unwrap() > 0;
    !fewer
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
            for nth in 1..16 {
                put(dir.path(), &before);
                let (left, platter) = (Arc::new(Mutex::new(nth)), Platter::default());
                let disk = Faulty { left, how, dead: true, platter };
                let _ = Journal::open_on(Box::new(disk), dir.path(), SMALL);
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
    // Opening takes: parent sync, create, header, sync, directory sync, mark.
    for (nth, usable) in [(7, true), (8, false)] {
        let dir = dir.path().join(nth.to_string());
        let left = Arc::new(Mutex::new(nth));
        let platter = Platter::default();
        let disk = Faulty { left, how: Fails::Short, dead: false, platter };
        let (mut journal, _) = Journal::open_on(Box::new(disk), &dir, SMALL).unwrap();
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
