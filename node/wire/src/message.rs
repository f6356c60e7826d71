//! Messages between nodes: what travels over gossip and over `/sealwire/sync/1`.
//!
//! Each message proves itself: entries come with the statement that their issuer signed and,
//! over gossip, with an inclusion proof under a signed checkpoint; pulled ranges come with the
//! leaves and a consistency proof. Nothing here is trusted because of who sent it.
//!
//! This module knows nothing of how messages travel.

mod item;
mod matching;
#[cfg(test)]
mod tests;

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::{Digest, MemberId};
use crate::oprf::{Element, EvaluationProof};

pub use item::Item;
pub use matching::{About, Blinded, Tags};

/// Largest announcement over gossip, in bytes (libp2p gossipsub's customary limit).
pub const MAX_GOSSIP_BYTES: usize = 64 * 1024;
/// Largest request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// Largest answer, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// Most leaves in one pulled range.
pub const MAX_PULL_LEAVES: u64 = 4096;
/// Most nodes of a proof: trees are far below 2^63 leaves.
pub const MAX_PROOF_NODES: usize = 128;
/// Most entries in one message.
pub const MAX_ITEMS: usize = 4096;

/// Most versions of the register in one answer; what follows is asked for again.
pub const MAX_REGISTERS: usize = 64;

/// The class under which an audience entry's COSE_Encrypt travels in [`Item::sealed`].
pub const WRAP: &str = "audience";

/// New entries of one log under a checkpoint. Without items it only says that the log has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Whose log.
    pub log: MemberId,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The entries, in order.
    pub items: Vec<Item>,
}

/// What a node asks of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The latest checkpoint that the peer holds of a log, with cosignatures.
    Head(MemberId),
    /// Leaves from `from` on, with what is addressed to the asker.
    Pull {
        /// Whose log.
        log: MemberId,
        /// First index wanted; equal to the size that the asker has verified.
        from: u64,
    },
    /// Single entries with their parts, again, because something was missing.
    Fetch {
        /// Whose log.
        log: MemberId,
        /// Which indexes, in order.
        indexes: Vec<u64>,
    },
    /// Entries for named members, pushed by their originator.
    Push(Announcement),
    /// A cosignature over a checkpoint of the receiver's log: note text and signature line.
    Cosigned {
        /// The checkpoint that was cosigned, with the one cosignature.
        note: String,
    },
    /// An audience secret wrapped again for the asker, whose seal key was not known before.
    Rewrap {
        /// The audience.
        audience: [u8; 16],
    },
    /// The proof that the tree of a size is the beginning of the peer's latest checkpoint.
    Consistency {
        /// Whose log.
        log: MemberId,
        /// The size that the asker has verified.
        size: u64,
    },
    /// The asker quarantined an entry of the receiver's log, and says why.
    Quarantined {
        /// Index of the entry.
        index: u64,
        /// Stable kebab-case code.
        code: String,
        /// What, where, and how to mend it.
        text: String,
    },
    /// The versions of the register that follow the one of this number and digest.
    Register {
        /// Version in force at the asker.
        version: u64,
        /// Its digest.
        digest: Digest,
    },
    /// A log was forked, with the evidence.
    Forked {
        /// Whose log.
        log: MemberId,
        /// As [`crate::evidence::Fork`] writes it.
        evidence: String,
    },
    /// The tags of what the peer lets the asker match; `have` is the serial of those that the
    /// asker has, or 0.
    MatchTags {
        /// Which.
        about: About,
        /// The serial of those at hand.
        have: u64,
    },
    /// Whether the peer holds identifiers, which are blinded.
    Match(Blinded),
}

/// What a peer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// A checkpoint note.
    Head(String),
    /// The peer holds nothing of it.
    Nothing,
    /// A range of a log.
    Range(Range),
    /// Entries asked for singly.
    Items {
        /// Those that are addressed to the asker.
        items: Vec<Item>,
        /// The originator's signed answer for the rest; absent from a relay.
        denial: Option<Vec<u8>>,
    },
    /// Taken; for a push, a cosignature and a notice of quarantine.
    Taken,
    /// Refused, with a stable code and a text for the operator.
    Refused {
        /// Stable kebab-case code.
        code: String,
        /// What, where, and how to mend it.
        text: String,
    },
    /// A wrapped audience secret.
    Wrapped(Vec<u8>),
    /// How a checkpoint continues a smaller tree.
    Consistency(Consistency),
    /// Signed registers, whole, in order: those that follow the asker's, or the answerer's own of
    /// that version, if it is another.
    Registers(Vec<Vec<u8>>),
    /// The tags of what may be matched.
    MatchTags(Tags),
    /// Blinded identifiers, evaluated, with the proof for all of them.
    Matched(Vec<Element>, EvaluationProof),
}

/// How a checkpoint continues a smaller tree, checkable by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The root that its tree had at the size asked for.
    pub root: Digest,
    /// Consistency proof from that root.
    pub proof: Vec<Digest>,
}

/// A range of a log, checkable by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The signed checkpoint that covers the range, with the cosignatures known.
    pub checkpoint: String,
    /// First index.
    pub from: u64,
    /// Statement digests of the leaves, one per index.
    pub leaves: Vec<Digest>,
    /// Consistency proof from `from + leaves` to the checkpoint's size.
    pub consistency: Vec<Digest>,
    /// What is addressed to the asker.
    pub items: Vec<Item>,
    /// The originator's signed answer for the rest; absent from a relay.
    pub denial: Option<Vec<u8>>,
}

const ANNOUNCEMENT: &str = "announcement";
const REQUEST: &str = "request";
const RESPONSE: &str = "response";

impl Announcement {
    /// Writes the message.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(&self.to_value())
    }

    /// Reads a gossip message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_value(cbor::decode_plain(ANNOUNCEMENT, bytes, MAX_GOSSIP_BYTES)?)
    }

    /// Reads an entry file: an announcement that need not fit a gossip message.
    pub fn from_file(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_value(cbor::decode_plain("entry file", bytes, MAX_RESPONSE_BYTES)?)
    }

    fn to_value(&self) -> Value {
        Value::Array(vec![
            Value::from(self.log.as_str()),
            Value::from(self.checkpoint.as_str()),
            Value::Array(self.items.iter().map(Item::to_value).collect()),
        ])
    }

    fn from_value(value: Value) -> Result<Self, CborError> {
        let mut fields = Reader::of_array(ANNOUNCEMENT, value, &["log", "checkpoint", "items"])?;
        Ok(Self {
            log: fields.take_parsed("log", "a member id")?,
            checkpoint: fields.take_text("checkpoint")?,
            items: read_items(fields.take_array("items")?)?,
        })
    }
}

impl Request {
    /// Writes the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (verb, args) = match self {
            Self::Head(log) => ("head", vec![Value::from(log.as_str())]),
            Self::Pull { log, from } => {
                ("pull", vec![Value::from(log.as_str()), Value::from(*from)])
            }
            Self::Fetch { log, indexes } => {
                let indexes = indexes.iter().map(|i| Value::from(*i)).collect();
                ("fetch", vec![Value::from(log.as_str()), Value::Array(indexes)])
            }
            Self::Push(announcement) => ("push", vec![announcement.to_value()]),
            Self::Cosigned { note } => ("cosigned", vec![Value::from(note.as_str())]),
            Self::Rewrap { audience } => ("rewrap", vec![cbor::bytes(*audience)]),
            Self::Consistency { log, size } => {
                ("consistency", vec![Value::from(log.as_str()), Value::from(*size)])
            }
            Self::Quarantined { index, code, text } => (
                "quarantined",
                vec![Value::from(*index), code.as_str().into(), text.as_str().into()],
            ),
            Self::Register { version, digest } => {
                ("register", vec![Value::from(*version), cbor::bytes(digest.0)])
            }
            Self::Forked { log, evidence } => {
                ("forked", [log.as_str(), evidence].map(Value::from).to_vec())
            }
            Self::MatchTags { about, have } => {
                ("match-tags", [about.args(), vec![Value::from(*have)]].concat())
            }
            Self::Match(blinded) => ("match", blinded.args()),
        };
        encode_call(verb, args)
    }

    /// Reads a request.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let (verb, mut args) = decode_call(REQUEST, bytes, MAX_REQUEST_BYTES)?;
        let request = match verb.as_str() {
            "head" => Self::Head(args.take_parsed("0", "a member id")?),
            "pull" => {
                Self::Pull { log: args.take_parsed("0", "a member id")?, from: args.take_u64("1")? }
            }
            "fetch" => {
                let log = args.take_parsed("0", "a member id")?;
                let bad = || cbor::shape(REQUEST, "indexes", "at most 4096 unsigned integers");
                let indexes = args
                    .take_array("1")?
                    .into_iter()
                    .map(|i| i.as_integer().and_then(|i| u64::try_from(i).ok()).ok_or_else(bad))
                    .collect::<Result<Vec<_>, _>>()?;
                if indexes.len() > MAX_ITEMS {
                    return Err(bad());
                }
                Self::Fetch { log, indexes }
            }
            "push" => Self::Push(Announcement::from_value(args.take("0")?)?),
            "cosigned" => Self::Cosigned { note: args.take_text("0")? },
            "rewrap" => Self::Rewrap { audience: args.take_fixed("0")? },
            "consistency" => Self::Consistency {
                log: args.take_parsed("0", "a member id")?,
                size: args.take_u64("1")?,
            },
            "quarantined" => Self::Quarantined {
                index: args.take_u64("0")?,
                code: args.take_text("1")?,
                text: args.take_text("2")?,
            },
            "register" => Self::Register {
                version: args.take_u64("0")?,
                digest: Digest(args.take_fixed("1")?),
            },
            "forked" => Self::Forked {
                log: args.take_parsed("0", "a member id")?,
                evidence: args.take_text("1")?,
            },
            "match-tags" => {
                Self::MatchTags { about: About::take(&mut args)?, have: args.take_u64("3")? }
            }
            "match" => Self::Match(Blinded::take(&mut args)?),
            _ => return Err(cbor::shape(REQUEST, "verb", "a known request")),
        };
        args.finish()?;
        Ok(request)
    }
}

impl Response {
    /// Writes the answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let items_value = |items: &[Item]| Value::Array(items.iter().map(Item::to_value).collect());
        let (verb, args) = match self {
            Self::Head(note) => ("head", vec![Value::from(note.as_str())]),
            Self::Nothing => ("nothing", vec![]),
            Self::Range(range) => {
                let mut args = vec![
                    Value::from(range.checkpoint.as_str()),
                    Value::from(range.from),
                    digests_value(&range.leaves),
                    digests_value(&range.consistency),
                    items_value(&range.items),
                ];
                args.extend(range.denial.as_ref().map(|d| cbor::bytes(d.as_slice())));
                ("range", args)
            }
            Self::Items { items, denial } => {
                let denial = denial.as_ref().map(|d| cbor::bytes(d.as_slice()));
                ("items", [items_value(items)].into_iter().chain(denial).collect())
            }
            Self::Taken => ("taken", vec![]),
            Self::Refused { code, text } => {
                ("refused", vec![Value::from(code.as_str()), Value::from(text.as_str())])
            }
            Self::Wrapped(bytes) => ("wrapped", vec![cbor::bytes(bytes.as_slice())]),
            Self::Consistency(Consistency { checkpoint, root, proof }) => (
                "consistency",
                vec![checkpoint.as_str().into(), cbor::bytes(root.0), digests_value(proof)],
            ),
            Self::Registers(versions) => {
                let versions = versions.iter().map(|v| cbor::bytes(v.as_slice())).collect();
                ("registers", vec![Value::Array(versions)])
            }
            Self::MatchTags(tags) => ("match-tags", tags.args()),
            Self::Matched(elements, proof) => {
                ("matched", matching::evaluated_args(elements, proof))
            }
        };
        encode_call(verb, args)
    }

    /// Reads an answer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let (verb, mut args) = decode_call(RESPONSE, bytes, MAX_RESPONSE_BYTES)?;
        let response = match verb.as_str() {
            "head" => Self::Head(args.take_text("0")?),
            "nothing" => Self::Nothing,
            "range" => Self::Range(Range {
                checkpoint: args.take_text("0")?,
                from: args.take_u64("1")?,
                leaves: read_digests(RESPONSE, args.take_bytes("2")?, MAX_PULL_LEAVES as usize)?,
                consistency: read_digests(RESPONSE, args.take_bytes("3")?, MAX_PROOF_NODES)?,
                items: read_items(args.take_array("4")?)?,
                denial: read_denial(&mut args, "5")?,
            }),
            "items" => Self::Items {
                items: read_items(args.take_array("0")?)?,
                denial: read_denial(&mut args, "1")?,
            },
            "taken" => Self::Taken,
            "refused" => Self::Refused { code: args.take_text("0")?, text: args.take_text("1")? },
            "wrapped" => Self::Wrapped(args.take_bytes("0")?),
            "consistency" => Self::Consistency(Consistency {
                checkpoint: args.take_text("0")?,
                root: Digest(args.take_fixed("1")?),
                proof: read_digests(RESPONSE, args.take_bytes("2")?, MAX_PROOF_NODES)?,
            }),
            "registers" => Self::Registers(read_registers(args.take_array("0")?)?),
            "match-tags" => Self::MatchTags(Tags::take(&mut args)?),
            "matched" => {
                let (elements, proof) = matching::take_evaluated(&mut args)?;
                Self::Matched(elements, proof)
            }
            _ => return Err(cbor::shape(RESPONSE, "verb", "a known answer")),
        };
        args.finish()?;
        Ok(response)
    }
}

fn encode_call(verb: &str, args: Vec<Value>) -> Vec<u8> {
    let mut call = vec![Value::from(verb)];
    call.extend(args);
    cbor::encode(&Value::Array(call))
}

fn decode_call(
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<(String, Reader), CborError> {
    const POSITIONS: [&str; 8] = ["verb", "0", "1", "2", "3", "4", "5", "6"];
    let bad = || cbor::shape(what, "the whole", "an array of a verb and its arguments");
    let call = cbor::decode_plain(what, bytes, limit)?;
    let len = call.as_array().map(Vec::len).ok_or_else(bad)?;
    let mut reader = Reader::of_array(what, call, POSITIONS.get(..len).ok_or_else(bad)?)?;
    Ok((reader.take_text("verb")?, reader))
}

fn read_denial(args: &mut Reader, at: &str) -> Result<Option<Vec<u8>>, CborError> {
    let denial = args.take_opt(at).map(Value::into_bytes).transpose();
    denial.map_err(|_| cbor::shape(RESPONSE, "denial", "a byte string"))
}

fn read_registers(versions: Vec<Value>) -> Result<Vec<Vec<u8>>, CborError> {
    let bad = || cbor::shape(RESPONSE, "versions", "at most 64 byte strings");
    if versions.len() > MAX_REGISTERS {
        return Err(bad());
    }
    versions.into_iter().map(|v| v.into_bytes().map_err(|_| bad())).collect()
}

fn read_items(items: Vec<Value>) -> Result<Vec<Item>, CborError> {
    if items.len() > MAX_ITEMS {
        return Err(cbor::shape("message", "items", "at most 4096"));
    }
    items.into_iter().map(Item::from_value).collect()
}

/// Digests travel as one byte string, 32 bytes each.
fn digests_value(digests: &[Digest]) -> Value {
    Value::Bytes(digests.iter().flat_map(|d| d.0).collect())
}

fn read_digests(
    what: &'static str,
    bytes: Vec<u8>,
    limit: usize,
) -> Result<Vec<Digest>, CborError> {
    let (digests, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || digests.len() > limit {
        return Err(cbor::shape(what, "digests", "a multiple of 32 bytes within the limit"));
    }
    Ok(digests.iter().map(|d| Digest(*d)).collect())
}
