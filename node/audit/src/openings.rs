//! Fields that a bundle opens: each proof is held against the log that the bundle itself proves.

use sealwire_wire::bundle::{MAX_OPENINGS, Manifest, OPENINGS, opening_name};
use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::field_proof::{FieldProof, MAX_FIELD_PROOF_BYTES};
use sealwire_wire::note::MAX_NOTE_BYTES;
use sealwire_wire::register::Register;

use crate::entries;
use crate::field;
use crate::receipt::included;
use crate::report::{Report, Verdict};
use crate::source::Source;
use crate::steps::{Checked, Failure, Log, refuted, undecided};

/// Said when the openings are of another log than the one that is audited.
const NOT_AUDITED: &str =
    "that the opened fields hold: they are of another log than the one audited";

/// Step 12, for each opening in the bundle.
pub(crate) fn openings(
    report: &mut Report,
    source: &Source,
    manifest: Option<&Manifest>,
    log: &Log<'_>,
    register: &Register,
    head: &Checkpoint,
) {
    let names = match source.list(OPENINGS) {
        Ok(names) if names.len() > MAX_OPENINGS => {
            refuted(format!("more than {MAX_OPENINGS} records are opened"))
        }
        listed => listed,
    };
    let opened =
        |name: &String| opening(source, &format!("{OPENINGS}/{name}"), log, register, head);
    let found: Vec<Checked<String>> = match names {
        Ok(names) if names.is_empty() => return,
        Ok(_) if manifest.is_some_and(|manifest| manifest.member != *log.member) => {
            return report.not_proved.push(NOT_AUDITED);
        }
        Ok(names) => names.iter().map(opened).collect(),
        Err(failure) => vec![Err(failure)],
    };
    report.not_proved.push(field::OTHER_FIELDS);
    for found in found {
        let (verdict, detail) = match found {
            Ok(detail) => (Verdict::Verified, detail),
            Err(Failure(verdict, detail)) => (verdict, detail),
        };
        report.add(12, "opened fields", verdict, detail);
    }
}

/// What one opening shows, if it holds.
fn opening(
    source: &Source,
    name: &str,
    log: &Log<'_>,
    register: &Register,
    head: &Checkpoint,
) -> Checked<String> {
    let at =
        |Failure(verdict, cause)| Failure(verdict, format!("{}: {cause}", name.escape_debug()));
    let Some(bytes) = source.read(name, MAX_FIELD_PROOF_BYTES as u64)? else {
        return undecided(format!("{} is not a plain file", name.escape_debug()));
    };
    let proof =
        FieldProof::parse(&bytes).map_err(|e| at(Failure(Verdict::Refuted, e.to_string())))?;
    holds(&proof, name, log, register, head).map_err(at)?;
    let index = proof.receipt().index();
    Ok(format!("{}, entry {index}: {}", proof.statement().claims().subject, field::shown(&proof)))
}

fn holds(
    proof: &FieldProof,
    name: &str,
    log: &Log<'_>,
    register: &Register,
    head: &Checkpoint,
) -> Checked<()> {
    let (receipt, statement) = (proof.receipt(), proof.statement());
    if opening_name(&statement.claims().subject) != name {
        return refuted("it is of another record than its name says");
    }
    // The bundle's own, whose signatures are looked at by themselves.
    let note = log.read_up_to("checkpoint", MAX_NOTE_BYTES as u64)?;
    if note.as_deref() != Some(receipt.checkpoint().as_bytes()) {
        return refuted("it is under another checkpoint than the bundle's");
    }
    included(receipt, statement.bytes(), head)?;
    entries::statement(log.member, register, statement.bytes(), receipt.index())?;
    match proof.matches() {
        Ok(()) => Ok(()),
        Err(cause) => refuted(cause.to_string()),
    }
}
