//! Trails with every kind of damage that can be repaired, and interrupted repairs.

use super::*;
use crate::archive::{archive_name, archive_segment, release_raw};
use crate::directory::Directory;
use crate::fixture::Epochs;
use crate::format::segment_name;
use crate::reader::TrailReader;
use crate::scan::ScanOptions;
use crate::storage::Storage;
use crate::survey::survey;
use crate::trail::read_segments;
use crate::verify::verify;
use std::fs;
use std::path::Path;
use stele_wire::units::Sequence;
use tempfile::TempDir;

/// Three segments of epoch 1, two and a half of epoch 2.
fn trail() -> (TempDir, Epochs) {
    let folder = tempfile::tempdir().unwrap();
    let mut epochs = Epochs::new(16 << 10);
    while epochs.segments.len() < 3 {
        epochs.batch(7, 60);
    }
    epochs.batch(5, 60);
    epochs.start_epoch();
    while epochs.segments.len() < 6 {
        epochs.batch(3, 500);
    }
    epochs.batch(2, 30);
    epochs.write(folder.path(), true);
    (folder, epochs)
}

fn diagnosis_of(folder: &Path) -> Diagnosis {
    diagnose(&Directory::new(folder), &mut |_| {}).unwrap()
}

fn flip(folder: &Path, index: u64, offset: usize) {
    let path = folder.join(segment_name(index));
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn archive(folder: &Path, index: u64) {
    let directory = Directory::new(folder);
    let segments = read_segments(&directory).unwrap();
    let (segment, next) = (&segments[index as usize - 1], &segments[index as usize]);
    archive_segment(&directory, segment, &next.header.link, 3, &mut |_| {}).unwrap();
    release_raw(&directory, index).unwrap();
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = Directory::new(folder).list_as_it_is().unwrap();
    let files = names.into_iter().filter(|name| folder.join(name).is_file());
    files.map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn verifies(folder: &Path) -> bool {
    verify(&Directory::new(folder), &ScanOptions { threads: 1, plain: true, ..ScanOptions::default() })
        .is_ok()
}

fn last_sequence(folder: &Path) -> Sequence {
    let mut reader = TrailReader::open(folder).unwrap();
    while reader.read_next().unwrap().is_some() {}
    reader.last_sequence()
}

/// A way to damage the trail in `folder`, with the segment and the kind of damage.
type Way = (&'static str, fn(&Path), u64, DamageKind);

const WAYS: &[Way] = &[
    ("a flipped bit in a closed segment", |folder| flip(folder, 2, 9_000), 2, DamageKind::Content),
    (
        "a flipped bit in the last segment, below the floor",
        |folder| flip(folder, 5, 4_300),
        5,
        DamageKind::Content,
    ),
    ("a damaged header", |folder| flip(folder, 3, 100), 3, DamageKind::Unreadable),
    (
        "a missing segment",
        |folder| fs::remove_file(folder.join(segment_name(4))).unwrap(),
        4,
        DamageKind::Missing,
    ),
    (
        "a copy under another's name",
        |folder| assert!(fs::copy(folder.join(segment_name(2)), folder.join(segment_name(3))).unwrap() > 0),
        3,
        DamageKind::Foreign,
    ),
    (
        "a segment of another trail",
        |folder| {
            let mut other = Epochs::new(16 << 10);
            other.identity.trail.0 = [1; 16];
            other.segments.clear();
            other.start_epoch();
            while other.segments.len() < 4 {
                other.batch(7, 60);
            }
            let away = tempfile::tempdir().unwrap();
            other.write(away.path(), true);
            fs::copy(away.path().join(segment_name(3)), folder.join(segment_name(3))).unwrap();
        },
        3,
        DamageKind::Foreign,
    ),
    (
        "a segment that was cut short",
        |folder| {
            fs::OpenOptions::new()
                .write(true)
                .open(folder.join(segment_name(2)))
                .unwrap()
                .set_len(8_192)
                .unwrap()
        },
        2,
        DamageKind::Content,
    ),
    (
        "a damaged archive",
        |folder| {
            archive(folder, 2);
            let path = folder.join(archive_name(2));
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(path, bytes).unwrap();
        },
        2,
        DamageKind::Unreadable,
    ),
];

#[test]
fn a_whole_trail_has_nothing_to_repair() {
    let (folder, epochs) = trail();
    let diagnosis = diagnosis_of(folder.path());
    assert_eq!(diagnosis.damage, []);
    assert_eq!((diagnosis.first, diagnosis.last, diagnosis.last_sequence), (1, 6, epochs.sequence));
    epochs.write(folder.path(), false);
    assert_eq!(diagnosis_of(folder.path()).damage, [], "a log may end before its file");
    archive(folder.path(), 2);
    assert_eq!(diagnosis_of(folder.path()).damage, []);
}

#[test]
fn every_damage_is_found_with_its_place_and_what_is_intact_around_it() {
    for (what, damage, index, kind) in WAYS {
        let (folder, epochs) = trail();
        damage(folder.path());
        let diagnosis = diagnosis_of(folder.path());
        let found: Vec<_> = diagnosis.damage.iter().map(|damage| (damage.index, damage.kind)).collect();
        assert_eq!(found, [(*index, *kind)], "{what}");
        let damage = &diagnosis.damage[0];
        let (header, _) = &epochs.segments[*index as usize - 1];
        let first = header.base_sequence;
        assert!(damage.after.next() >= first, "{what}: {damage:?}");
        assert!(damage.beyond.is_some_and(|beyond| beyond > damage.after), "{what}: {damage:?}");
        assert_eq!(damage.offset > 0, *kind == DamageKind::Content, "{what}: {damage:?}");
    }
}

#[test]
fn an_intact_copy_restores_any_damage_and_the_damaged_file_is_kept() {
    for (what, damage, index, _) in WAYS {
        let (folder, epochs) = trail();
        let copies = tempfile::tempdir().unwrap();
        epochs.write(copies.path(), true);
        archive(copies.path(), 3);
        damage(folder.path());
        let (before, directory) = (contents(folder.path()), Directory::new(folder.path()));
        let plan = plan_restore(&directory, &diagnosis_of(folder.path()), copies.path()).unwrap();
        assert_eq!((plan.restored.as_slice(), contents(folder.path())), (&[*index][..], before.clone()));
        perform(&directory, &plan.steps).unwrap();
        assert_eq!(diagnosis_of(folder.path()).damage, [], "{what}");
        assert!(verifies(folder.path()), "{what}");
        assert_eq!(last_sequence(folder.path()), epochs.sequence);
        for aside in &plan.aside {
            let (_, damaged) = before.iter().find(|(name, _)| aside.kept.ends_with(name)).unwrap();
            assert_eq!(&fs::read(folder.path().join(&aside.kept)).unwrap(), damaged, "{what}");
            assert_eq!(aside.bytes, damaged.len() as u64);
        }
        assert_eq!(plan.aside.is_empty(), what.contains("missing"), "{what}");
    }
}

#[test]
fn cutting_sets_everything_from_the_damage_on_aside_and_keeps_every_byte() {
    for (what, damage, index, kind) in WAYS {
        let (folder, _) = trail();
        damage(folder.path());
        let (before, directory) = (contents(folder.path()), Directory::new(folder.path()));
        let diagnosis = diagnosis_of(folder.path());
        let plan = plan_cut(&directory, &diagnosis).unwrap();
        assert_eq!(contents(folder.path()), before, "planning changes nothing");
        perform(&directory, &plan.steps).unwrap();
        assert_eq!(diagnosis_of(folder.path()).damage, [], "{what}");
        assert!(verifies(folder.path()), "{what}");
        assert_eq!(last_sequence(folder.path()), diagnosis.damage[0].after, "{what}");
        let segments = read_segments(&directory).unwrap();
        let expected = if *kind == DamageKind::Content { *index } else { index - 1 };
        assert_eq!(segments.last().unwrap().header.index, expected, "{what}");
        // Every earlier byte is in the trail or in the cut folder.
        for (name, bytes) in &before {
            let kept = folder.path().join(name);
            let mut now = if kept.exists() { fs::read(kept).unwrap() } else { Vec::new() };
            for aside in
                plan.aside.iter().filter(|aside| aside.kept.contains(name.split('.').next().unwrap()))
            {
                now.extend(fs::read(folder.path().join(&aside.kept)).unwrap());
            }
            assert!(now == *bytes, "{what}: {name}");
        }
        let events: Option<u64> = plan.aside.iter().map(|aside| aside.events).sum();
        let lost = diagnosis.last_sequence.0 - diagnosis.damage[0].after.0;
        assert!(events.is_none_or(|events| events <= lost), "{what}: {events:?} of {lost}");
    }
}

#[test]
fn a_repair_interrupted_at_any_step_is_finished_by_running_it_again() {
    for (what, damage, _, _) in WAYS {
        for is_restore in [true, false] {
            let plan_in = |folder: &Path, copies: &Path| {
                let (directory, diagnosis) = (Directory::new(folder), diagnosis_of(folder));
                match is_restore {
                    true => plan_restore(&directory, &diagnosis, copies).unwrap(),
                    false => plan_cut(&directory, &diagnosis).unwrap(),
                }
            };
            let copies = tempfile::tempdir().unwrap();
            trail().1.write(copies.path(), true);
            let (whole, _) = trail();
            damage(whole.path());
            let steps = plan_in(whole.path(), copies.path()).steps;
            perform(&Directory::new(whole.path()), &steps).unwrap();
            let expected = contents(whole.path());
            for count in 0..=steps.len() {
                let (folder, _) = trail();
                damage(folder.path());
                let directory = Directory::new(folder.path());
                let steps = plan_in(folder.path(), copies.path()).steps;
                perform(&directory, &steps[..count]).unwrap();
                perform(&directory, &steps).unwrap();
                perform(&directory, &steps).unwrap();
                let bytes =
                    |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                assert_eq!(bytes(&contents(folder.path())), bytes(&expected), "{what}, {count} steps");
                assert!(verifies(folder.path()), "{what}, {count} steps");
            }
        }
    }
}

#[test]
fn a_copy_that_fails_its_checks_is_refused_and_nothing_changes() {
    let (folder, epochs) = trail();
    let copies = tempfile::tempdir().unwrap();
    epochs.write(copies.path(), true);
    flip(folder.path(), 2, 9_000);
    flip(folder.path(), 4, 5_000);
    let directory = Directory::new(folder.path());
    let (diagnosis, before) = (diagnosis_of(folder.path()), contents(folder.path()));
    assert_eq!(diagnosis.damage.len(), 2);
    let refused = |change: &dyn Fn(&Path)| {
        let copies = tempfile::tempdir().unwrap();
        epochs.write(copies.path(), true);
        change(copies.path());
        let error = plan_restore(&directory, &diagnosis, copies.path()).unwrap_err();
        assert_eq!(contents(folder.path()), before);
        error.to_string()
    };
    let missing = refused(&|copies| fs::remove_file(copies.join(segment_name(4))).unwrap());
    assert!(missing.contains("no copy of segment 4") && missing.contains("[2, 4]"), "{missing}");
    let damaged = refused(&|copies| flip(copies, 4, 6_000));
    assert!(damaged.contains("copy of segment 4") && damaged.contains("offset"), "{damaged}");
    let other = refused(&|copies| drop(fs::copy(copies.join(segment_name(3)), copies.join(segment_name(2)))));
    assert!(other.contains("its index is 3, expected 2"), "{other}");
    let mut stranger = Epochs::new(16 << 10);
    stranger.identity.trail.0 = [1; 16];
    stranger.segments.clear();
    stranger.start_epoch();
    while stranger.segments.len() < 5 {
        stranger.batch(7, 60);
    }
    let strange = refused(&|copies| stranger.write(copies, true));
    assert!(strange.contains("it is of trail 01010101"), "{strange}");
    // The same trail, continued differently after the copy was made.
    let mut forked = Epochs::new(16 << 10);
    while forked.segments.len() < 4 {
        forked.batch(6, 61);
    }
    let link = refused(&|copies| forked.write(copies, true));
    assert!(link.contains("the link of segment 3 is another") || link.contains("its link is not"), "{link}");
    let file = plan_restore(&directory, &diagnosis, &copies.path().join(segment_name(2))).unwrap_err();
    assert!(file.to_string().contains("copy of segment 4"), "{file}");
}

#[test]
fn the_first_segment_is_not_cut_away_whole() {
    let (folder, _) = trail();
    flip(folder.path(), 1, 100);
    let error = plan_cut(&Directory::new(folder.path()), &diagnosis_of(folder.path())).unwrap_err();
    assert!(matches!(error, RepairError::NothingLeft { index: 1 }), "{error}");
    assert!(folder.path().join(segment_name(1)).exists());
}

#[test]
fn a_change_with_a_corrected_crc_is_found_by_the_link() {
    let (folder, epochs) = trail();
    let mut changed = Epochs::new(16 << 10);
    while changed.segments.len() < 3 {
        changed.batch(7, 60);
    }
    let (header, mut data) = changed.segments[1].clone();
    let at = data.windows(8).position(|bytes| bytes == header.base_sequence.0.to_le_bytes()).unwrap() - 8;
    let length = u16::from_le_bytes([data[at + 4], data[at + 5]]) as usize;
    data[at + 40] ^= 1;
    stele_wire::frame::seal(&mut data[at..at + length], header.identity.seed());
    let path = folder.path().join(segment_name(2));
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].copy_from_slice(&data);
    fs::write(path, bytes).unwrap();
    let diagnosis = diagnosis_of(folder.path());
    let found: Vec<_> = diagnosis.damage.iter().map(|damage| (damage.index, damage.kind)).collect();
    assert_eq!(found, [(2, DamageKind::Link)]);
    let copies = tempfile::tempdir().unwrap();
    epochs.write(copies.path(), true);
    let directory = Directory::new(folder.path());
    let plan = plan_restore(&directory, &diagnosis, copies.path()).unwrap();
    perform(&directory, &plan.steps).unwrap();
    assert!(verifies(folder.path()) && survey(&directory).unwrap().problem.is_none());
    assert!(directory.list().unwrap().iter().any(|name| name == &segment_name(2)));
}
