use super::*;
use crate::fixture::Epochs;
use crate::reader::TrailReader;
use proptest::prelude::*;
use std::path::Path;

fn index() -> SegmentIndex {
    SegmentIndex {
        identity: Identity { trail: TrailId(*b"0123456789abcdef"), shard: ShardId(7), epoch: Epoch(3) },
        index: 42,
        base_position: Position(0x0102_0600),
        end_position: Position(0x0112_0600),
        base_sequence: Sequence(1_001),
        last_sequence: Sequence(1_003),
        first_timestamp: Nanos(0x11),
        last_timestamp: Nanos(0x13),
        events: 3,
        data_crc: 0xaabb_ccdd,
        templates: [((1, 101), 2), ((1, 514), 1)].into(),
        entries: vec![IndexEntry { sequence: Sequence(1_001), timestamp: Nanos(0x11), offset: 4096 }],
    }
}

/// The bytes of an index are frozen, so that other programs can use it.
#[test]
fn an_index_is_these_bytes_and_reads_back() {
    let mut golden = b"STELEIDX\x01\0\0\0\xdd\xcc\xbb\xaa0123456789abcdef\x07\0\0\0\x03\0\0\0".to_vec();
    for field in [42u64, 0x0102_0600, 0x0112_0600, 1_001, 1_003, 0x11, 0x13, 3] {
        golden.extend_from_slice(&field.to_le_bytes());
    }
    golden.extend_from_slice(b"\x02\0\0\0\x01\0\0\0");
    golden.extend_from_slice(b"\x01\0\x65\0\0\0\0\0\x02\0\0\0\0\0\0\0");
    golden.extend_from_slice(b"\x01\0\x02\x02\0\0\0\0\x01\0\0\0\0\0\0\0");
    for field in [1_001u64, 0x11, 4096] {
        golden.extend_from_slice(&field.to_le_bytes());
    }
    golden.extend_from_slice(&crc32c(&golden).to_le_bytes());
    assert_eq!(index().to_bytes(), golden);
    assert_eq!(SegmentIndex::from_bytes(&golden), Some(index()));
}

#[test]
fn the_table_in_format_md_is_the_codes_layout() {
    let page = include_str!("../../FORMAT.md");
    let section = page.split("## Index\n").nth(1).unwrap().split("\n## ").next().unwrap();
    macro_rules! rows {
        ($($field:ident),*) => {{
            let head = <Head as zerocopy::FromZeros>::new_zeroed();
            [$((stringify!($field), std::mem::offset_of!(Head, $field), size_of_val(&head.$field))),*]
        }};
    }
    let fields = rows!(
        magic,
        version,
        data_crc,
        trail,
        shard,
        epoch,
        index,
        base_position,
        end_position,
        base_sequence,
        last_sequence,
        first_timestamp,
        last_timestamp,
        events,
        templates,
        entries
    );
    for (field, offset, length) in fields {
        let row = format!("| {offset} | {length} | {field} |");
        assert!(section.lines().any(|line| line.starts_with(&row)), "{row}");
    }
    assert_eq!(section.lines().filter(|line| line.starts_with("| ")).count(), fields.len() + 1);
}

#[test]
fn a_flipped_bit_or_a_missing_byte_anywhere_makes_an_index_invalid() {
    let bytes = index().to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentIndex::from_bytes(&changed), None, "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(SegmentIndex::from_bytes(&bytes[..length]), None);
    }
}

/// Three segments of a mebibyte; the last one may be closed early.
fn trail(folder: &Path, closed: bool) -> Epochs {
    let mut epochs = Epochs::new(1 << 20);
    while epochs.segments.len() < 3 {
        epochs.batch(50, 900);
    }
    for _ in 0..8 {
        epochs.batch(50, 900);
    }
    epochs.write(folder, closed);
    epochs
}

#[test]
fn an_indexer_makes_the_missing_indexes_of_closed_segments_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let epochs = trail(folder.path(), false);
    let directory = Directory::new(folder.path());
    let mut indexer = Indexer::for_trail(&directory, 0..4);
    indexer.finish(&directory);
    for (header, data) in &epochs.segments[..2] {
        let segment = Segment { header: *header, file_length: 4096 + data.len() as u64 };
        let index = SegmentIndex::read(&directory, &segment).unwrap();
        let mut crc = RunningCrc::default();
        crc.update(data);
        assert_eq!(index.data_crc, crc.value());
        assert_eq!(index.last_sequence.0 + 1, header.base_sequence.0 + index.events);
        assert_eq!(index.templates.values().sum::<u64>(), index.events);
        assert!((3..=5).contains(&index.entries.len()), "{}", index.entries.len());
        assert_eq!(index.end_position, header.end_position());
    }
    assert!(!folder.path().join(index_name(3)).exists(), "an open segment has none");
    assert!(!Indexer::for_trail(&directory, 0..3).do_work(&directory), "nothing is made twice");
    epochs.write(folder.path(), true);
    assert!(make_index(&directory, 3).unwrap().is_some());
    std::fs::write(folder.path().join(index_name(1)), b"nonsense").unwrap();
    let mut indexer = Indexer::for_trail(&directory, 0..4);
    assert_eq!(indexer.waiting, [1]);
    indexer.finish(&directory);
    assert!(Indexer::for_trail(&directory, 0..4).waiting.is_empty());
}

#[test]
fn a_damaged_segment_gets_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let epochs = trail(folder.path(), true);
    let path = folder.path().join("0000000002.stele");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = epochs.segments[1].0;
    let (position, ..) = *epochs.events.iter().find(|event| event.0 >= header.base_position).unwrap();
    let at = header.file_offset(position) as usize;
    bytes[at + 8] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(make_index(&Directory::new(folder.path()), 2).unwrap(), None);
}

/// Where every kind of seek ends: position, and last sequence and time before the cursor.
fn seeks(folder: &Path, epochs: &Epochs) -> Vec<(Position, Sequence, Nanos)> {
    let mut reader = TrailReader::open(folder).unwrap();
    let mut found = Vec::new();
    for &(position, _, sequence) in epochs.events.iter().step_by(211) {
        reader.seek(sequence).unwrap();
        found.push((reader.position(), reader.last_sequence(), reader.last_timestamp()));
        let time = reader.read_next().unwrap().unwrap().frame.timestamp();
        reader.seek_time(time).unwrap();
        found.push((reader.position(), reader.last_sequence(), reader.last_timestamp()));
        for position in [position, Position(position.0 + 1)] {
            reader.seek_position(position).unwrap();
            found.push((reader.position(), reader.last_sequence(), reader.last_timestamp()));
        }
    }
    found
}

#[test]
fn seeking_with_an_index_ends_where_seeking_without_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let epochs = trail(folder.path(), true);
    let without = seeks(folder.path(), &epochs);
    for index in 1..=3 {
        make_index(&Directory::new(folder.path()), index).unwrap().unwrap();
    }
    assert_eq!(seeks(folder.path(), &epochs), without);
}

/// An index that is valid and of this segment, but whose entries are arbitrary; some of them are correct.
fn lies(epochs: &Epochs, truth: &SegmentIndex, picks: &[(usize, usize, u64)]) -> SegmentIndex {
    let header = epochs.segments[0].0;
    let inside: Vec<_> = epochs.events.iter().filter(|event| event.0 < header.end_position()).collect();
    let entry = |&(place, named, time): &(usize, usize, u64)| IndexEntry {
        sequence: inside[named % inside.len()].2,
        timestamp: Nanos(time % (2 * epochs.time.0)),
        offset: header.file_offset(inside[place % inside.len()].0) + time % 2 * 8,
    };
    SegmentIndex { entries: picks.iter().map(entry).collect(), ..truth.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_any_entries_in_an_index_seeks_end_at_the_same_place(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        picks in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<u64>()), 0..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let epochs = trail(folder.path(), true);
        let without = seeks(folder.path(), &epochs);
        let truth = make_index(&Directory::new(folder.path()), 1).unwrap().unwrap();
        for bytes in [bytes, lies(&epochs, &truth, &picks).to_bytes()] {
            std::fs::write(folder.path().join(index_name(1)), bytes).unwrap();
            prop_assert_eq!(&seeks(folder.path(), &epochs), &without);
        }
    }
}
