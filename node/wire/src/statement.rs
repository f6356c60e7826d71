//! Statements: what a member signs.
//!
//! A statement is a COSE_Sign1 (RFC 9052 §4.2) over a [`Manifest`], in the shape of a SCITT signed
//! statement (RFC 9943): algorithm Ed25519 (−19, RFC 9864), key id = COSE key thumbprint
//! (RFC 9679), CWT claims (RFC 9597) with issuer, subject and issued-at, and an **empty**
//! unprotected header, so that the logged bytes are not malleable.
//!
//! The ladder: bytes → [`Statement`] (well formed; nothing is known of who made it) →
//! [`AuthenticStatement`] (the signature holds under a key that the caller looked up; it stays
//! true for ever, whether the key was valid at that place in the log is the caller's question).
//!
//! This module knows nothing of registers, logs or clocks.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::{Digest, MemberId, RecordId, ed25519_thumbprint};
use crate::seal::{AudienceId, SEAL_PUBLIC_LEN};

/// The profile of formats that this version reads and writes; it pins every code point.
pub const PROFILE: u64 = 1;
/// Largest manifest accepted, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024;
/// Largest statement accepted, in bytes.
pub const MAX_STATEMENT_BYTES: usize = MAX_MANIFEST_BYTES + 1024;
/// COSE algorithm Ed25519 (RFC 9864).
const ALG_ED25519: i64 = -19;
/// COSE tag of COSE_Sign1.
const TAG_SIGN1: u64 = 18;
/// `typ` (RFC 9596) of a statement.
pub const TYP_STATEMENT: &str = "application/sealwire-statement+cose";
/// `typ` of a signed range answer.
pub const TYP_DENIAL: &str = "application/sealwire-not-addressed+cose";
/// First byte of leaf data: entry type 1, the digest of a statement.
pub const LEAF_STATEMENT: u8 = 0x01;

const STATEMENT: &str = "statement";
const MANIFEST: &str = "manifest";

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The bytes are not of the format.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A profile that this version does not know.
    #[error(
        "cannot read manifest: profile {0} is not known (hint: this node reads profile {PROFILE}; upgrade it)"
    )]
    Profile(u64),
    /// The manifest to be signed is too large.
    #[error("cannot sign statement: manifest of {0} bytes exceeds {MAX_MANIFEST_BYTES}")]
    ManifestTooLarge(usize),
    /// The key looked up is not the one that the statement names.
    #[error("cannot verify statement: signed by key {named}, but the key at hand is {found}")]
    OtherKey {
        /// Thumbprint in the statement.
        named: Digest,
        /// Thumbprint of the key at hand.
        found: Digest,
    },
    /// The signature does not hold.
    #[error("cannot verify statement: the signature does not hold (altered, or not by this key)")]
    BadSignature,
}

/// What is signed beside the manifest: CWT claims (RFC 8392, RFC 9597).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the member that signs.
    pub issuer: MemberId,
    /// `sub`: the record, or the id that this control entry was given.
    pub subject: RecordId,
    /// `iat`: the issuer's clock, seconds since 1970; informative.
    pub issued_at: u64,
}

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
        }
    }

    /// The entry's kind: a record kind, or `audience`, `key`, `register`.
    pub fn kind(&self) -> &str {
        match &self.body {
            Body::Record(record) => &record.kind,
            Body::Audience(_) => "audience",
            Body::Key(_) => "key",
            Body::Register(_) => "register",
        }
    }

    fn to_value(&self) -> Value {
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
        });
        Value::Map(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        let value = cbor::decode_plain(MANIFEST, bytes, MAX_MANIFEST_BYTES)?;
        let mut fields = Reader::of_map(MANIFEST, value)?;
        let profile = fields.take_u64("profile")?;
        if profile != PROFILE {
            return Err(StatementError::Profile(profile));
        }
        let federation = fields.take_text("federation")?;
        let register = fields.take_u64("register")?;
        let nonce = fields.take_fixed("nonce")?;
        let heads = read_map(fields.take("heads")?, "heads", |key, value| {
            let mut pair = Reader::of_array(MANIFEST, value, &["size", "root"])?;
            let head =
                Head { size: pair.take_u64("size")?, root: Digest(pair.take_fixed("root")?) };
            Ok((parse_member(&key)?, head))
        })?;
        let kind = fields.take_text("kind")?;
        let body = match kind.as_str() {
            "audience" => Body::Audience(AudienceManifest {
                audience: fields.take_fixed("audience")?,
                community: fields.take_text("community")?,
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

    fn read(kind: String, fields: &mut Reader) -> Result<Self, CborError> {
        let manifest = Self {
            kind,
            community: fields.take_text("community")?,
            to: fields.take_opt("to").map(read_members).transpose()?,
            schema: fields.take_text("schema")?,
            schema_digest: Digest(fields.take_fixed("schemaDigest")?),
            code_lists: read_map(fields.take("codeLists")?, "codeLists", |list, edition| {
                let edition = edition.into_text();
                Ok((list, edition.map_err(|_| cbor::shape(MANIFEST, "codeLists", "texts"))?))
            })?,
            handling: fields.take("handling")?,
            relation: fields.take_opt("relation").map(read_relation).transpose()?,
            parts: read_map(fields.take("parts")?, "parts", |class, value| {
                let names = ["commitment", "length", "audience"];
                let mut part = Reader::of_array(MANIFEST, value, &names)?;
                let commitment = Digest(part.take_fixed("commitment")?);
                let length = part.take_u64("length")?;
                Ok((class, PartRef { commitment, length, audience: part.take_fixed("audience")? }))
            })?,
        };
        if !manifest.handling.is_map() {
            return Err(cbor::shape(MANIFEST, "handling", "a map"));
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

/// A well-formed statement; nothing is known yet of who made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    sign1: Sign1,
    claims: Claims,
    manifest: Manifest,
}

impl Statement {
    /// Reads the bytes of a statement.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let (sign1, payload) = Sign1::parse(STATEMENT, TYP_STATEMENT, bytes, MAX_STATEMENT_BYTES)?;
        let manifest = Manifest::from_bytes(&payload)?;
        let claims = sign1.claims.clone();
        Ok(Self { sign1, claims, manifest })
    }

    /// Checks the signature, strictly, over the bytes received, under the key that the caller
    /// looked up for [`Self::key_id`].
    pub fn verify(self, public: &[u8; 32]) -> Result<AuthenticStatement, StatementError> {
        self.sign1.verify(public)?;
        Ok(AuthenticStatement(self))
    }

    /// Thumbprint of the key that is said to have signed.
    pub fn key_id(&self) -> Digest {
        self.sign1.key_id
    }

    /// Who is said to have signed what, and when.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The manifest, not yet authentic.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes received.
    pub fn bytes(&self) -> &[u8] {
        &self.sign1.bytes
    }
}

/// A statement whose signature holds. The only constructors are [`Statement::verify`] and
/// [`sign`].
#[derive(Debug, Clone, PartialEq)]
pub struct AuthenticStatement(Statement);

impl AuthenticStatement {
    /// Who signed what, and when by the issuer's clock.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// What was signed.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The statement's bytes as received.
    pub fn bytes(&self) -> &[u8] {
        &self.0.sign1.bytes
    }

    /// Thumbprint of the key that signed.
    pub fn key_id(&self) -> Digest {
        self.0.sign1.key_id
    }

    /// SHA-256 of the statement's bytes: how it is named in a leaf and fetched.
    pub fn digest(&self) -> Digest {
        Digest::of(self.bytes())
    }

    /// SHA-256 of the `Sig_structure`: by which duplicates are known, since a signature could be
    /// made again over the same content.
    pub fn content_digest(&self) -> Digest {
        self.0.sign1.content_digest
    }
}

/// Signs a manifest.
pub fn sign(
    key: &SigningKey,
    claims: Claims,
    manifest: Manifest,
) -> Result<AuthenticStatement, StatementError> {
    let payload = cbor::encode(&manifest.to_value());
    if payload.len() > MAX_MANIFEST_BYTES {
        return Err(StatementError::ManifestTooLarge(payload.len()));
    }
    let sign1 = Sign1::sign(key, TYP_STATEMENT, claims.clone(), &payload);
    Ok(AuthenticStatement(Statement { sign1, claims, manifest }))
}

/// Leaf data of a statement: 33 bytes, `01 ‖ SHA-256(statement)`.
pub fn leaf_data(statement: &Digest) -> [u8; 33] {
    let mut leaf = [LEAF_STATEMENT; 33];
    leaf[1..].copy_from_slice(&statement.0);
    leaf
}

/// An originator's signed answer that some indexes of its log are not addressed to the asker.
/// A false one, beside the entry itself, is evidence that anyone can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The federation's name.
    pub federation: String,
    /// Who asked.
    pub asker: MemberId,
    /// Version of the register in force for the originator.
    pub register: u64,
    /// Half-open ranges of indexes, in order, that are not addressed to the asker.
    pub ranges: Vec<(u64, u64)>,
}

/// Most ranges in one [`Denial`].
pub const MAX_DENIAL_RANGES: usize = 4096;
const MAX_DENIAL_BYTES: usize = MAX_DENIAL_RANGES * 20 + 1024;
const DENIAL: &str = "not-addressed answer";

impl Denial {
    /// Signs the answer with the originator's sign key.
    pub fn sign(&self, key: &SigningKey, claims: Claims) -> Vec<u8> {
        let ranges = self.ranges.iter();
        let ranges = ranges.map(|(a, b)| Value::Array(vec![Value::from(*a), Value::from(*b)]));
        let payload = cbor::encode(&cbor::map([
            ("profile", Value::from(PROFILE)),
            ("federation", Value::from(self.federation.as_str())),
            ("asker", Value::from(self.asker.as_str())),
            ("register", Value::from(self.register)),
            ("ranges", Value::Array(ranges.collect())),
        ]));
        Sign1::sign(key, TYP_DENIAL, claims, &payload).bytes
    }

    /// Reads and verifies an answer; `key_of` looks up the public key for a key id.
    pub fn verify(
        bytes: &[u8],
        key_of: impl FnOnce(&MemberId, &Digest) -> Option<[u8; 32]>,
    ) -> Result<(Claims, Self), StatementError> {
        let (sign1, payload) = Sign1::parse(DENIAL, TYP_DENIAL, bytes, MAX_DENIAL_BYTES)?;
        let public =
            key_of(&sign1.claims.issuer, &sign1.key_id).ok_or(StatementError::BadSignature)?;
        sign1.verify(&public)?;
        let value = cbor::decode_plain(DENIAL, &payload, MAX_DENIAL_BYTES)?;
        let mut fields = Reader::of_map(DENIAL, value)?;
        let profile = fields.take_u64("profile")?;
        if profile != PROFILE {
            return Err(StatementError::Profile(profile));
        }
        let denial = Self {
            federation: fields.take_text("federation")?,
            asker: fields.take_parsed("asker", "a member id")?,
            register: fields.take_u64("register")?,
            ranges: fields
                .take_array("ranges")?
                .into_iter()
                .map(|range| {
                    let mut pair = Reader::of_array(DENIAL, range, &["from", "to"])?;
                    Ok((pair.take_u64("from")?, pair.take_u64("to")?))
                })
                .collect::<Result<_, CborError>>()?,
        };
        fields.finish()?;
        let in_order = denial.ranges.iter().all(|(a, b)| a < b)
            && denial.ranges.windows(2).all(|w| matches!(w, [a, b] if a.1 < b.0));
        if !in_order || denial.ranges.len() > MAX_DENIAL_RANGES {
            return Err(cbor::shape(DENIAL, "ranges", "in order and apart").into());
        }
        Ok((sign1.claims, denial))
    }

    /// Whether the answer covers `index`.
    pub fn covers(&self, index: u64) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..*to).contains(&index))
    }
}

/// The COSE_Sign1 envelope that statements and range answers share.
#[derive(Debug, Clone, PartialEq)]
struct Sign1 {
    bytes: Vec<u8>,
    key_id: Digest,
    claims: Claims,
    signature: [u8; 64],
    sig_structure: Vec<u8>,
    content_digest: Digest,
}

impl Sign1 {
    fn sign(key: &SigningKey, typ: &str, claims: Claims, payload: &[u8]) -> Self {
        let key_id = ed25519_thumbprint(key.verifying_key().as_bytes());
        let cwt = Value::Map(vec![
            (Value::from(1), Value::from(claims.issuer.as_str())),
            (Value::from(2), Value::Text(claims.subject.to_string())),
            (Value::from(6), Value::from(claims.issued_at)),
        ]);
        let protected = cbor::encode(&Value::Map(vec![
            (Value::from(1), Value::from(ALG_ED25519)),
            (Value::from(4), cbor::bytes(key_id.0)),
            (Value::from(15), cwt),
            (Value::from(16), Value::from(typ)),
        ]));
        let sig_structure = sig_structure(&protected, payload);
        let signature = key.sign(&sig_structure).to_bytes();
        let message = Value::Array(vec![
            cbor::bytes(protected),
            Value::Map(Vec::new()),
            cbor::bytes(payload),
            cbor::bytes(signature),
        ]);
        let bytes = cbor::encode(&Value::Tag(TAG_SIGN1, Box::new(message)));
        let content_digest = Digest::of(&sig_structure);
        Self { bytes, key_id, claims, signature, sig_structure, content_digest }
    }

    fn parse(
        what: &'static str,
        typ: &str,
        bytes: &[u8],
        limit: usize,
    ) -> Result<(Self, Vec<u8>), CborError> {
        let message = cbor::decode_tagged(what, TAG_SIGN1, bytes, limit)?;
        let names = ["protected", "unprotected", "payload", "signature"];
        let mut fields = Reader::of_array(what, message, &names)?;
        let protected = fields.take_bytes("protected")?;
        Reader::of_labels(what, fields.take("unprotected")?)?.finish()?;
        let payload = fields.take_bytes("payload")?;
        let signature = fields.take_fixed("signature")?;
        fields.finish()?;

        let header = cbor::decode_plain(what, &protected, limit)?;
        let mut header = Reader::of_labels(what, header)?;
        if header.take("1")?.as_integer() != Some(ALG_ED25519.into()) {
            return Err(cbor::shape(what, "alg", "Ed25519 (-19)"));
        }
        let key_id = Digest(header.take_fixed("4")?);
        let mut cwt = Reader::of_labels(what, header.take("15")?)?;
        if header.take_text("16")? != typ {
            return Err(cbor::shape(what, "typ", "the type of this format"));
        }
        header.finish()?;
        let claims = Claims {
            issuer: cwt.take_parsed("1", "a member id")?,
            subject: cwt.take_parsed("2", "a record id")?,
            issued_at: cwt.take_u64("6")?,
        };
        cwt.finish()?;
        let sig_structure = sig_structure(&protected, &payload);
        let content_digest = Digest::of(&sig_structure);
        let bytes = bytes.to_vec();
        Ok((Self { bytes, key_id, claims, signature, sig_structure, content_digest }, payload))
    }

    fn verify(&self, public: &[u8; 32]) -> Result<(), StatementError> {
        let found = ed25519_thumbprint(public);
        if found != self.key_id {
            return Err(StatementError::OtherKey { named: self.key_id, found });
        }
        VerifyingKey::from_bytes(public)
            .and_then(|key| {
                key.verify_strict(&self.sig_structure, &Signature::from_bytes(&self.signature))
            })
            .map_err(|_| StatementError::BadSignature)
    }
}

/// `Sig_structure` of RFC 9052 §4.4 for a COSE_Sign1 without external data.
fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![
        Value::from("Signature1"),
        cbor::bytes(protected),
        cbor::bytes(Vec::new()),
        cbor::bytes(payload),
    ]))
}

fn members_value(members: &BTreeSet<MemberId>) -> Value {
    Value::Array(members.iter().map(|m| Value::from(m.as_str())).collect())
}

fn read_members(value: Value) -> Result<BTreeSet<MemberId>, CborError> {
    let expected = "member ids in order, each once, at least one";
    let bad = || cbor::shape(MANIFEST, "to", expected);
    let list = value.into_array().map_err(|_| bad())?;
    let members: Vec<MemberId> = list
        .into_iter()
        .map(|item| parse_member(item.as_text().unwrap_or_default()))
        .collect::<Result<_, _>>()?;
    let in_order = members.windows(2).all(|w| matches!(w, [a, b] if a < b));
    if members.is_empty() || !in_order { Err(bad()) } else { Ok(members.into_iter().collect()) }
}

fn read_relation(value: Value) -> Result<Relation, CborError> {
    let mut fields = Reader::of_array(MANIFEST, value, &["verb", "record", "issuer"])?;
    Ok(Relation {
        verb: RelationVerb::from_word(&fields.take_text("verb")?)
            .ok_or_else(|| cbor::shape(MANIFEST, "relation", "a known verb"))?,
        record: fields.take_parsed("record", "a record id")?,
        issuer: fields.take_parsed("issuer", "a member id")?,
    })
}

fn parse_member(text: &str) -> Result<MemberId, CborError> {
    text.parse().map_err(|_| cbor::shape(MANIFEST, "member", "a member id"))
}

fn read_map<K: Ord, V>(
    value: Value,
    field: &'static str,
    read: impl Fn(String, Value) -> Result<(K, V), CborError>,
) -> Result<BTreeMap<K, V>, CborError> {
    let bad = || cbor::shape(MANIFEST, field, "a map with text keys");
    value
        .into_map()
        .map_err(|_| bad())?
        .into_iter()
        .map(|(key, value)| read(key.into_text().map_err(|_| bad())?, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn claims() -> Claims {
        Claims {
            issuer: "ID".parse().unwrap(),
            subject: RecordId::new(1_700_000_000_000, &[2; 10]),
            issued_at: 1_700_000_000,
        }
    }

    fn record(to: Option<&str>) -> Manifest {
        let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
        Manifest {
            federation: "test.example".into(),
            register: 1,
            nonce: [5; 32],
            heads: BTreeMap::from([(
                "SG".parse().unwrap(),
                Head { size: 7, root: Digest([6; 32]) },
            )]),
            body: Body::Record(RecordManifest {
                kind: "lab-alert".into(),
                community: "labs".into(),
                to: to.map(|m| BTreeSet::from([m.parse().unwrap()])),
                schema: "urn:schema".into(),
                schema_digest: Digest([7; 32]),
                code_lists: BTreeMap::from([("HS".into(), "2022".into())]),
                handling: cbor::map([("tlp", Value::from("AMBER"))]),
                relation: Some(Relation {
                    verb: RelationVerb::Answers,
                    record: RecordId::new(5, &[8; 10]),
                    issuer: "SG".parse().unwrap(),
                }),
                parts: BTreeMap::from([("core".into(), part)]),
            }),
        }
    }

    fn others() -> Vec<Manifest> {
        let with = |body| Manifest { body, ..record(None) };
        vec![
            with(Body::Audience(AudienceManifest {
                audience: [1; 16],
                community: "labs".into(),
                to: BTreeSet::from(["AU".parse().unwrap(), "SG".parse().unwrap()]),
                commitment: Digest([2; 32]),
                until: 9,
            })),
            with(Body::Key(KeyManifest {
                epoch: 1,
                public: vec![3; SEAL_PUBLIC_LEN],
                from: 1,
                until: 2,
            })),
            with(Body::Register(RegisterManifest { version: 2, digest: Digest([4; 32]) })),
        ]
    }

    #[test]
    fn every_kind_of_statement_is_read_back_and_verified() {
        for manifest in [record(None), record(Some("SG"))].into_iter().chain(others()) {
            let signed = sign(&key(), claims(), manifest.clone()).unwrap();
            let read = Statement::parse(signed.bytes()).unwrap();
            assert_eq!(read.manifest(), &manifest);
            assert_eq!(read.claims(), &claims());
            assert_eq!(read.verify(key().verifying_key().as_bytes()).unwrap(), signed);
        }
    }

    #[test]
    fn refuses_any_flipped_bit() {
        let signed = sign(&key(), claims(), record(None)).unwrap();
        for at in 0..signed.bytes().len() * 8 {
            let mut bytes = signed.bytes().to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            let verdict =
                Statement::parse(&bytes).and_then(|s| s.verify(key().verifying_key().as_bytes()));
            assert!(verdict.is_err(), "bit {at}");
        }
    }

    #[test]
    fn refuses_another_profile_leftovers_and_another_key() {
        let signed = sign(&key(), claims(), record(None)).unwrap();
        let mut longer = signed.bytes().to_vec();
        longer.push(0);
        assert!(Statement::parse(&longer).is_err());
        for cut in 0..signed.bytes().len() {
            assert!(Statement::parse(&signed.bytes()[..cut]).is_err());
        }
        let other = SigningKey::from_bytes(&[9; 32]);
        let refused =
            Statement::parse(signed.bytes()).unwrap().verify(other.verifying_key().as_bytes());
        assert!(matches!(refused, Err(StatementError::OtherKey { .. })));
    }

    #[test]
    fn a_manifest_over_the_limit_is_not_signed() {
        let mut manifest = record(None);
        manifest.federation = "x".repeat(MAX_MANIFEST_BYTES);
        let refused = sign(&key(), claims(), manifest);
        assert!(matches!(refused, Err(StatementError::ManifestTooLarge(_))));
    }

    #[test]
    fn a_range_answer_is_signed_and_covers_its_ranges_only() {
        let denial = Denial {
            federation: "test.example".into(),
            asker: "AU".parse().unwrap(),
            register: 1,
            ranges: vec![(2, 4), (7, 8)],
        };
        let bytes = denial.sign(&key(), claims());
        let public = *key().verifying_key().as_bytes();
        let (by, read) = Denial::verify(&bytes, |_, _| Some(public)).unwrap();
        assert_eq!((by, &read), (claims(), &denial));
        assert!(read.covers(3) && read.covers(7) && !read.covers(4) && !read.covers(0));
        assert!(Statement::parse(&bytes).is_err(), "it is no statement");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(Statement::parse(&bytes).is_err());
            prop_assert!(Denial::verify(&bytes, |_, _| None).is_err());
        }

        #[test]
        fn an_arbitrary_payload_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let sign1 = Sign1::sign(&key(), TYP_STATEMENT, claims(), &bytes);
            prop_assert!(Statement::parse(&sign1.bytes).is_err());
        }
    }
}
