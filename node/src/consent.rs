//! What originators have consented to: the records of kind `consent-grant` that this node holds.
//!
//! A consent counts while it is neither withdrawn nor superseded by its issuer, and as far as it
//! opens here. Whom and what it covers is the matter of [`crate::release`].

use std::collections::BTreeSet;
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
    grants: Vec<(MemberId, u64)>,
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
                    self.grants.push((log, index));
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
        let mut standing = Vec::new();
        for (log, index) in &seen.grants {
            let Some(entry) = context.reader.entry(log, *index)? else { continue };
            let Some((statement, opened)) = context.open(&entry) else { continue };
            let id = statement.claims().subject;
            let place = (log.clone(), id);
            let gone = seen.withdrawn.contains(&place) || seen.superseded.contains(&place);
            if gone || entry.quarantined.is_some() || opened.broken.is_some() {
                continue;
            }
            let record = Standard::v1().check_parts(KIND, &opened.disclosures()).record;
            standing.extend(Grant::of(id, log, &record));
        }
        Ok(standing)
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
