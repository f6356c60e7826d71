//! The member's secret keys and the local data key.
//!
//! One directory, mode 0700, one file per key, mode 0600; what a group or the world can read is
//! refused. Nothing is ever overwritten. Four uses have four keys, never shared: *node* (the
//! peer's identity), *log* and *cosign* (checkpoints; *cosign-pq* is the same with ML-DSA-44, and
//! has one key), *sign* (statements). Each is in
//! `<use>.key`; one made later to take its place is in `<use>-<number>.key` beside it. There is one
//! *seal* key per epoch, and with each epoch after the first a new *data* key: it protects what
//! rests opened on this disk and leaves it never. The keys *log*, *cosign* and *sign* may be in a
//! PKCS#11 token in the place of a file ([`token`]); the others have no mechanism there. The *match*
//! key of an epoch evaluates other members' questions ([`matching`]). The files are sealed under a passphrase
//! ([`cover`]), or plain.
//!
//! This module knows nothing of the register, which says whose keys they are and from when on.

mod cover;
mod epoch;
mod local;
mod matching;
mod passphrase;
mod set;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sealwire_wire::mldsa::MlDsaKey;
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::TOKEN_USES;
use crate::store::format::{self, FormatError};
use cover::Cover;
pub use cover::MASTER_FILE;
use epoch::SealKeys;
pub use epoch::{SealEpoch, Windows};
pub use local::DataKey;
use local::LocalKey;
pub use matching::MatchKeys;
pub use passphrase::{MIN_PASSPHRASE_CHARS, Passphrase, Source, TokenSource};
pub use set::{Key, KeySet};
use set::{read_references, refer};
pub use token::{Token, TokenError, TokenKey, references};

/// The uses of the Ed25519 keys: one more key file is one more line.
const USES: [&str; 4] = ["node", "log", "cosign", "sign"];
/// The file of the ML-DSA-44 cosign key, which not every member has.
const COSIGN_PQ: &str = "cosign-pq.key";

/// Why keys were not made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The marker of the directory.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
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
    /// Sealed, but not under the master key.
    #[error(
        "cannot open key {}: it is not sealed under the passphrase of its directory \
         (hint: it was damaged, or somebody else put it there; restore it from a backup)",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// The passphrase does not open the master key.
    #[error(
        "cannot open keys in {}: the passphrase is wrong, or master.key was changed \
         (hint: check which passphrase belongs to this directory)", .0.display()
    )]
    Passphrase(PathBuf),
    /// Nobody can be asked for the passphrase.
    #[error(
        "cannot ask for the passphrase: no terminal, or nothing was typed (hint: give \
         --passphrase-file or SEALWIRE_PASSPHRASE_FILE, or keys.credential in the configuration)"
    )]
    NoPassphrase,
    /// Nobody can be asked for the PIN of the token.
    #[error(
        "cannot ask for the PIN of the token: no terminal, or nothing was typed (hint: give \
         --pin-file or SEALWIRE_PIN_FILE, or keys.pkcs11.pin-credential in the configuration)"
    )]
    NoPin,
    /// A new passphrase was not typed the same twice.
    #[error("cannot set the passphrase: the two were not the same (hint: try again)")]
    PassphrasesDiffer,
    /// A new passphrase can be guessed.
    #[error(
        "cannot set the passphrase: {length} characters, at least {MIN_PASSPHRASE_CHARS} are needed \
         (hint: take several random words)"
    )]
    PassphraseShort {
        /// Its length, in characters.
        length: usize,
    },
    /// No key can be derived.
    #[error("cannot derive a key from the passphrase: {0} (hint: free memory and try again)")]
    Derivation(String),
    /// The directory got a passphrase while this program held its keys as plain files.
    #[error(
        "cannot write a key in {}: it has got a passphrase meanwhile \
         (hint: start the node again)", .0.display()
    )]
    CoveredMeanwhile(PathBuf),
    /// There is no seal key at all.
    #[error(
        "cannot open keys in {}: no seal-<epoch>.key (hint: restore it from a backup, or make the \
         next with `sealwire keys rotate seal`)", .0.display()
    )]
    NoSealKey(PathBuf),
    /// There is no such key.
    #[error("cannot open keys in {}: no {name}.key (hint: restore it from a backup)", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// The file.
        name: &'static str,
    },
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
pub struct Keys {
    /// The peer's identity.
    pub node: KeySet,
    /// Signs the own log's checkpoints.
    pub log: KeySet,
    /// Cosigns other members' checkpoints.
    pub cosign: KeySet,
    /// Cosigns with ML-DSA-44 too; a member made before there was this key may have none yet.
    pub cosign_pq: Option<Arc<MlDsaKey>>,
    /// Signs statements.
    pub sign: KeySet,
    /// Opens what is sealed to this member, by epoch.
    pub seal: SealKeys,
    /// Protects what rests opened on this disk.
    pub data: DataKey,
    /// Evaluate other members' questions, by epoch.
    pub matching: MatchKeys,
    dir: PathBuf,
    cover: Cover,
    token: Option<Arc<Token>>,
}

impl Keys {
    /// Makes a directory with fresh keys, all of them in files.
    #[cfg(test)]
    pub fn create(
        dir: &Path,
        now: u64,
        windows: Windows,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, KeysError> {
        Self::create_with(dir, now, windows, passphrase, None)
    }

    /// Makes a directory with fresh keys, sealed under the passphrase if there is one; `now` in
    /// seconds since 1970. The keys that are to be in the opened token are made there. Refuses a
    /// directory that has anything in it.
    pub fn create_with(
        dir: &Path,
        now: u64,
        windows: Windows,
        passphrase: Option<&Passphrase>,
        token: Option<Arc<Token>>,
    ) -> Result<Self, KeysError> {
        format::KEYS.create(dir)?;
        let cover = Cover::create(dir, passphrase)?;
        for use_ in USES.into_iter().chain(["data"]) {
            match token.as_ref().and_then(|token| Some((token, token.label(use_, 1)?))) {
                Some((token, label)) => {
                    let public = token.generate(&label)?;
                    refer(dir, use_, 1, &TokenKey::new(Arc::clone(token), label, public))?;
                }
                None => {
                    new_seed(&cover, dir, &file_name(use_, 1))?;
                }
            }
        }
        epoch::make(&cover, dir, windows, now)?;
        sync(dir)?;
        let mut keys = Self::read(dir, cover, token)?;
        keys.ensure_cosign_pq()?;
        Ok(keys)
    }

    /// Reads the keys; the passphrase is asked for only where there is one. The token is not
    /// looked for before [`Self::open_token`].
    pub fn open(dir: &Path, source: &Source) -> Result<Self, KeysError> {
        format::KEYS.check(dir)?;
        check_private(dir)?;
        let token =
            source.token.as_ref().map(|source| Arc::new(Token::new(source.settings.clone())));
        Self::read(dir, Cover::open(dir, source)?, token)
    }

    /// Logs in to the token, if the configuration names one.
    pub fn open_token(&self, source: &Source) -> Result<(), KeysError> {
        let (Some(token), Some(source)) = (&self.token, &source.token) else { return Ok(()) };
        Ok(token.open(&source.pin()?)?)
    }

    fn read(dir: &Path, cover: Cover, token: Option<Arc<Token>>) -> Result<Self, KeysError> {
        let set = |use_: &'static str| -> Result<KeySet, KeysError> {
            let seeds = seeds_there(&cover, dir, use_)?;
            let files = seeds.iter().map(|(n, seed)| (*n, SigningKey::from_bytes(seed).into()));
            let mut all: Vec<(u64, Key)> = files.collect();
            // The peer's identity is libp2p's, which wants the secret half.
            if TOKEN_USES.contains(&use_) {
                all.extend(read_references(dir, use_, token.as_ref())?);
            }
            all.sort_by_key(|(number, _)| *number);
            match all.is_empty() {
                true => Err(KeysError::Missing { dir: dir.to_owned(), name: use_ }),
                false => Ok(KeySet { all, chosen: 0 }),
            }
        };
        let [node, log, cosign, sign] = USES.map(set);
        let data = read_seeds(&cover, dir, "data")?;
        let data = data.into_iter().map(|(number, seed)| (number, LocalKey::new(seed)));
        Ok(Self {
            node: node?,
            log: log?,
            cosign: cosign?,
            cosign_pq: read_cosign_pq(&cover, dir)?,
            sign: sign?,
            data: DataKey::new(data.collect()),
            matching: MatchKeys::new(seeds_there(&cover, dir, "match")?),
            seal: epoch::read_all(&cover, dir)?,
            dir: dir.to_owned(),
            cover,
            token,
        })
    }

    /// The Ed25519 keys by use.
    pub fn sets(&self) -> [(&'static str, &KeySet); 4] {
        let [node, log, cosign, sign] = USES;
        [(node, &self.node), (log, &self.log), (cosign, &self.cosign), (sign, &self.sign)]
    }

    /// Whether the files are plain.
    pub fn is_plain(&self) -> bool {
        self.cover.is_plain()
    }

    /// Makes a key that can take the place of those of a use (`node`, `log`, `cosign`, `sign`), and
    /// gives its number and public half. It is used once the register lists it. A key of a use
    /// that the configuration has in the token is made there, after [`Self::open_token`].
    pub fn make(&self, use_: &str) -> Result<(u64, [u8; 32]), KeysError> {
        let number = self.next_number(use_);
        let token = self.token.as_ref();
        if let Some((token, label)) = token.and_then(|t| Some((t, t.label(use_, number)?))) {
            let public = token.generate(&label)?;
            refer(&self.dir, use_, number, &TokenKey::new(Arc::clone(token), label, public))?;
            sync(&self.dir)?;
            return Ok((number, public));
        }
        let seed = new_seed(&self.cover, &self.dir, &file_name(use_, number))?;
        sync(&self.dir)?;
        Ok((number, SigningKey::from_bytes(&seed).verifying_key().to_bytes()))
    }

    /// Whether the configuration has keys of a use in the token.
    pub fn is_in_token(&self, use_: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.label(use_, 1).is_some())
    }

    /// Takes a key that is in the token already as the next one of a use, and gives its number and
    /// public half.
    pub fn adopt(&self, use_: &str, label: &str) -> Result<(u64, [u8; 32]), KeysError> {
        if !TOKEN_USES.contains(&use_) {
            return Err(TokenError::NoSuchUse.into());
        }
        let token = token::configured(self.token.as_ref(), &self.dir)?;
        let (number, public) = (self.next_number(use_), token.adopt(label)?);
        refer(&self.dir, use_, number, &TokenKey::new(token, label.to_owned(), public))?;
        sync(&self.dir)?;
        Ok((number, public))
    }

    fn next_number(&self, use_: &str) -> u64 {
        let last = self.sets().into_iter().find(|(name, _)| *name == use_);
        let last = last.and_then(|(_, set)| set.all.last()).map_or(0, |(number, _)| *number);
        last.saturating_add(1)
    }

    /// The seed of the peer's identity, which is always a file.
    pub fn node_seed(&self) -> Option<[u8; 32]> {
        self.node.current().seed()
    }

    /// Makes the ML-DSA-44 cosign key if there is none, and writes its public key beside it;
    /// answers that file if it is new.
    pub fn ensure_cosign_pq(&mut self) -> Result<Option<PathBuf>, KeysError> {
        if self.cosign_pq.is_some() {
            return Ok(None);
        }
        let seed = random()?;
        let key = MlDsaKey::from_seed(&seed);
        let public = self.dir.join("cosign-pq.pub");
        // The secret last: a public key that a crash left alone is written anew.
        let _absent = fs::remove_file(&public);
        write_new(&public, format!("{}\n", hex::encode(key.public())).as_bytes())?;
        write_seed(&self.cover, &self.dir, COSIGN_PQ, &seed)?;
        sync(&self.dir)?;
        self.cosign_pq = Some(Arc::new(key));
        Ok(Some(public))
    }

    /// Puts the keys under a passphrase, or under another one than before. Old or new holds at
    /// every moment.
    pub fn set_passphrase(&mut self, passphrase: &Passphrase) -> Result<(), KeysError> {
        self.cover.change(&self.dir, passphrase)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("seal", &self.seal).finish_non_exhaustive()
    }
}

/// Keeps this process's memory, where keys and opened content are, out of core dumps and away from
/// other processes of the same user.
pub fn keep_memory_private() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
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

/// The file of a key: the first of its use is named by the use alone.
fn file_name(use_: &str, number: u64) -> String {
    if number == 1 { format!("{use_}.key") } else { format!("{use_}-{number}.key") }
}

/// The number of a key in a file of this use with this ending; `None` for a file of another.
fn number_of(use_: &str, ending: &str, name: &str) -> Option<u64> {
    let number = name.strip_suffix(ending)?.strip_suffix('.')?.strip_prefix(use_)?;
    if number.is_empty() {
        return Some(1);
    }
    number.strip_prefix('-')?.parse().ok()
}

/// The seeds of a use by their numbers.
type Seeds = Vec<(u64, Zeroizing<[u8; 32]>)>;

/// Every seed of a use by its number, oldest first; never none.
fn read_seeds(cover: &Cover, dir: &Path, use_: &'static str) -> Result<Seeds, KeysError> {
    let seeds = seeds_there(cover, dir, use_)?;
    match seeds.is_empty() {
        true => Err(KeysError::Missing { dir: dir.to_owned(), name: use_ }),
        false => Ok(seeds),
    }
}

/// The same, or none.
fn seeds_there(cover: &Cover, dir: &Path, use_: &str) -> Result<Seeds, KeysError> {
    let mut seeds = Vec::new();
    for name in cover::key_files(dir, "key")? {
        if let Some(number) = number_of(use_, "key", &name) {
            seeds.push((number, cover::read_seed(cover, dir, &name)?));
        }
    }
    seeds.sort_by_key(|(number, _)| *number);
    Ok(seeds)
}

fn new_seed(cover: &Cover, dir: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let seed = random()?;
    write_seed(cover, dir, name, &seed)?;
    Ok(seed)
}

fn write_seed(cover: &Cover, dir: &Path, name: &str, seed: &[u8; 32]) -> Result<(), KeysError> {
    let mut line = Zeroizing::new(hex::encode(seed));
    line.push('\n');
    cover.write(dir, name, &line)
}

fn read_cosign_pq(cover: &Cover, dir: &Path) -> Result<Option<Arc<MlDsaKey>>, KeysError> {
    if !dir.join(COSIGN_PQ).exists() {
        return Ok(None);
    }
    let seed = cover::read_seed(cover, dir, COSIGN_PQ)?;
    Ok(Some(Arc::new(MlDsaKey::from_seed(&seed))))
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
