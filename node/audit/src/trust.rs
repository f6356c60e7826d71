//! What the auditor brings along: without it nothing can be decided.
//!
//! A TOML file:
//!
//! ```toml
//! log = "ID"                 # the member whose log is audited
//! register = "5f1c…"         # digest of a register version, got from the governors
//! witnesses = 2              # how many other members must have cosigned, or:
//! policy = "…"               # a C2SP tlog-policy
//! witnesses-pq = 1           # optionally how many must have cosigned with ML-DSA-44 too
//! checkpoint = "…"           # optionally a checkpoint that the auditor kept from an earlier audit
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use sealwire_wire::id::{Digest, MemberId};
use serde::Deserialize;

/// Largest trust file accepted, in bytes.
const MAX_TRUST_BYTES: u64 = 1024 * 1024;

/// What the auditor trusts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Whose log is audited.
    pub log: MemberId,
    /// Digest of a register version.
    pub register: Digest,
    /// How many other members must have cosigned the checkpoint.
    pub witnesses: Option<usize>,
    /// How many other members must have cosigned with ML-DSA-44 too; none if it is not said.
    #[serde(rename = "witnesses-pq")]
    pub witnesses_pq: Option<usize>,
    /// A C2SP tlog-policy in the place of `witnesses`.
    pub policy: Option<String>,
    /// A checkpoint kept from an earlier audit.
    pub checkpoint: Option<String>,
}

/// Why a trust file was refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("cannot read trust file {path}: {cause} (hint: write one; see the operations manual)")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not of the form.
    #[error("cannot read trust file {path}: {cause}")]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl Trust {
    /// Reads a trust file.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |cause| TrustError::Unreadable { path: path.to_owned(), cause };
        let form = |cause: String| TrustError::Form { path: path.to_owned(), cause };
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_TRUST_BYTES {
            return Err(form(format!("larger than {MAX_TRUST_BYTES} bytes")));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let trust: Self = toml::from_str(&text).map_err(|e| form(e.to_string()))?;
        match (trust.witnesses, &trust.policy) {
            (None, None) => {
                Err(form("neither witnesses nor policy (hint: witnesses = 0 asks for none)".into()))
            }
            (Some(_), Some(_)) => {
                Err(form("both witnesses and policy (hint: leave one out)".into()))
            }
            _ => Ok(trust),
        }
    }
}
