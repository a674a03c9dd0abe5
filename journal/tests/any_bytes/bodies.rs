//! The checks of a trail of arbitrary bytes, for the property tests here and the fuzz targets in
//! `journal/fuzz`: every operation ends with a result, never with a panic, and within bounded memory.
#![allow(unreachable_pub, reason = "the fuzz targets are another crate")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use stele_journal::format::{HeaderBlock, SegmentHeader, segment_name};
use stele_journal::index::{INDEX_MAGIC, SegmentIndex, index_name, make_index};
use stele_journal::recovery::recover;
use stele_journal::scan::ScanOptions;
use stele_journal::snapshot::{self, SectionRow, SnapshotHead, SnapshotSection, snapshot_name};
use stele_journal::survey::survey;
use stele_journal::verify::{LogVisitor, verify, verify_with};
use stele_journal::{Directory, Segment, TrailReader, read_segments};
use stele_testkit::BoundedAllocator;
use stele_wire::Frame;
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
use stele_wire::frame::{Identity, crc32c, seal};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::{FromBytes, IntoBytes};

/// Far more than a reader, a scan and a survey hold at once; far less than a length in the bytes can state.
const LIVE_BYTES_MAX: usize = 256 << 20;

/// Data bytes of a full segment in these trails.
pub const SEGMENT_LENGTH: usize = 8192;

#[global_allocator]
static ALLOCATOR: BoundedAllocator<LIVE_BYTES_MAX> = BoundedAllocator::new();

/// Checks the sequence of every frame.
#[derive(Default)]
struct Last(Option<u64>);

impl LogVisitor for Last {
    fn on_segment(&mut self, _: &Segment) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn on_frame(&mut self, _: Position, frame: &Frame<'_>) -> ControlFlow<()> {
        if !frame.is_padding() {
            let sequence = frame.sequence().0;
            assert!(self.0.is_none_or(|last| last + 1 == sequence), "{sequence} after {:?}", self.0);
            self.0 = Some(sequence);
        }
        ControlFlow::Continue(())
    }
}

/// Returns the header of segment `index` of a trail whose segments are full.
pub fn header(index: u64) -> SegmentHeader {
    SegmentHeader {
        identity: Identity { trail: TrailId([1; 16]), shard: ShardId(0), epoch: Epoch(1) },
        index,
        block_length: 512,
        segment_length: SEGMENT_LENGTH as u64,
        base_position: Position((index - 1) * SEGMENT_LENGTH as u64),
        base_sequence: Sequence(1),
        created: Nanos(5),
        link: [0; 32],
        schema: [0; 32],
    }
}

/// Returns the file of segment `index`: its header, then `data`.
pub fn segment_bytes(index: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(index).to_block().as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes
}

/// Writes `files` as the segments of a trail, the first as segment 1, and exercises it.
pub fn exercise_segments(folder: &Path, files: &[Vec<u8>]) {
    for (at, bytes) in files.iter().enumerate() {
        fs::write(folder.join(segment_name(at as u64 + 1)), bytes).unwrap();
    }
    exercise(folder);
}

/// Exercises a trail of one segment of `data` with `index` as its index.
pub fn exercise_index(folder: &Path, data: &[u8], index: &[u8]) {
    let _ = SegmentIndex::from_bytes(index);
    fs::write(folder.join(index_name(1)), index).unwrap();
    exercise_segments(folder, &[segment_bytes(1, data)]);
}

/// Exercises a trail whose segments are the raw `files`, followed by `archive`.
pub fn exercise_archive(folder: &Path, files: &[Vec<u8>], archive: &[u8]) {
    let name = format!("{}.zst", segment_name(files.len() as u64 + 1));
    fs::write(folder.join(name), archive).unwrap();
    exercise_segments(folder, files);
}

/// Exercises a trail of one segment of `data` with `bytes` as the snapshot after segment `index`.
pub fn exercise_snapshot(folder: &Path, data: &[u8], index: u64, bytes: &[u8]) {
    let directory = Directory::new(folder);
    for earlier in snapshot::list(&directory).unwrap() {
        fs::remove_file(folder.join(snapshot_name(earlier))).unwrap();
    }
    fs::write(folder.join(segment_name(1)), segment_bytes(1, data)).unwrap();
    fs::write(folder.join(snapshot_name(index)), bytes).unwrap();
    let segments = read_segments(&directory).unwrap();
    let _ = snapshot::read_end(&directory, &segments[0]);
    let read = snapshot::read(&directory, &segments, index);
    let newest = snapshot::newest(&directory, &segments).unwrap();
    assert_eq!(newest.snapshot.is_some(), read.is_ok(), "the newest is the only one");
    if let Ok(read) = read {
        assert_eq!(read.origin.segment, index);
        let lengths: usize = read.machines().map(|(_, length)| length).sum();
        assert!(lengths < bytes.len(), "states of {lengths} bytes in a file of {}", bytes.len());
        for (name, _) in read.machines() {
            assert!(read.section(name).is_some(), "{name}");
        }
    }
    snapshot::prune(&directory, &segments, 1).unwrap();
    exercise(folder);
}

/// Reads, verifies and recovers the trail. Any result is allowed except a panic or an endless loop.
pub fn exercise(folder: &Path) {
    let directory = Directory::new(folder);
    if let Ok(mut reader) = TrailReader::open(folder) {
        let mut frames = 0;
        while let Ok(Some(_)) = reader.read_next_frame() {
            frames += 1;
            assert!(frames < 100_000);
        }
        let _ = reader.seek(Sequence(3));
        let _ = reader.seek_time(Nanos(9));
        let _ = reader.seek_position(Position(8200));
    }
    let options = ScanOptions { threads: 1, plain: true, method: None, progress: None };
    let alone = verify(&directory, &options);
    let shown = verify_with(&directory, &options, &mut Last::default());
    assert_eq!(alone.as_ref().ok(), shown.as_ref().ok());
    assert_eq!(alone.err().map(|error| error.to_string()), shown.err().map(|error| error.to_string()));
    let _ = make_index(&directory, 1);
    if let Ok(found) = survey(&directory)
        && let Ok((report, _)) = recover(&directory, found)
    {
        let again = survey(&directory).map(|found| recover(&directory, found));
        if let Ok(Ok((second, _))) = again {
            assert_eq!(second.end, report.end, "recovery run twice comes to the same end");
        }
    }
}

/// Turns everything in `data` that has the length of a frame into a frame with a correct CRC, except the
/// frames whose bit in `spared` is set.
pub fn seal_frames(data: &mut [u8], mut spared: u64) {
    let mut rest = data;
    while rest.len() >= HEADER_LENGTH {
        let length = usize::from(u16::from_le_bytes([rest[4], rest[5]]));
        if length < HEADER_LENGTH || length > rest.len() || !length.is_multiple_of(8) {
            rest = &mut rest[8..];
            continue;
        }
        let (frame, behind) = rest.split_at_mut(length);
        if spared & 1 == 0 {
            frame[7] = FRAME_VERSION;
            seal(frame, header(1).identity.seed());
        }
        spared >>= 1;
        rest = behind;
    }
}

/// Writes the correct CRC of the header block at the beginning of `bytes`, if there is a whole one.
pub fn seal_header(bytes: &mut [u8]) {
    if let Some((block, crc)) =
        bytes.get_mut(..size_of::<HeaderBlock>()).and_then(|b| b.split_last_chunk_mut::<4>())
    {
        *crc = crc32c(block).to_le_bytes();
    }
}

/// Writes the correct magic and CRC of an index, if there is room for both.
pub fn seal_index(bytes: &mut [u8]) {
    if let Some((content, crc)) = bytes.split_last_chunk_mut::<4>()
        && let Some(magic) = content.first_chunk_mut()
    {
        *magic = INDEX_MAGIC;
        *crc = crc32c(content).to_le_bytes();
    }
}

/// Returns the index that segment 1 of `data` has; `None` when it has none.
pub fn index_of(folder: &Path, data: &[u8]) -> Option<Vec<u8>> {
    let directory = Directory::new(folder);
    fs::write(folder.join(segment_name(1)), segment_bytes(1, data)).unwrap();
    make_index(&directory, 1).ok().flatten().map(|index| index.to_bytes())
}

/// Returns a snapshot after segment 1 of `data`, as if it were closed, with these `states`.
pub fn snapshot_of(folder: &Path, data: &[u8], states: [&[u8]; 2]) -> Option<Vec<u8>> {
    let directory = Directory::new(folder);
    fs::write(folder.join(segment_name(1)), segment_bytes(1, data)).unwrap();
    let segments = read_segments(&directory).unwrap();
    let origin = snapshot::read_end(&directory, &segments[0]).ok()?;
    let section = |name, state: &[u8]| SnapshotSection { name, version: 1, body: state.to_vec() };
    Some(snapshot::encode(&origin, "any", &[section("bus", states[0]), section("book", states[1])]))
}

/// Writes the correct magic, length and hashes of a snapshot, if there is room for them. The table is
/// unchanged.
pub fn seal_snapshot(bytes: &mut [u8]) {
    let length = bytes.len() as u64;
    let Some((content, hash)) = bytes.split_last_chunk_mut::<32>() else { return };
    let Ok((head, _)) = SnapshotHead::mut_from_prefix(content) else { return };
    head.magic = snapshot::SNAPSHOT_MAGIC;
    head.length.set(length);
    for row in 0..head.sections.get().min(64) as usize {
        let at = size_of::<SnapshotHead>() + row * size_of::<SectionRow>();
        let Some(Ok((mut row, _))) = content.get(at..).map(SectionRow::read_from_prefix) else { break };
        let body = row.offset.get() as usize..row.offset.get().saturating_add(row.length.get()) as usize;
        if let Some(body) = content.get(body) {
            row.hash = sha256(body);
            content[at..at + size_of::<SectionRow>()].copy_from_slice(row.as_bytes());
        }
    }
    *hash = sha256(content);
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
