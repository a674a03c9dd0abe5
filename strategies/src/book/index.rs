//! A hash index from ids to slots: finds an order in a book, and an instrument in the host.

/// Maps an id to its slot in a slab. Linear probing with backward-shift deletion, so there are no tombstones,
/// and it allocates only when more ids are held than ever before. At most half of the cells are used. Id 0
/// means "none" on the wire and marks an empty cell here. Nothing iterates over the cells, so their order
/// never reaches an output.
#[derive(Clone, Debug)]
pub(crate) struct IdIndex {
    cells: Vec<Cell>,
    shift: u32,
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    id: u64,
    slot: u32,
}

/// 2^64 divided by the golden ratio: Fibonacci hashing (Knuth, TAOCP volume 3, section 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl IdIndex {
    /// Makes an index that holds `capacity` ids without allocating.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let cells = (capacity * 2).next_power_of_two().max(16);
        Self { cells: vec![Cell::default(); cells], shift: 64 - cells.trailing_zeros(), count: 0 }
    }

    #[inline]
    fn home(&self, id: u64) -> usize {
        (id.wrapping_mul(MULTIPLIER) >> self.shift) as usize
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// The cell of `id`, or the empty cell where it belongs.
    #[inline]
    fn find(&self, id: u64) -> Result<usize, usize> {
        let mut at = self.home(id);
        loop {
            match self.cells[at].id {
                0 => return Err(at),
                found if found == id => return Ok(at),
                _ => at = (at + 1) & self.mask(),
            }
        }
    }

    /// The slot of `id`.
    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        if id == 0 {
            return None;
        }
        self.find(id).ok().map(|at| self.cells[at].slot)
    }

    /// The slot of `id`. When the id is new, inserts it with `slot` and returns `None`.
    #[inline]
    pub(crate) fn get_or_insert(&mut self, id: u64, slot: u32) -> Option<u32> {
        debug_assert!(id != 0, "id 0 means none");
        match self.find(id) {
            Ok(at) => return Some(self.cells[at].slot),
            Err(_) if (self.count + 1) * 2 > self.cells.len() => {
                self.grow();
                self.place(Cell { id, slot });
            }
            Err(at) => self.cells[at] = Cell { id, slot },
        }
        self.count += 1;
        None
    }

    /// Inserts a new id.
    #[inline]
    pub(crate) fn insert(&mut self, id: u64, slot: u32) {
        debug_assert!(id != 0 && self.get(id).is_none(), "id {id} is 0 or a repetition");
        if (self.count + 1) * 2 > self.cells.len() {
            self.grow();
        }
        self.place(Cell { id, slot });
        self.count += 1;
    }

    fn place(&mut self, cell: Cell) {
        let mut at = self.home(cell.id);
        while self.cells[at].id != 0 {
            at = (at + 1) & self.mask();
        }
        self.cells[at] = cell;
    }

    #[cold]
    fn grow(&mut self) {
        let cells = self.cells.len() * 2;
        let old = std::mem::replace(&mut self.cells, vec![Cell::default(); cells]);
        self.shift -= 1;
        old.into_iter().filter(|cell| cell.id != 0).for_each(|cell| self.place(cell));
    }

    /// Removes an id and returns its slot.
    #[inline]
    pub(crate) fn remove(&mut self, id: u64) -> Option<u32> {
        if id == 0 {
            return None;
        }
        let mut hole = self.find(id).ok()?;
        let slot = self.cells[hole].slot;
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask();
            let cell = self.cells[at];
            if cell.id == 0 {
                break;
            }
            let distance_home = at.wrapping_sub(self.home(cell.id)) & self.mask();
            let distance_hole = at.wrapping_sub(hole) & self.mask();
            if distance_home >= distance_hole {
                self.cells[hole] = cell;
                hole = at;
            }
        }
        self.cells[hole] = Cell::default();
        self.count -= 1;
        Some(slot)
    }

    /// Removes all ids and keeps the memory.
    pub(crate) fn clear(&mut self) {
        if self.count > 0 {
            self.cells.fill(Cell::default());
            self.count = 0;
        }
    }

    /// The number of ids.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn it_agrees_with_an_ordered_map(steps in prop::collection::vec((any::<bool>(), 1u64..200, 0u32..9), 0..2000)) {
            let (mut index, mut model) = (IdIndex::with_capacity(4), BTreeMap::new());
            for (add, id, slot) in steps {
                if add {
                    match model.entry(id) {
                        Entry::Vacant(vacant) if slot % 2 == 0 => {
                            vacant.insert(slot);
                            index.insert(id, slot);
                        }
                        Entry::Vacant(vacant) => {
                            vacant.insert(slot);
                            prop_assert_eq!(index.get_or_insert(id, slot), None);
                        }
                        Entry::Occupied(known) => {
                            prop_assert_eq!(index.get_or_insert(id, slot), Some(*known.get()));
                        }
                    }
                } else {
                    prop_assert_eq!(index.remove(id), model.remove(&id));
                }
                prop_assert_eq!(index.count(), model.len());
                prop_assert_eq!(index.get(id), model.get(&id).copied());
            }
            for id in 0..200 {
                prop_assert_eq!(index.get(id), model.get(&id).copied());
            }
        }
    }
}
