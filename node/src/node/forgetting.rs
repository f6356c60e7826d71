//! Forgetting in a running node: what may not be kept any longer is erased, what is erased is taken
//! out of the journal, and that is attested to the originator.
//!
//! Each look finds out by itself what is left to do, so that it can be interrupted anywhere and
//! does the same again after a restore. Our own records are erased by an entry of our log that
//! orders all holders to do so; of others' only our copy is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use sealwire_schemas::{Language, Standard, ValidRecord};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::{Body, RecordManifest, Relation, RelationVerb, Statement};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::draft::Submission;
use super::driver::{Message, unix_ms};
use super::publish::{self, log};
use super::{Counters, Inner, retention};
use crate::context::Context;
use crate::exchange::Unit;
use crate::forget::{self, Said};
use crate::refusal::Refusal;
use crate::store::{Erasure, Fact, HoldStep, Reader, Terms};

/// The first look after a start comes no later.
const FIRST: Duration = Duration::from_secs(60);
/// Records looked at, and facts committed, at a time.
const PAGE: usize = 500;
/// Most attestations and orders in one look.
const MAX_SAID: usize = 1000;

/// Looks again and again.
pub async fn keep_on(inner: &Inner, every: Duration) {
    let mut looks = tokio::time::interval_at(Instant::now() + every.min(FIRST), every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(refusal) = look(inner, unix_ms()).await {
            tracing::warn!(code = refusal.code, %refusal, "cannot forget everything that is due yet");
        }
    }
}

/// Does what is due at `now_ms`, milliseconds since 1970.
pub async fn look(inner: &Inner, now_ms: u64) -> Result<(), Refusal> {
    let today = forget::day(now_ms);
    let speaks = inner.guard.check().is_ok();
    take_orders(inner, now_ms).await?;
    expire(inner, today, now_ms, speaks).await?;
    if speaks {
        order_what_is_erased(inner, today).await?;
    }
    purge(inner).await?;
    if speaks {
        attest(inner, today).await?;
    }
    notice(inner, today);
    Ok(())
}

/// Tells whoever watches this node what comes due.
fn notice(inner: &Inner, today: Date) {
    let notices = retention::notices(&inner.context, today);
    let mut known = inner.notices.lock().unwrap_or_else(PoisonError::into_inner);
    for (days, count) in &notices.due {
        if known.due.get(days).is_none_or(|before| before < count) && *count > 0 {
            tracing::warn!(
                records = count,
                "records are erased or have to be reviewed within {days} days (hint: sealwire retention lists them)"
            );
        }
    }
    *known = notices;
}

/// Orders that have not taken effect here: those that came back after a restore.
async fn take_orders(inner: &Inner, now_ms: u64) -> Result<(), Refusal> {
    let context = &inner.context;
    let mut facts = Vec::new();
    for (by, index, at) in context.reader.unsettled_orders() {
        let Some(erasure) = order_at(context, &by, index) else { continue };
        let erased = context.reader.erased(&by, at).map_err(fault)?;
        if !erasure.classes.iter().all(|class| erased.contains_key(class)) {
            facts.push(Fact::Erasure(Erasure { at: now_ms, ..erasure }));
        }
    }
    keep(inner, facts).await
}

/// The order in an entry of a log, if it is one that counts.
fn order_at(context: &Context, log: &MemberId, index: u64) -> Option<Erasure> {
    let (statement, said) = said_at(context, log, index)?;
    forget::ordered(log, statement.manifest(), &said)
}

/// An erasure record as far as it opens, if it is not quarantined.
pub fn said_at(context: &Context, log: &MemberId, index: u64) -> Option<(Statement, Value)> {
    let entry = context.reader.entry(log, index).ok().flatten()?;
    let (statement, opened) = context.open(&entry).filter(|_| entry.quarantined.is_none())?;
    let said = Standard::v1().check_parts(forget::KIND, &opened.disclosures()).record;
    Some((statement, said))
}

/// Erases what may not be kept after yesterday, and records of ours that nobody has reviewed.
async fn expire(inner: &Inner, today: Date, now_ms: u64, speaks: bool) -> Result<(), Refusal> {
    let context = &inner.context;
    let register = context.register();
    let (mut last, mut facts): (Option<(MemberId, u64)>, Vec<Fact>) = (None, Vec::new());
    loop {
        let page = context.reader.terms(last.as_ref().map(|(log, index)| (log, *index)), PAGE);
        let Some(end) = page.last() else { break };
        last = Some((end.log.clone(), end.index));
        for terms in page {
            let community = register.community(&terms.community);
            let mut due = forget::expired(&terms, community, today);
            let mut rule = forget::RETENTION_ENDED;
            if due.is_empty() && unreviewed(context, &terms, today) {
                (due, rule) = (terms.classes.clone(), forget::REVIEW_NOT_CONFIRMED);
            }
            let Some(of) = (!due.is_empty()).then(|| Target::at(context, &terms)).flatten() else {
                continue;
            };
            let ours = terms.log == context.own && !of.held(&context.reader);
            if ours && speaks && ordered(inner, &of, &due, rule, today).await? {
                continue;
            }
            // Unreadable all the same; what cannot be ordered now is ordered at a later look.
            if rule == forget::RETENTION_ENDED {
                facts.push(of.erasure(due, rule, now_ms));
            }
        }
        keep(inner, std::mem::take(&mut facts)).await?;
    }
    Ok(())
}

/// Whether the month after a review of a record of ours was due is over, and nobody decided.
fn unreviewed(context: &Context, terms: &Terms, today: Date) -> bool {
    if terms.log != context.own {
        return false;
    }
    let over = |due: Date| forget::after(due, forget::REVIEW_NOTICE_DAYS) < today;
    // Only what seems to be over is asked for a decision.
    forget::first_review(terms).is_some_and(over) && review_due(context, terms).is_some_and(over)
}

/// The day by which a record of ours is to be reviewed next.
pub fn review_due(context: &Context, terms: &Terms) -> Option<Date> {
    let stated = forget::first_review(terms)?;
    let id = Target::at(context, terms)?.id;
    let decided = context.reader.review(&id).and_then(|review| review.until.parse().ok());
    Some(decided.map_or(stated, |decided: Date| decided.max(stated)))
}

/// A record that is to be erased.
pub struct Target {
    /// Its id.
    pub id: RecordId,
    /// Its log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// What its manifest says.
    pub manifest: RecordManifest,
}

impl Target {
    fn at(context: &Context, terms: &Terms) -> Option<Self> {
        Self::find(context, &terms.log, terms.index)
    }

    /// The record in an entry.
    pub fn find(context: &Context, log: &MemberId, index: u64) -> Option<Self> {
        let entry = context.reader.entry(log, index).ok().flatten()?;
        let statement = Statement::parse(&entry.item.statement).ok()?;
        let id = statement.claims().subject;
        let Body::Record(manifest) = &statement.manifest().body else { return None };
        Some(Self { id, log: log.clone(), index, manifest: manifest.clone() })
    }

    /// Whether a legal hold keeps it.
    pub fn held(&self, reader: &Reader) -> bool {
        reader.hold(&self.id, &self.log).is_some_and(|hold| hold.step.holds())
    }

    /// The fact that erases parts of it.
    pub fn erasure(&self, classes: BTreeSet<String>, rule: &str, at: u64) -> Fact {
        let (record, originator) = (self.id, self.log.clone());
        Fact::Erasure(Erasure { record, originator, classes, rule: rule.to_owned(), at })
    }
}

/// Logs the order to erase parts of a record of ours, for all who may hold it.
pub async fn order(
    inner: &Inner,
    of: &Target,
    classes: &BTreeSet<String>,
    (rule, reference): (&str, Option<&str>),
    today: Date,
) -> Result<(), Refusal> {
    let parts = classes.iter().map(|class| (class.clone(), "erased")).collect();
    say(inner, of, of.manifest.to.clone(), (rule, reference), parts, today, None).await
}

async fn say(
    inner: &Inner,
    of: &Target,
    to: Option<BTreeSet<MemberId>>,
    (rule, reference): (&str, Option<&str>),
    parts: BTreeMap<String, &'static str>,
    today: Date,
    hold_until: Option<&str>,
) -> Result<(), Refusal> {
    let own = &inner.context.own;
    let windows = inner.windows;
    let keys = (windows.epoch + windows.grace).div_ceil(24 * 3600);
    let said = Said {
        record: of.id,
        originator: &of.log,
        order: of.log == *own,
        manifest: &of.manifest,
        rule,
        reference,
        parts,
        today,
        gone_by: forget::after(today, 1 + i64::try_from(keys).unwrap_or(i64::MAX)),
        hold_until,
    };
    // Who has left the community meanwhile cannot be told.
    let register = inner.context.register();
    let peers = register.community(&of.manifest.community);
    let peers = peers.map(|community| crate::release::active_peers(&register, community, own));
    let reachable = |to: BTreeSet<MemberId>| -> BTreeSet<MemberId> {
        let here = |member: &MemberId| peers.as_ref().is_some_and(|peers| peers.contains(member));
        to.into_iter().filter(here).collect()
    };
    let submission = Submission {
        community: of.manifest.community.clone(),
        record: said.to_record(),
        to: to.map(reachable),
        audiences: BTreeMap::new(),
        language: Language::default(),
        keep: Vec::new(),
    };
    let published = publish::publish(inner, "node", None, submission).await?;
    Counters::add(&inner.counters.published, 1);
    tracing::info!(record = %of.id, log = %of.log, rule, entry = published.index, "logged an erasure");
    Ok(())
}

/// Orders for what is erased here of our own records and was not ordered: a legal hold had kept it.
async fn order_what_is_erased(inner: &Inner, today: Date) -> Result<(), Refusal> {
    let context = &inner.context;
    for (log, index, classes) in context.reader.unpurged(MAX_SAID) {
        let Some(of) = Target::find(context, &log, index).filter(|of| of.log == context.own) else {
            continue;
        };
        if of.held(&context.reader) || context.reader.is_ordered(&of.id, &of.log) {
            continue;
        }
        ordered(inner, &of, &classes, forget::RETENTION_ENDED, today).await?;
    }
    Ok(())
}

/// Orders an erasure; false if it is refused, as in a community that has ended. Others are not kept
/// waiting for that.
async fn ordered(
    inner: &Inner,
    of: &Target,
    classes: &BTreeSet<String>,
    rule: &str,
    today: Date,
) -> Result<bool, Refusal> {
    match order(inner, of, classes, (rule, None), today).await {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.status < 500 => {
            tracing::warn!(record = %of.id, %refusal, "cannot order the other holders to erase a record");
            Ok(false)
        }
        Err(refusal) => Err(refusal),
    }
}

/// Takes the bytes of what is erased out of the journal.
async fn purge(inner: &Inner) -> Result<(), Refusal> {
    let context = Arc::clone(&inner.context);
    let kept = move |log: &MemberId, index: u64| {
        Target::find(&context, log, index).is_none_or(|of| {
            let ours = *log == context.own;
            of.held(&context.reader) || (ours && !context.reader.is_ordered(&of.id, log))
        })
    };
    let (reply, answer) = oneshot::channel();
    if inner.inputs.send(Message::Purge(Box::new(kept), reply)).await.is_err() {
        return Ok(());
    }
    let Ok(Some(purge)) = answer.await else { return Ok(()) };
    let done = tokio::task::spawn_blocking(move || purge.run(unix_ms())).await;
    let facts = done.map_err(|_| super::reading_failed())?.map_err(fault)?;
    tracing::info!(entries = facts.len(), "removed erased parts from the journal");
    keep(inner, facts).await
}

/// Says to originators what was erased here of their records, or is held by law.
async fn attest(inner: &Inner, today: Date) -> Result<(), Refusal> {
    let context = &inner.context;
    for (log, index) in context.reader.unattested(MAX_SAID) {
        let Some(of) = Target::find(context, &log, index) else { continue };
        let erased = context.reader.erased(&log, index).map_err(fault)?;
        let Some(rule) = erased.values().next().map(|erased| erased.rule.clone()) else {
            continue;
        };
        let parts = erased.into_keys().map(|class| (class, "erased")).collect();
        say_or_wait(inner, &of, &rule, parts, today, None).await?;
    }
    for hold in context.reader.holds().into_iter().filter(|hold| hold.step.holds()) {
        let place = context.reader.locate(&hold.record);
        let Some((log, index)) = place.filter(|(log, _)| *log != context.own) else { continue };
        let Some(of) = Target::find(context, &log, index) else { continue };
        let erased = context.reader.erased(&log, index).map_err(fault)?;
        let said = context.reader.erasures_of(&of.id, &log);
        let Some(rule) = erased.values().next().map(|erased| erased.rule.clone()) else {
            continue;
        };
        if said.iter().any(|(by, _)| *by == context.own) {
            continue;
        }
        let parts = erased.into_keys().map(|class| (class, "legal-hold")).collect();
        say_or_wait(inner, &of, &rule, parts, today, Some(&hold.until)).await?;
    }
    Ok(())
}

/// Attests to an originator, unless it cannot be told now.
async fn say_or_wait(
    inner: &Inner,
    of: &Target,
    rule: &str,
    parts: BTreeMap<String, &'static str>,
    today: Date,
    hold_until: Option<&str>,
) -> Result<(), Refusal> {
    let to = Some(BTreeSet::from([of.log.clone()]));
    match say(inner, of, to, (rule, None), parts, today, hold_until).await {
        Err(refusal) if refusal.status < 500 => {
            tracing::debug!(record = %of.id, log = %of.log, %refusal, "an originator cannot be told yet that its record was erased");
            Ok(())
        }
        outcome => outcome,
    }
}

async fn keep(inner: &Inner, facts: Vec<Fact>) -> Result<(), Refusal> {
    for facts in facts.chunks(PAGE) {
        let facts = facts.to_vec();
        log(inner, Unit { token: 0, entries: Vec::new(), facts, request: None }).await?;
    }
    Ok(())
}

/// What an erasure record of ours does here, if it is about a record of ours.
pub fn own_order(
    context: &Context,
    record: &ValidRecord,
    relation: Option<&Relation>,
    now_ms: u64,
) -> Option<Fact> {
    let relation = relation.filter(|r| r.verb == RelationVerb::Erases)?;
    let ours = record.kind().name() == forget::KIND && relation.issuer == context.own;
    ours.then(|| {
        Fact::Erasure(Erasure {
            record: relation.record,
            originator: context.own.clone(),
            classes: forget::erased_classes(record.value()),
            rule: forget::BY_ORDER.to_owned(),
            at: now_ms,
        })
    })
}

/// Nobody attests what is not so: an erasure record about another member's record names what is
/// gone here, and none of ours is ordered to be erased while a legal hold keeps it.
pub fn may_say(
    context: &Context,
    record: &ValidRecord,
    relation: &Relation,
) -> Result<(), Refusal> {
    if record.kind().name() != forget::KIND || relation.verb != RelationVerb::Erases {
        return Ok(());
    }
    let Some((log, index)) = context.reader.locate(&relation.record) else { return Ok(()) };
    if log == context.own {
        return not_held(context, &relation.record, &log);
    }
    let erased = context.reader.erased(&log, index).map_err(fault)?;
    let unpurged = context.reader.is_unpurged(&log, index);
    let said = forget::erased_classes(record.value());
    match said.into_iter().find(|class| unpurged || !erased.contains_key(class)) {
        None => Ok(()),
        Some(class) => Err(Refusal::new(
            "not-erased",
            409,
            format!("cannot attest that part {class} of {} is erased: it is not", relation.record),
            "sealwire erase erases it, and this node attests it once its bytes are gone",
        )),
    }
}

/// A record may not be published that would have to be erased at once.
pub fn may_be_kept(record: &ValidRecord, now_ms: u64) -> Result<(), Refusal> {
    let until = record.handling().get("retainUntil").and_then(Value::as_str).unwrap_or_default();
    match until.parse::<Date>() {
        Ok(until) if until < forget::day(now_ms) => Err(Refusal::new(
            "retention-over",
            422,
            format!("cannot publish: it may be kept until {until}, which is over"),
            "set handling.retainUntil to the last day on which others may keep it",
        )),
        _ => Ok(()),
    }
}

/// Refuses what a legal hold forbids.
pub fn not_held(context: &Context, id: &RecordId, log: &MemberId) -> Result<(), Refusal> {
    match context.reader.hold(id, log).filter(|hold| hold.step.holds()) {
        None => Ok(()),
        Some(hold) => Err(Refusal::new(
            "legal-hold",
            409,
            format!("cannot erase {id}: a legal hold keeps it until {}", hold.until),
            "two people lift a hold: sealwire hold --ask-lift, then --lift",
        )),
    }
}

/// Whether a step of a legal hold may follow, and be taken by this principal.
pub fn next_step(
    context: &Context,
    id: &RecordId,
    log: &MemberId,
    step: HoldStep,
    by: &str,
) -> Result<(), Refusal> {
    let before = context.reader.hold(id, log);
    let refuse = |code, text: String, hint| Err(Refusal::new(code, 409, text, hint));
    let wanted = match step {
        HoldStep::Asked => [None, Some(HoldStep::Lifted)],
        HoldStep::Placed => [Some(HoldStep::Asked); 2],
        HoldStep::LiftAsked => [Some(HoldStep::Placed); 2],
        HoldStep::Lifted => [Some(HoldStep::LiftAsked); 2],
    };
    let now = before.as_ref().map(|hold| hold.step);
    if !wanted.contains(&now) {
        let now = now.map_or("none", HoldStep::word);
        return refuse(
            "hold-step",
            format!("cannot take step {} of a legal hold on {id}: its state is {now}", step.word()),
            "the steps are asked, placed, lift-asked, lifted",
        );
    }
    let confirms = matches!(step, HoldStep::Placed | HoldStep::Lifted);
    match before.filter(|hold| confirms && hold.by == by) {
        None => Ok(()),
        Some(_) => refuse(
            "second-person",
            format!("cannot take step {} of a legal hold on {id}: {by} asked for it", step.word()),
            "another principal with the right erase has to confirm it",
        ),
    }
}

fn fault(cause: crate::store::StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
