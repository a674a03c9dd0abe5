//! The host: everything that strategies need to live, as pure state.
//!
//! A host is fed the events of a log, one after the other, and hands out what its strategies send. It reads no
//! clock, has no thread and does no I/O; so the live agent, a backtest, the check of a trail and recovery all
//! drive the same code, and its whole life is a function of the log:
//!
//! - `SessionStart`: everything about the market is forgotten and every strategy is suspended;
//! - `StrategyDefinition`: with `isResumed` false a new instance starts (in the place of one with the same id, of
//!   which open orders are cancelled), with true the suspended one goes on where it was;
//! - `KillSwitch` engaged for a strategy, its account, its algorithm or all: it is halted, its open orders are
//!   cancelled; released: it starts again;
//! - `SessionEnd`: every strategy is suspended, and nothing can be sent any longer.
//!
//! A strategy that panics has failed: its open orders are cancelled, a `KillSwitch` for it with the reason is
//! submitted, and it is called no more until a definition starts it anew. One that cannot be started is reported
//! in the same way. The others go on. Positions and open orders are kept up whatever state a strategy is in.
//!
//! Nothing is allocated for an event but when more instruments, orders or levels are known than ever before, or a
//! strategy starts or fails.

use crate::account::{Fill, Holding};
use crate::market::{Change, Market};
use crate::order::OPEN_ORDERS_MAX;
use crate::random::Random;
use crate::registry::Registry;
use crate::report::{Report, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{
    Context, Desk, Numbers, OrderIds, OrderSink, Profit, SUBMISSION_LENGTH_MAX, SUBMISSIONS_PER_EVENT_MAX,
    Strategy,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use stele_wire::codec::text;
use stele_wire::messages::{
    Boolean, CancelScope, KillSwitch, OpeningPosition, SessionEnd, SessionStart, Side, StrategyDefinition,
    SwitchState, TimerFired,
};
use stele_wire::{Frame, Price, Sequence};
use zerocopy::little_endian::U32;

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
pub struct Failure {
    /// The strategy.
    pub strategy: u16,
    /// The event at which it failed.
    pub sequence: Sequence,
    /// What happened.
    pub reason: String,
}

struct Seat {
    name: String,
    definition: String,
    strategy: Box<dyn Strategy>,
    desk: Desk,
    state: StrategyState,
}

/// Books, strategies and what belongs to them. See the [module](self).
pub struct Host {
    registry: Registry,
    publisher: Option<u16>,
    market: Market,
    seats: Vec<Seat>,
    numbers: Numbers,
    failures: Vec<Failure>,
    epoch: u16,
}

/// A strategy of a host, for a reader.
#[derive(Clone, Copy)]
pub struct Hosted<'a> {
    /// Its id on the log.
    pub id: u16,
    /// The kind of strategy.
    pub name: &'a str,
    /// What it is at the moment.
    pub state: StrategyState,
    /// Positions, orders, parameters.
    pub desk: &'a Desk,
}

/// What a strategy has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategySummary {
    /// Its id on the log.
    pub id: u16,
    /// The kind of strategy.
    pub name: String,
    /// What it is at the moment.
    pub state: StrategyState,
    /// What it has earned.
    pub profit: Profit,
    /// Instruments it has traded, in the order of the first trade.
    pub holdings: Vec<HoldingSummary>,
    /// Orders that are still open.
    pub open_orders: usize,
    /// Requests that it made and that were not sent: see [`Desk::withheld`].
    pub withheld: u64,
}

/// What a strategy holds of one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldingSummary {
    /// The instrument.
    pub instrument: u32,
    /// The venue's symbol; empty when there was no definition.
    pub symbol: String,
    /// Position, average price, fills.
    pub holding: Holding,
    /// What a unit is worth now.
    pub mark: Option<Price>,
    /// What it has brought.
    pub profit: Profit,
}

/// One event as the strategies are to handle it.
struct Occurrence<'e> {
    frame: &'e Frame<'e>,
    change: Change,
    report: Option<Report>,
    timer: Option<(u16, u64)>,
}

impl Host {
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
    pub fn observe(&mut self, frame: &Frame<'_>) -> Change {
        if frame.is_padding() { Change::default() } else { self.market.apply(frame) }
    }

    /// The second half of [`Host::handle`]: strategies are started, stopped and called.
    #[inline]
    pub fn decide(&mut self, frame: &Frame<'_>, change: Change, out: &mut dyn OrderSink) {
        if frame.is_padding() {
            return;
        }
        let mut occurrence = Occurrence { frame, change, report: None, timer: None };
        if frame.template_id() > MARKET_DATA_TEMPLATES {
            self.govern(&mut occurrence, out);
        }
        for seat in &mut self.seats {
            if let Some(failure) = seat.handle(&occurrence, &self.market, &mut self.numbers, out) {
                self.failures.push(failure);
            }
        }
    }

    /// Most submissions that one event can lead to, each of at most [`SUBMISSION_LENGTH_MAX`] bytes.
    pub fn submissions_max(&self) -> usize {
        (self.seats.len() + 1) * SUBMISSIONS_PER_STRATEGY_MAX
    }

    /// The strategies, in the order of their first definition.
    pub fn strategies(&self) -> impl Iterator<Item = Hosted<'_>> {
        self.seats.iter().map(|seat| Hosted {
            id: seat.desk.ids.strategy,
            name: &seat.name,
            state: seat.state,
            desk: &seat.desk,
        })
    }

    /// What each strategy has come to.
    pub fn summaries(&self) -> Vec<StrategySummary> {
        self.strategies().map(|hosted| hosted.summary(&self.market)).collect()
    }

    /// Everything known of the market.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// What went wrong with strategies so far.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Events that are about strategies and orders rather than the market.
    fn govern(&mut self, occurrence: &mut Occurrence<'_>, out: &mut dyn OrderSink) {
        let frame = occurrence.frame;
        match frame.template_id() {
            SessionStart::TEMPLATE_ID => {
                let epoch = frame.message::<SessionStart>().map_or(0, |start| start.epoch.get());
                self.epoch = epoch as u16;
                self.market.clear();
                self.numbers.given.clear();
                self.seats.iter_mut().for_each(Seat::suspend);
            }
            SessionEnd::TEMPLATE_ID => {
                for seat in &mut self.seats {
                    seat.desk.budget = 0;
                    let failure = seat.stop(frame, &self.market, &mut self.numbers, out);
                    self.failures.extend(failure);
                    seat.suspend();
                }
            }
            StrategyDefinition::TEMPLATE_ID => self.define(frame, out),
            KillSwitch::TEMPLATE_ID => self.switch(frame, out),
            OpeningPosition::TEMPLATE_ID => self.open_position(frame),
            TimerFired::TEMPLATE_ID => {
                let fired = frame.message::<TimerFired>();
                occurrence.timer = fired.map(|fired| (fired.strategy.get(), fired.timer_id.get()));
            }
            _ => occurrence.report = Report::read(frame),
        }
    }

    fn define(&mut self, frame: &Frame<'_>, out: &mut dyn OrderSink) {
        let Some(definition) = frame.message::<StrategyDefinition>() else { return };
        let publisher = definition.order_publisher.get();
        if self.publisher.is_some_and(|own| own != publisher) {
            return;
        }
        let id = definition.strategy.get();
        let old = self.seats.iter().position(|seat| seat.desk.ids.strategy == id);
        let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
        let outcome = if definition.is_resumed == Boolean::TRUE {
            self.resume(old, text(&definition.name), parameters)
        } else {
            self.start(old, &definition, parameters, frame, out)
        };
        if let Err(reason) = outcome {
            report_failure(id, &reason, &mut self.numbers, publisher, out);
            self.failures.push(Failure { strategy: id, sequence: frame.sequence(), reason });
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
                seat.desk.ids = OrderIds { epoch: self.epoch, given: 0, ..seat.desk.ids };
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
            if seat.desk.ids.epoch == self.epoch {
                ids = seat.desk.ids;
            }
        }
        let name = text(&definition.name);
        let kind = self.registry.find(name).map_err(|unknown| unknown.to_string())?;
        let (parameters, strategy) =
            kind.start(text_of_parameters).map_err(|error| format!("{name}: {error}"))?;
        let desk = Desk {
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
        };
        let (name, definition) = (name.to_owned(), text_of_parameters.to_owned());
        let seat = Seat { name, definition, strategy, desk, state: StrategyState::Running };
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
                CancelScope::STRATEGY => scope_id == u32::from(seat.desk.ids.strategy),
                CancelScope::ACCOUNT => scope_id == seat.desk.account_id,
                CancelScope::ALGORITHM => scope_id == seat.desk.algorithm,
                _ => false,
            };
            if !covers {
                continue;
            }
            seat.desk.budget = SUBMISSIONS_PER_EVENT_MAX;
            let failure = match (switch.state, seat.state) {
                (SwitchState::ENGAGED, StrategyState::Running) => {
                    let failure = seat.stop(frame, &self.market, &mut self.numbers, out);
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
        let seat = self.seats.iter_mut().find(|seat| seat.desk.ids.strategy == opening.strategy.get());
        if let Some(seat) = seat.filter(|_| instrument != 0 && quantity != i64::MAX) {
            let scale = self.market.instrument(instrument).map(|known| known.scale()).unwrap_or_default();
            let realised = match opening.realised.get() {
                i64::MAX => 0,
                amount => scale.notional(amount),
            };
            seat.desk.account.open(instrument, quantity, Price(opening.average_price.get()), realised);
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

impl Seat {
    /// Takes one event in and lets the strategy act on it. Gives its failure, if it failed.
    #[inline]
    fn handle(
        &mut self,
        occurrence: &Occurrence<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Option<Failure> {
        let id = self.desk.ids.strategy;
        let report = occurrence.report.filter(|report| {
            let owner =
                if report.strategy != 0 { report.strategy } else { (report.client_order_id >> 48) as u16 };
            owner == id
        });
        if let Some(report) = &report {
            self.desk.take_in(report);
        }
        self.desk.budget = SUBMISSIONS_PER_EVENT_MAX;
        if self.state != StrategyState::Running {
            return None;
        }
        let Change { book, trade } = occurrence.change;
        self.run(occurrence.frame, market, numbers, out, |strategy, context| {
            strategy.on_event(occurrence.frame, context);
            if let Some(trade) = &trade {
                strategy.on_trade(trade, context);
            }
            if let Some(report) = &report {
                strategy.on_report(report, context);
            }
            if let Some((_, timer_id)) = occurrence.timer.filter(|(owner, _)| *owner == id) {
                strategy.on_timer(timer_id, context);
            }
            if let Some(instrument) = book {
                strategy.on_book(instrument, context);
            }
        })
    }

    /// Calls the strategy. When it panics it has failed: its orders are cancelled and the reason is submitted.
    #[inline]
    fn run(
        &mut self,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
        call: impl FnOnce(&mut dyn Strategy, &mut Context<'_>),
    ) -> Option<Failure> {
        let (now, cause) = (frame.timestamp(), frame.sequence());
        let mut context = Context { now, cause, market, desk: &mut self.desk, numbers, out };
        let strategy = &mut *self.strategy;
        // A strategy that panicked is never called again, so that its broken state is never seen; the context's
        // parts are changed by whole steps.
        let panic = catch_unwind(AssertUnwindSafe(|| call(strategy, &mut context))).err()?;
        Some(self.fail(&*panic, frame, market, numbers, out))
    }

    #[cold]
    fn fail(
        &mut self,
        panic: &(dyn std::any::Any + Send),
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Failure {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let reason = format!("{} panicked: {said}", self.name);
        self.state = StrategyState::Failed;
        let (now, cause) = (frame.timestamp(), frame.sequence());
        let (id, publisher) = (self.desk.ids.strategy, self.desk.publisher);
        Context { now, cause, market, desk: &mut self.desk, numbers, out }.cancel_all();
        report_failure(id, &reason, numbers, publisher, out);
        Failure { strategy: id, sequence: cause, reason }
    }

    /// Tells the strategy that trading ends, then cancels what is open, unless nothing can be sent any longer.
    fn stop(
        &mut self,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Option<Failure> {
        if self.state != StrategyState::Running {
            return None;
        }
        let is_last = frame.template_id() == SessionEnd::TEMPLATE_ID;
        let mut nowhere = |_: u16, _: &[u8]| ();
        let out: &mut dyn OrderSink = if is_last { &mut nowhere } else { out };
        let failure = self.run(frame, market, numbers, out, |strategy, context| {
            strategy.on_stop(context);
            if !is_last {
                context.cancel_all();
            }
        });
        self.desk.budget = SUBMISSIONS_PER_EVENT_MAX;
        failure
    }

    fn suspend(&mut self) {
        if self.state != StrategyState::Failed {
            self.state = StrategyState::Suspended;
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let Desk { ids, publisher, account_id, algorithm, random, account, orders, withheld, .. } =
            &self.desk;
        out.put_bytes(self.name.as_bytes());
        out.put_bytes(self.definition.as_bytes());
        [self.state as u64, ids.strategy.into(), ids.epoch.into(), ids.given.into()]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        [(*publisher).into(), (*account_id).into(), (*algorithm).into(), *withheld]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        random.snapshot(out);
        account.snapshot(out);
        orders.snapshot(out);
        let mut own = Vec::new();
        self.strategy.snapshot(&mut own);
        out.put_bytes(&own);
    }

    fn restore(reader: &mut SnapshotReader<'_>, registry: &Registry) -> Result<Self, RestoreError> {
        const STATES: [StrategyState; 4] =
            [StrategyState::Running, StrategyState::Halted, StrategyState::Suspended, StrategyState::Failed];
        let name = String::from_utf8_lossy(reader.bytes()?).into_owned();
        let definition = String::from_utf8_lossy(reader.bytes()?).into_owned();
        let state = STATES[reader.at_most("state of a strategy", 3)? as usize];
        let ids = OrderIds {
            strategy: reader.at_most("strategy", u16::MAX.into())? as u16,
            epoch: reader.at_most("epoch", u16::MAX.into())? as u16,
            given: reader.at_most("orders", u32::MAX.into())? as u32,
        };
        let unknown = RestoreError::Value { what: "strategy of an unknown kind", found: ids.strategy.into() };
        let kind = registry.find(&name).map_err(|_| unknown)?;
        let (parameters, mut strategy) = kind.start(&definition).map_err(|_| unknown)?;
        let desk = Desk {
            ids,
            publisher: reader.at_most("publisher", u16::MAX.into())? as u16,
            account_id: reader.at_most("account", u32::MAX.into())? as u32,
            algorithm: reader.at_most("algorithm", u32::MAX.into())? as u32,
            withheld: reader.u64()?,
            parameters,
            random: Random::restore(reader)?,
            account: crate::account::Account::restore(reader)?,
            orders: crate::order::OrderTable::restore(reader)?,
            budget: SUBMISSIONS_PER_EVENT_MAX,
        };
        strategy.restore(reader.bytes()?)?;
        Ok(Self { name, definition, strategy, desk, state })
    }
}

impl Hosted<'_> {
    fn summary(&self, market: &Market) -> StrategySummary {
        let holdings = self.desk.account().holdings().map(|(id, holding)| {
            let instrument = market.instrument(id);
            HoldingSummary {
                instrument: id,
                symbol: instrument.map(|known| known.symbol().to_owned()).unwrap_or_default(),
                holding: *holding,
                mark: instrument.and_then(|known| known.mark()),
                profit: Profit::of(holding, instrument),
            }
        });
        StrategySummary {
            id: self.id,
            name: self.name.to_owned(),
            state: self.state,
            profit: self.desk.profit(market),
            holdings: holdings.collect(),
            open_orders: self.desk.orders().iter().len(),
            withheld: self.desk.withheld(),
        }
    }
}

impl Desk {
    /// Positions and open orders take in what became of an order.
    fn take_in(&mut self, report: &Report) {
        self.orders.on_report(report);
        let (Some(price), Some(quantity)) = (report.price, report.quantity) else { return };
        match report.kind {
            ReportKind::Filled if report.instrument != 0 => self.account.fill(Fill {
                sequence: report.sequence,
                execution_id: report.execution_id,
                instrument: report.instrument,
                is_buy: report.side == Side::BUY,
                price,
                quantity,
                fee: report.fee.unwrap_or(0),
            }),
            ReportKind::TradeBusted => {
                self.account.bust(report.fill_sequence, report.execution_id);
            }
            ReportKind::TradeCorrected => {
                let (fill, execution) = (report.fill_sequence, report.execution_id);
                self.account.correct(fill, execution, price, quantity, report.fee);
            }
            _ => {}
        }
    }
}

/// Submits that a strategy is stopped, and why: a kill switch for it, engaged.
#[cold]
fn report_failure(
    strategy: u16,
    reason: &str,
    numbers: &mut Numbers,
    publisher: u16,
    out: &mut dyn OrderSink,
) {
    let switch = KillSwitch {
        scope_id: U32::new(strategy.into()),
        scope: CancelScope::STRATEGY,
        state: SwitchState::ENGAGED,
        ..KillSwitch::NULL
    };
    let mut body = [0; SUBMISSION_LENGTH_MAX];
    let room = SUBMISSION_LENGTH_MAX - size_of::<KillSwitch>() - size_of::<u16>();
    let shown = &reason[..reason.floor_char_boundary(room)];
    let length = switch.encode(&mut body, shown.as_bytes()).expect("the text was cut to the room").len();
    numbers.next(publisher);
    out.submit(KillSwitch::TEMPLATE_ID, &body[..length]);
}
