//! What a register holds, as typed values: members, their keys, communities, schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::id::{Digest, MemberId};
use crate::mldsa::MLDSA_PUBLIC_BYTES;

/// What a key is for. No key has two uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// Proves the peer id of the node (libp2p).
    Node,
    /// Signs the checkpoints of the member's own log.
    Log,
    /// Cosigns the checkpoints of other members' logs.
    Cosign,
    /// Signs statements.
    Sign,
    /// Cosigns as `Cosign` does, with ML-DSA-44; a member may have none.
    CosignPq,
}

impl KeyUse {
    /// Every use for which an active member has an Ed25519 key, in the order of the format.
    pub const ALL: [Self; 4] = [Self::Node, Self::Log, Self::Cosign, Self::Sign];

    /// The word in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Log => "log",
            Self::Cosign => "cosign",
            Self::Sign => "sign",
            Self::CosignPq => "cosign-pq",
        }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of those the register knows at this place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {found:?}\nhint: expected {expected}")]
pub struct UnknownWord {
    found: String,
    expected: &'static str,
}

impl FromStr for KeyUse {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut uses = Self::ALL.into_iter().chain([Self::CosignPq]);
        uses.find(|u| u.as_str() == text).ok_or_else(|| UnknownWord {
            found: text.to_owned(),
            expected: "node, log, cosign, sign or cosign-pq",
        })
    }
}

/// Whether a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Takes part.
    Active,
    /// Does not take part for now; its earlier entries stay valid.
    Suspended,
    /// Takes part no more; its earlier entries stay valid.
    Left,
}

impl Status {
    /// The word in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Left => "left",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Active, Self::Suspended, Self::Left]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| UnknownWord {
                found: text.to_owned(),
                expected: "active, suspended or left",
            })
    }
}

/// A member of the federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its name by language.
    pub names: BTreeMap<String, String>,
    /// What it is, such as `administration` or `laboratory`.
    pub roles: Vec<String>,
    /// Whether it takes part.
    pub status: Status,
    /// The libp2p peer id of its node, as the node key gives it.
    pub peer_id: String,
    /// Where its node listens, as multiaddresses.
    pub addresses: Vec<String>,
    /// All its Ed25519 keys, ended ones included.
    pub keys: Vec<MemberKey>,
    /// All its ML-DSA-44 keys, ended ones included; often none.
    pub cosign_pq: Vec<CosignPqKey>,
}

impl Member {
    /// The sign key of this thumbprint, if it may sign the entry at `leaf_index` of this member's
    /// own log.
    pub fn sign_key_at(&self, thumbprint: &Digest, leaf_index: u64) -> Option<&MemberKey> {
        self.keys
            .iter()
            .find(|k| k.use_ == KeyUse::Sign && k.thumbprint == *thumbprint && k.covers(leaf_index))
    }

    /// The sign key of this thumbprint, wherever it counts.
    pub fn sign_key(&self, thumbprint: &Digest) -> Option<&MemberKey> {
        self.keys.iter().find(|k| k.use_ == KeyUse::Sign && k.thumbprint == *thumbprint)
    }

    /// The log key in force: the one that signs new checkpoints.
    pub fn log_key(&self) -> Option<&MemberKey> {
        self.current(KeyUse::Log)
    }

    /// The cosign key in force.
    pub fn cosign_key(&self) -> Option<&MemberKey> {
        self.current(KeyUse::Cosign)
    }

    /// The ML-DSA-44 cosign key in force, if it has one.
    pub fn cosign_pq_key(&self) -> Option<&CosignPqKey> {
        self.cosign_pq.iter().find(|key| key.until.is_none())
    }

    /// The node key in force.
    pub fn node_key(&self) -> Option<&MemberKey> {
        self.current(KeyUse::Node)
    }

    /// The key of this use that has no end; of several sign keys the latest.
    pub fn current(&self, use_: KeyUse) -> Option<&MemberKey> {
        self.keys.iter().filter(|k| k.use_ == use_ && k.until.is_none()).max_by_key(|k| k.from)
    }

    /// Its name in `language`, else in English, else in any language.
    pub fn name(&self, language: &str) -> &str {
        let named = self.names.get(language).or_else(|| self.names.get("en"));
        named.or_else(|| self.names.values().next()).map_or(self.id.as_str(), String::as_str)
    }
}

/// One Ed25519 key of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberKey {
    /// What it is for.
    pub use_: KeyUse,
    /// The public key.
    pub public: [u8; 32],
    /// Its COSE key thumbprint.
    pub thumbprint: Digest,
    /// First leaf index in the member's own log for which it counts.
    pub from: u64,
    /// First leaf index for which it counts no more.
    pub until: Option<u64>,
}

impl MemberKey {
    /// Whether the key counts for this leaf index of its owner's log.
    pub fn covers(&self, leaf_index: u64) -> bool {
        self.from <= leaf_index && self.until.is_none_or(|until| leaf_index < until)
    }

    /// Whether this is `old` in a later version: ended at most, or ended earlier than before.
    pub(super) fn continues(&self, old: &Self) -> bool {
        self.use_ == old.use_
            && self.public == old.public
            && self.from == old.from
            && ends_no_later(self.until, old.until)
    }
}

/// An ML-DSA-44 key with which a member cosigns beside its cosign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignPqKey {
    /// The public key.
    pub public: Box<[u8; MLDSA_PUBLIC_BYTES]>,
    /// Its COSE key thumbprint.
    pub thumbprint: Digest,
    /// First leaf index in the member's own log for which it counts.
    pub from: u64,
    /// First leaf index for which it counts no more.
    pub until: Option<u64>,
}

impl CosignPqKey {
    /// As [`MemberKey::continues`].
    pub(super) fn continues(&self, old: &Self) -> bool {
        self.public == old.public && self.from == old.from && ends_no_later(self.until, old.until)
    }
}

/// Whether a key's end is as it was, or earlier.
fn ends_no_later(until: Option<u64>, old: Option<u64>) -> bool {
    old.is_none_or(|end| until.is_some_and(|until| until <= end))
}

/// What the agreement lets a member do in a community, where it is less than both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It publishes to the community, and nothing of the community is addressed to it.
    Publish,
    /// It receives what others publish, and publishes nothing.
    Receive,
}

impl Direction {
    /// The word in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Direction {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Publish, Self::Receive]
            .into_iter()
            .find(|d| d.as_str() == text)
            .ok_or_else(|| UnknownWord { found: text.to_owned(), expected: "publish or receive" })
    }
}

/// A sharing group under one agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The agreement it rests on.
    pub agreement: String,
    /// Its members; suspended ones included: ask [`Register::active_members`](super::Register::active_members).
    pub members: BTreeSet<MemberId>,
    /// The record kinds that may be published in it.
    pub kinds: BTreeSet<String>,
    /// The field classes that may be shared in it.
    pub classes: BTreeSet<String>,
    /// The highest TLP label: `CLEAR`, `GREEN`, `AMBER`, `AMBER+STRICT` or `RED`.
    pub tlp_ceiling: String,
    /// The purposes that the agreement allows.
    pub purposes: BTreeSet<String>,
    /// Longest retention, in days.
    pub retention_days: u32,
    /// Longest retention of single field classes, in days, where it is shorter.
    pub class_retention_days: BTreeMap<String, u32>,
    /// Cosignatures of other members after which an entry counts as witnessed.
    pub witnesses: u32,
    /// To how many of those to whom it is addressed a record must have come to count as
    /// delivered; to all of them if there is no number.
    pub delivery: Option<u32>,
    /// The members that only publish, or only receive; every other member does both.
    pub directions: BTreeMap<MemberId, Direction>,
}

impl Community {
    /// How long a part of a field class may be kept, in days.
    pub fn retention_of(&self, class: &str) -> u32 {
        self.class_retention_days.get(class).copied().unwrap_or(self.retention_days)
    }

    /// Whether a member of the community may publish in it.
    pub fn publishes(&self, member: &MemberId) -> bool {
        self.members.contains(member) && self.directions.get(member) != Some(&Direction::Receive)
    }

    /// Whether what is published in the community may be addressed to a member.
    pub fn receives(&self, member: &MemberId) -> bool {
        self.members.contains(member) && self.directions.get(member) != Some(&Direction::Publish)
    }
}

/// The schema that the register pins for a record kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRef {
    /// The schema's `$id`.
    pub id: String,
    /// SHA-256 of the schema.
    pub digest: Digest,
}
