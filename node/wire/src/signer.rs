//! Keys that sign with Ed25519 (RFC 8032), wherever their secret halves are.
//!
//! A key in memory always signs. One in a token (PKCS#11) may not, and says why.

use ed25519_dalek::{SigningKey, VerifyingKey};

/// A key that signs with pure Ed25519.
pub trait Ed25519Signer {
    /// The public half.
    fn public(&self) -> [u8; 32];

    /// Signs a message. What comes back verifies strictly under [`Self::public`]: whoever
    /// implements this for a key outside of this process has checked it.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], NoSignature>;
}

/// Why a key did not sign: what is outside of this process did not answer, or answered wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSignature(pub String);

impl Ed25519Signer for SigningKey {
    fn public(&self) -> [u8; 32] {
        self.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], NoSignature> {
        Ok(ed25519_dalek::Signer::sign(self, message).to_bytes())
    }
}

/// What a key in memory gives, which never refuses.
pub(crate) const IN_MEMORY: &str = "a key in memory always signs";

/// Reads an Ed25519 public key as a PKCS#11 token gives it in `CKA_EC_POINT`: the 32 bytes of
/// RFC 8032 as they are, or, as version 2.40 and the tokens of that time have it, as a DER OCTET
/// STRING of them. Nothing else, and no point of small order, is a key.
pub fn public_of_ec_point(bytes: &[u8]) -> Option<[u8; 32]> {
    const DER_OCTET_STRING_32: [u8; 2] = [0x04, 0x20];
    let raw = match bytes.len() {
        32 => bytes,
        _ => bytes.strip_prefix(&DER_OCTET_STRING_32)?,
    };
    let public: [u8; 32] = raw.try_into().ok()?;
    let key = VerifyingKey::from_bytes(&public).ok()?;
    (!key.is_weak()).then_some(public)
}

/// Whether a signature holds, strictly: no small order, no other form of the same numbers.
pub fn holds(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    crate::checkpoint::verify_strict(public, message, signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_point_is_read_raw_and_as_an_octet_string_and_in_no_other_form() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.public();
        let der = [&[0x04, 0x20][..], &public].concat();
        assert_eq!(public_of_ec_point(&public), Some(public));
        assert_eq!(public_of_ec_point(&der), Some(public));
        let bits = [&[0x03, 0x21, 0x00][..], &public].concat();
        let trailing = [&der[..], &[0]].concat();
        let truncated = &der[..33];
        // Of order one: any message would have a signature.
        let mut weak = [0; 32];
        weak[0] = 1;
        let neither_compressed_p256 = [&[0x02][..], &public].concat();
        for bad in [&bits, &trailing, truncated, &[], &weak, &neither_compressed_p256] {
            assert_eq!(public_of_ec_point(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_a_sound_key_or_none(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Some(public) = public_of_ec_point(&bytes) {
                prop_assert!(bytes.ends_with(&public) && matches!(bytes.len(), 32 | 34));
            }
        }
    }
}
