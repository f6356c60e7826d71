//! The journal's promises, and what happens when any byte of it is changed or cut off.

use std::collections::BTreeMap;
use std::fs;

use super::segment::Identity;
use super::*;

mod crash;
mod power;
mod purge;

const SMALL: Options = Options { segment: 600, ahead: 128 };

fn frame(kind: u8, length: usize) -> Frame {
    Frame { kind, payload: (0..length).map(|i| (i as u8).wrapping_mul(31) ^ kind).collect() }
}

fn batch(seed: usize, frames: usize) -> Vec<Frame> {
    (0..frames)
        .map(|i| frame((1 + (seed * 7 + i) % 120) as u8, (seed * 13 + i * 29) % 90))
        .collect()
}

fn all(reader: &JournalReader) -> Vec<(Position, Frame)> {
    reader.scan(Position::START).collect::<Result<_, _>>().expect("scan")
}

fn frames(reader: &JournalReader) -> Vec<Frame> {
    all(reader).into_iter().map(|(_, frame)| frame).collect()
}

/// Files without the waiting: a test that opens thousands of journals needs no power loss of
/// its own machine survived.
struct Unsynced;

impl Disk for Unsynced {
    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn open(directory: &Path) -> Result<(Journal, Recovery), JournalFault> {
    Journal::open_on(Arc::new(Unsynced), directory, SMALL)
}

fn reopened(directory: &Path) -> Result<(Vec<Frame>, Recovery), JournalFault> {
    let (journal, recovery) = open(directory)?;
    let scanned: Result<Vec<_>, _> = journal.reader().scan(Position::START).collect();
    Ok((scanned?.into_iter().map(|(_, frame)| frame).collect(), recovery))
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("list").map(|entry| entry.expect("entry").path());
    entries.filter(|p| p.extension().is_some()).map(|p| (p.clone(), fs::read(p).unwrap())).collect()
}

fn put(directory: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in self::files(directory).keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn returns_what_was_appended_across_segments_and_openings() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..20 {
        let (mut journal, recovery) = Journal::open_with(dir.path(), SMALL).unwrap();
        assert_eq!(recovery.truncated_bytes, 0);
        assert_eq!(recovery.end, journal.end());
        let reader = journal.reader();
        for step in 0..3 {
            let batch = batch(round * 3 + step, 1 + step);
            let positions = journal.append(&batch).unwrap();
            expected.extend(positions.into_iter().zip(batch));
        }
        assert_eq!(all(&reader), expected);
        for (position, frame) in &expected {
            assert_eq!(&reader.read(*position).unwrap(), frame);
        }
    }
    assert!(files(dir.path()).len() > 5, "several segments");
    let order: Vec<_> = expected.iter().map(|(at, _)| at.to_bytes()).collect();
    assert!(order.is_sorted());
    assert!(expected.iter().all(|(at, _)| Position::from_bytes(&at.to_bytes()) == *at));
}

#[test]
fn scan_resumes_at_an_end_seen_before_a_roll() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), SMALL).unwrap();
    journal.append(&[frame(1, 500)]).unwrap();
    let seen = journal.end();
    let reader = journal.reader();
    let early = reader.scan(seen);
    let at = journal.append(&[frame(2, 500)]).unwrap();
    assert_eq!(early.count(), 0, "a scan sees what was durable when it began");
    let mut scan = reader.scan(seen);
    assert_eq!(scan.next().unwrap().unwrap(), (at[0], frame(2, 500)));
    assert!(scan.next().is_none());
}

#[test]
fn second_process_is_refused_while_the_first_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let first = Journal::open(dir.path()).unwrap();
    let error = Journal::open(dir.path()).unwrap_err();
    assert!(matches!(error, JournalFault::Locked { .. }));
    assert!(error.to_string().contains("another process holds it (hint: stop the other node"));
    drop(first);
    Journal::open(dir.path()).unwrap();
}

#[test]
fn limits_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    let long = Frame { kind: 1, payload: vec![0; MAX_FRAME as usize + 1] };
    assert!(matches!(journal.append(&[long]), Err(AppendError::FrameTooLong { .. })));
    let longest = Frame { kind: 1, payload: vec![7; MAX_FRAME as usize] };
    let five = vec![longest.clone(); 4];
    assert!(matches!(journal.append(&five), Err(AppendError::BatchTooLong { .. })));
    for kind in [0, MAX_KIND + 1, 0x80, 0xff] {
        let refused = journal.append(&[Frame { kind, payload: vec![] }]);
        assert!(matches!(refused, Err(AppendError::ReservedKind { .. })));
    }
    assert!(journal.append(&[]).unwrap().is_empty());
    assert_eq!(journal.end(), Position::START);
    let at = journal.append(&[longest.clone(), frame(1, 0)]).unwrap();
    drop(journal);
    let (journal, _) = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.reader().read(at[0]).unwrap(), longest);
    assert_eq!(journal.reader().read(at[1]).unwrap(), frame(1, 0));
}

#[test]
fn batch_longer_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), SMALL).unwrap();
    journal.append(&[frame(1, 10)]).unwrap();
    let big = journal.append(&[frame(2, 5000), frame(3, 5000)]).unwrap();
    let next = journal.append(&[frame(4, 10)]).unwrap();
    assert_eq!(big.iter().map(|p| p.segment).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(next[0].segment, 3);
    drop(journal);
    assert_eq!(reopened(dir.path()).unwrap().0.len(), 4);
}

/// Three acknowledged batches in the one segment, the last of two frames; the files without the
/// last, and with it.
fn three(dir: &Path) -> (Vec<Frame>, Vec<Frame>, Vec<u8>, Vec<u8>, u64, u64) {
    let wide = Options { segment: 1 << 20, ..SMALL };
    let (mut journal, _) = Journal::open_with(dir, wide).unwrap();
    journal.append(&batch(1, 2)).unwrap();
    journal.append(&batch(2, 1)).unwrap();
    let start = journal.end().offset;
    let path = segment::path(dir, 1);
    let before = fs::read(&path).unwrap();
    let first = frames(&journal.reader());
    journal.append(&[frame(5, 40), frame(6, 70)]).unwrap();
    let after = fs::read(&path).unwrap();
    let whole = frames(&journal.reader());
    (first, whole, before, after, start, journal.end().offset)
}

#[test]
fn file_cut_at_any_byte_of_the_last_batch_keeps_all_before_and_stays_writable() {
    let dir = tempfile::tempdir().unwrap();
    let (first, whole, _, after, start, end) = three(dir.path());
    for length in start..=end + HEAD {
        fs::write(segment::path(dir.path(), 1), &after[..length as usize]).unwrap();
        let (mut journal, recovery) = open(dir.path()).unwrap();
        let (kept, cut) = if length < end { (&first, length - start) } else { (&whole, 0) };
        assert_eq!(&frames(&journal.reader()), kept, "cut to {length}");
        // Half a mark may be left after a whole batch.
        let half = if length > end && length < end + HEAD { length - end } else { 0 };
        let trailing = after[..length as usize].iter().rposition(|b| *b != 0).unwrap() as u64 + 1;
        assert!(recovery.truncated_bytes <= cut + half);
        assert!(half > 0 || recovery.truncated_bytes == cut.min(trailing.saturating_sub(start)));
        journal.append(&[frame(9, 3)]).unwrap();
        drop(journal);
        let (again, recovery) = reopened(dir.path()).unwrap();
        assert_eq!(again.last(), Some(&frame(9, 3)));
        assert_eq!((again.len(), recovery.truncated_bytes), (kept.len() + 1, 0));
    }
}

#[test]
fn any_flipped_bit_in_acknowledged_bytes_is_damage_and_cuts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, _, after, _, end) = three(dir.path());
    let path = segment::path(dir.path(), 1);
    for index in 0..end as usize {
        for bit in [0, 5, 7] {
            let mut bytes = after.clone();
            bytes[index] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            match reopened(dir.path()) {
                Err(JournalFault::Damaged { segment: 1, offset }) => {
                    assert!(offset <= index as u64, "found before or where it is");
                }
                Err(JournalFault::Newer { .. }) if (6..8).contains(&index) => {}
                other => panic!("byte {index} bit {bit}: {other:?}"),
            }
            assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was cut");
        }
    }
}

#[test]
fn flipped_bit_after_the_last_batch_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let (_, whole, _, after, _, end) = three(dir.path());
    for index in end as usize..after.len() {
        let mut bytes = after.clone();
        bytes[index] ^= 0x10;
        fs::write(segment::path(dir.path(), 1), &bytes).unwrap();
        assert_eq!(reopened(dir.path()).unwrap().0, whole, "byte {index}");
    }
}

#[test]
fn damage_in_an_earlier_segment_is_found_when_read_and_a_lost_one_when_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), SMALL).unwrap();
    for seed in 0..30 {
        journal.append(&batch(seed, 2)).unwrap();
    }
    drop(journal);
    let sound = files(dir.path());
    let last = sound.len() as u64;
    assert!(last > 3);
    for sequence in 1..last {
        let path = segment::path(dir.path(), sequence);
        let bytes = &sound[&path];
        for index in (0..bytes.len()).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x40;
            fs::write(&path, &flipped).unwrap();
            let error = reopened(dir.path()).unwrap_err();
            assert!(
                matches!(error, JournalFault::Damaged { segment, .. } if segment == sequence)
                    || matches!(error, JournalFault::Newer { .. }),
                "{sequence} {index}: {error}"
            );
            fs::write(&path, &bytes[..index]).unwrap();
            assert!(reopened(dir.path()).is_err(), "cut at {index}");
        }
        fs::remove_file(&path).unwrap();
        let error = reopened(dir.path()).unwrap_err();
        assert!(
            matches!(error, JournalFault::Damaged { segment, offset: 0 } if segment == sequence)
        );
        assert!(error.to_string().contains("hint: nothing was cut"));
        put(dir.path(), &sound);
    }
    fs::remove_file(segment::path(dir.path(), last)).unwrap();
    let error = reopened(dir.path()).unwrap_err();
    assert!(matches!(error, JournalFault::Damaged { segment, .. } if segment == last));
    put(dir.path(), &sound);
    reopened(dir.path()).unwrap();
}

#[test]
fn segment_of_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    let path = segment::path(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] = 2;
    fs::write(&path, &bytes).unwrap();
    let error = reopened(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read journal segment 1: format version 2, this program knows 1 \
         (hint: run the newer program that wrote it)"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn position_of_another_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(dir.path(), SMALL).unwrap();
    let at = journal.append(&[frame(1, 20)]).unwrap()[0];
    let reader = journal.reader();
    let beyond = Position { segment: 4, offset: u64::MAX };
    assert!(matches!(reader.read(beyond), Err(JournalFault::Beyond { .. })));
    assert!(matches!(reader.read(journal.end()), Err(JournalFault::Beyond { .. })));
    assert!(matches!(reader.scan(beyond).next(), Some(Err(JournalFault::Beyond { .. }))));
    let inside = Position { offset: at.offset + 1, ..at };
    assert!(matches!(reader.read(inside), Err(JournalFault::Damaged { .. })));
    assert!(reader.scan(inside).next().unwrap().is_err());
}

#[test]
fn frame_copied_elsewhere_is_not_taken_for_one() {
    let id = Identity { sequence: 3, salt: 9 };
    let mut bytes = Vec::new();
    id.encode(&mut bytes, 100, 50, 4, b"payload");
    assert!(id.head(&bytes, 100).is_some());
    assert!(id.head(&bytes, 101).is_none());
    assert!(Identity { sequence: 4, ..id }.head(&bytes, 100).is_none());
    assert!(Identity { salt: 8, ..id }.head(&bytes, 100).is_none());
    assert!(id.head(&[0; 17], 100).is_none());
}
