//! Tables of a fixed size: open addressing with linear probing, at most half full. Every cell is written when
//! the table is created, so that the hot path causes no page fault.

/// A key of a table.
pub trait TableKey: Copy + Eq + Default {
    /// Returns a hash that is spread over the high bits, which the table uses.
    fn hash(self) -> u64;
}

/// 2^64 divided by the golden ratio: consecutive keys get distant hashes (Knuth, TAOCP volume 3, section
/// 6.4).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl TableKey for u32 {
    #[inline]
    fn hash(self) -> u64 {
        u64::from(self).wrapping_mul(GOLDEN)
    }
}

impl TableKey for u64 {
    #[inline]
    fn hash(self) -> u64 {
        (self ^ self.rotate_left(29)).wrapping_mul(GOLDEN)
    }
}

const VACANT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Cell<K> {
    key: K,
    slot: u32,
}

/// Maps keys to slots of a store that the caller owns.
#[derive(Clone, Debug)]
pub struct SlotIndex<K> {
    cells: Box<[Cell<K>]>,
    shift: u32,
}

impl<K: TableKey> SlotIndex<K> {
    /// An empty index for at most `capacity` keys.
    pub fn new(capacity: usize) -> Self {
        let cells = (2 * capacity).next_power_of_two().max(2);
        let shift = u64::BITS - cells.trailing_zeros();
        Self { cells: vec![Cell { key: K::default(), slot: VACANT }; cells].into(), shift }
    }

    #[inline]
    fn home(&self, key: K) -> usize {
        (key.hash() >> self.shift) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    /// Returns the slot of `key`.
    #[inline]
    pub fn get(&self, key: K) -> Option<u32> {
        let mut at = self.home(key);
        loop {
            let cell = self.cells[at];
            if cell.slot == VACANT {
                return None;
            }
            if cell.key == key {
                return Some(cell.slot);
            }
            at = self.after(at);
        }
    }

    /// Sets the slot of `key`. The caller ensures that there are at most as many keys as the capacity.
    #[inline]
    pub fn set(&mut self, key: K, slot: u32) {
        debug_assert!(slot != VACANT);
        let mut at = self.home(key);
        while self.cells[at].slot != VACANT && self.cells[at].key != key {
            at = self.after(at);
        }
        self.cells[at] = Cell { key, slot };
    }

    /// Removes `key`. Cells after it move up, so that there are no tombstones.
    #[inline]
    pub fn remove(&mut self, key: K) {
        let mut hole = self.home(key);
        while self.cells[hole].key != key || self.cells[hole].slot == VACANT {
            if self.cells[hole].slot == VACANT {
                return;
            }
            hole = self.after(hole);
        }
        let mask = self.cells.len() - 1;
        let mut at = self.after(hole);
        while self.cells[at].slot != VACANT {
            let home = self.home(self.cells[at].key);
            // It may move up unless its home is after the hole.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.cells[hole] = self.cells[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.cells[hole].slot = VACANT;
    }
}

/// The size of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// It never has more entries.
    Fixed(usize),
    /// It grows with its entries: only off the hot path.
    Growing,
}

/// The first size of a table that grows.
const FIRST_SIZE: usize = 16;

impl Size {
    /// The entries that there is room for at first.
    pub(crate) fn first(self) -> usize {
        match self {
            Self::Fixed(capacity) => capacity,
            Self::Growing => FIRST_SIZE,
        }
    }
}

/// A table whose entries are never removed one by one: each has a key and a slot, in the order of insertion.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    index: SlotIndex<K>,
    entries: Vec<(K, V)>,
    length: usize,
    grows: bool,
}

impl<K: TableKey, V: Copy + Default> Table<K, V> {
    pub(crate) fn new(size: Size) -> Self {
        let capacity = size.first();
        let entries = vec![(K::default(), V::default()); capacity];
        Self { index: SlotIndex::new(capacity), entries, length: 0, grows: size == Size::Growing }
    }

    fn grow(&mut self) {
        let capacity = 2 * self.entries.len();
        self.entries.resize(capacity, (K::default(), V::default()));
        self.index = SlotIndex::new(capacity);
        for (slot, (key, _)) in (0..).zip(&self.entries[..self.length]) {
            self.index.set(*key, slot);
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// The entries that there can be.
    pub(crate) fn room(&self) -> usize {
        if self.grows { usize::MAX } else { self.entries.len() }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_full(&self) -> bool {
        self.length == self.entries.len() && !self.grows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    #[inline]
    pub(crate) fn slot(&self, key: K) -> Option<u32> {
        self.index.get(key)
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.slot(key).map(|slot| self.at(slot))
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> &V {
        &self.entries[slot as usize].1
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut V {
        &mut self.entries[slot as usize].1
    }

    /// The slot of `key`, which is added if it is new; none when the table is full.
    #[inline]
    pub(crate) fn enter(&mut self, key: K) -> Option<u32> {
        match self.index.get(key) {
            Some(slot) => Some(slot),
            None => self.add(key),
        }
    }

    #[cold]
    fn add(&mut self, key: K) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        if self.length == self.entries.len() {
            self.grow();
        }
        let slot = self.length as u32;
        self.index.set(key, slot);
        self.entries[self.length] = (key, V::default());
        self.length += 1;
        Some(slot)
    }

    /// The value of `key`, which is added if it is new; none when the table is full.
    #[inline]
    pub(crate) fn entry(&mut self, key: K) -> Option<&mut V> {
        let slot = self.enter(key)?;
        Some(self.at_mut(slot))
    }

    /// The key of an entry.
    pub(crate) fn key(&self, slot: u32) -> K {
        self.entries[slot as usize].0
    }

    /// Removes every entry.
    pub(crate) fn clear(&mut self) {
        self.entries[..self.length].fill((K::default(), V::default()));
        self.index.cells.iter_mut().for_each(|cell| cell.slot = VACANT);
        self.length = 0;
    }

    /// Iterates over all entries in the order of insertion.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(K, V)> {
        self.entries[..self.length].iter()
    }

    /// Iterates over all values in the order of insertion, to change them.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries[..self.length].iter_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn an_index_answers_as_a_map_does(
            steps in prop::collection::vec((any::<bool>(), 0_u64..40, 0_u32..1000), 0..400),
        ) {
            let (mut index, mut model) = (SlotIndex::new(40), BTreeMap::new());
            for (is_set, key, slot) in steps {
                if is_set {
                    index.set(key, slot);
                    model.insert(key, slot);
                } else {
                    index.remove(key);
                    model.remove(&key);
                }
                for key in 0..40 {
                    prop_assert_eq!(index.get(key), model.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn a_full_table_takes_no_new_key_and_keeps_the_old_ones() {
        let mut table = Table::<u32, u64>::new(Size::Fixed(3));
        for key in [7, 0, u32::MAX] {
            *table.entry(key).unwrap() = u64::from(key) + 1;
        }
        assert!(table.entry(5).is_none() && table.is_full());
        assert_eq!([7, 0, u32::MAX].map(|key| *table.get(key).unwrap()), [8, 1, 1 << 32]);
        assert_eq!(table.get(5), None);
    }

    #[test]
    fn a_table_that_grows_has_every_key() {
        let mut table = Table::<u32, u64>::new(Size::Growing);
        for key in 0..1_000 {
            *table.entry(key).unwrap() = u64::from(key) + 1;
        }
        assert!(!table.is_full());
        assert!((0..1_000).all(|key| table.get(key) == Some(&(u64::from(key) + 1))));
        assert_eq!(table.get(1_000), None);
    }
}
