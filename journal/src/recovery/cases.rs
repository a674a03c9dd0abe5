//! What a writer, a disk or a person may leave of a trail, one test for each case, on bytes.
//!
//! The trail has three segments and ends in the middle of the third. Padding records the durable watermark
//! two batches late, so the floor is two batches before the end.

use super::*;
use crate::directory::Directory;
use crate::fixture::{BLOCK, Epochs};
use crate::reader::TrailReader;
use crate::survey::survey;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use zerocopy::IntoBytes;

const SEGMENT_LENGTH: u64 = 256 << 10;

fn trail() -> Epochs {
    let mut epochs = Epochs::new(SEGMENT_LENGTH);
    while epochs.segments.len() < 3 {
        epochs.batch(40, 900);
    }
    for _ in 0..6 {
        epochs.batch(4, 60);
    }
    epochs
}

fn recover_in(folder: &Path) -> Result<(RecoveryReport, Continuation), RecoveryError> {
    let directory = Directory::new(folder);
    recover(&directory, survey(&directory).unwrap())
}

/// Every file in `folder` and below it.
fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    files
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

/// Recovers the trail after `change`. Checks that a second recovery gives the same result, and that the
/// report is correct.
fn recovered(epochs: &Epochs, closed: bool, change: impl Fn(&Path)) -> RecoveryReport {
    let folder = tempfile::tempdir().unwrap();
    epochs.write(folder.path(), closed);
    change(folder.path());
    let before = files_in(folder.path());
    let (report, next) = recover_in(folder.path()).unwrap();
    for cut in &report.cuts {
        let from = &before[&cut.file][cut.offset as usize..][..cut.bytes as usize];
        assert_eq!(fs::read(&cut.kept).unwrap(), from, "what was cut is kept");
    }
    let (again, same) = recover_in(folder.path()).unwrap();
    assert!(matches!(again.row, RecoveryRow::A | RecoveryRow::C) && again.cuts.is_empty(), "{again:?}");
    assert_eq!(same, next);
    if report.row != RecoveryRow::A {
        assert_eq!(events_in(folder.path()), report.last_sequence.0);
    }
    report
}

/// Returns the message with which recovery refuses the trail after `change`. Checks that nothing changed.
fn refused(epochs: &Epochs, closed: bool, change: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    epochs.write(folder.path(), closed);
    change(folder.path());
    let before = files_in(folder.path());
    let text = recover_in(folder.path()).unwrap_err().to_string();
    assert!(files_in(folder.path()) == before, "a refusal changes nothing");
    let hint = format!("Nothing was changed: `stele repair {}", folder.path().display());
    assert!(text.contains(&hint), "{text}");
    text
}

fn path(folder: &Path, index: u64) -> std::path::PathBuf {
    folder.join(segment_name(index))
}

/// Changes the bytes of segment `index`.
fn edit(folder: &Path, index: u64, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path(folder, index)).unwrap();
    change(&mut bytes);
    fs::write(path(folder, index), bytes).unwrap();
}

/// Offset of `position` in the file of the last segment.
fn offset(epochs: &Epochs, position: Position) -> usize {
    epochs.segments.last().unwrap().0.file_offset(position) as usize
}

/// The end of the batch that is `back` batches before the last one.
fn batch_end(epochs: &Epochs, back: usize) -> Position {
    epochs.batches[epochs.batches.len() - 1 - back]
}

#[test]
fn a_clean_stop_is_continued_after_its_last_frame() {
    let epochs = trail();
    let report = recovered(&epochs, true, |_| {});
    assert_eq!(
        (report.row, report.end, report.last_sequence),
        (RecoveryRow::C, epochs.position, epochs.sequence)
    );
}

#[test]
fn a_kill_with_nothing_in_flight_leaves_zeros_to_cut() {
    let epochs = trail();
    let report = recovered(&epochs, false, |_| {});
    assert_eq!((report.row, report.end, report.cuts.len()), (RecoveryRow::D, epochs.position, 0));
}

#[test]
fn a_torn_last_batch_is_cut_at_its_first_missing_block_and_kept() {
    let epochs = trail();
    let torn = batch_end(&epochs, 1).plus(u64::from(BLOCK) / 2);
    let report = recovered(&epochs, false, |folder| {
        edit(folder, 3, |bytes| bytes[offset(&epochs, torn)..][..8].fill(0xaa));
    });
    assert_eq!(report.row, RecoveryRow::E);
    assert!(report.end >= batch_end(&epochs, 1) && report.end <= torn, "{report:?}");
    assert_eq!(report.cuts.len(), 1);
}

#[test]
fn a_gap_above_the_floor_ends_the_log_and_the_batch_after_it_is_kept() {
    let epochs = trail();
    let (from, to) = (batch_end(&epochs, 2), batch_end(&epochs, 1));
    let report = recovered(&epochs, false, |folder| {
        edit(folder, 3, |bytes| bytes[offset(&epochs, from)..offset(&epochs, to)].fill(0));
    });
    assert_eq!((report.row, report.end), (RecoveryRow::E, from));
    let behind = report.cuts[0].sequences.unwrap();
    assert_eq!(behind, (Sequence(epochs.sequence.0 - 3), epochs.sequence));
}

#[test]
fn a_gap_below_the_floor_is_refused_with_what_is_intact_on_both_sides() {
    let epochs = trail();
    let (from, to) = (batch_end(&epochs, 5), batch_end(&epochs, 4));
    let text = refused(&epochs, false, |folder| {
        edit(folder, 3, |bytes| bytes[offset(&epochs, from)..offset(&epochs, to)].fill(0));
    });
    assert!(
        text.contains(&format!("0000000003.stele, offset {} (position {from})", offset(&epochs, from))),
        "{text}"
    );
    let after = epochs.sequence.0 - 20;
    assert!(text.contains(&format!("up to sequence {after}; the log was durable up to")), "{text}");
    let (low, high) = (after + 5, epochs.sequence);
    assert!(text.contains(&format!("intact events between sequences {low} and {high}")), "{text}");
}

/// The blocks of a new file may hold bytes of an earlier use of the disk, or of the trail itself.
#[test]
fn valid_looking_old_bytes_after_the_end_are_never_taken_for_the_log() {
    let epochs = trail();
    let mut older = Epochs::new(SEGMENT_LENGTH);
    older.identity.epoch = Epoch(7);
    (older.sequence, older.time) = (epochs.sequence, epochs.time);
    older.segments.clear();
    older.start_epoch();
    older.batch(9, 60);
    let report = recovered(&epochs, false, |folder| {
        edit(folder, 3, |bytes| {
            let (at, stale) = (offset(&epochs, epochs.position), &older.segments[0].1);
            bytes[at..at + stale.len()].copy_from_slice(stale);
        });
    });
    assert_eq!(
        (report.row, report.end, report.last_sequence),
        (RecoveryRow::E, epochs.position, epochs.sequence)
    );
    assert_eq!(report.cuts[0].sequences, None, "they are not events of this log");
}

#[test]
fn unused_prepared_segments_are_removed_even_when_one_of_them_is_lost() {
    let epochs = trail();
    for lost in [None, Some(4), Some(5)] {
        let report = recovered(&epochs, true, |folder| {
            for index in (4..=6).filter(|index| Some(*index) != lost) {
                fs::write(path(folder, index), vec![0; 4096 + SEGMENT_LENGTH as usize]).unwrap();
            }
        });
        assert_eq!(
            (report.row, report.segments, report.end),
            (RecoveryRow::C, 3, epochs.position),
            "{lost:?}"
        );
    }
}

#[test]
fn a_trailing_segment_of_zeros_of_any_length_is_removed() {
    let epochs = trail();
    for length in [4096, 8192, 5000] {
        let report = recovered(&epochs, true, |folder| fs::write(path(folder, 4), vec![0; length]).unwrap());
        assert_eq!((report.segments, report.cuts.len()), (3, 0), "{length}");
    }
}

#[test]
fn a_half_created_segment_is_removed_and_its_content_is_kept() {
    let epochs = trail();
    for held in [&b""[..], b"STEL", &[7; 5000]] {
        let report = recovered(&epochs, false, |folder| fs::write(path(folder, 4), held).unwrap());
        assert_eq!((report.row, report.end), (RecoveryRow::E, epochs.position));
        assert_eq!(report.cuts.iter().map(|cut| cut.bytes).sum::<u64>(), held.len() as u64);
    }
}

#[test]
fn a_torn_header_of_the_next_segment_is_removed_because_nothing_after_it_was_acknowledged() {
    let epochs = trail();
    let report = recovered(&epochs, false, |folder| {
        let mut bytes = vec![0; 4096 + SEGMENT_LENGTH as usize];
        let mut header = epochs.segments[2].0;
        header.index = 4;
        bytes[..512].copy_from_slice(&header.to_block().as_bytes()[..512]);
        fs::write(path(folder, 4), bytes).unwrap();
    });
    assert_eq!((report.row, report.segments, report.cuts[0].segment), (RecoveryRow::E, 3, 4));
}

#[test]
fn a_first_start_torn_within_its_header_begins_again_and_the_torn_block_is_kept() {
    let mut epochs = Epochs::new(SEGMENT_LENGTH);
    epochs.batch(3, 60);
    let report = recovered(&epochs, false, |folder| {
        edit(folder, 1, |bytes| {
            bytes[144..].fill(0);
            bytes[512..1024].fill(3);
        });
        fs::write(path(folder, 2), vec![0; 4096 + SEGMENT_LENGTH as usize]).unwrap();
    });
    assert_eq!((report.row, report.last_sequence, report.segments), (RecoveryRow::A, Sequence(0), 0));
    assert_eq!((report.cuts[0].segment, report.cuts[0].offset, report.cuts[0].bytes), (1, 0, 1024));
}

/// A header is written before everything else in its segment: if anything follows it, it was valid once and
/// has rotted.
#[test]
fn a_rotten_header_of_the_only_segment_is_not_taken_for_a_torn_first_start() {
    let mut epochs = Epochs::new(SEGMENT_LENGTH);
    epochs.batch(3, 60);
    for closed in [true, false] {
        let text = refused(&epochs, closed, |folder| edit(folder, 1, |bytes| bytes[50] ^= 1));
        assert!(text.contains("0000000001.stele: the header's CRC"), "{text}");
    }
    let short = refused(&epochs, false, |folder| edit(folder, 1, |bytes| bytes.truncate(4000)));
    assert!(short.contains("within its header"), "{short}");
    let wiped = refused(&epochs, false, |folder| edit(folder, 1, |bytes| bytes[..4096].fill(0)));
    assert!(wiped.contains("0000000001.stele: the header is blank"), "{wiped}");
}

#[test]
fn a_damaged_header_of_the_first_a_middle_or_the_last_segment_is_refused() {
    let epochs = trail();
    let first = refused(&epochs, true, |folder| edit(folder, 1, |bytes| bytes[50] ^= 1));
    assert!(first.contains("0000000001.stele: the header's CRC"), "{first}");
    assert!(
        first.contains("No segment before it is intact; after it 2 have valid headers, of which 2 begins")
    );
    let middle = refused(&epochs, true, |folder| edit(folder, 2, |bytes| bytes[50] ^= 1));
    let sequence = epochs.segments[2].0.base_sequence;
    assert!(middle.contains("0000000002.stele: the header's CRC"), "{middle}");
    assert!(middle.contains("Before it the segments up to 1 belong together"), "{middle}");
    assert!(
        middle.contains(&format!(
            "after it 1 have valid headers, of which 3 begins at position 524288 with sequence {sequence}"
        )),
        "{middle}"
    );
    // Its content shows that it was acknowledged: the log ends before it, below the floor.
    for closed in [true, false] {
        let last = refused(&epochs, closed, |folder| edit(folder, 3, |bytes| bytes[50] ^= 1));
        assert!(last.contains("acknowledged bytes are damaged"), "{last}");
        assert!(last.contains(&format!("{} follow the damage", epochs.sequence)), "{last}");
    }
}

/// Two headers that rotted at the end: the epoch of the second is later than the one before both.
#[test]
fn what_two_later_epochs_acknowledged_after_damaged_headers_is_not_cut() {
    let mut epochs = trail();
    for _ in 0..2 {
        epochs.start_epoch();
        epochs.lag = 0;
        (0..3).for_each(|_| epochs.batch(4, 60));
    }
    let text = refused(&epochs, true, |folder| {
        edit(folder, 4, |bytes| bytes.truncate(4096));
        (4..=5).for_each(|index| edit(folder, index, |bytes| bytes[50] ^= 1));
    });
    assert!(text.contains("acknowledged bytes are damaged"), "{text}");
}

#[test]
fn a_flipped_bit_before_the_recorded_watermark_is_refused_and_one_after_it_is_cut() {
    let epochs = trail();
    let flip = |position: Position, folder: &Path| {
        edit(folder, 3, |bytes| bytes[offset(&epochs, position) + 40] ^= 4);
    };
    let floor = epochs.floor();
    let below = batch_end(&epochs, 5);
    assert!(below < floor && epochs.segments[2].0.base_position < below);
    let text = refused(&epochs, false, |folder| flip(below, folder));
    assert!(text.contains("acknowledged bytes are damaged") && text.contains("CRC"), "{text}");
    let report = recovered(&epochs, false, |folder| flip(floor, folder));
    assert_eq!((report.row, report.end, report.floor), (RecoveryRow::E, floor, floor));
}

#[test]
fn a_missing_middle_segment_is_refused_by_name() {
    let epochs = trail();
    let text = refused(&epochs, true, |folder| fs::remove_file(path(folder, 2)).unwrap());
    assert!(text.contains("0000000002.stele is missing although later segments exist"), "{text}");
    assert!(text.contains("after it 1 have valid headers, of which 3 begins"), "{text}");
}

#[test]
fn a_segment_of_another_shard_or_trail_is_refused_wherever_it_was_copied_to() {
    let epochs = trail();
    let mut foreign = trail();
    for (header, _) in &mut foreign.segments {
        header.identity.shard.0 = 77;
    }
    let other = tempfile::tempdir().unwrap();
    foreign.write(other.path(), true);
    for index in 2..=4 {
        let text = refused(&epochs, true, |folder| {
            let mut header = foreign.segments[1].0;
            header.index = index;
            fs::write(path(folder, index), header.to_block().as_bytes()).unwrap();
        });
        assert!(
            text.contains(&format!("{index:010}.stele does not belong here: its shard is 77, expected 2")),
            "{text}"
        );
    }
    let first = refused(&epochs, true, |folder| {
        fs::copy(path(other.path(), 1), path(folder, 1)).unwrap();
    });
    assert!(first.contains("0000000002.stele does not belong here: its shard is 2, expected 77"), "{first}");
}

#[test]
fn a_renamed_or_copied_segment_of_the_same_trail_is_refused() {
    let epochs = trail();
    let renamed = refused(&epochs, true, |folder| {
        fs::rename(path(folder, 3), path(folder, 4)).unwrap();
    });
    assert!(
        renamed.contains("0000000004.stele does not belong here: its index is 3, expected 4"),
        "{renamed}"
    );
    let copied = refused(&epochs, true, |folder| {
        fs::copy(path(folder, 1), path(folder, 4)).unwrap();
    });
    assert!(copied.contains("its index is 1, expected 4"), "{copied}");
}

#[test]
fn a_newer_format_version_is_refused_by_its_number() {
    let epochs = trail();
    for index in [1, 2, 3] {
        let text = refused(&epochs, true, |folder| {
            edit(folder, index, |bytes| {
                bytes[8] = 2;
                let crc = stele_wire::frame::crc32c(&bytes[..HEADER_BLOCK_LENGTH - 4]);
                bytes[HEADER_BLOCK_LENGTH - 4..HEADER_BLOCK_LENGTH].copy_from_slice(&crc.to_le_bytes());
            });
        });
        assert!(text.contains(&format!("{index:010}.stele is of format version 2")), "{text}");
    }
}
