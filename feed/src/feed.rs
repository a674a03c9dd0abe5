//! The trait [`Feed`]: a source of market data that is read one batch of encoded messages at a time.
//!
//! A feed only reads its source and fills a [`Batch`]. It uses no clock, no thread and no sequencer; a
//! [`Player`](crate::Player) plays it. Every record of the source becomes one event or more, or is counted in
//! the [`FeedReport`] with the reason why it became none: no record is dropped silently.

use std::error::Error;
use std::fmt;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, WriteError};
use stele_wire::messages::SourceKind;
use stele_wire::units::Nanos;
use zerocopy::IntoBytes;

/// The greatest number of events of one record.
pub const RECORD_EVENTS_MAX: usize = 32;

/// The greatest length of the message bodies of one record in bytes, each body rounded up to 8.
pub const RECORD_LENGTH_MAX: usize = 32 * 1024;

/// The greatest number of events in a [`Batch`].
pub const BATCH_EVENTS_MAX: usize = 512;

/// The greatest length of the message bodies in a [`Batch`] in bytes; it stays in the second-level cache of a
/// core.
pub const BATCH_LENGTH: usize = 96 * 1024;

const _: () = assert!(BATCH_EVENTS_MAX > RECORD_EVENTS_MAX && BATCH_LENGTH > RECORD_LENGTH_MAX);
const _: () = assert!(RECORD_LENGTH_MAX <= BODY_LENGTH_MAX && BATCH_LENGTH.is_multiple_of(8));

/// A source of market data.
///
/// ```
/// use stele_feed::{Batch, Feed, FeedError, FeedReport, FeedStep, SourceDescription};
/// use stele_wire::Nanos;
/// use stele_wire::messages::{BookAdd, Side, SourceKind};
///
/// /// Adds one order a second to the book of instrument 1.
/// struct Metronome {
///     added: u64,
///     last: u64,
/// }
///
/// impl Feed for Metronome {
///     fn describe(&self) -> SourceDescription {
///         SourceDescription {
///             source: 1,
///             kind: SourceKind::GENERATOR,
///             vendor_publisher: 0,
///             channel: u16::MAX,
///             mic: [0; 4],
///             dataset: "metronome".into(),
///             name: "metronome".into(),
///             description: "one order a second".into(),
///         }
///     }
///
///     fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError> {
///         while batch.has_room() && self.added < self.last {
///             self.added += 1;
///             let time = self.added * 1_000_000_000;
///             let add = BookAdd {
///                 venue_time: time.into(),
///                 instrument: 1.into(),
///                 side: Side::BUY,
///                 order_id: self.added.into(),
///                 price: 100_000_000_000.into(),
///                 quantity: 10.into(),
///                 ..BookAdd::NULL
///             };
///             batch.push(Nanos(time), &add);
///         }
///         Ok(if self.added < self.last { FeedStep::More } else { FeedStep::End })
///     }
///
///     fn records(&self) -> u64 {
///         self.added
///     }
///
///     fn report(&self) -> FeedReport {
///         let counts = (vec![("order".into(), self.added)], vec![("BookAdd", self.added)]);
///         FeedReport { records: counts.0, events: counts.1, ..FeedReport::default() }
///     }
/// }
///
/// let (mut feed, mut batch) = (Metronome { added: 0, last: 3 }, Batch::new());
/// assert_eq!(feed.fill(&mut batch)?, FeedStep::End);
/// assert_eq!(batch.len(), 3);
/// assert_eq!(batch.front().unwrap().due, Nanos(1_000_000_000));
/// # Ok::<(), FeedError>(())
/// ```
pub trait Feed: Send {
    /// Describes the source; the result is always the same.
    fn describe(&self) -> SourceDescription;

    /// Puts the next events into `batch`, as long as it [has room](Batch::has_room). An empty batch
    /// with [`FeedStep::More`] means that the source has no events yet.
    ///
    /// # Errors
    /// [`FeedError`] if the source cannot be read further. The events in `batch` are valid all the same
    /// and are played first. Later calls return the same error or [`FeedStep::End`].
    fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError>;

    /// The number of records read whole so far; cheap.
    fn records(&self) -> u64;

    /// Reports what was read so far, and what became of it.
    fn report(&self) -> FeedReport;

    /// SHA-256 of the source's bytes, once all are read; `None` for sources that do not compute it.
    fn content_hash(&self) -> Option<[u8; 32]> {
        None
    }
}

/// Whether a feed has more events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedStep {
    /// There may be more.
    More,
    /// The source is at its end.
    End,
}

/// The description of a source: the fields of its `SourceDefinition`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceDescription {
    /// The source's number on the log.
    pub source: u16,
    /// File, generator, trail or live feed.
    pub kind: SourceKind,
    /// The vendor's publisher id; 0 if there is none, or several.
    pub vendor_publisher: u16,
    /// The venue's channel; `u16::MAX` if there is none, or several.
    pub channel: u16,
    /// Market identifier code, ISO 10383; zeros if not known.
    pub mic: [u8; 4],
    /// The data set, cut to 16 bytes on the log.
    pub dataset: String,
    /// A short name, cut to 32 bytes on the log.
    pub name: String,
    /// A description for people.
    pub description: String,
}

/// How fast a feed is played.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Pace {
    /// As fast as possible.
    #[default]
    Fast,
    /// With the time between events that the source has.
    RealTime,
    /// Faster than the source by this factor, which is finite and above 0.
    Times(f64),
}

impl Pace {
    /// Returns how long after the first event, in nanoseconds, an event is due that came `elapsed`
    /// nanoseconds after it in the source.
    pub fn delay(self, elapsed: u64) -> u64 {
        match self {
            Self::Fast => 0,
            Self::RealTime => elapsed,
            Self::Times(factor) => (elapsed as f64 / factor) as u64,
        }
    }
}

/// Why a feed cannot be read further.
#[derive(Debug)]
pub struct FeedError {
    /// The source: a path, or a name.
    pub source: String,
    /// The number of records that were read whole before.
    pub good_records: u64,
    /// The offset of the first byte that is not good, in the source after decompression.
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

/// What a feed read, and what became of it. Each record in `records` became one event or more, or is counted
/// in `not_carried`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FeedReport {
    /// Records read whole, by the source's name of their kind.
    pub records: Vec<(String, u64)>,
    /// Events by the name of their template.
    pub events: Vec<(&'static str, u64)>,
    /// Records that became no event.
    pub not_carried: Vec<NotCarried>,
    /// Anything else that a user should know, one sentence each.
    pub notices: Vec<String>,
}

/// Records of one kind that became no event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotCarried {
    /// The source's name of the kind.
    pub kind: String,
    /// The number of records.
    pub count: u64,
    /// Why.
    pub reason: &'static str,
}

impl FeedReport {
    /// The number of records of all kinds.
    pub fn record_count(&self) -> u64 {
        self.records.iter().map(|(_, count)| count).sum()
    }

    /// The number of events of all templates.
    pub fn event_count(&self) -> u64 {
        self.events.iter().map(|(_, count)| count).sum()
    }

    /// The number of records that became no event.
    pub fn not_carried_count(&self) -> u64 {
        self.not_carried.iter().map(|not_carried| not_carried.count).sum()
    }
}

/// A bounded queue of encoded messages: a feed fills it, and a player takes them from the front. It allocates
/// once.
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

/// A message in a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingMessage<'a> {
    /// The SBE template id.
    pub template_id: u16,
    /// Block, groups and data; aligned to 8 bytes in memory.
    pub body: &'a [u8],
    /// When the message came, by the source's own clock: the receive time of the recording if there is one,
    /// else the venue's time.
    pub due: Nanos,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Creates an empty batch for [`BATCH_EVENTS_MAX`] events and [`BATCH_LENGTH`] bytes.
    pub fn new() -> Self {
        Self {
            words: vec![0; BATCH_LENGTH / 8],
            words_used: 0,
            entries: Vec::with_capacity(BATCH_EVENTS_MAX),
            taken: 0,
        }
    }

    /// Whether the events of another record fit: [`RECORD_EVENTS_MAX`] events and [`RECORD_LENGTH_MAX`]
    /// bytes.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.entries.len() <= BATCH_EVENTS_MAX - RECORD_EVENTS_MAX
            && self.words_used <= (BATCH_LENGTH - RECORD_LENGTH_MAX) / 8
    }

    /// Appends a message without groups and data.
    ///
    /// # Panics
    /// If there is no room: call [`Batch::has_room`] before each record.
    #[inline]
    pub fn push<M: Message>(&mut self, due: Nanos, message: &M) {
        let place = self.words[self.words_used..].as_mut_bytes();
        place[..size_of::<M>()].copy_from_slice(message.as_bytes());
        self.close(M::TEMPLATE_ID, due, size_of::<M>());
    }

    /// Appends a message that `write` encodes into the memory it gets; `write` returns the part that it used.
    ///
    /// # Errors
    /// The error of `write`; the batch is then unchanged.
    ///
    /// # Panics
    /// If there is no room: call [`Batch::has_room`] before each record.
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

    /// Returns the message at the front, if there is one.
    #[inline]
    pub fn front(&self) -> Option<PendingMessage<'_>> {
        self.entries.get(self.taken).map(|entry| self.pending(entry))
    }

    /// Removes the message at the front, if there is one.
    #[inline]
    pub fn take_front(&mut self) {
        if self.taken < self.entries.len() {
            self.taken += 1;
        }
        if self.taken == self.entries.len() {
            self.clear();
        }
    }

    /// Iterates over the messages, from the front.
    pub fn iter(&self) -> impl Iterator<Item = PendingMessage<'_>> {
        self.entries[self.taken..].iter().map(|entry| self.pending(entry))
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.entries.len() - self.taken
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all messages.
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
        assert!(!batch.has_room(), "room is freed with the last message");
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
