//! What can go wrong with the journal, in typed facts.
//!
//! Everything here is a fault of ours or of the disk, but for the three limits of a batch.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{MAX_BATCH, MAX_FRAME, MAX_KIND, Position};

/// What was being done when a file operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Making a file or directory.
    Create,
    /// Opening a file.
    Open,
    /// Taking the lock.
    Lock,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Shortening or removing a file.
    Cut,
    /// Waiting until it is durable.
    Sync,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Cut => "shorten",
            Self::Sync => "sync",
        })
    }
}

/// Why the journal was not opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// Another process has it open.
    #[error(
        "cannot open journal {}: another process holds it \
         (hint: stop the other node on this data directory, or give this one its own)",
        directory.display()
    )]
    Locked {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// Acknowledged bytes are missing or changed.
    #[error(
        "cannot read journal segment {segment}: damaged at offset {offset} \
         (hint: nothing was cut; check the disk, then restore the data directory from a backup, \
         or move it aside and take the logs from peers)"
    )]
    Damaged {
        /// Sequence of the segment.
        segment: u64,
        /// Where the damage begins; 0 if the segment or its header is missing.
        offset: u64,
    },
    /// Written by a later version.
    #[error(
        "cannot read journal segment {segment}: format version {version}, this program knows 1 \
         (hint: run the newer program that wrote it)"
    )]
    Newer {
        /// Sequence of the segment.
        segment: u64,
        /// The version that it states.
        version: u16,
    },
    /// A position that is not in the journal, say from an index made for another one.
    #[error(
        "cannot read journal at {position}: it ends at {end} \
         (hint: the position is from another journal; delete the index to have it rebuilt)"
    )]
    Beyond {
        /// The position asked for.
        position: Position,
        /// The durable end.
        end: Position,
    },
    /// The operating system refused.
    #[error("cannot {verb} {}: {source} (hint: check the disk and the file's owner)", path.display())]
    Io {
        /// What was tried.
        verb: Verb,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A frame's payload is longer than [`MAX_FRAME`]. Nothing was written.
    #[error("cannot append frame: {length} bytes, the limit is {MAX_FRAME} (hint: split it)")]
    FrameTooLong {
        /// Its length.
        length: u64,
    },
    /// The frames together are longer than [`MAX_BATCH`]. Nothing was written.
    #[error("cannot append batch: {length} bytes, the limit is {MAX_BATCH} (hint: commit fewer)")]
    BatchTooLong {
        /// Their length.
        length: u64,
    },
    /// A kind outside 1 to [`MAX_KIND`]. Nothing was written.
    #[error("cannot append frame: kind {kind} is reserved (hint: use 1 to {MAX_KIND})")]
    ReservedKind {
        /// The kind.
        kind: u8,
    },
    /// The disk is full. Nothing of the batch remains; the journal stays usable.
    #[error(
        "cannot append {length} bytes to the journal: {source} \
         (hint: free space on the disk and try again; nothing was stored)"
    )]
    Full {
        /// Length of the batch.
        length: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The write failed otherwise. Nothing of the batch remains; the journal stays usable.
    #[error(
        "cannot append {length} bytes to the journal: {source} \
         (hint: check the disk and try again; nothing was stored)"
    )]
    Write {
        /// Length of the batch.
        length: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody knows whether the batch is durable. The journal is poisoned.
    #[error(
        "cannot tell whether the journal kept the batch: {source} \
         (hint: check the disk and restart the node; recovery settles it)"
    )]
    Unknown {
        /// What failed.
        source: JournalFault,
    },
    /// An earlier append ended as [`AppendError::Unknown`].
    #[error(
        "cannot append to the journal: an earlier commit failed with unknown result \
         (hint: check the disk and restart the node)"
    )]
    Poisoned,
}

pub(super) fn classify(length: u64, source: io::Error) -> AppendError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => AppendError::Full { length, source },
        _ => AppendError::Write { length, source },
    }
}

pub(super) fn io_fault(verb: Verb, path: &Path) -> impl FnOnce(io::Error) -> JournalFault {
    let path = path.to_owned();
    move |source| JournalFault::Io { verb, path, source }
}
