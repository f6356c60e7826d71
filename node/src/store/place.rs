//! Files that are written beside their place and then put into it, so that a reader finds the old
//! one or the new one, whole.
//!
//! Nothing here is durable unless its function says so. Knows nothing of what the files hold.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::StoreFault;
use crate::journal::Disk;

/// Writes to the end of a file, by the steps of a disk.
pub(super) struct Sink<'a> {
    disk: &'a dyn Disk,
    file: File,
    at: u64,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&self.file, bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts bytes into a place.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreFault> {
    replace_with(disk, path, |out| out.write_all(bytes).map_err(fault(path)))
}

/// Puts into a place what `write` writes.
pub(super) fn replace_with(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<Sink<'_>>) -> Result<(), StoreFault>,
) -> Result<(), StoreFault> {
    let new = path.with_extension("new");
    let mut out = BufWriter::new(begin(disk, &new).map_err(fault(path))?);
    write(&mut out)?;
    out.flush().map_err(fault(path))?;
    disk.rename(&new, path).map_err(fault(path))
}

/// Puts bytes into a place, durably with the names of the directories up to `above`.
pub(super) fn replace_durably(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
    above: &Path,
) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut out = begin(disk, &new)?;
    out.write_all(bytes)?;
    disk.sync(&out.file)?;
    disk.rename(&new, path)?;
    for directory in path.ancestors().skip(1).take_while(|d| d.starts_with(above)) {
        disk.sync_directory(directory)?;
    }
    Ok(())
}

/// Appends to a file that is there.
pub(super) fn append(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreFault> {
    let file = OpenOptions::new().write(true).open(path).map_err(fault(path))?;
    let at = file.metadata().map_err(fault(path))?.len();
    disk.write(&file, bytes, at).map_err(fault(path))
}

/// Makes files durable, and their names in their directories.
pub(super) fn settle(disk: &dyn Disk, paths: &BTreeSet<PathBuf>) -> Result<(), StoreFault> {
    for path in paths {
        let file = File::open(path).map_err(fault(path))?;
        disk.sync(&file).map_err(fault(path))?;
    }
    let directories: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    for directory in directories {
        disk.sync_directory(directory).map_err(fault(directory))?;
    }
    Ok(())
}

/// Removes a file, and its directory once that is empty.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), StoreFault> {
    match disk.remove(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(fault(path)(cause)),
        _ => {}
    }
    if let Some(directory) = path.parent() {
        // Fails while others are in it, which is right.
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

/// Whether a file is there and has the length.
pub(super) fn has_length(path: &Path, length: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == length)
}

fn begin<'a>(disk: &'a dyn Disk, path: &Path) -> io::Result<Sink<'a>> {
    let file = match disk.create(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            disk.make_directory(path.parent().unwrap_or(path))?;
            disk.create(path)
        }
        // An attempt before this one ended halfway.
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create(path)
        }
        file => file,
    };
    Ok(Sink { disk, file: file?, at: 0 })
}

pub(super) fn fault(path: &Path) -> impl FnOnce(io::Error) -> StoreFault {
    let path = path.to_owned();
    move |source| StoreFault::Io { path, source }
}
