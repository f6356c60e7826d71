//! Evidence of forked logs, a file a log: written whole, kept for good, read at every start.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sealwire_wire::evidence::MAX_EVIDENCE_BYTES;
use sealwire_wire::id::MemberId;

use super::{Reader, Writer, place};
use crate::journal::Disk;

fn path(data: &Path, log: &MemberId) -> PathBuf {
    data.join("evidence").join(format!("{log}.json"))
}

impl Reader {
    /// Evidence that a log was forked, if some is kept.
    pub fn evidence(&self, log: &MemberId) -> Option<String> {
        read(&self.inner.data, log)
    }
}

impl Writer {
    /// Keeps evidence that a log was forked; durable when this returns.
    pub fn keep_evidence(&self, log: &MemberId, text: &str) -> io::Result<PathBuf> {
        keep(self.disk.as_ref(), &self.reader.inner.data, log, text)
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
