//! Simulated machines for tests.

use super::machine::{AtRest, HotThread, Machine, Setup};
use std::fs;
use std::ops::Deref;
use stele_bus::clock_sync::KernelClock;
use tempfile::TempDir;

/// A simulated machine in a temporary directory.
pub(super) struct TestMachine {
    machine: Machine,
    _folder: TempDir,
}

impl Deref for TestMachine {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl TestMachine {
    pub(super) fn write(&mut self, path: &str, text: &str) {
        let path = self.machine.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Returns a machine with four CPUs, two of them isolated, that gives no warning.
pub(super) fn good_machine() -> TestMachine {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = TestMachine { machine: Machine { root: folder.path().into() }, _folder: folder };
    let files = [
        ("/sys/devices/system/cpu/isolated", "2-3\n"),
        ("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc\n"),
        ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ("/proc/self/status", "Name:\tstele\nCapEff:\t0000000000000000\nSeccomp:\t0\n"),
        ("/proc/self/limits", "Limit  Soft  Hard  Units\nMax locked memory  unlimited  unlimited  bytes\n"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"),
        ("/proc/sys/kernel/io_uring_disabled", "0\n"),
        ("/sys/dev/block/259:1/queue/write_cache", "write through\n"),
    ];
    files.iter().for_each(|(path, text)| machine.write(path, text));
    for cpu in 0..4 {
        let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
        machine.write(&format!("{folder}/topology/thread_siblings_list"), &cpu.to_string());
        machine.write(&format!("{folder}/cpufreq/scaling_governor"), "performance");
    }
    machine
}

/// Returns a setup of two hot threads on the isolated CPUs.
pub(super) fn good_setup() -> Setup {
    let thread = |name: &str, cpu, spins| HotThread { name: name.into(), cpu: Some(cpu), spins };
    Setup {
        threads: vec![thread("sequencer", 3, true), thread("journal", 2, false)],
        allowed: (0..4).collect(),
        disk_cpus: [2].into(),
        ring_length: 64 << 20,
        device: Some("259:1".into()),
        io_uring_refused: None,
        direct_refused: None,
        at_rest: Some(AtRest { file_system: "ext4".into(), closed: 9, writable: 0, immutable: Some(9) }),
        socket: Ok("/run/stele/demo.sock".into()),
        clock: Some(KernelClock { is_synchronised: true, error_max_ns: 40_000 }),
    }
}
