//! Seal epochs: the key that others seal to for a month, and how it ends.
//!
//! An epoch's keys are over once a grace period has passed since the next epoch began. By then what
//! came sealed to them has been opened and rests under the newest data key; they are destroyed, so
//! that an old copy of the disk and the keys of today open nothing of that time.

use std::fmt;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use sealwire_wire::seal::SealSecretKey;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::config::KeyLife;

use super::cover::{self, Cover};
use super::local::LocalKey;
use super::{Keys, KeysError, file_name, new_seed, number_of, parse_seed, random, sync};

/// How long before the end of an epoch the next one is made, as a share of its length.
const LEAD_SHARE: u64 = 10;

/// How long epochs last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Length of an epoch, in seconds.
    pub epoch: u64,
    /// How long the keys of an epoch stay after the next has begun, in seconds.
    pub grace: u64,
}

impl Windows {
    /// What the configuration says.
    pub fn of(life: &KeyLife) -> Self {
        Self { epoch: life.epoch.as_secs(), grace: life.grace.as_secs() }
    }

    /// How long before the end of an epoch the next one is made, in seconds.
    pub fn lead(self) -> u64 {
        self.epoch / LEAD_SHARE
    }
}

/// One epoch of the seal key.
#[derive(Clone)]
pub struct SealEpoch {
    /// Number, counted from 1.
    pub epoch: u64,
    /// Start, seconds since 1970.
    pub from: u64,
    /// End, seconds since 1970.
    pub until: u64,
    /// The key.
    pub key: SealSecretKey,
}

impl fmt::Debug for SealEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (&self.from, &self.until);
        f.debug_struct("SealEpoch")
            .field("epoch", &self.epoch)
            .field("from", from)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// The seal keys that are left, oldest first.
#[derive(Debug)]
pub struct SealKeys(RwLock<Vec<SealEpoch>>);

impl SealKeys {
    /// Every epoch whose key is left, oldest first.
    pub fn all(&self) -> Vec<SealEpoch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest; `None` if every seal key was lost.
    pub fn newest(&self) -> Option<SealEpoch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    fn add(&self, epoch: SealEpoch) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(epoch);
    }

    fn forget(&self, number: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|e| e.epoch != number);
    }
}

/// The content of a seal key file.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct SealFile {
    epoch: u64,
    from: u64,
    until: u64,
    seed: String,
}

impl Keys {
    /// Makes the next epoch if the last one is about to end or has ended; answers the new one.
    /// `now` in seconds since 1970.
    pub fn ensure_epoch(&self, now: u64, windows: Windows) -> Result<Option<SealEpoch>, KeysError> {
        let last = self.seal.newest().ok_or_else(|| self.no_seal_key())?;
        if last.until > now.saturating_add(windows.lead()) {
            return Ok(None);
        }
        // Epochs meet; after a long rest the new one begins now.
        self.begin_epoch(last.epoch.saturating_add(1), last.until.max(now), windows).map(Some)
    }

    /// Makes the next epoch, with a seal key and a data key, whether or not one is due. Without
    /// any seal key left, `least` is the number to begin with.
    pub fn next_epoch(
        &self,
        now: u64,
        windows: Windows,
        least: u64,
    ) -> Result<SealEpoch, KeysError> {
        let last = self.seal.newest().map_or(0, |last| last.epoch);
        self.begin_epoch(last.saturating_add(1).max(least), now, windows)
    }

    fn begin_epoch(
        &self,
        number: u64,
        from: u64,
        windows: Windows,
    ) -> Result<SealEpoch, KeysError> {
        // The data key first: interrupted in between, the next attempt finds it and goes on.
        if !self.data.numbers().contains(&number) {
            let seed = new_seed(&self.cover, &self.dir, &file_name("data", number))?;
            self.data.add(number, LocalKey::new(seed));
        }
        let next = make_for(&self.cover, &self.dir, number, (from, windows.epoch))?;
        sync(&self.dir)?;
        self.seal.add(next.clone());
        Ok(next)
    }

    /// Whether keys of an earlier epoch are over and wait for being destroyed.
    pub fn are_over(&self, now: u64, windows: Windows) -> bool {
        let (seal, data) = self.over(now, windows);
        !seal.is_empty() || !data.is_empty()
    }

    /// Destroys the seal and data keys of the epochs that are over, and gives the numbers of the
    /// epochs. Before, the next epoch must have been announced, and what rests under an older data
    /// key sealed again: it opens no more.
    pub fn destroy_over(&self, now: u64, windows: Windows) -> Result<Vec<u64>, KeysError> {
        let (seal, data) = self.over(now, windows);
        for number in &seal {
            cover::destroy(&self.dir.join(format!("seal-{number}.key")))?;
            self.seal.forget(*number);
        }
        for number in &data {
            cover::destroy(&self.dir.join(file_name("data", *number)))?;
            self.data.forget(*number);
        }
        if !seal.is_empty() || !data.is_empty() {
            sync(&self.dir)?;
        }
        Ok(seal)
    }

    /// The seal and data keys that are over: the next of their kind has been in use for longer
    /// than the grace period.
    fn over(&self, now: u64, windows: Windows) -> (Vec<u64>, Vec<u64>) {
        let epochs = self.seal.all();
        let began = |number: u64| epochs.iter().find(|e| e.epoch == number).map(|e| e.from);
        let over = |numbers: &[u64]| -> Vec<u64> {
            let pairs = numbers.iter().zip(numbers.iter().skip(1));
            let ended = pairs.filter(|(_, next)| {
                began(**next).is_some_and(|from| from.saturating_add(windows.grace) <= now)
            });
            ended.map(|(number, _)| *number).collect()
        };
        let seal: Vec<u64> = epochs.iter().map(|e| e.epoch).collect();
        (over(&seal), over(&self.data.numbers()))
    }

    fn no_seal_key(&self) -> KeysError {
        KeysError::NoSealKey(self.dir.clone())
    }
}

/// Makes the first epoch of a new directory.
pub(super) fn make(
    cover: &Cover,
    dir: &Path,
    windows: Windows,
    now: u64,
) -> Result<SealEpoch, KeysError> {
    make_for(cover, dir, 1, (now, windows.epoch))
}

fn make_for(
    cover: &Cover,
    dir: &Path,
    epoch: u64,
    (from, seconds): (u64, u64),
) -> Result<SealEpoch, KeysError> {
    let until = from.saturating_add(seconds);
    let seed = random()?;
    let hex = Zeroizing::new(hex::encode(seed.as_slice()));
    let text = Zeroizing::new(format!(
        "epoch = {epoch}\nfrom = {from}\nuntil = {until}\nseed = \"{}\"\n",
        hex.as_str()
    ));
    cover.write(dir, &format!("seal-{epoch}.key"), &text)?;
    Ok(SealEpoch { epoch, from, until, key: SealSecretKey::from_seed(*seed) })
}

/// Reads the epochs whose keys are left.
pub(super) fn read_all(cover: &Cover, dir: &Path) -> Result<SealKeys, KeysError> {
    let mut epochs = Vec::new();
    for name in cover::key_files(dir, "key")? {
        if let Some(number) = number_of("seal", "key", &name) {
            epochs.push(read_one(cover, dir, &name, number)?);
        }
    }
    epochs.sort_by_key(|epoch: &SealEpoch| epoch.epoch);
    Ok(SealKeys(RwLock::new(epochs)))
}

fn read_one(cover: &Cover, dir: &Path, name: &str, number: u64) -> Result<SealEpoch, KeysError> {
    let bad = || KeysError::Form {
        path: dir.join(name),
        expected: "TOML with the epoch of its name, from, until and a seed of 64 hex digits",
    };
    let text = cover.read(dir, name)?;
    let file: SealFile = toml::from_str(&text).map_err(|_| bad())?;
    let seed = parse_seed(&file.seed).ok_or_else(bad)?;
    if file.epoch != number || file.from >= file.until {
        return Err(bad());
    }
    let key = SealSecretKey::from_seed(*seed);
    Ok(SealEpoch { epoch: file.epoch, from: file.from, until: file.until, key })
}
