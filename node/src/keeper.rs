//! The background thread that protects closed segments from change: `[at_rest]`.
//!
//! ```text
//!  closed, read-only ──> immutable: the flag of chattr(1), which only root can clear
//!                   └──> copied to another directory, such as a store with object lock, and read back
//! ```
//!
//! It reads the trail's directory and nothing else, so that neither the bus nor the journal ever waits for
//! it. If a process dies before it is done, the next one does the rest.

use crate::failure::Failure;
use crate::layout::Background;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, park_timeout};
use std::time::Duration;
use stele_journal::archive::archive_index;
use stele_journal::directory::set_immutable;
use stele_journal::format::segment_index;

/// The time between two searches for newly closed segments.
const REST: Duration = Duration::from_secs(1);
const NICE: i32 = 15;
/// Bytes copied at a time: a store on a network takes them as they come.
const PIECE: usize = 1 << 20;

/// What is done with closed segments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct KeepPlan {
    /// Whether they get the immutable flag.
    pub(crate) immutable: bool,
    /// The directory that they are copied to, into a directory with the trail's name.
    pub(crate) copy_to: Option<PathBuf>,
}

/// How many of a trail's closed segments are protected, and why not all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct KeepOutcome {
    /// Segments with everything done to them that the plan asks for.
    pub(crate) segments: u64,
    /// Why the first of the other segments is not protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// The running thread.
pub(crate) struct Keeper {
    thread: JoinHandle<Vec<KeepOutcome>>,
    is_ended: Arc<AtomicBool>,
}

impl Keeper {
    /// Starts the thread on the CPUs of `place` for these trails; none where the plan asks for nothing.
    pub(crate) fn spawn(
        plan: KeepPlan,
        trails: &[PathBuf],
        place: &Background,
    ) -> Result<Option<Self>, Failure> {
        if plan == KeepPlan::default() {
            return Ok(None);
        }
        let is_ended = Arc::new(AtomicBool::new(false));
        let (ended, place) = (is_ended.clone(), place.clone());
        let mut kept: Vec<KeptTrail> = trails.iter().map(|trail| KeptTrail::new(trail, &plan)).collect();
        let work = move || {
            // Where it may not lower its priority it works all the same: it sleeps most of the time.
            let _ = place.enter(NICE);
            loop {
                // Read before the directories, so that every segment that was closed before the end is found.
                let is_over = ended.load(Ordering::Acquire);
                kept.iter_mut().for_each(|kept| kept.keep_closed(&plan));
                if is_over {
                    return kept.into_iter().map(|kept| kept.outcome).collect();
                }
                park_timeout(REST);
            }
        };
        let thread = Builder::new().name("keeper".into()).spawn(work).map_err(Failure::environment)?;
        Ok(Some(Self { thread, is_ended }))
    }

    /// Finishes the work after the last segment was closed, and returns the outcome for each trail.
    pub(crate) fn close(self) -> Vec<KeepOutcome> {
        self.is_ended.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("the keeper does not panic")
    }
}

/// One trail, and which of its segments are done.
struct KeptTrail {
    trail: PathBuf,
    copies: Option<PathBuf>,
    done: BTreeSet<PathBuf>,
    outcome: KeepOutcome,
}

impl KeptTrail {
    fn new(trail: &Path, plan: &KeepPlan) -> Self {
        let whole = fs::canonicalize(trail).unwrap_or_else(|_| trail.to_owned());
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        let copies = plan.copy_to.as_ref().map(|folder| folder.join(name));
        Self { copies, trail: whole, done: BTreeSet::new(), outcome: KeepOutcome::default() }
    }

    /// Protects each segment that was closed since the last call.
    fn keep_closed(&mut self, plan: &KeepPlan) {
        self.outcome.failure = None;
        for file in closed_segments(&self.trail) {
            if self.done.contains(&file) {
                continue;
            }
            match self.keep(&file, plan) {
                Ok(()) => {
                    self.outcome.segments += 1;
                    self.done.insert(file);
                }
                Err(why) => {
                    self.outcome.failure.get_or_insert(why);
                }
            }
        }
    }

    fn keep(&self, file: &Path, plan: &KeepPlan) -> Result<(), String> {
        if let Some(copies) = &self.copies {
            copy(file, copies)?;
        }
        if plan.immutable {
            let made = set_immutable(file, true);
            made.map_err(|error| {
                format!(
                    "{} cannot be made immutable: {error}; this needs root (CAP_LINUX_IMMUTABLE)",
                    file.display()
                )
            })?;
        }
        Ok(())
    }
}

/// Returns the segments of a trail, the archived ones included, the oldest first.
pub(crate) fn segments(trail: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(trail).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((segment_index(&name).or_else(|| archive_index(&name))?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, file)| file).collect()
}

/// Returns the segments that are read-only: the journal does not write them any longer.
fn closed_segments(trail: &Path) -> Vec<PathBuf> {
    segments(trail).into_iter().filter(|file| is_read_only(file)).collect()
}

fn is_read_only(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o222 == 0)
}

/// Copies `file` into `folder` and reads the copy back. A copy that exists already must be identical.
fn copy(file: &Path, folder: &Path) -> Result<(), String> {
    let name = file.file_name().expect("a segment has a name");
    let target = folder.join(name);
    let what =
        |error: io::Error| format!("{} cannot be copied to {}: {error}", file.display(), target.display());
    let length = file.metadata().map_err(what)?.len();
    match target.metadata() {
        Ok(there) if there.len() == length => {}
        Ok(there) if there.len() < length => {
            // A process that died left an incomplete copy.
            fs::remove_file(&target).map_err(what)?;
            write_copy(file, &target).map_err(what)?;
        }
        Ok(_) => return Err(not_a_copy(file, &target)),
        Err(_) => {
            fs::create_dir_all(folder).map_err(what)?;
            write_copy(file, &target).map_err(what)?;
        }
    }
    if hash_of(file).map_err(what)? == hash_of(&target).map_err(what)? {
        return Ok(());
    }
    Err(not_a_copy(file, &target))
}

fn not_a_copy(file: &Path, target: &Path) -> String {
    format!("{} exists and is not a copy of {}", target.display(), file.display())
}

/// Writes the copy under its final name, because a store with object lock cannot rename it.
fn write_copy(file: &Path, target: &Path) -> io::Result<()> {
    let (mut from, mut piece) = (File::open(file)?, vec![0; PIECE]);
    let mut to = OpenOptions::new().write(true).create_new(true).open(target)?;
    loop {
        match from.read(&mut piece)? {
            0 => break,
            length => to.write_all(&piece[..length])?,
        }
    }
    to.sync_all()
}

fn hash_of(file: &Path) -> io::Result<[u8; 32]> {
    let (mut from, mut piece, mut hash) = (File::open(file)?, vec![0; PIECE], Sha256::new());
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use stele_journal::format::segment_name;

    fn segment(trail: &Path, index: u64, bytes: &[u8], mode: u32) -> PathBuf {
        let path = trail.join(segment_name(index));
        fs::write(&path, bytes).unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn closed_segments_are_copied_once_and_a_different_file_in_their_place_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (trail, store) = (folder.path().join("trail"), folder.path().join("store"));
        fs::create_dir(&trail).unwrap();
        segment(&trail, 1, b"first", 0o400);
        let open = segment(&trail, 2, b"open", 0o600);
        let plan = KeepPlan { immutable: false, copy_to: Some(store.clone()) };
        let mut kept = KeptTrail::new(&trail, &plan);
        kept.keep_closed(&plan);
        let copy = |index| store.join("trail").join(segment_name(index));
        assert_eq!(fs::read(copy(1)).unwrap(), b"first");
        assert!(!copy(2).exists(), "it is still being written");
        assert_eq!(kept.outcome, KeepOutcome { segments: 1, failure: None });

        set_permissions(&open, Permissions::from_mode(0o400)).unwrap();
        fs::write(copy(2), "op").unwrap();
        kept.keep_closed(&plan);
        assert_eq!(fs::read(copy(2)).unwrap(), b"open", "an incomplete copy is made again");
        assert_eq!(kept.outcome, KeepOutcome { segments: 2, failure: None });

        segment(&trail, 3, b"third", 0o400);
        fs::write(copy(3), "thurd").unwrap();
        kept.keep_closed(&plan);
        let failure = kept.outcome.failure.clone().unwrap();
        assert!(failure.contains("is not a copy of") && kept.outcome.segments == 2, "{failure}");
        assert_eq!(fs::read(copy(3)).unwrap(), b"thurd", "the existing file stays");
    }
}
