//! One receipt, without the log that it comes from.
//!
//! 1. trust file (read by the caller); 2. register; 3. receipt; 4. checkpoint; 5. inclusion;
//! 6. statement; 7. cosignatures.

use std::path::Path;

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::id::Digest;
use sealwire_wire::merkle;
use sealwire_wire::receipt::{MAX_RECEIPT_BYTES, Receipt};
use sealwire_wire::statement::{Body, leaf_data};

use crate::entries;
use crate::report::{Report, Verdict};
use crate::steps::{
    Checked, cosignatures, read, refuted, register, signed_by_log, take, undecided,
};
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
    let detail = format!("log of {}, register {}", trust.log, trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let Some(register) = take(&mut report, 2, "register", register(versions, trust)) else {
        return report;
    };
    let origin = format!("{}/{}", register.federation(), trust.log);
    report.origin = Some(origin.clone());
    let Some((receipt, statement)) = take(&mut report, 3, "receipt", parse(file)) else {
        return report;
    };
    let note = receipt.checkpoint().as_bytes();
    let signed = signed_by_log(note, &origin, &trust.log, &register);
    let Some(signed) = take(&mut report, 4, "checkpoint", signed) else { return report };
    report.size = signed.checkpoint().size;
    take(&mut report, 5, "inclusion", included(&receipt, &statement, signed.checkpoint()));
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
    take(&mut report, 6, "statement", checked);
    let cosigned = cosignatures(&origin, &register, trust, &signed);
    take(&mut report, 7, "cosignatures", cosigned);
    report
}

/// Step 3: a C2SP tlog-proof that carries the statement which it proves.
fn parse(file: &Path) -> Checked<((Receipt, Vec<u8>), String)> {
    let Some(bytes) = read(file, MAX_RECEIPT_BYTES as u64)? else {
        return undecided(format!("there is no file {}", file.display()));
    };
    let receipt = String::from_utf8(bytes).ok().map(|text| Receipt::parse(&text));
    match receipt {
        Some(Ok(receipt)) => match receipt.statement().map(<[u8]>::to_vec) {
            Some(statement) => {
                let detail = format!("for entry {}", receipt.index());
                Ok(((receipt, statement), detail))
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
fn included(receipt: &Receipt, statement: &[u8], head: &Checkpoint) -> Checked<((), String)> {
    let leaf = merkle::leaf_hash(&leaf_data(&Digest::of(statement)));
    let (index, proof) = (receipt.index(), receipt.proof());
    match merkle::verify_inclusion(&leaf, index, head.size, proof, &head.root) {
        Ok(()) => Ok(((), format!("entry {index} of {}", head.size))),
        Err(cause) => refuted(cause.to_string()),
    }
}
