//! SIGKILL at random moments, on real files: what could be read before a kill is on the trail after it, and
//! the log continues without a gap.

use crate::running::Random;
use crate::{log_end, stele_json, stele_ok, text};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use stele_journal::format::HeaderState;
use stele_journal::{Directory, LOCK_NAME, TrailError, find_segments};
use stele_wire::{Epoch, Position};

/// The number of kills of one trail. Each start reads the trail that the kills before it left.
const KILLS_PER_TRAIL: u32 = 10;

/// Segments of 1 MiB at about 10 MB/s, so that kills hit the ends of segments and segments that are being
/// prepared.
const CONFIGURATION: &str = "[journal]\nsegment_mib = 1\nspare_segments = 2\n[bus]\nring_mib = 1\n[feed]\npace = 'real-time'\n\
                             spec = 'generator:7'\n[[strategy]]\nname = 'ma-cross'\n[[strategy]]\nname = 'dip-buyer'\n";

/// One trail and its kills, in a folder of its own.
struct Story<'a> {
    folder: &'a Path,
    trail: &'a Path,
    random: Random,
}

impl Story<'_> {
    fn run(&mut self) -> Result<(), String> {
        for kill in 1..=KILLS_PER_TRAIL {
            self.kill_once().map_err(|what| format!("kill {kill}: {what}"))?;
        }
        let configuration = self.folder.join("run.toml");
        stele_ok(&["run", "-c", text(&configuration), "--seconds", "0.2", "--dir", text(self.trail)]);
        let verified = stele_json(&["verify", text(self.trail)]);
        if verified["events"] != verified["last_sequence"] {
            return Err(format!("the sequence has a gap: {verified}"));
        }
        stele_ok(&["check-strategy", text(self.trail)]);
        Ok(())
    }

    /// Starts a run, kills it during its start or later, and compares the trail with what was read before the
    /// kill.
    fn kill_once(&mut self) -> Result<(), String> {
        let before = newest_epoch(self.trail);
        let mut child = self.start();
        let seen = self.watch(before, &mut child);
        let ended = child.try_wait().expect("it was started");
        child.kill().expect("it was started");
        child.wait().expect("it was started");
        if let Some(status) = ended {
            return Err(format!("it ended by itself, {status}"));
        }
        let seen = seen?;
        let has_begun = seen.is_some();
        let seen = seen.unwrap_or(Position(0));
        let end = match log_end(self.trail) {
            Err(TrailError::NoTrail(_)) if before == Epoch(0) => Position(0),
            other => other.map_err(|error| error.to_string())?,
        };
        if end < seen {
            return Err(format!("{seen} was written before the kill, the log ends at {end}"));
        }
        // The lock file remains, but it does not lock the trail, as the next start shows.
        let is_locked = self.trail.join(LOCK_NAME).exists();
        if has_begun && !is_locked {
            return Err("the lock file is gone".to_owned());
        }
        Ok(())
    }

    /// Lets a run live for a random time; returns where its log ended then, if its epoch had begun. Recovery
    /// may cut what an earlier run wrote and did not flush; what the reader saw of this epoch must remain.
    fn watch(&mut self, before: Epoch, child: &mut Child) -> Result<Option<Position>, String> {
        if self.random.below(4) > 0 {
            wait_for_epoch(self.trail, before, child)?;
        }
        thread::sleep(Duration::from_micros(self.random.below(250_000)));
        if newest_epoch(self.trail) == before {
            return Ok(None);
        }
        log_end(self.trail).map(Some).map_err(|error| error.to_string())
    }

    /// Starts a run whose messages go to a file.
    fn start(&self) -> Child {
        let said = File::options().create(true).append(true).open(self.folder.join("said")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
        command.arg("run").arg("-c").arg(self.folder.join("run.toml")).arg("--dir").arg(self.trail);
        command.stdout(Stdio::null()).stderr(said).spawn().expect("the program was built")
    }
}

/// Returns the epoch of the newest segment; 0 where there is none.
fn newest_epoch(trail: &Path) -> Epoch {
    let found = find_segments(&Directory::new(trail)).unwrap_or_default();
    let begun = found.iter().rev().find_map(|found| match found.state {
        HeaderState::Valid(header) => Some(header.identity.epoch),
        _ => None,
    });
    begun.unwrap_or(Epoch(0))
}

fn wait_for_epoch(trail: &Path, before: Epoch, child: &mut Child) -> Result<(), String> {
    let began = Instant::now();
    while newest_epoch(trail) == before {
        let ended = child.try_wait().expect("it was started");
        if ended.is_some() || began.elapsed() > Duration::from_secs(30) {
            return Err(format!("it did not begin: {ended:?}"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Kills runs on `trails` trails. `STELE_KILL_SEED` repeats the moments of an earlier failure, as far as the
/// machine's timing allows.
fn kill_runs(trails: u64) {
    let chosen = std::env::var("STELE_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = chosen.unwrap_or_else(|| u64::from(std::process::id()) << 16);
    for seed in first..first + trails {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("run.toml"), CONFIGURATION).unwrap();
        let trail = scratch.path().join("trail");
        let mut story = Story { folder: scratch.path(), trail: &trail, random: Random(seed) };
        if let Err(what) = story.run() {
            let said = fs::read_to_string(scratch.path().join("said")).unwrap_or_default();
            let kept = scratch.keep();
            panic!("{what}\n  STELE_KILL_SEED={seed}, kept in {}, which said:\n{said}", kept.display());
        }
    }
}

#[test]
fn a_run_killed_forty_times_keeps_what_was_written_and_leaves_no_gap() {
    kill_runs(4);
}

#[test]
#[ignore = "takes minutes; .ci/run names it"]
fn a_run_killed_two_hundred_times_keeps_what_was_written_and_leaves_no_gap() {
    kill_runs(20);
}
