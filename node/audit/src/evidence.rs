//! Evidence against a log, without the log.
//!
//! 1. trust file (read by the caller); 2. register; 3. evidence.

use std::path::Path;

use sealwire_wire::evidence::{Fork, MAX_EVIDENCE_BYTES};
use sealwire_wire::register::{KeyUse, Register};

use crate::report::{Report, Verdict};
use crate::source::{Source, read};
use crate::steps::{Checked, refuted, register, take, undecided};
use crate::trust::Trust;

/// What evidence that holds does not prove.
const NOT_PROVED: [&str; 3] = [
    "who signed the second history: its owner, a copy of its node, or whoever has the key",
    "which of the two histories is the right one",
    "that either history was shown to every member",
];

/// Verifies the evidence in `file` against the register versions in `versions`.
pub fn run(file: &Path, versions: &Path, trust: &Trust) -> Report {
    let mut report = Report::empty(NOT_PROVED.to_vec());
    let detail = format!("log of {}, register {}", trust.log, trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let Some(register) = take(
        &mut report,
        2,
        "register",
        register(&Source::Directory(versions.to_owned()), "", trust),
    ) else {
        return report;
    };
    let origin = format!("{}/{}", register.federation(), trust.log);
    report.origin = Some(origin.clone());
    if let Some(size) = take(&mut report, 3, "fork", forked(file, &origin, &register, trust)) {
        report.size = size;
    }
    report
}

/// Step 3: one of the log's keys signed two checkpoints, and the larger does not contain the
/// smaller.
fn forked(file: &Path, origin: &str, register: &Register, trust: &Trust) -> Checked<(u64, String)> {
    let Some(bytes) = read(file, MAX_EVIDENCE_BYTES as u64)? else {
        return undecided(format!("there is no file {}", file.display()));
    };
    let keys = register.member(&trust.log).map(|m| m.keys.as_slice()).unwrap_or_default();
    let keys: Vec<[u8; 32]> =
        keys.iter().filter(|key| key.use_ == KeyUse::Log).map(|key| key.public).collect();
    let text = String::from_utf8_lossy(&bytes);
    match Fork::parse(&text).and_then(|fork| fork.verify(origin, &keys)) {
        Ok(sizes) => {
            let detail = format!(
                "its key signed a tree of {} entries and one of {} that does not contain it",
                sizes.smaller, sizes.larger
            );
            Ok((sizes.larger, detail))
        }
        Err(cause) => refuted(cause.to_string()),
    }
}
