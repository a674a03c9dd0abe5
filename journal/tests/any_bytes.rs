//! Whatever bytes a trail is made of, reading and recovering it ends with a result, never with a panic, and within
//! bounded memory. `PROPTEST_CASES=100000 cargo test --release -p stele-journal --test any_bytes` runs it for long.

use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use stele_journal::format::{SegmentHeader, segment_name};
use stele_journal::index::{index_name, make_index};
use stele_journal::recovery::recover;
use stele_journal::scan::ScanOptions;
use stele_journal::survey::survey;
use stele_journal::verify::{LogVisitor, verify, verify_with};
use stele_journal::{Directory, Segment, TrailReader};
use stele_wire::Frame;
use stele_wire::frame::{Identity, seal, write_padding};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;

/// Far more than what a reader, a scan and a survey at a time keep, far less than what a length in the bytes can say.
const LIVE_BYTES_MAX: usize = 256 << 20;

/// Counts the bytes that are allocated, and ends the test when those are too many.
struct Bounded;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it hands on to the system's allocator what it is asked for, and counts beside it.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        if live > LIVE_BYTES_MAX {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Sees every frame and believes nothing.
#[derive(Default)]
struct Last(Option<u64>);

impl LogVisitor for Last {
    fn on_segment(&mut self, _: &Segment) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn on_frame(&mut self, _: Position, frame: &Frame<'_>) -> ControlFlow<()> {
        if !frame.is_padding() {
            let sequence = frame.sequence().0;
            assert!(self.0.is_none_or(|last| last + 1 == sequence), "{sequence} behind {:?}", self.0);
            self.0 = Some(sequence);
        }
        ControlFlow::Continue(())
    }
}

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

/// How many trails each test makes.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
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
        let _ = reader.seek_position(Position(8200));
    }
    let options = ScanOptions { threads: 1, plain: true, progress: None };
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
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

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

    #[test]
    fn any_bytes_as_an_index_and_as_an_archive(
        data in data(),
        index in proptest::collection::vec(any::<u8>(), 0..900),
        archive in proptest::collection::vec(any::<u8>(), 0..9000),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let header = header(1);
        let mut bytes = header.to_block().as_bytes().to_vec();
        bytes.extend_from_slice(&data);
        std::fs::write(folder.path().join(segment_name(1)), bytes).unwrap();
        std::fs::write(folder.path().join(index_name(1)), index).unwrap();
        std::fs::write(folder.path().join("0000000002.stele.zst"), archive).unwrap();
        exercise(folder.path());
    }
}
