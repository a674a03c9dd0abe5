//! The ring: the memory that holds the newest part of the log, and the three rights to advance it.
//!
//! [`LogRing::create`] makes one [`RingWriter`] (for the sequencer), one [`JournalReader`] and one
//! [`SealMark`]. None of them can be cloned. [`LogRing`] is a handle for the rest of the process and cheap to
//! clone. [`RingView`] is the read-only part of it, also for other processes: [`LogRing::create_shared`] puts
//! the ring in shared memory, and [`RingView::attach`] maps that memory read-only in another process.
//! `shared/board.rs` draws its header.
//!
//! Byte `p` of the log is at offset `p & (capacity - 1)`. The writer writes `[published .. limit)`, where
//! `limit` is the capacity plus the smallest of `written` and the gating consumers' cursors. Therefore the
//! writer never stores between such a cursor and `published`, and the owner of the cursor may read there in
//! place.
#![allow(unsafe_code)]

mod writer;

use crate::bounds::{RING_LENGTH_DEFAULT, RING_LENGTH_MAX, RING_LENGTH_MIN};
use crate::health::{Backpressure, Phase};
use crate::mapping::{Access, Mapped, Mapping};
use crate::shared::board::RingBoard;
use crate::shared::process::{Liveness, Process};
use crate::watermarks::{Watermark, Watermarks};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use stele_wire::{Identity, Position, Sequence};

pub(crate) use writer::Gate;
pub use writer::RingWriter;

/// The size of a ring and the kind of its memory.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// The length in bytes, a power of two between [`RING_LENGTH_MIN`] and [`RING_LENGTH_MAX`].
    pub capacity: usize,
    /// Whether to ask the kernel for transparent huge pages.
    pub huge_pages: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { capacity: RING_LENGTH_DEFAULT, huge_pages: false }
    }
}

/// Why a ring cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The length is out of bounds or not a power of two.
    #[error("ring of {0} bytes: choose a power of two between {RING_LENGTH_MIN} and {RING_LENGTH_MAX}")]
    Capacity(usize),
    /// The log does not begin at a multiple of the smallest block.
    #[error("the log cannot begin at position {0}: it is not a multiple of 512")]
    Base(Position),
    /// The kernel refused the memory.
    #[error("cannot map {capacity} bytes for the ring: {source}; choose a smaller ring or free memory")]
    Map {
        /// The bytes requested.
        capacity: usize,
        /// The error of the kernel.
        source: io::Error,
    },
}

/// Why the memory of another process cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The memory cannot be mapped.
    #[error("the shared memory cannot be mapped: {0}")]
    Map(#[from] io::Error),
    /// It has another format, version or length.
    #[error("the shared memory cannot be read: {0}")]
    Layout(String),
    /// The ring has no sequencer yet.
    #[error("the ring is not ready yet: try again in a moment")]
    NotReady,
}

/// The state of the process that writes a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriterState {
    /// It is running or about to stop.
    Running,
    /// It stopped in order: everything it had accepted is on the log, and `published` is final.
    Stopped,
    /// Its process dropped the ring without stopping, because it failed. What is published stays readable.
    Abandoned,
    /// Its process is dead, or has ended the connection. What is published stays readable. The next start may
    /// cut what is not durable from the trail.
    Dead(Process),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mapping: Mapped<RingBoard>,
    pub(crate) base: Position,
    /// Why the journal is poisoned; set by the journal or read once from the shared memory.
    reason: OnceLock<String>,
    access: Access,
    /// How another process learns that the writer is dead.
    writer: Liveness,
}

/// Gives access to the shared header: watermarks, claims, health.
impl Deref for Shared {
    type Target = RingBoard;

    #[inline]
    fn deref(&self) -> &RingBoard {
        self.mapping.board()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.access == Access::Write {
            self.health.set_abandoned();
        }
    }
}

impl Shared {
    /// The offset of `position` in the mapping.
    #[inline]
    pub(crate) fn offset(&self, position: Position) -> usize {
        position.0 as usize & (self.mapping.length() - 1)
    }

    /// The first position after `position` where the ring wraps.
    #[inline]
    pub(crate) fn ring_end(&self, position: Position) -> Position {
        Position((position.0 | (self.mapping.length() as u64 - 1)) + 1)
    }
}

/// A read-only view of a ring, in its own process or another: watermarks, health, and the log's identity.
#[derive(Clone, Debug)]
pub struct RingView {
    pub(crate) shared: Arc<Shared>,
}

impl RingView {
    /// Maps the ring of another process read-only, from the descriptor of its memory. Nothing that is done
    /// with the view can disturb the writer. `writer` is how the view learns that the writer is dead.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(memory: OwnedFd, writer: Liveness) -> Result<Self, AttachError> {
        let mapping = Mapping::attach(memory.as_fd(), Access::Read)?;
        let mapping =
            Mapped::<RingBoard>::new(mapping).ok_or_else(|| AttachError::Layout("it is too short".into()))?;
        mapping.board().check(mapping.length()).map_err(AttachError::Layout)?;
        if mapping.board().start().is_none() {
            return Err(AttachError::NotReady);
        }
        let (base, access) = (mapping.board().base(), Access::Read);
        Ok(Self { shared: Arc::new(Shared { mapping, base, reason: OnceLock::new(), access, writer }) })
    }

    /// The length of the ring in bytes, a power of two.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.shared.mapping.length()
    }

    /// The first position of this epoch.
    pub fn base(&self) -> Position {
        self.shared.base
    }

    /// The identity of the log; none before the ring has a sequencer.
    pub fn identity(&self) -> Option<Identity> {
        self.shared.start().map(|(identity, _)| identity)
    }

    /// The sequence of the epoch's first event; none before the ring has a sequencer.
    pub fn first_sequence(&self) -> Option<Sequence> {
        self.shared.start().map(|(_, first)| first)
    }

    /// The process that writes the ring.
    pub fn writer(&self) -> Process {
        self.shared.writer()
    }

    /// The state of the writer. It asks the kernel: do not call it on a hot thread.
    pub fn writer_state(&self) -> WriterState {
        match self.shared.health.phase() {
            Phase::Stopped => WriterState::Stopped,
            Phase::Abandoned => WriterState::Abandoned,
            Phase::Accepting | Phase::Stopping if self.is_writer_alive() => WriterState::Running,
            // It may have stopped just before it died.
            Phase::Accepting | Phase::Stopping => match self.shared.health.phase() {
                Phase::Stopped => WriterState::Stopped,
                _ => WriterState::Dead(self.writer()),
            },
        }
    }

    fn is_writer_alive(&self) -> bool {
        self.shared.writer.is_alive(self.writer())
    }

    /// The log's watermarks.
    #[inline]
    pub fn watermarks(&self) -> &Watermarks {
        &self.shared.watermarks
    }

    /// Why the journal no longer accepts anything; none while it does. Another process sees at most the first
    /// [`crate::bounds::POISON_REASON_MAX`] bytes of the reason.
    #[inline]
    pub fn poisoned(&self) -> Option<&str> {
        let shared = &*self.shared;
        shared.health.is_poisoned().then(|| shared.reason.get_or_init(|| shared.health.reason()).as_str())
    }

    /// What currently makes market data wait or new orders be refused; none when there is room.
    #[inline]
    pub fn backpressure(&self) -> Option<Backpressure> {
        self.shared.health.backpressure()
    }

    /// Whether the end of the bus was requested. It may not have [stopped](Self::is_stopped) yet.
    pub fn is_stopping(&self) -> bool {
        self.shared.health.is_stopping()
    }

    /// Whether the sequencer has stopped after [`LogRing::request_stop`]; then `published` and `batched` are
    /// final.
    pub fn is_stopped(&self) -> bool {
        self.shared.health.is_stopped()
    }
}

/// A handle to a ring of this process: its [view](RingView), the address of its memory, and the request to
/// stop. It does not read the log.
///
/// ```
/// use stele_bus::{LogRing, RingOptions, RingParts};
/// use stele_wire::Position;
///
/// let options = RingOptions { capacity: 1 << 20, huge_pages: false };
/// let RingParts { ring, writer, journal, seal } = LogRing::create(&options, Position(0))?;
/// assert_eq!(ring.capacity(), 1 << 20);
/// assert_eq!(ring.watermarks().published(), Position(0));
/// # drop((writer, journal, seal));
/// # Ok::<(), stele_bus::RingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogRing {
    view: RingView,
}

impl Deref for LogRing {
    type Target = RingView;

    #[inline]
    fn deref(&self) -> &RingView {
        &self.view
    }
}

/// The parts of a new ring, each for one owner.
#[derive(Debug)]
pub struct RingParts {
    /// For the rest of the process.
    pub ring: LogRing,
    /// For the sequencer.
    pub writer: RingWriter,
    /// For the journal.
    pub journal: JournalReader,
    /// For the sealer.
    pub seal: SealMark,
}

impl LogRing {
    /// Maps, touches and locks a ring for a log whose next byte is at `base`, the epoch's first position.
    ///
    /// # Errors
    /// [`RingError`]. Memory that cannot be locked is not an error: see [`LogRing::is_locked`].
    pub fn create(options: &RingOptions, base: Position) -> Result<RingParts, RingError> {
        Self::make(options, base, false)
    }

    /// Creates a ring as [`LogRing::create`] does, in memory that other processes may map read-only: see
    /// [`LogRing::descriptor`]. All of it is reserved, or the call fails. A caller that needs no readers in
    /// other processes then falls back to [`LogRing::create`].
    ///
    /// # Errors
    /// As [`LogRing::create`].
    pub fn create_shared(options: &RingOptions, base: Position) -> Result<RingParts, RingError> {
        Self::make(options, base, true)
    }

    fn make(options: &RingOptions, base: Position, is_shared: bool) -> Result<RingParts, RingError> {
        let capacity = options.capacity;
        if !capacity.is_power_of_two() || !(RING_LENGTH_MIN..=RING_LENGTH_MAX).contains(&capacity) {
            return Err(RingError::Capacity(capacity));
        }
        if !base.0.is_multiple_of(512) {
            return Err(RingError::Base(base));
        }
        let length = Mapped::<RingBoard>::BOARD_LENGTH + capacity;
        let mapping = match is_shared {
            true => Mapping::shared("stele-ring", length, options.huge_pages, Access::Read),
            false => Mapping::anonymous(length, options.huge_pages),
        };
        let failed = |source| RingError::Map { capacity, source };
        let mapping = Mapped::<RingBoard>::new(mapping.map_err(failed)?).expect("longer than its board");
        mapping.board().begin(capacity, base);
        let (access, writer) = (Access::Write, Liveness::Process);
        let shared = Arc::new(Shared { mapping, base, reason: OnceLock::new(), access, writer });
        let ring = Self { view: RingView { shared } };
        let writer = RingWriter::new(ring.clone(), base);
        let journal = JournalReader { ring: ring.clone() };
        let seal = SealMark { ring: ring.clone() };
        Ok(RingParts { ring, writer, journal, seal })
    }

    /// The address and length of the ring's memory, page-aligned and valid while any handle exists: for
    /// registering it with io_uring. Read it only through [`JournalReader::bytes`].
    pub fn memory(&self) -> (*const u8, usize) {
        (self.shared.mapping.start(), self.shared.mapping.length())
    }

    /// The ring's memory, to hand to other processes: they can map it read-only and nothing else. None where
    /// the ring is private to this process.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.shared.mapping.descriptor()
    }

    /// Whether the kernel locked the ring in memory. If not, `ulimit -l` is below the capacity.
    pub fn is_locked(&self) -> bool {
        self.shared.mapping.locked()
    }

    /// Asks the sequencer to accept nothing new, to put what it has accepted on the log, and to close the
    /// last batch.
    pub fn request_stop(&self) {
        self.shared.health.request_stop();
    }
}

/// The journal's end of a ring: it reads closed batches in place and advances `written` and `durable`. Each
/// ring has one.
///
/// A position in `[written .. batched)` is never overwritten. So the bytes may be handed to the kernel by
/// address: they do not change until [`JournalReader::advance_written`] passes them, even after the borrow of
/// the slice has ended, and several writes may be in flight.
#[derive(Debug)]
pub struct JournalReader {
    ring: LogRing,
}

impl JournalReader {
    /// The ring, with its watermarks.
    #[inline]
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The end of the longest range from `from` on, at most `to`, in which the ring does not wrap.
    #[inline]
    pub fn contiguous_end(&self, from: Position, to: Position) -> Position {
        to.min(self.ring.shared.ring_end(from))
    }

    /// The log's bytes `[from .. to)`, in place.
    ///
    /// # Panics
    /// Unless `written <= from <= to <= published`, or when the ring wraps between `from` and `to`.
    #[inline]
    pub fn bytes(&self, from: Position, to: Position) -> &[u8] {
        let shared = &*self.ring.shared;
        assert!(shared.watermarks.written() <= from && from <= to && to <= shared.watermarks.published());
        assert!(to <= shared.ring_end(from));
        // SAFETY: `published` was loaded with Acquire above, so the stores up to `to` happened before. The
        // writer stores at positions in `[published .. written + capacity)` only (`RingWriter::word_run`
        // asserts it), none of which shares an offset with `[written .. published)`. `written` moves by
        // `advance_written(&mut self)` alone, which cannot run while the slice borrows `self`.
        unsafe { shared.mapping.bytes(shared.offset(from), (to.0 - from.0) as usize) }
    }

    /// Records that the device has everything up to `to`: the ring may be overwritten that far.
    ///
    /// # Panics
    /// When `to` goes back or passes `batched`.
    pub fn advance_written(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Written, to);
    }

    /// Records that everything up to `to` is flushed.
    ///
    /// # Panics
    /// When `to` goes back or passes `written`.
    pub fn advance_durable(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Durable, to);
    }

    /// Ends the log: nothing more is written, publishers are refused and the sequencer stops. `reason` says
    /// what failed, where, and what to do. Only the first reason is kept.
    pub fn poison(&self, reason: impl Into<String>) {
        let shared = &*self.ring.shared;
        let mut is_first = false;
        let reason = shared.reason.get_or_init(|| {
            is_first = true;
            reason.into()
        });
        if is_first {
            shared.health.poison(reason);
        }
    }
}

/// The sealer's right to advance `sealed`. Each ring has one.
#[derive(Debug)]
pub struct SealMark {
    ring: LogRing,
}

impl SealMark {
    /// The ring, with its watermarks.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// Records that a signed checkpoint covers everything up to `to`.
    ///
    /// # Panics
    /// When `to` goes back or passes `durable`.
    pub fn advance_sealed(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Sealed, to);
    }
}
