//! Contents that a member logs again.
//!
//! Messages are verified beside each other, and what an earlier one brought may still be on its way
//! to the index. So this is looked at where inputs stand in a row, by the driver, just before
//! they are given to the machine.

use std::collections::BTreeMap;

use sealwire_wire::id::{Digest, MemberId};

use crate::admit::Admitted;
use crate::exchange::{Input, Ranged};
use crate::refusal::Refusal;

/// The contents of the inputs since the last commit, each with the place where it came first.
#[derive(Default)]
pub struct Contents(BTreeMap<Digest, (MemberId, u64)>);

impl Contents {
    /// Quarantines the entries of an input whose content was logged before at another place: one
    /// that is `known` to be durable, or came since the last commit.
    pub fn quarantine_repeated(
        &mut self,
        input: &mut Input,
        known: impl Fn(&Digest) -> Option<(MemberId, u64)>,
    ) {
        let (Input::Announced { log, entries, .. }
        | Input::Ranged(Ranged { log, entries, .. })
        | Input::Fetched { log, entries, .. }) = input
        else {
            return;
        };
        for Admitted { entry, quarantine, .. } in entries {
            let content = entry.statement.content_digest();
            let place = (log.clone(), entry.index);
            let first = known(&content).or_else(|| self.0.get(&content).cloned());
            match first.filter(|first| *first != place) {
                Some(first) if quarantine.is_none() => *quarantine = Some(repeated(&first)),
                Some(_) => {}
                None => {
                    self.0.insert(content, place);
                }
            }
        }
    }
}

fn repeated((log, index): &(MemberId, u64)) -> Refusal {
    Refusal::new(
        "duplicate-content",
        409,
        format!("cannot accept entry: the same content is entry {index} of {log}"),
        "the originator must not log a statement twice",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::admit::Authentic;
    use crate::store::testing::{id, signed};

    /// An answer to a fetch, whose entries each stand at an index and have the content of another.
    fn fetched(entries: &[(u64, u64)]) -> Input {
        let log = id("AU");
        let entries = entries.iter().map(|(index, content)| {
            let statement = signed(&log, *content, false);
            let sealed = BTreeMap::new();
            let entry = Authentic { index: *index, statement, sealed, void: false, erased: false };
            Admitted { entry, quarantine: None, facts: Vec::new() }
        });
        Input::Fetched { log: log.clone(), entries: entries.collect(), denial: None }
    }

    /// The indexes of the entries that are quarantined.
    fn quarantined(input: &Input) -> Vec<u64> {
        let Input::Fetched { entries, .. } = input else { panic!("not what was given") };
        let repeated = entries.iter().filter(|entry| {
            entry.quarantine.as_ref().is_some_and(|refusal| refusal.code == "duplicate-content")
        });
        repeated.map(|entry| entry.entry.index).collect()
    }

    #[test]
    fn a_content_is_quarantined_at_every_place_but_its_first() {
        let durable = signed(&id("AU"), 0, false).content_digest();
        let known = |content: &Digest| (*content == durable).then(|| (id("AU"), 0));
        let mut contents = Contents::default();
        for (entries, expected) in [
            // Within one message, in the next one before anything is committed, and after.
            (vec![(1, 1), (2, 1), (3, 3)], vec![2]),
            (vec![(4, 3), (5, 5), (6, 0)], vec![4, 6]),
            // What comes again at its own place is no repetition.
            (vec![(0, 0), (1, 1), (3, 3), (5, 5)], vec![]),
        ] {
            let mut input = fetched(&entries);
            contents.quarantine_repeated(&mut input, known);
            assert_eq!(quarantined(&input), expected, "{entries:?}");
        }
    }

    #[test]
    fn why_an_entry_was_quarantined_before_stays() {
        let mut input = fetched(&[(1, 1), (2, 1)]);
        let Input::Fetched { entries, .. } = &mut input else { panic!("not what was given") };
        for entry in entries.iter_mut() {
            entry.quarantine = Some(crate::admit::void(&id("AU"), entry.entry.index));
        }
        Contents::default().quarantine_repeated(&mut input, |_| None);
        assert_eq!(quarantined(&input), Vec::<u64>::new());
    }
}
