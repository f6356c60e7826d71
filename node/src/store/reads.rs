//! The read log in the store: every read of a restricted part, those that no entry of our log
//! counts yet, and which entries count reads of a record.

use std::ops::Bound;

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::reads::Read;
use sealwire_wire::statement::ReadsManifest;

use super::index::Stage;
use super::rows::{Columns, log_key, place_value, prefixed, read_place, row};
use super::{Fact, Reader, StoreFault};
use crate::journal::Position;

/// A read that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRead {
    /// Its place in the order of reads: ask for those after it.
    pub cursor: String,
    /// The member whose record was read.
    pub log: MemberId,
    /// What was read.
    pub read: Read,
}

impl Stage<'_> {
    /// A read, which no entry of our log counts yet.
    pub(super) fn read(&mut self, log: &MemberId, at: Position) {
        self.put(prefixed(row::READ, &at.to_bytes()), Vec::new());
        let mut key = log_key(row::UNCOUNTED, log);
        key.extend_from_slice(&at.to_bytes());
        self.put(key, Vec::new());
    }

    /// An entry of our log counts the `count` oldest reads of a member's records.
    pub(super) fn reads(
        &mut self,
        subject: &RecordId,
        log: &MemberId,
        count: u64,
        at: Position,
    ) -> Result<(), StoreFault> {
        let key = prefixed(row::READS, subject.as_bytes());
        if self.get(&key)?.is_some() {
            return Ok(());
        }
        self.put(key, at.to_bytes().to_vec());
        let first = log_key(row::UNCOUNTED, log);
        let mut last = first.clone();
        last.extend_from_slice(&[u8::MAX; 17]);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for key in self.keys_between(&first, &last)?.into_iter().take(count) {
            self.remove(key);
        }
        Ok(())
    }

    /// An entry, ours or another member's, counts reads.
    pub(super) fn counts_reads(&mut self, log: &MemberId, index: u64, reads: &ReadsManifest) {
        for record in reads.counts.keys() {
            let mut key = prefixed(row::READS_OF, record.as_bytes());
            let place = place_value(log, index);
            key.extend_from_slice(&place);
            self.put(key, place);
        }
    }
}

impl Reader {
    /// Reads in their order, after a cursor.
    pub fn reads(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeptRead>, StoreFault> {
        let after = after.and_then(|after| hex::decode(after).ok()).unwrap_or_default();
        let first = prefixed(row::READ, &after);
        let first = first.as_slice();
        let from = if after.is_empty() { Bound::Included(first) } else { Bound::Excluded(first) };
        let end = Bound::Excluded([row::READ + 1].as_slice());
        let mut reads = Vec::new();
        for key in self.inner.table.range((from, end)).keys().take(limit) {
            reads.push(self.kept_read(&key.map_err(|e| self.note(e.into()))?)?);
        }
        Ok(reads)
    }

    /// The oldest reads that no entry counts, of one member's records: of whichever has some.
    pub fn uncounted_reads(&self, limit: usize) -> Result<Vec<KeptRead>, StoreFault> {
        let mut reads: Vec<KeptRead> = Vec::new();
        for key in self.inner.table.scan_prefix([row::UNCOUNTED]).keys().take(limit) {
            let read = self.kept_read(&key.map_err(|e| self.note(e.into()))?)?;
            if reads.first().is_some_and(|first| first.log != read.log) {
                break;
            }
            reads.push(read);
        }
        Ok(reads)
    }

    /// The reads that a statement of ours commits to: the part's plaintext.
    pub fn reads_part(&self, subject: &RecordId) -> Option<Vec<u8>> {
        let at = self.get(&prefixed(row::READS, subject.as_bytes())).ok().flatten()?;
        match self.fact(Columns(&at).position().ok()?) {
            Ok(Fact::Reads { part, .. }) => Some(part),
            _ => None,
        }
    }

    /// The entries that count reads of a record: whose log, and which index.
    pub fn reads_of(&self, record: &RecordId) -> Vec<(MemberId, u64)> {
        let prefix = prefixed(row::READS_OF, record.as_bytes());
        self.list(self.inner.table.scan_prefix(prefix), usize::MAX, |_, value| read_place(value))
    }

    fn kept_read(&self, key: &[u8]) -> Result<KeptRead, StoreFault> {
        let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
        match self.fact(Position::from_bytes(at))? {
            Fact::Read { log, read } => Ok(KeptRead { cursor: hex::encode(at), log, read }),
            _ => Err(self.damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{World, id};

    fn read(log: &str, number: u64) -> Fact {
        let record = RecordId::new(number, &[3; 10]);
        let (by, class) = ("duty".to_owned(), "operational".to_owned());
        let read = Read { at: number, by, record, class, purpose: String::new() };
        Fact::Read { log: id(log), read }
    }

    fn times(reads: &[KeptRead]) -> Vec<u64> {
        reads.iter().map(|read| read.read.at).collect()
    }

    #[test]
    fn reads_are_counted_once_each_oldest_first_and_listed_for_ever() {
        let mut world = World::new();
        let facts: Vec<Fact> =
            (0..10).map(|number| read(if number % 2 == 0 { "SG" } else { "AU" }, number)).collect();
        world.writer().commit(&facts).unwrap();
        let reader = world.reader();
        let all = reader.reads(None, 100).unwrap();
        assert_eq!(times(&all), (0..10).collect::<Vec<_>>());
        let after = reader.reads(Some(&all[6].cursor), 2).unwrap();
        assert_eq!(times(&after), [7, 8]);
        assert_eq!(times(&reader.uncounted_reads(4).unwrap()), [1, 3, 5, 7], "of AU alone");

        let subject = RecordId::new(99, &[3; 10]);
        let counted = Fact::Reads { subject, log: id("AU"), count: 3, part: vec![7; 9] };
        world.writer().commit(std::slice::from_ref(&counted)).unwrap();
        assert_eq!(times(&world.reader().uncounted_reads(9).unwrap()), [7, 9]);
        world.writer().commit(&[counted]).unwrap();
        assert_eq!(times(&world.reader().uncounted_reads(9).unwrap()), [7, 9], "once");
        world.reopen(|data| std::fs::remove_dir_all(data.join("index")).unwrap());
        let reader = world.reader();
        assert_eq!(times(&reader.uncounted_reads(9).unwrap()), [7, 9], "after a rebuild");
        assert_eq!(reader.reads_part(&subject), Some(vec![7; 9]));
        assert_eq!(times(&reader.reads(None, 100).unwrap()), (0..10).collect::<Vec<_>>());
    }
}
