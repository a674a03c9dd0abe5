//! Counters that anyone may read while their owners count, without touching the hot path.
//!
//! One mapping of 128-byte slots. Slot 0 says how many are registered; each other one is a counter:
//!
//! ```text
//!  0                 8                                              64
//! ┌─────────────────┬──────────────────────────────────────────────┬───────────────────────────┬────────────────┐
//! │ value u64       │ zero to 64: the owner's line is its own      │ id u32 · label length u32 │ label, 48 bytes│
//! └─────────────────┴──────────────────────────────────────────────┴───────────────────────────┴────────────────┘
//! ```
//! with 8 zero bytes between length and label. Everything is a little-endian word stored atomically.

use crate::bounds::{COUNTER_LABEL_MAX, COUNTERS_DEFAULT, PAGE_LENGTH};
use crate::mapping::Mapping;
use crate::sync::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const SLOT_WORDS: usize = 16;
const DESCRIPTION: usize = 8;
const LABEL: usize = 10;

const _: () = assert!((SLOT_WORDS - LABEL) * 8 == COUNTER_LABEL_MAX);

/// The mapping that counters live in. Cloning it clones a handle.
#[derive(Clone, Debug)]
pub struct Counters {
    mapping: Arc<Mapping>,
    registration: Arc<Mutex<()>>,
}

/// Why a counter cannot be registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CounterError {
    /// The mapping has no slot left.
    #[error("no slot left for counter {id} ({label}): there are {capacity}")]
    Full {
        /// Asked for.
        id: u32,
        /// Asked for.
        label: String,
        /// Counters in the mapping.
        capacity: usize,
    },
    /// The id is 0 or another counter's.
    #[error("counter {id} ({label}): the id is taken")]
    Id {
        /// Asked for.
        id: u32,
        /// Asked for.
        label: String,
    },
}

/// What a reader sees of one counter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// As registered.
    pub id: u32,
    /// As registered, cut to [`COUNTER_LABEL_MAX`] bytes.
    pub label: String,
    /// At the moment of reading.
    pub value: u64,
}

/// One counter, for its one owner.
#[derive(Debug)]
pub struct Counter {
    mapping: Arc<Mapping>,
    word: usize,
}

impl Counters {
    /// Room for [`COUNTERS_DEFAULT`] counters or a few more, to the page.
    ///
    /// # Errors
    /// When the kernel does not give the memory.
    pub fn create() -> std::io::Result<Self> {
        let length = ((COUNTERS_DEFAULT + 1) * SLOT_WORDS * 8).next_multiple_of(PAGE_LENGTH);
        Ok(Self { mapping: Arc::new(Mapping::anonymous(length, false)?), registration: Arc::default() })
    }

    fn slots(&self) -> std::slice::ChunksExact<'_, AtomicU64> {
        self.mapping.words().chunks_exact(SLOT_WORDS)
    }

    /// Registers a counter at 0.
    ///
    /// # Errors
    /// When the id is taken or no slot is left.
    pub fn register(&self, id: u32, label: &str) -> Result<Counter, CounterError> {
        let _one_at_a_time = self.registration.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if id == 0 || self.read().any(|reading| reading.id == id) {
            return Err(CounterError::Id { id, label: label.into() });
        }
        let registered = &self.mapping.words()[0];
        let index = registered.load(Ordering::Relaxed) as usize + 1;
        let Some(slot) = self.slots().nth(index) else {
            return Err(CounterError::Full { id, label: label.into(), capacity: self.slots().len() - 1 });
        };
        let mut bytes = [0; COUNTER_LABEL_MAX];
        let length = label.floor_char_boundary(COUNTER_LABEL_MAX);
        bytes[..length].copy_from_slice(&label.as_bytes()[..length]);
        for (word, bytes) in slot[LABEL..].iter().zip(bytes.chunks_exact(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().expect("eight bytes")), Ordering::Relaxed);
        }
        slot[DESCRIPTION].store(u64::from(id) | (length as u64) << 32, Ordering::Relaxed);
        // Release, partner of the Acquire load in `read`: the description is in place.
        registered.store(index as u64, Ordering::Release);
        Ok(Counter { mapping: self.mapping.clone(), word: index * SLOT_WORDS })
    }

    /// Every registered counter, in the order of registration.
    pub fn read(&self) -> impl Iterator<Item = Reading> {
        let registered = self.mapping.words()[0].load(Ordering::Acquire) as usize;
        self.slots().skip(1).take(registered).map(|slot| {
            let description = slot[DESCRIPTION].load(Ordering::Relaxed);
            let words = slot[LABEL..].iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
            let label: Vec<u8> = words.take((description >> 32) as usize).collect();
            Reading {
                id: description as u32,
                label: String::from_utf8_lossy(&label).into_owned(),
                value: slot[0].load(Ordering::Relaxed),
            }
        })
    }
}

impl Counter {
    #[inline]
    fn word(&self) -> &AtomicU64 {
        &self.mapping.words()[self.word]
    }

    /// Counts on. `&mut self`: there is one owner, so a load and a store suffice.
    #[inline]
    pub fn add(&mut self, by: u64) {
        self.set(self.get() + by);
    }

    /// Shows `value` from now on.
    #[inline]
    pub fn set(&mut self, value: u64) {
        self.word().store(value, Ordering::Relaxed);
    }

    /// What it shows.
    #[inline]
    pub fn get(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_each_counter_with_its_id_label_and_value() {
        let counters = Counters::create().unwrap();
        let mut events = counters.register(7, "events sequenced").unwrap();
        counters.register(9, "orders refused, with a label longer than the slot holds").unwrap();
        events.add(40);
        events.add(2);
        let readings: Vec<Reading> = counters.read().collect();
        assert_eq!(readings[0], Reading { id: 7, label: "events sequenced".into(), value: 42 });
        assert_eq!((readings[1].label.len(), readings[1].value), (COUNTER_LABEL_MAX, 0));
    }

    #[test]
    fn an_id_is_registered_once_and_the_last_slot_is_usable() {
        let counters = Counters::create().unwrap();
        let mut id = 0;
        let error = loop {
            id += 1;
            match counters.register(id, "x") {
                Ok(mut counter) => counter.set(u64::from(id)),
                Err(error) => break error,
            }
        };
        assert!(id as usize > COUNTERS_DEFAULT);
        assert_eq!(error, CounterError::Full { id, label: "x".into(), capacity: id as usize - 1 });
        assert!(counters.read().all(|reading| reading.value == u64::from(reading.id)));
        assert_eq!(counters.register(1, "y").unwrap_err(), CounterError::Id { id: 1, label: "y".into() });
    }
}
