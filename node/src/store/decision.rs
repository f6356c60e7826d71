//! Decisions of this node alone, as facts of its journal.

use sealwire_wire::cbor::{self, CborError, Reader, Value};
use sealwire_wire::id::{Digest, MemberId, RecordId};

use super::fact::{array, member, take_member};

/// What the screen before sending found in a record of ours, and who decided to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// The record.
    pub record: RecordId,
    /// Who decided.
    pub principal: String,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// What was found: places and codes, never the text itself.
    pub kept: Vec<Kept>,
}

/// One finding that was sent all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// RFC 6901 pointer to the field.
    pub pointer: String,
    /// Stable kebab-case code.
    pub code: String,
    /// Why, in the officer's words.
    pub reason: String,
}

impl Kept {
    fn to_value(&self) -> Value {
        let texts = [&self.pointer, &self.code, &self.reason];
        Value::Array(texts.map(|text| Value::from(text.as_str())).to_vec())
    }

    fn from_value(value: Value) -> Result<Self, CborError> {
        let mut fields = Reader::of_array("kept", value, &["pointer", "code", "reason"])?;
        let (pointer, code) = (fields.take_text("pointer")?, fields.take_text("code")?);
        Ok(Self { pointer, code, reason: fields.take_text("reason")? })
    }
}

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
    /// A record of ours was sent although the screen had found something in it.
    Screened(Screened),
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
            Self::Screened(Screened { record, principal, at, kept }) => vec![
                Value::from("screened"),
                Value::Text(record.to_string()),
                Value::from(principal.as_str()),
                Value::from(*at),
                Value::Array(kept.iter().map(Kept::to_value).collect()),
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
            "screened" => Self::Screened(Screened {
                record: fields.take_parsed("0", "a record id")?,
                principal: fields.take_text("1")?,
                at: fields.take_u64("2")?,
                kept: fields
                    .take_array("3")?
                    .into_iter()
                    .map(Kept::from_value)
                    .collect::<Result<_, _>>()?,
            }),
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
