//! The host: runs strategies as a pure state machine.
//!
//! A host is fed the events of a log, one after the other, and emits what its strategies send. It reads no
//! clock, has no thread and does no I/O. The live agent, a backtest, the check of a trail and recovery drive
//! the same code, so the whole state of a host is a function of the log:
//!
//! - `SessionStart`: everything about this shard's own market is dropped, and every strategy is suspended.
//! - `StrategyDefinition`: with `isResumed` false, a new instance starts; it replaces one with the same id,
//!   whose open orders are cancelled. With `isResumed` true, the suspended instance continues.
//! - `StrategyCommand`: an operator pauses the strategy, resumes it, or sets other parameters ([`Standing`]).
//!   A paused strategy is called for every event; its cancels, timers and alerts are sent, its new orders and
//!   replacements are not. A command that does not apply changes nothing and is counted.
//! - `KillSwitch`: when engaged for a strategy, its account, its algorithm or everything, the strategy is
//!   halted and the sequencer cancels its open orders; when released, the strategy starts again.
//! - `SessionEnd`: every strategy is suspended, and nothing can be sent any more.
//!
//! A strategy that panics has failed: the host submits a `KillSwitch` for it with the reason, its open orders
//! are cancelled, and it is not called until a definition starts it again. A strategy that cannot be
//! started is reported in the same way. The other strategies continue. Positions and open orders are updated
//! in every state.
//!
//! Handling an event allocates only when the number of instruments, orders or levels exceeds its previous
//! maximum, or when a strategy starts, fails or is changed by a command.

mod seat;
mod standing;
mod summary;

pub use seat::{StrategyFailure, StrategyState};
pub use standing::{IgnoredCommand, Standing};
pub use summary::{HoldingSummary, HostedStrategy, StrategyResult};

use crate::market::{Market, MarketChange};
use crate::order::OPEN_ORDERS_MAX;
use crate::random::Random;
use crate::registry::Registry;
use crate::report::OrderReport;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Numbers, OrderIds, OrderSink, SUBMISSIONS_PER_EVENT_MAX, StrategyRecord, Timers};
use seat::{Occurrence, Seat, report_failure};
use stele_wire::codec::text;
use stele_wire::messages::{
    Boolean, CancelOrder, CancelScope, KillSwitch, OpeningPosition, SessionEnd, SessionStart,
    StrategyCommand, StrategyDefinition, SwitchState, TimerFired,
};
use stele_wire::{Frame, Price, Sequence};

/// The number of submissions of one strategy that one event can lead to at most: its own, a cancel for each
/// open order, and the report of its failure.
pub const SUBMISSIONS_PER_STRATEGY_MAX: usize = SUBMISSIONS_PER_EVENT_MAX + OPEN_ORDERS_MAX + 1;

/// The host: order books, strategies and their trading state. See the [module documentation](self).
///
/// # Examples
///
/// ```
/// use stele_strategies::{Host, Registry};
///
/// let host = Host::new(Registry::built_in());
/// assert_eq!(host.strategies().count(), 0);
/// assert!(host.failures().is_empty());
/// ```
///
/// [`crate::StrategyTester`] drives a host by hand.
pub struct Host {
    registry: Registry,
    publisher: Option<u16>,
    market: Market,
    seats: Vec<Seat>,
    numbers: Numbers,
    failures: Vec<StrategyFailure>,
    ignored_commands: u64,
    epoch: u16,
}

impl Host {
    /// Version of the layout that [`Host::snapshot`] writes. It does not cover the strategies' own states.
    pub const STATE_VERSION: u32 = 5;

    /// Makes a host that runs every strategy that the log defines.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            publisher: None,
            market: Market::default(),
            seats: Vec::new(),
            numbers: Numbers::default(),
            failures: Vec::new(),
            ignored_commands: 0,
            epoch: 0,
        }
    }

    /// Makes a host that runs only the strategies that submit through `publisher`.
    pub fn for_publisher(registry: Registry, publisher: u16) -> Self {
        Self { publisher: Some(publisher), ..Self::new(registry) }
    }

    /// Allocates the memory of `instruments` instruments in all, see [`Market::prepare`].
    pub fn prepare(&mut self, instruments: usize) {
        self.market.prepare(instruments);
    }

    /// Handles one event: updates the state, then calls the strategies. Padding changes nothing.
    pub fn handle(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let change = self.observe(frame);
        self.decide(frame, change, out);
    }

    /// The first half of [`Host::handle`]: updates books and trades.
    #[inline]
    pub fn observe(&mut self, frame: &Frame<'_>) -> MarketChange {
        if frame.is_padding() { MarketChange::default() } else { self.market.apply(frame) }
    }

    /// The second half of [`Host::handle`]: starts, stops and calls strategies.
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

    /// The number of submissions that one event can lead to at most, each of at most
    /// [`crate::strategy::SUBMISSION_LENGTH_MAX`] bytes.
    pub fn submissions_max(&self) -> usize {
        (self.seats.len() + 1) * SUBMISSIONS_PER_STRATEGY_MAX
    }

    /// The strategies, in the order of their first definition.
    pub fn strategies(&self) -> impl Iterator<Item = HostedStrategy<'_>> {
        self.seats.iter().map(|seat| HostedStrategy {
            id: seat.record.ids.strategy,
            standing: &seat.standing,
            state: seat.state,
            record: &seat.record,
        })
    }

    /// The result of each strategy so far.
    pub fn summaries(&self) -> Vec<StrategyResult> {
        self.strategies().map(|hosted| hosted.summary(&self.market)).collect()
    }

    /// All instruments and their books.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The number of the last submission that strategies made through a publisher; 0 when there was none.
    pub fn submitted(&self, publisher: u16) -> u64 {
        self.numbers.given.iter().find(|(id, _)| *id == publisher).map_or(0, |(_, given)| *given)
    }

    /// The strategies that failed so far, and why.
    pub fn failures(&self) -> &[StrategyFailure] {
        &self.failures
    }

    /// The number of operators' commands on the log that did not apply: they name a strategy that this host
    /// does not run, or [`IgnoredCommand`] says why not.
    pub fn ignored_commands(&self) -> u64 {
        self.ignored_commands
    }

    /// Handles events about strategies and orders, as opposed to the market.
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
                    seat.record.budget = 0;
                    let failure = seat.stop(frame, &self.market, &mut self.numbers, out);
                    self.failures.extend(failure);
                    seat.suspend();
                }
            }
            StrategyDefinition::TEMPLATE_ID => self.define(frame, out),
            StrategyCommand::TEMPLATE_ID => self.command(frame, out),
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
        let old = self.seats.iter().position(|seat| seat.record.ids.strategy == id);
        let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
        let outcome = if definition.is_resumed == Boolean::TRUE {
            self.resume(old, text(&definition.name), parameters, frame.sequence())
        } else {
            self.start(old, &definition, parameters, frame, out)
        };
        if let Err(reason) = outcome {
            report_failure(id, &reason, &mut self.numbers, publisher, out);
            self.failures.push(StrategyFailure { strategy: id, sequence: frame.sequence(), reason });
        }
    }

    fn command(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let Some(command) = frame.message::<StrategyCommand>() else { return };
        let id = command.strategy.get();
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.record.ids.strategy == id) else {
            self.ignored_commands += 1;
            return;
        };
        seat.record.budget = SUBMISSIONS_PER_EVENT_MAX;
        let (applied, failure) = seat.take_command(&command, frame, &self.market, &mut self.numbers, out);
        self.ignored_commands += u64::from(applied.is_err());
        self.failures.extend(failure);
    }

    fn resume(
        &mut self,
        seat: Option<usize>,
        name: &str,
        parameters: &str,
        sequence: Sequence,
    ) -> Result<(), String> {
        let Some(seat) = seat.map(|at| &mut self.seats[at]) else {
            return Err("there is no instance to resume: define the strategy with isResumed false".into());
        };
        if !seat.standing.is_resumed_by(name, parameters) {
            return Err(format!(
                "{} cannot be resumed under another name or with other parameters",
                seat.standing.name
            ));
        }
        match seat.state {
            StrategyState::Failed => {
                return Err(format!("{} failed and cannot be resumed", seat.standing.name));
            }
            StrategyState::Suspended => {
                seat.record.ids = OrderIds { epoch: self.epoch, given: 0, ..seat.record.ids };
                seat.state = StrategyState::Running;
            }
            StrategyState::Running | StrategyState::Halted => {}
        }
        seat.standing.resume(parameters, sequence);
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
            if seat.record.ids.epoch == self.epoch {
                ids = seat.record.ids;
            }
        }
        let name = text(&definition.name);
        let kind = *self.registry.find(name).map_err(|unknown| unknown.to_string())?;
        let (parameters, strategy) =
            kind.start(text_of_parameters).map_err(|error| format!("{name}: {error}"))?;
        let record = StrategyRecord {
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
            suppressed: 0,
            timers: Timers::default(),
        };
        let before = old.map(|at| &self.seats[at].standing);
        let standing = Standing::begin(name, text_of_parameters, frame.sequence(), before);
        let seat = Seat { kind, standing, strategy, record, state: StrategyState::Running };
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
                CancelScope::STRATEGY => scope_id == u32::from(seat.record.ids.strategy),
                CancelScope::ACCOUNT => scope_id == seat.record.account_id,
                CancelScope::ALGORITHM => scope_id == seat.record.algorithm,
                _ => false,
            };
            if !covers {
                continue;
            }
            seat.record.budget = SUBMISSIONS_PER_EVENT_MAX;
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
        let seat = self.seats.iter_mut().find(|seat| seat.record.ids.strategy == opening.strategy.get());
        if let Some(seat) = seat.filter(|_| instrument != 0 && quantity != i64::MAX) {
            let scale = self.market.instrument(instrument).map(|known| known.scale()).unwrap_or_default();
            let realised = match opening.realised.get() {
                i64::MAX => 0,
                amount => scale.notional(amount),
            };
            seat.record.account.open(instrument, quantity, Price(opening.average_price.get()), realised);
        }
    }

    /// Appends the whole state. A host that is restored from it and fed the events after it equals a host
    /// that was fed all events.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch.into());
        out.put_u64(self.ignored_commands);
        self.market.snapshot(out);
        out.put_u64(self.numbers.given.len() as u64);
        for (publisher, given) in &self.numbers.given {
            out.put_u64((*publisher).into());
            out.put_u64(*given);
        }
        out.put_u64(self.seats.len() as u64);
        self.seats.iter().for_each(|seat| seat.snapshot(out));
    }

    /// Restores the state that [`Host::snapshot`] wrote.
    ///
    /// # Errors
    /// When `state` was not written by [`Host::snapshot`], or names a strategy or parameters that the
    /// registry does not know. The host is then unchanged.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        let epoch = reader.at_most("epoch", u16::MAX.into())? as u16;
        let ignored_commands = reader.u64()?;
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
        self.ignored_commands = ignored_commands;
        Ok(())
    }
}

/// The highest template id of market data; none of these messages controls strategies.
const MARKET_DATA_TEMPLATES: u16 = 199;
