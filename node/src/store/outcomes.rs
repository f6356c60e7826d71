//! What came of a log's entries, in the form that auditors read: from the journal, by the index.

use std::ops::Bound;

use sealwire_wire::bundle::Outcome;
use sealwire_wire::id::{MemberId, RecordId};

use super::index::Stage;
use super::rows::{Columns, log_key, prefixed, row};
use super::{Decision, Erasure, Fact, Hold, Reader, Screened, StoreFault};
use crate::journal::Position;

impl Stage<'_> {
    /// A decision about what the screen found in a record.
    pub(super) fn screened(&mut self, record: &RecordId, at: Position) {
        self.put(prefixed(row::SCREENED, record.as_bytes()), at.to_bytes().to_vec());
    }
}

impl Reader {
    /// What the screen before sending found in a record of ours that was sent all the same.
    pub fn screened(&self, record: &RecordId) -> Result<Option<Screened>, StoreFault> {
        let Some(at) = self.get(&prefixed(row::SCREENED, record.as_bytes()))? else {
            return Ok(None);
        };
        match self.fact(Columns(&at).position()?)? {
            Fact::Decision(Decision::Screened(screened)) => Ok(Some(screened)),
            _ => Err(self.damaged()),
        }
    }

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
    use super::super::Kept;
    use super::super::testing::{World, entry, id};
    use super::*;

    #[test]
    fn what_was_decided_about_a_record_is_found_by_its_id_also_after_a_rebuild() {
        let record = RecordId::new(1, &[3; 10]);
        let kept = Kept {
            pointer: "/remark".to_owned(),
            code: "person-name-in-text".to_owned(),
            reason: "fictional".to_owned(),
        };
        let (principal, kept) = ("duty".to_owned(), vec![kept.clone(), kept]);
        let screened = Screened { record, principal, at: 7, kept };
        let mut world = World::new();
        world.commit(&[Fact::Decision(Decision::Screened(screened.clone()))]);
        assert_eq!(world.reader().screened(&record).unwrap(), Some(screened.clone()));
        assert_eq!(world.reader().screened(&RecordId::new(2, &[3; 10])).unwrap(), None);
        world.reopen(|data| std::fs::remove_dir_all(data.join("index")).unwrap());
        assert_eq!(world.reader().screened(&record).unwrap(), Some(screened));
    }

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
