//! How events reach the sequencer: a bounded ring of words for each publisher, filled and drained by chunks.
//!
//! ```text
//!  word 0                                  word 1               word 2                 word 3 …
//! ┌──────────────────────────────────────┬────────────────────┬──────────────────────┬─────────────────────────┐
//! │ body length u16 · template id u16 · 0│ received, ns UTC   │ publisher sequence   │ body, zero to 8 bytes   │
//! └──────────────────────────────────────┴────────────────────┴──────────────────────┴─────────────────────────┘
//! ```
//! A commit covers whole submissions, so that a chunk read from the ring holds whole ones. A message of another schema
//! than Stele's has `FOREIGN` in place of its template id, and its body begins with its own SBE message header.

use crate::bounds::SUBMISSION_HEADER_WORDS;
use crate::counters::sequencer::IntakeCounters;
use crate::health::Behind;
use crate::refusals::{RefusedAtRing, Untold};
use crate::ring::LogRing;
use crate::shared::intake::RemoteIntake;
use crate::templates::template;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, MessageHeader};
use stele_wire::messages::{RefusalReason, SCHEMA_ID};
use stele_wire::{Nanos, Position};
use zerocopy::{FromBytes, IntoBytes};

/// When a message has no time of receipt.
pub const NOT_RECEIVED: Nanos = Nanos(u64::MAX);

/// Stands for the template id of a message of another schema, which has its SBE message header in front of its body.
pub(crate) const FOREIGN: u16 = u16::MAX;

/// Bytes of the body of a message of another schema at most.
pub const FOREIGN_LENGTH_MAX: usize = BODY_LENGTH_MAX - size_of::<MessageHeader>();

/// Why a submission was not taken. Nothing of it reaches the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The publisher is faster than the sequencer for the moment.
    #[error("the publisher's ring is full: offer again")]
    RingFull,
    /// The publisher's ring is full because the journal does not keep up.
    #[error("the journal is behind: offer again when it has written more")]
    JournalBehind,
    /// The publisher's ring is full because a gating consumer does not keep up.
    #[error("a gating consumer is behind: offer again when it has read more")]
    ConsumerBehind,
    /// The journal failed; nothing is accepted any more.
    #[error("the journal is poisoned: stop, see the journal's message, and start again")]
    JournalPoisoned,
    /// The bus is stopping, or this publisher has finished.
    #[error("the bus is stopping")]
    Stopped,
    /// The sequencer is gone: its process is dead, or its thread failed.
    #[error("the sequencer is gone: see why its thread or process ended, and start it again")]
    SequencerGone,
    /// The template id is not of this schema.
    #[error("template {0} is not of this schema")]
    UnknownTemplate(u16),
    /// A message was given as one of another schema, and its schema id is Stele's or none.
    #[error("schema id {0} is no other schema's: 1 is Stele's, 0 is none; give the schema an id of its own")]
    NotForeign(u16),
    /// The body is shorter than the message's root block.
    #[error("a body of {found} bytes is shorter than its block of {needed}")]
    TooShort {
        /// Bytes of the root block.
        needed: u16,
        /// Bytes offered.
        found: usize,
    },
    /// The body is longer than a frame takes, or than this publisher's ring.
    #[error("a body of {found} bytes is longer than the {longest} that fit")]
    TooLong {
        /// Bytes that fit.
        longest: usize,
        /// Bytes offered.
        found: usize,
    },
}

impl Refusal {
    /// Whether the same submission may be taken later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RingFull | Self::JournalBehind | Self::ConsumerBehind)
    }

    /// The reason as it is counted and stands on the log.
    pub fn reason(self) -> RefusalReason {
        match self {
            Self::RingFull => RefusalReason::RING_FULL,
            Self::JournalBehind => RefusalReason::JOURNAL_BEHIND,
            Self::ConsumerBehind => RefusalReason::CONSUMER_BEHIND,
            Self::JournalPoisoned => RefusalReason::JOURNAL_POISONED,
            Self::Stopped | Self::SequencerGone => RefusalReason::STOPPED,
            Self::UnknownTemplate(_) | Self::NotForeign(_) | Self::TooShort { .. } | Self::TooLong { .. } => {
                RefusalReason::MALFORMED
            }
        }
    }
}

/// What became of a publisher's submissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    /// Every submission up to this number is on the log, an order perhaps as its refusal.
    pub sequence: u64,
    /// They all end at this position or before it: they are durable when `durable` has reached it.
    pub position: Position,
}

/// Where the sequencer says how far it has come with a publisher of its own process.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Acknowledgement {
    sequence: AtomicU64,
    position: AtomicU64,
}

impl Acknowledgement {
    /// Submissions up to `sequence` are on the log, before `position`.
    #[inline]
    pub(crate) fn tell(&self, sequence: u64, position: Position) {
        self.position.store(position.0, Ordering::Relaxed);
        // Release, partner of the Acquire load in `read`: the position is this one's or a later one's.
        self.sequence.store(sequence, Ordering::Release);
    }

    fn read(&self) -> Acknowledged {
        let sequence = self.sequence.load(Ordering::Acquire);
        Acknowledged { sequence, position: Position(self.position.load(Ordering::Relaxed)) }
    }
}

/// A publisher's end. It numbers what it submits: 1, 2, 3 … or on from [`Publisher::continue_after`].
#[derive(Debug)]
pub struct Publisher {
    id: u16,
    ring: LogRing,
    words: Producer<u64>,
    /// As long as the ring.
    staged: Box<[u64]>,
    staged_words: usize,
    staged_count: u64,
    next_sequence: u64,
    /// The number of the last submission that was committed here; 0 before the first.
    last_committed: u64,
    finished: Arc<AtomicBool>,
    refused: u64,
    refusals: Arc<RefusedAtRing>,
    acknowledgement: Arc<Acknowledgement>,
}

/// The sequencer's end of a publisher's ring.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) id: u16,
    pub(crate) name: [u8; 32],
    pub(crate) words: Consumer<u64>,
    /// What the next submission is numbered if nothing is missing.
    pub(crate) expected: Option<u64>,
    /// The last number that was taken, 0 before the first.
    pub(crate) last: u64,
    /// The publisher outlives the process.
    pub(crate) is_outside: bool,
    /// What the publisher was refused at its own end.
    pub(crate) refused: Arc<RefusedAtRing>,
    pub(crate) untold: Untold,
    pub(crate) counters: Option<IntakeCounters>,
    /// What fills `words` where the publisher is in another process.
    pub(crate) remote: Option<RemoteIntake>,
    /// What the publisher reads of it where it is in this process.
    pub(crate) acknowledgement: Arc<Acknowledgement>,
    finished: Arc<AtomicBool>,
}

/// Both ends of a ring of `capacity` words for the publisher `id`; `name` is cut to 32 bytes.
pub(crate) fn publisher(ring: &LogRing, id: u16, name: &str, capacity: usize) -> (Publisher, Intake) {
    assert!(capacity >= 2 * SUBMISSION_HEADER_WORDS, "a ring of {capacity} words takes no submission");
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    // The first touch of a page costs microseconds: here rather than on the hot path.
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
    (publisher, Intake { refused, finished, acknowledgement, ..Intake::new(id, shown(name), consumer) })
}

/// The sequencer's end for a publisher in another process, which attaches to the file `path`: a ring of `capacity`
/// words, a power of two. `last` is what the log knows of the publisher's numbering.
pub(crate) fn remote_intake(
    path: &Path,
    id: u16,
    name: &str,
    capacity: usize,
    last: u64,
) -> io::Result<Intake> {
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    producer.push_entire_slice(&vec![0; capacity]).expect("the ring is empty");
    consumer.read_chunk(capacity).expect("the ring is full").commit_all();
    let name = shown(name);
    let remote = RemoteIntake::create(path, id, &name, capacity, producer, last)?;
    Ok(Intake { last, is_outside: true, remote: Some(remote), ..Intake::new(id, name, consumer) })
}

/// A publisher's name as it stands on the log.
fn shown(name: &str) -> [u8; 32] {
    let mut shown = [0; 32];
    let length = name.floor_char_boundary(shown.len());
    shown[..length].copy_from_slice(&name.as_bytes()[..length]);
    shown
}

/// Whether a body of `length` bytes may be a message of the template, in a ring that takes `longest`.
#[inline]
pub(crate) fn check_message(template_id: u16, length: usize, longest: usize) -> Result<(), Refusal> {
    let known = template(template_id).ok_or(Refusal::UnknownTemplate(template_id))?;
    if length < known.block_length as usize {
        return Err(Refusal::TooShort { needed: known.block_length, found: length });
    }
    if length > longest {
        return Err(Refusal::TooLong { longest, found: length });
    }
    Ok(())
}

/// As [`check_message`], for a message of another schema.
pub(crate) fn check_foreign(header: &MessageHeader, length: usize, longest: usize) -> Result<(), Refusal> {
    let (schema_id, needed) = (header.schema_id.get(), header.block_length.get());
    if [0, SCHEMA_ID].contains(&schema_id) {
        return Err(Refusal::NotForeign(schema_id));
    }
    if length < usize::from(needed) {
        return Err(Refusal::TooShort { needed, found: length });
    }
    if length > longest {
        return Err(Refusal::TooLong { longest, found: length });
    }
    Ok(())
}

impl Publisher {
    /// The number that stands in the messages of this publisher.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The ring that the log is on.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The number of the next submission, for messages that carry it.
    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Numbers the next submission `sequence + 1`: for going on after a restart, or back, for sending once more what
    /// was perhaps not taken. The sequencer recognises what it took.
    ///
    /// # Panics
    /// When something is staged.
    pub fn continue_after(&mut self, sequence: u64) {
        assert!(self.staged_words == 0, "what is staged has its number");
        self.next_sequence = sequence + 1;
    }

    /// How far the sequencer has come with what was submitted here.
    pub fn acknowledged(&self) -> Acknowledged {
        self.acknowledgement.read()
    }

    /// Whether everything that was submitted here is durable, an order perhaps as its refusal.
    pub fn is_durable(&self) -> bool {
        let Acknowledged { sequence, position } = self.acknowledged();
        sequence >= self.last_committed && position <= self.ring.watermarks().durable()
    }

    /// Submissions refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Submits one message: `body` is its root block, groups and data. `received` is when it reached us, UTC, or
    /// [`NOT_RECEIVED`].
    ///
    /// # Errors
    /// [`Refusal`]; the message is then nowhere, and its number is used for the next one.
    #[inline]
    pub fn offer(&mut self, template_id: u16, body: &[u8], received: Nanos) -> Result<(), Refusal> {
        self.stage(template_id, body, received)?;
        self.commit();
        Ok(())
    }

    /// As [`Publisher::offer`], for a message without groups and data, of Stele's schema or another.
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

    /// Submits one message of another schema: it is sequenced and journaled as it is, in the class of market data, and
    /// every consumer sees it. `body` is its root block, groups and data, [`FOREIGN_LENGTH_MAX`] bytes at most.
    ///
    /// # Errors
    /// [`Refusal`]; the message is then nowhere, and its number is used for the next one.
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

    /// Prepares one message for the next [`Publisher::commit`], which cannot fail: room in the ring is kept.
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

    /// As [`Publisher::stage`], for a message of another schema, see [`Publisher::offer_foreign`].
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

    /// Stages the words in front of a body of `length` bytes; gives back the place of the body.
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

    /// Hands everything staged to the sequencer at once. Returns how many messages.
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

    /// Nothing more comes from this publisher; the sequencer need not wait for it when it stops.
    pub fn finish(&mut self) {
        self.commit();
        // Release, partner of the Acquire load in `Intake::is_finished`: the last commit is visible.
        self.finished.store(true, Ordering::Release);
    }

    /// Words that the ring has for one body.
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
        Err(match health.behind() {
            None => Refusal::RingFull,
            Some(Behind::Journal) => Refusal::JournalBehind,
            Some(Behind::Consumer) => Refusal::ConsumerBehind,
        })
    }
}

impl Intake {
    fn new(id: u16, name: [u8; 32], words: Consumer<u64>) -> Self {
        Self {
            id,
            name,
            words,
            expected: None,
            last: 0,
            is_outside: false,
            refused: Arc::default(),
            untold: Untold::default(),
            counters: None,
            remote: None,
            acknowledgement: Arc::default(),
            finished: Arc::default(),
        }
    }

    /// Whether nothing more can come: what is in the ring now is all.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.remote {
            Some(remote) => remote.is_finished(),
            None => self.finished.load(Ordering::Acquire) || self.words.is_abandoned(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.remote.as_ref().is_none_or(RemoteIntake::is_empty)
    }
}

/// Words in two parts, where the ring's end lies between.
pub(crate) type Words<'a> = (&'a [u64], &'a [u64]);

/// One submission as it lies in a chunk of the ring.
pub(crate) struct Submission<'a> {
    pub(crate) template_id: u16,
    pub(crate) body_length: usize,
    pub(crate) received: Nanos,
    pub(crate) sequence: u64,
    /// The body's words.
    pub(crate) body: Words<'a>,
}

impl<'a> Submission<'a> {
    /// The submission at word `at` of a chunk that consists of `chunk.0` and `chunk.1`.
    #[inline]
    pub(crate) fn read(chunk: (&'a [u64], &'a [u64]), at: usize) -> Self {
        let [description, received, sequence] = match chunk.0.get(at..at + SUBMISSION_HEADER_WORDS) {
            Some(header) => std::array::from_fn(|index| header[index]),
            None => std::array::from_fn(|index| match chunk.0.get(at + index) {
                Some(word) => *word,
                None => chunk.1[at + index - chunk.0.len()],
            }),
        };
        let body_length = (description & 0xFFFF) as usize;
        let start = at + SUBMISSION_HEADER_WORDS;
        Self {
            template_id: (description >> 16) as u16,
            body_length,
            received: Nanos(received),
            sequence,
            body: between(chunk, start, start + body_length.div_ceil(8)),
        }
    }

    /// The message header and the rest of the body of a message of another schema; none when it is no such message.
    pub(crate) fn foreign(&self) -> Option<(MessageHeader, Words<'a>)> {
        let (first, second) = self.body;
        let (header, body) = match (first, second) {
            _ if self.template_id != FOREIGN => return None,
            ([header, first @ ..], second) => (header, (first, second)),
            ([], [header, second @ ..]) => (header, (&[][..], second)),
            ([], []) => return None,
        };
        let header = MessageHeader::read_from_bytes(header.as_bytes()).expect("a header has one word");
        let length = self.body_length.checked_sub(size_of::<MessageHeader>())?;
        check_foreign(&header, length, FOREIGN_LENGTH_MAX).ok()?;
        Some((header, body))
    }

    /// Words that it takes in the ring.
    #[inline]
    pub(crate) fn words(&self) -> usize {
        SUBMISSION_HEADER_WORDS + self.body.0.len() + self.body.1.len()
    }
}

#[inline]
fn between<'a>(chunk: (&'a [u64], &'a [u64]), from: usize, to: usize) -> (&'a [u64], &'a [u64]) {
    let (first, second) = chunk;
    let split = first.len();
    if to <= split {
        (&first[from..to], &[])
    } else if from >= split {
        (&second[from - split..to - split], &[])
    } else {
        (&first[from..], &second[..to - split])
    }
}
