//! The checks of storage: io_uring, direct I/O, and the write cache of the trail's disk.

use super::finding::{Verdict, good, unknown, warning};
use super::machine::{Machine, Setup};

pub(super) fn io_uring(machine: &Machine, setup: &Setup) -> Verdict {
    let switch = machine.read("/proc/sys/kernel/io_uring_disabled");
    let remedy = "use sysctl kernel.io_uring_disabled=0 and a seccomp profile that allows io_uring; without it, the \
                  journal writes with blocking calls";
    if switch.as_deref() == Some("2") {
        return warning("kernel.io_uring_disabled is 2: the kernel refuses it to every process", remedy);
    }
    match &setup.io_uring_refused {
        Some(reason) => warning(format!("the kernel refuses it: {reason}"), remedy),
        None => good("available"),
    }
}

pub(super) fn direct(_: &Machine, setup: &Setup) -> Verdict {
    match &setup.direct_refused {
        None => good("the trail's file system supports it"),
        Some(reason) => warning(
            format!("the trail's file system refuses it: {reason}; each write is copied into the page cache"),
            "put the trail on ext4 or xfs on a disk of its own ([trail] dir)",
        ),
    }
}

pub(super) fn write_cache(machine: &Machine, setup: &Setup) -> Verdict {
    let Some(device) = &setup.device else { return unknown("the trail's device is unknown") };
    // The queue of a partition is one directory up.
    let own = machine.read(&format!("/sys/dev/block/{device}/queue/write_cache"));
    let cache = own.or_else(|| machine.read(&format!("/sys/dev/block/{device}/../queue/write_cache")));
    match cache.as_deref() {
        None => unknown("it is unknown whether the device has a volatile write cache"),
        Some("write through") => good("no cache that loses data in a power failure"),
        Some(_) => warning(
            "volatile: the journal flushes it for every acknowledgement, which is most of the latency of `durable`",
            "use a disk with power-loss protection, which reports `write through` and is several times as fast",
        ),
    }
}
