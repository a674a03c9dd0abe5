//! Seals a trail: feeds the sealer from the log, stores its results, and continues where it stopped.
//!
//! Only durable events are sealed: all of a trail that was closed, and otherwise the acknowledged events up
//! to the durable watermark that padding records. Later events may be cut by the next recovery, and a
//! signature over them would then be wrong.
//!
//! Tiles are stored first, then the numbered checkpoint, then the newest one. After a crash in between, the
//! next run writes the same bytes of the tiles again. The log is the truth and tiles are derived from it:
//! missing or damaged tiles are recreated, and the resulting root must be the signed one.

use super::checkpoint::{CheckpointError, SignedCheckpoint, origin_of};
use super::hash::{Hash, LeafHasher};
use super::note::{Signer, VerifierKey};
use super::rotation::{KeyRotation, predecessors, rotations_between};
use super::sealer::{SealPolicy, SealedTree, Sealer, SealerError};
use super::tiles::{
    CHECKPOINT_NAME, LEVELS, TILE_WIDTH, checkpoint_name, level_length, read_file, read_tile,
};
use std::io;
use std::sync::Arc;
use stele_journal::survey::survey;
use stele_journal::{Storage, TrailError, TrailReader};
use stele_wire::{Frame, Nanos, Position, Sequence};

/// Why a trail is not sealed, or not further.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The trail cannot be read or is damaged.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A seal cannot be read or stored.
    #[error("{file}: {source}")]
    Io {
        /// File of the seal.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// The newest checkpoint is damaged, or signed by another key.
    #[error("{file}: {why}; nothing was signed")]
    Checkpoint {
        /// The file.
        file: String,
        /// The reason.
        why: CheckpointError,
    },
    /// The trail is shorter than the signed tree.
    #[error(
        "{file} was signed over {size} events, the trail holds {last} that are durable: it was cut or is an older \
         copy; nothing was signed"
    )]
    RolledBack {
        /// File of the checkpoint.
        file: String,
        /// Number of events under it.
        size: u64,
        /// The last event on the trail.
        last: u64,
    },
    /// The key has handed over to another one, which signs from here on.
    #[error(
        "the key {old} handed over to another one by event {sequence}, and has signed the checkpoint over it: from here \
         the other one signs"
    )]
    Rotated {
        /// The event that recorded the handover.
        sequence: u64,
        /// The old key.
        old: String,
        /// Number of events under the last checkpoint.
        sealed: u64,
    },
    /// The events give another tree than the signed one.
    #[error(transparent)]
    Sealer(#[from] SealerError),
}

impl SealError {
    /// Whether the error is permanent: what was signed and what is stored contradict each other. Other errors
    /// may be temporary errors of the storage.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Checkpoint { .. } | Self::RolledBack { .. } | Self::Rotated { .. } | Self::Sealer(_)
        )
    }
}

/// The result of sealing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct SealingReport {
    /// Number of events that were sealed before.
    pub before: u64,
    /// Number of events that are sealed now.
    pub sealed: u64,
    /// Number of checkpoints signed now.
    pub checkpoints: u64,
    /// Number of events after the last checkpoint, not known to be durable.
    pub unsealed: u64,
    /// The event with which the signing key handed over to another one, if it did: it signs nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated: Option<u64>,
}

/// Seals the trail in `storage` up to its durable end. `now` returns the time, in nanoseconds since 1970;
/// `progress` is called with the number of sealed events and of events on the trail.
///
/// # Errors
/// [`SealError`].
pub fn seal_trail(
    storage: &Arc<dyn Storage>,
    signer: &Signer,
    policy: SealPolicy,
    now: impl Fn() -> Nanos,
    progress: &dyn Fn(u64, u64),
) -> Result<SealingReport, SealError> {
    let (limit, last) = durable_end(storage.as_ref())?;
    let mut reader = TrailReader::over(storage.clone())?;
    let mut kept = resume(storage.as_ref(), &mut reader, signer, policy, last)?;
    let before = kept.sealer.size();
    let first_number = kept.number;
    reader.seek(Sequence(before + 1))?;
    while let Some(entry) = reader.read_next()? {
        if entry.position.plus(entry.frame.len() as u64) > limit {
            break;
        }
        kept.on_event(&entry.frame);
        if kept.sealer.size().is_multiple_of(1 << 14) {
            progress(kept.sealer.size(), last);
        }
        if kept.sealer.is_full() {
            kept.seal(storage.as_ref(), now())?;
        }
    }
    kept.seal(storage.as_ref(), now())?;
    let sealed = kept.sealer.size();
    Ok(SealingReport {
        before,
        sealed,
        checkpoints: kept.number - first_number,
        unsealed: last.saturating_sub(sealed),
        rotated: kept.rotated.map(|sequence| sequence.0),
    })
}

/// The position up to which the log is durable, and the last readable event.
fn durable_end(storage: &dyn Storage) -> Result<(Position, u64), SealError> {
    let survey = survey(storage)?;
    let Some(tail) = survey.tail else {
        return Err(survey.problem.unwrap_or_else(|| TrailError::NoTrail(storage.describe(""))).into());
    };
    let last = &survey.segments[tail.last];
    let is_closed = tail.fault.is_none()
        && tail.strays.is_empty()
        && tail.last + 1 == survey.segments.len()
        && last.header.file_offset(tail.end) == tail.file_length;
    // The events of an earlier epoch were synced before this one began.
    let epoch = last.header.identity.epoch;
    let begun = survey.segments.iter().find(|segment| segment.header.identity.epoch == epoch);
    let begun = begun.map_or(Position(0), |segment| segment.header.base_position);
    let limit = if is_closed { tail.end } else { tail.floor.max(begun) };
    Ok((limit, tail.last_sequence.0))
}

/// A sealer, and the number of the last stored checkpoint.
pub(super) struct Kept {
    pub(super) sealer: Sealer,
    number: u64,
    /// The event with which the sealer's key handed over, after the last checkpoint that existed at the
    /// start.
    rotated: Option<Sequence>,
}

impl Kept {
    fn new(sealer: Sealer, number: u64) -> Self {
        Self { sealer, number, rotated: None }
    }

    /// Adds the next durable event.
    #[inline]
    pub(super) fn on_event(&mut self, frame: &Frame<'_>) {
        self.sealer.on_event(frame);
        if self.rotated.is_none()
            && let Some(rotation) = KeyRotation::read(frame)
            && rotation.successor(self.sealer.key(), self.sealer.origin()).is_some()
        {
            self.rotated = Some(rotation.sequence);
        }
    }

    /// Signs and stores a checkpoint if there are new events. Returns whether it did.
    pub(super) fn seal(&mut self, storage: &dyn Storage, now: Nanos) -> Result<bool, SealError> {
        let is_new = self.sealer.size() > self.sealer.signed_size();
        if let Some(sequence) = self.rotated.filter(|at| is_new && at.0 <= self.sealer.signed_size()) {
            let (old, sealed) = (self.sealer.key().to_string(), self.sealer.signed_size());
            return Err(SealError::Rotated { sequence: sequence.0, old, sealed });
        }
        let Some(SealedTree { tiles, checkpoint }) = self.sealer.seal(now)? else { return Ok(false) };
        for tile in tiles {
            keep(storage, &tile.name(), &tile.bytes())?;
        }
        let text = checkpoint.to_string();
        keep(storage, &checkpoint_name(self.number + 1), text.as_bytes())?;
        keep(storage, CHECKPOINT_NAME, text.as_bytes())?;
        self.number += 1;
        Ok(true)
    }
}

fn keep(storage: &dyn Storage, name: &str, mut bytes: &[u8]) -> Result<(), SealError> {
    storage.keep(name, &mut bytes).map_err(|source| SealError::Io { file: storage.describe(name), source })
}

/// The number of numbered checkpoints; they have no gap.
pub(crate) fn count_checkpoints(storage: &dyn Storage) -> io::Result<u64> {
    let is_there = |number| match storage.open(&checkpoint_name(number)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    let mut above = 1;
    while is_there(above)? {
        above *= 2;
    }
    let mut there = above / 2;
    while there + 1 < above {
        let middle = there.midpoint(above);
        if is_there(middle)? {
            there = middle;
        } else {
            above = middle;
        }
    }
    Ok(there)
}

/// Reads a checkpoint of the trail; `None` when the file is missing.
pub(crate) fn read_checkpoint(
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<SignedCheckpoint>, SealError> {
    let bytes =
        read_file(storage, name).map_err(|source| SealError::Io { file: storage.describe(name), source })?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| CheckpointError::Malformed("it is not UTF-8"));
    let read = text.and_then(|text| SignedCheckpoint::parse(&text));
    read.map(Some).map_err(|why| SealError::Checkpoint { file: storage.describe(name), why })
}

/// Whether a checkpoint of the trail has a signature line of `key`.
///
/// # Errors
/// [`SealError::Checkpoint`] and [`SealError::Io`].
pub fn has_signed(storage: &dyn Storage, key: &VerifierKey) -> Result<bool, SealError> {
    let counted = count_checkpoints(storage);
    let count = counted.map_err(|source| SealError::Io { file: storage.describe("seals"), source })?;
    for number in 1..=count {
        if read_checkpoint(storage, &checkpoint_name(number))?.is_some_and(|signed| signed.note().names(key))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The number of events under the newest checkpoint, signed by `key` or by a key that handed over to it; 0
/// when there is no checkpoint. A log that ends before them was cut, and must not be written on.
///
/// # Errors
/// [`SealError::Checkpoint`] and [`SealError::Io`].
pub fn sealed_events(storage: &Arc<dyn Storage>, key: &VerifierKey) -> Result<u64, SealError> {
    let counted = count_checkpoints(storage.as_ref());
    let number = counted.map_err(|source| SealError::Io { file: storage.describe("seals"), source })?;
    let name = checkpoint_name(number);
    let Some(signed) = (if number == 0 { None } else { read_checkpoint(storage.as_ref(), &name)? }) else {
        return Ok(0);
    };
    let file = || storage.describe(&name);
    let by_itself = |origin: Option<&str>| match signed.check(key, origin) {
        Ok(checkpoint) => Ok(checkpoint.size),
        Err(why) => Err(SealError::Checkpoint { file: file(), why }),
    };
    // An unreadable log reports its own error.
    let Ok(mut reader) = TrailReader::over(storage.clone()) else { return by_itself(None) };
    match check_hand_over(storage.as_ref(), &mut reader, &signed, number, key) {
        Err(SealError::Trail(_)) => by_itself(Some(&origin_of_trail(&reader))),
        held => held.map(|()| signed.unchecked().size),
    }
}

/// Checks the newest checkpoint, number `number`, with `key`: it is signed by this key, which has not handed
/// over to another one under it, or by a key that has handed over to this key by now.
fn check_hand_over(
    storage: &dyn Storage,
    reader: &mut TrailReader,
    signed: &SignedCheckpoint,
    number: u64,
    key: &VerifierKey,
) -> Result<(), SealError> {
    let origin = origin_of_trail(reader);
    let before = if number > 1 { read_checkpoint(storage, &checkpoint_name(number - 1))? } else { None };
    let before = before.map_or(0, |before| before.unchecked().size);
    let is_own = signed.note().names(key);
    let to = if is_own { signed.unchecked().size } else { u64::MAX };
    let (rotations, _) = rotations_between(reader, before, to)?;
    let line = predecessors(&rotations, key, &origin);
    let by = if is_own { None } else { line.into_iter().find(|old| signed.note().names(old)) };
    let checked = signed.check(by.as_ref().unwrap_or(key), Some(&origin));
    checked.map_err(|why| SealError::Checkpoint { file: storage.describe(&checkpoint_name(number)), why })?;
    let handed = rotations.iter().find(|rotation| is_own && rotation.successor(key, &origin).is_some());
    handed.map_or(Ok(()), |rotation| {
        let sealed = signed.unchecked().size;
        Err(SealError::Rotated { sequence: rotation.sequence.0, old: key.to_string(), sealed })
    })
}

/// The origin of the trail's checkpoints.
pub(super) fn origin_of_trail(reader: &TrailReader) -> String {
    let identity = reader.segments()[0].header.identity;
    origin_of(identity.trail, identity.shard)
}

/// Restores the sealer from the newest checkpoint, or makes a new one. `last` is the last event known to be
/// durable.
pub(super) fn resume(
    storage: &dyn Storage,
    reader: &mut TrailReader,
    signer: &Signer,
    policy: SealPolicy,
    last: u64,
) -> Result<Kept, SealError> {
    let origin = origin_of_trail(reader);
    let counted = count_checkpoints(storage);
    let number = counted.map_err(|source| SealError::Io { file: storage.describe("seals"), source })?;
    let new = || Sealer::new(origin.clone(), signer.clone(), policy);
    let name = checkpoint_name(number);
    let Some(signed) = (if number == 0 { None } else { read_checkpoint(storage, &name)? }) else {
        return Ok(Kept::new(new(), 0));
    };
    let file = storage.describe(&name);
    check_hand_over(storage, reader, &signed, number, signer.public())?;
    let (size, root) = (signed.unchecked().size, signed.unchecked().root);
    if size > last {
        return Err(SealError::RolledBack { file, size, last });
    }
    let text = signed.to_string();
    if read_file(storage, CHECKPOINT_NAME).ok().flatten().as_deref() != Some(text.as_bytes()) {
        keep(storage, CHECKPOINT_NAME, text.as_bytes())?;
    }
    let leaves = hash_leaves(reader, size / TILE_WIDTH * TILE_WIDTH, size % TILE_WIDTH)?;
    let stored = (1..LEVELS).map(|level| open_tile(storage, level, size));
    let open: Result<Vec<_>, _> = std::iter::once(Ok(leaves)).chain(stored).collect();
    let restored =
        open.ok().and_then(|open| Sealer::restore(origin.clone(), signer.clone(), policy, size, open));
    if let Some(mut sealer) = restored
        && sealer.set_signed(root).is_ok()
    {
        return Ok(Kept::new(sealer, number));
    }
    let mut sealer = new();
    reader.seek(Sequence(1))?;
    while sealer.size() < size {
        let Some(entry) = reader.read_next()? else { return Err(SealError::RolledBack { file, size, last }) };
        sealer.on_event(&entry.frame);
    }
    sealer.set_signed(root)?;
    for tile in sealer.take_tiles() {
        keep(storage, &tile.name(), &tile.bytes())?;
    }
    Ok(Kept::new(sealer, number))
}

fn open_tile(storage: &dyn Storage, level: usize, size: u64) -> io::Result<Vec<Hash>> {
    let length = level_length(size, level);
    if length.is_multiple_of(TILE_WIDTH) {
        return Ok(Vec::new());
    }
    Ok(read_tile(storage, level, length / TILE_WIDTH, size)?.hashes)
}

/// The hashes of `count` events after the first `before`.
pub(crate) fn hash_leaves(
    reader: &mut TrailReader,
    before: u64,
    count: u64,
) -> Result<Vec<Hash>, TrailError> {
    let mut leaves = Vec::with_capacity(count as usize);
    let mut hasher = LeafHasher::default();
    if count > 0 {
        reader.seek(Sequence(before + 1))?;
    }
    while (leaves.len() as u64) < count {
        match reader.read_next()? {
            Some(entry) => leaves.push(hasher.hash(entry.frame.bytes())),
            None => {
                let (sequence, last) = (Sequence(before + leaves.len() as u64 + 1), reader.last_sequence());
                return Err(TrailError::NotFound { sequence, first: Sequence(1), last });
            }
        }
    }
    Ok(leaves)
}
