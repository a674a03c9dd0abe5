//! Sessions that are killed, and what the next one over the same trail makes of them: orders whose venue lives on, and
//! timers.

mod in_doubt;
mod shard;
mod timers;
