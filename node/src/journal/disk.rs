//! The steps by which anything of ours reaches the disk, as a trait so that tests can make each
//! one fail, leave it out, or forget what was not waited for.
//!
//! Nothing is durable when a step returns but for two of them: [`Disk::sync`] makes a file's bytes
//! durable, and [`Disk::sync_directory`] the names in a directory: a file needs both. A step that
//! fails may have been done wholly, in part, or not at all. Reading goes past this trait.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The operations on files of those who write.
pub(crate) trait Disk: Send + Sync {
    /// Makes a file that must not exist yet.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }
    /// Makes a directory and those above it, where they are missing.
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }
    /// Writes all bytes at the offset.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
    /// Sets the file's length.
    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }
    /// fdatasync.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
    /// fsync of a directory, so that its names last.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
    /// Gives a file another name in its directory, in the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    /// Takes the lock on a file for as long as it is open; false if somebody else has it.
    fn lock(&self, file: &File) -> io::Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }
}

/// The operating system's files.
#[derive(Debug)]
pub(crate) struct System;

impl Disk for System {}
