//! Archives of small trails: made, read in every way, damaged, and cut short by crashes.

use super::*;
use crate::bounds::READ_LENGTH;
use crate::fixture::Epochs;
use crate::reader::TrailReader;
use crate::scan::ScanOptions;
use crate::storage::Storage;
use crate::trail::read_segments;
use crate::verify::verify;
use std::path::Path;
use std::process::Command;

/// Four segments of at least a mebibyte, all closed.
fn trail(folder: &Path) -> Epochs {
    let mut epochs = Epochs::new(1_300_000 / 4096 * 4096);
    while epochs.segments.len() < 3 {
        epochs.batch(40, 3_000);
    }
    epochs.batch(5, 60);
    epochs.start_epoch();
    epochs.batch(7, 90);
    epochs.write(folder, true);
    epochs
}

fn archive_at(directory: &Directory, at: usize) -> Result<ArchivedSegment, ArchiveError> {
    let segments = read_segments(directory).unwrap();
    let next_link = segments[at + 1].header.link;
    archive_segment(directory, &segments[at], &next_link, 3, &mut |_| {})
}

fn archive_all(directory: &Directory) -> Vec<ArchivedSegment> {
    let count = read_segments(directory).unwrap().len() - 1;
    let archived: Vec<_> = (0..count).map(|at| archive_at(directory, at).unwrap()).collect();
    archived.iter().for_each(|archived| release_raw(directory, archived.index).unwrap());
    archived
}

fn read_all(folder: &Path) -> Vec<Vec<u8>> {
    let mut reader = TrailReader::open(folder).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        all.push(entry.frame.bytes().to_vec());
    }
    all
}

#[test]
fn an_archived_trail_reads_and_verifies_as_the_raw_one() {
    let folder = tempfile::tempdir().unwrap();
    let epochs = trail(folder.path());
    let directory = Directory::new(folder.path());
    let options = ScanOptions { threads: 2, ..ScanOptions::default() };
    let (before, segments) = (read_all(folder.path()), read_segments(&directory).unwrap());
    let verified = verify(&directory, &options).unwrap();
    let archived = archive_all(&directory);
    assert_eq!(archived.len(), 3);
    let held: u64 = archived.iter().map(|archived| archived.packed_bytes).sum();
    assert!(held < archived.iter().map(|archived| archived.raw_bytes).sum());
    assert!((1..=3).all(|index| is_archived(&directory, index)) && !is_archived(&directory, 4));
    assert_eq!(read_all(folder.path()), before);
    assert_eq!(before.len(), epochs.events.len());
    assert_eq!(read_segments(&directory).unwrap(), segments);
    let again = verify(&directory, &options).unwrap();
    assert_eq!((again.events, again.end, again.open_tail), (verified.events, verified.end, None));
    let mut reader = TrailReader::open(folder.path()).unwrap();
    for &(position, _, sequence) in epochs.events.iter().step_by(97) {
        reader.seek(sequence).unwrap();
        assert_eq!(reader.read_next().unwrap().unwrap().position, position);
    }
    let mode = fs::metadata(folder.path().join(archive_name(1))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    assert_eq!(directory.path(&segment_name(1)), None);
    assert!(directory.path(&segment_name(4)).is_some());
}

/// The archive format is not ours: a program and a library of others read it.
#[test]
fn other_programs_read_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    let raw = fs::read(folder.path().join(segment_name(1))).unwrap();
    archive_all(&directory);
    let path = folder.path().join(archive_name(1));
    let mut decoder = zeekstd::Decoder::new(fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(decoder.seek_table().size_decomp(), raw.len() as u64);
    let mut part = vec![0; 5000];
    decoder.set_offset(1 << 20).unwrap();
    let mut filled = 0;
    while filled < part.len() {
        filled += decoder.decompress(&mut part[filled..]).unwrap();
    }
    assert_eq!(part, raw[1 << 20..][..5000]);
    match Command::new("zstd").args(["-d", "-c", "-q"]).arg(&path).output() {
        Ok(output) => assert!(output.stdout == raw, "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => stele_testkit::skip::skip(&format!("the zstd program ({error})")),
    }
}

#[test]
fn an_archive_gives_any_bytes_of_the_raw_file() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    let raw = fs::read(folder.path().join(segment_name(2))).unwrap();
    archive_all(&directory);
    let file = directory.open(&segment_name(2)).unwrap();
    assert_eq!(file.length().unwrap(), raw.len() as u64);
    let mut pages = Pages::zeroed(READ_LENGTH + 8192);
    for offset in [0usize, 4096, 8192, 1 << 20, (1 << 20) + 4096, 1_298_432, raw.len() / 4096 * 4096, 1 << 30]
    {
        for wanted in [4096, 65_536, READ_LENGTH, READ_LENGTH + 8192] {
            let expected = raw.get(offset..).unwrap_or(&[]);
            let expected = &expected[..expected.len().min(wanted)];
            let count = file.read_at(&mut pages[..wanted], offset as u64).unwrap();
            assert!(pages[..count] == *expected, "{wanted} bytes at {offset}");
        }
    }
}

#[test]
fn a_damaged_archive_is_an_error_that_names_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    archive_all(&directory);
    let path = folder.path().join(archive_name(2));
    let whole = fs::read(&path).unwrap();
    let length = whole.len();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let opened = directory.open(&segment_name(2));
        opened.and_then(|file| {
            let mut pages = Pages::zeroed(READ_LENGTH);
            let (mut offset, mut content) = (0, Vec::new());
            loop {
                let count = file.read_at(&mut pages, offset)?;
                content.extend_from_slice(&pages[..count]);
                offset += count as u64;
                if count < pages.len() {
                    return Ok(content);
                }
            }
        })
    };
    let raw = read(&whole).unwrap();
    for at in (0..length).step_by(length / 300).chain(length - 40..length) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        match read(&damaged) {
            // zstd leaves some bits of a frame's head without a meaning.
            Ok(content) => assert!(content == raw, "byte {at} changed what is read"),
            Err(error) => {
                let said = error.to_string();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{said}");
                assert!(said.contains("0000000002.stele.zst is damaged at offset "), "{said}");
            }
        }
    }
    for cut in [0, 5, 9, 17, 4096, length / 2, length - 1] {
        assert!(read(&whole[..cut]).is_err(), "cut to {cut} bytes");
    }
    let mut exchanged = whole.clone();
    exchanged[length / 2] ^= 1;
    let error = read(&exchanged).unwrap_err().to_string();
    fs::write(&path, &exchanged).unwrap();
    let message = verify(&directory, &ScanOptions::default()).unwrap_err().to_string();
    assert!(message.contains(&error), "{message}");
}

#[test]
fn a_crash_at_any_step_leaves_the_segment_whole_and_the_archive_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    let before = read_all(folder.path());
    // Within the write: an unfinished archive.
    let unfinished = folder.path().join(format!("{}.new", archive_name(1)));
    fs::write(&unfinished, b"half").unwrap();
    assert_eq!(read_all(folder.path()), before);
    // Finished, with the raw file still there: it is used, whatever the archive holds.
    fs::write(folder.path().join(archive_name(2)), b"of another life").unwrap();
    assert_eq!(read_all(folder.path()), before);
    assert_eq!(read_segments(&directory).unwrap().len(), 4);
    archive_all(&directory);
    assert!(!unfinished.exists());
    assert_eq!(read_all(folder.path()), before);
    // The raw file was removed before; removing it again does nothing.
    release_raw(&directory, 1).unwrap();
    assert_eq!(release_raw(&directory, 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(read_all(folder.path()), before);
}

#[test]
fn a_damaged_segment_is_not_archived() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    let path = folder.path().join(segment_name(1));
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[600_000] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = archive_at(&directory, 0).unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    fs::write(&path, whole).unwrap();
    let segments = read_segments(&directory).unwrap();
    let error = archive_segment(&directory, &segments[0], &[1; 32], 3, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::Link { .. }), "{error}");
    let names = directory.list().unwrap();
    assert!(names.iter().all(|name| name.ends_with(".stele")), "{names:?}");
    assert!(!is_archived(&directory, 1));
}

#[test]
fn an_archived_segment_is_closed_already_and_is_removed_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let directory = Directory::new(folder.path());
    let length = fs::metadata(folder.path().join(segment_name(1))).unwrap().len();
    archive_all(&directory);
    directory.close(&segment_name(1), length).unwrap();
    let error = directory.close(&segment_name(1), length - 512).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    directory.remove(&segment_name(1)).unwrap();
    assert!(!folder.path().join(archive_name(1)).exists());
    assert_eq!(directory.remove(&segment_name(1)).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(read_segments(&directory).unwrap().len(), 3);
}
