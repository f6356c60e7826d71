//! A record as it stands: with its originator's corrections applied, or beside the record that took
//! its place, and every field in which that differs from what was first said.
//!
//! Made anew each time from what the reader may open; what is opened of an amendment is given back
//! as a view of its own, so that it is logged as read like any other.

use sealwire_schemas::{
    FieldChange, Finding, Parts, Severity, Standard, assemble, correct, difference,
};
use sealwire_wire::id::RecordId;
use serde::Serialize;

use super::{Reading, RecordView, fault, stored, unknown, view};
use crate::amend;
use crate::context::Context;
use crate::refusal::Refusal;

/// A record as its originator's amendments leave it, as far as it opens.
#[derive(Debug, Clone, Serialize)]
pub struct Amended {
    /// The record that took its place, if one did: its own amendments are shown with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// Every field that differs, in the order of the amendments.
    pub changes: Vec<Change>,
    /// The corrections, oldest first.
    pub corrections: Vec<Correction>,
    /// The record as it stands.
    pub record: serde_json::Value,
}

/// A field that differs, and by which amendment.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The field, its class, and both values.
    #[serde(flatten)]
    pub field: FieldChange,
    /// The record id of the amendment.
    pub by: String,
}

/// A correction, and whether it fits.
#[derive(Debug, Clone, Serialize)]
pub struct Correction {
    /// Its record id.
    pub id: String,
    /// Its place in the log of the record's originator.
    pub index: u64,
    /// `yes`; `no`, and it is not applied; or `not-checkable`, where what it changes, or what a
    /// rule needs, is withheld: then it is applied as far as it opens, and has not passed.
    pub fits: &'static str,
    /// Corrected classes that do not open to the reader.
    pub not_shown: Vec<&'static str>,
    /// Rules that cannot be decided for the corrected record.
    pub not_checkable: Vec<String>,
    /// Why it does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One record with what became of it; before it the amendments that were opened for that.
pub fn amended(
    context: &Context,
    id: &RecordId,
    reading: &Reading,
) -> Result<Vec<RecordView>, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    let (mut whole, mut parts) =
        view(context, &log, index, &entry, reading)?.ok_or_else(|| unknown(id))?;
    let (mut views, mut changes, mut corrections) = (Vec::new(), Vec::new(), Vec::new());
    let mut superseded_by = None;
    for amendment in amend::amendments(context, &log, id).map_err(fault)? {
        if !amendment.corrects() && !amendment.supersedes() {
            continue;
        }
        let entry = context.reader.entry(&log, amendment.index).map_err(fault)?;
        let Some(entry) = entry else { continue };
        let Some((seen, fields)) = view(context, &log, amendment.index, &entry, reading)? else {
            continue;
        };
        let by = amendment.id.to_string();
        let change = |field| Change { field, by: by.clone() };
        if amendment.supersedes() {
            changes.extend(difference(&parts, &fields).into_iter().map(change));
            (parts, superseded_by) = (fields, Some(by.clone()));
        } else if superseded_by.is_none() {
            let (after, fields, correction) = applied(&whole.kind, &parts, &seen);
            changes.extend(fields.into_iter().map(change));
            parts = after;
            corrections.push(correction);
        }
        views.push(seen);
    }
    let record = assemble(&parts);
    whole.amended = Some(Amended { superseded_by, changes, corrections, record });
    views.push(whole);
    Ok(views)
}

/// The fields after a correction, what it changed, and whether it fits.
fn applied(
    kind: &str,
    parts: &Parts,
    correction: &RecordView,
) -> (Parts, Vec<FieldChange>, Correction) {
    let mut says = Correction {
        id: correction.id.clone(),
        index: correction.index,
        fits: "not-checkable",
        not_shown: Vec::new(),
        not_checkable: Vec::new(),
        findings: Vec::new(),
    };
    let Some(known) = Standard::v1().kind(kind) else {
        return (parts.clone(), Vec::new(), says);
    };
    let corrected = correct(known, parts, &correction.record);
    let check = Standard::v1().check_parts(kind, &corrected.parts);
    let errors = check.findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    says.findings = corrected.findings.into_iter().chain(errors).collect();
    says.not_shown = corrected.not_checkable.iter().map(|class| class.as_str()).collect();
    says.not_checkable = check.not_checkable;
    if !says.findings.is_empty() {
        says.fits = "no";
        return (parts.clone(), Vec::new(), says);
    }
    let open = correction.withheld.is_empty() && correction.held_back.is_empty();
    if open && says.not_shown.is_empty() && says.not_checkable.is_empty() && !parts.is_empty() {
        says.fits = "yes";
    }
    (corrected.parts, corrected.changes, says)
}
