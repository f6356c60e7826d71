//! ML-DSA-44 (FIPS 204): signatures that outlive Ed25519, should a quantum computer break it.
//!
//! Pure ML-DSA with an empty context, signed deterministically, because randomness is an argument
//! here and none is needed; a key is made from a seed of 32 bytes and kept as that seed.
//!
//! This module knows nothing of what is signed.

use std::fmt;

use ml_dsa::signature::{Keypair as _, Signer as _, Verifier as _};
use ml_dsa::{EncodedSignature, EncodedVerifyingKey, MlDsa44, Signature, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::id::Digest;

/// Length of a public key, in bytes.
pub const MLDSA_PUBLIC_BYTES: usize = 1312;
/// Length of a signature, in bytes.
pub const MLDSA_SIGNATURE_BYTES: usize = 2420;

/// COSE key thumbprint (RFC 9679) of a public key: SHA-256 over the deterministic CBOR of
/// `{1: 7 (AKP), 3: -48 (ML-DSA-44), -1: public}`.
pub fn thumbprint(public: &[u8; MLDSA_PUBLIC_BYTES]) -> Digest {
    let mut encoded = vec![0xa3, 0x01, 0x07, 0x03, 0x38, 0x2f, 0x20, 0x59, 0x05, 0x20];
    encoded.extend_from_slice(public);
    Digest::of(&encoded)
}

/// A signing key. Wiped from memory when it is dropped.
#[derive(Clone)]
pub struct MlDsaKey(SigningKey<MlDsa44>);

impl MlDsaKey {
    /// The key of a seed, always the same one.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let seed = Zeroizing::new(ml_dsa::Seed::from(*seed));
        Self(SigningKey::from_seed(&seed))
    }

    /// Its public key.
    pub fn public(&self) -> [u8; MLDSA_PUBLIC_BYTES] {
        self.0.verifying_key().encode().into()
    }

    /// Signs with an empty context.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; MLDSA_SIGNATURE_BYTES] {
        self.0.sign(message).encode().into()
    }
}

impl fmt::Debug for MlDsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlDsaKey")
    }
}

/// Whether the signature with an empty context holds. Any 1,312 bytes are a public key.
pub(crate) fn verify(
    public: &[u8; MLDSA_PUBLIC_BYTES],
    message: &[u8],
    signature: &[u8; MLDSA_SIGNATURE_BYTES],
) -> bool {
    let key = VerifyingKey::<MlDsa44>::decode(&EncodedVerifyingKey::<MlDsa44>::from(*public));
    Signature::decode(&EncodedSignature::<MlDsa44>::from(*signature))
        .is_some_and(|signature| key.verify(message, &signature).is_ok())
}
