//! Watches the free space for segments and warns before it runs out.

use crate::bounds::{FREE_SPACE_WARNING_MIN, FREE_SPACE_WARNING_SEGMENTS, HEADER_BLOCK_LENGTH};
use crate::directory::Directory;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// The free space of a file system.
pub(crate) trait FreeSpace: Send {
    /// Returns how many bytes this user may still write.
    ///
    /// # Errors
    /// The error of the system.
    fn free(&self) -> io::Result<u64>;
}

impl FreeSpace for Directory {
    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(self.root())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// How urgent the lack of space is, the most urgent last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum SpaceLevel {
    /// There is enough space.
    #[default]
    Ample,
    /// Less than the watermark remains after the next segment.
    Low,
    /// The next segment does not fit.
    Critical,
}

/// The free space as the pool saw it last, readable from any thread. Only the pool writes it.
#[derive(Debug)]
pub struct SpaceWatch {
    segment_length: u64,
    watermark: u64,
    free: AtomicU64,
    warnings: AtomicU64,
}

/// Returns the default watermark below which a trail with segments of this length warns, in bytes: space for
/// [`FREE_SPACE_WARNING_SEGMENTS`] more, but at least [`FREE_SPACE_WARNING_MIN`].
pub fn free_space_warning_default(segment_length: u64) -> u64 {
    (FREE_SPACE_WARNING_SEGMENTS * segment_length).max(FREE_SPACE_WARNING_MIN)
}

impl SpaceWatch {
    /// Creates a watch for segments of `segment_length` data bytes; `watermark` is in bytes.
    pub fn new(segment_length: u64, watermark: u64) -> Self {
        Self { segment_length, watermark, free: AtomicU64::new(u64::MAX), warnings: AtomicU64::new(0) }
    }

    /// Returns how many bytes were free when a segment was last prepared; `u64::MAX` before the first.
    pub fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Returns how often the level became more urgent.
    pub fn warnings(&self) -> u64 {
        // Acquire, partner of the Release store in `note`: `free` is what the last warning is about.
        self.warnings.load(Ordering::Acquire)
    }

    /// Returns the current level.
    pub fn level(&self) -> SpaceLevel {
        self.judge(self.free())
    }

    fn judge(&self, free: u64) -> SpaceLevel {
        match free.checked_sub(self.segment_length + HEADER_BLOCK_LENGTH as u64) {
            None => SpaceLevel::Critical,
            Some(after) if after < self.watermark => SpaceLevel::Low,
            Some(_) => SpaceLevel::Ample,
        }
    }

    /// Records how many bytes are free before a segment is prepared.
    pub(crate) fn note(&self, free: u64) {
        let before = self.level();
        self.free.store(free, Ordering::Relaxed);
        if self.judge(free) > before {
            self.warnings.store(self.warnings.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }
}

impl fmt::Display for SpaceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.free();
        let (mib, segments) = (free >> 20, free / (self.segment_length + HEADER_BLOCK_LENGTH as u64));
        match self.judge(free) {
            SpaceLevel::Ample => write!(f, "{mib} MiB are free"),
            SpaceLevel::Low => write!(
                f,
                "{mib} MiB are free, room for {segments} more segments of {} MiB: free some space, or archive or \
                 expire old segments",
                self.segment_length >> 20
            ),
            SpaceLevel::Critical => write!(
                f,
                "{mib} MiB are free, and the next segment needs {} MiB: the journal stops when the prepared segments \
                 are full; free some space now. What is durable stays intact",
                (self.segment_length >> 20).max(1)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 64 << 20;

    #[test]
    fn a_warning_comes_once_a_level_and_again_when_it_gets_critical() {
        let watch = SpaceWatch::new(SEGMENT, free_space_warning_default(SEGMENT));
        assert_eq!((watch.level(), watch.warnings()), (SpaceLevel::Ample, 0));
        for (free, level, warnings) in [
            (2 << 30, SpaceLevel::Ample, 0),
            ((1 << 30) + SEGMENT, SpaceLevel::Low, 1),
            (1 << 30, SpaceLevel::Low, 1),
            (SEGMENT, SpaceLevel::Critical, 2),
            (0, SpaceLevel::Critical, 2),
            (2 << 30, SpaceLevel::Ample, 2),
            (1 << 20, SpaceLevel::Critical, 3),
        ] {
            watch.note(free);
            assert_eq!((watch.level(), watch.warnings()), (level, warnings), "{free} bytes free");
        }
    }

    #[test]
    fn the_watermark_is_sixteen_segments_and_a_gibibyte_at_least() {
        assert_eq!(free_space_warning_default(1 << 20), 1 << 30);
        assert_eq!(free_space_warning_default(256 << 20), 4 << 30);
    }

    #[test]
    fn the_text_says_how_many_segments_are_left_and_what_to_do() {
        let watch = SpaceWatch::new(SEGMENT, 1 << 30);
        watch.note(640 << 20);
        let text = watch.to_string();
        assert!(text.contains("640 MiB") && text.contains("9 more segments of 64 MiB"), "{text}");
        watch.note(1 << 20);
        assert!(watch.to_string().contains("free some space now"));
    }

    #[test]
    fn a_directorys_free_space_is_that_of_its_file_system() {
        assert!(Directory::new(std::env::temp_dir()).free().unwrap() > 0);
        assert!(Directory::new("/nowhere/at/all").free().is_err());
    }
}
