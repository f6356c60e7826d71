//! The edge towards peers: what they send is verified here and becomes a typed input of the
//! machine; what they ask is answered here from what is durable.
//!
//! Runs beside the machine, on as many threads as there are: verifying a message touches no
//! state but the register, the keys and the store's reader, so that a verdict never waits for
//! our own disk.

use std::collections::BTreeSet;

use sealwire_wire::checkpoint::SignedCheckpoint;
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle;
use sealwire_wire::message::{Announcement, Item, MAX_PULL_LEAVES, Range, Request, Response};
use sealwire_wire::register::Status;
use sealwire_wire::statement::{Body, Denial, MAX_DENIAL_RANGES, Manifest, Statement, leaf_data};

use crate::admit::{self, Admitted, Authentic, Content, NotTaken, Verdict};
use crate::context::Context;
use crate::exchange::{Input, Ranged, SignedHead, SignedRanges};
use crate::refusal::Refusal;
use crate::release;
use crate::store::Decision;

mod cosigned;
mod erased;
mod evidence;
mod recover;
mod registers;
mod repeated;
mod witness;

use cosigned::cosigned;
use erased::{erased, ordered};
pub use evidence::{contradiction, fork, proved};
pub use recover::recovered;
pub use registers::held;
pub use repeated::Contents;
pub use witness::{NotWitnessed, cosigned_size, wanted};

/// Most bytes of entries in one answer; the range ends where they are reached.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Longest text of a peer's refusal that is kept, in bytes.
pub const MAX_REASON_BYTES: usize = 4096;

/// Verifies the checkpoint of `log` in `note`.
pub fn head(context: &Context, log: &MemberId, note: &str) -> Result<SignedHead, NotTaken> {
    let register = context.register();
    let key = register.member(log).and_then(|member| member.log_key()).ok_or_else(|| {
        ignore(
            "unknown-member",
            format!("cannot accept checkpoint: {log} has no log key in the register"),
        )
    })?;
    let signed = SignedCheckpoint::verify(note.as_bytes(), &context.origin(log), &key.public)
        .map_err(|e| reject("checkpoint-invalid", e.to_string()))?;
    Ok(SignedHead { checkpoint: signed.checkpoint().clone(), note: signed.bare().to_string() })
}

/// Verifies an announcement; the input is complete when it comes back.
pub fn announcement(context: &Context, message: &Announcement) -> Result<Input, NotTaken> {
    let log = &message.log;
    let head = head(context, log, &message.checkpoint)?;
    if let Some(evidence) = contradiction(context, log, &head) {
        return Ok(Input::Forked { log: log.clone(), evidence });
    }
    if *log == context.own {
        return Err(ignore("own-log", "cannot accept announcement: it is of our own log"));
    }
    let mut entries = Vec::with_capacity(message.items.len());
    let register = context.register();
    for item in &message.items {
        let entry = admit::authenticate(&register, log, item)?;
        let leaf = merkle::leaf_hash(&leaf_data(&entry.statement.digest()));
        merkle::verify_inclusion(
            &leaf,
            item.index,
            head.checkpoint.size,
            &item.proof,
            &head.checkpoint.root,
        )
        .map_err(|e| reject("not-included", e.to_string()))?;
        entries.push(entry);
    }
    let entries = check(context, entries)?;
    Ok(Input::Announced { log: log.clone(), head, entries })
}

/// Verifies the answer to a pull of `log` that `peer` gave.
pub fn range(
    context: &Context,
    log: &MemberId,
    peer: &MemberId,
    range: Range,
) -> Result<Input, NotTaken> {
    let head = head(context, log, &range.checkpoint)?;
    let end = range.from.saturating_add(range.leaves.len() as u64);
    if end > head.checkpoint.size {
        return Err(reject(
            "range-beyond-head",
            "cannot accept range: it ends beyond its checkpoint",
        ));
    }
    let leaf_of = |index: u64| {
        let at = index.checked_sub(range.from).and_then(|at| usize::try_from(at).ok())?;
        range.leaves.get(at).copied()
    };
    let entries = matching(context, log, &range.items, leaf_of)?;
    let denial = range.denial.map(|d| denied(context, log, d)).transpose()?;
    Ok(Input::Ranged(Ranged {
        log: log.clone(),
        peer: peer.clone(),
        head,
        from: range.from,
        leaves: range.leaves,
        consistency: range.consistency,
        entries,
        denial,
    }))
}

/// Verifies the answer to a fetch.
pub fn fetched(
    context: &Context,
    log: &MemberId,
    items: &[Item],
    denial: Option<Vec<u8>>,
) -> Result<Input, NotTaken> {
    let entries = matching(context, log, items, |index| context.reader.leaf(log, index))?;
    let denial = denial.map(|d| denied(context, log, d)).transpose()?;
    Ok(Input::Fetched { log: log.clone(), entries, denial })
}

/// Answers a request of `asker`; some also are inputs of the machine.
pub fn serve(
    context: &Context,
    asker: &MemberId,
    request: Request,
    now_ms: u64,
) -> (Response, Option<Input>) {
    let active = context.register().member(asker).is_some_and(|m| m.status == Status::Active);
    if !active {
        let text = "cannot answer: the register does not list the asker as active";
        return (refused("member-not-active", text), None);
    }
    match request {
        Request::Head(log) => (served_head(context, &log), None),
        Request::Pull { log, from } => (served_range(context, asker, &log, from, now_ms), None),
        Request::Fetch { log, indexes } => {
            (served_items(context, asker, &log, &indexes, now_ms), None)
        }
        Request::Push(message) => match announcement(context, &message) {
            Ok(input) => (Response::Taken, Some(input)),
            Err(e) => (refused(&e.refusal.code, &e.refusal.message), None),
        },
        Request::Cosigned { note } => match cosigned(context, asker, &note) {
            Ok(input) => (Response::Taken, Some(input)),
            Err(e) => (refused(&e.code, &e.message), None),
        },
        Request::Forked { log, evidence } => match fork(context, &log, &evidence) {
            Ok(_) => (Response::Taken, Some(Input::Forked { log, evidence })),
            Err(e) => (refused(&e.code, &e.message), None),
        },
        Request::Register { version, digest } => {
            (registers::following(context, version, &digest), None)
        }
        // Answered beside this: their answers wait for what must be durable first.
        Request::MatchTags { .. } | Request::Match(_) => {
            (refused("match-not-offered", "cannot answer: nothing may be matched here"), None)
        }
        Request::Rewrap { audience } => (rewrapped(context, asker, &audience), None),
        Request::Consistency { log, size } => {
            (evidence::served_consistency(context, &log, size), None)
        }
        Request::Quarantined { index, code, mut text } => {
            let mut end = MAX_REASON_BYTES.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            let decision = Decision::RefusedBy { member: asker.clone(), index, code, text };
            (Response::Taken, Some(Input::RefusedBy(decision)))
        }
    }
}

/// Verifies an announcement that came over the topic of `community`, or of the federation if none:
/// nothing is handed on there that is not for all who read it.
pub fn gossiped(
    context: &Context,
    message: &Announcement,
    community: Option<&str>,
) -> Result<Input, NotTaken> {
    for item in &message.items {
        let statement = Statement::parse(&item.statement)
            .map_err(|e| reject("statement-malformed", e.to_string()))?;
        release::spread(statement.manifest(), community).map_err(|rule| {
            let index = item.index;
            let why = rule.why();
            reject("not-for-topic", format!("cannot hand on entry {index} to a topic: {why}"))
        })?;
    }
    announcement(context, message)
}

/// Whether an entry may be served to `asker` by us: see [`release::serve`].
pub fn may_serve(context: &Context, log: &MemberId, manifest: &Manifest, asker: &MemberId) -> bool {
    release::serve(&context.register(), log, manifest, &context.own, asker).is_ok()
}

/// Runs the gate over authentic entries, opening what is for us.
fn check(context: &Context, entries: Vec<Authentic>) -> Result<Vec<Admitted>, NotTaken> {
    let register = context.register();
    let entries = erased(context, entries);
    // An audience secret that comes in the same message opens the records after it.
    let mut learnt = Vec::new();
    let mut admitted = Vec::with_capacity(entries.len());
    for entry in entries {
        let log = entry.statement.claims().issuer.clone();
        let mut facts = Vec::new();
        if let Body::Audience(audience) = &entry.statement.manifest().body
            && audience.to.contains(&context.own)
            && !entry.void
            && let Ok(fact) = context.unwrap(&log, audience, &entry.sealed)
        {
            if let Some(secret) = context.reopen(&fact) {
                learnt.push((audience.audience, secret));
            }
            facts.push(fact);
        }
        let opened = match &entry.statement.manifest().body {
            Body::Record(record) => {
                admit::open(entry.statement.claims(), record, &entry.sealed, |wanted| {
                    let fresh = learnt.iter().find(|(id, _)| id == wanted);
                    fresh.map(|(_, s)| s.clone()).or_else(|| context.secret_of(wanted))
                })
            }
            _ => admit::Opened::default(),
        };
        let content = Content::Opened(&opened);
        let quarantine = match entry.void {
            true => Err(admit::void(&log, entry.index)),
            false => admit::admit(&register, &entry.statement, content),
        };
        let quarantine = quarantine.err();
        if quarantine.is_none() {
            facts.extend(ordered(&log, &entry, &opened));
        }
        admitted.push(Admitted { entry, quarantine, facts });
    }
    Ok(admitted)
}

/// Entries that are exactly those of their leaves.
fn matching(
    context: &Context,
    log: &MemberId,
    items: &[Item],
    leaf_of: impl Fn(u64) -> Option<Digest>,
) -> Result<Vec<Admitted>, NotTaken> {
    let register = context.register();
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let entry = admit::authenticate(&register, log, item)?;
        if leaf_of(item.index) != Some(entry.statement.digest()) {
            return Err(reject(
                "not-included",
                format!(
                    "cannot accept entry {} of {log}: it is not the one in the log",
                    item.index
                ),
            ));
        }
        entries.push(entry);
    }
    check(context, entries)
}

fn denied(context: &Context, log: &MemberId, bytes: Vec<u8>) -> Result<SignedRanges, NotTaken> {
    let (claims, denial) =
        Denial::verify(&bytes, |issuer, key_id| context.sign_key(issuer, key_id))
            .map_err(|e| reject("denial-invalid", e.to_string()))?;
    if claims.issuer != *log
        || denial.asker != context.own
        || denial.federation != context.federation()
    {
        return Err(reject(
            "denial-invalid",
            "cannot accept not-addressed answer: made for another log, asker or federation",
        ));
    }
    Ok(SignedRanges { bytes, ranges: denial.ranges })
}

fn served_head(context: &Context, log: &MemberId) -> Response {
    match context.reader.checkpoint(log) {
        Some((_, note)) => Response::Head(note),
        None => Response::Nothing,
    }
}

fn served_range(
    context: &Context,
    asker: &MemberId,
    log: &MemberId,
    from: u64,
    now_ms: u64,
) -> Response {
    let reader = &context.reader;
    let Some((size, note)) = reader.checkpoint(log) else { return Response::Nothing };
    if from >= size {
        return Response::Nothing;
    }
    let wanted = MAX_PULL_LEAVES.min(size - from);
    let mut leaves = reader.leaves(log, from, usize::try_from(wanted).unwrap_or(usize::MAX));
    let (items, reached) = addressed_items(context, asker, log, from..from + leaves.len() as u64);
    leaves.truncate(usize::try_from(reached - from).unwrap_or(usize::MAX));
    let not_addressed = gaps_between(from..reached, &items);
    let Ok(consistency) = reader.consistency_proof(log, reached, size) else {
        return refused("store-fault", "cannot answer: this node's store does not answer");
    };
    let denial = (*log == context.own && !not_addressed.is_empty())
        .then(|| context.issuer.denial(&context.now(now_ms), asker, not_addressed).ok())
        .flatten();
    Response::Range(Range { checkpoint: note, from, leaves, consistency, items, denial })
}

/// The items of a range that may go to `asker`, and where the range ends so that it fits.
fn addressed_items(
    context: &Context,
    asker: &MemberId,
    log: &MemberId,
    range: std::ops::Range<u64>,
) -> (Vec<Item>, u64) {
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    let mut breaks = 0;
    for index in range.clone() {
        let Some(item) = served_item(context, asker, log, index) else {
            breaks += 1;
            if breaks >= MAX_DENIAL_RANGES {
                return (items, index);
            }
            continue;
        };
        bytes += item.statement.len() + item.sealed.values().map(Vec::len).sum::<usize>() + 64;
        if bytes > MAX_ANSWER_BYTES && !items.is_empty() {
            return (items, index);
        }
        items.push(item);
    }
    (items, range.end)
}

fn served_item(context: &Context, asker: &MemberId, log: &MemberId, index: u64) -> Option<Item> {
    let stored = context.reader.entry(log, index).ok().flatten()?;
    let statement = Statement::parse(&stored.item.statement).ok()?;
    may_serve(context, log, statement.manifest(), asker).then_some(stored.item)
}

fn served_items(
    context: &Context,
    asker: &MemberId,
    log: &MemberId,
    indexes: &[u64],
    now_ms: u64,
) -> Response {
    let size = context.reader.size(log);
    let mut items = Vec::new();
    let mut denied = BTreeSet::new();
    let mut bytes = 0;
    for index in indexes.iter().copied().filter(|i| *i < size) {
        match served_item(context, asker, log, index) {
            Some(item) => {
                bytes += item.statement.len() + item.sealed.values().map(Vec::len).sum::<usize>();
                items.push(item);
                if bytes > MAX_ANSWER_BYTES {
                    break;
                }
            }
            None => {
                denied.insert(index);
            }
        }
    }
    let own = *log == context.own && !denied.is_empty();
    let denial = own.then(|| {
        let ranges = ranges_of(denied.into_iter().take(MAX_DENIAL_RANGES));
        context.issuer.denial(&context.now(now_ms), asker, ranges).ok()
    });
    let denial = denial.flatten();
    Response::Items { items, denial }
}

fn rewrapped(context: &Context, asker: &MemberId, audience: &[u8; 16]) -> Response {
    // Whoever made the secret may have lost it with its disk, and gets it from those who have it.
    let lost = context.reader.secret(audience).is_some_and(|(originator, _)| originator == *asker);
    let originator = if lost { asker } else { &context.own };
    let entitled = lost || context.may_have(audience, asker);
    let keys = context.seal_keys();
    match (entitled, context.secret_of(audience), keys.get(asker)) {
        (true, Some(secret), Some(key)) => {
            match context.issuer.wrap(originator, audience, &secret, &[(asker, key)]) {
                Ok(bytes) => Response::Wrapped(bytes),
                Err(e) => refused(&e.code, &e.message),
            }
        }
        (true, Some(_), None) => {
            refused("seal-key-unknown", "cannot wrap: the asker's seal key is not known here yet")
        }
        _ => refused("not-addressed", "cannot wrap: the asker is not of that audience"),
    }
}

/// The half-open ranges of `range` that no item covers.
fn gaps_between(range: std::ops::Range<u64>, items: &[Item]) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = range.start;
    for item in items {
        if item.index > next {
            gaps.push((next, item.index));
        }
        next = item.index + 1;
    }
    if next < range.end {
        gaps.push((next, range.end));
    }
    gaps
}

fn ranges_of(indexes: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => ranges.push((index, index + 1)),
        }
    }
    ranges
}

fn refused(code: &str, text: &str) -> Response {
    Response::Refused { code: code.to_owned(), text: text.to_owned() }
}

fn reject(code: &str, message: impl Into<String>) -> NotTaken {
    not_taken(Verdict::Reject, code, message)
}

fn ignore(code: &str, message: impl Into<String>) -> NotTaken {
    not_taken(Verdict::Ignore, code, message)
}

fn not_taken(verdict: Verdict, code: &str, message: impl Into<String>) -> NotTaken {
    let hint = "see the peer's counters in /metrics";
    NotTaken { verdict, refusal: Refusal::new(code, 422, message, hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: u64) -> Item {
        Item { index, statement: vec![], proof: vec![], sealed: Default::default() }
    }

    #[test]
    fn the_rest_of_a_range_is_what_no_item_covers() {
        assert_eq!(gaps_between(2..9, &[item(3), item(4), item(7)]), [(2, 3), (5, 7), (8, 9)]);
        assert_eq!(gaps_between(0..2, &[item(0), item(1)]), []);
        assert_eq!(gaps_between(0..2, &[]), [(0, 2)]);
    }

    #[test]
    fn neighbouring_indexes_make_one_range() {
        assert_eq!(ranges_of([1, 2, 5].into_iter()), [(1, 3), (5, 6)]);
    }
}
