//! The examined machine, and the setup that is to run on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The machine as its kernel describes it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(super) root: PathBuf,
}

impl Machine {
    /// Returns the machine that this program runs on.
    pub(crate) fn this() -> Self {
        Self { root: "/".into() }
    }

    /// Reads the file at the absolute `path`, without surrounding white space; none where it cannot be read.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    /// Reads the list of CPUs in a file, such as `0-2,5`; empty where it cannot be read.
    pub(super) fn cpus(&self, path: &str) -> BTreeSet<usize> {
        let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let list = self.read(path).unwrap_or_default();
        list.split(',').filter_map(range).flatten().collect()
    }
}

/// A hot thread of the layout.
#[derive(Clone, Debug)]
pub(crate) struct HotThread {
    pub(crate) name: String,
    /// The CPU that it is pinned to.
    pub(crate) cpu: Option<usize>,
    /// Whether it never yields its CPU.
    pub(crate) spins: bool,
}

/// What is to run on the machine, and what only an attempt or a system call shows.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) threads: Vec<HotThread>,
    /// The CPUs that the process may use.
    pub(crate) allowed: BTreeSet<usize>,
    /// The CPUs that take the interrupts of the trail's disk.
    pub(crate) disk_cpus: BTreeSet<usize>,
    /// Bytes of all rings together.
    pub(crate) ring_length: u64,
    /// The device that the trail is on, as `major:minor`.
    pub(crate) device: Option<String>,
    /// Why the kernel refuses io_uring, where it does.
    pub(crate) io_uring_refused: Option<String>,
    /// Why the trail's file system refuses direct I/O, where it does.
    pub(crate) direct_refused: Option<String>,
    /// What protects the trail's closed segments, where there are any.
    pub(crate) at_rest: Option<AtRest>,
    /// Where other processes reach the run, or why they cannot.
    pub(crate) socket: Result<String, String>,
    /// The kernel's report about the synchronisation of its clock.
    pub(crate) clock: Option<stele_bus::clock_sync::KernelClock>,
}

impl Setup {
    pub(super) fn hot_cpus(&self) -> BTreeSet<usize> {
        self.threads.iter().filter_map(|thread| thread.cpu).collect()
    }
}

/// What protects the closed segments of trails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AtRest {
    /// The name of their file system.
    pub(crate) file_system: String,
    /// Closed segments, including archived ones.
    pub(crate) closed: usize,
    /// Those whose permissions allow writing.
    pub(crate) writable: usize,
    /// Those with the immutable flag; none where the file system has no such flag.
    pub(crate) immutable: Option<usize>,
}
