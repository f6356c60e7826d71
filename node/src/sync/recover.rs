//! Entries of our own log that a peer gives back.

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::merkle;
use sealwire_wire::message::Range;
use sealwire_wire::statement::leaf_data;

use crate::admit::{self, NotTaken};
use crate::context::Context;
use crate::exchange::Input;

use super::{contradiction, erased, head, ignore, reject};

/// Verifies the answer to a pull of our own log: the entries, without a gap from its beginning on,
/// that are complete. None, if the peer holds none that may go back to us.
pub fn recovered(context: &Context, range: &Range) -> Result<Input, NotTaken> {
    let (own, reader) = (&context.own, &context.reader);
    let head = head(context, own, &range.checkpoint)?;
    if let Some(evidence) = contradiction(context, own, &head) {
        return Ok(Input::Forked { log: own.clone(), evidence });
    }
    let mut frontier = reader.frontier(own);
    if range.from != frontier.size() {
        return Err(ignore("range-beyond-head", "cannot take back range: not where our log ends"));
    }
    let leaves = range.leaves.iter().map(|leaf| merkle::leaf_hash(&leaf_data(leaf)));
    leaves.for_each(|leaf| frontier.push(leaf));
    let Checkpoint { size, root, .. } = &head.checkpoint;
    merkle::verify_consistency(frontier.size(), &frontier.root(), *size, root, &range.consistency)
        .map_err(|cause| reject("not-included", format!("cannot take back range: {cause}")))?;
    let register = context.register();
    let mut authentic = Vec::new();
    for (item, (leaf, index)) in range.items.iter().zip(range.leaves.iter().zip(range.from..)) {
        if item.index != index {
            break;
        }
        let entry = admit::authenticate(&register, own, item)?;
        if entry.statement.digest() != *leaf {
            break;
        }
        authentic.push(entry);
    }
    let entries = erased(context, authentic);
    let entries = entries.into_iter().take_while(|entry| entry.complete()).collect();
    Ok(Input::Recovered { head, from: range.from, entries })
}
