//! Statements: what a member signs.
//!
//! A statement is a COSE_Sign1 (RFC 9052 §4.2) over a [`Manifest`], in the shape of a SCITT signed
//! statement (RFC 9943): algorithm Ed25519 (−19, RFC 9864), key id = COSE key thumbprint
//! (RFC 9679), CWT claims (RFC 9597) with issuer, subject and issued-at, and an **empty**
//! unprotected header, so that the logged bytes are not malleable.
//!
//! The ladder: bytes → [`Statement`] (well formed; nothing is known of who made it) →
//! [`AuthenticStatement`] (the signature holds under a key that the caller looked up; it stays
//! true for ever, whether the key was valid at that place in the log is the caller's question).
//!
//! This module knows nothing of registers, logs or clocks.

mod control;
mod denial;
mod manifest;
mod sign1;
#[cfg(test)]
mod tests;

use crate::cbor::{self, CborError};
use crate::id::{Digest, MemberId, RecordId};
use crate::signer::{Ed25519Signer, NoSignature};

pub use control::{MAX_MATCH_ROWS, MatchCounts, MatchSide, MatchesManifest};
pub use denial::{Denial, MAX_DENIAL_RANGES};
pub use manifest::{
    Addressees, AudienceManifest, Body, Head, KeyManifest, Manifest, PartRef, ReadCounts,
    ReadsManifest, RecordManifest, RegisterManifest, Relation, RelationVerb,
};
use sign1::Sign1;
pub use sign1::SignVerifier;
pub(crate) use sign1::{ALG_ED25519, TAG_SIGN1, sig_structure};

/// The profile of formats that this version reads and writes; it pins every code point.
pub const PROFILE: u64 = 1;
/// Largest manifest accepted, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024;
/// Largest statement accepted, in bytes.
pub const MAX_STATEMENT_BYTES: usize = MAX_MANIFEST_BYTES + 1024;
/// `typ` (RFC 9596) of a statement.
pub const TYP_STATEMENT: &str = "application/sealwire-statement+cose";
/// `typ` of a signed range answer.
pub const TYP_DENIAL: &str = "application/sealwire-not-addressed+cose";
/// First byte of leaf data: entry type 1, the digest of a statement.
pub const LEAF_STATEMENT: u8 = 0x01;

const STATEMENT: &str = "statement";

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The bytes are not of the format.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A profile that this version does not know.
    #[error(
        "cannot read manifest: profile {0} is not known (hint: this node reads profile {PROFILE}; upgrade it)"
    )]
    Profile(u64),
    /// The manifest to be signed is too large.
    #[error("cannot sign statement: manifest of {0} bytes exceeds {MAX_MANIFEST_BYTES}")]
    ManifestTooLarge(usize),
    /// The key looked up is not the one that the statement names.
    #[error("cannot verify statement: signed by key {named}, but the key at hand is {found}")]
    OtherKey {
        /// Thumbprint in the statement.
        named: Digest,
        /// Thumbprint of the key at hand.
        found: Digest,
    },
    /// The signature does not hold.
    #[error("cannot verify statement: the signature does not hold (altered, or not by this key)")]
    BadSignature,
    /// The key did not sign.
    #[error(transparent)]
    NoSignature(#[from] NoSignature),
}

/// What is signed beside the manifest: CWT claims (RFC 8392, RFC 9597).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the member that signs.
    pub issuer: MemberId,
    /// `sub`: the record, or the id that this control entry was given.
    pub subject: RecordId,
    /// `iat`: the issuer's clock, seconds since 1970; informative.
    pub issued_at: u64,
}

/// A well-formed statement; nothing is known yet of who made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    sign1: Sign1,
    manifest: Manifest,
}

impl Statement {
    /// Reads the bytes of a statement.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let (sign1, payload) = Sign1::parse(STATEMENT, TYP_STATEMENT, bytes, MAX_STATEMENT_BYTES)?;
        let manifest = Manifest::from_bytes(payload)?;
        Ok(Self { sign1, manifest })
    }

    /// Checks the signature, strictly, over the bytes received, under the key that the caller
    /// looked up for [`Self::key_id`].
    pub fn verify(self, public: &[u8; 32]) -> Result<AuthenticStatement, StatementError> {
        self.verify_by(&SignVerifier::new(public)?)
    }

    /// As [`Self::verify`], under a key that serves for many statements.
    pub fn verify_by(self, key: &SignVerifier) -> Result<AuthenticStatement, StatementError> {
        self.sign1.verify(key)?;
        Ok(AuthenticStatement(self))
    }

    /// Thumbprint of the key that is said to have signed.
    pub fn key_id(&self) -> Digest {
        self.sign1.key_id
    }

    /// Who is said to have signed what, and when.
    pub fn claims(&self) -> &Claims {
        &self.sign1.claims
    }

    /// The manifest, not yet authentic.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes received.
    pub fn bytes(&self) -> &[u8] {
        &self.sign1.bytes
    }
}

/// A statement whose signature holds. The only constructors are [`Statement::verify`] and
/// [`sign`].
#[derive(Debug, Clone, PartialEq)]
pub struct AuthenticStatement(Statement);

impl AuthenticStatement {
    /// Who signed what, and when by the issuer's clock.
    pub fn claims(&self) -> &Claims {
        &self.0.sign1.claims
    }

    /// What was signed.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The statement's bytes as received.
    pub fn bytes(&self) -> &[u8] {
        &self.0.sign1.bytes
    }

    /// Thumbprint of the key that signed.
    pub fn key_id(&self) -> Digest {
        self.0.sign1.key_id
    }

    /// SHA-256 of the statement's bytes: how it is named in a leaf and fetched.
    pub fn digest(&self) -> Digest {
        Digest::of(self.bytes())
    }

    /// SHA-256 of the `Sig_structure`: by which duplicates are known, since a signature could be
    /// made again over the same content.
    pub fn content_digest(&self) -> Digest {
        Digest::of(&self.0.sign1.sig_structure)
    }
}

/// Signs a manifest.
pub fn sign(
    key: &impl Ed25519Signer,
    claims: Claims,
    manifest: Manifest,
) -> Result<AuthenticStatement, StatementError> {
    let payload = cbor::encode(&manifest.to_value());
    if payload.len() > MAX_MANIFEST_BYTES {
        return Err(StatementError::ManifestTooLarge(payload.len()));
    }
    let sign1 = Sign1::sign(key, TYP_STATEMENT, claims, &payload)?;
    Ok(AuthenticStatement(Statement { sign1, manifest }))
}

/// Leaf data of a statement: 33 bytes, `01 ‖ SHA-256(statement)`.
pub fn leaf_data(statement: &Digest) -> [u8; 33] {
    let mut leaf = [LEAF_STATEMENT; 33];
    leaf[1..].copy_from_slice(&statement.0);
    leaf
}
