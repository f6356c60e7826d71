//! Which records refer to which: the rows by which what became of a record is found without looking
//! through all, and what somebody here or elsewhere still has to do about it.
//!
//! The rows follow from manifests alone. Whether an entry may say what it says is not decided here:
//! a reader of these rows looks at the entries.

use std::collections::VecDeque;

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::{RecordManifest, RelationVerb};

use super::index::Stage;
use super::rows::{Columns, at_key, place_value, prefixed, read_place, row};
use super::{Reader, StoreFault};

/// Kind of the records that say that an amendment has been read and acted upon.
pub const ACKNOWLEDGEMENT: &str = "acknowledgement";
/// Kind of the records that dispute another member's.
pub const CONFLICT: &str = "conflict";

/// What is due about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Another member's amendment, which we have not acknowledged.
    Ours,
    /// An amendment of ours, which its recipients acknowledge.
    Theirs,
    /// A conflict about a record of ours, or one of ours about another's.
    Dispute,
}

impl Due {
    fn key(self, cursor: u64) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&cursor.to_be_bytes());
        key
    }

    fn prefix(self) -> Vec<u8> {
        let letter = match self {
            Self::Ours => b'a',
            Self::Theirs => b'b',
            Self::Dispute => b'c',
        };
        vec![row::DUE, letter]
    }
}

/// What an entry does to the record that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Related {
    /// Its originator supersedes or withdraws it.
    Amends,
    /// Another member disputes it.
    Disputes,
}

/// First part of the key of what refers to a record. The member that is said to have issued the
/// record is in it, so that nobody else's entries can crowd out the originator's.
fn related_key(record: &RecordId, issuer: &MemberId, what: Related) -> Vec<u8> {
    let mut key = prefixed(row::RELATED, record.as_bytes());
    key.extend_from_slice(issuer.as_str().as_bytes());
    key.push(0);
    key.push(match what {
        Related::Amends => b'a',
        Related::Disputes => b'd',
    });
    key
}

fn acknowledged_key(record: &RecordId, by: &MemberId) -> Vec<u8> {
    let mut key = prefixed(row::ACKNOWLEDGED, record.as_bytes());
    key.extend_from_slice(by.as_str().as_bytes());
    key
}

impl Stage<'_> {
    /// Files a record under the one that it refers to. Its cursor is the last given out.
    pub(super) fn relate(
        &mut self,
        log: &MemberId,
        index: u64,
        id: &RecordId,
        record: &RecordManifest,
    ) -> Result<(), StoreFault> {
        let Some(relation) = &record.relation else { return Ok(()) };
        let (cursor, own) = (self.state.cursor, self.state.own.clone());
        let place = place_value(log, index);
        let amends = matches!(relation.verb, RelationVerb::Supersedes | RelationVerb::Withdraws);
        let ours = relation.issuer == *log;
        let disputes = relation.verb == RelationVerb::Answers && record.kind == CONFLICT;
        let what = match (amends && ours, disputes && !ours) {
            (true, _) => Some(Related::Amends),
            (_, true) => Some(Related::Disputes),
            _ => None,
        };
        if let Some(what) = what {
            let mut key = related_key(&relation.record, &relation.issuer, what);
            key.extend_from_slice(&cursor.to_be_bytes());
            self.put(key, place.clone());
        }
        match relation.verb {
            _ if amends && !ours => {}
            RelationVerb::Supersedes | RelationVerb::Withdraws if *log == own => {
                self.put(Due::Theirs.key(cursor), place);
            }
            // After a restore our acknowledgement may have come back first.
            RelationVerb::Supersedes | RelationVerb::Withdraws
                if self.acknowledged(id, &own)? => {}
            RelationVerb::Supersedes | RelationVerb::Withdraws => {
                self.put(Due::Ours.key(cursor), place);
            }
            RelationVerb::Answers if record.kind == ACKNOWLEDGEMENT => {
                if !self.acknowledged(&relation.record, log)? {
                    self.put(acknowledged_key(&relation.record, log), place);
                }
                if *log == own {
                    self.done(&relation.record)?;
                }
            }
            RelationVerb::Answers
                if record.kind == CONFLICT && (*log == own || relation.issuer == own) =>
            {
                self.put(Due::Dispute.key(cursor), place);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an acknowledgement of a member is filed that is not quarantined.
    fn acknowledged(&self, record: &RecordId, by: &MemberId) -> Result<bool, StoreFault> {
        let Some(place) = self.get(&acknowledged_key(record, by))? else { return Ok(false) };
        let (log, index) = read_place(&place)?;
        Ok(self.get(&at_key(row::QUARANTINE, &log, index))?.is_none())
    }

    /// We have acknowledged an amendment.
    fn done(&mut self, record: &RecordId) -> Result<(), StoreFault> {
        let Some(place) = self.get(&prefixed(row::RECORD, record.as_bytes()))? else {
            return Ok(());
        };
        let (log, index) = read_place(&place)?;
        if let Some(entry) = self.get(&at_key(row::ENTRY, &log, index))? {
            self.remove(Due::Ours.key(Columns(&entry).u64()?));
        }
        Ok(())
    }
}

impl Reader {
    /// The entries that do something to a record of `issuer`, in the order of their arrival: log
    /// and index. Beyond `limit` the newest are left out.
    pub fn related(
        &self,
        record: &RecordId,
        issuer: &MemberId,
        what: Related,
        limit: usize,
    ) -> Result<Vec<(MemberId, u64)>, StoreFault> {
        let rows = self.inner.table.scan_prefix(related_key(record, issuer, what));
        let places = rows.take(limit).map(|row| {
            let (_, place) = row.map_err(|e| self.note(e.into()))?;
            read_place(&place).map_err(|fault| self.note(fault))
        });
        places.collect()
    }

    /// Where a member's acknowledgement of an amendment is.
    pub fn acknowledged(
        &self,
        record: &RecordId,
        by: &MemberId,
    ) -> Result<Option<(MemberId, u64)>, StoreFault> {
        let Some(place) = self.get(&acknowledged_key(record, by))? else { return Ok(None) };
        read_place(&place).map(Some).map_err(|fault| self.note(fault))
    }

    /// Entries about which something is due, in the order of arrival: log and index; the newest if
    /// there are more than `limit`. What was acknowledged here is not among them.
    pub fn due(&self, what: Due, limit: usize) -> Result<Vec<(MemberId, u64)>, StoreFault> {
        let mut newest = VecDeque::new();
        for row in self.inner.table.scan_prefix(what.prefix()) {
            let (_, place) = row.map_err(|e| self.note(e.into()))?;
            newest.push_back(place);
            if newest.len() > limit {
                newest.pop_front();
            }
        }
        newest.iter().map(|place| read_place(place).map_err(|fault| self.note(fault))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sealwire_wire::cbor::{self, Value};
    use sealwire_wire::id::Digest;
    use sealwire_wire::message::Item;
    use sealwire_wire::statement::{Body, PartRef, Relation};

    use super::super::testing::{World, checkpoint, entry, id, record_id, said};
    use super::super::{Decision, Fact};
    use super::*;

    /// A record at an index of a log that refers to another.
    fn refers(
        log: &MemberId,
        index: u64,
        kind: &str,
        verb: RelationVerb,
        to: (&MemberId, u64),
    ) -> Fact {
        let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
        let body = Body::Record(RecordManifest {
            kind: kind.into(),
            community: "labs".into(),
            to: None,
            schema: "urn:schema".into(),
            schema_digest: Digest([7; 32]),
            code_lists: BTreeMap::new(),
            handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
            relation: Some(Relation { verb, record: record_id(to.0, to.1), issuer: to.0.clone() }),
            parts: BTreeMap::from([("core".into(), part)]),
        });
        let statement = said(log, index, body).bytes().to_vec();
        let item = Item { index, statement, proof: vec![], sealed: BTreeMap::new() };
        Fact::Entry { log: log.clone(), received_at: 1000 + index, item }
    }

    fn places(world: &World, what: Due) -> Vec<(MemberId, u64)> {
        world.reader().due(what, 100).unwrap()
    }

    fn seen(world: &World) -> String {
        let r = world.reader();
        let (own, sg) = (id("ID"), id("SG"));
        let lists = [Due::Ours, Due::Theirs, Due::Dispute].map(|what| r.due(what, 100).unwrap());
        let related = [(&own, 0), (&sg, 0), (&sg, 1)];
        let related = related.map(|(log, i)| {
            [Related::Amends, Related::Disputes]
                .map(|what| r.related(&record_id(log, i), log, what, 100).unwrap())
        });
        format!("{lists:?} {related:?} {:?}", r.acknowledged(&record_id(&sg, 1), &own).unwrap())
    }

    #[test]
    fn amendments_are_found_by_their_record_also_when_they_came_first_and_after_a_rebuild() {
        let (own, sg) = (id("ID"), id("SG"));
        let mut world = World::new();
        let withdraws = RelationVerb::Withdraws;
        // SG's withdrawal comes before what it withdraws.
        world.commit(&[refers(&sg, 1, "withdrawal", withdraws, (&sg, 0))]);
        let related = |world: &World, log: &MemberId, what| {
            world.reader().related(&record_id(log, 0), log, what, 9).unwrap()
        };
        assert_eq!(related(&world, &sg, Related::Amends), [(sg.clone(), 1)]);
        world.commit(&[entry(&sg, 0), entry(&own, 0)]);
        let answers = RelationVerb::Answers;
        world.commit(&[refers(&sg, 2, CONFLICT, answers, (&own, 0))]);
        let supersedes = RelationVerb::Supersedes;
        world.commit(&[refers(&own, 1, "correction", supersedes, (&own, 0))]);
        world.commit(&[checkpoint(&own, 2)]);
        assert_eq!(places(&world, Due::Ours), [(sg.clone(), 1)]);
        assert_eq!(places(&world, Due::Theirs), [(own.clone(), 1)]);
        assert_eq!(places(&world, Due::Dispute), [(sg.clone(), 2)]);
        assert_eq!(related(&world, &own, Related::Amends), [(own.clone(), 1)]);
        assert_eq!(related(&world, &own, Related::Disputes), [(sg.clone(), 2)]);

        world.commit(&[refers(&own, 2, ACKNOWLEDGEMENT, answers, (&sg, 1))]);
        assert_eq!(places(&world, Due::Ours), []);
        let where_ = world.reader().acknowledged(&record_id(&sg, 1), &own).unwrap();
        assert_eq!(where_, Some((own.clone(), 2)));

        let before = seen(&world);
        world.reopen(|data| std::fs::remove_dir_all(data.join("index")).unwrap());
        assert_eq!(seen(&world), before, "the rows follow from the journal");
    }

    #[test]
    fn an_acknowledgement_that_came_back_before_its_amendment_still_counts() {
        let (own, sg) = (id("ID"), id("SG"));
        let mut world = World::new();
        world.commit(&[refers(&own, 0, ACKNOWLEDGEMENT, RelationVerb::Answers, (&sg, 1))]);
        world.commit(&[refers(&sg, 1, "withdrawal", RelationVerb::Withdraws, (&sg, 0))]);
        assert_eq!(places(&world, Due::Ours), []);
    }

    #[test]
    fn a_quarantined_acknowledgement_gives_way_to_the_next() {
        let (own, sg) = (id("ID"), id("SG"));
        let mut world = World::new();
        let acknowledges =
            |index| refers(&sg, index, ACKNOWLEDGEMENT, RelationVerb::Answers, (&own, 0));
        world.commit(&[entry(&own, 0), acknowledges(0)]);
        world.commit(&[Fact::Decision(Decision::Quarantined {
            log: sg.clone(),
            index: 0,
            code: "record-invalid".into(),
            text: "cannot".into(),
        })]);
        world.commit(&[acknowledges(1)]);
        let found = world.reader().acknowledged(&record_id(&own, 0), &sg).unwrap();
        assert_eq!(found, Some((sg, 1)));
    }
}
