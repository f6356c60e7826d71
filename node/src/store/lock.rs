//! The lock on a data directory: one process at a time.
//!
//! The operating system releases it when the process ends, however it ends. This module knows
//! nothing of what is in the directory.

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::StoreFault;
use crate::journal::Disk;

/// Held while the directory is in use.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
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
            Ok(true) => Ok(Self { _file: file }),
            Ok(false) => Err(StoreFault::InUse(data.to_owned())),
            Err(source) => Err(StoreFault::Io { path, source }),
        }
    }
}
