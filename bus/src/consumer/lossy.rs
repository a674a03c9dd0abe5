//! Reading by copy.

use super::event::Event;
use crate::claims::copy_words;
use crate::counters::{ConsumerContract, Counter, CounterError, CounterLabels, Counters, table};
use crate::ring::RingView;
use stele_wire::bounds::{FRAME_LENGTH_MAX, HEADER_LENGTH};
use stele_wire::{Frame, FrameHeader, Position, Sequence};
use zerocopy::{FromBytes, IntoBytes};

/// What a [`LossyConsumer`] sees.
#[derive(Clone, Copy, Debug)]
pub enum Observed<'a> {
    /// The next event, a copy.
    Event(Event<'a>),
    /// The consumer was overrun: it will never see the events `first ..= last`. The next event is `last + 1`.
    Lost {
        /// The first event lost.
        first: Sequence,
        /// The last event lost.
        last: Sequence,
    },
}

/// Reads by copy and holds nobody up. When overrun, it goes on at the newest closed batch and says exactly which
/// events it lost: the batch's padding carries the number of the last event before it.
///
/// ```
/// use stele_bus::{LossyConsumer, Observed};
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
/// let mut publisher = sequencer.publisher(1, "notices", 4096);
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
    /// The last event seen or lost; none as long as that is unknown.
    last: Option<Sequence>,
    copy: Box<[u64]>,
    counters: Option<LossyCounters>,
}

/// What a lossy consumer shows of itself.
#[derive(Debug)]
struct LossyCounters {
    position: Counter,
    lost: Counter,
}

/// The words that a consumer would read next have been claimed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overrun {
    /// Events that were shown before.
    pub shown: usize,
}

impl LossyConsumer {
    /// Joins at the newest closed batch, or at the epoch's beginning while there is none.
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

    /// Joins at `position`, where a frame of this epoch begins; `last` is the event in front of it.
    ///
    /// # Panics
    /// When the epoch begins behind `position`.
    pub fn join_at(ring: &RingView, position: Position, last: Sequence) -> Self {
        assert!(ring.base() <= position, "the ring begins at {}, not at {position}", ring.base());
        let copy = vec![0; FRAME_LENGTH_MAX / 8].into();
        Self { ring: ring.clone(), position, last: Some(last), copy, counters: None }
    }

    /// Shows in `counters` how far it has come and what it lost, as consumer `instance` of `shard`.
    ///
    /// # Errors
    /// When there is no slot.
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

    /// The ring that it reads.
    pub fn ring(&self) -> &RingView {
        &self.ring
    }

    /// The last event that was shown or lost; none as long as that is unknown.
    pub fn last(&self) -> Option<Sequence> {
        self.last
    }

    /// Where the next frame that it will look at begins.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Shows up to `limit` events, padding left out, and each loss in its place. Returns the number of events.
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

    /// As [`LossyConsumer::poll`], but stays where it is when it is overrun: for whoever knows another place to read
    /// what is lost here.
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
                assert_eq!(sequence, expected, "the log skips at {}", self.position);
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

    /// Copies the published frame at `position` and returns its length in bytes; none when it is overrun. The header is
    /// copied and found intact before its length is believed.
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

    /// Goes on at the newest closed batch and tells what lies between.
    fn resume(&mut self, mut on_observed: impl FnMut(Observed<'_>)) {
        loop {
            let at = self.ring.shared.claims.resume();
            assert!(at > self.position, "a batch closes many times while the ring goes round");
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
