//! Finds the slot of an order by its owner and client order id.

use super::order::OrderOwner;

/// Open addressing with linear probing. Deletion shifts entries back, so there are no tombstones. Allocates
/// only when more orders are held at once than ever before. No code iterates over the cells.
#[derive(Clone, Debug)]
pub(super) struct OwnerIndex {
    cells: Vec<Option<(Key, u32)>>,
    count: usize,
}

type Key = (OrderOwner, u64);

/// 2^64 divided by the golden ratio: Fibonacci hashing (Knuth, TAOCP volume 3, section 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl OwnerIndex {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { cells: vec![None; (capacity * 2).next_power_of_two().max(16)], count: 0 }
    }

    fn home(&self, (owner, id): Key) -> usize {
        let whose = u64::from(owner.account) << 16 | u64::from(owner.strategy);
        let mixed = (id ^ whose.wrapping_mul(MULTIPLIER).rotate_left(29)).wrapping_mul(MULTIPLIER);
        (mixed >> (64 - self.cells.len().trailing_zeros())) as usize
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    fn find(&self, key: Key) -> Option<usize> {
        let mut at = self.home(key);
        while let Some((found, _)) = self.cells[at] {
            if found == key {
                return Some(at);
            }
            at = self.next(at);
        }
        None
    }

    pub(super) fn get(&self, key: Key) -> Option<u32> {
        let at = self.find(key)?;
        self.cells[at].map(|(_, slot)| slot)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: Key, slot: u32) {
        debug_assert!(self.find(key).is_none(), "{key:?} is there already");
        if (self.count + 1) * 2 > self.cells.len() {
            let cells = vec![None; self.cells.len() * 2];
            let old = std::mem::replace(&mut self.cells, cells);
            old.into_iter().flatten().for_each(|cell| self.place(cell));
        }
        self.place((key, slot));
        self.count += 1;
    }

    fn place(&mut self, cell: (Key, u32)) {
        let mut at = self.home(cell.0);
        while self.cells[at].is_some() {
            at = self.next(at);
        }
        self.cells[at] = Some(cell);
    }

    pub(super) fn remove(&mut self, key: Key) {
        let Some(mut hole) = self.find(key) else { return };
        let mask = self.cells.len() - 1;
        let mut at = self.next(hole);
        while let Some((other, _)) = self.cells[at] {
            let home = self.home(other);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.cells[hole] = self.cells[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.cells[hole] = None;
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn it_behaves_like_an_ordered_map(
            steps in prop::collection::vec((any::<bool>(), 0u16..3, 0u32..3, 0u64..30), 0..600)
        ) {
            let (mut index, mut model) = (OwnerIndex::with_capacity(4), BTreeMap::new());
            for (slot, (adds, strategy, account, id)) in steps.into_iter().enumerate() {
                let key = (OrderOwner { strategy, account }, id);
                if adds && !model.contains_key(&key) {
                    model.insert(key, slot as u32);
                    index.insert(key, slot as u32);
                } else {
                    model.remove(&key);
                    index.remove(key);
                }
                prop_assert_eq!(index.count, model.len());
                prop_assert_eq!(index.get(key), model.get(&key).copied());
            }
            for (key, slot) in &model {
                prop_assert_eq!(index.get(*key), Some(*slot));
            }
        }
    }
}
