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
//! | [`key`] | private keys in files | PKCS #8 (RFC 5958), PBES2 (RFC 8018) |
//! | [`tiles`] | the tree on disk | C2SP tlog-tiles |
//! | [`export`] | the whole tree, for other people's tools | C2SP tlog-tiles |
//! | [`sealer`] | events in, tiles and checkpoints out | |
//! | [`sealing`] | seals a trail, and goes on where it stopped | |
//! | [`live`] | seals a log beside its writer | |
//! | [`rotation`] | one key hands over to the next | |
//! | [`proof`] | that one event is on the log | C2SP tlog-proof |
//! | [`leaves`] | a segment's part of the tree, hashed beside other segments | |
//! | [`check()`] | the trail against its seals | |

pub mod check;
pub mod checkpoint;
pub mod export;
pub mod hash;
pub mod key;
pub mod leaves;
pub mod live;
pub mod note;
pub mod proof;
pub mod rotation;
pub mod sealer;
pub mod sealing;
pub mod tiles;
pub mod tree;

pub use check::{SealCheck, SealCheckError, SealReport, check};
pub use checkpoint::{Checkpoint, SignedCheckpoint, origin_of};
pub use hash::{Hash, LeafHasher};
pub use note::{Signer, VerifierKey};
pub use proof::{Proof, prove};
pub use sealer::{SealPolicy, Sealer};
pub use sealing::{SealError, SealingReport, seal_trail};
pub use tree::Frontier;
