//! The introduction: the public file with which a member asks to be put into the register.
//!
//! `sealwire init` writes it, a governor adds it to a draft. It is signed with the member's own
//! sign key, so that a typing error or a swapped key is caught; it proves nothing about who the
//! member is, so its fingerprint has to be compared by another way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::{Document, RegisterError};
use super::field::{
    check_peer_id, field, key_use, peer_id, pq_public, presentation, public_key, require, signature,
};
use super::form::{self, ALGORITHM, PQ_ALGORITHM};
use super::{KeyUse, fingerprint_of};
use crate::id::{Digest, MemberId, ed25519_thumbprint};
use crate::mldsa::MLDSA_PUBLIC_BYTES;
use crate::signer::Ed25519Signer;

/// Largest introduction accepted, in bytes.
pub const MAX_INTRODUCTION_BYTES: usize = 64 * 1024;
/// Put before the canonical JSON that is signed, so that the signature serves nothing else.
const CONTEXT: &[u8] = b"sealwire/introduction/1\n";

/// A verified introduction.
#[derive(Debug, Clone)]
pub struct Introduction {
    raw: Raw,
    member: MemberId,
    keys: BTreeMap<KeyUse, [u8; 32]>,
    cosign_pq: Option<Box<[u8; MLDSA_PUBLIC_BYTES]>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    member: MemberId,
    names: BTreeMap<String, String>,
    roles: Vec<String>,
    peer_id: String,
    addresses: Vec<String>,
    keys: Vec<RawKey>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    signature: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    #[serde(rename = "use")]
    use_: String,
    algorithm: String,
    public: String,
}

impl Introduction {
    /// Writes and signs an introduction. `sign` is the member's sign key; `node`, `log` and
    /// `cosign` are the public keys of the other uses.
    pub fn new(
        member: MemberId,
        names: BTreeMap<String, String>,
        roles: Vec<String>,
        addresses: Vec<String>,
        (node, log, cosign): (&[u8; 32], &[u8; 32], &[u8; 32]),
        sign: &impl Ed25519Signer,
    ) -> Result<Self, RegisterError> {
        let public = sign.public();
        let keys = [
            (KeyUse::Node, node),
            (KeyUse::Log, log),
            (KeyUse::Cosign, cosign),
            (KeyUse::Sign, &public),
        ];
        let raw_key = |(use_, public): (KeyUse, &[u8; 32])| RawKey {
            use_: use_.as_str().to_owned(),
            algorithm: ALGORITHM.to_owned(),
            public: hex::encode(public),
        };
        let mut raw = Raw {
            member,
            names,
            roles,
            peer_id: peer_id(node),
            addresses,
            keys: keys.into_iter().map(raw_key).collect(),
            signature: String::new(),
        };
        raw.signature = hex::encode(sign.sign(&signed_bytes(&raw))?);
        Self::from_bytes(&to_json(&raw))
    }

    /// The same with an ML-DSA-44 key, with which the member cosigns too, signed anew.
    pub fn with_cosign_pq(
        mut self,
        public: &[u8; MLDSA_PUBLIC_BYTES],
        sign: &impl Ed25519Signer,
    ) -> Result<Self, RegisterError> {
        self.raw.keys.push(RawKey {
            use_: KeyUse::CosignPq.as_str().to_owned(),
            algorithm: PQ_ALGORITHM.to_owned(),
            public: hex::encode(public),
        });
        self.raw.signature = hex::encode(sign.sign(&signed_bytes(&self.raw))?);
        Self::from_bytes(&to_json(&self.raw))
    }

    /// Reads an introduction and checks its form and its signature.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RegisterError> {
        let raw: Raw = form::parse(bytes, Document::Introduction, MAX_INTRODUCTION_BYTES)?;
        presentation("", &raw.names, &raw.roles, &raw.addresses)?;
        let mut keys = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let (mut signer, mut cosign_pq) = (None, None);
        for (index, key) in raw.keys.iter().enumerate() {
            let at = format!("/keys/{index}");
            let use_ = key_use(&format!("{at}/use"), &key.use_)?;
            if use_ == KeyUse::CosignPq {
                let known = key.algorithm == PQ_ALGORITHM;
                require(known, &format!("{at}/algorithm"), &key.algorithm, PQ_ALGORITHM)?;
                let public = pq_public(&format!("{at}/public"), &key.public)?;
                let once = cosign_pq.replace(public).is_none();
                require(once, &format!("{at}/use"), &key.use_, "one key for each use")?;
                continue;
            }
            let known = key.algorithm == ALGORITHM;
            require(known, &format!("{at}/algorithm"), &key.algorithm, "Ed25519")?;
            let (public, verifying) = public_key(&format!("{at}/public"), &key.public)?;
            let once = keys.insert(use_, public).is_none();
            require(once, &format!("{at}/use"), &key.use_, "one key for each use")?;
            if !seen.insert(public) {
                return Err(RegisterError::KeyReused {
                    thumbprint: ed25519_thumbprint(&public),
                    first: format!("another key of member {}", raw.member),
                    second: format!("the {use_} key of member {}", raw.member),
                });
            }
            if use_ == KeyUse::Sign {
                signer = Some(verifying);
            }
        }
        let four = "one key for each of node, log, cosign and sign";
        require(keys.len() == KeyUse::ALL.len(), "/keys", &raw.keys.len(), four)?;
        let signer = signer.ok_or_else(|| field("/keys", &"no sign key", four))?;
        check_peer_id("", &raw.peer_id, &raw.addresses, keys.get(&KeyUse::Node))?;
        let refused = || RegisterError::IntroductionSignature { member: raw.member.clone() };
        let signature = signature(&raw.signature).ok_or_else(refused)?;
        signer.verify_strict(&signed_bytes(&raw), &signature).map_err(|_| refused())?;
        Ok(Self { member: raw.member.clone(), keys, cosign_pq, raw })
    }

    /// The file, readable.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_json(&self.raw)
    }

    /// Who introduces itself.
    pub fn member(&self) -> &MemberId {
        &self.member
    }

    /// The name by language.
    pub fn names(&self) -> &BTreeMap<String, String> {
        &self.raw.names
    }

    /// What the member is.
    pub fn roles(&self) -> &[String] {
        &self.raw.roles
    }

    /// The peer id of its node.
    pub fn peer_id(&self) -> &str {
        &self.raw.peer_id
    }

    /// Where its node listens.
    pub fn addresses(&self) -> &[String] {
        &self.raw.addresses
    }

    /// The ML-DSA-44 key, if it brings one.
    pub fn cosign_pq(&self) -> Option<&[u8; MLDSA_PUBLIC_BYTES]> {
        self.cosign_pq.as_deref()
    }

    /// One public Ed25519 key for each use.
    pub fn keys(&self) -> &BTreeMap<KeyUse, [u8; 32]> {
        &self.keys
    }

    /// Digest of what was signed, in groups of four, to be compared by telephone.
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&Digest::of(&signed_bytes(&self.raw)))
    }
}

fn to_json(raw: &Raw) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(raw).expect("texts and lists always serialise");
    bytes.push(b'\n');
    bytes
}

fn signed_bytes(raw: &Raw) -> Vec<u8> {
    let unsigned = Raw { signature: String::new(), ..raw.clone() };
    [CONTEXT, &form::canonical(&unsigned)].concat()
}
