//! Checks a trail against its seals: every frame, link, root and signature, and a checkpoint that was kept
//! elsewhere.

use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::hash::Hash;
use super::leaves::{SegmentLeaves, Subtrees};
use super::note::VerifierKey;
use super::rotation::{KeyRotation, predecessors, rotations_between, successors};
use super::sealing::{SealError, count_checkpoints, origin_of_trail, read_checkpoint};
use super::tiles::{CHECKPOINT_NAME, TILE_WIDTH, checkpoint_name, find_altered_tile};
use super::tree::Frontier;
use std::ops::ControlFlow;
use std::sync::Arc;
use stele_journal::index::{index_matches, index_name};
use stele_journal::scan::{ScanOptions, SegmentScan};
use stele_journal::verify::{VerifyReport, verify_each};
use stele_journal::{Segment, Storage, TrailError, TrailReader};

/// The result for a trail whose seals hold.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct SealReport {
    /// Origin of the log.
    pub origin: String,
    /// Number of events on the trail.
    pub events: u64,
    /// Number of checkpoints. All are over the trail's own tree, and signed by the given key, or by keys that
    /// it handed over to or took over from.
    pub checkpoints: u64,
    /// Number of keys that signed them.
    pub keys: u64,
    /// Number of events under the newest checkpoint.
    pub sealed: u64,
    /// Number of events after it. No signature covers them: this check does not detect their alteration or
    /// removal.
    pub unsealed: u64,
    /// Number of events under the checkpoint kept elsewhere, if one was given; the trail extends it.
    pub against: Option<u64>,
}

/// The first error of the seals, in log order.
#[derive(Debug, thiserror::Error)]
pub enum SealCheckError {
    /// An error of the storage or the frames, or an unreadable seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no checkpoint.
    #[error("the trail is not sealed: there is no {0}")]
    NotSealed(String),
    /// A checkpoint is not signed by the key, or not of this trail.
    #[error("{file}: {why}")]
    Checkpoint {
        /// File of the checkpoint.
        file: String,
        /// The reason.
        why: CheckpointError,
    },
    /// A checkpoint is missing although later ones exist.
    #[error("{file} is missing, but a later one exists")]
    Missing {
        /// File of the checkpoint.
        file: String,
    },
    /// A checkpoint does not follow the one before it, or the newest one is not the last one.
    #[error("{file} does not follow the previous checkpoint")]
    Order {
        /// File of the checkpoint.
        file: String,
    },
    /// The events are not those that were signed.
    #[error(
        "{file} was signed over root {signed}, but the events give {found}: {}",
        changed(*first, *size)
    )]
    Root {
        /// File of the checkpoint.
        file: String,
        /// The first event that no earlier checkpoint covers.
        first: u64,
        /// Number of events under it.
        size: u64,
        /// The signed root.
        signed: Hash,
        /// The root of the trail's events.
        found: Hash,
    },
    /// The trail's beginning has expired, and with it the leaves of the tree.
    #[error("the trail begins at event {first}: the tree over the events before it cannot be computed again")]
    Begins {
        /// The first event of the trail.
        first: u64,
    },
    /// A checkpoint is signed with a key that had already handed over to another one.
    #[error("{file} is signed with the key {key}, which had handed over to another one by event {rotated}")]
    Stale {
        /// File of the checkpoint.
        file: String,
        /// The key.
        key: String,
        /// The event that recorded the handover.
        rotated: u64,
    },
    /// The trail is shorter than a checkpoint.
    #[error("{file} was signed over {size} events, but the trail ends after {last}: events {} to {size} are missing", last + 1)]
    Short {
        /// File of the checkpoint.
        file: String,
        /// Number of events under it.
        size: u64,
        /// The last event on the trail.
        last: u64,
    },
    /// The events are the signed ones, but a file derived from them does not match them.
    #[error("{file} does not match the events, which are as they were signed: {why}")]
    Derived {
        /// A tile or an index.
        file: String,
        /// The reason, and how to recreate the file.
        why: String,
    },
}

/// Explains a different root.
fn changed(first: u64, size: u64) -> String {
    match size {
        0 => "an empty log never has that root".to_owned(),
        _ => format!("one of the events {first} to {size} was changed after it was sealed"),
    }
}

/// A root that the tree must have at a certain size.
struct Claim {
    file: String,
    size: u64,
    root: Hash,
    key: VerifierKey,
    /// The checkpoint was kept elsewhere: the trail's own checkpoints may have been signed since.
    is_kept: bool,
}

/// Recomputes the tree over the trail in `storage`, with the segments on as many threads as `options` says.
/// Compares it with every checkpoint of the trail, signed by `key` or by keys that handed over to it or took
/// over from it ([`super::rotation`]), and with `against`, a checkpoint kept elsewhere, given with a name for
/// messages. Then compares tiles and indexes with the events from which they were made.
///
/// # Errors
/// [`SealCheckError`] for the first error.
pub fn check(
    storage: &Arc<dyn Storage>,
    key: &VerifierKey,
    against: Option<(&str, &SignedCheckpoint)>,
    options: &ScanOptions<'_>,
) -> Result<SealReport, SealCheckError> {
    let mut check = SealCheck::read(storage, key, against)?;
    let cuts = check.cuts();
    let start = |segment: &Segment| SegmentLeaves::new(segment, cuts.clone());
    let medium =
        verify_each(storage.as_ref(), options, start, |scan, subtrees| check.on_segment(scan, subtrees));
    check.end(medium)
}

/// A check in progress: what was signed, and the tree over the segments so far.
pub struct SealCheck {
    storage: Arc<dyn Storage>,
    origin: String,
    claims: Vec<Claim>,
    /// The newest checkpoint of the trail: its size, and the number of checkpoints.
    sealed: u64,
    checkpoints: u64,
    keys: u64,
    /// The handovers of keys so far.
    rotations: Vec<KeyRotation>,
    against: Option<u64>,
    frontier: Frontier,
    /// The leaves after the last full tile.
    block: Frontier,
    /// The roots of the full tiles: level 1 of the tree.
    row: Vec<Hash>,
    /// Number of claims that hold.
    met: usize,
    wrong: Option<SealCheckError>,
    /// The first derived file that does not match.
    derived: Option<SealCheckError>,
}

impl SealCheck {
    /// Reads the checkpoints and checks their signatures.
    ///
    /// # Errors
    /// [`SealCheckError`] when a checkpoint is malformed, not signed by the key or out of order, or when
    /// there is none.
    pub fn read(
        storage: &Arc<dyn Storage>,
        key: &VerifierKey,
        against: Option<(&str, &SignedCheckpoint)>,
    ) -> Result<Self, SealCheckError> {
        let mut reader = TrailReader::over(storage.clone()).map_err(SealError::from)?;
        let origin = origin_of_trail(&reader);
        let mut claims = own_claims(storage.as_ref(), &mut reader, key, &origin)?;
        let checkpoints = claims.len() as u64;
        let mut keys: Vec<VerifierKey> = claims.iter().map(|claim| claim.key.clone()).collect();
        keys.dedup();
        let sealed = claims.last().map_or(0, |claim| claim.size);
        if let Some((file, checkpoint)) = against {
            let by = keys.iter().find(|by| checkpoint.note().names(by)).unwrap_or(key);
            claims.push(Claim { is_kept: true, ..claim(file, checkpoint, by, &origin)? });
        }
        if claims.is_empty() {
            return Err(SealCheckError::NotSealed(storage.describe(&checkpoint_name(1))));
        }
        claims.sort_by_key(|claim| claim.size);
        let against = against.map(|(_, checkpoint)| checkpoint.unchecked().size);
        let mut check = Self {
            storage: storage.clone(),
            origin,
            claims,
            sealed,
            checkpoints,
            keys: keys.len() as u64,
            rotations: Vec::new(),
            against,
            frontier: Frontier::default(),
            block: Frontier::default(),
            row: Vec::new(),
            met: 0,
            wrong: None,
            derived: None,
        };
        // A checkpoint of size 0 claims nothing else.
        check.meet();
        check.wrong.take().map_or(Ok(check), Err)
    }

    /// The sizes at which the tree's root is needed: an argument of [`SegmentLeaves`].
    pub fn cuts(&self) -> Arc<[u64]> {
        let mut sizes: Vec<u64> = self.claims.iter().map(|claim| claim.size).collect();
        sizes.dedup();
        sizes.into()
    }

    /// Adds the next segment of the log.
    pub fn on_segment(&mut self, scan: &SegmentScan<()>, found: Subtrees) -> ControlFlow<()> {
        if found.first != self.frontier.size() {
            self.wrong = Some(SealCheckError::Begins { first: found.first + 1 });
            return ControlFlow::Break(());
        }
        self.rotations.extend(found.rotations);
        for (height, root) in found.subtrees {
            self.frontier.append_subtree(root, height);
            self.block.append_subtree(root, height);
            if self.block.size() == TILE_WIDTH {
                self.row.push(std::mem::take(&mut self.block).root());
            }
            self.meet();
            if self.wrong.is_some() {
                return ControlFlow::Break(());
            }
        }
        let header = &scan.segment.header;
        let index = header.index;
        // A segment that is being written gets its index when it is closed.
        let is_closed = scan.fault.is_none() && header.file_offset(scan.end) == scan.segment.file_length;
        let made = found.notes.finish(scan.end, scan.data_crc);
        if is_closed
            && self.derived.is_none()
            && let Ok(Some(false)) = index_matches(self.storage.as_ref(), index, made.as_ref())
        {
            let why = "remove it; the next run recreates it, and reads work without it".to_owned();
            self.derived =
                Some(SealCheckError::Derived { file: self.storage.describe(&index_name(index)), why });
        }
        ControlFlow::Continue(())
    }

    /// Compares the claims of the current size with the current root.
    fn meet(&mut self) {
        while let Some(claim) = self.claims.get(self.met).filter(|claim| claim.size == self.frontier.size()) {
            let found = self.frontier.root();
            if found != claim.root {
                let vouches = |before: &&Claim| !before.is_kept && before.size < claim.size;
                let before = self.claims[..self.met].iter().rev().find(vouches);
                let first = before.filter(|_| !claim.is_kept).map_or(1, |before| before.size + 1);
                let (file, size, signed) = (claim.file.clone(), claim.size, claim.root);
                self.wrong = Some(SealCheckError::Root { file, first, size, signed, found });
                return;
            }
            if let Some(rotated) = self.handed_over(claim) {
                let (file, key) = (claim.file.clone(), claim.key.to_string());
                self.wrong = Some(SealCheckError::Stale { file, key, rotated });
                return;
            }
            self.met += 1;
        }
    }

    /// The event, under the previous checkpoint, with which the key of the trail's own `claim` had handed
    /// over.
    fn handed_over(&self, claim: &Claim) -> Option<u64> {
        let before = self.claims[..self.met].iter().rev().find(|before| !before.is_kept)?.size;
        let is_by = |rotation: &&KeyRotation| rotation.successor(&claim.key, &self.origin).is_some();
        let under = self.rotations.iter().filter(|rotation| rotation.sequence.0 <= before && !claim.is_kept);
        under.into_iter().find(is_by).map(|rotation| rotation.sequence.0)
    }

    /// Returns the result, given the result of the check of the storage.
    ///
    /// # Errors
    /// [`SealCheckError`] for the first error in log order.
    pub fn end(self, medium: Result<VerifyReport, TrailError>) -> Result<SealReport, SealCheckError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        medium.map_err(SealError::from)?;
        let events = self.frontier.size();
        if let Some(Claim { file, size, .. }) = self.claims.get(self.met) {
            return Err(SealCheckError::Short { file: file.clone(), size: *size, last: events });
        }
        if let Some(file) = self.find_altered_tile()? {
            let why = "remove seals/tile; `stele seal` recreates it".to_owned();
            return Err(SealCheckError::Derived { file, why });
        }
        self.derived.map_or(Ok(()), Err)?;
        let Self { origin, checkpoints, keys, sealed, against, .. } = self;
        Ok(SealReport { origin, events, checkpoints, keys, sealed, unsealed: events - sealed, against })
    }

    /// Looks among the tiles of the newest checkpoint, whose root is known to be that of the events.
    fn find_altered_tile(&self) -> Result<Option<String>, SealCheckError> {
        // After a crash, it may be one checkpoint older than the last numbered one.
        let newest = read_checkpoint(self.storage.as_ref(), CHECKPOINT_NAME)?;
        let size = newest.map_or(self.sealed, |newest| newest.unchecked().size.min(self.sealed));
        Ok(find_altered_tile(self.storage.as_ref(), size, &self.row))
    }
}

fn claim(
    file: &str,
    signed: &SignedCheckpoint,
    key: &VerifierKey,
    origin: &str,
) -> Result<Claim, SealCheckError> {
    let checked = signed.check(key, Some(origin));
    let checkpoint = checked.map_err(|why| SealCheckError::Checkpoint { file: file.to_owned(), why })?;
    let (file, size, root) = (file.to_owned(), checkpoint.size, checkpoint.root);
    Ok(Claim { file, size, root, key: key.clone(), is_kept: false })
}

/// The claims of the trail's own checkpoints.
fn own_claims(
    storage: &dyn Storage,
    reader: &mut TrailReader,
    key: &VerifierKey,
    origin: &str,
) -> Result<Vec<Claim>, SealCheckError> {
    let io = |source| SealError::Io { file: storage.describe("seals"), source };
    let count = count_checkpoints(storage).map_err(io)?;
    let mut read = Vec::new();
    for number in 1..=count {
        let name = checkpoint_name(number);
        let Some(signed) = read_checkpoint(storage, &name)? else {
            return Err(SealCheckError::Missing { file: storage.describe(&name) });
        };
        read.push((storage.describe(&name), signed));
    }
    let mut claims: Vec<Claim> = Vec::new();
    for ((file, signed), by) in read.iter().zip(signing_keys(&read, reader, key, origin)?) {
        let claim = claim(file, signed, &by, origin)?;
        if claims.last().is_some_and(|before| before.size >= claim.size) {
            return Err(SealCheckError::Order { file: claim.file });
        }
        claims.push(claim);
    }
    let last = read.pop().map(|(_, signed)| signed);
    let newest = read_checkpoint(storage, CHECKPOINT_NAME)?;
    if let Some(newest) = &newest {
        let keys = claims.iter().rev().map(|claim| &claim.key);
        let by = keys.clone().find(|by| newest.note().names(by)).unwrap_or(key);
        claim(&storage.describe(CHECKPOINT_NAME), newest, by, origin)?;
    }
    // A crash may have happened between the last two files.
    let is_behind = |newest: &SignedCheckpoint| {
        let one_back = claims.len().checked_sub(2).map(|at| &claims[at]);
        one_back.is_some_and(|claim| {
            (claim.size, claim.root) == (newest.unchecked().size, newest.unchecked().root)
        })
    };
    match newest {
        Some(newest) if last.as_ref() != Some(&newest) && !is_behind(&newest) => {
            let is_ahead = claims.last().is_none_or(|last| last.size < newest.unchecked().size);
            Err(if is_ahead {
                SealCheckError::Missing { file: storage.describe(&checkpoint_name(count + 1)) }
            } else {
                SealCheckError::Order { file: storage.describe(CHECKPOINT_NAME) }
            })
        }
        _ => Ok(claims),
    }
}

/// The key with which each of the `signed` checkpoints, given with their file names, must be checked: `key`
/// where it signed, and before and after that the keys that handed over to it or took over from it, from the
/// recorded handovers on. If there is no such key, the list ends with one that did not sign.
fn signing_keys(
    signed: &[(String, SignedCheckpoint)],
    reader: &mut TrailReader,
    key: &VerifierKey,
    origin: &str,
) -> Result<Vec<VerifierKey>, SealCheckError> {
    let size = |at: usize| signed[at].1.unchecked().size;
    let size_before = |at: usize, count: usize| at.checked_sub(count).map_or(0, size);
    let names = |at: usize, key: &VerifierKey| signed[at].1.note().names(key);
    let mut rotations = |after: u64, to: u64| rotations_between(reader, after, to).map_err(SealError::from);
    let first = (0..signed.len()).find(|at| names(*at, key));
    let mut keys = vec![key.clone(); signed.len()];
    for at in first.map_or(0, |first| first + 1)..signed.len() {
        let known = if at > 0 { keys[at - 1].clone() } else { key.clone() };
        if names(at, &known) {
            keys[at] = known;
            continue;
        }
        let (found, last) = rotations(size_before(at, 2), size(at))?;
        if last < size(at) {
            return Err(SealCheckError::Short { file: signed[at].0.clone(), size: size(at), last });
        }
        let line = successors(&found, &known, origin);
        let Some(by) = line.into_iter().find(|by| names(at, by)) else { break };
        keys[at] = by;
    }
    for at in (0..first.unwrap_or(0)).rev() {
        let known = keys[at + 1].clone();
        let (found, _) = rotations(size_before(at, 1), size(at + 1))?;
        let line = predecessors(&found, &known, origin);
        let Some(by) = std::iter::once(known).chain(line).find(|by| names(at, by)) else { break };
        keys[at] = by;
    }
    Ok(keys)
}
