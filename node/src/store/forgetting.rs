//! What is to be forgotten, and what was: rows and questions of the index.
//!
//! A record's *terms* are the dates that its handling block states, with the classes of which parts
//! are still there. An erasure takes effect with its fact: [`Reader::entry`] shows the part no more,
//! and marks it to be purged from the journal; one that comes before its record waits for it here.
//! Whether something ought to be erased is the matter of others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::message::Item;
use sealwire_wire::seal::AudienceId;
use sealwire_wire::statement::{Body, RecordManifest, RelationVerb, Statement};

use super::erasure::{Erasure, Hold, Purged, Review};
use super::fact::Fact;
use super::index::Stage;
use super::rows::{Columns, at_key, place_value, prefixed, read_place, row};
use super::{Reader, StoreFault, StoredEntry};
use crate::journal::Position;

/// Until when a record may be kept, and what is still here of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose log.
    pub log: MemberId,
    /// Index of the entry.
    pub index: u64,
    /// The community in which it was shared.
    pub community: String,
    /// Its issuer's clock, seconds since 1970.
    pub issued_at: u64,
    /// Last day on which it may be kept, if it states one.
    pub retain_until: Option<Date>,
    /// Day by which its originator looks at it again, if it states one.
    pub review_date: Option<Date>,
    /// Classes that are not erased, but for `open`.
    pub classes: BTreeSet<String>,
}

/// How a part was erased.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// When, milliseconds since 1970.
    pub at: u64,
    /// The rule, as an erasure record names it.
    pub rule: String,
}

/// Key of what belongs to a record of a member: ids are only unique for one issuer.
fn record_key(row: u8, record: &RecordId, originator: &MemberId) -> Vec<u8> {
    let mut key = prefixed(row, record.as_bytes());
    key.extend_from_slice(originator.as_str().as_bytes());
    key.push(0);
    key
}

fn class_key(row: u8, log: &MemberId, index: u64, class: &str) -> Vec<u8> {
    let mut key = at_key(row, log, index);
    key.extend_from_slice(class.as_bytes());
    key
}

impl Terms {
    fn of(log: &MemberId, index: u64, record: &RecordManifest, issued_at: u64) -> Self {
        let handling = record.handling.to_json().unwrap_or_default();
        let day = |name: &str| handling.get(name)?.as_str()?.parse().ok();
        let classes = record.parts.keys().filter(|class| *class != "open");
        Self {
            log: log.clone(),
            index,
            community: record.community.clone(),
            issued_at,
            retain_until: day("retainUntil"),
            review_date: day("reviewDate"),
            classes: classes.cloned().collect(),
        }
    }

    fn value(&self) -> Vec<u8> {
        let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let classes: Vec<&str> = self.classes.iter().map(String::as_str).collect();
        let (retain, review) = (day(self.retain_until), day(self.review_date));
        let text = [retain.as_str(), &review, &self.community, &classes.join(",")].join("\n");
        [&self.issued_at.to_be_bytes(), text.as_bytes()].concat()
    }

    fn read(key: &[u8], value: &[u8]) -> Result<Self, StoreFault> {
        let mut place = Columns(key.get(1..).unwrap_or_default());
        let (log, index) = (place.member()?, place.u64()?);
        let mut columns = Columns(value);
        let issued_at = columns.u64()?;
        let mut lines = columns.text()?.split('\n');
        let mut next = || lines.next().ok_or(StoreFault::Row);
        let (retain, review) = (next()?.parse().ok(), next()?.parse().ok());
        let (community, classes) = (next()?.to_owned(), next()?);
        let classes = classes.split(',').filter(|class| !class.is_empty());
        Ok(Self {
            log,
            index,
            community,
            issued_at,
            retain_until: retain,
            review_date: review,
            classes: classes.map(str::to_owned).collect(),
        })
    }
}

fn erased_value(at: u64, rule: &str) -> Vec<u8> {
    [&at.to_be_bytes(), rule.as_bytes()].concat()
}

impl Stage<'_> {
    /// Notes a record's terms and relation, and what waited for its arrival.
    pub(super) fn recorded(
        &mut self,
        log: &MemberId,
        index: u64,
        statement: &Statement,
        record: &RecordManifest,
    ) -> Result<(), StoreFault> {
        // An erasure says what is gone, and holds nothing else: it stays.
        if record.kind != "erasure" {
            self.put_terms(&Terms::of(log, index, record, statement.claims().issued_at));
        }
        if let Some(relation) = record.relation.as_ref().filter(|r| r.verb == RelationVerb::Erases)
        {
            let mut key = record_key(row::ERASES, &relation.record, &relation.issuer);
            key.extend_from_slice(&place_value(log, index));
            self.put(key, Vec::new());
            let place = self.get(&prefixed(row::RECORD, relation.record.as_bytes()))?;
            if *log == self.state.own
                && let Some((log, index)) = place.map(|place| read_place(&place)).transpose()?
            {
                self.remove(at_key(row::ATTEST, &log, index));
            }
        }
        let subject = &statement.claims().subject;
        let prefix = record_key(row::ERASE_LATER, subject, log);
        let mut end = prefix.clone();
        end.push(u8::MAX);
        for key in self.first_keys_between(&prefix, &end, usize::MAX)? {
            let value = self.get(&key)?.ok_or(StoreFault::Row)?;
            let mut columns = Columns(&value);
            let (at, position) = (columns.u64()?, columns.position()?);
            let class = key.get(prefix.len()..).unwrap_or_default();
            let class = Columns(class).text()?.to_owned();
            let rule = columns.text()?.to_owned();
            self.outcome(log, position);
            self.erase_part(log, index, &class, at, &rule, position)?;
            self.remove(key);
        }
        Ok(())
    }

    fn put_terms(&mut self, terms: &Terms) {
        let key = at_key(row::TERMS, &terms.log, terms.index);
        if terms.classes.is_empty() {
            self.remove(key);
        } else {
            self.put(key, terms.value());
        }
    }

    pub(super) fn erasure(&mut self, erasure: &Erasure, at: Position) -> Result<(), StoreFault> {
        let Erasure { record, originator, classes, rule, at: time } = erasure;
        let place = self.get(&prefixed(row::RECORD, record.as_bytes()))?;
        let place = place.map(|place| read_place(&place)).transpose()?;
        for class in classes.iter().filter(|class| *class != "open") {
            match &place {
                Some((log, index)) if log == originator => {
                    self.outcome(log, at);
                    self.erase_part(log, *index, class, *time, rule, at)?;
                }
                _ => {
                    let mut key = record_key(row::ERASE_LATER, record, originator);
                    key.extend_from_slice(class.as_bytes());
                    let mut value = time.to_be_bytes().to_vec();
                    value.extend_from_slice(&at.to_bytes());
                    value.extend_from_slice(rule.as_bytes());
                    self.put(key, value);
                }
            }
        }
        Ok(())
    }

    fn erase_part(
        &mut self,
        log: &MemberId,
        index: u64,
        class: &str,
        time: u64,
        rule: &str,
        at: Position,
    ) -> Result<(), StoreFault> {
        let key = class_key(row::ERASED, log, index, class);
        if self.get(&key)?.is_some() {
            return Ok(());
        }
        self.put(key, erased_value(time, rule));
        self.put(class_key(row::PURGE, log, index, class), Vec::new());
        let key = at_key(row::TERMS, log, index);
        if let Some(value) = self.get(&key)? {
            let mut terms = Terms::read(&key, &value)?;
            terms.classes.remove(class);
            self.put_terms(&terms);
        }
        // The file is written anew as a whole, without the part.
        self.stale(log, index, at)
    }

    /// Marks what came for parts that are erased: it goes as well.
    pub(super) fn purge_again<'c>(
        &mut self,
        log: &MemberId,
        index: u64,
        classes: impl Iterator<Item = &'c String>,
    ) -> Result<(), StoreFault> {
        for class in classes {
            if self.get(&class_key(row::ERASED, log, index, class))?.is_some() {
                self.put(class_key(row::PURGE, log, index, class), Vec::new());
            }
        }
        Ok(())
    }

    /// Notes where a secret is kept. One that was destroyed is not taken again.
    pub(super) fn secret(&mut self, audience: &AudienceId, at: Position) -> Result<(), StoreFault> {
        if self.get(&prefixed(row::DESTROYED, audience))?.is_none() {
            self.put(prefixed(row::SECRET, audience), at.to_bytes().to_vec());
        }
        let mut key = prefixed(row::SECRET_AT, audience);
        key.extend_from_slice(&at.to_bytes());
        self.put(key, Vec::new());
        Ok(())
    }

    pub(super) fn purged(&mut self, purged: &Purged) -> Result<(), StoreFault> {
        let Purged { log, index, classes, audiences, .. } = purged;
        for class in classes {
            self.remove(class_key(row::PURGE, log, *index, class));
        }
        if *log != self.state.own {
            self.put(at_key(row::ATTEST, log, *index), Vec::new());
        }
        for audience in audiences {
            self.remove(prefixed(row::SECRET, audience));
            self.put(prefixed(row::DESTROYED, audience), Vec::new());
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, hold: &Hold, at: Position) {
        let mut value = vec![u8::from(hold.step.holds())];
        value.extend_from_slice(&at.to_bytes());
        self.put(record_key(row::HOLD, &hold.record, &hold.originator), value);
        self.outcome(&hold.originator, at);
    }

    pub(super) fn review(&mut self, review: &Review, at: Position) {
        self.put(prefixed(row::REVIEW, review.record.as_bytes()), at.to_bytes().to_vec());
    }
}

impl Reader {
    /// The terms of records of which something is still here, in the order of their places.
    pub fn terms(&self, after: Option<(&MemberId, u64)>, limit: usize) -> Vec<Terms> {
        use std::ops::Bound;
        let first = after.map(|(log, index)| at_key(row::TERMS, log, index));
        let first = first.as_deref().map_or(Bound::Included(&[row::TERMS][..]), Bound::Excluded);
        let rows = self.inner.table.range((first, Bound::Excluded(&[row::TERMS + 1])));
        self.list(rows, limit, Terms::read)
    }

    /// The terms of one record, if something of it is still here.
    #[cfg(test)]
    pub fn terms_of(&self, log: &MemberId, index: u64) -> Option<Terms> {
        let key = at_key(row::TERMS, log, index);
        let found = self.get(&key).and_then(|v| v.map(|v| Terms::read(&key, &v)).transpose());
        self.or_default(found)
    }

    /// The erased parts of an entry, by class.
    pub fn erased(
        &self,
        log: &MemberId,
        index: u64,
    ) -> Result<BTreeMap<String, Erased>, StoreFault> {
        let prefix = at_key(row::ERASED, log, index);
        let mut erased = BTreeMap::new();
        for pair in self.inner.table.scan_prefix(&prefix) {
            let (key, value) = pair.map_err(|e| self.note(e.into()))?;
            let class = Columns(key.get(prefix.len()..).unwrap_or_default()).text()?;
            let mut columns = Columns(&value);
            let at = columns.u64()?;
            erased.insert(class.to_owned(), Erased { at, rule: columns.text()?.to_owned() });
        }
        Ok(erased)
    }

    /// Erased parts whose bytes are still in the journal: log, index, classes; at most `limit`
    /// entries.
    pub fn unpurged(&self, limit: usize) -> Vec<(MemberId, u64, BTreeSet<String>)> {
        let rows = self.inner.table.scan_prefix([row::PURGE]);
        let mut found: Vec<(MemberId, u64, BTreeSet<String>)> = Vec::new();
        let rows = self.list(rows, limit.saturating_mul(8), |key, _| {
            let mut columns = Columns(key.get(1..).unwrap_or_default());
            let place = (columns.member()?, columns.u64()?);
            Ok((place, columns.text()?.to_owned()))
        });
        for ((log, index), class) in rows {
            match found.last_mut() {
                Some((last, at, classes)) if *last == log && *at == index => {
                    classes.insert(class);
                }
                _ => found.push((log, index, BTreeSet::from([class]))),
            }
        }
        found.truncate(limit);
        found
    }

    /// Entries that erase a record, or attest that they did: log and index.
    pub fn erasures_of(&self, record: &RecordId, originator: &MemberId) -> Vec<(MemberId, u64)> {
        let prefix = record_key(row::ERASES, record, originator);
        self.list(self.inner.table.scan_prefix(&prefix), usize::MAX, |key, _| {
            read_place(key.get(prefix.len()..).unwrap_or_default())
        })
    }

    /// Whether bytes of erased parts of an entry are still in the journal.
    pub fn is_unpurged(&self, log: &MemberId, index: u64) -> bool {
        let mut rows = self.inner.table.scan_prefix(at_key(row::PURGE, log, index));
        rows.next().is_some()
    }

    /// Entries by which originators erase records of their own: log and index.
    pub fn orders(&self) -> Vec<(MemberId, u64)> {
        let rows = self.list(self.inner.table.scan_prefix([row::ERASES]), usize::MAX, |key, _| {
            let mut columns = Columns(key.get(17..).unwrap_or_default());
            let originator = columns.member()?;
            Ok((originator, read_place(columns.0)?))
        });
        let orders = rows.into_iter().filter(|(originator, (by, _))| originator == by);
        orders.map(|(_, place)| place).collect()
    }

    /// Orders by originators whose records are here and not erased as a whole: where the order is,
    /// and where the record is, in the originator's log.
    pub fn unsettled_orders(&self) -> Vec<(MemberId, u64, u64)> {
        let rows = self.list(self.inner.table.scan_prefix([row::ERASES]), usize::MAX, |key, _| {
            let (record, mut rest) = key
                .get(1..)
                .and_then(|key| key.split_at_checked(16))
                .map(|(record, rest)| (record, Columns(rest)))
                .ok_or(StoreFault::Row)?;
            let originator = rest.member()?;
            let (by, index) = read_place(rest.0)?;
            let Some(place) = self.get(&prefixed(row::RECORD, record))? else { return Ok(None) };
            let (log, at) = read_place(&place)?;
            let open = log == originator && self.get(&at_key(row::TERMS, &log, at))?.is_some();
            Ok((open && by == originator).then_some((by, index, at)))
        });
        rows.into_iter().flatten().collect()
    }

    /// Entries of others whose purged parts this member has not attested yet.
    pub fn unattested(&self, limit: usize) -> Vec<(MemberId, u64)> {
        self.list(self.inner.table.scan_prefix([row::ATTEST]), limit, |key, _| {
            let mut columns = Columns(key.get(1..).unwrap_or_default());
            Ok((columns.member()?, columns.u64()?))
        })
    }

    /// Whether a record's originator has said, in its own log, that it is erased.
    pub fn is_ordered(&self, record: &RecordId, originator: &MemberId) -> bool {
        self.erasures_of(record, originator).iter().any(|(by, _)| by == originator)
    }

    /// The last step of a legal hold on a record.
    pub fn hold(&self, record: &RecordId, originator: &MemberId) -> Option<Hold> {
        let found = self.get(&record_key(row::HOLD, record, originator));
        let found = found.and_then(|value| value.map(|value| self.hold_fact(&value)).transpose());
        self.or_default(found)
    }

    /// The last step of every legal hold.
    pub fn holds(&self) -> Vec<Hold> {
        let rows = self.inner.table.scan_prefix([row::HOLD]);
        self.list(rows, usize::MAX, |_, value| self.hold_fact(value))
    }

    /// The last review of a record of ours.
    pub fn review(&self, record: &RecordId) -> Option<Review> {
        let found = self.get(&prefixed(row::REVIEW, record.as_bytes())).and_then(|at| match at {
            None => Ok(None),
            Some(at) => match self.fact(Columns(&at).position()?)? {
                Fact::Review(review) => Ok(Some(review)),
                _ => Err(self.damaged()),
            },
        });
        self.or_default(found)
    }

    /// Whether the secret of an audience was destroyed with what it sealed.
    pub fn is_destroyed(&self, audience: &AudienceId) -> bool {
        let found = self.get(&prefixed(row::DESTROYED, audience));
        self.or_default(found).is_some()
    }

    /// Where an audience was announced.
    pub fn audience_at(&self, audience: &AudienceId) -> Option<(MemberId, u64)> {
        let found = self.get(&prefixed(row::AUDIENCE_AT, audience));
        self.or_default(found.and_then(|value| value.map(|v| read_place(&v)).transpose()))
    }

    /// An entry with the erased parts that are still in the journal: for whom a legal hold lets
    /// read them, and for their removal.
    pub fn blocked_entry(
        &self,
        log: &MemberId,
        index: u64,
    ) -> Result<Option<StoredEntry>, StoreFault> {
        self.whole_entry(log, index)
    }

    /// Where the bytes of an entry's parts stand in the journal.
    pub(super) fn positions(
        &self,
        log: &MemberId,
        index: u64,
    ) -> Result<Vec<Position>, StoreFault> {
        let Some(value) = self.get(&at_key(row::ENTRY, log, index))? else {
            return Ok(Vec::new());
        };
        let mut columns = Columns(&value);
        columns.take::<16>()?;
        let mut positions = vec![columns.position()?];
        for key in self.inner.table.scan_prefix(at_key(row::LATE, log, index)).keys() {
            let key = key.map_err(|e| self.note(e.into()))?;
            let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
            positions.push(Position::from_bytes(at));
        }
        Ok(positions)
    }

    /// Where the secret of an audience was kept, each time.
    pub(super) fn secret_positions(&self, audience: &AudienceId) -> Vec<Position> {
        let rows = self.inner.table.scan_prefix(prefixed(row::SECRET_AT, audience));
        self.list(rows, usize::MAX, |key, _| {
            key.last_chunk::<16>().map(Position::from_bytes).ok_or(StoreFault::Row)
        })
    }

    fn hold_fact(&self, value: &[u8]) -> Result<Hold, StoreFault> {
        let mut columns = Columns(value);
        columns.take::<1>()?;
        match self.fact(columns.position()?)? {
            Fact::Hold(hold) => Ok(hold),
            _ => Err(self.damaged()),
        }
    }
}

/// Leaves out of an entry what was erased, and what was purged: its bytes are zeros.
pub(super) fn without(item: &mut Item, erased: &BTreeMap<String, Erased>) {
    item.sealed
        .retain(|class, bytes| !erased.contains_key(class) && bytes.iter().any(|byte| *byte != 0));
}

/// The audiences whose secrets sealed these classes of a record and nothing else: PROTOCOL, 6.1.
pub(super) fn single_use(
    reader: &Reader,
    own: &MemberId,
    log: &MemberId,
    item: &Item,
    classes: &BTreeSet<String>,
) -> BTreeSet<AudienceId> {
    let Ok(statement) = Statement::parse(&item.statement) else { return BTreeSet::new() };
    let Body::Record(record) = &statement.manifest().body else { return BTreeSet::new() };
    let of = |class: &String| {
        let audience = record.parts.get(class)?.audience;
        let alone = log == own && reader.audience_at(&audience).is_none();
        (class == "nominal" || alone).then_some(audience)
    };
    classes.iter().filter_map(of).collect()
}
