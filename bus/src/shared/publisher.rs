//! Publishers in another process than the sequencer's.

use super::intake::LaneBoard;
use super::lane::{Lane, put};
use crate::bounds::{SEQUENCER_WATCH_INTERVAL, SUBMISSION_HEADER_WORDS};
use crate::health::Backpressure;
use crate::intake::Acknowledgement;
use crate::mapping::{Access, Mapped, Mapping};
use crate::ring::{AttachError, RingView, WriterState};
use crate::submission::{FOREIGN, FOREIGN_LENGTH_MAX, Refusal, check_foreign, check_message};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd as _, OwnedFd};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, MessageHeader};
use stele_wire::messages::SCHEMA_ID;
use stele_wire::{Nanos, Position};

/// Submits messages to a sequencer in another process. When it is dropped or its process dies, another one
/// may connect in its place, and what was not committed is lost.
#[derive(Debug)]
pub struct RemotePublisher {
    ring: RingView,
    memory: Mapped<LaneBoard>,
    /// The words committed, and those staged after them.
    committed: u64,
    staged: u64,
    /// The words that the sequencer had taken when it was last read.
    taken: u64,
    next_sequence: u64,
    staged_count: u64,
    refused: u64,
    /// When the sequencer was last known to be alive, in nanoseconds of the coarse monotonic clock.
    seen_alive: u64,
    is_gone: bool,
}

impl RemotePublisher {
    /// Attaches to `lane`, the memory that [`crate::RemotePort::open`] returned, as a publisher to the log on
    /// `ring`.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(ring: RingView, lane: OwnedFd) -> Result<Self, AttachError> {
        let mapping = Mapping::attach(lane.as_fd(), Access::Write)?;
        let memory =
            Mapped::<LaneBoard>::new(mapping).ok_or_else(|| AttachError::Layout("it is too short".into()))?;
        memory.board().check(memory.words().len()).map_err(AttachError::Layout)?;
        let (_, last) = memory.board().lane.taken();
        Ok(Self {
            ring,
            memory,
            committed: 0,
            staged: 0,
            taken: 0,
            next_sequence: last.saturating_add(1),
            staged_count: 0,
            refused: 0,
            seen_alive: coarse_now(),
            is_gone: false,
        })
    }

    fn lane(&self) -> &Lane {
        &self.memory.board().lane
    }

    /// The id of this publisher, which its messages contain.
    pub fn id(&self) -> u16 {
        self.memory.board().id()
    }

    /// The publisher's name in the configuration.
    pub fn name(&self) -> String {
        self.memory.board().name()
    }

    /// The ring that the log is on.
    pub fn ring(&self) -> &RingView {
        &self.ring
    }

    /// The number of the next submission: one more than the last one committed, also by an earlier process. A
    /// process that retries continues with its own submission of that number.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Numbers the next submission `sequence + 1`. The sequencer drops submissions with an earlier number as
    /// duplicates.
    ///
    /// # Panics
    /// When a submission is staged.
    pub fn continue_after(&mut self, sequence: u64) {
        assert!(self.staged == 0, "submissions are staged");
        self.next_sequence = sequence + 1;
    }

    /// How far the sequencer has come with this publisher's submissions.
    pub fn acknowledged(&self) -> Acknowledgement {
        let sequenced = self.lane().sequenced();
        Acknowledgement { sequence: sequenced.sequence, position: Position(sequenced.position) }
    }

    /// The submissions that this publisher has refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Submits one message. `body` is its root block, groups and data; `received` is when the host received
    /// it, UTC, or [`crate::NOT_RECEIVED`].
    ///
    /// # Errors
    /// [`Refusal`]: the message was not submitted, and its number is used for the next one.
    pub fn offer(&mut self, template_id: u16, body: &[u8], received: Nanos) -> Result<(), Refusal> {
        self.stage(template_id, body, received)?;
        self.commit();
        Ok(())
    }

    /// Submits one message without groups and data, of Stele's schema or another.
    ///
    /// # Errors
    /// As [`RemotePublisher::offer`] and [`RemotePublisher::offer_foreign`].
    pub fn offer_message<M: Message>(&mut self, message: &M, received: Nanos) -> Result<(), Refusal> {
        if M::SCHEMA_ID == SCHEMA_ID {
            self.offer(M::TEMPLATE_ID, message.as_bytes(), received)
        } else {
            self.offer_foreign(&MessageHeader::of::<M>(), message.as_bytes(), received)
        }
    }

    /// Submits one message of another schema, see [`crate::Publisher::offer_foreign`].
    ///
    /// # Errors
    /// [`Refusal`]: the message was not submitted, and its number is used for the next one.
    pub fn offer_foreign(
        &mut self,
        header: &MessageHeader,
        body: &[u8],
        received: Nanos,
    ) -> Result<(), Refusal> {
        self.stage_foreign(header, body, received)?;
        self.commit();
        Ok(())
    }

    /// Prepares one message for the next [`RemotePublisher::commit`], which cannot fail.
    ///
    /// # Errors
    /// As [`RemotePublisher::offer`]. What was staged before stays staged.
    pub fn stage(&mut self, template_id: u16, body: &[u8], received: Nanos) -> Result<(), Refusal> {
        let checked = check_message(template_id, body.len(), BODY_LENGTH_MAX.min(self.body_words_max() * 8));
        self.put_checked(checked, template_id, None, body, received)
    }

    /// Prepares one message of another schema for the next [`RemotePublisher::commit`], see
    /// [`crate::Publisher::offer_foreign`].
    ///
    /// # Errors
    /// As [`RemotePublisher::offer_foreign`]. What was staged before stays staged.
    pub fn stage_foreign(
        &mut self,
        header: &MessageHeader,
        body: &[u8],
        received: Nanos,
    ) -> Result<(), Refusal> {
        let longest = FOREIGN_LENGTH_MAX.min((self.body_words_max() - 1) * 8);
        let checked = check_foreign(header, body.len(), longest);
        let header = u64::from_le_bytes(zerocopy::transmute!(*header));
        self.put_checked(checked, FOREIGN, Some(header), body, received)
    }

    /// The most words that one body can have in the ring.
    fn body_words_max(&self) -> usize {
        self.memory.words().len() - SUBMISSION_HEADER_WORDS
    }

    /// Stages what was `checked`, if there is room. `prefix` is the body's first word where `body` is the
    /// rest.
    fn put_checked(
        &mut self,
        checked: Result<(), Refusal>,
        template_id: u16,
        prefix: Option<u64>,
        body: &[u8],
        received: Nanos,
    ) -> Result<(), Refusal> {
        let length = prefix.map_or(0, |_| size_of::<u64>()) + body.len();
        let words = (SUBMISSION_HEADER_WORDS + length.div_ceil(8)) as u64;
        if let Err(refusal) = checked.and_then(|()| self.check_room(words)) {
            self.refused += 1;
            return Err(refusal);
        }
        let ring = self.memory.words();
        let at = self.committed.wrapping_add(self.staged);
        let sequence = self.next_sequence + self.staged_count;
        put(ring, at, [length as u64 | u64::from(template_id) << 16, received.0, sequence]);
        let (whole, rest) = body.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(last);
        let body = whole.iter().copied().chain(last).map(u64::from_le_bytes);
        put(ring, at.wrapping_add(SUBMISSION_HEADER_WORDS as u64), prefix.into_iter().chain(body));
        self.staged += words;
        self.staged_count += 1;
        Ok(())
    }

    /// Passes everything staged to the sequencer at once. Returns how many messages.
    pub fn commit(&mut self) -> u64 {
        if self.staged == 0 {
            return 0;
        }
        self.committed = self.committed.wrapping_add(self.staged);
        self.lane().commit(self.committed);
        self.staged = 0;
        let count = std::mem::take(&mut self.staged_count);
        self.next_sequence += count;
        count
    }

    /// Commits what is staged and declares that nothing more comes, so that a stopping sequencer need not
    /// wait.
    pub fn finish(mut self) {
        self.commit();
        self.lane().set_finished(true);
    }

    fn check_room(&mut self, words: u64) -> Result<(), Refusal> {
        let capacity = self.memory.words().len();
        let is_gone = self.is_sequencer_gone();
        let health = &self.ring.shared.health;
        if health.is_poisoned() {
            return Err(Refusal::JournalPoisoned);
        }
        if health.is_stopping() {
            return Err(Refusal::Stopped);
        }
        if is_gone {
            return Err(Refusal::SequencerGone);
        }
        let needed = self.staged + words;
        if needed <= (capacity as u64).saturating_sub(self.committed.wrapping_sub(self.taken)) {
            return Ok(());
        }
        self.taken = self.lane().taken().0;
        if needed <= (capacity as u64).saturating_sub(self.committed.wrapping_sub(self.taken)) {
            return Ok(());
        }
        Err(match health.backpressure() {
            None => Refusal::RingFull,
            Some(Backpressure::Journal) => Refusal::JournalBehind,
            Some(Backpressure::Consumer) => Refusal::ConsumerBehind,
        })
    }

    /// Whether the sequencer's process is dead. It asks the kernel from time to time.
    fn is_sequencer_gone(&mut self) -> bool {
        let now = coarse_now();
        if !self.is_gone && now - self.seen_alive >= SEQUENCER_WATCH_INTERVAL.0 {
            self.seen_alive = now;
            self.is_gone = matches!(self.ring.writer_state(), WriterState::Dead(_));
        }
        self.is_gone
    }
}

/// The time of a clock that is very cheap to read and ticks every few milliseconds, in nanoseconds.
fn coarse_now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
