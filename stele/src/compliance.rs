//! Was it allowed, and can we prove it: verification of a trail, seals over its events and proofs from them,
//! witnesses, time stamps.

pub use stele_compliance::{
    BrokenTrail, Finding, IntactPrefix, OpenEnd, RuleCount, VerifiedTrail, VerifyError, VerifyOptions, verify,
};
pub use stele_compliance::{rules, seal, timestamp, witness};
