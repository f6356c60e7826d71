//! What an auditor reads beside tiles and checkpoints: statement files, outcome files, and the
//! manifest of an exported bundle.
//!
//! A bundle is a POSIX ustar archive with the layout of a data directory, its manifest first. See
//! "Bundles" in `docs/PROTOCOL.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cbor::{self, CborError, Reader, Strict, Value};
use crate::id::{MemberId, RecordId};

/// What a manifest says it is.
const FORMAT: &str = "sealwire-bundle-v1";
/// Directory of the opened fields in a bundle, a [`crate::field_proof`] a file.
pub const OPENINGS: &str = "openings";
/// Most records of which fields are opened in a bundle.
pub const MAX_OPENINGS: usize = 1_000;
/// Name of the manifest in a bundle.
pub const MANIFEST: &str = "bundle.json";
/// Largest manifest accepted, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;
/// Largest element of a statement file, in bytes.
pub const MAX_ELEMENT_BYTES: usize = 16 * 1024 * 1024;
/// Largest element of an outcome file, in bytes.
pub const MAX_OUTCOME_BYTES: usize = 256 * 1024;
/// Most ranges in a file of held entries.
pub const MAX_HELD_RANGES: usize = 4 * 1024 * 1024;
/// Largest file of held entries, in bytes.
pub const MAX_HELD_BYTES: usize = 18 * MAX_HELD_RANGES + 16;

/// What a bundle holds: its first file, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// The federation's name.
    pub federation: String,
    /// Whose node exported it.
    pub member: MemberId,
    /// Size of the own log at its checkpoint.
    pub size: u64,
    /// Index of the first entry whose statement is in the bundle.
    pub from: u64,
    /// Index past the last one.
    pub to: u64,
    /// Whether parts are in it.
    pub parts: bool,
    /// First and last version of the register in it.
    pub register: (u64, u64),
    /// The other members' logs, with the size that was mirrored of each.
    pub mirrors: BTreeMap<MemberId, u64>,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read bundle.json: {0} (hint: give what `sealwire audit export` wrote)")]
pub struct ManifestError(String);

impl Manifest {
    /// The manifest of a bundle of `member`'s log, of which `size` entries are signed.
    pub fn new(federation: String, member: MemberId, size: u64) -> Self {
        let (format, mirrors) = (FORMAT.to_owned(), BTreeMap::new());
        let (from, to, parts, register) = (0, size, false, (1, 1));
        Self { format, federation, member, size, from, to, parts, register, mirrors }
    }

    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let bad = |cause: String| Err(ManifestError(cause));
        if bytes.len() > MAX_MANIFEST_BYTES {
            return bad(format!("more than {MAX_MANIFEST_BYTES} bytes"));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|cause| ManifestError(cause.to_string()))?;
        if manifest.format != FORMAT {
            return bad(format!("its format is {:?}, not {FORMAT:?}", manifest.format));
        }
        if manifest.from > manifest.to || manifest.to > manifest.size {
            let Self { from, to, size, .. } = manifest;
            return bad(format!("entries {from} to {to} of a log of {size}"));
        }
        if manifest.register.0 == 0 || manifest.register.0 > manifest.register.1 {
            return bad("register versions out of order".to_owned());
        }
        Ok(manifest)
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Name of the file with the opened fields of a record.
pub fn opening_name(record: &RecordId) -> String {
    let record = record.to_string();
    format!("{OPENINGS}/{}.field", record.strip_prefix("urn:uuid:").unwrap_or(&record))
}

/// One element of a statement file, which is a CBOR sequence (RFC 8742) of them. It lies where it
/// was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// Index of the entry.
    pub index: u64,
    /// The statement.
    pub statement: &'a [u8],
    /// Sealed parts by class.
    pub sealed: BTreeMap<&'a str, &'a [u8]>,
    /// Opened parts by class: of classes that may rest in the clear, and no others.
    pub opened: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Element<'a> {
    /// Reads the element at the start of `rest` and leaves what follows.
    pub fn next(rest: &mut &'a [u8]) -> Result<Self, CborError> {
        const WHAT: &str = "statement file";
        let bytes: &'a [u8] = rest;
        let mut strict = Strict::new(WHAT, bytes.get(..MAX_ELEMENT_BYTES).unwrap_or(bytes));
        let parts = |strict: &mut Strict<'a>| {
            let mut parts = BTreeMap::new();
            strict.map("parts", |class, part| {
                parts.insert(class, part.byte_string("parts")?);
                Ok(())
            })?;
            Ok::<_, CborError>(parts)
        };
        strict.array("the whole", 4)?;
        let element = Self {
            index: strict.unsigned("index")?,
            statement: strict.byte_string("statement")?,
            sealed: parts(&mut strict)?,
            opened: parts(&mut strict)?,
        };
        *rest = bytes.get(strict.at..).unwrap_or_default();
        Ok(element)
    }

    /// The element's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let map = |parts: &BTreeMap<&str, &[u8]>| {
            let pairs = parts.iter();
            Value::Map(
                pairs.map(|(class, part)| (Value::from(*class), cbor::bytes(*part))).collect(),
            )
        };
        cbor::encode(&Value::Array(vec![
            Value::from(self.index),
            cbor::bytes(self.statement),
            map(&self.sealed),
            map(&self.opened),
        ]))
    }
}

/// What came of entries, as the node that wrote the file says: an element of an outcome file,
/// which is a CBOR sequence (RFC 8742) of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The log's owner answered, signed, that indexes are not addressed to this member: see
    /// [`crate::statement::Denial`].
    Denied(Vec<u8>),
    /// This member quarantined an entry of the log.
    Quarantined {
        /// Index of the entry.
        index: u64,
        /// Stable kebab-case code.
        code: String,
    },
    /// Another member quarantined an entry of this member's own log.
    Refused {
        /// Who.
        by: MemberId,
        /// Index of the entry.
        index: u64,
        /// Stable kebab-case code.
        code: String,
    },
    /// An operator let this node sign after a restore, without the word of its peers.
    HeadAccepted {
        /// Size of the own log then.
        size: u64,
        /// When, milliseconds since 1970.
        at: u64,
        /// Why, in the operator's words.
        reason: String,
    },
    /// This member erased parts of an entry: its own by an order in its log, others' here alone.
    Erased {
        /// Index of the entry.
        index: u64,
        /// The classes of the parts.
        classes: Vec<String>,
        /// The rule, as an erasure record names it.
        rule: String,
        /// When, milliseconds since 1970.
        at: u64,
    },
    /// A step of a legal hold of this member on an entry.
    Hold {
        /// Index of the entry.
        index: u64,
        /// `asked`, `placed`, `lift-asked` or `lifted`.
        step: String,
        /// The principal who took it.
        by: String,
        /// When, milliseconds since 1970.
        at: u64,
        /// Day on which the hold is looked at again.
        until: String,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Reads the element at the start of `rest` and leaves what follows.
    pub fn next(rest: &mut &[u8]) -> Result<Self, CborError> {
        const WHAT: &str = "outcome file";
        let value = cbor::decode_next(WHAT, rest, MAX_OUTCOME_BYTES)?;
        let names: &[&'static str] = match value.as_array().map(Vec::len) {
            Some(2) => &["outcome", "0"],
            Some(3) => &["outcome", "0", "1"],
            Some(5) => &["outcome", "0", "1", "2", "3"],
            Some(7) => &["outcome", "0", "1", "2", "3", "4", "5"],
            _ => &["outcome", "0", "1", "2"],
        };
        let mut fields = Reader::of_array(WHAT, value, names)?;
        let outcome = match fields.take_text("outcome")?.as_str() {
            "denied" => Self::Denied(fields.take_bytes("0")?),
            "quarantined" => {
                Self::Quarantined { index: fields.take_u64("0")?, code: fields.take_text("1")? }
            }
            "refused" => Self::Refused {
                by: fields.take_parsed("0", "a member id")?,
                index: fields.take_u64("1")?,
                code: fields.take_text("2")?,
            },
            "head-accepted" => Self::HeadAccepted {
                size: fields.take_u64("0")?,
                at: fields.take_u64("1")?,
                reason: fields.take_text("2")?,
            },
            "erased" => {
                let bad = || cbor::shape(WHAT, "1", "texts");
                let index = fields.take_u64("0")?;
                let classes = fields.take_array("1")?.into_iter();
                let classes = classes.map(|class| class.into_text().map_err(|_| bad()));
                let classes = classes.collect::<Result<_, _>>()?;
                let (rule, at) = (fields.take_text("2")?, fields.take_u64("3")?);
                Self::Erased { index, classes, rule, at }
            }
            "hold" => Self::Hold {
                index: fields.take_u64("0")?,
                step: fields.take_text("1")?,
                by: fields.take_text("2")?,
                at: fields.take_u64("3")?,
                until: fields.take_text("4")?,
                reason: fields.take_text("5")?,
            },
            _ => return Err(cbor::shape(WHAT, "outcome", "a known outcome")),
        };
        fields.finish()?;
        Ok(outcome)
    }

    /// The element's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = |text: &str| Value::from(text);
        cbor::encode(&Value::Array(match self {
            Self::Denied(bytes) => vec![text("denied"), cbor::bytes(bytes.as_slice())],
            Self::Quarantined { index, code } => {
                vec![text("quarantined"), Value::from(*index), text(code)]
            }
            Self::Refused { by, index, code } => {
                vec![text("refused"), text(by.as_str()), Value::from(*index), text(code)]
            }
            Self::HeadAccepted { size, at, reason } => {
                vec![text("head-accepted"), Value::from(*size), Value::from(*at), text(reason)]
            }
            Self::Erased { index, classes, rule, at } => vec![
                text("erased"),
                Value::from(*index),
                Value::Array(classes.iter().map(|class| text(class)).collect()),
                text(rule),
                Value::from(*at),
            ],
            Self::Hold { index, step, by, at, until, reason } => vec![
                text("hold"),
                Value::from(*index),
                text(step),
                text(by),
                Value::from(*at),
                text(until),
                text(reason),
            ],
        }))
    }
}

/// The indexes of another member's log that a member holds, as half-open ranges, in order and
/// apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held(Vec<(u64, u64)>);

impl Held {
    /// Adds an index; false if it is not above all before.
    pub fn push(&mut self, index: u64) -> bool {
        let Some(past) = index.checked_add(1) else { return false };
        match self.0.last_mut() {
            Some((_, last)) if *last == index => *last = past,
            Some((_, last)) if *last > index => return false,
            _ => self.0.push((index, past)),
        }
        true
    }

    /// Whether an index is held.
    pub fn holds(&self, index: u64) -> bool {
        let past = self.0.partition_point(|(from, _)| *from <= index);
        past.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|(_, to)| index < *to)
    }

    /// How many are held.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// Past the last index held.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |(_, to)| *to)
    }

    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        const WHAT: &str = "held entries";
        let bad = || cbor::shape(WHAT, "ranges", "integers in order, each range apart");
        let value = cbor::decode_plain(WHAT, bytes, MAX_HELD_BYTES)?;
        let flat: Option<Vec<u64>> = value
            .into_array()
            .ok()
            .and_then(|items| items.into_iter().map(|i| i.as_integer()?.try_into().ok()).collect());
        let flat = flat.filter(|flat| flat.len().is_multiple_of(2)).ok_or_else(bad)?;
        if !flat.windows(2).all(|w| matches!(w, [a, b] if a < b)) {
            return Err(bad());
        }
        Ok(Self(flat.chunks_exact(2).filter_map(|c| Some((*c.first()?, *c.get(1)?))).collect()))
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flat = self.0.iter().flat_map(|(from, to)| [Value::from(*from), Value::from(*to)]);
        cbor::encode(&Value::Array(flat.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(id: &str) -> MemberId {
        id.parse().unwrap()
    }

    #[test]
    fn a_manifest_is_read_back_and_a_range_outside_the_log_is_refused() {
        let mut manifest = Manifest::new("test.example".to_owned(), member("ID"), 9);
        manifest.mirrors.insert(member("SG"), 4);
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        manifest.to = 10;
        let refused = Manifest::parse(&manifest.to_bytes()).unwrap_err().to_string();
        assert!(refused.contains("entries 0 to 10 of a log of 9"), "{refused}");
        manifest.to = 9;
        manifest.format = "sealwire-bundle-v2".to_owned();
        assert!(Manifest::parse(&manifest.to_bytes()).is_err());
    }

    #[test]
    fn outcomes_of_every_kind_are_read_back() {
        let (code, reason) = ("bad-signature".to_owned(), "disk lost".to_owned());
        let outcomes = [
            Outcome::Denied(vec![1, 2]),
            Outcome::Quarantined { index: 3, code: code.clone() },
            Outcome::Refused { by: member("SG"), index: 4, code },
            Outcome::HeadAccepted { size: 5, at: 6, reason },
            Outcome::Erased {
                index: 7,
                classes: vec!["nominal".to_owned(), "text".to_owned()],
                rule: "retention-ended".to_owned(),
                at: 8,
            },
            Outcome::Hold {
                index: 9,
                step: "placed".to_owned(),
                by: "clerk".to_owned(),
                at: 10,
                until: "2027-01-31".to_owned(),
                reason: "court".to_owned(),
            },
        ];
        let file: Vec<u8> = outcomes.iter().flat_map(Outcome::to_bytes).collect();
        let mut rest = file.as_slice();
        for outcome in &outcomes {
            assert_eq!(Outcome::next(&mut rest).unwrap(), *outcome);
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn gigantic_counts_are_refused_without_room_being_made_for_them() {
        let heads = [&[0x9b][..], &[0x84, 0, 0x5b], &[0x84, 0, 0x40, 0xbb], &[0x82, 0x7b]];
        for head in heads {
            let bytes = [head, &[0x7f; 8], &[0; 4]].concat();
            assert!(Held::parse(&bytes).is_err(), "{head:x?}");
            assert!(Element::next(&mut bytes.as_slice()).is_err(), "{head:x?}");
            assert!(Outcome::next(&mut bytes.as_slice()).is_err(), "{head:x?}");
        }
        let most = vec![b' '; MAX_MANIFEST_BYTES + 1];
        assert!(Manifest::parse(&most).unwrap_err().to_string().contains("more than"));
    }

    #[test]
    fn whatever_byte_is_changed_or_cut_what_is_read_is_what_would_be_written() {
        let element = Element {
            index: 300,
            statement: &[0xd2; 40],
            sealed: BTreeMap::from([("nominal", &[7; 30][..])]),
            opened: BTreeMap::from([("core", &[7; 30][..])]),
        };
        let mut held = Held::default();
        assert!([3, 4, 90, 70_000].iter().all(|index| held.push(*index)));
        let (element, held) = (element.to_bytes(), held.to_bytes());
        let spoilt = |good: &[u8]| {
            let changed = (0..good.len()).flat_map(|at| (0..=u8::MAX).map(move |to| (at, to)));
            let changed = changed.map(|(at, to)| {
                let mut bytes = good.to_vec();
                bytes[at] = to;
                bytes
            });
            changed.chain((0..good.len()).map(|to| good[..to].to_vec())).collect::<Vec<_>>()
        };
        for bytes in spoilt(&element) {
            if let Ok(read) = Element::next(&mut bytes.as_slice()) {
                assert!(bytes.starts_with(&read.to_bytes()), "{bytes:x?}");
            }
        }
        for bytes in spoilt(&held) {
            if let Ok(read) = Held::parse(&bytes) {
                assert_eq!(read.to_bytes(), bytes);
            }
        }
        assert!(Held::parse(&[held.as_slice(), &[0]].concat()).is_err(), "padded");
    }

    proptest! {
        #[test]
        fn held_indexes_are_those_that_were_added(
            indexes in prop::collection::btree_set(0u64..200, 0..60)
        ) {
            let mut held = Held::default();
            prop_assert!(indexes.iter().all(|index| held.push(*index)));
            let read = Held::parse(&held.to_bytes()).unwrap();
            prop_assert_eq!(&read, &held);
            prop_assert_eq!(read.count(), indexes.len() as u64);
            prop_assert!((0..=200).all(|index| read.holds(index) == indexes.contains(&index)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::parse(&bytes);
            let _ = Held::parse(&bytes);
            let _ = Element::next(&mut bytes.as_slice());
            if let Ok(outcome) = Outcome::next(&mut bytes.as_slice()) {
                prop_assert!(bytes.starts_with(&outcome.to_bytes()));
            }
        }
    }
}
