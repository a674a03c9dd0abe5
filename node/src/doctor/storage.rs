//! The trail's disk, and how the kernel lets it be written.

use super::finding::{Verdict, good, unknown, warning};
use super::machine::{Machine, Setup};

pub(super) fn io_uring(machine: &Machine, setup: &Setup) -> Verdict {
    let switch = machine.read("/proc/sys/kernel/io_uring_disabled");
    let remedy = "sysctl kernel.io_uring_disabled=0, and a seccomp profile that allows io_uring; until then the journal \
                  writes with blocking calls";
    if switch.as_deref() == Some("2") {
        return warning("kernel.io_uring_disabled is 2: nobody gets one", remedy);
    }
    match &setup.io_uring_refused {
        Some(reason) => warning(format!("the kernel gives none: {reason}"), remedy),
        None => good("to be had"),
    }
}

pub(super) fn direct(_: &Machine, setup: &Setup) -> Verdict {
    match &setup.direct_refused {
        None => good("the trail's file system takes it"),
        Some(reason) => warning(
            format!("the trail's file system refuses it: {reason}; each write is copied into the page cache"),
            "put the trail on ext4 or xfs on a disk of its own ([trail] dir)",
        ),
    }
}

pub(super) fn write_cache(machine: &Machine, setup: &Setup) -> Verdict {
    let Some(device) = &setup.device else { return unknown("the trail's device cannot be told") };
    // A partition has its queue one folder up.
    let own = machine.read(&format!("/sys/dev/block/{device}/queue/write_cache"));
    let cache = own.or_else(|| machine.read(&format!("/sys/dev/block/{device}/../queue/write_cache")));
    match cache.as_deref() {
        None => unknown("the device does not say whether it has a volatile write cache"),
        Some("write through") => good("none that a power cut empties"),
        Some(_) => warning(
            "volatile: the journal flushes it for every acknowledgement, which is most of `durable`'s latency",
            "a disk with power-loss protection reports `write through` and is several times as quick",
        ),
    }
}
