//! Where an audit reads from: a directory, or a bundle in one file.
//!
//! An archive is never unpacked. Its table of contents is read once; names that lead elsewhere,
//! names that stand twice, links and extensions are refused, and files are read in place. Both
//! kinds of source answer alike.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sealwire_wire::bundle::{MANIFEST, MAX_MANIFEST_BYTES, Manifest};

use crate::steps::{Checked, refuted, undecided};

/// Most files in a bundle: 186 logs of ten million entries have fewer.
const MAX_FILES: usize = 16 * 1024 * 1024;
/// Longest name in a bundle, in bytes: ustar has no longer ones.
const MAX_NAME_BYTES: usize = 256;

/// A data directory, an unpacked bundle, or a bundle.
pub(crate) enum Source {
    Directory(PathBuf),
    Archive { file: File, contents: BTreeMap<String, (u64, u64)> },
}

impl Source {
    /// A bundle if `path` is a file, else the directory.
    pub fn open(path: &Path) -> Checked<Self> {
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        match File::open(path) {
            Ok(file) => Self::archive(file),
            Err(cause) => undecided(format!("cannot read {}: {cause}", path.display())),
        }
    }

    fn archive(file: File) -> Checked<Self> {
        match contents(&file) {
            Ok(contents) => Ok(Self::Archive { file, contents }),
            Err(cause) => refuted(format!("not a bundle: {cause}")),
        }
    }

    /// The manifest, if this is a bundle.
    pub fn manifest(&self) -> Checked<Option<Manifest>> {
        match self.read(MANIFEST, MAX_MANIFEST_BYTES as u64)?.as_deref().map(Manifest::parse) {
            Some(Ok(manifest)) => Ok(Some(manifest)),
            Some(Err(cause)) => refuted(cause.to_string()),
            None if matches!(self, Self::Archive { .. }) => refuted("the bundle has no manifest"),
            None => Ok(None),
        }
    }

    /// A file, or nothing if it is not there.
    pub fn read(&self, name: &str, limit: u64) -> Checked<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        Ok(self.read_into(name, limit, &mut bytes)?.then_some(bytes))
    }

    /// Puts a file in the place of what is in `bytes`; says whether it is there.
    pub fn read_into(&self, name: &str, limit: u64, bytes: &mut Vec<u8>) -> Checked<bool> {
        match self {
            Self::Directory(dir) => read_into(&dir.join(name), limit, bytes),
            Self::Archive { file, contents } => {
                let Some((offset, length)) = contents.get(name) else { return Ok(false) };
                if *length > limit {
                    return refuted(format!("{name} is larger than {limit} bytes"));
                }
                bytes.resize(usize::try_from(*length).unwrap_or(usize::MAX), 0);
                match file.read_exact_at(bytes, *offset) {
                    Ok(()) => Ok(true),
                    Err(e) => undecided(format!("cannot read {name} in the bundle: {e}")),
                }
            }
        }
    }

    /// The names of the files and directories in a directory, in order.
    pub fn list(&self, directory: &str) -> Checked<Vec<String>> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(directory);
                let entries = match fs::read_dir(&path) {
                    Err(e) if is_absent(&e) => return Ok(Vec::new()),
                    Err(e) => return undecided(format!("cannot read {}: {e}", path.display())),
                    Ok(entries) => entries,
                };
                let mut names: Vec<String> =
                    entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
                names.sort();
                Ok(names)
            }
            Self::Archive { contents, .. } => {
                let prefix =
                    if directory.is_empty() { String::new() } else { directory.to_owned() + "/" };
                let mut names: Vec<String> = contents
                    .range(prefix.clone()..)
                    .take_while(|(name, _)| name.starts_with(&prefix))
                    .filter_map(|(name, _)| name.get(prefix.len()..)?.split('/').next())
                    .map(str::to_owned)
                    .collect();
                names.dedup();
                Ok(names)
            }
        }
    }
}

/// A file, or nothing if it is not there.
pub(crate) fn read(path: &Path, limit: u64) -> Checked<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    Ok(read_into(path, limit, &mut bytes)?.then_some(bytes))
}

fn read_into(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Checked<bool> {
    let shown = path.display();
    bytes.clear();
    match fs::metadata(path) {
        Err(e) if is_absent(&e) => return Ok(false),
        Err(e) => return undecided(format!("cannot read {shown}: {e}")),
        // A device has no length and a pipe no end.
        Ok(meta) if !meta.is_file() => {
            return undecided(format!("cannot read {shown}: it is not a plain file"));
        }
        Ok(meta) => bytes.reserve(usize::try_from(meta.len().min(limit)).unwrap_or_default()),
    }
    let read =
        File::open(path).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(bytes));
    match read {
        Ok(length) if length as u64 > limit => {
            refuted(format!("{shown} is larger than {limit} bytes"))
        }
        Ok(_) => Ok(true),
        Err(e) => undecided(format!("cannot read {shown}: {e}")),
    }
}

fn is_absent(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Where each file of an archive is: offset and length.
fn contents(file: &File) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    let mut archive = tar::Archive::new(BufReader::new(file));
    let entries = archive.entries_with_seek().map_err(|e| e.to_string())?.raw(true);
    let mut contents = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|e| e.to_string())?;
        let name = entry.path_bytes();
        let shown = String::from_utf8_lossy(&name).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(format!("{shown:?} is not a plain file"));
        }
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if shown.len() > MAX_NAME_BYTES || !shown.split('/').all(plain) {
            return Err(format!("{shown:?} is not a name of a bundle"));
        }
        let (offset, length) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!("{shown:?} reaches beyond its end"));
        }
        if contents.len() == MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
        if contents.insert(shown.clone(), (offset, length)).is_some() {
            return Err(format!("{shown:?} is there twice"));
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::report::Verdict;
    use crate::steps::Failure;

    fn archive(files: &[(&str, tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind) in files {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(3);
            header.set_cksum();
            builder.append(&header, &b"abc"[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn opened(bytes: &[u8]) -> Checked<Source> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Source::open(file.path())
    }

    fn refusal(bytes: &[u8]) -> String {
        match opened(bytes) {
            Err(Failure(Verdict::Refuted, detail)) => detail,
            Err(Failure(other, detail)) => panic!("{other:?}: {detail}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn a_bundle_is_read_in_place_and_a_directory_alike() {
        let file = tar::EntryType::Regular;
        let bytes = archive(&[("logs/ID/a", file), ("logs/ID/b", file), ("logs/SG/a", file)]);
        let Ok(bundle) = opened(&bytes) else { panic!("refused") };
        let dir = tempfile::tempdir().unwrap();
        tar::Archive::new(bytes.as_slice()).unpack(dir.path()).unwrap();
        let Ok(directory) = Source::open(dir.path()) else { panic!("refused") };
        for source in [bundle, directory] {
            assert_eq!(source.read("logs/ID/a", 3).ok().flatten().as_deref(), Some(&b"abc"[..]));
            assert!(source.read("logs/ID/a", 2).is_err(), "longer than its limit");
            assert_eq!(source.read("logs/ID/c", 3).ok(), Some(None));
            assert_eq!(source.list("logs").ok().unwrap(), ["ID", "SG"]);
            assert_eq!(source.list("logs/ID").ok().unwrap(), ["a", "b"]);
            assert_eq!(source.list("none").ok().unwrap(), [""; 0]);
        }
    }

    #[test]
    fn in_a_directory_too_only_plain_files_within_their_limit_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "abc").unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("endless")).unwrap();
        let Ok(source) = Source::open(dir.path()) else { panic!("refused") };
        assert_eq!(source.read("a", 3).ok().flatten().as_deref(), Some(&b"abc"[..]));
        assert!(matches!(source.read("a", 2), Err(Failure(Verdict::Refuted, _))));
        for name in ["b", "endless"] {
            assert!(matches!(source.read(name, 3), Err(Failure(Verdict::Undecided, _))), "{name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_links_and_doubles_are_refused() {
        let file = tar::EntryType::Regular;
        for name in ["../x", "/etc/x", "a/../b", "a//b", "./a", "a/.hidden", "a\\b", "a b"] {
            assert!(refusal(&archive(&[(name, file)])).contains("name of a bundle"), "{name}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory] {
            assert!(refusal(&archive(&[("a", kind)])).contains("plain file"));
        }
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            assert!(refusal(&archive(&[("a", kind)])).contains("plain file"));
        }
        assert!(refusal(&archive(&[("a", file), ("a", file)])).contains("twice"));
    }

    #[test]
    fn an_archive_that_is_cut_or_claims_a_gigantic_file_is_refused() {
        let whole = archive(&[("a", tar::EntryType::Regular)]);
        assert!(refusal(&whole[..514]).contains("beyond its end"));
        assert!(!refusal(&whole[..200]).is_empty());
        let mut header = tar::Header::new_ustar();
        header.set_path("a").unwrap();
        header.set_size(u64::MAX / 2);
        header.set_cksum();
        assert!(!refusal(header.as_bytes()).is_empty());
    }

    #[test]
    fn no_flipped_bit_and_no_cut_makes_reading_panic() {
        let whole = archive(&[("a", tar::EntryType::Regular), ("b", tar::EntryType::Regular)]);
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1 << (at % 8);
            let _ = opened(&spoilt).map(|source| source.read("a", 1024).is_ok());
            let _ = opened(&whole[..at]);
        }
    }
}
