//! The seal: a Merkle tree over the events, signed statements of its root, and proofs that a stranger can check.
//!
//! One leaf an event, in the order of the log: leaf index = sequence − 1, leaf data = the frame's bytes as they stand
//! on the log. Hashing is that of RFC 6962; checkpoints, notes, tiles and proofs are in the text and file formats of
//! C2SP, so that other people's tools read them.
//!
//! | module | what it is | specification |
//! |---|---|---|
//! | [`hash`] | leaf and node hashes | RFC 6962, section 2.1 |
//! | [`tree`] | the frontier, proofs and their verification | RFC 6962, section 2.1; RFC 9162, section 2.1 |
//! | [`note`] | signed texts, keys in text form, cosignatures | C2SP signed-note, tlog-cosignature |
//! | [`checkpoint`] | what is signed: origin, size, root | C2SP tlog-checkpoint |

pub mod checkpoint;
pub mod hash;
pub mod note;
pub mod tree;

pub use checkpoint::{Checkpoint, SignedCheckpoint, origin_of};
pub use hash::{Hash, LeafHasher};
pub use note::{Signer, VerifierKey};
pub use tree::Frontier;
