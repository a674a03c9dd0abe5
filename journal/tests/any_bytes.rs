//! Whatever bytes a trail is made of, reading and recovering it ends with a result and never with a panic.

use proptest::prelude::*;
use std::path::Path;
use stele_journal::format::{SegmentHeader, segment_name};
use stele_journal::recovery::recover;
use stele_journal::scan::ScanOptions;
use stele_journal::survey::survey;
use stele_journal::verify::verify;
use stele_journal::{Directory, TrailReader};
use stele_wire::frame::{Identity, seal, write_padding};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;

fn header(index: u64) -> SegmentHeader {
    SegmentHeader {
        identity: Identity { trail: TrailId([1; 16]), shard: ShardId(0), epoch: Epoch(1) },
        index,
        block_length: 512,
        segment_length: 8192,
        base_position: Position((index - 1) * 8192),
        base_sequence: Sequence(1),
        created: Nanos(5),
        link: [0; 32],
        schema: [0; 32],
    }
}

/// Reads, verifies and recovers; the results may be anything but a panic or an endless loop.
fn exercise(folder: &Path) {
    let directory = Directory::new(folder);
    if let Ok(mut reader) = TrailReader::open(folder) {
        let mut frames = 0;
        while let Ok(Some(_)) = reader.read_next_frame() {
            frames += 1;
            assert!(frames < 100_000);
        }
        let _ = reader.seek(Sequence(3));
        let _ = reader.seek_time(Nanos(9));
    }
    let _ = verify(&directory, &ScanOptions { threads: 1, plain: true, progress: None });
    if let Ok(found) = survey(&directory)
        && let Ok((report, _)) = recover(&directory, found)
    {
        let again = survey(&directory).map(|found| recover(&directory, found));
        if let Ok(Ok((second, _))) = again {
            assert_eq!(second.end, report.end, "recovery run twice comes to the same end");
        }
    }
}

/// Bytes that look like frames often enough to get past the first check.
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_data_behind_valid_headers(files in proptest::collection::vec(data(), 1..3), full in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        for (at, data) in files.iter().enumerate() {
            let header = header(at as u64 + 1);
            let mut bytes = header.to_block().as_bytes().to_vec();
            bytes.extend_from_slice(data);
            if full {
                bytes.resize(4096 + 8192, 0);
            }
            std::fs::write(folder.path().join(segment_name(header.index)), bytes).unwrap();
        }
        exercise(folder.path());
    }

    #[test]
    fn any_bytes_at_all(files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        for (at, bytes) in files.iter().enumerate() {
            std::fs::write(folder.path().join(segment_name(at as u64 + 1)), bytes).unwrap();
        }
        exercise(folder.path());
    }
}
