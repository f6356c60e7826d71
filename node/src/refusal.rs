//! Refusals: what was at fault in the input, where, and how to mend it.
//!
//! One type for everything that a caller or a peer is told. A fault of our own (disk, clock,
//! configuration) is never a refusal of somebody's input: see [`Refusal::fault`].

use sealwire_schemas::{Finding, Language};
use serde::Serialize;

/// Why something was not taken.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message} (hint: {hint})")]
pub struct Refusal {
    /// Stable kebab-case code.
    pub code: String,
    /// HTTP status that fits.
    pub status: u16,
    /// `cannot <verb> <thing>: <cause>`.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Findings in the record, if it is one that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Refusal {
    /// A refusal of the caller's or peer's input.
    pub fn new(code: &str, status: u16, message: impl Into<String>, hint: &str) -> Self {
        Self {
            code: code.to_owned(),
            status,
            message: message.into(),
            hint: hint.to_owned(),
            findings: Vec::new(),
        }
    }

    /// A record that does not pass the schema or the rules.
    pub fn invalid(findings: Vec<Finding>) -> Self {
        let message = format!("cannot accept record: {} finding(s)", findings.len());
        let hint = "mend each finding at its pointer and send the record again";
        Self { findings, ..Self::new("record-invalid", 422, message, hint) }
    }

    /// The same, its findings in a language.
    #[must_use]
    pub fn in_language(self, language: Language) -> Self {
        let findings = self.findings.iter().map(|finding| finding.in_language(language)).collect();
        Self { findings, ..self }
    }

    /// A fault of this node: nothing was wrong with the input.
    pub fn fault(code: &str, message: impl Into<String>, hint: &str) -> Self {
        Self::new(code, 503, message, hint)
    }
}
