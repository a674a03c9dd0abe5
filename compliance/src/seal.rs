//! Seals: a Merkle tree over the events, signed statements of its root, and proofs that a third party can
//! check.
//!
//! There is one leaf per event, in log order: leaf index = sequence − 1, leaf data = the bytes of the frame
//! on the log. Hashing follows RFC 6962. Checkpoints, notes, tiles and proofs use the text and file formats
//! of C2SP, so that other parties' tools can read them.
//!
//! | module | contents | specification |
//! |---|---|---|
//! | [`hash`] | leaf and node hashes | RFC 6962, section 2.1 |
//! | [`tree`] | the frontier, proofs and their verification | RFC 6962, section 2.1; RFC 9162, section 2.1 |
//! | [`note`] | signed texts, keys in text form, cosignatures | C2SP signed-note, tlog-cosignature |
//! | [`checkpoint`] | the signed statement: origin, size, root | C2SP tlog-checkpoint |
//! | [`key`] | private keys in files | PKCS #8 (RFC 5958), PBES2 (RFC 8018) |
//! | [`tiles`] | the tree on disk | C2SP tlog-tiles |
//! | [`export`] | the whole tree, for other parties' tools | C2SP tlog-tiles |
//! | [`sealer`] | turns events into tiles and checkpoints | |
//! | [`sealing`] | seals a trail, and continues where it stopped | |
//! | [`live`] | seals a log while it is written | |
//! | [`rotation`] | the handover from one key to the next | |
//! | [`proof`] | proof that one event is on the log | C2SP tlog-proof |
//! | [`leaves`] | a segment's part of the tree, hashed in parallel | |
//! | [`check()`] | checks a trail against its seals | |

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
