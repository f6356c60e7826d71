//! The auditor's library: is this log what it claims to be?
//!
//! Verifies the plain files of a node's data directory, or a bundle exported from one, against what
//! the auditor brought along in a trust file, in numbered steps, one function each ([`steps`]). Depends on the formats and the
//! standard only: it knows nothing of the node, its journal, its index or its keys, and it needs
//! no network.
//!
//! What a pass does not prove is part of every report.

mod entries;
mod evidence;
mod field;
pub mod html;
mod openings;
mod others;
mod receipt;
mod reconcile;
pub mod report;
mod source;
mod spread;
pub mod steps;
pub mod trust;

use std::path::Path;

pub use report::{Report, Verdict};
pub use trust::Trust;

/// Most threads that an audit uses.
pub const MAX_THREADS: usize = 256;

/// What an audit may leave out, and on how many threads it works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether opened records are checked against the standard, which costs more than all other
    /// steps together.
    pub standard: bool,
    /// How many threads check entries, 1 to [`MAX_THREADS`]; without a number, one for each core.
    pub threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { standard: true, threads: None }
    }
}

impl Options {
    fn threads(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(cores).clamp(1, MAX_THREADS)
    }
}

/// Verifies the log that `trust` names in a data directory or a bundle.
pub fn verify(path: &Path, trust: &Path, options: Options) -> Report {
    match Trust::read(trust) {
        Ok(trust) => steps::run(path, &trust, options),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}

/// Compares the bundles of two members: what each says it sent against what the other says it got.
/// Of the trust file only the register counts.
pub fn reconcile(a: &Path, b: &Path, trust: &Path) -> Report {
    match Trust::read(trust) {
        Ok(trust) => reconcile::run(a, b, &trust),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}

/// Verifies one receipt by itself, against the register versions (`N.root.json`) in a directory.
pub fn verify_receipt(receipt: &Path, versions: &Path, trust: &Path) -> Report {
    match Trust::read(trust) {
        Ok(trust) => receipt::run(receipt, versions, &trust),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}

/// Verifies a proof of single fields by itself, against the register versions in a directory.
pub fn verify_field(proof: &Path, versions: &Path, trust: &Path) -> Report {
    match Trust::read(trust) {
        Ok(trust) => field::run(proof, versions, &trust),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}

/// Verifies evidence that a log was forked, against the register versions in a directory. Verified
/// means that the fork is proved.
pub fn verify_evidence(evidence: &Path, versions: &Path, trust: &Path) -> Report {
    match Trust::read(trust) {
        Ok(trust) => evidence::run(evidence, versions, &trust),
        Err(cause) => Report::untrusted(cause.to_string()),
    }
}
