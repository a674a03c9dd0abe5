//! Tiles of the tree, and the files of seals in a trail: C2SP tlog-tiles.
//!
//! ```text
//! trail/seals/
//! ├── checkpoint                  the newest checkpoint
//! ├── checkpoints/0000000001      every checkpoint, numbered without a gap
//! ├── cosigned/0000000001         the same with the cosignatures of witnesses, if there are any
//! ├── timestamps/0000000001.tsr   the time stamp of an authority for the same checkpoint, if there is one
//! ├── tile/1/x001/067             level 1 and above; 256 hashes, or .p/W with W of them
//! └── writer.lock                 locked by the kernel while a process seals
//! ```
//!
//! Level 0, the leaf hashes, is not stored, because it follows from the segments. A tile of level L has the
//! roots of complete subtrees of 256^L leaves. Partial tiles are those of the newest checkpoint.

use super::hash::Hash;
use super::tree::{Frontier, Nodes};
use std::io;
use stele_journal::{Pages, Storage};

/// The number of hashes of a full tile.
pub const TILE_WIDTH: u64 = 256;
/// The number of levels of a tree with [`super::tree::SIZE_MAX`] leaves.
pub const LEVELS: usize = 8;
/// The folder of seals in a trail.
pub const SEALS_FOLDER: &str = "seals";
/// The file of the newest checkpoint in a trail.
pub const CHECKPOINT_NAME: &str = "seals/checkpoint";

/// Consecutive hashes of one level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Level; 0 is the level of the leaves.
    pub level: usize,
    /// Number of the tile in its level, from 0.
    pub index: u64,
    /// 1 to 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// The name of the file in a trail.
    pub fn name(&self) -> String {
        format!("seals/tile/{}", tile_path(&self.level.to_string(), self.index, self.hashes.len() as u64))
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

/// The path `<level>/<N>[.p/<W>]` of a tile.
pub fn tile_path(level: &str, index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width == TILE_WIDTH { format!("{level}/{path}") } else { format!("{level}/{path}.p/{width}") }
}

/// The file of checkpoint `number`, from 1.
pub fn checkpoint_name(number: u64) -> String {
    format!("seals/checkpoints/{number:010}")
}

/// The number of hashes of `level` in a tree of `size` leaves.
pub fn level_length(size: u64, level: usize) -> u64 {
    size >> (8 * level)
}

/// Reads a whole file; `None` when it is missing.
pub(crate) fn read_file(storage: &dyn Storage, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.length()? as usize;
    let mut pages = Pages::zeroed(length.max(1));
    let count = file.read_at(&mut pages, 0)?;
    Ok(Some(pages[..count.min(length)].to_vec()))
}

/// Reads a stored tile of a tree whose newest checkpoint has `stored` leaves.
pub(super) fn read_tile(storage: &dyn Storage, level: usize, index: u64, stored: u64) -> io::Result<Tile> {
    let width = level_length(stored, level).saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
    let path = tile_path(&level.to_string(), index, width);
    let name = format!("seals/tile/{path}");
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("{} is missing", storage.describe(&name)));
    let bytes = read_file(storage, &name)?.ok_or_else(missing)?;
    if bytes.len() as u64 != width * Hash::LENGTH as u64 {
        let text =
            format!("{} has {} bytes, not those of {width} hashes", storage.describe(&name), bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let hashes =
        bytes.chunks_exact(Hash::LENGTH).map(|bytes| Hash::from_bytes(bytes).expect("32 bytes")).collect();
    Ok(Tile { level, index, hashes })
}

/// Compares every stored tile of a tree of `size` leaves with `row`, the hashes of level 1, and with the
/// higher levels that follow from them. Returns the first file that differs. A missing file is not an error;
/// it is recreated when it is needed.
pub(super) fn find_altered_tile(storage: &dyn Storage, size: u64, row: &[Hash]) -> Option<String> {
    let mut row = row.to_vec();
    for level in 1..LEVELS {
        row.truncate(level_length(size, level) as usize);
        for (index, hashes) in row.chunks(TILE_WIDTH as usize).enumerate() {
            let tile = Tile { level, index: index as u64, hashes: hashes.to_vec() };
            let name = tile.name();
            match read_file(storage, &name) {
                Ok(None) => {}
                Ok(Some(bytes)) if bytes == tile.bytes() => {}
                _ => return Some(storage.describe(&name)),
            }
        }
        row = row.chunks_exact(TILE_WIDTH as usize).map(root_of).collect();
    }
    None
}

/// The root over a full tile.
pub(super) fn root_of(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| Hash::node(pair[0], pair[1])).collect();
    }
    row[0]
}

/// The frontier of a tree of `size` leaves, from the rightmost tile of each level.
pub(super) fn frontier_of_edge(size: u64, open: &[Vec<Hash>]) -> Option<Frontier> {
    let subtree = |height: u32| {
        let level = (height / 8) as usize;
        let first = level_length(size, level) / TILE_WIDTH * TILE_WIDTH;
        node_in(&open[level], first, height, (size >> height) - 1)
    };
    let heights = (0..63).rev().filter(|height| size >> height & 1 == 1);
    let subtrees: Option<Vec<Hash>> = heights.map(subtree).collect();
    Frontier::restore(size, &subtrees?)
}

/// The node at `height`, computed from `hashes` of level `height` / 8, the first of which is number `first`
/// of its level.
pub(super) fn node_in(hashes: &[Hash], first: u64, height: u32, index: u64) -> Option<Hash> {
    let above = height % 8;
    let begin = (index << above).checked_sub(first)? as usize;
    let mut row = hashes.get(begin..begin + (1 << above))?.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| Hash::node(pair[0], pair[1])).collect();
    }
    Some(row[0])
}

/// The nodes of a sealed tree: tiles from storage, leaf hashes from `leaves`.
pub struct StoredNodes<'a, L> {
    /// Storage of the trail.
    pub storage: &'a dyn Storage,
    /// Number of leaves under the newest checkpoint.
    pub stored: u64,
    /// Returns the hashes of `count` leaves starting at a leaf index.
    pub leaves: L,
    /// The tiles read so far.
    pub cache: Vec<Tile>,
}

impl<L: FnMut(u64, u64) -> io::Result<Vec<Hash>>> Nodes for StoredNodes<'_, L> {
    type Error = io::Error;

    fn node(&mut self, height: u32, index: u64) -> io::Result<Hash> {
        let level = (height / 8) as usize;
        let tile = (index << (height % 8)) / TILE_WIDTH;
        let known = self.cache.iter().position(|known| (known.level, known.index) == (level, tile));
        let at = match known {
            Some(at) => at,
            None => {
                let first = tile * TILE_WIDTH;
                self.cache.push(if level == 0 {
                    let hashes = (self.leaves)(first, TILE_WIDTH.min(self.stored - first))?;
                    Tile { level, index: tile, hashes }
                } else {
                    read_tile(self.storage, level, tile, self.stored)?
                });
                self.cache.len() - 1
            }
        };
        node_in(&self.cache[at].hashes, tile * TILE_WIDTH, height, index)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a tile is too short for the proof"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_the_specification_names_them() {
        assert_eq!(tile_path("0", 1_234_067, 256), "0/x001/x234/067");
        assert_eq!(tile_path("entries", 0, 112), "entries/000.p/112");
        assert_eq!(tile_path("2", 1000, 1), "2/x001/000.p/1");
    }

    #[test]
    fn a_tree_of_70_000_leaves_has_the_tiles_of_the_published_example() {
        let lengths: Vec<u64> = (0..4).map(|level| level_length(70_000, level)).collect();
        assert_eq!(lengths, [273 * 256 + 112, 256 + 17, 1, 0]);
    }
}
