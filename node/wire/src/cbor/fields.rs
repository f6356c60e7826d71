//! Reading the fields of one map or array where they lie, without building values.

use std::fmt;
use std::str::FromStr;

use super::strict::{Head, MAX_RESERVED, Strict};
use super::{CborError, MAX_DEPTH, byte_string, refuse_longer, shape};

/// The name of a field: a text, or a label of COSE or CWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Text(&'a str),
    Label(u64),
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Name<'_> {
    fn from(label: u64) -> Self {
        Self::Label(label)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Label(label) => write!(f, "{label}"),
        }
    }
}

/// As [`super::Reader`], for what is read so often that values would cost more than reading: each
/// field is the encoding received, checked as strictly as [`super::decode_plain`] does.
pub(crate) struct Fields<'a> {
    what: &'static str,
    fields: Vec<(Name<'a>, &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// Reads a map whose keys are texts; nothing may follow it.
    pub fn of_map(what: &'static str, bytes: &'a [u8]) -> Result<Self, CborError> {
        Self::map(what, bytes, |key| match key.head()? {
            Head::Text(len) => Ok(Name::Text(key.text(len)?)),
            _ => Err(shape(what, "key", "text")),
        })
    }

    /// Reads a map whose keys are labels, from 0; nothing may follow it.
    pub fn of_labels(what: &'static str, bytes: &'a [u8]) -> Result<Self, CborError> {
        Self::map(what, bytes, |key| match key.head()? {
            Head::Positive(label) => Ok(Name::Label(label)),
            _ => Err(shape(what, "label", "one that the format knows")),
        })
    }

    fn map(
        what: &'static str,
        bytes: &'a [u8],
        name: impl Fn(&mut Strict<'a>) -> Result<Name<'a>, CborError>,
    ) -> Result<Self, CborError> {
        let mut strict = Strict::new(what, bytes);
        let Head::Map(len) = strict.untagged()? else {
            return Err(shape(what, "the whole", "a map"));
        };
        let mut fields = Vec::with_capacity(len.min(MAX_RESERVED));
        let mut previous: &[u8] = &[];
        for _ in 0..len {
            let begin = strict.at;
            let name = name(&mut strict)?;
            previous = strict.ordered(previous, begin)?;
            fields.push((name, strict.item(MAX_DEPTH - 1)?));
        }
        strict.end()?;
        Ok(Self { what, fields })
    }

    /// Reads an array of exactly the named fields; nothing may follow it.
    pub fn of_array(
        what: &'static str,
        bytes: &'a [u8],
        names: &[&'static str],
    ) -> Result<Self, CborError> {
        let mut strict = Strict::new(what, bytes);
        let fields = Self::array(what, &mut strict, names)?;
        strict.end()?;
        Ok(fields)
    }

    /// The same, under exactly the tag `tag`, of at most `limit` bytes.
    pub fn of_tagged(
        what: &'static str,
        tag: u64,
        bytes: &'a [u8],
        limit: usize,
        names: &[&'static str],
    ) -> Result<Self, CborError> {
        refuse_longer(what, bytes, limit)?;
        let mut strict = Strict::new(what, bytes);
        match strict.head()? {
            Head::Tag(found) if found == tag => {}
            Head::Tag(2 | 3) => return Err(CborError::NotDeterministic { what }),
            _ => return Err(shape(what, "tag", "the tag of this format")),
        }
        let fields = Self::array(what, &mut strict, names)?;
        strict.end()?;
        Ok(fields)
    }

    /// Reads the array of exactly the named fields with which a CBOR sequence (RFC 8742) goes on,
    /// of at most `limit` bytes, and moves `rest` behind it.
    pub fn of_next(
        what: &'static str,
        rest: &mut &'a [u8],
        limit: usize,
        names: &[&'static str],
    ) -> Result<Self, CborError> {
        let bytes: &'a [u8] = rest;
        let mut strict = Strict::new(what, bytes.get(..limit).unwrap_or(bytes));
        let fields = Self::array(what, &mut strict, names)?;
        *rest = bytes.get(strict.at..).unwrap_or_default();
        Ok(fields)
    }

    fn array(
        what: &'static str,
        strict: &mut Strict<'a>,
        names: &[&'static str],
    ) -> Result<Self, CborError> {
        match strict.untagged()? {
            Head::Array(len) if len == names.len() => {
                let field =
                    |name: &&'static str| Ok((Name::Text(name), strict.item(MAX_DEPTH - 1)?));
                Ok(Self { what, fields: names.iter().map(field).collect::<Result<_, _>>()? })
            }
            _ => Err(shape(what, "the whole", "an array of the right length")),
        }
    }

    /// Takes a field that may be absent.
    pub fn take_opt<'n>(&mut self, name: impl Into<Name<'n>>) -> Option<&'a [u8]> {
        let name = name.into();
        let at = self.fields.iter().position(|(key, _)| *key == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// Takes a field that must be there.
    pub fn take<'n>(&mut self, name: impl Into<Name<'n>>) -> Result<&'a [u8], CborError> {
        let name = name.into();
        self.take_opt(name).ok_or_else(|| shape(self.what, name.to_string(), "present"))
    }

    /// Takes an unsigned integer.
    pub fn take_u64<'n>(&mut self, name: impl Into<Name<'n>>) -> Result<u64, CborError> {
        let name = name.into();
        match Strict::new(self.what, self.take(name)?).head()? {
            Head::Positive(number) => Ok(number),
            _ => Err(shape(self.what, name.to_string(), "an unsigned integer")),
        }
    }

    /// Takes a text.
    pub fn take_text<'n>(&mut self, name: impl Into<Name<'n>>) -> Result<&'a str, CborError> {
        let name = name.into();
        text(self.what, self.take(name)?).ok_or_else(|| shape(self.what, name.to_string(), "text"))
    }

    /// Takes a text and parses it.
    pub fn take_parsed<'n, T: FromStr>(
        &mut self,
        name: impl Into<Name<'n>>,
        expected: &'static str,
    ) -> Result<T, CborError> {
        let name = name.into();
        let parsed = self.take_text(name)?.parse();
        parsed.map_err(|_| shape(self.what, name.to_string(), expected))
    }

    /// Takes a byte string.
    pub fn take_bytes<'n>(&mut self, name: impl Into<Name<'n>>) -> Result<&'a [u8], CborError> {
        let name = name.into();
        let bytes = byte_string(self.what, self.take(name)?);
        bytes.map_err(|_| shape(self.what, name.to_string(), "a byte string"))
    }

    /// Takes a byte string of exactly `N` bytes.
    pub fn take_fixed<'n, const N: usize>(
        &mut self,
        name: impl Into<Name<'n>>,
    ) -> Result<[u8; N], CborError> {
        let name = name.into();
        let expected = "a byte string of the right length";
        let bytes = self.take_bytes(name)?.try_into();
        bytes.map_err(|_| shape(self.what, name.to_string(), expected))
    }

    /// The fields with names that are texts, in order if nothing was taken.
    pub fn into_pairs(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.into_iter().filter_map(|(name, value)| match name {
            Name::Text(text) => Some((text, value)),
            Name::Label(_) => None,
        })
    }

    /// Refuses fields that nothing took.
    pub fn finish(self) -> Result<(), CborError> {
        let expected = "absent: the format does not know it";
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(shape(self.what, name.to_string(), expected)),
        }
    }
}

/// The text that is the item `encoded`, if it is one.
pub(crate) fn text<'a>(what: &'static str, encoded: &'a [u8]) -> Option<&'a str> {
    let mut strict = Strict::new(what, encoded);
    match strict.head() {
        Ok(Head::Text(len)) => strict.text(len).ok(),
        _ => None,
    }
}

/// The integer that is the item `encoded`, if it is one: from -2^64 to 2^64 - 1.
pub(crate) fn integer(what: &'static str, encoded: &[u8]) -> Option<i128> {
    match Strict::new(what, encoded).head() {
        Ok(Head::Positive(n)) => Some(n.into()),
        Ok(Head::Negative(n)) => Some(-1 - i128::from(n)),
        _ => None,
    }
}
