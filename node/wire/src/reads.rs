//! The read log: who read which restricted part of a record, when, and for which purpose.
//!
//! A node keeps every read and, from time to time, logs an entry per originator whose manifest
//! counts them ([`ReadsManifest`]) and commits to the reads themselves. They are disclosures of a
//! part of class [`CLASS`] (see [`crate::part`]), with the pointers `/<number>/at`, `by`, `class`,
//! `purpose` and `record`, so that one read can be shown alone. They never leave the node but to
//! its own auditors.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{self, CborError, Value};
use crate::id::{MemberId, RecordId};
use crate::part::{Disclosure, Part, SALT_LEN};
use crate::statement::{ReadCounts, ReadsManifest};

/// The name under which a statement commits to its reads.
pub const CLASS: &str = "reads";
/// Most reads that one entry counts.
pub const MAX_READS: usize = 1_000;
/// Most records whose reads one entry counts: its manifest holds that many.
pub const MAX_RECORDS: usize = 48;
/// Disclosures of one read.
const FIELDS: usize = 5;

const WHAT: &str = "reads";

/// One restricted part was given to one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// When, seconds since 1970.
    pub at: u64,
    /// The name of the principal to whom it was given.
    pub by: String,
    /// Of which record.
    pub record: RecordId,
    /// Which class.
    pub class: String,
    /// For which purpose; empty if the reader stated none.
    pub purpose: String,
}

/// How often each class of each record was read.
pub fn counts(reads: &[Read]) -> ReadCounts {
    let mut counts = ReadCounts::new();
    for read in reads {
        *counts.entry(read.record).or_default().entry(read.class.clone()).or_default() += 1;
    }
    counts
}

/// The part that holds reads of records of one member, and the body of the statement that counts
/// them and commits to it; `subject` is the statement's id, `salts` makes random bytes. `None` if
/// there is no read, or more than one entry may count.
pub fn seal(
    reads: &[Read],
    of: &MemberId,
    subject: &RecordId,
    mut salt: impl FnMut() -> [u8; SALT_LEN],
) -> Option<(Part, ReadsManifest)> {
    let counts = counts(reads);
    if reads.len() > MAX_READS || counts.len() > MAX_RECORDS {
        return None;
    }
    let mut disclosures = Vec::with_capacity(FIELDS * reads.len());
    for (number, read) in reads.iter().enumerate() {
        let fields = [
            ("at", Value::from(read.at)),
            ("by", Value::from(read.by.as_str())),
            ("class", Value::from(read.class.as_str())),
            ("purpose", Value::from(read.purpose.as_str())),
            ("record", Value::Text(read.record.to_string())),
        ];
        disclosures.extend(fields.map(|(name, value)| Disclosure {
            pointer: format!("/{number:03}/{name}"),
            value,
            salt: salt(),
        }));
    }
    let part = Part::new(disclosures).ok()?;
    let manifest = ReadsManifest {
        to: BTreeSet::from([of.clone()]),
        from: reads.iter().map(|read| read.at).min()?,
        until: reads.iter().map(|read| read.at).max()?,
        counts,
        commitment: part.commitment(subject, CLASS),
    };
    Some((part, manifest))
}

/// The reads in a part, which has to be the one that the manifest commits to and counts.
pub fn open(
    bytes: &[u8],
    subject: &RecordId,
    manifest: &ReadsManifest,
) -> Result<Vec<Read>, CborError> {
    let part = Part::from_bytes(bytes)?;
    if part.commitment(subject, CLASS) != manifest.commitment {
        return Err(cbor::shape(WHAT, "the whole", "the part that the statement commits to"));
    }
    let reads = part
        .disclosures()
        .chunks(FIELDS)
        .enumerate()
        .map(|(number, fields)| read(number, fields))
        .collect::<Result<Vec<_>, _>>()?;
    let within = |read: &Read| (manifest.from..=manifest.until).contains(&read.at);
    if counts(&reads) != manifest.counts || !reads.iter().all(within) {
        return Err(cbor::shape(WHAT, "the whole", "as many reads as the statement counts"));
    }
    Ok(reads)
}

fn read(number: usize, fields: &[Disclosure]) -> Result<Read, CborError> {
    let bad = |field| cbor::shape(WHAT, field, "a read: at, by, class, purpose, record");
    let mut named: BTreeMap<&str, &Value> = BTreeMap::new();
    for field in fields {
        let name = field.pointer.strip_prefix(&format!("/{number:03}/"));
        named.insert(name.ok_or_else(|| bad("pointer"))?, &field.value);
    }
    let text = |name: &'static str| {
        named.get(name).and_then(|value| value.as_text()).ok_or_else(|| bad(name))
    };
    let at = named.get("at").and_then(|value| value.as_integer());
    Ok(Read {
        at: at.and_then(|at| u64::try_from(at).ok()).ok_or_else(|| bad("at"))?,
        by: text("by")?.to_owned(),
        record: text("record")?.parse().map_err(|_| bad("record"))?,
        class: text("class")?.to_owned(),
        purpose: text("purpose")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(number: u64) -> Read {
        Read {
            at: 1_790_000_000 + number,
            by: "duty officer".to_owned(),
            record: RecordId::new(number % 3, &[7; 10]),
            class: "operational".to_owned(),
            purpose: "drug-control".to_owned(),
        }
    }

    fn sealed(reads: &[Read]) -> Option<(Part, ReadsManifest)> {
        let mut last = 0u8;
        let salt = || {
            last = last.wrapping_add(1);
            [last; SALT_LEN]
        };
        seal(reads, &"SG".parse().unwrap(), &RecordId::new(9, &[1; 10]), salt)
    }

    #[test]
    fn reads_are_those_that_were_committed_to_and_counted() {
        let reads: Vec<Read> = (0..1000).map(read).collect();
        let (part, manifest) = sealed(&reads).unwrap();
        let subject = RecordId::new(9, &[1; 10]);
        assert_eq!(open(&part.to_bytes(), &subject, &manifest), Ok(reads));
        assert_eq!(manifest.counts.values().flat_map(|c| c.values()).sum::<u64>(), 1000);
        let other = RecordId::new(8, &[1; 10]);
        assert!(open(&part.to_bytes(), &other, &manifest).is_err(), "of another statement");
        let (fewer, _) = sealed(&[read(0)]).unwrap();
        assert!(open(&fewer.to_bytes(), &subject, &manifest).is_err(), "another part");
        let mut miscounted = manifest.clone();
        miscounted.counts.values_mut().flat_map(|c| c.values_mut()).for_each(|n| *n += 1);
        assert!(open(&part.to_bytes(), &subject, &miscounted).is_err(), "counts that are not so");
        let earlier = ReadsManifest { until: manifest.until - 1, ..manifest };
        assert!(open(&part.to_bytes(), &subject, &earlier).is_err(), "a read outside its time");
    }

    #[test]
    fn no_entry_counts_nothing_or_more_than_it_holds() {
        assert!(sealed(&[]).is_none());
        assert!(sealed(&(0..1001).map(read).collect::<Vec<_>>()).is_none());
        let many: Vec<Read> = (0..49)
            .map(|number| Read { record: RecordId::new(number, &[7; 10]), ..read(number) })
            .collect();
        assert!(sealed(&many).is_none());
        assert!(sealed(&many[1..]).is_some());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, manifest) = sealed(&[read(0)]).unwrap();
            prop_assert!(open(&bytes, &RecordId::new(9, &[1; 10]), &manifest).is_err());
        }
    }
}
