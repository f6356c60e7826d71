//! The content of tiles and entry bundles: from the log files where they are there, else made from
//! the index, so that a width that was pruned, or is not written yet, is served all the same.

use std::fs;
use std::io::ErrorKind;

use sealwire_wire::id::MemberId;
use sealwire_wire::statement::leaf_data;
use sealwire_wire::tile::{Resource, TILE_HEIGHT, TILE_WIDTH, TileId, encode_bundle};

use super::{Reader, StoreFault};

const WIDTH: u64 = TILE_WIDTH as u64;

impl Reader {
    /// A tile or bundle of a log; nothing if the tree of its latest checkpoint does not have it.
    pub fn log_resource(
        &self,
        log: &MemberId,
        resource: Resource,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let (Resource::Tile(tile) | Resource::Entries(tile)) = resource;
        let size = self.head(log)?.map_or(0, |(size, _)| size).min(self.try_size(log)?);
        let hashes = size >> (TILE_HEIGHT * tile.level());
        if tile.index() * WIDTH + u64::from(tile.width()) > hashes {
            return Ok(None);
        }
        let path = self.inner.data.join("logs").join(log.as_str()).join(resource.to_string());
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(StoreFault::Io { path, source }),
        }
        let made = match resource {
            Resource::Tile(tile) => self.hash_tile(log, tile),
            Resource::Entries(tile) => self.entry_bundle(log, tile),
        };
        made.map(Some)
    }

    /// The hashes of a tile, from the index.
    pub(super) fn hash_tile(&self, log: &MemberId, tile: TileId) -> Result<Vec<u8>, StoreFault> {
        let mut bytes = Vec::with_capacity(tile.byte_len());
        let first = tile.index() * WIDTH;
        for index in first..first + u64::from(tile.width()) {
            bytes.extend_from_slice(&self.node(log, TILE_HEIGHT * tile.level(), index)?.0);
        }
        Ok(bytes)
    }

    /// The leaf data under a tile of level 0, from the index.
    pub(super) fn entry_bundle(&self, log: &MemberId, tile: TileId) -> Result<Vec<u8>, StoreFault> {
        let limit = usize::from(tile.width());
        let leaves = self.leaves(log, tile.index() * WIDTH, limit);
        if leaves.len() != limit {
            return Err(self.note(StoreFault::Row));
        }
        let entries: Vec<_> = leaves.iter().map(leaf_data).collect();
        Ok(encode_bundle(&entries))
    }
}
