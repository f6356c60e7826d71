//! Room on the disk: a commit is refused while there is still enough for what follows it.
//!
//! The journal takes back a write that did not fit. The index cannot: sled stops for good, and
//! only a restart makes what is durable visible. So the disk must seem full before it is.
//!
//! Knows nothing of what is written.

use std::io;
use std::path::Path;

use crate::journal::AppendError;

/// What is left for index and log files, in bytes; they follow a commit within a few seconds.
pub const RESERVE: u64 = 32 * 1024 * 1024;

/// What is free for us on the disk of a directory, in bytes, if the system says it.
pub fn free(data: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(data).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses a batch of `length` bytes that would leave less than the reserve: it is written to
/// the journal and, for the most part, to the log files too.
pub fn check(data: &Path, length: u64) -> Result<(), AppendError> {
    // Where the system does not say, the write itself will.
    let Some(free) = free(data) else { return Ok(()) };
    if free >= length.saturating_mul(2).saturating_add(RESERVE) {
        return Ok(());
    }
    let cause = format!("{free} bytes are free, and {RESERVE} are kept for index and log files");
    Err(AppendError::Full { length, source: io::Error::new(io::ErrorKind::StorageFull, cause) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_refused_before_the_disk_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let disk = rustix::fs::statvfs(dir.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        assert!(free > 4 * RESERVE, "this test needs more room than {free} bytes");
        check(dir.path(), 0).unwrap();
        // Half of what is free fits twice, but for the reserve; others may write meanwhile.
        let refused = check(dir.path(), free / 2).unwrap_err();
        assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
        assert!(refused.to_string().contains("kept for index"), "{refused}");
        check(&dir.path().join("none"), u64::MAX).unwrap();
    }
}
