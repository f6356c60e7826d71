//! The wire formats of Sealwire: is this authentic?
//!
//! Every format that leaves a node or that an auditor reads is defined here, once, as a typed
//! value with a strict parser: identifiers, deterministic CBOR, parts and their commitments,
//! seals, statements, the Merkle log, checkpoints with cosignatures, receipts, the register and
//! the messages between nodes.
//!
//! This crate is pure: it knows nothing of disks, sockets, clocks, async or JSON Schema. Time and
//! randomness are arguments. The normative text is `docs/PROTOCOL.md`.

pub mod bundle;
pub mod cbor;
pub mod checkpoint;
pub mod cose_receipt;
pub mod evidence;
pub mod field_proof;
pub mod id;
pub mod merkle;
pub mod message;
pub mod mldsa;
pub mod note;
pub mod oprf;
pub mod part;
pub mod policy;
pub mod reads;
pub mod receipt;
pub mod register;
pub mod seal;
pub mod signer;
pub mod statement;
pub mod tile;
pub mod witness;

#[cfg(test)]
mod vectors;
