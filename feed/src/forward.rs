//! Forwarding: a shard gets events of another shard as events of its own.
//!
//! ```text
//!  shard 1: ring ── durable ──> Origin ──> Forwarder ──> publisher ──> sequencer of shard 2
//!              └ trail on disk ──┘ (older events than the ring has)
//! ```
//!
//! A [`Forwarder`] belongs to the receiving shard. It reads the log of another shard, its [`Origin`], and
//! submits the events that pass a [`ForwardFilter`] as `Forwarded`: the event's own body, with the shard, the
//! epoch, the sequence and the time that it has there. Three rules make that copy reliable:
//!
//! - **Durable events only.** An event that the other shard could still lose in a crash is not forwarded.
//! - **Once, in order, without a gap.** The last sequence that was forwarded is on the log of the receiving
//!   shard; a forwarder continues after it, whichever shard was restarted.
//! - **No shard is blocked for ever.** While the receiving shard takes nothing, the forwarder holds at most
//!   its [lag](crate::bounds::FORWARD_LAG_DIVISOR) of the origin's ring; then it releases the ring and reads
//!   the rest from the disk.

use crate::bounds::{FORWARD_EVENTS_MAX, FORWARD_LAG_DIVISOR};
use crate::instruments::{InstrumentFields, InstrumentSet};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_bus::{
    Agent, AgentError, ConsumerProgress, GatingConsumer, MessageClass, NOT_RECEIVED, Publisher, Refusal,
    template,
};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::text;
use stele_wire::messages::{FeedStatus, Forwarded, InstrumentDefinition};
use stele_wire::{Epoch, Frame, Sequence, ShardId};
use zerocopy::IntoBytes;

/// Takes an event of an origin, or breaks; after a break, the same event comes again.
pub type EventSink<'t> = dyn FnMut(Epoch, &Frame<'_>) -> ControlFlow<()> + 't;

/// The log of another shard: its durable events in order, each once, without padding.
pub trait Origin: Send {
    /// Passes the events after the last one taken to `take`: none, or as many as the origin chooses. Returns
    /// how many were taken.
    ///
    /// # Errors
    /// The origin cannot be read further.
    fn poll(&mut self, take: &mut EventSink<'_>) -> Result<usize, AgentError>;
}

/// The trail of another shard on disk, for events that its ring no longer has.
pub trait OriginTrail: Send {
    /// Passes events after `after`, up to `through` at most, to `take`, as [`Origin::poll`] does; all of them
    /// are durable. Returns how many were taken, and the last of them.
    ///
    /// # Errors
    /// The trail cannot be read further.
    fn read(
        &mut self,
        after: Sequence,
        through: Sequence,
        take: &mut EventSink<'_>,
    ) -> Result<(usize, Sequence), AgentError>;
}

/// A shard of the same process: its ring, read in place, and its trail for older events.
#[derive(Debug)]
pub struct GatedOrigin<P> {
    consumer: GatingConsumer,
    trail: P,
    epoch: Epoch,
    /// The greatest number of bytes of the ring that it holds.
    lag_max: u64,
    /// The last event taken.
    taken: Sequence,
    /// The last event that the consumer has passed. The events after `taken` up to it are read from the
    /// trail.
    passed: Sequence,
}

impl<P: OriginTrail> GatedOrigin<P> {
    /// Creates an origin that continues after `taken`. `consumer` begins with the epoch's first event, which
    /// is `first`.
    ///
    /// # Panics
    /// If `taken` is not before `first`.
    pub fn new(consumer: GatingConsumer, epoch: Epoch, first: Sequence, taken: Sequence, trail: P) -> Self {
        assert!(taken < first, "event {taken} was forwarded, but the log continues at {first}");
        let lag_max = (consumer.ring().capacity() / FORWARD_LAG_DIVISOR) as u64;
        Self { consumer, trail, epoch, lag_max, taken, passed: Sequence(first.0 - 1) }
    }

    /// The position on the ring.
    pub fn progress(&self) -> ConsumerProgress {
        self.consumer.progress()
    }

    /// Whether it reads from the disk.
    pub fn reads_trail(&self) -> bool {
        self.taken < self.passed
    }

    fn read_ring(&mut self, take: &mut EventSink<'_>) -> usize {
        let (durable, epoch) = (self.consumer.ring().watermarks().durable(), self.epoch);
        let (mut count, mut taken) = (0, self.taken);
        // Stopping at an event is not a failure: it comes again.
        let _ = self.consumer.try_poll(FORWARD_EVENTS_MAX, |event| {
            if event.end() > durable || take(epoch, &event.frame()).is_break() {
                return Err(());
            }
            (count, taken) = (count + 1, event.sequence());
            Ok(())
        });
        (self.taken, self.passed) = (taken, taken);
        count
    }

    /// Releases the part of the ring beyond the lag.
    fn release_ring(&mut self) -> usize {
        let marks = self.consumer.ring().watermarks();
        let (published, durable) = (marks.published().0, marks.durable());
        let mut passed = self.passed;
        let mut count = 0;
        let _ = self.consumer.try_poll(FORWARD_EVENTS_MAX, |event| {
            if published - event.position().0 <= self.lag_max || event.end() > durable {
                return Err(());
            }
            (count, passed) = (count + 1, event.sequence());
            Ok(())
        });
        self.passed = passed;
        count
    }
}

impl<P: OriginTrail> Origin for GatedOrigin<P> {
    fn poll(&mut self, take: &mut EventSink<'_>) -> Result<usize, AgentError> {
        let taken = if self.reads_trail() {
            let (count, last) = self.trail.read(self.taken, self.passed, take)?;
            self.taken = last;
            count
        } else {
            self.read_ring(take)
        };
        let held = self.consumer.ring().watermarks().published().0 - self.consumer.released().0;
        Ok(if held > self.lag_max { taken + self.release_ring() } else { taken })
    }
}

/// Selects the events of another shard that are forwarded.
#[derive(Clone, Debug)]
pub struct ForwardFilter {
    /// By symbol; `None` is every instrument.
    symbols: Option<BTreeSet<String>>,
    /// By template id; `None` is all market data.
    templates: Option<BTreeSet<u16>>,
    /// The numbers of the selected instruments whose definitions were read.
    instruments: InstrumentSet,
    fields: InstrumentFields,
}

impl ForwardFilter {
    /// Selects the events of these `templates` about instruments of these `symbols`; without `templates`, all
    /// market data; without `symbols`, every instrument. The definitions of the instruments and the states of
    /// feeds are always selected, because books need both.
    pub fn new(symbols: &[String], templates: &[u16]) -> Self {
        let symbols = (!symbols.is_empty()).then(|| symbols.iter().cloned().collect());
        let templates = (!templates.is_empty()).then(|| templates.iter().copied().collect());
        let (instruments, fields) = (InstrumentSet::default(), InstrumentFields::default());
        Self { symbols, templates, instruments, fields }
    }

    /// Adds an instrument whose definition was forwarded before, if its symbol is selected.
    pub fn add_instrument(&mut self, instrument: u32, symbol: &str) {
        if self.symbols.as_ref().is_none_or(|symbols| symbols.contains(symbol)) {
            self.instruments.insert(instrument);
        }
    }

    #[inline]
    fn selects(&mut self, frame: &Frame<'_>) -> bool {
        let template_id = frame.template_id();
        if !frame.is_stele() {
            return false;
        }
        match template_id {
            InstrumentDefinition::TEMPLATE_ID => return self.defines(frame),
            FeedStatus::TEMPLATE_ID => return true,
            Forwarded::TEMPLATE_ID => return false,
            _ => {}
        }
        let is_kind = match &self.templates {
            None => template(template_id)
                .is_some_and(|known| known.stamped && known.class == MessageClass::MarketData),
            Some(templates) => templates.contains(&template_id),
        };
        is_kind && self.is_about_selected(self.fields.of(template_id, frame.body()))
    }

    /// Events about the whole market, or about no instrument, are always selected.
    #[inline]
    fn is_about_selected(&self, instrument: Option<u32>) -> bool {
        match instrument {
            None | Some(0) => true,
            Some(instrument) => self.symbols.is_none() || self.instruments.contains(instrument),
        }
    }

    #[cold]
    fn defines(&mut self, frame: &Frame<'_>) -> bool {
        let Some(definition) = frame.message::<InstrumentDefinition>() else { return false };
        self.add_instrument(definition.instrument.get(), text(&definition.venue_symbol));
        self.is_about_selected(Some(definition.instrument.get()))
    }
}

/// The counts of a link, readable from any thread. They only grow.
#[derive(Debug, Default)]
pub struct ForwardLinkStatus {
    forwarded: AtomicU64,
    too_long: AtomicU64,
}

impl ForwardLinkStatus {
    /// The number of events submitted to the receiving shard.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// The number of selected events that were too long to be put into another event.
    pub fn too_long(&self) -> u64 {
        self.too_long.load(Ordering::Relaxed)
    }
}

/// The connection from one other shard to the receiving shard.
pub struct ForwardLink {
    shard: ShardId,
    origin: Box<dyn Origin>,
    filter: ForwardFilter,
    publisher: Publisher,
    status: Arc<ForwardLinkStatus>,
    body: Box<[u8]>,
}

impl ForwardLink {
    /// Creates a link that forwards from `origin`, the log of `shard`, what `filter` selects, by `publisher`.
    pub fn new(shard: ShardId, origin: Box<dyn Origin>, filter: ForwardFilter, publisher: Publisher) -> Self {
        let (status, body) = (Arc::default(), vec![0; BODY_LENGTH_MAX].into());
        Self { shard, origin, filter, publisher, status, body }
    }

    /// The shard from which it forwards.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The counts of the link, shared with it.
    pub fn status(&self) -> Arc<ForwardLinkStatus> {
        self.status.clone()
    }

    fn forward(&mut self) -> Result<usize, AgentError> {
        let Self { shard, origin, filter, publisher, status, body } = self;
        let (mut forwarded, mut too_long, mut refused) = (0, 0, None);
        let polled = origin.poll(&mut |epoch, frame| {
            if !filter.selects(frame) {
                return ControlFlow::Continue(());
            }
            let Some(length) = wrap(body, *shard, epoch, frame) else {
                too_long += 1;
                return ControlFlow::Continue(());
            };
            match publisher.stage(Forwarded::TEMPLATE_ID, &body[..length], NOT_RECEIVED) {
                Ok(()) => {
                    forwarded += 1;
                    ControlFlow::Continue(())
                }
                Err(refusal) => {
                    refused = Some(refusal);
                    ControlFlow::Break(())
                }
            }
        });
        publisher.commit();
        status.forwarded.fetch_add(forwarded, Ordering::Relaxed);
        status.too_long.fetch_add(too_long, Ordering::Relaxed);
        let polled = polled?;
        match refused {
            None => Ok(polled),
            Some(Refusal::JournalPoisoned | Refusal::Stopped) => Ok(polled),
            Some(refusal) if refusal.is_transient() => Ok(polled),
            Some(refusal) => {
                Err(AgentError::caused_by("an event of another shard could not be submitted", refusal))
            }
        }
    }
}

/// Writes an event as `Forwarded` into `body`. Returns its length, or `None` if it is too long for that.
#[inline]
fn wrap(body: &mut [u8], shard: ShardId, epoch: Epoch, frame: &Frame<'_>) -> Option<usize> {
    const BLOCK: usize = size_of::<Forwarded>();
    let (header, inner) = (frame.header(), frame.body());
    let length = BLOCK + 2 + inner.len();
    let block = Forwarded {
        origin_sequence: frame.sequence().0.into(),
        origin_timestamp: frame.timestamp().0.into(),
        origin_shard: shard.0.into(),
        origin_epoch: epoch.0.into(),
        template_id: header.template_id,
        schema_id: header.schema_id,
        schema_version: header.schema_version,
        block_length: header.block_length,
    };
    let place = body.get_mut(..length)?;
    place[..BLOCK].copy_from_slice(block.as_bytes());
    place[BLOCK..BLOCK + 2].copy_from_slice(&(inner.len() as u16).to_le_bytes());
    place[BLOCK + 2..].copy_from_slice(inner);
    Some(length)
}

/// The agent that forwards the events of other shards to a shard.
pub struct Forwarder {
    name: String,
    links: Vec<ForwardLink>,
}

impl Forwarder {
    /// Creates a forwarder over these links, one for each other shard.
    pub fn new(name: impl Into<String>, links: Vec<ForwardLink>) -> Self {
        Self { name: name.into(), links }
    }
}

impl Agent for Forwarder {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let mut work = 0;
        for link in &mut self.links {
            work += link.forward()?;
        }
        Ok(work)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.links.iter_mut().for_each(|link| link.publisher.finish());
        Ok(())
    }
}
