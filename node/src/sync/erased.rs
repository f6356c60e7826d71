//! What originators order to be erased, as it comes from peers.

use std::collections::BTreeSet;

use sealwire_schemas::Standard;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::Body;

use crate::admit::{Authentic, Opened};
use crate::context::Context;
use crate::forget;
use crate::store::Fact;

/// Marks the entries of which an originator has ordered parts to be erased, here or in the same
/// message.
pub(super) fn erased(context: &Context, mut entries: Vec<Authentic>) -> Vec<Authentic> {
    let orders = entries.iter().filter_map(|entry| {
        let Body::Record(record) = &entry.statement.manifest().body else { return None };
        let (record, _, order) = forget::erases(&entry.statement.claims().issuer, record)?;
        order.then_some(*record)
    });
    let orders: BTreeSet<RecordId> = orders.collect();
    for entry in entries.iter_mut().filter(|entry| !entry.complete()) {
        let claims = entry.statement.claims();
        entry.erased = orders.contains(&claims.subject)
            || context.reader.is_ordered(&claims.subject, &claims.issuer);
    }
    entries
}

/// What an entry that was admitted orders, as far as it opens here.
pub(super) fn ordered(log: &MemberId, entry: &Authentic, opened: &Opened) -> Option<Fact> {
    let manifest = entry.statement.manifest();
    if manifest.kind() != forget::KIND {
        return None;
    }
    let said = Standard::v1().check_parts(forget::KIND, &opened.disclosures()).record;
    forget::ordered(log, manifest, &said).map(Fact::Erasure)
}
