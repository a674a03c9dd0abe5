//! A run that seals its trail: during the run, at its end, and through SIGKILL at random moments.

use crate::running::{Random, Running, eventually, wait_until};
use crate::{log_end, stele_fails, stele_json, stele_ok, text};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use stele_journal::WriterLock;
use stele_wire::units::Nanos;

/// The number of trails, and of kills of each.
const TRAILS: u64 = 4;
const KILLS: u64 = 10;

/// A folder with a key, a configuration that seals with it, and a place for a trail.
struct Place {
    folder: tempfile::TempDir,
    public: String,
}

impl Place {
    /// `seal` are further lines of the configuration's section.
    fn new(seal: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let public = stele_ok(&["key", "new", text(&key), "--name", "bank.example/stele"]);
        let place = Self { public: public.trim_end().to_owned(), folder };
        let configuration = format!(
            "[journal]\nsegment_mib = 1\nspare_segments = 2\nengine = 'plain'\n[bus]\nring_mib = 1\n[feed]\npace = 'real-time'\n\
             events_per_second = 20000\nspec = 'generator:7'\n[[strategy]]\nname = 'ma-cross'\n[seal]\nkey = '{}'\n{seal}",
            key.display()
        );
        fs::write(place.path("run.toml"), configuration).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trail(&self) -> PathBuf {
        self.path("trail")
    }

    fn run(&self) -> serde_json::Value {
        let (configuration, trail) = (self.path("run.toml"), self.trail());
        stele_json(&["run", "-c", text(&configuration), "--seconds", "1", "--dir", text(&trail)])
    }

    fn start(&self) -> Running {
        let said = File::options().create(true).append(true).open(self.path("said")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
        command.arg("run").arg("-c").arg(self.path("run.toml")).arg("--dir").arg(self.trail());
        Running(command.stdout(Stdio::null()).stderr(said).spawn().unwrap())
    }

    fn verified(&self) -> serde_json::Value {
        stele_json(&["verify", text(&self.trail()), "--key", &self.public])
    }

    /// Returns every numbered checkpoint by its name.
    fn checkpoints(&self) -> BTreeMap<String, String> {
        let folder = fs::read_dir(self.trail().join("seals/checkpoints")).into_iter().flatten().flatten();
        let named = folder.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_numbered = name.bytes().all(|byte| byte.is_ascii_digit());
            is_numbered.then(|| (name, fs::read_to_string(entry.path()).unwrap()))
        });
        named.collect()
    }
}

#[test]
fn a_run_seals_its_trail_to_the_last_event_and_the_next_run_continues() {
    let place = Place::new("interval_seconds = 0.05\n");
    for _ in 0..2 {
        let report = place.run();
        let verified = place.verified();
        assert_eq!(verified["seals"]["unsealed"], 0, "{verified}");
        assert_eq!(report["seal"]["sealed"], verified["events"]);
        // One by time during the run, and one at its end.
        assert!(report["seal"]["checkpoints"].as_u64().unwrap() >= 2, "{report}");
        assert!(report["seal"]["failure"].is_null(), "{report}");
    }
    let count = place.checkpoints().len();
    assert_eq!(
        stele_json(&["seal", text(&place.trail()), "--key", text(&place.path("key"))])["checkpoints"],
        0
    );
    assert_eq!(place.verified()["seals"]["checkpoints"], count);
}

/// The key is rotated between two runs; the next run begins with the new key only, and either key verifies
/// the trail.
#[test]
fn a_key_is_rotated_between_two_runs_and_a_run_with_the_old_key_is_refused() {
    let place = Place::new("interval_seconds = 0.05\n");
    place.run();
    let (trail, old, new) = (place.trail(), place.path("key"), place.path("new-key"));
    let rotate = ["key", "rotate", text(&trail), "--key", text(&old), "--new", text(&new), "--by", "7"];
    let said = stele_fails(&[&rotate[..], &["--approved-by", "7"]].concat(), 2);
    assert!(said.contains("cannot approve") && !new.exists(), "{said}");
    let rotated = stele_json(&rotate);
    let (rotation, sealed) = (&rotated["trails"][0], place.verified());
    assert_eq!((&sealed["seals"]["unsealed"], &sealed["seals"]["keys"]), (&0.into(), &1.into()));
    assert_eq!(rotation["sealed"], sealed["events"]);
    // The same command finds the rotation done, and a rotation to another key is too late.
    assert_eq!(stele_json(&rotate), rotated);
    let other = place.path("other-key");
    let too_late = ["key", "rotate", text(&trail), "--key", text(&old), "--new", text(&other), "--by", "7"];
    assert!(stele_fails(&too_late, 2).contains("already"));
    let said = stele_ok(&["dump", text(&trail), "--type", "KeyRotated"]);
    assert!(said.lines().count() == 1 && said.contains(&rotation["sequence"].to_string()), "{said}");
    let run_file = place.path("run.toml");
    let run = ["run", "-c", text(&run_file), "--seconds", "0.3", "--dir", text(&trail)];
    let said = stele_fails(&run, 1);
    assert!(said.contains("handed over to another one") && said.contains("[seal] key"), "{said}");
    let configuration = fs::read_to_string(&run_file).unwrap();
    fs::write(&run_file, configuration.replace(text(&old), text(&new))).unwrap();
    place.run();
    let verified = place.verified();
    assert_eq!((&verified["seals"]["unsealed"], &verified["seals"]["keys"]), (&0.into(), &2.into()));
    let by_new = stele_json(&["verify", text(&trail), "--key", rotated["new"].as_str().unwrap()]);
    assert_eq!(by_new["seals"], verified["seals"]);
    // A key that was replaced cannot be used again.
    let back = ["key", "rotate", text(&trail), "--key", text(&new), "--new", text(&old), "--by", "7"];
    assert!(stele_fails(&back, 2).contains("has already signed this trail"));
}

#[test]
fn a_run_without_a_key_seals_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let report = stele_json(&["run", "--feed", "generator:3", "--seconds", "0.1", "--dir", text(&trail)]);
    assert!(report["seal"].is_null() && !trail.join("seals").exists());
}

#[test]
fn the_sealed_watermark_and_the_number_of_sealed_events_grow_while_a_run_goes_on() {
    let place = Place::new("interval_seconds = 0.05\nevents = 500\n[metrics]\n");
    let name = format!("sealed-{}", std::process::id());
    let configuration = fs::read_to_string(place.path("run.toml")).unwrap();
    fs::write(
        place.path("run.toml"),
        configuration.replace("ring_mib = 1", &format!("ring_mib = 1\nname = '{name}'")),
    )
    .unwrap();
    let _run = place.start();
    let sealed = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_stele")).args(["top", &name, "--json"]).output().unwrap();
        let view: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        view["shards"][0]["watermarks"][4]["position"].as_u64().filter(|position| *position > 0)
    };
    let first = eventually("something is sealed", sealed);
    eventually("more is sealed", || sealed().filter(|later| *later > first));
    // The message to a second sealer names the first.
    let said = stele_fails(&["seal", text(&place.trail()), "--key", text(&place.path("key"))], 3);
    assert!(said.contains("another sealer") && said.contains(&format!("pid {}", _run.0.id())), "{said}");
}

#[test]
fn a_run_whose_seals_another_process_writes_continues_and_reports_it_at_its_end() {
    let place = Place::new("");
    place.run();
    let _lock = WriterLock::take(&place.trail().join("seals"), Nanos(17)).unwrap();
    let configuration = place.path("run.toml");
    let run = ["run", "-c", text(&configuration), "--seconds", "0.1", "--dir"];
    let said = stele_ok(&[&run[..], &[text(&place.trail())]].concat());
    assert!(said.contains("NOT sealed to its end") && said.contains("another sealer"), "{said}");
}

#[test]
fn a_run_is_refused_on_a_trail_that_ends_before_its_seal() {
    let place = Place::new("");
    place.run();
    let seals = place.path("seals");
    place.run();
    fs::rename(place.trail().join("seals"), &seals).unwrap();
    fs::remove_dir_all(place.trail()).unwrap();
    let configuration = place.path("run.toml");
    let run = ["run", "-c", text(&configuration), "--seconds", "0.1", "--dir", text(&place.trail())]
        .map(str::to_owned);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    fs::create_dir(place.trail()).unwrap();
    fs::rename(&seals, place.trail().join("seals")).unwrap();
    let said = stele_fails(&run, 1);
    assert!(said.contains("ends with event 0") && said.contains("it was cut"), "{said}");
    assert_eq!(
        fs::read_dir(place.trail())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "stele")
            })
            .count(),
        0
    );
    // A key that did not sign the existing checkpoints signs nothing.
    let (other, key) = (place.path("other"), place.path("key"));
    stele_ok(&["key", "new", text(&other), "--name", "bank.example/stele"]);
    fs::rename(&other, &key).unwrap();
    let said = stele_fails(&run, 1);
    assert!(said.contains("nothing was signed"), "{said}");
}

#[test]
fn a_passphrase_file_must_be_readable_by_its_owner_only() {
    let place = Place::new("");
    let configuration = fs::read_to_string(place.path("run.toml")).unwrap();
    let file = place.path("passphrase");
    fs::write(&file, "correct horse\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let line = format!("passphrase_file = '{}'\n", file.display());
    fs::write(place.path("run.toml"), format!("{configuration}{line}")).unwrap();
    // The key has no passphrase, so the one that is given is not needed.
    assert_eq!(place.run()["seal"]["failure"], serde_json::Value::Null);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let configuration = place.path("run.toml");
    let run = ["run", "-c", text(&configuration), "--dir", text(&place.trail())].map(str::to_owned);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    let said = stele_fails(&run, 3);
    assert!(said.contains("can be read by other users"), "{said}");
    fs::write(&configuration, "[seal]\ninterval_seconds = 0\n").unwrap();
    stele_fails(&run, 2);
    fs::write(&configuration, "[seal]\nevents = 0\n").unwrap();
    stele_fails(&run, 2);
    fs::write(&configuration, "[seal]\npassphrase_file = 'x'\n").unwrap();
    stele_fails(&run, 2);
}

/// Kills a run that seals every millisecond, so that most kills hit a checkpoint that is partly written.
fn kill_while_sealing(place: &Place, random: &mut Random) {
    let before = place.checkpoints();
    let mut run = place.start();
    wait_until("a checkpoint is signed", || {
        let ended = run.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(place.path("said")).unwrap());
        place.checkpoints().len() > before.len()
    });
    sleep(Duration::from_micros(random.below(40_000)));
    let seen = place.checkpoints();
    drop(run);
    let after = place.checkpoints();
    for (name, text) in before.iter().chain(&seen) {
        assert_eq!(after.get(name), Some(text), "checkpoint {name} has changed or is missing");
    }
    assert!(log_end(&place.trail()).is_ok());
}

#[test]
fn a_run_killed_forty_times_while_it_seals_never_signs_a_contradiction() {
    let first = std::env::var("STELE_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = first.unwrap_or_else(|| u64::from(std::process::id()) << 16);
    let mut checkpoints = 0;
    for seed in first..first + TRAILS {
        println!("STELE_KILL_SEED={seed}");
        let place = Place::new("interval_seconds = 0.001\nevents = 200\n");
        let mut random = Random(seed);
        for _ in 0..KILLS {
            kill_while_sealing(&place, &mut random);
            check_seals(&place);
        }
        let signed = place.checkpoints();
        place.run();
        // Each checkpoint covers the trail's own tree, so none contradicts another.
        let verified = place.verified();
        assert_eq!(verified["seals"]["unsealed"], 0, "{verified}");
        let last = place.checkpoints();
        assert!(signed.iter().all(|(name, text)| last.get(name) == Some(text)));
        assert_eq!(verified["seals"]["checkpoints"], last.len());
        checkpoints += last.len();
    }
    println!("{} kills, {checkpoints} checkpoints", TRAILS * KILLS);
    assert!(checkpoints as u64 > TRAILS * KILLS);
}

/// Checks every checkpoint on a trail that a kill left without an end.
fn check_seals(place: &Place) {
    let verified = place.verified();
    assert_eq!(verified["seals"]["checkpoints"], place.checkpoints().len(), "{verified}");
}

/// The machine may have only two CPUs, so the test checks the thread's priority and not its CPU.
#[test]
fn the_sealer_is_a_thread_of_its_own_with_a_lower_priority_than_the_hot_ones() {
    let place = Place::new("interval_seconds = 0.01\n");
    let run = place.start();
    let is_behind = |nice: &i64| *nice >= 10;
    eventually("the thread is behind", || thread_nice(run.0.id(), "sealer").filter(is_behind));
}

/// Field 19 of the thread's stat.
fn thread_nice(pid: u32, name: &str) -> Option<i64> {
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).ok()?;
    let stats = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let mut found = stats.filter(|stat| stat.contains(&format!("({name})")));
    let stat = found.next()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
}
