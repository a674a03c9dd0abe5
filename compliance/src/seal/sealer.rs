//! The sealer: turns events into tiles and signed checkpoints. A pure state machine, without a clock or
//! files.
//!
//! Every checkpoint extends the previous one: each new root is proved against the last signed root, from
//! nodes that are kept separately from the frontier that gave the root. If the proof does not hold, nothing
//! is signed.

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::hash::{Hash, LeafHasher};
use super::note::{Signer, VerifierKey};
use super::tiles::{LEVELS, TILE_WIDTH, Tile, frontier_of_edge, level_length, node_in, root_of};
use super::tree::{Frontier, Nodes, ProofError, prove_consistency, verify_consistency};
use stele_wire::{Frame, Nanos};

/// When a checkpoint is due. One is always due at the end of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealPolicy {
    /// After this many events.
    pub events: u64,
    /// After this much time since the last one, if there are new events.
    pub interval: Nanos,
}

impl Default for SealPolicy {
    fn default() -> Self {
        Self { events: 1 << 20, interval: Nanos(10_000_000_000) }
    }
}

/// Why a checkpoint was not signed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealerError {
    /// The tree contradicts the tree that was signed last.
    #[error(
        "the tree of {new} events does not extend the one of {old} that was signed: {why}; nothing was signed"
    )]
    Contradiction {
        /// Number of events of the last signed checkpoint.
        old: u64,
        /// Number of events now.
        new: u64,
        /// The failed proof.
        why: ProofError,
    },
}

/// A checkpoint, and the tiles that must be stored before it.
#[derive(Clone, Debug)]
pub struct SealedTree {
    /// Tiles that changed since the last checkpoint, full and partial, of level 1 and above.
    pub tiles: Vec<Tile>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// The sealer: see the [module documentation](self).
///
/// # Examples
///
/// ```
/// use stele_compliance::seal::note::KeyKind;
/// use stele_compliance::seal::{Hash, SealPolicy, Sealer, Signer};
/// use stele_wire::Nanos;
///
/// let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
/// let mut sealer = Sealer::new("stele.internal/1".into(), signer, SealPolicy::default());
/// sealer.on_leaf(Hash::leaf(b"first event"));
/// sealer.on_leaf(Hash::leaf(b"second event"));
/// let sealed = sealer.seal(Nanos(0)).unwrap().unwrap();
/// assert_eq!(sealed.checkpoint.check(sealer.key(), None).unwrap().size, 2);
/// assert!(sealer.seal(Nanos(0)).unwrap().is_none(), "nothing is new");
/// ```
pub struct Sealer {
    origin: String,
    signer: Signer,
    policy: SealPolicy,
    hasher: LeafHasher,
    frontier: Frontier,
    /// The rightmost tile of each level, which is not full.
    open: Vec<Vec<Hash>>,
    /// The tile of each level in which the signed tree ends, as far as it has grown since.
    edges: Vec<Tile>,
    full: Vec<Tile>,
    signed: Option<(u64, Hash)>,
    signed_at: Nanos,
}

impl Sealer {
    /// Makes a sealer for the log `origin`, from its first event on.
    pub fn new(origin: String, signer: Signer, policy: SealPolicy) -> Self {
        Self::over(origin, signer, policy, Frontier::default(), vec![Vec::new(); LEVELS])
    }

    /// Makes a sealer that continues after `size` leaves, from the rightmost tile of each level. Returns
    /// `None` when a tile does not have the length for that size. Call [`Self::set_signed`] with the root
    /// that was signed.
    pub fn restore(
        origin: String,
        signer: Signer,
        policy: SealPolicy,
        size: u64,
        open: Vec<Vec<Hash>>,
    ) -> Option<Self> {
        let fits = |(level, hashes): (usize, &Vec<Hash>)| {
            hashes.len() as u64 == level_length(size, level) % TILE_WIDTH
        };
        if open.len() != LEVELS || !open.iter().enumerate().all(fits) {
            return None;
        }
        let frontier = frontier_of_edge(size, &open)?;
        Some(Self::over(origin, signer, policy, frontier, open))
    }

    fn over(
        origin: String,
        signer: Signer,
        policy: SealPolicy,
        frontier: Frontier,
        open: Vec<Vec<Hash>>,
    ) -> Self {
        let hasher = LeafHasher::default();
        let (edges, full, signed, signed_at) = (Vec::new(), Vec::new(), None, Nanos(0));
        let mut sealer =
            Self { origin, signer, policy, hasher, frontier, open, edges, full, signed, signed_at };
        sealer.keep_edges();
        sealer
    }

    /// States that the current tree was signed before, with this root.
    ///
    /// # Errors
    /// [`SealerError::Contradiction`] when it has another root now.
    pub fn set_signed(&mut self, root: Hash) -> Result<(), SealerError> {
        let (size, found) = (self.size(), self.frontier.root());
        if found != root {
            let why = ProofError::Root { expected: root, found };
            return Err(SealerError::Contradiction { old: size, new: size, why });
        }
        self.signed = Some((size, root));
        self.keep_edges();
        Ok(())
    }

    /// The key that signs.
    pub fn key(&self) -> &VerifierKey {
        self.signer.public()
    }

    /// Origin of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of leaves so far.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The number of leaves under the last checkpoint.
    pub fn signed_size(&self) -> u64 {
        self.signed.map_or(0, |(size, _)| size)
    }

    /// Adds the next durable event.
    ///
    /// # Panics
    /// When it is not the next event, or padding.
    #[inline]
    pub fn on_event(&mut self, frame: &Frame<'_>) {
        assert_eq!(frame.sequence().0, self.size() + 1, "events must be consecutive");
        let leaf = self.hasher.hash(frame.bytes());
        self.on_leaf(leaf);
    }

    /// Adds the leaf hash of the next durable event.
    #[inline]
    pub fn on_leaf(&mut self, leaf: Hash) {
        self.frontier.append(leaf);
        self.push(0, leaf);
    }

    /// Whether a checkpoint is due by the number of events since the last one.
    pub fn is_full(&self) -> bool {
        self.size() - self.signed_size() >= self.policy.events
    }

    /// Whether a checkpoint is due at `now` by the time since the last one, if there are new events.
    pub fn is_time(&self, now: Nanos) -> bool {
        now.0.saturating_sub(self.signed_at.0) >= self.policy.interval.0
    }

    /// Signs the current tree. Returns `None` when it is signed already, or empty.
    ///
    /// # Errors
    /// [`SealerError`].
    pub fn seal(&mut self, now: Nanos) -> Result<Option<SealedTree>, SealerError> {
        let (size, root) = (self.size(), self.frontier.root());
        if size == 0 || self.signed == Some((size, root)) {
            return Ok(None);
        }
        if let Some((old, old_root)) = self.signed {
            let proof = prove_consistency(&mut Remembered(self), old, size);
            let proof = proof.expect("the two edges hold every node between them");
            verify_consistency(old, size, old_root, root, &proof)
                .map_err(|why| SealerError::Contradiction { old, new: size, why })?;
        }
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root }.sign(&self.signer);
        let tiles = self.take_tiles();
        (self.signed, self.signed_at) = (Some((size, root)), now);
        self.keep_edges();
        Ok(Some(SealedTree { tiles, checkpoint }))
    }

    /// The tiles of the current tree that changed since the last call, full and partial, of level 1 and
    /// above.
    pub fn take_tiles(&mut self) -> Vec<Tile> {
        let mut tiles = std::mem::take(&mut self.full);
        let partial = (1..LEVELS).filter(|level| !self.open[*level].is_empty());
        tiles.extend(partial.map(|level| self.open_tile(level)));
        tiles
    }

    #[inline]
    fn push(&mut self, level: usize, hash: Hash) {
        let index = self.open_index(level);
        if let Some(edge) = self.edges.get_mut(level)
            && edge.index == index
        {
            edge.hashes.push(hash);
        }
        self.open[level].push(hash);
        if self.open[level].len() as u64 == TILE_WIDTH {
            let hashes = std::mem::take(&mut self.open[level]);
            let above = root_of(&hashes);
            if level > 0 {
                self.full.push(Tile { level, index, hashes });
            }
            if level + 1 < LEVELS {
                self.push(level + 1, above);
            }
        }
    }

    /// Number of the tile for the newest hash of `level`, which is already counted in the frontier.
    fn open_index(&self, level: usize) -> u64 {
        (level_length(self.size(), level) - 1) / TILE_WIDTH
    }

    fn open_tile(&self, level: usize) -> Tile {
        let index = level_length(self.size(), level) / TILE_WIDTH;
        Tile { level, index, hashes: self.open[level].clone() }
    }

    /// Keeps the tiles in which the current tree ends.
    fn keep_edges(&mut self) {
        self.edges = (0..LEVELS).map(|level| self.open_tile(level)).collect();
    }
}

/// The nodes at the end of the signed tree and of the current one.
struct Remembered<'a>(&'a Sealer);

impl Nodes for Remembered<'_> {
    type Error = ();

    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ()> {
        let level = (height / 8) as usize;
        let edge = &self.0.edges[level];
        let open = self.0.open_tile(level);
        let found = |tile: &Tile| node_in(&tile.hashes, tile.index * TILE_WIDTH, height, index);
        found(edge).or_else(|| found(&open)).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::SignedCheckpoint;
    use super::super::note::KeyKind;
    use super::super::tree::range_root;
    use super::*;
    use proptest::prelude::*;

    fn signer() -> Signer {
        Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap()
    }

    fn leaf(number: u64) -> Hash {
        Hash::leaf(&number.to_le_bytes())
    }

    fn sealer() -> Sealer {
        Sealer::new("stele.internal/0/0".into(), signer(), SealPolicy::default())
    }

    fn root_of_leaves(size: u64) -> Hash {
        let mut frontier = Frontier::default();
        (0..size).for_each(|number| frontier.append(leaf(number)));
        frontier.root()
    }

    fn state(checkpoint: &SignedCheckpoint) -> (u64, Hash) {
        (checkpoint.unchecked().size, checkpoint.unchecked().root)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_checkpoint_has_the_trees_root_whatever_was_signed_before_and_after_any_restart(
            steps in prop::collection::vec((1u64..1500, any::<bool>()), 1..6)
        ) {
            let mut sealer = sealer();
            for (step, restart) in steps {
                for number in sealer.size()..sealer.size() + step {
                    sealer.on_leaf(leaf(number));
                }
                let sealed = sealer.seal(Nanos(1)).unwrap().unwrap();
                let size = sealer.size();
                prop_assert_eq!(state(&sealed.checkpoint), (size, root_of_leaves(size)));
                prop_assert!(sealer.seal(Nanos(1)).unwrap().is_none());
                if restart {
                    let open = sealer.open.clone();
                    let policy = SealPolicy::default();
                    sealer = Sealer::restore("stele.internal/0/0".into(), signer(), policy, size, open).unwrap();
                    sealer.set_signed(state(&sealed.checkpoint).1).unwrap();
                }
            }
        }
    }

    #[test]
    fn tiles_hold_the_roots_of_the_subtrees_below_them() {
        let mut sealer = sealer();
        (0..70_000).for_each(|number| sealer.on_leaf(leaf(number)));
        let sealed = sealer.seal(Nanos(0)).unwrap().unwrap();
        let places: Vec<_> =
            sealed.tiles.iter().map(|tile| (tile.level, tile.index, tile.hashes.len())).collect();
        assert_eq!(places, [(1, 0, 256), (1, 1, 17), (2, 0, 1)]);
        let mut whole = Remembered(&sealer);
        let above = range_root(&mut whole, 0, 65_536).unwrap();
        assert_eq!(sealed.tiles[2].hashes, [above]);
        assert_eq!(root_of(&sealed.tiles[0].hashes), above);
    }

    #[test]
    fn a_tree_that_differs_from_the_signed_one_is_not_signed() {
        let mut sealer = sealer();
        (0..300).for_each(|number| sealer.on_leaf(leaf(number)));
        sealer.signed = Some((300, leaf(1)));
        sealer.keep_edges();
        sealer.on_leaf(leaf(300));
        assert!(matches!(sealer.seal(Nanos(0)), Err(SealerError::Contradiction { old: 300, new: 301, .. })));
        assert!(sealer.set_signed(leaf(1)).is_err());
    }

    #[test]
    fn a_checkpoint_is_due_by_count_and_by_time_and_only_for_new_events() {
        let policy = SealPolicy { events: 10, interval: Nanos(100) };
        let mut sealer = Sealer::new("stele.internal/0/0".into(), signer(), policy);
        assert!(sealer.is_time(Nanos(100)) && sealer.seal(Nanos(100)).unwrap().is_none());
        (0..9).for_each(|number| sealer.on_leaf(leaf(number)));
        assert!(!sealer.is_full());
        sealer.on_leaf(leaf(9));
        assert!(sealer.is_full());
        sealer.seal(Nanos(1000)).unwrap().unwrap();
        assert!(!sealer.is_full() && !sealer.is_time(Nanos(1099)) && sealer.is_time(Nanos(1100)));
    }
}
