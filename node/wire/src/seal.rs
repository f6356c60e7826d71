//! Sealing: who can read what.
//!
//! An originator keeps one **audience secret** per distinct audience. The secret is distributed
//! once, as a COSE_Encrypt (RFC 9052 §5.1) with one HPKE key-encryption recipient per member
//! (draft-ietf-cose-hpke, draft-ietf-cose-hpke-pq-pqt "HPKE-9-KE": MLKEM768-X25519 (X-Wing),
//! SHAKE256, AES-256-GCM). Each part is then a COSE_Encrypt0 under a key derived from the secret,
//! the record and the class. The suite's code points are not registered yet; profile version 1
//! pins them here, and nothing else is accepted.
//!
//! This module knows nothing of who ought to be in an audience. Randomness is an argument.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hpke::aead::AesGcm256;
use hpke::kdf::KdfShake256;
use hpke::kem::XWing;
use hpke::rand_core::CryptoRng;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::{Digest, MemberId, RecordId};

/// COSE algorithm A256GCM (RFC 9053 §4.1).
const ALG_A256GCM: i64 = 3;
/// COSE algorithm HPKE-9-KE as assumed by draft-ietf-cose-hpke-pq-pqt-01, pinned by profile 1.
pub const ALG_HPKE_9_KE: i64 = 57;
/// COSE header label `ek`, the encapsulated key (draft-ietf-cose-hpke).
const LABEL_EK: i64 = -4;
/// COSE key type AKP (RFC 9964).
const KTY_AKP: i64 = 7;
/// COSE tags (RFC 9052 §2).
const TAG_ENCRYPT0: u64 = 16;
const TAG_ENCRYPT: u64 = 96;
/// Length of an AES-GCM nonce, in bytes.
pub const IV_LEN: usize = 12;
/// Length of an AES-GCM tag, in bytes.
const TAG_LEN: usize = 16;
/// Length of an X-Wing public key, in bytes.
pub const SEAL_PUBLIC_LEN: usize = 1216;
/// Most members in one audience.
pub const MAX_AUDIENCE: usize = 1024;
/// Largest wrapped audience secret accepted, in bytes: every recipient takes about 1.3 kB.
pub const MAX_WRAP_BYTES: usize = 1500 * MAX_AUDIENCE;
/// Largest sealed part accepted, in bytes: the largest plaintext, padded by at most 12 %.
pub const MAX_SEALED_BYTES: usize = crate::part::MAX_PART_BYTES / 8 * 9 + 256;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are not of the format.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// An algorithm other than the profile's.
    #[error("cannot open {what}: algorithm is not the one that profile 1 pins")]
    Algorithm {
        /// What was being opened.
        what: &'static str,
    },
    /// No recipient with this key.
    #[error(
        "cannot open audience secret: not sealed for this key (hint: ask the originator to wrap it again)"
    )]
    NotARecipient,
    /// The key does not fit, or the bytes were changed.
    #[error("cannot open {what}: wrong key or altered bytes")]
    Unauthentic {
        /// What was being opened.
        what: &'static str,
    },
    /// The public key is not an X-Wing key.
    #[error("cannot read seal key: not an X-Wing public key of {SEAL_PUBLIC_LEN} bytes")]
    BadKey,
    /// What came out does not match the commitment that the originator signed.
    #[error("cannot accept {what}: it does not match the signed commitment")]
    Commitment {
        /// What was opened.
        what: &'static str,
    },
    /// An audience must name somebody.
    #[error(
        "cannot seal: the audience is empty or larger than {MAX_AUDIENCE} members (hint: name at least one member)"
    )]
    Audience,
}

/// A member's X-Wing private key: the 32-byte seed. Zeroised on drop.
#[derive(Clone)]
pub struct SealSecretKey(Zeroizing<[u8; 32]>);

impl SealSecretKey {
    /// Takes the seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// The public half.
    pub fn public(&self) -> Result<SealPublicKey, SealError> {
        let secret = self.secret()?;
        SealPublicKey::from_bytes(&XWing::sk_to_pk(&secret).to_bytes())
    }

    fn secret(&self) -> Result<<XWing as hpke::Kem>::PrivateKey, SealError> {
        <XWing as hpke::Kem>::PrivateKey::from_bytes(self.0.as_slice())
            .map_err(|_| SealError::BadKey)
    }
}

/// A member's X-Wing public key, checked to be one.
#[derive(Clone, PartialEq, Eq)]
pub struct SealPublicKey {
    key: <XWing as hpke::Kem>::PublicKey,
    bytes: Vec<u8>,
}

impl SealPublicKey {
    /// Reads the 1,216 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let key =
            <XWing as hpke::Kem>::PublicKey::from_bytes(bytes).map_err(|_| SealError::BadKey)?;
        Ok(Self { key, bytes: bytes.to_vec() })
    }

    /// The 1,216 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// COSE key thumbprint (RFC 9679) over `{1: 7 (AKP), 3: 57, -1: public}`.
    pub fn thumbprint(&self) -> Digest {
        Digest::of(&cbor::encode(&labels([
            (1, Value::from(KTY_AKP)),
            (3, Value::from(ALG_HPKE_9_KE)),
            (-1, cbor::bytes(self.bytes.as_slice())),
        ])))
    }
}

/// The secret that all members of one audience share. Zeroised on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct AudienceSecret(Zeroizing<[u8; 32]>);

impl AudienceSecret {
    /// Takes 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 bytes, to be stored under the local data key only.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the audience's manifest signs: SHA-256 over `["sealwire audience", id, secret]`, so
    /// that all members provably got the same secret.
    pub fn commitment(&self, audience: &AudienceId) -> Digest {
        let mut plain = cbor::encode(&Value::Array(vec![
            Value::from("sealwire audience"),
            cbor::bytes(*audience),
            cbor::bytes(self.0.as_slice()),
        ]));
        let digest = Digest::of(&plain);
        plain.zeroize();
        digest
    }
}

/// Names one audience secret: 16 random bytes.
pub type AudienceId = [u8; 16];

/// Who distributes which audience secret: bound into every wrap.
#[derive(Debug, Clone, Copy)]
pub struct AudienceContext<'a> {
    /// Who made the secret.
    pub originator: &'a MemberId,
    /// Which secret.
    pub audience: &'a AudienceId,
}

/// Which part of which record: bound into its key and its associated data.
#[derive(Debug, Clone, Copy)]
pub struct PartContext<'a> {
    /// Who issued the record.
    pub originator: &'a MemberId,
    /// The record.
    pub record: &'a RecordId,
    /// The field class.
    pub class: &'a str,
    /// The commitment that the statement signs.
    pub commitment: &'a Digest,
}

/// Wraps `secret` for each of `members`: a tagged COSE_Encrypt.
pub fn wrap(
    secret: &AudienceSecret,
    context: AudienceContext<'_>,
    members: &[(&MemberId, &SealPublicKey)],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    if members.is_empty() || members.len() > MAX_AUDIENCE {
        return Err(SealError::Audience);
    }
    let mut content_key = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(content_key.as_mut_slice());
    let mut iv = [0u8; IV_LEN];
    rng.fill_bytes(&mut iv);
    let protected = protected_alg(ALG_A256GCM);
    let aad = enc_structure("Encrypt", &protected, &audience_aad(context));
    let ciphertext = aes_seal(&content_key, &iv, &aad, secret.0.as_slice());
    let mut recipients = Vec::with_capacity(members.len());
    for (member, key) in members {
        let protected = recipient_protected(key);
        let info = recipient_info(&protected, context, member);
        let (ek, wrapped) = hpke::single_shot_seal_with_rng::<AesGcm256, KdfShake256, XWing>(
            &OpModeS::Base,
            &key.key,
            &info,
            content_key.as_slice(),
            b"",
            rng,
        )
        .map_err(|_| SealError::BadKey)?;
        recipients.push(Value::Array(vec![
            cbor::bytes(protected),
            labels([(LABEL_EK, cbor::bytes(ek.to_bytes().to_vec()))]),
            cbor::bytes(wrapped),
        ]));
    }
    let message = Value::Array(vec![
        cbor::bytes(protected),
        labels([(5, cbor::bytes(iv))]),
        cbor::bytes(ciphertext),
        Value::Array(recipients),
    ]);
    Ok(cbor::encode(&Value::Tag(TAG_ENCRYPT, Box::new(message))))
}

/// Opens the wrap that was made for `member` under `key`, and checks the secret against the
/// commitment that the originator signed.
pub fn unwrap(
    bytes: &[u8],
    context: AudienceContext<'_>,
    member: &MemberId,
    key: &SealSecretKey,
    commitment: &Digest,
) -> Result<AudienceSecret, SealError> {
    const WHAT: &str = "audience secret";
    let public = key.public()?;
    let message = cbor::decode_tagged(WHAT, TAG_ENCRYPT, bytes, MAX_WRAP_BYTES)?;
    let mut fields =
        Reader::of_array(WHAT, message, &["protected", "unprotected", "ciphertext", "recipients"])?;
    let protected = fields.take_bytes("protected")?;
    let iv = take_iv(WHAT, fields.take("unprotected")?)?;
    let ciphertext = fields.take_bytes("ciphertext")?;
    let recipients = fields.take_array("recipients")?;
    fields.finish()?;
    if protected != protected_alg(ALG_A256GCM) {
        return Err(SealError::Algorithm { what: WHAT });
    }
    let ours = recipient_protected(&public);
    for recipient in recipients {
        let mut fields =
            Reader::of_array(WHAT, recipient, &["protected", "unprotected", "ciphertext"])?;
        let protected = fields.take_bytes("protected")?;
        if protected != ours {
            continue;
        }
        let mut header = Reader::of_labels(WHAT, fields.take("unprotected")?)?;
        let ek = header.take_bytes(&LABEL_EK.to_string())?;
        header.finish()?;
        let wrapped = fields.take_bytes("ciphertext")?;
        let unauthentic = || SealError::Unauthentic { what: WHAT };
        let ek = <XWing as hpke::Kem>::EncappedKey::from_bytes(&ek).map_err(|_| unauthentic())?;
        let content_key = Zeroizing::new(
            hpke::single_shot_open::<AesGcm256, KdfShake256, XWing>(
                &OpModeR::Base,
                &key.secret()?,
                &ek,
                &recipient_info(&protected, context, member),
                &wrapped,
                b"",
            )
            .map_err(|_| unauthentic())?,
        );
        let aad = enc_structure("Encrypt", &protected_alg(ALG_A256GCM), &audience_aad(context));
        let secret = aes_open(&content_key, &iv, &aad, &ciphertext).ok_or_else(unauthentic)?;
        let secret = <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| unauthentic())?;
        let secret = AudienceSecret::from_bytes(secret);
        if secret.commitment(context.audience) != *commitment {
            return Err(SealError::Commitment { what: WHAT });
        }
        return Ok(secret);
    }
    Err(SealError::NotARecipient)
}

/// Seals one part's plaintext: a tagged COSE_Encrypt0. `iv` must be fresh random bytes.
pub fn seal_part(
    secret: &AudienceSecret,
    context: PartContext<'_>,
    plaintext: &[u8],
    iv: [u8; IV_LEN],
) -> Vec<u8> {
    let protected = protected_alg(ALG_A256GCM);
    let aad = enc_structure("Encrypt0", &protected, &part_aad(context));
    let padded = Zeroizing::new(pad(plaintext));
    let ciphertext = aes_seal(&part_key(secret, context), &iv, &aad, &padded);
    let message = Value::Array(vec![
        cbor::bytes(protected),
        labels([(5, cbor::bytes(iv))]),
        cbor::bytes(ciphertext),
    ]);
    cbor::encode(&Value::Tag(TAG_ENCRYPT0, Box::new(message)))
}

/// Opens one sealed part and checks what comes out against the signed commitment.
pub fn open_part(
    secret: &AudienceSecret,
    context: PartContext<'_>,
    bytes: &[u8],
) -> Result<crate::part::Part, SealError> {
    const WHAT: &str = "part";
    let (protected, iv, ciphertext) = parse_sealed_part(bytes)?;
    if protected != protected_alg(ALG_A256GCM) {
        return Err(SealError::Algorithm { what: WHAT });
    }
    let aad = enc_structure("Encrypt0", &protected, &part_aad(context));
    let padded = aes_open(part_key(secret, context).as_slice(), &iv, &aad, &ciphertext)
        .ok_or(SealError::Unauthentic { what: WHAT })?;
    let plaintext = unpad(&padded).ok_or(SealError::Unauthentic { what: WHAT })?;
    let part = crate::part::Part::from_bytes(plaintext)?;
    if part.commitment(context.record, context.class) == *context.commitment {
        Ok(part)
    } else {
        Err(SealError::Commitment { what: WHAT })
    }
}

/// The padded length of the plaintext inside a sealed part, in bytes: what a manifest states and
/// anyone can check without a key.
pub fn sealed_padded_len(bytes: &[u8]) -> Result<u64, SealError> {
    let (_, _, ciphertext) = parse_sealed_part(bytes)?;
    match ciphertext.len().checked_sub(TAG_LEN) {
        Some(len) => Ok(len as u64),
        None => Err(SealError::Unauthentic { what: "part" }),
    }
}

/// Length after Padmé padding (Nikitin et al., PoPETs 2019) of a plaintext of `len` bytes: at
/// most 12 % more, leaking O(log log n) bits of the length. Short parts are raised to 256 bytes.
pub fn padded_len(len: usize) -> usize {
    // One byte for the delimiter.
    let len = (len + 1).max(256);
    let exponent = len.ilog2();
    let last_bits = exponent - (exponent.ilog2() + 1);
    let mask = (1usize << last_bits) - 1;
    (len + mask) & !mask
}

fn pad(plaintext: &[u8]) -> Vec<u8> {
    // ISO/IEC 7816-4: one 0x80, then zeros.
    let mut padded = Vec::with_capacity(padded_len(plaintext.len()));
    padded.extend_from_slice(plaintext);
    padded.push(0x80);
    padded.resize(padded_len(plaintext.len()), 0);
    padded
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let end = padded.iter().rposition(|b| *b != 0)?;
    let (plaintext, rest) = padded.split_at_checked(end)?;
    (rest.first() == Some(&0x80) && padded.len() == padded_len(end)).then_some(plaintext)
}

/// Protected header, nonce and ciphertext of a COSE_Encrypt0.
type SealedPart = (Vec<u8>, [u8; IV_LEN], Vec<u8>);

fn parse_sealed_part(bytes: &[u8]) -> Result<SealedPart, SealError> {
    const WHAT: &str = "sealed part";
    let message = cbor::decode_tagged(WHAT, TAG_ENCRYPT0, bytes, MAX_SEALED_BYTES)?;
    let mut fields = Reader::of_array(WHAT, message, &["protected", "unprotected", "ciphertext"])?;
    let protected = fields.take_bytes("protected")?;
    let iv = take_iv(WHAT, fields.take("unprotected")?)?;
    Ok((protected, iv, fields.take_bytes("ciphertext")?))
}

fn take_iv(what: &'static str, unprotected: Value) -> Result<[u8; IV_LEN], CborError> {
    let mut header = Reader::of_labels(what, unprotected)?;
    let iv = header.take_fixed("5")?;
    header.finish()?;
    Ok(iv)
}

fn part_key(secret: &AudienceSecret, context: PartContext<'_>) -> Zeroizing<[u8; 32]> {
    let info = cbor::encode(&Value::Array(vec![
        Value::from("sealwire part"),
        Value::Text(context.record.to_string()),
        Value::from(context.class),
    ]));
    let mut key = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::new(None, secret.0.as_slice())
        .expand(&info, key.as_mut_slice())
        .expect("32 bytes are less than HKDF-SHA-256's limit of 8160");
    key
}

fn part_aad(context: PartContext<'_>) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![
        Value::from(context.originator.as_str()),
        Value::Text(context.record.to_string()),
        Value::from(context.class),
        cbor::bytes(context.commitment.0),
    ]))
}

fn audience_aad(context: AudienceContext<'_>) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![
        Value::from(context.originator.as_str()),
        cbor::bytes(*context.audience),
    ]))
}

/// `Recipient_structure` of draft-ietf-cose-hpke: the HPKE `info` of a key-encryption recipient.
fn recipient_info(protected: &[u8], context: AudienceContext<'_>, member: &MemberId) -> Vec<u8> {
    let extra = cbor::encode(&Value::Array(vec![
        Value::from(context.originator.as_str()),
        Value::from(member.as_str()),
        cbor::bytes(*context.audience),
    ]));
    cbor::encode(&Value::Array(vec![
        Value::from("HPKE Recipient"),
        Value::from(ALG_A256GCM),
        cbor::bytes(protected),
        cbor::bytes(extra),
    ]))
}

fn recipient_protected(key: &SealPublicKey) -> Vec<u8> {
    cbor::encode(&labels([(1, Value::from(ALG_HPKE_9_KE)), (4, cbor::bytes(key.thumbprint().0))]))
}

fn protected_alg(alg: i64) -> Vec<u8> {
    cbor::encode(&labels([(1, Value::from(alg))]))
}

/// `Enc_structure` of RFC 9052 §5.3.
fn enc_structure(context: &str, protected: &[u8], external_aad: &[u8]) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![
        Value::from(context),
        cbor::bytes(protected),
        cbor::bytes(external_aad),
    ]))
}

fn labels<const N: usize>(fields: [(i64, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect())
}

fn aes_seal(key: &[u8; 32], iv: &[u8; IV_LEN], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(*iv), Payload { msg, aad })
        .expect("a plaintext far below AES-GCM's limit of 64 GiB is always sealed")
}

fn aes_open(key: &[u8], iv: &[u8; IV_LEN], aad: &[u8], msg: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = Aes256Gcm::new_from_slice(key).ok()?;
    cipher.decrypt(&Nonce::from(*iv), Payload { msg, aad }).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
