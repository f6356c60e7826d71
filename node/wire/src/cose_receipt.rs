//! COSE receipts (RFC 9942), for programs that read COSE and not C2SP `tlog-proof`.
//!
//! A COSE receipt signs a root and nothing else: tree size and index stand in its unprotected
//! header, and several pairs of them lead to the same root by the same path. So it leaves here
//! only in an [`Export`], beside the checkpoint whose size it must have. The ladder:
//! [`crate::receipt::Receipt`] that holds → [`Export::sign`]; bytes → [`Export::parse`] →
//! [`Export::verify`].
//!
//! This module knows nothing of who signed the statement, or of cosignatures.

use crate::cbor::{self, CborError, Reader, Value};
use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, verify_strict};
use crate::id::{Digest, ed25519_thumbprint};
use crate::message::MAX_PROOF_NODES;
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::receipt::{Receipt, ReceiptError};
use crate::signer::{Ed25519Signer, NoSignature};
use crate::statement::{ALG_ED25519, MAX_STATEMENT_BYTES, TAG_SIGN1, leaf_data, sig_structure};

/// Largest COSE receipt accepted, in bytes.
pub const MAX_COSE_RECEIPT_BYTES: usize = 512 + 40 * MAX_PROOF_NODES;
/// Largest export accepted, in bytes.
pub const MAX_EXPORT_BYTES: usize =
    512 + MAX_COSE_RECEIPT_BYTES + MAX_NOTE_BYTES + MAX_STATEMENT_BYTES;
/// The tag of a COSE_Sign1 and the head of an array of four.
const TAGGED_FOUR: [u8; 2] = [0xd2, 0x84];
/// Names the format of an export.
const TYPE: &str = "sealwire-cose-receipt-v1";
/// Header parameter: the kind of verifiable data structure.
const LABEL_VDS: i64 = 395;
/// Header parameter: proofs of that structure.
const LABEL_VDP: i64 = 396;
/// Proofs of inclusion, among the proofs.
const LABEL_INCLUSION: i64 = -1;
/// The structure RFC9162_SHA256.
const VDS_RFC9162_SHA256: i64 = 1;
const WHAT: &str = "COSE receipt";
const WHAT_EXPORT: &str = "COSE receipt export";

/// Why a COSE receipt was not made, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoseReceiptError {
    /// Not of the form of the format.
    #[error(transparent)]
    Form(#[from] CborError),
    /// The tlog-proof that it is made of, or the proof and checkpoint that it holds, do not hold.
    #[error(transparent)]
    Proof(#[from] ReceiptError),
    /// The tree has one leaf, and so no path.
    #[error(
        "cannot make COSE receipt: the log has one entry, and RFC 9942 has no receipt without a \
         path (hint: ask again when a second entry is logged, or use the tlog-proof)"
    )]
    OneLeaf,
    /// The tlog-proof does not hold the statement.
    #[error("cannot make COSE receipt: the tlog-proof has no extra line with the statement")]
    NoStatement,
    /// The receipt is for a tree of another size than the checkpoint signs.
    #[error(
        "cannot accept COSE receipt: it says size {receipt}, and the checkpoint signs {checkpoint} \
         (hint: a COSE receipt authenticates neither size nor index, so it was relabelled)"
    )]
    OtherSize {
        /// Size in the receipt.
        receipt: u64,
        /// Size in the checkpoint.
        checkpoint: u64,
    },
    /// The receipt names another key.
    #[error("cannot accept COSE receipt: it names key {named}, not the log's key {log}")]
    OtherKey {
        /// Thumbprint in the receipt.
        named: Digest,
        /// Thumbprint of the log's key.
        log: Digest,
    },
    /// The signature over the root does not hold.
    #[error("cannot accept COSE receipt: its signature over the checkpoint's root does not hold")]
    BadSignature,
    /// The key did not sign.
    #[error(transparent)]
    NoSignature(#[from] NoSignature),
}

/// The receipt by itself: a COSE_Sign1 over a root, with an inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoseReceipt {
    protected: Vec<u8>,
    key_id: Digest,
    size: u64,
    index: u64,
    path: Vec<Digest>,
    signature: [u8; 64],
}

impl CoseReceipt {
    fn sign(
        key: &impl Ed25519Signer,
        head: &Checkpoint,
        index: u64,
        path: &[Digest],
    ) -> Result<Self, NoSignature> {
        let key_id = ed25519_thumbprint(&key.public());
        let protected = cbor::encode(&Value::Map(vec![
            (Value::from(1), Value::from(ALG_ED25519)),
            (Value::from(4), cbor::bytes(key_id.0)),
            (Value::from(LABEL_VDS), Value::from(VDS_RFC9162_SHA256)),
        ]));
        let signature = key.sign(&sig_structure(&protected, &head.root.0))?;
        Ok(Self { protected, key_id, size: head.size, index, path: path.to_vec(), signature })
    }

    /// Reads a receipt.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseReceiptError> {
        if bytes.len() > MAX_COSE_RECEIPT_BYTES {
            let (len, limit) = (bytes.len(), MAX_COSE_RECEIPT_BYTES);
            return Err(CborError::TooLarge { what: WHAT, len, limit }.into());
        }
        // Tag and array head by hand, because the detached payload is the one null there is.
        let whole = || cbor::shape(WHAT, "the whole", "a COSE_Sign1 under its tag");
        let mut rest = bytes.strip_prefix(&TAGGED_FOUR).ok_or_else(whole)?;
        let protected = cbor::decode_next(WHAT, &mut rest, MAX_COSE_RECEIPT_BYTES)?;
        let unprotected = cbor::decode_next(WHAT, &mut rest, MAX_COSE_RECEIPT_BYTES)?;
        let detached = || cbor::shape(WHAT, "payload", "null: it is detached");
        rest = rest.strip_prefix(&[0xf6]).ok_or_else(detached)?;
        let signature = cbor::decode(WHAT, rest, MAX_COSE_RECEIPT_BYTES)?;
        let fields = Value::Array(vec![protected, unprotected, signature]);
        let names = ["protected", "unprotected", "signature"];
        let mut fields = Reader::of_array(WHAT, fields, &names)?;
        let protected = fields.take_bytes("protected")?;
        let key_id = read_protected(&protected)?;
        let (size, index, path) = read_unprotected(fields.take("unprotected")?)?;
        let signature = fields.take_fixed("signature")?;
        fields.finish()?;
        Ok(Self { protected, key_id, size, index, path, signature })
    }

    /// The receipt as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let path = self.path.iter().map(|node| cbor::bytes(node.0)).collect();
        let proof = Value::Array(vec![self.size.into(), self.index.into(), Value::Array(path)]);
        let proofs = Value::Array(vec![cbor::bytes(cbor::encode(&proof))]);
        let inclusion = Value::Map(vec![(LABEL_INCLUSION.into(), proofs)]);
        let message = Value::Array(vec![
            cbor::bytes(self.protected.as_slice()),
            Value::Map(vec![(LABEL_VDP.into(), inclusion)]),
            Value::Null,
            cbor::bytes(self.signature),
        ]);
        cbor::encode(&Value::Tag(TAG_SIGN1, Box::new(message)))
    }

    /// Checks that the log's key signed the root of this head, and that the receipt is for its
    /// size. The path to the root is the caller's to check.
    pub fn verify(&self, head: &Checkpoint, log_key: &[u8; 32]) -> Result<(), CoseReceiptError> {
        let log = ed25519_thumbprint(log_key);
        if self.size != head.size {
            return Err(CoseReceiptError::OtherSize { receipt: self.size, checkpoint: head.size });
        }
        if self.key_id != log {
            return Err(CoseReceiptError::OtherKey { named: self.key_id, log });
        }
        let signed = sig_structure(&self.protected, &head.root.0);
        let held = verify_strict(log_key, &signed, &self.signature);
        if held { Ok(()) } else { Err(CoseReceiptError::BadSignature) }
    }
}

/// Takes the key's thumbprint out of the protected header.
fn read_protected(protected: &[u8]) -> Result<Digest, CborError> {
    let header = cbor::decode_plain(WHAT, protected, MAX_COSE_RECEIPT_BYTES)?;
    let mut header = Reader::of_labels(WHAT, header)?;
    if header.take("1")?.as_integer() != Some(ALG_ED25519.into()) {
        return Err(cbor::shape(WHAT, "alg", "Ed25519 (-19)"));
    }
    let key_id = Digest(header.take_fixed("4")?);
    if header.take("395")?.as_integer() != Some(VDS_RFC9162_SHA256.into()) {
        return Err(cbor::shape(WHAT, "vds", "RFC9162_SHA256 (1)"));
    }
    header.finish()?;
    Ok(key_id)
}

/// Takes size, index and path out of the unprotected header: one inclusion proof and nothing else.
fn read_unprotected(header: Value) -> Result<(u64, u64, Vec<Digest>), CborError> {
    let mut header = Reader::of_labels(WHAT, header)?;
    let mut proofs = Reader::of_labels(WHAT, header.take("396")?)?;
    header.finish()?;
    let inclusion = Value::Array(proofs.take_array("-1")?);
    proofs.finish()?;
    let mut inclusion = Reader::of_array(WHAT, inclusion, &["inclusion proof"])?;
    let proof = inclusion.take_bytes("inclusion proof")?;
    let proof = cbor::decode_plain(WHAT, &proof, MAX_COSE_RECEIPT_BYTES)?;
    let mut proof = Reader::of_array(WHAT, proof, &["size", "index", "path"])?;
    let (size, index) = (proof.take_u64("size")?, proof.take_u64("index")?);
    let nodes = proof.take_array("path")?;
    let path = || cbor::shape(WHAT, "path", "1 to 128 hashes of 32 bytes");
    if nodes.is_empty() || nodes.len() > MAX_PROOF_NODES {
        return Err(path());
    }
    let hash = |node: Value| Some(Digest(node.into_bytes().ok()?.try_into().ok()?));
    let nodes = nodes.into_iter().map(hash).collect::<Option<Vec<_>>>().ok_or_else(path)?;
    Ok((size, index, nodes))
}

/// A COSE receipt beside its checkpoint and its statement; nothing is known yet of whether it
/// holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    receipt: CoseReceipt,
    checkpoint: String,
    statement: Vec<u8>,
}

impl Export {
    /// Makes the export of a tlog-proof that carries its statement, with the key that signed the
    /// checkpoint in it. A proof that does not hold is refused, so that no root is signed but one
    /// that the key has signed before.
    pub fn sign(proof: &Receipt, log_key: &impl Ed25519Signer) -> Result<Self, CoseReceiptError> {
        let statement = proof.statement().ok_or(CoseReceiptError::NoStatement)?.to_vec();
        let checkpoint = proof.checkpoint().to_owned();
        let note = Note::parse(checkpoint.as_bytes()).map_err(CheckpointError::from);
        let head = note.and_then(|note| Checkpoint::parse(note.text()));
        let head = head.map_err(ReceiptError::from)?;
        let leaf = leaf_data(&Digest::of(&statement));
        proof.verify(&leaf, &head.origin, &log_key.public())?;
        if proof.proof().is_empty() {
            return Err(CoseReceiptError::OneLeaf);
        }
        let receipt = CoseReceipt::sign(log_key, &head, proof.index(), proof.proof())?;
        Ok(Self { receipt, checkpoint, statement })
    }

    /// Reads an export.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseReceiptError> {
        let fields = cbor::decode_plain(WHAT_EXPORT, bytes, MAX_EXPORT_BYTES)?;
        let mut fields = Reader::of_map(WHAT_EXPORT, fields)?;
        if fields.take_text("type")? != TYPE {
            return Err(cbor::shape(WHAT_EXPORT, "type", TYPE).into());
        }
        let receipt = CoseReceipt::parse(&fields.take_bytes("receipt")?)?;
        let checkpoint = fields.take_text("checkpoint")?;
        let statement = fields.take_bytes("statement")?;
        fields.finish()?;
        Ok(Self { receipt, checkpoint, statement })
    }

    /// The export as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(&cbor::map([
            ("type", TYPE.into()),
            ("receipt", cbor::bytes(self.receipt.to_bytes())),
            ("checkpoint", self.checkpoint.as_str().into()),
            ("statement", cbor::bytes(self.statement.as_slice())),
        ]))
    }

    /// The receipt by itself, as programs that know nothing of Sealwire take it.
    pub fn receipt(&self) -> &CoseReceipt {
        &self.receipt
    }

    /// What it says, as a tlog-proof: statement, index, path and checkpoint.
    pub fn proof(&self) -> Receipt {
        let (index, path) = (self.receipt.index, self.receipt.path.clone());
        Receipt::new(index, path, self.checkpoint.clone()).with_statement(self.statement.clone())
    }

    /// Checks that the statement is the entry at the index of the log `origin` under `log_key`, in
    /// a tree of the size that the checkpoint signs, and that the receipt is of that tree; gives
    /// the checkpoint, whose cosignatures the caller still weighs.
    pub fn verify(
        &self,
        origin: &str,
        log_key: &[u8; 32],
    ) -> Result<SignedCheckpoint, CoseReceiptError> {
        let leaf = leaf_data(&Digest::of(&self.statement));
        let signed = self.proof().verify(&leaf, origin, log_key)?;
        self.receipt.verify(signed.checkpoint(), log_key)?;
        Ok(signed)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
