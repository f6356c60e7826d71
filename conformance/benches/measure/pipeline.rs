//! The work that cannot be left out, without network, disk or log: what a record costs its
//! originator and its receiver in computation, by the same libraries that the node uses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sealwire_schemas::{FieldClass, Parts, Standard, ValidRecord};
use sealwire_wire::cbor;
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::part::{Disclosure, Part, SALT_LEN};
use sealwire_wire::seal::{self, AudienceId, AudienceSecret, PartContext};
use sealwire_wire::statement::{self, Body, Claims, Manifest, PartRef, RecordManifest, Statement};

use super::process::{COMMUNITY, FEDERATION};

/// An originator with one audience secret for all classes.
pub struct Pipeline {
    member: MemberId,
    key: SigningKey,
    audience: AudienceId,
    secret: AudienceSecret,
    record: Vec<u8>,
}

/// A record as its receiver gets it.
pub struct Sealed {
    pub statement: Vec<u8>,
    /// Sealed parts by class.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// The plaintext of each.
    pub plain: BTreeMap<String, Vec<u8>>,
}

impl Pipeline {
    /// An originator of `record`, a JSON text without an id.
    pub fn new(member: &str, record: &str) -> anyhow::Result<Self> {
        Ok(Self {
            member: member.parse()?,
            key: SigningKey::from_bytes(&random()?),
            audience: random()?,
            secret: AudienceSecret::from_bytes(random()?),
            record: record.as_bytes().to_vec(),
        })
    }

    /// The key that signs.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Parses, validates, seals and signs.
    pub fn publish(&self) -> anyhow::Result<Sealed> {
        let id = RecordId::new(1_800_000_000_000, &random()?);
        let valid = self.validate(&id)?;
        self.issue(&id, &valid, valid.split())
    }

    /// Parses the record, gives it an id, and validates it.
    pub fn validate(&self, id: &RecordId) -> anyhow::Result<ValidRecord> {
        let mut record =
            sealwire_schemas::parse_json(&self.record).map_err(|f| anyhow!("{f:?}"))?;
        let fields = record.as_object_mut().context("cannot use the record: it is no object")?;
        fields.insert("id".to_owned(), id.to_string().into());
        Standard::v1().accept(record).map_err(|f| anyhow!("{f:?}"))
    }

    /// Seals and signs a record under an id that its `fields` have too.
    pub fn issue(
        &self,
        id: &RecordId,
        valid: &ValidRecord,
        fields: Parts,
    ) -> anyhow::Result<Sealed> {
        let (mut refs, mut parts, mut plain) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (class, fields) in fields {
            let mut salts = vec![0; SALT_LEN * fields.len()];
            getrandom::fill(&mut salts).context("cannot get random bytes")?;
            let (salts, _) = salts.as_chunks::<SALT_LEN>();
            let disclosures = fields.into_iter().zip(salts).map(|(field, salt)| {
                let value =
                    cbor::from_json(&field.value).context("cannot write a value as CBOR")?;
                Ok(Disclosure { pointer: field.pointer, value, salt: *salt })
            });
            let part = Part::new(disclosures.collect::<anyhow::Result<_>>()?)?;
            let class = class.as_str().to_owned();
            let commitment = part.commitment(id, &class);
            let context = self.context(id, &class, &commitment);
            let plaintext = part.to_bytes();
            let sealed = seal::seal_part(&self.secret, context, &plaintext, random()?);
            let length = seal::padded_len(plaintext.len()) as u64;
            refs.insert(class.clone(), PartRef { commitment, length, audience: self.audience });
            parts.insert(class.clone(), sealed);
            plain.insert(class, plaintext);
        }
        let kind = valid.kind();
        let body = Body::Record(RecordManifest {
            kind: kind.name().to_owned(),
            community: COMMUNITY.to_owned(),
            to: None,
            schema: kind.schema_id().to_owned(),
            schema_digest: Digest(kind.digest()),
            code_lists: kind.code_lists().clone(),
            handling: cbor::from_json(valid.handling())
                .context("cannot write the handling")?
                .into(),
            relation: None,
            parts: refs,
        });
        let federation = FEDERATION.to_owned();
        let manifest =
            Manifest { federation, register: 1, nonce: random()?, heads: BTreeMap::new(), body };
        let claims = Claims { issuer: self.member.clone(), subject: *id, issued_at: 1_800_000_000 };
        let signed = statement::sign(&self.key, claims, manifest)?;
        Ok(Sealed { statement: signed.bytes().to_vec(), parts, plain })
    }

    /// Verifies the signature, opens all parts, and validates what comes out.
    pub fn receive(&self, sealed: &Sealed) -> anyhow::Result<()> {
        let public = self.key.verifying_key().to_bytes();
        let statement = Statement::parse(&sealed.statement)?.verify(&public)?;
        let Body::Record(record) = &statement.manifest().body else {
            return Err(anyhow!("cannot receive: no record"));
        };
        let mut opened = BTreeMap::new();
        for (class, part) in &record.parts {
            let bytes = sealed.parts.get(class).context("cannot receive: a part is missing")?;
            let id = &statement.claims().subject;
            let context = self.context(id, class, &part.commitment);
            let part = seal::open_part(&self.secret, context, bytes)?;
            let class: FieldClass = class.parse().map_err(|e| anyhow!("{e:?}"))?;
            let fields = part.disclosures().iter().filter_map(|d| {
                let value = cbor::to_json(&d.value)?;
                Some(sealwire_schemas::Disclosure { pointer: d.pointer.clone(), value })
            });
            opened.insert(class, fields.collect::<Vec<_>>());
        }
        let check = Standard::v1().check_parts(&record.kind, &opened);
        ensure!(!check.refused(), "cannot receive: {:?}", check.findings);
        Ok(())
    }

    fn context<'a>(
        &'a self,
        record: &'a RecordId,
        class: &'a str,
        commitment: &'a Digest,
    ) -> PartContext<'a> {
        PartContext { originator: &self.member, record, class, commitment }
    }
}

/// How often a second `work` succeeds, on `threads` threads at once for `time`.
pub fn rate(
    threads: usize,
    time: Duration,
    work: impl Fn() -> anyhow::Result<()> + Sync,
) -> anyhow::Result<f64> {
    work()?;
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let each = || {
            let mut done = 0_u64;
            while begun.elapsed() < time {
                work()?;
                done += 1;
            }
            anyhow::Ok(done)
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        let mut sum = 0;
        for thread in threads {
            sum += thread.join().map_err(|_| anyhow!("a measuring thread panicked"))??;
        }
        anyhow::Ok(sum)
    })?;
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// Single strict Ed25519 verifications a second of messages of `length` bytes.
pub fn verifications(threads: usize, time: Duration, length: usize) -> anyhow::Result<f64> {
    let key = SigningKey::from_bytes(&random()?);
    let message = vec![7; length];
    let signature = key.sign(&message);
    let public: VerifyingKey = key.verifying_key();
    rate(threads, time, || Ok(public.verify_strict(&message, &signature)?))
}

/// Random bytes.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("cannot get random bytes")?;
    Ok(bytes)
}
