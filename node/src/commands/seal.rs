//! `stele seal`: signs the root over a trail's events.

use super::key::read_signer;
use crate::cli::SealArgs;
use crate::failure::Failure;
use crate::live::grouped;
use crate::progress::Progress;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use stele_bus::{Clock as _, UtcClock};
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{Policy, SealError, seal_trail};
use stele_journal::{Directory, LockError, Storage, WriterLock};

/// Seals a trail up to its durable end and says what is under a signature now.
///
/// # Errors
/// [`Failure`].
pub(crate) fn seal(args: &SealArgs) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let signer = read_signer(&args.key, None)?;
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(&args.trail));
    let _lock = lock(&args.trail.join(SEALS_FOLDER))?;
    let clock = RefCell::new(UtcClock::new());
    let bar = Progress::new("sealing", "events", None);
    let progress = |done, total| bar.set_of(done, total);
    let sealed = seal_trail(&storage, &signer, Policy::default(), || clock.borrow_mut().now(), &progress);
    drop(bar);
    let sealing = sealed.map_err(|error| match error {
        SealError::Io { .. } | SealError::Trail(_) => Failure::environment(error),
        _ => Failure::not_so(error),
    })?;
    if args.json {
        return super::print_json(&sealing);
    }
    super::print_page(&format!(
        "{} events are sealed, {} of them were before; new checkpoints: {}; {} events behind the last one\n",
        grouped(sealing.sealed),
        grouped(sealing.before),
        sealing.checkpoints,
        grouped(sealing.unsealed),
    ))
}

/// Keeps a second sealer out. It has nothing to do with the trail's writer: a live trail can be sealed.
fn lock(seals: &Path) -> Result<WriterLock, Failure> {
    let locked = Directory::new(seals).create().map_err(LockError::Io);
    let locked = locked.and_then(|()| WriterLock::take(seals, UtcClock::new().now()));
    locked.map_err(|error| match error {
        LockError::Held(owner) => {
            Failure::environment(format!("{} is being written by another sealer ({owner})", seals.display()))
                .help("wait until it is done; a second one has nothing to add")
        }
        LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", seals.display())),
    })
}
