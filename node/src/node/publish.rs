//! Publishing: validate, plan who may see what, seal, sign, log; the answer comes when the
//! record is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sealwire_schemas::{FieldClass, Language, ValidRecord};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::receipt::Receipt;
use sealwire_wire::statement::{Body, Statement};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::admit::{self, Content};
use crate::delivery;
use crate::exchange::{IdempotentRequest, Unit};
use crate::feed::{self, Reading};
use crate::issue::{Audience, Draft, Issued};
use crate::refusal::Refusal;
use crate::release::Plan;
use crate::store::{Decision, Fact, Screened};

use super::draft::{self, Prepared, Submission};
use super::drafts::Queued;
use super::driver::{Logged, Message, unix_ms};
use super::forgetting;
use super::{Counters, Inner, screen};

/// Longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 128;

/// What was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// Record id.
    pub id: String,
    /// Our log.
    pub log: MemberId,
    /// Its place there.
    pub index: u64,
    /// Size of the tree that covers it.
    pub size: u64,
    /// Whether this answers an earlier request with the same idempotency key.
    pub repeated: bool,
    /// Who can open which class, beside us.
    pub classes: BTreeMap<String, Vec<MemberId>>,
    /// Findings that do not prevent publication.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
    /// C2SP tlog-proof; cosignatures follow as members receive it.
    pub receipt: String,
}

/// Audience secrets in use, by community and set of members.
type Audiences = HashMap<(String, BTreeSet<MemberId>), Audience>;

/// What publications share.
#[derive(Default)]
pub struct Publisher {
    audiences: tokio::sync::Mutex<Audiences>,
    in_flight: Mutex<HashSet<(String, String)>>,
}

/// Publishes one record.
pub async fn publish(
    inner: &Inner,
    principal: &str,
    idempotency_key: Option<&str>,
    submission: Submission,
) -> Result<Published, Refusal> {
    let Some(key) = idempotency_key else {
        return publish_once(inner, principal, None, submission).await;
    };
    check_key(key)?;
    publish_keyed(inner, principal, key, digest_of(&submission), submission).await
}

/// Publishes one record for a request that takes effect once, known by its digest.
async fn publish_keyed(
    inner: &Inner,
    principal: &str,
    key: &str,
    digest: Digest,
    submission: Submission,
) -> Result<Published, Refusal> {
    let pair = (principal.to_owned(), key.to_owned());
    if let Some((known, index)) = inner.context.reader.idempotent(principal, key) {
        return repeated(inner, known == digest, index);
    }
    let mine = lock(&inner.publisher.in_flight).insert(pair.clone());
    if !mine {
        return Err(Refusal::new(
            "in-progress",
            409,
            "cannot publish: a request with this idempotency key is still being worked on",
            "ask again in a moment with the same key",
        ));
    }
    let (by, key) = pair.clone();
    let request = IdempotentRequest { principal: by, key, digest };
    let outcome = publish_once(inner, principal, Some(request), submission).await;
    lock(&inner.publisher.in_flight).remove(&pair);
    outcome
}

fn check_key(key: &str) -> Result<(), Refusal> {
    let printable = key.bytes().all(|b| b.is_ascii_graphic());
    if (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) && printable {
        return Ok(());
    }
    Err(Refusal::new(
        "idempotency-key-malformed",
        400,
        "cannot use idempotency key: not 1 to 128 printable ASCII characters",
        "use a fresh UUID for each record",
    ))
}

/// Checks a record like one that is published, and keeps it until this node may sign.
pub fn queue(
    inner: &Inner,
    principal: &str,
    idempotency_key: Option<&str>,
    submission: Submission,
    held_back: Refusal,
) -> Result<Queued, Refusal> {
    let context = &inner.context;
    let digest = digest_of(&submission);
    let made;
    let key = match idempotency_key {
        Some(key) => {
            check_key(key)?;
            key
        }
        None => {
            made = format!("draft-{}", uuid::Uuid::new_v4());
            &made
        }
    };
    let register = context.register();
    let now = unix_ms();
    let Prepared { id, valid, .. } = draft::prepare(context, &register, submission.clone(), now)?;
    screen::decided(&valid, &submission.keep)?;
    let submission = Submission { record: valid.value().clone(), ..submission };
    let id = inner.drafts.keep(&id, principal, key, digest, submission, now)?;
    Ok(Queued { id, queued: true, reason: held_back.message })
}

/// Publishes the drafts that wait, as long as this node may sign.
pub async fn drafts(inner: &Inner) {
    while inner.guard.check().is_ok()
        && let Some(due) = inner.drafts.due()
    {
        let (principal, key, digest, submission) = due.request();
        match publish_keyed(inner, principal, key, digest, submission).await {
            Ok(published) => {
                tracing::info!(entry = published.id, index = published.index, "published a draft");
                Counters::add(&inner.counters.published, 1);
                inner.drafts.published(&due);
            }
            // A fault of ours: it is tried again.
            Err(refusal) if refusal.status >= 500 => {
                tracing::warn!(entry = due.id(), %refusal, "cannot publish a draft yet");
                return;
            }
            Err(refusal) => {
                tracing::error!(entry = due.id(), %refusal, "a draft was refused");
                inner.drafts.refused(due, &refusal);
            }
        }
    }
}

/// Logs our seal key and the register in force, where our log does not say them yet.
pub async fn announce_self(inner: &Inner) -> Result<(), Refusal> {
    inner.guard.ready().await?;
    // Once for each version, whoever comes first.
    let mut announced = inner.announced.lock().await;
    let version = inner.context.register().version();
    if *announced != Some(version) {
        announcing(inner).await?;
        *announced = Some(version);
    }
    Ok(())
}

/// Logs the newest seal key and its match key, where our log does not say them yet.
pub async fn announce_seal_key(inner: &Inner) -> Result<(), Refusal> {
    inner.guard.check()?;
    let context = &inner.context;
    let Some(epoch) = context.keys.seal.newest() else { return Ok(()) };
    let match_key = context.own_match_key(epoch.epoch);
    let says = context.match_key(&context.own).map(|(_, key)| key);
    let said = says == match_key || inner.matching.lists.all().is_empty();
    if context.announced_epoch().is_some_and(|announced| epoch.epoch <= announced) && said {
        return Ok(());
    }
    let entries = vec![context.issuer.key(&context.now(unix_ms()), &epoch, match_key)?];
    log(inner, Unit { token: 0, entries, facts: Vec::new(), request: None }).await?;
    Ok(())
}

async fn announcing(inner: &Inner) -> Result<(), Refusal> {
    let context = &inner.context;
    let now = context.now(unix_ms());
    let register = context.register();
    let mut entries = Vec::new();
    let known = context.seal_keys();
    if let Some(epoch) = context.keys.seal.newest() {
        let public = epoch.key.public().ok();
        let match_key = context.own_match_key(epoch.epoch);
        let says = context.match_key(&context.own).map(|(_, key)| key);
        let matched = !inner.matching.lists.all().is_empty();
        if known.get(&context.own) != public.as_ref() || (matched && says != match_key) {
            entries.push(context.issuer.key(&now, &epoch, match_key)?);
        }
    }
    let adopted = context.reader.control_entries("register").into_iter().any(|(log, index)| {
        log == context.own
            && context.reader.entry(&log, index).ok().flatten().is_some_and(|entry| {
                Statement::parse(&entry.item.statement).is_ok_and(|s| {
                    matches!(&s.manifest().body, Body::Register(r) if r.version == register.version())
                })
            })
    });
    if !adopted {
        entries.push(context.issuer.adoption(
            &now.after(entries.len()),
            register.version(),
            register.digest(),
        )?);
    }
    if !entries.is_empty() {
        log(inner, Unit { token: 0, entries, facts: Vec::new(), request: None }).await?;
    }
    Ok(())
}

async fn publish_once(
    inner: &Inner,
    principal: &str,
    request: Option<IdempotentRequest>,
    submission: Submission,
) -> Result<Published, Refusal> {
    match publish_now(inner, principal, request.clone(), submission.clone()).await {
        // Others were logged before it, up to where another key signs.
        Err(refusal) if refusal.code == "sign-key-not-valid" => {
            publish_now(inner, principal, request, submission).await
        }
        outcome => outcome,
    }
}

async fn publish_now(
    inner: &Inner,
    principal: &str,
    request: Option<IdempotentRequest>,
    submission: Submission,
) -> Result<Published, Refusal> {
    announce_self(inner).await?;
    let context = &inner.context;
    let register = context.register();
    let now = context.now(unix_ms());
    let keep = submission.keep.clone();
    let Prepared { id, valid, fields, plan, relation, community, language } =
        draft::prepare(context, &register, submission, now.unix_ms)?;
    let kept = screen::decided(&valid, &keep)?;
    let mut entries = Vec::new();
    let mut facts: Vec<Fact> = Vec::new();
    facts.extend(forgetting::own_order(context, &valid, relation.as_ref(), now.unix_ms));
    let audiences = audiences_for(inner, &community, &plan, &mut entries, &mut facts).await?;
    let draft = Draft { id, community: &community, record: &valid, fields, relation };
    // The audiences above may have been logged meanwhile.
    let now = context.now(now.unix_ms).after(entries.len());
    let issued = context.issuer.record(&now, draft, &plan, &audiences)?;
    admit::admit(&register, &issued.statement, Content::Whole(&valid))?;
    entries.push(issued);
    // Of the same commit: a record that needed a decision is never there without it.
    if !kept.is_empty() {
        let principal = principal.to_owned();
        let screened = Screened { record: id, principal, at: now.unix_ms, kept };
        facts.push(Fact::Decision(Decision::Screened(screened)));
    }
    let logged = log(inner, Unit { token: 0, entries, facts, request }).await?;
    published(inner, &id, logged, &plan, &valid, language)
}

fn published(
    inner: &Inner,
    id: &RecordId,
    logged: Logged,
    plan: &Plan,
    valid: &ValidRecord,
    language: Language,
) -> Result<Published, Refusal> {
    let context = &inner.context;
    Ok(Published {
        id: id.to_string(),
        log: context.own.clone(),
        index: logged.index,
        size: logged.size,
        repeated: false,
        classes: plan.by_name(),
        warnings: draft::warnings(context, valid, language),
        receipt: receipt(inner, logged.index)?,
    })
}

fn repeated(inner: &Inner, same: bool, index: u64) -> Result<Published, Refusal> {
    if !same {
        return Err(Refusal::new(
            "idempotency-key-reused",
            422,
            "cannot publish: this idempotency key was used for another record",
            "use a fresh key for each record",
        ));
    }
    let lost =
        || Refusal::fault("store-fault", "cannot find the entry logged", "see the node's log");
    let entry = inner.context.reader.entry(&inner.context.own, index).ok().flatten();
    let entry = entry.ok_or_else(lost)?;
    let statement = Statement::parse(&entry.item.statement).map_err(|_| lost())?;
    let record = statement.claims().subject;
    let view = feed::record(&inner.context, &record, &Reading::none())?;
    let delivery = delivery::delivery(&inner.context, &record)?;
    let mut classes: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
    for to in delivery.members {
        for class in to.classes {
            classes.entry(class).or_default().push(to.member.clone());
        }
    }
    Ok(Published {
        id: record.to_string(),
        log: view.log,
        index: view.index,
        size: inner.context.reader.size(&inner.context.own),
        repeated: true,
        classes,
        warnings: Vec::new(),
        receipt: receipt(inner, view.index)?,
    })
}

fn receipt(inner: &Inner, index: u64) -> Result<String, Refusal> {
    let context = &inner.context;
    let (note, size) = feed::cosigned_checkpoint(context, &context.own, index)?;
    let proof = context
        .reader
        .inclusion_proof(&context.own, index, size)
        .map_err(|e| Refusal::fault("store-fault", e.to_string(), "see the node's log"))?;
    Ok(Receipt::new(index, proof, note).to_string())
}

/// The audience of each class: shared ones are made once a day and logged before they are used;
/// a `nominal` part, and one that is the originator's alone, has its own, logged with the record.
async fn audiences_for(
    inner: &Inner,
    community: &str,
    plan: &Plan,
    entries: &mut Vec<Issued>,
    facts: &mut Vec<Fact>,
) -> Result<BTreeMap<FieldClass, Audience>, Refusal> {
    let context = &inner.context;
    let now = context.now(unix_ms());
    let seal_keys = context.seal_keys();
    let mut chosen = BTreeMap::new();
    for (class, to) in &plan.classes {
        if *class == FieldClass::Nominal || to.is_empty() {
            let (audience, issued, fact) =
                context.issuer.audience(&now.after(entries.len()), community, to, &seal_keys)?;
            entries.extend(issued);
            facts.push(fact);
            chosen.insert(*class, audience);
            continue;
        }
        let mut audiences = inner.publisher.audiences.lock().await;
        let key = (community.to_owned(), to.clone());
        let usable = audiences.get(&key).filter(|a| {
            let same_keys = to
                .iter()
                .all(|m| seal_keys.get(m).map(|k| k.thumbprint()).as_ref() == a.wrapped_for.get(m));
            now.unix_ms / 1000 < a.until && same_keys
        });
        let audience = match usable {
            Some(audience) => audience.clone(),
            None => {
                let (audience, issued, fact) = context.issuer.audience(
                    &context.now(now.unix_ms),
                    community,
                    to,
                    &seal_keys,
                )?;
                let entries = issued.into_iter().collect();
                let unit = Unit { token: 0, entries, facts: vec![fact], request: None };
                log(inner, unit).await?;
                audiences.retain(|_, a| now.unix_ms / 1000 < a.until);
                audiences.insert(key, audience.clone());
                audience
            }
        };
        chosen.insert(*class, audience);
    }
    Ok(chosen)
}

pub(super) async fn log(inner: &Inner, unit: Unit) -> Result<Logged, Refusal> {
    log_by(&inner.inputs, unit).await
}

/// The same for whoever has no more than the machine's queue.
pub(super) async fn log_by(inputs: &mpsc::Sender<Message>, unit: Unit) -> Result<Logged, Refusal> {
    let (reply, logged) = oneshot::channel();
    let gone = || {
        Refusal::fault(
            "stopping",
            "cannot log: this node is stopping",
            "publish again when it runs",
        )
    };
    inputs.send(Message::Log(unit, reply)).await.map_err(|_| gone())?;
    logged.await.map_err(|_| gone())?
}

fn digest_of(submission: &Submission) -> Digest {
    let audiences: Vec<String> =
        submission.audiences.iter().map(|(c, to)| format!("{c}={to:?}")).collect();
    let text = format!(
        "{}\n{:?}\n{}\n{}",
        submission.community,
        submission.to,
        audiences.join(";"),
        submission.record
    );
    let kept = submission.keep.iter().map(|keep| format!("\n{keep:?}"));
    Digest::of([text].into_iter().chain(kept).collect::<String>().as_bytes())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
