//! The ring: the memory that the log's tail lies in, and the three keys to it.
//!
//! [`LogRing::create`] makes one [`RingWriter`] (the sequencer's), one [`JournalReader`] and one [`SealMark`];
//! none can be cloned. [`LogRing`] itself is a handle for everyone else in the process, cheap to clone; [`RingView`]
//! is what it shows, to other processes too: [`LogRing::create_at`] makes the ring of a file, and
//! [`RingView::attach`] maps it there to read alone. `shared/board.rs` draws what stands in front of its bytes.
//!
//! Byte `p` of the log lies at `p & (capacity - 1)`. The writer writes `[published .. limit)`, where `limit` is
//! the slowest of `written` and the gating consumers' cursors, plus the capacity. Whatever lies between such a
//! cursor and `published` is therefore not written, and whoever owns the cursor may read it in place.
#![allow(unsafe_code)]

use crate::bounds::{
    CLAIM_LENGTH, GATING_CONSUMERS_MAX, RING_LENGTH_DEFAULT, RING_LENGTH_MAX, RING_LENGTH_MIN,
};
use crate::health::{Behind, Phase};
use crate::mapping::{Access, Mapped, Mapping};
use crate::shared::board::RingBoard;
use crate::shared::process::Process;
use crate::sync::{AtomicU64, Line, Ordering};
use crate::watermarks::{Watermark, Watermarks};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use stele_wire::{Identity, Position, Sequence};

/// How the ring is made.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Bytes, a power of two between [`RING_LENGTH_MIN`] and [`RING_LENGTH_MAX`].
    pub capacity: usize,
    /// Ask for transparent huge pages.
    pub huge_pages: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { capacity: RING_LENGTH_DEFAULT, huge_pages: false }
    }
}

/// Why a ring cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The length is no power of two, or out of bounds.
    #[error("ring of {0} bytes: choose a power of two between {RING_LENGTH_MIN} and {RING_LENGTH_MAX}")]
    Capacity(usize),
    /// The log begins elsewhere than on a block.
    #[error("the log cannot begin at position {0}: it is no multiple of 512")]
    Base(Position),
    /// The kernel did not give the memory.
    #[error(
        "cannot map {capacity} bytes for the ring{}: {source}; choose a smaller ring or free memory",
        describe(path)
    )]
    Map {
        /// Bytes asked for.
        capacity: usize,
        /// The file, where it has one.
        path: Option<PathBuf>,
        /// What the kernel said.
        source: io::Error,
    },
}

fn describe(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

/// Why the ring of another process cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The file cannot be mapped.
    #[error("cannot map {}: {source}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is of another kind, version or length.
    #[error("{} cannot be read: {what}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// There is no sequencer yet.
    #[error("{} is being made: try again in a moment", .0.display())]
    NotReady(PathBuf),
}

/// What becomes of whoever writes a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriterState {
    /// It goes on, or is about to stop.
    Running,
    /// It put everything it had accepted on the log; `published` is final.
    Stopped,
    /// Its process gave the ring up without having stopped: it failed. What is published stays readable.
    Abandoned,
    /// Its process is dead. What is published stays readable; what is not durable is perhaps cut from the trail by the
    /// next start.
    Dead(Process),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mapping: Mapped<RingBoard>,
    pub(crate) base: Position,
    /// Why the journal is poisoned, as this process knows it.
    reason: OnceLock<String>,
    access: Access,
}

/// What everybody on the ring shares: watermarks, claims, health.
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

    /// Where the ring's end follows `position`.
    #[inline]
    pub(crate) fn ring_end(&self, position: Position) -> Position {
        Position((position.0 | (self.mapping.length() as u64 - 1)) + 1)
    }
}

/// What the ring shows to everyone, in its process and in others: watermarks, health, whose log it is.
#[derive(Clone, Debug)]
pub struct RingView {
    pub(crate) shared: Arc<Shared>,
}

impl RingView {
    /// Maps the ring of another process to read: nothing that is done with it can disturb the writer.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(path: &Path) -> Result<Self, AttachError> {
        let mapping = Mapping::open(path, Access::Read);
        let mapping = mapping.map_err(|source| AttachError::Map { path: path.into(), source })?;
        let layout = |what| AttachError::Layout { path: path.into(), what };
        let mapping = Mapped::<RingBoard>::new(mapping).ok_or_else(|| layout("it is too short".into()))?;
        mapping.board().check(mapping.length()).map_err(layout)?;
        if mapping.board().start().is_none() {
            return Err(AttachError::NotReady(path.into()));
        }
        let base = mapping.board().base();
        Ok(Self { shared: Arc::new(Shared { mapping, base, reason: OnceLock::new(), access: Access::Read }) })
    }

    /// Bytes of the ring, a power of two.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.shared.mapping.length()
    }

    /// The first position of this epoch.
    pub fn base(&self) -> Position {
        self.shared.base
    }

    /// Whose log it is; none before there is a sequencer.
    pub fn identity(&self) -> Option<Identity> {
        self.shared.start().map(|(identity, _)| identity)
    }

    /// The number of the epoch's first event; none before there is a sequencer.
    pub fn first_sequence(&self) -> Option<Sequence> {
        self.shared.start().map(|(_, first)| first)
    }

    /// The process that writes it.
    pub fn writer(&self) -> Process {
        self.shared.writer()
    }

    /// What has become of the writer. Reads a file of /proc: some ten microseconds, nothing for a hot thread.
    pub fn writer_state(&self) -> WriterState {
        match self.shared.health.phase() {
            Phase::Stopped => WriterState::Stopped,
            Phase::Abandoned => WriterState::Abandoned,
            Phase::Accepting | Phase::Stopping if self.writer().is_alive() => WriterState::Running,
            // It may have stopped in the last moment of its life.
            Phase::Accepting | Phase::Stopping => match self.shared.health.phase() {
                Phase::Stopped => WriterState::Stopped,
                _ => WriterState::Dead(self.writer()),
            },
        }
    }

    /// The log's watermarks.
    #[inline]
    pub fn watermarks(&self) -> &Watermarks {
        &self.shared.watermarks
    }

    /// Why the journal accepts nothing more; none while it does. In another process at most the first
    /// [`crate::bounds::POISON_REASON_MAX`] bytes.
    #[inline]
    pub fn poisoned(&self) -> Option<&str> {
        let shared = &*self.shared;
        shared.health.is_poisoned().then(|| shared.reason.get_or_init(|| shared.health.reason()).as_str())
    }

    /// Why market data or new orders wait or are refused at the moment; none when there is room.
    #[inline]
    pub fn behind(&self) -> Option<Behind> {
        self.shared.health.behind()
    }

    /// Whether the sequencer has done what [`LogRing::request_stop`] asked; `published` and `batched` are final.
    pub fn is_stopped(&self) -> bool {
        self.shared.health.is_stopped()
    }
}

/// A handle to the ring of this process: [what it shows](RingView), its memory's place, the request to stop. No
/// reading of the log.
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

/// What [`LogRing::create`] makes, each to be handed to its owner.
#[derive(Debug)]
pub struct RingParts {
    /// For everyone.
    pub ring: LogRing,
    /// For the sequencer.
    pub writer: RingWriter,
    /// For the journal.
    pub journal: JournalReader,
    /// For the sealer.
    pub seal: SealMark,
}

impl LogRing {
    /// Maps, touches and locks a ring for a log whose next byte is `base` (the epoch's first position).
    ///
    /// # Errors
    /// [`RingError`]. That the memory could not be locked is no error: see [`LogRing::is_locked`].
    pub fn create(options: &RingOptions, base: Position) -> Result<RingParts, RingError> {
        Self::make(options, base, None)
    }

    /// As [`LogRing::create`], in a new file that other processes of the same user may map, under /dev/shm: see
    /// [`crate::ShardDirectory::ring`]. All its memory is there at once or not at all; a caller that can do without
    /// readers in other processes falls back to [`LogRing::create`] when there is too little.
    ///
    /// # Errors
    /// As [`LogRing::create`].
    pub fn create_at(path: &Path, options: &RingOptions, base: Position) -> Result<RingParts, RingError> {
        Self::make(options, base, Some(path))
    }

    fn make(options: &RingOptions, base: Position, path: Option<&Path>) -> Result<RingParts, RingError> {
        let capacity = options.capacity;
        if !capacity.is_power_of_two() || !(RING_LENGTH_MIN..=RING_LENGTH_MAX).contains(&capacity) {
            return Err(RingError::Capacity(capacity));
        }
        if !base.0.is_multiple_of(512) {
            return Err(RingError::Base(base));
        }
        let length = Mapped::<RingBoard>::BOARD_LENGTH + capacity;
        let mapping = match path {
            Some(path) => Mapping::create(&path.with_extension("new"), length, options.huge_pages),
            None => Mapping::anonymous(length, options.huge_pages),
        };
        let failed = |source| RingError::Map { capacity, path: path.map(Path::to_owned), source };
        let mapping = Mapped::<RingBoard>::new(mapping.map_err(failed)?).expect("longer than its board");
        mapping.board().begin(capacity, base);
        if let Some(path) = path {
            // It has its name once everything that a reader looks at first stands in it.
            std::fs::rename(path.with_extension("new"), path).map_err(failed)?;
        }
        let shared = Arc::new(Shared { mapping, base, reason: OnceLock::new(), access: Access::Write });
        let ring = Self { view: RingView { shared } };
        let writer = RingWriter {
            ring: ring.clone(),
            head: base,
            claimed: base,
            gates: Vec::with_capacity(GATING_CONSUMERS_MAX),
            limit: base.plus(capacity as u64),
        };
        let journal = JournalReader { ring: ring.clone() };
        let seal = SealMark { ring: ring.clone() };
        Ok(RingParts { ring, writer, journal, seal })
    }

    /// First byte and length of the ring's memory, page-aligned, valid while any handle lives: for registering
    /// it with io_uring. Read it through [`JournalReader::bytes`] alone.
    pub fn memory(&self) -> (*const u8, usize) {
        (self.shared.mapping.start(), self.shared.mapping.length())
    }

    /// Whether the kernel locked the ring in memory; if not, `ulimit -l` is below the capacity.
    pub fn is_locked(&self) -> bool {
        self.shared.mapping.locked()
    }

    /// Asks the sequencer to accept nothing new, put what it has accepted on the log and close the last batch.
    pub fn request_stop(&self) {
        self.shared.health.request_stop();
    }
}

/// The journal's key: reads closed batches in place and moves `written` and `durable`. One a ring.
///
/// A position in `[written .. batched)` is never overwritten, so the bytes may be handed to the kernel by address
/// and stay as they are until [`JournalReader::advance_written`] passes them, whatever the borrow checker says of
/// the slice: several writes may be in flight.
#[derive(Debug)]
pub struct JournalReader {
    ring: LogRing,
}

impl JournalReader {
    /// The ring, its watermarks included.
    #[inline]
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The end of the longest run from `from` on that has no ring end in it, at most `to`.
    #[inline]
    pub fn contiguous_end(&self, from: Position, to: Position) -> Position {
        to.min(self.ring.shared.ring_end(from))
    }

    /// The log's bytes `[from .. to)`, in place.
    ///
    /// # Panics
    /// Unless `written <= from <= to <= published`, or when the ring's end lies between `from` and `to`.
    #[inline]
    pub fn bytes(&self, from: Position, to: Position) -> &[u8] {
        let shared = &*self.ring.shared;
        assert!(shared.watermarks.written() <= from && from <= to && to <= shared.watermarks.published());
        assert!(to <= shared.ring_end(from));
        // SAFETY: `published` was loaded with Acquire above, so the stores up to `to` happened before. The writer
        // stores at positions in `[published .. written + capacity)` only (`RingWriter::word_run` asserts it),
        // none of which shares an offset with `[written .. published)`. `written` moves by
        // `advance_written(&mut self)` alone, which cannot run while the slice borrows `self`.
        unsafe { shared.mapping.bytes(shared.offset(from), (to.0 - from.0) as usize) }
    }

    /// The device has everything up to `to`: the ring may be written over that far.
    ///
    /// # Panics
    /// When `to` goes back or passes `batched`.
    pub fn advance_written(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Written, to);
    }

    /// Everything up to `to` is flushed.
    ///
    /// # Panics
    /// When `to` goes back or passes `written`.
    pub fn advance_durable(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Durable, to);
    }

    /// Nothing more will be written: publishers are refused and the sequencer stops. `reason` says what failed,
    /// where, and what to do. The first reason stands.
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

/// The sealer's key: moves `sealed`. One a ring.
#[derive(Debug)]
pub struct SealMark {
    ring: LogRing,
}

impl SealMark {
    /// The ring, its watermarks included.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// Everything up to `to` is under a signed checkpoint.
    ///
    /// # Panics
    /// When `to` goes back or passes `durable`.
    pub fn advance_sealed(&mut self, to: Position) {
        self.ring.watermarks().advance(Watermark::Sealed, to);
    }
}

/// A gating consumer's cursor as both sides see it. `u64::MAX` when the consumer is gone.
pub(crate) type Gate = Arc<Line<AtomicU64>>;

/// The sequencer's key: the only way to write on the ring. One a ring.
#[derive(Debug)]
pub struct RingWriter {
    ring: LogRing,
    /// The end of what is written on the ring, published or not.
    head: Position,
    /// How far readers without a gate have been warned.
    claimed: Position,
    gates: Vec<Gate>,
    /// Nothing at or after this is written: what the gates allowed when they were last looked at.
    limit: Position,
}

impl RingWriter {
    /// The ring, its watermarks included.
    #[inline]
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The end of what is written on the ring, published or not.
    #[inline]
    pub fn head(&self) -> Position {
        self.head
    }

    /// A new gate at `from`, which the ring must still hold, or at `published`. `&mut self` keeps it from racing
    /// with a look at the gates.
    ///
    /// # Panics
    /// When there are [`GATING_CONSUMERS_MAX`] already, or when what follows `from` has been overwritten.
    pub(crate) fn add_gate(&mut self, from: Option<Position>) -> Gate {
        assert!(self.gates.len() < GATING_CONSUMERS_MAX, "more than {GATING_CONSUMERS_MAX} gating consumers");
        let published = self.ring.watermarks().published();
        let from = from.unwrap_or(published);
        let end = from.plus(self.ring.capacity() as u64);
        assert!(from <= published && self.head <= end, "the ring no longer holds what follows {from}");
        self.limit = self.limit.min(end);
        let gate = Arc::new(Line(AtomicU64::new(from.0)));
        self.gates.push(gate.clone());
        gate
    }

    /// Whether the ring may be written up to `to`. Looks at the gates only when the last look does not suffice.
    #[inline]
    pub(crate) fn has_room(&mut self, to: Position) -> bool {
        to <= self.limit || to <= self.look_at_gates()
    }

    #[cold]
    #[inline(never)]
    fn look_at_gates(&mut self) -> Position {
        // Acquire, partner of the Release store in `GatingConsumer::advance`: its reads happened before.
        let slowest = self.gates.iter().map(|gate| gate.0.load(Ordering::Acquire)).min().unwrap_or(u64::MAX);
        let gate = self.ring.watermarks().written().0.min(slowest);
        self.limit = Position(gate).plus(self.ring.capacity() as u64);
        self.limit
    }

    /// Nothing at or after this may be written, as the gates were last seen.
    pub(crate) fn limit(&self) -> Position {
        self.limit
    }

    /// Who keeps the ring from being written further.
    pub(crate) fn behind(&self) -> Behind {
        let slowest = self.gates.iter().map(|gate| gate.0.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX);
        if slowest < self.ring.watermarks().written().0 { Behind::Consumer } else { Behind::Journal }
    }

    /// The words of the `length` bytes from `head` on, claimed: the caller stores every one of them, and nobody
    /// reads them before `publish`. Moves `head` past them.
    ///
    /// # Panics
    /// When the gates do not allow it ([`RingWriter::has_room`] said no or was not asked), or when the run crosses
    /// the ring's end.
    #[inline]
    pub(crate) fn word_run(&mut self, length: usize) -> (Position, &[AtomicU64]) {
        let (from, to) = (self.head, self.head.plus(length as u64));
        assert!(to <= self.limit, "the gates allow {}, not {to}", self.limit);
        let shared = &*self.ring.shared;
        if to > self.claimed {
            self.claimed = Position(to.0.next_multiple_of(CLAIM_LENGTH));
            shared.claims.claim(self.claimed);
        }
        self.head = to;
        let start = shared.offset(from) / 8;
        (from, &shared.mapping.words()[start..start + length / 8])
    }

    /// Stores the first word of the unpublished run at `at` once more: it holds the checksum of the others.
    #[inline]
    pub(crate) fn store_first(&mut self, at: Position, word: u64) {
        let shared = &*self.ring.shared;
        debug_assert!(shared.watermarks.published() <= at && at < self.head);
        shared.mapping.words()[shared.offset(at) / 8].store(word, Ordering::Relaxed);
    }

    /// The unpublished bytes `[from .. to)` as the caller stored them.
    #[inline]
    pub(crate) fn unpublished(&self, from: Position, to: Position) -> &[u8] {
        let shared = &*self.ring.shared;
        debug_assert!(shared.watermarks.published() <= from && from <= to && to <= self.head);
        // SAFETY: stores need `store_first(&mut self)` or the slice that `word_run(&mut self)` lent, so none happens while
        // this borrow of `self` lives, and the earlier ones are this thread's own.
        unsafe { shared.mapping.bytes(shared.offset(from), (to.0 - from.0) as usize) }
    }

    /// Everything written may be read.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.ring.watermarks().advance(Watermark::Published, self.head);
    }

    /// A batch closed at `head`, which is published; its padding begins at `padding`.
    pub(crate) fn close_batch(&mut self, padding: Position) {
        self.ring.watermarks().advance(Watermark::Batched, self.head);
        self.ring.shared.claims.set_resume(padding);
    }

    pub(crate) fn set_stopped(&self) {
        self.ring.shared.health.set_stopped();
    }
}
