//! Questions whether members hold identifiers, in the store: how many, to whom or from whom, what
//! for; those that no entry of our log counts yet, and how many there were on a day. Which
//! identifiers were asked about is nowhere.

use std::ops::Bound;

use sealwire_wire::cbor::{self, CborError, Value};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::message::About;
use sealwire_wire::statement::MatchSide;

use super::fact::{array, member, take_member};
use super::index::Stage;
use super::reads::ReadCursor;
use super::rows::{Columns, prefixed, row};
use super::{Fact, Reader, StoreFault};
use crate::journal::Position;

/// Seconds of a day.
pub const DAY_SECS: u64 = 24 * 3600;

const WHAT: &str = "match";

/// Questions of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whether we asked or answered.
    pub side: MatchSide,
    /// The member on the other side.
    pub with: MemberId,
    /// When, seconds since 1970.
    pub at: u64,
    /// The principal here for whom was asked; empty where we answered.
    pub by: String,
    /// Community, purpose and type of the identifiers.
    pub about: About,
    /// How many.
    pub count: u64,
}

impl Asked {
    /// The day, UTC, counted from 1970-01-01.
    pub fn day(&self) -> u64 {
        self.at / DAY_SECS
    }
}

/// What the journal says of matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// There were questions.
    Asked(Asked),
    /// An entry of the own log counts the `count` oldest of one side, member and day that none
    /// counted before.
    Counted {
        /// The subject of the entry's statement.
        subject: RecordId,
        /// The side.
        side: MatchSide,
        /// The member.
        with: MemberId,
        /// The day.
        day: u64,
        /// How many requests.
        count: u64,
    },
}

/// Questions that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAsked {
    /// Their place in the order: ask for those after it.
    pub cursor: ReadCursor,
    /// The questions.
    pub asked: Asked,
}

impl Match {
    pub(super) fn fields(&self) -> Vec<Value> {
        match self {
            Self::Asked(Asked { side, with, at, by, about, count }) => vec![
                Value::from(side.as_str()),
                member(with),
                Value::from(*at),
                Value::from(by.as_str()),
                Value::from(about.community.as_str()),
                Value::from(about.purpose.as_str()),
                Value::from(about.kind.as_str()),
                Value::from(*count),
            ],
            Self::Counted { subject, side, with, day, count } => vec![
                Value::from("counted"),
                member(with),
                Value::from(side.as_str()),
                Value::Text(subject.to_string()),
                Value::from(*day),
                Value::from(*count),
            ],
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        const ASKED: [&str; 8] =
            ["verb", "with", "at", "by", "community", "purpose", "type", "count"];
        const COUNTED: [&str; 6] = ["verb", "with", "side", "subject", "day", "count"];
        let side = |word: &str| {
            MatchSide::from_word(word)
                .ok_or_else(|| cbor::shape(WHAT, "verb", "asked, answered or counted"))
        };
        if let Ok(mut fields) = array(WHAT, bytes, &ASKED) {
            return Ok(Self::Asked(Asked {
                side: side(&fields.take_text("verb")?)?,
                with: take_member(&mut fields, "with")?,
                at: fields.take_u64("at")?,
                by: fields.take_text("by")?,
                about: About {
                    community: fields.take_text("community")?,
                    purpose: fields.take_text("purpose")?,
                    kind: fields.take_text("type")?,
                },
                count: fields.take_u64("count")?,
            }));
        }
        let mut fields = array(WHAT, bytes, &COUNTED)?;
        if fields.take_text("verb")? != "counted" {
            return Err(cbor::shape(WHAT, "verb", "asked, answered or counted"));
        }
        Ok(Self::Counted {
            with: take_member(&mut fields, "with")?,
            side: side(&fields.take_text("side")?)?,
            subject: fields.take_parsed("subject", "a record id")?,
            day: fields.take_u64("day")?,
            count: fields.take_u64("count")?,
        })
    }
}

/// Key of rows that belong to a side, a day and a member.
fn day_key(row: u8, side: MatchSide, day: u64, with: &MemberId) -> Vec<u8> {
    let mut key = vec![row, u8::from(side == MatchSide::Answered)];
    key.extend_from_slice(&day.to_be_bytes());
    key.extend_from_slice(with.as_str().as_bytes());
    key.push(0);
    key
}

impl Stage<'_> {
    /// Questions, or an entry of our log that counts some.
    pub(super) fn matching(&mut self, fact: &Match, at: Position) -> Result<(), StoreFault> {
        match fact {
            Match::Asked(asked) => {
                self.put(prefixed(row::MATCH, &at.to_bytes()), Vec::new());
                for (row, value) in [
                    (row::MATCH_DAY, asked.count.to_be_bytes().to_vec()),
                    (row::MATCH_UNCOUNTED, Vec::new()),
                ] {
                    let mut key = day_key(row, asked.side, asked.day(), &asked.with);
                    key.extend_from_slice(&at.to_bytes());
                    self.put(key, value);
                }
            }
            Match::Counted { subject, side, with, day, count } => {
                let key = prefixed(row::MATCH_ENTRY, subject.as_bytes());
                if self.get(&key)?.is_some() {
                    return Ok(());
                }
                self.put(key, Vec::new());
                let first = day_key(row::MATCH_UNCOUNTED, *side, *day, with);
                let mut last = first.clone();
                last.extend_from_slice(&[u8::MAX; 17]);
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                for key in self.first_keys_between(&first, &last, count)? {
                    self.remove(key);
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Questions in their order, after a cursor.
    pub fn matches(
        &self,
        after: Option<ReadCursor>,
        limit: usize,
    ) -> Result<Vec<KeptAsked>, StoreFault> {
        let after = after.map(|after| prefixed(row::MATCH, after.as_bytes()));
        let from = match &after {
            Some(after) => Bound::Excluded(after.as_slice()),
            None => Bound::Included([row::MATCH].as_slice()),
        };
        let end = Bound::Excluded([row::MATCH + 1].as_slice());
        let mut found = Vec::new();
        for key in self.inner.table.range((from, end)).keys().take(limit) {
            found.push(self.kept_asked(&key.map_err(|e| self.note(e.into()))?)?);
        }
        Ok(found)
    }

    /// How many questions there were with a member on a day.
    pub fn asked_on(&self, side: MatchSide, day: u64, with: &MemberId) -> Result<u64, StoreFault> {
        let prefix = day_key(row::MATCH_DAY, side, day, with);
        let mut sum = 0u64;
        for row in self.inner.table.scan_prefix(&prefix) {
            let (_, value) = row.map_err(|e| self.note(e.into()))?;
            sum = sum.saturating_add(Columns(&value).u64()?);
        }
        Ok(sum)
    }

    /// The oldest questions that no entry counts, of one side, day and member: of whichever has
    /// some.
    pub fn uncounted_matches(&self, limit: usize) -> Result<Vec<Asked>, StoreFault> {
        let mut found: Vec<Asked> = Vec::new();
        for key in self.inner.table.scan_prefix([row::MATCH_UNCOUNTED]).keys().take(limit) {
            let asked = self.kept_asked(&key.map_err(|e| self.note(e.into()))?)?.asked;
            let of = |asked: &Asked| (asked.side, asked.day(), asked.with.clone());
            if found.first().is_some_and(|first| of(first) != of(&asked)) {
                break;
            }
            found.push(asked);
        }
        Ok(found)
    }

    fn kept_asked(&self, key: &[u8]) -> Result<KeptAsked, StoreFault> {
        let at = key.last_chunk::<16>().ok_or_else(|| self.damaged())?;
        match self.fact(Position::from_bytes(at))? {
            Fact::Match(Match::Asked(asked)) => {
                Ok(KeptAsked { cursor: ReadCursor::at(*at), asked })
            }
            _ => Err(self.damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{World, id};

    fn asked(side: MatchSide, with: &str, at: u64, count: u64) -> Fact {
        let about = About {
            community: "seizures".to_owned(),
            purpose: "risk-analysis".to_owned(),
            kind: "container".to_owned(),
        };
        Fact::Match(Match::Asked(Asked {
            side,
            with: id(with),
            at,
            by: String::new(),
            about,
            count,
        }))
    }

    #[test]
    fn questions_are_counted_for_each_day_and_member_and_once_in_the_log() {
        use MatchSide::{Answered, Asked as We};
        let mut world = World::new();
        let facts = [
            asked(Answered, "SG", 10, 3),
            asked(Answered, "SG", 11, 4),
            asked(Answered, "SG", DAY_SECS, 5),
            asked(Answered, "AU", 12, 6),
            asked(We, "SG", 13, 7),
        ];
        world.writer().commit(&facts).unwrap();
        let sums = |world: &World| {
            let of = |side, day, with| world.reader().asked_on(side, day, &id(with)).unwrap();
            [of(Answered, 0, "SG"), of(Answered, 1, "SG"), of(Answered, 0, "AU"), of(We, 0, "SG")]
        };
        assert_eq!(sums(&world), [7, 5, 6, 7]);
        let all = world.reader().matches(None, 9).unwrap();
        assert_eq!(all.iter().map(|kept| kept.asked.count).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        let after = world.reader().matches(Some(all[1].cursor), 2).unwrap();
        assert_eq!(after, all[2..4]);

        // Each group is counted by an entry of its own, and each question once.
        let mut counted = Vec::new();
        while let Some(first) = world.reader().uncounted_matches(100).unwrap().first() {
            let next = world.reader().uncounted_matches(100).unwrap();
            counted.push(next.iter().map(|asked| asked.count).collect::<Vec<_>>());
            let fact = Fact::Match(Match::Counted {
                subject: RecordId::new(counted.len() as u64, &[3; 10]),
                side: first.side,
                with: first.with.clone(),
                day: first.day(),
                count: next.len() as u64,
            });
            world.writer().commit(std::slice::from_ref(&fact)).unwrap();
            let left = world.reader().uncounted_matches(100).unwrap();
            world.writer().commit(&[fact]).unwrap();
            assert_eq!(world.reader().uncounted_matches(100).unwrap(), left, "once");
        }
        assert_eq!(counted, [vec![7], vec![6], vec![3, 4], vec![5]]);
        world.writer().commit(&[asked(Answered, "SG", 20, 1)]).unwrap();
        let before = sums(&world);
        let left = world.reader().uncounted_matches(100).unwrap();
        world.reopen(|data| std::fs::remove_dir_all(data.join("index")).unwrap());
        assert_eq!(sums(&world), before, "after a rebuild");
        assert_eq!(world.reader().uncounted_matches(100).unwrap(), left);
    }
}
