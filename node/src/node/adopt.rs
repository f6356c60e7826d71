//! Which register is in force: the versions adopted earlier, then those that the operator put at
//! the configured path, each as the next of one chain.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use sealwire_wire::id::Digest;
use sealwire_wire::register::{Draft, Expiry, MAX_REGISTER_BYTES, Register, RegisterError};

use crate::config::Config;
use crate::store::Reader;
use crate::sync;

use super::REGISTER_GRACE_SECS;

/// Most versions read from a directory.
const MAX_VERSIONS: usize = 10_000;

/// What a start begins with.
pub struct InForce {
    /// The register in force.
    pub register: Register,
    /// The bytes of the versions that are new, to be committed in this order.
    pub new: Vec<Vec<u8>>,
    /// Other registers, as validly signed, of versions that are held.
    pub forks: Vec<Register>,
}

/// The register in force. Without one adopted earlier the chain begins with version 1, or with
/// the version whose digest the configuration pins.
pub fn register_in_force(config: &Config, reader: &Reader, now_ms: u64) -> anyhow::Result<InForce> {
    let pin = config.register_digest;
    let mut chain = Chain { pin, current: None, pin_seen: false, held: Vec::new() };
    for bytes in reader.register_versions() {
        chain.take_again(bytes)?;
    }
    let (mut new, mut forks) = (Vec::new(), Vec::new());
    for offered in offered(&config.register, chain.current.is_none()).context("cannot start")? {
        match chain.offer(&offered)? {
            Place::Next(_) => new.push(offered.bytes),
            Place::Fork(other) => forks.push(*other),
            Place::Held => {}
        }
    }
    if let (Some(pin), false) = (chain.pin, chain.pin_seen) {
        bail!(
            "cannot start: no version of the register has the digest {pin} (hint: compare register-digest in the configuration with a governor's by telephone)"
        );
    }
    let Some(register) = chain.current else {
        bail!(
            "cannot start without a register: none in {} (hint: put the signed versions that the governors published there)",
            config.register.display()
        );
    };
    warn_of_expiry(&register, now_ms);
    Ok(InForce { register, new, forks })
}

/// What a document is to a node that has a register in force.
pub enum Place {
    /// The next version.
    Next(Box<Register>),
    /// A version that is held.
    Held,
    /// Another register of a version that is held, signed by governors who could sign it.
    Fork(Box<Register>),
}

/// Finds the place of a document beside the register in force and the versions `held`. It is
/// refused if it is none of the three.
pub fn place(
    current: &Register,
    held: impl FnOnce() -> Vec<Vec<u8>>,
    bytes: &[u8],
) -> Result<Place, RegisterError> {
    let draft = Draft::from_bytes(bytes)?;
    let (version, digest) = (draft.version(), draft.digest());
    if digest == current.digest() {
        return Ok(Place::Held);
    }
    if version > current.version() {
        return current.update(bytes).map(|next| Place::Next(Box::new(next)));
    }
    let versions = held();
    let Some(ours) = sync::held(&versions, version) else {
        return Err(RegisterError::Version { current: current.version(), found: version });
    };
    if ours.digest() == digest {
        return Ok(Place::Held);
    }
    let before = version.checked_sub(1).and_then(|before| sync::held(&versions, before));
    ours.fork(before.as_ref(), bytes).map(|other| Place::Fork(Box::new(other)))
}

/// A file that may hold a version.
pub struct Offered {
    /// The file.
    pub path: PathBuf,
    /// The version that it says it is.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The versions at a path, in order: one file, or all `*.json` files of a directory.
pub fn offered(path: &Path, needed: bool) -> anyhow::Result<Vec<Offered>> {
    let files = match files(path) {
        Ok(files) => files,
        Err(_) if !needed => Vec::new(),
        Err(cause) => {
            return Err(cause.context(format!(
                "no register at {} (hint: put the signed register.json that the governors published there)",
                path.display()
            )));
        }
    };
    let mut versions = files.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    versions.sort_by_key(|o| o.version);
    Ok(versions)
}

/// What changes whenever a version is put at a path: each file with its length and time.
pub fn stamps(path: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let stamp = |file: PathBuf| {
        let meta = fs::metadata(&file).ok()?;
        Some((file, meta.len(), meta.modified().ok()))
    };
    let mut stamps: Vec<_> =
        files(path).unwrap_or_default().into_iter().filter_map(stamp).collect();
    stamps.sort();
    stamps
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", path.display());
    if !fs::metadata(path).with_context(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(cannot)? {
        let file = entry.with_context(cannot)?.path();
        if file.extension().is_some_and(|e| e == "json") {
            files.push(file);
        }
        ensure!(files.len() <= MAX_VERSIONS, "{}: more than {MAX_VERSIONS} files", cannot());
    }
    Ok(files)
}

fn read(path: PathBuf) -> anyhow::Result<Offered> {
    let invalid = || format!("{} is not a valid register", path.display());
    let length = fs::metadata(&path).with_context(invalid)?.len();
    ensure!(
        usize::try_from(length).is_ok_and(|length| length <= MAX_REGISTER_BYTES),
        "{}: {length} bytes, the limit is {MAX_REGISTER_BYTES}",
        invalid()
    );
    let bytes = fs::read(&path).with_context(invalid)?;
    let draft = Draft::from_bytes(&bytes).with_context(invalid)?;
    Ok(Offered { version: draft.version(), digest: draft.digest(), path, bytes })
}

/// The chain of versions so far.
struct Chain {
    pin: Option<Digest>,
    pin_seen: bool,
    current: Option<Register>,
    /// All versions, in order.
    held: Vec<Vec<u8>>,
}

impl Chain {
    /// Takes a version that an earlier start adopted.
    fn take_again(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        let cannot = "cannot read a register version that was adopted earlier";
        let next = match &self.current {
            Some(current) => current.update(&bytes).context(cannot)?,
            None => {
                let digest = Draft::from_bytes(&bytes).context(cannot)?.digest();
                Register::trust_first(&bytes, Some(&digest)).context(cannot)?
            }
        };
        self.take(next);
        Ok(())
    }

    fn take(&mut self, next: Register) {
        self.pin_seen |= Some(next.digest()) == self.pin;
        self.held.push(next.bytes().to_vec());
        self.current = Some(next);
    }

    /// Takes an offered version if it continues the chain. Versions before the chain are passed
    /// over; what is neither the next of it, nor of it, nor a fork of it, is refused.
    fn offer(&mut self, offered: &Offered) -> anyhow::Result<Place> {
        let shown = offered.path.display();
        let found = match &self.current {
            None if self.pin.is_some_and(|pin| pin != offered.digest) => return Ok(Place::Held),
            None => {
                let first = Register::trust_first(&offered.bytes, self.pin.as_ref());
                first.map(|first| Place::Next(Box::new(first))).with_context(|| {
                    format!(
                        "cannot start: {shown} cannot be the first register (register-digest in the configuration pins one later than version 1)"
                    )
                })?
            }
            Some(current) => match place(current, || self.held.clone(), &offered.bytes) {
                Err(cause) if offered.version < current.version() => {
                    tracing::debug!(file = %shown, %cause, "passed over an older register");
                    Place::Held
                }
                found => found.with_context(|| {
                    format!(
                        "cannot start: {shown} is neither the register in force (version {}) nor its next version",
                        current.version()
                    )
                })?,
            },
        };
        if let Place::Next(next) = &found {
            self.take(next.as_ref().clone());
        }
        Ok(found)
    }
}

/// Tells an operator of a register that is not in force any more, or not for long.
pub fn warn_of_expiry(register: &Register, now_ms: u64) {
    let now = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    match register.check_expiry(now, REGISTER_GRACE_SECS) {
        Expiry::Valid => {}
        Expiry::Grace { until_unix } => {
            tracing::warn!(
                until_unix,
                "the register has expired; it serves until its grace period is over"
            );
        }
        Expiry::Expired => tracing::error!(
            "the register has expired and its grace period is over: nothing can be published"
        ),
    }
}
