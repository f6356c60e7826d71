//! The COSE_Sign1 envelope (RFC 9052 §4.2) that statements and range answers share.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::cbor::{self, CborError, Strict, Value};
use crate::id::{Digest, ed25519_thumbprint};
use crate::signer::{Ed25519Signer, NoSignature};

use super::{Claims, StatementError};

/// COSE algorithm Ed25519 (RFC 9864).
pub(crate) const ALG_ED25519: i64 = -19;
/// COSE tag of COSE_Sign1.
pub(crate) const TAG_SIGN1: u64 = 18;
/// COSE header parameters (RFC 9052, RFC 9596, RFC 9597).
const ALG: u64 = 1;
const KEY_ID: u64 = 4;
const CWT: u64 = 15;
const TYP: u64 = 16;
/// CWT claims (RFC 8392).
const ISSUER: u64 = 1;
const SUBJECT: u64 = 2;
const ISSUED_AT: u64 = 6;

/// The COSE_Sign1 envelope that statements and range answers share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sign1 {
    pub bytes: Vec<u8>,
    pub key_id: Digest,
    pub claims: Claims,
    signature: [u8; 64],
    pub sig_structure: Vec<u8>,
}

impl Sign1 {
    pub fn sign(
        key: &impl Ed25519Signer,
        typ: &str,
        claims: Claims,
        payload: &[u8],
    ) -> Result<Self, NoSignature> {
        let key_id = ed25519_thumbprint(&key.public());
        let cwt = Value::Map(vec![
            (Value::from(ISSUER), Value::from(claims.issuer.as_str())),
            (Value::from(SUBJECT), Value::Text(claims.subject.to_string())),
            (Value::from(ISSUED_AT), Value::from(claims.issued_at)),
        ]);
        let protected = cbor::encode(&Value::Map(vec![
            (Value::from(ALG), Value::from(ALG_ED25519)),
            (Value::from(KEY_ID), cbor::bytes(key_id.0)),
            (Value::from(CWT), cwt),
            (Value::from(TYP), Value::from(typ)),
        ]));
        let sig_structure = sig_structure(&protected, payload);
        let signature = key.sign(&sig_structure)?;
        let message = Value::Array(vec![
            cbor::bytes(protected),
            Value::Map(Vec::new()),
            cbor::bytes(payload),
            cbor::bytes(signature),
        ]);
        let bytes = cbor::encode(&Value::Tag(TAG_SIGN1, Box::new(message)));
        Ok(Self { bytes, key_id, claims, signature, sig_structure })
    }

    /// Reads an envelope; gives the payload beside it.
    pub fn parse<'a>(
        what: &'static str,
        typ: &str,
        bytes: &'a [u8],
        limit: usize,
    ) -> Result<(Self, &'a [u8]), CborError> {
        let mut strict = Strict::up_to(what, bytes, limit)?;
        strict.tag(TAG_SIGN1)?;
        strict.array("the whole", 4)?;
        let protected = strict.byte_string("protected")?;
        strict.labels("unprotected", 0)?;
        let payload = strict.byte_string("payload")?;
        let signature = strict.byte_array("signature")?;
        strict.end()?;

        let mut header = Strict::new(what, protected);
        header.labels("protected", 4)?;
        header.label(ALG, "alg")?;
        if header.integer("alg")? != ALG_ED25519 {
            return Err(cbor::shape(what, "alg", "Ed25519 (-19)"));
        }
        header.label(KEY_ID, "kid")?;
        let key_id = Digest(header.byte_array("kid")?);
        header.label(CWT, "claims")?;
        header.labels("claims", 3)?;
        header.label(ISSUER, "iss")?;
        let issuer = header.parsed("iss", "a member id")?;
        header.label(SUBJECT, "sub")?;
        let subject = header.parsed("sub", "a record id")?;
        header.label(ISSUED_AT, "iat")?;
        let issued_at = header.unsigned("iat")?;
        header.label(TYP, "typ")?;
        if header.text_string("typ")? != typ {
            return Err(cbor::shape(what, "typ", "the type of this format"));
        }
        header.end()?;
        let claims = Claims { issuer, subject, issued_at };
        let sig_structure = sig_structure(protected, payload);
        let bytes = bytes.to_vec();
        Ok((Self { bytes, key_id, claims, signature, sig_structure }, payload))
    }

    pub fn verify(&self, by: &SignVerifier) -> Result<(), StatementError> {
        if by.thumbprint != self.key_id {
            return Err(StatementError::OtherKey { named: self.key_id, found: by.thumbprint });
        }
        by.key
            .verify_strict(&self.sig_structure, &Signature::from_bytes(&self.signature))
            .map_err(|_| StatementError::BadSignature)
    }
}

/// A public sign key, ready to verify many statements.
#[derive(Debug, Clone)]
pub struct SignVerifier {
    thumbprint: Digest,
    key: VerifyingKey,
}

impl SignVerifier {
    /// Takes an Ed25519 public key (RFC 8032).
    pub fn new(public: &[u8; 32]) -> Result<Self, StatementError> {
        let key = VerifyingKey::from_bytes(public).map_err(|_| StatementError::BadSignature)?;
        Ok(Self { thumbprint: ed25519_thumbprint(public), key })
    }
}

/// `Sig_structure` of RFC 9052 §4.4 for a COSE_Sign1 without external data.
pub(crate) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32 + protected.len() + payload.len());
    cbor::write_array_head(4, &mut bytes);
    cbor::write_text("Signature1", &mut bytes);
    cbor::write_bytes(protected, &mut bytes);
    cbor::write_bytes(&[], &mut bytes);
    cbor::write_bytes(payload, &mut bytes);
    bytes
}
