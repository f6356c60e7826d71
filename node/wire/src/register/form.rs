//! The JSON form of the register, as TUF 1.0.34 root metadata, and its canonical bytes.
//!
//! Here is only the shape: a document that parses may still be unsigned, contradictory or stale.

use std::collections::BTreeMap;
use std::fmt;

use olpc_cjson::CanonicalFormatter;
use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Document, RegisterError};
use crate::id::{Digest, MemberId};

/// The `spec_version` that profile 1 pins.
pub(super) const SPEC_VERSION: &str = "1.0.34";
/// The profile of the `x-sealwire` field.
pub(super) const PROFILE: u32 = 1;
/// The signature algorithm of every key but one.
pub(super) const ALGORITHM: &str = "Ed25519";
/// The algorithm of the keys of use `cosign-pq` (FIPS 204).
pub(super) const PQ_ALGORITHM: &str = "ML-DSA-44";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    pub signatures: Vec<RawSignature>,
    pub signed: Signed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    pub keyid: Digest,
    pub sig: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    #[serde(rename = "_type")]
    pub type_: String,
    pub spec_version: String,
    pub version: u64,
    pub expires: String,
    pub consistent_snapshot: bool,
    pub keys: BTreeMap<Digest, RootKey>,
    pub roles: Roles,
    #[serde(rename = "x-sealwire")]
    pub sealwire: Sealwire,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootKey {
    pub keytype: String,
    pub scheme: String,
    pub keyval: KeyVal,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyVal {
    pub public: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    pub root: Role,
    pub timestamp: Role,
    pub snapshot: Role,
    pub targets: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub keyids: Vec<Digest>,
    pub threshold: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Sealwire {
    pub profile: u32,
    pub federation: String,
    pub seats: BTreeMap<String, Vec<Digest>>,
    pub members: BTreeMap<MemberId, RawMember>,
    pub communities: BTreeMap<String, RawCommunity>,
    pub schemas: BTreeMap<String, RawSchema>,
    pub code_lists: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMember {
    pub names: BTreeMap<String, String>,
    pub roles: Vec<String>,
    pub status: String,
    pub peer_id: String,
    pub addresses: Vec<String>,
    pub keys: Vec<RawMemberKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMemberKey {
    #[serde(rename = "use")]
    pub use_: String,
    pub algorithm: String,
    pub public: String,
    pub thumbprint: Digest,
    pub from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub until: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawCommunity {
    pub title: String,
    pub agreement: String,
    pub members: Vec<MemberId>,
    pub kinds: Vec<String>,
    pub classes: Vec<String>,
    pub tlp_ceiling: String,
    pub purposes: Vec<String>,
    pub retention_days: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_retention_days: BTreeMap<String, u32>,
    pub witnesses: u32,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub delivery: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directions: BTreeMap<MemberId, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchema {
    pub id: String,
    pub digest: Digest,
}

/// An optional number is absent or a number; `null` would be a second spelling of absent.
fn present<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: de::Deserializer<'de>,
    N: Deserialize<'de>,
{
    N::deserialize(deserializer).map(Some)
}

/// The TUF key object of an Ed25519 key.
pub(super) fn root_key(public: &[u8; 32]) -> RootKey {
    RootKey {
        keytype: "ed25519".to_owned(),
        scheme: "ed25519".to_owned(),
        keyval: KeyVal { public: hex::encode(public) },
    }
}

/// The TUF key id: SHA-256 of the key's canonical JSON.
pub(super) fn key_id(key: &RootKey) -> Digest {
    Digest::of(&canonical(key))
}

/// Canonical JSON (OLPC) of a value without floats.
pub(super) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut bytes, CanonicalFormatter::new());
    value.serialize(&mut serializer).expect("forms hold no floats and a Vec takes every byte");
    bytes
}

/// Reads one JSON document of the shape `T`: within `limit`, nothing after it, no name twice, no
/// unknown field, and every text such that all readers compute the same canonical bytes.
pub(super) fn parse<T: DeserializeOwned + Serialize>(
    bytes: &[u8],
    document: Document,
    limit: usize,
) -> Result<T, RegisterError> {
    if bytes.len() > limit {
        return Err(RegisterError::TooLarge { document, size: bytes.len(), limit });
    }
    let not_json = |cause: serde_json::Error| RegisterError::Json { document, cause };
    let typed: T = serde_json::from_slice(bytes).map_err(not_json)?;
    let Unique(received) = serde_json::from_slice(bytes).map_err(not_json)?;
    // Canonical JSON writes control characters raw and normalises text to NFC, others do not:
    // only documents on which that makes no difference are accepted.
    match serde_json::from_slice::<Value>(&canonical(&typed)) {
        Ok(again) if again == received => Ok(typed),
        _ => Err(RegisterError::Ambiguous { document }),
    }
}

/// A JSON value in which no object has one name twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without floating point numbers")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Unique(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Unique(value) = map.next_value()?;
            if object.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the name {name:?} appears twice")));
            }
            object.insert(name, value);
        }
        Ok(Unique(Value::Object(object)))
    }
}
