//! The port of a publisher in another process: where the door connects one process at a time to a lane, and
//! takes the lane back when that process is gone.
//!
//! ```text
//!  the door's thread                                   the sequencer's thread
//!  RemotePort::open ── new memory (rtrb) ────────────> RemoteIntake: takes what is committed
//!  RemotePort::close ─ closed = n ───────────────────> … takes what was committed by now, and no more
//!  RemotePort::open <─ the memory (rtrb), last number ─ gives it back
//! ```
//! Neither side waits for the other. Memory is mapped and unmapped on the door's thread only.

use super::intake::LaneBoard;
use crate::mapping::{Access, Mapped, Mapping};
use crate::sync::{AtomicU64, Ordering};
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What both threads share.
#[derive(Debug)]
pub(crate) struct PortState {
    /// How many of the publishers that connected are gone.
    closed: AtomicU64,
    /// The last number of the publishers whose memory came back.
    last: AtomicU64,
}

impl PortState {
    #[inline]
    pub(crate) fn closed(&self) -> u64 {
        // Acquire, partner of the Release in `RemotePort::close`: what the publisher committed before its
        // connection ended is seen by the load of `committed` that follows.
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn set_last(&self, sequence: u64) {
        // Ordered by the memory's way back, which follows.
        self.last.store(sequence, Ordering::Relaxed);
    }
}

/// Why a process cannot connect as a publisher.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Another process is connected.
    #[error("another process is connected as this publisher")]
    Taken,
    /// What the process before it committed is not on the log yet.
    #[error("what the process before it committed is not on the log yet: try again")]
    Busy,
    /// The sequencer is gone.
    #[error("the sequencer is gone")]
    SequencerGone,
    /// The memory for the lane cannot be allocated.
    #[error("no memory for the publisher's ring: {0}")]
    Memory(#[from] io::Error),
}

/// Connects other processes to the sequencer, one at a time, as one publisher. `Sequencer::remote_publisher`
/// returns it.
#[derive(Debug)]
pub struct RemotePort {
    id: u16,
    name: [u8; 32],
    words: usize,
    to_sequencer: Producer<Mapped<LaneBoard>>,
    returned: Consumer<Mapped<LaneBoard>>,
    state: Arc<PortState>,
    /// How many publishers have connected, and how many of them are gone.
    opened: u64,
    closed: u64,
    /// How many lanes came back.
    back: u64,
}

/// The sequencer's ends of a port.
pub(super) type IntakeEnds = (Consumer<Mapped<LaneBoard>>, Producer<Mapped<LaneBoard>>, Arc<PortState>);

impl RemotePort {
    pub(super) fn new(id: u16, name: &[u8; 32], words: usize, last: u64) -> (Self, IntakeEnds) {
        let (to_sequencer, connected) = RingBuffer::new(1);
        let (gone, returned) = RingBuffer::new(1);
        let state = Arc::new(PortState { closed: AtomicU64::new(0), last: AtomicU64::new(last) });
        let port = Self {
            id,
            name: *name,
            words,
            to_sequencer,
            returned,
            state: state.clone(),
            opened: 0,
            closed: 0,
            back: 0,
        };
        (port, (connected, gone, state))
    }

    /// The publisher's id.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The publisher's name.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).trim_end_matches('\0').to_owned()
    }

    /// Whether a process is connected.
    pub fn is_taken(&self) -> bool {
        self.opened > self.closed
    }

    /// Connects a process: returns the memory of a new lane, for [`crate::RemotePublisher::attach`].
    ///
    /// # Errors
    /// [`PortError`].
    pub fn open(&mut self) -> Result<OwnedFd, PortError> {
        if self.is_taken() {
            return Err(PortError::Taken);
        }
        if self.returned.pop().is_ok() {
            self.back += 1;
        }
        if self.to_sequencer.is_abandoned() {
            return Err(PortError::SequencerGone);
        }
        if self.opened > self.back {
            return Err(PortError::Busy);
        }
        // Relaxed: the memory came back after the sequencer stored it.
        let last = self.state.last.load(Ordering::Relaxed);
        let length = Mapped::<LaneBoard>::BOARD_LENGTH + 8 * self.words;
        let mapping = Mapping::shared("stele-publisher", length, false, Access::Write)?;
        let descriptor = mapping.descriptor().expect("it is shared").try_clone_to_owned()?;
        let memory = Mapped::<LaneBoard>::new(mapping).expect("longer than its board");
        memory.board().begin(self.words, self.id, &self.name, last);
        self.to_sequencer.push(memory).expect("the sequencer has taken the lane before this one");
        self.opened += 1;
        Ok(descriptor)
    }

    /// Ends the connection of the process that is connected, if there is one: what it has committed goes on
    /// the log, and what it stores from now on is never read.
    pub fn close(&mut self) {
        if self.is_taken() {
            self.closed += 1;
            self.state.closed.store(self.closed, Ordering::Release);
        }
    }
}
