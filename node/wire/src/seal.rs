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

mod audience;
mod part;
#[cfg(test)]
mod tests;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem as _, Serializable as _};
use zeroize::Zeroizing;

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::Digest;

pub use audience::{AudienceContext, AudienceId, AudienceSecret, unwrap, wrap};
pub use part::{
    PartContext, open_part, open_part_unchecked, padded_len, seal_part, sealed_padded_len,
};

/// COSE algorithm A256GCM (RFC 9053 §4.1).
const ALG_A256GCM: i64 = 3;
/// COSE algorithm HPKE-9-KE as assumed by draft-ietf-cose-hpke-pq-pqt-01, pinned by profile 1.
pub const ALG_HPKE_9_KE: i64 = 57;
/// COSE key type AKP (RFC 9964).
const KTY_AKP: i64 = 7;
/// Length of an AES-GCM nonce, in bytes.
pub const IV_LEN: usize = 12;
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

fn take_iv(what: &'static str, unprotected: Value) -> Result<[u8; IV_LEN], CborError> {
    let mut header = Reader::of_labels(what, unprotected)?;
    let iv = header.take_fixed("5")?;
    header.finish()?;
    Ok(iv)
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

pub(crate) fn aes_seal(key: &[u8; 32], iv: &[u8; IV_LEN], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(*iv), Payload { msg, aad })
        .expect("a plaintext far below AES-GCM's limit of 64 GiB is always sealed")
}

pub(crate) fn aes_open(
    key: &[u8],
    iv: &[u8; IV_LEN],
    aad: &[u8],
    msg: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = Aes256Gcm::new_from_slice(key).ok()?;
    cipher.decrypt(&Nonce::from(*iv), Payload { msg, aad }).ok().map(Zeroizing::new)
}
