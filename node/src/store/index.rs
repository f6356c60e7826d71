//! The index: rows in sled, derived from the journal.
//!
//! The rows of one commit become visible as a whole, and reach sled as a whole ([`super::table`]),
//! with the journal position that they stand for. [`Stage::apply`] alone turns facts into rows, in
//! live commits and in replay alike, and applying a fact twice changes nothing.
//!
//! This module knows nothing of files beside the index, and of no rule that decides whether a
//! fact ought to be believed.

use std::collections::BTreeSet;
use std::ops::Bound;

use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{leaf_hash, node_hash};
use sealwire_wire::message::Item;
use sealwire_wire::statement::{Body, Statement, leaf_data};

use super::StoreFault;
use super::decision::Decision;
use super::fact::Fact;
use super::rows::{
    Columns, State, at_key, control_key, idempotent_key, log_key, node_key, place_value, prefixed,
    read_place, row,
};
use super::table::{Rows, Table};
use crate::journal::Position;

/// What changed for the log files.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    /// Logs whose files are behind.
    pub logs: BTreeSet<MemberId>,
    /// Whether there is a new register version.
    pub register: bool,
}

/// Rows of one commit, not yet applied: reads see them, nobody else does.
pub(super) struct Stage<'a> {
    table: &'a Table,
    rows: Rows,
    touched: Touched,
    /// The state after this commit.
    pub state: State,
}

impl<'a> Stage<'a> {
    /// Begins a commit on top of what the index holds.
    pub fn new(table: &'a Table, state: State) -> Self {
        Self { table, rows: Rows::new(), touched: Touched::default(), state }
    }

    /// Makes all rows visible; hands over to sled what waits, if that has become much.
    pub fn finish(mut self) -> Result<(State, Touched), StoreFault> {
        let state = self.state.to_value();
        self.put(vec![row::STATE], state);
        if self.table.put(self.rows) > MAX_WAITING {
            self.table.hand_over()?;
        }
        Ok((self.state, self.touched))
    }

    /// Turns one fact, found at `at` in the journal, into rows.
    pub fn apply(&mut self, fact: &Fact, at: Position) -> Result<(), StoreFault> {
        match fact {
            Fact::Entry { log, received_at, item } => self.entry(log, *received_at, item, at),
            Fact::Checkpoint { log, note } => self.checkpoint(log, note, at),
            Fact::Leaves { log, from, digests } => self.leaves(log, *from, digests),
            Fact::Cosignature { log, by, size, time, .. } => {
                self.cosignature(log, by, *size, *time, at)
            }
            Fact::PqCosignature { log, by, size, time, .. } => {
                self.pq_cosignature(log, by, *size, *time, at)
            }
            Fact::Register { .. } => {
                let key = prefixed(row::REGISTER, &self.state.registers.to_be_bytes());
                self.put(key, at.to_bytes().to_vec());
                self.state.registers += 1;
                self.touched.register = true;
                Ok(())
            }
            Fact::Denial { log, ranges, .. } => {
                self.outcome(log, at);
                self.denial(log, ranges)
            }
            Fact::Secret { audience, .. } => self.secret(audience, at),
            Fact::Parts { log, index, sealed } => {
                let mut key = at_key(row::LATE, log, *index);
                key.extend_from_slice(&at.to_bytes());
                self.put(key, Vec::new());
                self.purge_again(log, *index, sealed.keys())?;
                self.stale(log, *index, at)
            }
            Fact::Decision(decision) => self.decision(decision, at),
            Fact::Read { log, .. } => self.read(log, at),
            Fact::Match(fact) => self.matching(fact, at),
            Fact::Reads { subject, log, count, .. } => self.reads(subject, log, *count, at),
            Fact::Erasure(erasure) => self.erasure(erasure, at),
            Fact::Purged(purged) => self.purged(purged),
            Fact::Hold(hold) => {
                self.hold(hold, at);
                Ok(())
            }
            Fact::Review(review) => {
                self.review(review, at);
                Ok(())
            }
        }
    }

    fn entry(
        &mut self,
        log: &MemberId,
        received_at: u64,
        item: &Item,
        at: Position,
    ) -> Result<(), StoreFault> {
        let key = at_key(row::ENTRY, log, item.index);
        let size = self.ensure_log(log)?;
        let ours = *log == self.state.own;
        // All entries of the own log are there up to its size, and none beyond.
        if if ours { item.index < size } else { self.get(&key)?.is_some() } {
            return Ok(());
        }
        if ours {
            // Refused before the journal by `Writer::commit`; a journal that says so is damaged.
            if item.index != size {
                return Err(StoreFault::OutOfOrder { log: log.clone(), index: item.index, size });
            }
            self.append_leaf(log, size, Digest::of(&item.statement))?;
            self.put_size(log, size + 1);
        } else {
            self.remove(at_key(row::MISSING, log, item.index));
        }
        let cursor = self.describe(log, item)?;
        self.state.entries += 1;
        let mut value = cursor.to_be_bytes().to_vec();
        value.extend_from_slice(&received_at.to_be_bytes());
        value.extend_from_slice(&at.to_bytes());
        self.put(key, value);
        self.stale(log, item.index, at)
    }

    /// Files an entry under what its statement says; bytes that are not a statement, kept in
    /// quarantine, are found by log and index alone. Returns the cursor, 0 if not in the feed.
    fn describe(&mut self, log: &MemberId, item: &Item) -> Result<u64, StoreFault> {
        let Ok(statement) = Statement::parse(&item.statement) else { return Ok(0) };
        let place = place_value(log, item.index);
        // Nobody else can have signed a content of ours: a replay is looked for among the others'.
        let theirs = *log != self.state.own;
        if let Some(content) = theirs.then(|| content_digest(&item.statement)).flatten() {
            let key = prefixed(row::CONTENT, &content.0);
            if self.get(&key)?.is_none() {
                self.put(key, place.clone());
            }
        }
        if let Body::Reads(reads) = &statement.manifest().body {
            self.counts_reads(log, reads)?;
        }
        if let Body::Audience(audience) = &statement.manifest().body {
            let key = prefixed(row::AUDIENCE_AT, &audience.audience);
            if self.get(&key)?.is_none() {
                self.put(key, place.clone());
            }
        }
        let Body::Record(record) = &statement.manifest().body else {
            let mut key = control_key(statement.manifest().kind());
            key.extend_from_slice(&self.state.entries.to_be_bytes());
            self.put(key, place);
            return Ok(0);
        };
        self.recorded(log, item.index, &statement, record)?;
        // The first entry under a record id keeps it, unless that one was quarantined: nobody
        // can hide a record by taking its id.
        let key = prefixed(row::RECORD, statement.claims().subject.as_bytes());
        let taken = match self.get(&key)? {
            None => false,
            Some(earlier) => {
                let (log, index) = read_place(&earlier)?;
                self.get(&at_key(row::QUARANTINE, &log, index))?.is_none()
            }
        };
        if !taken {
            self.put(key, place.clone());
        }
        self.state.cursor += 1;
        self.put(prefixed(row::FEED, &self.state.cursor.to_be_bytes()), place);
        self.relate(log, item.index, &statement.claims().subject, record)?;
        Ok(self.state.cursor)
    }

    fn leaves(&mut self, log: &MemberId, from: u64, digests: &[Digest]) -> Result<(), StoreFault> {
        let mut size = self.ensure_log(log)?;
        if from > size {
            return Err(StoreFault::OutOfOrder { log: log.clone(), index: from, size });
        }
        let ahead = self.denied_ahead(log)?;
        let held = usize::try_from(size - from).unwrap_or(usize::MAX);
        for digest in digests.iter().skip(held) {
            self.append_leaf(log, size, *digest)?;
            let denied = ahead.iter().any(|(from, to)| (*from..*to).contains(&size));
            if !denied && self.get(&at_key(row::ENTRY, log, size))?.is_none() {
                self.put(at_key(row::MISSING, log, size), Vec::new());
            }
            size += 1;
        }
        self.put_size(log, size);
        self.put_denied_ahead(log, ahead, size);
        self.touched.logs.insert(log.clone());
        Ok(())
    }

    /// Appends one leaf and every subtree that it completes.
    fn append_leaf(
        &mut self,
        log: &MemberId,
        index: u64,
        digest: Digest,
    ) -> Result<(), StoreFault> {
        self.put(at_key(row::LEAF, log, index), digest.0.to_vec());
        let (mut level, mut at, mut hash) = (0u8, index, leaf_hash(&leaf_data(&digest)));
        while at & 1 == 1 {
            let left = self.node(log, level, at - 1)?;
            hash = node_hash(&left, &hash);
            (level, at) = (level + 1, at >> 1);
            self.put(node_key(log, level, at), hash.0.to_vec());
        }
        Ok(())
    }

    fn node(&self, log: &MemberId, level: u8, index: u64) -> Result<Digest, StoreFault> {
        let key = match level {
            0 => at_key(row::LEAF, log, index),
            _ => node_key(log, level, index),
        };
        let digest = Digest(Columns(&self.get(&key)?.ok_or(StoreFault::Row)?).take()?);
        Ok(if level == 0 { leaf_hash(&leaf_data(&digest)) } else { digest })
    }

    fn denial(&mut self, log: &MemberId, ranges: &[(u64, u64)]) -> Result<(), StoreFault> {
        let size = self.ensure_log(log)?;
        let mut ahead = self.denied_ahead(log)?;
        for (from, to) in ranges {
            let (first, last) = (at_key(row::MISSING, log, *from), at_key(row::MISSING, log, *to));
            for key in self.keys_between(&first, &last)? {
                self.remove(key);
            }
            if *to > size {
                ahead.push((*from, *to));
            }
        }
        self.put_denied_ahead(log, ahead, size);
        Ok(())
    }

    fn denied_ahead(&self, log: &MemberId) -> Result<Vec<(u64, u64)>, StoreFault> {
        let value = self.get(&log_key(row::DENIED_AHEAD, log))?.unwrap_or_default();
        let mut columns = Columns(&value);
        let mut ranges = Vec::new();
        while !columns.0.is_empty() {
            ranges.push((columns.u64()?, columns.u64()?));
        }
        Ok(ranges)
    }

    /// Keeps the ranges that reach beyond `size`, merged; the newest [`MAX_DENIED_AHEAD`] of
    /// them, since a forgotten one is only asked for again.
    fn put_denied_ahead(&mut self, log: &MemberId, mut ranges: Vec<(u64, u64)>, size: u64) {
        ranges.retain(|(_, to)| *to > size);
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        merged.truncate(MAX_DENIED_AHEAD);
        let key = log_key(row::DENIED_AHEAD, log);
        if merged.is_empty() {
            self.remove(key);
        } else {
            let flat = merged.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()]);
            self.put(key, flat.flatten().collect());
        }
    }

    fn checkpoint(&mut self, log: &MemberId, note: &str, at: Position) -> Result<(), StoreFault> {
        self.ensure_log(log)?;
        let size = note_size(note).ok_or_else(|| StoreFault::Note { log: log.clone() })?;
        self.put(at_key(row::HEAD_AT, log, size), at.to_bytes().to_vec());
        let key = log_key(row::HEAD, log);
        let latest = match self.get(&key)? {
            None => 0,
            Some(value) => Columns(&value).u64()?,
        };
        if size >= latest {
            let mut value = size.to_be_bytes().to_vec();
            value.extend_from_slice(note.as_bytes());
            self.put(key, value);
        }
        self.touched.logs.insert(log.clone());
        Ok(())
    }

    fn decision(&mut self, decision: &Decision, at: Position) -> Result<(), StoreFault> {
        match decision {
            Decision::Quarantined { log, index, .. } => {
                self.put(at_key(row::QUARANTINE, log, *index), at.to_bytes().to_vec());
                self.outcome(log, at);
            }
            Decision::Idempotent { principal, key, request, index } => {
                let mut value = request.0.to_vec();
                value.extend_from_slice(&index.to_be_bytes());
                self.put(idempotent_key(principal, key), value);
            }
            Decision::HeadAccepted { .. } => self.outcome(&self.state.own.clone(), at),
            Decision::Screened(screened) => self.screened(&screened.record, at),
            Decision::RefusedBy { member, index, .. } => {
                let mut key = prefixed(row::REFUSED_BY, &index.to_be_bytes());
                key.extend_from_slice(member.as_str().as_bytes());
                self.put(key, at.to_bytes().to_vec());
                self.outcome(&self.state.own.clone(), at);
            }
        }
        Ok(())
    }

    /// Notes a fact for the log's outcome file, in the journal's order.
    pub(super) fn outcome(&mut self, log: &MemberId, at: Position) {
        let mut key = log_key(row::OUTCOME, log);
        key.extend_from_slice(&at.to_bytes());
        self.put(key, Vec::new());
        self.touched.logs.insert(log.clone());
    }

    /// Marks the statement file that holds `index` as behind, with the lowest index at fault.
    pub(super) fn stale(
        &mut self,
        log: &MemberId,
        index: u64,
        at: Position,
    ) -> Result<(), StoreFault> {
        self.touched.logs.insert(log.clone());
        let key = at_key(row::STALE, log, index / 256);
        let lowest = match self.get(&key)? {
            None => index,
            Some(value) => Columns(&value).u64()?.min(index),
        };
        let mut value = lowest.to_be_bytes().to_vec();
        value.extend_from_slice(&at.to_bytes());
        self.put(key, value);
        Ok(())
    }

    /// Has a log's files looked at.
    pub(super) fn touch(&mut self, log: &MemberId) {
        self.touched.logs.insert(log.clone());
    }

    /// The size of a log; makes the log known.
    fn ensure_log(&mut self, log: &MemberId) -> Result<u64, StoreFault> {
        let size = self.size(log)?;
        if size.is_none() {
            self.put_size(log, 0);
        }
        Ok(size.unwrap_or(0))
    }

    /// The number of leaves of a log, if it is known.
    pub fn size(&self, log: &MemberId) -> Result<Option<u64>, StoreFault> {
        self.get(&log_key(row::LOG, log))?.map(|value| Columns(&value).u64()).transpose()
    }

    fn put_size(&mut self, log: &MemberId, size: u64) {
        self.put(log_key(row::LOG, log), size.to_be_bytes().to_vec());
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        match self.rows.get(key) {
            Some(staged) => Ok(staged.as_ref().map(|value| value.to_vec())),
            None => Ok(self.table.get(key)?.map(|value| value.to_vec())),
        }
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.rows.insert(key.into(), Some(value.into()));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.rows.insert(key.into(), None);
    }

    /// Keys in `[first, last)` that hold a value.
    fn keys_between(&self, first: &[u8], last: &[u8]) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.first_keys_between(first, last, usize::MAX)
    }

    /// The first of them.
    pub(super) fn first_keys_between(
        &self,
        first: &[u8],
        last: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreFault> {
        if first >= last {
            return Ok(Vec::new());
        }
        let ends = (Bound::Included(first), Bound::Excluded(last));
        let mut keys = BTreeSet::new();
        for key in self.table.range(ends).keys() {
            let key = key?;
            if keys.len() == limit {
                break;
            }
            if !self.rows.contains_key(&key) {
                keys.insert(key.to_vec());
            }
        }
        let staged = self.rows.range::<[u8], _>(ends);
        keys.extend(staged.filter(|(_, value)| value.is_some()).map(|(key, _)| key.to_vec()));
        Ok(keys.into_iter().take(limit).collect())
    }
}

/// Size in a checkpoint note: its second line.
pub(super) fn note_size(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

/// SHA-256 of the `Sig_structure` of a well-formed statement: `Signature1`, the protected
/// header, no external data, the payload. The byte strings are taken over as they stand.
fn content_digest(statement: &[u8]) -> Option<Digest> {
    let (protected, rest) = byte_string(statement.strip_prefix(&[0xd2, 0x84])?)?;
    let (payload, _) = byte_string(rest.strip_prefix(&[0xa0])?)?;
    let mut structure = Vec::with_capacity(statement.len());
    structure.extend_from_slice(b"\x84\x6aSignature1");
    structure.extend_from_slice(protected);
    structure.push(0x40);
    structure.extend_from_slice(payload);
    Some(Digest::of(&structure))
}

/// The encoded byte string at the start, head included, and what follows.
fn byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, len) = match *bytes {
        [short @ 0x40..=0x57, ..] => (1, usize::from(short - 0x40)),
        [0x58, len, ..] => (2, usize::from(len)),
        [0x59, high, low, ..] => (3, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    bytes.split_at_checked(head + len)
}

/// Rows that may wait in memory, some 1 MiB; the log files' thread mostly takes them much earlier.
const MAX_WAITING: usize = 8192;
/// Most ranges kept of denials that reach beyond the leaves known.
const MAX_DENIED_AHEAD: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_statements_and_notes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            text in ".{0,80}",
        ) {
            let _ = content_digest(&bytes);
            let _ = note_size(&text);
        }
    }
}
