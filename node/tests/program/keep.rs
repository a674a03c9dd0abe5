//! Keeping a trail: archives, holds, repairs, and refused requests.

use crate::{stele, stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A run with two strategies over several segments of a mebibyte.
fn run(folder: &Path) -> String {
    let config = folder.join("run.toml");
    let trail = folder.join("trail");
    let content = format!(
        "[feed]\nspec = \"generator:3\"\nseconds = 0.6\n[trail]\ndir = \"{}\"\n[journal]\nsegment_mib = 1\nengine = \"plain\"\n\
         [[strategy]]\nname = \"ma-cross\"\n[[strategy]]\nname = \"dip-buyer\"\n",
        text(&trail)
    );
    fs::write(&config, content).unwrap();
    stele_ok(&["run", "-c", text(&config)]);
    text(&trail).to_owned()
}

fn copy(from: &str, to: &Path) -> String {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    text(to).to_owned()
}

fn flip(trail: &str, index: u64, offset: u64) {
    let path = Path::new(trail).join(format!("{index:010}.stele"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

/// Returns what every reading command prints, without the parts that differ from call to call.
fn readings(trail: &str) -> Vec<String> {
    let mut verified = stele_json(&["verify", trail]);
    let kept = ["events", "segments", "epochs", "rules"];
    verified.as_object_mut().unwrap().retain(|key, _| kept.contains(&key.as_str()));
    let replayed = stele_ok(&["replay", trail, "--speed", "0", "--json"]);
    vec![
        verified.to_string(),
        stele_ok(&["dump", trail]),
        replayed,
        stele_json(&["summary", trail, "--unlogged"]).to_string(),
        stele_json(&["check-strategy", trail, "--unlogged"]).to_string(),
    ]
}

#[test]
fn every_command_reads_an_archived_trail_like_the_original_and_a_run_continues_it() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path());
    let raw = copy(&trail, &folder.path().join("copies"));
    let report = stele_json(&["archive", &trail]);
    let archived = report["segments"].as_u64().unwrap();
    assert!(archived > 2 && report["ratio"].as_f64().unwrap() > 2.0, "{report}");
    assert_eq!(report["acts"].as_array().unwrap().len(), 1);
    for index in 1..=archived {
        let name = format!("{index:010}.stele");
        assert!(!Path::new(&trail).join(&name).exists() && Path::new(&raw).join(&name).exists());
    }
    // The same trail with the raw files still in place of the archives.
    let newest = format!("{:010}.stele", archived + 1);
    fs::copy(Path::new(&trail).join(&newest), Path::new(&raw).join(&newest)).unwrap();
    let (of_raw, of_archived) = (readings(&raw), readings(&trail));
    for (of_raw, of_archived) in of_raw.iter().zip(&of_archived) {
        let differs = of_raw.lines().zip(of_archived.lines()).find(|(raw, archived)| raw != archived);
        assert!(!of_raw.is_empty() && of_raw == of_archived, "{differs:?}");
    }
    let again = stele_json(&["archive", &trail]);
    assert_eq!((&again["segments"], &again["archived_before"]), (&0.into(), &archived.into()));
    run(folder.path());
    stele_ok(&["verify", &trail]);
    stele_ok(&["check-strategy", &trail]);
    let kept = stele_json(&["archive", &trail, "--keep-raw", "2", "--level", "1"]);
    assert_eq!(kept["raw"], 2, "{kept}");
    let acts = stele_ok(&["dump", &trail, "--type", "RetentionAct"]);
    assert_eq!(acts.lines().filter(|line| line.contains("kind=Archived")).count(), 2, "{acts}");
}

#[test]
fn a_trail_that_is_being_written_is_refused_with_the_name_of_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let trail = text(&trail);
    let arguments =
        ["run", "--feed", "generator", "--pace", "real-time", "--dir", trail, "--engine", "plain"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    let command = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut lines = BufReader::new(writer.stderr.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    while !Path::new(trail).join("0000000001.stele").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let owner = format!("pid {}", writer.id());
    let commands: [&[&str]; 3] = [
        &["hold", "place", trail, "--case", "1", "--reason", "x", "--by", "1"],
        &["repair", trail],
        &["repair", trail, "--cut", "--reason", "x", "--by", "1"],
    ];
    for command in commands {
        let said = stele_fails(command, 3);
        assert!(said.contains("being written by another process") && said.contains(&owner), "{said}");
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    // The command recovers the killed trail, and its event is on it.
    stele_ok(commands[0]);
    stele_ok(&["verify", trail]);
}

#[test]
fn holds_are_events_and_survive_until_they_are_released() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path());
    assert!(stele_ok(&["hold", "list", &trail]).contains("no hold"));
    let place = ["hold", "place", &trail, "--case", "9", "--reason", "inquiry", "--by", "3"];
    let span = ["--from", "2026-01-01", "--to", "2099-01-01T00:00:00Z", "--approved-by", "4"];
    let placed = stele_json(&[&place[..], &span[..]].concat());
    stele_ok(&["archive", &trail]);
    run(folder.path());
    let listed = stele_json(&["hold", "list", &trail]);
    assert_eq!(listed["holds"], placed["holds"]);
    assert_eq!((&listed["holds"][0]["case"], &listed["holds"][0]["approved_by"]), (&9.into(), &4.into()));
    let would = stele_ok(&["expire", &trail, "--dry-run", "--now", "2060-01-01"]);
    assert!(would.contains("of case 9 covers its time") && would.contains("nothing to remove"), "{would}");
    stele_ok(&["hold", "release", &trail, "--case", "9", "--reason", "closed", "--by", "4"]);
    assert_eq!(stele_json(&["hold", "list", &trail])["holds"].as_array().unwrap().len(), 0);
    stele_ok(&["verify", &trail]);
    stele_ok(&["check-strategy", &trail]);
}

#[test]
fn a_damaged_trail_is_diagnosed_restored_from_a_copy_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path());
    let copies = copy(&trail, &folder.path().join("copies"));
    assert!(stele_ok(&["repair", &trail]).contains("nothing to repair"));
    flip(&trail, 2, 500_000);
    stele_fails(&["verify", &trail], 1);
    let output = stele(&["repair", &trail, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let damage = &report["damage"][0];
    assert_eq!((&report["whole"], &damage["segment"]), (&false.into(), &2.into()));
    assert!(damage["intact_up_to"].as_u64() < damage["intact_again_from"].as_u64(), "{report}");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let said = stele_fails(&["repair", &trail, "--restore", text(&empty)], 1);
    assert!(said.contains("no copy of segment 2"), "{said}");
    flip(&copies, 2, 700_000);
    let said = stele_fails(&["repair", &trail, "--restore", &copies], 1);
    assert!(said.contains("is not what belongs here"), "{said}");
    flip(&copies, 2, 700_000);
    let done =
        stele_json(&["repair", &trail, "--restore", &copies, "--by", "7", "--reason", "from the mirror"]);
    assert_eq!(done["done"]["restored"][0], 2, "{done}");
    let reports = stele_ok(&["dump", &trail, "--type", "RecoveryReport"]);
    assert!(
        reports.contains("kind=Restored") && reports.contains("setAside=cut/0000000002.stele"),
        "{reports}"
    );
    stele_ok(&["verify", &trail]);
    stele_ok(&["check-strategy", &trail]);
    run(folder.path());
    stele_ok(&["verify", &trail]);
}

#[test]
fn a_trail_is_cut_before_its_damage_and_continues_in_an_epoch_that_was_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path());
    run(folder.path());
    let epochs = |trail: &str| -> Vec<String> {
        let starts = stele_ok(&["dump", trail, "--type", "SessionStart"]);
        let epoch = |line: &str| line.split("epoch=").nth(1)?.split(' ').next().map(str::to_owned);
        starts.lines().filter_map(epoch).collect()
    };
    assert_eq!(epochs(&trail), ["1", "2"]);
    flip(&trail, 2, 500_000);
    let done = stele_json(&["repair", &trail, "--cut", "--by", "7", "--reason", "no copy is left"]);
    let aside = done["done"]["set_aside"].as_array().unwrap();
    for aside in aside {
        let bytes = fs::metadata(Path::new(&trail).join(aside["kept"].as_str().unwrap())).unwrap().len();
        assert_eq!(aside["bytes"], bytes, "{aside}");
    }
    let lost: u64 = aside.iter().filter_map(|aside| aside["events"].as_u64()).sum();
    assert!(aside.len() > 3 && lost > 0, "{done}");
    assert_eq!(epochs(&trail), ["1", "3"], "2 was set aside and is not used again");
    stele_ok(&["verify", &trail]);
    stele_ok(&["check-strategy", &trail]);
    run(folder.path());
    stele_ok(&["verify", &trail]);
    stele_ok(&["check-strategy", &trail]);
    assert!(stele_ok(&["repair", &trail]).contains("nothing to repair"));
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path());
    let trail = trail.as_str();
    let nowhere = folder.path().join("nowhere");
    let nowhere = text(&nowhere);
    let names = || {
        let entries = fs::read_dir(trail).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    let before = names();
    let hold = |more: &[&str]| {
        let place = ["hold", "place", trail, "--case", "1", "--reason", "x"];
        stele_fails(&[&place[..], more].concat(), 2)
    };
    for missing in
        [&["archive", nowhere][..], &["repair", nowhere], &["hold", "list", nowhere], &["expire", nowhere]]
    {
        let said = stele_fails(missing, 3);
        assert!(said.contains("nowhere"), "{said}");
        assert!(!Path::new(nowhere).exists(), "{missing:?} made a directory");
    }
    assert!(hold(&["--by", "1", "--instrument", "4711"]).contains("does not define instrument 4711"));
    assert!(hold(&["--by", "1", "--account", "4711"]).contains("does not define account 4711"));
    assert!(hold(&["--by", "1", "--approved-by", "1"]).contains("cannot approve"));
    assert!(hold(&["--by", "0"]).contains("does not exist"));
    assert!(hold(&["--by", "1", "--from", "yesterday"]).contains("not a time"));
    assert!(hold(&["--by", "1", "--from", "2027-01-01", "--to", "2026-01-01"]).contains("covers nothing"));
    let said = stele_fails(&["hold", "release", trail, "--case", "9", "--reason", "x", "--by", "1"], 2);
    assert!(said.contains("case 9 has no hold"), "{said}");
    stele_fails(&["hold", "place", trail, "--case", "x", "--reason", "x", "--by", "1"], 2);
    stele_fails(&["archive", trail, "--level", "99"], 2);
    stele_fails(&["repair", trail, "--cut"], 2);
    stele_fails(&["expire", trail, "--now", "2060-01-01"], 2);
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "[retention]\nkeep_dayz = 1\n").unwrap();
    let said = stele_fails(&["expire", trail, "-c", text(&policy)], 2);
    assert!(said.contains("keep_days"), "{said}");
    assert_eq!(names(), before);
}
