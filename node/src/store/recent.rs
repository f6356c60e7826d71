//! The entries committed last, kept in memory: who announces an entry, writes it into the log
//! files or serves it to the first peers reads it within moments of its commit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::fact::Fact;
use crate::journal::Position;

/// Most bytes of sealed parts and statements kept.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Entries in the order of the journal.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: VecDeque<(Position, Fact, usize)>,
    bytes: usize,
}

impl Recent {
    /// Keeps an entry in the place of the oldest; facts that are none are small, and are not kept.
    pub fn keep(&self, at: Position, fact: &Fact, length: usize) {
        if !matches!(fact, Fact::Entry { .. }) || length > MAX_BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.push_back((at, fact.clone(), length));
        kept.bytes += length;
        while kept.bytes > MAX_BYTES
            && let Some((_, _, length)) = kept.entries.pop_front()
        {
            kept.bytes -= length;
        }
    }

    /// Lets go of all of them: what was purged must not stay in memory.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    /// The entry at this place of the journal, if it is among those kept.
    pub fn get(&self, at: Position) -> Option<Fact> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.entries.binary_search_by_key(&at, |(position, _, _)| *position).ok()?;
        kept.entries.get(found).map(|(_, fact, _)| fact.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sealwire_wire::message::Item;

    use super::*;

    fn entry(index: u64) -> Fact {
        let item = Item { index, statement: vec![1], sealed: BTreeMap::new(), proof: Vec::new() };
        Fact::Entry { log: "ID".parse().unwrap(), received_at: 0, item }
    }

    #[test]
    fn the_newest_entries_are_kept_within_the_bound() {
        let recent = Recent::default();
        let at = |offset| Position { segment: 1, offset };
        for index in 0..10 {
            recent.keep(at(index * 100), &entry(index), MAX_BYTES / 4);
        }
        assert_eq!(recent.get(at(500)), None);
        for index in 6..10 {
            assert_eq!(recent.get(at(index * 100)), Some(entry(index)));
        }
        assert_eq!(recent.get(at(601)), None);
        recent.keep(at(2000), &entry(20), MAX_BYTES + 1);
        assert_eq!(recent.get(at(2000)), None, "larger than the bound");
        assert!(recent.get(at(900)).is_some());
    }
}
