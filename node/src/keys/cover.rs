//! How secret keys rest: plain files, or files sealed under a master key that a passphrase opens.
//!
//! `master.key` says how the passphrase becomes a key (Argon2id, RFC 9106, with its cost) and holds
//! the master key sealed under that. Each key file is sealed under the master key, its name being
//! bound to it. So a new passphrase changes one file, in one rename, and none of the keys. Without
//! `master.key` the files are plain, and where it is there a plain file is refused: nobody without
//! the passphrase can slip a key of his own among ours.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::local::LocalKey;
use super::passphrase::{Passphrase, Source};
use super::{KeysError, io, parse_seed, random, read_private, sync, write_new};

/// Holds the master key.
pub const MASTER_FILE: &str = "master.key";
/// Cost of Argon2id for a new passphrase: the second recommendation of RFC 9106 §4, 64 MiB.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// Most memory that a `master.key` may ask for, in KiB: 256 MiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes and lanes that a `master.key` may ask for.
const MAX_PASSES_AND_LANES: u32 = 16;
const SALT_LEN: usize = 16;
/// How a sealed file begins; hexadecimal digits and a line end follow.
const SEALED: &str = "sealed ";
/// Ending of a sealed file that waits for `master.key` to be there.
const COVERED: &str = "covered";

/// How the key files of a directory rest.
pub(super) enum Cover {
    Plain,
    Under(LocalKey),
}

/// What a passphrase costs to try.
#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The content of `master.key`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Master {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    sealed: String,
}

impl Cover {
    /// For a new directory: plain without a passphrase.
    pub fn create(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Self, KeysError> {
        let Some(passphrase) = passphrase else { return Ok(Self::Plain) };
        let master = LocalKey::new(random()?);
        write_new(&dir.join(MASTER_FILE), wrapped(&master, passphrase)?.as_bytes())?;
        Ok(Self::Under(master))
    }

    /// Of an existing directory; the passphrase is asked for only where there is one.
    pub fn open(dir: &Path, source: &Source) -> Result<Self, KeysError> {
        settle(dir)?;
        let path = dir.join(MASTER_FILE);
        if !is_there(&path)? {
            return Ok(Self::Plain);
        }
        let master = parse(&path)?;
        let key = derived(&master, &source.ask(dir)?)?;
        let sealed = hex::decode(&master.sealed).map_err(|_| form(&path))?;
        let opened = key.open(&context(MASTER_FILE), &sealed);
        let opened = opened.ok_or_else(|| KeysError::Passphrase(dir.to_owned()))?;
        let mut bytes = Zeroizing::new([0; 32]);
        if opened.len() != bytes.len() {
            return Err(form(&path));
        }
        bytes.copy_from_slice(&opened);
        Ok(Self::Under(LocalKey::new(bytes)))
    }

    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Writes a new key file.
    pub fn write(&self, dir: &Path, name: &str, text: &str) -> Result<(), KeysError> {
        let path = dir.join(name);
        match self {
            // The passphrase was set while this program ran: a plain file would be refused.
            Self::Plain if is_there(&dir.join(MASTER_FILE))? => {
                Err(KeysError::CoveredMeanwhile(dir.to_owned()))
            }
            Self::Plain => write_new(&path, text.as_bytes()),
            Self::Under(master) => write_new(&path, sealed(master, name, text).as_bytes()),
        }
    }

    /// Reads a key file.
    pub fn read(&self, dir: &Path, name: &str) -> Result<Zeroizing<String>, KeysError> {
        let path = dir.join(name);
        let text = read_private(&path)?;
        let Self::Under(master) = self else { return Ok(text) };
        let damaged = || KeysError::NotOurs(path.clone());
        let digits = text.strip_prefix(SEALED).and_then(|rest| rest.strip_suffix('\n'));
        let bytes = digits.and_then(|digits| hex::decode(digits).ok()).ok_or_else(damaged)?;
        let mut opened = master.open(&context(name), &bytes).ok_or_else(damaged)?;
        match String::from_utf8(std::mem::take(&mut *opened)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(cause) => {
                cause.into_bytes().zeroize();
                Err(damaged())
            }
        }
    }

    /// Puts the directory under a passphrase, or under another one. Old or new holds at every
    /// moment; what was interrupted is completed when the directory is next opened.
    pub fn change(&mut self, dir: &Path, passphrase: &Passphrase) -> Result<(), KeysError> {
        let (master, covering) = match self {
            Self::Under(master) => (master.clone(), false),
            Self::Plain => (LocalKey::new(random()?), true),
        };
        if covering {
            for name in key_files(dir, "key")? {
                let text = self.read(dir, &name)?;
                let covered = dir.join(format!("{name}.{COVERED}"));
                write_new(&covered, sealed(&master, &name, &text).as_bytes())?;
            }
            sync(dir)?;
        }
        let (path, new) = (dir.join(MASTER_FILE), dir.join(format!("{MASTER_FILE}.new")));
        remove(&new)?;
        write_new(&new, wrapped(&master, passphrase)?.as_bytes())?;
        fs::rename(&new, &path).map_err(|source| io(&path, source))?;
        sync(dir)?;
        *self = Self::Under(master);
        settle(dir)
    }
}

/// Completes or undoes the covering of a plain directory that was interrupted: with `master.key`
/// there the sealed files take the place of the plain ones, without it they are removed.
fn settle(dir: &Path) -> Result<(), KeysError> {
    let covered = is_there(&dir.join(MASTER_FILE))?;
    let waiting = key_files(dir, COVERED)?;
    for name in &waiting {
        let from = dir.join(name);
        if covered {
            let to = from.with_extension("");
            wipe(&to)?;
            fs::rename(&from, &to).map_err(|source| io(&to, source))?;
        } else {
            remove(&from)?;
        }
    }
    if waiting.is_empty() { Ok(()) } else { sync(dir) }
}

/// Overwrites a key file. A disk may keep what was there before: this is the lesser half of
/// destroying a key, and does not count alone.
pub(super) fn wipe(path: &Path) -> Result<(), KeysError> {
    let failed = |source| io(path, source);
    let length = match fs::metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        found => usize::try_from(found.map_err(failed)?.len()).unwrap_or(0),
    };
    let mut file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.write_all(&vec![b'0'; length]).and_then(|()| file.sync_all()).map_err(failed)
}

/// Overwrites and removes a key file.
pub(super) fn destroy(path: &Path) -> Result<(), KeysError> {
    wipe(path)?;
    remove(path)
}

/// The names of the files with this ending but for `master.key`, sorted.
pub(super) fn key_files(dir: &Path, ending: &str) -> Result<Vec<String>, KeysError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| io(dir, source))? {
        let name = entry.map_err(|source| io(dir, source))?.file_name();
        if let Some(name) = name.to_str()
            && name != MASTER_FILE
            && Path::new(name).extension().is_some_and(|e| e == ending)
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Result<(), KeysError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(io(path, cause)),
        _ => Ok(()),
    }
}

fn is_there(path: &Path) -> Result<bool, KeysError> {
    path.try_exists().map_err(|source| io(path, source))
}

fn context(name: &str) -> String {
    format!("sealwire-keys {name}")
}

fn sealed(master: &LocalKey, name: &str, text: &str) -> String {
    format!("{SEALED}{}\n", hex::encode(master.seal(&context(name), text.as_bytes())))
}

fn wrapped(master: &LocalKey, passphrase: &Passphrase) -> Result<String, KeysError> {
    let salt = random()?;
    let salt = hex::encode(salt.get(..SALT_LEN).unwrap_or_default());
    let Cost { memory_kib, passes, lanes } = COST;
    let kdf = "argon2id".to_owned();
    let mut file = Master { kdf, memory_kib, passes, lanes, salt, sealed: String::new() };
    let key = derived(&file, passphrase)?;
    file.sealed = hex::encode(key.seal(&context(MASTER_FILE), master.as_bytes()));
    Ok(toml::to_string(&file).expect("texts and numbers are always written"))
}

fn derived(master: &Master, passphrase: &Passphrase) -> Result<LocalKey, KeysError> {
    let mut salt = [0; SALT_LEN];
    let bad = || form(Path::new(MASTER_FILE));
    hex::decode_to_slice(&master.salt, &mut salt).map_err(|_| bad())?;
    let Master { memory_kib, passes, lanes, .. } = master;
    let params = Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(|_| bad())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
        .map_err(|cause| KeysError::Derivation(cause.to_string()))?;
    Ok(LocalKey::new(key))
}

fn parse(path: &Path) -> Result<Master, KeysError> {
    let text = read_private(path)?;
    let master: Master = toml::from_str(&text).map_err(|_| form(path))?;
    let bounded = master.kdf == "argon2id"
        && master.memory_kib <= MAX_MEMORY_KIB
        && (1..=MAX_PASSES_AND_LANES).contains(&master.passes)
        && (1..=MAX_PASSES_AND_LANES).contains(&master.lanes);
    if bounded { Ok(master) } else { Err(form(path)) }
}

fn form(path: &Path) -> KeysError {
    let expected = "TOML with kdf argon2id, its cost within 256 MiB, 16 passes and 16 lanes, a \
                    salt and the sealed master key";
    KeysError::Form { path: path.to_owned(), expected }
}

/// Reads a seed of 32 bytes from a key file that holds nothing else.
pub(super) fn read_seed(
    cover: &Cover,
    dir: &Path,
    name: &str,
) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let text = cover.read(dir, name)?;
    text.strip_suffix('\n').and_then(parse_seed).ok_or_else(|| KeysError::Form {
        path: PathBuf::from(dir).join(name),
        expected: "64 hexadecimal digits and a line end",
    })
}
