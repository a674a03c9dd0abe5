//! Publishers of the sequencer's own process. A publisher numbers messages and puts them into a bounded ring
//! of words, several at a time. The module `submission` draws the content of the ring.

use crate::bounds::SUBMISSION_HEADER_WORDS;
use crate::grants::Grants;
use crate::health::Backpressure;
use crate::intake::{AcknowledgementCell, Intake, shown};
use crate::refusals::RefusedAtRing;
use crate::ring::LogRing;
use crate::submission::{FOREIGN, FOREIGN_LENGTH_MAX, Refusal, check_foreign, check_message};
use rtrb::{Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stele_wire::Nanos;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, MessageHeader};
use stele_wire::messages::SCHEMA_ID;
use zerocopy::IntoBytes;

pub use crate::intake::Acknowledgement;

/// Submits messages to the sequencer of its process. It numbers its submissions from 1, or from the number
/// set with [`Publisher::continue_after`].
///
/// ```
/// # use stele_bus::{Agent, Grants, LogRing, ManualClock, NOT_RECEIVED, RingOptions};
/// # use stele_bus::{Sequencer, SequencerStart};
/// # use stele_risk::{Risk, RiskLimits};
/// # use stele_wire::{Identity, Nanos, Position, Sequence, messages::Trade};
/// # let start = SequencerStart {
/// #     identity: Identity::default(),
/// #     next_sequence: Sequence(1),
/// #     position: Position(0),
/// #     last_timestamp: Nanos(0),
/// #     segment_length: 1 << 20,
/// #     block_length: 4096,
/// # };
/// # let parts = LogRing::create(&RingOptions { capacity: 1 << 20, huge_pages: false }, start.position)?;
/// # let (clock, risk) = (ManualClock::at(Nanos(1)), Risk::new(RiskLimits::default()));
/// # let mut sequencer = Sequencer::new(&start, parts.writer, clock, risk)?;
/// let mut publisher = sequencer.publisher(1, "notices", 4096, Grants::market());
/// let mut offered = 0;
/// let refusal = loop {
///     match publisher.offer_message(&Trade::NULL, NOT_RECEIVED) {
///         Ok(()) => offered += 1,
///         Err(refusal) => break refusal,
///     }
/// };
/// assert!(refusal.is_transient(), "the ring is full: the sequencer takes what is in it");
/// while sequencer.do_work()? > 0 {}
/// assert_eq!(publisher.acknowledged().sequence, offered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Publisher {
    id: u16,
    ring: LogRing,
    words: Producer<u64>,
    /// The staged submissions; as long as the ring.
    staged: Box<[u64]>,
    staged_words: usize,
    staged_count: u64,
    next_sequence: u64,
    /// The number of the last committed submission; 0 before the first.
    last_committed: u64,
    finished: Arc<AtomicBool>,
    refused: u64,
    refusals: Arc<RefusedAtRing>,
    acknowledgement: Arc<AcknowledgementCell>,
}

/// Both ends of a ring of `capacity` words for the publisher `id`; `name` is cut to 32 bytes.
pub(crate) fn publisher(
    ring: &LogRing,
    id: u16,
    name: &str,
    capacity: usize,
    grants: Grants,
) -> (Publisher, Intake) {
    assert!(capacity >= 2 * SUBMISSION_HEADER_WORDS, "a ring of {capacity} words takes no submission");
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    // The first touch of a page costs microseconds, so it happens here and not on the hot path.
    let staged = vec![0; capacity].into_boxed_slice();
    producer.push_entire_slice(&staged).expect("the ring is empty");
    consumer.read_chunk(capacity).expect("the ring is full").commit_all();
    let finished = Arc::new(AtomicBool::new(false));
    let publisher = Publisher {
        id,
        ring: ring.clone(),
        words: producer,
        staged,
        staged_words: 0,
        staged_count: 0,
        next_sequence: 1,
        last_committed: 0,
        finished: finished.clone(),
        refused: 0,
        refusals: Arc::default(),
        acknowledgement: Arc::default(),
    };
    let (refused, acknowledgement) = (publisher.refusals.clone(), publisher.acknowledgement.clone());
    (
        publisher,
        Intake { refused, finished, acknowledgement, ..Intake::new(id, shown(name), grants, consumer) },
    )
}

impl Publisher {
    /// The id of this publisher, which its messages contain.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The ring that the log is on.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The number of the next submission, for messages that contain it.
    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Numbers the next submission `sequence + 1`. Use it to continue after a restart, or to go back and send
    /// again what may not have been taken: the sequencer drops duplicates.
    ///
    /// # Panics
    /// When a submission is staged.
    pub fn continue_after(&mut self, sequence: u64) {
        assert!(self.staged_words == 0, "what is staged has its number");
        self.next_sequence = sequence + 1;
    }

    /// How far the sequencer has come with this publisher's submissions.
    pub fn acknowledged(&self) -> Acknowledgement {
        self.acknowledgement.get()
    }

    /// Whether everything that was submitted is durable: each submission, or in the case of an order its
    /// refusal.
    pub fn is_durable(&self) -> bool {
        let Acknowledgement { sequence, position } = self.acknowledged();
        sequence >= self.last_committed && position <= self.ring.watermarks().durable()
    }

    /// The submissions that this publisher has refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Submits one message. `body` is its root block, groups and data; `received` is when the host received
    /// it, UTC, or [`NOT_RECEIVED`](crate::NOT_RECEIVED).
    ///
    /// # Errors
    /// [`Refusal`]: the message was not submitted, and its number is used for the next one.
    #[inline]
    pub fn offer(&mut self, template_id: u16, body: &[u8], received: Nanos) -> Result<(), Refusal> {
        self.stage(template_id, body, received)?;
        self.commit();
        Ok(())
    }

    /// Submits one message without groups and data, of Stele's schema or another.
    ///
    /// # Errors
    /// As [`Publisher::offer`] and [`Publisher::offer_foreign`].
    #[inline]
    pub fn offer_message<M: Message>(&mut self, message: &M, received: Nanos) -> Result<(), Refusal> {
        if M::SCHEMA_ID == SCHEMA_ID {
            self.offer(M::TEMPLATE_ID, message.as_bytes(), received)
        } else {
            self.offer_foreign(&MessageHeader::of::<M>(), message.as_bytes(), received)
        }
    }

    /// Submits one message of another schema. It is sequenced and journaled unchanged, in the class of market
    /// data, and every consumer gets it. `body` is its root block, groups and data, at most
    /// [`FOREIGN_LENGTH_MAX`] bytes.
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

    /// Prepares one message for the next [`Publisher::commit`], which cannot fail because room in the ring is
    /// reserved.
    ///
    /// # Errors
    /// As [`Publisher::offer`]. What was staged before stays staged.
    #[inline]
    pub fn stage(&mut self, template_id: u16, body: &[u8], received: Nanos) -> Result<(), Refusal> {
        let words = SUBMISSION_HEADER_WORDS + body.len().div_ceil(8);
        let checked = check_message(template_id, body.len(), BODY_LENGTH_MAX.min(self.body_words_max() * 8));
        if let Err(refusal) = checked.and_then(|()| self.check_room(words)) {
            return Err(self.refuse(refusal));
        }
        let content = self.stage_header(template_id, body.len(), received, words);
        if let Some(last) = content.last_mut() {
            *last = 0;
        }
        content.as_mut_bytes()[..body.len()].copy_from_slice(body);
        Ok(())
    }

    /// Prepares one message of another schema for the next [`Publisher::commit`], see
    /// [`Publisher::offer_foreign`].
    ///
    /// # Errors
    /// As [`Publisher::offer_foreign`]. What was staged before stays staged.
    pub fn stage_foreign(
        &mut self,
        header: &MessageHeader,
        body: &[u8],
        received: Nanos,
    ) -> Result<(), Refusal> {
        let words = SUBMISSION_HEADER_WORDS + 1 + body.len().div_ceil(8);
        let longest = FOREIGN_LENGTH_MAX.min((self.body_words_max() - 1) * 8);
        let checked = check_foreign(header, body.len(), longest);
        if let Err(refusal) = checked.and_then(|()| self.check_room(words)) {
            return Err(self.refuse(refusal));
        }
        let content = self.stage_header(FOREIGN, size_of::<MessageHeader>() + body.len(), received, words);
        content[content.len() - 1] = 0;
        let (first, rest) = content.as_mut_bytes().split_at_mut(size_of::<MessageHeader>());
        first.copy_from_slice(header.as_bytes());
        rest[..body.len()].copy_from_slice(body);
        Ok(())
    }

    /// Stages the header of a body of `length` bytes and returns the words for the body.
    #[inline]
    fn stage_header(&mut self, template_id: u16, length: usize, received: Nanos, words: usize) -> &mut [u64] {
        let sequence = self.next_sequence + self.staged_count;
        let (start, end) = (self.staged_words, self.staged_words + words);
        self.staged_words = end;
        self.staged_count += 1;
        let (header, content) = self.staged[start..end].split_at_mut(SUBMISSION_HEADER_WORDS);
        header.copy_from_slice(&[length as u64 | u64::from(template_id) << 16, received.0, sequence]);
        content
    }

    #[cold]
    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.refused += 1;
        self.refusals.count(refusal.reason());
        refusal
    }

    /// Passes everything staged to the sequencer at once. Returns how many messages.
    #[inline]
    pub fn commit(&mut self) -> u64 {
        if self.staged_words == 0 {
            return 0;
        }
        let staged = &self.staged[..self.staged_words];
        self.words.push_entire_slice(staged).expect("`stage` kept the room");
        self.staged_words = 0;
        let count = std::mem::take(&mut self.staged_count);
        self.next_sequence += count;
        self.last_committed = self.next_sequence - 1;
        count
    }

    /// Commits what is staged and declares that nothing more comes, so that a stopping sequencer need not
    /// wait.
    pub fn finish(&mut self) {
        self.commit();
        // Release, partner of the Acquire load in `Intake::is_finished`: the last commit is visible.
        self.finished.store(true, Ordering::Release);
    }

    /// The most words that one body can have in the ring.
    #[inline]
    fn body_words_max(&self) -> usize {
        self.words.buffer().capacity() - SUBMISSION_HEADER_WORDS
    }

    #[inline]
    fn check_room(&self, words: usize) -> Result<(), Refusal> {
        let health = &self.ring.shared.health;
        if health.is_poisoned() {
            return Err(Refusal::JournalPoisoned);
        }
        if health.is_stopping() || self.finished.load(Ordering::Relaxed) {
            return Err(Refusal::Stopped);
        }
        let needed = self.staged_words + words;
        if needed <= self.words.cached_slots() || needed <= self.words.slots() {
            return Ok(());
        }
        if self.words.is_abandoned() {
            return Err(Refusal::SequencerGone);
        }
        Err(match health.backpressure() {
            None => Refusal::RingFull,
            Some(Backpressure::Journal) => Refusal::JournalBehind,
            Some(Backpressure::Consumer) => Refusal::ConsumerBehind,
        })
    }
}
