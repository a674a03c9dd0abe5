//! A whole shard on one thread with a manual clock: feed, sequencer, strategy host, gateway, paper
//! exchange, journal.

use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::session::SessionEnding;
use stele_bus::{
    Agent, ControlPublisher, Grants, LogRing, ManualClock, NOT_RECEIVED, Publisher, RingOptions, Sequencer,
    SessionBeginning, Watermark,
};
use stele_journal::{Journal, JournalOptions, TrailReader};
use stele_replay::StrategySubmission;
use stele_risk::{Risk, RiskLimits};
use stele_strategies::registry::Registry;
use stele_strategies::{AgentOptions, Host, Standing, StrategyAgent};
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_venue::{OrderGateway, PaperVenue};
use stele_wire::codec::text_field;
use stele_wire::frame::seal;
use stele_wire::messages::{
    AccountDefinition, BookLevel, Boolean, EndReason, InstrumentDefinition, MarketFlags, NewOrder, OrderType,
    RiskLimit, SchemaText, Side, SnapshotTaken, StrategyAct, StrategyCommand, StrategyDefinition,
    TimeInForce,
};
use stele_wire::units::{Epoch, Nanos, Position, Sequence};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The strategy's number on the trail.
pub(crate) const STRATEGY: u16 = 1;
const SOURCE: u16 = 1;
const TICK: i64 = 10_000_000;

/// How long the disk may take; it is a real and shared one.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    control: ControlPublisher,
    feed: Publisher,
    strategies: StrategyAgent<ManualClock>,
    gateway: OrderGateway<PaperVenue, ManualClock>,
    journal: Journal,
    ring: LogRing,
    epoch: u32,
}

impl Rig {
    /// Opens a shard over the trail in `path`, with the state of an earlier one if there is one.
    pub(crate) fn open(path: &Path, epoch: u32, resumed: Option<(Host, PaperExchange)>) -> Self {
        Self::open_with(path, epoch, resumed, 4 << 20)
    }

    /// Like `open`, with `segment_length` data bytes per segment.
    pub(crate) fn open_with(
        path: &Path,
        epoch: u32,
        resumed: Option<(Host, PaperExchange)>,
        segment_length: u64,
    ) -> Self {
        let now = Nanos(1_700_000_000_000_000_000 + u64::from(epoch) * 60_000_000_000);
        let options = JournalOptions { segment_length, ..JournalOptions::default() };
        let opened = Journal::open(path, &options, now).unwrap();
        let start = opened.start;
        let ring_options = RingOptions { capacity: 1 << 20, ..RingOptions::default() };
        let parts = LogRing::create(&ring_options, start.position).unwrap();
        let (clock, ring) = (ManualClock::at(now), parts.ring);
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        let mut publisher = |id, name| sequencer.publisher(id, name, 64 << 10, Grants::all());
        let (control, feed) = (ControlPublisher::new(publisher(1, "control")), publisher(2, "feed"));
        let (orders, releases, reports) =
            (publisher(3, "strategies"), publisher(4, "gateway"), publisher(5, "paper"));
        let (host, exchange) = resumed.unwrap_or_else(|| {
            let options = PaperOptions { source: 2, ..PaperOptions::default() };
            (Host::new(Registry::built_in()), PaperExchange::new(options))
        });
        let consumer = sequencer.gating_consumer("reader");
        let strategies = StrategyAgent::new(AgentOptions::default(), host, consumer, orders, clock.clone());
        let venue = PaperVenue::new(exchange, sequencer.gating_consumer("paper exchange"), reports);
        let consumer = sequencer.gating_consumer("reader");
        let gateway =
            OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock.clone());
        let (journal, _) = opened.attach(parts.journal).unwrap();
        Self { clock, sequencer, control, feed, strategies, gateway, journal, ring, epoch }
    }

    /// Begins the session, the instrument and the strategy.
    pub(crate) fn begin(&mut self, name: &str, parameters: &str, is_resumed: bool) {
        let mut buffer = [0; 1024];
        let account = |account| AccountDefinition { account: U32::new(account), ..AccountDefinition::NULL };
        let beginning = SessionBeginning::of_epoch(Epoch(self.epoch));
        let accounts = vec![account(7), account(8)];
        self.control.begin(&SessionBeginning { accounts, ..beginning }).unwrap();
        let definition = InstrumentDefinition {
            instrument: U32::new(1),
            source: U16::new(SOURCE),
            tick: I64::new(TICK),
            currency: *b"USD",
            venue_symbol: text_field("ONE").unwrap(),
            ..InstrumentDefinition::NULL
        };
        let body = definition.encode(&mut buffer, []).unwrap();
        self.feed.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
        self.settle();
        self.define(STRATEGY, name, parameters, is_resumed);
    }

    /// Defines a strategy: a new one, or one to be resumed.
    pub(crate) fn define(&mut self, strategy: u16, name: &str, parameters: &str, is_resumed: bool) {
        let definition = StrategyDefinition {
            strategy: U16::new(strategy),
            order_publisher: U16::new(3),
            account: U32::new(7),
            is_resumed: if is_resumed { Boolean::TRUE } else { Boolean::FALSE },
            seed: U64::new(7),
            name: text_field(name).unwrap(),
            ..StrategyDefinition::NULL
        };
        self.control.publish_text(&definition, parameters.as_bytes()).unwrap();
        self.settle();
    }

    /// Moves a book with three levels a side up and down by a random walk from `seed`, `steps` times.
    pub(crate) fn market(&mut self, seed: u64, steps: u64) {
        self.market_with(seed, steps, |rig, _| rig.settle());
    }

    /// As `market`, with `then` instead of settling after each step, which it is given.
    pub(crate) fn market_with(&mut self, seed: u64, steps: u64, mut then: impl FnMut(&mut Self, u64)) {
        let (mut state, mut mid) = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, 10_000i64);
        let (mut shown, mut drift) = (Vec::new(), 1i64);
        for step in 0..steps {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state.is_multiple_of(17) {
                drift = -drift;
            }
            mid += if state.is_multiple_of(3) { -drift } else { drift };
            let mut levels = Vec::new();
            for depth in 0..3 {
                levels.push((Side::BUY, (mid - 1 - depth) * TICK, 5 + state % 7));
                levels.push((Side::SELL, (mid + 1 + depth) * TICK, 5 + state % 5));
            }
            let gone: Vec<(Side, i64, u64)> = shown
                .iter()
                .filter(|(side, price, _)| !levels.iter().any(|(other, at, _)| (other, at) == (side, price)))
                .map(|(side, price, _)| (*side, *price, 0))
                .collect();
            let updates: Vec<_> = gone.into_iter().chain(levels.iter().copied()).collect();
            for (index, (side, price, quantity)) in updates.iter().enumerate() {
                self.level(*side, *price, *quantity, index + 1 == updates.len());
            }
            shown = levels;
            then(self, step);
        }
    }

    fn level(&mut self, side: Side, price: i64, quantity: u64, is_last: bool) {
        let now = self.clock_now();
        let level = BookLevel {
            venue_time: U64::new(now - 1_000),
            instrument: U32::new(1),
            source: U16::new(SOURCE),
            flags: if is_last { MarketFlags::LAST } else { MarketFlags::EMPTY },
            side,
            price: I64::new(price),
            quantity: U64::new(quantity),
            ..BookLevel::NULL
        };
        self.feed.offer_message(&level, Nanos(now - 300)).unwrap();
    }

    fn clock_now(&mut self) -> u64 {
        stele_bus::Clock::now(&mut self.clock).0
    }

    /// Sends an order of no strategy that rests far from the market.
    pub(crate) fn rest_an_order(&mut self, id: u64) {
        let order = NewOrder {
            account: U32::new(8),
            instrument: U32::new(1),
            client_order_id: U64::new(id),
            side: Side::BUY,
            order_type: OrderType::LIMIT,
            time_in_force: TimeInForce::DAY,
            limit_price: I64::new(TICK),
            quantity: U64::new(3),
            ..NewOrder::NULL
        };
        let mut buffer = [0; 512];
        let body = order.encode(&mut buffer, [], &[], &[]).unwrap();
        self.control.sink().offer(NewOrder::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
        self.settle();
    }

    /// Logs a command of an operator for the strategy, which replaces the parameters that it runs with.
    pub(crate) fn command(&mut self, act: StrategyAct, parameters: &str) {
        self.submit_command(act, parameters);
        self.settle();
    }

    /// As `command`, without waiting until the strategy has seen it.
    pub(crate) fn submit_command(&mut self, act: StrategyAct, parameters: &str) {
        let sets = act == StrategyAct::SET_PARAMETERS;
        let command = StrategyCommand {
            strategy: U16::new(STRATEGY),
            party: U32::new(12),
            approved_by: U32::new(7),
            act,
            previous: U64::new(if sets { self.standing().parameters_at.0 } else { 0 }),
            ..StrategyCommand::NULL
        };
        let logged = self.control.publish(&command, |writer| {
            writer.data::<U16>(parameters.as_bytes())?;
            writer.data::<U16>(b"a test")
        });
        logged.unwrap();
    }

    /// What the host knows about the strategy.
    pub(crate) fn standing(&self) -> Standing {
        let hosted = self.strategies.host().strategies().find(|hosted| hosted.id == STRATEGY);
        hosted.expect("it is defined").standing.clone()
    }

    /// The number of orders that were not sent because the strategy was paused, and of commands ignored.
    pub(crate) fn suppressed_and_ignored(&self) -> (u64, u64) {
        let host = self.strategies.host();
        let suppressed = host.strategies().map(|hosted| hosted.record.suppressed()).sum();
        (suppressed, host.ignored_commands())
    }

    /// Sets a limit.
    pub(crate) fn limit(&mut self, limit: &RiskLimit) {
        self.control.publish(limit, |_| Ok(())).unwrap();
        self.settle();
    }

    /// Submits what an earlier session left unsent.
    pub(crate) fn submit(&mut self, unsent: &[StrategySubmission]) {
        for submission in unsent {
            self.strategies.resubmit(submission.template_id, &submission.body).unwrap();
        }
        self.settle();
    }

    /// Runs one duty cycle of each agent, 10 µs apart. Returns the work of all except the journal.
    pub(crate) fn turn(&mut self) -> usize {
        self.clock.advance(Nanos(10_000));
        let work = self.sequencer.do_work().unwrap()
            + self.strategies.do_work().unwrap()
            + self.gateway.do_work().unwrap();
        self.journal.do_work().unwrap();
        work
    }

    /// Turns until nothing is left to do and everything is durable.
    pub(crate) fn settle(&mut self) {
        let (mut quiet, start) = (0, Instant::now());
        while start.elapsed() < PATIENCE {
            let is_idle = self.turn() == 0;
            let marks = self.ring.watermarks();
            quiet = if is_idle && marks.durable() == marks.published() { quiet + 1 } else { 0 };
            if quiet > 3 {
                return;
            }
        }
        panic!("not quiet after {PATIENCE:?}: {:?}", self.ring.watermarks());
    }

    /// Appends some 150 KiB to the log at once: a schema whose last part never comes.
    pub(crate) fn fill(&mut self) {
        for part in 0..3 {
            let text = SchemaText {
                part: U16::new(part),
                parts: U16::new(u16::MAX),
                schema_hash: [part as u8; 32],
                ..SchemaText::NULL
            };
            self.control.publish_text(&text, &[b'x'; 48 << 10]).unwrap();
        }
        self.settle();
    }

    /// Returns the durable position of the log.
    pub(crate) fn durable(&self) -> Position {
        self.ring.watermarks().durable()
    }

    /// Logs the hash of a snapshot.
    pub(crate) fn log_snapshot(&mut self, sequence: Sequence, hash: [u8; 32]) {
        let taken = SnapshotTaken { snapshot_sequence: U64::new(sequence.0), hash, ..SnapshotTaken::NULL };
        self.control.publish(&taken, |_| Ok(())).unwrap();
        self.settle();
    }

    /// Ends the session in order.
    pub(crate) fn end(mut self) {
        let (epoch, now) = (Epoch(self.epoch), Nanos(self.clock_now()));
        let ending = SessionEnding { epoch, reason: EndReason::FINISHED, now, text: "" };
        self.control.end(&ending).unwrap();
        self.settle();
        self.ring.request_stop();
        let start = Instant::now();
        while !self.ring.is_stopped() && start.elapsed() < PATIENCE {
            self.turn();
        }
        assert!(self.ring.is_stopped());
        self.journal.stop().unwrap();
    }

    /// Ends the session as a kill does.
    pub(crate) fn kill(self) {}
}

/// Returns every event of the trail.
pub(crate) fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = TrailReader::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        all.push(entry.frame.bytes().to_vec());
    }
    all
}

/// Alters the body of the event at `sequence` in its file and corrects its CRC.
pub(crate) fn mend(path: &Path, sequence: Sequence, alter: impl FnOnce(&mut [u8])) {
    let mut reader = TrailReader::open(path).unwrap();
    reader.seek(sequence).unwrap();
    let (position, segment, mut bytes) = {
        let entry = reader.read_next().unwrap().unwrap();
        (entry.position, entry.segment, entry.frame.bytes().to_vec())
    };
    let segment = reader.segments().iter().find(|found| found.header.index == segment).copied().unwrap();
    alter(&mut bytes[stele_wire::bounds::HEADER_LENGTH..]);
    seal(&mut bytes, segment.header.identity.seed());
    let file = path.join(segment.name());
    let mut whole = std::fs::read(&file).unwrap();
    let offset = segment.header.file_offset(position) as usize;
    whole[offset..offset + bytes.len()].copy_from_slice(&bytes);
    std::fs::write(&file, whole).unwrap();
}
