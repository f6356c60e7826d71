//! Receipts: C2SP `tlog-proof`, the proof for one entry that stands by itself.
//!
//! An inclusion proof and the checkpoint it leads to, verbatim, with its cosignatures. The
//! checkpoint signs the tree size, so that size and index are authentic, which a bare inclusion
//! proof does not give.
//!
//! The `extra` line may carry the entry's statement, so that the receipt needs nothing beside it.
//! It is not covered by a signature of its own: it counts only if it hashes to the proven leaf.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::id::Digest;
use crate::merkle::{self, ProofError};
use crate::message::MAX_PROOF_NODES;
use crate::note::MAX_NOTE_BYTES;
use crate::policy::{Policy, PolicyError, PolicyResult};
use crate::statement::MAX_STATEMENT_BYTES;

/// Largest receipt accepted, in bytes: a note, a proof, and a statement in base64.
pub const MAX_RECEIPT_BYTES: usize =
    MAX_NOTE_BYTES + 64 * MAX_PROOF_NODES + MAX_STATEMENT_BYTES.div_ceil(3) * 4;
/// First line of a receipt.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not of the form of a tlog-proof.
    #[error(
        "cannot read receipt: not a C2SP tlog-proof (hint: header, index, hashes, an empty line, the checkpoint)"
    )]
    Form,
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The cosignatures do not satisfy the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// A receipt; nothing is known yet of whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    extra: Option<Vec<u8>>,
    index: u64,
    proof: Vec<Digest>,
    checkpoint: String,
}

impl Receipt {
    /// Puts a receipt together: `checkpoint` is the note, cosignatures included.
    pub fn new(index: u64, proof: Vec<Digest>, checkpoint: String) -> Self {
        Self { extra: None, index, proof, checkpoint }
    }

    /// The same with the statement of its entry.
    #[must_use]
    pub fn with_statement(self, statement: Vec<u8>) -> Self {
        Self { extra: Some(statement), ..self }
    }

    /// The statement that it carries, not yet held against the proof.
    pub fn statement(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Index of the entry.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, leaf to root.
    pub fn proof(&self) -> &[Digest] {
        &self.proof
    }

    /// The checkpoint note, verbatim.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Reads a receipt.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let form = ReceiptError::Form;
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(form);
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(form.clone())?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(form);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra "));
        let extra = extra.map(|text| STANDARD.decode(text)).transpose();
        let extra = extra.map_err(|_| form.clone())?;
        let number = lines.next().and_then(|line| line.strip_prefix("index "));
        let index: u64 = number.and_then(|n| n.parse().ok()).ok_or(form.clone())?;
        if number != Some(index.to_string().as_str()) {
            return Err(form);
        }
        let proof = lines
            .take(MAX_PROOF_NODES + 1)
            .map(|line| {
                let bytes = STANDARD.decode(line).ok()?;
                Some(Digest(bytes.try_into().ok()?))
            })
            .collect::<Option<Vec<_>>>()
            .filter(|proof| proof.len() <= MAX_PROOF_NODES)
            .ok_or(form)?;
        Ok(Self { extra, index, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `leaf_data` is the entry at the index of the log `origin` under `log_key`;
    /// gives the checkpoint, whose cosignatures the caller still weighs.
    pub fn verify(
        &self,
        leaf_data: &[u8],
        origin: &str,
        log_key: &[u8; 32],
    ) -> Result<SignedCheckpoint, ReceiptError> {
        let signed = SignedCheckpoint::verify(self.checkpoint.as_bytes(), origin, log_key)?;
        let head = signed.checkpoint();
        let leaf = merkle::leaf_hash(leaf_data);
        merkle::verify_inclusion(&leaf, self.index, head.size, &self.proof, &head.root)?;
        Ok(signed)
    }

    /// As [`Receipt::verify`], and checks that witnesses have cosigned as the policy asks. The
    /// log's owner is not one of them.
    pub fn verify_witnessed(
        &self,
        leaf_data: &[u8],
        origin: &str,
        log_key: &[u8; 32],
        policy: &Policy,
    ) -> Result<(SignedCheckpoint, PolicyResult), ReceiptError> {
        let signed = self.verify(leaf_data, origin, log_key)?;
        let result = policy.require(&signed, Some(origin))?;
        Ok((signed, result))
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for node in &self.proof {
            writeln!(f, "{}", STANDARD.encode(node.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Checkpoint, sign};
    use crate::merkle::Frontier;
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    #[test]
    fn a_receipt_proves_its_entry_and_no_other() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = key.verifying_key().to_bytes();
        let mut tree = Frontier::new();
        tree.push(merkle::leaf_hash(b"a"));
        tree.push(merkle::leaf_hash(b"b"));
        let origin = "test.example/ID";
        let checkpoint = Checkpoint { origin: origin.into(), size: 2, root: tree.root() };
        let note = sign(&checkpoint, &key).to_string();
        let receipt = Receipt::new(1, vec![merkle::leaf_hash(b"a")], note);
        let read = Receipt::parse(&receipt.to_string()).unwrap();
        assert_eq!(read, receipt);
        assert_eq!(*read.verify(b"b", origin, &public).unwrap().checkpoint(), checkpoint);
        assert!(read.verify(b"a", origin, &public).is_err());
        let relabelled = receipt.to_string().replacen("index 1", "index 0", 1);
        assert!(Receipt::parse(&relabelled).unwrap().verify(b"b", origin, &public).is_err());
        let whole = receipt.with_statement(vec![0xfb, 0xff]);
        let text = whole.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra +/8=\nindex 1\n"), "{text}");
        assert_eq!(Receipt::parse(&text).unwrap().statement(), Some([0xfb, 0xff].as_slice()));
        assert!(Receipt::parse(&text.replacen("+/8=", "-_8=", 1)).is_err());
    }

    #[test]
    fn every_changed_byte_refutes_a_receipt() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (origin, other) = ("test.example/ID", merkle::leaf_hash(b"other"));
        let root = merkle::node_hash(&merkle::leaf_hash(b"a"), &other);
        let note = sign(&Checkpoint { origin: origin.into(), size: 2, root }, &key).to_string();
        let good = Receipt::new(0, vec![other], note).to_string();
        let holds = |bytes: &[u8]| {
            let receipt = std::str::from_utf8(bytes).ok().and_then(|t| Receipt::parse(t).ok());
            let public = key.verifying_key().to_bytes();
            receipt.is_some_and(|r| r.verify(b"a", origin, &public).is_ok())
        };
        assert!(holds(good.as_bytes()));
        for at in 0..good.len() {
            for bit in [1, 2, 0x20, 0x80] {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= bit;
                assert!(!holds(&bytes), "byte {at}, bit {bit}");
            }
            assert!(!holds(&good.as_bytes()[..at]), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(c2sp.org/tlog-proof@v1\n)?[ -~\n]{0,160}") {
            if let Ok(receipt) = Receipt::parse(&text) {
                prop_assert_eq!(Receipt::parse(&receipt.to_string()).unwrap(), receipt);
            }
        }
    }
}
