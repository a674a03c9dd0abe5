//! CRC-32C (Castagnoli, RFC 3720 appendix B.4). Short input uses the processor's instruction; long input uses
//! `crc-fast`, which folds wide registers and has a higher cost to begin.
#![allow(unsafe_code)]

use crc_fast::{CrcAlgorithm, checksum};

/// The largest number of bytes for which a chain of CRC instructions, 3 cycles for 8 bytes, is faster than
/// folding.
const SHORT_LENGTH_MAX: usize = 192;

/// Returns the CRC-32C of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    if bytes.len() <= SHORT_LENGTH_MAX && instruction::is_available() {
        // SAFETY: `is_available` has checked that this processor has the instruction.
        return unsafe { instruction::crc32c(bytes) };
    }
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(target_arch = "x86_64")]
mod instruction {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};

    #[inline]
    pub(super) fn is_available() -> bool {
        std::arch::is_x86_feature_detected!("sse4.2")
    }

    #[target_feature(enable = "sse4.2")]
    pub(super) fn crc32c(bytes: &[u8]) -> u32 {
        let mut crc = 0xffff_ffff_u64;
        // After its CRC field a frame is half a word and then whole words. With the half first, each word is
        // read as it was stored: a read across two recent stores waits until both have left the store buffer.
        let (half, bytes) = bytes.split_at(bytes.len() & 4);
        if let Ok(half) = half.try_into() {
            crc = u64::from(_mm_crc32_u32(crc as u32, u32::from_le_bytes(half)));
        }
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            for word in block.as_chunks::<8>().0 {
                crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
            }
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
        }
        let mut crc = crc as u32;
        for &byte in rest {
            crc = _mm_crc32_u8(crc, byte);
        }
        !crc
    }
}

#[cfg(target_arch = "aarch64")]
mod instruction {
    use std::arch::aarch64::{__crc32cb, __crc32cd, __crc32cw};

    #[inline]
    pub(super) fn is_available() -> bool {
        std::arch::is_aarch64_feature_detected!("crc")
    }

    #[target_feature(enable = "crc")]
    pub(super) fn crc32c(bytes: &[u8]) -> u32 {
        let mut crc = 0xffff_ffff_u32;
        let (half, bytes) = bytes.split_at(bytes.len() & 4);
        if let Ok(half) = half.try_into() {
            crc = __crc32cw(crc, u32::from_le_bytes(half));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            crc = __crc32cd(crc, u64::from_le_bytes(*word));
        }
        for &byte in rest {
            crc = __crc32cb(crc, byte);
        }
        !crc
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod instruction {
    pub(super) fn is_available() -> bool {
        false
    }

    /// # Safety
    /// It is never called.
    pub(super) unsafe fn crc32c(_: &[u8]) -> u32 {
        unreachable!("this processor does not have the instruction")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_and_the_library_agree_on_every_length_and_alignment() {
        let bytes: Vec<u8> = (0..4096 + 8_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for length in 0..=4096 {
            for start in 0..8 {
                let bytes = &bytes[start..start + length];
                let expected = checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32;
                assert_eq!(crc32c(bytes), expected, "{length} bytes from {start}");
                if instruction::is_available() {
                    // SAFETY: `is_available` has checked that this processor has the instruction.
                    let found = unsafe { instruction::crc32c(bytes) };
                    assert_eq!(found, expected, "{length} bytes from {start}");
                }
            }
        }
    }

    /// RFC 3720, appendix B.4.
    #[test]
    fn the_values_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
