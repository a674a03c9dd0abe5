//! Witnesses: other parties that receive every checkpoint, check that it extends the previous one, and sign
//! it together with the time. C2SP tlog-witness v1.0.0.
//!
//! ```text
//!  log: old size, consistency proof, checkpoint ──> witness: known log? signature? consistent?
//!                                                   stored first, then answered
//!  seals/cosigned/0000000007  <── cosignature/v1: the time, and a signature over it and the checkpoint
//! ```
//!
//! What a firm signs alone, it can sign again differently. A witness outside its control never signs a second
//! history, so a cosigned checkpoint shows that there is one history, and that it existed at the witness's
//! time.
//!
//! | module | contents |
//! |---|---|
//! | [`request`] | the request that a log sends |
//! | [`server`] | the witness: a state machine over its own storage |
//! | [`client`] | collects cosignatures for a trail |
//! | [`check()`] | checks the cosignatures of a trail |
//!
//! Nothing here uses HTTP or starts a thread.

pub mod check;
pub mod client;
pub mod request;
pub mod server;

pub use check::{CosignedByWitness, WitnessCheckError, WitnessReport, check};
pub use client::{CollectOutcome, CosignatureCollector, WitnessReply};
pub use request::{InvalidRequest, WitnessRequest};
pub use server::{Witness, WitnessAnswer};

/// The content type of a conflict's body, which is the size that the witness knows.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";
/// The path of the only call, after the witness's prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// The file of the cosigned form of checkpoint `number` in a trail.
pub fn cosigned_name(number: u64) -> String {
    format!("seals/cosigned/{number:010}")
}
