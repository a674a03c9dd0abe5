//! Compliance: the verification of a trail, seals over its events, proofs from the seals, witnesses and time
//! stamps.

pub use stele_compliance::{
    BrokenTrail, Finding, IntactPrefix, OpenEnd, RuleCount, VerifiedTrail, VerifyError, VerifyOptions, verify,
};
pub use stele_compliance::{rules, seal, timestamp, witness};
