//! What a record has to satisfy that amends one of ours, or acknowledges another's amendment,
//! before it is published: it reaches everybody who had what it amends, and a correction fits.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::{FieldClass, Parts, Standard, ValidRecord, assemble, correct};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::Register;
use sealwire_wire::statement::{Body, RecordManifest, Relation, RelationVerb, Statement};
use serde_json::{Map, Value, json};

use super::Submission;
use crate::amend;
use crate::context::Context;
use crate::feed::{fault, stored, unknown};
use crate::refusal::Refusal;
use crate::release::{self, Holders, Wish};
use crate::store::{ACKNOWLEDGEMENT, StoredEntry};

/// Kinds whose records change others, and are not corrected themselves.
const NOT_CORRECTED: [&str; 4] = [ACKNOWLEDGEMENT, amend::CORRECTION, "erasure", "withdrawal"];

/// A record that is to be published.
pub struct Said<'a> {
    /// The register in force.
    pub register: &'a Register,
    /// The community that it is shared in.
    pub community: &'a str,
    /// The record.
    pub valid: &'a ValidRecord,
    /// The classes that it has fields of.
    pub classes: &'a BTreeSet<FieldClass>,
}

/// Checks a record against the one that it refers to, which is held here; gives the wish with what
/// an amendment has to reach.
pub fn checked(
    context: &Context,
    said: &Said<'_>,
    relation: &Relation,
    wish: Wish,
) -> Result<Wish, Refusal> {
    let (log, _, entry) = stored(context, &relation.record)?;
    let unknown = || unknown(&relation.record);
    let statement = Statement::parse(&entry.item.statement).map_err(|_| unknown())?;
    let Body::Record(target) = &statement.manifest().body else { return Err(unknown()) };
    let kind = said.valid.kind().name();
    if kind == ACKNOWLEDGEMENT && (log == context.own || amend::amends(target).is_none()) {
        return Err(Refusal::new(
            "not-an-amendment",
            422,
            format!("cannot acknowledge {}: it is no amendment of another member", relation.record),
            "sealwire tasks lists the corrections and withdrawals to be acknowledged",
        ));
    }
    if !matches!(relation.verb, RelationVerb::Supersedes | RelationVerb::Withdraws) {
        return Ok(wish);
    }
    if kind == amend::CORRECTION {
        fits(context, &relation.record, target, &entry, said.valid.value())?;
    }
    let audiences = audiences(context, target);
    let (community, to) = (target.community.as_str(), target.to.as_ref());
    let holders = Holders { community, to, audiences: &audiences };
    release::reach(said.register, &context.own, said.community, &holders, said.classes, wish)
}

/// For whom each part of a record of ours was sealed.
fn audiences(
    context: &Context,
    record: &RecordManifest,
) -> BTreeMap<FieldClass, BTreeSet<MemberId>> {
    let sealed = record.parts.iter().filter_map(|(class, part)| {
        let to = context.own_audience(&part.audience).unwrap_or_default();
        Some((class.parse().ok()?, to))
    });
    sealed.collect()
}

/// Whether a correction fits a record of ours, with the corrections before it.
fn fits(
    context: &Context,
    id: &RecordId,
    target: &RecordManifest,
    entry: &StoredEntry,
    correction: &Value,
) -> Result<(), Refusal> {
    let kind = Standard::v1().kind(&target.kind);
    let Some(kind) = kind.filter(|kind| !NOT_CORRECTED.contains(&kind.name())) else {
        return Err(Refusal::new(
            "not-correctable",
            422,
            format!("cannot correct {id}: a record of kind {} is not corrected", target.kind),
            "withdraw it and publish another",
        ));
    };
    let mut parts = opened(context, entry);
    for earlier in amend::amendments(context, &context.own, id).map_err(fault)? {
        if !earlier.corrects() {
            continue;
        }
        let before = context.reader.entry(&earlier.log, earlier.index).map_err(fault)?;
        let before = before.map(|entry| assemble(&opened(context, &entry)));
        let corrected = correct(kind, &parts, &before.unwrap_or_default());
        if corrected.findings.is_empty() {
            parts = corrected.parts;
        }
    }
    let corrected = correct(kind, &parts, correction);
    if !corrected.findings.is_empty() {
        return Err(misfit(id, corrected.findings));
    }
    if let Some(class) = corrected.not_checkable.first() {
        return Err(Refusal::new(
            "correction-not-checkable",
            422,
            format!("cannot correct {id}: its {} part does not open here", class.as_str()),
            "supersede the record by a new one of its kind",
        ));
    }
    match Standard::v1().accept(assemble(&corrected.parts)) {
        Ok(_) => Ok(()),
        Err(findings) => Err(misfit(id, findings)),
    }
}

fn opened(context: &Context, entry: &StoredEntry) -> Parts {
    context.open(entry).map(|(_, opened)| opened.disclosures()).unwrap_or_default()
}

fn misfit(id: &RecordId, findings: Vec<sealwire_schemas::Finding>) -> Refusal {
    let message = format!(
        "cannot correct {id}: the correction does not fit it, {} finding(s)",
        findings.len()
    );
    let hint = "compare with sealwire show --amended, which shows the record as it stands";
    Refusal { findings, ..Refusal::new("correction-misfit", 422, message, hint) }
}

/// The acknowledgement of another member's amendment, for its originator alone.
pub fn acknowledgement(
    context: &Context,
    id: &RecordId,
    said: Map<String, Value>,
    day: &str,
) -> Result<Submission, Refusal> {
    let (log, _, entry) = stored(context, id)?;
    let statement = Statement::parse(&entry.item.statement).map_err(|_| unknown(id))?;
    let Body::Record(amendment) = &statement.manifest().body else { return Err(unknown(id)) };
    let mut handling = amendment.handling.to_json().unwrap_or_default();
    if let Some(handling) = handling.as_object_mut() {
        // What the amendment asks of its recipients is not asked of its originator.
        for key in ["feedbackDue", "shareWith", "evaluation"] {
            handling.remove(key);
        }
        // It may have come late.
        for key in ["reviewDate", "retainUntil"] {
            if handling.get(key).and_then(Value::as_str).is_some_and(|date| date < day) {
                handling.insert(key.to_owned(), Value::from(day));
            }
        }
    }
    let mut record = json!({
        "kind": ACKNOWLEDGEMENT,
        "version": 1,
        "issueDate": day,
        "language": "en",
        "relation": {"verb": "answers", "record": id.to_string(), "issuer": log},
        "handling": handling,
    });
    if let Some(fields) = record.as_object_mut() {
        for (key, value) in said {
            fields.entry(key).or_insert(value);
        }
        fields.entry("action").or_insert_with(|| json!(["noted"]));
    }
    let to = BTreeSet::from([log]);
    let restricted =
        [("operational", &["contactOffice", "functionalReferenceId"][..]), ("text", &["remark"])];
    let there = restricted
        .into_iter()
        .filter(|(_, fields)| fields.iter().any(|field| record.get(field).is_some()));
    let audiences = there.map(|(class, _)| (class.to_owned(), to.clone())).collect();
    let community = amendment.community.clone();
    let (to, language, keep) = (Some(to), Default::default(), Vec::new());
    Ok(Submission { community, record, to, audiences, language, keep })
}
