//! The machine that is examined, and what is to run on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The machine as its kernel describes it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(super) root: PathBuf,
}

impl Machine {
    /// The one that this program runs on.
    pub(crate) fn this() -> Self {
        Self { root: "/".into() }
    }

    /// The text of the file at the absolute `path`, without the space around it; none where there is no such
    /// file.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    /// The file's list of CPUs, such as `0-2,5`.
    pub(super) fn cpus(&self, path: &str) -> BTreeSet<usize> {
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

/// What is to run here, and what trying showed that no file says.
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
    pub(super) fn hot_cpus(&self) -> BTreeSet<usize> {
        self.threads.iter().filter_map(|thread| thread.cpu).collect()
    }
}

/// What protects the closed segments of trails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AtRest {
    /// What they are on.
    pub(crate) file_system: String,
    /// Closed segments, archived ones too.
    pub(crate) closed: usize,
    /// Those that somebody may write to by their permissions.
    pub(crate) writable: usize,
    /// Those with the immutable flag; none where the file system does not say.
    pub(crate) immutable: Option<usize>,
}
