//! Verification of a trail, and proofs about it.
//!
//! [`verify()`] checks a trail from its first byte to its last: the storage, by the journal's own check, and
//! the meaning, by the rules in [`rules`]. It blocks the calling thread, which reads the trail in order and
//! applies the rules, while threads of the journal check frames and links, one segment each. Nothing here
//! runs on a hot core, takes the writer's lock or writes to the trail, so a trail can be verified while it is
//! being written.
//!
//! [`seal`] signs Merkle roots over a trail's events and proves single events from them. It does not start a
//! thread either: [`seal::live::LiveSealer`] is driven by the program's `sealer` thread, off the hot cores;
//! with two CPUs it shares one with the journal, at a lower priority. [`witness`] lets other parties cosign
//! those roots; [`timestamp`] has their time certified by an authority.
//!
//! # Examples
//!
//! A checkpoint, signed and checked:
//!
//! ```
//! use stele_compliance::seal::note::KeyKind;
//! use stele_compliance::seal::{Checkpoint, Hash, Signer};
//!
//! let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
//! let checkpoint = Checkpoint { origin: "stele.internal/1".into(), size: 0, root: Hash::EMPTY_TREE };
//! let signed = checkpoint.sign(&signer);
//! assert_eq!(signed.check(signer.public(), Some("stele.internal/1")).unwrap().size, 0);
//! assert!(signed.check(signer.public(), Some("stele.internal/2")).is_err());
//! ```
#![forbid(unsafe_code)]

mod broken;
pub mod rules;
pub mod seal;
pub mod timestamp;
mod verified;
pub mod verify;
pub mod witness;

pub use broken::{BrokenTrail, Finding, IntactPrefix};
pub use verified::{OpenEnd, ReadSpeed, RuleCount, UnknownMessages, VerifiedTrail};
pub use verify::{VerifyError, VerifyOptions, verify};
