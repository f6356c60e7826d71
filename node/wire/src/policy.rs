//! Witness policies: C2SP `tlog-policy`, the file that says whose word a verifier takes.
//!
//! A policy names logs, witnesses, groups of witnesses and one quorum. Our profile takes logs with
//! a key of type 0x01, witnesses with one of type 0x04 or 0x06, text in UTF-8, and a newline at the
//! end, since a name that is cut short could be another name.
//!
//! A member that cosigns with both kinds is two witnesses of different names; a group of the two,
//! `any` or `all`, makes it count once.
//!
//! This module knows nothing of the register, of clocks, or of how old a cosignature may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, verify_cosignature_of};
use crate::note::{PublicKey, VerifierKey};

/// Largest policy accepted, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
/// Most logs, most witnesses and most groups accepted.
pub const MAX_DEFINITIONS: usize = 512;
/// The quorum that asks for no cosignature.
const NONE: &str = "none";

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More bytes than the limit.
    #[error("cannot read policy: larger than {MAX_POLICY_BYTES} bytes")]
    TooLarge,
    /// Not UTF-8, a control character, or no newline at the end.
    #[error("cannot read policy: not UTF-8 text of whole lines (hint: end it with a newline)")]
    NotText,
    /// A line that cannot be taken.
    #[error("cannot read policy: line {line}: {cause}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: LineError,
    },
    /// No quorum line.
    #[error("cannot read policy: no quorum (hint: end it with `quorum <name>` or `quorum none`)")]
    NoQuorum,
    /// The policy has no log of this name.
    #[error("cannot accept checkpoint: the policy has no log {0:?}")]
    UnknownLog(String),
    /// The log's signature or a witness's cosignature does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The quorum is not reached.
    #[error("cannot accept checkpoint: the quorum is not reached by {counted} cosignatures")]
    NotWitnessed {
        /// Witnesses whose cosignature counts.
        counted: usize,
    },
}

/// Why a line, or what it defines, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not one of the four kinds of line.
    #[error("not a log, witness, group or quorum line (hint: comments begin with #)")]
    Form,
    /// Not a verifier key, or of a type that does not fit.
    #[error("not a verifier key of type {0}")]
    Key(&'static str),
    /// A name or key for the second time.
    #[error("{0:?} is defined twice, or its key is")]
    Repeated(String),
    /// The predefined name cannot be defined.
    #[error("{0:?} cannot be a name here")]
    Name(String),
    /// Not defined above.
    #[error("{0:?} is not defined above")]
    Undefined(String),
    /// Already in a group.
    #[error("{0:?} is in a group already")]
    Grouped(String),
    /// A threshold of 0, above the number of members, or not a decimal number.
    #[error("{0:?} is not a threshold: all, any, or 1 to the number of members")]
    Threshold(String),
    /// More definitions than the limit.
    #[error("more than {MAX_DEFINITIONS} definitions of one kind")]
    TooMany,
}

/// A log or a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Name inside the policy; for a log that of its key, which is its origin.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it is reached.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    threshold: usize,
    members: Vec<String>,
}

/// A policy, complete and free of contradictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Party>,
    witnesses: Vec<Party>,
    groups: Vec<Group>,
    quorum: String,
}

/// What the cosignatures of a checkpoint amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyResult {
    /// Whether the quorum is reached.
    pub satisfied: bool,
    /// Witnesses that count, by their name in the policy, with the earliest time that each has
    /// signed, seconds since 1970.
    pub witnesses: Vec<(String, u64)>,
}

impl Policy {
    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::NotText)?;
        let allowed = |c: char| !c.is_ascii_control() || c == '\n' || c == '\t';
        let lines = text.strip_suffix('\n').filter(|t| t.chars().all(allowed));
        let mut draft = Draft::default();
        for (at, line) in lines.ok_or(PolicyError::NotText)?.split('\n').enumerate() {
            let items: Vec<&str> = line.split([' ', '\t']).filter(|i| !i.is_empty()).collect();
            draft.line(&items).map_err(|cause| PolicyError::Line { line: at + 1, cause })?;
        }
        draft.finish()
    }

    /// A policy that asks for any `k` of the witnesses, each named by its key; for none at all
    /// when `k` is 0.
    pub fn k_of(
        logs: &[VerifierKey],
        witnesses: &[VerifierKey],
        k: usize,
    ) -> Result<Self, PolicyError> {
        let mut text = String::new();
        for key in logs {
            text.push_str(&format!("log {key}\n"));
        }
        for key in witnesses {
            text.push_str(&format!("witness {} {key}\n", key.name));
        }
        if k == 0 {
            text.push_str("quorum none\n");
        } else {
            let names: Vec<&str> = witnesses.iter().map(|key| key.name.as_str()).collect();
            // A key's name has no plus sign, so that this name is free.
            text.push_str(&format!("group +quorum {k} {}\nquorum +quorum\n", names.join(" ")));
        }
        Self::parse(text.as_bytes())
    }

    /// The logs.
    pub fn logs(&self) -> &[Party] {
        &self.logs
    }

    /// The witnesses.
    pub fn witnesses(&self) -> &[Party] {
        &self.witnesses
    }

    /// Reads a note and checks that it is a checkpoint signed by a log of this policy.
    pub fn verify_log(&self, note: &[u8], origin: &str) -> Result<SignedCheckpoint, PolicyError> {
        let mut refused = PolicyError::UnknownLog(origin.to_owned());
        for log in self.logs.iter().filter(|log| log.key.name == origin) {
            let PublicKey::Ed25519(public) = &log.key.public else { continue };
            match SignedCheckpoint::verify(note, origin, public) {
                Ok(signed) => return Ok(signed),
                // Another key of the same log may have signed.
                Err(cause @ CheckpointError::NotSigned(_)) => refused = cause.into(),
                Err(cause) => return Err(cause.into()),
            }
        }
        Err(refused)
    }

    /// Weighs the cosignatures of a checkpoint. The witness whose key is named `excluding` never
    /// counts: a log's owner is no witness of its own log. Lines of unknown keys are ignored; a
    /// known key whose cosignature fails refuses the whole note (signed-note).
    pub fn evaluate(
        &self,
        signed: &SignedCheckpoint,
        excluding: Option<&str>,
    ) -> Result<PolicyResult, PolicyError> {
        let mut reached = BTreeSet::new();
        let mut witnesses = Vec::new();
        for witness in &self.witnesses {
            let (key, id) = (&witness.key, witness.key.key_id());
            let lines = signed.signatures().filter(|s| s.name() == key.name && s.key_id() == id);
            let times = lines
                .map(|line| verify_cosignature_of(signed.checkpoint(), key, line))
                .collect::<Result<Vec<u64>, _>>()?;
            let counts = excluding != Some(key.name.as_str());
            if let Some(time) = times.into_iter().min().filter(|_| counts) {
                reached.insert(witness.name.as_str());
                witnesses.push((witness.name.clone(), time));
            }
        }
        // Groups name only what stands before them.
        for group in &self.groups {
            let held = group.members.iter().filter(|m| reached.contains(m.as_str())).count();
            if held >= group.threshold {
                reached.insert(group.name.as_str());
            }
        }
        let satisfied = self.quorum == NONE || reached.contains(self.quorum.as_str());
        Ok(PolicyResult { satisfied, witnesses })
    }

    /// As [`Policy::evaluate`], and refuses what does not reach the quorum.
    pub fn require(
        &self,
        signed: &SignedCheckpoint,
        excluding: Option<&str>,
    ) -> Result<PolicyResult, PolicyError> {
        let result = self.evaluate(signed, excluding)?;
        if result.satisfied {
            Ok(result)
        } else {
            Err(PolicyError::NotWitnessed { counted: result.witnesses.len() })
        }
    }
}

impl fmt::Display for Policy {
    /// The policy file, without the comments it may have had.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |party: &Party| party.url.as_ref().map(|u| format!(" {u}")).unwrap_or_default();
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(log))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key, url(witness))?;
        }
        for group in &self.groups {
            writeln!(f, "group {} {} {}", group.name, group.threshold, group.members.join(" "))?;
        }
        writeln!(f, "quorum {}", self.quorum)
    }
}

/// A policy of which some lines have been read.
#[derive(Default)]
struct Draft<'a> {
    logs: Vec<Party>,
    witnesses: Vec<Party>,
    groups: Vec<Group>,
    quorum: Option<&'a str>,
    /// Witnesses and groups, and whether each is in a group already.
    names: BTreeMap<&'a str, bool>,
}

impl<'a> Draft<'a> {
    fn line(&mut self, items: &[&'a str]) -> Result<(), LineError> {
        match items {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            ["quorum", name] => self.quorum(name),
            _ => Err(LineError::Form),
        }
    }

    fn log(&mut self, key: &str, url: Option<&str>) -> Result<(), LineError> {
        let key = VerifierKey::parse(key).ok();
        let key = key.filter(|key| matches!(key.public, PublicKey::Ed25519(_)));
        let key = key.ok_or(LineError::Key("0x01"))?;
        let name = key.name.clone();
        add(&mut self.logs, Party { name, key, url: url.map(str::to_owned) })
    }

    fn witness(&mut self, name: &'a str, key: &str, url: Option<&str>) -> Result<(), LineError> {
        let key = VerifierKey::parse(key).ok();
        let key = key.filter(|key| !matches!(key.public, PublicKey::Ed25519(_)));
        let key = key.ok_or(LineError::Key("0x04 or 0x06"))?;
        self.define(name)?;
        add(&mut self.witnesses, Party { name: name.to_owned(), key, url: url.map(str::to_owned) })
    }

    fn group(
        &mut self,
        name: &'a str,
        threshold: &str,
        members: &[&'a str],
    ) -> Result<(), LineError> {
        if self.groups.len() == MAX_DEFINITIONS {
            return Err(LineError::TooMany);
        }
        for member in members {
            let grouped = self.names.get_mut(member);
            let grouped = grouped.ok_or_else(|| LineError::Undefined((*member).to_owned()))?;
            if std::mem::replace(grouped, true) {
                return Err(LineError::Grouped((*member).to_owned()));
            }
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            text => text
                .parse()
                .ok()
                .filter(|k: &usize| (1..=members.len()).contains(k) && k.to_string() == text)
                .ok_or_else(|| LineError::Threshold(text.to_owned()))?,
        };
        self.define(name)?;
        let members = members.iter().map(|m| (*m).to_owned()).collect();
        self.groups.push(Group { name: name.to_owned(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &'a str) -> Result<(), LineError> {
        if name != NONE && !self.names.contains_key(name) {
            return Err(LineError::Undefined(name.to_owned()));
        }
        if self.quorum.replace(name).is_some() {
            return Err(LineError::Repeated("quorum".to_owned()));
        }
        Ok(())
    }

    fn define(&mut self, name: &'a str) -> Result<(), LineError> {
        if name == NONE {
            return Err(LineError::Name(name.to_owned()));
        }
        let repeated = self.names.insert(name, false).is_some();
        if repeated { Err(LineError::Repeated(name.to_owned())) } else { Ok(()) }
    }

    fn finish(self) -> Result<Policy, PolicyError> {
        let Self { logs, witnesses, groups, quorum, .. } = self;
        let quorum = quorum.ok_or(PolicyError::NoQuorum)?.to_owned();
        Ok(Policy { logs, witnesses, groups, quorum })
    }
}

/// Keys are duplicates if they are the same public key, whatever their names.
fn add(parties: &mut Vec<Party>, party: Party) -> Result<(), LineError> {
    if parties.len() == MAX_DEFINITIONS {
        Err(LineError::TooMany)
    } else if parties.iter().any(|other| other.key.public.as_bytes() == party.key.public.as_bytes())
    {
        Err(LineError::Repeated(party.name))
    } else {
        parties.push(party);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
