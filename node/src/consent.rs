//! What originators have consented to: the records of kind `consent-grant` that this node holds.
//!
//! A consent counts while it is neither withdrawn nor superseded by its issuer, and as far as it
//! opens here. Whom and what it covers is the matter of [`crate::release`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use sealwire_schemas::Standard;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::statement::{Body, RelationVerb, Statement};

use crate::context::Context;
use crate::release::Grant;
use crate::store::StoreFault;

/// Kind of the records that give consent.
const KIND: &str = "consent-grant";
/// Records looked through at a time.
const PAGE: usize = 500;

/// Where consents are, and which records their issuers took back, as far as was looked.
#[derive(Default)]
pub struct Consents {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    cursor: u64,
    /// Each with what it says, once it has opened.
    grants: BTreeMap<(MemberId, u64), Option<Grant>>,
    withdrawn: BTreeSet<(MemberId, RecordId)>,
    superseded: BTreeSet<(MemberId, RecordId)>,
}

impl Seen {
    /// Looks at what arrived since the last time.
    fn catch_up(&mut self, context: &Context) -> Result<(), StoreFault> {
        loop {
            let page = context.reader.feed(self.cursor, PAGE);
            let Some((last, ..)) = page.last() else { return Ok(()) };
            let last = *last;
            for (_, log, index) in page {
                let Some(entry) = context.reader.entry(&log, index)? else { continue };
                let Ok(statement) = Statement::parse(&entry.item.statement) else { continue };
                let Body::Record(record) = &statement.manifest().body else { continue };
                if entry.quarantined.is_some() {
                    continue;
                }
                match &record.relation {
                    Some(relation) if relation.issuer != log => {}
                    Some(relation) if relation.verb == RelationVerb::Withdraws => {
                        self.withdrawn.insert((log.clone(), relation.record));
                    }
                    Some(relation) if relation.verb == RelationVerb::Supersedes => {
                        self.superseded.insert((log.clone(), relation.record));
                    }
                    _ => {}
                }
                if record.kind == KIND {
                    self.grants.insert((log, index), None);
                }
            }
            self.cursor = last;
        }
    }
}

impl Consents {
    /// The consents that stand now.
    pub fn standing(&self, context: &Context) -> Result<Vec<Grant>, StoreFault> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.catch_up(context)?;
        let Seen { grants, withdrawn, superseded, .. } = &mut *seen;
        for ((log, index), grant) in grants.iter_mut().filter(|(_, grant)| grant.is_none()) {
            *grant = read(context, log, *index)?;
        }
        let gone = |grant: &Grant| {
            let place = (grant.issuer.clone(), grant.id);
            withdrawn.contains(&place) || superseded.contains(&place)
        };
        Ok(grants.values().flatten().filter(|grant| !gone(grant)).cloned().collect())
    }

    /// Whether its issuer has withdrawn a record.
    pub fn withdrawn(
        &self,
        context: &Context,
        log: &MemberId,
        id: &RecordId,
    ) -> Result<bool, StoreFault> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.catch_up(context)?;
        Ok(seen.withdrawn.contains(&(log.clone(), *id)))
    }
}

/// What a consent says, if it opens here.
fn read(context: &Context, log: &MemberId, index: u64) -> Result<Option<Grant>, StoreFault> {
    let Some(entry) = context.reader.entry(log, index)? else { return Ok(None) };
    let Some((statement, opened)) = context.open(&entry) else { return Ok(None) };
    if opened.broken.is_some() {
        return Ok(None);
    }
    let record = Standard::v1().check_parts(KIND, &opened.disclosures()).record;
    Ok(Grant::of(statement.claims().subject, log, &record))
}
