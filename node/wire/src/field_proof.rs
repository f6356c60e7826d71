//! Proofs of single fields: what a court or a partner is shown of a record, and nothing else.
//!
//! A receipt whose entry is the record's statement (see [`crate::receipt`]), and for each part of
//! which fields are opened: those disclosures, and the digests of all of the part's. The digests
//! make the commitment that the statement signs; a digest tells nothing of its field, whose salt
//! stays hidden. The ladder: [`FieldProof::new`] or [`FieldProof::parse`] (a proof that is whole)
//! → [`FieldProof::matches`] (its fields are those of the statement). That the statement is
//! signed, and in the log, is the receipt's matter and the caller's to check.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{self, CborError, Reader, Value};
use crate::checkpoint::SignedCheckpoint;
use crate::id::Digest;
use crate::part::{Disclosure, MAX_DISCLOSURES, Part, commitment_of};
use crate::receipt::{Receipt, ReceiptError};
use crate::statement::{Body, Statement, StatementError, leaf_data};

/// Largest proof accepted, in bytes.
pub const MAX_FIELD_PROOF_BYTES: usize = 1024 * 1024;
/// Most parts of which fields are opened.
pub const MAX_OPENED_PARTS: usize = 8;
/// Names the format.
const TYPE: &str = "sealwire-field-proof-v1";
const WHAT: &str = "field proof";

/// Why a proof was not made, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProofError {
    /// Not of the form of the format.
    #[error(transparent)]
    Form(#[from] CborError),
    /// The receipt in it is none.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The statement in it is none.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The receipt has no statement with it.
    #[error("cannot prove fields: the receipt has no extra line with the statement")]
    NoStatement,
    /// The statement is of an entry that is no record.
    #[error("cannot prove fields: the entry is not a record")]
    NotARecord,
    /// It would be too large.
    #[error(
        "cannot prove fields: the proof has {0} bytes, the limit is {MAX_FIELD_PROOF_BYTES} \
         (hint: open fewer fields at a time)"
    )]
    TooLarge(usize),
    /// The record has no part of a class.
    #[error("cannot accept field proof: the record has no part {0:?}")]
    NoPart(String),
    /// The digests are not those that the statement commits to.
    #[error(
        "cannot accept field proof: the digests of part {0:?} do not make the commitment that the \
         statement signs"
    )]
    Commitment(String),
}

/// Fields of one part, with the digests of all its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedPart {
    digests: Vec<Digest>,
    disclosures: Vec<Disclosure>,
}

impl OpenedPart {
    /// Opens the fields at these pointers and no other; `None` if the part lacks one, or if there
    /// is none.
    pub fn of(part: &Part, pointers: &BTreeSet<&str>) -> Option<Self> {
        let all = part.disclosures();
        let opened = all.iter().filter(|field| pointers.contains(field.pointer.as_str()));
        let disclosures: Vec<Disclosure> = opened.cloned().collect();
        let whole = !disclosures.is_empty() && disclosures.len() == pointers.len();
        whole.then(|| Self { digests: all.iter().map(Disclosure::digest).collect(), disclosures })
    }

    /// The opened fields, ordered by pointer.
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// How many fields the part has.
    pub fn fields(&self) -> usize {
        self.digests.len()
    }

    fn to_value(&self) -> Value {
        let digests = self.digests.iter().map(|digest| cbor::bytes(digest.0)).collect();
        let disclosures = self.disclosures.iter().map(Disclosure::to_value).collect();
        cbor::map([("digests", Value::Array(digests)), ("disclosures", Value::Array(disclosures))])
    }

    fn from_value(value: Value) -> Result<Self, CborError> {
        let mut fields = Reader::of_map(WHAT, value)?;
        let digests = fields.take_array("digests")?;
        let disclosures = fields.take_array("disclosures")?;
        fields.finish()?;
        if digests.len() > MAX_DISCLOSURES || disclosures.is_empty() {
            return Err(cbor::shape(WHAT, "part", "1 to 10000 fields, at least one opened"));
        }
        let hash = |item: Value| Some(Digest(item.into_bytes().ok()?.try_into().ok()?));
        let digests = digests.into_iter().map(hash).collect::<Option<Vec<_>>>();
        let digests = digests.ok_or_else(|| cbor::shape(WHAT, "digests", "digests of 32 bytes"))?;
        let disclosures =
            disclosures.into_iter().map(Disclosure::from_value).collect::<Result<Vec<_>, _>>()?;
        let ordered = disclosures.windows(2).all(|w| matches!(w, [a, b] if a.pointer < b.pointer));
        // Digests stand in the order of their fields' pointers.
        let mut rest = digests.iter();
        let placed = disclosures.iter().map(Disclosure::digest).all(|own| rest.any(|d| *d == own));
        if !ordered || !placed {
            let expected = "in the order of their pointers, each with its digest in that order";
            return Err(cbor::shape(WHAT, "disclosures", expected));
        }
        Ok(Self { digests, disclosures })
    }
}

/// A proof of single fields of one record; nothing is known yet of whether it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldProof {
    receipt: Receipt,
    statement: Statement,
    parts: BTreeMap<String, OpenedPart>,
}

impl FieldProof {
    /// Puts a proof together from a receipt that carries its statement, and the opened fields by
    /// class. Fields that the statement does not commit to are refused.
    pub fn new(
        receipt: Receipt,
        parts: BTreeMap<String, OpenedPart>,
    ) -> Result<Self, FieldProofError> {
        let statement = receipt.statement().ok_or(FieldProofError::NoStatement)?;
        let statement = Statement::parse(statement)?;
        let proof = Self { receipt, statement, parts };
        proof.matches()?;
        match proof.to_bytes().len() {
            len if len > MAX_FIELD_PROOF_BYTES => Err(FieldProofError::TooLarge(len)),
            _ => Ok(proof),
        }
    }

    /// Reads a proof.
    pub fn parse(bytes: &[u8]) -> Result<Self, FieldProofError> {
        let fields = cbor::decode_plain(WHAT, bytes, MAX_FIELD_PROOF_BYTES)?;
        let mut fields = Reader::of_map(WHAT, fields)?;
        if fields.take_text("type")? != TYPE {
            return Err(cbor::shape(WHAT, "type", TYPE).into());
        }
        let text = fields.take_text("receipt")?;
        let receipt = Receipt::parse(&text)?;
        let mut named = BTreeMap::new();
        for (class, part) in fields.take("parts")?.into_map().unwrap_or_default() {
            let class = class.into_text().map_err(|_| cbor::shape(WHAT, "parts", "class names"))?;
            named.insert(class, OpenedPart::from_value(part)?);
        }
        fields.finish()?;
        if !(1..=MAX_OPENED_PARTS).contains(&named.len()) {
            return Err(cbor::shape(WHAT, "parts", "a map of 1 to 8 parts").into());
        }
        let statement = receipt.statement().ok_or(FieldProofError::NoStatement)?;
        let statement = Statement::parse(statement)?;
        if receipt.to_string() != text {
            return Err(cbor::shape(WHAT, "receipt", "a tlog-proof in its one spelling").into());
        }
        Ok(Self { receipt, statement, parts: named })
    }

    /// The proof as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = self.parts.iter();
        let parts = parts.map(|(class, part)| (class.as_str().into(), part.to_value())).collect();
        cbor::encode(&cbor::map([
            ("type", TYPE.into()),
            ("receipt", self.receipt.to_string().into()),
            ("parts", Value::Map(parts)),
        ]))
    }

    /// The receipt for the record's entry, with the statement.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The record's statement, whose signature is not checked here.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The opened fields by class.
    pub fn parts(&self) -> &BTreeMap<String, OpenedPart> {
        &self.parts
    }

    /// Checks the fields against the statement, and that the statement is an entry of the log
    /// `origin` under `log_key`; gives the checkpoint, whose cosignatures the caller still weighs,
    /// as who signed the statement.
    pub fn verify(
        &self,
        origin: &str,
        log_key: &[u8; 32],
    ) -> Result<SignedCheckpoint, FieldProofError> {
        self.matches()?;
        let leaf = leaf_data(&Digest::of(self.statement.bytes()));
        Ok(self.receipt.verify(&leaf, origin, log_key)?)
    }

    /// Checks that the opened fields are those that the statement commits to.
    pub fn matches(&self) -> Result<(), FieldProofError> {
        let Body::Record(record) = &self.statement.manifest().body else {
            return Err(FieldProofError::NotARecord);
        };
        let subject = &self.statement.claims().subject;
        for (class, part) in &self.parts {
            let stated =
                record.parts.get(class).ok_or_else(|| FieldProofError::NoPart(class.clone()))?;
            if commitment_of(subject, class, &part.digests) != stated.commitment {
                return Err(FieldProofError::Commitment(class.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
