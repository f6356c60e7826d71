//! `explain`: which rule lets, or does not let, which field of a record reach a member.
//!
//! Names places and never values, so that an explanation is no reading of the record.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwire_schemas::FieldClass;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Draft, Register};
use sealwire_wire::seal::AudienceId;
use sealwire_wire::statement::{Body, RecordManifest, Statement};
use serde::Serialize;

use crate::admit::Opened;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::release::{self, Asker, Grant, Handling, Rule, Sees, Shared, Standing};
use crate::store::StoreFault;

/// Why a member sees what of a record.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The record.
    pub id: String,
    /// Who issued it, in whose log it is.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Record kind.
    pub kind: String,
    /// The community it is shared in.
    pub community: String,
    /// Its TLP label.
    pub tlp: String,
    /// The register version under which it was shared, and by which the rules were asked.
    pub register: u64,
    /// The member that is asked about.
    pub member: MemberId,
    /// Whether this node gives the member the entry when it asks for it now.
    pub served: Served,
    /// What the member sees of each part.
    pub classes: Vec<ClassSeen>,
    /// What it sees of each field that this node can open.
    pub fields: Vec<FieldSeen>,
    /// What the rules named here say.
    pub rules: BTreeMap<Rule, &'static str>,
}

/// Whether an entry is given to whom it is asked for.
#[derive(Debug, Serialize)]
pub struct Served {
    /// Whether it is.
    pub served: bool,
    /// The rule against it, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// What a member sees of one part.
#[derive(Debug, Serialize)]
pub struct ClassSeen {
    /// The class.
    pub class: String,
    /// What.
    pub sees: Sees,
    /// The rule that decided.
    pub rule: Rule,
}

/// What a member sees of one field.
#[derive(Debug, Serialize)]
pub struct FieldSeen {
    /// Its place.
    pub pointer: String,
    /// Its class.
    pub class: &'static str,
    /// What.
    pub sees: Sees,
    /// The rule that decided.
    pub rule: Rule,
}

/// What is asked of a member.
#[derive(Debug)]
pub struct Question<'a> {
    /// The member.
    pub member: &'a MemberId,
    /// What it would want the record for; none means for one of the record's purposes.
    pub purpose: Option<&'a str>,
    /// The day, as in 2026-11-30.
    pub day: &'a str,
    /// What originators have consented to.
    pub grants: &'a [Grant],
}

/// Explains what a member sees of a stored record.
pub fn explain(
    context: &Context,
    id: &RecordId,
    question: &Question<'_>,
) -> Result<Explanation, Refusal> {
    let unknown = || {
        let message = format!("cannot explain {id}: this node holds no record of that id");
        Refusal::new("unknown-record", 404, message, "see GET /v1/records for those it holds")
    };
    let (log, index) = context.reader.locate(id).ok_or_else(unknown)?;
    let entry = context.reader.entry(&log, index).map_err(fault)?.ok_or_else(unknown)?;
    let (statement, opened) = context.open(&entry).ok_or_else(unknown)?;
    let Body::Record(record) = &statement.manifest().body else { return Err(unknown()) };
    let known = Known::of(context).map_err(fault)?;
    let register = known.register(statement.manifest().register);
    let sharing = known.sharing(&log, record);
    let shared = sharing.shared(&register, &statement, record);
    let standing = Standing::of(&register, shared.community, question.member);
    let Question { member, purpose, day, grants } = *question;
    let asker = Asker { member, standing, purpose, day, grants };
    let now = context.register();
    let served = release::serve(&now, &log, statement.manifest(), &context.own, member).err();
    let mut explanation = Explanation {
        id: id.to_string(),
        index,
        kind: record.kind.clone(),
        community: record.community.clone(),
        tlp: sharing.handling.tlp.map_or("unknown", release::Tlp::as_str).to_owned(),
        register: register.version(),
        member: member.clone(),
        served: Served { served: served.is_none(), rule: served },
        classes: Vec::new(),
        fields: fields(&shared, &asker, &opened),
        rules: BTreeMap::new(),
        log: log.clone(),
    };
    for class in sharing.audiences.keys() {
        let decision = release::class(&shared, &asker, *class);
        let class = class.as_str().to_owned();
        let seen = ClassSeen { class, sees: decision.sees, rule: decision.rule };
        explanation.classes.push(seen);
    }
    let of_classes = explanation.classes.iter().map(|seen| seen.rule);
    let of_fields = explanation.fields.iter().map(|seen| seen.rule);
    let named: BTreeSet<Rule> = of_classes.chain(of_fields).chain(served).collect();
    explanation.rules = named.into_iter().map(|rule| (rule, rule.why())).collect();
    Ok(explanation)
}

/// What a member sees of each opened field; a coarser value is no field of its own.
fn fields(shared: &Shared<'_>, asker: &Asker<'_>, opened: &Opened) -> Vec<FieldSeen> {
    let has = |class: FieldClass, pointer: &str| {
        let part = opened.parts.get(&class);
        part.is_some_and(|part| part.disclosures().iter().any(|field| field.pointer == pointer))
    };
    let mut seen = Vec::new();
    for (class, part) in &opened.parts {
        if matches!(class, FieldClass::CoreCoarse | FieldClass::OperationalCoarse) {
            continue;
        }
        for field in part.disclosures() {
            let coarser = class.coarse().is_some_and(|coarse| has(coarse, &field.pointer));
            let decision = release::field(shared, asker, *class, coarser);
            let pointer = field.pointer.clone();
            let (sees, rule) = (decision.sees, decision.rule);
            seen.push(FieldSeen { pointer, class: class.as_str(), sees, rule });
        }
    }
    seen
}

/// What this node knows of how records are shared, and were.
pub struct Known<'a> {
    context: &'a Context,
    /// Audiences of others, by whose they are.
    audiences: BTreeMap<(MemberId, AudienceId), BTreeSet<MemberId>>,
    registers: RefCell<BTreeMap<u64, Arc<Register>>>,
}

/// How one record is shared.
pub struct Sharing {
    /// Its handling.
    pub handling: Handling,
    audiences: BTreeMap<FieldClass, Option<BTreeSet<MemberId>>>,
}

impl<'a> Known<'a> {
    /// Looks up the audiences whose entries are held here.
    pub fn of(context: &'a Context) -> Result<Self, StoreFault> {
        let mut audiences = BTreeMap::new();
        for (log, index) in context.reader.control_entries("audience") {
            if log == context.own {
                continue;
            }
            let Some(entry) = context.reader.entry(&log, index)? else { continue };
            let Ok(statement) = Statement::parse(&entry.item.statement) else { continue };
            if let Body::Audience(audience) = &statement.manifest().body {
                audiences.insert((log, audience.audience), audience.to.clone());
            }
        }
        Ok(Self { context, audiences, registers: RefCell::default() })
    }

    /// The register version under which a record was shared; the one in force if it is not kept
    /// here.
    pub fn register(&self, version: u64) -> Arc<Register> {
        let mut known = self.registers.borrow_mut();
        Arc::clone(known.entry(version).or_insert_with(|| self.read_register(version)))
    }

    fn read_register(&self, version: u64) -> Arc<Register> {
        let now = self.context.register();
        if now.version() == version {
            return now;
        }
        let then = self.context.reader.register_versions().into_iter().find_map(|bytes| {
            let draft =
                Draft::from_bytes(&bytes).ok().filter(|draft| draft.version() == version)?;
            Register::trust_first(&bytes, Some(&draft.digest())).ok()
        });
        then.map_or(now, Arc::new)
    }

    /// How a record of `log` is shared. An audience of ours without an entry is nobody.
    pub fn sharing(&self, log: &MemberId, record: &RecordManifest) -> Sharing {
        let of = |audience: &AudienceId| match self.context.own_audience(audience) {
            own if *log == self.context.own => Some(own.unwrap_or_default()),
            _ => self.audiences.get(&(log.clone(), *audience)).cloned(),
        };
        let parts = record.parts.iter();
        let audiences =
            parts.filter_map(|(class, part)| Some((class.parse().ok()?, of(&part.audience))));
        Sharing { handling: Handling::read(&record.handling), audiences: audiences.collect() }
    }
}

impl Sharing {
    /// The record as the rules take it.
    pub fn shared<'a>(
        &'a self,
        register: &'a Register,
        statement: &'a Statement,
        record: &'a RecordManifest,
    ) -> Shared<'a> {
        let community = register.community(&record.community);
        let originator = &statement.claims().issuer;
        Shared {
            id: &statement.claims().subject,
            originator,
            standing: Standing::of(register, community, originator),
            community,
            kind: &record.kind,
            handling: &self.handling,
            to: record.to.as_ref(),
            audiences: &self.audiences,
        }
    }
}

fn fault(cause: StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
