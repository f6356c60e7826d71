//! One receipt, without the log that it comes from: a C2SP tlog-proof, or the export of a COSE
//! receipt beside its checkpoint. Which of the two is told by how it begins.
//!
//! 1. trust file (read by the caller); 2. register; 3. receipt; 4. checkpoint; 5. inclusion;
//! 6. statement; 7. cosignatures.

use std::path::Path;

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::cose_receipt::{CoseReceipt, Export, MAX_EXPORT_BYTES};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle;
use sealwire_wire::receipt::{MAX_RECEIPT_BYTES, Receipt};
use sealwire_wire::register::{KeyUse, Register};
use sealwire_wire::statement::{Body, leaf_data};

use crate::entries;
use crate::report::{Report, Verdict};
use crate::source::{Source, read};
use crate::steps::{Checked, cosignatures, refuted, register, signed_by_log, take, undecided};
use crate::trust::Trust;

/// What a receipt that holds does not prove.
const NOT_PROVED: [&str; 4] = [
    "that the content of the record is true",
    "that the record still stands: a later entry may correct, withdraw or erase it",
    "what the parts of the record say: the receipt holds their commitments only",
    "that the checkpoint's log is the only one of this member, but by the word of who cosigned it",
];

/// Verifies the receipt in `file` against the register versions in `versions`.
pub fn run(file: &Path, versions: &Path, trust: &Trust) -> Report {
    let mut report = Report::empty(NOT_PROVED.to_vec());
    prove(&mut report, versions, trust, || parse(file));
    report
}

/// The seven steps for a receipt that `parse` reads; answers whether all of them were taken.
pub(crate) fn prove(
    report: &mut Report,
    versions: &Path,
    trust: &Trust,
    parse: impl FnOnce() -> Checked<(Parsed, String)>,
) -> bool {
    let detail = format!("log of {}, register {}", trust.log, trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let known = register(&Source::Directory(versions.to_owned()), "", trust);
    let Some(register) = take(report, 2, "register", known) else { return false };
    let origin = format!("{}/{}", register.federation(), trust.log);
    report.origin = Some(origin.clone());
    let Some(parsed) = take(report, 3, "receipt", parse()) else { return false };
    let Parsed { receipt, statement, cose } = parsed;
    let note = receipt.checkpoint().as_bytes();
    let signed = signed_by_log(note, &origin, &trust.log, &register);
    let Some(signed) = take(report, 4, "checkpoint", signed) else { return false };
    report.size = signed.checkpoint().size;
    let head = signed.checkpoint();
    let included = included(&receipt, &statement, head).and_then(|((), detail)| match &cose {
        None => Ok(((), detail)),
        Some(cose) => bound(cose, head, &trust.log, &register, detail),
    });
    take(report, 5, "inclusion", included);
    let checked = entries::statement(&trust.log, &register, &statement, receipt.index());
    let checked = checked.map(|statement| {
        let what = match &statement.manifest().body {
            Body::Record(record) => format!("a {} in community {}", record.kind, record.community),
            _ => "not a record".to_owned(),
        };
        let claims = statement.claims();
        let detail = format!(
            "{}: {what}, signed by {} at {} under a key valid at index {}",
            claims.subject,
            claims.issuer,
            claims.issued_at,
            receipt.index()
        );
        ((), detail)
    });
    take(report, 6, "statement", checked);
    let cosigned = cosignatures(&origin, &register, trust, &signed);
    take(report, 7, "cosignatures", cosigned);
    true
}

/// What a receipt says, not yet held against anything.
pub(crate) struct Parsed {
    pub receipt: Receipt,
    pub statement: Vec<u8>,
    /// The COSE receipt, if it came as one; then `receipt` has its index and path.
    pub cose: Option<CoseReceipt>,
}

/// Step 3: a receipt that carries the statement which it proves.
fn parse(file: &Path) -> Checked<(Parsed, String)> {
    let Some(bytes) = read(file, MAX_RECEIPT_BYTES.max(MAX_EXPORT_BYTES) as u64)? else {
        return undecided(format!("there is no file {}", file.display()));
    };
    // A tlog-proof begins with a letter, and CBOR that is no number does not.
    let is_export = bytes.first().is_some_and(|first| !first.is_ascii());
    let cose = match is_export.then(|| Export::parse(&bytes)).transpose() {
        Ok(export) => export,
        Err(cause) => return refuted(cause.to_string()),
    };
    let receipt = match &cose {
        Some(export) => Some(Ok(export.proof())),
        None => String::from_utf8(bytes).ok().map(|text| Receipt::parse(&text)),
    };
    match receipt {
        Some(Ok(receipt)) => match receipt.statement().map(<[u8]>::to_vec) {
            Some(statement) => {
                let kind = if cose.is_some() { "a COSE receipt" } else { "a tlog-proof" };
                let detail = format!("{kind} for entry {}", receipt.index());
                let cose = cose.map(|export| export.receipt().clone());
                Ok((Parsed { receipt, statement, cose }, detail))
            }
            None => undecided(
                "it has no extra line with the statement that it proves \
                 (hint: sealwire receipt writes one that has)",
            ),
        },
        Some(Err(cause)) => refuted(cause.to_string()),
        None => refuted("not UTF-8 text"),
    }
}

/// Step 5: the statement is the entry at that index of the tree that the checkpoint signs.
pub(crate) fn included(
    receipt: &Receipt,
    statement: &[u8],
    head: &Checkpoint,
) -> Checked<((), String)> {
    let leaf = merkle::leaf_hash(&leaf_data(&Digest::of(statement)));
    let (index, proof) = (receipt.index(), receipt.proof());
    match merkle::verify_inclusion(&leaf, index, head.size, proof, &head.root) {
        Ok(()) => Ok(((), format!("entry {index} of {}", head.size))),
        Err(cause) => refuted(cause.to_string()),
    }
}

/// The rest of step 5 for a COSE receipt: a log key of the member signed the checkpoint's root in
/// it, and it is for the checkpoint's size.
fn bound(
    cose: &CoseReceipt,
    head: &Checkpoint,
    log: &MemberId,
    register: &Register,
    detail: String,
) -> Checked<((), String)> {
    let keys = register.member(log).map(|member| member.keys.as_slice()).unwrap_or_default();
    let mut last = "the register lists no log key".to_owned();
    for key in keys.iter().filter(|key| key.use_ == KeyUse::Log) {
        match cose.verify(head, &key.public) {
            Ok(()) => return Ok(((), format!("{detail}, and the COSE receipt is of that tree"))),
            Err(cause) => last = cause.to_string(),
        }
    }
    refuted(last)
}

#[cfg(test)]
mod tests;
