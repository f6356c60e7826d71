//! One segment file: its header, its frames, and the few operations on files.
//!
//! Knows the bytes and nothing of batches across segments, recovery or callers.
//!
//! ```text
//! segment   "SWJRNL" | version u16 | sequence u64 | salt u32 | crc32c of the 20 bytes before
//! frame     length u32 | kind u8 | since u32 | body crc32c u32 | head crc32c u32 | payload
//! ```
//!
//! All integers are big-endian. The head checksum covers sequence, salt, the frame's own offset
//! and the 13 bytes before it, among them the body checksum: so a frame is valid at one place of
//! one file only, and a copied frame, a block left over on the disk or bytes that a peer placed
//! in a payload are never taken for one. That the head can be checked without the payload keeps
//! the search after damage linear, whatever the bytes are.
//!
//! `since` is the offset up to which the segment was durable when the frame was written, which is
//! where its batch begins. Bit 7 of the kind says that more frames of the same batch follow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32c::{crc32c, crc32c_append};

/// Length of the segment header.
pub(super) const HEADER: u64 = 24;
/// Length of a frame without its payload.
pub(super) const HEAD: u64 = 17;
/// Bit of the kind: further frames of the batch follow.
pub(super) const MORE: u8 = 0x80;
/// Kind of the frame that shows that all before it had been durable; overwritten by what follows.
pub(super) const MARK: u8 = 0x7e;
/// Kind of the last frame of a segment that has a successor.
pub(super) const SEAL: u8 = 0x7f;
/// The format version written and read.
const VERSION: u16 = 1;
const MAGIC: &[u8; 6] = b"SWJRNL";
/// What a walk from frame to frame fetches at once.
pub(super) const WINDOW: usize = 256 * 1024;

/// What tells one segment file from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub sequence: u64,
    pub salt: u32,
}

/// Why a segment header was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Damaged,
    Newer(u16),
}

impl Identity {
    pub fn header(&self) -> [u8; HEADER as usize] {
        let mut bytes = Vec::with_capacity(HEADER as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.salt.to_be_bytes());
        bytes.extend_from_slice(&crc32c(&bytes).to_be_bytes());
        bytes.try_into().expect("6 + 2 + 8 + 4 + 4 bytes were written")
    }

    /// Reads a header; the file's name must say the same sequence.
    pub fn from_header(mut bytes: &[u8], sequence: u64) -> Result<Self, HeaderError> {
        let checksum = bytes.get(..20).map(crc32c);
        let magic = take::<6>(&mut bytes).ok_or(HeaderError::Damaged)?;
        let version = take(&mut bytes).map(u16::from_be_bytes).ok_or(HeaderError::Damaged)?;
        if &magic != MAGIC {
            return Err(HeaderError::Damaged);
        }
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        let named = take(&mut bytes).map(u64::from_be_bytes);
        let salt = take(&mut bytes).map(u32::from_be_bytes).ok_or(HeaderError::Damaged)?;
        let stored = take(&mut bytes).map(u32::from_be_bytes);
        let sound = version == VERSION && named == Some(sequence) && stored == checksum;
        if sound { Ok(Self { sequence, salt }) } else { Err(HeaderError::Damaged) }
    }

    fn checksum(&self, offset: u64, fields: &[u8]) -> u32 {
        let mut crc = crc32c(&self.sequence.to_be_bytes());
        crc = crc32c_append(crc, &self.salt.to_be_bytes());
        crc = crc32c_append(crc, &offset.to_be_bytes());
        crc32c_append(crc, fields)
    }

    /// Appends one frame that will stand at `offset` to `out`.
    pub fn encode(&self, out: &mut Vec<u8>, offset: u64, since: u64, kind: u8, payload: &[u8]) {
        let start = out.len();
        let length = u32::try_from(payload.len()).expect("the caller keeps to MAX_FRAME");
        let since = u32::try_from(since).expect("segments are kept below 4 GiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.push(kind);
        out.extend_from_slice(&since.to_be_bytes());
        out.extend_from_slice(&crc32c(payload).to_be_bytes());
        let fields = out.get(start..).unwrap_or_default();
        let crc = self.checksum(offset, fields);
        out.extend_from_slice(&crc.to_be_bytes());
        out.extend_from_slice(payload);
    }

    /// The frame head at `offset`, if the bytes are one.
    pub fn head(&self, bytes: &[u8], offset: u64) -> Option<Head> {
        let mut rest = bytes;
        let length = take(&mut rest).map(u32::from_be_bytes)?;
        let [kind] = take::<1>(&mut rest)?;
        let since = u64::from(take(&mut rest).map(u32::from_be_bytes)?);
        let body = take(&mut rest).map(u32::from_be_bytes)?;
        let stored = take(&mut rest).map(u32::from_be_bytes)?;
        let plausible = u64::from(length) <= super::MAX_FRAME
            && kind & !MORE != 0
            && (HEADER..=offset).contains(&since);
        if !plausible || self.checksum(offset, bytes.get(..13)?) != stored {
            return None;
        }
        Some(Head {
            length: u64::from(length),
            kind: kind & !MORE,
            more: kind & MORE != 0,
            since,
            body,
        })
    }
}

/// A frame's head, found valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub length: u64,
    pub kind: u8,
    pub more: bool,
    pub since: u64,
    body: u32,
}

impl Head {
    /// Length of the frame with its payload.
    pub fn size(&self) -> u64 {
        HEAD + self.length
    }
}

/// An open segment file with a valid header.
#[derive(Debug)]
pub(super) struct Segment {
    pub file: File,
    pub path: PathBuf,
    pub identity: Identity,
}

/// A buffered walk over one segment.
pub(super) struct Walk {
    pub segment: Arc<Segment>,
    window: usize,
    /// What was fetched: `filled` bytes of the file from `at` on.
    buffer: Vec<u8>,
    filled: usize,
    at: u64,
}

impl Walk {
    /// A walk that fetches `window` bytes at once, or more for a longer frame.
    pub fn new(segment: Arc<Segment>, window: usize) -> Self {
        Self { segment, window, buffer: Vec::new(), filled: 0, at: 0 }
    }

    /// Up to `length` bytes from `offset` on; fewer at the end of the file.
    pub fn view(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = self.at..self.at + self.filled as u64;
        if offset < held.start || offset + length as u64 > held.end {
            let wanted = length.max(self.window);
            // One long frame must not keep its memory for the rest of the walk.
            if self.buffer.len() < wanted || self.buffer.len() > wanted.max(4 * WINDOW) {
                self.buffer = vec![0; wanted];
            }
            self.filled = 0;
            self.filled = read_up_to(&self.segment.file, &mut self.buffer, offset)?;
            self.at = offset;
        }
        let start = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        let held = self.buffer.get(start..self.filled).unwrap_or_default();
        Ok(held.get(..length).unwrap_or(held))
    }

    /// The frame at `offset`, if a valid one stands there.
    pub fn frame(&mut self, offset: u64) -> io::Result<Option<(Head, &[u8])>> {
        let identity = self.segment.identity;
        let Some(head) = identity.head(self.view(offset, HEAD as usize)?, offset) else {
            return Ok(None);
        };
        let length = usize::try_from(head.size()).unwrap_or(usize::MAX);
        let payload = self.view(offset, length)?.get(HEAD as usize..).unwrap_or_default();
        let sound = payload.len() as u64 == head.length && crc32c(payload) == head.body;
        Ok(sound.then_some((head, payload)))
    }
}

/// The path of a segment.
pub(super) fn path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:020}.seg"))
}

/// The sequence that a file name says, if it is a segment's.
pub(super) fn sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let sound = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if sound { digits.parse().ok() } else { None }
}

/// Reads from `offset` until the buffer is full or the file ends.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
