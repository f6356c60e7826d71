//! Deterministic CBOR (RFC 8949 §4.2.1), the only CBOR that Sealwire writes or accepts.
//!
//! Keys in bytewise order, shortest lengths, no floats, no bignums, no indefinite lengths, no
//! tags but the one that the caller names. Because the underlying decoder is lenient, determinism
//! is checked by comparing the bytes received with our own encoding of what they say.
//!
//! This module knows nothing of what the values mean.

use ciborium::de::from_reader_with_recursion_limit;
pub use ciborium::value::{Integer, Value};

/// Deepest nesting accepted.
pub const MAX_DEPTH: usize = 16;

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than the caller's limit.
    #[error("cannot read {what}: {len} bytes exceed the limit of {limit}")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// Length received, in bytes.
        len: usize,
        /// Longest accepted, in bytes.
        limit: usize,
    },
    /// Not well-formed CBOR, or nested too deep.
    #[error("cannot read {what}: not well-formed CBOR within {MAX_DEPTH} levels")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// Well-formed, but not the deterministic encoding, or with bytes left over.
    #[error(
        "cannot read {what}: not the deterministic encoding of RFC 8949 section 4.2.1 \
         (hint: bytewise key order, shortest lengths, no duplicate keys, nothing left over)"
    )]
    NotDeterministic {
        /// What was being read.
        what: &'static str,
    },
    /// A float, null, undefined, bignum or an unlisted tag.
    #[error("cannot read {what}: {found} is not allowed")]
    Forbidden {
        /// What was being read.
        what: &'static str,
        /// The forbidden item.
        found: &'static str,
    },
    /// A value of another type, length or meaning than the format says.
    #[error("cannot read {what}: {field} must be {expected}")]
    Shape {
        /// What was being read.
        what: &'static str,
        /// The field at fault.
        field: String,
        /// What the format asks for.
        expected: &'static str,
    },
}

/// Reads one value of at most `limit` bytes; nothing may follow it.
pub fn decode(what: &'static str, bytes: &[u8], limit: usize) -> Result<Value, CborError> {
    if bytes.len() > limit {
        return Err(CborError::TooLarge { what, len: bytes.len(), limit });
    }
    let value: Value = from_reader_with_recursion_limit(bytes, MAX_DEPTH)
        .map_err(|_| CborError::Malformed { what })?;
    let mut tagless = &value;
    if let Value::Tag(_, inner) = tagless {
        tagless = inner;
    }
    check_allowed(what, tagless)?;
    if encode(&value) == bytes { Ok(value) } else { Err(CborError::NotDeterministic { what }) }
}

/// Reads the next value of a CBOR sequence (RFC 8742) and moves `rest` behind it.
pub fn decode_next(what: &'static str, rest: &mut &[u8], limit: usize) -> Result<Value, CborError> {
    let before = *rest;
    let mut reader = before.get(..limit).unwrap_or(before);
    let window = reader.len();
    let parsed: Result<Value, _> = from_reader_with_recursion_limit(&mut reader, MAX_DEPTH);
    parsed.map_err(|_| CborError::Malformed { what })?;
    let (item, tail) = before.split_at_checked(window - reader.len()).unwrap_or((before, &[]));
    *rest = tail;
    decode_plain(what, item, limit)
}

/// Reads one value under exactly the tag `tag`.
pub fn decode_tagged(
    what: &'static str,
    tag: u64,
    bytes: &[u8],
    limit: usize,
) -> Result<Value, CborError> {
    match decode(what, bytes, limit)? {
        Value::Tag(found, inner) if found == tag => Ok(*inner),
        _ => Err(shape(what, "tag", "the tag of this format")),
    }
}

/// Reads one value that carries no tag.
pub fn decode_plain(what: &'static str, bytes: &[u8], limit: usize) -> Result<Value, CborError> {
    match decode(what, bytes, limit)? {
        Value::Tag(..) => Err(CborError::Forbidden { what, found: "a tag" }),
        value => Ok(value),
    }
}

/// Writes the deterministic encoding of `value`.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(value, &mut out);
    out
}

/// The value of a JSON leaf or tree without floats and nulls.
pub fn from_json(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(u), _) => Value::Integer(u.into()),
            (_, Some(i)) => Value::Integer(i.into()),
            _ => return None,
        },
        serde_json::Value::String(s) => Value::Text(s.clone()),
        serde_json::Value::Array(items) => {
            Value::Array(items.iter().map(from_json).collect::<Option<_>>()?)
        }
        serde_json::Value::Object(fields) => Value::Map(
            fields
                .iter()
                .map(|(k, v)| Some((Value::Text(k.clone()), from_json(v)?)))
                .collect::<Option<_>>()?,
        ),
        serde_json::Value::Null => return None,
    })
}

/// The JSON form of a value made of maps with text keys, arrays, texts, integers and booleans.
pub fn to_json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Bool(b) => (*b).into(),
        Value::Integer(i) => match (u64::try_from(*i), i64::try_from(*i)) {
            (Ok(u), _) => u.into(),
            (_, Ok(i)) => i.into(),
            _ => return None,
        },
        Value::Text(s) => s.clone().into(),
        Value::Array(items) => {
            serde_json::Value::Array(items.iter().map(to_json).collect::<Option<_>>()?)
        }
        Value::Map(fields) => serde_json::Value::Object(
            fields
                .iter()
                .map(|(k, v)| Some((k.as_text()?.to_owned(), to_json(v)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// A map with text keys; the encoder puts them in order.
pub fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect())
}

/// A byte string.
pub fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
    Value::Bytes(bytes.into())
}

/// Takes the fields of one map or array in turn, and refuses leftovers.
pub struct Reader {
    what: &'static str,
    fields: Vec<(String, Value)>,
}

impl Reader {
    /// Reads a map whose keys are texts.
    pub fn of_map(what: &'static str, value: Value) -> Result<Self, CborError> {
        let Value::Map(entries) = value else {
            return Err(shape(what, "the whole", "a map"));
        };
        let fields = entries
            .into_iter()
            .map(|(key, value)| match key {
                Value::Text(key) => Ok((key, value)),
                _ => Err(shape(what, "key", "text")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { what, fields })
    }

    /// Reads a map whose keys are integers, under their decimal spelling.
    pub fn of_labels(what: &'static str, value: Value) -> Result<Self, CborError> {
        let Value::Map(entries) = value else {
            return Err(shape(what, "the whole", "a map"));
        };
        let fields = entries
            .into_iter()
            .map(|(key, value)| match key {
                Value::Integer(label) => Ok((i128::from(label).to_string(), value)),
                _ => Err(shape(what, "label", "an integer")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { what, fields })
    }

    /// Reads an array of exactly the named fields.
    pub fn of_array(what: &'static str, value: Value, names: &[&str]) -> Result<Self, CborError> {
        match value {
            Value::Array(items) if items.len() == names.len() => Ok(Self {
                what,
                fields: names.iter().map(|n| (*n).to_owned()).zip(items).collect(),
            }),
            _ => Err(shape(what, "the whole", "an array of the right length")),
        }
    }

    /// Takes a field that may be absent.
    pub fn take_opt(&mut self, name: &str) -> Option<Value> {
        let at = self.fields.iter().position(|(key, _)| key == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// Takes a field that must be there.
    pub fn take(&mut self, name: &str) -> Result<Value, CborError> {
        self.take_opt(name).ok_or_else(|| shape(self.what, name, "present"))
    }

    /// Takes an unsigned integer.
    pub fn take_u64(&mut self, name: &str) -> Result<u64, CborError> {
        let value = self.take(name)?;
        self.expect_u64(name, value)
    }

    /// Takes an unsigned integer that may be absent.
    pub fn take_u64_opt(&mut self, name: &str) -> Result<Option<u64>, CborError> {
        self.take_opt(name).map(|v| self.expect_u64(name, v)).transpose()
    }

    fn expect_u64(&self, name: &str, value: Value) -> Result<u64, CborError> {
        value
            .as_integer()
            .and_then(|i| u64::try_from(i).ok())
            .ok_or_else(|| shape(self.what, name, "an unsigned integer"))
    }

    /// Takes a text.
    pub fn take_text(&mut self, name: &str) -> Result<String, CborError> {
        self.take(name)?.into_text().map_err(|_| shape(self.what, name, "text"))
    }

    /// Takes a byte string.
    pub fn take_bytes(&mut self, name: &str) -> Result<Vec<u8>, CborError> {
        self.take(name)?.into_bytes().map_err(|_| shape(self.what, name, "a byte string"))
    }

    /// Takes a byte string of exactly `N` bytes.
    pub fn take_fixed<const N: usize>(&mut self, name: &str) -> Result<[u8; N], CborError> {
        self.take_bytes(name)?
            .try_into()
            .map_err(|_| shape(self.what, name, "a byte string of the right length"))
    }

    /// Takes a list.
    pub fn take_array(&mut self, name: &str) -> Result<Vec<Value>, CborError> {
        self.take(name)?.into_array().map_err(|_| shape(self.what, name, "an array"))
    }

    /// Takes a text and parses it.
    pub fn take_parsed<T: std::str::FromStr>(
        &mut self,
        name: &str,
        expected: &'static str,
    ) -> Result<T, CborError> {
        self.take_text(name)?.parse().map_err(|_| shape(self.what, name, expected))
    }

    /// Refuses fields that nothing took.
    pub fn finish(self) -> Result<(), CborError> {
        match self.fields.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(shape(self.what, name, "absent: the format does not know it")),
        }
    }
}

/// A [`CborError::Shape`].
pub fn shape(what: &'static str, field: impl Into<String>, expected: &'static str) -> CborError {
    CborError::Shape { what, field: field.into(), expected }
}

fn check_allowed(what: &'static str, value: &Value) -> Result<(), CborError> {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| check_allowed(what, item)),
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            check_allowed(what, key)?;
            check_allowed(what, value)
        }),
        Value::Float(_) => Err(CborError::Forbidden { what, found: "a floating-point number" }),
        Value::Tag(..) => Err(CborError::Forbidden { what, found: "a tag" }),
        _ => Err(CborError::Forbidden { what, found: "null or undefined" }),
    }
}

fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend([major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(i) => {
            let i = i128::from(*i);
            // ciborium's Integer holds -2^64 ..= 2^64 - 1, so both arguments fit.
            match u64::try_from(i) {
                Ok(u) => write_head(0, u, out),
                Err(_) => write_head(1, u64::try_from(-1 - i).unwrap_or(u64::MAX), out),
            }
        }
        Value::Bytes(b) => {
            write_head(2, b.len() as u64, out);
            out.extend_from_slice(b);
        }
        Value::Text(t) => {
            write_head(3, t.len() as u64, out);
            out.extend_from_slice(t.as_bytes());
        }
        Value::Array(items) => {
            write_head(4, items.len() as u64, out);
            items.iter().for_each(|item| write_value(item, out));
        }
        Value::Map(entries) => {
            let mut encoded: Vec<(Vec<u8>, &Value)> =
                entries.iter().map(|(k, v)| (encode(k), v)).collect();
            encoded.sort_by(|a, b| a.0.cmp(&b.0));
            // A duplicate key is dropped, so that a decoder that compares sees the difference.
            encoded.dedup_by(|a, b| a.0 == b.0);
            write_head(5, encoded.len() as u64, out);
            for (key, value) in encoded {
                out.extend_from_slice(&key);
                write_value(value, out);
            }
        }
        Value::Tag(tag, inner) => {
            write_head(6, *tag, out);
            write_value(inner, out);
        }
        Value::Bool(b) => out.push(if *b { 0xf5 } else { 0xf4 }),
        // Floats and nulls are refused by `decode` and never built here; null keeps this total.
        _ => out.push(0xf6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(hex_bytes: &str) -> CborError {
        decode("test", &hex::decode(hex_bytes).unwrap(), 64).unwrap_err()
    }

    #[test]
    fn refuses_everything_but_the_deterministic_encoding() {
        let not_deterministic = CborError::NotDeterministic { what: "test" };
        assert_eq!(refused("1817"), not_deterministic, "long form of 23");
        assert_eq!(refused("5f4101ff"), not_deterministic, "indefinite length");
        assert_eq!(refused("a2616201616101"), not_deterministic, "keys out of order");
        assert_eq!(refused("a2616101616101"), not_deterministic, "duplicate key");
        assert_eq!(refused("0101"), not_deterministic, "leftovers");
        assert_eq!(refused("c24101"), not_deterministic, "bignum in disguise");
        assert!(matches!(refused("f93c00"), CborError::Forbidden { .. }), "float");
        assert!(matches!(refused("f6"), CborError::Forbidden { .. }), "null");
        assert!(matches!(refused("81c001"), CborError::Forbidden { .. }), "inner tag");
        assert!(matches!(refused("82"), CborError::Malformed { .. }), "truncated");
        assert!(matches!(refused(&"81".repeat(40)), CborError::Malformed { .. }), "too deep");
    }

    #[test]
    fn map_keys_are_ordered_bytewise_not_by_length_alone() {
        let value = Value::Map(vec![
            (Value::Integer((-1).into()), Value::Bool(true)),
            (Value::Integer(258.into()), Value::Bool(false)),
        ]);
        assert_eq!(hex::encode(encode(&value)), "a2190102f420f5");
    }

    #[test]
    fn a_huge_length_in_a_short_input_is_refused_cheaply() {
        assert!(matches!(refused("9bffffffffffffffff"), CborError::Malformed { .. }));
        assert!(matches!(refused("5b7fffffffffffffff00"), CborError::Malformed { .. }));
    }

    #[test]
    fn a_sequence_is_read_value_by_value() {
        let bytes = hex::decode("01820203616161").unwrap();
        let mut rest = &bytes[..];
        assert_eq!(decode_next("test", &mut rest, 10), Ok(Value::from(1)));
        assert!(decode_next("test", &mut rest, 10).unwrap().is_array());
        assert_eq!(decode_next("test", &mut rest, 10), Ok(Value::from("a")));
        assert!(decode_next("test", &mut rest, 10).is_err(), "a lone head is no value");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<u64>().prop_map(|u| Value::Integer(u.into())),
            any::<i64>().prop_map(|i| Value::Integer(i.into())),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            "[a-z/é]{0,30}".prop_map(Value::Text),
            any::<bool>().prop_map(Value::Bool),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[a-z]{0,30}", inner, 0..6).prop_map(|m| Value::Map(
                    m.into_iter().map(|(k, v)| (Value::Text(k), v)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_what_is_read_is_canonical(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Ok(value) = decode("test", &bytes, 200) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }

        #[test]
        fn what_is_written_is_read_back(value in values()) {
            let bytes = encode(&value);
            let read = decode("test", &bytes, 1 << 20).unwrap();
            prop_assert_eq!(encode(&read), bytes);
        }
    }
}
