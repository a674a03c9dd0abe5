//! The leaves of one segment, hashed on the thread that reads it: the part of the tree that does not depend
//! on other segments.

use super::hash::{Hash, LeafHasher};
use super::rotation::KeyRotation;
use std::sync::Arc;
use stele_journal::Segment;
use stele_journal::index::IndexBuilder;
use stele_journal::scan::SegmentVisitor;
use stele_wire::{Frame, Position};

/// The height of the largest subtree that is computed: the lowest stored level of the tree.
pub const HEIGHT_MAX: u32 = 8;

/// Hashes a segment's events into complete subtrees, none of them higher than [`HEIGHT_MAX`] or across one of
/// `cuts`.
pub struct SegmentLeaves {
    hasher: LeafHasher,
    first: u64,
    next: u64,
    cuts: Arc<[u64]>,
    /// Index of the next cut.
    cut: usize,
    /// Subtrees: those before the last cut are complete; after it, no higher subtree follows a lower one that
    /// it could be joined with.
    subtrees: Vec<(u32, Hash)>,
    /// The number of subtrees before the last cut.
    fixed: usize,
    rotations: Vec<KeyRotation>,
    segment: Segment,
    notes: IndexBuilder,
}

/// A segment's part of the tree, and the index that follows from it.
#[derive(Clone)]
pub struct Subtrees {
    /// Number of leaves before the segment.
    pub first: u64,
    /// Height and root of each complete subtree, in order.
    pub subtrees: Vec<(u32, Hash)>,
    /// The key rotations that its events record.
    pub rotations: Vec<KeyRotation>,
    /// The index in progress.
    pub notes: IndexBuilder,
}

impl SegmentLeaves {
    /// Makes the hasher for `segment`. The tree's root can be computed at each size in `cuts`, which must
    /// ascend.
    pub fn new(segment: &Segment, cuts: Arc<[u64]>) -> Self {
        let first = segment.header.base_sequence.0 - 1;
        let cut = cuts.partition_point(|cut| *cut <= first);
        let (hasher, notes) = (LeafHasher::default(), IndexBuilder::new(segment));
        let (subtrees, rotations) = (Vec::new(), Vec::new());
        Self {
            hasher,
            first,
            next: first,
            cuts,
            cut,
            subtrees,
            fixed: 0,
            rotations,
            segment: *segment,
            notes,
        }
    }

    fn append(&mut self, leaf: Hash) {
        self.subtrees.push((0, leaf));
        self.next += 1;
        while let [.., (left_height, left), (height, right)] = self.subtrees[self.fixed..]
            && left_height == height
            && self.next.is_multiple_of(2 << height)
            && left_height < HEIGHT_MAX
        {
            self.subtrees.truncate(self.subtrees.len() - 2);
            self.subtrees.push((height + 1, Hash::node(left, right)));
        }
        if self.cuts.get(self.cut) == Some(&self.next) {
            self.cut += 1;
            self.fixed = self.subtrees.len();
        }
    }
}

impl SegmentVisitor for SegmentLeaves {
    type Output = Subtrees;

    #[inline]
    fn on_frame(&mut self, position: Position, frame: &Frame<'_>) {
        self.notes.on_frame(frame, self.segment.header.file_offset(position));
        if !frame.is_padding() {
            let leaf = self.hasher.hash(frame.bytes());
            self.append(leaf);
            self.rotations.extend(KeyRotation::read(frame));
        }
    }

    fn finish(self) -> Subtrees {
        let Self { first, subtrees, rotations, notes, .. } = self;
        Subtrees { first, subtrees, rotations, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Frontier;
    use super::*;
    use proptest::prelude::*;
    use stele_journal::format::SegmentHeader;
    use stele_wire::units::{Epoch, Nanos, Sequence, ShardId, TrailId};

    fn segment(first: u64) -> Segment {
        let identity = stele_wire::Identity { trail: TrailId([1; 16]), shard: ShardId(0), epoch: Epoch(1) };
        let header = SegmentHeader {
            identity,
            index: 1,
            block_length: 512,
            segment_length: 4096,
            base_position: Position(0),
            base_sequence: Sequence(first + 1),
            created: Nanos(0),
            link: [0; 32],
            schema: [0; 32],
        };
        Segment { header, file_length: 0 }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn subtrees_of_any_segments_give_the_root_of_every_requested_size(
            lengths in prop::collection::vec(0u64..700, 1..6),
            asked in prop::collection::btree_set(1u64..2500, 0..6),
        ) {
            let cuts: Arc<[u64]> = asked.into_iter().collect();
            let (mut tree, mut naive) = (Frontier::default(), Frontier::default());
            for length in lengths {
                let first = tree.size();
                let mut leaves = SegmentLeaves::new(&segment(first), cuts.clone());
                (first..first + length).for_each(|number| leaves.append(Hash::leaf(&number.to_le_bytes())));
                for (height, root) in leaves.finish().subtrees {
                    tree.append_subtree(root, height);
                    if cuts.contains(&tree.size()) {
                        while naive.size() < tree.size() {
                            naive.append(Hash::leaf(&naive.size().to_le_bytes()));
                        }
                        prop_assert_eq!(tree.root(), naive.root());
                    }
                }
                prop_assert_eq!(tree.size(), first + length);
            }
            let met = cuts.iter().rfind(|cut| **cut <= tree.size()).copied().unwrap_or(0);
            prop_assert_eq!(naive.size(), met);
        }
    }
}
