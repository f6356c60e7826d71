//! Named principals: who may use this node's interface, and for what.
//!
//! A principal has a name, rights and a token. The token is shown once, when it is made; the file
//! `principals.toml` in the keys directory holds its SHA-256 only. The token has 256 bits from the
//! operating system, so a plain hash is enough: there is nothing to guess. A running node reads
//! the file again when it has changed; a file that it cannot read lets nobody in. This module
//! knows nothing of HTTP.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealwire_wire::id::{Digest, MemberId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Name of the file in the keys directory.
pub const PRINCIPALS_FILE: &str = "principals.toml";
/// What every token begins with, so that scanners find a leaked one.
pub const TOKEN_PREFIX: &str = "swt_";
/// Random bytes in a token.
pub const TOKEN_BYTES: usize = 32;
/// Longest name of a principal, in bytes.
pub const MAX_NAME_LEN: usize = 64;
/// Most principals of one node.
pub const MAX_PRINCIPALS: usize = 256;
/// Largest principals file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Publish records in the member's name, and see how their delivery goes.
    Publish,
    /// Read the records that the member can open.
    Read,
    /// Read what proves the log: receipts, entries, metrics. No opened record.
    Audit,
    /// Take records out for bodies that are no members: open single fields as a proof, export what
    /// originators let go. Not given unless asked for.
    Export,
    /// Erase parts of records, place and lift legal holds, decide on reviews. Not given unless asked
    /// for.
    Erase,
    /// Ask other members whether they hold identifiers. Not given unless asked for.
    Match,
    /// As a program of another member: read checkpoints, tiles and the statements addressed to
    /// that member, and have its checkpoint cosigned. Stands alone.
    Mirror,
}

impl Right {
    /// The rights that a member's own people and programs are given at first.
    pub const OURS: [Self; 3] = [Self::Publish, Self::Read, Self::Audit];
    /// The rights of people who see what becomes of records.
    pub const PEOPLE: [Self; 4] = [Self::Publish, Self::Read, Self::Audit, Self::Erase];
    /// All rights.
    pub const ALL: [Self; 7] = [
        Self::Publish,
        Self::Read,
        Self::Audit,
        Self::Export,
        Self::Erase,
        Self::Match,
        Self::Mirror,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Audit => "audit",
            Self::Export => "export",
            Self::Erase => "erase",
            Self::Match => "match",
            Self::Mirror => "mirror",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        Self::ALL
            .into_iter()
            .find(|right| right.as_str() == text)
            .ok_or_else(|| PrincipalError::Right { found: text.to_owned() })
    }
}

/// Why principals could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PrincipalError {
    /// A word that is no right.
    #[error(
        "cannot give right {found:?}: there is none of that name\nhint: publish, read, audit, export, match or mirror"
    )]
    Right {
        /// The word.
        found: String,
    },
    /// A name of the wrong form.
    #[error(
        "cannot name a principal {found:?}: it is not 1 to {MAX_NAME_LEN} letters, digits, '.', \
         '_' or '-'\nhint: choose a name such as customs-lab"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// A principal without rights.
    #[error("cannot make principal {name:?}: it has no right\nhint: --rights publish,read,audit")]
    NoRight {
        /// The name.
        name: String,
    },
    /// The right to mirror beside others, or for nobody.
    #[error(
        "cannot make principal {name:?}: the right mirror stands alone, and is for one other \
         member\nhint: --rights mirror --member SG"
    )]
    Mirror {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error(
        "cannot make principal {name:?}: there is one\n\
         hint: choose another name, or revoke it first with `sealwire token revoke {name}`"
    )]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none of this name.
    #[error("cannot revoke principal {name:?}: there is none\nhint: see `sealwire token list`")]
    Absent {
        /// The name.
        name: String,
    },
    /// More than the limit.
    #[error("cannot make a further principal: the limit is {MAX_PRINCIPALS}\nhint: revoke some")]
    TooMany,
    /// The file may be read by others.
    #[error(
        "cannot use {file}: its mode {mode:03o} lets others read it\n\
         hint: chmod 600 {file}, then replace the tokens with `sealwire token`"
    )]
    Readable {
        /// The file.
        file: String,
        /// Its mode.
        mode: u32,
    },
    /// The file is not of the right form.
    #[error(
        "cannot read {file}: {cause}\n\
         hint: restore it from a backup, or remove it and make the tokens anew"
    )]
    Form {
        /// The file.
        file: String,
        /// What is wrong.
        cause: String,
    },
    /// The disk failed.
    #[error("cannot {verb} {file}: {cause}\nhint: check the disk and the owner of the directory")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        file: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// No random bytes.
    #[error("cannot make a token: {0}\nhint: the operating system gives no random bytes")]
    Random(getrandom::Error),
}

/// A principal: who, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub rights: BTreeSet<Right>,
    /// The other member whose program it is, with the right to mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    #[serde(skip)]
    token: Digest,
}

impl Principal {
    /// Whether it has the right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    principal: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    rights: BTreeSet<Right>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<MemberId>,
    sha256: Digest,
}

/// The principals of a running node. Follows changes of the file.
#[derive(Debug)]
pub struct Principals {
    file: PathBuf,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Option<Stamp>,
    list: Arc<Vec<Principal>>,
}

/// Changes with every replacement of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Principals {
    /// Reads the principals in a keys directory.
    pub fn open(keys_dir: &Path) -> Result<Self, PrincipalError> {
        let file = keys_dir.join(PRINCIPALS_FILE);
        let stamp = stamp(&file);
        let list = Arc::new(read(&file)?);
        Ok(Self { file, known: RwLock::new(Known { stamp, list }) })
    }

    /// The principal that this token belongs to.
    pub fn authenticate(&self, token: &str) -> Option<Principal> {
        let presented = Digest::of(token.as_bytes());
        let mut found = None;
        // Every principal is compared in full, so that the time tells nothing.
        for principal in self.current().iter() {
            if same(&principal.token, &presented) {
                found = Some(principal.clone());
            }
        }
        found
    }

    /// Whether this principal, once authenticated, still stands as it was.
    pub fn holds(&self, principal: &Principal) -> bool {
        self.current().contains(principal)
    }

    fn current(&self) -> Arc<Vec<Principal>> {
        let now = stamp(&self.file);
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == now {
                return Arc::clone(&known.list);
            }
        }
        let list = Arc::new(read(&self.file).unwrap_or_else(|error| {
            tracing::error!(%error, "principals unreadable, refusing every token");
            Vec::new()
        }));
        tracing::info!(principals = list.len(), "principals read again");
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Known { stamp: now, list: Arc::clone(&list) };
        list
    }
}

/// All principals in a keys directory.
pub fn list(keys_dir: &Path) -> Result<Vec<Principal>, PrincipalError> {
    read(&keys_dir.join(PRINCIPALS_FILE))
}

/// Makes a principal and gives its token, which is not stored.
pub fn create(
    keys_dir: &Path,
    name: &str,
    rights: &BTreeSet<Right>,
    member: Option<&MemberId>,
) -> Result<Zeroizing<String>, PrincipalError> {
    if !is_name(name) {
        return Err(PrincipalError::Name { found: name.chars().take(80).collect() });
    }
    if rights.is_empty() {
        return Err(PrincipalError::NoRight { name: name.to_owned() });
    }
    if !mirrors_alone(rights, member) {
        return Err(PrincipalError::Mirror { name: name.to_owned() });
    }
    let mut random = Zeroizing::new([0; TOKEN_BYTES]);
    getrandom::fill(random.as_mut_slice()).map_err(PrincipalError::Random)?;
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let token = Zeroizing::new([TOKEN_PREFIX, encoded.as_str()].concat());
    let digest = Digest::of(token.as_bytes());
    change(keys_dir, |list| {
        if list.iter().any(|p| p.name == name) {
            return Err(PrincipalError::Exists { name: name.to_owned() });
        }
        if list.len() >= MAX_PRINCIPALS {
            return Err(PrincipalError::TooMany);
        }
        let (name, rights, member) = (name.to_owned(), rights.clone(), member.cloned());
        list.push(Principal { name, rights, member, token: digest });
        Ok(())
    })?;
    Ok(token)
}

/// Takes all rights away from a principal: its token is worth nothing any more.
pub fn revoke(keys_dir: &Path, name: &str) -> Result<(), PrincipalError> {
    change(keys_dir, |list| {
        let before = list.len();
        list.retain(|p| p.name != name);
        if list.len() == before {
            return Err(PrincipalError::Absent { name: name.to_owned() });
        }
        Ok(())
    })
}

/// Compares in a time that does not depend on where the digests differ.
fn same(a: &Digest, b: &Digest) -> bool {
    let difference = a.0.iter().zip(b.0).fold(0, |sum, (x, y)| std::hint::black_box(sum | (x ^ y)));
    difference == 0
}

/// A principal of another member has the right to mirror and no other; only such a one has it.
fn mirrors_alone(rights: &BTreeSet<Right>, member: Option<&MemberId>) -> bool {
    if rights.contains(&Right::Mirror) {
        rights.len() == 1 && member.is_some()
    } else {
        member.is_none()
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        size: metadata.size(),
        seconds: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
    })
}

/// Reads the file; one that is not there holds nobody.
fn read(file: &Path) -> Result<Vec<Principal>, PrincipalError> {
    let shown = file.display().to_string();
    let form = |cause: String| PrincipalError::Form { file: shown.clone(), cause };
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(PrincipalError::Io { verb: "read", file: shown, cause }),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrincipalError::Readable { file: shown, mode });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(form(format!("{} bytes, the limit is {MAX_FILE_BYTES}", metadata.len())));
    }
    let text = std::fs::read_to_string(file).map_err(|cause| PrincipalError::Io {
        verb: "read",
        file: shown.clone(),
        cause,
    })?;
    parse(&text).map_err(form)
}

fn parse(text: &str) -> Result<Vec<Principal>, String> {
    let file: File = toml::from_str(text).map_err(|cause| cause.to_string())?;
    if file.principal.len() > MAX_PRINCIPALS {
        return Err(format!("more than {MAX_PRINCIPALS} principals"));
    }
    let mut names = BTreeSet::new();
    for row in &file.principal {
        if !is_name(&row.name) || !names.insert(row.name.as_str()) {
            return Err(format!("the name {:?} is malformed or there twice", row.name));
        }
        if !mirrors_alone(&row.rights, row.member.as_ref()) {
            return Err(format!("{:?} may not mirror, or not with other rights", row.name));
        }
    }
    let principal =
        |Row { name, rights, member, sha256 }| Principal { name, rights, member, token: sha256 };
    Ok(file.principal.into_iter().map(principal).collect())
}

fn change(
    keys_dir: &Path,
    edit: impl FnOnce(&mut Vec<Principal>) -> Result<(), PrincipalError>,
) -> Result<(), PrincipalError> {
    let file = keys_dir.join(PRINCIPALS_FILE);
    let io = |verb: &'static str| {
        let file = file.display().to_string();
        move |cause: std::io::Error| PrincipalError::Io { verb, file, cause }
    };
    // One writer at a time: two commands at once would lose one of their changes.
    let directory = std::fs::File::open(keys_dir).map_err(io("open the directory of"))?;
    directory.lock().map_err(io("lock the directory of"))?;
    let mut list = read(&file)?;
    edit(&mut list)?;
    let row =
        |Principal { name, rights, member, token }| Row { name, rights, member, sha256: token };
    let rows = File { principal: list.into_iter().map(row).collect() };
    let text = toml::to_string(&rows).map_err(|cause| PrincipalError::Form {
        file: file.display().to_string(),
        cause: cause.to_string(),
    })?;
    let new = keys_dir.join(format!("{PRINCIPALS_FILE}.new"));
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        out.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        out.write_all(b"# Made by `sealwire token`. Holds hashes of tokens, not tokens.\n\n")?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&new, &file)?;
        directory.sync_all()
    };
    write().map_err(io("write"))
}

#[cfg(test)]
mod tests;
