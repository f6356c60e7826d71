//! Decisions of this node alone, as facts of its journal.

use sealwire_wire::cbor::{self, CborError, Value};
use sealwire_wire::id::{Digest, MemberId};

use super::fact::{array, member, take_member};

/// A local decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// An entry failed the gate; its bytes are kept.
    Quarantined {
        /// Whose log.
        log: MemberId,
        /// Index of the entry.
        index: u64,
        /// Stable kebab-case code.
        code: String,
        /// What, where, and how to mend it.
        text: String,
    },
    /// A principal's request, known by its idempotency key, became an entry of the own log.
    Idempotent {
        /// Who asked.
        principal: String,
        /// The idempotency key.
        key: String,
        /// Digest of the request.
        request: Digest,
        /// Index of the entry that it became.
        index: u64,
    },
    /// An operator let this node sign after a restore, although peers had not confirmed its head.
    HeadAccepted {
        /// Size of the own log then.
        size: u64,
        /// Its root.
        root: Digest,
        /// When, milliseconds since 1970.
        at: u64,
        /// Why, in the operator's words.
        reason: String,
    },
    /// A receiver quarantined an entry of the own log.
    RefusedBy {
        /// The receiver.
        member: MemberId,
        /// Index of the entry in the own log.
        index: u64,
        /// Stable kebab-case code.
        code: String,
        /// What, where, and how to mend it.
        text: String,
    },
}

impl Decision {
    pub(super) fn fields(&self) -> Vec<Value> {
        match self {
            Self::Quarantined { log, index, code, text } => vec![
                Value::from("quarantined"),
                member(log),
                Value::from(*index),
                Value::from(code.as_str()),
                Value::from(text.as_str()),
            ],
            Self::Idempotent { principal, key, request, index } => vec![
                Value::from("idempotent"),
                Value::from(principal.as_str()),
                Value::from(key.as_str()),
                cbor::bytes(request.0),
                Value::from(*index),
            ],
            Self::HeadAccepted { size, root, at, reason } => vec![
                Value::from("head-accepted"),
                Value::from(*size),
                cbor::bytes(root.0),
                Value::from(*at),
                Value::from(reason.as_str()),
            ],
            Self::RefusedBy { member: by, index, code, text } => vec![
                Value::from("refused-by"),
                member(by),
                Value::from(*index),
                Value::from(code.as_str()),
                Value::from(text.as_str()),
            ],
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        const WHAT: &str = "decision";
        let mut fields = array(WHAT, bytes, &["verb", "0", "1", "2", "3"])?;
        Ok(match fields.take_text("verb")?.as_str() {
            "quarantined" => Self::Quarantined {
                log: take_member(&mut fields, "0")?,
                index: fields.take_u64("1")?,
                code: fields.take_text("2")?,
                text: fields.take_text("3")?,
            },
            "idempotent" => Self::Idempotent {
                principal: fields.take_text("0")?,
                key: fields.take_text("1")?,
                request: Digest(fields.take_fixed("2")?),
                index: fields.take_u64("3")?,
            },
            "head-accepted" => Self::HeadAccepted {
                size: fields.take_u64("0")?,
                root: Digest(fields.take_fixed("1")?),
                at: fields.take_u64("2")?,
                reason: fields.take_text("3")?,
            },
            "refused-by" => Self::RefusedBy {
                member: take_member(&mut fields, "0")?,
                index: fields.take_u64("1")?,
                code: fields.take_text("2")?,
                text: fields.take_text("3")?,
            },
            _ => return Err(cbor::shape(WHAT, "verb", "a known decision")),
        })
    }
}
