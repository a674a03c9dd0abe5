//! A shard on one thread whose venue is a file.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_bus::session::SessionEnding;
use stele_bus::{
    Agent, AgentError, Clock, ControlPublisher, Event, Grants, LogRing, ManualClock, NOT_RECEIVED, Publisher,
    RingOptions, Sequencer, SessionBeginning, Timers, Watermark,
};
use stele_journal::{EngineChoice, Journal, JournalOptions};
use stele_replay::{ResumedSession, StrategySubmission};
use stele_risk::{Risk, RiskLimits};
use stele_strategies::registry::{Registry, StrategyKind};
use stele_strategies::{
    AgentOptions, Context, Host, Order, ParameterError, Parameters, RestoreError, SnapshotReader, Strategy,
    StrategyAgent, TradePrint,
};
use stele_venue::{OpenOrder, OrderGateway, OrderInDoubt, Reconciliation, VenueBusy};
use stele_wire::codec::text_field;
use stele_wire::messages::{
    AccountDefinition, Boolean, EndReason, InstrumentDefinition, InstrumentDefinitionLegs, MarketFlags,
    NewOrder, OrderAccepted, OrderFilled, OrderStatus, Side, StrategyDefinition, Trade,
};
use stele_wire::units::{Epoch, Nanos, Price, Quantity};

pub(crate) const ACCOUNT: u32 = 7;
const PATIENCE: Duration = Duration::from_secs(60);

/// Buys five at the price of every trade.
struct Buyer;

const BUYER: StrategyKind = StrategyKind {
    name: "buyer",
    about: "buys five at the price of every trade",
    parameters: &[],
    make: |_: &Parameters| -> Result<Box<dyn Strategy>, ParameterError> { Ok(Box::new(Buyer)) },
};

impl Strategy for Buyer {
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        context.send(Order::limit(trade.instrument, Side::BUY, Quantity(5), trade.price));
    }
    fn snapshot(&self, _: &mut Vec<u8>) {}
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        SnapshotReader::new(state).finish()
    }
}

/// Is woken every millisecond, and buys one then.
struct Waker;

const WAKER: StrategyKind = StrategyKind {
    name: "waker",
    about: "is woken every millisecond, and buys one then",
    parameters: &[],
    make: |_: &Parameters| -> Result<Box<dyn Strategy>, ParameterError> { Ok(Box::new(Waker)) },
};

const MILLISECOND: u64 = 1_000_000;

impl Strategy for Waker {
    fn on_start(&mut self, context: &mut Context<'_>) {
        context.set_timer(Nanos(context.now().0 + MILLISECOND));
    }
    fn on_timer(&mut self, _timer_id: u64, context: &mut Context<'_>) {
        context.send(Order::limit(1, Side::BUY, Quantity(1), Price(100)));
        context.set_timer(Nanos(context.now().0 + MILLISECOND));
    }
    fn snapshot(&self, _: &mut Vec<u8>) {}
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        SnapshotReader::new(state).finish()
    }
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(BUYER).unwrap();
    registry.register(WAKER).unwrap();
    registry
}

/// The venue: a file of the orders that it received and of those that it executed. It outlives every
/// process.
pub(crate) struct Venue {
    directory: PathBuf,
    publisher: Option<Publisher>,
    /// The order at which it hangs for ever, and whether it takes that order first.
    pub(crate) hang_at: Option<(usize, bool)>,
    /// Whether it answers no questions.
    pub(crate) is_away: bool,
    pub(crate) sent: usize,
    pub(crate) answers: Vec<Reconciliation>,
}

impl Venue {
    pub(crate) fn open(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { directory, publisher: None, hang_at: None, is_away: false, sent: 0, answers: Vec::new() }
    }

    fn numbers(&self, file: &str) -> Vec<u64> {
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    fn note(&self, file: &str, id: u64) {
        let path = self.directory.join(file);
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{id}").unwrap();
        file.sync_all().unwrap();
    }

    /// Returns the client order ids of the orders that it received.
    pub(crate) fn given(&self) -> Vec<u64> {
        self.numbers("given")
    }

    /// Executes the last order between two sessions.
    pub(crate) fn execute_the_last(&mut self) {
        self.note("executed", *self.given().last().unwrap());
    }

    fn hang(&self) -> ! {
        File::create(self.directory.join("now")).unwrap();
        loop {
            std::thread::sleep(PATIENCE);
        }
    }

    fn accept(&mut self, order: &OrderInDoubt) {
        let accepted = OrderAccepted {
            instrument: order.instrument.into(),
            side: order.side,
            client_order_id: order.client_order_id.into(),
            venue_order_id: (order.client_order_id & 0xFFFF).into(),
            order_sequence: order.sequence.0.into(),
            account: order.account.into(),
            strategy: order.strategy.into(),
            leaves_quantity: order.leaves.into(),
            cumulative_quantity: 0.into(),
            status: OrderStatus::ACTIVE,
            quantity: order.quantity.into(),
            ..OrderAccepted::NULL
        };
        self.publisher.as_mut().unwrap().offer_message(&accepted, NOT_RECEIVED).unwrap();
    }

    fn fill(&mut self, order: &OrderInDoubt) {
        let fill = OrderFilled {
            instrument: order.instrument.into(),
            side: order.side,
            client_order_id: order.client_order_id.into(),
            order_sequence: order.sequence.0.into(),
            account: order.account.into(),
            strategy: order.strategy.into(),
            leaves_quantity: 0.into(),
            cumulative_quantity: order.quantity.into(),
            status: OrderStatus::DONE,
            execution_id: 1.into(),
            last_price: 101.into(),
            last_quantity: order.leaves.into(),
            ..OrderFilled::NULL
        };
        self.publisher.as_mut().unwrap().offer_message(&fill, NOT_RECEIVED).unwrap();
    }
}

impl stele_venue::Venue for Venue {
    fn submit(&mut self, event: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        let order = event.frame().message::<NewOrder>().map(|order| *order).expect("orders alone");
        self.sent += 1;
        match self.hang_at {
            Some((at, false)) if at == self.sent => self.hang(),
            _ => self.note("given", order.client_order_id.get()),
        }
        if self.hang_at == Some((self.sent, true)) {
            self.hang();
        }
        self.accept(&OrderInDoubt {
            sequence: event.sequence(),
            strategy: order.strategy.get(),
            account: order.account.get(),
            instrument: order.instrument.get(),
            side: order.side,
            client_order_id: order.client_order_id.get(),
            venue_order_id: 0,
            replaced_order_id: 0,
            quantity: order.quantity.get(),
            cumulative: 0,
            leaves: order.quantity.get(),
            is_acknowledged: false,
            cancel: None,
            is_dropped: false,
        });
        Ok(())
    }

    fn reconcile(&mut self, order: &OrderInDoubt, _now: Nanos) -> Result<Reconciliation, VenueBusy> {
        if self.is_away {
            return Err(VenueBusy);
        }
        let id = order.client_order_id;
        let answer = match (self.given().contains(&id), self.numbers("executed").contains(&id)) {
            (false, _) => Reconciliation::Unknown,
            (true, false) => Reconciliation::Working,
            (true, true) => Reconciliation::Done,
        };
        match answer {
            Reconciliation::Working => self.accept(order),
            Reconciliation::Done => self.fill(order),
            Reconciliation::Unknown => {}
        }
        self.answers.push(answer);
        Ok(answer)
    }

    fn do_work(&mut self, _now: Nanos) -> Result<usize, AgentError> {
        Ok(0)
    }
}

pub(crate) struct Shard {
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    control: ControlPublisher,
    feed: Publisher,
    strategies: StrategyAgent<ManualClock>,
    gateway: OrderGateway<Venue, ManualClock>,
    journal: Journal,
    ring: LogRing,
    epoch: u32,
}

impl Shard {
    pub(crate) fn open(path: &Path, epoch: u32, resumed: Option<ResumedSession>, mut venue: Venue) -> Self {
        let now = Nanos(1_700_000_000_000_000_000 + u64::from(epoch) * 60_000_000_000);
        let options = JournalOptions {
            segment_length: 1 << 20,
            engine: EngineChoice::Plain,
            ..JournalOptions::default()
        };
        let opened = Journal::open(path, &options, now).unwrap();
        let start = opened.start;
        let ring = RingOptions { capacity: 1 << 20, ..RingOptions::default() };
        let parts = LogRing::create(&ring, start.position).unwrap();
        let (clock, ring) = (ManualClock::at(now), parts.ring);
        let (host, risk, timers, doubts, numbers) = match resumed {
            Some(ResumedSession { host, risk, timers, open_orders, known, .. }) => {
                let doubts = open_orders.iter().map(OpenOrder::in_doubt).collect();
                (host, risk.in_session(RiskLimits::default()).unwrap(), timers, doubts, known.numbers.last)
            }
            None => {
                let risk = Risk::new(RiskLimits::default());
                (Host::new(registry()), risk, Timers::new(), Vec::new(), Default::default())
            }
        };
        let sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        let mut sequencer = sequencer.with_timers(timers);
        sequencer.continue_numbering(numbers);
        let mut publisher = |id, name| sequencer.publisher(id, name, 64 << 10, Grants::all());
        let (control, feed) = (ControlPublisher::new(publisher(1, "control")), publisher(2, "feed"));
        let (orders, releases) = (publisher(3, "strategies"), publisher(4, "gateway"));
        venue.publisher = Some(publisher(5, "venue"));
        let consumer = sequencer.gating_consumer("reader");
        let strategies = StrategyAgent::new(AgentOptions::default(), host, consumer, orders, clock.clone());
        let mut strategies = strategies;
        strategies.on_start().unwrap();
        let consumer = sequencer.gating_consumer("reader");
        let gateway =
            OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock.clone())
                .with_orders_in_doubt(doubts);
        let (journal, _) = opened.attach(parts.journal).unwrap();
        Self { clock, sequencer, control, feed, strategies, gateway, journal, ring, epoch }
    }

    pub(crate) fn begin(&mut self, is_resumed: bool) {
        self.begin_with("buyer", is_resumed);
    }

    pub(crate) fn begin_with(&mut self, strategy: &str, is_resumed: bool) {
        let accounts = vec![AccountDefinition { account: ACCOUNT.into(), ..AccountDefinition::NULL }];
        let beginning = SessionBeginning::of_epoch(Epoch(self.epoch));
        self.control.begin(&SessionBeginning { accounts, ..beginning }).unwrap();
        let definition = InstrumentDefinition {
            instrument: 1.into(),
            source: 1.into(),
            venue_symbol: text_field("ONE").unwrap(),
            ..InstrumentDefinition::NULL
        };
        self.control.publish(&definition, |tail| tail.group::<InstrumentDefinitionLegs>([])).unwrap();
        let definition = StrategyDefinition {
            strategy: 1.into(),
            order_publisher: 3.into(),
            account: ACCOUNT.into(),
            is_resumed: if is_resumed { Boolean::TRUE } else { Boolean::FALSE },
            name: text_field(strategy).unwrap(),
            ..StrategyDefinition::NULL
        };
        self.control.publish_text(&definition, b"").unwrap();
    }

    pub(crate) fn trade(&mut self, price: i64) {
        let trade = Trade {
            instrument: 1.into(),
            source: 1.into(),
            flags: MarketFlags::LAST,
            price: price.into(),
            quantity: 1.into(),
            ..Trade::NULL
        };
        self.feed.offer_message(&trade, NOT_RECEIVED).unwrap();
    }

    /// Submits what an earlier session left unsent.
    pub(crate) fn submit(&mut self, unsent: &[StrategySubmission]) {
        for submission in unsent {
            self.strategies.resubmit(submission.template_id, &submission.body).unwrap();
        }
    }

    pub(crate) fn venue(&mut self) -> &mut Venue {
        self.gateway.venue()
    }

    pub(crate) fn gateway_in_doubt(&self) -> usize {
        self.gateway.in_doubt()
    }

    fn turn(&mut self) -> usize {
        self.clock.advance(Nanos(10_000));
        let work = self.sequencer.do_work().unwrap()
            + self.strategies.do_work().unwrap()
            + self.gateway.do_work().unwrap();
        self.journal.do_work().unwrap();
        work
    }

    /// Turns for `time` by the shard's clock, and until everything is durable.
    pub(crate) fn run_for(&mut self, time: Nanos) {
        let end = Clock::now(&mut self.clock).0 + time.0;
        while Clock::now(&mut self.clock).0 < end {
            self.turn();
        }
        let start = Instant::now();
        while self.ring.watermarks().durable() < self.ring.watermarks().batched() {
            assert!(start.elapsed() < PATIENCE);
            self.journal.do_work().unwrap();
        }
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
        panic!("not quiet after {PATIENCE:?}");
    }

    pub(crate) fn end(mut self) {
        let (epoch, now) = (Epoch(self.epoch), Clock::now(&mut self.clock));
        let ending = SessionEnding { epoch, reason: EndReason::FINISHED, now, text: "" };
        self.control.end(&ending).unwrap();
        self.settle();
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turn();
        }
        self.journal.stop().unwrap();
    }
}
