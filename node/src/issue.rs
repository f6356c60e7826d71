//! From a valid record to a sealed, signed entry. The sole user of the member's sign key.
//!
//! This module knows nothing of logs and disks: it gives back entries that are not logged yet,
//! and the local facts that must become durable with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, UnwrapErr};
use sealwire_schemas::{FieldClass, Parts, ValidRecord};
use sealwire_wire::cbor;
use sealwire_wire::id::{Digest, MemberId, RecordId, ed25519_thumbprint};
use sealwire_wire::message::WRAP;
use sealwire_wire::part::{Disclosure, Part, SALT_LEN};
use sealwire_wire::reads::{self, Read};
use sealwire_wire::seal::{
    self, AudienceContext, AudienceId, AudienceSecret, PartContext, SealError, SealPublicKey,
};
use sealwire_wire::signer::{Ed25519Signer as _, NoSignature};
use sealwire_wire::statement::{
    AudienceManifest, AuthenticStatement, Body, Claims, Denial, Head, KeyManifest, Manifest,
    MatchCounts, MatchesManifest, PartRef, RecordManifest, RegisterManifest, Relation,
    StatementError,
};

use crate::keys::{DataKey, Key, SealEpoch};
use crate::refusal::Refusal;
use crate::release::Plan;
use crate::store::{Asked, Fact, Match};

/// How long an audience secret is used, in seconds.
pub const AUDIENCE_LIFETIME_SECS: u64 = 24 * 3600;

/// A signed entry that has no place in the log yet.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What was signed.
    pub statement: AuthenticStatement,
    /// Sealed parts by class, or the wrapped secret.
    pub sealed: BTreeMap<String, Vec<u8>>,
}

/// An audience secret in use.
#[derive(Clone)]
pub struct Audience {
    /// Its id.
    pub id: AudienceId,
    /// The secret.
    pub secret: AudienceSecret,
    /// When it stops being used, seconds since 1970.
    pub until: u64,
    /// Thumbprints of the seal keys it was wrapped for: a change of keys ends it.
    pub wrapped_for: BTreeMap<MemberId, Digest>,
}

/// What holds for every statement that is signed now.
#[derive(Debug, Clone)]
pub struct Now {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Version of the register in force.
    pub register: u64,
    /// Other logs' heads last seen.
    pub heads: BTreeMap<MemberId, Head>,
    /// The place in our log that the statement will have, as far as is known.
    pub index: u64,
}

impl Now {
    /// The same for the statement that comes after `entries` others.
    pub fn after(&self, entries: usize) -> Self {
        Self { index: self.index.saturating_add(entries as u64), ..self.clone() }
    }
}

/// A sign key, and where in our log the register lets it sign.
pub struct Signer {
    /// The key.
    pub key: Key,
    /// First index.
    pub from: u64,
    /// Past the last index; `None` while it has no end.
    pub until: Option<u64>,
}

impl Signer {
    /// Whether it may sign the entry at `index`.
    pub fn covers(&self, index: u64) -> bool {
        self.from <= index && self.until.is_none_or(|until| index < until)
    }
}

/// A valid record on its way to an entry.
pub struct Draft<'a> {
    /// Its id.
    pub id: RecordId,
    /// The community it is shared in.
    pub community: &'a str,
    /// The record.
    pub record: &'a ValidRecord,
    /// Its fields by class, as [`ValidRecord::split`] gives them.
    pub fields: Parts,
    /// The earlier record that it refers to.
    pub relation: Option<Relation>,
}

/// Signs for one member.
pub struct Issuer {
    member: MemberId,
    federation: String,
    signers: RwLock<Vec<Signer>>,
    data: DataKey,
}

impl Issuer {
    /// Takes the sign keys that the register lists.
    pub fn new(member: MemberId, federation: String, signers: Vec<Signer>, data: DataKey) -> Self {
        Self { member, federation, signers: RwLock::new(signers), data }
    }

    /// Takes the sign keys that the next version of the register lists.
    pub fn set_signers(&self, signers: Vec<Signer>) {
        *self.signers.write().unwrap_or_else(PoisonError::into_inner) = signers;
    }

    /// Whether the key of this thumbprint is ours and may sign the entry at `index`.
    pub fn may_sign(&self, key_id: &Digest, index: u64) -> bool {
        let is = |signer: &Signer| ed25519_thumbprint(&signer.key.public()) == *key_id;
        let signers = self.signers.read().unwrap_or_else(PoisonError::into_inner);
        signers.iter().any(|signer| signer.covers(index) && is(signer))
    }

    /// The key that signs the entry at `index`: of several the one that came last.
    fn signer(&self, index: u64) -> Result<Key, Refusal> {
        let signers = self.signers.read().unwrap_or_else(PoisonError::into_inner);
        let able = signers.iter().filter(|signer| signer.covers(index));
        let latest = able.max_by_key(|signer| signer.from).map(|signer| signer.key.clone());
        latest.ok_or_else(|| sign_key_not_valid(index))
    }

    /// Seals and signs a valid record for the audiences given per class.
    pub fn record(
        &self,
        now: &Now,
        draft: Draft<'_>,
        plan: &Plan,
        audiences: &BTreeMap<FieldClass, Audience>,
    ) -> Result<Issued, Refusal> {
        let Draft { id, community, record, fields, relation } = draft;
        let kind = record.kind();
        let mut parts = BTreeMap::new();
        let mut sealed = BTreeMap::new();
        let salts = fields.values().map(Vec::len).sum::<usize>() * SALT_LEN;
        let mut drawn = Drawn::new(salts + fields.len() * seal::IV_LEN);
        for (class, fields) in fields {
            let audience =
                audiences.get(&class).ok_or_else(|| internal("a class has no audience"))?;
            let part = salted(fields, &mut drawn)?;
            let class = class.as_str().to_owned();
            let commitment = part.commitment(&id, &class);
            let context = PartContext {
                originator: &self.member,
                record: &id,
                class: &class,
                commitment: &commitment,
            };
            let plaintext = part.to_bytes();
            let bytes = seal::seal_part(&audience.secret, context, &plaintext, drawn.take());
            let length = seal::padded_len(plaintext.len()) as u64;
            parts.insert(class.clone(), PartRef { commitment, length, audience: audience.id });
            sealed.insert(class, bytes);
        }
        let handling = cbor::from_json(record.handling())
            .map(Into::into)
            .ok_or_else(|| internal("the handling block holds a value that has no CBOR form"))?;
        let body = Body::Record(RecordManifest {
            kind: kind.name().to_owned(),
            community: community.to_owned(),
            to: plan.to.clone(),
            schema: kind.schema_id().to_owned(),
            schema_digest: Digest(kind.digest()),
            code_lists: kind.code_lists().clone(),
            handling,
            relation,
            parts,
        });
        let statement = self.sign(now, id, body)?;
        Ok(Issued { statement, sealed })
    }

    /// Makes an audience secret for `to`, the entry that distributes it (none when the audience
    /// is the originator alone), and the fact that keeps it.
    pub fn audience(
        &self,
        now: &Now,
        community: &str,
        to: &BTreeSet<MemberId>,
        seal_keys: &BTreeMap<MemberId, SealPublicKey>,
    ) -> Result<(Audience, Option<Issued>, Fact), Refusal> {
        let id: AudienceId = random();
        let secret = AudienceSecret::from_bytes(random());
        let until = now.unix_ms / 1000 + AUDIENCE_LIFETIME_SECS;
        let keys: Vec<(&MemberId, &SealPublicKey)> =
            to.iter().filter_map(|m| Some((m, seal_keys.get(m)?))).collect();
        let wrapped_for = keys.iter().map(|(m, k)| ((*m).clone(), k.thumbprint())).collect();
        let issued = if to.is_empty() {
            None
        } else {
            let mut sealed = BTreeMap::new();
            if !keys.is_empty() {
                sealed.insert(WRAP.to_owned(), self.wrap(&self.member, &id, &secret, &keys)?);
            }
            let body = Body::Audience(AudienceManifest {
                audience: id,
                community: community.to_owned(),
                to: to.clone(),
                commitment: secret.commitment(&id),
                until,
            });
            let statement = self.sign(now, new_id(now.unix_ms), body)?;
            Some(Issued { statement, sealed })
        };
        let fact = self.keep(&id, &self.member, &secret);
        Ok((Audience { id, secret, until, wrapped_for }, issued, fact))
    }

    /// Wraps a secret again, for one member: one of ours, or for its originator that lost it.
    pub fn wrap(
        &self,
        originator: &MemberId,
        id: &AudienceId,
        secret: &AudienceSecret,
        keys: &[(&MemberId, &SealPublicKey)],
    ) -> Result<Vec<u8>, Refusal> {
        let context = AudienceContext { originator, audience: id };
        seal::wrap(secret, context, keys, &mut UnwrapErr(SysRng)).map_err(|e: SealError| {
            Refusal::new("cannot-wrap", 422, e.to_string(), "see the members' seal keys")
        })
    }

    /// The fact that keeps an audience secret under the local data key.
    pub fn keep(&self, id: &AudienceId, originator: &MemberId, secret: &AudienceSecret) -> Fact {
        Fact::Secret {
            audience: *id,
            originator: originator.clone(),
            sealed: self.data.seal(&secret_context(id), secret.as_bytes()),
        }
    }

    /// Announces a seal key, and with it the match key of the same epoch.
    pub fn key(
        &self,
        now: &Now,
        epoch: &SealEpoch,
        match_key: Option<[u8; 32]>,
    ) -> Result<Issued, Refusal> {
        let public = epoch.key.public().map_err(|e| internal(&e.to_string()))?;
        let body = Body::Key(KeyManifest {
            epoch: epoch.epoch,
            public: public.as_bytes().to_vec(),
            from: epoch.from,
            until: epoch.until,
            match_key,
        });
        let statement = self.sign(now, new_id(now.unix_ms), body)?;
        Ok(Issued { statement, sealed: BTreeMap::new() })
    }

    /// Records the adoption of a register version.
    pub fn adoption(&self, now: &Now, version: u64, digest: Digest) -> Result<Issued, Refusal> {
        let body = Body::Register(RegisterManifest { version, digest });
        let statement = self.sign(now, new_id(now.unix_ms), body)?;
        Ok(Issued { statement, sealed: BTreeMap::new() })
    }

    /// Fills a publishing tick.
    pub fn dummy(&self, now: &Now) -> Result<Issued, Refusal> {
        let statement = self.sign(now, new_id(now.unix_ms), Body::Dummy)?;
        Ok(Issued { statement, sealed: BTreeMap::new() })
    }

    /// Counts reads of records of one member, and keeps who read what; `None` if there is none,
    /// or more than one entry may count.
    pub fn reads(
        &self,
        now: &Now,
        of: &MemberId,
        reads: &[Read],
    ) -> Result<Option<(Issued, Fact)>, Refusal> {
        let subject = new_id(now.unix_ms);
        let Some((part, manifest)) = reads::seal(reads, of, &subject, random) else {
            return Ok(None);
        };
        let statement = self.sign(now, subject, Body::Reads(manifest))?;
        let (log, count, part) = (of.clone(), reads.len() as u64, part.to_bytes());
        let kept = Fact::Reads { subject, log, count, part };
        Ok(Some((Issued { statement, sealed: BTreeMap::new() }, kept)))
    }

    /// Counts questions with one member on one day, each of [`asked`](Asked) in this entry alone.
    pub fn matches(&self, now: &Now, asked: &[Asked]) -> Result<Option<(Issued, Fact)>, Refusal> {
        let Some(first) = asked.first() else { return Ok(None) };
        let (side, with, day) = (first.side, first.with.clone(), first.day());
        let mut counts = MatchCounts::new();
        for Asked { about, count, .. } in asked {
            let purposes = counts.entry(about.community.clone()).or_default();
            let kinds = purposes.entry(about.purpose.clone()).or_default();
            *kinds.entry(about.kind.clone()).or_default() += *count;
        }
        let to = BTreeSet::from([with.clone()]);
        let subject = new_id(now.unix_ms);
        let body = Body::Matches(MatchesManifest { to, side, day, counts });
        let statement = self.sign(now, subject, body)?;
        let count = asked.len() as u64;
        let kept = Fact::Match(Match::Counted { subject, side, with, day, count });
        Ok(Some((Issued { statement, sealed: BTreeMap::new() }, kept)))
    }

    /// Signs the answer that `ranges` of our log are not addressed to `asker`.
    pub fn denial(
        &self,
        now: &Now,
        asker: &MemberId,
        ranges: Vec<(u64, u64)>,
    ) -> Result<Vec<u8>, Refusal> {
        let denial = Denial {
            federation: self.federation.clone(),
            asker: asker.clone(),
            register: now.register,
            ranges,
        };
        let key = self.signer(now.index)?;
        let claims = self.claims(now, new_id(now.unix_ms));
        denial.sign_with(&key, claims).map_err(|cause| signing_unavailable(&cause))
    }

    fn claims(&self, now: &Now, subject: RecordId) -> Claims {
        Claims { issuer: self.member.clone(), subject, issued_at: now.unix_ms / 1000 }
    }

    fn sign(&self, now: &Now, id: RecordId, body: Body) -> Result<AuthenticStatement, Refusal> {
        let manifest = Manifest {
            federation: self.federation.clone(),
            register: now.register,
            nonce: random(),
            heads: now.heads.clone(),
            body,
        };
        let key = self.signer(now.index)?;
        sealwire_wire::statement::sign(&key, self.claims(now, id), manifest).map_err(
            |e: StatementError| match e {
                StatementError::NoSignature(cause) => signing_unavailable(&cause),
                e => Refusal::new("manifest-too-large", 413, e.to_string(), "name fewer members"),
            },
        )
    }
}

/// No key of ours may sign there: the register has given the log another key, or none.
pub fn sign_key_not_valid(index: u64) -> Refusal {
    Refusal::fault(
        "sign-key-not-valid",
        format!("cannot sign entry {index}: the register lists no sign key of this node for it"),
        "publish again; if it stays so, have the register list a key of `sealwire keys list`",
    )
}

/// The key is ours and there, and did not sign: it is in a token that does not answer.
pub fn signing_unavailable(cause: &NoSignature) -> Refusal {
    Refusal::fault(
        "signing-unavailable",
        format!("cannot sign: {cause}"),
        "publish again when the token answers: this node then signs without a new start, unless a \
         PIN was refused",
    )
}

/// A fresh record id.
pub fn new_id(unix_ms: u64) -> RecordId {
    RecordId::new(unix_ms, &random())
}

/// The context under which an audience secret rests below the local data key.
pub fn secret_context(id: &AudienceId) -> String {
    format!("audience {}", hex::encode(id))
}

fn salted(fields: Vec<sealwire_schemas::Disclosure>, drawn: &mut Drawn) -> Result<Part, Refusal> {
    let disclosures = fields
        .into_iter()
        .map(|field| {
            let value = cbor::from_json(&field.value)
                .ok_or_else(|| internal("a field holds a value that has no CBOR form"))?;
            Ok(Disclosure { pointer: field.pointer, value, salt: drawn.take() })
        })
        .collect::<Result<_, Refusal>>()?;
    Part::new(disclosures).map_err(|e| internal(&e.to_string()))
}

/// Random bytes drawn in one call, since each is a system call, and given out once each.
struct Drawn(Vec<u8>);

impl Drawn {
    fn new(length: usize) -> Self {
        let mut bytes = vec![0; length];
        UnwrapErr(SysRng).fill_bytes(&mut bytes);
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some(taken) = self.0.last_chunk::<N>().copied() else { return random() };
        self.0.truncate(self.0.len() - N);
        taken
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    bytes
}

fn internal(cause: &str) -> Refusal {
    Refusal::fault("internal", format!("cannot issue record: {cause}"), "report this with the log")
}
