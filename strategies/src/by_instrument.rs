//! A map from instruments to values.

use crate::book::IdIndex;

/// A map from instrument ids to values. A value is created at the first use of its instrument (which may
/// allocate) and kept. Iteration follows the order of first use, so it depends on the log alone. Instrument 0
/// stands for the whole market and has no value.
#[derive(Clone, Debug)]
pub struct ByInstrument<T> {
    /// The slot of each id below [`DENSE_MAX`], as far as they are used; [`NONE`] for none. Feeds number
    /// their instruments from 1, so that this small array finds nearly all of them.
    dense: Vec<u32>,
    /// The slots of the other ids.
    index: IdIndex,
    entries: Vec<(u32, T)>,
    /// The slot that was used last: most events are about the same instrument as the event before.
    last: u32,
}

/// The number of instruments that fit before the map allocates.
const CAPACITY: usize = 64;
/// The first id that is found by hashing.
const DENSE_MAX: usize = 1 << 16;
/// No slot.
const NONE: u32 = u32::MAX;

impl<T> Default for ByInstrument<T> {
    fn default() -> Self {
        let (dense, entries) = (Vec::with_capacity(2 * CAPACITY), Vec::with_capacity(CAPACITY));
        Self { dense, index: IdIndex::with_capacity(CAPACITY), entries, last: 0 }
    }
}

impl<T> ByInstrument<T> {
    /// Allocates memory for `instruments` in all, so that none is allocated until there are more.
    pub fn reserve(&mut self, instruments: usize) {
        self.entries.reserve(instruments.saturating_sub(self.entries.len()));
        self.dense.reserve((instruments + 1).min(DENSE_MAX).saturating_sub(self.dense.len()));
    }

    /// The number of instruments.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no instrument.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn slot(&self, instrument: u32) -> Option<u32> {
        match self.entries.get(self.last as usize) {
            Some((known, _)) if *known == instrument => Some(self.last),
            _ => match self.dense.get(instrument as usize) {
                Some(slot) => (*slot != NONE).then_some(*slot),
                None if (instrument as usize) < DENSE_MAX => None,
                None => self.index.get(instrument.into()),
            },
        }
    }

    #[cold]
    fn set_slot(&mut self, instrument: u32, slot: u32) {
        let at = instrument as usize;
        if at >= DENSE_MAX {
            self.index.insert(instrument.into(), slot);
            return;
        }
        if at >= self.dense.len() {
            self.dense.resize(at + 1, NONE);
        }
        self.dense[at] = slot;
    }

    /// The value of an instrument, if it was used before.
    #[inline]
    pub fn get(&self, instrument: u32) -> Option<&T> {
        self.slot(instrument).map(|slot| &self.entries[slot as usize].1)
    }

    /// The value of an instrument for modification, if it was used before.
    #[inline]
    pub fn get_mut(&mut self, instrument: u32) -> Option<&mut T> {
        self.last = self.slot(instrument)?;
        Some(&mut self.entries[self.last as usize].1)
    }

    /// The value of an instrument, created by `make` at its first use.
    ///
    /// # Panics
    /// When `instrument` is 0.
    #[inline]
    pub fn entry_with(&mut self, instrument: u32, make: impl FnOnce() -> T) -> &mut T {
        assert!(instrument != 0, "instrument 0 is the whole market");
        self.last = match self.slot(instrument) {
            Some(slot) => slot,
            None => {
                let slot = self.entries.len() as u32;
                self.set_slot(instrument, slot);
                self.entries.push((instrument, make()));
                slot
            }
        };
        &mut self.entries[self.last as usize].1
    }

    /// Every instrument with its value, in the order of first use.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().map(|(instrument, value)| (*instrument, value))
    }

    /// Every instrument with its value for modification, in the order of first use.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.entries.iter_mut().map(|(instrument, value)| (*instrument, value))
    }

    /// Removes the instruments for which `keep` returns false; the others keep their order.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.index.clear();
        self.dense.clear();
        self.entries.retain(|(instrument, _)| keep(*instrument));
        for slot in 0..self.entries.len() {
            self.set_slot(self.entries[slot].0, slot as u32);
        }
    }
}

impl<T: Default> ByInstrument<T> {
    /// The value of an instrument, created as the default at its first use.
    ///
    /// # Panics
    /// When `instrument` is 0.
    #[inline]
    pub fn entry(&mut self, instrument: u32) -> &mut T {
        self.entry_with(instrument, T::default)
    }
}
