//! The log files: what peers' tools and auditors read.
//!
//! `logs/<member>/` in the C2SP tlog-tiles layout, a `checkpoint` with the cosignatures known,
//! and the statements beside it in files of 256; and `register/`. All of it is derived from the
//! index and the journal, so nothing is fsynced, and proofs never come from here. Tiles and
//! statements reach as far as the checkpoint beside them; the partial tiles of the checkpoint
//! before are kept, for a reader who is between two files.
//!
//! Files are replaced as a whole by renaming, except that new entries are appended to the last
//! statement file.
//!
//! This module knows nothing of commits: it is told which logs have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use sealwire_wire::cbor::{self, Value};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::Item;
use sealwire_wire::statement::leaf_data;

use super::fact::sealed_value;
use super::index::Touched;
use super::rows::{Columns, at_key, log_key, row};
use super::{Reader, StoreFault};

/// Opens what a member may open of an entry, for the statement files. Classes other than `open`,
/// `core` and `core.coarse` are dropped, whatever it answers.
pub type Discloser = Box<dyn Fn(&Reader, &MemberId, &Item) -> BTreeMap<String, Vec<u8>> + Send>;

/// The classes whose plaintext may rest in a statement file.
const DISCLOSED: [&str; 3] = ["open", "core", "core.coarse"];
/// Entries in a statement file, and hashes in a full tile.
const WIDTH: u64 = 256;
/// How far the files of one log are.
#[derive(Default)]
struct Progress {
    /// Size that the tiles have.
    size: u64,
    /// Size that they had before: its partial tiles are still there.
    before: u64,
    /// The statement file written last, and the last index in it.
    tail: Option<(u64, u64)>,
}

/// Writes the files.
pub(super) struct Worker {
    reader: Reader,
    data: PathBuf,
    discloser: Discloser,
    logs: HashMap<MemberId, Progress>,
}

impl Worker {
    /// A worker that has looked at no log yet.
    pub fn new(reader: Reader, discloser: Discloser) -> Self {
        let data = reader.inner.data.clone();
        Self { reader, data, discloser, logs: HashMap::new() }
    }

    /// Brings the files of these logs up to the index.
    pub fn pass(&mut self, touched: &Touched) -> Result<(), StoreFault> {
        if touched.register {
            self.register()?;
        }
        for log in &touched.logs {
            // Taken out, so that after a failure the next pass begins with a repair.
            let progress = self.logs.remove(log);
            let progress = self.log(log, progress)?;
            self.logs.insert(log.clone(), progress);
        }
        Ok(())
    }

    fn register(&self) -> Result<(), StoreFault> {
        for bytes in self.reader.register_versions() {
            let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let version = document.pointer("/signed/version").and_then(|v| v.as_u64());
            let Some(version) = version else { continue };
            let path = self.data.join("register").join(format!("{version}.root.json"));
            if !has_length(&path, bytes.len() as u64) {
                replace(&path, &bytes)?;
            }
        }
        Ok(())
    }

    fn log(&self, log: &MemberId, known: Option<Progress>) -> Result<Progress, StoreFault> {
        let dir = self.data.join("logs").join(log.as_str());
        let head = self.reader.head(log)?;
        // A head ahead of its leaves is not shown before they are there.
        let size = self.reader.try_size(log)?;
        let (head, size) = match head {
            Some((at, note)) if at <= size => (Some(note), at),
            _ => (None, known.as_ref().map_or(0, |p| p.size)),
        };
        let repair = known.is_none();
        let mut progress = known.unwrap_or_default();
        let from = if repair { 0 } else { progress.size };
        self.tiles(log, &dir, from, size)?;
        if repair {
            self.repair_statements(log, &dir, size)?;
        }
        self.statements(log, &dir, size, &mut progress.tail)?;
        if let Some(note) = head {
            self.checkpoint(log, &dir, &note, size)?;
        }
        if repair {
            prune_all(&dir, size)?;
        } else if size > progress.size {
            prune(&dir, progress.before, &[progress.size, size])?;
        }
        if repair || size > progress.size {
            progress.before = progress.size;
            progress.size = size;
        }
        Ok(progress)
    }

    fn checkpoint(
        &self,
        log: &MemberId,
        dir: &Path,
        note: &str,
        size: u64,
    ) -> Result<(), StoreFault> {
        let mut text = note.to_owned();
        for cosigned in self.reader.cosignatures_at(log, size) {
            text.push_str(cosigned.line.trim_end_matches('\n'));
            text.push('\n');
        }
        let path = dir.join("checkpoint");
        if fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
            return Ok(());
        }
        replace(&path, text.as_bytes())
    }

    /// Writes the tiles that the tree of `size` has and the tree of `from` had not.
    fn tiles(&self, log: &MemberId, dir: &Path, from: u64, size: u64) -> Result<(), StoreFault> {
        for level in 0..MAX_TILE_LEVEL {
            let (old, new) = (from >> (8 * level), size >> (8 * level));
            if new == 0 {
                break;
            }
            if new == old {
                continue;
            }
            for tile in old / WIDTH..new.div_ceil(WIDTH) {
                let width = (new - tile * WIDTH).min(WIDTH);
                let path = dir.join(tile_path(&level.to_string(), tile, width));
                if !has_length(&path, width * 32) {
                    replace(&path, &self.hash_tile(log, level, tile, width)?)?;
                }
                let path = dir.join(tile_path("entries", tile, width));
                if level == 0 && !has_length(&path, width * 35) {
                    replace(&path, &self.entry_bundle(log, tile, width)?)?;
                }
            }
        }
        Ok(())
    }

    fn hash_tile(
        &self,
        log: &MemberId,
        level: u8,
        tile: u64,
        width: u64,
    ) -> Result<Vec<u8>, StoreFault> {
        let mut bytes = Vec::with_capacity(8192);
        for index in tile * WIDTH..tile * WIDTH + width {
            bytes.extend_from_slice(&self.reader.node(log, 8 * level, index)?.0);
        }
        Ok(bytes)
    }

    fn entry_bundle(&self, log: &MemberId, tile: u64, width: u64) -> Result<Vec<u8>, StoreFault> {
        let limit = usize::try_from(width).unwrap_or(usize::MAX);
        let leaves = self.reader.leaves(log, tile * WIDTH, limit);
        if leaves.len() != limit {
            return Err(self.reader.note(StoreFault::Row));
        }
        let mut bytes = Vec::with_capacity(35 * leaves.len());
        for leaf in leaves {
            bytes.extend_from_slice(&33u16.to_be_bytes());
            bytes.extend_from_slice(&leaf_data(&leaf));
        }
        Ok(bytes)
    }

    /// Writes statement files that ought to be there and are missing or empty.
    fn repair_statements(&self, log: &MemberId, dir: &Path, size: u64) -> Result<(), StoreFault> {
        let mut from = 0;
        while let Some(index) = self.reader.held(log, from, size, 1)?.first() {
            let file = index / WIDTH;
            let path = dir.join(statement_path(file));
            let last = file == size.saturating_sub(1) / WIDTH;
            if last || !fs::metadata(&path).is_ok_and(|m| m.len() > 0) {
                self.write_statements(log, &path, file, size)?;
            }
            from = (file + 1) * WIDTH;
        }
        Ok(())
    }

    /// Brings the statement files up to date that the index marks as behind.
    fn statements(
        &self,
        log: &MemberId,
        dir: &Path,
        size: u64,
        tail: &mut Option<(u64, u64)>,
    ) -> Result<(), StoreFault> {
        let db = &self.reader.inner.db;
        for mark in db.scan_prefix(log_key(row::STALE, log)) {
            let (key, mark) = mark.map_err(|e| self.reader.note(e.into()))?;
            let file = key.last_chunk::<8>().map(|b| u64::from_be_bytes(*b));
            let file = file.ok_or(StoreFault::Row)?;
            let lowest = Columns(&mark).u64()?;
            let end = (file + 1).saturating_mul(WIDTH);
            let path = dir.join(statement_path(file));
            let last = match tail {
                Some((open, last)) if *open == file && *last < lowest => {
                    self.append_statements(log, &path, (*last + 1, end.min(size)))?.or(Some(*last))
                }
                _ => self.write_statements(log, &path, file, size)?,
            };
            *tail = last.map(|last| (file, last));
            // Entries beyond the checkpoint stay marked until it has reached them; a mark that
            // a commit has changed meanwhile stays too.
            if size >= end || self.reader.held(log, size, end, 1)?.is_empty() {
                let key = at_key(row::STALE, log, file);
                let swapped = db.compare_and_swap(key, Some(&mark), None::<&[u8]>);
                let _kept = swapped.map_err(|e| self.reader.note(e.into()))?;
            }
        }
        Ok(())
    }

    /// Writes one statement file anew; answers the last index in it.
    fn write_statements(
        &self,
        log: &MemberId,
        path: &Path,
        file: u64,
        size: u64,
    ) -> Result<Option<u64>, StoreFault> {
        let end = (file + 1).saturating_mul(WIDTH).min(size);
        let held = self.reader.held(log, file * WIDTH, end, usize::MAX)?;
        if held.is_empty() {
            return Ok(None);
        }
        replace_with(path, |out| {
            held.iter().try_for_each(|index| self.write_statement(log, *index, out))
        })?;
        Ok(held.last().copied())
    }

    fn append_statements(
        &self,
        log: &MemberId,
        path: &Path,
        (from, to): (u64, u64),
    ) -> Result<Option<u64>, StoreFault> {
        let held = self.reader.held(log, from, to, usize::MAX)?;
        let mut lines = Vec::new();
        for index in &held {
            self.write_statement(log, *index, &mut lines)?;
        }
        let io = |source| StoreFault::Io { path: path.to_owned(), source };
        let mut file = fs::OpenOptions::new().append(true).open(path).map_err(io)?;
        file.write_all(&lines).map_err(io)?;
        Ok(held.last().copied())
    }

    fn write_statement(
        &self,
        log: &MemberId,
        index: u64,
        out: &mut impl std::io::Write,
    ) -> Result<(), StoreFault> {
        let entry = self.reader.entry(log, index)?.ok_or(StoreFault::Row)?;
        let mut opened = (self.discloser)(&self.reader, log, &entry.item);
        opened.retain(|class, _| DISCLOSED.contains(&class.as_str()));
        let line = cbor::encode(&Value::Array(vec![
            Value::from(index),
            cbor::bytes(entry.item.statement),
            sealed_value(&entry.item.sealed),
            sealed_value(&opened),
        ]));
        out.write_all(&line)
            .map_err(|source| StoreFault::Io { path: self.data.join("logs"), source })
    }
}

/// Levels that a tree of 2^63 leaves can have.
const MAX_TILE_LEVEL: u8 = 8;

/// Path of a tile, without the log's directory.
fn tile_path(level: &str, tile: u64, width: u64) -> String {
    let partial = if width == WIDTH { String::new() } else { format!(".p/{width}") };
    format!("tile/{level}/{}{partial}", digits(tile))
}

/// Path of a statement file, without the log's directory.
fn statement_path(file: u64) -> String {
    format!("statement/{}", digits(file))
}

/// A number in groups of three digits, all but the last with an `x` before them.
fn digits(number: u64) -> String {
    let mut path = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// Partial tiles of the tree of `size` leaves.
fn partials(size: u64) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for level in 0..MAX_TILE_LEVEL {
        let hashes = size >> (8 * level);
        if !hashes.is_multiple_of(WIDTH) {
            paths.insert(tile_path(&level.to_string(), hashes / WIDTH, hashes % WIDTH));
            if level == 0 {
                paths.insert(tile_path("entries", hashes / WIDTH, hashes % WIDTH));
            }
        }
    }
    paths
}

/// Removes the partial tiles of one size that none of the sizes in `keep` has.
fn prune(dir: &Path, size: u64, keep: &[u64]) -> Result<(), StoreFault> {
    let kept: BTreeSet<String> = keep.iter().flat_map(|size| partials(*size)).collect();
    for path in partials(size).difference(&kept) {
        remove(&dir.join(path))?;
    }
    Ok(())
}

/// Removes all partial tiles that the tree of `size` leaves does not have.
fn prune_all(dir: &Path, size: u64) -> Result<(), StoreFault> {
    let kept: BTreeSet<PathBuf> = partials(size).iter().map(|path| dir.join(path)).collect();
    let mut pending = vec![dir.join("tile")];
    while let Some(next) = pending.pop() {
        let io = |source| StoreFault::Io { path: next.clone(), source };
        let entries = match fs::read_dir(&next) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(io)?,
        };
        for entry in entries {
            let path = entry.map_err(io)?.path();
            if path.is_dir() {
                pending.push(path);
            } else if next.extension().is_some_and(|e| e == "p") && !kept.contains(&path) {
                remove(&path)?;
            }
        }
    }
    Ok(())
}

/// Removes a partial tile, and its directory once that is empty.
fn remove(path: &Path) -> Result<(), StoreFault> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(StoreFault::Io { path: path.to_owned(), source: e });
        }
        _ => {}
    }
    if let Some(dir) = path.parent() {
        // Fails while other widths are in it, which is right.
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}

fn has_length(path: &Path, len: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == len)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreFault> {
    replace_with(path, |out| {
        out.write_all(bytes).map_err(|source| StoreFault::Io { path: path.to_owned(), source })
    })
}

/// Writes a file beside `path` and puts it in its place.
fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<fs::File>) -> Result<(), StoreFault>,
) -> Result<(), StoreFault> {
    let io = |source| StoreFault::Io { path: path.to_owned(), source };
    let new = path.with_extension("new");
    let file = match fs::File::create(&new) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path)).map_err(io)?;
            fs::File::create(&new)
        }
        file => file,
    };
    let mut out = BufWriter::new(file.map_err(io)?);
    write(&mut out)?;
    out.flush().map_err(io)?;
    fs::rename(&new, path).map_err(io)
}
