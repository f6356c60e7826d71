//! What came of a log's entries, in the form that auditors read: from the journal, by the index.

use std::ops::Bound;

use sealwire_wire::bundle::Outcome;
use sealwire_wire::id::MemberId;

use super::rows::{log_key, row};
use super::{Decision, Erasure, Fact, Hold, Reader, StoreFault};
use crate::journal::Position;

impl Reader {
    /// The outcomes of a log after the one with the key `after`, in the journal's order; and the
    /// key of the last.
    pub(super) fn outcomes(
        &self,
        log: &MemberId,
        after: Option<&[u8]>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreFault> {
        let prefix = log_key(row::OUTCOME, log);
        let mut end = prefix.clone();
        end.extend_from_slice(&[u8::MAX; 17]);
        let from = after.map_or(Bound::Included(prefix.as_slice()), Bound::Excluded);
        let rows = self.inner.table.range((from, Bound::Excluded(end.as_slice())));
        let (mut bytes, mut last) = (Vec::new(), None);
        for key in rows.keys() {
            let key = key.map_err(|e| self.note(e.into()))?;
            let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
            let outcome = match self.fact(Position::from_bytes(at))? {
                Fact::Denial { bytes, .. } => Outcome::Denied(bytes),
                Fact::Decision(Decision::Quarantined { index, code, .. }) => {
                    Outcome::Quarantined { index, code }
                }
                Fact::Decision(Decision::RefusedBy { member, index, code, .. }) => {
                    Outcome::Refused { by: member, index, code }
                }
                Fact::Decision(Decision::HeadAccepted { size, at, reason, .. }) => {
                    Outcome::HeadAccepted { size, at, reason }
                }
                Fact::Erasure(Erasure { record, classes, rule, at, .. }) => {
                    let index = self.locate(&record).map_or(u64::MAX, |(_, index)| index);
                    let classes = classes.into_iter().collect();
                    Outcome::Erased { index, classes, rule, at }
                }
                Fact::Hold(Hold { record, step, by, at, until, reason, .. }) => {
                    let index = self.locate(&record).map_or(u64::MAX, |(_, index)| index);
                    let step = step.word().to_owned();
                    Outcome::Hold { index, step, by, at, until, reason }
                }
                _ => return Err(self.damaged()),
            };
            bytes.extend_from_slice(&outcome.to_bytes());
            last = Some(key.to_vec());
        }
        Ok((bytes, last))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, entry, id};
    use super::*;

    #[test]
    fn outcomes_follow_the_journal_and_are_asked_for_from_the_last_one_on() {
        let (own, other) = (id("ID"), id("SG"));
        let mut world = World::new();
        let quarantined = |index| {
            let (log, code, text) = (other.clone(), "bad-signature".to_owned(), String::new());
            Fact::Decision(Decision::Quarantined { log, index, code, text })
        };
        let denied = Fact::Denial { log: other.clone(), bytes: vec![9], ranges: vec![(1, 2)] };
        world.commit(&[entry(&own, 0), quarantined(0), denied]);
        let (bytes, last) = world.reader().outcomes(&other, None).unwrap();
        let code = "bad-signature".to_owned();
        let first = Outcome::Quarantined { index: 0, code: code.clone() };
        assert_eq!(bytes, [first.to_bytes(), Outcome::Denied(vec![9]).to_bytes()].concat());
        assert_eq!(world.reader().outcomes(&own, None).unwrap(), (Vec::new(), None));

        world.commit(&[quarantined(5)]);
        let (bytes, _) = world.reader().outcomes(&other, last.as_deref()).unwrap();
        assert_eq!(bytes, Outcome::Quarantined { index: 5, code }.to_bytes());
    }
}
