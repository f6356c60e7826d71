//! The gate: every record, ours or a peer's, passes the same function before it is logged.
//!
//! The ladder, each step a type that only its own function builds:
//!
//! ```text
//! bytes ── Statement::parse, verify ──> Authentic   signature by a key valid at this index;
//!                                                   true for as long as the register's past
//!   Authentic + opened parts ── admit ──> Admitted  agreement, schema pins, content checked to
//!                                                   the extent that this member can open it
//! ```
//!
//! A refusal says whose fault it is: [`Verdict::Ignore`] is early or not for us,
//! [`Verdict::Reject`] is forged or malformed. This module knows nothing of disks or sockets.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::{Disclosure, FieldClass, Parts, Standard, ValidRecord};
use sealwire_wire::cbor;
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{Item, WRAP};
use sealwire_wire::part::Part;
use sealwire_wire::register::{Community, Register, Status};
use sealwire_wire::seal::{
    AudienceId, AudienceSecret, PartContext, SealPublicKey, open_part, sealed_padded_len,
};
use sealwire_wire::statement::{
    AuthenticStatement, Body, Claims, RecordManifest, Relation, RelationVerb, Statement,
};

use crate::refusal::Refusal;
use crate::release;
use crate::store::Fact;

/// What gossip is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Early, a duplicate, or not for us.
    Ignore,
    /// Forged or malformed.
    Reject,
}

/// Why an entry of a peer was not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{refusal}")]
pub struct NotTaken {
    /// What the relaying peer is held to.
    pub verdict: Verdict,
    /// What is said to an operator.
    pub refusal: Refusal,
}

/// An entry whose signature holds under a key that the register lists for its place.
#[derive(Debug, Clone)]
pub struct Authentic {
    /// Its place in the originator's log.
    pub index: u64,
    /// The statement.
    pub statement: AuthenticStatement,
    /// Sealed parts, each of the length that the statement says.
    pub sealed: BTreeMap<String, Vec<u8>>,
    /// Set when its key was ended before this place: the entry is held, and counts for nothing.
    pub void: bool,
    /// Set when its originator has ordered parts of it to be erased, so that no one gives them any
    /// more: PROTOCOL, section 14.
    pub erased: bool,
}

impl Authentic {
    /// Whether all that the statement names came along, but for what was erased.
    pub fn complete(&self) -> bool {
        match &self.statement.manifest().body {
            Body::Record(record) => {
                let there = |class: &String| {
                    self.sealed.contains_key(class) || (self.erased && class != "open")
                };
                record.parts.keys().all(there)
            }
            _ => true,
        }
    }

    /// The entry as it is kept and sent.
    pub fn into_item(self) -> Item {
        let Self { index, statement, sealed, .. } = self;
        Item { index, statement: statement.bytes().to_vec(), proof: Vec::new(), sealed }
    }
}

/// A peer's entry that has been through the gate.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The entry.
    pub entry: Authentic,
    /// Set when its content fails: it is kept, but quarantined.
    pub quarantine: Option<Refusal>,
    /// Local facts learnt from it, kept with it: an audience secret.
    pub facts: Vec<Fact>,
}

/// What a record's opened parts are: ours, whole and already valid, or what a receiver can open.
pub enum Content<'a> {
    /// Our own, valid as a whole.
    Whole(&'a ValidRecord),
    /// What was opened.
    Opened(&'a Opened),
}

/// The parts of one record that this member can open.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// By class.
    pub parts: BTreeMap<FieldClass, Part>,
    /// Classes whose audience secret this member does not hold.
    pub withheld: Vec<FieldClass>,
    /// Classes of which the record has no field, as its manifest shows: nothing is withheld there.
    pub absent: Vec<FieldClass>,
    /// Set when a sealed part does not match what its originator signed.
    pub broken: Option<Refusal>,
}

impl Opened {
    /// The disclosures as the schema check wants them.
    pub fn disclosures(&self) -> Parts {
        let part = |part: &Part| {
            let fields = part.disclosures().iter();
            fields
                .filter_map(|d| {
                    let value = cbor::to_json(&d.value)?;
                    Some(Disclosure { pointer: d.pointer.clone(), value })
                })
                .collect()
        };
        let held = self.parts.iter().map(|(class, p)| (*class, part(p)));
        held.chain(self.absent.iter().map(|class| (*class, Vec::new()))).collect()
    }
}

/// Checks who signed an entry of `log`, and that its sealed parts are of the stated lengths.
pub fn authenticate(
    register: &Register,
    log: &MemberId,
    item: &Item,
) -> Result<Authentic, NotTaken> {
    let statement = Statement::parse(&item.statement)
        .map_err(|e| reject("statement-malformed", e.to_string()))?;
    if statement.claims().issuer != *log {
        return Err(reject(
            "issuer-mismatch",
            format!("cannot accept entry: signed for another log than {log}"),
        ));
    }
    let manifest = statement.manifest();
    if manifest.federation != register.federation() {
        return Err(reject("other-federation", "cannot accept entry: made for another federation"));
    }
    if manifest.register > register.version() {
        return Err(ignore(
            "register-newer",
            format!(
                "cannot accept entry: made under register version {}, this node has {}",
                manifest.register,
                register.version()
            ),
        ));
    }
    let member = register.member(log).ok_or_else(|| {
        ignore("unknown-member", format!("cannot accept entry: {log} is not in the register"))
    })?;
    if member.status != Status::Active {
        return Err(ignore(
            "member-not-active",
            format!("cannot accept entry: {log} is suspended or has left"),
        ));
    }
    let void = is_void(register, log, item.index, &statement);
    let key = if void {
        member.sign_key(&statement.key_id())
    } else {
        member.sign_key_at(&statement.key_id(), item.index)
    };
    let key = key.ok_or_else(|| {
        reject(
            "key-not-valid-here",
            format!(
                "cannot accept entry {} of {log}: its key is not valid at that index",
                item.index
            ),
        )
    })?;
    let public = key.public;
    let statement =
        statement.verify(&public).map_err(|e| reject("signature-invalid", e.to_string()))?;
    check_sealed(&statement, item)?;
    let entry = Authentic {
        index: item.index,
        statement,
        sealed: item.sealed.clone(),
        void,
        erased: false,
    };
    Ok(entry)
}

/// Whether an entry of `log` is signed by a key of its owner that the register has ended before
/// it. Whoever had the key could have signed it: it stands in the log, and says nothing.
pub fn is_void(register: &Register, log: &MemberId, index: u64, statement: &Statement) -> bool {
    let key = register.member(log).and_then(|member| member.sign_key(&statement.key_id()));
    key.and_then(|key| key.until).is_some_and(|until| until <= index)
}

/// Why an entry counts for nothing whose key was ended before it.
pub fn void(log: &MemberId, index: u64) -> Refusal {
    Refusal::new(
        "key-ended",
        422,
        format!("cannot accept entry {index} of {log}: its key was ended before it"),
        "ask the originator whether it made this entry; if so it publishes it again",
    )
}

/// Checks an authentic statement against the agreement and the standard. What is refused is
/// quarantined when it is a peer's, and not logged when it is ours.
pub fn admit(
    register: &Register,
    statement: &AuthenticStatement,
    content: Content<'_>,
) -> Result<(), Refusal> {
    match &statement.manifest().body {
        Body::Record(record) => check_record(register, statement, record, content),
        Body::Audience(audience) => {
            let issuer = &statement.claims().issuer;
            let community = release::sender_of(register, issuer, &audience.community)?;
            check_members(community, &audience.to)
        }
        Body::Key(key) => SealPublicKey::from_bytes(&key.public)
            .map(|_| ())
            .map_err(|e| Refusal::new("seal-key-invalid", 422, e.to_string(), "make a new key")),
        Body::Register(_) | Body::Reads(_) | Body::Dummy | Body::Matches(_) => Ok(()),
    }
}

/// Opens what this member can open of a record.
pub fn open(
    claims: &Claims,
    record: &RecordManifest,
    sealed: &BTreeMap<String, Vec<u8>>,
    secret_of: impl Fn(&AudienceId) -> Option<AudienceSecret>,
) -> Opened {
    let absent = FieldClass::ALL.into_iter().filter(|c| !record.parts.contains_key(c.as_str()));
    let mut opened = Opened { absent: absent.collect(), ..Opened::default() };
    for (class_name, part) in &record.parts {
        let Ok(class) = class_name.parse::<FieldClass>() else {
            opened.broken = Some(unknown_class(class_name));
            continue;
        };
        let (Some(bytes), Some(secret)) = (sealed.get(class_name), secret_of(&part.audience))
        else {
            opened.withheld.push(class);
            continue;
        };
        let context = PartContext {
            originator: &claims.issuer,
            record: &claims.subject,
            class: class_name,
            commitment: &part.commitment,
        };
        match open_part(&secret, context, bytes) {
            Ok(part) => {
                opened.parts.insert(class, part);
            }
            Err(cause) => {
                opened.broken = Some(Refusal::new(
                    "part-mismatch",
                    422,
                    format!("cannot open part {class_name}: {cause}"),
                    "the originator must publish the record again",
                ));
            }
        }
    }
    opened
}

fn check_sealed(statement: &AuthenticStatement, item: &Item) -> Result<(), NotTaken> {
    let malformed = |what: String| Err(reject("sealed-part-malformed", what));
    for (class, bytes) in &item.sealed {
        match &statement.manifest().body {
            Body::Record(record) => {
                let stated = record.parts.get(class).map(|part| part.length);
                let found = sealed_padded_len(bytes);
                if stated.is_none() || found.as_ref().ok().copied() != stated {
                    return malformed(format!(
                        "cannot accept part {class:?} of entry {}: not of the length that its statement says",
                        item.index
                    ));
                }
            }
            Body::Audience(_) if class == WRAP => {}
            _ => {
                return malformed(format!(
                    "cannot accept entry {}: it carries {class:?}, which its statement does not name",
                    item.index
                ));
            }
        }
    }
    Ok(())
}

fn check_record(
    register: &Register,
    statement: &AuthenticStatement,
    record: &RecordManifest,
    content: Content<'_>,
) -> Result<(), Refusal> {
    let issuer = &statement.claims().issuer;
    let community = release::sender_of(register, issuer, &record.community)?;
    let handling = record.handling.to_json().unwrap_or_default();
    release::check_agreement(community, &record.kind, &handling)?;
    match &record.to {
        Some(to) => check_members(community, to)?,
        None if release::Handling::of(&handling).is_red() => return Err(release::red_to_all()),
        None => {}
    }
    if let Some(relation) = &record.relation {
        check_relation(issuer, relation)?;
    }
    let kind = Standard::v1().kind(&record.kind).ok_or_else(|| {
        Refusal::new(
            "unknown-kind",
            422,
            format!("cannot check record: kind {:?} is not known to this node", record.kind),
            "upgrade this node to the schemas that the register pins",
        )
    })?;
    if record.schema != kind.schema_id() || record.schema_digest.0 != kind.digest() {
        return Err(Refusal::new(
            "schema-not-pinned",
            422,
            format!("cannot check record: made under schema {} with another digest", record.schema),
            "both nodes must use the schema edition that the register pins",
        ));
    }
    match content {
        Content::Whole(valid) if valid.kind().name() == record.kind => Ok(()),
        Content::Whole(_) => Err(Refusal::new(
            "kind-mismatch",
            422,
            "cannot accept record: its kind is not the one in the manifest",
            "publish it under its own kind",
        )),
        Content::Opened(opened) => check_opened(statement, record, &handling, opened),
    }
}

/// Only its originator changes or withdraws a record; others answer, or attest an erasure.
pub fn check_relation(issuer: &MemberId, relation: &Relation) -> Result<(), Refusal> {
    let changes = matches!(relation.verb, RelationVerb::Supersedes | RelationVerb::Withdraws);
    if !changes || relation.issuer == *issuer {
        return Ok(());
    }
    Err(Refusal::new(
        "not-originator",
        422,
        format!(
            "cannot accept record: {issuer} may not change {}, a record of {}",
            relation.record, relation.issuer
        ),
        "answer it with a comment or a conflict",
    ))
}

fn check_members(community: &Community, to: &BTreeSet<MemberId>) -> Result<(), Refusal> {
    match to.iter().find(|m| !community.receives(m)) {
        None => Ok(()),
        Some(member) => Err(Refusal::new(
            "member-not-entitled",
            422,
            format!("cannot accept entry: {member} receives nothing in community {}", community.id),
            "the originator's node must use the register in force",
        )),
    }
}

fn check_opened(
    statement: &AuthenticStatement,
    record: &RecordManifest,
    handling: &serde_json::Value,
    opened: &Opened,
) -> Result<(), Refusal> {
    if let Some(broken) = &opened.broken {
        return Err(broken.clone());
    }
    if opened.parts.is_empty() {
        return Ok(());
    }
    let check = Standard::v1().check_parts(&record.kind, &opened.disclosures());
    if check.refused() {
        return Err(Refusal::invalid(check.findings));
    }
    if opened.parts.contains_key(&FieldClass::Open) {
        let id = statement.claims().subject.to_string();
        let agrees = check.record.get("id").and_then(|v| v.as_str()) == Some(id.as_str())
            && check.record.get("kind").and_then(|v| v.as_str()) == Some(record.kind.as_str())
            && check.record.get("handling") == Some(handling);
        if !agrees {
            return Err(Refusal::new(
                "manifest-mismatch",
                422,
                "cannot accept record: id, kind or handling differ between manifest and content",
                "the originator must publish the record again",
            ));
        }
    }
    Ok(())
}

fn unknown_class(class: &str) -> Refusal {
    Refusal::new(
        "unknown-class",
        422,
        format!("cannot open part: field class {class:?} is not known"),
        "upgrade this node to the schemas that the register pins",
    )
}

fn reject(code: &str, message: impl Into<String>) -> NotTaken {
    let hint = "the peer that sent it is at fault; see its counters in /metrics";
    NotTaken { verdict: Verdict::Reject, refusal: Refusal::new(code, 422, message, hint) }
}

fn ignore(code: &str, message: impl Into<String>) -> NotTaken {
    let hint = "nothing to do here unless it stays so; then compare registers";
    NotTaken { verdict: Verdict::Ignore, refusal: Refusal::new(code, 409, message, hint) }
}
