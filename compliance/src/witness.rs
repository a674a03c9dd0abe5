//! Witnesses: others who see every checkpoint, make sure that it extends the one before, and sign that with the time.
//! C2SP tlog-witness v1.0.0.
//!
//! ```text
//!  log: old size, consistency proof, checkpoint ──> witness: known log? its signature? extends what I signed?
//!                                                   kept on disk, only then answered
//!  seals/cosigned/0000000007  <── cosignature/v1: the time, and a signature over it and the checkpoint
//! ```
//!
//! What a firm signs alone it can sign anew. A witness outside its reach never signs a second history, so a cosigned
//! checkpoint shows that there is one, and that it existed at the witness's time.
//!
//! | module | what it is |
//! |---|---|
//! | [`request`] | what a log sends |
//! | [`server`] | the witness: a state machine over its own disk |
//! | [`client`] | collects cosignatures for a trail |
//! | [`check()`] | who cosigned what of a trail |
//!
//! Nothing here speaks HTTP or starts a thread.

pub mod check;
pub mod client;
pub mod request;
pub mod server;

pub use check::{CosignedByWitness, WitnessCheckError, WitnessReport, check};
pub use client::{CollectOutcome, CosignatureCollector, WitnessReply};
pub use request::{InvalidRequest, WitnessRequest};
pub use server::{Witness, WitnessAnswer};

/// The content type of the body of a conflict: the size that the witness knows.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";
/// Path of the one call, behind the witness's prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// Name of the cosigned form of checkpoint `number` within a trail.
pub fn cosigned_name(number: u64) -> String {
    format!("seals/cosigned/{number:010}")
}
