//! Findings: what is wrong with a record, where, and how to mend it; and the strict reading of
//! JSON.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::language::{Language, Words, say, words};

/// Largest record accepted, in bytes of JSON.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Longest value that a finding repeats, in bytes.
const MAX_SHOWN: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The record is refused.
    Error,
    /// The record is taken; somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Stable kebab-case code.
    pub code: String,
    /// The semantic rule, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The number of that rule in the data dictionary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<&'static str>,
    /// How bad it is.
    pub severity: Severity,
    /// RFC 6901 pointer into the record.
    pub pointer: String,
    /// The offending value, if there is one that is short enough to repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What is wrong; in English unless [`Finding::in_language`] was asked for another.
    pub message: String,
    /// How to mend it, in the same language.
    pub hint: String,
    #[serde(skip)]
    language: Language,
    #[serde(skip)]
    messages: Words<String>,
    #[serde(skip)]
    hints: Words<String>,
}

impl Finding {
    /// An error in the form of the record.
    pub(crate) fn error(
        code: &str,
        pointer: &str,
        message: impl Into<Words<String>>,
        hint: impl Into<Words<String>>,
    ) -> Self {
        let (messages, hints) = (message.into(), hint.into());
        Self {
            code: code.to_owned(),
            rule: None,
            number: None,
            severity: Severity::Error,
            pointer: pointer.to_owned(),
            value: None,
            message: messages.en.clone(),
            hint: hints.en.clone(),
            language: Language::En,
            messages,
            hints,
        }
    }

    /// The same with the offending value, unless it is long.
    #[must_use]
    pub(crate) fn with_value(mut self, value: &Value) -> Self {
        self.value = Some(value.clone()).filter(|v| v.to_string().len() <= MAX_SHOWN);
        self
    }

    /// The same, its message and hint in a language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> Self {
        Self {
            message: self.messages.in_language(language).clone(),
            hint: self.hints.in_language(language).clone(),
            language,
            ..self.clone()
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = words("found", "trouvé", "ditemukan").in_language(self.language).to_owned();
        let hint = words("hint", "conseil", "saran").in_language(self.language).to_owned();
        write!(f, "{}: {} [{}]", self.pointer, self.message, self.code)?;
        if let Some(value) = &self.value {
            write!(f, " {found} {value}")?;
        }
        write!(f, " ({hint}: {})", self.hint)
    }
}

/// Reads a record: JSON within [`MAX_RECORD_BYTES`], no key twice, no fractions.
#[allow(clippy::result_large_err, reason = "made once for each request, never in a loop")]
pub fn parse_json(bytes: &[u8]) -> Result<Value, Finding> {
    let length = bytes.len();
    if length > MAX_RECORD_BYTES {
        let message = say!(
            "cannot read record: {length} bytes exceed {MAX_RECORD_BYTES}",
            "enregistrement illisible : {length} octets dépassent {MAX_RECORD_BYTES}",
            "data tidak dapat dibaca: {length} bita melebihi {MAX_RECORD_BYTES}",
        );
        let hint = words(
            "send attachments by digest, not in the record",
            "transmettre les pièces jointes par empreinte, non dans l'enregistrement",
            "kirim lampiran melalui nilai hash, bukan di dalam data",
        );
        return Err(Finding::error("record-too-large", "", message, hint));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|cause| {
        let message =
            words("cannot read record", "enregistrement illisible", "data tidak dapat dibaca");
        let hint = words(
            "send one JSON object; no key twice, quantities as texts",
            "envoyer un seul objet JSON ; aucune clé en double, quantités en texte",
            "kirim satu objek JSON; tanpa kunci ganda, jumlah sebagai teks",
        );
        Finding::error("not-json", "", message.of(cause), hint)
    })
}

/// Builds a [`Value`] and refuses what JSON leaves open.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(format!(
            "{value} is a number with a fraction or beyond 64 bits; write it as a text"
        )))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict)?;
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} stands twice")));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_doubled_keys_fractions_leftovers_and_large_records() {
        assert!(parse_json(br#"{"a":[1,"2.5",true]}"#).is_ok());
        for bad in [r#"{"a":1,"a":2}"#, r#"{"a":1.5}"#, "{} {}", "", "nonsense"] {
            assert_eq!(parse_json(bad.as_bytes()).unwrap_err().code, "not-json", "{bad}");
        }
        assert!(parse_json(&vec![b' '; MAX_RECORD_BYTES + 1]).is_err());
        assert!(parse_json("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_json(&bytes);
        }
    }
}
