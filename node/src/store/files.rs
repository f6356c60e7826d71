//! The log files: what peers' tools and auditors read.
//!
//! `logs/<member>/` in the C2SP tlog-tiles layout, a `checkpoint` with the cosignatures known,
//! and the statements beside it in files of 256; and `register/`. All of it is derived from the
//! index and the journal, and proofs never come from here. Tiles and statements reach as far as
//! the checkpoint beside them; the partial tiles of the checkpoint before are kept, for a reader
//! who is between two files.
//!
//! Files are replaced as a whole by renaming, except that new entries are appended to the last
//! statement file. What a crash or a power loss took from tiles, checkpoint and register shows in
//! their lengths or bytes at the next start, so they are not synced. A statement file has no
//! length that is known beforehand: the index keeps it marked as behind, so that a start writes it
//! anew, until it is complete and synced.
//!
//! This module knows nothing of commits: it is told which logs have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwire_wire::bundle::Element;
use sealwire_wire::id::MemberId;
use sealwire_wire::message::Item;
use sealwire_wire::reads;
use sealwire_wire::tile::{ENTRY_LEN, TILE_WIDTH, index_path, partial_tiles, tiles_for_growth};

use super::index::Touched;
use super::place::{self, fault, has_length, replace, replace_with};
use super::rows::{Columns, at_key, log_key, row};
use super::{Reader, StoreFault};
use crate::journal::Disk;

/// Opens what a member may open of an entry, for the statement files. Classes other than `open`,
/// `core`, `core.coarse` and the reads that an own entry counts are dropped, whatever it answers.
pub type Discloser = Box<dyn Fn(&Reader, &MemberId, &Item) -> BTreeMap<String, Vec<u8>> + Send>;

/// The classes whose plaintext may rest in a statement file.
const DISCLOSED: [&str; 4] = ["open", "core", "core.coarse", reads::CLASS];
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
    /// Key of the outcome written last.
    outcome: Option<Vec<u8>>,
}

/// Writes the files.
pub(super) struct Worker {
    reader: Reader,
    disk: Arc<dyn Disk>,
    data: PathBuf,
    discloser: Discloser,
    logs: HashMap<MemberId, Progress>,
}

impl Worker {
    /// A worker that has looked at no log yet.
    pub fn new(reader: Reader, disk: Arc<dyn Disk>, discloser: Discloser) -> Self {
        let data = reader.inner.data.clone();
        Self { reader, disk, data, discloser, logs: HashMap::new() }
    }

    /// Hands the rows that wait over to sled, and brings the files of these logs up to the index.
    pub fn pass(&mut self, touched: &Touched) -> Result<(), StoreFault> {
        self.disk_takes_writes()?;
        self.reader.inner.table.hand_over().map_err(|e| self.reader.note(e.into()))?;
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

    /// Has sled write what was handed over.
    pub fn flush(&self) -> Result<(), StoreFault> {
        self.disk_takes_writes()?;
        self.reader.inner.table.flush().map_err(|e| self.reader.note(e.into()))
    }

    fn disk_takes_writes(&self) -> Result<(), StoreFault> {
        let path = self.data.join("lock");
        self.reader.inner.lock.disk_takes_writes().map_err(|source| StoreFault::Io { path, source })
    }

    fn register(&self) -> Result<(), StoreFault> {
        for bytes in self.reader.register_versions() {
            let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let version = document.pointer("/signed/version").and_then(|v| v.as_u64());
            let Some(version) = version else { continue };
            let path = self.data.join("register").join(format!("{version}.root.json"));
            if !has_length(&path, bytes.len() as u64) {
                replace(self.disk.as_ref(), &path, &bytes)?;
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
            self.mark_missing(log, &dir, size)?;
        }
        self.statements(log, &dir, size, &mut progress.tail)?;
        progress.outcome = self.outcomes(log, &dir, progress.outcome)?;
        if let Some(note) = head {
            self.checkpoint(log, &dir, &note, size)?;
        }
        if repair {
            prune_all(self.disk.as_ref(), &dir, size)?;
        } else if size > progress.size {
            prune(self.disk.as_ref(), &dir, progress.before, &[progress.size, size])?;
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
        let text = self.reader.with_cosignatures(log, size, note.to_owned());
        let path = dir.join("checkpoint");
        if fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
            return Ok(());
        }
        replace(self.disk.as_ref(), &path, text.as_bytes())
    }

    /// Writes the tiles that the tree of `size` has and the tree of `from` had not.
    fn tiles(&self, log: &MemberId, dir: &Path, from: u64, size: u64) -> Result<(), StoreFault> {
        for tile in tiles_for_growth(from, size) {
            let path = dir.join(tile.path());
            if !has_length(&path, tile.byte_len() as u64) {
                replace(self.disk.as_ref(), &path, &self.reader.hash_tile(log, tile)?)?;
            }
            let Some(path) = tile.entries_path().map(|path| dir.join(path)) else { continue };
            if !has_length(&path, u64::from(tile.width()) * BUNDLED_LEN) {
                replace(self.disk.as_ref(), &path, &self.reader.entry_bundle(log, tile)?)?;
            }
        }
        Ok(())
    }

    /// Marks statement files that ought to be there and are missing or empty.
    fn mark_missing(&self, log: &MemberId, dir: &Path, size: u64) -> Result<(), StoreFault> {
        let mut from = 0;
        while let Some(index) = self.reader.held(log, from, size, 1)?.first() {
            let file = index / WIDTH;
            let path = dir.join(statement_path(file));
            if !fs::metadata(&path).is_ok_and(|m| m.len() > 0) {
                let (key, mark) = (at_key(row::STALE, log, file), taken_mark(&[]));
                // One that is marked already stays as it is.
                let marked = self.reader.inner.table.swap(&key, None, Some(mark));
                marked.map_err(|e| self.reader.note(e.into()))?;
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
        let table = &self.reader.inner.table;
        let swap = |key: &[u8], from: &[u8], to: Option<Vec<u8>>| {
            table.swap(key, Some(from), to).map_err(|e| self.reader.note(e.into()))
        };
        let (mut complete, mut done) = (BTreeSet::new(), Vec::new());
        for mark in table.scan_prefix(log_key(row::STALE, log)) {
            let (key, mark) = mark.map_err(|e| self.reader.note(e.into()))?;
            let file = key.last_chunk::<8>().map(|b| u64::from_be_bytes(*b));
            let file = file.ok_or(StoreFault::Row)?;
            // Taken over before the file is written: what a commit marks from here on is behind
            // once more, and nothing else is.
            let (lowest, taken) = (Columns(&mark).u64()?, taken_mark(&mark));
            if !swap(&key, &mark, Some(taken.clone()))? {
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
            if size >= end {
                done.push((key, taken));
                complete.extend(last.map(|_| path));
            }
        }
        place::settle(self.disk.as_ref(), &complete)?;
        for (key, taken) in done {
            swap(&key, &taken, None)?;
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
        replace_with(self.disk.as_ref(), path, |out| {
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
        if !lines.is_empty() {
            place::append(self.disk.as_ref(), path, &lines)?;
        }
        Ok(held.last().copied())
    }

    fn write_statement(
        &self,
        log: &MemberId,
        index: u64,
        out: &mut impl Write,
    ) -> Result<(), StoreFault> {
        let entry = self.reader.entry(log, index)?.ok_or(StoreFault::Row)?;
        let mut opened = (self.discloser)(&self.reader, log, &entry.item);
        opened.retain(|class, _| DISCLOSED.contains(&class.as_str()));
        let element = Element {
            index,
            statement: &entry.item.statement,
            sealed: borrowed(&entry.item.sealed),
            opened: borrowed(&opened),
        };
        out.write_all(&element.to_bytes()).map_err(fault(&self.data.join("logs")))
    }

    /// Appends to the outcome file what the index has beyond `known`; after a start, writes it
    /// anew. Answers the key of the last one.
    fn outcomes(
        &self,
        log: &MemberId,
        dir: &Path,
        known: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let path = dir.join("outcomes");
        let (outcomes, last) = self.reader.outcomes(log, known.as_deref())?;
        match (&known, outcomes.is_empty()) {
            (_, true) if known.is_some() || !path.exists() => {}
            (Some(_), _) => place::append(self.disk.as_ref(), &path, &outcomes)?,
            (None, _) => replace(self.disk.as_ref(), &path, &outcomes)?,
        }
        Ok(last.or(known))
    }
}

fn borrowed(parts: &BTreeMap<String, Vec<u8>>) -> BTreeMap<&str, &[u8]> {
    parts.iter().map(|(class, part)| (class.as_str(), part.as_slice())).collect()
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
fn prune(disk: &dyn Disk, dir: &Path, size: u64, keep: &[u64]) -> Result<(), StoreFault> {
    let kept: BTreeSet<String> = keep.iter().flat_map(|size| partials(*size)).collect();
    for path in partials(size).difference(&kept) {
        place::remove(disk, &dir.join(path))?;
    }
    Ok(())
}

/// Removes all partial tiles that the tree of `size` leaves does not have.
fn prune_all(disk: &dyn Disk, dir: &Path, size: u64) -> Result<(), StoreFault> {
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
                place::remove(disk, &path)?;
            }
        }
    }
    Ok(())
}
