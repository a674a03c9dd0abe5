//! Seals, proofs, and their verification with nothing but the public key.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use stele_journal::WriterLock;
use stele_wire::units::Nanos;

/// A trail that the program made, and a key.
struct Made {
    folder: tempfile::TempDir,
    trail: String,
    key: String,
    public: String,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trail = text(&folder.path().join("trail")).to_owned();
        let (key, public) = new_key(folder.path(), "key");
        let made = Self { folder, trail, key, public };
        made.run();
        made
    }

    /// Another session on the trail.
    fn run(&self) {
        let feed = ["run", "--feed", "generator:3", "--seconds", "0.1", "--engine", "plain"];
        stele_ok(&[&feed[..], &["--strategy", "ma-cross", "--dir", &self.trail]].concat());
    }

    fn seal(&self) -> serde_json::Value {
        stele_json(&["seal", &self.trail, "--key", &self.key])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn events(&self) -> u64 {
        stele_json(&["summary", &self.trail])["events"].as_u64().unwrap()
    }
}

/// Makes a key in a file; gives the file and the public part.
fn new_key(folder: &Path, file: &str) -> (String, String) {
    let file = text(&folder.join(file)).to_owned();
    let public = stele_ok(&["key", "new", &file, "--name", "bank.example/stele"]);
    (file, public.trim_end().to_owned())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_key_is_for_its_owner_only_is_never_overwritten_and_shows_its_public_part_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, public) = new_key(folder.path(), "key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(public.starts_with("bank.example/stele+"), "{public}");
    let before = fs::read(&file).unwrap();
    let said = stele_fails(&["key", "new", &file, "--name", "bank.example/stele"], 3);
    assert!(said.contains("never overwritten"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(stele_ok(&["key", "show", &file]), format!("{public}\n"));
    let other = text(&folder.path().join("other")).to_owned();
    stele_fails(&["key", "new", &other, "--name", "two words"], 2);
    stele_fails(&["key", "show", &other], 3);
    assert!(!Path::new(&other).exists());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let said = stele_fails(&["key", "show", &file], 3);
    assert!(said.contains("can be read by other users"), "{said}");
}

#[test]
fn a_trail_is_sealed_to_its_end_and_continued_from_there() {
    let made = Made::new();
    let events = made.events();
    let first = made.seal();
    assert_eq!(
        (&first["before"], &first["sealed"], &first["checkpoints"]),
        (&0.into(), &events.into(), &1.into())
    );
    assert_eq!(first["unsealed"], 0);
    let again = made.seal();
    assert_eq!((&again["before"], &again["checkpoints"]), (&events.into(), &0.into()));
    made.run();
    let said = stele_ok(&["seal", &made.trail, "--key", &made.key]);
    assert!(said.contains("events are sealed") && said.contains("new checkpoints: 1"), "{said}");
    let later = made.seal();
    assert_eq!(later["before"], made.events());
    assert!(made.events() > events);
    let (other, _) = new_key(made.folder.path(), "other");
    let said = stele_fails(&["seal", &made.trail, "--key", &other], 1);
    assert!(said.contains("nothing was signed"), "{said}");
    stele_fails(&["seal", &made.trail, "--key", text(&made.path("nowhere"))], 3);
    stele_fails(&["seal", text(&made.path("nowhere")), "--key", &made.key], 3);
}

#[test]
fn the_message_to_a_second_sealer_names_the_first() {
    let made = Made::new();
    let seals = Path::new(&made.trail).join("seals");
    fs::create_dir(&seals).unwrap();
    let lock = WriterLock::take(&seals, Nanos(17)).unwrap();
    let said = stele_fails(&["seal", &made.trail, "--key", &made.key], 3);
    let owner = format!("pid {}", std::process::id());
    assert!(said.contains("another sealer") && said.contains(&owner), "{said}");
    assert!(!seals.join("checkpoint").exists());
    drop(lock);
    assert_eq!(made.seal()["sealed"], made.events());
}

#[test]
fn a_proof_is_valid_with_nothing_but_the_key_and_an_altered_one_is_invalid() {
    let made = Made::new();
    let proof = made.path("7.tlog-proof");
    let proof = text(&proof);
    let prove = ["prove", &made.trail, "--sequence", "7", "--key", &made.public];
    let said = stele_fails(&prove, 1);
    assert!(said.contains("run `stele seal` first"), "{said}");
    let sealed = made.seal()["sealed"].as_u64().unwrap();
    stele_ok(&[&prove[..], &["-o", proof]].concat());
    assert_eq!(stele_ok(&prove), fs::read_to_string(proof).unwrap());
    stele_fails(&[&prove[..], &["-o", proof]].concat(), 3);
    let beyond = (sealed + 1).to_string();
    stele_fails(&["prove", &made.trail, "--sequence", &beyond, "--key", &made.public], 1);
    stele_fails(&["prove", &made.trail, "--sequence", "0", "--key", &made.public], 2);
    stele_fails(&["prove", &made.trail, "--sequence", "7", "--key", "nonsense"], 2);

    let checked = stele_json(&["check-proof", proof, "--key", &made.public]);
    assert_eq!((&checked["sequence"], &checked["size"]), (&7.into(), &sealed.into()));
    let shown = stele_ok(&["check-proof", proof, "--key", &made.public]);
    assert!(shown.contains("event 7 is on stele.internal/"), "{shown}");
    let event = checked["event"].as_str().unwrap().trim_end();
    assert!(stele_ok(&["dump", &made.trail]).lines().any(|line| line == event), "{event}");

    let (_, stranger) = new_key(made.folder.path(), "stranger");
    let said = stele_fails(&["check-proof", proof, "--key", &stranger], 1);
    assert!(said.contains("not signed by"), "{said}");
    stele_fails(&["check-proof", text(&made.path("nowhere")), "--key", &made.public], 3);
    let good = fs::read_to_string(proof).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    for line in 1..lines.len() {
        let mut altered: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let middle = altered[line].len() / 2;
        let Some(letter) = altered[line][middle..].chars().next() else { continue };
        let other = if letter == '2' { "3" } else { "2" };
        altered[line].replace_range(middle..middle + letter.len_utf8(), other);
        fs::write(proof, altered.join("\n") + "\n").unwrap();
        stele_fails(&["check-proof", proof, "--key", &made.public], 1);
    }
    fs::write(proof, [0xff, 0xfe]).unwrap();
    stele_fails(&["check-proof", proof, "--key", &made.public], 1);
}

#[test]
fn verify_with_the_key_reports_what_is_sealed_and_finds_what_only_a_seal_can_show() {
    let made = Made::new();
    let without = stele_ok(&["verify", &made.trail]);
    assert!(without.contains("not checked: seals"), "{without}");
    let verify = ["verify", &made.trail, "--key", &made.public];
    let said = stele_fails(&verify, 1);
    assert!(said.contains("is not sealed"), "{said}");
    let sealed = made.seal()["sealed"].as_u64().unwrap();
    let older = made.path("older");
    copy(Path::new(&made.trail), &older);
    made.run();
    let report = stele_json(&verify);
    let behind = made.events() - sealed;
    assert_eq!((&report["seals"]["sealed"], &report["seals"]["unsealed"]), (&sealed.into(), &behind.into()));
    let shown = stele_ok(&verify);
    assert!(!shown.contains("not checked: seals") && shown.contains("under no signature"), "{shown}");

    made.seal();
    let kept = made.path("kept");
    fs::copy(Path::new(&made.trail).join("seals/checkpoint"), &kept).unwrap();
    let against = ["--against", text(&kept)];
    assert_eq!(stele_json(&[&verify[..], &against].concat())["seals"]["against"], made.events());
    // An older copy in place of the trail is consistent in itself; a checkpoint from elsewhere shows the
    // rollback.
    let rolled_back = ["verify", text(&older), "--key", &made.public];
    stele_ok(&rolled_back);
    let said = stele_fails(&[&rolled_back[..], &against].concat(), 1);
    assert!(said.contains("are missing"), "{said}");
    let (_, stranger) = new_key(made.folder.path(), "stranger");
    let said = stele_fails(&["verify", &made.trail, "--key", &stranger], 1);
    assert!(said.contains("not signed by"), "{said}");
    stele_fails(&["verify", &made.trail, "--against", text(&kept)], 2);
    stele_fails(&[&verify[..], &["--against", text(&made.path("nowhere"))]].concat(), 3);
}

#[test]
fn the_whole_tree_is_exported_to_a_new_directory_and_only_under_the_right_key() {
    let made = Made::new();
    let to = made.path("tiles");
    let export = ["export-tiles", &made.trail, text(&to), "--key", &made.public];
    let said = stele_fails(&export, 1);
    assert!(said.contains("is not sealed"), "{said}");
    fs::remove_dir(&to).unwrap();
    let sealed = made.seal()["sealed"].as_u64().unwrap();
    let (_, stranger) = new_key(made.folder.path(), "stranger");
    stele_fails(&["export-tiles", &made.trail, text(&to), "--key", &stranger], 1);
    assert!(!to.join("checkpoint").exists());
    fs::remove_dir(&to).unwrap();
    let exported = stele_json(&export);
    assert_eq!(exported["size"], sealed);
    let file = |name: &str| fs::read(to.join(name)).unwrap();
    assert_eq!(file("checkpoint"), fs::read(Path::new(&made.trail).join("seals/checkpoint")).unwrap());
    assert_eq!(file("tile/0/000").len(), 256 * 32);
    let first = u16::from_be_bytes(file("tile/entries/000")[..2].try_into().unwrap());
    assert!(first >= 32 && first % 8 == 0, "a frame's length: {first}");
    let said = stele_fails(&export, 3);
    assert!(said.contains("choose a new directory"), "{said}");
}
