//! The member's secret keys and the local data key.
//!
//! One directory, mode 0700, one file per key, mode 0600; what a group or the world can read is
//! refused. Nothing is ever overwritten. Four uses have four keys, never shared: *node* (the
//! peer's identity), *log* and *cosign* (checkpoints; *cosign-pq* is the same with ML-DSA-44),
//! *sign* (statements) and one *seal* key per epoch. The data key protects what rests opened on this disk and leaves it never.
//!
//! This module knows nothing of the register, which says whose keys they are.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use ed25519_dalek::SigningKey;
use sealwire_wire::mldsa::MlDsaKey;
use sealwire_wire::seal::SealSecretKey;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::store::format::{self, FormatError};

/// How long a seal epoch lasts, in seconds.
pub const SEAL_EPOCH_SECONDS: u64 = 31 * 24 * 3600;
/// How long before the end of an epoch the next one is made, in seconds.
pub const SEAL_LEAD_SECONDS: u64 = 3 * 24 * 3600;
/// The file of the ML-DSA-44 cosign key, which not every member has.
const COSIGN_PQ: &str = "cosign-pq.key";
/// Length of an AES-GCM nonce, in bytes.
const NONCE_LEN: usize = 12;

/// Why keys were not made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The marker of the directory.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Somebody else could read it.
    #[error(
        "cannot use {}: mode {mode:04o} lets others in \
         (hint: chmod {} {}, and treat the keys as known to whoever had access)",
        path.display(), if *directory { "700" } else { "600" }, path.display()
    )]
    Readable {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Not the form of a key file.
    #[error(
        "cannot read key {}: not {expected} (hint: restore the file from a backup)", path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What it ought to hold.
        expected: &'static str,
    },
    /// There is no seal key at all.
    #[error("cannot open keys in {}: no seal-<epoch>.key (hint: restore it from a backup)", .0.display())]
    NoSealKey(PathBuf),
    /// The operating system gave no random bytes.
    #[error("cannot make a key: the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The operating system refused.
    #[error("cannot use {}: {source} (hint: check the disk and its permissions)", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// All keys of one member's node.
#[derive(Clone)]
pub struct Keys {
    /// Seed of the peer's Ed25519 identity.
    pub node: Zeroizing<[u8; 32]>,
    /// Signs the own log's checkpoints.
    pub log: SigningKey,
    /// Cosigns other members' checkpoints.
    pub cosign: SigningKey,
    /// Cosigns with ML-DSA-44 too; a member made before there was this key may have none yet.
    pub cosign_pq: Option<Arc<MlDsaKey>>,
    /// Signs statements.
    pub sign: SigningKey,
    /// Opens what is sealed to this member, by epoch, oldest first; never empty.
    pub seal: Vec<SealEpoch>,
    /// Protects what rests opened on this disk.
    pub data: DataKey,
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

/// The local data key: AES-256-GCM.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

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
    /// Makes a directory with fresh keys; `now` in seconds since 1970. Refuses a directory that
    /// has anything in it.
    pub fn create(dir: &Path, now: u64) -> Result<Self, KeysError> {
        format::KEYS.create(dir)?;
        for name in ["node", "log", "cosign", "sign", "data"] {
            let mut line = Zeroizing::new(hex::encode(random()?.as_slice()));
            line.push('\n');
            write_new(&dir.join(format!("{name}.key")), line.as_bytes())?;
        }
        new_epoch(dir, 1, now)?;
        sync(dir)?;
        let mut keys = Self::open(dir)?;
        keys.ensure_cosign_pq(dir)?;
        Ok(keys)
    }

    /// Reads the keys.
    pub fn open(dir: &Path) -> Result<Self, KeysError> {
        format::KEYS.check(dir)?;
        check_private(dir)?;
        let seed = |name: &str| read_seed(&dir.join(format!("{name}.key")));
        let signing = |name: &str| seed(name).map(|seed| SigningKey::from_bytes(&seed));
        Ok(Self {
            node: seed("node")?,
            log: signing("log")?,
            cosign: signing("cosign")?,
            sign: signing("sign")?,
            cosign_pq: read_cosign_pq(dir)?,
            data: DataKey(seed("data")?),
            seal: read_epochs(dir)?,
        })
    }

    /// Makes the next seal epoch if the last one ends within three days or has ended; answers
    /// the new one. `now` in seconds since 1970.
    pub fn ensure_seal_epoch(
        &mut self,
        dir: &Path,
        now: u64,
    ) -> Result<Option<&SealEpoch>, KeysError> {
        let last = self.seal.last().ok_or_else(|| KeysError::NoSealKey(dir.to_owned()))?;
        if last.until > now.saturating_add(SEAL_LEAD_SECONDS) {
            return Ok(None);
        }
        // Epochs meet; after a long rest the new one begins now.
        let next = new_epoch(dir, last.epoch.saturating_add(1), last.until.max(now))?;
        sync(dir)?;
        self.seal.push(next);
        Ok(self.seal.last())
    }
}

impl Keys {
    /// Makes the ML-DSA-44 cosign key if there is none, and writes its public key beside it;
    /// answers that file if it is new.
    pub fn ensure_cosign_pq(&mut self, dir: &Path) -> Result<Option<PathBuf>, KeysError> {
        if self.cosign_pq.is_some() {
            return Ok(None);
        }
        let seed = random()?;
        let key = MlDsaKey::from_seed(&seed);
        let mut line = Zeroizing::new(hex::encode(seed.as_slice()));
        line.push('\n');
        let public = dir.join("cosign-pq.pub");
        // The secret last: a public key that a crash left alone is written anew.
        let _absent = fs::remove_file(&public);
        write_new(&public, format!("{}\n", hex::encode(key.public())).as_bytes())?;
        write_new(&dir.join(COSIGN_PQ), line.as_bytes())?;
        sync(dir)?;
        self.cosign_pq = Some(Arc::new(key));
        Ok(Some(public))
    }
}

fn read_cosign_pq(dir: &Path) -> Result<Option<Arc<MlDsaKey>>, KeysError> {
    let path = dir.join(COSIGN_PQ);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(MlDsaKey::from_seed(&*read_seed(&path)?))))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("seal", &self.seal).finish_non_exhaustive()
    }
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

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// Takes 32 random bytes.
    #[cfg(test)]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Seals bytes for this disk: nonce, then AES-256-GCM with `context` as associated data, so
    /// that what was sealed for one place does not open in another.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gave random bytes at the start");
        let mut sealed = nonce.to_vec();
        sealed.extend(
            self.cipher()
                .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: context.as_bytes() })
                .expect("a plaintext far below AES-GCM's limit of 64 GiB is always sealed"),
        );
        sealed
    }

    /// Opens what [`Self::seal`] made under the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg, aad: context.as_bytes() };
        self.cipher().decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes256Gcm {
        let key: &[u8; 32] = &self.0;
        Aes256Gcm::new(key.into())
    }
}

/// Refuses a directory or file that a group or the world can read, write or enter.
pub fn check_private(path: &Path) -> Result<(), KeysError> {
    let metadata = fs::metadata(path).map_err(|source| io(path, source))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        let directory = metadata.is_dir();
        Err(KeysError::Readable { path: path.to_owned(), mode, directory })
    }
}

fn new_epoch(dir: &Path, epoch: u64, from: u64) -> Result<SealEpoch, KeysError> {
    let until = from.saturating_add(SEAL_EPOCH_SECONDS);
    let seed = random()?;
    let hex = Zeroizing::new(hex::encode(seed.as_slice()));
    let text = Zeroizing::new(format!(
        "epoch = {epoch}\nfrom = {from}\nuntil = {until}\nseed = \"{}\"\n",
        hex.as_str()
    ));
    write_new(&dir.join(format!("seal-{epoch}.key")), text.as_bytes())?;
    Ok(SealEpoch { epoch, from, until, key: SealSecretKey::from_seed(*seed) })
}

fn read_epochs(dir: &Path) -> Result<Vec<SealEpoch>, KeysError> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| io(dir, source))? {
        let name = entry.map_err(|source| io(dir, source))?.file_name();
        let Some(number) = name
            .to_str()
            .and_then(|name| name.strip_prefix("seal-")?.strip_suffix(".key"))
            .and_then(|number| number.parse::<u64>().ok())
        else {
            continue;
        };
        epochs.push(read_epoch(&dir.join(&name), number)?);
    }
    epochs.sort_by_key(|epoch| epoch.epoch);
    if epochs.is_empty() { Err(KeysError::NoSealKey(dir.to_owned())) } else { Ok(epochs) }
}

fn read_epoch(path: &Path, number: u64) -> Result<SealEpoch, KeysError> {
    let bad = || KeysError::Form {
        path: path.to_owned(),
        expected: "TOML with the epoch of its name, from, until and a seed of 64 hex digits",
    };
    let text = read_private(path)?;
    let file: SealFile = toml::from_str(&text).map_err(|_| bad())?;
    let seed = parse_seed(&file.seed).ok_or_else(bad)?;
    if file.epoch != number || file.from >= file.until {
        return Err(bad());
    }
    let key = SealSecretKey::from_seed(*seed);
    Ok(SealEpoch { epoch: file.epoch, from: file.from, until: file.until, key })
}

fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let text = read_private(path)?;
    text.strip_suffix('\n').and_then(parse_seed).ok_or_else(|| KeysError::Form {
        path: path.to_owned(),
        expected: "64 hexadecimal digits and a line end",
    })
}

fn parse_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, seed.as_mut_slice()).ok().map(|()| seed)
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    check_private(path)?;
    let mut bytes = Zeroizing::new(fs::read(path).map_err(|source| io(path, source))?);
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(cause) => {
            cause.into_bytes().zeroize();
            Err(KeysError::Form { path: path.to_owned(), expected: "text" })
        }
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(KeysError::Random)?;
    Ok(seed)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    format::private_file(path, bytes).map_err(|source| io(path, source))
}

fn sync(dir: &Path) -> Result<(), KeysError> {
    format::sync_dir(dir).map_err(|source| io(dir, source))
}

fn io(path: &Path, source: std::io::Error) -> KeysError {
    KeysError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const DAY: u64 = 24 * 3600;

    fn fresh() -> (tempfile::TempDir, PathBuf, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let keys_dir = dir.path().join("keys");
        let keys = Keys::create(&keys_dir, 1_000_000).unwrap();
        (dir, keys_dir, keys)
    }

    #[test]
    fn keys_are_read_back_and_never_overwritten() {
        let (_guard, dir, made) = fresh();
        let read = Keys::open(&dir).unwrap();
        assert_eq!(*made.node, *read.node);
        assert_eq!(made.log.to_bytes(), read.log.to_bytes());
        assert_eq!(made.cosign.to_bytes(), read.cosign.to_bytes());
        assert_eq!(made.sign.to_bytes(), read.sign.to_bytes());
        assert_ne!(made.log.to_bytes(), made.sign.to_bytes());
        let public = |keys: &Keys| keys.cosign_pq.as_ref().map(|key| key.public());
        assert!(public(&made).is_some());
        assert_eq!(public(&made), public(&read));
        assert_eq!(read.seal.len(), 1);
        assert_eq!(read.data.open("c", &made.data.seal("c", b"x")).unwrap().as_slice(), b"x");
        let refused = Keys::create(&dir, 1_000_000).unwrap_err();
        assert!(matches!(refused, KeysError::Format(FormatError::NotEmpty(_))), "{refused}");
        assert_eq!(*Keys::open(&dir).unwrap().node, *made.node);
    }

    #[test]
    fn a_member_made_earlier_gets_the_key_of_mldsa_once() {
        let (_guard, dir, _) = fresh();
        fs::remove_file(dir.join(COSIGN_PQ)).unwrap();
        let mut keys = Keys::open(&dir).unwrap();
        assert!(keys.cosign_pq.is_none());
        let file = keys.ensure_cosign_pq(&dir).unwrap().unwrap();
        let public = keys.cosign_pq.as_ref().unwrap().public();
        assert_eq!(fs::read_to_string(file).unwrap().trim_end(), hex::encode(public));
        assert_eq!(fs::metadata(dir.join(COSIGN_PQ)).unwrap().mode() & 0o777, 0o600);
        assert!(keys.ensure_cosign_pq(&dir).unwrap().is_none());
        assert_eq!(Keys::open(&dir).unwrap().cosign_pq.unwrap().public(), public);
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let (_guard, dir, _) = fresh();
        for (path, good) in [(dir.join("sign.key"), 0o600), (dir.join("seal-1.key"), 0o600)] {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, good);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let refused = Keys::open(&dir).unwrap_err();
            assert!(matches!(refused, KeysError::Readable { mode: 0o640, .. }), "{refused}");
            fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Keys::open(&dir), Err(KeysError::Readable { directory: true, .. })));
    }

    #[test]
    fn a_newer_format_and_damaged_keys_are_refused() {
        let (_guard, dir, _) = fresh();
        fs::write(dir.join("log.key"), "abc\n").unwrap();
        assert!(matches!(Keys::open(&dir), Err(KeysError::Form { .. })));
        fs::write(dir.join("seal-1.key"), "epoch = 2\nfrom = 1\nuntil = 2\nseed = \"\"\n").unwrap();
        assert!(read_epoch(&dir.join("seal-1.key"), 1).is_err());
        fs::write(dir.join("format"), "sealwire-keys 2\n").unwrap();
        let refused = Keys::open(&dir).unwrap_err();
        assert!(matches!(refused, KeysError::Format(FormatError::Newer { .. })), "{refused}");
    }

    #[test]
    fn the_next_seal_epoch_is_made_three_days_before_the_end_and_meets_the_last() {
        let (_guard, dir, mut keys) = fresh();
        let end = 1_000_000 + SEAL_EPOCH_SECONDS;
        assert!(keys.ensure_seal_epoch(&dir, end - 4 * DAY).unwrap().is_none());
        let next = keys.ensure_seal_epoch(&dir, end - 2 * DAY).unwrap().unwrap();
        assert_eq!((next.epoch, next.from), (2, end));
        assert!(keys.ensure_seal_epoch(&dir, end - DAY).unwrap().is_none());
        let late = end + 100 * DAY;
        let third = keys.ensure_seal_epoch(&dir, late).unwrap().unwrap();
        assert_eq!((third.epoch, third.from), (3, late));
        let read = Keys::open(&dir).unwrap();
        let epochs: Vec<u64> = read.seal.iter().map(|e| e.epoch).collect();
        assert_eq!(epochs, [1, 2, 3]);
        let publics = |keys: &Keys| -> Vec<Vec<u8>> {
            keys.seal.iter().map(|e| e.key.public().unwrap().as_bytes().to_vec()).collect()
        };
        assert_eq!(publics(&keys), publics(&read));
    }

    #[test]
    fn the_data_key_opens_only_what_it_sealed_in_the_same_context() {
        let key = DataKey::from_bytes([7; 32]);
        let sealed = key.seal("secret 1", b"plain");
        assert_ne!(sealed, key.seal("secret 1", b"plain"), "a fresh nonce each time");
        assert_eq!(key.open("secret 1", &sealed).unwrap().as_slice(), b"plain");
        assert!(key.open("secret 2", &sealed).is_none());
        assert!(DataKey::from_bytes([8; 32]).open("secret 1", &sealed).is_none());
        for cut in 0..sealed.len() {
            assert!(key.open("secret 1", &sealed[..cut]).is_none());
        }
        let mut changed = sealed;
        changed[14] ^= 1;
        assert!(key.open("secret 1", &changed).is_none());
    }

    #[test]
    fn no_key_shows_in_debug_output() {
        let (_guard, _dir, keys) = fresh();
        let shown = format!("{keys:?}{:?}", keys.data);
        for secret in [keys.sign.to_bytes(), *keys.node] {
            assert!(!shown.contains(&hex::encode(secret)));
        }
        assert!(!shown.contains("seed"));
    }
}
