//! A feed: what market data is pulled from, one batch of encoded messages at a time.
//!
//! A feed is a pure core: it reads its source, and fills a [`Batch`] when it is asked to. It knows no clock, no
//! thread and no sequencer; a [`Player`](crate::Player) plays it. Every record of the source becomes one event or more,
//! or is counted in the [`FeedReport`] with the reason why it became none: nothing is dropped in silence.

use std::error::Error;
use std::fmt;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, WriteError};
use stele_wire::messages::SourceKind;
use stele_wire::units::Nanos;
use zerocopy::IntoBytes;

/// Events that one record of a source may become.
pub const RECORD_EVENTS_MAX: usize = 32;

/// Bytes of message bodies that one record of a source may become, each body rounded up to 8.
pub const RECORD_LENGTH_MAX: usize = 32 * 1024;

/// Events in a [`Batch`].
pub const BATCH_EVENTS_MAX: usize = 512;

/// Bytes of message bodies in a [`Batch`]: what stays in a core's second-level cache.
pub const BATCH_LENGTH: usize = 96 * 1024;

const _: () = assert!(BATCH_EVENTS_MAX > RECORD_EVENTS_MAX && BATCH_LENGTH > RECORD_LENGTH_MAX);
const _: () = assert!(RECORD_LENGTH_MAX <= BODY_LENGTH_MAX && BATCH_LENGTH.is_multiple_of(8));

/// Where market data is pulled from.
pub trait Feed: Send {
    /// What the source is; the same each time.
    fn describe(&self) -> SourceDescription;

    /// Puts the next events into `batch`, as long as it [has room](Batch::has_room). An empty batch with
    /// [`FeedStep::More`] is allowed: nothing is there yet.
    ///
    /// # Errors
    /// [`FeedError`] when the source cannot be read further. What `batch` holds then is good and is played first;
    /// later calls give the same error or [`FeedStep::End`].
    fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError>;

    /// Records read whole so far; cheap.
    fn records(&self) -> u64;

    /// What was read so far, and what became of it.
    fn report(&self) -> FeedReport;

    /// SHA-256 of the source's bytes, once all of them have been read and where that was cheap.
    fn content_hash(&self) -> Option<[u8; 32]> {
        None
    }
}

/// Whether a feed goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedStep {
    /// There may be more.
    More,
    /// Nothing follows.
    End,
}

/// What a source is: the fields of its `SourceDefinition`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceDescription {
    /// The source's number on the log.
    pub source: u16,
    /// File, generator, trail or live feed.
    pub kind: SourceKind,
    /// The vendor's publisher id; 0 where there is none, or several.
    pub vendor_publisher: u16,
    /// The venue's channel; `u16::MAX` where there is none, or several.
    pub channel: u16,
    /// Market identifier code, ISO 10383; zeros where not known.
    pub mic: [u8; 4],
    /// The data set, cut to 16 bytes on the log.
    pub dataset: String,
    /// A short name, cut to 32 bytes on the log.
    pub name: String,
    /// What a person wants to know about it.
    pub description: String,
}

/// How fast a feed is played.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Pace {
    /// As fast as it is taken.
    #[default]
    Fast,
    /// With the distances in time that the source has.
    RealTime,
    /// So many times faster than the source; finite and above 0.
    Times(f64),
}

impl Pace {
    /// Nanoseconds after the first event at which an event that is `elapsed` nanoseconds younger is due.
    pub fn delay(self, elapsed: u64) -> u64 {
        match self {
            Self::Fast => 0,
            Self::RealTime => elapsed,
            Self::Times(factor) => (elapsed as f64 / factor) as u64,
        }
    }
}

/// Why a feed could not be read further.
#[derive(Debug)]
pub struct FeedError {
    /// The source: a path, or a name.
    pub source: String,
    /// Records that were read whole before.
    pub good_records: u64,
    /// Byte offset of the first byte that is not good, in the source as it is after decompression.
    pub offset: u64,
    /// What is wrong.
    pub fault: Box<dyn Error + Send + Sync>,
    /// What to do about it.
    pub advice: &'static str,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, good_records, offset, fault, advice } = self;
        write!(f, "{source}: {fault} at byte {offset}, after {good_records} good records; {advice}")
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.fault.as_ref())
    }
}

/// What a feed read, and what became of it. `records` counts what was read whole; each of these records became
/// one event or more, or is counted in `not_carried`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FeedReport {
    /// Records by the source's name of their kind.
    pub records: Vec<(String, u64)>,
    /// Events by their template's name.
    pub events: Vec<(&'static str, u64)>,
    /// Records that became no event.
    pub not_carried: Vec<NotCarried>,
    /// What else a person should know, one sentence each.
    pub notices: Vec<String>,
}

/// Records of one kind that became no event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotCarried {
    /// The source's name of the kind.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: &'static str,
}

impl FeedReport {
    /// Records of all kinds.
    pub fn record_count(&self) -> u64 {
        self.records.iter().map(|(_, count)| count).sum()
    }

    /// Events of all templates.
    pub fn event_count(&self) -> u64 {
        self.events.iter().map(|(_, count)| count).sum()
    }

    /// Records that became no event.
    pub fn not_carried_count(&self) -> u64 {
        self.not_carried.iter().map(|not_carried| not_carried.count).sum()
    }
}

/// A bounded buffer of encoded messages, filled by a feed and taken from the front. Its memory is taken once.
#[derive(Debug)]
pub struct Batch {
    words: Vec<u64>,
    words_used: usize,
    entries: Vec<Entry>,
    taken: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Nanos,
    start: u32,
    length: u16,
    template_id: u16,
}

/// A message of a batch that was not taken yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingMessage<'a> {
    /// The SBE template id.
    pub template_id: u16,
    /// Block, groups and data; begins on a multiple of 8 bytes in memory.
    pub body: &'a [u8],
    /// When the source's own clock says it came: the capture's receive time where there is one, the venue's time
    /// otherwise.
    pub due: Nanos,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty batch of [`BATCH_EVENTS_MAX`] events and [`BATCH_LENGTH`] bytes.
    pub fn new() -> Self {
        Self {
            words: vec![0; BATCH_LENGTH / 8],
            words_used: 0,
            entries: Vec::with_capacity(BATCH_EVENTS_MAX),
            taken: 0,
        }
    }

    /// Whether the events of another record fit: [`RECORD_EVENTS_MAX`] of them, [`RECORD_LENGTH_MAX`] bytes.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.entries.len() <= BATCH_EVENTS_MAX - RECORD_EVENTS_MAX
            && self.words_used <= (BATCH_LENGTH - RECORD_LENGTH_MAX) / 8
    }

    /// Puts a message without groups and data at the end.
    ///
    /// # Panics
    /// When there is no room: ask [`Batch::has_room`] before each record.
    #[inline]
    pub fn push<M: Message>(&mut self, due: Nanos, message: &M) {
        let place = self.words[self.words_used..].as_mut_bytes();
        place[..size_of::<M>()].copy_from_slice(message.as_bytes());
        self.close(M::TEMPLATE_ID, due, size_of::<M>());
    }

    /// Puts a message at the end that `write` encodes into the memory given; `write` gives back what it wrote.
    ///
    /// # Errors
    /// What `write` gives; the batch is then as it was.
    ///
    /// # Panics
    /// When there is no room: ask [`Batch::has_room`] before each record.
    pub fn push_with<M: Message>(
        &mut self,
        due: Nanos,
        write: impl FnOnce(&mut [u8]) -> Result<&[u8], WriteError>,
    ) -> Result<(), WriteError> {
        let place = self.words[self.words_used..].as_mut_bytes();
        let room = place.len().min(BODY_LENGTH_MAX);
        let length = write(&mut place[..room])?.len();
        self.close(M::TEMPLATE_ID, due, length);
        Ok(())
    }

    #[inline]
    fn close(&mut self, template_id: u16, due: Nanos, length: usize) {
        debug_assert!(length <= BODY_LENGTH_MAX);
        assert!(
            self.entries.len() < BATCH_EVENTS_MAX,
            "a record became more events than a batch has room for"
        );
        let start = self.words_used as u32;
        self.entries.push(Entry { due, start, length: length as u16, template_id });
        self.words_used += length.div_ceil(8);
    }

    /// The message at the front.
    #[inline]
    pub fn front(&self) -> Option<PendingMessage<'_>> {
        self.entries.get(self.taken).map(|entry| self.pending(entry))
    }

    /// Takes the message at the front away; nothing when there is none.
    #[inline]
    pub fn take_front(&mut self) {
        if self.taken < self.entries.len() {
            self.taken += 1;
        }
        if self.taken == self.entries.len() {
            self.clear();
        }
    }

    /// The messages not taken yet, front first.
    pub fn iter(&self) -> impl Iterator<Item = PendingMessage<'_>> {
        self.entries[self.taken..].iter().map(|entry| self.pending(entry))
    }

    /// Messages not taken yet.
    pub fn len(&self) -> usize {
        self.entries.len() - self.taken
    }

    /// Whether every message was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every message.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.words_used = 0;
        self.taken = 0;
    }

    #[inline]
    fn pending(&self, entry: &Entry) -> PendingMessage<'_> {
        let bytes = self.words[entry.start as usize..].as_bytes();
        PendingMessage { template_id: entry.template_id, body: &bytes[..entry.length.into()], due: entry.due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::messages::{BookAdd, VenueNotice};

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut batch = Batch::new();
        let add = BookAdd { order_id: 7.into(), ..BookAdd::NULL };
        batch.push(Nanos(5), &add);
        batch
            .push_with::<VenueNotice>(Nanos(6), |buffer| VenueNotice::NULL.encode(buffer, b"three"))
            .unwrap();
        batch.push(Nanos(7), &add);
        assert_eq!(batch.len(), 3);
        let first = batch.front().unwrap();
        assert_eq!((first.template_id, first.body, first.due), (101, add.as_bytes(), Nanos(5)));
        batch.take_front();
        let second = batch.front().unwrap();
        assert_eq!((second.template_id, second.body.len()), (VenueNotice::TEMPLATE_ID, 32 + 2 + 5));
        batch.take_front();
        assert_eq!(batch.front().unwrap().body, add.as_bytes());
        assert_eq!(batch.front().unwrap().body.as_ptr() as usize % 8, 0);
        batch.take_front();
        assert!(batch.is_empty() && batch.front().is_none());
    }

    #[test]
    fn a_batch_with_room_takes_the_largest_record() {
        let mut batch = Batch::new();
        while batch.has_room() {
            batch.push(Nanos(0), &BookAdd::NULL);
        }
        assert!(batch.len() < BATCH_EVENTS_MAX);
        batch.take_front();
        assert!(!batch.has_room(), "what was taken gives its room back with the last message");
        while !batch.is_empty() {
            batch.take_front();
        }
        assert!(batch.has_room());
    }

    #[test]
    fn a_message_that_could_not_be_written_leaves_the_batch_as_it_was() {
        let mut batch = Batch::new();
        let refused = batch
            .push_with::<VenueNotice>(Nanos(0), |buffer| VenueNotice::NULL.encode(&mut buffer[..8], b""));
        assert!(refused.is_err() && batch.is_empty());
    }

    #[test]
    fn ten_times_the_pace_takes_a_tenth_of_the_time() {
        assert_eq!(Pace::Times(10.0).delay(1_000), 100);
        assert_eq!(Pace::RealTime.delay(1_000), 1_000);
        assert_eq!(Pace::Fast.delay(1_000), 0);
    }
}
