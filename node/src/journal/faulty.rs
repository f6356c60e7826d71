//! The fault layer of the tests: a disk that refuses a step, dies at it, leaves one out, and
//! forgets what was not synced when its power is lost.
//!
//! It holds each file's bytes as of the last sync and the changes since, and each directory's
//! names as of its last sync and the changes since. A power loss keeps of each list of changes
//! nothing, or by chance the first few, the last of them perhaps by half: what the system had
//! written of its own accord. Files that were not made through it are left as they are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, System};

/// How the chosen step fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fails {
    /// Refused, nothing of it remains.
    NotPersisted,
    /// Refused, although all of it was done.
    ButPersisted,
    /// A write that stops halfway with the disk full; any other step is refused.
    Short,
}

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    MakeDirectory,
    Write,
    Cut,
    Sync,
    SyncDirectory,
    Rename,
    Remove,
    Lock,
}

/// One step, as a test sees it when it chooses which to leave out.
pub(crate) struct Step<'a> {
    pub op: Op,
    pub path: &'a Path,
    /// The step before on the same file, and the offset if that was a write.
    pub after: Option<(Op, u64)>,
}

type Chosen = Box<dyn Fn(&Step<'_>) -> bool + Send>;

/// Chance from a seed, the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Debug, Default)]
struct Bytes {
    synced: Vec<u8>,
    since: Vec<Change>,
    last: Option<(Op, u64)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    File(u64),
    Directory,
}

/// A change of a directory's names.
#[derive(Debug, Clone)]
enum Named {
    Put(OsString, Entry),
    Moved(OsString, OsString, Entry),
    Gone(OsString),
}

#[derive(Debug, Default)]
struct Names {
    synced: BTreeMap<OsString, Entry>,
    since: Vec<Named>,
}

impl Names {
    /// Makes the first changes durable and forgets the others.
    fn settle(&mut self, count: usize) {
        for named in self.since.drain(..).take(count) {
            match named {
                Named::Put(name, entry) => drop(self.synced.insert(name, entry)),
                Named::Moved(from, to, entry) => {
                    self.synced.remove(&from);
                    self.synced.insert(to, entry);
                }
                Named::Gone(name) => drop(self.synced.remove(&name)),
            }
        }
    }
}

#[derive(Default)]
struct Layer {
    root: PathBuf,
    files: BTreeMap<u64, Bytes>,
    live: BTreeMap<PathBuf, u64>,
    directories: BTreeMap<PathBuf, Names>,
    steps: u64,
    fault: Option<(u64, Fails, bool)>,
    dead: bool,
    left_out: Option<Chosen>,
}

/// The layer; its clones are one.
#[derive(Clone)]
pub(crate) struct Faulty(Arc<Mutex<Layer>>);

/// How much of a step is done.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Whole,
    Half,
    Nothing,
}

impl Faulty {
    /// A layer over a directory, all of which is durable now, and nothing of which fails yet.
    pub fn over(root: &Path) -> Self {
        Self::over_but(root, "")
    }

    /// As [`Faulty::over`], but for one thing in the directory, which is left as it is.
    pub fn over_but(root: &Path, not: &str) -> Self {
        let mut layer = Layer { root: root.to_owned(), ..Layer::default() };
        layer.adopt(root, not);
        Self(Arc::new(Mutex::new(layer)))
    }

    /// The nth step from now fails, and with `dead` every one after it, as if the process ended.
    pub fn fail(&self, nth: u64, how: Fails, dead: bool) {
        let mut layer = self.layer();
        layer.fault = Some((layer.steps + nth, how, dead));
    }

    /// Leaves out every chosen step, and says that it was done.
    pub fn leave_out(&self, chosen: impl Fn(&Step<'_>) -> bool + Send + 'static) {
        self.layer().left_out = Some(Box::new(chosen));
    }

    /// Whether the chosen step has been reached.
    pub fn failed(&self) -> bool {
        let layer = self.layer();
        layer.fault.is_some_and(|(nth, ..)| layer.steps >= nth)
    }

    /// Whether the process has ended at the chosen step.
    pub fn dead(&self) -> bool {
        self.layer().dead
    }

    /// Nothing fails any more, as in the next process; what was not synced is still not.
    pub fn revive(&self) {
        let mut layer = self.layer();
        (layer.dead, layer.fault) = (false, None);
    }

    /// The power is lost: of what was not synced nothing remains, or with chance a part. The files
    /// below the root are then what the disk would hold, and all of it is durable.
    pub fn lose_power(&self, chance: Option<&mut Chance>) {
        self.layer().lose_power(chance);
    }

    fn layer(&self) -> MutexGuard<'_, Layer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step<T>(
        &self,
        op: Op,
        path: &Path,
        act: impl FnOnce(&mut Layer, Amount) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut layer = self.layer();
        let layer = &mut *layer;
        if layer.dead {
            return Err(io::Error::other("the process has ended"));
        }
        layer.steps += 1;
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        if let Some((nth, how, dead)) = layer.fault
            && layer.steps == nth
        {
            layer.dead = dead;
            match how {
                Fails::ButPersisted => drop(act(layer, Amount::Whole)?),
                Fails::Short if op == Op::Write => drop(act(layer, Amount::Half)?),
                _ => {}
            }
            return Err(full());
        }
        let after = layer.live.get(path).and_then(|id| layer.files.get(id)?.last);
        let chosen = layer.left_out.as_ref();
        let left_out = chosen.is_some_and(|chosen| chosen(&Step { op, path, after }));
        act(layer, if left_out { Amount::Nothing } else { Amount::Whole })
    }
}

impl Layer {
    fn adopt(&mut self, directory: &Path, not: &str) {
        let mut names = Names::default();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            if name == not {
                continue;
            }
            if path.is_dir() {
                names.synced.insert(name, Entry::Directory);
                self.adopt(&path, "");
            } else {
                let bytes = Bytes { synced: fs::read(&path).unwrap(), ..Bytes::default() };
                names.synced.insert(name, Entry::File(self.add(&path, bytes)));
            }
        }
        self.directories.insert(directory.to_owned(), names);
    }

    fn add(&mut self, path: &Path, bytes: Bytes) -> u64 {
        let id = self.files.len() as u64;
        self.files.insert(id, bytes);
        self.live.insert(path.to_owned(), id);
        id
    }

    fn name(&mut self, path: &Path, named: impl FnOnce(OsString) -> Named) {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
        if directory.starts_with(&self.root) {
            let names = self.directories.entry(directory.to_owned()).or_default();
            names.since.push(named(name.to_owned()));
        }
    }

    fn change(&mut self, path: &Path, op: Op, change: Change) {
        let bytes = self.live.get(path).and_then(|id| self.files.get_mut(id));
        let bytes = bytes.unwrap_or_else(|| panic!("{} is not known", path.display()));
        bytes.last = Some((op, if let Change::Write(at, _) = &change { *at } else { 0 }));
        bytes.since.push(change);
    }

    fn make_directory(&mut self, path: &Path) {
        if path == self.root || !path.starts_with(&self.root) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent);
        }
        if !self.directories.contains_key(path) {
            self.directories.insert(path.to_owned(), Names::default());
            self.name(path, |name| Named::Put(name, Entry::Directory));
        }
    }

    fn lose_power(&mut self, mut chance: Option<&mut Chance>) {
        let mut kept = |changes: usize| match &mut chance {
            Some(chance) => chance.below(changes as u64 + 1) as usize,
            None => 0,
        };
        for names in self.directories.values_mut() {
            let count = kept(names.since.len());
            names.settle(count);
        }
        for bytes in self.files.values_mut() {
            let count = kept(bytes.since.len());
            for (index, change) in bytes.since.drain(..).take(count).enumerate() {
                let half = index + 1 == count && kept(1) == 1;
                apply(&mut bytes.synced, &change, half);
            }
            bytes.last = None;
        }
        for path in std::mem::take(&mut self.live).into_keys() {
            drop(fs::remove_file(path));
        }
        let before = std::mem::take(&mut self.directories);
        let root = self.root.clone();
        self.restore(&root, &before);
        for path in before.into_keys().filter(|path| !self.directories.contains_key(path)) {
            drop(fs::remove_dir_all(path));
        }
        (self.dead, self.fault) = (false, None);
    }

    fn restore(&mut self, directory: &Path, before: &BTreeMap<PathBuf, Names>) {
        let synced = before.get(directory).map(|names| names.synced.clone()).unwrap_or_default();
        fs::create_dir_all(directory).unwrap();
        for (name, entry) in &synced {
            let path = directory.join(name);
            match entry {
                Entry::Directory => self.restore(&path, before),
                Entry::File(id) => {
                    fs::write(&path, &self.files[id].synced).unwrap();
                    self.live.insert(path, *id);
                }
            }
        }
        self.directories.insert(directory.to_owned(), Names { synced, since: Vec::new() });
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change, half: bool) {
    match change {
        Change::Write(offset, written) => {
            let at = *offset as usize;
            let written = if half { &written[..written.len() / 2] } else { written };
            bytes.resize(bytes.len().max(at + written.len()), 0);
            bytes[at..at + written.len()].copy_from_slice(written);
        }
        Change::Cut(length) => bytes.resize(*length as usize, 0),
    }
}

fn path_of(file: &File) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(Op::Create, path, |layer, _| {
            let file = System.create(path)?;
            let id = layer.add(path, Bytes::default());
            layer.name(path, |name| Named::Put(name, Entry::File(id)));
            Ok(file)
        })
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Op::MakeDirectory, path, |layer, _| {
            System.make_directory(path)?;
            layer.make_directory(path);
            Ok(())
        })
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let path = path_of(file);
        self.step(Op::Write, &path, |layer, amount| {
            let bytes = if amount == Amount::Half { &bytes[..bytes.len() / 2] } else { bytes };
            file.write_all_at(bytes, offset)?;
            layer.change(&path, Op::Write, Change::Write(offset, bytes.to_vec()));
            Ok(())
        })
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        let path = path_of(file);
        self.step(Op::Cut, &path, |layer, _| {
            System.cut(file, length)?;
            layer.change(&path, Op::Cut, Change::Cut(length));
            Ok(())
        })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let path = path_of(file);
        self.step(Op::Sync, &path, |layer, amount| {
            if amount == Amount::Whole
                && let Some(bytes) =
                    layer.live.get(&path).copied().and_then(|id| layer.files.get_mut(&id))
            {
                bytes.since.drain(..).for_each(|change| apply(&mut bytes.synced, &change, false));
                bytes.last = None;
            }
            Ok(())
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Op::SyncDirectory, path, |layer, amount| {
            if amount == Amount::Whole
                && let Some(names) = layer.directories.get_mut(path)
            {
                names.settle(names.since.len());
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Op::Rename, to, |layer, _| {
            System.rename(from, to)?;
            let id = layer.live.remove(from).expect("a file of ours");
            layer.live.insert(to.to_owned(), id);
            let old = from.file_name().unwrap_or_default().to_owned();
            layer.name(to, |new| Named::Moved(old, new, Entry::File(id)));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Op::Remove, path, |layer, _| {
            System.remove(path)?;
            layer.live.remove(path);
            layer.name(path, Named::Gone);
            Ok(())
        })
    }

    fn lock(&self, file: &File) -> io::Result<bool> {
        let path = path_of(file);
        self.step(Op::Lock, &path, |_, amount| match amount {
            Amount::Nothing => Ok(true),
            _ => System.lock(file),
        })
    }
}
