//! Reading: what the node holds, from the index and, for payloads, from the journal.
//!
//! A reader is cheap to clone and sees a commit as a whole once it has been applied. The methods without a `Result` answer "nothing" when the index fails; the fault
//! is then remembered, the writer refuses from there on ([`Reader::fault`]), and the next start
//! rebuilds the index, so that no decision is made durable on the ground of a damaged index.
//!
//! This module knows nothing of keys: what is sealed stays sealed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::merkle::{self, Frontier, Subtrees};
use sealwire_wire::message::Item;
use sealwire_wire::seal::AudienceId;
use sealwire_wire::statement::leaf_data;

use super::StoreFault;
use super::decision::Decision;
use super::fact::Fact;
use super::forgetting::{self, Erased};
use super::lock::Lock;
use super::recent::Recent;
use super::rows::{
    Columns, State, at_key, control_key, idempotent_key, log_key, node_key, prefixed, read_place,
    row,
};
use super::table::{Range, Table};
use crate::journal::{JournalReader, Position};

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Place in the order of arrival of records; 0 for an entry that is not a record.
    pub cursor: u64,
    /// When it arrived, milliseconds since 1970.
    pub received_at: u64,
    /// The entry, with parts that came later merged in; without a proof.
    pub item: Item,
    /// Code and text, if the entry failed the gate.
    pub quarantined: Option<(String, String)>,
    /// Parts that were erased here, by class.
    pub erased: BTreeMap<String, Erased>,
}

pub(super) struct Inner {
    pub table: Table,
    pub journal: JournalReader,
    pub recent: Recent,
    pub data: PathBuf,
    pub fault: OnceLock<String>,
    /// Held as long as anything may read or write the directory.
    pub lock: Lock,
}

/// Reads what is stored.
#[derive(Clone)]
pub struct Reader {
    pub(super) inner: Arc<Inner>,
}

impl Reader {
    /// An entry with everything known of it, but for parts that were erased.
    pub fn entry(&self, log: &MemberId, index: u64) -> Result<Option<StoredEntry>, StoreFault> {
        let mut entry = self.whole_entry(log, index)?;
        if let Some(StoredEntry { item, erased, .. }) = &mut entry {
            forgetting::without(item, erased);
        }
        Ok(entry)
    }

    pub(super) fn whole_entry(
        &self,
        log: &MemberId,
        index: u64,
    ) -> Result<Option<StoredEntry>, StoreFault> {
        let Some(value) = self.get(&at_key(row::ENTRY, log, index))? else { return Ok(None) };
        let mut columns = Columns(&value);
        let (cursor, received_at) = (columns.u64()?, columns.u64()?);
        let Fact::Entry { mut item, .. } = self.fact(columns.position()?)? else {
            return Err(self.damaged());
        };
        for key in self.inner.table.scan_prefix(at_key(row::LATE, log, index)).keys() {
            let key = key.map_err(|e| self.note(e.into()))?;
            let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
            let Fact::Parts { sealed, .. } = self.fact(Position::from_bytes(at))? else {
                return Err(self.damaged());
            };
            for (class, bytes) in sealed {
                item.sealed.entry(class).or_insert(bytes);
            }
        }
        let quarantined = match self.get(&at_key(row::QUARANTINE, log, index))? {
            None => None,
            Some(at) => match self.fact(Columns(&at).position()?)? {
                Fact::Decision(Decision::Quarantined { code, text, .. }) => Some((code, text)),
                _ => return Err(self.damaged()),
            },
        };
        let erased = self.erased(log, index)?;
        Ok(Some(StoredEntry { cursor, received_at, item, quarantined, erased }))
    }

    /// Where a record is.
    pub fn locate(&self, record: &RecordId) -> Option<(MemberId, u64)> {
        self.place(&prefixed(row::RECORD, record.as_bytes()))
    }

    /// Where an entry with this content digest is.
    pub fn known_content(&self, content: &Digest) -> Option<(MemberId, u64)> {
        self.place(&prefixed(row::CONTENT, &content.0))
    }

    /// Records that arrived after a cursor: cursor, log, index.
    pub fn feed(&self, after: u64, limit: usize) -> Vec<(u64, MemberId, u64)> {
        let first = prefixed(row::FEED, &after.saturating_add(1).to_be_bytes());
        let last = prefixed(row::FEED, &[0xff; 9]);
        let rows = self.inner.table.range((Bound::Included(&first), Bound::Excluded(&last)));
        self.list(rows, limit, |key, value| {
            let (log, index) = read_place(value)?;
            Ok((Columns(key.get(1..).unwrap_or_default()).u64()?, log, index))
        })
    }

    /// The last cursor given out.
    pub fn last_cursor(&self) -> u64 {
        self.state(|state| state.cursor)
    }

    /// Entries held, control entries included.
    pub fn entry_count(&self) -> u64 {
        self.state(|state| state.entries)
    }

    /// Logs of which anything is known.
    pub fn logs(&self) -> Vec<MemberId> {
        self.list(self.inner.table.scan_prefix([row::LOG]), usize::MAX, |key, _| {
            Columns(key.get(1..).unwrap_or_default()).member()
        })
    }

    /// Number of leaves of a log.
    pub fn size(&self, log: &MemberId) -> u64 {
        let size = self.try_size(log);
        self.or_default(size)
    }

    /// The tree of a log, ready to take more leaves.
    pub fn frontier(&self, log: &MemberId) -> Frontier {
        let found = self.try_size(log).and_then(|size| merkle::frontier_at(&self.tree(log), size));
        self.or_default(found)
    }

    /// Root of a log at a size that it has reached.
    pub fn root(&self, log: &MemberId, size: u64) -> Result<Digest, StoreFault> {
        self.reached(log, size)?;
        merkle::root_at(&self.tree(log), size)
    }

    /// The latest signed note of a log, without cosignatures, and the size that it signs.
    pub fn checkpoint(&self, log: &MemberId) -> Option<(u64, String)> {
        let found = self.head(log);
        self.or_default(found)
    }

    /// The signed note of a log at exactly this size, if one was stored.
    pub fn checkpoint_at(&self, log: &MemberId, size: u64) -> Option<String> {
        let found = self.get(&at_key(row::HEAD_AT, log, size)).and_then(|at| match at {
            None => Ok(None),
            Some(at) => match self.fact(Columns(&at).position()?)? {
                Fact::Checkpoint { note, .. } => Ok(Some(note)),
                _ => Err(self.damaged()),
            },
        });
        self.or_default(found)
    }

    /// Statement digest of a leaf.
    pub fn leaf(&self, log: &MemberId, index: u64) -> Option<Digest> {
        let found = self
            .get(&at_key(row::LEAF, log, index))
            .and_then(|value| value.map(|value| Ok(Digest(Columns(&value).take()?))).transpose());
        self.or_default(found)
    }

    /// Statement digests of the leaves from `from` on.
    pub fn leaves(&self, log: &MemberId, from: u64, limit: usize) -> Vec<Digest> {
        let (first, last) = (at_key(row::LEAF, log, from), at_key(row::LEAF, log, u64::MAX));
        let rows = self.inner.table.range((Bound::Included(&first), Bound::Included(&last)));
        self.list(rows, limit, |_, value| Ok(Digest(Columns(value).take()?)))
    }

    /// Indexes below the mirrored size with neither an entry nor a denial that covers them.
    pub fn missing(&self, log: &MemberId, limit: usize) -> Vec<u64> {
        let rows = self.inner.table.scan_prefix(log_key(row::MISSING, log));
        self.list(rows, limit, |key, _| index_of(key))
    }

    /// An audience secret under the local data key, and who made it.
    pub fn secret(&self, audience: &AudienceId) -> Option<(MemberId, Vec<u8>)> {
        let found = self
            .get(&prefixed(row::SECRET, audience))
            .and_then(|at| at.map(|at| self.secret_fact(Columns(&at).position()?)).transpose());
        self.or_default(found).map(|(_, originator, sealed)| (originator, sealed))
    }

    /// All audience secrets, each as it was kept last.
    pub fn secrets(&self) -> Vec<(AudienceId, MemberId, Vec<u8>)> {
        self.list(self.inner.table.scan_prefix([row::SECRET]), usize::MAX, |_, at| {
            self.secret_fact(Columns(at).position()?)
        })
    }

    /// What became of an idempotent request: digest of the request, index of the entry.
    pub fn idempotent(&self, principal: &str, key: &str) -> Option<(Digest, u64)> {
        let found = self.get(&idempotent_key(principal, key)).and_then(|value| {
            value
                .map(|value| {
                    let mut columns = Columns(&value);
                    Ok((Digest(columns.take()?), columns.u64()?))
                })
                .transpose()
        });
        self.or_default(found)
    }

    /// Who quarantined an entry of the own log, with code and text.
    pub fn refused_by(&self, index: u64) -> Vec<(MemberId, String, String)> {
        let prefix = prefixed(row::REFUSED_BY, &index.to_be_bytes());
        self.list(self.inner.table.scan_prefix(prefix), usize::MAX, |_, at| {
            match self.fact(Columns(at).position()?)? {
                Fact::Decision(Decision::RefusedBy { member, code, text, .. }) => {
                    Ok((member, code, text))
                }
                _ => Err(self.damaged()),
            }
        })
    }

    /// Adopted register versions as received, in the order of their adoption.
    pub fn register_versions(&self) -> Vec<Vec<u8>> {
        self.list(self.inner.table.scan_prefix([row::REGISTER]), usize::MAX, |_, at| {
            match self.fact(Columns(at).position()?)? {
                Fact::Register { bytes } => Ok(bytes),
                _ => Err(self.damaged()),
            }
        })
    }

    /// Entries of a kind that is not a record (`key`, `audience`, `register`), in order of arrival.
    pub fn control_entries(&self, kind: &str) -> Vec<(MemberId, u64)> {
        let rows = self.inner.table.scan_prefix(control_key(kind));
        self.list(rows, usize::MAX, |_, value| read_place(value))
    }

    /// Inclusion proof of a leaf in the tree of `size` leaves, leaf to root.
    pub fn inclusion_proof(
        &self,
        log: &MemberId,
        index: u64,
        size: u64,
    ) -> Result<Vec<Digest>, StoreFault> {
        self.reached(log, size)?;
        if index >= size {
            return Err(StoreFault::NotReached { log: log.clone(), asked: index, size });
        }
        merkle::inclusion_proof(&self.tree(log), index, size)
    }

    /// Consistency proof from the tree of `old` leaves to the tree of `size` leaves.
    pub fn consistency_proof(
        &self,
        log: &MemberId,
        old: u64,
        size: u64,
    ) -> Result<Vec<Digest>, StoreFault> {
        self.reached(log, size)?;
        if old > size {
            return Err(StoreFault::NotReached { log: log.clone(), asked: old, size });
        }
        merkle::consistency_proof(&self.tree(log), old, size)
    }

    /// What went wrong with the index since it was opened. From then on nothing is committed.
    pub fn fault(&self) -> Option<&str> {
        self.inner.fault.get().map(String::as_str)
    }

    /// Size and text of the latest checkpoint.
    pub(super) fn head(&self, log: &MemberId) -> Result<Option<(u64, String)>, StoreFault> {
        let Some(value) = self.get(&log_key(row::HEAD, log))? else { return Ok(None) };
        let mut columns = Columns(&value);
        let size = columns.u64()?;
        Ok(Some((size, columns.text()?.to_owned())))
    }

    pub(super) fn try_size(&self, log: &MemberId) -> Result<u64, StoreFault> {
        match self.get(&log_key(row::LOG, log))? {
            None => Ok(0),
            Some(value) => Columns(&value).u64(),
        }
    }

    /// Hash of a complete subtree.
    pub(super) fn node(&self, log: &MemberId, level: u8, index: u64) -> Result<Digest, StoreFault> {
        let key = match level {
            0 => at_key(row::LEAF, log, index),
            _ => node_key(log, level, index),
        };
        let value = self.get(&key)?.ok_or_else(|| self.damaged())?;
        let digest = Digest(Columns(&value).take()?);
        Ok(if level == 0 { merkle::leaf_hash(&leaf_data(&digest)) } else { digest })
    }

    /// The indexes of the entries held in `[from, to)`, at most `limit`.
    pub(super) fn held(
        &self,
        log: &MemberId,
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreFault> {
        let (first, last) = (at_key(row::ENTRY, log, from), at_key(row::ENTRY, log, to));
        let ends = (Bound::Included(first.as_slice()), Bound::Excluded(last.as_slice()));
        let keys = self.inner.table.range(ends).keys().take(limit);
        keys.map(|key| index_of(&key.map_err(|e| self.note(e.into()))?)).collect()
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreFault> {
        self.inner.table.get(key).map_err(|e| self.note(e.into()))
    }

    /// Remembers a fault, so that nothing more is committed and the next start rebuilds.
    pub(super) fn note(&self, fault: StoreFault) -> StoreFault {
        if fault.is_damage() && self.inner.fault.set(fault.to_string()).is_ok() {
            tracing::error!(cause = %fault, "index damaged; it is rebuilt at the next start");
            super::mark_suspect(&self.inner.data);
        }
        fault
    }

    fn tree<'a>(&'a self, log: &'a MemberId) -> Tree<'a> {
        Tree { reader: self, log }
    }

    pub(super) fn damaged(&self) -> StoreFault {
        self.note(StoreFault::Row)
    }

    pub(super) fn fact(&self, at: Position) -> Result<Fact, StoreFault> {
        if let Some(fact) = self.inner.recent.get(at) {
            return Ok(fact);
        }
        let frame = self.inner.journal.read(at).map_err(|e| self.note(StoreFault::from(e)))?;
        Ok(Fact::from_frame(&frame)?)
    }

    fn secret_fact(&self, at: Position) -> Result<(AudienceId, MemberId, Vec<u8>), StoreFault> {
        match self.fact(at)? {
            Fact::Secret { audience, originator, sealed } => Ok((audience, originator, sealed)),
            _ => Err(self.damaged()),
        }
    }

    fn reached(&self, log: &MemberId, asked: u64) -> Result<(), StoreFault> {
        let size = self.try_size(log)?;
        if asked <= size {
            Ok(())
        } else {
            Err(StoreFault::NotReached { log: log.clone(), asked, size })
        }
    }

    fn place(&self, key: &[u8]) -> Option<(MemberId, u64)> {
        let found = self.get(key).and_then(|value| value.map(|v| read_place(&v)).transpose());
        self.or_default(found)
    }

    fn state<T: Default>(&self, pick: impl FnOnce(State) -> T) -> T {
        let found = self
            .get(&[row::STATE])
            .and_then(|value| value.map(|value| State::read(&value)).transpose());
        self.or_default(found).map(pick).unwrap_or_default()
    }

    pub(super) fn list<T>(
        &self,
        rows: Range,
        limit: usize,
        read: impl Fn(&[u8], &[u8]) -> Result<T, StoreFault>,
    ) -> Vec<T> {
        let listed = rows
            .take(limit)
            .map(|pair| pair.map_err(StoreFault::from).and_then(|(k, v)| read(&k, &v)))
            .collect();
        self.or_default(listed)
    }

    pub(super) fn or_default<T: Default>(&self, found: Result<T, StoreFault>) -> T {
        found.map_err(|fault| self.note(fault)).unwrap_or_default()
    }
}

/// The subtrees of one log.
struct Tree<'a> {
    reader: &'a Reader,
    log: &'a MemberId,
}

impl Subtrees for Tree<'_> {
    type Error = StoreFault;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, StoreFault> {
        self.reader.node(self.log, level, index)
    }
}

/// The index at the end of a key.
pub(super) fn index_of(key: &[u8]) -> Result<u64, StoreFault> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)).ok_or(StoreFault::Row)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, entry, id, leaf};
    use super::*;

    #[test]
    fn proofs_of_every_size_verify() {
        let own = id("ID");
        let mut world = World::new();
        let facts: Vec<Fact> = (0..40).map(|index| entry(&own, index)).collect();
        world.commit(&facts);
        let r = world.reader();
        let hashes: Vec<Digest> =
            (0..40).map(|i| merkle::leaf_hash(&leaf_data(&leaf(&own, i)))).collect();
        let root = |size: usize| {
            let mut frontier = Frontier::default();
            hashes[..size].iter().for_each(|hash| frontier.push(*hash));
            frontier.root()
        };
        for size in 0..=40 {
            let at = size as u64;
            assert_eq!(r.root(&own, at).unwrap(), root(size), "size {size}");
            for index in 0..at {
                let proof = r.inclusion_proof(&own, index, at).unwrap();
                let hash = hashes[index as usize];
                merkle::verify_inclusion(&hash, index, at, &proof, &root(size)).unwrap();
            }
            for old in 0..=at {
                let proof = r.consistency_proof(&own, old, at).unwrap();
                let (from, to) = (root(old as usize), root(size));
                merkle::verify_consistency(old, &from, at, &to, &proof).unwrap();
            }
            assert!(r.inclusion_proof(&own, at, at).is_err());
        }
        assert!(r.root(&own, 41).is_err() && r.consistency_proof(&own, 1, 41).is_err());
        let mut frontier = r.frontier(&own);
        assert_eq!((frontier.size(), frontier.root()), (40, root(40)));
        frontier.push(Digest([1; 32]));
        let mut expected = Frontier::default();
        hashes.iter().chain([&Digest([1; 32])]).for_each(|hash| expected.push(*hash));
        assert_eq!(frontier.root(), expected.root(), "the frontier takes more leaves");
        assert_eq!(r.frontier(&id("SG")).size(), 0);
    }
}
