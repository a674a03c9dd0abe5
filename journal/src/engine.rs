//! What carries bytes from the ring to the medium: one trait, so that a simulated disk can stand in.

use crate::flight::{RequestProgress, Ticket};
use crate::format::HeaderBlock;
use std::io;

/// How a write becomes durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlushMethod {
    /// Each write carries RWF_DSYNC and vouches for itself. The fastest at low rates where nothing spins on
    /// the CPU that takes the disk's interrupt.
    #[default]
    FlushedWrites,
    /// Each write is followed by an fdatasync linked to it, on a kernel worker: immune to threads that spin.
    LinkedSync,
    /// A thread of the journal's own calls fdatasync in a loop. Each sync vouches for the writes that had completed
    /// before it was submitted: immune to threads that spin, and one sync for many writes under load.
    SyncThread,
}

impl FlushMethod {
    /// All of them, the plainest first.
    pub const ALL: [Self; 3] = [Self::FlushedWrites, Self::LinkedSync, Self::SyncThread];

    /// Its name in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlushedWrites => "flushed-writes",
            Self::LinkedSync => "linked-sync",
            Self::SyncThread => "sync-thread",
        }
    }

    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// Which half of a request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JournalStage {
    /// The request could not be handed over.
    Submit,
    /// The write.
    Write,
    /// The flush.
    Sync,
    /// The next segment.
    Roll,
    /// The end of the trail.
    Close,
    /// The look at the segments of this run.
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

/// What became of a request, or of its first half.
#[derive(Debug)]
pub struct Completion {
    /// Which request.
    pub ticket: Ticket,
    /// How far it got, or which half failed and how.
    pub outcome: Result<RequestProgress, (JournalStage, io::Error)>,
}

/// Writes a segment's header and data, several requests at once. Two segment files are open at a time, in slots
/// 0 and 1. `F` is what a segment file is to the engine.
pub trait Engine<F>: Send {
    /// What it is and how it flushes, for a person.
    fn describe(&self) -> String;

    /// Puts `file` into `slot` and gives what was there. No request uses the slot.
    fn adopt(&mut self, slot: usize, file: F) -> Option<F>;

    /// Takes in the write of `bytes`, which lie in the ring and stay as they are until the request completes,
    /// at `offset` of the file in `slot`.
    ///
    /// # Errors
    /// When it cannot be taken in: nothing more can.
    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Takes in the write of the header block of the file in `slot`.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()>;

    /// Sends off what was taken in.
    ///
    /// # Errors
    /// When the kernel refuses: nothing more can be written.
    fn submit(&mut self) -> io::Result<()>;

    /// Adds what has completed to `completions`, without waiting.
    fn reap(&mut self, completions: &mut Vec<Completion>);

    /// Waits until something has completed, if anything is on its way. Only when stopping.
    ///
    /// # Errors
    /// What the kernel says.
    fn wait(&mut self) -> io::Result<()>;
}
