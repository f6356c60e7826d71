//! Single fields of one record, without the rest of it: the proof that `sealwire open` writes.
//!
//! Steps 1 to 7 are those of the receipt in it; 8. fields: the opened ones are those that the
//! statement commits to.

use std::path::Path;

use sealwire_wire::cbor::Value;
use sealwire_wire::field_proof::{FieldProof, MAX_FIELD_PROOF_BYTES, OpenedPart};

use crate::receipt::{Parsed, prove};
use crate::report::Report;
use crate::source::read;
use crate::steps::{Checked, refuted, take, undecided};
use crate::trust::Trust;

/// What opened fields leave open.
pub(crate) const OTHER_FIELDS: &str =
    "what the other fields of an opened record say, which may put these into another light";
/// What a proof that holds does not prove.
const NOT_PROVED: [&str; 4] = [
    "that what the fields say is true",
    OTHER_FIELDS,
    "that the record still stands: a later entry may correct, withdraw or erase it",
    "that whoever shows the proof may do so, or that its holder may use it for every purpose",
];

/// Verifies the proof in `file` against the register versions in `versions`.
pub fn run(file: &Path, versions: &Path, trust: &Trust) -> Report {
    let mut report = Report::empty(NOT_PROVED.to_vec());
    let mut proof = None;
    let taken = prove(&mut report, versions, trust, || {
        let (read, detail) = parse(file)?;
        let (receipt, statement) = (read.receipt().clone(), read.statement().bytes().to_vec());
        proof = Some(read);
        Ok((Parsed { receipt, statement, cose: None }, detail))
    });
    if let (true, Some(proof)) = (taken, proof) {
        take(&mut report, 8, "fields", fields(&proof));
    }
    report
}

/// Step 3: a proof that is whole in itself.
fn parse(file: &Path) -> Checked<(FieldProof, String)> {
    let Some(bytes) = read(file, MAX_FIELD_PROOF_BYTES as u64)? else {
        return undecided(format!("there is no file {}", file.display()));
    };
    match FieldProof::parse(&bytes) {
        Ok(proof) => {
            let count: usize = proof.parts().values().map(|part| part.disclosures().len()).sum();
            let detail = format!("a proof of {count} fields of entry {}", proof.receipt().index());
            Ok((proof, detail))
        }
        Err(cause) => refuted(cause.to_string()),
    }
}

/// Step 8: what the fields are, if they are those that the statement commits to.
fn fields(proof: &FieldProof) -> Checked<((), String)> {
    if let Err(cause) = proof.matches() {
        return refuted(cause.to_string());
    }
    Ok(((), shown(proof)))
}

/// The opened fields of a proof.
pub(crate) fn shown(proof: &FieldProof) -> String {
    let told: Vec<String> = proof.parts().iter().map(|(class, part)| told(class, part)).collect();
    told.join("; ")
}

fn told(class: &str, part: &OpenedPart) -> String {
    let fields = part.disclosures().iter().map(|field| {
        // Escaped: they come from outside, and a terminal would obey some of them.
        let value = match &field.value {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(number) => i128::from(*number).to_string(),
            Value::Bool(yes) => yes.to_string(),
            other => format!("{other:?}"),
        };
        format!("{} = {value}", field.pointer.escape_debug())
    });
    let fields: Vec<String> = fields.collect();
    let (opened, all) = (fields.len(), part.fields());
    format!("{opened} of {all} fields of {}: {}", class.escape_debug(), fields.join(", "))
}

#[cfg(test)]
mod tests;
