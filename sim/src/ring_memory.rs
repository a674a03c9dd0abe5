//! Looks at the ring as a device does: by address, while writes are on their way, behind the borrow checker's back.
#![allow(unsafe_code)]

use stele_bus::LogRing;
use stele_wire::frame::crc32c;

/// Where in the ring's memory `bytes` lie.
///
/// # Panics
/// When they do not.
pub(crate) fn offset_of(ring: &LogRing, bytes: &[u8]) -> usize {
    let (start, capacity) = ring.memory();
    let at = (bytes.as_ptr() as usize).wrapping_sub(start as usize);
    assert!(at < capacity && at + bytes.len() <= capacity, "a write is from the ring");
    at
}

/// CRC-32C of `length` bytes at `at` of the ring's memory, as they are now.
pub(crate) fn checksum(ring: &LogRing, at: usize, length: usize) -> u32 {
    let (start, capacity) = ring.memory();
    assert!(at + length <= capacity);
    // SAFETY: the range was asserted to lie in the mapping above, which `ring` keeps alive. Nothing stores to it
    // during the call: a simulated world lives on one thread (`World` is not shared), and this thread is here.
    crc32c(unsafe { std::slice::from_raw_parts(start.add(at), length) })
}
