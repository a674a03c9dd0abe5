//! Touches and locks the whole memory of the process before the first event.
//!
//! A table that was allocated as zeroes, a stack and the program's text are not in memory until they are
//! first touched, and each first touch costs microseconds. Therefore [`lock_all`] touches every mapping of
//! the process and locks them all, after everything is composed and before a hot thread runs. It is one call
//! for the whole process, because a hot thread also uses memory that this crate did not map.
//!
//! Where the limit of locked memory is too low, only what was locked separately is locked (the ring, the
//! counters). The rest is touched and stays in memory until the kernel runs short of it. Memory that is
//! mapped later is locked only when there is no limit, because with one an allocation that exceeds it would
//! fail.
#![allow(unsafe_code)]

use rustix::mm::{Advice, MlockAllFlags, madvise, mlockall};
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::fs;
use std::io;

/// The result of [`lock_all`].
#[derive(Debug)]
pub struct LockedMemory {
    /// The bytes that were touched, including those that were in memory before.
    pub touched: u64,
    /// Why not all of it is locked; none when it is.
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

/// Touches every mapping that the process writes to or executes, and locks all of them if the limit allows
/// it.
pub fn lock_all() -> LockedMemory {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let touched = maps.lines().filter_map(parse_map).map(touch).sum();
    let not_locked = mlockall(MlockAllFlags::CURRENT).err().map(io::Error::from);
    if not_locked.is_none() && getrlimit(Resource::Memlock).current.is_none() {
        // For the stacks of later threads. A refusal changes nothing.
        let _ = mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
    LockedMemory { touched, not_locked }
}

/// A mapping to touch: its address, its length, and whether it is written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Map {
    start: usize,
    length: usize,
    is_written: bool,
}

/// Parses a line of /proc/self/maps, proc_pid_maps(5). None unless it is private writable memory or program
/// text.
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

/// Brings a mapping into memory. Returns its length, or 0 if the kernel refuses.
fn touch(map: Map) -> u64 {
    let advice = if map.is_written { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
    // SAFETY: populating changes neither bytes nor protection; a range that is no longer mapped is refused.
    let done = unsafe { madvise(std::ptr::without_provenance_mut(map.start), map.length, advice) };
    if done.is_ok() { map.length as u64 } else { 0 }
}

/// How a range of memory is backed by pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryUsage {
    /// The bytes in memory.
    pub resident: u64,
    /// The resident bytes in huge pages.
    pub huge: u64,
    /// The resident bytes that are locked.
    pub locked: u64,
}

impl fmt::Display for MemoryUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, huge, locked } = self;
        let [resident, huge, locked] = [resident, huge, locked].map(|bytes| bytes >> 20);
        write!(f, "{resident} MiB, {huge} of them in huge pages, {locked} locked")
    }
}

/// Asks the kernel for the pages of all mappings that overlap `length` bytes from `start` on.
pub fn usage(start: *const u8, length: usize) -> MemoryUsage {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    parse_smaps(&smaps, start.addr()..start.addr() + length)
}

/// Parses proc_pid_smaps(5): the header line of each mapping, then its numbers in KiB.
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
    fn writable_memory_and_program_text_are_touched() {
        let map = |line| parse_map(line).map(|map| (map.start, map.length, map.is_written));
        assert_eq!(map("7f00-8f00 rw-p 00000000 00:00 0 "), Some((0x7f00, 0x1000, true)));
        assert_eq!(map("7f00-8f00 rw-p 00000000 00:00 0    [heap]"), Some((0x7f00, 0x1000, true)));
        assert_eq!(map("1000-3000 r-xp 00001000 fe:00 42   /usr/bin/stele"), Some((0x1000, 0x2000, false)));
        assert_eq!(map("1000-3000 r--p 00001000 fe:00 42   /usr/bin/stele"), None);
        assert_eq!(map("1000-3000 rw-s 00001000 fe:00 42   /dev/shm/x"), None);
        assert_eq!(map("1000-3000 r-xp 00000000 00:00 0    [vdso]"), None);
    }

    #[test]
    fn only_the_mappings_that_overlap_the_range_are_counted() {
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
    fn memory_that_was_never_written_is_resident_after_lock_all() {
        let zeroes = vec![0_u8; 8 << 20];
        assert!(usage(zeroes.as_ptr(), zeroes.len()).resident < 8 << 20);
        let held = lock_all();
        assert!(held.touched >= 8 << 20, "{held}");
        assert!(usage(zeroes.as_ptr(), zeroes.len()).resident >= 8 << 20);
        assert!(held.not_locked.is_some() || held.to_string().contains("touched and locked"));
    }
}
