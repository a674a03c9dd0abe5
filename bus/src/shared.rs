//! A bus as other processes see it: a directory under /dev/shm with files that they map.
//!
//! ```text
//! /dev/shm/stele-NAME/      mode 0700: only the user who runs the bus has access
//!   owner                   process id and start time of the process that the bus runs in
//!   counters                see `counters`
//!   shard-N/
//!     trail                 the directory that the shard's log is written to
//!     ring                  the tail of the log, see `board`; other processes map it read-only
//!     publisher-ID          a ring that one other process fills, see `lane`
//! ```
//!
//! Any process may die at any instruction. The kernel does not release anything that a dead process held in
//! shared memory. Therefore every owner records its process id and start time, which no two processes of one
//! machine share (see `process`), and other processes ask /proc whether the owner is alive.

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
