//! What contradicts the history that we hold of a log, and what peers show against one.

use sealwire_wire::evidence::{Fork, Forked};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{Consistency, Response};
use sealwire_wire::register::KeyUse;

use crate::context::Context;
use crate::exchange::SignedHead;
use crate::refusal::Refusal;

/// Evidence that a head is not one of the history that we hold of a log, ours or a peer's.
pub fn contradiction(context: &Context, log: &MemberId, head: &SignedHead) -> Option<String> {
    let reader = &context.reader;
    let (size, larger) = reader.checkpoint(log)?;
    let smaller = &head.checkpoint;
    if smaller.size > size || smaller.size == 0 {
        return None;
    }
    let root = reader.root(log, smaller.size).ok()?;
    if root == smaller.root {
        return None;
    }
    let consistency = reader.consistency_proof(log, smaller.size, size).ok()?;
    Some(Fork { smaller: head.note.clone(), larger, root, consistency }.to_string())
}

/// Tells how the latest checkpoint held of a log continues its tree of `size` leaves.
pub fn served_consistency(context: &Context, log: &MemberId, size: u64) -> Response {
    let reader = &context.reader;
    let found = reader.checkpoint(log).filter(|(latest, _)| (1..=*latest).contains(&size));
    let Some((latest, checkpoint)) = found else { return Response::Nothing };
    match (reader.root(log, size), reader.consistency_proof(log, size, latest)) {
        (Ok(root), Ok(proof)) => Response::Consistency(Consistency { checkpoint, root, proof }),
        _ => Response::Nothing,
    }
}

/// Evidence against a log, if a peer's answer for the size of the checkpoint that we hold proves
/// that its owner signed another history, too. Whoever answers can prove nothing else by it.
pub fn proved(context: &Context, log: &MemberId, answer: Consistency) -> Option<String> {
    let head = super::head(context, log, &answer.checkpoint).ok()?;
    if let Some(evidence) = contradiction(context, log, &head) {
        return Some(evidence);
    }
    let (_, smaller) = context.reader.checkpoint(log)?;
    let Consistency { root, proof: consistency, .. } = answer;
    let evidence = Fork { smaller, larger: head.note, root, consistency }.to_string();
    fork(context, log, &evidence).ok().map(|_| evidence)
}

/// Verifies evidence against a log, ours or a peer's.
pub fn fork(context: &Context, log: &MemberId, evidence: &str) -> Result<Forked, Refusal> {
    let register = context.register();
    let keys = register.member(log).map(|member| member.keys.as_slice()).unwrap_or_default();
    let keys: Vec<[u8; 32]> =
        keys.iter().filter(|key| key.use_ == KeyUse::Log).map(|key| key.public).collect();
    let fork = Fork::parse(evidence).and_then(|fork| fork.verify(&context.origin(log), &keys));
    fork.map_err(|cause| {
        let hint = "send what proves a contradiction, or nothing";
        Refusal::new("evidence-invalid", 422, cause.to_string(), hint)
    })
}
