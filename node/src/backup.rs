//! Backup while the node runs, and restore.
//!
//! A backup holds what cannot be derived: the format marker, the journal's segments up to their
//! length at that moment, the register, and, only when asked for, the keys. A manifest beside
//! them names every file with length and SHA-256. Before a backup counts as made, the copy is
//! opened as a journal and read to the end. A restored directory carries the marker `restored`:
//! the node then signs nothing before it has compared its head with its peers, because the log
//! may have grown after the backup was taken.
//!
//! This module knows nothing of the index and of what the facts mean, but for the tree's size.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use sealwire_wire::id::{Digest, MemberId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::journal::{Journal, JournalFault, Position};
use crate::keys::MASTER_FILE;
use crate::store::format::{self, FormatError};
use crate::store::{Fact, FactError};

/// Marker of a restored data directory.
pub const RESTORED: &str = "restored";
/// Name and version of the backup's own format.
const FORMAT: &str = "sealwire-backup 1";
const MANIFEST: &str = "manifest.json";
/// Largest manifest read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;
/// How often the copy is made again because the node wrote meanwhile.
const ATTEMPTS: usize = 8;
/// Bytes copied at once.
const CHUNK: usize = 256 * 1024;

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The marker of a directory.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The copy of the journal does not open.
    #[error("cannot verify the copy: {0} (hint: nothing was kept; check the disk and try again)")]
    Journal(#[from] JournalFault),
    /// The copy of the journal holds something else.
    #[error("cannot verify the copy: {0}")]
    Fact(#[from] FactError),
    /// Not the manifest of a backup that this program reads.
    #[error(
        "cannot read {}: {cause} (hint: give the directory that `sealwire backup` made, and the \
         version of this program that made it, or a newer one)", path.display()
    )]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A file differs from what the manifest says.
    #[error(
        "cannot restore {file}: {cause} \
         (hint: the backup was damaged or changed; take another copy of it)"
    )]
    Changed {
        /// The file, as named in the manifest.
        file: String,
        /// How it differs.
        cause: &'static str,
    },
    /// Keys were asked for, and there are none in it.
    #[error("cannot restore keys: the backup was made without (hint: leave the keys out)")]
    NoKeys,
    /// The keys would be in it in clear.
    #[error(
        "cannot back up the keys in {}: they are plain files, and a backup holds no key in clear \
         (hint: set a passphrase with `sealwire keys passphrase`, or leave the keys out)",
        .0.display()
    )]
    PlainKeys(PathBuf),
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

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Whose data.
    pub member: MemberId,
    /// Leaves of the own log.
    pub tree_size: u64,
    /// Facts in the journal.
    pub facts: u64,
    /// Files copied.
    pub files: usize,
    /// Bytes copied.
    pub bytes: u64,
    /// Whether the keys are in it.
    pub keys: bool,
}

/// What was restored.
pub type RestoreReport = BackupReport;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    member: MemberId,
    created: jiff::Timestamp,
    tree_size: u64,
    facts: u64,
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    path: String,
    length: u64,
    sha256: Digest,
}

/// Copies the data directory of `own`, and the keys if `keys` names them, into the new directory
/// `out`. The node may run meanwhile; whatever it had acknowledged before is in the copy.
pub fn backup(
    data: &Path,
    own: &MemberId,
    keys: Option<&Path>,
    out: &Path,
    now: jiff::Timestamp,
) -> Result<BackupReport, BackupError> {
    format::DATA.check(data)?;
    if let Some(keys) = keys {
        format::KEYS.check(keys)?;
        if !keys.join(MASTER_FILE).exists() {
            return Err(BackupError::PlainKeys(keys.to_owned()));
        }
    }
    if !format::is_empty(out)? {
        return Err(FormatError::NotEmpty(out.to_owned()).into());
    }
    let journal = out.join("data/journal");
    let evidence = out.join("data/evidence");
    for dir in [out, &out.join("data"), &journal, &out.join("data/register"), &evidence] {
        format::private_dir(dir).map_err(io(dir))?;
    }
    copy(&data.join("format"), &out.join("data/format"))?;
    copy_flat(&data.join("register"), &out.join("data/register"))?;
    copy_flat(&data.join("evidence"), &evidence)?;
    if let Some(keys) = keys {
        let target = out.join("keys");
        format::private_dir(&target).map_err(io(&target))?;
        copy_flat(keys, &target)?;
    }
    let (facts, tree_size) = copy_journal(&data.join("journal"), &journal, own)?;

    // Digests last: recovery may have cut the copy's last frame.
    let mut files = Vec::new();
    for dir in ["data", "data/journal", "data/register", "data/evidence", "keys"] {
        for path in regular_files(&out.join(dir))? {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let (length, sha256) = digest(&path)?;
            files.push(FileEntry { path: format!("{dir}/{name}"), length, sha256 });
        }
    }
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        member: own.clone(),
        created: now,
        tree_size,
        facts,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|e| BackupError::Manifest { path: out.join(MANIFEST), cause: e.to_string() })?;
    let path = out.join(MANIFEST);
    format::private_file(&path, &text).map_err(io(&path))?;
    format::sync_dir(out).map_err(io(out))?;
    Ok(report(&manifest))
}

/// Puts a backup into the new directory `data`, and its keys into the new directory `keys` if
/// given. Everything is compared with the manifest before anything is written, and again as it
/// is copied; the format marker comes last, so that half a restore is never opened.
pub fn restore(
    from: &Path,
    data: &Path,
    keys: Option<&Path>,
) -> Result<RestoreReport, BackupError> {
    for target in [Some(data), keys].into_iter().flatten() {
        if !format::is_empty(target)? {
            return Err(FormatError::NotEmpty(target.to_owned()).into());
        }
    }
    let manifest = read_manifest(from)?;
    format::DATA.check(&from.join("data"))?;
    let mut plan = Vec::new();
    for file in &manifest.files {
        let changed = |cause| BackupError::Changed { file: file.path.clone(), cause };
        let source = from.join(safe(&file.path).ok_or_else(|| changed("not a name of a backup"))?);
        let found = match digest(&source) {
            Err(BackupError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(changed("it is missing"));
            }
            found => found?,
        };
        if found != (file.length, file.sha256) {
            return Err(changed("its digest is not that of the manifest"));
        }
        let target = match (file.path.strip_prefix("data/"), file.path.strip_prefix("keys/")) {
            (Some(rest), _) => Some(data.join(rest)),
            (_, Some(rest)) => keys.map(|keys| keys.join(rest)),
            _ => return Err(changed("not a name of a backup")),
        };
        plan.extend(target.map(|target| (file, source, target)));
    }
    if keys.is_some() && !report(&manifest).keys {
        return Err(BackupError::NoKeys);
    }
    let mut dirs = vec![data.to_owned()];
    dirs.extend(["journal", "register", "evidence"].map(|dir| data.join(dir)));
    dirs.extend(keys.map(Path::to_owned));
    for dir in &dirs {
        format::private_dir(dir).map_err(io(dir))?;
    }
    let note = format!("backup of {} with {} leaves\n", manifest.created, manifest.tree_size);
    let marker = data.join(RESTORED);
    format::private_file(&marker, note.as_bytes()).map_err(io(&marker))?;
    plan.sort_by_key(|(_, _, target)| target.ends_with("format"));
    for (file, source, target) in &plan {
        if copy(source, target)? != (file.length, file.sha256) {
            let cause = "it changed while it was read";
            return Err(BackupError::Changed { file: file.path.clone(), cause });
        }
    }
    dirs.iter().try_for_each(|dir| format::sync_dir(dir).map_err(io(dir)))?;
    Ok(report(&manifest))
}

/// Whether the directory was restored and its head has not been compared with peers since.
pub fn is_restored(data: &Path) -> bool {
    data.join(RESTORED).exists()
}

/// Says that the head has been compared: removes the marker, durably.
pub fn clear_restored(data: &Path) -> Result<(), BackupError> {
    let marker = data.join(RESTORED);
    match fs::remove_file(&marker) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io(&marker)(e)),
        _ => format::sync_dir(data).map_err(io(data)),
    }
}

fn report(manifest: &Manifest) -> BackupReport {
    BackupReport {
        member: manifest.member.clone(),
        tree_size: manifest.tree_size,
        facts: manifest.facts,
        files: manifest.files.len(),
        bytes: manifest.files.iter().map(|file| file.length).sum(),
        keys: manifest.files.iter().any(|file| file.path.starts_with("keys/")),
    }
}

/// Copies the segments and reads the copy to its end. The writer may overwrite the last bytes of
/// the last segment and begin another one while they are read: then the copy does not open, and
/// the segments that can have changed are copied again.
fn copy_journal(from: &Path, to: &Path, own: &MemberId) -> Result<(u64, u64), BackupError> {
    let mut complete = 0;
    for attempt in 1.. {
        let segments: Vec<PathBuf> = regular_files(from)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "seg"))
            .collect();
        for segment in segments.iter().skip(complete) {
            let target = to.join(segment.file_name().unwrap_or_default());
            remove_if_there(&target)?;
            copy(segment, &target)?;
        }
        match read_through(to, own) {
            Err(BackupError::Journal(JournalFault::Damaged { .. })) if attempt < ATTEMPTS => {
                // All but the last two were closed before this attempt began.
                complete = segments.len().saturating_sub(2);
            }
            outcome => return outcome,
        }
    }
    Ok((0, 0))
}

/// Opens the copy as a journal and reads every fact: how many, and the size of the own log.
fn read_through(journal: &Path, own: &MemberId) -> Result<(u64, u64), BackupError> {
    let (opened, _recovery) = Journal::open(journal)?;
    let (mut facts, mut size) = (0, 0);
    for frame in opened.reader().scan(Position::START) {
        let fact = Fact::from_frame(&frame?.1)?;
        facts += 1;
        match fact {
            Fact::Entry { log, item, .. } if log == *own => size = item.index.saturating_add(1),
            _ => {}
        }
    }
    drop(opened);
    for path in regular_files(journal)? {
        if path.extension().is_none_or(|e| e != "seg") {
            remove_if_there(&path)?;
        }
    }
    Ok((facts, size))
}

fn read_manifest(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST);
    let bad = |cause: String| BackupError::Manifest { path: path.clone(), cause };
    let file = fs::File::open(&path).map_err(|e| bad(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).map_err(io(&path))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
    if manifest.format == FORMAT {
        Ok(manifest)
    } else {
        Err(bad(format!("its format is {:?}, and this program knows {FORMAT:?}", manifest.format)))
    }
}

/// A name that stays inside the backup.
fn safe(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let known = ["data/", "keys/"].iter().any(|dir| name.starts_with(dir));
    (plain && known && path.components().count() <= 3).then_some(path)
}

/// The regular files in a directory by name; none if the directory is missing.
fn regular_files(dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io(dir))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io(dir))?;
        if entry.file_type().map_err(io(dir))?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn copy_flat(from: &Path, to: &Path) -> Result<(), BackupError> {
    for path in regular_files(from)? {
        // A file half written under a passing name is not part of the register.
        if path.extension().is_none_or(|e| e != "new") {
            copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Copies a file up to its present length, durably, readable by its owner alone; answers what
/// was written.
fn copy(from: &Path, to: &Path) -> Result<(u64, Digest), BackupError> {
    let source = fs::File::open(from).map_err(io(from))?;
    let length = source.metadata().map_err(io(from))?.len();
    let mut options = fs::OpenOptions::new();
    let mut target = options.write(true).create_new(true).mode(0o600).open(to).map_err(io(to))?;
    let found = hash(source.take(length), from, |bytes| target.write_all(bytes).map_err(io(to)))?;
    target.sync_all().map_err(io(to))?;
    Ok(found)
}

/// Length and SHA-256 of a file.
pub fn digest(path: &Path) -> Result<(u64, Digest), BackupError> {
    hash(fs::File::open(path).map_err(io(path))?, path, |_| Ok(()))
}

fn hash(
    mut source: impl Read,
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<(u64, Digest), BackupError> {
    let (mut length, mut sha256, mut buffer) = (0, Sha256::new(), vec![0; CHUNK]);
    loop {
        let count = source.read(&mut buffer).map_err(io(path))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((length, Digest(sha256.finalize().into())));
        }
        each(bytes)?;
        sha256.update(bytes);
        length += count as u64;
    }
}

fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io(path)(e)),
        _ => Ok(()),
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}
