//! Evidence of forks, written whole and kept for good: of a log one file, read at every start; of
//! the register the other document of each version, as its governors signed it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sealwire_wire::evidence::MAX_EVIDENCE_BYTES;
use sealwire_wire::id::MemberId;
use sealwire_wire::register::Register;

use super::{Reader, Writer, place};
use crate::journal::Disk;

/// What the names of registers among the evidence begin with.
const REGISTER: &str = "register-";
/// Most registers kept: who can sign one can sign many.
const MAX_REGISTER_FORKS: usize = 16;

fn path(data: &Path, log: &MemberId) -> PathBuf {
    data.join("evidence").join(format!("{log}.json"))
}

fn register_path(data: &Path, other: &Register) -> PathBuf {
    let name = format!("{REGISTER}{}-{}.json", other.version(), other.digest());
    data.join("evidence").join(name)
}

/// Names of the registers among the evidence, in order.
fn register_forks(data: &Path) -> Vec<String> {
    let files = fs::read_dir(data.join("evidence")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(REGISTER) && name.ends_with(".json"))
        .take(MAX_REGISTER_FORKS)
        .collect();
    names.sort();
    names
}

impl Reader {
    /// Evidence that a log was forked, if some is kept.
    pub fn evidence(&self, log: &MemberId) -> Option<String> {
        read(&self.inner.data, log)
    }

    /// The registers kept as evidence that the register was forked, by the names of their files.
    pub fn register_forks(&self) -> Vec<String> {
        register_forks(&self.inner.data)
    }
}

impl Writer {
    /// Keeps evidence that a log was forked; durable when this returns.
    pub fn keep_evidence(&self, log: &MemberId, text: &str) -> io::Result<PathBuf> {
        keep(self.disk.as_ref(), &self.reader.inner.data, log, text)
    }

    /// Keeps the other register of a version held here; nothing if it is kept already, or if
    /// enough are. Durable when this returns.
    pub fn keep_register_fork(&self, other: &Register) -> io::Result<Option<PathBuf>> {
        let data = &self.reader.inner.data;
        let path = register_path(data, other);
        if path.exists() || register_forks(data).len() >= MAX_REGISTER_FORKS {
            return Ok(None);
        }
        place::replace_durably(self.disk.as_ref(), &path, other.bytes(), data)?;
        Ok(Some(path))
    }
}

fn read(data: &Path, log: &MemberId) -> Option<String> {
    let path = path(data, log);
    let small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_EVIDENCE_BYTES as u64);
    fs::read_to_string(path).ok().filter(|_| small)
}

/// Keeps evidence; what was kept first stays. Durable when this returns.
pub(super) fn keep(
    disk: &dyn Disk,
    data: &Path,
    log: &MemberId,
    text: &str,
) -> io::Result<PathBuf> {
    let path = path(data, log);
    if path.exists() {
        return Ok(path);
    }
    place::replace_durably(disk, &path, text.as_bytes(), data)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::System;

    #[test]
    fn what_was_kept_first_stays() {
        let dir = tempfile::tempdir().unwrap();
        let log: MemberId = "ID".parse().unwrap();
        assert_eq!(read(dir.path(), &log), None);
        let first = keep(&System, dir.path(), &log, "first").unwrap();
        assert_eq!(keep(&System, dir.path(), &log, "second").unwrap(), first);
        assert_eq!(read(dir.path(), &log).as_deref(), Some("first"));
        assert_eq!(fs::read_dir(dir.path().join("evidence")).unwrap().count(), 1);
    }
}
