//! One pipeline per key, in a table of bounded size.

use super::bounds::KEYS_MAX;
use super::operator::Operator;
use super::state::{DropCounts, State, StateValue};
use crate::book::BookSide;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Nanos;

/// A key of events.
pub trait Key: StateValue + Eq {
    /// A 64-bit digest, the same on every machine and in every run. Similar keys may have similar digests.
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

/// The capacity of a key table, and what happens when it is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keys {
    capacity: usize,
    evicts: bool,
}

impl Keys {
    /// Events of further keys are dropped and counted as [`DropCounts::keys_refused`]. For keys that are
    /// known to be few, such as instruments.
    pub const fn up_to(capacity: usize) -> Self {
        Self { capacity, evicts: false }
    }

    /// A further key replaces the key that had no event for the longest time. That key loses its state and is
    /// counted as [`DropCounts::keys_evicted`]. For an unbounded set of keys, such as cards.
    pub const fn newest(capacity: usize) -> Self {
        Self { capacity, evicts: true }
    }
}

/// Maps keys to slots by open addressing, with linear probing and backward-shift deletion. Nothing iterates
/// over the cells.
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

    /// The cell of a key, or the empty cell where it belongs.
    #[inline]
    fn cell(&self, key: &K) -> usize {
        let mut at = self.home(key);
        while self.cells[at] != NONE && self.keys[self.cells[at] as usize] != *key {
            at = (at + 1) & (self.cells.len() - 1);
        }
        at
    }

    /// Empties a cell and moves back the entries after it that could no longer be found.
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
    /// The neighbours of each slot in the order of use: the one used before, and the one used after.
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

    /// Makes the slot the most recently used one.
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

/// Runs a separate pipeline for each key. All pipelines are made together with the table, so a new key
/// allocates nothing; memory use is `capacity` times the size of one pipeline. See [`Keys`] for what happens
/// when the table is full.
///
/// Each key has its own time: an event of one key closes no window of another. [`Operator::on_time`] advances
/// the time of all keys, known ones in the order of their first event, and new ones when they appear.
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Keys, Operator, Sum, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<(u32, i64)>().key_by(
///     Keys::up_to(16),
///     |(instrument, _)| *instrument,
///     |events| events.map(|(_, quantity)| quantity).running(Sum::default()),
/// );
/// let mut sums = Vec::new();
/// for event in [(1, 10), (2, 5), (1, 20)] {
///     pipeline.on_event(Nanos(0), event, &mut |_, sum| sums.push(sum));
/// }
/// assert_eq!(sums, [(1, 10), (2, 5), (1, 30)]);
/// ```
#[derive(Clone, Debug)]
pub struct KeyBy<K, F, P> {
    key: F,
    keys: Keys,
    table: Table<K>,
    recency: Recency,
    pipelines: Box<[P]>,
    /// The latest time of [`Operator::on_time`]: the initial time of a new key.
    time: Nanos,
    drops: DropCounts,
}

impl<K: Key, F, P: Clone> KeyBy<K, F, P> {
    /// Makes a table of clones of `each`, keyed by `key` of an event.
    ///
    /// # Panics
    /// When the capacity is 0 or above [`KEYS_MAX`].
    pub fn new(keys: Keys, key: F, each: P) -> Self {
        let capacity = keys.capacity;
        assert!(
            (1..=KEYS_MAX).contains(&capacity),
            "the capacity of a key table is {capacity}, but must be 1 to {KEYS_MAX}"
        );
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
    /// The slot of a key, created if there is room, and whether it was created.
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
                return Err(RestoreError::Value { what: "slot of a repeated key", found: slot });
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

    /// The result includes a pipeline without a key, if there is room for one more key, because a new key can
    /// hold back time as much.
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        self.time = self.time.max(at);
        let mut pipelines = self.pipelines.iter_mut();
        let known = self.table.keys.iter().zip(&mut pipelines).fold(at, |least, (key, pipeline)| {
            least.min(pipeline.on_time(at, &mut |at, out| emit(at, (*key, out))))
        });
        pipelines.next().map_or(known, |spare| known.min(spare.on_time(at, &mut |_, _| {})))
    }
}
