//! The lossy consumer, which reads the ring by copy.

use super::event::Event;
use crate::claims::copy_words;
use crate::counters::{ConsumerContract, Counter, CounterError, CounterLabels, Counters, table};
use crate::ring::RingView;
use stele_wire::bounds::{FRAME_LENGTH_MAX, HEADER_LENGTH};
use stele_wire::{Frame, FrameHeader, Position, Sequence};
use zerocopy::{FromBytes, IntoBytes};

/// What a [`LossyConsumer`] passes to its caller.
#[derive(Clone, Copy, Debug)]
pub enum Observed<'a> {
    /// A copy of the next event.
    Event(Event<'a>),
    /// The consumer was overrun and never gets the events `first ..= last`. The next event is `last + 1`.
    Lost {
        /// The first event lost.
        first: Sequence,
        /// The last event lost.
        last: Sequence,
    },
}

/// A consumer that reads copies and never holds the writer back. When it is overrun, it continues at the
/// newest closed batch and reports exactly which events it lost: the batch's padding contains the last
/// sequence before it.
///
/// ```
/// use stele_bus::{Grants, LossyConsumer, Observed};
/// # use stele_bus::{Agent, LogRing, ManualClock, NOT_RECEIVED, RingOptions, Sequencer, SequencerStart};
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
/// let mut consumer = LossyConsumer::join(sequencer.ring());
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// sequencer.do_work()?;
/// let mut notices = 0;
/// consumer.poll(64, |observed| match observed {
///     Observed::Event(event) => notices += usize::from(event.message::<Trade>().is_some()),
///     Observed::Lost { first, last } => eprintln!("too slow for events {first} to {last}"),
/// });
/// assert_eq!(notices, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LossyConsumer {
    ring: RingView,
    position: Position,
    /// The last event that was read or lost; none while that is unknown.
    last: Option<Sequence>,
    copy: Box<[u64]>,
    counters: Option<LossyCounters>,
}

/// The counters of a lossy consumer.
#[derive(Debug)]
struct LossyCounters {
    position: Counter,
    lost: Counter,
}

/// A consumer was overrun: the writer has claimed the words that the consumer would read next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overrun {
    /// The events that were read before.
    pub shown: usize,
}

impl LossyConsumer {
    /// Joins at the newest closed batch, or at the beginning of the epoch when no batch has closed yet.
    pub fn join(ring: &RingView) -> Self {
        let mut consumer = Self {
            ring: ring.clone(),
            position: ring.base(),
            last: ring.first_sequence().map(|first| Sequence(first.0 - 1)),
            copy: vec![0; FRAME_LENGTH_MAX / 8].into(),
            counters: None,
        };
        if ring.shared.claims.resume() != consumer.position {
            consumer.last = None;
            consumer.resume(|_| ());
        }
        consumer
    }

    /// Joins at `position`, where a frame of this epoch begins; `last` is the sequence of the event before
    /// it.
    ///
    /// # Panics
    /// When the epoch begins after `position`.
    pub fn join_at(ring: &RingView, position: Position, last: Sequence) -> Self {
        assert!(ring.base() <= position, "the ring begins at {}, not at {position}", ring.base());
        let copy = vec![0; FRAME_LENGTH_MAX / 8].into();
        Self { ring: ring.clone(), position, last: Some(last), copy, counters: None }
    }

    /// Registers counters of its position and its losses, as consumer `instance` of `shard`.
    ///
    /// # Errors
    /// When they are registered already or there is no slot.
    pub fn register_counters(
        &mut self,
        counters: &Counters,
        shard: u16,
        instance: u16,
        name: &str,
    ) -> Result<(), CounterError> {
        let register = |definition| {
            counters
                .register(definition, CounterLabels::consumer(shard, instance, name, ConsumerContract::Lossy))
        };
        let (position, lost) = (register(table::CONSUMER_POSITION)?, register(table::CONSUMER_LOST)?);
        self.counters = Some(LossyCounters { position, lost });
        Ok(())
    }

    /// The ring that the consumer reads.
    pub fn ring(&self) -> &RingView {
        &self.ring
    }

    /// The sequence of the last event that was read or lost; none while that is unknown.
    pub fn last(&self) -> Option<Sequence> {
        self.last
    }

    /// The position of the next frame to read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Passes up to `limit` events to `on_observed`, without padding, and each loss in its place. Returns the
    /// number of events.
    pub fn poll(&mut self, limit: usize, mut on_observed: impl FnMut(Observed<'_>)) -> usize {
        let mut count = 0;
        loop {
            let shown = self.poll_intact(limit - count, |event| on_observed(Observed::Event(event)));
            match shown {
                Ok(shown) => return count + shown,
                Err(Overrun { shown }) => count += shown,
            }
            self.resume(&mut on_observed);
        }
    }

    /// As [`LossyConsumer::poll`], but keeps its position when it is overrun: for a caller that can read the
    /// lost events elsewhere.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn poll_intact(
        &mut self,
        limit: usize,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<usize, Overrun> {
        let published = self.ring.watermarks().published();
        let mut count = 0;
        while self.position < published && count < limit {
            let Some(length) = self.copy_frame(self.position) else { return Err(Overrun { shown: count }) };
            let event = Event::new(self.copied(length), self.position);
            let (end, sequence) = (event.end(), event.sequence());
            if !event.frame().is_padding() {
                let expected = self.last.map_or(sequence, Sequence::next);
                assert_eq!(sequence, expected, "the log has a gap at {}", self.position);
                on_event(event);
                self.last = Some(sequence);
                count += 1;
            }
            self.position = end;
        }
        if let Some(counters) = &mut self.counters {
            counters.position.set(self.position.0);
        }
        Ok(count)
    }

    fn copied(&self, length: usize) -> Frame<'_> {
        Frame::read(&self.copy.as_bytes()[..length]).expect("an intact copy of a published frame is a frame")
    }

    /// Copies the published frame at `position` and returns its length in bytes; none when it was overrun.
    /// The copy of the header is checked before its length is used.
    fn copy_frame(&mut self, position: Position) -> Option<usize> {
        let shared = &*self.ring.shared;
        let (words, capacity) = (shared.mapping.words(), shared.mapping.length());
        let (header, rest) = self.copy.split_at_mut(HEADER_LENGTH / 8);
        copy_words(words, position, header);
        if !shared.claims.is_intact(position, capacity) {
            return None;
        }
        let (believed, _) = FrameHeader::ref_from_prefix(header.as_bytes()).expect("a header's words");
        let length = believed.length.get() as usize;
        assert!((HEADER_LENGTH..=FRAME_LENGTH_MAX).contains(&length), "an intact header says {length} bytes");
        let body = &mut rest[..(length - HEADER_LENGTH) / 8];
        copy_words(words, position.plus(HEADER_LENGTH as u64), body);
        shared.claims.is_intact(position, capacity).then_some(length)
    }

    /// Continues at the newest closed batch and reports the events between.
    fn resume(&mut self, mut on_observed: impl FnMut(Observed<'_>)) {
        loop {
            let at = self.ring.shared.claims.resume();
            assert!(at > self.position, "many batches close before the ring is overwritten");
            let Some(length) = self.copy_frame(at) else { continue };
            let padding = self.copied(length).padding().expect("a batch is resumed at its padding");
            let last = Sequence(padding.last_sequence.get());
            if let Some(first) = self.last.map(Sequence::next).filter(|first| *first <= last) {
                if let Some(counters) = &mut self.counters {
                    counters.lost.add(last.0 - first.0 + 1);
                }
                on_observed(Observed::Lost { first, last });
            }
            (self.position, self.last) = (at, Some(last));
            return;
        }
    }
}
