//! A consumer that misses no event and never slows the writer down. It reads the ring and, after an overrun
//! or a late start, the journal.
//!
//! ```text
//!            overrun: the next event is on the disk only
//!        ┌────────────────────────────────────────────┐
//!        │                                            v
//!      RING                                        JOURNAL      reads up to `written`
//!        ^                                            │
//!        └────────────────────────────────────────────┘
//!            everything written is read; the rest, [written .. published), is on the ring
//! ```
//! Journal and ring hold the same bytes at the same positions, so the consumer joins the ring where the last
//! event that it read ends. The ring keeps what is not written yet. If the writer overruns the ring before
//! the consumer has joined, the consumer reads the journal again. It works over a [`RingView`], in the
//! process of the bus and in any other process.

use crate::directory::Directory;
use crate::error::TrailError;
use crate::reader::TrailReader;
use crate::storage::Storage;
use std::path::Path;
use std::sync::Arc;
use stele_bus::counters::{ConsumerContract, CounterLabels, table};
use stele_bus::{Counter, CounterError, Counters, Event, LossyConsumer, RingView};
use stele_wire::units::{Epoch, Position, Sequence};

/// Where a [`CatchUp`] currently reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventSource {
    /// The ring.
    Ring,
    /// The trail on disk.
    Journal,
}

/// The consumer had seen events that the next epoch does not have: their writer died before they were
/// durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RolledBack {
    /// The epoch that replaces them.
    pub epoch: Epoch,
    /// The first event that was rolled back.
    pub first: Sequence,
    /// The last event that the consumer had seen.
    pub last: Sequence,
}

/// A consumer of the whole log: of the trail on disk, then of the ring.
///
/// ```
/// use stele_bus::{Agent, Grants, LogRing, NOT_RECEIVED, RingOptions, Sequencer, UtcClock};
/// use stele_journal::{CatchUp, Journal, JournalOptions};
/// use stele_wire::{Sequence, messages::Trade};
///
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/trail.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path();
/// # write_trades(trail, 100);
/// # let now = stele_bus::Clock::now(&mut UtcClock::new());
/// # let opened = Journal::open(trail, &JournalOptions::default(), now)?;
/// # let parts = LogRing::create(&RingOptions::default(), opened.start.position)?;
/// # let risk = stele_risk::Risk::new(stele_risk::RiskLimits::default());
/// # let mut sequencer = Sequencer::new(&opened.start, parts.writer, UtcClock::new(), risk)?;
/// # let mut publisher = sequencer.publisher(1, "trades", 4096, Grants::market());
/// // 100 trades of an earlier session are on the trail; one more is on the ring.
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// sequencer.do_work()?;
/// let mut consumer = CatchUp::from(&parts.ring, trail, Sequence(1));
/// let mut trades = 0;
/// while trades < 101 {
///     consumer.poll(64, |event| trades += usize::from(event.message::<Trade>().is_some()))?;
/// }
/// # Ok(()) }
/// ```
pub struct CatchUp {
    ring: RingView,
    trail: Arc<dyn Storage>,
    live: Option<LossyConsumer>,
    reader: Option<TrailReader>,
    /// The first event that was not delivered.
    next: Sequence,
    overruns: u64,
    position: Option<Counter>,
}

impl CatchUp {
    /// Creates a consumer of every event from `from` on: those of the trail in `trail`, earlier epochs
    /// included, then those of `ring`.
    pub fn from(ring: &RingView, trail: &Path, from: Sequence) -> Self {
        Self::from_over(ring, Arc::new(Directory::new(trail)), from)
    }

    /// As [`Self::from`], with the trail in `storage`.
    pub fn from_over(ring: &RingView, storage: Arc<dyn Storage>, from: Sequence) -> Self {
        let mut consumer = Self {
            ring: ring.clone(),
            trail: storage,
            live: None,
            reader: None,
            next: from,
            overruns: 0,
            position: None,
        };
        consumer.begin();
        consumer
    }

    /// Creates a consumer of everything that is published from now on, as [`LossyConsumer::join`] does,
    /// without losses.
    pub fn join(ring: &RingView, trail: &Path) -> Self {
        Self::join_over(ring, Arc::new(Directory::new(trail)))
    }

    /// As [`Self::join`], with the trail in `storage`.
    pub fn join_over(ring: &RingView, storage: Arc<dyn Storage>) -> Self {
        let live = LossyConsumer::join(ring);
        let next = live.last().map_or(Sequence(1), Sequence::next);
        Self { live: Some(live), ..Self::from_over(ring, storage, next) }
    }

    /// Starts on the ring if the ring holds the epoch from its first event on.
    fn begin(&mut self) {
        let first = self.ring.first_sequence().filter(|first| self.next >= *first);
        let join =
            |first: Sequence| LossyConsumer::join_at(&self.ring, self.ring.base(), Sequence(first.0 - 1));
        self.live = first.map(join);
    }

    /// Registers counters that show its progress in `counters`, as consumer `instance` of `shard`.
    ///
    /// # Errors
    /// When no slot is free.
    pub fn register_counters(
        &mut self,
        counters: &Counters,
        shard: u16,
        instance: u16,
        name: &str,
    ) -> Result<(), CounterError> {
        let place = CounterLabels::consumer(shard, instance, name, ConsumerContract::CatchUp);
        self.position = Some(counters.register(table::CONSUMER_POSITION, place)?);
        Ok(())
    }

    /// Returns the ring that it joins.
    pub fn ring(&self) -> &RingView {
        &self.ring
    }

    /// Returns the sequence of the first event that was not delivered yet.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// Returns where it currently reads.
    pub fn source(&self) -> EventSource {
        if self.live.is_some() { EventSource::Ring } else { EventSource::Journal }
    }

    /// Returns how often the ring overran it.
    pub fn overruns(&self) -> u64 {
        self.overruns
    }

    /// Delivers up to `limit` events, without padding, gaps or repetitions. Returns how many; 0 when there is
    /// nothing new at the moment. It reads the disk only when it has fallen behind.
    ///
    /// # Errors
    /// [`TrailError`] of the trail; [`TrailError::NotFound`] when the trail begins after the wanted event.
    pub fn poll(&mut self, limit: usize, mut on_event: impl FnMut(Event<'_>)) -> Result<usize, TrailError> {
        let count = match self.live.is_some() {
            true => self.poll_ring(limit, &mut on_event),
            false => self.poll_journal(limit, &mut on_event)?,
        };
        if count > 0
            && let Some(counter) = &mut self.position
        {
            let position = match (&self.live, &self.reader) {
                (Some(live), _) => live.position(),
                (None, reader) => reader.as_ref().map_or(Position(0), TrailReader::position),
            };
            counter.set(position.0);
        }
        Ok(count)
    }

    fn poll_ring(&mut self, limit: usize, on_event: &mut impl FnMut(Event<'_>)) -> usize {
        let (next, live) = (&mut self.next, self.live.as_mut().expect("asked by `poll`"));
        let mut count = 0;
        let polled = live.poll_intact(limit, |event| {
            if event.sequence() >= *next {
                *next = event.sequence().next();
                count += 1;
                on_event(event);
            }
        });
        if polled.is_err() {
            self.live = None;
            self.overruns += 1;
        }
        count
    }

    fn poll_journal(
        &mut self,
        limit: usize,
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Result<usize, TrailError> {
        let written = self.ring.watermarks().written();
        let Some(mut reader) = self.take_reader()? else {
            self.begin();
            return Ok(0);
        };
        let mut count = 0;
        while count < limit {
            let is_caught_up = reader.position() >= written;
            let entry = if is_caught_up { None } else { reader.read_next()? };
            let Some(entry) = entry else {
                self.join_after(&reader);
                break;
            };
            let sequence = entry.frame.sequence();
            if sequence >= self.next {
                on_event(Event::new(entry.frame, entry.position));
                self.next = sequence.next();
                count += 1;
            }
        }
        self.reader = Some(reader);
        Ok(count)
    }

    /// Returns the reader, positioned before the next event, or at the end of the trail if that event is not
    /// there yet; `None` while there is no trail.
    fn take_reader(&mut self) -> Result<Option<TrailReader>, TrailError> {
        let mut reader = match self.reader.take() {
            // Continues from its position, unless the ring was read since.
            Some(reader) if reader.last_sequence().next() == self.next => return Ok(Some(reader)),
            Some(reader) => reader,
            None => match TrailReader::over(self.trail.clone()) {
                Ok(reader) => reader,
                Err(TrailError::NoTrail(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        match reader.seek(self.next) {
            Err(TrailError::NotFound { last, .. }) if last < self.next => reader.seek(last.next())?,
            sought => sought?,
        }
        Ok(Some(reader))
    }

    /// Continues on the ring where the reader stopped.
    fn join_after(&mut self, reader: &TrailReader) {
        let Some(first) = self.ring.first_sequence() else { return };
        let last = reader.last_sequence();
        let position = match last.next().cmp(&first) {
            // Earlier epochs are not read to their end yet.
            std::cmp::Ordering::Less => return,
            std::cmp::Ordering::Equal => self.ring.base(),
            std::cmp::Ordering::Greater => reader.position(),
        };
        self.live = Some(LossyConsumer::join_at(&self.ring, position, last));
    }

    /// Continues with the ring of the shard's next epoch, whose writer started after the writer of this one
    /// had ended or died. Returns the events that were delivered and are not on the trail.
    pub fn continue_on(&mut self, ring: &RingView) -> Option<RolledBack> {
        self.ring = ring.clone();
        (self.live, self.reader) = (None, None);
        let first = ring.first_sequence()?;
        if self.next <= first {
            return None;
        }
        let last = Sequence(std::mem::replace(&mut self.next, first).0 - 1);
        ring.identity().map(|identity| RolledBack { epoch: identity.epoch, first, last })
    }
}
