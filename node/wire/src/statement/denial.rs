//! Signed answers that indexes of a log are not addressed to the asker.

use ed25519_dalek::SigningKey;

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::{Digest, MemberId};
use crate::signer::{Ed25519Signer, IN_MEMORY, NoSignature};

use super::sign1::{Sign1, SignVerifier};
use super::{Claims, PROFILE, StatementError, TYP_DENIAL};

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
        self.sign_with(key, claims).expect(IN_MEMORY)
    }

    /// As [`Self::sign`], with a key that may be elsewhere.
    pub fn sign_with(
        &self,
        key: &impl Ed25519Signer,
        claims: Claims,
    ) -> Result<Vec<u8>, NoSignature> {
        let ranges = self.ranges.iter();
        let ranges = ranges.map(|(a, b)| Value::Array(vec![Value::from(*a), Value::from(*b)]));
        let payload = cbor::encode(&cbor::map([
            ("profile", Value::from(PROFILE)),
            ("federation", Value::from(self.federation.as_str())),
            ("asker", Value::from(self.asker.as_str())),
            ("register", Value::from(self.register)),
            ("ranges", Value::Array(ranges.collect())),
        ]));
        Ok(Sign1::sign(key, TYP_DENIAL, claims, &payload)?.bytes)
    }

    /// Reads and verifies an answer; `key_of` looks up the public key for a key id.
    pub fn verify(
        bytes: &[u8],
        key_of: impl FnOnce(&MemberId, &Digest) -> Option<[u8; 32]>,
    ) -> Result<(Claims, Self), StatementError> {
        let (sign1, payload) = Sign1::parse(DENIAL, TYP_DENIAL, bytes, MAX_DENIAL_BYTES)?;
        let public =
            key_of(&sign1.claims.issuer, &sign1.key_id).ok_or(StatementError::BadSignature)?;
        sign1.verify(&SignVerifier::new(&public)?)?;
        let value = cbor::decode_plain(DENIAL, payload, MAX_DENIAL_BYTES)?;
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
