//! Portable evidence that a log was forked: two checkpoints under its key, of which the larger
//! does not contain the smaller.
//!
//! The larger tree's own root at the smaller size stands beside them with its consistency proof
//! (RFC 9162 §2.1.4). The proof leads from that root to the larger checkpoint, and no other root
//! can stand in its place; so whoever knows the log's key sees the contradiction, and needs
//! nothing of either history.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::id::Digest;
use crate::merkle::{self, ProofError};
use crate::message::MAX_PROOF_NODES;
use crate::note::MAX_NOTE_BYTES;

/// What the file says it is.
const TYPE: &str = "sealwire-fork-evidence-v1";
/// Largest evidence accepted, in bytes: two notes, escaped, and a proof.
pub const MAX_EVIDENCE_BYTES: usize = 4 * MAX_NOTE_BYTES + 64 * MAX_PROOF_NODES + 4096;

/// Why evidence was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not of the form.
    #[error("cannot read evidence: {0} (hint: give the file that a node wrote below evidence/)")]
    Form(String),
    /// A checkpoint is not one of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The root does not belong to the larger checkpoint.
    #[error("cannot accept evidence: its root is not one of the larger checkpoint: {0}")]
    Proof(#[from] ProofError),
    /// Both checkpoints are of one history.
    #[error(
        "cannot accept evidence: the larger checkpoint contains the smaller; nothing is proved"
    )]
    NoContradiction,
}

/// Two checkpoints that contradict each other; nothing is known yet of whether they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The checkpoint of the smaller size, a note.
    pub smaller: String,
    /// The checkpoint of the larger size, a note.
    pub larger: String,
    /// The root that the larger one's tree had at the smaller size.
    pub root: Digest,
    /// Consistency proof from that root to the larger checkpoint's.
    pub consistency: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(rename = "type")]
    type_: String,
    smaller: String,
    larger: String,
    root: String,
    consistency: Vec<String>,
}

/// What evidence proves: the sizes of the two checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forked {
    /// Size of the smaller.
    pub smaller: u64,
    /// Size of the larger.
    pub larger: u64,
}

impl Fork {
    /// Reads evidence.
    pub fn parse(text: &str) -> Result<Self, EvidenceError> {
        if text.len() > MAX_EVIDENCE_BYTES {
            let cause = format!("more than {MAX_EVIDENCE_BYTES} bytes");
            return Err(EvidenceError::Form(cause));
        }
        let form: Form =
            serde_json::from_str(text).map_err(|cause| EvidenceError::Form(cause.to_string()))?;
        let digest = |text: &String| {
            let bytes = STANDARD.decode(text).ok()?;
            Some(Digest(bytes.try_into().ok()?))
        };
        let consistency: Option<Vec<Digest>> = form.consistency.iter().map(digest).collect();
        match (digest(&form.root), consistency) {
            (Some(root), Some(consistency))
                if form.type_ == TYPE && consistency.len() <= MAX_PROOF_NODES =>
            {
                Ok(Self { smaller: form.smaller, larger: form.larger, root, consistency })
            }
            _ => Err(EvidenceError::Form(format!("type, root or consistency is not of {TYPE}"))),
        }
    }

    /// Checks that the log `origin` signed two histories under one or two of its keys.
    pub fn verify(&self, origin: &str, keys: &[[u8; 32]]) -> Result<Forked, EvidenceError> {
        let signed = |note: &str| {
            let mut last = CheckpointError::NotSigned(origin.to_owned());
            for key in keys {
                match SignedCheckpoint::verify(note.as_bytes(), origin, key) {
                    Ok(signed) => return Ok(signed.checkpoint().clone()),
                    Err(cause) => last = cause,
                }
            }
            Err(last)
        };
        let (smaller, larger) = (signed(&self.smaller)?, signed(&self.larger)?);
        let (size, of) = (smaller.size, larger.size);
        merkle::verify_consistency(size, &self.root, of, &larger.root, &self.consistency)?;
        if size == 0 || self.root == smaller.root {
            return Err(EvidenceError::NoContradiction);
        }
        Ok(Forked { smaller: size, larger: of })
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |digest: &Digest| STANDARD.encode(digest.0);
        let form = Form {
            type_: TYPE.to_owned(),
            smaller: self.smaller.clone(),
            larger: self.larger.clone(),
            root: text(&self.root),
            consistency: self.consistency.iter().map(text).collect(),
        };
        let written = serde_json::to_string_pretty(&form).map_err(|_| fmt::Error)?;
        f.write_str(&written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Checkpoint, sign};
    use crate::merkle::{Frontier, leaf_hash, node_hash};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    const ORIGIN: &str = "test.example/ID";

    fn note(key: &SigningKey, size: u64, root: Digest) -> String {
        sign(&Checkpoint { origin: ORIGIN.into(), size, root }, key).to_string()
    }

    /// Size 2 of one history against size 3 of another.
    fn forked(key: &SigningKey, then: &[u8]) -> Fork {
        let mut tree = Frontier::new();
        [b"a", b"b", b"c"].iter().for_each(|leaf| tree.push(leaf_hash(*leaf)));
        let root = node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
        let other = node_hash(&leaf_hash(b"a"), &leaf_hash(then));
        Fork {
            smaller: note(key, 2, other),
            larger: note(key, 3, tree.root()),
            root,
            consistency: vec![leaf_hash(b"c")],
        }
    }

    #[test]
    fn two_histories_under_one_key_are_proved_to_anyone() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = key.verifying_key().to_bytes();
        let fork = forked(&key, b"other");
        let read = Fork::parse(&fork.to_string()).unwrap();
        assert_eq!(read, fork);
        assert_eq!(read.verify(ORIGIN, &[[7; 32], public]), Ok(Forked { smaller: 2, larger: 3 }));
        let same = Fork { smaller: fork.smaller.clone(), ..forked(&key, b"b") };
        assert!(same.verify(ORIGIN, &[public]).is_ok());
        let mut tree = Frontier::new();
        tree.push(leaf_hash(b"x"));
        let one = |leaf: &[u8]| note(&key, 1, leaf_hash(leaf));
        let equal_sizes =
            Fork { smaller: one(b"y"), larger: one(b"x"), root: tree.root(), consistency: vec![] };
        assert_eq!(equal_sizes.verify(ORIGIN, &[public]), Ok(Forked { smaller: 1, larger: 1 }));
    }

    #[test]
    fn an_honest_log_cannot_be_accused() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = key.verifying_key().to_bytes();
        let honest = forked(&key, b"b");
        assert_eq!(honest.verify(ORIGIN, &[public]), Err(EvidenceError::NoContradiction));
        let forged_root = Fork { root: Digest([9; 32]), ..honest.clone() };
        assert!(matches!(forged_root.verify(ORIGIN, &[public]), Err(EvidenceError::Proof(_))));
        let stranger = forked(&SigningKey::from_bytes(&[2; 32]), b"other");
        assert!(stranger.verify(ORIGIN, &[public]).is_err());
        let half = Fork { smaller: stranger.smaller, ..honest };
        assert!(half.verify(ORIGIN, &[public]).is_err());
        let guilty = forked(&key, b"other");
        assert!(guilty.verify("test.example/SG", &[public]).is_err(), "of another log");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(
            text in "\\{?(\"(type|smaller|larger|root|consistency)\": ?\"?[ -~]{0,40}\"?,?){0,5}\\}?"
        ) {
            if let Ok(fork) = Fork::parse(&text) {
                prop_assert!(fork.verify(ORIGIN, &[[1; 32]]).is_err());
            }
        }
    }
}
