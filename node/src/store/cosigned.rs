//! Cosignatures held: whose, over which checkpoint, of which kind.
//!
//! A member cosigns every head with Ed25519, and some of these with ML-DSA-44 too; what is said of
//! "the" cosignature of a member is the first kind.

use std::collections::BTreeSet;
use std::ops::Bound;

use sealwire_wire::id::MemberId;

use super::fact::Fact;
use super::index::Stage;
use super::reader::index_of;
use super::rows::{Columns, by_key, log_key, row};
use super::{Reader, StoreFault};
use crate::journal::Position;

/// Most lines of ML-DSA-44 that a note shows: each has 3.3 kB, and a note at most 256 KiB.
pub const MAX_PQ_LINES: usize = 32;

/// A cosignature as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// Who cosigned.
    pub by: MemberId,
    /// Size of the tree that was cosigned.
    pub size: u64,
    /// The cosigner's time, seconds since 1970.
    pub time: u64,
    /// The full signature line of the note.
    pub line: String,
}

impl Stage<'_> {
    pub(super) fn cosignature(
        &mut self,
        log: &MemberId,
        by: &MemberId,
        size: u64,
        time: u64,
        at: Position,
    ) -> Result<(), StoreFault> {
        let mut value = self.cosigned_at(row::COSIGNED_AT, log, by, (size, time), at)?;
        let key = by_key(row::COSIGNED, log, by);
        let latest = match self.get(&key)? {
            None => 0,
            Some(value) => Columns(&value).u64()?,
        };
        if size >= latest {
            value.splice(0..0, size.to_be_bytes());
            self.put(key, value);
        }
        Ok(())
    }

    pub(super) fn pq_cosignature(
        &mut self,
        log: &MemberId,
        by: &MemberId,
        size: u64,
        time: u64,
        at: Position,
    ) -> Result<(), StoreFault> {
        self.cosigned_at(row::COSIGNED_PQ_AT, log, by, (size, time), at).map(|_| ())
    }

    /// Notes the cosignature of one size; the first counts, since a later one proves less.
    fn cosigned_at(
        &mut self,
        row: u8,
        log: &MemberId,
        by: &MemberId,
        (size, time): (u64, u64),
        at: Position,
    ) -> Result<Vec<u8>, StoreFault> {
        let mut key = by_key(row, log, by);
        key.extend_from_slice(&size.to_be_bytes());
        let mut value = time.to_be_bytes().to_vec();
        value.extend_from_slice(&at.to_bytes());
        if self.get(&key)?.is_none() {
            self.put(key, value.clone());
        }
        self.touch(log);
        Ok(value)
    }
}

impl Reader {
    /// The latest cosignature of each member that cosigned a log.
    pub fn cosignatures(&self, log: &MemberId) -> Vec<Cosigned> {
        let prefix = log_key(row::COSIGNED, log);
        self.list(self.inner.table.scan_prefix(&prefix), usize::MAX, |_, value| {
            self.cosigned(Columns(value.get(16..).unwrap_or_default()).position()?)
        })
    }

    /// The cosignatures over the checkpoint of exactly this size.
    pub fn cosignatures_at(&self, log: &MemberId, size: u64) -> Vec<Cosigned> {
        let prefix = log_key(row::COSIGNED, log);
        let found = self.list(self.inner.table.scan_prefix(&prefix), usize::MAX, |key, _| {
            let by = Columns(key.get(prefix.len()..).unwrap_or_default()).member()?;
            let mut key = by_key(row::COSIGNED_AT, log, &by);
            key.extend_from_slice(&size.to_be_bytes());
            let Some(value) = self.get(&key)? else { return Ok(None) };
            self.cosigned(Columns(value.get(8..).unwrap_or_default()).position()?).map(Some)
        });
        found.into_iter().flatten().collect()
    }

    /// Size and time of the first cosignature by `by` that covers `index` of `log`.
    pub fn cosigned_at(&self, log: &MemberId, by: &MemberId, index: u64) -> Option<(u64, u64)> {
        let key = |size: u64| {
            let mut key = by_key(row::COSIGNED_AT, log, by);
            key.extend_from_slice(&size.to_be_bytes());
            key
        };
        let (first, last) = (key(index.saturating_add(1)), key(u64::MAX));
        let rows = self.inner.table.range((Bound::Included(&first), Bound::Included(&last)));
        let found = self.list(rows, 1, |key, value| Ok((index_of(key)?, Columns(value).u64()?)));
        found.into_iter().next()
    }

    /// The cosignatures with ML-DSA-44 over the checkpoint of exactly this size.
    pub fn pq_cosignatures_at(&self, log: &MemberId, size: u64) -> Vec<Cosigned> {
        let found = self.cosigners(log).into_iter().filter_map(|by| {
            let mut key = by_key(row::COSIGNED_PQ_AT, log, &by);
            key.extend_from_slice(&size.to_be_bytes());
            let found = self.get(&key).and_then(|value| {
                let at = value.map(|v| Columns(v.get(8..).unwrap_or_default()).position());
                at.transpose()?.map(|at| self.cosigned(at)).transpose()
            });
            self.or_default(found)
        });
        found.take(MAX_PQ_LINES).collect()
    }

    /// The largest size that a member cosigned with ML-DSA-44, 0 for none.
    pub fn pq_cosigned(&self, log: &MemberId, by: &MemberId) -> u64 {
        let last = self.inner.table.last(&by_key(row::COSIGNED_PQ_AT, log, by));
        let size = last.map_err(StoreFault::from).map(|key| key.map(|key| index_of(&key)));
        let size = size.and_then(Option::transpose);
        self.or_default(size).unwrap_or(0)
    }

    /// The sizes above `index` whose checkpoints are worth showing: those that somebody cosigned
    /// last, with either kind.
    pub fn cosigned_sizes(&self, log: &MemberId, index: u64) -> BTreeSet<u64> {
        let rows = self.inner.table.scan_prefix(log_key(row::COSIGNED, log));
        let sizes = self.list(rows, usize::MAX, |_, value| Columns(value).u64());
        let mut sizes: BTreeSet<u64> = sizes.into_iter().filter(|size| *size > index).collect();
        // A member that has not cosigned that far has not done so with ML-DSA-44 either.
        if !sizes.is_empty() {
            let pq = self.cosigners(log).into_iter().map(|by| self.pq_cosigned(log, &by));
            sizes.extend(pq.filter(|size| *size > index));
        }
        sizes
    }

    /// A note with the cosignatures of its size, of both kinds.
    pub fn with_cosignatures(&self, log: &MemberId, size: u64, mut note: String) -> String {
        let pq = self.pq_cosignatures_at(log, size);
        for cosigned in self.cosignatures_at(log, size).iter().chain(&pq) {
            note.push_str(cosigned.line.trim_end_matches('\n'));
            note.push('\n');
        }
        note
    }

    /// The members that cosigned a log.
    fn cosigners(&self, log: &MemberId) -> Vec<MemberId> {
        let prefix = log_key(row::COSIGNED, log);
        self.list(self.inner.table.scan_prefix(&prefix), usize::MAX, |key, _| {
            Columns(key.get(prefix.len()..).unwrap_or_default()).member()
        })
    }

    fn cosigned(&self, at: Position) -> Result<Cosigned, StoreFault> {
        match self.fact(at)? {
            Fact::Cosignature { by, size, time, line, .. }
            | Fact::PqCosignature { by, size, time, line, .. } => {
                Ok(Cosigned { by, size, time, line })
            }
            _ => Err(self.damaged()),
        }
    }
}
