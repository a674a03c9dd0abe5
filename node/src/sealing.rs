//! Sealing a trail by hand, one sealer at a time.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::submission::NAP;
use crate::wall::WallClock;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{Policy, SealError, Sealing, Signer, seal_trail};
use stele_journal::{Directory, LockError, Storage, WriterLock};

/// Seals a trail; waits up to `patience` for another sealer's end.
///
/// # Errors
/// [`Failure`].
pub(crate) fn seal_waiting(trail: &Path, signer: &Signer, patience: Duration) -> Result<Sealing, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    let _lock = lock(&trail.join(SEALS_FOLDER), patience)?;
    let bar = Progress::new("sealing", "events", None);
    let progress = |done, total| bar.set_of(done, total);
    let sealed = seal_trail(&storage, signer, Policy::default(), WallClock::read, &progress);
    drop(bar);
    sealed.map_err(seal_failed)
}

/// Why a trail is not sealed, as this program reports it.
pub(crate) fn seal_failed(error: SealError) -> Failure {
    match error {
        SealError::Io { .. } | SealError::Trail(_) => Failure::environment(error),
        SealError::Rotated { .. } => Failure::not_so(error).help("name the file of the key that took over"),
        _ => Failure::not_so(error),
    }
}

/// Keeps a second sealer out. It has nothing to do with the trail's writer: a live trail can be sealed.
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
            Failure::environment(format!("{} is being written by another sealer ({owner})", seals.display()))
                .help("wait until it is done; a second one has nothing to add")
        }
        LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", seals.display())),
    })
}
