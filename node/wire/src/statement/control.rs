//! The manifests of control entries that count, and of keys: their fields, and how they are read.

use std::collections::{BTreeMap, BTreeSet};

use crate::cbor::{self, CborError, Fields, Value};
use crate::id::{Digest, MemberId, WORD, is_word};
use crate::seal::SEAL_PUBLIC_LEN;

use super::manifest::{
    KeyManifest, MANIFEST, ReadsManifest, members_value, read_map, read_members,
};

/// Most rows of counts in one entry on matching: its manifest holds that many.
pub const MAX_MATCH_ROWS: usize = 64;

/// On which side of questions a member stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchSide {
    /// It asked.
    Asked,
    /// It answered.
    Answered,
}

impl MatchSide {
    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Answered => "answered",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Asked, Self::Answered].into_iter().find(|side| side.as_str() == word)
    }
}

/// How many questions were put to one member on one day, or answered to it; not which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchesManifest {
    /// The member on the other side, alone.
    pub to: BTreeSet<MemberId>,
    /// On which side the issuer stood.
    pub side: MatchSide,
    /// The responder's day, UTC, counted from 1970-01-01.
    pub day: u64,
    /// How many, by community, purpose and type of identifier; each above 0.
    pub counts: MatchCounts,
}

/// Numbers of questions by community, purpose and type of identifier.
pub type MatchCounts = BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>;

impl MatchesManifest {
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("to", members_value(&self.to)),
            ("side", Value::from(self.side.as_str())),
            ("day", Value::from(self.day)),
            (
                "counts",
                by_word(&self.counts, |purposes| {
                    by_word(purposes, |kinds| by_word(kinds, |count| Value::from(*count)))
                }),
            ),
        ]
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, CborError> {
        const COUNTS: &str = "counts above 0 by community, purpose and type, at most 64";
        let bad = || cbor::shape(MANIFEST, "counts", COUNTS);
        let word = |text: &str| {
            let not = || cbor::shape(MANIFEST, "counts", WORD);
            if is_word(text) { Ok(text.to_owned()) } else { Err(not()) }
        };
        let to = read_members(fields.take("to")?)?;
        let side = MatchSide::from_word(fields.take_text("side")?)
            .ok_or_else(|| cbor::shape(MANIFEST, "side", "asked or answered"))?;
        let day = fields.take_u64("day")?;
        let mut rows = 0;
        let counts = read_map(&mut fields.take("counts")?, "counts", |community, purposes| {
            let purposes = read_map(purposes, "counts", |purpose, kinds| {
                let kinds = read_map(kinds, "counts", |kind, count| {
                    rows += 1;
                    let count = count.unsigned("counts").ok();
                    Ok((word(kind)?, count.filter(|count| *count > 0).ok_or_else(bad)?))
                })?;
                if kinds.is_empty() { Err(bad()) } else { Ok((word(purpose)?, kinds)) }
            })?;
            if purposes.is_empty() { Err(bad()) } else { Ok((word(community)?, purposes)) }
        })?;
        if !(1..=MAX_MATCH_ROWS).contains(&rows) {
            return Err(bad());
        }
        if to.len() != 1 {
            return Err(cbor::shape(MANIFEST, "to", "one member id"));
        }
        Ok(Self { to, side, day, counts })
    }
}

fn by_word<T>(map: &BTreeMap<String, T>, value: impl Fn(&T) -> Value) -> Value {
    Value::Map(map.iter().map(|(word, of)| (Value::from(word.as_str()), value(of))).collect())
}

impl KeyManifest {
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![
            ("epoch", Value::from(self.epoch)),
            ("public", cbor::bytes(self.public.as_slice())),
            ("from", Value::from(self.from)),
            ("until", Value::from(self.until)),
        ];
        fields.extend(self.match_key.map(|key| ("match", cbor::bytes(key))));
        fields
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, CborError> {
        let bad = || cbor::shape(MANIFEST, "match", "32 bytes");
        Ok(Self {
            epoch: fields.take_u64("epoch")?,
            public: fields.take_fixed::<SEAL_PUBLIC_LEN>("public")?.to_vec(),
            from: fields.take_u64("from")?,
            until: fields.take_u64("until")?,
            match_key: fields
                .take_opt("match")
                .map(|mut key| key.byte_array("match").map_err(|_| bad()))
                .transpose()?,
        })
    }
}

impl ReadsManifest {
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        let counts = self.counts.iter().map(|(record, classes)| {
            let classes = classes.iter();
            let classes = classes.map(|(c, count)| (Value::from(c.as_str()), Value::from(*count)));
            (Value::Text(record.to_string()), Value::Map(classes.collect()))
        });
        vec![
            ("to", members_value(&self.to)),
            ("from", Value::from(self.from)),
            ("until", Value::from(self.until)),
            ("counts", Value::Map(counts.collect())),
            ("commitment", cbor::bytes(self.commitment.0)),
        ]
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, CborError> {
        const COUNTS: &str = "a map from record ids to maps from classes to counts above 0";
        let bad = || cbor::shape(MANIFEST, "counts", COUNTS);
        let reads = Self {
            to: read_members(fields.take("to")?)?,
            from: fields.take_u64("from")?,
            until: fields.take_u64("until")?,
            counts: read_map(&mut fields.take("counts")?, "counts", |record, classes| {
                let classes = read_map(classes, "counts", |class, count| {
                    let count = count.unsigned("counts").ok();
                    Ok((class.to_owned(), count.filter(|count| *count > 0).ok_or_else(bad)?))
                })?;
                let record = record.parse().map_err(|_| bad())?;
                if classes.is_empty() { Err(bad()) } else { Ok((record, classes)) }
            })?,
            commitment: Digest(fields.take_fixed("commitment")?),
        };
        if reads.to.len() != 1 {
            return Err(cbor::shape(MANIFEST, "to", "one member id"));
        }
        if reads.counts.is_empty() {
            return Err(bad());
        }
        if reads.from > reads.until {
            return Err(cbor::shape(MANIFEST, "until", "not before `from`"));
        }
        Ok(reads)
    }
}
