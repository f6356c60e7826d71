//! The cosignatures of a log, in the store: the latest of each member, and all by their size.

use std::ops::Bound;

use sealwire_wire::id::MemberId;

use super::reader::index_of;
use super::rows::{Columns, by_key, log_key, row};
use super::{Fact, Reader, StoreFault};
use crate::journal::Position;

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

impl Reader {
    /// The latest cosignature of each member that cosigned a log.
    pub fn cosignatures(&self, log: &MemberId) -> Vec<Cosigned> {
        let prefix = log_key(row::COSIGNED, log);
        self.list(self.inner.table.scan_prefix(&prefix), usize::MAX, |_, value| {
            self.cosigned(Columns(value.get(16..).unwrap_or_default()).position()?)
        })
    }

    /// The size that each member that cosigned a log cosigned last.
    pub fn cosigned_sizes(&self, log: &MemberId) -> Vec<u64> {
        let rows = self.inner.table.scan_prefix(log_key(row::COSIGNED, log));
        self.list(rows, usize::MAX, |_, value| Columns(value).u64())
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

    fn cosigned(&self, at: Position) -> Result<Cosigned, StoreFault> {
        match self.fact(at)? {
            Fact::Cosignature { by, size, time, line, .. } => Ok(Cosigned { by, size, time, line }),
            _ => Err(self.damaged()),
        }
    }
}
