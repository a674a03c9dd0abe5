//! The checks of memory and of the way to it from other processes: locking, page size, socket, swap.

use super::finding::{Verdict, good, unknown, warning};
use super::machine::{Machine, Setup};

/// The capability `CAP_IPC_LOCK`, with which a process may lock any amount of memory.
const LOCKS_ANYTHING: u64 = 1 << 14;
/// Bytes that a process locks in addition to its rings: counters, tables, stacks, the program.
const BESIDE_RINGS: u64 = 64 << 20;

pub(super) fn locked(machine: &Machine, setup: &Setup) -> Verdict {
    let status = machine.read("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if capabilities & LOCKS_ANYTHING != 0 {
        return good("this user may lock any amount");
    }
    let limits = machine.read("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    match soft.and_then(|line| line.split_whitespace().next()) {
        None => unknown("the limit of locked memory is unknown"),
        Some("unlimited") => good("no limit"),
        Some(limit) => {
            let (limit, needed) = (limit.parse().unwrap_or(0), setup.ring_length + BESIDE_RINGS);
            if limit >= needed {
                return good(format!("{} MiB may be locked", limit >> 20));
            }
            warning(
                format!(
                    "{} MiB may be locked, but {} MiB are needed: the kernel may swap pages out",
                    limit >> 20,
                    needed >> 20
                ),
                "use ulimit -l unlimited, LimitMEMLOCK=infinity in the systemd unit, or CAP_IPC_LOCK",
            )
        }
    }
}

pub(super) fn huge_pages(machine: &Machine, setup: &Setup) -> Verdict {
    let pool = machine.read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let pool: u64 = pool.and_then(|count| count.parse().ok()).unwrap_or(0);
    let Some(choice) = machine.read("/sys/kernel/mm/transparent_hugepage/enabled") else {
        return unknown("the kernel has no transparent huge pages");
    };
    let pooled = format!("{pool} pages of 2 MiB free in the pool");
    if choice.contains("[always]") {
        return warning(
            format!(
                "transparent huge pages are `always`: the kernel moves pages of hot threads while they run ({pooled})"
            ),
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: then only memory that requests them has them",
        );
    }
    if choice.contains("[never]") && pool < setup.ring_length.div_ceil(2 << 20) {
        return warning(
            format!("transparent huge pages are `never` ({pooled}): the ring has pages of 4 KiB"),
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        );
    }
    let shared = machine.read("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    let is_refused = shared.contains("[never]") || shared.contains("[deny]");
    good(match is_refused {
        false => format!("for memory that requests them ({pooled})"),
        true => format!(
            "for memory that requests them, except shared memory, which has pages of 4 KiB: shmem_enabled ({pooled})"
        ),
    })
}

pub(super) fn socket(_: &Machine, setup: &Setup) -> Verdict {
    match &setup.socket {
        Ok(path) => good(format!("other processes reach the run at {path}")),
        Err(why) => warning(
            format!("a run cannot begin, because other processes could not stop it: {why}"),
            "set [bus] socket to a path in a directory that only its owner can write to",
        ),
    }
}

pub(super) fn swap(machine: &Machine, _: &Setup) -> Verdict {
    let Some(swaps) = machine.read("/proc/swaps") else { return unknown("/proc/swaps is missing") };
    let used = |line: &str| -> Option<(String, u64)> {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.nth(2)?.parse().ok()?))
    };
    let areas: Vec<_> = swaps.lines().skip(1).filter_map(used).collect();
    match areas.iter().find(|(_, used)| *used > 0) {
        Some((area, used)) => warning(
            format!("{used} KiB are swapped out to {area}: memory that is not locked may be slow to access"),
            "swapoff -a, or vm.swappiness=0 and more memory",
        ),
        None if areas.is_empty() => good("no swap space"),
        None => good("swap space exists and is unused"),
    }
}
