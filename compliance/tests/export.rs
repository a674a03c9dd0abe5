//! The whole tree is exported, and another implementation reads it.

mod rig;

use rig::{Frames, Rig};
use std::path::Path;
use std::sync::Arc;
use stele_compliance::seal::export::{ExportError, export};
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{SealPolicy, Signer, seal_trail};
use stele_journal::{Directory, Storage, TrailReader};
use stele_wire::codec::Message;
use stele_wire::messages::Trade;
use stele_wire::units::Nanos;
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader as _, Tile, TileHashReader, TileReader, check_record, check_tree,
    prove_record, prove_tree, record_hash, stored_hash_index, tree_hash,
};

fn storage(folder: &Path) -> Arc<dyn Storage> {
    Arc::new(Directory::new(folder))
}

fn signer() -> Signer {
    Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap()
}

fn sealed_trail(folder: &Path, trades: u64) -> u64 {
    let mut rig = Rig::open(folder);
    rig.trade(trades);
    let last = rig.stop();
    seal_trail(&storage(folder), &signer(), SealPolicy::default(), || Nanos(1), &|_, _| {}).unwrap();
    last
}

fn exported(trail: &Path, to: &Path) -> Result<u64, ExportError> {
    let mut write = |name: &str, bytes: &[u8]| {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap())?;
        assert!(!path.exists(), "{name} is written once");
        std::fs::write(path, bytes)
    };
    export(&storage(trail), signer().public(), &mut write, &|_, _| {}).map(|exported| exported.size)
}

/// Reads the files as the specification names them; the other implementation puts the height before the
/// level.
struct Tiles<'a>(&'a Path);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            // A full tile is used where part of it is requested.
            let full = path.split(".p/").next().unwrap().to_owned();
            let bytes =
                std::fs::read(self.0.join(&path)).or_else(|_| std::fs::read(self.0.join(full))).unwrap();
            bytes[..tile.width() as usize * 32].to_vec()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The entries of a bundle.
fn entries(mut bundle: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let (entry, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        entries.push(entry);
        bundle = rest;
    }
    entries
}

#[test]
fn another_implementation_reads_the_tree_and_proves_every_event_from_it() {
    let trail = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    let size = sealed_trail(trail.path(), 1300);
    assert_eq!(exported(trail.path(), to.path()).unwrap(), size);
    let checkpoint = std::fs::read(to.path().join("checkpoint")).unwrap();
    assert_eq!(checkpoint, std::fs::read(trail.path().join("seals/checkpoint")).unwrap());
    let theirs = Checkpoint::from_reader(&mut checkpoint.as_slice(), false).unwrap();
    assert_eq!(theirs.size(), size);
    let root = *theirs.hash();
    let tiles = Tiles(to.path());
    let reader = TileHashReader::new(size, root, &tiles);
    assert_eq!(tree_hash(size, &reader).unwrap(), root);
    let mut log = TrailReader::open(trail.path()).unwrap();
    for bundle in 0..size.div_ceil(256) {
        let width = (size - bundle * 256).min(256);
        let name = if width == 256 { format!("{bundle:03}") } else { format!("{bundle:03}.p/{width}") };
        let bytes = std::fs::read(to.path().join("tile/entries").join(name)).unwrap();
        let entries = entries(&bytes);
        assert_eq!(entries.len() as u64, width);
        for (at, entry) in entries.into_iter().enumerate() {
            let index = bundle * 256 + at as u64;
            assert_eq!(log.read_next().unwrap().unwrap().frame.bytes(), entry);
            let leaf = record_hash(entry);
            assert_eq!(reader.read_hashes(&[stored_hash_index(0, index)]).unwrap(), [leaf]);
            if index.is_multiple_of(37) || index + 1 == size {
                let proof = prove_record(size, index, &reader).unwrap();
                check_record(&proof, size, root, index, leaf).unwrap();
                let before: Hash = tree_hash(index + 1, &reader).unwrap();
                let proof = prove_tree(size, index + 1, &reader).unwrap();
                check_tree(&proof, size, root, index + 1, before).unwrap();
            }
        }
    }
}

#[test]
fn an_unsealed_or_altered_trail_is_not_exported() {
    let trail = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(trail.path());
    rig.trade(50);
    rig.stop();
    assert!(matches!(exported(trail.path(), to.path()), Err(ExportError::NotSealed(_))));
    seal_trail(&storage(trail.path()), &signer(), SealPolicy::default(), || Nanos(1), &|_, _| {}).unwrap();
    let stranger = Signer::new("bank.example/stele", KeyKind::Log, &[8; 32]).unwrap();
    let refused = export(&storage(trail.path()), stranger.public(), &mut |_, _| Ok(()), &|_, _| {});
    assert!(matches!(refused, Err(ExportError::Checkpoint(_))));
    let mut frames = Frames::read(trail.path(), 1);
    let place = frames.nth(<Trade as Message>::TEMPLATE_ID, 3);
    frames.bytes[place.start + 60] ^= 1;
    frames.mend(place);
    frames.write();
    assert!(matches!(exported(trail.path(), to.path()), Err(ExportError::Root { .. })));
    assert!(!to.path().join("checkpoint").exists());
}
