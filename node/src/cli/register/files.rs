//! The files of the register commands: read within a limit, written whole or not at all.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::SigningKey;
use sealwire_wire::id::Digest;
use sealwire_wire::register::{
    Draft, Introduction, MAX_INTRODUCTION_BYTES, MAX_REGISTER_BYTES, Register, governor_key_id,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Largest governor's file accepted, in bytes.
const MAX_GOVERNOR_BYTES: usize = 4096;
/// `format` of a governor's secret file.
const SECRET_FORMAT: &str = "sealwire-governor-secret/1";
/// `format` of a governor's public file.
const PUBLIC_FORMAT: &str = "sealwire-governor-public/1";
const ALGORITHM: &str = "Ed25519";

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct GovernorSecret {
    format: String,
    seat: String,
    /// Seed of the Ed25519 key, in hexadecimal digits.
    secret: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GovernorPublic {
    format: String,
    seat: String,
    algorithm: String,
    public: String,
    keyid: Digest,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Mode {
    /// A new file for everybody's eyes; one that is there is not touched.
    New,
    /// A new file for its owner's eyes; one that is there is not touched.
    NewSecret,
    /// A file in the place of the one that is there.
    Replace,
}

/// Makes a governor's key: its key id, and where the public file is.
pub(super) fn make_governor(seat: &str, out: &Path) -> Result<(Digest, PathBuf)> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut_slice()).context("cannot make a key: no randomness")?;
    let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    let keyid = governor_key_id(&public);
    // The draft's own rules say what a seat may be called.
    Draft::new("example.org", 1, 0)?.add_seat(seat, &public)?;
    let secret = GovernorSecret {
        format: SECRET_FORMAT.to_owned(),
        seat: seat.to_owned(),
        secret: hex::encode(seed.as_slice()),
    };
    let given = GovernorPublic {
        format: PUBLIC_FORMAT.to_owned(),
        seat: seat.to_owned(),
        algorithm: ALGORITHM.to_owned(),
        public: hex::encode(public),
        keyid,
    };
    let mut public_path = out.to_path_buf().into_os_string();
    public_path.push(".pub.json");
    let public_path = PathBuf::from(public_path);
    ensure!(!public_path.exists(), exists(&public_path));
    write(out, &Zeroizing::new(lines(&secret)?), Mode::NewSecret)?;
    write(&public_path, &lines(&given)?, Mode::New)?;
    Ok((keyid, public_path))
}

/// The seat and public key in a governor's public file.
pub(super) fn read_governor(path: &Path) -> Result<(String, [u8; 32])> {
    let bytes = read(path, MAX_GOVERNOR_BYTES)?;
    let hint = "hint: give the governor's FILE.pub.json, as `sealwire register governor` wrote it";
    let given: GovernorPublic =
        serde_json::from_slice(&bytes).with_context(|| format!("{}\n{hint}", in_file(path)))?;
    let mut public = [0; 32];
    let fits = given.format == PUBLIC_FORMAT
        && given.algorithm == ALGORITHM
        && hex::decode_to_slice(&given.public, &mut public).is_ok()
        && governor_key_id(&public) == given.keyid;
    ensure!(fits, "{}: the key id does not fit the key\n{hint}", in_file(path));
    Ok((given.seat, public))
}

/// The key in a governor's secret file, which nobody else may be able to read.
pub(super) fn read_governor_secret(path: &Path) -> Result<SigningKey> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).with_context(|| in_file(path))?.permissions().mode();
        let name = path.display();
        ensure!(
            mode & 0o077 == 0,
            "cannot use {name}: others can read it (mode {:o})\nhint: chmod 600 {name}",
            mode & 0o777
        );
    }
    let bytes = Zeroizing::new(read(path, MAX_GOVERNOR_BYTES)?);
    let refused = || {
        let name = path.display();
        format!(
            "cannot use {name}: not a governor's secret file\nhint: give the file that \
                 `sealwire register governor` wrote, not its .pub.json"
        )
    };
    let Ok(secret) = serde_json::from_slice::<GovernorSecret>(&bytes) else { bail!(refused()) };
    let mut seed = Zeroizing::new([0; 32]);
    let read = hex::decode_to_slice(secret.secret.as_bytes(), seed.as_mut_slice()).is_ok();
    ensure!(read && secret.format == SECRET_FORMAT, refused());
    Ok(SigningKey::from_bytes(&seed))
}

/// A draft or a register as a draft.
pub(super) fn read_draft(path: &Path) -> Result<Draft> {
    Draft::from_bytes(&read(path, MAX_REGISTER_BYTES)?).with_context(|| in_file(path))
}

/// A signed register that the operator names as trusted.
pub(in crate::cli) fn read_register(path: &Path) -> Result<Register> {
    let bytes = read(path, MAX_REGISTER_BYTES)?;
    let digest = Draft::from_bytes(&bytes).with_context(|| in_file(path))?.digest();
    Register::trust_first(&bytes, Some(&digest)).with_context(|| in_file(path))
}

/// A member's introduction.
pub(super) fn read_introduction(path: &Path) -> Result<Introduction> {
    let bytes = read(path, MAX_INTRODUCTION_BYTES)?;
    Introduction::from_bytes(&bytes).with_context(|| in_file(path))
}

/// Writes a file under another name, makes it durable, and only then gives it its name.
pub(in crate::cli) fn write(path: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let bits = if mode == Mode::NewSecret { 0o600 } else { 0o644 };
        builder.permissions(fs::Permissions::from_mode(bits));
    }
    let mut file = builder.prefix(".sealwire-").tempfile_in(directory).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    let persisted = match mode {
        Mode::Replace => file.persist(path),
        Mode::New | Mode::NewSecret => file.persist_noclobber(path),
    };
    match persisted {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(exists(path))
        }
        Err(failed) => return Err(failed.error).with_context(cannot),
    }
    File::open(directory).and_then(|d| d.sync_all()).with_context(cannot)
}

pub(super) fn exists(path: &Path) -> String {
    let name = path.display();
    format!("cannot write {name}: the file exists\nhint: choose another name, or move it away")
}

pub(super) fn in_file(path: &Path) -> String {
    format!("in {}", path.display())
}

fn lines<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a file; one byte above the limit is enough for the parser to refuse it.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit)?.saturating_add(1);
    file.take(most).read_to_end(&mut bytes).with_context(cannot)?;
    Ok(bytes)
}
