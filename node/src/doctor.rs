//! What stands between this machine and steady latencies, with the remedy of each.
//!
//! A check is a pure function of a [`Machine`], whose `/proc` and `/sys` are read below a root that a test sets up, and
//! of a [`Setup`]: what is to run here. It says what it found, and where that is not good what to do.
//! A warning is advice: whoever runs on a small machine knows it, so that no warning is a failure.

mod at_rest;
mod memory;
mod processors;
mod storage;
mod time;

pub(crate) use at_rest::AtRest;

use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The machine as its kernel describes it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The one that this program runs on.
    pub(crate) fn this() -> Self {
        Self { root: "/".into() }
    }

    /// The text of the file at the absolute `path`, without the space around it; none where there is no such file.
    fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    /// The file's list of CPUs, such as `0-2,5`.
    fn cpus(&self, path: &str) -> BTreeSet<usize> {
        let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let list = self.read(path).unwrap_or_default();
        list.split(',').filter_map(range).flatten().collect()
    }
}

/// A hot thread as it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct HotThread {
    pub(crate) name: String,
    /// Where it is pinned.
    pub(crate) cpu: Option<usize>,
    /// Whether it never gives its CPU away.
    pub(crate) spins: bool,
}

/// What is to run here, and what trying showed that no file tells.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) threads: Vec<HotThread>,
    /// CPUs that the process may use.
    pub(crate) allowed: BTreeSet<usize>,
    /// CPUs that take the interrupts of the trail's disk.
    pub(crate) disk_cpus: BTreeSet<usize>,
    /// Bytes of memory that hot threads share: the rings.
    pub(crate) ring_length: u64,
    /// The device that the trail is on, as `major:minor`.
    pub(crate) device: Option<String>,
    /// Why the kernel gives no io_uring.
    pub(crate) io_uring_refused: Option<String>,
    /// Why the trail's file system takes no direct I/O.
    pub(crate) direct_refused: Option<String>,
    /// What protects the trail's closed segments, where there are any.
    pub(crate) at_rest: Option<AtRest>,
    /// Free bytes of `/dev/shm`.
    pub(crate) shared_free: Option<u64>,
    /// What the kernel says of its clock's discipline.
    pub(crate) clock: Option<stele_bus::clock_sync::KernelClock>,
}

impl Setup {
    fn hot_cpus(&self) -> BTreeSet<usize> {
        self.threads.iter().filter_map(|thread| thread.cpu).collect()
    }
}

/// How bad it is.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// It costs latency, or certainty; the remedy says what to do.
    Warning,
    /// The machine does not tell.
    Unknown,
}

/// What one check found.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) state: State,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// What a check says; its name is in the table.
struct Verdict {
    state: State,
    found: String,
    remedy: Option<String>,
}

fn good(found: impl Into<String>) -> Verdict {
    Verdict { state: State::Good, found: found.into(), remedy: None }
}

fn unknown(found: impl Into<String>) -> Verdict {
    Verdict { state: State::Unknown, found: found.into(), remedy: None }
}

fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict { state: State::Warning, found: found.into(), remedy: Some(remedy.into()) }
}

type Check = fn(&Machine, &Setup) -> Verdict;

/// Every check, in the order that it is printed in.
const CHECKS: &[(&str, Check)] = &[
    ("CPUs", processors::count),
    ("isolation", processors::isolation),
    ("siblings", processors::siblings),
    ("governor", processors::governor),
    ("disk interrupts", processors::disk_interrupts),
    ("time-stamp counter", time::counter),
    ("clock source", time::source),
    ("clock discipline", time::discipline),
    ("locked memory", memory::locked),
    ("huge pages", memory::huge_pages),
    ("shared memory", memory::shared),
    ("swap", memory::swap),
    ("io_uring", storage::io_uring),
    ("direct I/O", storage::direct),
    ("write cache", storage::write_cache),
    ("closed segments", at_rest::closed),
];

/// What every check found.
pub(crate) fn examine(machine: &Machine, setup: &Setup) -> Vec<Finding> {
    let check = |(check, run): &(&'static str, Check)| {
        let Verdict { state, found, remedy } = run(machine, setup);
        Finding { check, state, found, remedy }
    };
    CHECKS.iter().map(check).collect()
}

/// A line a finding, and one more for each remedy.
pub(crate) fn page(findings: &[Finding]) -> String {
    let mut page = String::new();
    for Finding { check, state, found, remedy } in findings {
        let mark = match state {
            State::Good => "good   ",
            State::Warning => "warning",
            State::Unknown => "unknown",
        };
        page += &format!("{mark}  {check:<18}  {found}\n");
        if let Some(remedy) = remedy {
            page += &format!("{:29}{remedy}\n", "");
        }
    }
    let warnings = findings.iter().filter(|finding| finding.state == State::Warning).count();
    page += &match warnings {
        0 => "nothing stands in the way\n".to_owned(),
        1 => "1 warning\n".to_owned(),
        count => format!("{count} warnings\n"),
    };
    page
}

/// CPUs as a person lists them.
fn listed(cpus: &BTreeSet<usize>) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::*;
    use super::*;

    #[test]
    fn a_good_machine_has_no_warning_and_nothing_unknown() {
        let (machine, setup) = (good_machine(), good_setup());
        let findings = examine(&machine, &setup);
        let bad: Vec<_> = findings.iter().filter(|finding| finding.state != State::Good).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert!(page(&findings).ends_with("nothing stands in the way\n"));
    }

    #[test]
    fn a_machine_that_tells_nothing_is_examined_without_a_made_up_warning() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine { root: folder.path().into() };
        let setup = Setup { device: None, at_rest: None, shared_free: None, clock: None, ..good_setup() };
        let states: BTreeSet<_> = examine(&machine, &setup)
            .into_iter()
            .filter(|finding| finding.state == State::Warning)
            .map(|finding| finding.check)
            .collect();
        // Isolation is a list, and an absent list is an empty one.
        assert_eq!(states, BTreeSet::from(["isolation"]));
    }

    #[test]
    fn a_page_has_a_remedy_under_each_warning() {
        let setup = Setup { io_uring_refused: Some("not permitted".into()), ..good_setup() };
        let page = page(&examine(&good_machine(), &setup));
        let lines: Vec<&str> = page.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("warning  io_uring")).unwrap();
        assert!(lines[at].contains("not permitted") && lines[at + 1].trim().len() > 20, "{page}");
        assert_eq!(lines.last(), Some(&"1 warning"));
    }

    /// Makes one thing bad.
    type Spoil = fn(&mut TestMachine, &mut Setup);

    #[test]
    fn each_check_fires_on_what_it_is_for_and_no_other_does() {
        let rows: &[(&str, Spoil, &str)] = &[
            ("CPUs", |_, setup| setup.allowed = [2, 3].into(), "2 CPUs"),
            ("isolation", |machine, _| machine.write("/sys/devices/system/cpu/isolated", "3"), "2"),
            (
                "siblings",
                |machine, _| {
                    machine.write("/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3");
                    machine.write("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3");
                },
                "CPUs 2, 3",
            ),
            (
                "governor",
                |machine, _| {
                    machine.write("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave")
                },
                "powersave",
            ),
            ("disk interrupts", |_, setup| setup.disk_cpus = [3].into(), "CPU 3"),
            (
                "time-stamp counter",
                |machine, _| machine.write("/proc/cpuinfo", "flags\t\t: fpu tsc rdtscp\n"),
                "constant_tsc",
            ),
            (
                "clock source",
                |machine, _| {
                    machine.write("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
                },
                "hpet",
            ),
            (
                "clock discipline",
                |_, setup| setup.clock.as_mut().unwrap().is_synchronised = false,
                "not synchronised",
            ),
            (
                "clock discipline",
                |_, setup| setup.clock.as_mut().unwrap().error_max_ns = 5_000_000,
                "5,000,000 ns",
            ),
            (
                "locked memory",
                |machine, _| {
                    machine.write("/proc/self/status", "CapEff:\t0000000000000000\n");
                    machine.write("/proc/self/limits", "Max locked memory  8388608  8388608  bytes\n");
                },
                "8 MiB",
            ),
            (
                "huge pages",
                |machine, _| {
                    machine.write("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")
                },
                "always",
            ),
            (
                "huge pages",
                |machine, _| {
                    machine.write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]")
                },
                "never",
            ),
            ("shared memory", |_, setup| setup.shared_free = Some(32 << 20), "32 MiB"),
            (
                "swap",
                |machine, _| {
                    let swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/vdb\tpartition\t1048572\t512\t-2";
                    machine.write("/proc/swaps", swaps);
                },
                "/dev/vdb",
            ),
            (
                "io_uring",
                |machine, _| machine.write("/proc/sys/kernel/io_uring_disabled", "2"),
                "io_uring_disabled",
            ),
            ("direct I/O", |_, setup| setup.direct_refused = Some("EINVAL".into()), "EINVAL"),
            (
                "write cache",
                |machine, _| machine.write("/sys/dev/block/259:1/queue/write_cache", "write back"),
                "volatile",
            ),
            ("closed segments", |_, setup| setup.at_rest.as_mut().unwrap().writable = 2, "2 of 9"),
            ("closed segments", |_, setup| setup.at_rest.as_mut().unwrap().immutable = Some(4), "4 of them"),
            (
                "closed segments",
                |_, setup| setup.at_rest.as_mut().unwrap().immutable = None,
                "no immutable flag",
            ),
        ];
        for (check, spoil, expected) in rows {
            let (mut machine, mut setup) = (good_machine(), good_setup());
            spoil(&mut machine, &mut setup);
            let findings = examine(&machine, &setup);
            let warned: Vec<_> = findings.iter().filter(|finding| finding.state == State::Warning).collect();
            let [finding] = warned[..] else { panic!("{check}: {warned:?}") };
            assert_eq!(finding.check, *check);
            assert!(finding.found.contains(expected), "{check}: {}", finding.found);
            assert!(finding.remedy.as_ref().is_some_and(|remedy| remedy.len() > 20), "{check}");
        }
        let covered: BTreeSet<_> = rows.iter().map(|row| row.0).collect();
        assert_eq!(covered, CHECKS.iter().map(|check| check.0).collect(), "every check has a row");
    }
}
