//! The manifest: what a statement says of an entry. Holds nothing sensitive.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{self, CborError, Fields, Value};
use crate::id::{Digest, MemberId, RecordId, WORD, is_word};
use crate::seal::{AudienceId, SEAL_PUBLIC_LEN};

use super::{MAX_MANIFEST_BYTES, PROFILE, StatementError};

const MANIFEST: &str = "manifest";
/// What [`is_plain`] accepts, in a map.
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
    pub handling: Value,
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
        }
    }

    /// The entry's kind: a record kind, or `audience`, `key`, `register`, `reads`.
    pub fn kind(&self) -> &str {
        match &self.body {
            Body::Record(record) => &record.kind,
            Body::Audience(_) => "audience",
            Body::Key(_) => "key",
            Body::Register(_) => "register",
            Body::Reads(_) => "reads",
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
            Body::Key(key) => vec![
                ("epoch", Value::from(key.epoch)),
                ("public", cbor::bytes(key.public.as_slice())),
                ("from", Value::from(key.from)),
                ("until", Value::from(key.until)),
            ],
            Body::Register(adopted) => vec![
                ("version", Value::from(adopted.version)),
                ("digest", cbor::bytes(adopted.digest.0)),
            ],
            Body::Reads(reads) => reads.fields(),
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
        let heads = read_map(fields.take("heads")?, "heads", |key, value| {
            let mut pair = Fields::of_array(MANIFEST, value, &["size", "root"])?;
            let head =
                Head { size: pair.take_u64("size")?, root: Digest(pair.take_fixed("root")?) };
            Ok((parse_member(key)?, head))
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
            "key" => Body::Key(KeyManifest {
                epoch: fields.take_u64("epoch")?,
                public: fields.take_fixed::<SEAL_PUBLIC_LEN>("public")?.to_vec(),
                from: fields.take_u64("from")?,
                until: fields.take_u64("until")?,
            }),
            "register" => Body::Register(RegisterManifest {
                version: fields.take_u64("version")?,
                digest: Digest(fields.take_fixed("digest")?),
            }),
            "reads" => Body::Reads(ReadsManifest::read(&mut fields)?),
            _ => Body::Record(RecordManifest::read(kind, &mut fields)?),
        };
        fields.finish()?;
        Ok(Self { federation, register, nonce, heads, body })
    }
}

impl ReadsManifest {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let counts = self.counts.iter().map(|(record, classes)| {
            let classes = classes.iter();
            let classes = classes.map(|(c, count)| (Value::from(c.as_str()), Value::from(*count)));
            (Value::Text(record.to_string()), Value::Map(classes.collect()))
        });
        vec![
            ("to", members_value(&self.to)),
            ("from", Value::from(self.from)),
            ("until", Value::from(self.until)),
            ("counts", Value::Map(counts.collect())),
            ("commitment", cbor::bytes(self.commitment.0)),
        ]
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, CborError> {
        const COUNTS: &str = "a map from record ids to maps from classes to counts above 0";
        let bad = || cbor::shape(MANIFEST, "counts", COUNTS);
        let reads = Self {
            to: read_members(fields.take("to")?)?,
            from: fields.take_u64("from")?,
            until: fields.take_u64("until")?,
            counts: read_map(fields.take("counts")?, "counts", |record, classes| {
                let classes = read_map(classes, "counts", |class, count| {
                    let count = cbor::integer(MANIFEST, count).and_then(|n| u64::try_from(n).ok());
                    Ok((class.to_owned(), count.filter(|count| *count > 0).ok_or_else(bad)?))
                })?;
                let record = record.parse().map_err(|_| bad())?;
                if classes.is_empty() { Err(bad()) } else { Ok((record, classes)) }
            })?,
            commitment: Digest(fields.take_fixed("commitment")?),
        };
        if reads.to.len() != 1 {
            return Err(cbor::shape(MANIFEST, "to", "one member id"));
        }
        if reads.counts.is_empty() {
            return Err(bad());
        }
        if reads.from > reads.until {
            return Err(cbor::shape(MANIFEST, "until", "not before `from`"));
        }
        Ok(reads)
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
            ("handling", self.handling.clone()),
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
            code_lists: read_map(fields.take("codeLists")?, "codeLists", |list, edition| {
                let edition = cbor::text(MANIFEST, edition).map(str::to_owned);
                let bad = || cbor::shape(MANIFEST, "codeLists", "texts");
                Ok((list.to_owned(), edition.ok_or_else(bad)?))
            })?,
            handling: cbor::decode_plain(MANIFEST, fields.take("handling")?, MAX_MANIFEST_BYTES)?,
            relation: fields.take_opt("relation").map(read_relation).transpose()?,
            parts: read_map(fields.take("parts")?, "parts", |class, value| {
                let names = ["commitment", "length", "audience"];
                let mut part = Fields::of_array(MANIFEST, value, &names)?;
                let commitment = Digest(part.take_fixed("commitment")?);
                let length = part.take_u64("length")?;
                let audience = part.take_fixed("audience")?;
                Ok((class.to_owned(), PartRef { commitment, length, audience }))
            })?,
        };
        if !is_word(&manifest.kind) {
            return Err(cbor::shape(MANIFEST, "kind", WORD));
        }
        if !manifest.handling.is_map() || !is_plain(&manifest.handling) {
            return Err(cbor::shape(MANIFEST, "handling", PLAIN_MAP));
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

fn members_value(members: &BTreeSet<MemberId>) -> Value {
    Value::Array(members.iter().map(|m| Value::from(m.as_str())).collect())
}

fn read_members(list: &[u8]) -> Result<BTreeSet<MemberId>, CborError> {
    let expected = "member ids in order, each once, at least one";
    let bad = || cbor::shape(MANIFEST, "to", expected);
    let list = cbor::array_items(MANIFEST, list, MAX_MANIFEST_BYTES).map_err(|_| bad())?;
    let members: Vec<MemberId> = list
        .into_iter()
        .map(|item| parse_member(cbor::text(MANIFEST, item).unwrap_or_default()))
        .collect::<Result<_, _>>()?;
    let in_order = members.windows(2).all(|w| matches!(w, [a, b] if a < b));
    if members.is_empty() || !in_order { Err(bad()) } else { Ok(members.into_iter().collect()) }
}

fn read_relation(value: &[u8]) -> Result<Relation, CborError> {
    let mut fields = Fields::of_array(MANIFEST, value, &["verb", "record", "issuer"])?;
    Ok(Relation {
        verb: RelationVerb::from_word(fields.take_text("verb")?)
            .ok_or_else(|| cbor::shape(MANIFEST, "relation", "a known verb"))?,
        record: fields.take_parsed("record", "a record id")?,
        issuer: fields.take_parsed("issuer", "a member id")?,
    })
}

/// Whether the value is JSON without null and floating point numbers.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Integer(_) | Value::Text(_) | Value::Bool(_) => true,
        Value::Array(items) => items.iter().all(is_plain),
        Value::Map(fields) => fields.iter().all(|(key, value)| key.is_text() && is_plain(value)),
        _ => false,
    }
}

fn parse_member(text: &str) -> Result<MemberId, CborError> {
    text.parse().map_err(|_| cbor::shape(MANIFEST, "member", "a member id"))
}

fn read_map<K: Ord, V>(
    map: &[u8],
    field: &'static str,
    read: impl Fn(&str, &[u8]) -> Result<(K, V), CborError>,
) -> Result<BTreeMap<K, V>, CborError> {
    let entries = Fields::of_map(MANIFEST, map);
    let entries = entries.map_err(|_| cbor::shape(MANIFEST, field, "a map with text keys"))?;
    entries.into_pairs().map(|(key, value)| read(key, value)).collect()
}
