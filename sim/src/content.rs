//! The bytes of a file in pages. Copies of a file share a page until one of them writes to it, so that a
//! whole disk can be copied quickly.

use crate::bounds::{PAGE_LENGTH, SECTOR_LENGTH};
use std::sync::Arc;

type Page = [u8; PAGE_LENGTH];

/// The bytes of a file. A page that was never written to is all zeros and takes no memory.
#[derive(Clone, Debug, Default)]
pub struct Content {
    length: usize,
    pages: Vec<Option<Arc<Page>>>,
}

impl Content {
    /// Creates `length` zeros.
    pub fn zeros(length: usize) -> Self {
        Self { length, pages: vec![None; length.div_ceil(PAGE_LENGTH)] }
    }

    /// Creates a copy of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut content = Self::zeros(bytes.len());
        content.write(0, bytes);
        content
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Cuts it, or extends it with zeros.
    pub fn resize(&mut self, length: usize) {
        self.pages.resize(length.div_ceil(PAGE_LENGTH), None);
        let within = length % PAGE_LENGTH;
        if length < self.length
            && within > 0
            && let Some(Some(last)) = self.pages.last_mut()
        {
            Arc::make_mut(last)[within..].fill(0);
        }
        self.length = length;
    }

    /// Reads from `offset` on and returns how many bytes there were.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(offset).min(into.len());
        let mut done = 0;
        while done < count {
            let (page, within) = ((offset + done) / PAGE_LENGTH, (offset + done) % PAGE_LENGTH);
            let part = (PAGE_LENGTH - within).min(count - done);
            let into = &mut into[done..done + part];
            match &self.pages[page] {
                Some(page) => into.copy_from_slice(&page[within..within + part]),
                None => into.fill(0),
            }
            done += part;
        }
        count
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length, "a write beyond the file's end");
        let mut done = 0;
        while done < bytes.len() {
            let (page, within) = ((offset + done) / PAGE_LENGTH, (offset + done) % PAGE_LENGTH);
            let part = (PAGE_LENGTH - within).min(bytes.len() - done);
            let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_LENGTH]));
            Arc::make_mut(page)[within..within + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
    }

    /// Copies one sector from another file of the same length.
    pub fn take_sector(&mut self, from: &Self, sector: usize) {
        let (page, within) = (sector * SECTOR_LENGTH / PAGE_LENGTH, sector * SECTOR_LENGTH % PAGE_LENGTH);
        match &from.pages[page] {
            None if self.pages[page].is_none() => {}
            None => self.page_mut(page)[within..within + SECTOR_LENGTH].fill(0),
            Some(theirs) => self.page_mut(page)[within..within + SECTOR_LENGTH]
                .copy_from_slice(&theirs[within..within + SECTOR_LENGTH]),
        }
    }

    /// Flips one bit.
    ///
    /// # Panics
    /// When it is beyond the end.
    pub fn flip(&mut self, at: usize, bit: usize) {
        assert!(at < self.length);
        self.page_mut(at / PAGE_LENGTH)[at % PAGE_LENGTH] ^= 1 << bit;
    }

    /// Returns the index of the last byte that is not zero.
    pub fn last_set(&self) -> Option<usize> {
        self.pages.iter().enumerate().rev().find_map(|(number, page)| {
            let at = page.as_ref()?.iter().rposition(|&byte| byte != 0)?;
            Some(number * PAGE_LENGTH + at)
        })
    }

    /// Returns the offset at which this differs from the beginning of `other`; its own length when `other` is
    /// shorter.
    pub fn find_difference(&self, other: &Self) -> Option<usize> {
        if other.length < self.length {
            return Some(self.length);
        }
        const ZEROS: &Page = &[0; PAGE_LENGTH];
        for (number, (ours, theirs)) in self.pages.iter().zip(&other.pages).enumerate() {
            let is_one = match (ours, theirs) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
                _ => false,
            };
            if is_one {
                continue;
            }
            let count = (self.length - number * PAGE_LENGTH).min(PAGE_LENGTH);
            let [ours, theirs] = [ours, theirs].map(|page| &page.as_deref().unwrap_or(ZEROS)[..count]);
            if ours != theirs {
                let at = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
                return at.map(|at| number * PAGE_LENGTH + at);
            }
        }
        None
    }

    fn page_mut(&mut self, page: usize) -> &mut Page {
        Arc::make_mut(self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_LENGTH])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    /// Against a plain vector of bytes.
    #[test]
    fn after_any_operations_it_equals_a_vector_and_so_does_an_older_copy() {
        for seed in 0..50 {
            let mut random = SeededRandom::new(seed, 0);
            let (mut content, mut model) = (Content::default(), Vec::new());
            for _ in 0..60 {
                let (older, was) = (content.clone(), model.clone());
                match random.below(4) {
                    0 => {
                        let length = random.below(5 * PAGE_LENGTH);
                        content.resize(length);
                        model.resize(length, 0);
                    }
                    1 if !model.is_empty() => {
                        let at = random.below(model.len());
                        content.flip(at, 3);
                        model[at] ^= 8;
                    }
                    _ => {
                        let at = random.below(model.len());
                        let mut bytes = vec![0; random.below(model.len() - at)];
                        random.fill(&mut bytes);
                        content.write(at, &bytes);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                let mut read = vec![1; model.len().max(was.len()) + 10];
                assert_eq!(content.read(0, &mut read), model.len());
                assert_eq!((&read[..model.len()], content.len()), (&model[..], model.len()));
                assert_eq!(content.last_set(), model.iter().rposition(|&byte| byte != 0));
                assert_eq!(older.read(0, &mut read), was.len());
                assert_eq!(read[..was.len()], was);
                let differs = (0..was.len()).find(|&at| model.get(at) != was.get(at));
                let differs = if model.len() < was.len() { Some(was.len()) } else { differs };
                assert_eq!(older.find_difference(&content), differs);
            }
        }
    }
}
