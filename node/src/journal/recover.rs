//! Recovery: from the files as a crash left them to a journal that can be written again.
//!
//! Knows nothing of what the frames mean.
//!
//! **What was never acknowledged** can only stand after the last durable byte, and that is within
//! the last segment: a batch lies in one segment, one batch is under way at a time, and a new
//! segment is begun only when all before it is durable. So recovery walks the last segment batch
//! by batch up to the first that is not whole. A power loss may have kept any of that batch's
//! blocks and dropped the others, so valid frames after a hole prove nothing by themselves. What
//! proves damage is `since`: a frame, mark or seal that states that the segment was durable
//! *beyond* the start of the broken batch. Its head is sought at every byte after the break; the
//! head has its own checksum, so this costs one pass over at most one segment.
//!
//! * such a head exists: acknowledged bytes are broken, [`JournalFault::Damaged`], nothing is cut;
//! * none: the batch was never acknowledged (or lost together with all that came after it, which
//!   no local file can tell apart), and the file is cut back to the batch's start.
//!
//! A batch is thus kept whole or dropped whole. After every commit the writer puts a mark behind
//! the batch, without waiting for it, so that an idle journal's last batch is guarded as well.
//!
//! **The last batch is written and synced again** before anything is read from it: after a failed
//! fdatasync the kernel may hold pages as clean that never reached the disk, and after a plain
//! crash the batch may be in the page cache alone. All earlier batches were acknowledged. The seal
//! before the last segment is written again for the same reason: batches that are appended now
//! would outlive it in a power loss, and the journal would seem damaged.
//!
//! One thing is assumed of the disk: that a sector is written whole or not at all, since a batch
//! begins within the sector where the one before ended.
//!
//! **Earlier segments** end with a seal, checked here for each in one read; their frames are
//! checked whenever they are read. A roll makes the successor durable first and seals second, so
//! only one unsealed segment is legitimate besides the last: the one before an empty successor,
//! and its roll is finished here.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::segment::{
    self, HEAD, HEADER, HeaderError, Identity, MARK, SEAL, Segment, WINDOW, Walk,
};
use super::{JournalFault, Verb, io_fault};

/// What recovery hands to the writer.
pub(super) struct Recovered {
    pub segment: Arc<Segment>,
    pub end: u64,
    pub allocated: u64,
    pub truncated: u64,
}

/// Brings the directory into order and opens its last segment for writing.
pub(super) fn recover(disk: &dyn Disk, directory: &Path) -> Result<Recovered, JournalFault> {
    let last = contiguous(directory)?;
    if last == 0 {
        let segment = create(disk, directory, 1)?;
        return Ok(Recovered { segment, end: HEADER, allocated: HEADER, truncated: 0 });
    }
    let mut truncated = 0;
    let empty = length(directory, last)? <= HEADER;
    let mut renewed = None;
    for sequence in 1..last {
        let before_last = sequence + 1 == last;
        match unsealed(directory, sequence)? {
            None if before_last => seal_again(disk, directory, sequence)?,
            None => {}
            Some(_) if before_last && empty => {
                renewed = Some(renew(disk, directory, last)?);
                truncated += finish_roll(disk, directory, sequence)?;
            }
            Some(offset) => return Err(JournalFault::Damaged { segment: sequence, offset }),
        }
    }
    let segment = match renewed {
        Some(segment) => segment,
        None if last == 1 && empty => renew(disk, directory, last)?,
        None => open(directory, last, true)?,
    };
    let tail = mend(disk, segment.clone())?;
    if tail.sealed {
        // The successor was durable before the seal was written.
        return Err(JournalFault::Damaged { segment: last + 1, offset: 0 });
    }
    disk.sync_directory(directory).map_err(io_fault(Verb::Sync, directory))?;
    truncated += tail.truncated;
    Ok(Recovered { segment, end: tail.end, allocated: tail.allocated, truncated })
}

/// Makes a segment and has it durable, name and header, before it is used.
pub(super) fn create(
    disk: &dyn Disk,
    directory: &Path,
    sequence: u64,
) -> Result<Arc<Segment>, JournalFault> {
    let path = segment::path(directory, sequence);
    let mut salt = [0; 4];
    getrandom::fill(&mut salt)
        .map_err(|error| io_fault(Verb::Create, &path)(std::io::Error::other(error)))?;
    let identity = Identity { sequence, salt: u32::from_be_bytes(salt) };
    let file = disk.create(&path).map_err(io_fault(Verb::Create, &path))?;
    disk.write(&file, &identity.header(), 0).map_err(io_fault(Verb::Write, &path))?;
    disk.sync(&file).map_err(io_fault(Verb::Sync, &path))?;
    disk.sync_directory(directory).map_err(io_fault(Verb::Sync, directory))?;
    Ok(Arc::new(Segment { file, path, identity }))
}

/// Closes a segment whose successor is durable.
pub(super) fn seal(disk: &dyn Disk, segment: &Segment, end: u64) -> Result<(), JournalFault> {
    let mut bytes = Vec::new();
    segment.identity.encode(&mut bytes, end, end, SEAL, &[]);
    let path = &segment.path;
    disk.write(&segment.file, &bytes, end).map_err(io_fault(Verb::Write, path))?;
    disk.cut(&segment.file, end + HEAD).map_err(io_fault(Verb::Cut, path))?;
    disk.sync(&segment.file).map_err(io_fault(Verb::Sync, path))
}

/// Opens a segment and reads its header.
pub(super) fn open(
    directory: &Path,
    sequence: u64,
    write: bool,
) -> Result<Arc<Segment>, JournalFault> {
    let path = segment::path(directory, sequence);
    let file = OpenOptions::new()
        .read(true)
        .write(write)
        .open(&path)
        .map_err(io_fault(Verb::Open, &path))?;
    let mut header = [0; HEADER as usize];
    let count = segment::read_up_to(&file, &mut header, 0).map_err(io_fault(Verb::Read, &path))?;
    match Identity::from_header(header.get(..count).unwrap_or_default(), sequence) {
        Ok(identity) => Ok(Arc::new(Segment { file, path, identity })),
        Err(HeaderError::Newer(version)) => Err(JournalFault::Newer { segment: sequence, version }),
        Err(HeaderError::Damaged) => Err(JournalFault::Damaged { segment: sequence, offset: 0 }),
    }
}

/// The number of segments, when they are numbered from 1 without a gap.
fn contiguous(directory: &Path) -> Result<u64, JournalFault> {
    let mut sequences = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io_fault(Verb::Read, directory))? {
        let entry = entry.map_err(io_fault(Verb::Read, directory))?;
        sequences.extend(entry.file_name().to_str().and_then(segment::sequence));
    }
    sequences.sort_unstable();
    for (expected, found) in (1..).zip(&sequences) {
        if *found != expected {
            return Err(JournalFault::Damaged { segment: expected, offset: 0 });
        }
    }
    Ok(sequences.len() as u64)
}

/// Where the seal is missing, if an earlier segment does not end with one.
fn unsealed(directory: &Path, sequence: u64) -> Result<Option<u64>, JournalFault> {
    let segment = open(directory, sequence, false)?;
    let end = length(directory, sequence)?.saturating_sub(HEAD);
    let mut head = [0; HEAD as usize];
    segment::read_up_to(&segment.file, &mut head, end)
        .map_err(io_fault(Verb::Read, &segment.path))?;
    let sealed = segment
        .identity
        .head(&head, end)
        .is_some_and(|head| head.kind == SEAL && head.since == end && head.length == 0);
    Ok(if sealed { None } else { Some(end) })
}

/// Writes and syncs a seal that is there: the process that wrote it may have ended before its sync.
fn seal_again(disk: &dyn Disk, directory: &Path, sequence: u64) -> Result<(), JournalFault> {
    let end = length(directory, sequence)?.saturating_sub(HEAD);
    seal(disk, open(directory, sequence, true)?.as_ref(), end)
}

fn finish_roll(disk: &dyn Disk, directory: &Path, sequence: u64) -> Result<u64, JournalFault> {
    let segment = open(directory, sequence, true)?;
    let tail = mend(disk, segment.clone())?;
    seal(disk, &segment, tail.end)?;
    Ok(tail.truncated)
}

/// Makes a segment anew that was begun and never used: its header may not be durable.
fn renew(disk: &dyn Disk, directory: &Path, sequence: u64) -> Result<Arc<Segment>, JournalFault> {
    if let Err(newer @ JournalFault::Newer { .. }) = open(directory, sequence, false) {
        return Err(newer);
    }
    let path = segment::path(directory, sequence);
    disk.remove(&path).map_err(io_fault(Verb::Cut, &path))?;
    create(disk, directory, sequence)
}

fn length(directory: &Path, sequence: u64) -> Result<u64, JournalFault> {
    let path = segment::path(directory, sequence);
    let metadata = std::fs::metadata(&path).map_err(io_fault(Verb::Read, &path))?;
    Ok(metadata.len())
}

/// The end of a segment after [`mend`].
struct Tail {
    end: u64,
    allocated: u64,
    truncated: u64,
    sealed: bool,
}

/// Finds the end of the last whole batch, cuts what follows and makes that batch durable.
fn mend(disk: &dyn Disk, segment: Arc<Segment>) -> Result<Tail, JournalFault> {
    let path = &segment.path;
    let mut walk = Walk::new(segment.clone(), WINDOW);
    let found = survey(&mut walk).map_err(io_fault(Verb::Read, path))?;
    if let Some(offset) = found.damaged {
        return Err(JournalFault::Damaged { segment: segment.identity.sequence, offset });
    }
    let Survey { last, end, used, .. } = found;
    let mut allocated = file_length(&segment.file).map_err(io_fault(Verb::Read, path))?;
    if used > end {
        disk.cut(&segment.file, end).map_err(io_fault(Verb::Cut, path))?;
        allocated = end;
    }
    let batch = usize::try_from(end - last).unwrap_or(usize::MAX);
    let bytes = walk.view(last, batch).map_err(io_fault(Verb::Read, path))?.to_vec();
    disk.write(&segment.file, &bytes, last).map_err(io_fault(Verb::Write, path))?;
    disk.sync(&segment.file).map_err(io_fault(Verb::Sync, path))?;
    Ok(Tail { end, allocated, truncated: used - end, sealed: found.sealed })
}

fn file_length(file: &File) -> std::io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

/// What stands in a segment.
struct Survey {
    /// Start and end of the last whole batch.
    last: u64,
    end: u64,
    /// Offset after the last byte that is not zero, a mark or seal at the end not counted.
    used: u64,
    sealed: bool,
    /// Where acknowledged bytes are broken.
    damaged: Option<u64>,
}

fn survey(walk: &mut Walk) -> std::io::Result<Survey> {
    let (mut at, mut last, mut end) = (HEADER, HEADER, HEADER);
    let mut closing = None;
    while let Some((head, _)) = walk.frame(at)? {
        let closes = matches!(head.kind, MARK | SEAL);
        // A frame of another batch is what an undone write left behind.
        if head.since != end || (closes && at != end) {
            break;
        }
        if closes {
            closing = Some(head.kind);
            break;
        }
        at += head.size();
        if !head.more {
            (last, end) = (end, at);
        }
    }
    let after = if closing.is_some() { end + HEAD } else { end };
    let (used, later) = search(walk, after, end)?;
    let used = if used > after { used } else { end };
    let damaged = later.then_some(if closing.is_some() { after } else { at });
    Ok(Survey { last, end, used, sealed: closing == Some(SEAL), damaged })
}

/// Goes over all bytes from `from` on: the offset after the last that is not zero, and whether
/// some frame head states that the segment had been durable beyond `end`.
fn search(walk: &mut Walk, from: u64, end: u64) -> std::io::Result<(u64, bool)> {
    let identity = walk.segment.identity;
    let (mut at, mut used) = (from, from);
    loop {
        // Windows overlap by a head less one byte, so that none is missed at a seam.
        let bytes = walk.view(at, WINDOW)?;
        if let Some(index) = bytes.iter().rposition(|byte| *byte != 0) {
            used = at + index as u64 + 1;
            for (offset, head) in (at..).zip(bytes.windows(HEAD as usize)) {
                if identity.head(head, offset).is_some_and(|head| head.since > end) {
                    return Ok((used, true));
                }
            }
        }
        if bytes.len() < WINDOW {
            return Ok((used, false));
        }
        at += WINDOW as u64 - (HEAD - 1);
    }
}
