//! The hot threads of a running session make no system calls except those listed here, and take no page
//! faults.

use crate::running::{Running, wait_until};
use crate::text;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use stele_testkit::skip::skip_outside_ci;

/// A configuration of a busy run whose segments are small, so that it rolls.
fn config(folder: &Path, idle: &str, flush: &str) -> String {
    let toml = format!(
        "[feed]\nspec = \"generator:7\"\npace = \"real-time\"\nevents_per_second = 50000\n\
         [bus]\nring_mib = 16\nidle = \"{idle}\"\n[journal]\nsegment_mib = 1\nflush = \"{flush}\"\n\
         [[strategy]]\nname = \"dip-buyer\"\n"
    );
    let path = folder.join("stele.toml");
    fs::write(&path, toml).unwrap();
    text(&path).to_owned()
}

/// The threads of the process by name.
fn threads(pid: u32) -> BTreeMap<String, u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let named = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?.trim().to_owned();
        Some((name, task.file_name().to_str()?.parse().ok()?))
    });
    named.collect()
}

/// The tests here run one at a time, so that each run has two CPUs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Minor and major faults of a thread: fields 10 and 12 of /proc/PID/task/TID/stat.
fn faults(pid: u32, thread: u32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields[7].parse().ok()?, fields[9].parse().ok()?))
}

/// The number of segments that the run has begun.
fn segments(trail: &Path) -> usize {
    fs::read_dir(trail).map_or(0, |files| files.flatten().filter(|file| is_segment(&file.path())).count())
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "stele")
}

#[test]
fn the_sequencers_thread_takes_no_page_fault_and_the_journals_at_most_one_for_each_segment() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let run = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["run", "-c", &config(scratch.path(), "auto", "measured"), "--dir", text(&trail)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run = Running(run);
    let pid = run.0.id();
    wait_until("it is under way", || segments(&trail) > 6);
    let hot: Vec<(String, u32)> = threads(pid)
        .into_iter()
        .filter(|(name, _)| ["sequencer", "journal"].contains(&name.as_str()))
        .collect();
    assert!(!hot.is_empty(), "{:?}", threads(pid));
    // A page that the kernel moves when memory is short costs one fault; a fault that the threads cause
    // themselves occurs in every stretch of the run.
    let stretches: Vec<String> =
        (0..STRETCHES).map_while(|_| faults_of_a_stretch(pid, &trail, &hot)).collect();
    assert!(stretches.len() < STRETCHES, "page faults in every stretch: {stretches:#?}");
}

/// The most stretches of a run that are observed until one is without a fault.
const STRETCHES: usize = 3;

/// Lets the run write some segments, and returns which thread took a forbidden page fault meanwhile, if one
/// did.
fn faults_of_a_stretch(pid: u32, trail: &Path, hot: &[(String, u32)]) -> Option<String> {
    let before: Vec<_> = hot.iter().map(|(_, thread)| faults(pid, *thread).unwrap()).collect();
    let begun = segments(trail);
    wait_until("some more segments are begun", || segments(trail) > begun + 3);
    let rolls = (segments(trail) - begun) as u64;
    hot.iter().zip(before).find_map(|((name, thread), (minor, major))| {
        let after = faults(pid, *thread).unwrap();
        // The buffers of a new segment come from the pool's heap, which the journal's thread may be the first
        // to touch: at most once for each segment, and never for an event.
        let allowed = if name == "journal" { rolls } else { 0 };
        let is_fine = after.0 <= minor + allowed && after.1 == major;
        (!is_fine).then(|| format!("`{name}`, minor and major: {minor} and {major}, then {after:?}"))
    })
}

/// Calls of each hot thread in the middle of a traced run, by thread and call.
fn traced_calls(idle: &str, flush: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let can_trace = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !can_trace.is_ok_and(|status| status.success()) {
        skip_outside_ci("strace, and the right to trace");
        return None;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = tempfile::tempdir().unwrap();
    let (log, trail) = (scratch.path().join("calls"), scratch.path().join("trail"));
    // Only traced calls slow the program down; yields are allowed and too many to trace.
    let run = Command::new("strace")
        .args(["-f", "-qq", "--seccomp-bpf", "-ttt", "-e", "trace=!sched_yield", "-e", "signal=none"])
        .args(["-o", text(&log), env!("CARGO_BIN_EXE_stele"), "run", "-c"])
        .args([&config(scratch.path(), idle, flush), "--dir", text(&trail)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run = Running(run);
    wait_until("it is under way", || segments(&trail) > 6);
    let traced = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.0.id())).unwrap();
    let pid: u32 = traced.split_whitespace().next().expect("strace runs the program").parse().unwrap();
    let names = threads(pid);
    let from = fs::read_to_string(&log).unwrap().len();
    let begun = segments(&trail);
    wait_until("some more segments are begun", || segments(&trail) > begun + 3);
    // The complete lines of the window.
    let calls = fs::read_to_string(&log).unwrap();
    let calls = &calls[from..];
    let calls = &calls[calls.find('\n').map_or(0, |end| end + 1)..calls.rfind('\n').unwrap_or(0)];
    // SIGKILL to strace would leave the program running, so the program is stopped first.
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut by_thread = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, thread) in names {
        let own = calls.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let is_own = words.next()?.parse() == Ok(thread);
            let call = words.nth(1)?.split('(').next()?;
            (is_own && call != "<...").then(|| call.to_owned())
        });
        by_thread.insert(name, own.collect());
    }
    Some(by_thread)
}

#[test]
fn the_sequencers_thread_makes_no_system_call_and_the_journals_only_io_uring_enter() {
    let Some(calls) = traced_calls("auto", "flushed-writes") else { return };
    let none = BTreeSet::new();
    let of = |name: &str| calls.get(name).unwrap_or(&none);
    let journal = if calls.contains_key("journal") { "journal" } else { "core" };
    assert!(of(journal).contains("io_uring_enter"), "the journal writes: {calls:?}");
    assert_eq!(*of("sequencer"), none);
    assert_eq!(*of(journal), BTreeSet::from(["io_uring_enter".to_owned()]));
}

#[test]
fn with_a_sync_thread_the_journal_also_calls_the_futex_that_wakes_it() {
    let Some(calls) = traced_calls("auto", "sync-thread") else { return };
    let none = BTreeSet::new();
    let of = |name: &str| calls.get(name).unwrap_or(&none);
    assert_eq!(*of("sequencer"), none);
    let allowed = BTreeSet::from(["io_uring_enter", "futex"].map(str::to_owned));
    assert!(of("journal").is_subset(&allowed), "{calls:?}");
    assert!(of("journal-sync").contains("fdatasync"), "{calls:?}");
}
