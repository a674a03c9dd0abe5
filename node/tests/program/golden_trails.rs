//! The golden trails: small trails of every schema version, in `node/tests/trails/schema-N`, which are kept
//! for ever and never change. A trail that was written once is read, verified, printed, replayed and
//! continued by every later program.
//!
//! `STELE_GOLDEN=write cargo test -p stele-node --test program golden_trails` writes the folder of the
//! current schema version where it is missing. It never changes a folder that exists.
//!
//! | in `schema-N/` | what it is |
//! |---|---|
//! | `every-message/` | an event of every message, with the golden bytes of `wire`, and one of another schema |
//! | `every-message.jsonl` | what `stele dump --json` prints for it |
//! | `session/` | a sealed run in two epochs, with orders, fills, timers, limits, a kill switch, a snapshot |
//! | `archived/` | the same with its closed segments compressed |
//! | `NAME.json` | what the commands report about the trail NAME |
//! | `key`, `key.pub` | the key that seals them, which is used for nothing else |
//!
//! The messages of `every-message` have meaningless values, so it is verified as bytes; the sessions pass
//! every rule of `stele verify`.

mod every_message;
mod making;

use crate::{stele_json, stele_ok, text};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use stele_journal::format::{HeaderState, archive_name, segment_name};
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, RecordedEvent, TrailReader, verify};
use stele_testkit::skip::skip_outside_ci;
use stele_wire::messages::{KillSwitch, NewOrder, OrderFilled, SCHEMA, TimerFired, message_name};

const TRAILS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trails");
const EVERY_MESSAGE: &str = "every-message";
const SESSION: &str = "session";
const ARCHIVED: &str = "archived";

/// The golden trails of a schema version.
struct Golden {
    version: u16,
    folder: PathBuf,
}

impl Golden {
    /// The golden trails of every version. In writing mode, those of the current version are made first where
    /// they are missing.
    fn all() -> Vec<Self> {
        static WRITING: Once = Once::new();
        WRITING.call_once(|| {
            if std::env::var("STELE_GOLDEN").as_deref() == Ok("write") && !Self::current().folder.exists() {
                making::make(&Self::current().folder);
            }
        });
        let found = fs::read_dir(TRAILS).unwrap().map(|entry| entry.unwrap().file_name());
        let versions = found.filter_map(|name| name.to_str()?.strip_prefix("schema-")?.parse().ok());
        let all: Vec<Self> = versions.map(Self::of).collect();
        assert!(!all.is_empty(), "{TRAILS} has no trails");
        all
    }

    fn of(version: u16) -> Self {
        Self { version, folder: Path::new(TRAILS).join(format!("schema-{version}")) }
    }

    fn current() -> Self {
        Self::of(SCHEMA.version)
    }

    fn trail(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn stored(&self, file: &str) -> String {
        let path = self.folder.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn public_key(&self) -> String {
        self.stored("key.pub").trim_end().to_owned()
    }
}

/// What a command prints for the trail, without the line about the access.
fn printed(arguments: &[&str]) -> String {
    let printed = stele_ok(&[arguments, &["--unlogged"]].concat());
    printed.split_once('\n').expect("the first line says that the access is not recorded").1.to_owned()
}

/// What the commands report about the trail `name` in `folder`: the parts that a later program reports as
/// well. It may report more.
fn findings(folder: &Path, name: &str) -> Value {
    let trail = folder.join(name);
    let said = |command: &[&str]| {
        let mut said = stele_json(&[command, &[text(&trail), "--unlogged"]].concat());
        // Paths and speeds differ. A later program may apply more rules, and count latencies more finely.
        let not_golden = ["access", "directory", "rules", "speed", "not_checked"];
        let is_golden = |key: &str| !not_golden.contains(&key) && !key.starts_with("tick_to_");
        said.as_object_mut().expect("a report").retain(|key, _| is_golden(key));
        said
    };
    let sha256 = |printed: String| -> String {
        Sha256::digest(printed).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut findings = json!({
        "summary": said(&["summary"]),
        "sha256 of dump": sha256(printed(&["dump", text(&trail)])),
        "sha256 of replay": sha256(printed(&["replay", text(&trail), "--speed", "0"])),
    });
    if name != EVERY_MESSAGE {
        let key = fs::read_to_string(folder.join("key.pub")).unwrap();
        findings["verify"] = said(&["verify", "--key", key.trim_end()]);
        findings["check-strategy"] = said(&["check-strategy"]);
    }
    findings
}

/// Checks that `now` has everything that `stored` has.
fn assert_has(now: &Value, stored: &Value, place: &str) {
    match (now, stored) {
        (Value::Object(now), Value::Object(stored)) => {
            for (key, stored) in stored {
                let now = now.get(key).unwrap_or_else(|| panic!("{place}: {key} is missing"));
                assert_has(now, stored, &format!("{place}, {key}"));
            }
        }
        (Value::Array(now), Value::Array(stored)) => {
            assert_eq!(now.len(), stored.len(), "{place}: another number of elements");
            let pairs = now.iter().zip(stored).enumerate();
            pairs.for_each(|(at, (now, stored))| assert_has(now, stored, &format!("{place} {at}")));
        }
        (now, stored) => assert_eq!(now, stored, "{place}"),
    }
}

fn events(trail: &Path) -> Vec<RecordedEvent> {
    TrailReader::open(trail).unwrap().events().collect::<Result<_, _>>().unwrap()
}

/// Copies the trail `name` and its key to `scratch`, as a trail that may be written. Returns the copy.
fn copy_of(golden: &Golden, name: &str, scratch: &Path) -> PathBuf {
    let copy = scratch.join(name);
    copy_folder(&golden.trail(name), &copy);
    fs::copy(golden.folder.join("key"), scratch.join("key")).unwrap();
    fs::set_permissions(scratch.join("key"), Permissions::from_mode(0o600)).unwrap();
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_current_schema_version_has_golden_trails_and_its_bytes_are_made_as_before() {
    let all = Golden::all();
    let current = all.iter().find(|golden| golden.version == SCHEMA.version).unwrap_or_else(|| {
        panic!("schema version {} has no golden trails: see the top of this file", SCHEMA.version)
    });
    let stored = current.trail(EVERY_MESSAGE);
    let header = fs::read(stored.join(segment_name(1))).unwrap();
    // The schema's text may change within a version, as in a comment.
    let schema = HeaderState::read(&header[..4096]).header().expect("it is valid").schema;
    let scratch = tempfile::tempdir().unwrap();
    let made = scratch.path().join(EVERY_MESSAGE);
    every_message::write(&made, SCHEMA.version, schema);
    for name in [segment_name(1), segment_name(2)] {
        assert!(fs::read(made.join(&name)).unwrap() == fs::read(stored.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn every_golden_trail_is_reported_by_the_commands_as_before() {
    for golden in Golden::all() {
        for name in [EVERY_MESSAGE, SESSION, ARCHIVED] {
            let stored: Value = serde_json::from_str(&golden.stored(&format!("{name}.json"))).unwrap();
            let place = format!("schema {}, {name}", golden.version);
            assert_has(&findings(&golden.folder, name), &stored, &place);
        }
    }
}

/// The fields of later versions are null in an older message.
#[test]
fn every_message_of_every_version_is_printed_as_before() {
    for golden in Golden::all() {
        let now = printed(&["dump", text(&golden.trail(EVERY_MESSAGE)), "--json"]);
        let stored = golden.stored("every-message.jsonl");
        assert_eq!(now.lines().count(), stored.lines().count());
        for (now, stored) in now.lines().zip(stored.lines()) {
            let event: Value = serde_json::from_str(now).unwrap();
            let message = event["type"].as_str().map(|name| SCHEMA.message_named(name).unwrap());
            let blocks = message.iter().flat_map(|message| {
                let groups = message.block.groups.iter().map(|group| &group.block);
                std::iter::once(&message.block).chain(groups)
            });
            let newer = blocks.flat_map(|block| block.fields.iter()).filter(|it| it.since > golden.version);
            let now = newer
                .fold(now.to_owned(), |now, field| now.replace(&format!(",\"{}\":null", field.name), ""));
            assert_eq!(now, stored, "schema {}", golden.version);
        }
    }
}

#[test]
fn the_reader_yields_every_event_of_every_golden_trail() {
    for golden in Golden::all() {
        let found = events(&golden.trail(EVERY_MESSAGE));
        let wanted = every_message::messages(golden.version);
        assert_eq!(found.len(), wanted.len());
        for ((event, wanted), sequence) in found.iter().zip(&wanted).zip(1..) {
            let (frame, name) = (event.frame(), &wanted.name);
            let header = frame.header();
            let schema = (header.schema_id.get(), header.schema_version.get());
            assert_eq!(
                (event.sequence().0, frame.template_id(), schema),
                (sequence, wanted.template_id, wanted.schema)
            );
            assert_eq!(event.name().unwrap_or(every_message::FOREIGN), name);
            assert_eq!(header.block_length.get(), wanted.block_length, "{name}");
            let (body, zeros) = frame.body().split_at(wanted.body.len());
            assert!(body == wanted.body && zeros.iter().all(|byte| *byte == 0), "{name}");
        }
        let report = verify::verify(&Directory::new(golden.trail(EVERY_MESSAGE)), &ScanOptions::default());
        assert_eq!(report.unwrap().events, wanted.len() as u64);
        for name in [SESSION, ARCHIVED] {
            let stored: Value = serde_json::from_str(&golden.stored(&format!("{name}.json"))).unwrap();
            let found = events(&golden.trail(name));
            assert!(found.iter().zip(1..).all(|(event, sequence)| event.sequence().0 == sequence));
            for of_type in stored["summary"]["types"].as_array().unwrap() {
                let of_type_now = |event: &&RecordedEvent| event.name() == of_type["name"].as_str();
                assert_eq!(found.iter().filter(of_type_now).count() as u64, of_type["count"], "{of_type}");
            }
            assert!(found.iter().any(|event| event.message::<NewOrder>().is_some()));
            assert!(found.iter().any(|event| event.message::<OrderFilled>().is_some()));
            assert!(found.iter().any(|event| event.message::<TimerFired>().is_some()));
            assert!(found.iter().any(|event| event.message::<KillSwitch>().is_some()));
        }
    }
}

#[test]
fn a_new_run_continues_and_seals_a_copy_of_every_golden_session() {
    for golden in Golden::all() {
        for name in [SESSION, ARCHIVED] {
            let scratch = tempfile::tempdir().unwrap();
            let copy = copy_of(&golden, name, scratch.path());
            let before = events(&copy);
            let configuration = scratch.path().join("run.toml");
            let bus = format!("golden-{}-{name}-{}", golden.version, std::process::id());
            fs::write(&configuration, making::configuration(&bus, &scratch.path().join("key"))).unwrap();
            stele_ok(&["run", "-c", text(&configuration), "--seconds", "0.2", "--dir", text(&copy)]);
            let verified = stele_json(&["verify", text(&copy), "--key", &golden.public_key(), "--unlogged"]);
            assert_eq!(verified["seals"]["unsealed"], 0, "{verified}");
            let after = events(&copy);
            assert!(after.len() > before.len() && after[..before.len()] == before[..], "{name}");
            assert!(after.last().unwrap().epoch() > before.last().unwrap().epoch());
            stele_ok(&["check-strategy", text(&copy), "--unlogged"]);
        }
    }
}

#[test]
fn the_program_appends_an_epoch_to_a_copy_of_every_trail_of_all_messages() {
    for golden in Golden::all() {
        let scratch = tempfile::tempdir().unwrap();
        let copy = copy_of(&golden, EVERY_MESSAGE, scratch.path());
        let before = events(&copy);
        stele_ok(&["kill-switch", "--all", "--by", "12", "--reason", "a test", "--trail", text(&copy)]);
        let after = events(&copy);
        assert_eq!(after[..before.len()], before[..]);
        let added: Vec<&str> = after[before.len()..].iter().filter_map(RecordedEvent::name).collect();
        assert!(added.contains(&message_name(KillSwitch::TEMPLATE_ID).unwrap()), "{added:?}");
        let report = verify::verify(&Directory::new(&copy), &ScanOptions::default()).unwrap();
        assert_eq!(
            (report.events, report.epoch.0),
            (after.len() as u64, before.last().unwrap().epoch().0 + 1)
        );
    }
}

/// The verifier in Python, on the archives as `zstd -d` unpacks them.
#[test]
fn a_verifier_that_shares_no_code_accepts_every_golden_trail() {
    let runs = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !runs("python3", &["-c", "import cryptography"]) {
        return skip_outside_ci("python3 with the package cryptography");
    }
    if !runs("zstd", &["--version"]) {
        return skip_outside_ci("the program zstd");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/verify_stele.py");
    for golden in Golden::all() {
        let scratch = tempfile::tempdir().unwrap();
        let unpacked = copy_of(&golden, ARCHIVED, scratch.path());
        for index in [1, 2] {
            assert!(runs("zstd", &["-q", "-d", "--rm", text(&unpacked.join(archive_name(index)))]));
        }
        let key = golden.public_key();
        let sealed = ["--key", &key];
        for (trail, seals) in
            [(golden.trail(EVERY_MESSAGE), &[][..]), (golden.trail(SESSION), &sealed), (unpacked, &sealed)]
        {
            let output = Command::new("python3").arg(script).arg(&trail).args(seals).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", trail.display());
        }
    }
}
