//! Memory that is aligned for direct I/O.

use crate::bounds::PAGE_LENGTH;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

#[repr(C, align(4096))]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone)]
struct Page([u8; PAGE_LENGTH]);

/// Bytes on the heap that begin and end on a page boundary.
#[derive(Clone)]
pub struct Pages(Vec<Page>);

impl Pages {
    /// Allocates `length` zeros, rounded up to whole pages.
    ///
    /// # Panics
    /// When the memory cannot be allocated.
    pub fn zeroed(length: usize) -> Self {
        Self(Page::new_vec_zeroed(length.div_ceil(PAGE_LENGTH)).expect("memory for the pages"))
    }
}

impl std::ops::Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice().as_bytes()
    }
}

impl std::ops::DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_slice().as_mut_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_and_end_on_a_page() {
        let mut pages = Pages::zeroed(5000);
        assert_eq!(pages.len(), 8192);
        assert!((pages.as_ptr() as usize).is_multiple_of(PAGE_LENGTH));
        pages[8191] = 1;
        assert_eq!(pages.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 1);
    }
}
