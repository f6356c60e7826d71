//! The tags of a list, made once for an asker, purpose, type and day, and anew when the list has
//! changed, but not more often than once an hour.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealwire_wire::id::MemberId;
use sealwire_wire::message::About;
use sealwire_wire::oprf::{MatchKey, OprfError, Scope, TAG_LEN, Tag};
use sealwire_wire::seal::padded_len;

/// How old tags are at least before those of a changed list take their place, in seconds: making
/// them is what costs.
const REFRESH_SECS: u64 = 3600;
/// Most sets of tags kept in memory; of more the oldest go, and are made again when asked for.
const MAX_SETS: usize = 32;

/// Tags as they were given to an asker.
#[derive(Debug)]
pub struct TagSet {
    /// Epoch of the match key.
    pub epoch: u64,
    /// The day that they are good for, counted from 1970-01-01.
    pub day: u64,
    /// When they were made, seconds since 1970.
    pub serial: u64,
    /// When the list was loaded that they were made of.
    pub loaded: u64,
    /// The tags, in order.
    pub tags: Vec<u8>,
}

/// The sets of tags in use.
#[derive(Debug, Default)]
pub struct Sets(Mutex<HashMap<(MemberId, About), Arc<TagSet>>>);

impl Sets {
    /// The tags that `asker` is given now, if they are made: those of today, of this epoch's key,
    /// and of the list that was `loaded` last, or not old yet.
    pub fn current(
        &self,
        asker: &MemberId,
        about: &About,
        (epoch, loaded): (u64, u64),
        now: u64,
    ) -> Option<Arc<TagSet>> {
        let set = self.lock().get(&(asker.clone(), about.clone())).cloned()?;
        let today = set.day == now / crate::store::DAY_SECS;
        let fresh = set.loaded == loaded || now < set.serial.saturating_add(REFRESH_SECS);
        (set.epoch == epoch && today && fresh).then_some(set)
    }

    /// Keeps tags for an asker, in the place of earlier ones.
    pub fn keep(&self, asker: &MemberId, about: &About, set: TagSet) -> Arc<TagSet> {
        let set = Arc::new(set);
        let mut sets = self.lock();
        sets.insert((asker.clone(), about.clone()), Arc::clone(&set));
        while sets.len() > MAX_SETS {
            let oldest = sets.iter().min_by_key(|(_, set)| set.serial).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            sets.remove(&oldest);
        }
        set
    }

    /// Forgets the tags of a community's list.
    pub fn forget(&self, community: &str) {
        self.lock().retain(|(_, about), _| about.community != community);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(MemberId, About), Arc<TagSet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tags of a list on all cores. Random ones fill them up to a number that says as little
/// of the list's as a padded length says of a part's. `random` fills with random bytes.
pub fn make(
    key: &MatchKey,
    scope: &Scope<'_>,
    identifiers: &[String],
    mut random: impl FnMut(&mut [u8]),
) -> Result<Vec<u8>, OprfError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = identifiers.len().div_ceil(cores).max(1);
    let made = |share: &[String]| -> Result<Vec<Tag>, OprfError> {
        share.iter().map(|identifier| key.tag(scope, identifier)).collect()
    };
    let mut shares = identifiers.chunks(share);
    let first = shares.next().unwrap_or_default();
    let mut tags = std::thread::scope(|threads| {
        let made = &made;
        let others: Vec<_> = shares.map(|share| threads.spawn(move || made(share))).collect();
        let mut tags = made(first)?;
        for other in others {
            // A thread that panics has met a defect: there are no tags then.
            tags.extend(other.join().map_err(|_| OprfError::Degenerate)??);
        }
        Ok(tags)
    })?;
    let mut padding = vec![[0; TAG_LEN]; padded_len(tags.len()).saturating_sub(tags.len())];
    for tag in &mut padding {
        random(tag);
    }
    tags.append(&mut padding);
    tags.sort_unstable();
    Ok(tags.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DAY_SECS;

    const NOW: u64 = 100 * DAY_SECS + 3600;

    fn id(text: &str) -> MemberId {
        text.parse().unwrap()
    }

    fn about(kind: &str) -> About {
        let word = |text: &str| text.to_owned();
        About { community: word("seizures"), purpose: word("risk-analysis"), kind: word(kind) }
    }

    fn set(serial: u64) -> TagSet {
        TagSet { epoch: 1, day: 100, serial, loaded: 7, tags: vec![] }
    }

    #[test]
    fn tags_serve_one_asker_for_a_day_and_a_changed_list_waits_an_hour() {
        let sets = Sets::default();
        sets.keep(&id("ID"), &about("container"), set(NOW));
        let found = |asker: &str, kind: &str, epoch, loaded, now| {
            sets.current(&id(asker), &about(kind), (epoch, loaded), now).is_some()
        };
        assert!(found("ID", "container", 1, 7, NOW + 20 * 3600));
        assert!(!found("AU", "container", 1, 7, NOW), "another asker");
        assert!(!found("ID", "vessel", 1, 7, NOW), "another type");
        assert!(!found("ID", "container", 2, 7, NOW), "another key");
        assert!(!found("ID", "container", 1, 7, NOW + DAY_SECS), "another day");
        assert!(found("ID", "container", 1, 8, NOW + 3599), "of the list before");
        assert!(!found("ID", "container", 1, 8, NOW + 3600), "and then of the new one");
        sets.forget("seizures");
        assert!(!found("ID", "container", 1, 7, NOW));
    }

    #[test]
    fn the_oldest_tags_go_first() {
        let sets = Sets::default();
        for number in 0..=MAX_SETS as u64 {
            sets.keep(&id("ID"), &about(&format!("kind-{number}")), set(NOW + number));
        }
        let kept = |number| {
            sets.current(&id("ID"), &about(&format!("kind-{number}")), (1, 7), NOW).is_some()
        };
        assert!(!kept(0) && (1..=MAX_SETS).all(kept));
    }

    #[test]
    fn a_list_makes_its_tags_and_as_many_others_as_hide_its_length() {
        let key = MatchKey::from_seed(&[1; 32]).unwrap();
        let scope = Scope {
            federation: "test.example",
            community: "seizures",
            agreement: "test-1",
            purpose: "risk-analysis",
            kind: "container",
            asker: &id("ID"),
            responder: &id("SG"),
            epoch: 1,
            day: 100,
            serial: NOW,
        };
        let mut drawn = 0u64;
        let mut random = |bytes: &mut [u8]| {
            drawn += 1;
            bytes.copy_from_slice(&drawn.to_be_bytes());
        };
        let all: Vec<String> = (0..300).map(|number| format!("container {number}")).collect();
        let sizes = [0, 1, 255, 256, 300].map(|count| {
            let tags = make(&key, &scope, &all[..count], &mut random).unwrap();
            let (tags, rest) = tags.as_chunks::<TAG_LEN>();
            assert!(rest.is_empty() && tags.is_sorted());
            for identifier in &all[..count] {
                assert!(tags.binary_search(&key.tag(&scope, identifier).unwrap()).is_ok());
            }
            tags.len()
        });
        assert_eq!(sizes, [256, 256, 256, 272, 304]);
    }
}
