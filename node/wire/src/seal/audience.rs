//! The audience secret and its way to every member of the audience.

use hpke::aead::AesGcm256;
use hpke::kdf::KdfShake256;
use hpke::kem::XWing;
use hpke::rand_core::CryptoRng;
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::cbor::{self, Reader, Value};
use crate::id::{Digest, MemberId};

use super::{
    ALG_A256GCM, ALG_HPKE_9_KE, IV_LEN, MAX_AUDIENCE, MAX_WRAP_BYTES, SealError, SealPublicKey,
    SealSecretKey, aes_open, aes_seal, enc_structure, labels, protected_alg, take_iv,
};

/// COSE header label `ek`, the encapsulated key (draft-ietf-cose-hpke).
const LABEL_EK: i64 = -4;
/// COSE tag of COSE_Encrypt (RFC 9052 §2).
const TAG_ENCRYPT: u64 = 96;
/// Length of a sealed content key: 32 bytes and the tag of AES-GCM.
const WRAPPED_KEY_LEN: usize = 48;
/// Longest protected header of a recipient, in bytes: the one of the format has 40.
const MAX_HEADER_BYTES: usize = 64;
const WHAT: &str = "audience secret";
const UNAUTHENTIC: SealError = SealError::Unauthentic { what: WHAT };

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
/// commitment that the originator signed. A wrap with any recipient that is not of the format is
/// refused, so that a classical one is nowhere a way in.
pub fn unwrap(
    bytes: &[u8],
    context: AudienceContext<'_>,
    member: &MemberId,
    key: &SealSecretKey,
    commitment: &Digest,
) -> Result<AudienceSecret, SealError> {
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
    if recipients.is_empty() || recipients.len() > MAX_AUDIENCE {
        return Err(cbor::shape(WHAT, "recipients", "a list of 1 to 1024").into());
    }
    // All of them are read before any is opened: the wrap is of the format, or is not.
    let recipients: Vec<Recipient> =
        recipients.into_iter().map(Recipient::read).collect::<Result<_, _>>()?;
    let thumbprint = key.public()?.thumbprint();
    // Another member may have announced our key as its own: what was sealed for it is not ours.
    let mut ours = recipients.iter().filter(|r| r.thumbprint == thumbprint).peekable();
    ours.peek().ok_or(SealError::NotARecipient)?;
    let content_key =
        ours.find_map(|recipient| recipient.open(context, member, key)).ok_or(UNAUTHENTIC)?;
    let aad = enc_structure("Encrypt", &protected, &audience_aad(context));
    let secret = aes_open(&content_key, &iv, &aad, &ciphertext).ok_or(UNAUTHENTIC)?;
    let secret = <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| UNAUTHENTIC)?;
    let secret = AudienceSecret::from_bytes(secret);
    if secret.commitment(context.audience) != *commitment {
        return Err(SealError::Commitment { what: WHAT });
    }
    Ok(secret)
}

/// The content key on its way to one member.
struct Recipient {
    thumbprint: Digest,
    protected: Vec<u8>,
    encapsulated: <XWing as hpke::Kem>::EncappedKey,
    wrapped: [u8; WRAPPED_KEY_LEN],
}

impl Recipient {
    /// Reads a recipient, whoever it is for: exactly the fields of the format, and no algorithm
    /// but the profile's.
    fn read(value: Value) -> Result<Self, SealError> {
        let mut fields =
            Reader::of_array(WHAT, value, &["protected", "unprotected", "ciphertext"])?;
        let protected = fields.take_bytes("protected")?;
        let mut header =
            Reader::of_labels(WHAT, cbor::decode_plain(WHAT, &protected, MAX_HEADER_BYTES)?)?;
        if header.take("1")? != Value::from(ALG_HPKE_9_KE) {
            return Err(SealError::Algorithm { what: WHAT });
        }
        let thumbprint = Digest(header.take_fixed("4")?);
        header.finish()?;
        let mut header = Reader::of_labels(WHAT, fields.take("unprotected")?)?;
        let encapsulated = header.take_bytes(&LABEL_EK.to_string())?;
        header.finish()?;
        let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(&encapsulated)
            .map_err(|_| cbor::shape(WHAT, "ek", "an X-Wing encapsulated key of 1120 bytes"))?;
        let wrapped = fields.take_fixed("ciphertext")?;
        Ok(Self { thumbprint, protected, encapsulated, wrapped })
    }

    fn open(
        &self,
        context: AudienceContext<'_>,
        member: &MemberId,
        key: &SealSecretKey,
    ) -> Option<Zeroizing<Vec<u8>>> {
        hpke::single_shot_open::<AesGcm256, KdfShake256, XWing>(
            &OpModeR::Base,
            &key.secret().ok()?,
            &self.encapsulated,
            &recipient_info(&self.protected, context, member),
            &self.wrapped,
            b"",
        )
        .map(Zeroizing::new)
        .ok()
    }
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
