//! Taking bytes out of frames for good.
//!
//! A closed segment is written anew beside itself, with other payloads of the same lengths in some
//! of its frames, synced, and renamed into its place: every position stays what it was, and a
//! crash leaves the old segment or the new one, both whole. What the old file held goes back to the
//! file system when the last reader lets go of it.
//!
//! Knows nothing of what the frames mean, and of why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::reader::Shared;
use super::segment::{self, HEAD, HEADER, MARK, MORE, SEAL, WINDOW, Walk};
use super::{JournalFault, Position, Verb, io_fault, recover};

/// What a segment is called while it is written anew.
const SUFFIX: &str = "seg.new";

/// Writes closed segments anew; for any thread, one at a time.
pub struct Purger {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) shared: Arc<Shared>,
}

impl Purger {
    /// Gives the frames at these offsets of a closed segment other payloads, each as long as the
    /// one that it replaces. When this returns `Ok`, the old ones are gone.
    pub fn replace(
        &self,
        sequence: u64,
        payloads: &BTreeMap<u64, Vec<u8>>,
    ) -> Result<(), JournalFault> {
        let end = self.shared.end();
        if sequence >= end.segment {
            return Err(JournalFault::Beyond {
                position: Position { segment: sequence, offset: HEADER },
                end,
            });
        }
        let old = recover::open(&self.directory, sequence, false)?;
        let path = old.path.with_extension(SUFFIX);
        if path.exists() {
            self.disk.remove(&path).map_err(io_fault(Verb::Cut, &path))?;
        }
        let file = self.disk.create(&path).map_err(io_fault(Verb::Create, &path))?;
        let mut walk = Walk::new(old.clone(), WINDOW);
        let mut at = 0;
        loop {
            let bytes = walk.view(at, WINDOW).map_err(io_fault(Verb::Read, &old.path))?;
            if bytes.is_empty() {
                break;
            }
            self.disk.write(&file, bytes, at).map_err(io_fault(Verb::Write, &path))?;
            at += bytes.len() as u64;
        }
        for (offset, payload) in payloads {
            let damaged = || JournalFault::Damaged { segment: sequence, offset: *offset };
            let found = walk.frame(*offset).map_err(io_fault(Verb::Read, &old.path))?;
            let (head, _) = found.ok_or_else(damaged)?;
            if matches!(head.kind, MARK | SEAL) || head.length != payload.len() as u64 {
                return Err(damaged());
            }
            let kind = head.kind | if head.more { MORE } else { 0 };
            let mut bytes = Vec::with_capacity(payload.len() + HEAD as usize);
            old.identity.encode(&mut bytes, *offset, head.since, kind, payload);
            self.disk.write(&file, &bytes, *offset).map_err(io_fault(Verb::Write, &path))?;
        }
        self.disk.sync(&file).map_err(io_fault(Verb::Sync, &path))?;
        self.disk.rename(&path, &old.path).map_err(io_fault(Verb::Write, &path))?;
        self.disk.sync_directory(&self.directory).map_err(io_fault(Verb::Sync, &self.directory))?;
        self.shared.forget(sequence);
        Ok(())
    }
}

/// Removes what a crash left of a segment that was being written anew.
pub(super) fn clean(disk: &dyn Disk, directory: &Path) -> Result<(), JournalFault> {
    for entry in std::fs::read_dir(directory).map_err(io_fault(Verb::Read, directory))? {
        let path = entry.map_err(io_fault(Verb::Read, directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let begun = name.strip_suffix(".new").is_some_and(|name| segment::sequence(name).is_some());
        if begun {
            disk.remove(&path).map_err(io_fault(Verb::Cut, &path))?;
        }
    }
    Ok(())
}
