//! What contradicts the history that we hold of a log, and what peers show against one.

use sealwire_wire::evidence::{Fork, Forked};
use sealwire_wire::id::MemberId;
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
