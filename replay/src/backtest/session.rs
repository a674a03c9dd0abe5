//! The whole system in one thread, in the market's time. One event is sequenced, the exchange and the
//! strategy process it, and everything that follows from it is done before the next event.

use super::BacktestOptions;
use super::tape::{STRATEGY, Tape};
use stele_bus::session::{SessionEnding, StrategyStart};
use stele_bus::{
    Agent, ControlPublisher, EventSink, GatingConsumer, GeometryError, Grants, JournalReader, LogRing,
    ManualClock, NOT_RECEIVED, Publisher, Refusal, RingError, RingOptions, RingParts, Sequencer,
    SequencerStart, SessionBeginning, template,
};
use stele_feed::PendingMessage;
use stele_feed::router::{Outlet, OutletError};
use stele_risk::Risk;
use stele_strategies::host::SUBMISSIONS_PER_STRATEGY_MAX;
use stele_strategies::strategy::SUBMISSION_LENGTH_MAX;
use stele_strategies::{Host, Registry};
use stele_venue::paper_exchange::{PaperExchange, REPORT_LENGTH_MAX};
use stele_wire::messages::{AccountDefinition, EndReason, GrantGroups};
use stele_wire::{Epoch, Identity, Nanos, Position, Sequence};

/// The ids of the publishers on the log of a backtest.
mod publishers {
    pub(super) const SESSION: u16 = 1;
    pub(super) const MARKET: u16 = 2;
    pub(super) const ORDERS: u16 = 3;
    pub(super) const REPORTS: u16 = 4;
}

/// The id of the strategy's account; the id of its algorithm is that of the strategy.
const ACCOUNT: u32 = 1;

/// A backtest has one epoch.
const EPOCH: Epoch = Epoch(1);

/// Control events are short, and each is sequenced before the next, so their ring has room.
const CONTROL_TAKEN: &str = "the ring of the control events is empty";

/// The most words that one submission occupies in a publisher's ring, including its header.
const SUBMISSION_WORDS: usize = SUBMISSION_LENGTH_MAX.div_ceil(8) + 4;

/// The words in the strategy's ring: room for everything that one event may cause.
const ORDER_WORDS: usize = (2 * SUBMISSIONS_PER_STRATEGY_MAX * SUBMISSION_WORDS).next_power_of_two();

/// The words in the rings of the other publishers.
const MESSAGE_WORDS: usize = 32 << 10;

/// The bytes of the log ring: it stays in the cache, and is far larger than what one event may cause.
const RING_LENGTH: usize = 1 << 20;

/// The bytes of market data after which the ring's space is released.
const TAIL_LENGTH: usize = 32 << 10;

/// The most rounds of orders and reports that may follow from one event at one time; more count as endless.
const ROUNDS_MAX: usize = 100_000;

/// Why a session cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The memory of the ring cannot be allocated.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The lengths of the log do not fit together.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// The session of a backtest.
pub(super) struct Session {
    now: Nanos,
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    journal: JournalReader,
    log: GatingConsumer,
    control: Publisher,
    market: Publisher,
    orders: Publisher,
    reports: Publisher,
    exchange: PaperExchange,
    host: Host,
    tape: Tape,
    strategy: String,
    parameters: String,
    seed: u64,
    has_begun: bool,
    began: Nanos,
    /// Messages before the first that has a time; they are played at the time of that one.
    early: Vec<(u16, Vec<u8>)>,
    tail: usize,
    /// The number of market messages played.
    played: u64,
    is_endless: bool,
    delays: u64,
}

impl Session {
    pub(super) fn new(options: &BacktestOptions, registry: &Registry) -> Result<Self, SessionError> {
        let start = SequencerStart {
            identity: Identity::default(),
            next_sequence: Sequence(1),
            position: Position(0),
            last_timestamp: Nanos(0),
            segment_length: 1 << 30,
            block_length: 512,
        };
        let ring = RingOptions { capacity: RING_LENGTH, huge_pages: false };
        let RingParts { writer, journal, .. } = LogRing::create(&ring, start.position)?;
        let clock = ManualClock::at(Nanos(0));
        let mut sequencer = Sequencer::new(&start, writer, clock.clone(), Risk::new(options.risk))?;
        let strategies = GrantGroups::ORDERS | GrantGroups::STRATEGY_OWN;
        let control = sequencer.publisher(publishers::SESSION, "backtest", MESSAGE_WORDS, Grants::session());
        let market = sequencer.publisher(publishers::MARKET, "market", MESSAGE_WORDS, Grants::market());
        let orders = sequencer.publisher(publishers::ORDERS, "strategy", ORDER_WORDS, strategies);
        let reports =
            sequencer.publisher(publishers::REPORTS, "paper exchange", MESSAGE_WORDS, Grants::venue());
        let log = sequencer.gating_consumer("backtest");
        Ok(Self {
            now: Nanos(0),
            clock,
            sequencer,
            journal,
            log,
            control,
            market,
            orders,
            reports,
            exchange: PaperExchange::new(options.paper.clone()),
            host: Host::new(registry.clone()),
            tape: Tape::default(),
            strategy: options.strategy.clone(),
            parameters: options.parameters.clone(),
            seed: options.seed,
            has_begun: false,
            began: Nanos(0),
            early: Vec::new(),
            tail: 0,
            played: 0,
            is_endless: false,
            delays: [options.paper.order_delay, options.paper.report_delay]
                .iter()
                .map(|delay| delay.base + delay.jitter)
                .sum(),
        })
    }

    /// Publishes the session's first events; the strategy runs from now on.
    #[cold]
    fn begin(&mut self) {
        (self.has_begun, self.began) = (true, self.now);
        let identity = Identity { epoch: EPOCH, ..Identity::default() };
        let accounts = vec![AccountDefinition { account: ACCOUNT.into(), ..AccountDefinition::NULL }];
        let session = SessionBeginning { accounts, ..SessionBeginning::new(&identity, self.now) };
        let (name, parameters) = (std::mem::take(&mut self.strategy), std::mem::take(&mut self.parameters));
        let strategy = StrategyStart {
            id: STRATEGY,
            order_publisher: publishers::ORDERS,
            account: ACCOUNT,
            name: &name,
            version: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
            parameters: &parameters,
            is_resumed: false,
        };
        let mut control = self.control();
        control.begin(&session).and_then(|()| control.start_strategy(&strategy)).expect(CONTROL_TAKEN);
        drop(control);
        for (template_id, body) in std::mem::take(&mut self.early) {
            self.play(template_id, &body).expect("the market's ring is empty");
        }
    }

    /// Returns the time since the session began.
    pub(super) fn elapsed(&self) -> Nanos {
        Nanos(if self.has_begun { self.now.0 - self.began.0 } else { 0 })
    }

    /// The number of market messages played so far.
    pub(super) fn played(&self) -> u64 {
        self.played
    }

    /// Whether the strategy sent orders without end at one time.
    pub(super) fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// Sequences a market message and everything that follows from it.
    #[inline]
    fn play(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self.market.offer(template_id, body, self.now)?;
        self.settle();
        self.played += 1;
        self.tail += body.len();
        if self.tail >= TAIL_LENGTH {
            self.release_ring();
        }
        Ok(())
    }

    /// Returns a publisher of control events that sequences each with everything that follows from it.
    fn control(&mut self) -> ControlPublisher<impl EventSink> {
        ControlPublisher::new(|template_id: u16, body: &[u8]| {
            self.control.offer(template_id, body, NOT_RECEIVED)?;
            self.settle();
            Ok(())
        })
    }

    /// Ends the session after the messages in flight to and from the exchange have arrived.
    pub(super) fn end(mut self) -> (Tape, Host) {
        if self.has_begun {
            // Messages in flight when the market ended still arrive; nothing later does.
            let last = Nanos(self.now.0.saturating_add(self.delays));
            while let Some(due) = self.exchange.next_arrival().filter(|due| *due <= last) {
                if !self.turn_at(due) {
                    break;
                }
            }
            let ending = SessionEnding { epoch: EPOCH, reason: EndReason::FINISHED, now: self.now, text: "" };
            self.control().end(&ending).expect(CONTROL_TAKEN);
            self.tape.end(self.now, &self.host);
        }
        (self.tape, self.host)
    }

    /// Processes everything that is due until `time`, each at its own time, and advances the clock to
    /// `time`.
    #[inline]
    fn advance(&mut self, time: Nanos) {
        loop {
            let timer = self.sequencer.next_timer();
            let next = self.exchange.due().map_or(timer, |due| due.min(timer));
            if next > time || !self.turn_at(next) {
                break;
            }
        }
        self.now = self.now.max(time);
        self.clock.set(self.now);
    }

    /// Processes what is due at `time`. Returns whether anything was.
    #[cold]
    fn turn_at(&mut self, time: Nanos) -> bool {
        self.now = self.now.max(time);
        self.clock.set(self.now);
        self.exchange.advance(self.now);
        self.report();
        self.settle() > 0 || self.exchange.due().is_none_or(|due| due > time)
    }

    /// Sequences what was submitted and everything that follows from it, until nothing follows any more.
    #[inline]
    fn settle(&mut self) -> usize {
        let mut work = 0;
        for _ in 0..ROUNDS_MAX {
            work += self.sequencer.do_work().expect("a sequencer cannot fail");
            let Self { log, host, exchange, tape, orders, .. } = self;
            let mut submitted = 0;
            log.poll(usize::MAX, |event| {
                let frame = event.frame();
                tape.time_is(event.timestamp(), host);
                exchange.on_market(&frame);
                if template(event.template_id()).is_some_and(|template| template.waits_for_release) {
                    exchange.on_order(&frame);
                }
                let change = host.observe(&frame);
                host.decide(&frame, change, &mut |template_id: u16, body: &[u8]| {
                    let staged = orders.stage(template_id, body, NOT_RECEIVED);
                    staged.expect("the ring has room for everything that one event may cause");
                    submitted += 1;
                });
                tape.on_event(&frame, host);
            });
            if submitted > 0 {
                orders.commit();
            } else if !self.report() {
                return work;
            }
            self.release_ring();
        }
        self.is_endless = true;
        work
    }

    /// Submits the reports that have arrived. Returns whether there were any.
    #[inline]
    fn report(&mut self) -> bool {
        let Self { exchange, reports, now, .. } = self;
        let mut buffer = [0; REPORT_LENGTH_MAX];
        let mut any = false;
        while let Some(report) = exchange.report() {
            if reports.offer(report.template_id(), report.encode(&mut buffer), *now).is_err() {
                // The ring is full: the rest follows what is sequenced next.
                break;
            }
            exchange.pop_report();
            any = true;
        }
        any
    }

    /// Releases the ring's space: the log is not written to disk, so it is free once every consumer has
    /// read it.
    #[inline]
    fn release_ring(&mut self) {
        let batched = self.journal.ring().watermarks().batched();
        self.journal.advance_written(batched);
        self.journal.advance_durable(batched);
        self.tail = 0;
    }
}

impl Outlet for Session {
    fn id(&self) -> u16 {
        publishers::MARKET
    }

    /// Plays one message at its time. A message without a time follows those before it.
    #[inline]
    fn stage(&mut self, message: PendingMessage<'_>, _received: Nanos) -> Result<(), OutletError> {
        let is_dated = message.due.0 != u64::MAX && message.due.0 != 0;
        if is_dated {
            self.advance(message.due);
        }
        if !self.has_begun {
            if !is_dated {
                self.early.push((message.template_id, message.body.to_vec()));
                return Ok(());
            }
            self.begin();
        }
        self.play(message.template_id, message.body)?;
        if self.is_endless { Err(Refusal::Stopped.into()) } else { Ok(()) }
    }

    fn commit(&mut self) {}

    fn finish(&mut self) {}
}
