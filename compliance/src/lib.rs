//! Was it allowed, and can we prove it.
//!
//! [`verify()`] checks a trail from its first byte to its last: the medium, by the journal's own check, and the
//! meaning, by the rules in [`rules`]. It blocks its caller, whose thread reads the trail in order and applies the
//! rules; beside it the journal's threads check frames and links, one segment a thread. Nothing here runs on a hot
//! core, takes the writer's lock or writes to the trail, so a trail can be verified while it is being written.
//!
//! [`seal`] signs roots over a trail's events and proves from them. It starts no thread either: [`seal::live::LiveSealer`]
//! is driven by the program's thread `sealer`, off the hot cores; on two CPUs it shares one with the journal, behind it.
//! [`witness`] lets others sign those roots too, by threads of the program's own; [`timestamp`] is their time by an authority.
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
