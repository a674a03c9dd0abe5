//! The newest executions: an execution id counts once, and an execution can be reversed or corrected.
//!
//! The memory is a queue of a fixed size. A venue's execution ids are unique for an account, an instrument
//! and a side, so these are the key. When the queue is full, the oldest execution is forgotten: if the venue
//! reports its id again after that, it counts again, and it can no longer be corrected.

use crate::table::{SlotIndex, TableKey};

/// One execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fill {
    pub(crate) sequence: u64,
    /// The venue's id; 0 when unknown.
    pub(crate) execution_id: u64,
    pub(crate) account: u32,
    pub(crate) instrument: u32,
    pub(crate) is_sale: bool,
    /// Negative when it was sold.
    pub(crate) quantity: i128,
    pub(crate) price: i64,
    /// What it was worth when it was booked.
    pub(crate) value: i64,
    /// Whether the venue has reversed it.
    pub(crate) is_busted: bool,
}

/// What identifies an execution at a venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ExecutionKey {
    pub(crate) execution_id: u64,
    pub(crate) account: u32,
    pub(crate) instrument: u32,
    pub(crate) is_sale: bool,
}

impl TableKey for ExecutionKey {
    #[inline]
    fn hash(self) -> u64 {
        let owner = u64::from(self.account) << 32 | u64::from(self.instrument);
        (owner.hash() ^ self.execution_id.rotate_left(19) ^ u64::from(self.is_sale)).hash()
    }
}

impl Fill {
    fn key(&self) -> ExecutionKey {
        ExecutionKey {
            execution_id: self.execution_id,
            account: self.account,
            instrument: self.instrument,
            is_sale: self.is_sale,
        }
    }
}

/// The newest executions.
#[derive(Clone, Debug)]
pub(crate) struct Executions {
    index: SlotIndex<ExecutionKey>,
    queue: Box<[Fill]>,
    /// The number of executions ever entered, and of those forgotten.
    end: u64,
    start: u64,
}

impl Executions {
    pub(crate) fn new(capacity: usize) -> Self {
        let queue = vec![Fill::default(); capacity].into();
        Self { index: SlotIndex::new(capacity), queue, end: 0, start: 0 }
    }

    fn place(&self, number: u64) -> usize {
        (number % self.queue.len() as u64) as usize
    }

    pub(crate) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn capacity(&self) -> usize {
        self.queue.len()
    }

    /// Enters an execution; the oldest is forgotten when there is no room. Returns false, and changes
    /// nothing, when an execution with the same key is remembered.
    pub(crate) fn enter(&mut self, fill: Fill) -> bool {
        let key = fill.key();
        if key.execution_id != 0 && self.index.get(key).is_some() {
            return false;
        }
        if self.len() == self.queue.len() {
            let place = self.place(self.start);
            let oldest = self.queue[place].key();
            if oldest.execution_id != 0 {
                self.index.remove(oldest);
            }
            self.start += 1;
        }
        let place = self.place(self.end);
        self.queue[place] = fill;
        if key.execution_id != 0 {
            self.index.set(key, place as u32);
        }
        self.end += 1;
        true
    }

    /// An execution by the event that reported it or, if that is unknown (0), by its key on either side.
    pub(crate) fn find(&mut self, sequence: u64, key: ExecutionKey) -> Option<&mut Fill> {
        let place = if sequence != 0 {
            let (mut low, mut high) = (self.start, self.end);
            while low < high {
                let middle = low.midpoint(high);
                if self.queue[self.place(middle)].sequence < sequence {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            let place = self.place(low);
            (low < self.end && self.queue[place].sequence == sequence).then_some(place)?
        } else {
            let keys = [key, ExecutionKey { is_sale: !key.is_sale, ..key }];
            let found = keys.into_iter().filter(|key| key.execution_id != 0);
            found.filter_map(|key| self.index.get(key)).next()? as usize
        };
        Some(&mut self.queue[place])
    }

    /// Iterates over the executions, from the oldest to the newest.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Fill> {
        (0..self.len()).map(|offset| &self.queue[self.place(self.start + offset as u64)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(sequence: u64, execution_id: u64) -> Fill {
        Fill { sequence, execution_id, quantity: 5, ..Fill::default() }
    }

    #[test]
    fn an_id_is_taken_once_until_it_is_the_oldest_of_a_full_queue() {
        let mut executions = Executions::new(3);
        for number in 1..=3 {
            assert!(executions.enter(fill(number, number)));
            assert!(!executions.enter(fill(10, number)), "{number} again");
        }
        assert!(executions.enter(fill(11, 4)));
        assert!(!executions.enter(fill(12, 2)));
        assert!(executions.enter(fill(13, 1)), "the oldest was forgotten");
        let sale = Fill { is_sale: true, quantity: -5, ..fill(14, 4) };
        assert!(executions.enter(sale), "the other side of a trade");
        assert!(executions.enter(fill(15, 0)) && executions.enter(fill(16, 0)), "unknown ids");
        assert_eq!((executions.len(), executions.iter().next().unwrap().sequence), (3, 14));
    }

    #[test]
    fn an_execution_is_found_by_its_event_or_its_id() {
        let mut executions = Executions::new(4);
        for sequence in [3, 5, 9, 12, 20] {
            executions.enter(fill(sequence, 100 + sequence));
        }
        let id = |execution_id| ExecutionKey { execution_id, ..ExecutionKey::default() };
        assert_eq!(executions.find(9, id(0)).unwrap().execution_id, 109);
        assert_eq!(executions.find(3, id(103)), None, "forgotten");
        assert_eq!(executions.find(0, id(112)).unwrap().sequence, 12);
        assert_eq!(executions.find(0, id(0)), None);
    }
}
