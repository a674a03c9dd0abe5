//! With any bytes in a trail, reading and recovering it ends with a result, never with a panic, and within
//! bounded memory. `PROPTEST_CASES=100000 cargo test --release -p stele-journal --test any_bytes` runs many
//! cases.

#[path = "any_bytes/bodies.rs"]
mod bodies;

use bodies::{
    SEGMENT_LENGTH, exercise_archive, exercise_index, exercise_segments, exercise_snapshot, header, index_of,
    seal_frames, seal_header, seal_index, seal_snapshot, segment_bytes, snapshot_of,
};
use proptest::prelude::*;
use stele_wire::frame::{seal, write_padding};
use stele_wire::units::{Nanos, Position, Sequence};

/// The number of trails that each test makes.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Returns `valid` with some of its bytes changed by exclusive or.
fn changed(mut valid: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    for &(at, change) in changes {
        let at = at % valid.len();
        valid[at] ^= change;
    }
    valid
}

/// Bytes that often look enough like frames to pass the first check.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => (7usize..80, any::<u64>(), 0u64..20).prop_map(|(words, durable, time)| {
            let mut frame = vec![0; words * 8];
            write_padding(&mut frame, Nanos(time), Position(durable % 20_000), Sequence(0), header(1).identity.seed());
            frame
        }),
        3 => (4usize..40, 0u64..6, 0u64..20).prop_map(|(words, sequence, time)| {
            let mut frame = vec![0; words * 8];
            let length = frame.len() as u16;
            frame[4..6].copy_from_slice(&length.to_le_bytes());
            frame[7] = 1;
            frame[8..16].copy_from_slice(&sequence.to_le_bytes());
            frame[16..24].copy_from_slice(&time.to_le_bytes());
            seal(&mut frame, header(1).identity.seed());
            frame
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..600),
        1 => (0usize..1500).prop_map(|length| vec![0; length]),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// The data of a segment that consists of `count` events.
fn events_of(count: u64) -> Vec<u8> {
    let event = |sequence: u64| {
        let mut frame = vec![0; 40];
        frame[4..6].copy_from_slice(&40u16.to_le_bytes());
        frame[8..16].copy_from_slice(&sequence.to_le_bytes());
        frame[16..24].copy_from_slice(&9u64.to_le_bytes());
        frame
    };
    let mut data: Vec<u8> = (1..=count).flat_map(event).collect();
    seal_frames(&mut data, 0);
    data
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_data_after_valid_headers(files in proptest::collection::vec(data(), 1..3), full in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let file = |(at, data): (usize, &Vec<u8>)| {
            let mut bytes = segment_bytes(at as u64 + 1, data);
            if full {
                bytes.resize(4096 + SEGMENT_LENGTH, 0);
            }
            bytes
        };
        exercise_segments(folder.path(), &files.iter().enumerate().map(file).collect::<Vec<_>>());
    }

    #[test]
    fn any_frames_with_right_crcs_after_any_header_with_a_right_crc(
        data in proptest::collection::vec(any::<u8>(), 0..2000),
        spared in any::<u64>(),
        changes in proptest::collection::vec((0usize..144, any::<u8>()), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut data = data;
        data.chunks_exact_mut(40).for_each(|frame| frame[4..6].copy_from_slice(&[40, 0]));
        seal_frames(&mut data, spared);
        let mut file = changed(segment_bytes(1, &data), &changes);
        seal_header(&mut file);
        exercise_segments(folder.path(), &[file]);
    }

    #[test]
    fn any_bytes_at_all(files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        exercise_segments(folder.path(), &files);
    }

    #[test]
    fn any_bytes_as_an_index(
        data in data(),
        index in proptest::collection::vec(any::<u8>(), 0..900),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..9),
    ) {
        let folder = tempfile::tempdir().unwrap();
        exercise_index(folder.path(), &data, &index);
        let folder = tempfile::tempdir().unwrap();
        if let Some(valid) = index_of(folder.path(), &data) {
            let mut index = changed(valid, &changes);
            seal_index(&mut index);
            exercise_index(folder.path(), &data, &index);
        }
    }

    #[test]
    fn any_bytes_as_an_archive(data in data(), archive in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let folder = tempfile::tempdir().unwrap();
        exercise_archive(folder.path(), &[segment_bytes(1, &data)], &archive);
    }

    #[test]
    fn any_bytes_as_a_snapshot(
        events in 0u64..5,
        index in prop_oneof![Just(1u64), Just(2), any::<u64>()],
        states in proptest::collection::vec(any::<u8>(), 2..90),
        changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..900),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let data = events_of(events);
        let states = states.split_at(states.len() / 2);
        let valid = snapshot_of(folder.path(), &data, [states.0, states.1]).expect("the events are whole");
        exercise_snapshot(folder.path(), &data, 1, &valid);
        let mut sealed = changed(valid, &changes);
        seal_snapshot(&mut sealed);
        exercise_snapshot(folder.path(), &data, index, &sealed);
        exercise_snapshot(folder.path(), &data, index, &bytes);
    }
}

#[test]
fn a_snapshot_after_the_last_possible_segment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = snapshot_of(folder.path(), &[], [&[], &[]]).expect("no event is whole");
    bytes[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    seal_snapshot(&mut bytes);
    exercise_snapshot(folder.path(), &[], u64::MAX, &bytes);
}
