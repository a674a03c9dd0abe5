//! Bad input: a message that says what is wrong, where, and what to do, the documented exit code, and no lost
//! data.

use crate::{stele, stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use stele_testkit::skip::skip;

#[test]
fn an_unknown_strategy_names_the_nearest() {
    let said = stele_fails(&["run", "--feed", "generator", "--strategy", "ma-cros", "--dir", "/nowhere"], 2);
    assert!(said.contains("did you mean `ma-cross`?"), "{said}");
}

#[test]
fn an_unknown_parameter_names_the_nearest_and_one_out_of_range_its_range() {
    let run = ["run", "--feed", "generator", "--strategy", "ma-cross", "--dir", "/nowhere", "--param"];
    let said = stele_fails(&[&run[..], &["quantitty=1"]].concat(), 2);
    assert!(said.contains("quantity"), "{said}");
    let said = stele_fails(&[&run[..], &["quantity=-5"]].concat(), 2);
    assert!(said.contains("-5") && said.contains(" to "), "{said}");
}

#[test]
fn an_unknown_kind_of_feed_names_what_is_accepted() {
    let said = stele_fails(&["run", "--feed", "dbm:x", "--strategy", "ma-cross", "--dir", "/nowhere"], 2);
    assert!(said.contains("did you mean `dbn`?") && said.contains("itch:PATH"), "{said}");
}

#[test]
fn an_unknown_configuration_key_names_the_nearest() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[journal]\nengin = 'plain'\n").unwrap();
    let said = stele_fails(&["run", "-c", text(file.path())], 2);
    assert!(said.contains("line 2") && said.contains("did you mean `engine`?"), "{said}");
}

#[test]
fn a_missing_feed_file_starts_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let feed = ["run", "--feed", "itch:/no/such.itch50", "--strategy", "ma-cross", "--dir", text(&trail)];
    let said = stele_fails(&feed, 3);
    assert!(said.contains("/no/such.itch50"), "{said}");
    assert!(!trail.exists(), "nothing was written");
}

#[test]
fn a_wrong_line_of_a_text_file_is_named_and_what_came_before_is_on_the_trail() {
    let scratch = tempfile::tempdir().unwrap();
    let [file, trail] = ["messages.csv", "trail"].map(|name| scratch.path().join(name));
    let good: String = (1..=50).map(|id| format!("34200.1,1,{id},5,2240000,1\n")).collect();
    fs::write(&file, format!("{good}34200.2,9,51,5,2240000,1\n")).unwrap();
    let feed = format!("lobster:{},symbol=AMZN,date=20120621", text(&file));
    let said = stele_fails(&["run", "--feed", &feed, "--strategy", "ma-cross", "--dir", text(&trail)], 3);
    assert!(said.contains("line 51: type `9` is not one of 1 to 7"), "{said}");
    assert!(said.contains(&format!("at byte {}, after 50 good records", good.len())), "{said}");
    let types = stele_json(&["summary", text(&trail)])["types"].to_string();
    assert!(types.contains("BookAdd"), "{types}");
    stele_ok(&["verify", text(&trail)]);
}

#[test]
fn a_truncated_feed_file_says_how_many_records_were_good_and_they_are_on_the_trail() {
    let scratch = tempfile::tempdir().unwrap();
    let [whole, cut, trail] =
        ["flow-20260105.itch50", "cut-20260105.itch50", "trail"].map(|n| scratch.path().join(n));
    stele_ok(&["generate", "--format", "itch", text(&whole), "--events", "5000"]);
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let feed = format!("itch:{}", text(&cut));
    let said = stele_fails(&["run", "--feed", &feed, "--strategy", "ma-cross", "--dir", text(&trail)], 3);
    assert!(said.contains("good records") && said.contains("at byte"), "{said}");
    let verified = stele_json(&["verify", text(&trail)]);
    assert!(verified["events"].as_u64().unwrap() > 2_000);
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn a_directory_that_holds_a_trail_is_continued_in_a_new_epoch() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let run =
        ["run", "--feed", "generator", "--seconds", "0.3", "--strategy", "ma-cross", "--dir", text(&trail)];
    stele_ok(&run);
    let before = stele_json(&["verify", text(&trail)])["events"].as_u64().unwrap();
    stele_ok(&run);
    let verified = stele_json(&["verify", text(&trail)]);
    assert!(verified["events"].as_u64().unwrap() > before);
    assert_eq!(verified["epochs"].as_array().unwrap().len(), 2);
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn a_directory_that_another_process_writes_is_refused_and_the_owner_named() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let arguments = [
        "run",
        "--feed",
        "generator",
        "--pace",
        "real-time",
        "--strategy",
        "ma-cross",
        "--dir",
        text(&trail),
    ];
    let mut owner = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !trail.join(stele_journal::LOCK_NAME).exists() || !trail.join("0000000001.stele").exists() {
        sleep(Duration::from_millis(20));
    }
    let said = stele_fails(&arguments, 3);
    assert!(said.contains(&owner.id().to_string()), "{said}");
    owner.kill().unwrap();
    owner.wait().unwrap();
}

#[test]
fn a_directory_without_a_trail_is_reported() {
    let scratch = tempfile::tempdir().unwrap();
    for command in ["verify", "check-strategy", "dump", "summary", "replay"] {
        let said = stele_fails(&[command, text(scratch.path())], 3);
        assert!(said.contains("holds no trail"), "{command}: {said}");
    }
}

#[test]
fn a_file_where_the_trail_should_go_is_not_touched() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "mine").unwrap();
    stele_fails(&["run", "--feed", "generator", "--strategy", "ma-cross", "--dir", text(file.path())], 3);
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "mine");
}

#[test]
fn generate_does_not_overwrite_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "mine").unwrap();
    let said = stele_fails(&["generate", "--format", "dbn", text(file.path())], 3);
    assert!(said.contains("exists: give another name"), "{said}");
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "mine");
}

#[test]
fn a_file_system_without_direct_io_works_with_a_notice_of_its_cost() {
    let memory = std::path::Path::new("/dev/shm");
    if !memory.is_dir() {
        return skip("/dev/shm");
    }
    let scratch = tempfile::tempdir_in(memory).unwrap();
    let trail = scratch.path().join("trail");
    let output = stele(&["demo", "--seconds", "0.3", "--rate", "20000", "--dir", text(&trail)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    stele_ok(&["verify", text(&trail)]);
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn an_interrupt_stops_the_run_cleanly_with_all_events_durable() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let child = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args([
            "run",
            "--feed",
            "generator",
            "--pace",
            "real-time",
            "--strategy",
            "ma-cross",
            "--dir",
            text(&trail),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(1_500));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("stopped on request"));
    let verified = stele_json(&["verify", text(&trail)]);
    assert_eq!(verified["epochs"][0]["ending"]["why"], "Requested");
}

#[test]
fn a_closed_standard_output_is_not_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    stele_ok(&["demo", "--seconds", "0.3", "--rate", "50000", "--dir", text(&trail)]);
    for command in ["verify", "check-strategy", "summary", "dump"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stele"))
            .args([command, text(&trail)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{command}");
    }
}
