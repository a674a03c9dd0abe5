//! Sealing a trail by a command, one sealer at a time.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::wall::WallClock;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{SealError, SealPolicy, SealingReport, Signer, seal_trail};
use stele_journal::{Directory, LockError, Storage, WriterLock};

/// How long the caller sleeps while another sealer is running.
const NAP: Duration = Duration::from_micros(200);

/// Seals a trail, after waiting up to `patience` until another sealer has ended.
///
/// # Errors
/// [`Failure`]: the trail cannot be sealed, or another sealer is still running.
pub(crate) fn seal_waiting(
    trail: &Path,
    signer: &Signer,
    patience: Duration,
) -> Result<SealingReport, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    let _lock = lock(&trail.join(SEALS_FOLDER), patience)?;
    let bar = Progress::new("sealing", "events", None);
    let progress = |done, total| bar.set_of(done, total);
    let sealed = seal_trail(&storage, signer, SealPolicy::default(), WallClock::read, &progress);
    drop(bar);
    sealed.map_err(seal_failed)
}

/// Converts the error of sealing to a failure of the command.
pub(crate) fn seal_failed(error: SealError) -> Failure {
    match error {
        SealError::Io { .. } | SealError::Trail(_) => Failure::environment(error),
        SealError::Rotated { .. } => Failure::not_so(error).help("give the file of the key that replaced it"),
        _ => Failure::not_so(error),
    }
}

/// Takes the lock against a second sealer, waiting up to `patience`. It is independent of the lock of the
/// trail's writer, so a trail can be sealed while it is being written.
pub(crate) fn lock(seals: &Path, patience: Duration) -> Result<WriterLock, Failure> {
    let take = || {
        let folder = Directory::new(seals).create().map_err(LockError::Io);
        folder.and_then(|()| WriterLock::take(seals, WallClock::read()))
    };
    let since = Instant::now();
    let mut locked = take();
    while matches!(locked, Err(LockError::Held(_))) && since.elapsed() < patience {
        sleep(NAP);
        locked = take();
    }
    locked.map_err(|error| match error {
        LockError::Held(owner) => {
            Failure::environment(format!("another sealer ({owner}) is writing to {}", seals.display()))
                .help("wait until it is done; a second sealer is not needed")
        }
        LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", seals.display())),
    })
}
