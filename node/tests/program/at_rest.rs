//! The protection of closed segments from change, in a run as a user starts it.

use crate::{stele, stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::{Path, PathBuf};
use stele_journal::directory::set_immutable;
use stele_testkit::skip::skip;

fn segments(trail: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(trail).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "stele")).collect();
    found.sort();
    found
}

fn configuration(folder: &Path, at_rest: &str) -> PathBuf {
    let path = folder.join("run.toml");
    fs::write(&path, format!("[journal]\nsegment_mib = 1\n[at_rest]\n{at_rest}\n")).unwrap();
    path
}

#[test]
fn closed_segments_are_copied_to_another_directory_while_the_run_goes_on_and_at_its_end() {
    let scratch = tempfile::tempdir().unwrap();
    let (trail, store) = (scratch.path().join("trail"), scratch.path().join("store"));
    let config = configuration(scratch.path(), &format!("copy_to = \"{}\"", store.display()));
    for _ in 0..2 {
        stele_ok(&["run", "-c", text(&config), "--seconds", "0.3", "--dir", text(&trail)]);
    }
    let copies = segments(&store.join("trail"));
    assert!(copies.len() > 3, "{copies:?}");
    for (segment, copy) in segments(&trail).iter().zip(&copies) {
        assert_eq!(segment.file_name(), copy.file_name());
        assert_eq!(fs::read(segment).unwrap(), fs::read(copy).unwrap());
    }
    // The copies alone are a trail.
    let report = stele_json(&["verify", text(&store.join("trail"))]);
    assert_eq!(report["last_sequence"], stele_json(&["verify", text(&trail)])["last_sequence"]);
}

#[test]
fn a_different_file_in_the_place_of_a_copy_is_reported_and_left_unchanged() {
    let scratch = tempfile::tempdir().unwrap();
    let (trail, store) = (scratch.path().join("trail"), scratch.path().join("store"));
    let config = configuration(scratch.path(), &format!("copy_to = \"{}\"", store.display()));
    stele_ok(&["run", "-c", text(&config), "--seconds", "0.2", "--dir", text(&trail)]);
    let first = segments(&store.join("trail")).remove(0);
    let mut bytes = fs::read(&first).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let output = stele(&["run", "-c", text(&config), "--seconds", "0.2", "--dir", text(&trail)]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("is not a copy of"), "{said}");
    assert_eq!(fs::read(&first).unwrap(), bytes);
}

#[test]
fn immutable_segments_are_protected_from_their_owner_and_the_program_clears_the_flag_where_it_must() {
    let scratch = tempfile::tempdir().unwrap();
    let trial = scratch.path().join("trial");
    fs::write(&trial, "").unwrap();
    if set_immutable(&trial, true).and_then(|()| set_immutable(&trial, false)).is_err() {
        return skip("root, and a file system with the immutable flag");
    }
    let trail = scratch.path().join("trail");
    let config = configuration(scratch.path(), "immutable = true");
    let run = || stele_ok(&["run", "-c", text(&config), "--seconds", "0.3", "--dir", text(&trail)]);
    run();
    let before = segments(&trail);
    let refused = fs::OpenOptions::new().write(true).open(&before[0]).and(fs::remove_file(&before[0]));
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(1), "EPERM");
    // A second run continues after them, and `stele doctor` reports what protects them.
    run();
    let said = stele_ok(&["doctor", "--dir", text(&trail)]);
    assert!(said.contains("read-only and immutable"), "{said}");
    stele_ok(&["verify", text(&trail)]);
    stele_ok(&["archive", text(&trail)]);
    assert!(!before[0].exists(), "the packed one is in its place");
    stele_ok(&["verify", text(&trail)]);
    // The cleanup of the folder could not remove immutable files.
    let files = fs::read_dir(&trail).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.is_file()).for_each(|file| set_immutable(&file, false).unwrap());
}

#[test]
fn an_unknown_key_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let config = configuration(scratch.path(), "imutable = true");
    let said = stele_fails(&["run", "-c", text(&config), "--dir", text(&scratch.path().join("trail"))], 2);
    assert!(said.contains("did you mean `immutable`?"), "{said}");
}
