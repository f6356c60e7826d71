//! What is shown of stored entries: records as far as we can open them, delivery, receipts.
//!
//! Nothing opened is stored: a view is made from the sealed parts each time it is asked for, so
//! that what was erased or never entitled cannot linger in a derived table.

use std::collections::BTreeMap;

use sealwire_schemas::{FieldClass, Finding, Standard};
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::cose_receipt::Export;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::message::{Announcement, Item};
use sealwire_wire::receipt::Receipt;
use sealwire_wire::statement::{Addressees, Body, RecordManifest, Statement};
use serde::Serialize;

use crate::context::Context;
use crate::refusal::Refusal;
use crate::release;
use crate::store::{StoreFault, StoredEntry};

/// Most records in one page.
pub const MAX_PAGE: usize = 500;

/// Field classes that the whole community may read; each read of any other is logged.
const UNRESTRICTED: [&str; 3] = ["open", "core", "core.coarse"];

/// Whether each read of a class is logged.
pub fn restricted(class: &str) -> bool {
    !UNRESTRICTED.contains(&class)
}

/// Who reads, and what for.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The name of the principal.
    pub principal: String,
    /// The purpose stated: one of the record's own, or its restricted classes stay closed.
    pub purpose: Option<String>,
    /// Whether restricted classes are opened only for a purpose that is stated.
    pub purpose_required: bool,
    /// Why restricted classes are not opened at all, if they are not.
    pub closed: Option<&'static str>,
}

impl Reading {
    /// What this node reads for itself: nothing restricted.
    pub fn none() -> Self {
        let (principal, purpose) = (String::new(), None);
        Self { principal, purpose, purpose_required: false, closed: Some("not-asked") }
    }

    /// The purpose for which restricted classes are opened (empty: none was stated, nor was one
    /// needed), or why they are not.
    fn purpose(&self, handling: &Value) -> Result<String, &'static str> {
        let purposes = cbor::to_json(handling).unwrap_or_default();
        let purposes = purposes.get("purpose").and_then(|list| list.as_array());
        let purposes: Vec<&str> =
            purposes.into_iter().flatten().filter_map(|purpose| purpose.as_str()).collect();
        match (self.closed, &self.purpose, purposes.as_slice()) {
            (Some(why), ..) => Err(why),
            (None, Some(stated), known) if known.contains(&stated.as_str()) => Ok(stated.clone()),
            (None, Some(_), _) => Err("purpose-not-agreed"),
            (None, None, [only]) => Ok((*only).to_owned()),
            (None, None, _) if self.purpose_required => Err("purpose-required"),
            (None, None, _) => Ok(String::new()),
        }
    }
}

/// A record as far as this member can open it.
#[derive(Debug, Clone, Serialize)]
pub struct RecordView {
    /// Its place in the order of arrival at this node: resume after it.
    pub cursor: u64,
    /// Record id.
    pub id: String,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Record kind.
    pub kind: String,
    /// The community it is shared in.
    pub community: String,
    /// The issuer's clock, seconds since 1970.
    pub issued_at: u64,
    /// This node's clock at arrival, milliseconds since 1970.
    pub received_at: u64,
    /// `held`, `pending` (nothing can be opened yet) or `quarantined`.
    pub status: &'static str,
    /// Classes opened.
    pub opened: Vec<String>,
    /// Classes that the record has and this member cannot open.
    pub withheld: Vec<String>,
    /// Restricted classes that this member can open and the reader was not given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<String>,
    /// Why not: `not-asked`, `purpose-required`, `purpose-not-agreed` or `not-logged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back_because: Option<&'static str>,
    /// For which purpose restricted classes were opened; empty if none was stated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// Rules that need a withheld field, and so say neither pass nor fail.
    pub not_checkable: Vec<String>,
    /// Errors and warnings in what was opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The opened fields.
    pub record: serde_json::Value,
}

/// Where a record of ours has arrived.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Record id.
    pub id: String,
    /// Its place in our log.
    pub index: u64,
    /// Per addressed member.
    pub members: Vec<DeliveredTo>,
    /// Whether as many members cosigned as the community asks for.
    pub witnessed: bool,
}

/// Delivery to one member.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveredTo {
    /// The member.
    pub member: MemberId,
    /// The classes that are sealed for it.
    pub classes: Vec<String>,
    /// Whether its cosignature covers the record: it durably holds all that is addressed to it.
    pub delivered: bool,
    /// Witnessed time of that cosignature, seconds since 1970.
    pub cosigned_at: Option<u64>,
    /// How often its people read each restricted class, as its log says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, u64>,
    /// Why it quarantined the record, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The records after `after`, oldest first.
pub fn records(
    context: &Context,
    after: u64,
    limit: usize,
    kind: Option<&str>,
    reading: &Reading,
) -> Result<Vec<RecordView>, Refusal> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut views = Vec::new();
    let mut cursor = after;
    // With a filter, keep reading until the page is full or nothing is left.
    loop {
        let batch = context.reader.feed(cursor, limit);
        let Some((last, ..)) = batch.last() else { return Ok(views) };
        cursor = *last;
        for (_, log, index) in batch {
            let Some(entry) = context.reader.entry(&log, index).map_err(fault)? else { continue };
            let Some(view) = view(context, &log, index, &entry, reading) else { continue };
            if kind.is_none_or(|wanted| wanted == view.kind) {
                views.push(view);
                if views.len() == limit {
                    return Ok(views);
                }
            }
        }
    }
}

/// One record.
pub fn record(context: &Context, id: &RecordId, reading: &Reading) -> Result<RecordView, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    view(context, &log, index, &entry, reading).ok_or_else(|| unknown(id))
}

/// Where a record of ours has arrived.
pub fn delivery(context: &Context, id: &RecordId) -> Result<Delivery, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    if log != context.own {
        return Err(Refusal::new(
            "not-ours",
            409,
            format!("cannot tell delivery of {id}: it is a record of {log}"),
            "ask its originator",
        ));
    }
    let register = context.register();
    let statement = Statement::parse(&entry.item.statement).map_err(|_| unknown(id))?;
    let Body::Record(record) = &statement.manifest().body else { return Err(unknown(id)) };
    let community = register.community(&record.community).ok_or_else(|| unknown(id))?;
    let addressed = match statement.manifest().addressees() {
        Addressees::Named(to) => to.clone(),
        _ => release::active_peers(&register, community, &context.own),
    };
    let refusals = context.reader.refused_by(index);
    let mut reads = reads_of(context, id)?;
    let members: Vec<DeliveredTo> = addressed
        .into_iter()
        .map(|member| {
            let cosigned = context.reader.cosigned_at(&context.own, &member, index);
            let refused = refusals.iter().find(|(by, ..)| *by == member);
            DeliveredTo {
                classes: classes_for(context, record, &member),
                delivered: cosigned.is_some(),
                cosigned_at: cosigned.map(|(_, time)| time),
                reads: reads.remove(&member).unwrap_or_default(),
                refused: refused.map(|(_, code, text)| format!("{code}: {text}")),
                member,
            }
        })
        .collect();
    let count = context
        .reader
        .cosignatures(&context.own)
        .iter()
        .filter(|c| c.by != context.own && c.size > index)
        .count();
    let witnessed = count as u64 >= u64::from(community.witnesses);
    Ok(Delivery { id: id.to_string(), index, members, witnessed })
}

/// How often each class of a record was read, by whose people.
fn reads_of(
    context: &Context,
    id: &RecordId,
) -> Result<BTreeMap<MemberId, BTreeMap<String, u64>>, Refusal> {
    let mut reads: BTreeMap<MemberId, BTreeMap<String, u64>> = BTreeMap::new();
    for (log, index) in context.reader.reads_of(id) {
        let Some(entry) = context.reader.entry(&log, index).map_err(fault)? else { continue };
        let Ok(statement) = Statement::parse(&entry.item.statement) else { continue };
        let Body::Reads(counted) = &statement.manifest().body else { continue };
        for (class, count) in counted.counts.get(id).into_iter().flatten() {
            let sum = reads.entry(log.clone()).or_default().entry(class.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    Ok(reads)
}

/// The classes of a record of ours that `member` can open.
pub fn classes_for(context: &Context, record: &RecordManifest, member: &MemberId) -> Vec<String> {
    let entitled = |audience| context.own_audience(audience).is_some_and(|to| to.contains(member));
    let parts = record.parts.iter().filter(|(_, part)| entitled(&part.audience));
    parts.map(|(class, _)| class.clone()).collect()
}

/// The proof for one entry: C2SP tlog-proof under the latest checkpoint held, with cosignatures
/// and the statement that it proves.
pub fn receipt(context: &Context, id: &RecordId) -> Result<Receipt, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    let (note, size) = cosigned_checkpoint(context, &log, index)?;
    let proof = context.reader.inclusion_proof(&log, index, size).map_err(fault)?;
    Ok(Receipt::new(index, proof, note).with_statement(entry.item.statement))
}

/// The same for a record of ours as a COSE receipt (RFC 9942) beside its checkpoint.
pub fn cose_receipt(context: &Context, id: &RecordId) -> Result<Vec<u8>, Refusal> {
    let (log, ..) = stored(context, id)?;
    if log != context.own {
        return Err(Refusal::new(
            "not-ours",
            409,
            format!("cannot make a COSE receipt of {id}: it is a record of {log}"),
            "ask its originator, whose log key signs it; the tlog-proof is here",
        ));
    }
    let export = Export::sign(&receipt(context, id)?, &context.keys.log);
    let export = export.map_err(|cause| {
        Refusal::new("no-cose-receipt", 409, cause.to_string(), "use the tlog-proof")
    })?;
    Ok(export.to_bytes())
}

/// The entry as a file that proves itself: the record, the audience secrets as wrapped, the
/// checkpoint and the inclusion proofs. Nothing in it is opened.
pub fn entry_file(context: &Context, id: &RecordId) -> Result<Vec<u8>, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    let (note, size) = cosigned_checkpoint(context, &log, index)?;
    let statement = Statement::parse(&entry.item.statement).map_err(|_| unknown(id))?;
    let Body::Record(record) = &statement.manifest().body else { return Err(unknown(id)) };
    let mut items: BTreeMap<u64, Item> = BTreeMap::from([(index, entry.item)]);
    for (from, at) in context.reader.control_entries("audience") {
        let Some(other) = context.reader.entry(&from, at).map_err(fault)? else { continue };
        let Ok(statement) = Statement::parse(&other.item.statement) else { continue };
        if let Body::Audience(audience) = &statement.manifest().body
            && from == log
            && record.parts.values().any(|part| part.audience == audience.audience)
        {
            items.insert(at, other.item);
        }
    }
    for (at, item) in &mut items {
        item.proof = context.reader.inclusion_proof(&log, *at, size).map_err(fault)?;
    }
    let items = items.into_values().collect();
    Ok(Announcement { log, checkpoint: note, items }.to_bytes())
}

/// The checkpoint of a log that covers `index` and that most members cosigned, the larger one
/// where several did, with its cosignatures; without any, the latest.
pub fn cosigned_checkpoint(
    context: &Context,
    log: &MemberId,
    index: u64,
) -> Result<(String, u64), Refusal> {
    let reader = &context.reader;
    let best = reader
        .cosigned_sizes(log)
        .into_iter()
        .filter(|size| *size > index)
        .filter_map(|size| {
            Some((reader.cosignatures_at(log, size), size, reader.checkpoint_at(log, size)?))
        })
        .max_by_key(|(lines, size, _)| (lines.len(), *size));
    let (lines, size, mut note) = match best {
        Some(best) => best,
        None => {
            let (size, note) = reader.checkpoint(log).ok_or_else(|| no_checkpoint(log))?;
            (Vec::new(), size, note)
        }
    };
    for cosigned in lines {
        note.push_str(&cosigned.line);
        note.push('\n');
    }
    Ok((note, size))
}

fn no_checkpoint(log: &MemberId) -> Refusal {
    Refusal::fault(
        "no-checkpoint",
        format!("cannot prove: no checkpoint of {log} is held"),
        "wait until the log is mirrored",
    )
}

fn view(
    context: &Context,
    log: &MemberId,
    index: u64,
    entry: &StoredEntry,
    reading: &Reading,
) -> Option<RecordView> {
    let (statement, mut opened) = context.open(entry)?;
    let Body::Record(record) = &statement.manifest().body else { return None };
    let pending = opened.parts.is_empty();
    let (mut held_back, mut purpose) = (Vec::new(), reading.purpose(&record.handling));
    let any = opened.parts.keys().any(|class| restricted(class.as_str()));
    match &mut purpose {
        Ok(purpose) if !any => purpose.clear(),
        Ok(_) => {}
        Err(_) => {
            let closed = |class: &FieldClass| restricted(class.as_str());
            held_back = opened.parts.keys().copied().filter(closed).collect();
            opened.parts.retain(|class, _| !closed(class));
        }
    }
    let names =
        |classes: &[FieldClass]| classes.iter().map(|c| c.as_str().to_owned()).collect::<Vec<_>>();
    let mut check = Standard::v1().check_parts(&record.kind, &opened.disclosures());
    check.findings.extend(context.against_locodes(&record.kind, &check.record));
    let status = match (&entry.quarantined, pending) {
        (Some(_), _) => "quarantined",
        (None, true) => "pending",
        (None, false) => "held",
    };
    Some(RecordView {
        cursor: entry.cursor,
        id: statement.claims().subject.to_string(),
        log: log.clone(),
        index,
        kind: record.kind.clone(),
        community: record.community.clone(),
        issued_at: statement.claims().issued_at,
        received_at: entry.received_at,
        status,
        opened: names(&opened.parts.keys().copied().collect::<Vec<_>>()),
        withheld: names(&opened.withheld),
        held_back_because: purpose.as_ref().err().copied().filter(|_| !held_back.is_empty()),
        held_back: names(&held_back),
        purpose: purpose.unwrap_or_default(),
        not_checkable: check.not_checkable,
        findings: check.findings,
        reason: entry.quarantined.as_ref().map(|(code, text)| format!("{code}: {text}")),
        record: check.record,
    })
}

fn stored(context: &Context, id: &RecordId) -> Result<(MemberId, u64, StoredEntry), Refusal> {
    let (log, index) = context.reader.locate(id).ok_or_else(|| unknown(id))?;
    let entry = context.reader.entry(&log, index).map_err(fault)?.ok_or_else(|| unknown(id))?;
    Ok((log, index, entry))
}

fn unknown(id: &RecordId) -> Refusal {
    Refusal::new(
        "unknown-record",
        404,
        format!("cannot find record {id}: this node holds none of that id"),
        "see GET /v1/records for those it holds",
    )
}

fn fault(cause: StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
