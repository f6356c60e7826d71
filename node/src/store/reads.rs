//! The read log in the store: every read of a restricted part, those that no entry of our log
//! counts yet, and how often entries of any log count each record as read.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::reads::Read;
use sealwire_wire::statement::ReadsManifest;

use super::index::Stage;
use super::rows::{Columns, log_key, prefixed, row};
use super::{Fact, Reader, StoreFault};
use crate::journal::Position;

/// Most classes of one record for which one member's counts are shown: the standard has fewer.
const MAX_CLASSES: usize = 64;

/// A read that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRead {
    /// Its place in the order of reads: ask for those after it.
    pub cursor: ReadCursor,
    /// The member whose record was read.
    pub log: MemberId,
    /// What was read.
    pub read: Read,
}

/// A place in the order of reads, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCursor([u8; 16]);

impl ReadCursor {
    pub(super) fn at(place: [u8; 16]) -> Self {
        Self(place)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ReadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ReadCursor {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut place = [0; 16];
        hex::decode_to_slice(text, &mut place).map(|()| Self(place))
    }
}

fn reads_of_key(record: &RecordId, by: &MemberId) -> Vec<u8> {
    let mut key = prefixed(row::READS_OF, record.as_bytes());
    key.extend_from_slice(by.as_str().as_bytes());
    key.push(0);
    key
}

impl Stage<'_> {
    /// A read, which no entry of our log counts yet.
    pub(super) fn read(&mut self, log: &MemberId, at: Position) -> Result<(), StoreFault> {
        self.put(prefixed(row::READ, &at.to_bytes()), Vec::new());
        let mut key = log_key(row::UNCOUNTED, log);
        key.extend_from_slice(&at.to_bytes());
        self.put(key, Vec::new());
        Ok(())
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
        for key in self.first_keys_between(&first, &last, count)? {
            self.remove(key);
        }
        Ok(())
    }

    /// An entry, ours or another member's, counts reads: its counts are added to those before it.
    pub(super) fn counts_reads(
        &mut self,
        log: &MemberId,
        reads: &ReadsManifest,
    ) -> Result<(), StoreFault> {
        for (record, classes) in &reads.counts {
            for (class, count) in classes {
                let mut key = reads_of_key(record, log);
                key.extend_from_slice(class.as_bytes());
                let before = self.get(&key)?.map_or(Ok(0), |value| Columns(&value).u64())?;
                self.put(key, before.saturating_add(*count).to_be_bytes().to_vec());
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Reads in their order, after a cursor.
    pub fn reads(
        &self,
        after: Option<ReadCursor>,
        limit: usize,
    ) -> Result<Vec<KeptRead>, StoreFault> {
        let after = after.map(|ReadCursor(after)| prefixed(row::READ, &after));
        let from = match &after {
            Some(after) => Bound::Excluded(after.as_slice()),
            None => Bound::Included([row::READ].as_slice()),
        };
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

    /// How often each class of a record was read at `by`, as the entries of its log count.
    pub fn reads_of(&self, record: &RecordId, by: &MemberId) -> BTreeMap<String, u64> {
        let prefix = reads_of_key(record, by);
        let rows = self.inner.table.scan_prefix(&prefix);
        let counts = self.list(rows, MAX_CLASSES, |key, value| {
            let class = Columns(key.get(prefix.len()..).unwrap_or_default()).text()?;
            Ok((class.to_owned(), Columns(value).u64()?))
        });
        counts.into_iter().collect()
    }

    fn kept_read(&self, key: &[u8]) -> Result<KeptRead, StoreFault> {
        let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
        match self.fact(Position::from_bytes(at))? {
            Fact::Read { log, read } => Ok(KeptRead { cursor: ReadCursor(*at), log, read }),
            _ => Err(self.damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sealwire_wire::id::Digest;
    use sealwire_wire::message::Item;
    use sealwire_wire::statement::Body;

    use super::*;
    use crate::store::testing::{World, id, said};

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
        let after = reader.reads(Some(all[6].cursor), 2).unwrap();
        assert_eq!(times(&after), [7, 8]);
        let told = all[6].cursor.to_string();
        assert_eq!(told.parse(), Ok(all[6].cursor));
        for bad in ["", "00", "zz", &format!("{told}00")] {
            assert!(bad.parse::<ReadCursor>().is_err(), "{bad}");
        }
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

    #[test]
    fn counts_of_many_entries_are_added_up_for_each_record_member_and_class() {
        let mut world = World::new();
        let (record, other) = (RecordId::new(1, &[3; 10]), RecordId::new(2, &[3; 10]));
        let counted = |number: u64, record: RecordId, class: &str, count| ReadsManifest {
            to: BTreeSet::from([id("ID")]),
            from: number,
            until: number,
            counts: BTreeMap::from([(record, BTreeMap::from([(class.to_owned(), count)]))]),
            commitment: Digest([1; 32]),
        };
        let entry = |log: &str, index: u64, reads: ReadsManifest| {
            let statement = said(&id(log), index, Body::Reads(reads)).bytes().to_vec();
            let item = Item { index, statement, proof: vec![], sealed: BTreeMap::new() };
            let fact = Fact::Entry { log: id(log), received_at: 1, item };
            [fact.clone(), fact]
        };
        let facts = [
            entry("SG", 0, counted(1, record, "operational", 3)),
            entry("SG", 1, counted(2, record, "operational", 4)),
            entry("SG", 2, counted(3, record, "nominal", 1)),
            entry("SG", 3, counted(4, other, "nominal", 9)),
            entry("AU", 0, counted(5, record, "nominal", u64::MAX)),
            entry("AU", 1, counted(6, record, "nominal", 1)),
        ];
        world.writer().commit(&facts.concat()).unwrap();
        let seen = |world: &World| {
            let of = |by| world.reader().reads_of(&record, &id(by));
            (of("SG"), of("AU"), of("SG-RCL"))
        };
        let expected = (
            BTreeMap::from([("nominal".to_owned(), 1), ("operational".to_owned(), 7)]),
            BTreeMap::from([("nominal".to_owned(), u64::MAX)]),
            BTreeMap::new(),
        );
        assert_eq!(seen(&world), expected, "each entry once, though told twice");
        world.reopen(|data| std::fs::remove_dir_all(data.join("index")).unwrap());
        assert_eq!(seen(&world), expected, "after a rebuild");
    }
}
