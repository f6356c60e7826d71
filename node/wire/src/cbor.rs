//! Deterministic CBOR (RFC 8949 §4.2.1), the only CBOR that Sealwire writes or accepts.
//!
//! Keys in bytewise order, shortest lengths, no floats, no bignums, no indefinite lengths, no
//! tags but the one that the caller names. Decoders at hand are lenient or build the value twice
//! to compare; since a leaf of the log is a digest of bytes, the one spelling is the format, and
//! it is read here. The value type is ciborium's.
//!
//! This module knows nothing of what the values mean.

mod fields;
mod strict;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use ciborium::value::{Integer, Value};

pub(crate) use fields::Fields;
use strict::MAX_RESERVED;
pub(crate) use strict::{Head, Strict};

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
    refuse_longer(what, bytes, limit)?;
    let mut rest = bytes;
    let value = decode_next(what, &mut rest, limit)?;
    if rest.is_empty() { Ok(value) } else { Err(CborError::NotDeterministic { what }) }
}

/// Reads the next value of a CBOR sequence (RFC 8742), of at most `limit` bytes, and moves `rest`
/// behind it.
pub fn decode_next(what: &'static str, rest: &mut &[u8], limit: usize) -> Result<Value, CborError> {
    let mut strict = Strict::new(what, rest.get(..limit).unwrap_or(rest));
    let value = match strict.head()? {
        // A bignum is another spelling of an integer, or longer than any.
        Head::Tag(2 | 3) => return Err(CborError::NotDeterministic { what }),
        Head::Tag(tag) => {
            let head = strict.head()?;
            Value::Tag(tag, Box::new(strict.value(head, MAX_DEPTH)?))
        }
        head => strict.value(head, MAX_DEPTH)?,
    };
    *rest = rest.get(strict.at..).unwrap_or_default();
    Ok(value)
}

/// The encodings of the items of one array that carries no tag, checked as strictly as
/// [`decode_plain`] does, without building values; nothing may follow it.
pub fn array_items<'a>(
    what: &'static str,
    bytes: &'a [u8],
    limit: usize,
) -> Result<Vec<&'a [u8]>, CborError> {
    let mut strict = Strict::up_to(what, bytes, limit)?;
    let Head::Array(len) = strict.head()? else {
        return Err(shape(what, "the whole", "an array"));
    };
    let mut items = Vec::with_capacity(len.min(MAX_RESERVED));
    for _ in 0..len {
        items.push(strict.item(MAX_DEPTH - 1)?);
    }
    strict.end()?;
    Ok(items)
}

pub(crate) fn refuse_longer(
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<(), CborError> {
    let len = bytes.len();
    if len > limit { Err(CborError::TooLarge { what, len, limit }) } else { Ok(()) }
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

/// A value that stays in its encoding until somebody looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(Vec<u8>);

impl Encoded {
    /// Takes the encoding of an item, as [`Strict`] checked it.
    pub(crate) fn of_item(checked: &[u8]) -> Self {
        Self(checked.to_vec())
    }

    /// The value: null if it was made from one that has no deterministic encoding.
    pub fn value(&self) -> Value {
        decode_plain("value", &self.0, self.0.len()).unwrap_or(Value::Null)
    }

    /// Its JSON form: see [`to_json`].
    pub fn to_json(&self) -> Option<serde_json::Value> {
        to_json(&self.value())
    }
}

impl From<Value> for Encoded {
    fn from(value: Value) -> Self {
        Self(encode(&value))
    }
}

/// Takes the fields of one map or array in turn, and refuses leftovers.
pub struct Reader {
    what: &'static str,
    fields: Vec<(Cow<'static, str>, Value)>,
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
                Value::Text(key) => Ok((key.into(), value)),
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
                Value::Integer(label) => Ok((i128::from(label).to_string().into(), value)),
                _ => Err(shape(what, "label", "an integer")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { what, fields })
    }

    /// Reads an array of exactly the named fields.
    pub fn of_array(
        what: &'static str,
        value: Value,
        names: &[&'static str],
    ) -> Result<Self, CborError> {
        match value {
            Value::Array(items) if items.len() == names.len() => Ok(Self {
                what,
                fields: names.iter().map(|name| Cow::Borrowed(*name)).zip(items).collect(),
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

/// Writes the head of an array of `len` items.
pub(crate) fn write_array_head(len: usize, out: &mut Vec<u8>) {
    write_head(4, len as u64, out);
}

/// Writes a byte string.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_head(2, bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Writes a text.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_head(3, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
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

/// Writes any value.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(i) => {
            let i = i128::from(*i);
            // ciborium's Integer holds -2^64 ..= 2^64 - 1, so both arguments fit.
            match u64::try_from(i) {
                Ok(u) => write_head(0, u, out),
                Err(_) => write_head(1, u64::try_from(-1 - i).unwrap_or(u64::MAX), out),
            }
        }
        Value::Bytes(b) => write_bytes(b, out),
        Value::Text(t) => write_text(t, out),
        Value::Array(items) => {
            write_array_head(items.len(), out);
            items.iter().for_each(|item| write_value(item, out));
        }
        Value::Map(entries) => write_map(entries, out),
        Value::Tag(tag, inner) => {
            write_head(6, *tag, out);
            write_value(inner, out);
        }
        Value::Bool(b) => out.push(if *b { 0xf5 } else { 0xf4 }),
        // Floats and nulls are refused by `decode` and never built here; null keeps this total.
        _ => out.push(0xf6),
    }
}

fn write_map(entries: &[(Value, Value)], out: &mut Vec<u8>) {
    let begin = out.len();
    write_head(5, entries.len() as u64, out);
    let mut previous = 0..0;
    let in_order = entries.iter().all(|(key, value)| {
        let at = out.len();
        write_value(key, out);
        let key = at..out.len();
        let follows = out.get(previous.clone()) < out.get(key.clone());
        previous = key;
        write_value(value, out);
        follows
    });
    if !in_order {
        out.truncate(begin);
        // One entry a key, the last that was given.
        let sorted: BTreeMap<Vec<u8>, &Value> =
            entries.iter().map(|(key, value)| (encode(key), value)).collect();
        write_head(5, sorted.len() as u64, out);
        for (key, value) in sorted {
            out.extend_from_slice(&key);
            write_value(value, out);
        }
    }
}
