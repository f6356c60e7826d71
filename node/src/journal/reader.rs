//! Reading the journal: one frame by position, or all from a position on.
//!
//! Sees what the writer made durable and nothing else; every frame is checked when it is read.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::segment::{HEAD, HEADER, MARK, SEAL, Segment, WINDOW, Walk};
use super::{Frame, JournalFault, Position, Verb, io_fault, recover};

/// Segment files that a journal's readers keep open together.
const MAX_OPEN: usize = 32;
/// What reading a single frame fetches at first.
const SINGLE: usize = 4096;

/// What the writer and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    directory: PathBuf,
    end: RwLock<Position>,
    open: Mutex<VecDeque<Arc<Segment>>>,
}

impl Shared {
    pub fn new(directory: PathBuf, end: Position) -> Self {
        Self { directory, end: RwLock::new(end), open: Mutex::default() }
    }

    /// Lets readers see up to here: called when it is durable.
    pub fn publish(&self, end: Position) {
        *self.end.write().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Lets the next reader open a segment's file again, which is another one now.
    pub fn forget(&self, sequence: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|segment| segment.identity.sequence != sequence);
    }

    pub(super) fn end(&self) -> Position {
        *self.end.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, sequence: u64) -> Result<Arc<Segment>, JournalFault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = open.iter().find(|s| s.identity.sequence == sequence) {
            return Ok(segment.clone());
        }
        let segment = recover::open(&self.directory, sequence, false)?;
        open.push_back(segment.clone());
        if open.len() > MAX_OPEN {
            open.pop_front();
        }
        Ok(segment)
    }
}

/// Reads the journal while the writer goes on; cheap to clone, for any thread.
#[derive(Debug, Clone)]
pub struct JournalReader {
    shared: Arc<Shared>,
}

impl JournalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The durable end.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// The frame at a position that [`super::Journal::append`] or a scan gave.
    pub fn read(&self, position: Position) -> Result<Frame, JournalFault> {
        let end = self.end();
        if position >= end || position < Position::START {
            return Err(JournalFault::Beyond { position, end });
        }
        let segment = self.shared.segment(position.segment)?;
        let damaged = JournalFault::Damaged { segment: position.segment, offset: position.offset };
        let mut walk = Walk::new(segment.clone(), SINGLE);
        let frame = walk.frame(position.offset).map_err(io_fault(Verb::Read, &segment.path))?;
        match frame {
            Some((head, payload)) if !matches!(head.kind, MARK | SEAL) => {
                Ok(Frame { kind: head.kind, payload: payload.to_vec() })
            }
            _ => Err(damaged),
        }
    }

    /// All frames from `from` up to what is durable now. `from` is a position that `append`, a
    /// scan or `end` gave; what lies before [`Position::START`] means the start.
    ///
    /// Ends after the first error.
    pub fn scan(&self, from: Position) -> Scan {
        let from = from.max(Position::START);
        Scan { shared: self.shared.clone(), at: from, end: self.end(), walk: None, done: false }
    }
}

/// An iterator over the journal.
pub struct Scan {
    shared: Arc<Shared>,
    at: Position,
    end: Position,
    walk: Option<Walk>,
    done: bool,
}

impl Scan {
    fn step(&mut self) -> Result<Option<(Position, Frame)>, JournalFault> {
        if self.at > self.end {
            return Err(JournalFault::Beyond { position: self.at, end: self.end });
        }
        while self.at < self.end {
            let at = self.at;
            let walk = match self.walk.take() {
                Some(walk) if walk.segment.identity.sequence == at.segment => walk,
                _ => Walk::new(self.shared.segment(at.segment)?, WINDOW),
            };
            let walk = self.walk.insert(walk);
            let segment = walk.segment.clone();
            let frame = walk.frame(at.offset).map_err(io_fault(Verb::Read, &segment.path))?;
            let damaged = JournalFault::Damaged { segment: at.segment, offset: at.offset };
            match frame {
                Some((head, _)) if head.kind == SEAL && at.segment < self.end.segment => {
                    self.at = Position { segment: at.segment + 1, offset: HEADER };
                }
                Some((head, payload)) if !matches!(head.kind, MARK | SEAL) => {
                    let frame = Frame { kind: head.kind, payload: payload.to_vec() };
                    self.at.offset += HEAD + head.length;
                    return Ok(Some((at, frame)));
                }
                _ => return Err(damaged),
            }
        }
        Ok(None)
    }
}

impl Iterator for Scan {
    type Item = Result<(Position, Frame), JournalFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl FusedIterator for Scan {}
