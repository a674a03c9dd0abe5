//! Forwarding: what a shard needs of another, as events of its own.
//!
//! ```text
//!  shard 1: ring ── durable ──> Origin ──> Forwarder ──> publisher ──> sequencer of shard 2
//!              └ trail on disk ──┘ (what the ring does not have)
//! ```
//!
//! A [`Forwarder`] belongs to the shard that is told. It reads the log of another shard, an [`Origin`], and submits what
//! is wanted of it as `Forwarded`: the event's own body, with the shard, the epoch, the sequence and the time that it has
//! there. Three rules make that a copy that can be relied on:
//!
//! - **Durable events only.** What the other shard could still lose in a crash is not told on.
//! - **Once, in order, without a gap.** The last sequence that was forwarded stands on the log of the shard that is told;
//!   a forwarder goes on behind it, whoever was restarted.
//! - **Nobody is held up for ever.** While the shard that is told takes nothing, the forwarder holds the ring of the
//!   origin by at most its [lag](crate::bounds::FORWARD_LAG_DIVISOR), then lets it go and reads the rest from the disk.

use crate::bounds::{FORWARD_EVENTS_MAX, FORWARD_LAG_DIVISOR};
use crate::instruments::{InstrumentFields, InstrumentSet};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_bus::{
    Agent, AgentError, Class, ConsumerProgress, GatingConsumer, NOT_RECEIVED, Publisher, Refusal, template,
};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::text;
use stele_wire::messages::{FeedStatus, Forwarded, InstrumentDefinition};
use stele_wire::{Epoch, Frame, Sequence, ShardId};
use zerocopy::IntoBytes;

/// Takes an event of an origin, or breaks: then the event comes again.
pub type EventSink<'t> = dyn FnMut(Epoch, &Frame<'_>) -> ControlFlow<()> + 't;

/// The log of another shard: its durable events in order, each once, padding left out.
pub trait Origin: Send {
    /// Shows some events behind the last one taken, none or as many as the origin sees fit. Returns how many were taken.
    ///
    /// # Errors
    /// What keeps it from reading on.
    fn poll(&mut self, take: &mut EventSink<'_>) -> Result<usize, AgentError>;
}

/// The trail of another shard, for what its ring does not have.
pub trait OriginTrail: Send {
    /// Shows events behind `after`, up to `through` at most, as [`Origin::poll`] does; all of these are durable. Returns
    /// how many were taken, and the last of them.
    ///
    /// # Errors
    /// What keeps it from reading on.
    fn read(
        &mut self,
        after: Sequence,
        through: Sequence,
        take: &mut EventSink<'_>,
    ) -> Result<(usize, Sequence), AgentError>;
}

/// A shard of the same process: its ring in place, its trail for what was there before or was let go.
#[derive(Debug)]
pub struct GatedOrigin<P> {
    consumer: GatingConsumer,
    past: P,
    epoch: Epoch,
    /// Bytes of the ring that it holds at most.
    lag_max: u64,
    /// The last event taken.
    taken: Sequence,
    /// The last event that the consumer has passed. What is between the two is in the past.
    passed: Sequence,
}

impl<P: OriginTrail> GatedOrigin<P> {
    /// An origin that goes on behind `taken`. `consumer` begins with the epoch's first event, which is `first`.
    ///
    /// # Panics
    /// When `taken` is not before `first`.
    pub fn new(consumer: GatingConsumer, epoch: Epoch, first: Sequence, taken: Sequence, past: P) -> Self {
        assert!(taken < first, "event {taken} was forwarded, and the log goes on at {first}");
        let lag_max = (consumer.ring().capacity() / FORWARD_LAG_DIVISOR) as u64;
        Self { consumer, past, epoch, lag_max, taken, passed: Sequence(first.0 - 1) }
    }

    /// How far it has come on the ring.
    pub fn progress(&self) -> ConsumerProgress {
        self.consumer.progress()
    }

    /// Whether it reads from the disk.
    pub fn is_in_the_past(&self) -> bool {
        self.taken < self.passed
    }

    fn read_ring(&mut self, take: &mut EventSink<'_>) -> usize {
        let (durable, epoch) = (self.consumer.ring().watermarks().durable(), self.epoch);
        let (mut count, mut taken) = (0, self.taken);
        // Stopping at an event is no failure: it comes again.
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

    /// Lets the ring go as far as it is held by more than the lag.
    fn let_go(&mut self) -> usize {
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
        let taken = if self.is_in_the_past() {
            let (count, last) = self.past.read(self.taken, self.passed, take)?;
            self.taken = last;
            count
        } else {
            self.read_ring(take)
        };
        let held = self.consumer.ring().watermarks().published().0 - self.consumer.released().0;
        Ok(if held > self.lag_max { taken + self.let_go() } else { taken })
    }
}

/// What is wanted of another shard.
#[derive(Clone, Debug)]
pub struct ForwardFilter {
    /// By symbol; none is every instrument.
    symbols: Option<BTreeSet<String>>,
    /// By template id; none is all market data.
    templates: Option<BTreeSet<u16>>,
    /// The numbers of the instruments wanted, as far as their definitions were seen.
    instruments: InstrumentSet,
    fields: InstrumentFields,
}

impl ForwardFilter {
    /// Events of these `templates` about instruments of these `symbols`; all market data, and every instrument, where
    /// none is named. Definitions of the instruments, and the states of feeds, come with them: books hang on both.
    pub fn new(symbols: &[String], templates: &[u16]) -> Self {
        let symbols = (!symbols.is_empty()).then(|| symbols.iter().cloned().collect());
        let templates = (!templates.is_empty()).then(|| templates.iter().copied().collect());
        let (instruments, fields) = (InstrumentSet::default(), InstrumentFields::default());
        Self { symbols, templates, instruments, fields }
    }

    /// An instrument whose definition was forwarded before.
    pub fn knows(&mut self, instrument: u32, symbol: &str) {
        if self.symbols.as_ref().is_none_or(|symbols| symbols.contains(symbol)) {
            self.instruments.insert(instrument);
        }
    }

    #[inline]
    fn wants(&mut self, frame: &Frame<'_>) -> bool {
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
            None => {
                template(template_id).is_some_and(|known| known.stamped && known.class == Class::MarketData)
            }
            Some(templates) => templates.contains(&template_id),
        };
        is_kind && self.is_about_wanted(self.fields.of(template_id, frame.body()))
    }

    /// What is about the whole market, or about no instrument, is wanted by everyone.
    #[inline]
    fn is_about_wanted(&self, instrument: Option<u32>) -> bool {
        match instrument {
            None | Some(0) => true,
            Some(instrument) => self.symbols.is_none() || self.instruments.contains(instrument),
        }
    }

    #[cold]
    fn defines(&mut self, frame: &Frame<'_>) -> bool {
        let Some(definition) = frame.message::<InstrumentDefinition>() else { return false };
        self.knows(definition.instrument.get(), text(&definition.venue_symbol));
        self.is_about_wanted(Some(definition.instrument.get()))
    }
}

/// What a link has done, for whoever watches. Counters only grow.
#[derive(Debug, Default)]
pub struct ForwardLinkStatus {
    forwarded: AtomicU64,
    too_long: AtomicU64,
}

impl ForwardLinkStatus {
    /// Events handed to the shard that is told.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Events that were wanted and are too long to go in another event.
    pub fn too_long(&self) -> u64 {
        self.too_long.load(Ordering::Relaxed)
    }
}

/// From one shard to another.
pub struct ForwardLink {
    shard: ShardId,
    origin: Box<dyn Origin>,
    wanted: ForwardFilter,
    publisher: Publisher,
    status: Arc<ForwardLinkStatus>,
    body: Box<[u8]>,
}

impl ForwardLink {
    /// From `origin`, the log of `shard`, through `publisher`, what is `wanted`.
    pub fn new(shard: ShardId, origin: Box<dyn Origin>, wanted: ForwardFilter, publisher: Publisher) -> Self {
        let (status, body) = (Arc::default(), vec![0; BODY_LENGTH_MAX].into());
        Self { shard, origin, wanted, publisher, status, body }
    }

    /// The shard that it reads.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Where to see what it has done.
    pub fn status(&self) -> Arc<ForwardLinkStatus> {
        self.status.clone()
    }

    fn forward(&mut self) -> Result<usize, AgentError> {
        let Self { shard, origin, wanted, publisher, status, body } = self;
        let (mut forwarded, mut too_long, mut refused) = (0, 0, None);
        let polled = origin.poll(&mut |epoch, frame| {
            if !wanted.wants(frame) {
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

/// Writes the event as `Forwarded` and gives its length; none when it is too long to go in another.
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

/// The agent that brings a shard what it is told of others.
pub struct Forwarder {
    name: String,
    links: Vec<ForwardLink>,
}

impl Forwarder {
    /// A forwarder over these links, one for each other shard.
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
