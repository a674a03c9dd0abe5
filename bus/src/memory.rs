//! All memory of the process, in place before the first event.
//!
//! A table that was allocated as zeroes, a stack and the program's own text are not in memory before they are first
//! touched, and each first touch costs microseconds where it happens. [`lock_all`] therefore touches every mapping that the
//! process has once everything is composed and no hot thread runs, and locks them all: one call for the whole process
//! rather than one for each mapping, because what a hot thread needs is not only what we mapped ourselves.
//!
//! Where the limit of locked memory is too low for all, nothing is locked but what was locked one by one (the ring,
//! the counters), and the rest is merely touched: it stays until the kernel is short of memory. Locking what is mapped
//! later too would, within a limit, make the allocation fail that passes it, so that it is done without a limit only.
#![allow(unsafe_code)]

use rustix::mm::{Advice, MlockAllFlags, madvise, mlockall};
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::fs;
use std::io;

/// What became of the process's memory.
#[derive(Debug)]
pub struct LockedMemory {
    /// Bytes that were touched, those that were in memory before included.
    pub touched: u64,
    /// Why not all of it is locked.
    pub not_locked: Option<io::Error>,
}

impl fmt::Display for LockedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.touched >> 20;
        match &self.not_locked {
            None => write!(f, "{mib} MiB of memory touched and locked"),
            Some(error) => write!(
                f,
                "{mib} MiB of memory touched and not all of it locked ({error}): the kernel may take pages away; \
                 `stele doctor` says how to raise the limit"
            ),
        }
    }
}

/// Touches every mapping that the process writes to or runs from, and locks them all as far as the limit allows.
pub fn lock_all() -> LockedMemory {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let touched = maps.lines().filter_map(parse_map).map(touch).sum();
    let not_locked = mlockall(MlockAllFlags::CURRENT).err().map(io::Error::from);
    if not_locked.is_none() && getrlimit(Resource::Memlock).current.is_none() {
        // Stacks of threads to come. A refusal leaves them as they are.
        let _ = mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
    LockedMemory { touched, not_locked }
}

/// A mapping that is worth touching: where, how long, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Map {
    start: usize,
    length: usize,
    is_written: bool,
}

/// A line of /proc/self/maps, proc_pid_maps(5): private memory that is written, and text that is run.
fn parse_map(line: &str) -> Option<Map> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16).ok());
    let rights = words.next()?;
    // The kernel's own pages.
    let is_special = words.nth(3).is_some_and(|name| name.starts_with("[v"));
    let is_written = rights == "rw-p";
    (is_written || rights == "r-xp").then_some(())?;
    (!is_special).then_some(Map { start: start?, length: end? - start?, is_written })
}

/// Brings a mapping into memory. Gives its length, 0 where the kernel does not.
fn touch(map: Map) -> u64 {
    let advice = if map.is_written { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
    // SAFETY: populating changes no byte and no right; a range that is no longer mapped is refused.
    let done = unsafe { madvise(std::ptr::without_provenance_mut(map.start), map.length, advice) };
    if done.is_ok() { map.length as u64 } else { 0 }
}

/// In pages of which size a piece of memory lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryUsage {
    /// Bytes in memory.
    pub resident: u64,
    /// Bytes of them in huge pages.
    pub huge: u64,
    /// Bytes of them that are locked.
    pub locked: u64,
}

impl fmt::Display for MemoryUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, huge, locked } = self;
        let [resident, huge, locked] = [resident, huge, locked].map(|bytes| bytes >> 20);
        write!(f, "{resident} MiB, {huge} of them in huge pages, {locked} locked")
    }
}

/// Asks the kernel about the mappings that overlap `length` bytes from `start` on.
pub fn usage(start: *const u8, length: usize) -> MemoryUsage {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    parse_smaps(&smaps, start.addr()..start.addr() + length)
}

/// proc_pid_smaps(5): the header line of each mapping, then its numbers in KiB.
fn parse_smaps(smaps: &str, wanted: std::ops::Range<usize>) -> MemoryUsage {
    let (mut pages, mut is_wanted) = (MemoryUsage::default(), false);
    for line in smaps.lines() {
        let Some((name, rest)) = line.split_once(|byte: char| byte.is_ascii_whitespace()) else { continue };
        if let Some((start, end)) = name.split_once('-') {
            let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16).unwrap_or(0));
            is_wanted = start < wanted.end && wanted.start < end;
            continue;
        }
        let number = || rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let sum = match name {
            "Rss:" => &mut pages.resident,
            "AnonHugePages:" | "ShmemPmdMapped:" | "Private_Hugetlb:" | "Shared_Hugetlb:" => &mut pages.huge,
            "Locked:" => &mut pages.locked,
            _ => continue,
        };
        *sum += number().filter(|_| is_wanted).unwrap_or(0) << 10;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_and_text_that_is_run_are_worth_touching() {
        let map = |line| parse_map(line).map(|map| (map.start, map.length, map.is_written));
        assert_eq!(map("7f00-8f00 rw-p 00000000 00:00 0 "), Some((0x7f00, 0x1000, true)));
        assert_eq!(map("7f00-8f00 rw-p 00000000 00:00 0    [heap]"), Some((0x7f00, 0x1000, true)));
        assert_eq!(map("1000-3000 r-xp 00001000 fe:00 42   /usr/bin/stele"), Some((0x1000, 0x2000, false)));
        assert_eq!(map("1000-3000 r--p 00001000 fe:00 42   /usr/bin/stele"), None);
        assert_eq!(map("1000-3000 rw-s 00001000 fe:00 42   /dev/shm/x"), None);
        assert_eq!(map("1000-3000 r-xp 00000000 00:00 0    [vdso]"), None);
    }

    #[test]
    fn what_the_kernel_says_of_a_mapping_is_told_from_what_it_says_of_others() {
        let smaps = "1000-3000 rw-p 00000000 00:00 0 \nRss:  8 kB\nAnonHugePages:  4 kB\nLocked:  8 kB\n\
                     5000-6000 rw-p 00000000 00:00 0 \nRss:  4 kB\nLocked:  0 kB\nVmFlags: rd wr\n";
        assert_eq!(
            parse_smaps(smaps, 0x2000..0x2800),
            MemoryUsage { resident: 8192, huge: 4096, locked: 8192 }
        );
        assert_eq!(parse_smaps(smaps, 0x5000..0x6000), MemoryUsage { resident: 4096, huge: 0, locked: 0 });
        assert_eq!(parse_smaps(smaps, 0x3000..0x5000), MemoryUsage::default());
    }

    #[test]
    fn memory_that_was_never_written_is_in_place_after_it_is_held() {
        let zeroes = vec![0_u8; 8 << 20];
        assert!(usage(zeroes.as_ptr(), zeroes.len()).resident < 8 << 20);
        let held = lock_all();
        assert!(held.touched >= 8 << 20, "{held}");
        assert!(usage(zeroes.as_ptr(), zeroes.len()).resident >= 8 << 20);
        assert!(held.not_locked.is_some() || held.to_string().contains("touched and locked"));
    }
}
