//! One entry as it travels and as it is kept beside its log.

use std::collections::BTreeMap;

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::Digest;
use crate::seal::{MAX_SEALED_BYTES, MAX_WRAP_BYTES};
use crate::statement::MAX_STATEMENT_BYTES;

use super::{MAX_PROOF_NODES, MAX_RESPONSE_BYTES, WRAP, digests_value, read_digests};

/// One entry as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its index in the originator's log.
    pub index: u64,
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// Inclusion proof under the message's checkpoint, leaf to root; empty in a pulled range.
    pub proof: Vec<Digest>,
    /// Sealed parts by class, or the wrapped secret under [`WRAP`]; those that did not fit, or
    /// that the receiver may not have, are absent.
    pub sealed: BTreeMap<String, Vec<u8>>,
}

impl Item {
    pub(super) fn to_value(&self) -> Value {
        let sealed = self.sealed.iter();
        let sealed =
            sealed.map(|(class, b)| (Value::from(class.as_str()), cbor::bytes(b.as_slice())));
        Value::Array(vec![
            Value::from(self.index),
            cbor::bytes(self.statement.as_slice()),
            digests_value(&self.proof),
            Value::Map(sealed.collect()),
        ])
    }

    pub(super) fn from_value(value: Value) -> Result<Self, CborError> {
        const WHAT: &str = "entry";
        let names = ["index", "statement", "proof", "sealed"];
        let mut fields = Reader::of_array(WHAT, value, &names)?;
        let index = fields.take_u64("index")?;
        let statement = fields.take_bytes("statement")?;
        if statement.len() > MAX_STATEMENT_BYTES {
            return Err(cbor::shape(WHAT, "statement", "at most 17408 bytes"));
        }
        let proof = read_digests(WHAT, fields.take_bytes("proof")?, MAX_PROOF_NODES)?;
        let bad = || cbor::shape(WHAT, "sealed", "a map of byte strings within the limits");
        let sealed = fields
            .take("sealed")?
            .into_map()
            .map_err(|_| bad())?
            .into_iter()
            .map(|(class, bytes)| match (class, bytes) {
                (Value::Text(class), Value::Bytes(bytes)) => {
                    let limit = if class == WRAP { MAX_WRAP_BYTES } else { MAX_SEALED_BYTES };
                    if bytes.len() > limit { Err(bad()) } else { Ok((class, bytes)) }
                }
                _ => Err(bad()),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { index, statement, proof, sealed })
    }

    /// The entry alone, as it is kept on disk beside its log.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(&self.to_value())
    }

    /// Reads an entry that [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_value(cbor::decode_plain("entry", bytes, MAX_RESPONSE_BYTES)?)
    }
}
