//! The lock on a data directory: one process at a time.
//!
//! The operating system releases it when the process ends, however it ends. This module knows
//! nothing of what is in the directory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::StoreFault;
use crate::journal::Disk;

/// Held while the directory is in use.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or refuses at once.
    pub fn take(disk: &dyn Disk, data: &Path) -> Result<Self, StoreFault> {
        let path = data.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| StoreFault::Io { path: path.clone(), source })?;
        match disk.lock(&file) {
            Ok(true) => Ok(Self { file }),
            Ok(false) => Err(StoreFault::InUse(data.to_owned())),
            Err(source) => Err(StoreFault::Io { path, source }),
        }
    }

    /// Whether the disk takes writes, by one to the file itself. sled is given nothing to write
    /// while it does not: an error of the disk stops sled for good, until the next start.
    pub fn disk_takes_writes(&self) -> std::io::Result<()> {
        self.file.write_all_at(b"\n", 0)
    }
}
