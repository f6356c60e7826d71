//! Onward use: what leaves this member for others than members, single fields as a proof and
//! records as an export. Every recipient is asked of [`crate::release`]; what its rules do not let
//! go stays here.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::{FieldClass, Standard};
use sealwire_wire::field_proof::{FieldProof, OpenedPart};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::Body;
use serde::Serialize;
use serde_json::Value;

use crate::amend::{self, State};
use crate::consent::Consents;
use crate::context::Context;
use crate::explain::Known;
use crate::feed;
use crate::refusal::Refusal;
use crate::release::body::{self, OutsideBody};
use crate::release::{Asker, Decision, Grant, Handling, Rule, Sees, Shared, Standing, Tlp};
use crate::store::{StoreFault, StoredEntry};

/// Most fields opened at a time.
pub const MAX_FIELDS: usize = 1_000;
/// Longest name of a body, in characters.
pub const MAX_RECIPIENT_LEN: usize = 140;
/// Most records looked through for one page of an export.
const MAX_LOOKED_THROUGH: usize = 5_000;

/// For whom something is taken out, and why.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The body's name, as a consent names it.
    pub name: String,
    /// What it wants it for.
    pub purpose: String,
}

/// What is taken out, and what of it is to be kept in the read log: record, originator, classes.
#[derive(Debug)]
pub struct Taken<T> {
    /// It.
    pub what: T,
    /// What was read for it.
    pub reads: Vec<(RecordId, MemberId, Vec<&'static str>)>,
}

/// One record as a body gets it.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// The record's id.
    pub id: String,
    /// Who issued it.
    pub originator: MemberId,
    /// Its place in the originator's log, for a receipt.
    pub index: u64,
    /// What became of it: never withdrawn, which does not go out.
    pub state: State,
    /// Its TLP label, which holds for the body as well.
    pub tlp: &'static str,
    /// For each class of the record the rule that let it go, or did not.
    pub rules: BTreeMap<&'static str, Rule>,
    /// The classes that went.
    pub classes: Vec<&'static str>,
    /// The consents that let classes go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    /// The fields of those classes.
    pub record: Value,
}

/// By what the body is bound.
#[derive(Debug, Serialize)]
pub struct Consent {
    /// The record that gives it.
    pub id: String,
    /// Last day.
    pub until: String,
    /// `evidence` or `intelligence-only`, if it says so.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// What the body has to keep to.
    pub conditions: Vec<String>,
}

impl From<&Grant> for Consent {
    fn from(grant: &Grant) -> Self {
        let (conditions, evidence) = (grant.conditions.clone(), grant.evidence.clone());
        Self { id: grant.id.to_string(), until: grant.until.clone(), evidence, conditions }
    }
}

/// One page of an export.
#[derive(Debug, Serialize)]
pub struct ExportPage {
    /// The records of which anything may go.
    pub records: Vec<Exported>,
    /// Records of this page of which nothing may go.
    pub withheld: u64,
    /// The `after` of the next page.
    pub next: u64,
    /// Whether there may be more now.
    pub more: bool,
}

/// What is asked of every record: who takes it out here, for whom, and what was consented to.
pub struct Asked<'a> {
    context: &'a Context,
    recipient: Option<&'a Recipient>,
    day: &'a str,
    grants: Vec<Grant>,
    known: Known<'a>,
}

impl<'a> Asked<'a> {
    /// Looks up what originators have consented to. Without a recipient, whom a consent would
    /// name, an originator takes out its own records, and answers for whom it hands them.
    pub fn new(
        context: &'a Context,
        consents: &'a Consents,
        recipient: Option<&'a Recipient>,
        day: &'a str,
    ) -> Result<Self, Refusal> {
        let grants = consents.standing(context).map_err(fault)?;
        let known = Known::of(context).map_err(fault)?;
        Ok(Self { context, recipient, day, grants, known })
    }

    /// Proves the fields at these pointers of one record.
    pub fn open(
        &self,
        id: &RecordId,
        pointers: &BTreeSet<String>,
    ) -> Result<Taken<Vec<u8>>, Refusal> {
        let unknown = || {
            let message = format!("cannot open {id}: this node holds no record of that id");
            Refusal::new("unknown-record", 404, message, "see GET /v1/records for those it holds")
        };
        let (log, index) = self.context.reader.locate(id).ok_or_else(unknown)?;
        let entry = self.context.reader.entry(&log, index).map_err(fault)?.ok_or_else(unknown)?;
        let release = Release::of(self, &log, &entry)?.ok_or_else(unknown)?;
        let mut chosen: BTreeMap<FieldClass, BTreeSet<&str>> = BTreeMap::new();
        for pointer in pointers {
            let class = release.class_of(pointer).map_err(|why| why.of(id, pointer))?;
            chosen.entry(class).or_default().insert(pointer);
        }
        let unprovable = |cause: String| {
            let hint = "open fields that the record has, fewer at a time";
            Refusal::new("no-field-proof", 422, cause, hint)
        };
        let mut parts = BTreeMap::new();
        for (class, pointers) in &chosen {
            let part = release.opened.parts.get(class);
            let opened = part.and_then(|part| OpenedPart::of(part, pointers));
            let opened = opened.ok_or_else(|| unprovable("cannot open fields: none".into()))?;
            parts.insert(class.as_str().to_owned(), opened);
        }
        let proof = FieldProof::new(feed::receipt(self.context, id)?, parts);
        let proof = proof.map_err(|cause| unprovable(cause.to_string()))?;
        let classes = chosen.keys().map(|class| class.as_str()).collect();
        Ok(Taken { what: proof.to_bytes(), reads: vec![(*id, log, classes)] })
    }

    /// The records after `after` as the recipient gets them, at most `limit`.
    pub fn export(&self, after: u64, limit: usize) -> Result<Taken<ExportPage>, Refusal> {
        let reader = &self.context.reader;
        let mut page = ExportPage { records: Vec::new(), withheld: 0, next: after, more: false };
        let mut reads = Vec::new();
        let looked_through = reader.feed(after, MAX_LOOKED_THROUGH);
        page.more = looked_through.len() == MAX_LOOKED_THROUGH;
        for (cursor, log, index) in looked_through {
            if page.records.len() == limit {
                page.more = true;
                break;
            }
            page.next = cursor;
            let Some(entry) = reader.entry(&log, index).map_err(fault)? else { continue };
            let release = Release::of(self, &log, &entry)?;
            let id = release.as_ref().map(|release| release.id);
            match (id, release.and_then(Release::exported)) {
                (Some(id), Some(exported)) => {
                    reads.push((id, log, exported.classes.clone()));
                    page.records.push(exported);
                }
                _ => page.withheld += 1,
            }
        }
        Ok(Taken { what: page, reads })
    }
}

/// One record, as far as we can open it, and what of it may go.
struct Release {
    id: RecordId,
    originator: MemberId,
    index: u64,
    kind: String,
    state: State,
    handling: Handling,
    opened: crate::admit::Opened,
    decided: BTreeMap<FieldClass, (Decision, Option<Grant>)>,
}

impl Release {
    /// Asks the rules; `None` for what is no record, or not one to rely on.
    fn of(asked: &Asked<'_>, log: &MemberId, entry: &StoredEntry) -> Result<Option<Self>, Refusal> {
        let Asked { context, recipient, day, grants, known, .. } = asked;
        let Some((statement, opened)) = context.open(entry) else { return Ok(None) };
        let Body::Record(record) = &statement.manifest().body else { return Ok(None) };
        let id = statement.claims().subject;
        let state = amend::of_statement(context, &statement).map_err(fault)?.state;
        let gone = state == State::Withdrawn;
        if entry.quarantined.is_some() || opened.broken.is_some() || gone {
            return Ok(None);
        }
        let register = known.register(statement.manifest().register);
        let sharing = known.sharing(log, record);
        let shared = sharing.shared(&register, &statement, record);
        let standing = Standing::of(&register, shared.community, &context.own);
        let holder = Asker { member: &context.own, standing, purpose: None, day, grants };
        let classes = opened.parts.keys();
        let decided = classes.map(|class| (*class, decide(&shared, holder, *recipient, *class)));
        Ok(Some(Self {
            id,
            originator: log.clone(),
            index: entry.item.index,
            kind: record.kind.clone(),
            state,
            decided: decided.collect(),
            handling: sharing.handling.clone(),
            opened,
        }))
    }

    fn may(&self, class: FieldClass) -> bool {
        self.decided.get(&class).is_some_and(|(decision, _)| decision.sees == Sees::Value)
    }

    /// The class whose value of a field may go, the exact one before the coarser.
    fn class_of(&self, pointer: &str) -> Result<FieldClass, NotOpened> {
        let has = |class: &&FieldClass| {
            let part = self.opened.parts.get(class);
            part.is_some_and(|part| part.disclosures().iter().any(|f| f.pointer == pointer))
        };
        // A coarser class stands right after its exact one.
        let classes: Vec<FieldClass> = FieldClass::ALL.iter().filter(has).copied().collect();
        let first = *classes.first().ok_or(NotOpened::NoField)?;
        let may = classes.into_iter().find(|class| self.may(*class));
        let rule = self.decided.get(&first).map_or(Rule::NoConsent, |(decision, _)| decision.rule);
        may.ok_or(NotOpened::Withheld(first, rule))
    }

    /// The record as far as it may go; nothing if no class may.
    fn exported(self) -> Option<Exported> {
        let mut parts = self.opened.disclosures();
        parts.retain(|class, fields| self.may(*class) && !fields.is_empty());
        if parts.is_empty() {
            return None;
        }
        let consents = self.decided.values().filter_map(|(_, grant)| grant.as_ref());
        let consents: BTreeMap<RecordId, &Grant> =
            consents.map(|grant| (grant.id, grant)).collect();
        let rules = self.decided.iter();
        Some(Exported {
            id: self.id.to_string(),
            index: self.index,
            state: self.state,
            tlp: self.handling.tlp.map_or("RED", Tlp::as_str),
            rules: rules.map(|(class, (decision, _))| (class.as_str(), decision.rule)).collect(),
            classes: parts.keys().map(|class| class.as_str()).collect(),
            consents: consents.into_values().map(Consent::from).collect(),
            record: Standard::v1().check_parts(&self.kind, &parts).record,
            originator: self.originator,
        })
    }
}

fn decide(
    shared: &Shared<'_>,
    holder: Asker<'_>,
    recipient: Option<&Recipient>,
    class: FieldClass,
) -> (Decision, Option<Grant>) {
    match recipient {
        Some(Recipient { name, purpose }) => {
            let outside = OutsideBody { holder, name, purpose };
            let (decision, grant) = body::class(shared, &outside, class);
            (decision, grant.cloned())
        }
        // Its own record is the originator's to open, and no other's.
        None if holder.member == shared.originator => {
            (Decision { sees: Sees::Value, rule: Rule::Originator }, None)
        }
        None => (Decision { sees: Sees::Withheld, rule: Rule::NoConsent }, None),
    }
}

/// Why a field is not opened.
enum NotOpened {
    NoField,
    Withheld(FieldClass, Rule),
}

impl NotOpened {
    fn of(self, id: &RecordId, pointer: &str) -> Refusal {
        match self {
            Self::NoField => Refusal::new(
                "unknown-field",
                404,
                format!(
                    "cannot open {pointer:?} of {id}: no field that opens here is at that place"
                ),
                "sealwire explain lists the fields that open here",
            ),
            Self::Withheld(class, rule) => Refusal::new(
                rule.id(),
                403,
                format!("cannot open {pointer:?} of {id} ({}): {}", class.as_str(), rule.why()),
                "ask the originator for a consent-grant that names the body, the purpose and the \
                 class, and give both with --recipient and --purpose",
            ),
        }
    }
}

fn fault(cause: StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
