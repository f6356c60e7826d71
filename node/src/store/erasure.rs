//! Forgetting, as facts of the journal: what was erased, what is held by law, what was reviewed.

use std::collections::BTreeSet;

use sealwire_wire::cbor::{self, CborError, Reader, Value};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::seal::AudienceId;

use super::fact::{array, member, take_member};

/// Parts of a record are erased here: from this fact on nobody reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The record, which may not have arrived yet.
    pub record: RecordId,
    /// Its originator.
    pub originator: MemberId,
    /// The classes of the parts.
    pub classes: BTreeSet<String>,
    /// The rule, as an erasure record names it.
    pub rule: String,
    /// When, milliseconds since 1970.
    pub at: u64,
}

/// The bytes of erased parts are gone from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// Whose log.
    pub log: MemberId,
    /// Index of the entry.
    pub index: u64,
    /// The classes of the parts.
    pub classes: BTreeSet<String>,
    /// Audiences whose secret went with them.
    pub audiences: Vec<AudienceId>,
    /// When, milliseconds since 1970.
    pub at: u64,
}

/// How far a legal hold has come: placing it and lifting it take two people each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldStep {
    /// Somebody asks for it; nothing is held yet.
    Asked,
    /// A second person has confirmed it: nothing of the record is removed.
    Placed,
    /// Somebody asks to lift it; it still holds.
    LiftAsked,
    /// A second person has lifted it.
    Lifted,
}

impl HoldStep {
    const ALL: [(Self, &str); 4] = [
        (Self::Asked, "asked"),
        (Self::Placed, "placed"),
        (Self::LiftAsked, "lift-asked"),
        (Self::Lifted, "lifted"),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }

    /// Whether the record is held.
    pub fn holds(self) -> bool {
        matches!(self, Self::Placed | Self::LiftAsked)
    }
}

/// A step of a legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The record.
    pub record: RecordId,
    /// Its originator.
    pub originator: MemberId,
    /// The step.
    pub step: HoldStep,
    /// The principal who took it.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// Day on which the hold is looked at again, as in 2026-11-30.
    pub until: String,
    /// Why: the law, court or case.
    pub reason: String,
}

/// The originator's people have looked at a record and keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The record.
    pub record: RecordId,
    /// The principal who decided.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// Day of the next review, as in 2026-11-30.
    pub until: String,
    /// Why it is still needed.
    pub reason: String,
}

fn classes(set: &BTreeSet<String>) -> Value {
    Value::Array(set.iter().map(|class| Value::from(class.as_str())).collect())
}

fn take_classes(fields: &mut Reader) -> Result<BTreeSet<String>, CborError> {
    let bad = || cbor::shape("fact", "classes", "texts");
    let list = fields.take_array("classes")?;
    list.into_iter().map(|value| value.into_text().map_err(|_| bad())).collect()
}

impl Erasure {
    pub(super) fn fields(&self) -> Vec<Value> {
        vec![
            Value::Text(self.record.to_string()),
            member(&self.originator),
            classes(&self.classes),
            Value::from(self.rule.as_str()),
            Value::from(self.at),
        ]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let names = ["record", "originator", "classes", "rule", "at"];
        let mut fields = array("erasure", bytes, &names)?;
        Ok(Self {
            record: fields.take_parsed("record", "a record id")?,
            originator: take_member(&mut fields, "originator")?,
            classes: take_classes(&mut fields)?,
            rule: fields.take_text("rule")?,
            at: fields.take_u64("at")?,
        })
    }
}

impl Purged {
    pub(super) fn fields(&self) -> Vec<Value> {
        let audiences = self.audiences.iter().map(|id| cbor::bytes(*id)).collect();
        vec![
            member(&self.log),
            Value::from(self.index),
            classes(&self.classes),
            Value::Array(audiences),
            Value::from(self.at),
        ]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let bad = || cbor::shape("purged", "audiences", "audience ids");
        let mut fields = array("purged", bytes, &["log", "index", "classes", "audiences", "at"])?;
        let (log, index) = (take_member(&mut fields, "log")?, fields.take_u64("index")?);
        let classes = take_classes(&mut fields)?;
        let audiences = fields.take_array("audiences")?.into_iter().map(|value| {
            let bytes = value.into_bytes().map_err(|_| bad())?;
            AudienceId::try_from(bytes.as_slice()).map_err(|_| bad())
        });
        let audiences = audiences.collect::<Result<_, _>>()?;
        Ok(Self { log, index, classes, audiences, at: fields.take_u64("at")? })
    }
}

impl Hold {
    pub(super) fn fields(&self) -> Vec<Value> {
        vec![
            Value::Text(self.record.to_string()),
            member(&self.originator),
            Value::from(self.step.word()),
            Value::from(self.by.as_str()),
            Value::from(self.at),
            Value::from(self.until.as_str()),
            Value::from(self.reason.as_str()),
        ]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let names = ["record", "originator", "step", "by", "at", "until", "reason"];
        let mut fields = array("hold", bytes, &names)?;
        let (record, originator) =
            (fields.take_parsed("record", "a record id")?, take_member(&mut fields, "originator")?);
        let word = fields.take_text("step")?;
        let step = HoldStep::ALL.iter().find(|(_, known)| *known == word).map(|(step, _)| *step);
        Ok(Self {
            record,
            originator,
            step: step.ok_or_else(|| cbor::shape("hold", "step", "a known step"))?,
            by: fields.take_text("by")?,
            at: fields.take_u64("at")?,
            until: fields.take_text("until")?,
            reason: fields.take_text("reason")?,
        })
    }
}

impl Review {
    pub(super) fn fields(&self) -> Vec<Value> {
        vec![
            Value::Text(self.record.to_string()),
            Value::from(self.by.as_str()),
            Value::from(self.at),
            Value::from(self.until.as_str()),
            Value::from(self.reason.as_str()),
        ]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let mut fields = array("review", bytes, &["record", "by", "at", "until", "reason"])?;
        Ok(Self {
            record: fields.take_parsed("record", "a record id")?,
            by: fields.take_text("by")?,
            at: fields.take_u64("at")?,
            until: fields.take_text("until")?,
            reason: fields.take_text("reason")?,
        })
    }
}
