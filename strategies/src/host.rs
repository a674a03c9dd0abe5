//! The host: everything that strategies need to live, as pure state.
//!
//! A host is fed the events of a log, one after the other, and hands out what its strategies send. It reads no
//! clock, has no thread and does no I/O; so the live agent, a backtest, the check of a trail and recovery all
//! drive the same code, and its whole life is a function of the log:
//!
//! - `SessionStart`: everything about this shard's own market is forgotten and every strategy is suspended;
//! - `StrategyDefinition`: with `isResumed` false a new instance starts (in the place of one with the same id, of
//!   which open orders are cancelled), with true the suspended one goes on where it was;
//! - `KillSwitch` engaged for a strategy, its account, its algorithm or all: it is halted, and the sequencer cancels
//!   its open orders; released: it starts again;
//! - `SessionEnd`: every strategy is suspended, and nothing can be sent any longer.
//!
//! A strategy that panics has failed: a `KillSwitch` for it with the reason is submitted, for which its open orders are
//! cancelled, and it is called no more until a definition starts it anew. One that cannot be started is reported
//! in the same way. The others go on. Positions and open orders are kept up whatever state a strategy is in.
//!
//! Nothing is allocated for an event but when more instruments, orders or levels are known than ever before, or a
//! strategy starts or fails.

mod seat;
mod summary;

pub use summary::{HoldingSummary, StrategyResult};

use crate::market::{Market, MarketChange};
use crate::order::OPEN_ORDERS_MAX;
use crate::random::Random;
use crate::registry::Registry;
use crate::report::OrderReport;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Numbers, OrderIds, OrderSink, SUBMISSIONS_PER_EVENT_MAX, Timers, TradingState};
use seat::{Occurrence, Seat, report_failure};
use stele_wire::codec::text;
use stele_wire::messages::{
    Boolean, CancelOrder, CancelScope, KillSwitch, OpeningPosition, SessionEnd, SessionStart,
    StrategyDefinition, SwitchState, TimerFired,
};
use stele_wire::{Frame, Price, Sequence};

/// Submissions of one strategy that one event can lead to at most: its own, a cancel for each open order, and
/// the report of its failure.
pub const SUBMISSIONS_PER_STRATEGY_MAX: usize = SUBMISSIONS_PER_EVENT_MAX + OPEN_ORDERS_MAX + 1;

/// What a strategy is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StrategyState {
    /// It is called for every event.
    Running,
    /// A kill switch holds it.
    Halted,
    /// The session it ran in is over.
    Suspended,
    /// It panicked, or could not be started.
    Failed,
}

/// Why a strategy does not run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyFailure {
    /// The strategy.
    pub strategy: u16,
    /// The event at which it failed.
    pub sequence: Sequence,
    /// What happened.
    pub reason: String,
}

/// Books, strategies and what belongs to them. See the [module](self).
pub struct Host {
    registry: Registry,
    publisher: Option<u16>,
    market: Market,
    seats: Vec<Seat>,
    numbers: Numbers,
    failures: Vec<StrategyFailure>,
    epoch: u16,
}

/// A strategy of a host, for a reader.
#[derive(Clone, Copy)]
pub struct HostedStrategy<'a> {
    /// Its id on the log.
    pub id: u16,
    /// The kind of strategy.
    pub name: &'a str,
    /// The parameters as its definition has them.
    pub definition: &'a str,
    /// What it is at the moment.
    pub state: StrategyState,
    /// Positions, orders, parameters.
    pub trading: &'a TradingState,
}

impl Host {
    /// Version of the layout that [`Host::snapshot`] writes, without what each strategy writes of its own.
    pub const STATE_VERSION: u32 = 4;

    /// A host of every strategy that the log defines.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            publisher: None,
            market: Market::default(),
            seats: Vec::new(),
            numbers: Numbers::default(),
            failures: Vec::new(),
            epoch: 0,
        }
    }

    /// A host of those strategies only whose orders are submissions of `publisher`.
    pub fn for_publisher(registry: Registry, publisher: u16) -> Self {
        Self { publisher: Some(publisher), ..Self::new(registry) }
    }

    /// Handles one event: takes it into the state, then lets the strategies act. Padding changes nothing.
    pub fn handle(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let change = self.observe(frame);
        self.decide(frame, change, out);
    }

    /// The first half of [`Host::handle`]: books and trades take the event in.
    #[inline]
    pub fn observe(&mut self, frame: &Frame<'_>) -> MarketChange {
        if frame.is_padding() { MarketChange::default() } else { self.market.apply(frame) }
    }

    /// The second half of [`Host::handle`]: strategies are started, stopped and called.
    #[inline]
    pub fn decide(&mut self, frame: &Frame<'_>, change: MarketChange, out: &mut dyn OrderSink) {
        if frame.is_padding() {
            return;
        }
        let mut occurrence = Occurrence { frame, change, report: None, timer: None, cancel: None };
        if frame.template_id() > MARKET_DATA_TEMPLATES && frame.is_stele() {
            self.govern(&mut occurrence, out);
        }
        for seat in &mut self.seats {
            if let Some(failure) = seat.handle(&occurrence, &self.market, &mut self.numbers, out) {
                self.failures.push(failure);
            }
        }
    }

    /// Most submissions that one event can lead to, each of at most [`crate::strategy::SUBMISSION_LENGTH_MAX`] bytes.
    pub fn submissions_max(&self) -> usize {
        (self.seats.len() + 1) * SUBMISSIONS_PER_STRATEGY_MAX
    }

    /// The strategies, in the order of their first definition.
    pub fn strategies(&self) -> impl Iterator<Item = HostedStrategy<'_>> {
        self.seats.iter().map(|seat| HostedStrategy {
            id: seat.trading.ids.strategy,
            name: &seat.name,
            definition: &seat.definition,
            state: seat.state,
            trading: &seat.trading,
        })
    }

    /// What each strategy has come to.
    pub fn summaries(&self) -> Vec<StrategyResult> {
        self.strategies().map(|hosted| hosted.summary(&self.market)).collect()
    }

    /// Everything known of the market.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The number of a publisher's last submission by strategies: the next one has the number after it.
    pub fn submitted(&self, publisher: u16) -> u64 {
        self.numbers.given.iter().find(|(id, _)| *id == publisher).map_or(0, |(_, given)| *given)
    }

    /// What went wrong with strategies so far.
    pub fn failures(&self) -> &[StrategyFailure] {
        &self.failures
    }

    /// Events that are about strategies and orders rather than the market.
    fn govern(&mut self, occurrence: &mut Occurrence<'_>, out: &mut dyn OrderSink) {
        let frame = occurrence.frame;
        match frame.template_id() {
            SessionStart::TEMPLATE_ID => {
                let epoch = frame.message::<SessionStart>().map_or(0, |start| start.epoch.get());
                self.epoch = epoch as u16;
                self.market.clear_own();
                self.seats.iter_mut().for_each(Seat::suspend);
            }
            SessionEnd::TEMPLATE_ID => {
                for seat in &mut self.seats {
                    seat.trading.budget = 0;
                    let failure = seat.stop(frame, &self.market, &mut self.numbers, out);
                    self.failures.extend(failure);
                    seat.suspend();
                }
            }
            StrategyDefinition::TEMPLATE_ID => self.define(frame, out),
            KillSwitch::TEMPLATE_ID => self.switch(frame, out),
            OpeningPosition::TEMPLATE_ID => self.open_position(frame),
            CancelOrder::TEMPLATE_ID => {
                let cancel = frame.message::<CancelOrder>().filter(|cancel| cancel.publisher.get() == 0);
                occurrence.cancel =
                    cancel.map(|cancel| (cancel.strategy.get(), cancel.cancelled_order_id.get()));
            }
            TimerFired::TEMPLATE_ID => {
                let fired = frame.message::<TimerFired>();
                occurrence.timer = fired.map(|fired| (fired.strategy.get(), fired.timer_id.get()));
            }
            _ => occurrence.report = OrderReport::read(frame),
        }
    }

    fn define(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let Some(definition) = frame.message::<StrategyDefinition>() else { return };
        let publisher = definition.order_publisher.get();
        if self.publisher.is_some_and(|own| own != publisher) {
            return;
        }
        let id = definition.strategy.get();
        let old = self.seats.iter().position(|seat| seat.trading.ids.strategy == id);
        let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
        let outcome = if definition.is_resumed == Boolean::TRUE {
            self.resume(old, text(&definition.name), parameters)
        } else {
            self.start(old, &definition, parameters, frame, out)
        };
        if let Err(reason) = outcome {
            report_failure(id, &reason, &mut self.numbers, publisher, out);
            self.failures.push(StrategyFailure { strategy: id, sequence: frame.sequence(), reason });
        }
    }

    fn resume(&mut self, seat: Option<usize>, name: &str, parameters: &str) -> Result<(), String> {
        let Some(seat) = seat.map(|at| &mut self.seats[at]) else {
            return Err("there is no instance to resume: define it with isResumed false".into());
        };
        if seat.name != name || seat.definition != parameters {
            return Err(format!(
                "{} cannot be resumed under another name or with other parameters",
                seat.name
            ));
        }
        match seat.state {
            StrategyState::Failed => return Err(format!("{} failed and cannot be resumed", seat.name)),
            StrategyState::Suspended => {
                seat.trading.ids = OrderIds { epoch: self.epoch, given: 0, ..seat.trading.ids };
                seat.state = StrategyState::Running;
            }
            StrategyState::Running | StrategyState::Halted => {}
        }
        Ok(())
    }

    fn start(
        &mut self,
        old: Option<usize>,
        definition: &StrategyDefinition,
        text_of_parameters: &str,
        frame: &Frame<'_>,
        out: &mut dyn OrderSink,
    ) -> Result<(), String> {
        let id = definition.strategy.get();
        let mut ids = OrderIds { strategy: id, epoch: self.epoch, given: 0 };
        if let Some(seat) = old.map(|at| &mut self.seats[at]) {
            if seat.state != StrategyState::Suspended {
                let failure = seat.stop(frame, &self.market, &mut self.numbers, out);
                self.failures.extend(failure);
                seat.state = StrategyState::Failed;
            }
            if seat.trading.ids.epoch == self.epoch {
                ids = seat.trading.ids;
            }
        }
        let name = text(&definition.name);
        let kind = self.registry.find(name).map_err(|unknown| unknown.to_string())?;
        let (parameters, strategy) =
            kind.start(text_of_parameters).map_err(|error| format!("{name}: {error}"))?;
        let trading = TradingState {
            ids,
            publisher: definition.order_publisher.get(),
            account_id: definition.account.get(),
            algorithm: definition.algorithm.get(),
            parameters,
            random: Random::new(definition.seed.get()),
            account: Default::default(),
            orders: Default::default(),
            budget: SUBMISSIONS_PER_EVENT_MAX,
            withheld: 0,
            timers: Timers::default(),
        };
        let (name, definition) = (name.to_owned(), text_of_parameters.to_owned());
        let seat = Seat { name, definition, strategy, trading, state: StrategyState::Running };
        let at = match old {
            Some(at) => {
                self.seats[at] = seat;
                at
            }
            None => {
                self.seats.push(seat);
                self.seats.len() - 1
            }
        };
        let failure = self.seats[at].run(frame, &self.market, &mut self.numbers, out, |strategy, context| {
            strategy.on_start(context);
        });
        self.failures.extend(failure);
        Ok(())
    }

    fn switch(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let Some(switch) = frame.message::<KillSwitch>() else { return };
        for seat in &mut self.seats {
            let scope_id = switch.scope_id.get();
            let covers = match switch.scope {
                CancelScope::ALL => true,
                CancelScope::STRATEGY => scope_id == u32::from(seat.trading.ids.strategy),
                CancelScope::ACCOUNT => scope_id == seat.trading.account_id,
                CancelScope::ALGORITHM => scope_id == seat.trading.algorithm,
                _ => false,
            };
            if !covers {
                continue;
            }
            seat.trading.budget = SUBMISSIONS_PER_EVENT_MAX;
            let failure = match (switch.state, seat.state) {
                (SwitchState::ENGAGED, StrategyState::Running) => {
                    let failure = seat.halt(frame, &self.market, &mut self.numbers, out);
                    if failure.is_none() {
                        seat.state = StrategyState::Halted;
                    }
                    failure
                }
                (SwitchState::RELEASED, StrategyState::Halted) => {
                    seat.state = StrategyState::Running;
                    seat.run(frame, &self.market, &mut self.numbers, out, |strategy, context| {
                        strategy.on_start(context);
                    })
                }
                _ => None,
            };
            self.failures.extend(failure);
        }
    }

    fn open_position(&mut self, frame: &Frame<'_>) {
        let Some(opening) = frame.message::<OpeningPosition>() else { return };
        let (instrument, quantity) = (opening.instrument.get(), opening.quantity.get());
        let seat = self.seats.iter_mut().find(|seat| seat.trading.ids.strategy == opening.strategy.get());
        if let Some(seat) = seat.filter(|_| instrument != 0 && quantity != i64::MAX) {
            let scale = self.market.instrument(instrument).map(|known| known.scale()).unwrap_or_default();
            let realised = match opening.realised.get() {
                i64::MAX => 0,
                amount => scale.notional(amount),
            };
            seat.trading.account.open(instrument, quantity, Price(opening.average_price.get()), realised);
        }
    }

    /// Appends the whole state: a host that is restored from it and fed the events behind it is the same as one
    /// that was fed all of them.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch.into());
        self.market.snapshot(out);
        out.put_u64(self.numbers.given.len() as u64);
        for (publisher, given) in &self.numbers.given {
            out.put_u64((*publisher).into());
            out.put_u64(*given);
        }
        out.put_u64(self.seats.len() as u64);
        self.seats.iter().for_each(|seat| seat.snapshot(out));
    }

    /// Takes the state that [`Host::snapshot`] told.
    ///
    /// # Errors
    /// When `state` is not of such a snapshot, or names a strategy or parameters that the registry does not know;
    /// the host is then as it was.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        let epoch = reader.at_most("epoch", u16::MAX.into())? as u16;
        let market = Market::restore(&mut reader)?;
        let mut numbers = Numbers::default();
        for _ in 0..reader.count("publishers")? {
            numbers.given.push((reader.at_most("publisher", u16::MAX.into())? as u16, reader.u64()?));
        }
        let count = reader.count("strategies")?;
        let seats: Result<Vec<_>, _> =
            (0..count).map(|_| Seat::restore(&mut reader, &self.registry)).collect();
        let seats = seats?;
        reader.finish()?;
        (self.epoch, self.market, self.numbers, self.seats) = (epoch, market, numbers, seats);
        Ok(())
    }
}

/// Template ids up to here are the market's: nothing governs strategies among them.
const MARKET_DATA_TEMPLATES: u16 = 199;
