//! Facts: what the journal says, typed.
//!
//! One journal frame holds one fact: a kind byte and a payload in deterministic CBOR. The kinds
//! are stable: a journal written today is read by every later version.
//!
//! This module knows nothing of files, indexes or whether a fact ought to be believed: whoever
//! commits one has verified it before.

use std::collections::BTreeMap;

use sealwire_wire::cbor::{self, CborError, Reader, Value};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::message::Item;
use sealwire_wire::reads::Read;

use crate::journal::Frame;

use super::decision::Decision;
use super::erasure::{Erasure, Hold, Purged, Review};
use super::matches::Match;

#[cfg(test)]
mod tests;

/// Largest payload of one fact, in bytes: the largest message, and a local envelope.
pub const MAX_FACT_BYTES: usize = sealwire_wire::message::MAX_RESPONSE_BYTES + 64 * 1024;

const ENTRY: u8 = 1;
const CHECKPOINT: u8 = 2;
const LEAVES: u8 = 3;
const COSIGNATURE: u8 = 4;
const REGISTER: u8 = 5;
const DENIAL: u8 = 6;
const SECRET: u8 = 7;
const PARTS: u8 = 8;
const DECISION: u8 = 9;
const READ: u8 = 10;
const READS: u8 = 11;
const PQ_COSIGNATURE: u8 = 12;
const ERASURE: u8 = 20;
const PURGED: u8 = 21;
const HOLD: u8 = 22;
const REVIEW: u8 = 23;
const MATCH: u8 = 24;

/// Something that the node has verified or decided, and will not forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An entry of the own log or of another member's.
    Entry {
        /// Whose log.
        log: MemberId,
        /// When it arrived here, milliseconds since 1970.
        received_at: u64,
        /// The entry; its proof is not kept.
        item: Item,
    },
    /// The own checkpoint as signed, or the accepted head of a mirrored log.
    Checkpoint {
        /// Whose log.
        log: MemberId,
        /// The signed note without cosignatures.
        note: String,
    },
    /// Verified leaves of a mirrored log. The own log's leaves follow from its entries.
    Leaves {
        /// Whose log.
        log: MemberId,
        /// Index of the first.
        from: u64,
        /// Digests of the statements.
        digests: Vec<Digest>,
    },
    /// A cosignature over a checkpoint.
    Cosignature {
        /// The log that was cosigned.
        log: MemberId,
        /// Who cosigned.
        by: MemberId,
        /// Size of the tree that was cosigned.
        size: u64,
        /// The cosigner's time, seconds since 1970.
        time: u64,
        /// The full signature line of the note.
        line: String,
    },
    /// A cosignature with ML-DSA-44 over a checkpoint that the same member cosigned.
    PqCosignature {
        /// The log that was cosigned.
        log: MemberId,
        /// Who cosigned.
        by: MemberId,
        /// Size of the tree that was cosigned.
        size: u64,
        /// The cosigner's time, seconds since 1970.
        time: u64,
        /// The full signature line of the note.
        line: String,
    },
    /// An adopted register version, as received.
    Register {
        /// The signed document.
        bytes: Vec<u8>,
    },
    /// An originator's signed answer that some indexes are not addressed to this member.
    Denial {
        /// Whose log.
        log: MemberId,
        /// The signed answer.
        bytes: Vec<u8>,
        /// The half-open ranges that it covers.
        ranges: Vec<(u64, u64)>,
    },
    /// An audience secret, under the local data key.
    Secret {
        /// The audience.
        audience: [u8; 16],
        /// Who made the secret.
        originator: MemberId,
        /// Ciphertext under the local data key.
        sealed: Vec<u8>,
    },
    /// Sealed parts that came later than their entry.
    Parts {
        /// Whose log.
        log: MemberId,
        /// Index of the entry.
        index: u64,
        /// Sealed parts by class.
        sealed: BTreeMap<String, Vec<u8>>,
    },
    /// A decision of this node.
    Decision(Decision),
    /// A restricted part was given to a reader here.
    Read {
        /// The member whose record was read.
        log: MemberId,
        /// Who read what.
        read: Read,
    },
    /// What an entry of the own log commits to: its reads, which stay here.
    Reads {
        /// The subject of the entry's statement.
        subject: RecordId,
        /// The member whose records were read.
        log: MemberId,
        /// How many of the oldest reads that no entry counted before.
        count: u64,
        /// The reads: see [`sealwire_wire::reads`].
        part: Vec<u8>,
    },
    /// Parts of a record are erased here.
    Erasure(Erasure),
    /// The bytes of erased parts are gone.
    Purged(Purged),
    /// A step of a legal hold.
    Hold(Hold),
    /// A record of ours was looked at, and is kept.
    Review(Review),
    /// Questions whether members hold identifiers.
    Match(Match),
}

/// Why a frame is not a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// A kind that this version does not know.
    #[error(
        "cannot read journal frame: kind {0} is unknown \
         (hint: the journal was written by a newer version; run that one)"
    )]
    Kind(u8),
    /// The payload does not have the form of its kind.
    #[error(transparent)]
    Form(#[from] CborError),
}

impl Fact {
    /// The journal frame of the fact.
    pub fn to_frame(&self) -> Frame {
        let (kind, fields) = match self {
            Self::Entry { log, received_at, item } => (
                ENTRY,
                vec![
                    member(log),
                    Value::from(*received_at),
                    Value::from(item.index),
                    cbor::bytes(item.statement.as_slice()),
                    sealed_value(&item.sealed),
                ],
            ),
            Self::Checkpoint { log, note } => {
                (CHECKPOINT, vec![member(log), Value::from(note.as_str())])
            }
            Self::Leaves { log, from, digests } => {
                let joined: Vec<u8> = digests.iter().flat_map(|d| d.0).collect();
                (LEAVES, vec![member(log), Value::from(*from), cbor::bytes(joined)])
            }
            Self::Cosignature { log, by, size, time, line } => {
                (COSIGNATURE, cosignature(log, by, *size, *time, line))
            }
            Self::PqCosignature { log, by, size, time, line } => {
                (PQ_COSIGNATURE, cosignature(log, by, *size, *time, line))
            }
            Self::Register { bytes } => (REGISTER, vec![cbor::bytes(bytes.as_slice())]),
            Self::Denial { log, bytes, ranges } => {
                let flat = ranges.iter().flat_map(|(a, b)| [Value::from(*a), Value::from(*b)]);
                (
                    DENIAL,
                    vec![member(log), cbor::bytes(bytes.as_slice()), Value::Array(flat.collect())],
                )
            }
            Self::Secret { audience, originator, sealed } => (
                SECRET,
                vec![cbor::bytes(*audience), member(originator), cbor::bytes(sealed.as_slice())],
            ),
            Self::Parts { log, index, sealed } => {
                (PARTS, vec![member(log), Value::from(*index), sealed_value(sealed)])
            }
            Self::Decision(decision) => (DECISION, decision.fields()),
            Self::Match(fact) => (MATCH, fact.fields()),
            Self::Read { log, read } => (
                READ,
                vec![
                    member(log),
                    Value::from(read.at),
                    Value::from(read.by.as_str()),
                    Value::Text(read.record.to_string()),
                    Value::from(read.class.as_str()),
                    Value::from(read.purpose.as_str()),
                ],
            ),
            Self::Reads { subject, log, count, part } => (
                READS,
                vec![
                    Value::Text(subject.to_string()),
                    member(log),
                    Value::from(*count),
                    cbor::bytes(part.as_slice()),
                ],
            ),
            Self::Erasure(erasure) => (ERASURE, erasure.fields()),
            Self::Purged(purged) => (PURGED, purged.fields()),
            Self::Hold(hold) => (HOLD, hold.fields()),
            Self::Review(review) => (REVIEW, review.fields()),
        };
        Frame { kind, payload: cbor::encode(&Value::Array(fields)) }
    }

    /// The fact with zeros, as many as there were bytes, in the place of what `goes` of an entry's
    /// sealed parts, by class, or of a secret.
    pub fn without(mut self, goes: impl Fn(&str) -> bool) -> Self {
        match &mut self {
            Self::Entry { item: Item { sealed, .. }, .. } | Self::Parts { sealed, .. } => {
                for (_, bytes) in sealed.iter_mut().filter(|(class, _)| goes(class)) {
                    bytes.fill(0);
                }
            }
            Self::Secret { sealed, .. } => sealed.fill(0),
            _ => {}
        }
        self
    }

    /// Reads a frame.
    pub fn from_frame(frame: &Frame) -> Result<Self, FactError> {
        let bytes = frame.payload.as_slice();
        Ok(match frame.kind {
            ENTRY => {
                let names = ["log", "received_at", "index", "statement", "sealed"];
                let mut fields = array("entry", bytes, &names)?;
                Self::Entry {
                    log: take_member(&mut fields, "log")?,
                    received_at: fields.take_u64("received_at")?,
                    item: Item {
                        index: fields.take_u64("index")?,
                        statement: fields.take_bytes("statement")?,
                        proof: Vec::new(),
                        sealed: take_sealed(&mut fields)?,
                    },
                }
            }
            CHECKPOINT => {
                let mut fields = array("checkpoint", bytes, &["log", "note"])?;
                Self::Checkpoint {
                    log: take_member(&mut fields, "log")?,
                    note: fields.take_text("note")?,
                }
            }
            LEAVES => {
                let mut fields = array("leaves", bytes, &["log", "from", "digests"])?;
                Self::Leaves {
                    log: take_member(&mut fields, "log")?,
                    from: fields.take_u64("from")?,
                    digests: split_digests(&fields.take_bytes("digests")?)?,
                }
            }
            kind @ (COSIGNATURE | PQ_COSIGNATURE) => {
                let names = ["log", "by", "size", "time", "line"];
                let mut fields = array("cosignature", bytes, &names)?;
                let log = take_member(&mut fields, "log")?;
                let by = take_member(&mut fields, "by")?;
                let (size, time) = (fields.take_u64("size")?, fields.take_u64("time")?);
                let line = fields.take_text("line")?;
                match kind {
                    COSIGNATURE => Self::Cosignature { log, by, size, time, line },
                    _ => Self::PqCosignature { log, by, size, time, line },
                }
            }
            REGISTER => {
                let mut fields = array("register", bytes, &["bytes"])?;
                Self::Register { bytes: fields.take_bytes("bytes")? }
            }
            DENIAL => {
                let mut fields = array("denial", bytes, &["log", "bytes", "ranges"])?;
                Self::Denial {
                    log: take_member(&mut fields, "log")?,
                    bytes: fields.take_bytes("bytes")?,
                    ranges: take_ranges(&mut fields)?,
                }
            }
            SECRET => {
                let mut fields = array("secret", bytes, &["audience", "originator", "sealed"])?;
                Self::Secret {
                    audience: fields.take_fixed("audience")?,
                    originator: take_member(&mut fields, "originator")?,
                    sealed: fields.take_bytes("sealed")?,
                }
            }
            PARTS => {
                let mut fields = array("parts", bytes, &["log", "index", "sealed"])?;
                Self::Parts {
                    log: take_member(&mut fields, "log")?,
                    index: fields.take_u64("index")?,
                    sealed: take_sealed(&mut fields)?,
                }
            }
            DECISION => Self::Decision(Decision::from_bytes(bytes)?),
            MATCH => Self::Match(Match::from_bytes(bytes)?),
            READ => {
                let names = ["log", "at", "by", "record", "class", "purpose"];
                let mut fields = array("read", bytes, &names)?;
                Self::Read {
                    log: take_member(&mut fields, "log")?,
                    read: Read {
                        at: fields.take_u64("at")?,
                        by: fields.take_text("by")?,
                        record: fields.take_parsed("record", "a record id")?,
                        class: fields.take_text("class")?,
                        purpose: fields.take_text("purpose")?,
                    },
                }
            }
            READS => {
                let mut fields = array("reads", bytes, &["subject", "log", "count", "part"])?;
                Self::Reads {
                    subject: fields.take_parsed("subject", "a record id")?,
                    log: take_member(&mut fields, "log")?,
                    count: fields.take_u64("count")?,
                    part: fields.take_bytes("part")?,
                }
            }
            ERASURE => Self::Erasure(Erasure::from_bytes(bytes)?),
            PURGED => Self::Purged(Purged::from_bytes(bytes)?),
            HOLD => Self::Hold(Hold::from_bytes(bytes)?),
            REVIEW => Self::Review(Review::from_bytes(bytes)?),
            kind => return Err(FactError::Kind(kind)),
        })
    }
}

fn cosignature(log: &MemberId, by: &MemberId, size: u64, time: u64, line: &str) -> Vec<Value> {
    vec![member(log), member(by), Value::from(size), Value::from(time), Value::from(line)]
}

/// Sealed parts by class, as a CBOR map.
pub(super) fn sealed_value(sealed: &BTreeMap<String, Vec<u8>>) -> Value {
    let pairs = sealed.iter();
    Value::Map(pairs.map(|(c, b)| (Value::from(c.as_str()), cbor::bytes(b.as_slice()))).collect())
}

pub(super) fn member(id: &MemberId) -> Value {
    Value::from(id.as_str())
}

pub(super) fn array(
    what: &'static str,
    bytes: &[u8],
    names: &[&'static str],
) -> Result<Reader, CborError> {
    Reader::of_array(what, cbor::decode_plain(what, bytes, MAX_FACT_BYTES)?, names)
}

pub(super) fn take_member(fields: &mut Reader, name: &str) -> Result<MemberId, CborError> {
    fields.take_parsed(name, "a member id")
}

fn take_sealed(fields: &mut Reader) -> Result<BTreeMap<String, Vec<u8>>, CborError> {
    let bad = || cbor::shape("fact", "sealed", "a map from class to byte string");
    let map = fields.take("sealed")?.into_map().map_err(|_| bad())?;
    map.into_iter()
        .map(|pair| match pair {
            (Value::Text(class), Value::Bytes(bytes)) => Ok((class, bytes)),
            _ => Err(bad()),
        })
        .collect()
}

fn take_ranges(fields: &mut Reader) -> Result<Vec<(u64, u64)>, CborError> {
    let bad = || cbor::shape("denial", "ranges", "pairs of unsigned integers");
    let flat = fields.take_array("ranges")?;
    let ends: Vec<u64> = flat
        .iter()
        .map(|v| v.as_integer().and_then(|i| u64::try_from(i).ok()).ok_or_else(bad))
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = ends.as_chunks::<2>();
    if rest.is_empty() { Ok(pairs.iter().map(|[a, b]| (*a, *b)).collect()) } else { Err(bad()) }
}

fn split_digests(bytes: &[u8]) -> Result<Vec<Digest>, CborError> {
    let (digests, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() {
        Ok(digests.iter().map(|d| Digest(*d)).collect())
    } else {
        Err(cbor::shape("leaves", "digests", "a multiple of 32 bytes"))
    }
}
