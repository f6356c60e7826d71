//! The fields of a map, found before anybody asks for one.

use super::strict::{MAX_RESERVED, Strict};
use super::{CborError, MAX_DEPTH, shape};

/// As [`super::Reader`], for a map that is read so often that values would cost more than reading:
/// each field is the encoding received, checked as strictly as [`super::decode_plain`] does.
pub(crate) struct Fields<'a> {
    what: &'static str,
    fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// Reads a map whose keys are texts; nothing may follow it.
    pub fn of_map(what: &'static str, bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut fields = Vec::with_capacity(bytes.len().min(MAX_RESERVED) / 8);
        let mut strict = Strict::new(what, bytes);
        strict.map("the whole", |name, value| {
            fields.push((name, value.item(MAX_DEPTH - 1)?));
            Ok(())
        })?;
        strict.end()?;
        Ok(Self { what, fields })
    }

    /// Takes a field that may be absent.
    pub fn take_opt(&mut self, name: &str) -> Option<Strict<'a>> {
        let at = self.fields.iter().position(|(key, _)| *key == name)?;
        Some(Strict::new(self.what, self.fields.swap_remove(at).1))
    }

    /// Takes a field that must be there.
    pub fn take(&mut self, name: &str) -> Result<Strict<'a>, CborError> {
        self.take_opt(name).ok_or_else(|| shape(self.what, name, "present"))
    }

    /// Takes an unsigned integer.
    pub fn take_u64(&mut self, name: &str) -> Result<u64, CborError> {
        self.take(name)?.unsigned(name)
    }

    /// Takes a text.
    pub fn take_text(&mut self, name: &str) -> Result<&'a str, CborError> {
        self.take(name)?.text_string(name)
    }

    /// Takes a byte string of exactly `N` bytes.
    pub fn take_fixed<const N: usize>(&mut self, name: &str) -> Result<[u8; N], CborError> {
        self.take(name)?.byte_array(name)
    }

    /// Refuses fields that nothing took.
    pub fn finish(self) -> Result<(), CborError> {
        let expected = "absent: the format does not know it";
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(shape(self.what, *name, expected)),
        }
    }
}
