//! A submission: a message on its way from a publisher to the sequencer, as it lies in the ring between them.
//!
//! ```text
//!  word 0                                  word 1               word 2                 word 3 …
//! ┌──────────────────────────────────────┬────────────────────┬──────────────────────┬─────────────────────────┐
//! │ body length u16 · template id u16 · 0│ received, ns UTC   │ publisher sequence   │ body, zero to 8 bytes   │
//! └──────────────────────────────────────┴────────────────────┴──────────────────────┴─────────────────────────┘
//! ```
//! A commit covers whole submissions, so that a chunk read from the ring holds whole ones. A message of
//! another schema than Stele's has `FOREIGN` in place of its template id, and its body begins with its own
//! SBE message header.

use crate::bounds::SUBMISSION_HEADER_WORDS;
use crate::templates::template;
use stele_wire::Nanos;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::MessageHeader;
use stele_wire::messages::{RefusalReason, SCHEMA_ID};
use zerocopy::{FromBytes, IntoBytes};

/// When a message has no time of receipt.
pub const NOT_RECEIVED: Nanos = Nanos(u64::MAX);

/// Stands for the template id of a message of another schema, which has its SBE message header in front of
/// its body.
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

    /// The message header and the rest of the body of a message of another schema; none when it is no such
    /// message.
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
