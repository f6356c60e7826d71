//! The auditor's library: is this log what it claims to be?
//!
//! Verifies the plain files of a node's data directory against what the auditor brought along in
//! a trust file, in numbered steps, one function each ([`steps`]). Depends on the formats and the
//! standard only: it knows nothing of the node, its journal, its index or its keys, and it needs
//! no network.
//!
//! What a pass does not prove is part of every report.

mod entries;
pub mod report;
pub mod steps;
pub mod trust;

use std::path::Path;

pub use report::{Report, Verdict};
pub use trust::Trust;

/// Verifies the log that `trust` names in the data directory `dir`.
pub fn verify_dir(dir: &Path, trust: &Path) -> Report {
    match Trust::read(trust) {
        Ok(trust) => steps::run(dir, &trust),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}
