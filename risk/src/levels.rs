//! Price levels of resting orders: for each beneficial owner, instrument and side a tree of its prices, the
//! one that is matched first at its left end.
//!
//! The tree is a treap (Seidel and Aragon, "Randomized Search Trees", Algorithmica 16, 1996) whose priorities
//! are hashes of the slots: an order joins or leaves in expected O(log n) of the number of different prices,
//! and the best price is known without a search. All trees share one slab of a fixed size.

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

/// A tree of levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tree {
    root: u32,
    /// The level with the highest rank.
    best: u32,
}

impl Tree {
    pub(crate) const EMPTY: Self = Self { root: NIL, best: NIL };

    /// The level with the highest rank; [`NIL`] when the tree is empty.
    #[inline]
    pub(crate) fn best(&self) -> u32 {
        self.best
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A price with at least one order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) rank: i64,
    /// The number of orders.
    pub(crate) orders: u32,
    parent: u32,
    /// The levels with a higher rank, and those with a lower one.
    children: [u32; 2],
}

const HIGHER: usize = 0;
const LOWER: usize = 1;
const VACANT: Level = Level { rank: 0, orders: 0, parent: NIL, children: [NIL; 2] };

/// The levels of all trees.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    levels: Vec<Level>,
    free: Vec<u32>,
}

/// The priority of a slot: a level is above all levels with a lower one. The function mixes all bits
/// (Wellons, "Prospecting for Hash Functions", lowbias32).
#[inline]
fn priority(slot: u32) -> u32 {
    let mut hash = slot;
    hash = (hash ^ hash >> 16).wrapping_mul(0x7FEB_352D);
    hash = (hash ^ hash >> 15).wrapping_mul(0x846C_A68B);
    hash ^ hash >> 16
}

impl Levels {
    /// Room for as many levels as there are orders.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { levels: vec![VACANT; capacity], free: (0..capacity as u32).rev().collect() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.levels.len()
    }

    /// Makes room for as many levels as there are orders.
    pub(crate) fn grow(&mut self, capacity: usize) {
        let before = self.levels.len();
        self.levels.resize(capacity, VACANT);
        self.free.extend((before as u32..capacity as u32).rev());
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> &Level {
        &self.levels[slot as usize]
    }

    #[inline]
    fn at_mut(&mut self, slot: u32) -> &mut Level {
        &mut self.levels[slot as usize]
    }

    /// Adds an order with this rank to the tree, and returns its level.
    pub(crate) fn join(&mut self, tree: &mut Tree, rank: i64) -> u32 {
        let (mut parent, mut at, mut branch) = (NIL, tree.root, HIGHER);
        while at != NIL {
            let level = self.at_mut(at);
            if level.rank == rank {
                level.orders += 1;
                return at;
            }
            branch = if rank > level.rank { HIGHER } else { LOWER };
            (parent, at) = (at, level.children[branch]);
        }
        let slot = self.free.pop().expect("there are as many levels as orders");
        *self.at_mut(slot) = Level { rank, orders: 1, parent, ..VACANT };
        if parent == NIL {
            tree.root = slot;
        } else {
            self.at_mut(parent).children[branch] = slot;
        }
        if tree.best == NIL || rank > self.at(tree.best).rank {
            tree.best = slot;
        }
        while self.at(slot).parent != NIL && priority(slot) > priority(self.at(slot).parent) {
            self.rise(tree, slot);
        }
        slot
    }

    /// Removes one order from a level, which is removed with its last order.
    pub(crate) fn leave(&mut self, tree: &mut Tree, slot: u32) {
        self.at_mut(slot).orders -= 1;
        if self.at(slot).orders > 0 {
            return;
        }
        if tree.best == slot {
            tree.best = self.next(slot);
        }
        loop {
            let Level { children: [higher, lower], .. } = *self.at(slot);
            let child = match (higher, lower) {
                (NIL, NIL) => break,
                (child, NIL) | (NIL, child) => child,
                _ if priority(higher) > priority(lower) => higher,
                _ => lower,
            };
            self.rise(tree, child);
        }
        let parent = self.at(slot).parent;
        self.replace_child(tree, parent, slot, NIL);
        self.free.push(slot);
    }

    /// The level with the next lower rank; [`NIL`] when there is none.
    #[inline]
    pub(crate) fn next(&self, slot: u32) -> u32 {
        let mut at = self.at(slot).children[LOWER];
        if at != NIL {
            while self.at(at).children[HIGHER] != NIL {
                at = self.at(at).children[HIGHER];
            }
            return at;
        }
        let (mut child, mut parent) = (slot, self.at(slot).parent);
        while parent != NIL && self.at(parent).children[LOWER] == child {
            (child, parent) = (parent, self.at(parent).parent);
        }
        parent
    }

    /// Puts a level in the place of its parent, which becomes its child.
    fn rise(&mut self, tree: &mut Tree, slot: u32) {
        let parent = self.at(slot).parent;
        let above = self.at(parent).parent;
        let branch = if self.at(parent).children[HIGHER] == slot { HIGHER } else { LOWER };
        let inner = self.at(slot).children[1 - branch];
        self.at_mut(parent).children[branch] = inner;
        if inner != NIL {
            self.at_mut(inner).parent = parent;
        }
        self.at_mut(slot).children[1 - branch] = parent;
        self.replace_child(tree, above, parent, slot);
        self.at_mut(parent).parent = slot;
        self.at_mut(slot).parent = above;
    }

    fn replace_child(&mut self, tree: &mut Tree, parent: u32, old: u32, new: u32) {
        if parent == NIL {
            tree.root = new;
        } else {
            let branch = if self.at(parent).children[HIGHER] == old { HIGHER } else { LOWER };
            self.at_mut(parent).children[branch] = new;
        }
    }

    /// Removes every level. All trees must be replaced by empty ones.
    pub(crate) fn clear(&mut self) {
        self.free.clear();
        self.free.extend((0..self.levels.len() as u32).rev());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The ranks and orders of a tree, from the best to the last, by following `next`.
    fn ranks(levels: &Levels, tree: &Tree) -> Vec<(i64, u32)> {
        let mut at = tree.best();
        std::iter::from_fn(|| {
            let level = (at != NIL).then(|| *levels.at(at))?;
            at = levels.next(at);
            Some((level.rank, level.orders))
        })
        .collect()
    }

    /// The depth of the tree; panics unless parents, priorities and ranks are in order.
    fn depth(levels: &Levels, slot: u32, parent: u32) -> usize {
        if slot == NIL {
            return 0;
        }
        let level = levels.at(slot);
        assert_eq!(level.parent, parent);
        assert!(parent == NIL || priority(parent) > priority(slot));
        let [higher, lower] = level.children;
        assert!(higher == NIL || levels.at(higher).rank > level.rank);
        assert!(lower == NIL || levels.at(lower).rank < level.rank);
        1 + depth(levels, higher, slot).max(depth(levels, lower, slot))
    }

    proptest! {
        #[test]
        fn a_tree_has_the_levels_of_a_naive_list(
            steps in prop::collection::vec((any::<bool>(), 0_usize..2, -6_i64..6, any::<usize>()), 1..120),
        ) {
            let (mut levels, mut trees) = (Levels::new(120), [Tree::EMPTY; 2]);
            let mut model: Vec<(usize, i64, u32)> = Vec::new();
            for (is_new, which, rank, pick) in steps {
                if is_new || model.is_empty() {
                    model.push((which, rank, levels.join(&mut trees[which], rank)));
                } else {
                    let (which, _, slot) = model.remove(pick % model.len());
                    levels.leave(&mut trees[which], slot);
                }
                for (which, tree) in trees.iter().enumerate() {
                    let mut expected: Vec<(i64, u32)> = Vec::new();
                    let mut of_tree: Vec<i64> =
                        model.iter().filter(|order| order.0 == which).map(|order| order.1).collect();
                    of_tree.sort_unstable_by_key(|rank| std::cmp::Reverse(*rank));
                    for rank in of_tree {
                        match expected.last_mut() {
                            Some((last, count)) if *last == rank => *count += 1,
                            _ => expected.push((rank, 1)),
                        }
                    }
                    prop_assert_eq!(ranks(&levels, tree), expected);
                    depth(&levels, tree.root, NIL);
                }
            }
        }
    }

    #[test]
    fn a_tree_of_ascending_prices_is_not_deep() {
        let (mut levels, mut tree) = (Levels::new(16_384), Tree::EMPTY);
        for price in 0..16_384 {
            levels.join(&mut tree, price);
        }
        assert!(depth(&levels, tree.root, NIL) < 48, "{}", depth(&levels, tree.root, NIL));
        assert_eq!(levels.at(tree.best()).rank, 16_383);
    }
}
