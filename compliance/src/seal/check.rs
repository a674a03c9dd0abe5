//! Checks a trail against its seals: every frame, link, root, signature, and a checkpoint that was kept elsewhere.

use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::hash::{Hash, LeafHasher};
use super::note::VerifierKey;
use super::sealing::{SealError, count_checkpoints, origin_of_trail, read_checkpoint};
use super::tiles::{CHECKPOINT_NAME, checkpoint_name};
use super::tree::Frontier;
use std::ops::ControlFlow;
use std::sync::Arc;
use stele_journal::scan::ScanOptions;
use stele_journal::verify::{LogVisitor, verify_with};
use stele_journal::{Segment, Storage, TrailReader};
use stele_wire::{Frame, Position};

/// What holds.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct SealReport {
    /// Which log.
    pub origin: String,
    /// Events on the trail.
    pub events: u64,
    /// Checkpoints, all of them signed by the key and over the trail's own tree.
    pub checkpoints: u64,
    /// Events under the newest of them.
    pub sealed: u64,
    /// Events behind it, which no signature covers: they can be altered or cut without this check noticing.
    pub unsealed: u64,
    /// Events under the checkpoint kept elsewhere, when one was given: the trail extends it.
    pub against: Option<u64>,
}

/// What does not hold, the first thing in the order of the log.
#[derive(Debug, thiserror::Error)]
pub enum SealBroken {
    /// The medium, the frames, or a seal that is no seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no checkpoint at all.
    #[error("the trail is not sealed: there is no {0}")]
    NotSealed(String),
    /// A checkpoint is not by the key, or not of this trail.
    #[error("{file}: {why}")]
    Checkpoint {
        /// Its file.
        file: String,
        /// What is wrong.
        why: CheckpointError,
    },
    /// Checkpoints do not grow, or the newest is not the last one.
    #[error("{file} does not follow the checkpoint in front of it")]
    Order {
        /// Its file.
        file: String,
    },
    /// The events are not those that were signed.
    #[error(
        "{file}: it was signed over root {signed}, the events give {found}: one of the events {first} to {size} was \
        changed after it was sealed"
    )]
    Root {
        /// The checkpoint's file.
        file: String,
        /// The first event that no earlier checkpoint vouches for.
        first: u64,
        /// Events under it.
        size: u64,
        /// The root that was signed.
        signed: Hash,
        /// The root of the trail's events.
        found: Hash,
    },
    /// The trail's beginning has expired, and with it the leaves of the tree.
    #[error(
        "the trail begins at event {first}: the tree over what was in front of it cannot be computed again"
    )]
    Begins {
        /// The first event there.
        first: u64,
    },
    /// The trail is shorter than a checkpoint.
    #[error("{file}: it was signed over {size} events, the trail ends after {last}: events {} to {size} are gone", last + 1)]
    Short {
        /// The checkpoint's file.
        file: String,
        /// Events under it.
        size: u64,
        /// The last event on the trail.
        last: u64,
    },
}

/// A root that the tree must have at a size.
struct Claim {
    file: String,
    size: u64,
    root: Hash,
}

/// Recomputes the tree over the trail in `storage` and holds it against every checkpoint there, signed by `key`, and
/// against `against`, a checkpoint kept elsewhere with its name for messages.
///
/// # Errors
/// [`SealBroken`].
pub fn check(
    storage: &Arc<dyn Storage>,
    key: &VerifierKey,
    against: Option<(&str, &SignedCheckpoint)>,
    options: &ScanOptions<'_>,
) -> Result<SealReport, SealBroken> {
    let reader = TrailReader::over(storage.clone()).map_err(SealError::from)?;
    let origin = origin_of_trail(&reader);
    let mut claims = own_claims(storage.as_ref(), key, &origin)?;
    let checkpoints = claims.len() as u64;
    let sealed = claims.last().map_or(0, |claim| claim.size);
    if let Some((file, checkpoint)) = against {
        claims.push(claim(file, checkpoint, key, &origin)?);
    }
    if claims.is_empty() {
        return Err(SealBroken::NotSealed(storage.describe(&checkpoint_name(1))));
    }
    claims.sort_by_key(|claim| claim.size);
    let mut tree = Recomputed {
        hasher: LeafHasher::default(),
        frontier: Frontier::default(),
        claims,
        met: 0,
        wrong: None,
    };
    let medium = verify_with(storage.as_ref(), options, &mut tree);
    if let Some(wrong) = tree.wrong {
        return Err(wrong);
    }
    medium.map_err(SealError::from)?;
    let events = tree.frontier.size();
    if let Some(Claim { file, size, .. }) = tree.claims.get(tree.met) {
        return Err(SealBroken::Short { file: file.clone(), size: *size, last: events });
    }
    let against = against.map(|(_, checkpoint)| checkpoint.unchecked().size);
    Ok(SealReport { origin, events, checkpoints, sealed, unsealed: events - sealed, against })
}

fn claim(
    file: &str,
    signed: &SignedCheckpoint,
    key: &VerifierKey,
    origin: &str,
) -> Result<Claim, SealBroken> {
    let checked = signed.check(key, Some(origin));
    let checkpoint = checked.map_err(|why| SealBroken::Checkpoint { file: file.to_owned(), why })?;
    Ok(Claim { file: file.to_owned(), size: checkpoint.size, root: checkpoint.root })
}

/// What the trail's own checkpoints claim.
fn own_claims(storage: &dyn Storage, key: &VerifierKey, origin: &str) -> Result<Vec<Claim>, SealBroken> {
    let io = |source| SealError::Io { file: storage.describe("seals"), source };
    let count = count_checkpoints(storage).map_err(io)?;
    let mut claims: Vec<Claim> = Vec::new();
    let mut last = None;
    for number in 1..=count {
        let name = checkpoint_name(number);
        let Some(signed) = read_checkpoint(storage, &name)? else { continue };
        let claim = claim(&storage.describe(&name), &signed, key, origin)?;
        if claims.last().is_some_and(|before| before.size >= claim.size) {
            return Err(SealBroken::Order { file: claim.file });
        }
        claims.push(claim);
        last = Some(signed);
    }
    let newest = read_checkpoint(storage, CHECKPOINT_NAME)?;
    // A crash may have come between the last two files.
    let is_behind = |newest: &SignedCheckpoint| {
        let one_back = claims.len().checked_sub(2).map(|at| &claims[at]);
        one_back.is_some_and(|claim| {
            (claim.size, claim.root) == (newest.unchecked().size, newest.unchecked().root)
        })
    };
    match newest {
        Some(newest) if last.as_ref() != Some(&newest) && !is_behind(&newest) => {
            Err(SealBroken::Order { file: storage.describe(CHECKPOINT_NAME) })
        }
        _ => Ok(claims),
    }
}

struct Recomputed {
    hasher: LeafHasher,
    frontier: Frontier,
    claims: Vec<Claim>,
    /// Claims that hold.
    met: usize,
    wrong: Option<SealBroken>,
}

impl LogVisitor for Recomputed {
    fn on_segment(&mut self, _: &Segment) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn on_frame(&mut self, _: Position, frame: &Frame<'_>) -> ControlFlow<()> {
        if frame.is_padding() {
            return ControlFlow::Continue(());
        }
        if frame.sequence().0 != self.frontier.size() + 1 {
            self.wrong = Some(SealBroken::Begins { first: frame.sequence().0 });
            return ControlFlow::Break(());
        }
        self.frontier.append(self.hasher.hash(frame.bytes()));
        while let Some(claim) = self.claims.get(self.met).filter(|claim| claim.size == self.frontier.size()) {
            let found = self.frontier.root();
            if found != claim.root {
                let first = self.met.checked_sub(1).map_or(1, |at| self.claims[at].size + 1);
                let (file, size, signed) = (claim.file.clone(), claim.size, claim.root);
                self.wrong = Some(SealBroken::Root { file, first, size, signed, found });
                return ControlFlow::Break(());
            }
            self.met += 1;
        }
        ControlFlow::Continue(())
    }
}
