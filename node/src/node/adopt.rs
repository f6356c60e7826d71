//! Which register is in force: the versions adopted earlier, then those that the operator put at
//! the configured path, each as the next of one chain.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sealwire_wire::id::Digest;
use sealwire_wire::register::{Draft, Expiry, MAX_REGISTER_BYTES, Register};

use crate::config::Config;
use crate::store::Reader;

use super::REGISTER_GRACE_SECS;

/// Most versions read from a directory.
const MAX_VERSIONS: usize = 10_000;

/// The register in force, and the bytes of the versions that are new, to be committed in this
/// order. Without one adopted earlier the chain begins with version 1, or with the version whose
/// digest the configuration pins.
pub fn register_in_force(
    config: &Config,
    reader: &Reader,
    now_ms: u64,
) -> anyhow::Result<(Register, Vec<Vec<u8>>)> {
    let mut chain = Chain { pin: config.register_digest, current: None, pin_seen: false };
    for bytes in reader.register_versions() {
        chain.take_again(&bytes)?;
    }
    let mut new = Vec::new();
    for offered in offered(&config.register, chain.current.is_none())? {
        if chain.offer(&offered)? {
            new.push(offered.bytes);
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
    Ok((register, new))
}

/// A file that may hold a version.
struct Offered {
    path: PathBuf,
    version: u64,
    digest: Digest,
    bytes: Vec<u8>,
}

/// The versions at a path, in order: one file, or all `*.json` files of a directory.
fn offered(path: &Path, needed: bool) -> anyhow::Result<Vec<Offered>> {
    let files = match fs::metadata(path) {
        Ok(found) if found.is_dir() => directory(path)?,
        Ok(_) => vec![path.to_owned()],
        Err(_) if !needed => Vec::new(),
        Err(cause) => bail!(
            "cannot start without a register: {}: {cause} (hint: put the signed register.json that the governors published there)",
            path.display()
        ),
    };
    let mut versions = files.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    versions.sort_by_key(|o| o.version);
    Ok(versions)
}

fn directory(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot start: cannot read the registers in {}", path.display());
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
    let invalid = || format!("cannot start: {} is not a valid register", path.display());
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
}

impl Chain {
    /// Takes a version that an earlier start adopted.
    fn take_again(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let cannot = "cannot read a register version that was adopted earlier";
        let next = match &self.current {
            Some(current) => current.update(bytes).context(cannot)?,
            None => {
                let digest = Draft::from_bytes(bytes).context(cannot)?.digest();
                Register::trust_first(bytes, Some(&digest)).context(cannot)?
            }
        };
        self.take(next);
        Ok(())
    }

    fn take(&mut self, next: Register) {
        self.pin_seen |= Some(next.digest()) == self.pin;
        self.current = Some(next);
    }

    /// Takes an offered version if it continues the chain: whether it was new. Versions before
    /// the chain are passed over; another register in the place of the one in force is refused.
    fn offer(&mut self, offered: &Offered) -> anyhow::Result<bool> {
        let shown = offered.path.display();
        let next = match &self.current {
            None if self.pin.is_some_and(|pin| pin != offered.digest) => return Ok(false),
            None => {
                Register::trust_first(&offered.bytes, self.pin.as_ref()).with_context(|| {
                    format!(
                        "cannot start: {shown} cannot be the first register (register-digest in the configuration pins one later than version 1)"
                    )
                })?
            }
            Some(current) if offered.version < current.version() => return Ok(false),
            Some(current) if offered.digest == current.digest() => return Ok(false),
            Some(current) => current.update(&offered.bytes).with_context(|| {
                format!(
                    "cannot start: {shown} is neither the register in force (version {}) nor its next version",
                    current.version()
                )
            })?,
        };
        self.take(next);
        Ok(true)
    }
}

fn warn_of_expiry(register: &Register, now_ms: u64) {
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
