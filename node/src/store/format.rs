//! Format markers: the file `format` in `data/` and in `keys/`.
//!
//! The marker is one line, a name and a version. A newer version is refused; an older one is
//! migrated by the steps listed in [`Format::migrations`], after a copy of the directory has been
//! made and compared; a directory with content but no marker is refused, because nothing is known
//! of it.
//!
//! This module knows nothing of what the directories hold.

use std::cmp::Ordering;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What a directory may hold, and how older versions become the present one.
#[derive(Debug)]
pub struct Format {
    /// First word of the marker.
    pub name: &'static str,
    /// The version that this program reads and writes.
    pub version: u64,
    /// Steps from older versions, each from one version to the next.
    pub migrations: &'static [Migration],
}

/// One step from an older version to the next.
#[derive(Debug)]
pub struct Migration {
    /// The version that it reads.
    pub from: u64,
    /// Rewrites the content of the directory; the marker is written afterwards.
    pub run: fn(&Path) -> std::io::Result<()>,
}

/// The data directory. Version 1 is the first: there is nothing to migrate.
pub const DATA: Format = Format { name: "sealwire-data", version: 1, migrations: &[] };
/// The keys directory. Version 1 knew plain files only, and one of each use; what it wrote is a
/// directory without a passphrase in version 2, so that the marker alone changes.
pub const KEYS: Format = Format {
    name: "sealwire-keys",
    version: 2,
    migrations: &[Migration { from: 1, run: |_| Ok(()) }],
};

/// Why a directory was refused.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// No marker, and no content either.
    #[error(
        "cannot open {}: it is missing or empty \
         (hint: mount the disk that holds it, restore a backup, or make a new one with \
         `sealwire init`)", .0.display()
    )]
    Empty(PathBuf),
    /// Content without a marker.
    #[error(
        "cannot open {}: it has content but no file `format` \
         (hint: this is not a directory of Sealwire, or its marker was lost; restore a backup)",
        .0.display()
    )]
    Unmarked(PathBuf),
    /// A marker of something else, or damaged.
    #[error(
        "cannot open {}: its marker says {found:?}, not {expected:?} and a version \
         (hint: check that the configuration names the right directory)", path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What the marker says.
        found: String,
        /// What it ought to begin with.
        expected: &'static str,
    },
    /// Written by a newer program.
    #[error(
        "cannot open {}: it has format {found}, and this program knows up to {known} \
         (hint: run the newer version that wrote it)", path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version known.
        known: u64,
    },
    /// Older than any version that can be migrated.
    #[error(
        "cannot open {}: no way is known from format {found} to {known} \
         (hint: run an older version of this program first)", path.display()
    )]
    TooOld {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version that it would have to become.
        known: u64,
    },
    /// The content is there already.
    #[error(
        "cannot create {}: it is not empty (hint: choose another directory, or move this one away)",
        .0.display()
    )]
    NotEmpty(PathBuf),
    /// The operating system refused.
    #[error("cannot use {}: {source} (hint: check the disk and its permissions)", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl Format {
    /// Makes an empty directory, readable by its owner alone, and writes the marker.
    pub fn create(&self, dir: &Path) -> Result<(), FormatError> {
        let io = |source| FormatError::Io { path: dir.to_owned(), source };
        if !is_empty(dir)? {
            return Err(FormatError::NotEmpty(dir.to_owned()));
        }
        private_dir(dir).map_err(io)?;
        let marker = format!("{} {}\n", self.name, self.version);
        private_file(&dir.join("format"), marker.as_bytes()).map_err(io)?;
        sync_dir(dir).map_err(io)
    }

    /// Checks the marker of an existing directory, and migrates an older version. The state
    /// before is kept beside it as `<directory>.before-<version>`.
    pub fn check(&self, dir: &Path) -> Result<(), FormatError> {
        let path = dir.join("format");
        let marker = match fs::read_to_string(&path) {
            Ok(marker) => marker,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let dir = dir.to_owned();
                return Err(if is_empty(&dir)? {
                    FormatError::Empty(dir)
                } else {
                    FormatError::Unmarked(dir)
                });
            }
            Err(source) => return Err(FormatError::Io { path, source }),
        };
        let found = self.parse(&marker).ok_or_else(|| FormatError::Foreign {
            path: dir.to_owned(),
            found: marker.chars().take(80).collect(),
            expected: self.name,
        })?;
        let (path, known) = (dir.to_owned(), self.version);
        match found.cmp(&known) {
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(FormatError::Newer { path, found, known }),
            Ordering::Less => self.migrate(dir, found),
        }
    }

    fn migrate(&self, dir: &Path, found: u64) -> Result<(), FormatError> {
        let known = self.version;
        let step = |from| self.migrations.iter().find(|m| m.from == from);
        let steps: Option<Vec<&Migration>> = (found..known).map(step).collect();
        let steps =
            steps.ok_or_else(|| FormatError::TooOld { path: dir.to_owned(), found, known })?;
        let io = |source| FormatError::Io { path: dir.to_owned(), source };
        let mut before = dir.as_os_str().to_owned();
        before.push(format!(".before-{found}"));
        let before = PathBuf::from(before);
        // What an interrupted attempt left is not whole: the marker is copied last.
        if before.exists() && !before.join("format").exists() {
            fs::remove_dir_all(&before).map_err(io)?;
        }
        if !before.exists() {
            checked_copy(dir, &before).map_err(io)?;
            checked_file(&dir.join("format"), &before.join("format")).map_err(io)?;
        }
        for step in steps {
            tracing::info!(dir = %dir.display(), from = step.from, "migrating");
            (step.run)(dir).map_err(io)?;
            let new = dir.join("format.new");
            let _absent = fs::remove_file(&new);
            let marker = format!("{} {}\n", self.name, step.from + 1);
            private_file(&new, marker.as_bytes()).map_err(io)?;
            fs::rename(&new, dir.join("format")).map_err(io)?;
            sync_dir(dir).map_err(io)?;
        }
        Ok(())
    }

    fn parse(&self, marker: &str) -> Option<u64> {
        marker.strip_prefix(self.name)?.strip_prefix(' ')?.strip_suffix('\n')?.parse().ok()
    }
}

/// Copies everything in a directory but its marker, and compares what was written.
fn checked_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    private_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            checked_copy(&entry.path(), &target)?;
        } else if entry.file_name() != "format" {
            checked_file(&entry.path(), &target)?;
        }
    }
    sync_dir(to)
}

fn checked_file(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()?;
    let (mut one, mut other) = (fs::File::open(from)?, fs::File::open(to)?);
    let (mut ours, mut theirs) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let count = one.read(&mut ours)?;
        let (Some(ours), Some(theirs)) = (ours.get(..count), theirs.get_mut(..count)) else {
            return Err(ErrorKind::InvalidData.into());
        };
        other.read_exact(theirs)?;
        if ours != theirs {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "the copy differs"));
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// Makes a directory, with its parents, that only its owner can enter; the names of those that
/// were missing are durable.
pub fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let missing = dir.ancestors().filter(|d| !d.as_os_str().is_empty());
    let missing: Vec<&Path> = missing.take_while(|d| !d.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for parent in missing.into_iter().filter_map(Path::parent) {
        sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// Writes a new file that only its owner can read, durably; refuses to overwrite.
pub fn private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Whether a directory is missing or empty.
pub fn is_empty(dir: &Path) -> Result<bool, FormatError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(FormatError::Io { path: dir.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_opened_and_version_2_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        DATA.create(&data).unwrap();
        assert_eq!(fs::read_to_string(data.join("format")).unwrap(), "sealwire-data 1\n");
        DATA.check(&data).unwrap();
        fs::write(data.join("format"), "sealwire-data 2\n").unwrap();
        let refused = DATA.check(&data).unwrap_err();
        assert!(matches!(refused, FormatError::Newer { found: 2, known: 1, .. }));
        assert!(refused.to_string().contains("hint: run the newer version"), "{refused}");
        fs::write(data.join("format"), "sealwire-data 0\n").unwrap();
        assert!(matches!(DATA.check(&data), Err(FormatError::TooOld { found: 0, .. })));
    }

    #[test]
    fn an_older_version_is_migrated_after_a_checked_copy() {
        const NEXT: Format = Format {
            name: "sealwire-data",
            version: 2,
            migrations: &[Migration {
                from: 1,
                run: |dir| fs::rename(dir.join("journal/a"), dir.join("journal/b")),
            }],
        };
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        DATA.create(&data).unwrap();
        fs::create_dir(data.join("journal")).unwrap();
        fs::write(data.join("journal/a"), vec![7; 200_000]).unwrap();
        NEXT.check(&data).unwrap();
        assert_eq!(fs::read(data.join("journal/b")).unwrap(), vec![7; 200_000]);
        let before = dir.path().join("data.before-1");
        assert_eq!(fs::read(before.join("journal/a")).unwrap(), vec![7; 200_000]);
        DATA.check(&before).unwrap();
        assert!(matches!(DATA.check(&data), Err(FormatError::Newer { found: 2, .. })));
        NEXT.check(&data).unwrap();
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(DATA.check(dir.path()), Err(FormatError::Empty(_))));
        let missing = dir.path().join("nowhere");
        assert!(matches!(DATA.check(&missing), Err(FormatError::Empty(_))));
        fs::write(dir.path().join("something"), "").unwrap();
        assert!(matches!(DATA.check(dir.path()), Err(FormatError::Unmarked(_))));
        assert!(matches!(DATA.create(dir.path()), Err(FormatError::NotEmpty(_))));
        for marker in ["sealwire-keys 1\n", "sealwire-data\n", "sealwire-data 1", ""] {
            fs::write(dir.path().join("format"), marker).unwrap();
            assert!(matches!(DATA.check(dir.path()), Err(FormatError::Foreign { .. })));
        }
    }
}
