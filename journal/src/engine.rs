//! What writes bytes from the ring to the medium: one trait, so that a simulated disk can stand in.

use crate::flight::{RequestProgress, Ticket};
use crate::format::HeaderBlock;
use std::io;

/// How a write becomes durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlushMethod {
    /// Each write carries RWF_DSYNC and is durable when it completes. This is the fastest method at low
    /// rates, as long as no thread spins on the CPU that handles the disk's interrupt.
    #[default]
    FlushedWrites,
    /// Each write is followed by a linked fdatasync on a kernel worker. Threads that spin do not delay it.
    LinkedSync,
    /// A thread of the journal calls fdatasync in a loop. Each sync covers the writes that had completed
    /// before it was submitted. Threads that spin do not delay it, and under load one sync covers many
    /// writes.
    SyncThread,
}

impl FlushMethod {
    /// All methods, the simplest first.
    pub const ALL: [Self; 3] = [Self::FlushedWrites, Self::LinkedSync, Self::SyncThread];

    /// Returns its name in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlushedWrites => "flushed-writes",
            Self::LinkedSync => "linked-sync",
            Self::SyncThread => "sync-thread",
        }
    }

    /// Returns the method with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// What the journal was doing when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JournalStage {
    /// Submitting a request.
    Submit,
    /// Writing.
    Write,
    /// Flushing.
    Sync,
    /// Preparing the next segment.
    Roll,
    /// Closing the trail.
    Close,
    /// Checking that the segments of this run still exist.
    Watch,
}

impl std::fmt::Display for JournalStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Submit => "submitting a write",
            Self::Write => "a write",
            Self::Sync => "a flush",
            Self::Roll => "preparing the next segment",
            Self::Close => "closing the trail",
            Self::Watch => "keeping the segments of this run",
        })
    }
}

/// The result of a request, or of its first half.
#[derive(Debug)]
pub struct Completion {
    /// The request.
    pub ticket: Ticket,
    /// How far it got, or which half failed and how.
    pub outcome: Result<RequestProgress, (JournalStage, io::Error)>,
}

/// Writes the headers and data of segments, several requests at once. Two segment files are open at a time,
/// in slots 0 and 1. `F` is the type of an open segment file.
pub trait Engine<F>: Send {
    /// Describes the engine and how it flushes, for a person.
    fn describe(&self) -> String;

    /// Puts `file` into `slot` and returns the file that was there. No request uses the slot.
    fn adopt(&mut self, slot: usize, file: F) -> Option<F>;

    /// Accepts a write of `bytes` at `offset` of the file in `slot`. The bytes are in the ring and do not
    /// change until the request completes.
    ///
    /// # Errors
    /// When the request cannot be accepted. No other can be accepted either.
    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Accepts a write of the header block of the file in `slot`.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()>;

    /// Submits the accepted requests.
    ///
    /// # Errors
    /// When the kernel refuses. Nothing more can be written.
    fn submit(&mut self) -> io::Result<()>;

    /// Appends the completed requests to `completions`, without waiting.
    fn reap(&mut self, completions: &mut Vec<Completion>);

    /// Waits until a request completes, if any is in flight. Used only when stopping.
    ///
    /// # Errors
    /// The kernel's error.
    fn wait(&mut self) -> io::Result<()>;
}
