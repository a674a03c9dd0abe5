//! Sessions that are killed, and the next session over the same trail: orders whose venue outlives the
//! process, and timers.

mod in_doubt;
mod shard;
mod timers;
