//! Exports the whole tree for other parties' tools: all tiles from the leaves up, and the entries. C2SP
//! tlog-tiles.
//!
//! ```text
//! DIR/
//! ├── tile/entries/000            256 entries: for each a length in two bytes, big-endian, and the frame
//! ├── tile/0/000                  their leaf hashes
//! ├── tile/1/000.p/17             …
//! └── checkpoint                  the newest one, as it is signed; written last
//! ```
//!
//! An entry is a frame as it is on the log. The specification allows 65,535 bytes, and a frame has at most
//! 65,528: a larger object is put on a log by its hash and a reference.

use super::checkpoint::SignedCheckpoint;
use super::hash::{Hash, LeafHasher};
use super::note::VerifierKey;
use super::proof::InvalidProof;
use super::sealing::{SealError, origin_of_trail, read_checkpoint};
use super::tiles::{CHECKPOINT_NAME, LEVELS, TILE_WIDTH, Tile, root_of, tile_path};
use super::tree::Frontier;
use std::io;
use std::sync::Arc;
use stele_journal::{Storage, TrailReader};
use stele_wire::Sequence;
use stele_wire::bounds::FRAME_LENGTH_MAX;

const _: () = assert!(FRAME_LENGTH_MAX <= u16::MAX as usize, "an entry's length has two bytes");

/// The result of an export.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ExportReport {
    /// Origin of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them, in base64.
    pub root: String,
    /// Number of files.
    pub files: u64,
}

/// Why a tree cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The trail or its seals cannot be read.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no checkpoint.
    #[error("the trail is not sealed: there is no {0}")]
    NotSealed(String),
    /// The checkpoint is not signed by the key, or not of this trail.
    #[error(transparent)]
    Checkpoint(#[from] InvalidProof),
    /// The trail's beginning has expired, and with it the first entries.
    #[error("the trail begins at event {0}: the tree over the events before it cannot be written")]
    Begins(u64),
    /// The trail is shorter than its checkpoint.
    #[error("the checkpoint covers {size} events, but the trail ends after {last}")]
    Short {
        /// Number of events under the checkpoint.
        size: u64,
        /// The last event on the trail.
        last: u64,
    },
    /// The events are not those that were signed.
    #[error(
        "the checkpoint was signed over root {signed}, but the events give {found}; run `stele verify --key`"
    )]
    Root {
        /// The signed root.
        signed: Hash,
        /// The root of the trail's events.
        found: Hash,
    },
    /// A file cannot be written.
    #[error("{file}: {source}")]
    Unwritten {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
}

/// Exports the tree under the trail's newest checkpoint, which must be signed by `key`. `write` receives the
/// name and bytes of each file, the checkpoint last, and only if the root is the signed one. `progress` is
/// called with the number of events done and the total number.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    storage: &Arc<dyn Storage>,
    key: &VerifierKey,
    write: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
    progress: &dyn Fn(u64, u64),
) -> Result<ExportReport, ExportError> {
    let mut reader = TrailReader::over(storage.clone()).map_err(SealError::from)?;
    let origin = origin_of_trail(&reader);
    let signed = read_checkpoint(storage.as_ref(), CHECKPOINT_NAME)?;
    let signed: SignedCheckpoint =
        signed.ok_or_else(|| ExportError::NotSealed(storage.describe(CHECKPOINT_NAME)))?;
    let checkpoint = signed.check(key, Some(&origin)).map_err(InvalidProof::from)?.clone();
    let first = reader.segments()[0].header.base_sequence;
    if first != Sequence(1) {
        return Err(ExportError::Begins(first.0));
    }
    let mut tree = Tree { write, bundle: Vec::new(), open: vec![Vec::new(); LEVELS], files: 0 };
    let (mut frontier, mut hasher) = (Frontier::default(), LeafHasher::default());
    while frontier.size() < checkpoint.size {
        let entry = reader.read_next().map_err(SealError::from)?;
        let Some(entry) = entry else {
            return Err(ExportError::Short { size: checkpoint.size, last: frontier.size() });
        };
        let leaf = hasher.hash(entry.frame.bytes());
        frontier.append(leaf);
        tree.push_entry(entry.frame.bytes(), leaf, frontier.size())?;
        if frontier.size().is_multiple_of(1 << 14) {
            progress(frontier.size(), checkpoint.size);
        }
    }
    tree.finish(frontier.size())?;
    let found = frontier.root();
    if found != checkpoint.root {
        return Err(ExportError::Root { signed: checkpoint.root, found });
    }
    tree.put("checkpoint", signed.to_string().as_bytes())?;
    let files = tree.files;
    Ok(ExportReport { origin, size: checkpoint.size, root: found.to_base64(), files })
}

/// The incomplete right edge of the exported tree.
struct Tree<'a> {
    write: &'a mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
    bundle: Vec<u8>,
    /// The rightmost tile of each level.
    open: Vec<Vec<Hash>>,
    files: u64,
}

impl Tree<'_> {
    /// Adds the next entry, number `size`.
    fn push_entry(&mut self, entry: &[u8], leaf: Hash, size: u64) -> Result<(), ExportError> {
        self.bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
        self.bundle.extend_from_slice(entry);
        if size.is_multiple_of(TILE_WIDTH) {
            self.put_bundle(size / TILE_WIDTH - 1, TILE_WIDTH)?;
        }
        let (mut hash, mut count) = (leaf, size);
        for level in 0..LEVELS {
            self.open[level].push(hash);
            if !count.is_multiple_of(TILE_WIDTH) {
                break;
            }
            let hashes = std::mem::take(&mut self.open[level]);
            hash = root_of(&hashes);
            count /= TILE_WIDTH;
            self.put_tile(&Tile { level, index: count - 1, hashes })?;
        }
        Ok(())
    }

    /// Writes the tiles that are not full.
    fn finish(&mut self, size: u64) -> Result<(), ExportError> {
        if !size.is_multiple_of(TILE_WIDTH) {
            self.put_bundle(size / TILE_WIDTH, size % TILE_WIDTH)?;
        }
        for level in 0..LEVELS {
            let hashes = std::mem::take(&mut self.open[level]);
            if !hashes.is_empty() {
                self.put_tile(&Tile { level, index: (size >> (8 * level)) / TILE_WIDTH, hashes })?;
            }
        }
        Ok(())
    }

    fn put_bundle(&mut self, index: u64, width: u64) -> Result<(), ExportError> {
        let bundle = std::mem::take(&mut self.bundle);
        self.put(&format!("tile/{}", tile_path("entries", index, width)), &bundle)
    }

    fn put_tile(&mut self, tile: &Tile) -> Result<(), ExportError> {
        let path = tile_path(&tile.level.to_string(), tile.index, tile.hashes.len() as u64);
        self.put(&format!("tile/{path}"), &tile.bytes())
    }

    fn put(&mut self, file: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.files += 1;
        (self.write)(file, bytes).map_err(|source| ExportError::Unwritten { file: file.to_owned(), source })
    }
}
