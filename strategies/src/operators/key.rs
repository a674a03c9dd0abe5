//! One pipeline a key, in a table of bounded size.

use super::bounds::KEYS_MAX;
use super::state::{DropCounts, State, StateValue};
use super::stream::Operator;
use crate::book::BookSide;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Nanos;

/// What events are told apart by.
pub trait Key: StateValue + Eq {
    /// 64 bits of it, the same on every machine and at every run; keys that are near may have near ones.
    fn digest(&self) -> u64;
}

macro_rules! number_keys {
    ($($number:ty),*) => {$(
        impl Key for $number {
            #[inline]
            fn digest(&self) -> u64 {
                *self as u64
            }
        }
    )*};
}
number_keys!(u8, u16, u32, u64, i32, i64, bool);

impl Key for BookSide {
    #[inline]
    fn digest(&self) -> u64 {
        *self as u64
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    #[inline]
    fn digest(&self) -> u64 {
        self.0.digest().wrapping_mul(MULTIPLIER).rotate_left(32) ^ self.1.digest()
    }
}

/// 2^64 divided by the golden ratio: Fibonacci hashing (Knuth, TAOCP volume 3, section 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const NONE: u32 = u32::MAX;

/// How many keys a table has room for, and what happens when one more comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keys {
    capacity: usize,
    evicts: bool,
}

impl Keys {
    /// Events of a key above `capacity` are dropped and counted as [`DropCounts::keys_refused`]: for keys that are known
    /// to be few, such as instruments.
    pub const fn up_to(capacity: usize) -> Self {
        Self { capacity, evicts: false }
    }

    /// A key above `capacity` takes the place of the one that had no event for longest, which is forgotten with all
    /// that it had and counted as [`DropCounts::keys_evicted`]: for keys without number, such as cards.
    pub const fn newest(capacity: usize) -> Self {
        Self { capacity, evicts: true }
    }
}

/// Key → slot by open addressing with linear probing, deletion by shifting back. Nothing iterates over the cells.
#[derive(Clone, Debug)]
struct Table<K> {
    cells: Box<[u32]>,
    shift: u32,
    keys: Vec<K>,
}

impl<K: Key> Table<K> {
    fn new(capacity: usize) -> Self {
        let cells = (capacity * 2).next_power_of_two().max(2);
        Self {
            cells: vec![NONE; cells].into(),
            shift: 64 - cells.trailing_zeros(),
            keys: Vec::with_capacity(capacity),
        }
    }

    #[inline]
    fn home(&self, key: &K) -> usize {
        (key.digest().wrapping_mul(MULTIPLIER) >> self.shift) as usize
    }

    /// The cell of a key, or the empty one where it would be.
    #[inline]
    fn cell(&self, key: &K) -> usize {
        let mut at = self.home(key);
        while self.cells[at] != NONE && self.keys[self.cells[at] as usize] != *key {
            at = (at + 1) & (self.cells.len() - 1);
        }
        at
    }

    /// Empties a cell and moves back what stands behind it and would not be found any longer.
    fn vacate(&mut self, mut hole: usize) {
        let mask = self.cells.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.cells[at];
            if slot == NONE {
                break;
            }
            let home = self.home(&self.keys[slot as usize]);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.cells[hole] = slot;
                hole = at;
            }
        }
        self.cells[hole] = NONE;
    }
}

/// The slots in the order of their last events.
#[derive(Clone, Debug, Default)]
struct Recency {
    /// The slot used before, and the one used after: those of the oldest and the newest are none.
    links: Vec<(u32, u32)>,
    oldest: u32,
    newest: u32,
}

impl Recency {
    fn new(capacity: usize) -> Self {
        Self { links: Vec::with_capacity(capacity), oldest: NONE, newest: NONE }
    }

    fn append(&mut self, slot: u32) {
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.links[newest as usize].1 = slot,
        }
        self.links[slot as usize] = (self.newest, NONE);
        self.newest = slot;
    }

    /// The slot is the newest now.
    #[inline]
    fn touch(&mut self, slot: u32) {
        if slot != self.newest {
            let (before, after) = self.links[slot as usize];
            self.links[after as usize].0 = before;
            match before {
                NONE => self.oldest = after,
                before => self.links[before as usize].1 = after,
            }
            self.append(slot);
        }
    }

    fn add(&mut self) {
        self.links.push((NONE, NONE));
        self.append(self.links.len() as u32 - 1);
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        let next = |slot: &u32| Some(self.links[*slot as usize].1).filter(|after| *after != NONE);
        std::iter::successors(Some(self.oldest).filter(|oldest| *oldest != NONE), next)
    }

    fn clear(&mut self) {
        self.links.clear();
        (self.oldest, self.newest) = (NONE, NONE);
    }
}

/// A pipeline of its own for each key. All pipelines are made when the table is, so that a new key allocates nothing;
/// memory is `capacity` times what one pipeline takes. See [`Keys`] for what happens when the table is full.
///
/// Every key has its own time: an event of one key closes no window of another. [`Operator::on_time`] brings its time
/// to all keys, those that are known in the order in which they came first, those that come later when they come.
#[derive(Clone, Debug)]
pub struct KeyBy<K, F, P> {
    key: F,
    keys: Keys,
    table: Table<K>,
    recency: Recency,
    pipelines: Box<[P]>,
    /// What [`Operator::on_time`] brought last: where a new key begins.
    time: Nanos,
    drops: DropCounts,
}

impl<K: Key, F, P: Clone> KeyBy<K, F, P> {
    /// A table of clones of `each`, found by what `key` makes of an event.
    ///
    /// # Panics
    /// When there is room for no key or for more than [`KEYS_MAX`].
    pub fn new(keys: Keys, key: F, each: P) -> Self {
        let capacity = keys.capacity;
        assert!((1..=KEYS_MAX).contains(&capacity), "a table of {capacity} keys: 1 to {KEYS_MAX} fit");
        Self {
            key,
            keys,
            table: Table::new(capacity),
            recency: Recency::new(if keys.evicts { capacity } else { 0 }),
            pipelines: vec![each; capacity].into(),
            time: Nanos(0),
            drops: DropCounts::default(),
        }
    }
}

impl<K: Key, F, P: State> KeyBy<K, F, P> {
    /// The slot of a key, made if there is room for it, and whether it was.
    #[inline]
    fn slot(&mut self, key: K) -> Option<(u32, bool)> {
        let cell = self.table.cell(&key);
        match self.table.cells[cell] {
            NONE => self.add(cell, key).map(|slot| (slot, true)),
            slot => {
                if self.keys.evicts {
                    self.recency.touch(slot);
                }
                Some((slot, false))
            }
        }
    }

    fn add(&mut self, cell: usize, key: K) -> Option<u32> {
        let slot = self.table.keys.len() as u32;
        if (slot as usize) < self.keys.capacity {
            self.table.keys.push(key);
            self.table.cells[cell] = slot;
            if self.keys.evicts {
                self.recency.add();
            }
            return Some(slot);
        }
        if !self.keys.evicts {
            self.drops.keys_refused += 1;
            return None;
        }
        self.drops.keys_evicted += 1;
        let slot = self.recency.oldest;
        let cell = self.table.cell(&self.table.keys[slot as usize]);
        self.table.vacate(cell);
        self.pipelines[slot as usize].reset();
        self.table.keys[slot as usize] = key;
        let cell = self.table.cell(&key);
        self.table.cells[cell] = slot;
        self.recency.touch(slot);
        Some(slot)
    }
}

impl<K: Key, F, P: State> State for KeyBy<K, F, P> {
    fn reset(&mut self) {
        self.pipelines.iter_mut().take(self.table.keys.len() + 1).for_each(State::reset);
        self.time = Nanos(0);
        self.table.keys.clear();
        self.table.cells.fill(NONE);
        self.recency.clear();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.time, self.drops).put(out);
        out.put_u64(self.table.keys.len() as u64);
        for (key, pipeline) in self.table.keys.iter().zip(&self.pipelines) {
            key.put(out);
            pipeline.snapshot(out);
        }
        self.recency.iter().for_each(|slot| slot.put(out));
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.time, self.drops) = StateValue::take(reader)?;
        let count = reader.at_most("keys", self.keys.capacity as u64)?;
        for slot in 0..count {
            let key = K::take(reader)?;
            let cell = self.table.cell(&key);
            if self.table.cells[cell] != NONE {
                return Err(RestoreError::StateValue { what: "a key that is there already", found: slot });
            }
            self.add(cell, key);
            self.pipelines[slot as usize].restore(reader)?;
        }
        if self.keys.evicts {
            for _ in 0..count {
                self.recency.touch(reader.at_most("slot of a key", count - 1)? as u32);
            }
        }
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.pipelines.iter().fold(self.drops, |sum, pipeline| sum + pipeline.drops())
    }
}

impl<In, K: Key, F: Fn(&In) -> K, P: Operator<In>> Operator<In> for KeyBy<K, F, P> {
    type Out = (K, P::Out);

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        let key = (self.key)(&input);
        let Some((slot, is_new)) = self.slot(key) else { return };
        let pipeline = &mut self.pipelines[slot as usize];
        if is_new {
            pipeline.on_time(self.time, &mut |_, _| {});
        }
        pipeline.on_event(at, input, &mut |at, out| emit(at, (key, out)));
    }

    /// Among the pipelines that are told is one without a key, if there is room for one: so much can a new key hold
    /// time back.
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        self.time = self.time.max(at);
        let mut pipelines = self.pipelines.iter_mut();
        let known = self.table.keys.iter().zip(&mut pipelines).fold(at, |least, (key, pipeline)| {
            least.min(pipeline.on_time(at, &mut |at, out| emit(at, (*key, out))))
        });
        pipelines.next().map_or(known, |spare| known.min(spare.on_time(at, &mut |_, _| {})))
    }
}
