//! C2SP `tlog-tiles`: the names and the content of the files that make up a log.
//!
//! A tile holds 256 hashes of one level; the hashes of level `L` cover `256^L` leaves each. The
//! last tile of a level may be partial. Beside the hashes of level 0 lie bundles with the leaf
//! data itself, 33 bytes each in our profile.
//!
//! This module knows nothing of disks and servers: a [`TileReader`] is given a closure.

use std::fmt;
use std::str::FromStr;

use crate::id::Digest;
use crate::merkle::{Subtrees, node_hash};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile covers.
pub const TILE_HEIGHT: u8 = 8;
/// Highest tile level that a tree with a size below 2^64 has.
pub const MAX_TILE_LEVEL: u8 = 7;
/// Bytes of leaf data: a tag and a digest.
pub const ENTRY_LEN: usize = 33;

const WIDTH: u64 = TILE_WIDTH as u64;
const HASH_LEN: usize = 32;
/// Longest path of a resource; anything longer is refused unread.
const MAX_PATH_LEN: usize = 64;

/// Why a tile, a bundle or a path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the path of a tile or bundle, or not in its only spelling.
    #[error("cannot read tile path {0:?}: hint: such as tile/0/x001/234 or tile/entries/005.p/17")]
    Path(String),
    /// No tree has such a tile.
    #[error("cannot name a tile of level {level}, index {index}, width {width}: no tree has it")]
    NoSuchTile {
        /// Tile level.
        level: u8,
        /// Index in the level.
        index: u64,
        /// Number of hashes.
        width: u16,
    },
    /// The subtree is not complete at this size.
    #[error("cannot read subtree {index} of level {level}: it is not complete at size {size}")]
    OutOfTree {
        /// Level of the subtree: it has `2^level` leaves.
        level: u8,
        /// Index among the subtrees of its level.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The source has no such tile.
    #[error("cannot read {path}: it is missing (hint: fetch it again from the log or a mirror)")]
    Missing {
        /// Which.
        path: String,
    },
    /// A tile of another length than its width asks for.
    #[error("cannot read {path}: it has {found} bytes, not {expected}")]
    WrongLength {
        /// Which.
        path: String,
        /// Bytes found.
        found: usize,
        /// Bytes that its width asks for.
        expected: usize,
    },
    /// A bundle that is not a sequence of 33-byte entries of the number expected.
    #[error("cannot read entry bundle: not {expected} entries of 33 bytes, each after its length")]
    Bundle {
        /// Entries expected.
        expected: u16,
    },
}

/// One tile, full or partial, that a tree of some size has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// Tile `index` of `level` with `width` hashes, 1 to 256.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let last = index.checked_mul(WIDTH).and_then(|n| n.checked_add(width.into()));
        let fits = level <= MAX_TILE_LEVEL
            && (1..=TILE_WIDTH).contains(&width)
            && last.is_some_and(|hashes| hashes <= u64::MAX >> (8 * level));
        if fits {
            Ok(Self { level, index, width })
        } else {
            Err(TileError::NoSuchTile { level, index, width })
        }
    }

    /// Level, 0 for the leaf hashes.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Index in the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it has all 256 hashes, and so never changes again.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile in the same place, unless no tree can have it.
    pub fn full(&self) -> Option<Self> {
        Self::new(self.level, self.index, TILE_WIDTH).ok()
    }

    /// Length of its content in bytes.
    pub fn byte_len(&self) -> usize {
        usize::from(self.width) * HASH_LEN
    }

    /// Path of its hashes, such as `tile/0/x001/234.p/17`.
    pub fn path(&self) -> String {
        Resource::Tile(*self).to_string()
    }

    /// Path of the bundle with the leaf data under these hashes; only level 0 has one.
    pub fn entries_path(&self) -> Option<String> {
        (self.level == 0).then(|| Resource::Entries(*self).to_string())
    }

    /// Splits the content into its hashes.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
        if bytes.len() == self.byte_len() && rest.is_empty() {
            Ok(hashes.iter().map(|hash| Digest(*hash)).collect())
        } else {
            let (found, expected) = (bytes.len(), self.byte_len());
            Err(TileError::WrongLength { path: self.path(), found, expected })
        }
    }
}

/// What a path of a log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `tile/<L>/<N>[.p/<W>]`: hashes.
    Tile(TileId),
    /// `tile/entries/<N>[.p/<W>]`: leaf data; the tile is that of level 0 in the same place.
    Entries(TileId),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tile = match self {
            Self::Tile(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                tile
            }
            Self::Entries(tile) => {
                f.write_str("tile/entries/")?;
                tile
            }
        };
        f.write_str(&index_path(tile.index))?;
        if tile.is_full() { Ok(()) } else { write!(f, ".p/{}", tile.width) }
    }
}

impl FromStr for Resource {
    type Err = TileError;

    /// Reads a path in its only spelling, without a leading slash.
    fn from_str(path: &str) -> Result<Self, TileError> {
        let refused = || TileError::Path(path.chars().take(MAX_PATH_LEN).collect());
        let read = || {
            let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
            let (digits, width) = match rest.split_once(".p/") {
                Some((digits, width)) => (digits, width.parse().ok()?),
                None => (rest, TILE_WIDTH),
            };
            let index = digits.split('/').try_fold(0u64, |index, group| {
                let group = group.strip_prefix('x').unwrap_or(group).parse::<u16>().ok()?;
                index.checked_mul(1000)?.checked_add(group.into())
            })?;
            if level == "entries" {
                Some(Self::Entries(TileId::new(0, index, width).ok()?))
            } else {
                Some(Self::Tile(TileId::new(level.parse().ok()?, index, width).ok()?))
            }
        };
        // What was read leniently must be written the same way.
        (path.len() <= MAX_PATH_LEN)
            .then(read)
            .flatten()
            .filter(|resource| resource.to_string() == path)
            .ok_or_else(refused)
    }
}

/// An index in groups of three digits, all but the last with an `x` before them: `x001/234`.
pub fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// The tiles that the tree of `new` leaves has and that of `old` leaves has not, level by level:
/// those to write when the log grows. None when it does not grow.
pub fn tiles_for_growth(old: u64, new: u64) -> impl Iterator<Item = TileId> {
    (0..=MAX_TILE_LEVEL).flat_map(move |level| {
        let (old, new) = (old >> (8 * level), new >> (8 * level));
        let indexes = if old < new { old / WIDTH..new.div_ceil(WIDTH) } else { 0..0 };
        indexes.map(move |index| TileId { level, index, width: width_at(new, index) })
    })
}

/// The partial tiles of the tree of `size` leaves, at most one a level.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = TileId> {
    (0..=MAX_TILE_LEVEL).filter_map(move |level| {
        let hashes = size >> (8 * level);
        let (index, width) = (hashes / WIDTH, width_at(hashes, hashes / WIDTH));
        (width > 0).then_some(TileId { level, index, width })
    })
}

/// Width of tile `index` in a level of so many hashes.
fn width_at(hashes: u64, index: u64) -> u16 {
    hashes.saturating_sub(index * WIDTH).min(WIDTH) as u16
}

/// Writes a bundle: each entry after its length, 16 bits, big-endian.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8; ENTRY_LEN]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&(ENTRY_LEN as u16).to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    bytes
}

/// Reads a bundle of exactly `width` entries of 33 bytes.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<[u8; ENTRY_LEN]>, TileError> {
    let refused = TileError::Bundle { expected: width };
    let (framed, rest) = bytes.as_chunks::<{ 2 + ENTRY_LEN }>();
    if !rest.is_empty() || framed.len() != usize::from(width) {
        return Err(refused);
    }
    framed
        .iter()
        .map(|frame| {
            let (length, entry) = frame.split_first_chunk::<2>()?;
            let entry = <[u8; ENTRY_LEN]>::try_from(entry).ok()?;
            (usize::from(u16::from_be_bytes(*length)) == ENTRY_LEN).then_some(entry)
        })
        .collect::<Option<_>>()
        .ok_or(refused)
}

/// The hashes of the tree of `size` leaves, read from its tiles. Each hash asked for fetches one
/// tile: a caller who asks for many keeps the tiles himself.
#[derive(Debug, Clone)]
pub struct TileReader<F> {
    size: u64,
    fetch: F,
}

impl<F: Fn(TileId) -> Option<Vec<u8>>> TileReader<F> {
    /// Reads from `fetch`, which gives the content of a tile, or nothing if it has none.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of tile `index` of `level`, as many as the tree has. Where the partial tile is
    /// gone, the full one serves.
    fn tile(&self, level: u8, index: u64) -> Result<Vec<Digest>, TileError> {
        let width = width_at(self.size >> (8 * level), index);
        let tile = TileId::new(level, index, width)?;
        if let Some(bytes) = (self.fetch)(tile) {
            return tile.hashes(&bytes);
        }
        let full = tile.full().filter(|_| !tile.is_full());
        let found = full.and_then(|full| Some((full, (self.fetch)(full)?)));
        let (full, bytes) = found.ok_or_else(|| TileError::Missing { path: tile.path() })?;
        let mut hashes = full.hashes(&bytes)?;
        hashes.truncate(usize::from(width));
        Ok(hashes)
    }
}

impl<F: Fn(TileId) -> Option<Vec<u8>>> Subtrees for TileReader<F> {
    type Error = TileError;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, TileError> {
        let out = || TileError::OutOfTree { level, index, size: self.size };
        // Complete subtrees of the level; the index is then small enough for what follows.
        let complete = self.size.checked_shr(level.into()).unwrap_or(0);
        if index >= complete {
            return Err(out());
        }
        let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << height;
        let hashes = self.tile(tile_level, first / WIDTH)?;
        let from = (first % WIDTH) as usize;
        let mut row = hashes.get(from..from + (1 << height)).ok_or_else(out)?.to_vec();
        while row.len() > 1 {
            let (pairs, _) = row.as_chunks::<2>();
            row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.first().copied().ok_or_else(out)
    }
}

#[cfg(test)]
mod tests;
