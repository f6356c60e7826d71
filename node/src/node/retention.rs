//! What people ask of forgetting, and decide: what comes due, what was erased and who has attested
//! it, legal holds, reviews.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::Body;
use serde::Serialize;
use serde_json::Value;

use super::driver::unix_ms;
use super::forgetting::{Target, next_step, not_held, order, review_due, said_at};
use super::publish::log;
use super::{Inner, NodeHandle};
use crate::context::Context;
use crate::exchange::Unit;
use crate::feed;
use crate::forget;
use crate::refusal::Refusal;
use crate::store::{Fact, Hold, HoldStep, Review};

/// Most records in a list of what comes due.
pub const MAX_TERMS: usize = 10_000;
/// The newest orders of which missing attestations are counted.
const MAX_ORDERS: usize = 100;
/// Longest reason, in characters.
pub const MAX_REASON_LEN: usize = 500;
/// Rules under which people may have a record erased, as erasure records name them.
pub const RULES: [&str; 8] = [
    "review-not-confirmed",
    "originator-order",
    "data-subject-request",
    "supervisory-order",
    "court-order",
    "unlawful-processing",
    "purpose-fulfilled",
    "agreement-ended",
];

/// A record that comes due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Due {
    /// The first day that something happens: erasure on the day after a last day, or a review.
    pub day: String,
    /// Days from today to then; negative if it is past.
    pub days: i64,
    /// `retention` or `review`.
    pub what: &'static str,
    /// The classes that it is about.
    pub classes: BTreeSet<String>,
    /// Record id.
    pub id: String,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Whether a legal hold keeps it.
    pub held: bool,
}

/// What became of a record's parts.
#[derive(Debug, Serialize)]
pub struct ErasureState {
    /// Record id.
    pub id: String,
    /// Whose log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Erased parts, by class.
    pub erased: BTreeMap<String, ErasedPart>,
    /// Whether the bytes of erased parts are out of this node's files.
    pub removed: bool,
    /// Entries of the originator's log that order it.
    pub ordered: Vec<u64>,
    /// The last step of a legal hold.
    pub hold: Option<HoldState>,
    /// Of a record of ours that is ordered to be erased: what each addressee has said.
    pub attestations: BTreeMap<MemberId, Attestation>,
    /// Addressees whose attestation is missing.
    pub missing: Vec<MemberId>,
}

/// One erased part.
#[derive(Debug, Serialize)]
pub struct ErasedPart {
    /// When, milliseconds since 1970.
    pub at: u64,
    /// The rule.
    pub rule: String,
}

/// What a member has attested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attestation {
    /// The entry of its log.
    pub index: u64,
    /// The status of each class: `erased`, `legal-hold` or `never-held`.
    pub parts: BTreeMap<String, String>,
}

/// A legal hold.
#[derive(Debug, Serialize)]
pub struct HoldState {
    /// Record id.
    pub id: String,
    /// Its originator.
    pub log: MemberId,
    /// `asked`, `placed`, `lift-asked` or `lifted`.
    pub step: &'static str,
    /// Whether nothing of the record is removed.
    pub holds: bool,
    /// Who took the step.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// Day on which it is looked at again.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// What somebody decides about a record, with a day and a reason.
pub struct Decided {
    /// The principal.
    pub by: String,
    /// The day: until when.
    pub until: Date,
    /// Why.
    pub reason: String,
}

impl From<Hold> for HoldState {
    fn from(hold: Hold) -> Self {
        Self {
            id: hold.record.to_string(),
            log: hold.originator,
            step: hold.step.word(),
            holds: hold.step.holds(),
            by: hold.by,
            at: hold.at,
            until: hold.until,
            reason: hold.reason,
        }
    }
}

impl NodeHandle {
    /// The records of which something comes due within so many days, the most urgent first.
    pub fn due(&self, within: i64) -> Vec<Due> {
        due(&self.inner.context, forget::day(unix_ms()), within)
    }

    /// What became of a record's parts.
    pub fn erasure(&self, id: &RecordId) -> Result<ErasureState, Refusal> {
        erasure(&self.inner.context, id)
    }

    /// Erases parts of a record: of ours everywhere, by an order in our log; of another member's
    /// here alone. Nothing named means all parts.
    pub async fn erase(
        &self,
        id: &RecordId,
        classes: Option<BTreeSet<String>>,
        rule: &str,
        reference: Option<&str>,
    ) -> Result<ErasureState, Refusal> {
        let inner = &*self.inner;
        let (of, parts) = chosen(&inner.context, id, classes)?;
        if !RULES.contains(&rule) {
            return Err(Refusal::new(
                "unknown-rule",
                422,
                format!("cannot erase under rule {rule:?}: the rules are {}", RULES.join(", ")),
                "name the rule under which it is erased",
            ));
        }
        if of.log == inner.context.own {
            not_held(&inner.context, id, &of.log)?;
            order(inner, &of, &parts, (rule, reference), forget::day(unix_ms())).await?;
        } else {
            keep(inner, of.erasure(parts, rule, unix_ms())).await?;
        }
        self.erasure(id)
    }

    /// Takes a step of a legal hold.
    pub async fn hold(
        &self,
        id: &RecordId,
        step: HoldStep,
        decided: Decided,
    ) -> Result<HoldState, Refusal> {
        let context = &self.inner.context;
        let (log, ..) = feed::stored(context, id)?;
        next_step(context, id, &log, step, &decided.by)?;
        let Decided { by, until, reason } = decided;
        let (record, originator, until) = (*id, log, until.to_string());
        let hold = Hold { record, originator, step, by, at: unix_ms(), until, reason };
        keep(&self.inner, Fact::Hold(hold.clone())).await?;
        tracing::warn!(record = %id, step = step.word(), by = hold.by, "a step of a legal hold");
        Ok(hold.into())
    }

    /// The legal holds, with their last step.
    pub fn holds(&self) -> Vec<HoldState> {
        self.inner.context.reader.holds().into_iter().map(HoldState::from).collect()
    }

    /// Decides that a record of ours is still needed.
    pub async fn review(&self, id: &RecordId, decided: Decided) -> Result<(), Refusal> {
        let context = &self.inner.context;
        let (log, ..) = feed::stored(context, id)?;
        if log != context.own {
            return Err(Refusal::new(
                "not-ours",
                409,
                format!("cannot review {id}: it is a record of {log}"),
                "its originator decides; sealwire erase erases the copy here",
            ));
        }
        let today = forget::day(unix_ms());
        let latest = forget::after(today, 366);
        if decided.until <= today || decided.until > latest {
            return Err(Refusal::new(
                "review-date",
                422,
                format!("cannot review {id}: {} is not within a year from today", decided.until),
                "name the day of the next review",
            ));
        }
        let Decided { by, until, reason } = decided;
        let review = Review { record: *id, by, at: unix_ms(), until: until.to_string(), reason };
        keep(&self.inner, Fact::Review(review)).await
    }
}

async fn keep(inner: &Inner, fact: Fact) -> Result<(), Refusal> {
    log(inner, Unit { token: 0, entries: Vec::new(), facts: vec![fact], request: None })
        .await
        .map(|_| ())
}

/// The record, and its parts that are to be erased.
fn chosen(
    context: &Context,
    id: &RecordId,
    classes: Option<BTreeSet<String>>,
) -> Result<(Target, BTreeSet<String>), Refusal> {
    let (log, index, _) = feed::stored(context, id)?;
    let of = Target::find(context, &log, index).ok_or_else(|| feed::unknown(id))?;
    let erasable = of.manifest.parts.keys().filter(|class| *class != "open");
    let erasable: BTreeSet<String> = erasable.cloned().collect();
    let classes = classes.unwrap_or_else(|| erasable.clone());
    if of.manifest.kind == forget::KIND {
        return Err(Refusal::new(
            "erasure-stays",
            409,
            format!("cannot erase {id}: it says that something was erased"),
            "erasure records hold nothing else, and are kept",
        ));
    }
    match classes.iter().find(|class| !erasable.contains(*class)) {
        None if classes.is_empty() => Err(not_in_record(id, "no class")),
        None => Ok((of, classes)),
        Some(class) => Err(not_in_record(id, class)),
    }
}

fn not_in_record(id: &RecordId, class: &str) -> Refusal {
    Refusal::new(
        "class-not-in-record",
        422,
        format!("cannot erase {class} of {id}: it has no such part that can be erased"),
        "the part open stays: it names the record and holds nothing sensitive",
    )
}

fn erasure(context: &Context, id: &RecordId) -> Result<ErasureState, Refusal> {
    let (log, index, entry) = feed::stored(context, id)?;
    let reader = &context.reader;
    let said = reader.erasures_of(id, &log);
    let ordered: Vec<u64> =
        said.iter().filter(|(by, _)| *by == log).map(|(_, index)| *index).collect();
    let mut attestations = BTreeMap::<MemberId, Attestation>::new();
    let mut missing = Vec::new();
    if log == context.own && !ordered.is_empty() {
        for (by, index) in said.into_iter().filter(|(by, _)| *by != log) {
            let Some((_, said)) = said_at(context, &by, index) else { continue };
            let attested = attestations.entry(by).or_default();
            attested.index = attested.index.max(index);
            attested.parts.extend(statuses(&said));
        }
        let of = Target::find(context, &log, index).ok_or_else(|| feed::unknown(id))?;
        let register = context.register();
        let everybody = || {
            let community = register.community(&of.manifest.community);
            community.map(|of| crate::release::active_peers(&register, of, &context.own))
        };
        let holders = of.manifest.to.clone().or_else(everybody).unwrap_or_default();
        let done = |member: &MemberId| {
            let parts = attestations.get(member).map(|attested| &attested.parts);
            parts.is_some_and(|parts| parts.values().all(|status| status != "legal-hold"))
        };
        missing = holders.into_iter().filter(|m| *m != context.own && !done(m)).collect();
    }
    let erased = entry.erased.into_iter();
    let erased = erased.map(|(class, part)| (class, ErasedPart { at: part.at, rule: part.rule }));
    Ok(ErasureState {
        id: id.to_string(),
        removed: !reader.is_unpurged(&log, index),
        hold: reader.hold(id, &log).map(HoldState::from),
        erased: erased.collect(),
        log,
        index,
        ordered,
        attestations,
        missing,
    })
}

fn statuses(said: &Value) -> impl Iterator<Item = (String, String)> {
    let parts = said.get("part").and_then(Value::as_array).into_iter().flatten();
    parts.filter_map(|part| {
        let text = |field: &str| Some(part.get(field)?.as_str()?.to_owned());
        Some((text("class")?, text("status")?))
    })
}

/// What comes due within so many days from `today`.
pub(super) fn due(context: &Context, today: Date, within: i64) -> Vec<Due> {
    let register = context.register();
    let mut found = Vec::new();
    let mut last: Option<(MemberId, u64)> = None;
    loop {
        let page = context.reader.terms(last.as_ref().map(|(log, index)| (log, *index)), 500);
        let Some(end) = page.last() else { break };
        last = Some((end.log.clone(), end.index));
        for terms in page {
            let community = register.community(&terms.community);
            let mut days: BTreeMap<(Date, &'static str), BTreeSet<String>> = BTreeMap::new();
            for class in &terms.classes {
                let day = forget::last_day(&terms, community, class);
                days.entry((day, "retention")).or_default().insert(class.clone());
            }
            if terms.log == context.own
                && let Some(review) = review_due(context, &terms)
            {
                days.insert((review, "review"), terms.classes.clone());
            }
            let soon = |day: Date| forget::days_between(today, day) <= within;
            days.retain(|(day, _), _| soon(*day));
            if days.is_empty() {
                continue;
            }
            let Some(of) = Target::find(context, &terms.log, terms.index) else { continue };
            let held = of.held(&context.reader);
            found.extend(days.into_iter().map(|((day, what), classes)| Due {
                day: day.to_string(),
                days: forget::days_between(today, day),
                what,
                classes,
                id: of.id.to_string(),
                log: of.log.clone(),
                index: of.index,
                held,
            }));
            if found.len() >= MAX_TERMS {
                break;
            }
        }
        if found.len() >= MAX_TERMS {
            break;
        }
    }
    found.sort();
    found
}

/// What whoever watches this node is told.
#[derive(Debug, Default)]
pub struct Notices {
    /// How many records come due within so many days.
    pub due: BTreeMap<i64, usize>,
    /// How many attestations of erasures are missing.
    pub missing: usize,
}

/// Counts what comes due within each notice, and the attestations that are missing.
pub(super) fn notices(context: &Context, today: Date) -> Notices {
    let widest = forget::NOTICE_DAYS.iter().copied().max().unwrap_or_default();
    let due = due(context, today, widest);
    let within = |days: i64| due.iter().filter(|due| due.days <= days && !due.held).count();
    let orders = context.reader.orders().into_iter().filter(|(log, _)| *log == context.own);
    let missing = orders.rev().take(MAX_ORDERS).filter_map(|(log, index)| {
        let (statement, _) = said_at(context, &log, index)?;
        let Body::Record(record) = &statement.manifest().body else { return None };
        Some(erasure(context, &record.relation.as_ref()?.record).ok()?.missing.len())
    });
    let missing = missing.sum();
    Notices {
        due: forget::NOTICE_DAYS.iter().map(|days| (*days, within(*days))).collect(),
        missing,
    }
}
