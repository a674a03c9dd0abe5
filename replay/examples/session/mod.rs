//! The least that a bus of one's own needs, on one thread: a log on a trail, a publisher, and a strategy that reads.
//!
//! ```text
//! feed ──> sequencer ──> ring ──> strategy ──> alerts ──> sequencer
//!                          └────> journal ──> trail
//! ```
//! A system that must be fast has a thread for each, as `stele run` does; the parts and the trail are the same.

use sha2::{Digest, Sha256};
use std::path::Path;
use stele_bus::{Agent, LogRing, NOT_RECEIVED, Publisher, Refusal, RingOptions, Sequencer, UtcClock};
use stele_journal::{Journal, Options};
use stele_risk::{Risk, RiskLimits};
use stele_strategies::{AgentOptions, Host, Registry, StrategyAgent};
use stele_wire::SCHEMA_TEXT;
use stele_wire::codec::{Message, text_field};
use stele_wire::messages::{
    AccountDefinition, AlgorithmDefinition, Boolean, CodeDefinition, CodeDomain, EndReason, SCHEMA_ID,
    SCHEMA_VERSION, SchemaText, SessionEnd, SessionStart, StrategyDefinition,
};
use stele_wire::units::Nanos;
use zerocopy::IntoBytes;

pub(crate) type Error = Box<dyn std::error::Error>;

/// Publishers of the session.
const CONTROL: u16 = 1;
const FEED: u16 = 2;
const STRATEGIES: u16 = 3;

/// Bytes of a schema's text in one event at most.
const SCHEMA_PART: usize = 48 << 10;

/// A schema as it is put on the trail: id, version, text.
pub(crate) type SchemaOnTrail<'a> = (u16, u16, &'a str);

/// A session on a trail.
pub(crate) struct Session {
    sequencer: Sequencer<UtcClock>,
    strategies: StrategyAgent<UtcClock>,
    journal: Journal,
    ring: LogRing,
    control: Publisher,
    feed: Publisher,
    epoch: u32,
}

impl Session {
    /// Begins a trail in the new folder `directory`, on which `schema` explains the messages of the feed.
    pub(crate) fn begin(
        directory: &Path,
        registry: Registry,
        schema: SchemaOnTrail<'_>,
    ) -> Result<Self, Error> {
        let mut clock = UtcClock::new();
        let now = stele_bus::Clock::now(&mut clock);
        let opened = Journal::open(directory, &Options::default(), now)?;
        let start = opened.start;
        let parts = LogRing::create(&RingOptions::default(), start.position)?;
        let mut sequencer = Sequencer::new(&start, parts.writer, clock, Risk::new(RiskLimits::default()))?;
        let mut publisher = |id, name| sequencer.publisher(id, name, 64 << 10);
        let (control, feed, alerts) =
            (publisher(CONTROL, "control"), publisher(FEED, "feed"), publisher(STRATEGIES, "strategies"));
        let consumer = sequencer.gating_consumer("strategies");
        let host = Host::for_publisher(registry, STRATEGIES);
        let strategies = StrategyAgent::new(AgentOptions::default(), host, consumer, alerts, UtcClock::new());
        let (journal, _) = opened.attach(parts.journal)?;
        let epoch = start.identity.epoch.0;
        let mut session = Self { sequencer, strategies, journal, ring: parts.ring, control, feed, epoch };
        session.strategies.on_start()?;
        session.tell_beginning(now, start.identity.shard.0)?;
        session.tell_schema((SCHEMA_ID, SCHEMA_VERSION, SCHEMA_TEXT))?;
        session.tell_schema(schema)?;
        Ok(session)
    }

    fn tell_beginning(&mut self, now: Nanos, shard: u32) -> Result<(), Error> {
        let start = SessionStart {
            start_time: now.0.into(),
            epoch: self.epoch.into(),
            shard: shard.into(),
            schema_version: SCHEMA_VERSION.into(),
            schema_hash: stele_journal::schema_hash(),
            ..SessionStart::NULL
        };
        let mut buffer = [0; 512];
        self.control::<SessionStart>(start.encode(&mut buffer, b"").expect("no configuration fits"))
    }

    fn tell_schema(&mut self, (id, version, text): SchemaOnTrail<'_>) -> Result<(), Error> {
        let parts = text.as_bytes().chunks(SCHEMA_PART);
        let (count, hash) = (parts.len() as u16, Sha256::digest(text).into());
        let mut buffer = vec![0; SCHEMA_PART + 64];
        for (part, text) in (0..).zip(parts) {
            let block = SchemaText {
                schema_id: id.into(),
                schema_version: version.into(),
                part: part.into(),
                parts: count.into(),
                schema_hash: hash,
            };
            self.control::<SchemaText>(block.encode(&mut buffer, text).expect("a part fits"))?;
        }
        Ok(())
    }

    /// Defines the codes of the patterns that alerts name, and starts the strategy `name`.
    pub(crate) fn start(
        &mut self,
        name: &str,
        parameters: &str,
        patterns: &[(u16, &str)],
    ) -> Result<(), Error> {
        for (code, text) in patterns {
            let definition = CodeDefinition {
                code: (*code).into(),
                domain: CodeDomain::PATTERN,
                text: text_field(text).ok_or("a pattern's text is too long")?,
                ..CodeDefinition::NULL
            };
            self.control::<CodeDefinition>(definition.as_bytes())?;
        }
        // Nothing is traded, but whatever decides has an account and an algorithm.
        let account = AccountDefinition { account: 1.into(), ..AccountDefinition::NULL };
        self.control::<AccountDefinition>(account.as_bytes())?;
        let algorithm = AlgorithmDefinition { algorithm: 1.into(), ..AlgorithmDefinition::NULL };
        self.control::<AlgorithmDefinition>(algorithm.as_bytes())?;
        let mut buffer = [0; 1_024];
        let definition = StrategyDefinition {
            strategy: 1.into(),
            order_publisher: STRATEGIES.into(),
            account: 1.into(),
            algorithm: 1.into(),
            is_resumed: Boolean::FALSE,
            name: text_field(name).ok_or("a strategy's name is too long")?,
            ..StrategyDefinition::NULL
        };
        let body =
            definition.encode(&mut buffer, parameters.as_bytes()).map_err(|error| error.to_string())?;
        self.control::<StrategyDefinition>(body)?;
        // Publishers take turns: what explains the feed is on the log before anything of the feed is.
        self.settle()
    }

    fn control<M: Message>(&mut self, body: &[u8]) -> Result<(), Error> {
        while let Err(refusal) = self.control.offer(M::TEMPLATE_ID, body, NOT_RECEIVED) {
            self.turn_or(refusal)?;
        }
        Ok(())
    }

    /// Puts a message on the log, of any schema; waits while there is no room.
    pub(crate) fn publish<M: Message>(&mut self, message: &M) -> Result<(), Error> {
        while let Err(refusal) = self.feed.offer_message(message, NOT_RECEIVED) {
            self.turn_or(refusal)?;
        }
        Ok(())
    }

    fn turn_or(&mut self, refusal: Refusal) -> Result<(), Error> {
        if refusal.is_transient() { self.turn() } else { Err(refusal.into()) }
    }

    /// One duty cycle of each agent.
    fn turn(&mut self) -> Result<(), Error> {
        self.sequencer.do_work()?;
        self.strategies.do_work()?;
        self.journal.do_work().map_err(|failure| failure.to_string())?;
        Ok(())
    }

    /// Turns until the strategy has seen everything and all of it is durable.
    fn settle(&mut self) -> Result<(), Error> {
        let mut quiet = 0;
        while quiet < 3 {
            let work = self.sequencer.do_work()? + self.strategies.do_work()?;
            self.journal.do_work().map_err(|failure| failure.to_string())?;
            let marks = self.ring.watermarks();
            quiet = if work == 0 && marks.durable() == marks.published() { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Ends in order: everything is on the trail and durable.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.settle()?;
        let end = SessionEnd { epoch: self.epoch.into(), reason: EndReason::FINISHED, ..SessionEnd::NULL };
        let mut buffer = [0; 64];
        self.control::<SessionEnd>(end.encode(&mut buffer, b"").expect("no text fits"))?;
        self.settle()?;
        self.strategies.on_stop()?;
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turn()?;
        }
        self.journal.stop().map_err(|failure| failure.to_string())?;
        Ok(())
    }
}
