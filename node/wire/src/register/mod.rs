//! The register: members, keys and communities of one federation, signed by its governors.
//!
//! A register is TUF 1.0.34 root metadata (JSON) with one further field, `x-sealwire`. Each
//! version is signed by a threshold of its own governors and of the governors of the version
//! before. What this file promises:
//!
//! ```text
//! bytes ── trust_first (self-signed; version 1 or a pinned digest) ──► Register
//! Register + bytes ── update (next version, old and new threshold) ──► Register
//! ```
//!
//! A value of type [`Register`] is the proof that thresholds, form and references hold. It stays
//! true for ever of that version; whether the version is still in force is a question of time,
//! which is an argument of [`Register::check_expiry`]. This module knows nothing of files, of
//! clocks and of how a register reached us.

mod check;
mod diff;
mod draft;
mod error;
mod field;
mod form;
mod introduction;
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use diff::{Change, Difference, difference};
pub use draft::{Draft, SignatureState, Summary, governor_key_id};
pub use error::{Document, RegisterError};
pub use field::peer_id;
pub use introduction::{Introduction, MAX_INTRODUCTION_BYTES};
pub use model::{
    Community, CosignPqKey, Direction, KeyUse, Member, MemberKey, SchemaRef, Status, UnknownWord,
};

use crate::id::{Digest, MemberId};
use check::{Content, Governors};
use form::Envelope;

/// Largest register accepted, in bytes.
pub const MAX_REGISTER_BYTES: usize = 4 * 1024 * 1024;
/// Most governors' seats.
pub const MAX_SEATS: usize = 128;
/// Most signatures in one file: those of the old and of the new governors.
pub const MAX_SIGNATURES: usize = 2 * MAX_SEATS;
/// Most members.
pub const MAX_MEMBERS: usize = 1024;
/// Most keys of one member, ended ones included.
pub const MAX_MEMBER_KEYS: usize = 256;
/// Most addresses of one member.
pub const MAX_ADDRESSES: usize = 16;
/// Most communities.
pub const MAX_COMMUNITIES: usize = 512;
/// Most entries in any other list: names, roles, kinds, purposes, schemas, code lists.
pub const MAX_LIST: usize = 256;
/// Largest number in a register: the largest integer that every JSON reader keeps exactly.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A verified register. Only [`Register::trust_first`] and [`Register::update`] make one.
#[derive(Debug, Clone)]
pub struct Register {
    bytes: Vec<u8>,
    envelope: Envelope,
    digest: Digest,
    version: u64,
    expires_unix: i64,
    governors: Governors,
    content: Content,
}

/// Whether a register is in force at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Not expired.
    Valid,
    /// Expired, but the grace period lasts until this time.
    Grace {
        /// End of the grace period, in seconds since 1970.
        until_unix: i64,
    },
    /// Expired, and the grace period is over.
    Expired,
}

impl Register {
    /// Trusts a first register: version 1, or the version whose digest is `pinned`.
    ///
    /// The register vouches for itself only, so its fingerprint has to be compared with a
    /// governor's by another way.
    pub fn trust_first(bytes: &[u8], pinned: Option<&Digest>) -> Result<Self, RegisterError> {
        let register = Self::read(bytes)?;
        match pinned {
            Some(pinned) if *pinned != register.digest => {
                return Err(RegisterError::Pinned { pinned: *pinned, found: register.digest });
            }
            None if register.version != 1 => {
                return Err(RegisterError::NotFirst { found: register.version });
            }
            _ => {}
        }
        register.signed_by_governors_of(&register)?;
        Ok(register)
    }

    /// Trusts the next version: of the same federation, exactly one higher, signed by the
    /// threshold of these governors and of its own, and without taking away any past.
    pub fn update(&self, bytes: &[u8]) -> Result<Self, RegisterError> {
        let next = Self::read(bytes)?;
        next.follows(self)?;
        next.signed_by_governors_of(self)?;
        next.signed_by_governors_of(&next)?;
        Ok(next)
    }

    /// Verifies another document of this same version, signed by governors who could sign this
    /// one: proof that the register was forked. `previous` is the version before this one, if it
    /// is held; without it the governors of this version have to have signed.
    pub fn fork(&self, previous: Option<&Self>, bytes: &[u8]) -> Result<Self, RegisterError> {
        let other = Self::read(bytes)?;
        if other.version != self.version || other.digest == self.digest {
            return Err(RegisterError::Version { current: self.version, found: other.version });
        }
        match previous {
            Some(previous) => other.follows(previous)?,
            None if other.federation() != self.federation() => {
                return Err(RegisterError::Federation {
                    current: self.federation().to_owned(),
                    found: other.federation().to_owned(),
                });
            }
            None => {}
        }
        other.signed_by_governors_of(previous.unwrap_or(self))?;
        other.signed_by_governors_of(&other)?;
        Ok(other)
    }

    /// Whether this version is in force at `now_unix`.
    pub fn check_expiry(&self, now_unix: i64, grace_seconds: i64) -> Expiry {
        let until_unix = self.expires_unix.saturating_add(grace_seconds.max(0));
        if now_unix < self.expires_unix {
            Expiry::Valid
        } else if now_unix < until_unix {
            Expiry::Grace { until_unix }
        } else {
            Expiry::Expired
        }
    }

    /// The bytes as received, signatures included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the canonical signed part: the same, whoever signed.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest in groups of four, to be compared by telephone.
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&self.digest)
    }

    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The name of the federation.
    pub fn federation(&self) -> &str {
        &self.content.federation
    }

    /// When this version expires, in seconds since 1970.
    pub fn expires_unix(&self) -> i64 {
        self.expires_unix
    }

    /// How many governors must sign.
    pub fn threshold(&self) -> u32 {
        self.governors.threshold
    }

    /// Every governor's seat in order of its name, and whether its signature here is valid.
    pub fn seats(&self) -> Vec<SignatureState> {
        self.governors.states(&form::canonical(&self.envelope.signed), &self.envelope.signatures)
    }

    /// The member of this id.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.content.members.get(id)
    }

    /// All members, in order of their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.content.members.values()
    }

    /// The member whose node has this libp2p peer id.
    pub fn member_by_peer_id(&self, peer_id: &str) -> Option<&Member> {
        self.content.by_peer_id.get(peer_id).and_then(|id| self.content.members.get(id))
    }

    /// The community of this id.
    pub fn community(&self, id: &str) -> Option<&Community> {
        self.content.communities.get(id)
    }

    /// All communities, in order of their ids.
    pub fn communities(&self) -> impl Iterator<Item = &Community> {
        self.content.communities.values()
    }

    /// The members of a community that take part now.
    pub fn active_members<'a>(
        &'a self,
        community: &'a Community,
    ) -> impl Iterator<Item = &'a Member> {
        community
            .members
            .iter()
            .filter_map(|id| self.member(id))
            .filter(|m| m.status == Status::Active)
    }

    /// The schema of each record kind.
    pub fn schemas(&self) -> &BTreeMap<String, SchemaRef> {
        &self.content.schemas
    }

    /// The edition of each code list.
    pub fn code_lists(&self) -> &BTreeMap<String, String> {
        &self.content.code_lists
    }

    /// Reads and checks everything but the signatures.
    fn read(bytes: &[u8]) -> Result<Self, RegisterError> {
        let envelope: Envelope = form::parse(bytes, Document::Register, MAX_REGISTER_BYTES)?;
        check::signatures(&envelope.signatures)?;
        let (governors, content) = check::signed(&envelope.signed)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            digest: Digest::of(&form::canonical(&envelope.signed)),
            version: envelope.signed.version,
            expires_unix: check::expires(&envelope.signed)?,
            governors,
            content,
            envelope,
        })
    }

    /// Counts the valid signatures on this version of the governors of `other`.
    fn signed_by_governors_of(&self, other: &Self) -> Result<(), RegisterError> {
        let governors = &other.governors;
        let states =
            governors.states(&form::canonical(&self.envelope.signed), &self.envelope.signatures);
        let valid = states.iter().filter(|s| s.valid).count();
        if valid >= usize::try_from(governors.threshold).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let missing: Vec<_> = states.into_iter().filter(|s| !s.valid).map(|s| s.seat).collect();
        Err(RegisterError::TooFewSignatures {
            version: self.version,
            governors_of: other.version,
            valid,
            threshold: governors.threshold,
            missing: missing.join(", "),
        })
    }

    /// Checks that this version continues `previous`: nothing that old entries need is lost.
    fn follows(&self, previous: &Self) -> Result<(), RegisterError> {
        if self.federation() != previous.federation() {
            return Err(RegisterError::Federation {
                current: previous.federation().to_owned(),
                found: self.federation().to_owned(),
            });
        }
        if Some(self.version) != previous.version.checked_add(1) {
            return Err(RegisterError::Version { current: previous.version, found: self.version });
        }
        for old in previous.members() {
            let member = self
                .member(&old.id)
                .ok_or_else(|| RegisterError::MemberDropped { member: old.id.clone() })?;
            for key in &old.keys {
                let kept = member.keys.iter().any(|k| k.continues(key));
                if !kept {
                    return Err(RegisterError::KeyHistory {
                        member: old.id.clone(),
                        thumbprint: key.thumbprint,
                    });
                }
            }
            for key in &old.cosign_pq {
                if !member.cosign_pq.iter().any(|k| k.continues(key)) {
                    let (member, thumbprint) = (old.id.clone(), key.thumbprint);
                    return Err(RegisterError::KeyHistory { member, thumbprint });
                }
            }
        }
        Ok(())
    }
}

/// A digest in groups of four hexadecimal digits.
fn fingerprint_of(digest: &Digest) -> String {
    let mut text = digest.to_string();
    for at in (4..text.len()).step_by(4).rev() {
        text.insert(at, ' ');
    }
    text
}
