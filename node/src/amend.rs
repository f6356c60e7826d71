//! What became of a record: corrected, superseded, withdrawn, disputed, or nothing.
//!
//! The state follows from authentic statements alone, and from nothing that has to be opened, so
//! that every node that holds the same entries says the same. A disputed record stands as it was
//! first reported: its content is changed by nobody but its originator.
//!
//! Whether a correction fits its record is checked before it is published, and shown where it is
//! applied; knows nothing of who may amend what, which is the gate's to say.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::{Body, Head, RecordManifest, Relation, RelationVerb, Statement};
use serde::Serialize;

use crate::admit;
use crate::context::Context;
use crate::store::{CONFLICT, Related, StoreFault};

/// Kind of the records that change single fields of another.
pub const CORRECTION: &str = "correction";
/// Most amendments of one record, and most disputes of it, that are looked at.
pub const MAX_RELATED: usize = 256;
/// How far amendments of amendments are followed.
const MAX_DEPTH: usize = 4;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It stands as it is.
    Current,
    /// Its originator changed fields of it.
    Corrected,
    /// Another member found otherwise, and its originator has not yet changed or withdrawn it.
    Disputed,
    /// Its originator put another record in its place.
    Superseded,
    /// Its originator takes it back.
    Withdrawn,
}

/// An entry that makes, or made, the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Because {
    /// Its record id.
    pub id: String,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Its kind.
    pub kind: String,
    /// The issuer's clock, seconds since 1970.
    pub issued_at: u64,
    /// Whether it still counts: it was not itself taken back, and as a dispute not answered by an
    /// amendment.
    pub counts: bool,
}

/// A state, and what makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Became {
    /// The state.
    pub state: State,
    /// The entries that make it, and those that no longer do, newest last.
    pub because: Vec<Because>,
}

impl Became {
    /// Whether its originator still says what the record says, as a whole.
    pub fn stands(&self) -> bool {
        matches!(self.state, State::Current | State::Disputed)
    }
}

/// One entry that refers to a record.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its record id.
    pub id: RecordId,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Its kind.
    pub kind: String,
    /// Whether it counts: it was not taken back.
    pub counts: bool,
    verb: RelationVerb,
    cursor: u64,
    issued_at: u64,
    heads: BTreeMap<MemberId, Head>,
}

impl Entry {
    /// Whether it changes single fields.
    pub fn corrects(&self) -> bool {
        self.counts && self.kind == CORRECTION
    }

    /// Whether it is a record in the place of another.
    pub fn supersedes(&self) -> bool {
        self.counts && self.verb == RelationVerb::Supersedes && self.kind != CORRECTION
    }

    fn withdraws(&self) -> bool {
        self.counts && self.verb == RelationVerb::Withdraws
    }

    /// Whether its issuer had seen `other`: as its statement says; where that names no head of the
    /// other's log, by the order of arrival here.
    fn after(&self, other: &Entry) -> bool {
        match self.heads.get(&other.log) {
            Some(head) => head.size > other.index,
            None => self.cursor > other.cursor,
        }
    }

    fn because(&self, counts: bool) -> (u64, Because) {
        let because = Because {
            id: self.id.to_string(),
            log: self.log.clone(),
            index: self.index,
            kind: self.kind.clone(),
            issued_at: self.issued_at,
            counts,
        };
        (self.cursor, because)
    }
}

/// The amendments of a record of `log`, in the order of its log.
pub fn amendments(
    context: &Context,
    log: &MemberId,
    id: &RecordId,
) -> Result<Vec<Entry>, StoreFault> {
    let mut entries = related(context, log, id, Related::Amends, 0)?;
    entries.sort_by_key(|entry| entry.index);
    Ok(entries)
}

/// What became of a record of `log`.
pub fn of_record(context: &Context, log: &MemberId, id: &RecordId) -> Result<Became, StoreFault> {
    let amendments = amendments(context, log, id)?;
    let disputes = related(context, log, id, Related::Disputes, 0)?;
    let open = |dispute: &Entry| dispute.counts && !answered(&amendments, dispute);
    let state = if amendments.iter().any(Entry::withdraws) {
        State::Withdrawn
    } else if amendments.iter().any(Entry::supersedes) {
        State::Superseded
    } else if disputes.iter().any(open) {
        State::Disputed
    } else if amendments.iter().any(Entry::corrects) {
        State::Corrected
    } else {
        State::Current
    };
    let because = amendments.iter().map(|entry| entry.because(entry.counts));
    let because = because.chain(disputes.iter().map(|entry| entry.because(open(entry))));
    Ok(Became { state, because: in_order(because.collect()) })
}

/// What became of the record of a statement. A conflict is disputed together with what it disputes.
pub fn of_statement(context: &Context, statement: &Statement) -> Result<Became, StoreFault> {
    let (log, id) = (&statement.claims().issuer, &statement.claims().subject);
    let mut became = of_record(context, log, id)?;
    let Body::Record(record) = &statement.manifest().body else { return Ok(became) };
    if matches!(became.state, State::Withdrawn | State::Superseded) {
        return Ok(became);
    }
    let Some(disputed) = disputed_by(log, record) else { return Ok(became) };
    let held = context.reader.locate(&disputed.record).is_some_and(|(of, _)| of == disputed.issuer);
    let all = related(context, &disputed.issuer, &disputed.record, Related::Disputes, 0)?;
    let Some(conflict) = all.iter().find(|dispute| dispute.id == *id && dispute.log == *log) else {
        return Ok(became);
    };
    let amendments = amendments(context, &disputed.issuer, &disputed.record)?;
    let answers = amendments.iter().filter(|entry| entry.counts && entry.after(conflict));
    let mut because: Vec<(u64, Because)> = answers.map(|entry| entry.because(true)).collect();
    if held && because.is_empty() {
        became.state = State::Disputed;
    }
    became.because.extend(in_order(std::mem::take(&mut because)));
    Ok(became)
}

/// What a record of `log` disputes, if it is a conflict about another member's record.
pub fn disputed_by<'a>(log: &MemberId, record: &'a RecordManifest) -> Option<&'a Relation> {
    let relation = record.relation.as_ref()?;
    let disputes = record.kind == CONFLICT && relation.verb == RelationVerb::Answers;
    (disputes && relation.issuer != *log).then_some(relation)
}

/// Whether a record changes, replaces or withdraws one of its own issuer.
pub fn amends(record: &RecordManifest) -> Option<&Relation> {
    let amending = [RelationVerb::Supersedes, RelationVerb::Withdraws];
    record.relation.as_ref().filter(|relation| amending.contains(&relation.verb))
}

fn answered(amendments: &[Entry], dispute: &Entry) -> bool {
    amendments.iter().any(|entry| entry.counts && entry.after(dispute))
}

fn in_order(mut because: Vec<(u64, Because)>) -> Vec<Because> {
    because.sort_by_key(|(cursor, _)| *cursor);
    because.into_iter().map(|(_, because)| because).collect()
}

/// The entries that do something to a record, without those that are quarantined or void.
fn related(
    context: &Context,
    issuer: &MemberId,
    id: &RecordId,
    what: Related,
    depth: usize,
) -> Result<Vec<Entry>, StoreFault> {
    let mut found = Vec::new();
    let places = context.reader.related(id, issuer, what, MAX_RELATED)?;
    if places.is_empty() {
        return Ok(found);
    }
    let register = context.register();
    for (log, index) in places {
        let Some(entry) = context.reader.entry(&log, index)? else { continue };
        let Ok(statement) = Statement::parse(&entry.item.statement) else { continue };
        let Body::Record(record) = &statement.manifest().body else { continue };
        let void = admit::is_void(&register, &log, index, &statement);
        let Some(relation) = record.relation.as_ref().filter(|_| !void) else { continue };
        if entry.quarantined.is_some() {
            continue;
        }
        let id = statement.claims().subject;
        found.push(Entry {
            counts: !taken_back(context, &log, &id, depth)?,
            id,
            log,
            index,
            kind: record.kind.clone(),
            verb: relation.verb,
            cursor: entry.cursor,
            issued_at: statement.claims().issued_at,
            heads: statement.manifest().heads.clone(),
        });
    }
    Ok(found)
}

/// Whether an entry was itself withdrawn or replaced by its issuer.
fn taken_back(
    context: &Context,
    log: &MemberId,
    id: &RecordId,
    depth: usize,
) -> Result<bool, StoreFault> {
    if depth == MAX_DEPTH {
        return Ok(false);
    }
    let amendments = related(context, log, id, Related::Amends, depth + 1)?;
    Ok(amendments.iter().any(|entry| entry.withdraws() || entry.supersedes()))
}
