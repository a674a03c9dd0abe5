//! What a bus shows to other processes: a directory under /dev/shm with files that they map.
//!
//! ```text
//! /dev/shm/stele-NAME/      mode 0700: whose bus it is decides who may look
//!   owner                   process id and start time of the process that the bus runs in
//!   counters                see `counters`
//!   shard-N/
//!     trail                 the directory that the shard's log is written to
//!     ring                  the tail of the log, see `board`: other processes map it to read alone
//!     publisher-ID          a ring that one other process fills, see `lane`
//! ```
//!
//! Any process may die at any instruction. The kernel keeps no lock of a dead process in memory, so that everybody
//! who owns something here writes down who it is (number and start time, which no two processes of one machine share: see
//! `process`), and whoever finds it asks /proc whether the owner lives.

#[cfg(not(loom))]
pub(crate) mod board;
#[cfg(not(loom))]
pub mod directory;
#[cfg(not(loom))]
pub(crate) mod intake;
pub(crate) mod lane;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod publisher;
