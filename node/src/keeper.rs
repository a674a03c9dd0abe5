//! The background thread that puts closed segments out of harm's way: `[at_rest]`.
//!
//! ```text
//!  closed, read-only ──> immutable: the flag of chattr(1), which root alone can lift
//!                   └──> copied to another directory, such as a mounted store with object lock, and read back
//! ```
//!
//! It looks at the directory and nothing else, so that neither the bus nor the journal ever waits for it. What it has not
//! done when a process dies, the next one does.

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

/// Between two looks for newly closed segments.
const REST: Duration = Duration::from_secs(1);
const NICE: i32 = 15;
/// Bytes copied at a time: a store behind a network takes them as they come.
const PIECE: usize = 1 << 20;

/// What is done with closed segments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct KeepPlan {
    /// They get the flag.
    pub(crate) immutable: bool,
    /// They are copied there.
    pub(crate) copy_to: Option<PathBuf>,
}

/// What became of a trail's closed segments.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct KeepOutcome {
    /// How many are as they should be.
    pub(crate) segments: u64,
    /// What could not be done, of the first segment for which it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// The running thread.
pub(crate) struct Keeper {
    thread: JoinHandle<Vec<KeepOutcome>>,
    is_ended: Arc<AtomicBool>,
}

impl Keeper {
    /// Starts the thread in this place for these trails; none where nothing is asked for.
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
        let mut kept: Vec<Kept> = trails.iter().map(|trail| Kept::new(trail, &plan)).collect();
        let work = move || {
            // Where it may not step back it works all the same: it sleeps most of the time.
            let _ = place.enter(NICE);
            loop {
                // Looked at before the directories are: what was closed before it is seen.
                let is_over = ended.load(Ordering::Acquire);
                kept.iter_mut().for_each(|kept| kept.look(&plan));
                if is_over {
                    return kept.into_iter().map(|kept| kept.outcome).collect();
                }
                park_timeout(REST);
            }
        };
        let thread = Builder::new().name("keeper".into()).spawn(work).map_err(Failure::environment)?;
        Ok(Some(Self { thread, is_ended }))
    }

    /// The last segment is closed: does what is left and says what became of each trail.
    pub(crate) fn close(self) -> Vec<KeepOutcome> {
        self.is_ended.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("the keeper does not panic")
    }
}

/// One trail.
struct Kept {
    trail: PathBuf,
    copies: Option<PathBuf>,
    done: BTreeSet<PathBuf>,
    outcome: KeepOutcome,
}

impl Kept {
    fn new(trail: &Path, plan: &KeepPlan) -> Self {
        let whole = fs::canonicalize(trail).unwrap_or_else(|_| trail.to_owned());
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        let copies = plan.copy_to.as_ref().map(|folder| folder.join(name));
        Self { copies, trail: whole, done: BTreeSet::new(), outcome: KeepOutcome::default() }
    }

    /// Does what is to be done with each segment that was closed since the last look.
    fn look(&mut self, plan: &KeepPlan) {
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
                    "{} cannot be made immutable: {error}; that takes root (CAP_LINUX_IMMUTABLE)",
                    file.display()
                )
            })?;
        }
        Ok(())
    }
}

/// The segments of a trail, archived ones too, the oldest first.
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

/// Those that are read-only: nobody writes them any longer.
fn closed_segments(trail: &Path) -> Vec<PathBuf> {
    segments(trail).into_iter().filter(|file| is_read_only(file)).collect()
}

fn is_read_only(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o222 == 0)
}

/// Copies `file` into `folder` and reads the copy back. One that is there already must be the same.
fn copy(file: &Path, folder: &Path) -> Result<(), String> {
    let name = file.file_name().expect("a segment has a name");
    let target = folder.join(name);
    let what =
        |error: io::Error| format!("{} cannot be copied to {}: {error}", file.display(), target.display());
    let length = file.metadata().map_err(what)?.len();
    match target.metadata() {
        Ok(there) if there.len() == length => {}
        Ok(there) if there.len() < length => {
            // A process that died left a part of it.
            fs::remove_file(&target).map_err(what)?;
            write_copy(file, &target).map_err(what)?;
        }
        Ok(_) => return Err(format!("{} is there, and is no copy of {}", target.display(), file.display())),
        Err(_) => {
            fs::create_dir_all(folder).map_err(what)?;
            write_copy(file, &target).map_err(what)?;
        }
    }
    if hash_of(file).map_err(what)? == hash_of(&target).map_err(what)? {
        return Ok(());
    }
    Err(format!("{} is there, and is no copy of {}", target.display(), file.display()))
}

/// Under its last name from the first byte: a store with object lock renames nothing.
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
    fn closed_segments_are_copied_once_and_another_file_in_their_place_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let (trail, store) = (folder.path().join("trail"), folder.path().join("store"));
        fs::create_dir(&trail).unwrap();
        segment(&trail, 1, b"first", 0o400);
        let open = segment(&trail, 2, b"open", 0o600);
        let plan = KeepPlan { immutable: false, copy_to: Some(store.clone()) };
        let mut kept = Kept::new(&trail, &plan);
        kept.look(&plan);
        let copy = |index| store.join("trail").join(segment_name(index));
        assert_eq!(fs::read(copy(1)).unwrap(), b"first");
        assert!(!copy(2).exists(), "it is being written");
        assert_eq!(kept.outcome, KeepOutcome { segments: 1, failure: None });

        set_permissions(&open, Permissions::from_mode(0o400)).unwrap();
        fs::write(copy(2), "op").unwrap();
        kept.look(&plan);
        assert_eq!(fs::read(copy(2)).unwrap(), b"open", "a part is done again");
        assert_eq!(kept.outcome, KeepOutcome { segments: 2, failure: None });

        segment(&trail, 3, b"third", 0o400);
        fs::write(copy(3), "thurd").unwrap();
        kept.look(&plan);
        let failure = kept.outcome.failure.clone().unwrap();
        assert!(failure.contains("is no copy of") && kept.outcome.segments == 2, "{failure}");
        assert_eq!(fs::read(copy(3)).unwrap(), b"thurd", "what is there stays");
    }
}
