//! What originators have consented to: the records of kind `consent-grant` that this node holds.
//!
//! A consent counts while it is neither withdrawn, superseded nor corrected by its issuer, and as far
//! as it opens here. Whom and what it covers is the matter of [`crate::release`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sealwire_schemas::Standard;
use sealwire_wire::id::MemberId;
use sealwire_wire::statement::{Body, Statement};

use crate::amend;
use crate::context::Context;
use crate::release::Grant;
use crate::store::StoreFault;

/// Kind of the records that give consent.
const KIND: &str = "consent-grant";
/// Records looked through at a time.
const PAGE: usize = 500;

/// Where consents are, as far as was looked.
#[derive(Default)]
pub struct Consents {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    cursor: u64,
    /// Each with what it says, once it has opened.
    grants: BTreeMap<(MemberId, u64), Option<Grant>>,
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
        let grants = &mut seen.grants;
        for ((log, index), grant) in grants.iter_mut().filter(|(_, grant)| grant.is_none()) {
            *grant = read(context, log, *index)?;
        }
        let mut standing = Vec::new();
        for grant in grants.values().flatten() {
            // A consent that was corrected is given again as a whole: what is left of the old one
            // is not for this node to say.
            if amend::of_record(context, &grant.issuer, &grant.id)?.stands() {
                standing.push(grant.clone());
            }
        }
        Ok(standing)
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
