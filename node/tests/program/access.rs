//! Every access to a trail is recorded: on its log while it is being written, otherwise on an access trail
//! beside it.

use crate::running::{Running, wait_until};
use crate::{stele, stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use stele_journal::TrailReader;
use stele_journal::format::segment_index;
use stele_wire::Frame;
use stele_wire::codec::text as field_text;
use stele_wire::messages::{AccessKind, AccessRecorded};
use zerocopy::little_endian::U16;

/// A record of an access, as it is on a trail.
struct Record {
    sequence: u64,
    kind: AccessKind,
    range: (u64, u64),
    user: String,
    query: String,
    reason: String,
}

impl Record {
    fn read(frame: &Frame<'_>) -> Option<Self> {
        let message = frame.message::<AccessRecorded>()?;
        let mut tail = message.tail();
        let mut next = || String::from_utf8(tail.data::<U16>(0).to_vec()).unwrap();
        let (query, reason) = (next(), next());
        Some(Self {
            sequence: frame.sequence().0,
            kind: message.kind,
            range: (message.from_sequence.get(), message.to_sequence.get()),
            user: field_text(&message.user).to_owned(),
            query,
            reason,
        })
    }
}

fn records(trail: &Path) -> Vec<Record> {
    let Ok(mut reader) = TrailReader::open(trail) else { return Vec::new() };
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        all.extend(Record::read(&entry.frame));
    }
    all
}

/// A trail that no process writes, in a folder.
fn made() -> (tempfile::TempDir, String, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let trail = text(&folder.path().join("trail")).to_owned();
    let feed = ["run", "--feed", "generator:3", "--seconds", "0.1", "--engine", "plain"];
    stele_ok(&[&feed[..], &["--strategy", "ma-cross", "--dir", &trail]].concat());
    let access = folder.path().join("trail.access");
    assert!(!access.exists(), "a run does not count as an access");
    (folder, trail, access)
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn every_access_is_recorded_before_it_begins_with_who_when_what_and_why() {
    let (folder, trail, access) = made();
    let before = files(Path::new(&trail));
    let report = stele_json(&["verify", &trail, "--reason", "case 17"]);
    assert_eq!((&report["access"]["recorded"], &report["access"]["sealed"]), (&true.into(), &false.into()));
    stele_ok(&["dump", &trail, "--from", "3", "--to", "9"]);
    stele_ok(&["summary", &trail]);
    stele_ok(&["check-strategy", &trail]);
    stele_ok(&["hold", "list", &trail]);
    stele_ok(&["replay", &trail, "--speed", "0"]);
    let into = folder.path().join("into");
    stele_ok(&["replay", &trail, "--speed", "0", "--into", text(&into)]);
    let key = text(&folder.path().join("key")).to_owned();
    let public = stele_ok(&["key", "new", &key, "--name", "bank.example/stele"]);
    stele_ok(&["seal", &trail, "--key", &key]);
    stele_ok(&["prove", &trail, "--sequence", "7", "--key", public.trim()]);

    let all = records(&access);
    let kinds: Vec<_> = all.iter().map(|record| record.kind).collect();
    let (search, replay) = (AccessKind::SEARCH, AccessKind::REPLAY);
    let expected =
        [AccessKind::VERIFY, AccessKind::DUMP, search, replay, search, replay, replay, AccessKind::PROVE];
    assert_eq!(kinds, expected);
    assert_eq!((all[1].range, all[7].range), ((3, 9), (7, 7)));
    assert_eq!(report["access"]["sequence"], all[0].sequence);
    assert_eq!((all[0].reason.as_str(), all[1].reason.as_str()), ("case 17", ""));
    assert!(all[1].query.starts_with(&format!("stele dump {trail} --from 3 --to 9; stele.internal/")));
    let uid = rustix::process::getuid().as_raw();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for record in &all {
        assert!(record.query.contains(&format!("uid {uid}")) && record.query.ends_with(&host));
        assert!(record.user.contains(&format!("({uid})")), "{}", record.user);
    }
    let mut now = files(Path::new(&trail));
    now.retain(|(path, _)| before.iter().any(|(known, _)| known == path));
    assert!(now == before, "reading changes nothing of what is read");

    // The access trail is an ordinary trail and records its own readers.
    let verified = stele_json(&["verify", text(&access)]);
    assert_eq!(records(&access).len(), all.len() + 1);
    assert!(verified["events"].as_u64().unwrap() > all.len() as u64);
    assert!(!folder.path().join("trail.access.access").exists());
    assert!(stele_ok(&["dump", text(&access), "--type", "AccessRecorded"]).contains("case 17"));
}

#[test]
fn an_unrecorded_access_is_marked_in_text_and_in_json() {
    let (_folder, trail, access) = made();
    assert_eq!(stele_json(&["verify", &trail, "--unlogged"])["access"]["recorded"], false);
    assert_eq!(stele_json(&["summary", &trail, "--unlogged"])["access"]["recorded"], false);
    let said = "this access is NOT recorded: --unlogged";
    assert!(stele_ok(&["verify", &trail, "--unlogged"]).lines().any(|line| line == said));
    assert!(stele_ok(&["check-strategy", &trail, "--unlogged"]).lines().any(|line| line == said));
    let dumped = stele_ok(&["dump", &trail, "--to", "3", "--unlogged"]);
    assert_eq!((dumped.lines().next(), dumped.lines().count()), (Some(said), 4));
    let dumped = stele_ok(&["dump", &trail, "--to", "3", "--unlogged", "--json"]);
    assert_eq!(dumped.lines().next(), Some(r#"{"access":{"recorded":false}}"#));
    let csv = stele(&["dump", &trail, "--to", "3", "--unlogged", "--csv"]);
    assert!(String::from_utf8_lossy(&csv.stderr).contains(said));
    stele_fails(&["dump", &trail, "--unlogged", "--reason", "none"], 2);
    assert!(!access.exists());
}

#[test]
fn an_access_that_cannot_be_recorded_is_refused_with_a_remedy() {
    let (folder, trail, access) = made();
    // A file in place of the directory also stops root.
    fs::write(&access, "in the way").unwrap();
    let output = stele(&["dump", &trail]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{said}");
    assert!(said.contains("this access cannot be recorded") && said.contains(text(&access)), "{said}");
    assert!(said.contains("--access-trail DIR") && said.contains("--unlogged"), "{said}");
    let elsewhere = folder.path().join("elsewhere");
    stele_ok(&["dump", &trail, "--to", "1", "--access-trail", text(&elsewhere)]);
    assert_eq!(records(&elsewhere).len(), 1);
}

#[test]
fn with_a_key_each_record_is_sealed_and_a_record_that_is_gone_is_found() {
    let (folder, trail, access) = made();
    let key = text(&folder.path().join("auditors")).to_owned();
    let public = stele_ok(&["key", "new", &key, "--name", "bank.example/access"]);
    for _ in 0..3 {
        let report = stele_json(&["verify", &trail, "--access-key", &key]);
        assert_eq!(report["access"]["sealed"], true);
    }
    let sealed = stele_json(&["verify", text(&access), "--key", public.trim(), "--unlogged"]);
    assert_eq!((&sealed["seals"]["checkpoints"], &sealed["seals"]["unsealed"]), (&3.into(), &0.into()));
    let mut segments: Vec<_> = files(&access).into_iter().map(|(path, _)| path).collect();
    segments.retain(|path| segment_index(path.file_name().unwrap().to_str().unwrap()).is_some());
    fs::remove_file(segments.last().unwrap()).unwrap();
    stele_fails(&["verify", text(&access), "--key", public.trim(), "--unlogged"], 1);
    let said = stele_fails(&["verify", &trail, "--access-key", &key], 3);
    assert!(said.contains("it was cut"), "{said}");
}

#[test]
fn concurrent_readers_are_all_recorded() {
    let (_folder, trail, access) = made();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| stele_ok(&["dump", &trail, "--to", "2"]));
        }
    });
    assert_eq!(records(&access).len(), 4);
    stele_ok(&["verify", text(&access)]);
}

#[test]
fn an_access_to_the_trail_of_a_running_bus_is_recorded_on_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let file = folder.path().join("run.toml");
    let configuration = format!(
        "[bus]\nname = 'access-{}'\nring_mib = 1\n[journal]\nsegment_mib = 1\n[feed]\npace = 'real-time'\n\
         spec = 'generator:7'\nevents_per_second = 2000\n[[strategy]]\nname = 'ma-cross'\n",
        std::process::id()
    );
    fs::write(&file, configuration).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "120"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = Running(child);
    wait_until("the trail has begun", || {
        TrailReader::open(&trail).is_ok_and(|mut reader| reader.read_next().is_ok_and(|next| next.is_some()))
    });
    let report = stele_json(&["verify", text(&trail), "--reason", "a look"]);
    assert_eq!(report["access"]["trail"], text(&trail));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| stele_ok(&["dump", text(&trail), "--to", "5"]));
        }
    });
    let elsewhere = folder.path().join("elsewhere");
    stele_ok(&["dump", text(&trail), "--to", "5", "--access-trail", text(&elsewhere)]);
    assert!(!folder.path().join("trail.access").exists());
    assert_eq!(records(&elsewhere).len(), 1);
    let asked = Command::new("kill").args(["-INT", &run.0.id().to_string()]).status().unwrap();
    assert!(asked.success() && run.0.wait().unwrap().success());

    let all = records(&trail);
    assert_eq!(all.len(), 4);
    assert_eq!(
        (report["access"]["sequence"].as_u64(), all[0].reason.as_str()),
        (Some(all[0].sequence), "a look")
    );
    stele_ok(&["verify", text(&trail), "--unlogged"]);
    stele_ok(&["check-strategy", text(&trail), "--unlogged"]);
}
