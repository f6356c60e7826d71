//! The manifest: what a statement says of an entry. Holds nothing sensitive.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{self, CborError, Encoded, Fields, Strict, Value};
use crate::id::{Digest, MemberId, RecordId, WORD, is_word};
use crate::oprf::ELEMENT_LEN;
use crate::seal::AudienceId;

use super::control::MatchesManifest;
use super::{MAX_MANIFEST_BYTES, PROFILE, StatementError};

pub(super) const MANIFEST: &str = "manifest";
const MEMBER: &str = "a member id";
/// To whom a dummy is addressed.
static NOBODY: BTreeSet<MemberId> = BTreeSet::new();
/// What [`read_plain`] takes, in a map.
const PLAIN_MAP: &str = "a map with text keys, of texts, integers, booleans, arrays and such maps";

/// A log's head as a member last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Tree size.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
}

/// The signed summary of a record or control entry; holds nothing sensitive.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The federation's name.
    pub federation: String,
    /// Version of the register in force for the issuer.
    pub register: u64,
    /// 32 random bytes, so that nobody can guess a leaf from its content.
    pub nonce: [u8; 32],
    /// Other logs' heads last seen.
    pub heads: BTreeMap<MemberId, Head>,
    /// What the entry is.
    pub body: Body,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A record of one of the federation's kinds.
    Record(RecordManifest),
    /// The distribution of an audience secret.
    Audience(AudienceManifest),
    /// The announcement of a seal key for an epoch.
    Key(KeyManifest),
    /// The adoption of a register version.
    Register(RegisterManifest),
    /// How often restricted parts of one member's records were read.
    Reads(ReadsManifest),
    /// Nothing: it fills a publishing tick, and is addressed to nobody.
    Dummy,
    /// How many questions were put to one member, or answered to it.
    Matches(MatchesManifest),
}

/// The manifest of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordManifest {
    /// Record kind, such as `lab-alert`.
    pub kind: String,
    /// The community under whose agreement the record is shared.
    pub community: String,
    /// To whom the entry is addressed; absent means the whole community.
    pub to: Option<BTreeSet<MemberId>>,
    /// `$id` of the schema.
    pub schema: String,
    /// Digest of the schema.
    pub schema_digest: Digest,
    /// Code lists and their editions.
    pub code_lists: BTreeMap<String, String>,
    /// The record's handling block: maps, arrays, texts, integers and booleans.
    pub handling: Encoded,
    /// The earlier entry that this one refers to.
    pub relation: Option<Relation>,
    /// Per field class what is committed to.
    pub parts: BTreeMap<String, PartRef>,
}

/// What a manifest says of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRef {
    /// The commitment: see [`crate::part`].
    pub commitment: Digest,
    /// Padded length of the plaintext, in bytes.
    pub length: u64,
    /// The audience whose secret seals the part.
    pub audience: AudienceId,
}

/// How an entry relates to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The kind of relation.
    pub verb: RelationVerb,
    /// The earlier record.
    pub record: RecordId,
    /// The member that issued it.
    pub issuer: MemberId,
}

/// The kinds of relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationVerb {
    /// Takes the place of the earlier entry.
    Supersedes,
    /// Answers it, as feedback or a linked notice does.
    Answers,
    /// Withdraws it.
    Withdraws,
    /// Orders or attests its erasure.
    Erases,
}

impl RelationVerb {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Supersedes, "supersedes"),
        (Self::Answers, "answers"),
        (Self::Withdraws, "withdraws"),
        (Self::Erases, "erases"),
    ];

    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(verb, _)| *verb == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(verb, _)| *verb)
    }
}

/// The manifest of an audience secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceManifest {
    /// Names the secret.
    pub audience: AudienceId,
    /// The community it serves.
    pub community: String,
    /// The exact audience.
    pub to: BTreeSet<MemberId>,
    /// Commitment to the secret: see [`crate::seal::AudienceSecret::commitment`].
    pub commitment: Digest,
    /// When the originator stops sealing under it, seconds since 1970.
    pub until: u64,
}

/// The manifest of a seal key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyManifest {
    /// Number of the epoch, counted from 1.
    pub epoch: u64,
    /// X-Wing public key.
    pub public: Vec<u8>,
    /// Start of the epoch, seconds since 1970.
    pub from: u64,
    /// End of the epoch, seconds since 1970.
    pub until: u64,
    /// Public half of the match key of the epoch: see [`crate::oprf`].
    pub match_key: Option<[u8; ELEMENT_LEN]>,
}

/// The manifest of a register adoption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterManifest {
    /// The adopted version.
    pub version: u64,
    /// Its digest: see [`crate::register`].
    pub digest: Digest,
}

/// The manifest of a read log's entry: counts for the originator, and a commitment to who read
/// what, when and for which purpose, which stays with the reader: see [`crate::reads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadsManifest {
    /// The member whose records were read, alone: this may be the issuer.
    pub to: BTreeSet<MemberId>,
    /// Time of the first read, seconds since 1970.
    pub from: u64,
    /// Time of the last one.
    pub until: u64,
    /// How often each class of each record was read.
    pub counts: ReadCounts,
    /// Commitment to the reads: see [`crate::part`].
    pub commitment: Digest,
}

/// How often each class of each record was read.
pub type ReadCounts = BTreeMap<RecordId, BTreeMap<String, u64>>;

impl Manifest {
    /// To whom the entry is addressed beside its issuer: `Named` members, all of a `Community`,
    /// or the whole federation.
    pub fn addressees(&self) -> Addressees<'_> {
        match &self.body {
            Body::Record(record) => match &record.to {
                Some(to) => Addressees::Named(to),
                None => Addressees::Community(&record.community),
            },
            Body::Audience(audience) => Addressees::Named(&audience.to),
            Body::Key(_) | Body::Register(_) => Addressees::Federation,
            Body::Reads(reads) => Addressees::Named(&reads.to),
            Body::Dummy => Addressees::Named(&NOBODY),
            Body::Matches(matches) => Addressees::Named(&matches.to),
        }
    }

    /// The entry's kind: a record kind, or `audience`, `key`, `register`, `reads`, `dummy`, `matches`.
    pub fn kind(&self) -> &str {
        match &self.body {
            Body::Record(record) => &record.kind,
            Body::Audience(_) => "audience",
            Body::Key(_) => "key",
            Body::Register(_) => "register",
            Body::Reads(_) => "reads",
            Body::Dummy => "dummy",
            Body::Matches(_) => "matches",
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let heads = self.heads.iter().map(|(member, head)| {
            let head = Value::Array(vec![Value::from(head.size), cbor::bytes(head.root.0)]);
            (Value::from(member.as_str()), head)
        });
        let mut fields = vec![
            ("profile", Value::from(PROFILE)),
            ("federation", Value::from(self.federation.as_str())),
            ("register", Value::from(self.register)),
            ("nonce", cbor::bytes(self.nonce)),
            ("heads", Value::Map(heads.collect())),
            ("kind", Value::from(self.kind())),
        ];
        fields.extend(match &self.body {
            Body::Record(record) => record.fields(),
            Body::Audience(audience) => vec![
                ("audience", cbor::bytes(audience.audience)),
                ("community", Value::from(audience.community.as_str())),
                ("to", members_value(&audience.to)),
                ("commitment", cbor::bytes(audience.commitment.0)),
                ("until", Value::from(audience.until)),
            ],
            Body::Key(key) => key.fields(),
            Body::Register(adopted) => vec![
                ("version", Value::from(adopted.version)),
                ("digest", cbor::bytes(adopted.digest.0)),
            ],
            Body::Reads(reads) => reads.fields(),
            Body::Dummy => Vec::new(),
            Body::Matches(matches) => matches.fields(),
        });
        Value::Map(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        cbor::refuse_longer(MANIFEST, bytes, MAX_MANIFEST_BYTES)?;
        let mut fields = Fields::of_map(MANIFEST, bytes)?;
        let profile = fields.take_u64("profile")?;
        if profile != PROFILE {
            return Err(StatementError::Profile(profile));
        }
        let federation = fields.take_text("federation")?.to_owned();
        let register = fields.take_u64("register")?;
        let nonce = fields.take_fixed("nonce")?;
        let heads = read_map(&mut fields.take("heads")?, "heads", |key, head| {
            head.array("heads", 2)?;
            let (size, root) = (head.unsigned("size")?, Digest(head.byte_array("root")?));
            Ok((parse_member(key)?, Head { size, root }))
        })?;
        let kind = fields.take_text("kind")?;
        let body = match kind {
            "audience" => Body::Audience(AudienceManifest {
                audience: fields.take_fixed("audience")?,
                community: fields.take_text("community")?.to_owned(),
                to: read_members(fields.take("to")?)?,
                commitment: Digest(fields.take_fixed("commitment")?),
                until: fields.take_u64("until")?,
            }),
            "key" => Body::Key(KeyManifest::read(&mut fields)?),
            "register" => Body::Register(RegisterManifest {
                version: fields.take_u64("version")?,
                digest: Digest(fields.take_fixed("digest")?),
            }),
            "reads" => Body::Reads(ReadsManifest::read(&mut fields)?),
            "dummy" => Body::Dummy,
            "matches" => Body::Matches(MatchesManifest::read(&mut fields)?),
            _ => Body::Record(RecordManifest::read(kind, &mut fields)?),
        };
        fields.finish()?;
        Ok(Self { federation, register, nonce, heads, body })
    }
}

impl RecordManifest {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let texts = self.code_lists.iter();
        let texts = texts.map(|(k, v)| (Value::from(k.as_str()), Value::from(v.as_str())));
        let parts = self.parts.iter().map(|(class, part)| {
            let part = Value::Array(vec![
                cbor::bytes(part.commitment.0),
                Value::from(part.length),
                cbor::bytes(part.audience),
            ]);
            (Value::from(class.as_str()), part)
        });
        let mut fields = vec![
            ("community", Value::from(self.community.as_str())),
            ("schema", Value::from(self.schema.as_str())),
            ("schemaDigest", cbor::bytes(self.schema_digest.0)),
            ("codeLists", Value::Map(texts.collect())),
            ("handling", self.handling.value()),
            ("parts", Value::Map(parts.collect())),
        ];
        if let Some(to) = &self.to {
            fields.push(("to", members_value(to)));
        }
        if let Some(relation) = &self.relation {
            let relation = Value::Array(vec![
                Value::from(relation.verb.as_str()),
                Value::Text(relation.record.to_string()),
                Value::from(relation.issuer.as_str()),
            ]);
            fields.push(("relation", relation));
        }
        fields
    }

    fn read(kind: &str, fields: &mut Fields<'_>) -> Result<Self, CborError> {
        let manifest = Self {
            kind: kind.to_owned(),
            community: fields.take_text("community")?.to_owned(),
            to: fields.take_opt("to").map(read_members).transpose()?,
            schema: fields.take_text("schema")?.to_owned(),
            schema_digest: Digest(fields.take_fixed("schemaDigest")?),
            code_lists: read_map(&mut fields.take("codeLists")?, "codeLists", |list, edition| {
                Ok((list.to_owned(), edition.text_string("codeLists")?.to_owned()))
            })?,
            handling: read_handling(fields.take("handling")?)?,
            relation: fields.take_opt("relation").map(read_relation).transpose()?,
            parts: read_map(&mut fields.take("parts")?, "parts", |class, part| {
                part.array("parts", 3)?;
                let commitment = Digest(part.byte_array("commitment")?);
                let length = part.unsigned("length")?;
                let audience = part.byte_array("audience")?;
                Ok((class.to_owned(), PartRef { commitment, length, audience }))
            })?,
        };
        if !is_word(&manifest.kind) {
            return Err(cbor::shape(MANIFEST, "kind", WORD));
        }
        if manifest.parts.is_empty() {
            return Err(cbor::shape(MANIFEST, "parts", "at least one part"));
        }
        Ok(manifest)
    }
}

/// To whom an entry is addressed beside its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressees<'a> {
    /// Exactly these members.
    Named(&'a BTreeSet<MemberId>),
    /// Every active member of the community.
    Community(&'a str),
    /// Every active member of the federation.
    Federation,
}

pub(super) fn members_value(members: &BTreeSet<MemberId>) -> Value {
    Value::Array(members.iter().map(|m| Value::from(m.as_str())).collect())
}

pub(super) fn read_members(mut list: Strict<'_>) -> Result<BTreeSet<MemberId>, CborError> {
    let expected = "member ids in order, each once, at least one";
    let bad = || cbor::shape(MANIFEST, "to", expected);
    let cbor::Head::Array(len) = list.untagged()? else { return Err(bad()) };
    let mut members = BTreeSet::new();
    for _ in 0..len {
        let member = list.parsed("member", MEMBER)?;
        if members.last().is_some_and(|last| *last >= member) {
            return Err(bad());
        }
        members.insert(member);
    }
    if members.is_empty() { Err(bad()) } else { Ok(members) }
}

fn read_relation(mut relation: Strict<'_>) -> Result<Relation, CborError> {
    relation.array("relation", 3)?;
    let verb = RelationVerb::from_word(relation.text_string("verb")?);
    Ok(Relation {
        verb: verb.ok_or_else(|| cbor::shape(MANIFEST, "relation", "a known verb"))?,
        record: relation.parsed("record", "a record id")?,
        issuer: relation.parsed("issuer", MEMBER)?,
    })
}

fn read_handling(mut handling: Strict<'_>) -> Result<Encoded, CborError> {
    let encoded = Encoded::of_item(handling.left());
    match handling.untagged()? {
        cbor::Head::Map(len) => read_plain_map(&mut handling, len)?,
        _ => return Err(cbor::shape(MANIFEST, "handling", PLAIN_MAP)),
    }
    Ok(encoded)
}

/// Reads an item, which is JSON without null and floating point numbers. Its depth and the order
/// of its keys were checked when it was found.
fn read_plain(item: &mut Strict<'_>) -> Result<(), CborError> {
    use cbor::Head::{Array, Bool, Bytes, Map, Negative, Positive, Tag, Text};
    match item.untagged()? {
        Positive(_) | Negative(_) | Bool(_) => Ok(()),
        Text(len) => item.text(len).map(|_| ()),
        Array(len) => (0..len).try_for_each(|_| read_plain(item)),
        Map(len) => read_plain_map(item, len),
        Bytes(_) | Tag(_) => Err(cbor::shape(MANIFEST, "handling", PLAIN_MAP)),
    }
}

/// Reads the entries of such a map.
fn read_plain_map(map: &mut Strict<'_>, len: usize) -> Result<(), CborError> {
    (0..len).try_for_each(|_| match map.untagged()? {
        cbor::Head::Text(len) => map.text(len).and_then(|_| read_plain(map)),
        _ => Err(cbor::shape(MANIFEST, "handling", PLAIN_MAP)),
    })
}

fn parse_member(text: &str) -> Result<MemberId, CborError> {
    text.parse().map_err(|_| cbor::shape(MANIFEST, "member", MEMBER))
}

pub(super) fn read_map<'a, K: Ord, V>(
    map: &mut Strict<'a>,
    field: &'static str,
    mut read: impl FnMut(&'a str, &mut Strict<'a>) -> Result<(K, V), CborError>,
) -> Result<BTreeMap<K, V>, CborError> {
    let mut entries = BTreeMap::new();
    map.map(field, |key, value| {
        let (key, value) = read(key, value)?;
        entries.insert(key, value);
        Ok(())
    })?;
    Ok(entries)
}
