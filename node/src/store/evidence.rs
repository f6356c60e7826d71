//! Evidence of forked logs, a file a log: written whole, kept for good, read at every start.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sealwire_wire::evidence::MAX_EVIDENCE_BYTES;
use sealwire_wire::id::MemberId;

use super::{Reader, Writer};

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
        keep(&self.reader.inner.data, log, text)
    }
}

fn read(data: &Path, log: &MemberId) -> Option<String> {
    let path = path(data, log);
    let small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_EVIDENCE_BYTES as u64);
    fs::read_to_string(path).ok().filter(|_| small)
}

/// Keeps evidence; what was kept first stays. Durable when this returns.
fn keep(data: &Path, log: &MemberId, text: &str) -> io::Result<PathBuf> {
    let path = path(data, log);
    if path.exists() {
        return Ok(path);
    }
    let folder = data.join("evidence");
    fs::create_dir_all(&folder)?;
    let written = path.with_extension("json.new");
    let mut file = File::create(&written)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&written, &path)?;
    File::open(&folder)?.sync_all()?;
    File::open(data)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_first_stays() {
        let dir = tempfile::tempdir().unwrap();
        let log: MemberId = "ID".parse().unwrap();
        assert_eq!(read(dir.path(), &log), None);
        let first = keep(dir.path(), &log, "first").unwrap();
        assert_eq!(keep(dir.path(), &log, "second").unwrap(), first);
        assert_eq!(read(dir.path(), &log).as_deref(), Some("first"));
        assert_eq!(fs::read_dir(dir.path().join("evidence")).unwrap().count(), 1);
    }
}
