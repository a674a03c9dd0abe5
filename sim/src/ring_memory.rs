//! Reads the ring's memory as a device does: by address, while writes are in flight, outside the borrow
//! checker's view.
#![allow(unsafe_code)]

use stele_bus::LogRing;
use stele_wire::frame::crc32c;

/// Returns the offset of `bytes` in the ring's memory.
///
/// # Panics
/// When they are not in the ring.
pub(crate) fn offset_of(ring: &LogRing, bytes: &[u8]) -> usize {
    let (start, capacity) = ring.memory();
    let at = (bytes.as_ptr() as usize).wrapping_sub(start as usize);
    assert!(at < capacity && at + bytes.len() <= capacity, "a write is from the ring");
    at
}

/// Returns CRC-32C of `length` bytes at `at` of the ring's memory, as they are now.
pub(crate) fn checksum(ring: &LogRing, at: usize, length: usize) -> u32 {
    let (start, capacity) = ring.memory();
    assert!(at + length <= capacity);
    // SAFETY: the range was asserted above to be in the mapping, which `ring` keeps alive. Nothing writes to
    // it during the call: a simulated world runs on one thread (`World` is not shared), which is this one.
    crc32c(unsafe { std::slice::from_raw_parts(start.add(at), length) })
}
