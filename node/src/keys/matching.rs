//! Match keys: what others' questions are evaluated with, one for each seal epoch.
//!
//! Whoever has the key of an epoch can try identifiers against the tags that this member gave in
//! it. So nothing is kept for a grace period: once the log announces the next one, a key is
//! destroyed.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use sealwire_wire::oprf::MatchKey;
use zeroize::Zeroizing;

use super::{Keys, KeysError, cover, file_name, new_seed, sync};

const USE: &str = "match";

/// The match keys that are left, oldest first.
pub struct MatchKeys(RwLock<Vec<(u64, Zeroizing<[u8; 32]>)>>);

impl MatchKeys {
    pub(super) fn new(seeds: Vec<(u64, Zeroizing<[u8; 32]>)>) -> Self {
        Self(RwLock::new(seeds))
    }

    /// The newest with its epoch; `None` before the first was made.
    pub fn newest(&self) -> Option<(u64, MatchKey)> {
        let seeds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (epoch, seed) = seeds.last()?;
        Some((*epoch, MatchKey::from_seed(seed).ok()?))
    }

    /// Epoch and public half of the newest, to be announced.
    pub fn public(&self) -> Option<(u64, [u8; 32])> {
        self.newest().map(|(epoch, key)| (epoch, key.public()))
    }

    fn numbers(&self) -> Vec<u64> {
        let seeds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        seeds.iter().map(|(number, _)| *number).collect()
    }
}

impl fmt::Debug for MatchKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MatchKeys")
    }
}

impl Keys {
    /// Makes the match key of the newest seal epoch, if there is none; answers whether it was.
    pub fn ensure_match_key(&self) -> Result<bool, KeysError> {
        let Some(epoch) = self.seal.newest() else { return Ok(false) };
        if self.matching.numbers().contains(&epoch.epoch) {
            return Ok(false);
        }
        let seed = new_seed(&self.cover, &self.dir, &file_name(USE, epoch.epoch))?;
        sync(&self.dir)?;
        let mut seeds = self.matching.0.write().unwrap_or_else(PoisonError::into_inner);
        seeds.push((epoch.epoch, seed));
        seeds.sort_by_key(|(number, _)| *number);
        Ok(true)
    }

    /// Destroys the match keys of epochs before the newest, and gives their numbers. The newest
    /// must have been announced.
    pub fn destroy_match_keys(&self) -> Result<Vec<u64>, KeysError> {
        let mut over = self.matching.numbers();
        over.pop();
        for number in &over {
            cover::destroy(&self.dir.join(file_name(USE, *number)))?;
            let mut seeds = self.matching.0.write().unwrap_or_else(PoisonError::into_inner);
            seeds.retain(|(n, _)| n != number);
        }
        if !over.is_empty() {
            sync(&self.dir)?;
        }
        Ok(over)
    }
}
