use super::*;
use crate::directory::Directory;
use crate::fixture::Epochs;
use crate::format::segment_name;
use crate::storage::Storage;
use crate::trail::{Segment, read_segments};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn sections() -> Vec<SnapshotSection> {
    vec![
        SnapshotSection { name: "definitions", version: 1, body: b"seven b".to_vec() },
        SnapshotSection { name: "nothing", version: 2, body: Vec::new() },
        SnapshotSection { name: "strategies", version: 3, body: vec![0xab; 8] },
    ]
}

fn origin() -> SnapshotOrigin {
    SnapshotOrigin {
        identity: Identity { trail: TrailId([0x11; 16]), shard: ShardId(2), epoch: Epoch(3) },
        segment: 4,
        end: Position(0x5000),
        last_sequence: Sequence(600),
        last_timestamp: Nanos(0x0700_0000_0000_0000),
        link: [0x22; 32],
    }
}

/// Three closed segments of one epoch, one of another.
fn trail(folder: &Path) -> (Epochs, Directory) {
    let mut epochs = Epochs::new(16 << 10);
    while epochs.segments.len() < 3 {
        epochs.batch(7, 60);
    }
    epochs.batch(5, 60);
    epochs.start_epoch();
    epochs.batch(5, 60);
    epochs.write(folder, true);
    (epochs, Directory::new(folder))
}

/// The origin of a snapshot after segment `index`.
fn origin_after(epochs: &Epochs, directory: &Directory, index: usize) -> SnapshotOrigin {
    match epochs.segments.get(index) {
        Some((next, _)) => {
            let (header, data) = &epochs.segments[index - 1];
            SnapshotOrigin {
                identity: header.identity,
                segment: header.index,
                end: header.base_position.plus(data.len() as u64),
                last_sequence: Sequence(next.base_sequence.0 - 1),
                last_timestamp: next.created,
                link: next.link,
            }
        }
        None => {
            let segments = read_segments(directory).unwrap();
            read_end(directory, segments.last().unwrap()).unwrap()
        }
    }
}

fn take(epochs: &Epochs, directory: &Directory, index: usize) -> SnapshotDigest {
    write(directory, &origin_after(epochs, directory, index), "0.1.0", &sections()).unwrap()
}

fn segments(directory: &Directory) -> Vec<Segment> {
    read_segments(directory).unwrap()
}

/// The file that `FORMAT.md` draws; every byte is written by hand.
#[test]
fn the_golden_snapshot_is_written_and_read() {
    let one = vec![SnapshotSection { name: "definitions", version: 1, body: b"seven b".to_vec() }];
    let bytes = encode(&origin(), "0.1.0", &one);
    let zeros = |count| "00".repeat(count);
    let golden = [
        "5354454c45534e50".into(),
        "01000000".into(),
        "01000000".into(),
        "11".repeat(16),
        "02000000".into(),
        "03000000".into(),
        "0400000000000000".into(),
        "0050000000000000".into(),
        "5802000000000000".into(),
        "0000000000000007".into(),
        "22".repeat(32),
        "1001000000000000".into(),
        format!("302e312e30{}", zeros(27)),
        format!("646566696e6974696f6e73{}", zeros(21)),
        "01000000".into(),
        zeros(4),
        "e800000000000000".into(),
        "0700000000000000".into(),
        "HASH OF THE BODY".into(),
        "736576656e206200".into(),
        "HASH OF ALL".into(),
    ];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let golden = golden.join("");
    let golden = golden.replace("HASH OF THE BODY", &hex(&Sha256::digest(b"seven b")));
    let golden = golden.replace("HASH OF ALL", &hex(&Sha256::digest(&bytes[..240])));
    assert_eq!(hex(&bytes), golden);

    let snapshot = decode(bytes).unwrap().unwrap();
    assert_eq!((snapshot.origin, snapshot.program.as_str()), (origin(), "0.1.0"));
    assert_eq!(snapshot.section("definitions"), Some((1, &b"seven b"[..])));
    assert_eq!(snapshot.section("strategies"), None);
}

#[test]
fn a_snapshot_with_any_bit_flipped_is_refused() {
    let whole = encode(&origin(), "0.1.0", &sections());
    let snapshot = decode(whole.clone()).unwrap().unwrap();
    let machines: Vec<_> = snapshot.machines().collect();
    assert_eq!(machines, [("definitions", 7), ("nothing", 0), ("strategies", 8)]);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = !matches!(decode(bytes), Ok(Ok(_)));
        assert!(refused, "bit {bit}");
    }
    for length in 0..whole.len() {
        assert!(decode(whole[..length].to_vec()).is_err(), "{length} bytes");
    }
    let longer = [&whole[..], &[0; 8]].concat();
    assert!(matches!(decode(longer), Err(SnapshotFault::Length { .. })));
}

/// A table may match its hash and must still not lead out of the file.
#[test]
fn a_table_that_points_elsewhere_is_refused_although_the_hash_matches() {
    let row = size_of::<SnapshotHead>();
    for (at, value) in [(row + 40, u64::MAX), (row + 48, u64::MAX), (row + 48, 1 << 40), (row + 40, 0)] {
        let mut bytes = encode(&origin(), "0.1.0", &sections());
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let end = bytes.len() - HASH_LENGTH;
        let hash = Sha256::digest(&bytes[..end]);
        bytes[end..].copy_from_slice(&hash);
        assert_eq!(decode(bytes).unwrap_err(), SnapshotFault::Table { row: 0 }, "{value} at {at}");
    }
    let mut bytes = encode(&origin(), "0.1.0", &sections());
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let end = bytes.len() - HASH_LENGTH;
    let hash = Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&hash);
    assert!(matches!(decode(bytes), Err(SnapshotFault::Table { .. })));
}

#[test]
fn a_newer_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, directory) = trail(folder.path());
    take(&epochs, &directory, 1);
    let path = folder.path().join(snapshot_name(1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let error = read(&directory, &segments(&directory), 1).unwrap_err();
    assert!(matches!(error, SnapshotError::Newer { version: 2, .. }), "{error}");
}

#[test]
fn the_newest_valid_snapshot_is_used_and_the_refused_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, directory) = trail(folder.path());
    let segments = segments(&directory);
    for index in 1..=4 {
        let digest = take(&epochs, &directory, index);
        let newest = newest(&directory, &segments).unwrap();
        let snapshot = newest.snapshot.unwrap();
        assert_eq!((snapshot.origin.segment, snapshot.digest), (index as u64, digest));
        assert!(newest.refused.is_empty());
        let mode = fs::metadata(folder.path().join(snapshot_name(index as u64))).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o400);
    }
    // One of another trail, one that is cut short, one that was renamed to another's name.
    let mut foreign = origin_after(&epochs, &directory, 4);
    foreign.identity.trail.0[3] ^= 1;
    write(&directory, &foreign, "0.1.0", &sections()).unwrap();
    let third = folder.path().join(snapshot_name(3));
    let bytes = fs::read(&third).unwrap();
    fs::remove_file(&third).unwrap();
    fs::write(&third, &bytes[..bytes.len() - 1]).unwrap();
    fs::remove_file(folder.path().join(snapshot_name(2))).unwrap();
    fs::copy(folder.path().join(snapshot_name(1)), folder.path().join(snapshot_name(2))).unwrap();
    let newest = newest(&directory, &segments).unwrap();
    assert_eq!(newest.snapshot.unwrap().origin.segment, 1);
    let refusals: Vec<String> = newest.refused.iter().map(ToString::to_string).collect();
    let [trail, cut, renamed] = &refusals[..] else { panic!("{refusals:?}") };
    assert!(trail.contains("0000000004.snapshot") && trail.contains("its trail is"), "{trail}");
    assert!(cut.contains("0000000003.snapshot is damaged"), "{cut}");
    assert!(renamed.contains("its segment is 1, expected 2"), "{renamed}");
}

#[test]
fn a_snapshot_of_a_segment_that_was_exchanged_is_refused() {
    for exchanged in [2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let (epochs, directory) = trail(folder.path());
        take(&epochs, &directory, exchanged);
        // Another history of the same trail, up to the same sequence.
        let mut other = epochs;
        let last = other.segments[exchanged - 1].1.len() - 1;
        other.segments[exchanged - 1].1[last] ^= 1;
        let origin = {
            let (header, data) = &other.segments[exchanged - 1];
            let mut crc = crate::format::RunningCrc::default();
            crc.update(data);
            let end = header.base_position.plus(data.len() as u64);
            let last = other
                .segments
                .get(exchanged)
                .map_or(other.sequence, |(next, _)| Sequence(next.base_sequence.0 - 1));
            let link = crate::format::link_after(&header.to_block(), end, last, crc.value());
            SnapshotOrigin {
                identity: header.identity,
                segment: exchanged as u64,
                end,
                last_sequence: last,
                last_timestamp: Nanos(1),
                link,
            }
        };
        let segments = segments(&directory);
        assert!(read(&directory, &segments, exchanged as u64).is_ok());
        write(&directory, &origin, "0.1.0", &sections()).unwrap();
        let error = read(&directory, &segments, exchanged as u64).unwrap_err();
        assert!(matches!(error, SnapshotError::Misfit { field: "link", .. }), "{error}");
    }
}

#[test]
fn old_snapshots_are_removed_except_the_one_that_the_trail_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, directory) = trail(folder.path());
    for index in 1..=4 {
        take(&epochs, &directory, index);
    }
    fs::write(folder.path().join("0000000009.snapshot.unfinished"), "x").unwrap();
    // The first two segments have expired: the trail starts from the snapshot after the second.
    (1..=2).for_each(|index| fs::remove_file(folder.path().join(segment_name(index))).unwrap());
    prune(&directory, &segments(&directory), 1).unwrap();
    assert_eq!(list(&directory).unwrap(), [2, 4]);
    assert!(read(&directory, &segments(&directory), 2).is_ok());
    assert!(!directory.list().unwrap().iter().any(|name| name.ends_with(".unfinished")));
}

#[test]
fn a_damaged_snapshot_does_not_count_among_those_that_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, directory) = trail(folder.path());
    for index in 1..=4 {
        take(&epochs, &directory, index);
    }
    let path = folder.path().join(snapshot_name(4));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    let segments = segments(&directory);
    prune(&directory, &segments, 2).unwrap();
    assert_eq!(list(&directory).unwrap(), [2, 3, 4]);
    prune(&directory, &segments, 3).unwrap();
    assert_eq!(list(&directory).unwrap(), [2, 3, 4], "fewer than three are valid");
}

#[test]
fn a_segment_that_was_not_closed_has_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, directory) = trail(folder.path());
    epochs.write(folder.path(), false);
    let last = *segments(&directory).last().unwrap();
    assert!(matches!(read_end(&directory, &last), Err(TrailError::Frame { .. })));
}
