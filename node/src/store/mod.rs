//! The store: derived views over the journal, and the one way to write.
//!
//! [`Writer::commit`] appends facts to the journal, which makes them durable, and only then
//! applies them to the index ([`index`]), which makes them visible; sled ([`table`]) and the log
//! files ([`logs`]) follow on a thread of their own, within a fraction of a second. Index and files are derived
//! and may be lost at any time: [`open`] replays what the index has not seen, by the same code
//! that serves live commits, and rebuilds it whole if it is missing, damaged or of another
//! journal. Merkle proofs come from subtree hashes in the index, never from the files.
//!
//! A data directory is made by [`create`] and by nothing else: a node that finds none must not
//! begin an empty log under a name that already has one.
//!
//! The store knows nothing of signatures, schemas or peers: what it is told has been verified.

mod cosigned;
mod decision;
mod erasure;
mod evidence;
pub mod fact;
mod files;
mod forgetting;
pub mod format;
mod index;
mod lock;
mod logs;
mod matches;
mod outcomes;
mod place;
mod purge;
mod reader;
mod reads;
mod recent;
mod relations;
mod room;
mod rows;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tiles;

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sealwire_wire::id::{Digest, MemberId};

pub use self::decision::{Decision, Kept, Screened};
pub use self::erasure::{Erasure, Hold, HoldStep, Review};
pub use self::fact::{Fact, FactError};
pub use self::files::Discloser;
pub use self::forgetting::{Erased, Terms};
use self::index::{Stage, note_size};
use self::logs::LogFiles;
pub use self::matches::{Asked, DAY_SECS, KeptAsked, Match};
pub use self::purge::Purge;
use self::reader::Inner;
pub use self::reader::{Reader, StoredEntry};
pub use self::reads::{KeptRead, ReadCursor};
use self::recent::Recent;
pub use self::relations::{ACKNOWLEDGEMENT, CONFLICT, Due, Related};
pub use self::room::{RESERVE as RESERVE_BYTES, free as free_bytes};
use self::rows::{State, row};
use self::table::Table;
use crate::journal::{
    AppendError, Disk, Frame, Journal, JournalFault, JournalReader, Options, Position, System,
};

/// Memory that sled may use for pages, in bytes.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;
/// An index up to this size is read through once at every start, in bytes; damage to a larger
/// one is found when it is met, and the start after that rebuilds.
const READ_THROUGH_BYTES: u64 = 64 * 1024 * 1024;
/// Facts replayed in one batch, and bytes of their payloads.
const REPLAY_FACTS: usize = 256;
const REPLAY_BYTES: usize = 2 * 1024 * 1024;

/// Why the store cannot answer: we are at fault, not the input.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The marker of the directory.
    #[error(transparent)]
    Format(#[from] format::FormatError),
    /// Another process has the directory.
    #[error(
        "cannot open {}: another process is using it \
         (hint: stop the other node; one directory serves one)", .0.display()
    )]
    InUse(PathBuf),
    /// The journal is gone, but not what was derived from it.
    #[error(
        "cannot open {}: the journal is missing (hint: restore a backup; the other directories \
         are derived from it and cannot replace it)", .0.display()
    )]
    NoJournal(PathBuf),
    /// The journal does not answer.
    #[error("{0}")]
    Journal(#[from] JournalFault),
    /// The journal holds something that is not a fact.
    #[error("cannot understand the journal: {0}")]
    Fact(#[from] FactError),
    /// sled does not answer.
    #[error("cannot use the index: {0} (hint: restart the node; the index is then rebuilt)")]
    Index(#[from] sled::Error),
    /// A row is missing, or not as it was written.
    #[error("cannot use the index: it is damaged (hint: restart the node; it is then rebuilt)")]
    Row,
    /// Facts that leave a gap in a log.
    #[error(
        "cannot apply index {index} of log {log}: it has {size} leaves \
         (hint: the journal was damaged; restore a backup)"
    )]
    OutOfOrder {
        /// The log.
        log: MemberId,
        /// The first index that was offered.
        index: u64,
        /// The number of leaves.
        size: u64,
    },
    /// A note without a size.
    #[error("cannot apply a checkpoint of log {log}: it is not a note with a size")]
    Note {
        /// The log.
        log: MemberId,
    },
    /// A question about a tree that is larger than the log.
    #[error("cannot prove anything of log {log} at {asked}: the tree asked for has {size} leaves")]
    NotReached {
        /// The log.
        log: MemberId,
        /// The size or index asked for.
        asked: u64,
        /// The size that bounds it.
        size: u64,
    },
    /// The log files are behind.
    #[error("cannot write the log files: {0} (hint: check the disk; they are tried again)")]
    LogFiles(String),
    /// The operating system refused.
    #[error("cannot use {}: {source} (hint: check the disk and its permissions)", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl StoreFault {
    /// Whether the index itself is at fault, so that building it anew can help.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Index(_) | Self::Row | Self::Journal(_) | Self::Fact(_))
    }
}

/// Why a commit did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Refused before anything was written: the log has grown meanwhile, or a leaf is missing.
    #[error(
        "cannot commit index {index} of log {log}: it has {size} leaves (hint: begin again from \
         the head that is stored now)"
    )]
    OutOfOrder {
        /// The log.
        log: MemberId,
        /// The first index that was offered.
        index: u64,
        /// The number of leaves.
        size: u64,
    },
    /// Refused before anything was written: not a note with a size.
    #[error("cannot commit a checkpoint of log {0}: it is not a note with a size")]
    Note(MemberId),
    /// The journal did not take it; nothing of it will be visible.
    #[error("cannot make durable: {0}")]
    Append(#[from] AppendError),
    /// Durable, but not visible. The node must stop; the next start makes it visible.
    #[error("cannot show what is durable: {0} (hint: restart the node; nothing is lost)")]
    Unapplied(#[source] StoreFault),
    /// An earlier fault: nothing more is committed until a restart.
    #[error("cannot commit after a fault: {0} (hint: restart the node)")]
    Stopped(String),
}

/// Makes an empty data directory.
pub fn create(data: &Path) -> Result<(), StoreFault> {
    format::DATA.create(data)?;
    let journal = data.join("journal");
    format::private_dir(&journal).map_err(|source| StoreFault::Io { path: journal, source })?;
    format::sync_dir(data).map_err(|source| StoreFault::Io { path: data.to_owned(), source })
}

/// Opens the data directory of the member `own`: checks the marker, takes the lock, recovers the
/// journal, and brings the index up to it. The log files follow on their own.
pub fn open(
    data: &Path,
    own: &MemberId,
    discloser: Discloser,
) -> Result<(Writer, Reader), StoreFault> {
    open_on(Arc::new(System), Options::default(), data, own, discloser)
}

/// As [`open`], on another disk and with other sizes.
fn open_on(
    disk: Arc<dyn Disk>,
    sizes: Options,
    data: &Path,
    own: &MemberId,
    discloser: Discloser,
) -> Result<(Writer, Reader), StoreFault> {
    format::DATA.check(data)?;
    let lock = lock::Lock::take(disk.as_ref(), data)?;
    let dir = data.join("journal");
    if !dir.is_dir() {
        return Err(StoreFault::NoJournal(data.to_owned()));
    }
    let (journal, _recovery) = Journal::open_on(disk.clone(), &dir, sizes)?;
    let frames = journal.reader();
    let (db, state) = open_index(data, own, &frames)?;
    let table = Table::new(db);
    let state = replay(&table, state, &frames)?;
    let inner = Inner {
        table,
        journal: frames,
        recent: Recent::default(),
        data: data.to_owned(),
        fault: OnceLock::new(),
        lock,
    };
    let reader = Reader { inner: Arc::new(inner) };
    let files = LogFiles::start(reader.clone(), disk.clone(), discloser)
        .map_err(|source| StoreFault::Io { path: data.join("logs"), source })?;
    Ok((Writer { disk, journal, state, reader: reader.clone(), files }, reader))
}

/// The one way to write.
pub struct Writer {
    disk: Arc<dyn Disk>,
    journal: Journal,
    state: State,
    reader: Reader,
    files: LogFiles,
}

impl Writer {
    /// Makes facts durable, then visible, all or none. When this returns `Ok`, both hold.
    ///
    /// Facts are applied in order, and only these conditions are checked: an entry of the own log
    /// has the next index, leaves leave no gap, a checkpoint has a size. Entries, leaves and
    /// cosignatures that are already there change nothing.
    pub fn commit(&mut self, facts: &[Fact]) -> Result<(), CommitError> {
        if let Some(fault) = self.reader.fault() {
            return Err(CommitError::Stopped(fault.to_owned()));
        }
        if facts.is_empty() {
            return Ok(());
        }
        self.check(facts)?;
        self.append(facts)
    }

    fn append(&mut self, facts: &[Fact]) -> Result<(), CommitError> {
        let frames: Vec<Frame> = facts.iter().map(Fact::to_frame).collect();
        let length = frames.iter().map(|frame| frame.payload.len() as u64).sum();
        room::check(&self.reader.inner.data, length)?;
        let positions = self.journal.append(&frames)?;
        match self.show(facts, &frames, &positions) {
            Ok(()) => Ok(()),
            Err(fault) => {
                let _first = self.reader.inner.fault.set(fault.to_string());
                Err(CommitError::Unapplied(self.reader.note(fault)))
            }
        }
    }

    /// Waits until the log files say what is visible.
    pub fn settle(&self) -> Result<(), StoreFault> {
        self.files.settle()
    }

    fn show(
        &mut self,
        facts: &[Fact],
        frames: &[Frame],
        positions: &[Position],
    ) -> Result<(), StoreFault> {
        let mut stage = Stage::new(&self.reader.inner.table, self.state.clone());
        for (fact, position) in facts.iter().zip(positions) {
            stage.apply(fact, *position)?;
        }
        if let (Some(frame), Some(position)) = (frames.last(), positions.last()) {
            stage.state.applied = Some((*position, frame_digest(frame)));
        }
        let (state, touched) = stage.finish()?;
        self.state = state;
        for ((fact, position), frame) in facts.iter().zip(positions).zip(frames) {
            self.reader.inner.recent.keep(*position, fact, frame.payload.len());
        }
        self.files.touch(touched);
        Ok(())
    }

    fn check(&self, facts: &[Fact]) -> Result<(), CommitError> {
        let mut sizes: HashMap<&MemberId, u64> = HashMap::new();
        for fact in facts {
            let (log, index, leaves) = match fact {
                Fact::Entry { log, item, .. } if *log == self.state.own => (log, item.index, 1),
                Fact::Leaves { log, from, digests } => (log, *from, digests.len() as u64),
                Fact::Checkpoint { log, note } if note_size(note).is_none() => {
                    return Err(CommitError::Note(log.clone()));
                }
                _ => continue,
            };
            let size = match sizes.get(log) {
                Some(size) => *size,
                None => self
                    .reader
                    .try_size(log)
                    .map_err(|fault| CommitError::Stopped(self.reader.note(fault).to_string()))?,
            };
            let fits = if *log == self.state.own {
                matches!(fact, Fact::Entry { .. }) && index == size
            } else {
                index <= size
            };
            if !fits {
                return Err(CommitError::OutOfOrder { log: log.clone(), index, size });
            }
            sizes.insert(log, size.max(index.saturating_add(leaves)));
        }
        Ok(())
    }
}

/// Opens the index, or an empty one in the place of one that cannot serve.
fn open_index(
    data: &Path,
    own: &MemberId,
    journal: &JournalReader,
) -> Result<(sled::Db, State), StoreFault> {
    let dir = data.join("index");
    let suspect = data.join(SUSPECT);
    let present = dir.exists();
    if present && !suspect.exists() {
        // sled can panic on files that it did not write.
        let tried = catch_unwind(AssertUnwindSafe(|| usable_index(&dir, own, journal)));
        match tried {
            Ok(Ok(usable)) => return Ok(usable),
            Ok(Err(reason)) => tracing::warn!(%reason, "index cannot serve and is rebuilt"),
            Err(_) => tracing::warn!(reason = "sled panicked", "index cannot serve and is rebuilt"),
        }
    } else {
        tracing::info!(damaged = present, "index is built from the journal");
    }
    let io = |source| StoreFault::Io { path: dir.clone(), source };
    if present {
        fs::remove_dir_all(&dir).map_err(io)?;
    }
    if suspect.exists() {
        fs::remove_file(&suspect).map_err(io)?;
    }
    Ok((open_sled(&dir)?, State::new(own)))
}

fn open_sled(dir: &Path) -> Result<sled::Db, sled::Error> {
    sled::Config::new()
        .path(dir)
        .cache_capacity(CACHE_BYTES)
        .use_compression(false)
        // Flushed by the log files' thread, which knows whether the disk takes writes.
        .flush_every_ms(None)
        .open()
}

/// Opens an index and checks that it is ours, whole as far as can be told cheaply, and of this
/// journal.
fn usable_index(
    dir: &Path,
    own: &MemberId,
    journal: &JournalReader,
) -> Result<(sled::Db, State), String> {
    let db = open_sled(dir).map_err(|e| e.to_string())?;
    let value = db.get([row::STATE]).map_err(|e| e.to_string())?.ok_or("it is empty")?;
    let state = State::read(&value).map_err(|e| e.to_string())?;
    if state.own != *own {
        return Err(format!("it is of member {}", state.own));
    }
    let (position, digest) = state.applied.as_ref().ok_or("it has applied nothing")?;
    let frame = journal.read(*position).map_err(|e| e.to_string())?;
    if frame_digest(&frame) != *digest {
        return Err("it is of another journal".to_owned());
    }
    if db.size_on_disk().map_err(|e| e.to_string())? <= READ_THROUGH_BYTES {
        for pair in db.iter() {
            pair.map_err(|e| e.to_string())?;
        }
    }
    Ok((db, state))
}

/// Applies what the index has not seen, by the same code as a live commit.
fn replay(table: &Table, mut state: State, journal: &JournalReader) -> Result<State, StoreFault> {
    let seen = state.applied.as_ref().map(|(position, _)| *position);
    let mut frames = journal.scan(seen.unwrap_or(Position::START));
    if seen.is_some() {
        frames.next().transpose()?;
    }
    let (mut replayed, mut done) = (0u64, false);
    while !done {
        let mut stage = Stage::new(table, state);
        let (mut facts, mut bytes) = (0, 0);
        while facts < REPLAY_FACTS && bytes < REPLAY_BYTES {
            let Some(next) = frames.next() else {
                done = true;
                break;
            };
            let (position, frame) = next?;
            stage.apply(&Fact::from_frame(&frame)?, position)?;
            stage.state.applied = Some((position, frame_digest(&frame)));
            facts += 1;
            bytes += frame.payload.len();
        }
        replayed += facts as u64;
        state = stage.finish()?.0;
    }
    table.hand_over()?;
    if replayed > 0 {
        tracing::info!(facts = replayed, "index has caught up with the journal");
    }
    Ok(state)
}

fn frame_digest(frame: &Frame) -> Digest {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 1);
    bytes.push(frame.kind);
    bytes.extend_from_slice(&frame.payload);
    Digest::of(&bytes)
}

/// A file that says that the index was found damaged while it was in use.
const SUSPECT: &str = "index-suspect";

fn mark_suspect(data: &Path) {
    if let Err(cause) = fs::write(data.join(SUSPECT), b"") {
        tracing::error!(%cause, "cannot mark the index as damaged; delete it before the next start");
    }
}
