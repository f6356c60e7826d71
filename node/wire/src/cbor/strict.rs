//! Reading: one pass that takes the deterministic encoding and nothing else.

use std::str::FromStr;

use super::{CborError, Integer, Value, refuse_longer, shape};

/// Items for which room is made before they are there.
pub(super) const MAX_RESERVED: usize = 256;

/// What one item begins with.
pub(crate) enum Head {
    Positive(u64),
    /// `-1 - n`.
    Negative(u64),
    Bytes(usize),
    Text(usize),
    Array(usize),
    Map(usize),
    Tag(u64),
    Bool(bool),
}

/// Reads items in turn, where they lie, and refuses every encoding but the deterministic one. The
/// fields that its functions are given are those that a refusal names.
pub(crate) struct Strict<'a> {
    what: &'static str,
    bytes: &'a [u8],
    /// Bytes read.
    pub at: usize,
}

impl<'a> Strict<'a> {
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
    }

    /// As [`Self::new`], of at most `limit` bytes.
    pub fn up_to(what: &'static str, bytes: &'a [u8], limit: usize) -> Result<Self, CborError> {
        refuse_longer(what, bytes, limit)?;
        Ok(Self::new(what, bytes))
    }

    /// Exactly the tag `tag`, under which another item follows.
    pub fn tag(&mut self, tag: u64) -> Result<(), CborError> {
        match self.head()? {
            Head::Tag(found) if found == tag => Ok(()),
            Head::Tag(2 | 3) => Err(CborError::NotDeterministic { what: self.what }),
            _ => Err(shape(self.what, "tag", "the tag of this format")),
        }
    }

    /// An array of exactly `len` items, which follow.
    pub fn array(&mut self, field: &str, len: usize) -> Result<(), CborError> {
        match self.untagged()? {
            Head::Array(found) if found == len => Ok(()),
            _ => Err(shape(self.what, field, "an array of the right length")),
        }
    }

    /// A map of exactly `len` labels, which follow: see [`Self::label`].
    pub fn labels(&mut self, field: &str, len: usize) -> Result<(), CborError> {
        match self.untagged()? {
            Head::Map(found) if found == len => Ok(()),
            _ => Err(shape(self.what, field, "a map of the labels that the format knows")),
        }
    }

    /// Exactly the label `label`, whose value follows. Labels are asked for from the lowest, which
    /// is the one order that they can have.
    pub fn label(&mut self, label: u64, field: &str) -> Result<(), CborError> {
        match self.head()? {
            Head::Positive(found) if found == label => Ok(()),
            _ => {
                Err(shape(self.what, field, "present, and no label that the format does not know"))
            }
        }
    }

    /// A map whose keys are texts; `each` reads the value of each.
    #[inline]
    pub fn map(
        &mut self,
        field: &str,
        mut each: impl FnMut(&'a str, &mut Self) -> Result<(), CborError>,
    ) -> Result<(), CborError> {
        let bad = |what| shape(what, field, "a map with text keys");
        let Head::Map(len) = self.untagged()? else { return Err(bad(self.what)) };
        let mut previous: &[u8] = &[];
        for _ in 0..len {
            let begin = self.at;
            let Head::Text(key) = self.head()? else { return Err(bad(self.what)) };
            let key = self.text(key)?;
            previous = self.ordered(previous, begin)?;
            each(key, self)?;
        }
        Ok(())
    }

    /// An integer that is not negative.
    #[inline]
    pub fn unsigned(&mut self, field: &str) -> Result<u64, CborError> {
        match self.untagged()? {
            Head::Positive(number) => Ok(number),
            _ => Err(shape(self.what, field, "an unsigned integer")),
        }
    }

    /// An integer that 64 bits hold with its sign.
    pub fn integer(&mut self, field: &str) -> Result<i64, CborError> {
        let number = match self.untagged()? {
            Head::Positive(n) => i64::try_from(n).ok(),
            Head::Negative(n) => i64::try_from(-1 - i128::from(n)).ok(),
            _ => None,
        };
        number.ok_or_else(|| shape(self.what, field, "an integer"))
    }

    /// A text.
    #[inline]
    pub fn text_string(&mut self, field: &str) -> Result<&'a str, CborError> {
        match self.untagged()? {
            Head::Text(len) => self.text(len),
            _ => Err(shape(self.what, field, "text")),
        }
    }

    /// A text that says what is `expected`.
    pub fn parsed<T: FromStr>(
        &mut self,
        field: &str,
        expected: &'static str,
    ) -> Result<T, CborError> {
        self.text_string(field)?.parse().map_err(|_| shape(self.what, field, expected))
    }

    /// A byte string.
    #[inline]
    pub fn byte_string(&mut self, field: &str) -> Result<&'a [u8], CborError> {
        match self.untagged()? {
            Head::Bytes(len) => self.take(len),
            _ => Err(shape(self.what, field, "a byte string")),
        }
    }

    /// A byte string of exactly `N` bytes.
    pub fn byte_array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], CborError> {
        let bytes = self.byte_string(field)?.try_into();
        bytes.map_err(|_| shape(self.what, field, "a byte string of the right length"))
    }

    /// The bytes that were not read yet.
    pub fn left(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next head, if it is the shortest that says the same.
    #[inline]
    pub fn head(&mut self) -> Result<Head, CborError> {
        let [first] = self.fixed()?;
        let (major, minor) = (first >> 5, first & 0x1f);
        // The least argument that needs a head of this length.
        let (argument, least) = match minor {
            _ if major == 7 => return self.simple(minor),
            0..=23 => (u64::from(minor), 0),
            24 => (u64::from(u8::from_be_bytes(self.fixed()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.fixed()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.fixed()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.fixed()?), 1 << 32),
            // Indefinite length.
            31 => return Err(CborError::NotDeterministic { what: self.what }),
            _ => return Err(self.malformed()),
        };
        if argument < least {
            return Err(CborError::NotDeterministic { what: self.what });
        }
        Ok(match major {
            0 => Head::Positive(argument),
            1 => Head::Negative(argument),
            2 => Head::Bytes(self.count(argument)?),
            3 => Head::Text(self.count(argument)?),
            4 => Head::Array(self.count(argument)?),
            5 => Head::Map(self.count(argument)?),
            _ => Head::Tag(argument),
        })
    }

    fn simple(&self, minor: u8) -> Result<Head, CborError> {
        match minor {
            20 | 21 => Ok(Head::Bool(minor == 21)),
            25..=27 => Err(self.forbidden("a floating-point number")),
            28..=31 => Err(self.malformed()),
            _ => Err(self.forbidden("null or undefined")),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let taken = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        let taken = *taken.ok_or_else(|| self.malformed())?;
        self.at += N;
        Ok(taken)
    }

    /// As [`Self::head`], of an item that carries no tag.
    pub fn untagged(&mut self) -> Result<Head, CborError> {
        match self.head()? {
            // A bignum is another spelling of an integer, or longer than any.
            Head::Tag(2 | 3) => Err(CborError::NotDeterministic { what: self.what }),
            Head::Tag(_) => Err(self.forbidden("a tag")),
            head => Ok(head),
        }
    }

    /// Refuses bytes that are left.
    pub fn end(&self) -> Result<(), CborError> {
        let all = self.at == self.bytes.len();
        if all { Ok(()) } else { Err(CborError::NotDeterministic { what: self.what }) }
    }

    /// The value that `head` begins, with at most `depth` levels.
    pub fn value(&mut self, head: Head, depth: usize) -> Result<Value, CborError> {
        Ok(match head {
            Head::Positive(n) => Value::Integer(n.into()),
            Head::Negative(n) => {
                let negative = Integer::try_from(-1 - i128::from(n));
                Value::Integer(negative.map_err(|_| self.malformed())?)
            }
            Head::Bytes(len) => Value::Bytes(self.take(len)?.to_vec()),
            Head::Text(len) => Value::Text(self.text(len)?.to_owned()),
            Head::Array(len) => {
                let depth = self.deeper(depth)?;
                let mut items = Vec::with_capacity(len.min(MAX_RESERVED));
                for _ in 0..len {
                    let head = self.head()?;
                    items.push(self.value(head, depth)?);
                }
                Value::Array(items)
            }
            Head::Map(len) => {
                let depth = self.deeper(depth)?;
                let mut entries = Vec::with_capacity(len.min(MAX_RESERVED));
                let mut previous: &[u8] = &[];
                for _ in 0..len {
                    let begin = self.at;
                    let head = self.head()?;
                    let key = self.value(head, depth)?;
                    previous = self.ordered(previous, begin)?;
                    let head = self.head()?;
                    entries.push((key, self.value(head, depth)?));
                }
                Value::Map(entries)
            }
            Head::Bool(bool) => Value::Bool(bool),
            Head::Tag(_) => return Err(self.forbidden("a tag")),
        })
    }

    /// The encoding of the next item, checked like a value, with at most `depth` levels.
    pub fn item(&mut self, depth: usize) -> Result<&'a [u8], CborError> {
        let begin = self.at;
        match self.head()? {
            Head::Positive(_) | Head::Negative(_) | Head::Bool(_) => {}
            Head::Bytes(len) => {
                self.take(len)?;
            }
            Head::Text(len) => {
                self.text(len)?;
            }
            Head::Array(len) => {
                let depth = self.deeper(depth)?;
                for _ in 0..len {
                    self.item(depth)?;
                }
            }
            Head::Map(len) => {
                let depth = self.deeper(depth)?;
                let mut previous: &[u8] = &[];
                for _ in 0..len {
                    let begin = self.at;
                    self.item(depth)?;
                    previous = self.ordered(previous, begin)?;
                    self.item(depth)?;
                }
            }
            Head::Tag(_) => return Err(self.forbidden("a tag")),
        }
        Ok(self.bytes.get(begin..self.at).unwrap_or_default())
    }

    /// The encoding of the key that began at `begin`, if it comes after the one before.
    #[inline]
    pub fn ordered(&self, previous: &[u8], begin: usize) -> Result<&'a [u8], CborError> {
        let key = self.bytes.get(begin..self.at).unwrap_or_default();
        if previous < key { Ok(key) } else { Err(CborError::NotDeterministic { what: self.what }) }
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
        let taken = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.malformed())?;
        self.at += len;
        Ok(taken)
    }

    #[inline]
    pub fn text(&mut self, len: usize) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| self.malformed())
    }

    /// A length that the bytes left can hold, so that a lie about it reserves nothing.
    #[inline]
    fn count(&self, argument: u64) -> Result<usize, CborError> {
        let left = self.bytes.len() - self.at;
        let len = usize::try_from(argument).ok().filter(|len| *len <= left);
        len.ok_or_else(|| self.malformed())
    }

    fn deeper(&self, depth: usize) -> Result<usize, CborError> {
        depth.checked_sub(1).ok_or_else(|| self.malformed())
    }

    #[cold]
    fn malformed(&self) -> CborError {
        CborError::Malformed { what: self.what }
    }

    #[cold]
    fn forbidden(&self, found: &'static str) -> CborError {
        CborError::Forbidden { what: self.what, found }
    }
}
