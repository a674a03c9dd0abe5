//! How long records are kept, and what may go: a pure decision over what is known of a trail's segments.

use crate::trail::Segment;
use sha2::{Digest, Sha256};

/// What a `RetentionAct` says the segments were that it is about: SHA-256 over the links behind each of them, oldest
/// first. `segments` are these, and the one behind them.
///
/// Each link is the hash of a segment's header, end, last sequence and data CRC, so that a copy of the segments can be
/// proved to be what the act names.
pub fn content_hash(segments: &[Segment]) -> [u8; 32] {
    let mut hash = Sha256::new();
    segments.iter().skip(1).for_each(|segment| hash.update(segment.header.link));
    hash.finalize().into()
}
