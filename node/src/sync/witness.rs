//! Requests to cosign a checkpoint (C2SP `tlog-witness`), against what we cosigned before.

use sealwire_wire::id::MemberId;
use sealwire_wire::merkle;
use sealwire_wire::witness::AddCheckpoint;

use crate::context::Context;
use crate::exchange::SignedHead;
use crate::refusal::Refusal;

use super::{contradiction, head};

/// A checkpoint that we would cosign once all that is addressed to us below it is held.
#[derive(Debug)]
pub struct Wanted {
    /// Whose log.
    pub log: MemberId,
    /// The checkpoint.
    pub head: SignedHead,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug)]
pub enum NotWitnessed {
    /// Not from the size that we cosigned last: that size.
    Conflict(u64),
    /// It contradicts the history that we hold of this log: the evidence.
    Forked(MemberId, String),
    /// Anything else.
    Refused(Refusal),
}

/// Checks a request; nothing is changed yet.
pub fn wanted(context: &Context, request: &AddCheckpoint) -> Result<Wanted, NotWitnessed> {
    let register = context.register();
    let origin = request.origin();
    let mut members = register.members().filter(|member| member.id != context.own);
    let log = members.find(|member| context.origin(&member.id) == origin).map(|m| m.id.clone());
    let log = log.ok_or_else(|| {
        let shown: String = origin.chars().take(80).collect();
        refused("unknown-origin", 404, format!("cannot cosign {shown:?}: no log of another member"))
    })?;
    let head = head(context, &log, &request.checkpoint)
        .map_err(|e| refused(&e.refusal.code, 403, e.refusal.message))?;
    let (old, size) = (request.old, head.checkpoint.size);
    if old > size {
        let text = format!("cannot cosign: the old size {old} is beyond the checkpoint's {size}");
        return Err(refused("old-size-too-large", 400, text));
    }
    if let Some(evidence) = contradiction(context, &log, &head) {
        return Err(NotWitnessed::Forked(log, evidence));
    }
    let known = cosigned_size(context, &log);
    if old != known {
        return Err(NotWitnessed::Conflict(known));
    }
    let consistent = match old {
        0 => request.proof.is_empty(),
        _ => context.reader.root(&log, old).is_ok_and(|root| {
            let new = &head.checkpoint;
            merkle::verify_consistency(old, &root, size, &new.root, &request.proof).is_ok()
        }),
    };
    if !consistent {
        let text = format!("cannot cosign: its proof does not lead from size {old} to {size}");
        return Err(refused("inconsistent", 422, text));
    }
    Ok(Wanted { log, head })
}

/// The size of a log that we cosigned last, 0 for none.
pub fn cosigned_size(context: &Context, log: &MemberId) -> u64 {
    let ours = context.reader.cosignatures(log).into_iter().find(|c| c.by == context.own);
    ours.map_or(0, |cosigned| cosigned.size)
}

fn refused(code: &str, status: u16, text: String) -> NotWitnessed {
    let hint = "see C2SP tlog-witness: the log's own checkpoint, and the proof from the size \
                cosigned last";
    NotWitnessed::Refused(Refusal::new(code, status, text, hint))
}
