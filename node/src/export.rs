//! Bundles: what an auditor takes away, in one file.
//!
//! A bundle is made from the plain files of a data directory, which may be in use: nothing is
//! locked, and no key is needed. First comes the manifest, then every checkpoint, which together
//! fix what else there is, in an order that follows from them alone. So the same data give the
//! same bytes, and an export that was broken off goes on where it ended. One file is in memory at
//! a time.
//!
//! This module knows nothing of the index, the journal and of what records say.

mod opening;
mod range;
mod resume;
#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sealwire_wire::bundle::{Element, Held, MANIFEST, Manifest, Outcome};
use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::note::Note;
use sealwire_wire::statement::Statement;
use sealwire_wire::tile::{TILE_WIDTH, TileId, index_path, tiles_for_growth};
use serde::Serialize;

use crate::release;
pub use opening::Openings;
use resume::{complete, read_begun};

/// Entries in a statement file.
const WIDTH: u64 = TILE_WIDTH as u64;

/// Why a bundle was not made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something that every data directory has is not there.
    #[error(
        "cannot export: {} is missing (hint: give the configuration of a node that has run; its \
         log files are written within a second)", .0.display()
    )]
    Missing(PathBuf),
    /// A file is not what it ought to be.
    #[error("cannot export {}: {cause} (hint: restart the node, which repairs it)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The range is not one of the log.
    #[error(
        "cannot export from {from} to {to}: the log has {size} entries (hint: give indexes, or \
         dates, of which the first is before the second)"
    )]
    Range {
        /// Index of the first entry asked for.
        from: u64,
        /// Past the last one.
        to: u64,
        /// Size of the log.
        size: u64,
    },
    /// Fields of a record cannot be opened in this bundle.
    #[error(
        "cannot open fields of {record} in the bundle: {cause} (hint: open records of the node's \
         own log that are not TLP:RED)"
    )]
    Opening {
        /// The record.
        record: RecordId,
        /// What is wrong.
        cause: String,
    },
    /// An export that was broken off holds something else.
    #[error(
        "cannot go on with {}: it was begun for another range or log (hint: remove it, or give \
         the range with which it was begun)", .0.display()
    )]
    Begun(PathBuf),
    /// The operating system refused.
    #[error("cannot use {}: {source} (hint: check the disk and its permissions)", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// An end of the range to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Index of an entry.
    Index(u64),
    /// The first entry that was issued at this time or later, seconds since 1970.
    Time(u64),
}

/// What to export.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// The first entry; the first of the log if absent.
    pub from: Option<Bound>,
    /// Past the last entry; past the last of the log if absent.
    pub to: Option<Bound>,
    /// Whether sealed and opened parts go along.
    pub parts: bool,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The manifest, as it is in the bundle.
    pub manifest: Manifest,
    /// Files in the bundle.
    pub files: usize,
    /// Length of the bundle, in bytes.
    pub bytes: u64,
    /// SHA-256 of the bundle.
    pub sha256: Digest,
    /// Files that an export broken off earlier had already written.
    pub resumed: usize,
}

/// One file of a bundle, and what it is made from.
enum Piece {
    Bytes(Vec<u8>),
    Register(u64),
    Tile(MemberId, TileId),
    Entries(MemberId, TileId),
    Statements(u64),
    Outcomes(MemberId),
    Held(MemberId),
    Evidence(String),
}

/// Exports the data of `own`, with `openings`, to the new file `out`; `progress` hears of files
/// written and of how many there are. What is written so far is beside it, with `.partial` after
/// its name.
pub fn export(
    data: &Path,
    own: &MemberId,
    selection: Selection,
    openings: &Openings,
    out: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<ExportReport, ExportError> {
    if out.exists() {
        return Err(io_at(out)(io::Error::from(ErrorKind::AlreadyExists)));
    }
    let partial = PathBuf::from(format!("{}.partial", out.display()));
    let data = Data { dir: data, own };
    let begun = if partial.exists() { read_begun(&partial)? } else { None };
    let (manifest, notes) = match begun.clone() {
        Some((manifest, notes)) => {
            let (from, to) = data.range(selection, manifest.size)?;
            let asked = (&manifest.member, manifest.from, manifest.to, manifest.parts);
            if asked != (own, from, to.min(manifest.size), selection.parts) {
                return Err(ExportError::Begun(partial));
            }
            (manifest, notes)
        }
        None => data.manifest(selection)?,
    };
    let own_note = notes.first().map(|(_, note)| note.as_slice()).unwrap_or_default();
    let opened = data.openings(openings, own_note)?;
    let mut plan = data.plan(manifest, notes)?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&partial);
    let file = file.map_err(io_at(&partial))?;
    let (resumed, at) = if begun.is_some() { complete(&file, &plan.1)? } else { (0, 0) };
    // After what may be there already: other fields under the same name have the same length.
    plan.1.extend(opened.into_iter().map(|(name, bytes)| (name, Piece::Bytes(bytes))));
    file.set_len(at).map_err(io_at(&partial))?;
    (&file).seek(SeekFrom::Start(at)).map_err(io_at(&partial))?;
    let mut builder = tar::Builder::new(io::BufWriter::new(&file));
    for (done, (name, piece)) in plan.1.iter().enumerate().skip(resumed) {
        progress(done, plan.1.len());
        append(&mut builder, name, &data.bytes(piece, &plan.0)?).map_err(io_at(&partial))?;
    }
    let mut writer = builder.into_inner().map_err(io_at(&partial))?;
    writer.flush().map_err(io_at(&partial))?;
    drop(writer);
    file.sync_all().map_err(io_at(&partial))?;
    let (bytes, sha256) = crate::backup::digest(&partial).map_err(|cause| {
        ExportError::Damaged { path: partial.clone(), cause: cause.to_string() }
    })?;
    fs::rename(&partial, out).map_err(io_at(out))?;
    progress(plan.1.len(), plan.1.len());
    Ok(ExportReport { manifest: plan.0, files: plan.1.len(), bytes, sha256, resumed })
}

/// A data directory and its owner.
struct Data<'a> {
    dir: &'a Path,
    own: &'a MemberId,
}

/// The checkpoints of a bundle, by whose log they are of; they fix what else is in it.
type Notes = Vec<(MemberId, Vec<u8>)>;

impl Data<'_> {
    /// The manifest of a new bundle, and the checkpoints that go with it.
    fn manifest(&self, selection: Selection) -> Result<(Manifest, Notes), ExportError> {
        let path = self.log(self.own).join("checkpoint");
        let note = read(&path)?.ok_or_else(|| ExportError::Missing(path.clone()))?;
        let head = head(&path, &note)?;
        let federation = head.origin.rsplit_once('/').map_or("", |(federation, _)| federation);
        let mut manifest = Manifest::new(federation.to_owned(), self.own.clone(), head.size);
        (manifest.from, manifest.to) = self.range(selection, head.size)?;
        manifest.parts = selection.parts;
        manifest.register = self.versions()?;
        let mut notes = vec![(self.own.clone(), note)];
        for name in names(&self.dir.join("logs"))? {
            let Ok(member) = name.parse::<MemberId>() else { continue };
            let path = self.log(&member).join("checkpoint");
            let Some(note) = read(&path)?.filter(|_| member != *self.own) else { continue };
            manifest.mirrors.insert(member.clone(), self::head(&path, &note)?.size);
            notes.push((member, note));
        }
        Ok((manifest, notes))
    }

    /// Every file of the bundle, in order.
    fn plan(
        &self,
        manifest: Manifest,
        notes: Notes,
    ) -> Result<(Manifest, Vec<(String, Piece)>), ExportError> {
        let mut plan = vec![(MANIFEST.to_owned(), Piece::Bytes(manifest.to_bytes()))];
        for (member, note) in notes {
            plan.push((format!("logs/{member}/checkpoint"), Piece::Bytes(note)));
        }
        for version in manifest.register.0..=manifest.register.1 {
            plan.push((format!("register/{version}.root.json"), Piece::Register(version)));
        }
        let own = self.own;
        for tile in tiles_for_growth(0, manifest.size) {
            plan.push((format!("logs/{own}/{}", tile.path()), Piece::Tile(own.clone(), tile)));
            if let Some(path) = tile.entries_path() {
                plan.push((format!("logs/{own}/{path}"), Piece::Entries(own.clone(), tile)));
            }
        }
        for file in manifest.from / WIDTH..manifest.to.div_ceil(WIDTH) {
            let name = format!("logs/{own}/statement/{}", index_path(file));
            plan.push((name, Piece::Statements(file)));
        }
        plan.push((format!("logs/{own}/outcomes"), Piece::Outcomes(own.clone())));
        for (member, size) in &manifest.mirrors {
            for tile in tiles_for_growth(0, *size) {
                let name = format!("logs/{member}/{}", tile.path());
                plan.push((name, Piece::Tile(member.clone(), tile)));
            }
            plan.push((format!("logs/{member}/held"), Piece::Held(member.clone())));
            plan.push((format!("logs/{member}/outcomes"), Piece::Outcomes(member.clone())));
        }
        for name in names(&self.dir.join("evidence"))? {
            if name.ends_with(".json") {
                plan.push((format!("evidence/{name}"), Piece::Evidence(name)));
            }
        }
        Ok((manifest, plan))
    }

    /// The content of one file.
    fn bytes(&self, piece: &Piece, manifest: &Manifest) -> Result<Vec<u8>, ExportError> {
        let there = |path: PathBuf| read(&path)?.ok_or(ExportError::Missing(path));
        match piece {
            Piece::Bytes(bytes) => Ok(bytes.clone()),
            Piece::Register(version) => {
                there(self.dir.join("register").join(format!("{version}.root.json")))
            }
            Piece::Tile(log, tile) => {
                self.tile(log, &tile.path(), tile.full(), *tile, tile.byte_len())
            }
            Piece::Entries(log, tile) => {
                let path = tile.entries_path().unwrap_or_default();
                let each = 2 + sealwire_wire::tile::ENTRY_LEN;
                self.tile(log, &path, tile.full(), *tile, usize::from(tile.width()) * each)
            }
            Piece::Statements(file) => self.statements(*file, manifest),
            Piece::Outcomes(log) => self.outcomes(log),
            Piece::Held(log) => {
                let size = manifest.mirrors.get(log).copied().unwrap_or(0);
                Ok(self.held(log, size)?.to_bytes())
            }
            Piece::Evidence(name) => there(self.dir.join("evidence").join(name)),
        }
    }

    /// A tile or bundle of `length` bytes; once the log has grown, a wider one begins with it.
    fn tile(
        &self,
        log: &MemberId,
        path: &str,
        full: Option<TileId>,
        tile: TileId,
        length: usize,
    ) -> Result<Vec<u8>, ExportError> {
        let exact = self.log(log).join(path);
        let whole = path.split(".p/").next().unwrap_or(path);
        let mut places = vec![exact.clone(), self.log(log).join(whole)];
        if full.is_some() && !tile.is_full() {
            let partial = self.log(log).join(format!("{whole}.p"));
            places.extend(names(&partial)?.iter().map(|width| partial.join(width)));
        }
        for place in places {
            // A directory in the place of a full tile's file cannot be read, and is not one.
            let Ok(Some(mut bytes)) = read(&place) else { continue };
            if bytes.len() >= length {
                bytes.truncate(length);
                return Ok(bytes);
            }
        }
        Err(ExportError::Missing(exact))
    }

    fn statements(&self, file: u64, manifest: &Manifest) -> Result<Vec<u8>, ExportError> {
        let first = manifest.from.max(file * WIDTH);
        let past = manifest.to.min((file + 1) * WIDTH);
        let mut out = Vec::new();
        let mut next = first;
        self.elements(self.own, file, |mut element| {
            if element.index == next && next < past {
                if !manifest.parts {
                    element.sealed.clear();
                }
                let statement = Statement::parse(element.statement);
                let shown =
                    statement.is_ok_and(|s| release::opened_to_auditors(s.manifest()).is_ok());
                if !manifest.parts || !shown {
                    element.opened.clear();
                }
                out.extend_from_slice(&element.to_bytes());
                next += 1;
            }
            Ok(next < past)
        })?;
        if next < past {
            let path = self.log(self.own).join("statement").join(index_path(file));
            let cause = format!("entry {next} is not in it");
            return Err(ExportError::Damaged { path, cause });
        }
        Ok(out)
    }

    fn held(&self, log: &MemberId, size: u64) -> Result<Held, ExportError> {
        let mut held = Held::default();
        for file in 0..size.div_ceil(WIDTH) {
            let mut ordered = Vec::new();
            self.elements(log, file, |element| {
                ordered.push(element.index);
                Ok(true)
            })?;
            ordered.sort_unstable();
            ordered.into_iter().filter(|index| *index < size).for_each(|index| {
                held.push(index);
            });
        }
        Ok(held)
    }

    /// Hands out the elements of a statement file until `each` says that it has enough. The file
    /// may be appended to meanwhile: half an element at its end is not there yet.
    fn elements(
        &self,
        log: &MemberId,
        file: u64,
        mut each: impl FnMut(Element<'_>) -> Result<bool, ExportError>,
    ) -> Result<(), ExportError> {
        let path = self.log(log).join("statement").join(index_path(file));
        let bytes = read(&path)?.unwrap_or_default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Ok(element) = Element::next(&mut rest) else { break };
            if !each(element)? {
                break;
            }
        }
        Ok(())
    }

    /// The outcomes that are whole: the file may be appended to meanwhile.
    fn outcomes(&self, log: &MemberId) -> Result<Vec<u8>, ExportError> {
        let mut bytes = read(&self.log(log).join("outcomes"))?.unwrap_or_default();
        let mut rest = bytes.as_slice();
        let mut whole = rest.len();
        while !rest.is_empty() && Outcome::next(&mut rest).is_ok() {
            whole = rest.len();
        }
        if rest.is_empty() {
            whole = 0;
        }
        bytes.truncate(bytes.len() - whole.min(bytes.len()));
        Ok(bytes)
    }

    fn versions(&self) -> Result<(u64, u64), ExportError> {
        let dir = self.dir.join("register");
        let version = |name: &String| name.strip_suffix(".root.json")?.parse::<u64>().ok();
        let versions: Vec<u64> = names(&dir)?.iter().filter_map(version).collect();
        match (versions.iter().min(), versions.iter().max()) {
            (Some(first), Some(last)) => Ok((*first, *last)),
            _ => Err(ExportError::Missing(dir)),
        }
    }

    fn log(&self, member: &MemberId) -> PathBuf {
        self.dir.join("logs").join(member.as_str())
    }
}

/// Appends a file without anything that differs between machines.
fn append(builder: &mut tar::Builder<impl io::Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    builder.append(&header, bytes)
}

/// The head in a checkpoint's note.
fn head(path: &Path, note: &[u8]) -> Result<Checkpoint, ExportError> {
    let read = |e: &dyn std::fmt::Display| ExportError::Damaged {
        path: path.to_owned(),
        cause: e.to_string(),
    };
    let note = Note::parse(note).map_err(|e| read(&e))?;
    Checkpoint::parse(note.text()).map_err(|e| read(&e))
}

/// A file, or nothing if it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, ExportError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_at(path)(e)),
    }
}

/// The names in a directory, in order; none if it is not there.
fn names(dir: &Path) -> Result<Vec<String>, ExportError> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_at(dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(io_at(dir))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { path, source }
}
