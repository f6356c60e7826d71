//! Cosigning on request (C2SP `tlog-witness`): the machine decides, as it does for every head that
//! is announced; the request waits for its decision.

use std::time::Duration;

use sealwire_wire::witness::AddCheckpoint;

use crate::exchange::Input;
use crate::refusal::Refusal;
use crate::sync::{self, NotWitnessed};

use super::{Inner, Message};

/// How long a request waits until all below its checkpoint is held.
const WITNESS_WAIT: Duration = Duration::from_secs(10);

/// The answer to a request to cosign.
#[derive(Debug)]
pub enum Witnessed {
    /// Our cosignature lines, each with its newline.
    Cosigned(String),
    /// The size that we cosigned last, from which the proof has to lead.
    Conflict(u64),
}

/// Cosigns a checkpoint of another member's log, once we hold all that is addressed to us.
pub async fn add_checkpoint(inner: &Inner, body: &[u8]) -> Result<Witnessed, Refusal> {
    let request = AddCheckpoint::parse(body).map_err(|cause| {
        let hint = "see C2SP tlog-witness";
        Refusal::new("add-checkpoint-malformed", 400, cause.to_string(), hint)
    })?;
    let wanted = match sync::wanted(&inner.context, &request) {
        Ok(wanted) => wanted,
        Err(NotWitnessed::Conflict(known)) => return Ok(Witnessed::Conflict(known)),
        Err(NotWitnessed::Refused(refusal)) => return Err(refusal),
        Err(NotWitnessed::Forked(log, evidence)) => {
            tell(inner, Input::Forked { log, evidence }).await;
            return Err(Refusal::new(
                "log-forked",
                409,
                "cannot cosign: the log's owner has signed another history of this size",
                "GET /v1/status names the logs that are stopped; the evidence is kept",
            ));
        }
    };
    let (log, size) = (wanted.log.clone(), wanted.head.checkpoint.size);
    tell(inner, Input::PqAsked(log.clone())).await;
    tell(inner, Input::Announced { log: log.clone(), head: wanted.head, entries: Vec::new() })
        .await;
    let mut shown = inner.snapshot.clone();
    let reached = shown.wait_for(|snapshot| {
        snapshot.mirrors.get(&log).is_some_and(|mirror| mirror.cosigned >= size || mirror.stopped)
    });
    let reached = tokio::time::timeout(WITNESS_WAIT, reached).await;
    let reader = &inner.context.reader;
    let ours = reader.cosignatures_at(&log, size).into_iter().find(|c| c.by == inner.context.own);
    match ours {
        Some(cosigned) => {
            let pq = reader.pq_cosignatures_at(&log, size).into_iter();
            let pq = pq.filter(|c| c.by == inner.context.own);
            let lines = [cosigned].into_iter().chain(pq);
            let lines = lines.map(|cosigned| format!("{}\n", cosigned.line.trim_end()));
            Ok(Witnessed::Cosigned(lines.collect()))
        }
        // The log has grown meanwhile, and we cosigned a later checkpoint.
        None if reached.is_ok() => {
            Ok(Witnessed::Conflict(sync::cosigned_size(&inner.context, &log)))
        }
        None => Err(Refusal::fault(
            "not-held-yet",
            format!("cannot cosign {log} at {size} yet: not all that is addressed to us is held"),
            "ask again in some seconds; the entries are being pulled",
        )),
    }
}

async fn tell(inner: &Inner, input: Input) {
    // A node that is stopping answers no more anyway.
    let _ = inner.inputs.send(Message::Input(input)).await;
}
