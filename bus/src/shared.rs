//! Shared memory with other processes: the header of the ring, and the lanes of publishers.
//!
//! Memory is handed over as a descriptor, never by name: the crate `stele-door` passes it through the socket
//! of the bus. Its length is sealed, so no process can take it from under another one; rings and counters are
//! sealed against writes by others, too. Any process may die at any instruction: the kernel then closes its
//! connection, which is how the other side learns of it (see [`process::Liveness`]).

#[cfg(not(loom))]
pub(crate) mod board;
#[cfg(not(loom))]
pub(crate) mod intake;
pub(crate) mod lane;
#[cfg(not(loom))]
pub mod port;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod publisher;
