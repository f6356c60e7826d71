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
use sealwire_wire::tile::{ENTRY_LEN, TILE_WIDTH, index_path, partial_tiles, tiles_for_growth};

use super::fact::sealed_value;
use super::index::Touched;
use super::rows::{Columns, log_key, row};
use super::{Reader, StoreFault};

/// Opens what a member may open of an entry, for the statement files. Classes other than `open`,
/// `core` and `core.coarse` are dropped, whatever it answers.
pub type Discloser = Box<dyn Fn(&Reader, &MemberId, &Item) -> BTreeMap<String, Vec<u8>> + Send>;

/// The classes whose plaintext may rest in a statement file.
const DISCLOSED: [&str; 3] = ["open", "core", "core.coarse"];
/// Entries in a statement file, and hashes in a full tile.
const WIDTH: u64 = TILE_WIDTH as u64;
/// Length of an entry in a bundle, with its own length before it.
const BUNDLED_LEN: u64 = 2 + ENTRY_LEN as u64;
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
        for tile in tiles_for_growth(from, size) {
            let path = dir.join(tile.path());
            if !has_length(&path, tile.byte_len() as u64) {
                replace(&path, &self.reader.hash_tile(log, tile)?)?;
            }
            let Some(path) = tile.entries_path().map(|path| dir.join(path)) else { continue };
            if !has_length(&path, u64::from(tile.width()) * BUNDLED_LEN) {
                replace(&path, &self.reader.entry_bundle(log, tile)?)?;
            }
        }
        Ok(())
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
            let swap = |from: &[u8], to: Option<&[u8]>| {
                let swapped = db.compare_and_swap(&key, Some(from), to);
                swapped.map(|s| s.is_ok()).map_err(|e| self.reader.note(e.into()))
            };
            // Taken over before the file is written: what a commit marks from here on is behind
            // once more, and nothing else is.
            let (lowest, taken) = (Columns(&mark).u64()?, taken_mark(&mark));
            if !swap(&mark, Some(&taken))? {
                // Marked again just now; the commit that did so has asked for another pass.
                continue;
            }
            let end = (file + 1).saturating_mul(WIDTH);
            let path = dir.join(statement_path(file));
            let last = match tail {
                Some((open, last)) if *open == file && *last < lowest => {
                    self.append_statements(log, &path, (*last + 1, end.min(size)))?.or(Some(*last))
                }
                _ => self.write_statements(log, &path, file, size)?,
            };
            *tail = last.map(|last| (file, last));
            // Entries beyond the checkpoint stay marked until it has reached them.
            if size >= end || self.reader.held(log, size, end, 1)?.is_empty() {
                swap(&taken, None)?;
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

/// The mark of a statement file that is being written: nothing in it is known to be behind.
fn taken_mark(mark: &[u8]) -> Vec<u8> {
    let rest = mark.get(8..).unwrap_or_default();
    [&u64::MAX.to_be_bytes(), rest].concat()
}

/// Path of a statement file, without the log's directory.
fn statement_path(file: u64) -> String {
    format!("statement/{}", index_path(file))
}

/// Paths of the partial tiles of the tree of `size` leaves, and of the bundles beside them.
fn partials(size: u64) -> BTreeSet<String> {
    partial_tiles(size)
        .flat_map(|tile| [Some(tile.path()), tile.entries_path()])
        .flatten()
        .collect()
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
