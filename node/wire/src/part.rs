//! Parts: what a statement commits to.
//!
//! A record is split by field class. A part's plaintext is a CBOR array of disclosures
//! `[salt, value, pointer]` in the order of their pointers. The digest of a disclosure is SHA-256
//! over its CBOR; the part's commitment is SHA-256 over `[record id, class, [digests]]`. One
//! signature therefore serves every redacted view, a single field can be shown with its salt and
//! the digest list, and destroying salt and value destroys the field while the signature stands.
//!
//! The encoding of a disclosure borrows from SD-CWT (draft-ietf-spice-sd-cwt) and claims no
//! conformance. This module knows nothing of which class a field belongs to: see the `schemas`
//! crate.

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::{Digest, RecordId, URN_LEN};

/// Length of a disclosure's salt, in bytes.
pub const SALT_LEN: usize = 16;
/// Largest part plaintext accepted, in bytes.
pub const MAX_PART_BYTES: usize = 512 * 1024;
/// Most disclosures in one part.
pub const MAX_DISCLOSURES: usize = 10_000;
/// Longest pointer accepted, in bytes.
pub const MAX_POINTER_LEN: usize = 512;

/// One field: its place, its value, and the salt that hides it in the digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosure {
    /// RFC 6901 JSON pointer to the field.
    pub pointer: String,
    /// The field's value: a text, an integer or a boolean.
    pub value: Value,
    /// 16 random bytes.
    pub salt: [u8; SALT_LEN],
}

impl Disclosure {
    /// SHA-256 over the disclosure's CBOR.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(128);
        self.write(&mut bytes);
        Digest::of(&bytes)
    }

    fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array_head(3, out);
        cbor::write_bytes(&self.salt, out);
        cbor::write_value(&self.value, out);
        cbor::write_text(&self.pointer, out);
    }

    pub(crate) fn to_value(&self) -> Value {
        let salt = cbor::bytes(self.salt);
        Value::Array(vec![salt, self.value.clone(), self.pointer.as_str().into()])
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, CborError> {
        const WHAT: &str = "disclosure";
        let mut fields = Reader::of_array(WHAT, value, &["salt", "value", "pointer"])?;
        let disclosure = Self {
            salt: fields.take_fixed("salt")?,
            value: fields.take("value")?,
            pointer: fields.take_text("pointer")?,
        };
        fields.finish()?;
        if !matches!(disclosure.value, Value::Text(_) | Value::Integer(_) | Value::Bool(_)) {
            return Err(cbor::shape(WHAT, "value", "a text, an integer or a boolean"));
        }
        let well_formed =
            disclosure.pointer.starts_with('/') && disclosure.pointer.len() <= MAX_POINTER_LEN;
        if !well_formed {
            return Err(cbor::shape(WHAT, "pointer", "an RFC 6901 pointer to a field"));
        }
        Ok(disclosure)
    }
}

/// The opened fields of one class of one record, in the order of their pointers.
#[derive(Debug, Clone, PartialEq)]
pub struct Part(Vec<Disclosure>);

impl Part {
    /// Puts disclosures in order. Two with the same pointer are refused.
    pub fn new(mut disclosures: Vec<Disclosure>) -> Result<Self, CborError> {
        disclosures.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        Self::in_order(disclosures)
    }

    /// The disclosures, ordered by pointer.
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.0
    }

    /// The plaintext that is sealed: deterministic CBOR.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 * self.0.len());
        cbor::write_array_head(self.0.len(), &mut bytes);
        self.0.iter().for_each(|disclosure| disclosure.write(&mut bytes));
        bytes
    }

    /// Reads a plaintext.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        const WHAT: &str = "part";
        let Value::Array(items) = cbor::decode_plain(WHAT, bytes, MAX_PART_BYTES)? else {
            return Err(cbor::shape(WHAT, "the whole", "an array of disclosures"));
        };
        Self::in_order(items.into_iter().map(Disclosure::from_value).collect::<Result<_, _>>()?)
    }

    /// What the statement signs for this part.
    pub fn commitment(&self, record: &RecordId, class: &str) -> Digest {
        let digests: Vec<Digest> = self.0.iter().map(Disclosure::digest).collect();
        commitment_of(record, class, &digests)
    }

    fn in_order(disclosures: Vec<Disclosure>) -> Result<Self, CborError> {
        const WHAT: &str = "part";
        if disclosures.is_empty() || disclosures.len() > MAX_DISCLOSURES {
            return Err(cbor::shape(WHAT, "disclosures", "between 1 and 10000"));
        }
        if disclosures.windows(2).any(|w| matches!(w, [a, b] if a.pointer >= b.pointer)) {
            return Err(cbor::shape(
                WHAT,
                "disclosures",
                "in the order of their pointers, each once",
            ));
        }
        Ok(Self(disclosures))
    }
}

/// The commitment to a part, from the digests of its disclosures in order: enough to check a
/// single opened field against the statement without seeing the others.
pub fn commitment_of(record: &RecordId, class: &str, digests: &[Digest]) -> Digest {
    let mut bytes = Vec::with_capacity(128 + LISTED_LEN * digests.len());
    cbor::write_array_head(3, &mut bytes);
    cbor::write_text(record.urn(&mut [0; URN_LEN]), &mut bytes);
    cbor::write_text(class, &mut bytes);
    cbor::write_array_head(digests.len(), &mut bytes);
    digests.iter().for_each(|digest| cbor::write_bytes(&digest.0, &mut bytes));
    Digest::of(&bytes)
}

/// Length of a digest in the list that is committed to, in bytes.
const LISTED_LEN: usize = 34;

/// The commitment to the part whose plaintext this is: each item of its array is taken as a
/// disclosure, whatever it says. [`Part::from_bytes`] tells whether they are.
pub fn commitment_of_bytes(
    record: &RecordId,
    class: &str,
    plaintext: &[u8],
) -> Result<Digest, CborError> {
    let disclosures = cbor::array_items("part", plaintext, MAX_PART_BYTES)?;
    let digests: Vec<Digest> = disclosures.into_iter().map(Digest::of).collect();
    Ok(commitment_of(record, class, &digests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn disclosure(pointer: &str, salt: u8) -> Disclosure {
        Disclosure { pointer: pointer.into(), value: Value::from("x"), salt: [salt; SALT_LEN] }
    }

    #[test]
    fn one_field_is_checkable_without_the_others() {
        let record = RecordId::new(1, &[1; 10]);
        let part = Part::new(vec![disclosure("/b", 2), disclosure("/a", 1)]).unwrap();
        let digests = [disclosure("/a", 1).digest(), disclosure("/b", 2).digest()];
        assert_eq!(part.commitment(&record, "core"), commitment_of(&record, "core", &digests));
        assert_ne!(part.commitment(&record, "core"), part.commitment(&record, "text"));
    }

    #[test]
    fn refuses_disorder_duplicates_and_emptiness() {
        assert!(Part::new(vec![]).is_err());
        assert!(Part::new(vec![disclosure("/a", 1), disclosure("/a", 2)]).is_err());
        let swapped = Part(vec![disclosure("/b", 1), disclosure("/a", 1)]);
        assert!(Part::from_bytes(&swapped.to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(part) = Part::from_bytes(&bytes) {
                prop_assert_eq!(part.to_bytes(), bytes);
            }
        }

        #[test]
        fn parts_are_read_back(pointers in prop::collection::btree_set("/[a-z]{1,8}", 1..20)) {
            let part = Part::new(pointers.iter().map(|p| disclosure(p, 9)).collect()).unwrap();
            let id = RecordId::new(1, &[1; 10]);
            let commitment = commitment_of_bytes(&id, "core", &part.to_bytes());
            prop_assert_eq!(commitment, Ok(part.commitment(&id, "core")));
            prop_assert_eq!(Part::from_bytes(&part.to_bytes()).unwrap(), part);
        }
    }
}
