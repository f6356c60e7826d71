//! From what a caller submits to a record that may be published: valid, numbered, its relation
//! known, and planned who sees what. Nothing is sealed, signed or logged here, so that a preview
//! takes the same way.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::{FieldClass, Language, Parts, Standard, ValidRecord};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Expiry, Register};
use sealwire_wire::statement::{Relation, RelationVerb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::amendment::{self, Said};
use super::screen::Keep;
use crate::admit;
use crate::context::Context;
use crate::issue;
use crate::refusal::Refusal;
use crate::release::{self, Asker, Decision, Handling, Plan, Rule, Sees, Shared, Standing, Wish};

/// A record to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The community to share it in.
    pub community: String,
    /// The record; without an `id` it is given one.
    pub record: Value,
    /// Addressees; absent means the whole community.
    #[serde(default)]
    pub to: Option<BTreeSet<MemberId>>,
    /// Audiences of single classes, by class name.
    #[serde(default)]
    pub audiences: BTreeMap<String, BTreeSet<MemberId>>,
    /// What the screen before sending finds and is to be sent all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<Keep>,
    /// The language in which warnings are told.
    #[serde(skip)]
    pub language: Language,
}

/// A record that may be published.
pub struct Prepared {
    /// Its id.
    pub id: RecordId,
    /// The record.
    pub valid: ValidRecord,
    /// Its fields by class.
    pub fields: Parts,
    /// Who gets which class.
    pub plan: Plan,
    /// The earlier record that it refers to.
    pub relation: Option<Relation>,
    /// The community.
    pub community: String,
    /// The language in which warnings are told.
    pub language: Language,
}

/// What each member would see of a record that is not published.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// Record kind.
    pub kind: String,
    /// Who could open which class, beside us.
    pub classes: BTreeMap<String, Vec<MemberId>>,
    /// What each other active member of the community would see.
    pub members: BTreeMap<MemberId, Sight>,
    /// Findings that do not prevent publication.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
}

/// What one member would see.
#[derive(Debug, Serialize)]
pub struct Sight {
    /// The classes that it could open; none if the record is not addressed to it.
    pub classes: Vec<&'static str>,
    /// For every class of the record the rule that decided: see PROTOCOL, section 10.
    pub rules: BTreeMap<&'static str, Rule>,
    /// The record as it would see it.
    pub record: Value,
    /// The fields withheld from it.
    pub withheld: Vec<Withheld>,
}

/// A field that a member does not see exactly.
#[derive(Debug, Serialize)]
pub struct Withheld {
    /// Its place.
    pub pointer: String,
    /// Its class.
    pub class: &'static str,
    /// The rule that withholds it.
    pub rule: Rule,
    /// The coarser value that is shown in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coarser: Option<Value>,
}

/// Checks a submission and plans who sees what.
pub fn prepare(
    context: &Context,
    register: &Register,
    submission: Submission,
    now_ms: u64,
) -> Result<Prepared, Refusal> {
    match super::register_expiry(register) {
        Expiry::Valid => {}
        Expiry::Grace { until_unix } => {
            tracing::warn!(until_unix, "publishing under an expired register in its grace period");
        }
        Expiry::Expired => {
            return Err(Refusal::fault(
                "register-expired",
                "cannot publish: the register has expired and its grace period is over",
                "ask the governors for the next version",
            ));
        }
    }
    let Submission { community, record, to, audiences, language, keep: _ } = submission;
    let (id, record) = with_id(context, record, now_ms)?;
    let valid = Standard::v1().accept(record).map_err(Refusal::invalid)?;
    let mut wish = Wish { to, audiences: classes(audiences)?, ..Wish::default() };
    let fields = valid.split();
    let present: BTreeSet<FieldClass> = fields.keys().copied().collect();
    let relation = relation_of(valid.value());
    if let Some(relation) = &relation {
        admit::check_relation(&context.own, relation)?;
        related_is_known(context, relation)?;
        super::forgetting::may_say(context, &valid, relation)?;
        let said = Said { register, community: &community, valid: &valid, classes: &present };
        wish = amendment::checked(context, &said, relation, wish)?;
    }
    super::forgetting::may_be_kept(&valid, now_ms)?;
    let (kind, handling) = (valid.kind().name(), valid.handling());
    let plan = release::plan(register, &context.own, &community, kind, handling, &present, &wish)?;
    Ok(Prepared { id, valid, fields, plan, relation, community, language })
}

/// What each member would see if a submission were published now.
pub fn preview(context: &Context, submission: Submission, now_ms: u64) -> Result<Preview, Refusal> {
    let register = context.register();
    let Prepared { id, valid, fields, plan, community, language, .. } =
        prepare(context, &register, submission, now_ms)?;
    let community = register.community(&community);
    let peers = community.map(|of| release::active_peers(&register, of, &context.own));
    let audiences = plan.classes.iter().map(|(class, to)| (*class, Some(to.clone()))).collect();
    let shared = Shared {
        id: &id,
        originator: &context.own,
        standing: Standing::of(&register, community, &context.own),
        community,
        kind: valid.kind().name(),
        handling: &Handling::of(valid.handling()),
        to: plan.to.as_ref(),
        audiences: &audiences,
    };
    let members = peers.into_iter().flatten().map(|member| {
        let standing = Standing::of(&register, community, &member);
        let asker = Asker { member: &member, standing, purpose: None, day: "", grants: &[] };
        let sight = sight(&valid, &fields, &shared, &asker);
        (member, sight)
    });
    Ok(Preview {
        kind: valid.kind().name().to_owned(),
        members: members.collect(),
        classes: plan.by_name(),
        warnings: warnings(context, &valid, language),
    })
}

/// Findings that do not prevent publication, as an answer tells them.
pub fn warnings(context: &Context, valid: &ValidRecord, language: Language) -> Vec<Value> {
    let of_places = context.against_locodes(valid.kind().name(), valid.value());
    let all = valid.warnings().iter().chain(&of_places);
    let told = all.map(|warning| warning.in_language(language));
    told.filter_map(|warning| serde_json::to_value(warning).ok()).collect()
}

fn sight(valid: &ValidRecord, fields: &Parts, shared: &Shared<'_>, asker: &Asker<'_>) -> Sight {
    let decided = fields.keys().map(|class| (*class, release::class(shared, asker, *class)));
    let decided: BTreeMap<FieldClass, Decision> = decided.collect();
    let held = decided.iter().filter(|(_, decision)| decision.sees == Sees::Value);
    let held: BTreeSet<FieldClass> = held.map(|(class, _)| *class).collect();
    let coarser = |class: &FieldClass, pointer: &str| {
        let field = fields.get(&class.coarse()?)?.iter().find(|field| field.pointer == pointer)?;
        Some(&field.value)
    };
    let exact = |class: &FieldClass| {
        !matches!(class, FieldClass::CoreCoarse | FieldClass::OperationalCoarse)
    };
    let withheld = fields
        .iter()
        .filter(|(class, _)| exact(class) && !held.contains(class))
        .flat_map(|(class, fields)| fields.iter().map(move |field| (class, field)))
        .map(|(class, field)| {
            let coarser = coarser(class, &field.pointer);
            let decision = release::field(shared, asker, *class, coarser.is_some());
            Withheld {
                pointer: field.pointer.clone(),
                class: class.as_str(),
                rule: decision.rule,
                coarser: coarser.filter(|_| decision.sees == Sees::Coarser).cloned(),
            }
        });
    Sight {
        withheld: withheld.collect(),
        record: valid.projection(&held),
        classes: held.into_iter().map(FieldClass::as_str).collect(),
        rules: decided.iter().map(|(class, decision)| (class.as_str(), decision.rule)).collect(),
    }
}

fn with_id(
    context: &Context,
    mut record: Value,
    now_ms: u64,
) -> Result<(RecordId, Value), Refusal> {
    let Value::Object(fields) = &mut record else {
        return Err(Refusal::new(
            "record-not-an-object",
            422,
            "cannot publish: a record is a JSON object",
            "see schemas/examples",
        ));
    };
    let id = match fields.get("id") {
        None => {
            let id = issue::new_id(now_ms);
            fields.insert("id".to_owned(), Value::String(id.to_string()));
            id
        }
        Some(text) => {
            let parsed = text.as_str().and_then(|t| t.parse().ok());
            parsed.ok_or_else(|| {
                Refusal::new(
                    "record-id-malformed",
                    422,
                    format!("cannot publish: {text} is not a record id"),
                    "leave id out and the node makes one, or use urn:uuid: with a version 7 UUID",
                )
            })?
        }
    };
    match context.reader.locate(&id) {
        None => Ok((id, record)),
        Some((log, index)) => Err(Refusal::new(
            "record-exists",
            409,
            format!("cannot publish {id}: it is entry {index} of {log} already"),
            "leave id out for a new record; a correction is a record of its own",
        )),
    }
}

fn classes(
    named: BTreeMap<String, BTreeSet<MemberId>>,
) -> Result<BTreeMap<FieldClass, BTreeSet<MemberId>>, Refusal> {
    named
        .into_iter()
        .map(|(name, members)| {
            let class = name.parse().map_err(|_| {
                Refusal::new(
                    "unknown-class",
                    422,
                    format!("cannot seal {name:?}: no such field class"),
                    "classes are open, core, operational, commercial, nominal and text, with core.coarse and operational.coarse",
                )
            })?;
            Ok((class, members))
        })
        .collect()
}

/// The earlier record that this one refers to, as its own field says.
fn relation_of(record: &Value) -> Option<Relation> {
    let relation = record.get("relation")?;
    let text = |field: &str| relation.get(field).and_then(Value::as_str);
    Some(Relation {
        verb: RelationVerb::from_word(text("verb")?)?,
        record: text("record")?.parse().ok()?,
        issuer: text("issuer")?.parse().ok()?,
    })
}

/// Nobody can have met a record that this node does not hold, and answer or change it.
fn related_is_known(context: &Context, relation: &Relation) -> Result<(), Refusal> {
    let Relation { record, issuer, .. } = relation;
    match context.reader.locate(record) {
        Some((log, _)) if log == *issuer => Ok(()),
        held => Err(Refusal::new(
            "related-record-unknown",
            422,
            match held {
                Some((log, _)) => format!("cannot publish: {record} is of {log}, not of {issuer}"),
                None => format!("cannot publish: {record} of {issuer} has not arrived here"),
            },
            "sealwire tail prints the ids and issuers of the records that are here",
        )),
    }
}
