//! Reading: one pass that takes the deterministic encoding and nothing else.

use super::{CborError, Integer, Value};

/// Items for which room is made before they are there.
pub(super) const MAX_RESERVED: usize = 256;

/// What one item begins with.
pub(super) enum Head {
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

/// Reads items and refuses every encoding but the deterministic one.
pub(super) struct Strict<'a> {
    what: &'static str,
    bytes: &'a [u8],
    /// Bytes read.
    pub at: usize,
}

impl<'a> Strict<'a> {
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
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
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
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
