//! Going on with an export that was broken off.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use sealwire_wire::bundle::{MANIFEST, MAX_MANIFEST_BYTES, Manifest};
use sealwire_wire::note::MAX_NOTE_BYTES;

use super::{ExportError, Notes, Piece, io_at};

/// The manifest and the checkpoints of an export that was broken off, if they are whole.
pub(super) fn read_begun(partial: &Path) -> Result<Option<(Manifest, Notes)>, ExportError> {
    let file = File::open(partial).map_err(io_at(partial))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let Ok(entries) = archive.entries() else { return Ok(None) };
    let mut entries = entries.raw(true).filter_map(Result::ok);
    let mut read = |expected: &str, limit: usize| {
        let mut entry = entries.next()?;
        let fits = entry.size() <= limit as u64 && *entry.path_bytes() == *expected.as_bytes();
        let mut bytes = Vec::new();
        let whole = fits && entry.read_to_end(&mut bytes).is_ok();
        (whole && bytes.len() as u64 == entry.size()).then_some(bytes)
    };
    let Some(Ok(manifest)) = read(MANIFEST, MAX_MANIFEST_BYTES).map(|b| Manifest::parse(&b)) else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    for member in std::iter::once(&manifest.member).chain(manifest.mirrors.keys()) {
        let Some(note) = read(&format!("logs/{member}/checkpoint"), MAX_NOTE_BYTES) else {
            return Ok(None);
        };
        notes.push((member.clone(), note));
    }
    Ok(Some((manifest, notes)))
}

/// How many files of the plan a broken-off export holds whole, and where the next one begins.
pub(super) fn complete(file: &File, plan: &[(String, Piece)]) -> Result<(usize, u64), ExportError> {
    let length = file.metadata().map_err(io_at(Path::new("bundle")))?.len();
    let mut archive = tar::Archive::new(BufReader::new(file));
    let (mut whole, mut at) = (0, 0);
    let Ok(entries) = archive.entries_with_seek() else { return Ok((0, 0)) };
    for (entry, (name, _)) in entries.raw(true).zip(plan) {
        let Ok(entry) = entry else { break };
        let end = entry.raw_file_position().saturating_add(entry.size()).next_multiple_of(512);
        if *entry.path_bytes() != *name.as_bytes() || end > length {
            break;
        }
        (whole, at) = (whole + 1, end);
    }
    Ok((whole, at))
}
