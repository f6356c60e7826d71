//! Identifiers: members, records, digests and key thumbprints.
//!
//! Each is a newtype whose only constructor checks the form, so that a value of the type is
//! proof that the form is right. None of them says that the thing named exists.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Longest member id accepted, in bytes.
pub const MAX_MEMBER_ID_LEN: usize = 24;

/// Longest name of a kind, community or role, in bytes.
const MAX_WORD_LEN: usize = 64;
/// What [`is_word`] accepts.
pub(crate) const WORD: &str = "1 to 64 lower-case letters, digits or '-', beginning with a letter";

/// Whether the text has the form of the name of a kind, community or role.
pub fn is_word(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= MAX_WORD_LEN
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(inner)
}

/// Why an identifier was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not of the form `AA` or `AA-SUFFIX`.
    #[error(
        "cannot read member id {0:?}: hint: two capital letters (ISO 3166-1), then optionally \
         groups of capital letters or digits after a hyphen, such as ID or ID-RCL"
    )]
    Member(String),
    /// Not `urn:uuid:` followed by a version 7 UUID in lower case.
    #[error("cannot read record id {0:?}: hint: urn:uuid: followed by a version 7 UUID")]
    Record(String),
    /// Not 64 lower-case hexadecimal digits.
    #[error("cannot read digest {0:?}: hint: 64 lower-case hexadecimal digits")]
    Digest(String),
}

/// The id of a member of the federation, such as `ID`, `SG` or `ID-RCL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(String);

impl MemberId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut groups = text.split('-');
        let country = groups.next().unwrap_or_default();
        let well_formed = text.len() <= MAX_MEMBER_ID_LEN
            && country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && groups.all(|g| {
                !g.is_empty() && g.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            });
        if well_formed { Ok(Self(text.to_owned())) } else { Err(IdError::Member(text.to_owned())) }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for MemberId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for MemberId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The id of a record: a version 7 UUID (RFC 9562), written `urn:uuid:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(uuid::Uuid);

impl RecordId {
    /// Builds an id from its time, in milliseconds since 1970, and 10 random bytes.
    pub fn new(unix_ms: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, random).into_uuid())
    }

    /// The 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id as text, written into `room`.
    pub fn urn<'a>(&self, room: &'a mut [u8; URN_LEN]) -> &'a str {
        self.0.urn().encode_lower(room)
    }
}

/// Length of a record id as text, in bytes.
pub const URN_LEN: usize = uuid::fmt::Urn::LENGTH;

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::Record(text.to_owned());
        let hex = text.strip_prefix("urn:uuid:").ok_or_else(refused)?;
        let uuid = uuid::Uuid::try_parse(hex).map_err(|_| refused())?;
        // One spelling only: the parser also takes capitals, braces and no hyphens.
        let id = Self(uuid);
        let same = id.urn(&mut [0; URN_LEN]) == text;
        if uuid.get_version_num() == 7 && same { Ok(id) } else { Err(refused()) }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.urn(&mut [0; URN_LEN]))
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .ok()
            .filter(|()| !text.bytes().any(|b| b.is_ascii_uppercase()))
            .ok_or_else(|| IdError::Digest(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// COSE key thumbprint (RFC 9679) of an Ed25519 public key: SHA-256 over the deterministic CBOR
/// of `{1: 1 (OKP), -1: 6 (Ed25519), -2: public}`.
pub fn ed25519_thumbprint(public: &[u8; 32]) -> Digest {
    let mut encoded = vec![0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 32];
    encoded.extend_from_slice(public);
    Digest::of(&encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_ids_are_a_country_with_optional_groups() {
        for good in ["ID", "SG", "ID-RCL", "AU-LAB-2"] {
            assert_eq!(good.parse::<MemberId>().unwrap().as_str(), good);
        }
        for bad in ["", "I", "id", "IDN", "ID-", "ID-rcl", "ID/..", "ID-RCL-RCL-RCL-RCL-RCL-RCL"] {
            assert!(bad.parse::<MemberId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn record_ids_have_one_spelling() {
        let id = RecordId::new(1_700_000_000_000, &[7; 10]);
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
        assert!(id.to_string().to_uppercase().parse::<RecordId>().is_err());
        assert!("urn:uuid:00000000-0000-4000-8000-000000000000".parse::<RecordId>().is_err());
    }
}
