//! Parts sealed under a key derived from their audience's secret.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::cbor::{self, Strict, Value};
use crate::id::{Digest, MemberId, RecordId};
use crate::part::{Part, commitment_of_bytes};

use super::{
    ALG_A256GCM, AudienceSecret, IV_LEN, MAX_SEALED_BYTES, SealError, aes_open, aes_seal,
    enc_structure, labels, protected_alg,
};

/// COSE tag of COSE_Encrypt0 (RFC 9052 §2).
const TAG_ENCRYPT0: u8 = 16;
/// COSE header parameter IV (RFC 9052 §3.1), which is alone in the unprotected header.
const IV: u64 = 5;
const PART: &str = "part";
/// Length of an AES-GCM tag, in bytes.
const TAG_LEN: usize = 16;

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
    cbor::encode(&Value::Tag(TAG_ENCRYPT0.into(), Box::new(message)))
}

/// Opens one sealed part and checks what comes out against the signed commitment.
pub fn open_part(
    secret: &AudienceSecret,
    context: PartContext<'_>,
    bytes: &[u8],
) -> Result<Part, SealError> {
    let plaintext = open_part_unchecked(secret, context, bytes)?;
    if commitment_of_bytes(context.record, context.class, &plaintext)? == *context.commitment {
        Ok(Part::from_bytes(&plaintext)?)
    } else {
        Err(SealError::Commitment { what: PART })
    }
}

/// Opens one sealed part. What comes out was sealed by a holder of the secret; whether it is a
/// part, and the one that the statement commits to, is not checked.
pub fn open_part_unchecked(
    secret: &AudienceSecret,
    context: PartContext<'_>,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let SealedPart { protected, iv, ciphertext } = SealedPart::parse(bytes)?;
    if protected != protected_alg(ALG_A256GCM) {
        return Err(SealError::Algorithm { what: PART });
    }
    let aad = enc_structure("Encrypt0", protected, &part_aad(context));
    let mut padded = aes_open(part_key(secret, context).as_slice(), &iv, &aad, ciphertext)
        .ok_or(SealError::Unauthentic { what: PART })?;
    let length = unpad(&padded).ok_or(SealError::Unauthentic { what: PART })?.len();
    padded.truncate(length);
    Ok(padded)
}

/// The padded length of the plaintext inside a sealed part, in bytes: what a manifest states and
/// anyone can check without a key.
pub fn sealed_padded_len(bytes: &[u8]) -> Result<u64, SealError> {
    match SealedPart::parse(bytes)?.ciphertext.len().checked_sub(TAG_LEN) {
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

pub(super) fn pad(plaintext: &[u8]) -> Vec<u8> {
    // ISO/IEC 7816-4: one 0x80, then zeros.
    let mut padded = Vec::with_capacity(padded_len(plaintext.len()));
    padded.extend_from_slice(plaintext);
    padded.push(0x80);
    padded.resize(padded_len(plaintext.len()), 0);
    padded
}

pub(super) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let end = padded.iter().rposition(|b| *b != 0)?;
    let (plaintext, rest) = padded.split_at_checked(end)?;
    (rest.first() == Some(&0x80) && padded.len() == padded_len(end)).then_some(plaintext)
}

/// What a COSE_Encrypt0 holds.
struct SealedPart<'a> {
    protected: &'a [u8],
    iv: [u8; IV_LEN],
    ciphertext: &'a [u8],
}

impl<'a> SealedPart<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, SealError> {
        const WHAT: &str = "sealed part";
        let tagged = bytes.strip_prefix(&[0xc0 | TAG_ENCRYPT0]);
        let message = tagged.ok_or_else(|| cbor::shape(WHAT, "tag", "COSE_Encrypt0 (16)"))?;
        let mut strict = Strict::up_to(WHAT, message, MAX_SEALED_BYTES)?;
        strict.array("the whole", 3)?;
        let protected = strict.byte_string("protected")?;
        strict.labels("unprotected", 1)?;
        strict.label(IV, "iv")?;
        let iv = strict.byte_array("iv")?;
        let ciphertext = strict.byte_string("ciphertext")?;
        strict.end()?;
        Ok(Self { protected, iv, ciphertext })
    }
}

fn part_key(secret: &AudienceSecret, context: PartContext<'_>) -> Zeroizing<[u8; 32]> {
    let info = cbor::encode(&Value::Array(vec![
        Value::from("sealwire part"),
        Value::Text(context.record.to_string()),
        Value::from(context.class),
    ]));
    let mut key = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::new(None, secret.as_bytes())
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
