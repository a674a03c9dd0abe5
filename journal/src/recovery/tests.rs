use super::*;
use crate::directory::Directory;
use crate::fixture::Epochs;
use crate::reader::TrailReader;
use crate::survey::survey;
use std::path::Path;

fn evidence() -> Evidence {
    Evidence {
        broken_chain: false,
        any_segment: true,
        end: Position(1024),
        floor: Position(1024),
        ends_with_file: true,
        strays: false,
        files_after: false,
    }
}

#[test]
fn row_a_nothing_was_ever_written() {
    assert_eq!(decide(&Evidence { any_segment: false, ..evidence() }), RecoveryRow::A);
}

#[test]
fn row_a_ignores_ends_and_floors_without_a_segment() {
    for strays in [true, false] {
        let evidence = Evidence { any_segment: false, floor: Position(2048), strays, ..evidence() };
        assert_eq!(decide(&evidence), RecoveryRow::A);
    }
}

#[test]
fn row_b_a_broken_chain_is_refused_whatever_else_holds() {
    for bits in 0..16u32 {
        let evidence = Evidence {
            broken_chain: true,
            any_segment: bits & 1 != 0,
            floor: Position(u64::from(bits & 2) * 4096),
            strays: bits & 4 != 0,
            ends_with_file: bits & 8 != 0,
            ..evidence()
        };
        assert_eq!(decide(&evidence), RecoveryRow::B);
    }
}

#[test]
fn row_c_a_clean_stop() {
    assert_eq!(decide(&evidence()), RecoveryRow::C);
    assert_eq!(decide(&Evidence { floor: Position(512), ..evidence() }), RecoveryRow::C);
}

#[test]
fn row_d_zeros_after_the_end() {
    assert_eq!(decide(&Evidence { ends_with_file: false, ..evidence() }), RecoveryRow::D);
}

#[test]
fn row_e_unacknowledged_bytes_or_files_after_the_end() {
    for ends_with_file in [true, false] {
        assert_eq!(decide(&Evidence { strays: true, ends_with_file, ..evidence() }), RecoveryRow::E);
        assert_eq!(decide(&Evidence { files_after: true, ends_with_file, ..evidence() }), RecoveryRow::E);
    }
}

#[test]
fn row_f_the_end_is_below_the_floor() {
    for strays in [true, false] {
        let evidence = Evidence { floor: Position(1025), strays, files_after: strays, ..evidence() };
        assert_eq!(decide(&evidence), RecoveryRow::F);
    }
}

fn recover_in(folder: &Path) -> Result<(RecoveryReport, Continuation), RecoveryError> {
    let directory = Directory::new(folder);
    recover(&directory, survey(&directory).unwrap())
}

fn trail() -> Epochs {
    let mut epochs = Epochs::new(16 << 10);
    while epochs.segments.len() < 2 {
        epochs.batch(5, 60);
    }
    for _ in 0..6 {
        epochs.batch(4, 60);
    }
    epochs
}

fn events_in(folder: &Path) -> u64 {
    let mut reader = TrailReader::open(folder).unwrap();
    let mut last = 0;
    while let Some(entry) = reader.read_next().unwrap() {
        last += 1;
        assert_eq!(entry.frame.sequence(), Sequence(last));
    }
    last
}

/// The model: `kept` intact events remain, namely those before the first changed byte, or recovery refuses
/// because acknowledged bytes changed.
fn check(epochs: &Epochs, changed: Position, change: impl Fn(&mut Vec<u8>, usize)) {
    let folder = tempfile::tempdir().unwrap();
    epochs.write(folder.path(), false);
    let (header, _) = epochs.segments.last().unwrap();
    let path = folder.path().join(segment_name(header.index));
    let mut bytes = std::fs::read(&path).unwrap();
    let before = bytes.clone();
    change(&mut bytes, header.file_offset(changed) as usize);
    std::fs::write(&path, &bytes).unwrap();
    let whole = epochs.events.iter().filter(|event| event.0.0 + event.1 as u64 <= changed.0).count() as u64;
    match recover_in(folder.path()) {
        Err(RecoveryError::Damaged { position, floor, after, .. }) => {
            assert!(position < floor && floor <= epochs.floor(), "{position} {floor}");
            assert!(position <= changed);
            assert_eq!(after, Sequence(whole));
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "a refusal changes nothing");
        }
        Ok((report, next)) => {
            assert!(changed >= report.floor && report.end >= report.floor, "acknowledged bytes were cut");
            assert!(report.last_sequence.0 >= whole && report.last_sequence <= epochs.sequence);
            assert!(matches!(report.row, RecoveryRow::D | RecoveryRow::E), "{report:?}");
            assert_eq!(events_in(folder.path()), report.last_sequence.0);
            for cut in &report.cuts {
                let kept = std::fs::read(&cut.kept).unwrap();
                let offset = cut.offset as usize;
                assert_eq!(kept, bytes[offset..offset + cut.bytes as usize]);
            }
            let (again, same) = recover_in(folder.path()).unwrap();
            assert_eq!(again.row, RecoveryRow::C, "recovery is done after the first time");
            assert_eq!((again.end, same), (report.end, next));
        }
        Err(other) => panic!("{other}"),
    }
    assert_eq!(before.len(), bytes.len());
}

fn positions(epochs: &Epochs) -> impl Iterator<Item = Position> {
    let base = epochs.segments.last().unwrap().0.base_position.0;
    let length = epochs.position.0 - base;
    // Every 8 bytes around each batch's end, and a sample of all positions.
    let edges: Vec<u64> = epochs.batches.iter().filter(|end| end.0 > base).map(|end| end.0 - base).collect();
    (0..length)
        .filter(move |at| at % 37 == 0 || edges.iter().any(|edge| edge.abs_diff(*at) <= 9))
        .map(move |at| Position(base + at))
}

#[test]
fn cut_at_any_byte_recovery_keeps_what_is_before_it_or_refuses_below_the_floor() {
    let epochs = trail();
    let mut tried = 0;
    for position in positions(&epochs) {
        check(&epochs, position, |bytes, at| bytes[at..].fill(0));
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn damaged_at_any_byte_recovery_keeps_what_is_before_it_or_refuses_below_the_floor() {
    let epochs = trail();
    for position in positions(&epochs).step_by(2) {
        check(&epochs, position, |bytes, at| bytes[at] ^= 0x40);
    }
}

#[test]
fn every_segment_from_the_floors_on_is_closed_before_the_log_goes_on() {
    let mut epochs = Epochs::new(16 << 10);
    epochs.lag = 1_000;
    while epochs.segments.len() < 3 {
        epochs.batch(5, 60);
    }
    epochs.batch(5, 60);
    let folder = tempfile::tempdir().unwrap();
    epochs.write(folder.path(), false);
    let is_closed =
        |index| std::fs::metadata(folder.path().join(segment_name(index))).unwrap().permissions().readonly();
    assert!(!is_closed(1) && !is_closed(2) && !is_closed(3), "the writer was killed");
    let (report, _) = recover_in(folder.path()).unwrap();
    assert!(report.floor < epochs.segments[1].0.base_position, "the floor lies in the first segment");
    assert!(is_closed(1) && is_closed(2) && is_closed(3));
}
