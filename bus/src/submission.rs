//! A submission: a message on its way from a publisher to the sequencer, and its layout in the ring between
//! them.
//!
//! ```text
//!  word 0                                  word 1             word 2               word 3 …
//! ┌──────────────────────────────────────┬──────────────────┬────────────────────┬───────────────────────┐
//! │ body length u16 · template id u16 · 0│ received, ns UTC │ publisher sequence │ body, in whole words  │
//! └──────────────────────────────────────┴──────────────────┴────────────────────┴───────────────────────┘
//! ```
//! A commit consists of whole submissions, so a chunk that is read from the ring contains whole submissions.
//! A message of another schema than Stele's has `FOREIGN` in place of its template id, and its body begins
//! with its own SBE message header.

use crate::bounds::SUBMISSION_HEADER_WORDS;
use crate::templates::{OriginFields, Template, template};
use stele_wire::Nanos;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::MessageHeader;
use stele_wire::messages::{RefusalReason, SCHEMA_ID};
use zerocopy::{FromBytes, IntoBytes};

/// The time of receipt of a message that has none.
pub const NOT_RECEIVED: Nanos = Nanos(u64::MAX);

/// The template id in the ring of a message of another schema, whose SBE message header precedes its body.
pub(crate) const FOREIGN: u16 = u16::MAX;

/// The most bytes in the body of a message of another schema.
pub const FOREIGN_LENGTH_MAX: usize = BODY_LENGTH_MAX - size_of::<MessageHeader>();

/// Why a publisher refused a submission. The submission does not reach the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The publisher is faster than the sequencer at the moment.
    #[error("the publisher's ring is full: offer again")]
    RingFull,
    /// The publisher's ring is full because the journal does not keep up.
    #[error("the journal is behind: offer again when it has written more")]
    JournalBehind,
    /// The publisher's ring is full because a gating consumer does not keep up.
    #[error("a gating consumer is behind: offer again when it has read more")]
    ConsumerBehind,
    /// The journal failed and nothing more is accepted.
    #[error("the journal is poisoned: stop, see the journal's message, and start again")]
    JournalPoisoned,
    /// The bus is stopping, or this publisher has finished.
    #[error("the bus is stopping")]
    Stopped,
    /// The sequencer no longer exists: its process is dead, or its thread failed.
    #[error("the sequencer is gone: see why its thread or process ended, and start it again")]
    SequencerGone,
    /// The template id is not of this schema.
    #[error("template {0} is not of this schema")]
    UnknownTemplate(u16),
    /// A message was submitted as one of another schema, but its schema id is Stele's or missing.
    #[error(
        "schema id {0} cannot be another schema's: 1 is Stele's and 0 is not an id; give the schema its own id"
    )]
    NotForeign(u16),
    /// The body is shorter than the message's root block.
    #[error("a body of {found} bytes is shorter than its block of {needed}")]
    TooShort {
        /// The bytes of the root block.
        needed: u16,
        /// The bytes submitted.
        found: usize,
    },
    /// The body is longer than a frame or this publisher's ring can hold.
    #[error("a body of {found} bytes is longer than the {longest} that fit")]
    TooLong {
        /// The most bytes that fit.
        longest: usize,
        /// The bytes submitted.
        found: usize,
    },
}

impl Refusal {
    /// Whether the same submission may be accepted later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RingFull | Self::JournalBehind | Self::ConsumerBehind)
    }

    /// The reason as it is counted and logged.
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

/// Checks that a body of `length` bytes can be a message of the template and that at most `longest` bytes
/// fit.
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

/// Words in two parts, because the ring may wrap between them.
pub(crate) type Words<'a> = (&'a [u64], &'a [u64]);

/// One submission in a chunk of the ring.
pub(crate) struct Submission<'a> {
    pub(crate) template_id: u16,
    /// The template, if it is a message of Stele's schema and the body is as long as its block.
    pub(crate) template: Option<Template>,
    pub(crate) body_length: usize,
    pub(crate) received: Nanos,
    pub(crate) sequence: u64,
    /// The body's words.
    pub(crate) body: Words<'a>,
}

/// Writes the number and the publisher into the body that begins at word `at`.
#[inline(never)]
fn write_origin(
    chunk: (&mut [u64], &mut [u64]),
    at: usize,
    origin: OriginFields,
    number: u64,
    publisher: u16,
) {
    let (first, second) = chunk;
    let mut set = |offset: usize, mask: u64, value: u64| {
        let (index, split) = (at + offset / 8, first.len());
        let word = if index < split { &mut first[index] } else { &mut second[index - split] };
        *word = *word & !mask | value;
    };
    let (number_at, publisher_at) = origin.offsets();
    if let Some(offset) = number_at {
        set(offset, u64::MAX, number);
    }
    if let Some(offset) = publisher_at {
        let shift = 8 * (offset % 8);
        set(offset, 0xFFFF << shift, u64::from(publisher) << shift);
    }
}

impl<'a> Submission<'a> {
    /// The submission at word `at` of a chunk that consists of `chunk.0` and `chunk.1`. Where its message
    /// carries the identity of its publisher, that of `publisher` is written into it, whatever was submitted.
    #[inline]
    pub(crate) fn read(chunk: (&'a mut [u64], &'a mut [u64]), at: usize, publisher: u16) -> Self {
        let [description, received, sequence] = match chunk.0.get(at..at + SUBMISSION_HEADER_WORDS) {
            Some(header) => std::array::from_fn(|index| header[index]),
            None => std::array::from_fn(|index| match chunk.0.get(at + index) {
                Some(word) => *word,
                None => chunk.1[at + index - chunk.0.len()],
            }),
        };
        let (template_id, body_length) = ((description >> 16) as u16, (description & 0xFFFF) as usize);
        let template = template(template_id).filter(|template| body_length >= template.block_length as usize);
        let start = at + SUBMISSION_HEADER_WORDS;
        let (first, second) = chunk;
        if let Some(Template { origin, .. }) = template
            && origin != OriginFields::None
        {
            write_origin((&mut *first, &mut *second), start, origin, sequence, publisher);
        }
        Self {
            template_id,
            template,
            body_length,
            received: Nanos(received),
            sequence,
            body: between((first, second), start, start + body_length.div_ceil(8)),
        }
    }

    /// The message header and the rest of the body of a message of another schema; none when it is not such a
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

    /// The words that it occupies in the ring.
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
