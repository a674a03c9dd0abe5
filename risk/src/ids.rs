//! A set of ids of 16 bits: a bit for each, so that it is never full.

use crate::state::{RestoreError, StateNumber, StateReader};

const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// A set of ids.
#[derive(Clone, Debug)]
pub(crate) struct IdSet {
    words: Box<[u64]>,
    length: usize,
}

impl Default for IdSet {
    fn default() -> Self {
        Self { words: vec![0; WORDS].into(), length: 0 }
    }
}

impl IdSet {
    #[inline]
    pub(crate) fn contains(&self, id: u16) -> bool {
        self.length > 0 && self.words[usize::from(id / 64)] & 1 << (id % 64) != 0
    }

    pub(crate) fn set(&mut self, id: u16, is_in: bool) {
        let (word, bit) = (&mut self.words[usize::from(id / 64)], 1 << (id % 64));
        match (*word & bit != 0, is_in) {
            (false, true) => self.length += 1,
            (true, false) => self.length -= 1,
            _ => return,
        }
        *word ^= bit;
    }

    /// Iterates over the ids in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        (0..=u16::MAX).filter(|id| self.contains(*id)).take(self.length)
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        (self.length as u64).put(out);
        self.iter().for_each(|id| id.put(out));
    }

    pub(crate) fn restore(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let mut ids = Self::default();
        for _ in 0..reader.count("ids of 16 bits", usize::from(u16::MAX) + 1)? {
            ids.set(reader.get()?, true);
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_the_set_from_its_addition_to_its_removal() {
        let mut ids = IdSet::default();
        for id in [0, 63, 64, u16::MAX, 63] {
            ids.set(id, true);
        }
        assert_eq!(ids.iter().collect::<Vec<_>>(), [0, 63, 64, u16::MAX]);
        ids.set(63, false);
        ids.set(63, false);
        assert!(!ids.contains(63) && !ids.contains(1));
        assert_eq!(ids.length, 3);
    }
}
