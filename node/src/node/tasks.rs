//! What waits for somebody: amendments that this member has not acknowledged, amendments of ours
//! that others have not, and disputes.

use std::collections::BTreeSet;

use sealwire_schemas::Language;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::{Body, RecordManifest, Statement};
use serde::Serialize;
use serde_json::{Map, Value};

use super::taken::today;
use super::{NodeHandle, Submission, amendment};
use crate::admit;
use crate::amend;
use crate::context::Context;
use crate::delivery;
use crate::feed::fault;
use crate::refusal::Refusal;
use crate::store::{Due, Fact, StoredEntry};

/// Most entries listed of each sort: of ours the newest, of others' those that wait longest.
pub const MAX_TASKS: usize = 500;
/// Most entries looked at for one list.
const MAX_LOOKED_AT: usize = 2_000;

/// What is open at this node.
#[derive(Debug, Default, Serialize)]
pub struct Tasks {
    /// Other members' amendments that wait for our acknowledgement, the most urgent first.
    pub to_acknowledge: Vec<Task>,
    /// Our amendments that wait for others'.
    pub unacknowledged: Vec<Task>,
    /// Open disputes about records of ours, and ours about others'.
    pub disputes: Vec<Dispute>,
}

/// An amendment that waits.
#[derive(Debug, Serialize)]
pub struct Task {
    /// Its record id: acknowledge this one.
    pub id: String,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Its kind.
    pub kind: String,
    /// The record that it amends.
    pub record: String,
    /// `routine`, `priority` or `immediate`, as its handling says.
    pub urgency: String,
    /// Since when it is here, milliseconds since 1970.
    pub received_at: u64,
    /// How long that is, in seconds.
    pub age: u64,
    /// Of ours: those who have not acknowledged it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting_for: BTreeSet<MemberId>,
}

/// A dispute that is open.
#[derive(Debug, Serialize)]
pub struct Dispute {
    /// The record id of the conflict.
    pub id: String,
    /// Who disputes.
    pub log: MemberId,
    /// Its place in that log.
    pub index: u64,
    /// The record that is disputed.
    pub record: String,
    /// Whose record that is.
    pub originator: MemberId,
    /// `routine`, `priority` or `immediate`, as the conflict's handling says.
    pub urgency: String,
    /// Since when it is here, milliseconds since 1970.
    pub received_at: u64,
    /// How long that is, in seconds.
    pub age: u64,
}

impl NodeHandle {
    /// The acknowledgement of an amendment, to be published; the caller says what was done.
    pub fn acknowledgement(
        &self,
        id: &RecordId,
        said: Map<String, Value>,
        language: Language,
    ) -> Result<Submission, Refusal> {
        let made = amendment::acknowledgement(&self.inner.context, id, said, &today())?;
        Ok(Submission { language, ..made })
    }

    /// What waits for somebody.
    pub fn tasks(&self) -> Result<Tasks, Refusal> {
        tasks(&self.inner.context, super::driver::unix_ms())
    }
}

/// Tells an operator of conflicts among what was just made durable that concern this member.
pub(super) fn tell_disputes(context: &Context, facts: &[Fact]) {
    for fact in facts {
        let Fact::Entry { log, item, .. } = fact else { continue };
        let Ok(statement) = Statement::parse(&item.statement) else { continue };
        let Body::Record(record) = &statement.manifest().body else { continue };
        let Some(disputed) = amend::disputed_by(log, record) else { continue };
        if [log, &disputed.issuer].contains(&&context.own) {
            let (record, originator) = (disputed.record, &disputed.issuer);
            tracing::warn!(entry = %statement.claims().subject, by = %log, %record, %originator, "a record is disputed (hint: sealwire tasks lists disputes; they end when the originator corrects or withdraws, or the conflict is withdrawn)");
        }
    }
}

/// An entry that is due, as it is stored.
struct Found {
    log: MemberId,
    index: u64,
    entry: StoredEntry,
    statement: Statement,
}

impl Found {
    fn record(&self) -> Option<&RecordManifest> {
        match &self.statement.manifest().body {
            Body::Record(record) => Some(record),
            _ => None,
        }
    }

    fn id(&self) -> RecordId {
        self.statement.claims().subject
    }
}

fn urgency(record: &RecordManifest) -> String {
    let handling = record.handling.to_json().unwrap_or_default();
    handling.get("urgency").and_then(|word| word.as_str()).unwrap_or("routine").to_owned()
}

fn rank(urgency: &str) -> u8 {
    match urgency {
        "immediate" => 0,
        "priority" => 1,
        _ => 2,
    }
}

fn age(received_at: u64, now_ms: u64) -> u64 {
    now_ms.saturating_sub(received_at) / 1000
}

fn tasks(context: &Context, now_ms: u64) -> Result<Tasks, Refusal> {
    let mut tasks = Tasks::default();
    for found in found(context, Due::Ours)? {
        let Some(record) = found.record() else { continue };
        if may_acknowledge(context, record, &context.own, &found.log) {
            tasks.to_acknowledge.extend(task(&found, record, BTreeSet::new(), now_ms));
        }
    }
    for found in found(context, Due::Theirs)? {
        let Some(record) = found.record() else { continue };
        let mut waiting_for = BTreeSet::new();
        for member in delivery::recipients(context, &found.statement) {
            let done = context.reader.acknowledged(&found.id(), &member).map_err(fault)?;
            if done.is_none() && may_acknowledge(context, record, &member, &found.log) {
                waiting_for.insert(member);
            }
        }
        if !waiting_for.is_empty() {
            tasks.unacknowledged.extend(task(&found, record, waiting_for, now_ms));
        }
    }
    for found in found(context, Due::Dispute)? {
        let Some(record) = found.record() else { continue };
        let Some(disputed) = amend::disputed_by(&found.log, record) else { continue };
        let became = amend::of_statement(context, &found.statement).map_err(fault)?;
        if became.state == amend::State::Disputed {
            tasks.disputes.push(Dispute {
                id: found.id().to_string(),
                log: found.log.clone(),
                index: found.index,
                record: disputed.record.to_string(),
                originator: disputed.issuer.clone(),
                urgency: urgency(record),
                received_at: found.entry.received_at,
                age: age(found.entry.received_at, now_ms),
            });
        }
    }
    tasks.to_acknowledge.sort_by_key(|task| (rank(&task.urgency), task.received_at));
    tasks.unacknowledged.sort_by_key(|task| (rank(&task.urgency), task.received_at));
    tasks.disputes.sort_by_key(|dispute| (rank(&dispute.urgency), dispute.received_at));
    tasks.to_acknowledge.truncate(MAX_TASKS);
    tasks.unacknowledged.truncate(MAX_TASKS);
    tasks.disputes.truncate(MAX_TASKS);
    Ok(tasks)
}

/// Whether the agreement lets a member send to the originator of an amendment that receives: from
/// others no acknowledgement can come, and none is waited for.
fn may_acknowledge(
    context: &Context,
    record: &RecordManifest,
    member: &MemberId,
    originator: &MemberId,
) -> bool {
    let register = context.register();
    let community = register.community(&record.community);
    community.is_some_and(|known| known.publishes(member) && known.receives(originator))
}

fn task(
    found: &Found,
    record: &RecordManifest,
    waiting_for: BTreeSet<MemberId>,
    now_ms: u64,
) -> Option<Task> {
    let amended = amend::amends(record)?;
    Some(Task {
        id: found.id().to_string(),
        log: found.log.clone(),
        index: found.index,
        kind: record.kind.clone(),
        record: amended.record.to_string(),
        urgency: urgency(record),
        received_at: found.entry.received_at,
        age: age(found.entry.received_at, now_ms),
        waiting_for,
    })
}

/// The entries about which something is due that count: the newest of them, if there are many.
fn found(context: &Context, what: Due) -> Result<Vec<Found>, Refusal> {
    let register = context.register();
    let mut all = Vec::new();
    for (log, index) in context.reader.due(what, MAX_LOOKED_AT).map_err(fault)? {
        let Some(entry) = context.reader.entry(&log, index).map_err(fault)? else { continue };
        let Ok(statement) = Statement::parse(&entry.item.statement) else { continue };
        let void = admit::is_void(&register, &log, index, &statement);
        if entry.quarantined.is_none() && !void {
            all.push(Found { log, index, entry, statement });
        }
    }
    Ok(all)
}
