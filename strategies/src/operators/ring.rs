//! A bounded queue that is allocated once.

use super::bounds::BUFFERED_MAX;
use super::state::StateValue;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::collections::VecDeque;
use std::ops::Deref;

/// A queue of bounded capacity. Reads like a [`VecDeque`]; a clone has the same capacity.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<T>,
    capacity: usize,
}

impl<T> Ring<T> {
    /// # Panics
    /// When `capacity` is 0 or above [`BUFFERED_MAX`].
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(
            (1..=BUFFERED_MAX).contains(&capacity),
            "the capacity of a buffer is {capacity}, but must be 1 to {BUFFERED_MAX}"
        );
        Self { entries: VecDeque::with_capacity(capacity), capacity }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() == self.capacity
    }

    #[inline]
    pub(crate) fn push_back(&mut self, entry: T) {
        assert!(!self.is_full(), "the queue is full");
        self.entries.push_back(entry);
    }

    /// Moves the shorter of the two parts; at the end, the usual place, it moves nothing.
    #[inline]
    pub(crate) fn insert(&mut self, at: usize, entry: T) {
        assert!(!self.is_full(), "the queue is full");
        if at == self.entries.len() {
            self.entries.push_back(entry);
        } else {
            self.entries.insert(at, entry);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    /// Moves the shorter of the two parts; at the end it moves nothing.
    #[inline]
    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        if at + 1 == self.entries.len() { self.entries.pop_back() } else { self.entries.remove(at) }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl<T> Deref for Ring<T> {
    type Target = VecDeque<T>;
    #[inline]
    fn deref(&self) -> &VecDeque<T> {
        &self.entries
    }
}

impl<T: Clone> Clone for Ring<T> {
    fn clone(&self) -> Self {
        let mut entries = VecDeque::with_capacity(self.capacity);
        entries.extend(self.entries.iter().cloned());
        Self { entries, capacity: self.capacity }
    }
}

impl<T: StateValue> Ring<T> {
    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.entries.len() as u64);
        self.entries.iter().for_each(|entry| entry.put(out));
    }

    pub(crate) fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.entries.clear();
        for _ in 0..reader.at_most("buffered values", self.capacity as u64)? {
            self.entries.push_back(T::take(reader)?);
        }
        Ok(())
    }
}

/// Ordered by the first element of an entry (a time or an arrival number), and by arrival among equals.
impl<T> Ring<(u64, T)> {
    /// The index for an entry of `order`: after all entries that are not later.
    #[inline]
    pub(crate) fn place(&self, order: u64) -> usize {
        match self.entries.back() {
            Some((last, _)) if *last > order => self.entries.partition_point(|(at, _)| *at <= order),
            _ => self.entries.len(),
        }
    }
}
