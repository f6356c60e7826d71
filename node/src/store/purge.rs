//! The removal of erased parts from the journal.
//!
//! [`Writer::purge`] says what is to go and closes the segment that is written, if need be;
//! [`Purge::run`] does the work on any thread and answers with the facts that say that it is done.
//! A crash in between leaves the work undone or done and unsaid: it is then done again.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_wire::id::MemberId;
use sealwire_wire::seal::AudienceId;

use super::erasure::Purged;
use super::fact::Fact;
use super::forgetting::single_use;
use super::{CommitError, Reader, StoreFault, Writer};
use crate::journal::{Position, Purger};

/// Most entries whose parts are removed at once.
pub const MAX_PURGED: usize = 16_384;

/// What goes from a frame: these sealed parts; of a secret's frame, the secret.
type Goes = BTreeSet<String>;

/// Erased parts about to be removed.
pub struct Purge {
    reader: Reader,
    purger: Purger,
    places: BTreeMap<Position, Goes>,
    done: Vec<(MemberId, u64, BTreeSet<String>, Vec<AudienceId>)>,
}

impl Writer {
    /// The erased parts whose bytes are still in the journal, ready to be removed; nothing if there
    /// are none. `held` says of which entries nothing may be removed.
    pub fn purge(
        &mut self,
        held: impl Fn(&MemberId, u64) -> bool,
    ) -> Result<Option<Purge>, CommitError> {
        let stopped = |fault: StoreFault| CommitError::Stopped(fault.to_string());
        let reader = self.reader.clone();
        let (mut places, mut done) = (BTreeMap::<Position, Goes>::new(), Vec::new());
        for (log, index, classes) in reader.unpurged(MAX_PURGED) {
            if held(&log, index) {
                continue;
            }
            let entry = reader.blocked_entry(&log, index).map_err(stopped)?;
            let Some(entry) = entry else { continue };
            for position in reader.positions(&log, index).map_err(stopped)? {
                places.entry(position).or_default().extend(classes.iter().cloned());
            }
            let audiences = single_use(&reader, &self.state.own, &log, &entry.item, &classes);
            for audience in &audiences {
                for position in reader.secret_positions(audience) {
                    places.entry(position).or_default();
                }
                let Some((log, index)) = reader.audience_at(audience) else { continue };
                for position in reader.positions(&log, index).map_err(stopped)? {
                    let wrap = sealwire_wire::message::WRAP.to_owned();
                    places.entry(position).or_default().insert(wrap);
                }
            }
            done.push((log, index, classes, audiences.into_iter().collect()));
        }
        if done.is_empty() {
            return Ok(None);
        }
        if let Some((last, _)) = places.last_key_value() {
            self.journal.close(last.segment)?;
        }
        Ok(Some(Purge { reader, purger: self.journal.purger(), places, done }))
    }
}

impl Purge {
    /// Removes the bytes. `now_ms` is when, milliseconds since 1970.
    pub fn run(self, now_ms: u64) -> Result<Vec<Fact>, StoreFault> {
        let Self { reader, purger, places, done } = self;
        let mut by_segment: BTreeMap<u64, Vec<(u64, Goes)>> = BTreeMap::new();
        for (Position { segment, offset }, goes) in places {
            by_segment.entry(segment).or_default().push((offset, goes));
        }
        for (segment, places) in by_segment {
            let mut payloads = BTreeMap::new();
            for (offset, goes) in places {
                let frame = reader.inner.journal.read(Position { segment, offset })?;
                let fact = Fact::from_frame(&frame)?.without(|class| goes.contains(class));
                payloads.insert(offset, fact.to_frame().payload);
            }
            purger.replace(segment, &payloads)?;
        }
        reader.inner.recent.clear();
        let facts = done.into_iter().map(|(log, index, classes, audiences)| {
            Fact::Purged(Purged { log, index, classes, audiences, at: now_ms })
        });
        Ok(facts.collect())
    }
}
