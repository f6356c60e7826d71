//! The lock on a data directory: one process at a time.
//!
//! The operating system releases it when the process ends, however it ends. This module knows
//! nothing of what is in the directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreFault;

/// Held while the directory is in use.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or refuses at once.
    pub fn take(data: &Path) -> Result<Self, StoreFault> {
        let path = data.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| StoreFault::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreFault::InUse(data.to_owned())),
            Err(TryLockError::Error(source)) => Err(StoreFault::Io { path, source }),
        }
    }
}
