//! What is shown of stored entries: records as far as we can open them, receipts.
//!
//! Nothing opened is stored: a view is made from the sealed parts each time it is asked for, so
//! that what was erased or never entitled cannot linger in a derived table.

mod amended;

use std::collections::BTreeMap;

use sealwire_schemas::{FieldClass, Finding, Parts, Standard};
use sealwire_wire::cbor::Encoded;
use sealwire_wire::cose_receipt::Export;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::message::{Announcement, Item};
use sealwire_wire::receipt::Receipt;
use sealwire_wire::statement::{Body, Relation, Statement};
use serde::Serialize;

pub use self::amended::{Amended, amended};
use crate::admit;
use crate::amend::{self, Because, State};
use crate::context::Context;
use crate::refusal::Refusal;
use crate::release::{Grant, Rule};
use crate::store::{Erased, StoreFault, StoredEntry};

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
    /// What originators have consented to beyond their records' purposes, and on which day.
    pub consented: Consented,
}

/// What originators have consented to.
#[derive(Debug, Clone, Default)]
pub struct Consented {
    /// Their consents.
    pub grants: Vec<Grant>,
    /// The day on which they are asked, as in 2026-11-30.
    pub day: String,
}

impl Reading {
    /// What this node reads for itself: nothing restricted.
    pub fn none() -> Self {
        let (principal, purpose) = (String::new(), None);
        let (closed, consented) = (Some("not-asked"), Consented::default());
        Self { principal, purpose, purpose_required: false, closed, consented }
    }

    /// Whether a consent lets `own` open a class that is closed for this reason.
    fn lifted(
        &self,
        why: &str,
        record: (&RecordId, &MemberId),
        own: &MemberId,
        class: FieldClass,
    ) -> bool {
        let Consented { grants, day } = &self.consented;
        let purpose = self.purpose.as_deref().filter(|_| why == Rule::PurposeNotAgreed.id());
        let granted =
            |purpose| grants.iter().any(|g| g.to_member(record, own, class, purpose, day));
        purpose.is_some_and(granted)
    }

    /// The purpose for which restricted classes are opened (empty: none was stated, nor was one
    /// needed), or why they are not.
    fn purpose(&self, handling: &Encoded) -> Result<String, &'static str> {
        let purposes = handling.to_json().unwrap_or_default();
        let purposes = purposes.get("purpose").and_then(|list| list.as_array());
        let purposes: Vec<&str> =
            purposes.into_iter().flatten().filter_map(|purpose| purpose.as_str()).collect();
        match (self.closed, &self.purpose, purposes.as_slice()) {
            (Some(why), ..) => Err(why),
            (None, Some(stated), known) if known.contains(&stated.as_str()) => Ok(stated.clone()),
            (None, Some(_), _) => Err(Rule::PurposeNotAgreed.id()),
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
    /// What became of it.
    pub state: State,
    /// The entries that make that state, and those that no longer do, newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Because>,
    /// The record of another that it disputes: one of ours, or disputed by us.
    #[serde(skip)]
    pub disputes: Option<Relation>,
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
    /// Parts that were erased here, by class, each with when (milliseconds since 1970) and the rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub erased: BTreeMap<String, Erased>,
    /// Rules that need a withheld field, and so say neither pass nor fail.
    pub not_checkable: Vec<String>,
    /// Errors and warnings in what was opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The opened fields, as they were first said.
    pub record: serde_json::Value,
    /// The record as it stands, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amended: Option<Amended>,
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
            let Some((view, _)) = view(context, &log, index, &entry, reading)? else { continue };
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
    let view = view(context, &log, index, &entry, reading)?;
    view.map(|(view, _)| view).ok_or_else(|| unknown(id))
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
    let export = Export::sign(&receipt(context, id)?, context.keys.log.current());
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

/// The checkpoint of a log that covers `index` and that most members cosigned, of several that which
/// most cosigned with ML-DSA-44 too, then the largest, with its cosignatures; without any, the
/// latest.
pub fn cosigned_checkpoint(
    context: &Context,
    log: &MemberId,
    index: u64,
) -> Result<(String, u64), Refusal> {
    let reader = &context.reader;
    let best = reader
        .cosigned_sizes(log, index)
        .into_iter()
        .filter_map(|size| Some((size, reader.checkpoint_at(log, size)?)))
        .max_by_key(|(size, _)| {
            let count = reader.cosignatures_at(log, *size).len();
            (count, reader.pq_cosignatures_at(log, *size).len(), *size)
        });
    let latest = || reader.checkpoint(log).ok_or_else(|| no_checkpoint(log));
    let (size, note) = best.map_or_else(latest, Ok)?;
    Ok((reader.with_cosignatures(log, size, note), size))
}

fn no_checkpoint(log: &MemberId) -> Refusal {
    Refusal::fault(
        "no-checkpoint",
        format!("cannot prove: no checkpoint of {log} is held"),
        "wait until the log is mirrored",
    )
}

/// A record and the fields that are given out of it; nothing for what is no record.
fn view(
    context: &Context,
    log: &MemberId,
    index: u64,
    entry: &StoredEntry,
    reading: &Reading,
) -> Result<Option<(RecordView, Parts)>, Refusal> {
    let Some((statement, mut opened)) = context.open(entry) else { return Ok(None) };
    let Body::Record(record) = &statement.manifest().body else { return Ok(None) };
    let became = amend::of_statement(context, &statement).map_err(fault)?;
    let disputes = amend::disputed_by(log, record).filter(|disputed| {
        became.state == State::Disputed && [&disputed.issuer, log].contains(&&context.own)
    });
    let pending = opened.parts.is_empty();
    let agreed = reading.purpose(&record.handling);
    let closed = |class: &FieldClass| {
        let place = (&statement.claims().subject, log);
        restricted(class.as_str())
            && agreed.as_ref().is_err_and(|why| !reading.lifted(why, place, &context.own, *class))
    };
    let held_back: Vec<FieldClass> = opened.parts.keys().copied().filter(closed).collect();
    opened.parts.retain(|class, _| !closed(class));
    let any = opened.parts.keys().any(|class| restricted(class.as_str()));
    let stated = || reading.purpose.clone().unwrap_or_default();
    let purpose = if any { agreed.clone().unwrap_or_else(|_| stated()) } else { String::new() };
    let names =
        |classes: &[FieldClass]| classes.iter().map(|c| c.as_str().to_owned()).collect::<Vec<_>>();
    let parts = opened.disclosures();
    let mut check = Standard::v1().check_parts(&record.kind, &parts);
    check.findings.extend(context.against_locodes(&record.kind, &check.record));
    // The register may have ended its key after it was taken.
    let void = admit::is_void(&context.register(), log, index, &statement);
    let void = void.then(|| admit::void(log, index)).map(|refusal| (refusal.code, refusal.message));
    let quarantined = entry.quarantined.clone().or(void);
    let status = match (&quarantined, pending) {
        (Some(_), _) => "quarantined",
        (None, true) => "pending",
        (None, false) => "held",
    };
    let view = RecordView {
        cursor: entry.cursor,
        id: statement.claims().subject.to_string(),
        log: log.clone(),
        index,
        kind: record.kind.clone(),
        community: record.community.clone(),
        issued_at: statement.claims().issued_at,
        received_at: entry.received_at,
        status,
        state: became.state,
        because: became.because,
        disputes: disputes.cloned(),
        opened: names(&opened.parts.keys().copied().collect::<Vec<_>>()),
        withheld: names(&opened.withheld)
            .into_iter()
            .filter(|class| !entry.erased.contains_key(class))
            .collect(),
        erased: entry.erased.clone(),
        held_back_because: agreed.err().filter(|_| !held_back.is_empty()),
        held_back: names(&held_back),
        purpose,
        not_checkable: check.not_checkable,
        findings: check.findings,
        reason: quarantined.map(|(code, text)| format!("{code}: {text}")),
        record: check.record,
        amended: None,
    };
    Ok(Some((view, parts)))
}

/// Where a record is, and its entry.
pub fn stored(context: &Context, id: &RecordId) -> Result<(MemberId, u64, StoredEntry), Refusal> {
    let (log, index) = context.reader.locate(id).ok_or_else(|| unknown(id))?;
    let entry = context.reader.entry(&log, index).map_err(fault)?.ok_or_else(|| unknown(id))?;
    Ok((log, index, entry))
}

/// The refusal for a record that is not here.
pub fn unknown(id: &RecordId) -> Refusal {
    Refusal::new(
        "unknown-record",
        404,
        format!("cannot find record {id}: this node holds none of that id"),
        "see GET /v1/records for those it holds",
    )
}

/// The refusal for a store that does not answer.
pub fn fault(cause: StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
