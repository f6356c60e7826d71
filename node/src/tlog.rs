//! Logs as other members' programs read them: C2SP `tlog-tiles`, and the statements beside it.
//!
//! Checkpoints, tiles and entry bundles hold digests only, and go to every member. A statement
//! goes to whom it is addressed, as over the sync protocol. Everything comes from what is durable.

use sealwire_wire::id::MemberId;
use sealwire_wire::statement::Statement;
use sealwire_wire::tile::Resource;

use crate::context::Context;
use crate::refusal::Refusal;
use crate::store::StoreFault;
use crate::sync;

/// The latest checkpoint held of a log, with the cosignatures known.
pub fn checkpoint(context: &Context, log: &MemberId) -> Result<String, Refusal> {
    let (size, note) = context
        .reader
        .checkpoint(log)
        .ok_or_else(|| absent(format!("cannot find a checkpoint of {log}: none is held here")))?;
    Ok(context.reader.with_cosignatures(log, size, note))
}

/// The content of a tile or entry bundle that the tree of the latest checkpoint has, or had when
/// it was smaller.
pub fn resource(context: &Context, log: &MemberId, resource: Resource) -> Result<Vec<u8>, Refusal> {
    let found = context.reader.log_resource(log, resource).map_err(fault)?;
    found.ok_or_else(|| {
        absent(format!("cannot find {resource} of {log}: its tree does not reach that far here"))
    })
}

/// The statement of one entry, byte for byte, for a member's own people (`asker` none) or for
/// another member to which it is addressed. What is not addressed is not told from what is not
/// held.
pub fn statement(
    context: &Context,
    log: &MemberId,
    index: u64,
    asker: Option<&MemberId>,
) -> Result<Vec<u8>, Refusal> {
    let entry = context.reader.entry(log, index).map_err(fault)?;
    let served = entry.map(|entry| entry.item.statement).filter(|bytes| {
        let Ok(statement) = Statement::parse(bytes) else { return false };
        asker.is_none_or(|asker| sync::may_serve(context, log, statement.manifest(), asker))
    });
    served.ok_or_else(|| {
        absent(format!(
            "cannot show statement {index} of {log}: it is not held here, or not addressed to the \
             asker"
        ))
    })
}

fn absent(message: String) -> Refusal {
    Refusal::new("not-in-log", 404, message, "the checkpoint tells how far the log reaches here")
}

fn fault(cause: StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
