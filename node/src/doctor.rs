//! Checks of the machine: what disturbs its latencies, and the remedy for each finding.
//!
//! A check is a pure function of a [`Machine`], whose `/proc` and `/sys` are read below a root that tests can
//! replace, and of a [`Setup`], which describes what is to run there. It returns what it found and, for a
//! warning, a remedy. A warning is advice and not a failure: a small machine may be intended.

mod at_rest;
mod finding;
mod machine;
mod memory;
mod processors;
mod storage;
mod time;

pub(crate) use finding::Finding;
pub(crate) use machine::{AtRest, HotThread, Machine, Setup};

use finding::{State, Verdict};

type Check = fn(&Machine, &Setup) -> Verdict;

/// All checks, in the order in which they are printed.
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
    ("socket", memory::socket),
    ("swap", memory::swap),
    ("io_uring", storage::io_uring),
    ("direct I/O", storage::direct),
    ("write cache", storage::write_cache),
    ("closed segments", at_rest::closed),
];

/// Runs all checks and returns their findings.
pub(crate) fn examine(machine: &Machine, setup: &Setup) -> Vec<Finding> {
    let check = |(check, run): &(&'static str, Check)| {
        let Verdict { state, found, remedy } = run(machine, setup);
        Finding { check, state, found, remedy }
    };
    CHECKS.iter().map(check).collect()
}

/// Returns the page: a line for each finding, another one for each remedy, and the number of warnings.
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
        0 => "no warnings\n".to_owned(),
        1 => "1 warning\n".to_owned(),
        count => format!("{count} warnings\n"),
    };
    page
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::*;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_good_machine_has_no_warning_and_nothing_unknown() {
        let (machine, setup) = (good_machine(), good_setup());
        let findings = examine(&machine, &setup);
        let bad: Vec<_> = findings.iter().filter(|finding| finding.state != State::Good).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert!(page(&findings).ends_with("no warnings\n"));
    }

    #[test]
    fn a_machine_without_any_information_gets_no_invented_warning() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine { root: folder.path().into() };
        let setup = Setup { device: None, at_rest: None, clock: None, ..good_setup() };
        let states: BTreeSet<_> = examine(&machine, &setup)
            .into_iter()
            .filter(|finding| finding.state == State::Warning)
            .map(|finding| finding.check)
            .collect();
        // The list of isolated CPUs counts as empty where it is missing.
        assert_eq!(states, BTreeSet::from(["isolation"]));
    }

    #[test]
    fn a_page_has_a_remedy_below_each_warning() {
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
    fn each_defect_is_found_by_its_check_and_by_no_other() {
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
            ("socket", |_, setup| setup.socket = Err("it is a link".into()), "it is a link"),
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
