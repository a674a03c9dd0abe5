//! A strategy in its host: how it is called, fails and is saved.

use super::standing::{IgnoredCommand, Standing};
use crate::account::{Account, Fill};
use crate::market::{Market, MarketChange};
use crate::order::{OrderState, OrderTable};
use crate::parameters::ParameterError;
use crate::random::Random;
use crate::registry::{Registry, StrategyKind};
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{
    Context, Numbers, OrderIds, OrderSink, SUBMISSION_LENGTH_MAX, SUBMISSIONS_PER_EVENT_MAX, Strategy,
    StrategyRecord, Timers,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use stele_wire::codec::View;
use stele_wire::messages::{
    CancelScope, InstrumentDefinition, KillSwitch, SessionEnd, Side, StrategyCommand, SwitchState,
    TradingStatus,
};
use stele_wire::{Frame, Sequence};
use zerocopy::little_endian::U32;

/// State of a strategy in its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StrategyState {
    /// Running: it is called for every event.
    Running,
    /// Halted by a kill switch.
    Halted,
    /// Suspended: the session that it ran in is over.
    Suspended,
    /// Failed: it panicked, or could not be started.
    Failed,
}

/// The failure of a strategy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyFailure {
    /// Id of the strategy.
    pub strategy: u16,
    /// The event at which it failed.
    pub sequence: Sequence,
    /// The reason, for people.
    pub reason: String,
}

/// A strategy and everything that the host keeps for it.
pub(super) struct Seat {
    pub(super) kind: StrategyKind,
    pub(super) standing: Standing,
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) record: StrategyRecord,
    pub(super) state: StrategyState,
}

/// One event, with everything that the strategies need to handle it.
pub(super) struct Occurrence<'e> {
    pub(super) frame: &'e Frame<'e>,
    pub(super) change: MarketChange,
    pub(super) report: Option<OrderReport>,
    pub(super) timer: Option<(u16, u64)>,
    /// The strategy and order id of an order that the sequencer cancels for a kill switch.
    pub(super) cancel: Option<(u16, u64)>,
}

impl Seat {
    /// Updates the trading state and calls the strategy. Returns the strategy's failure, if it failed.
    #[inline]
    pub(super) fn handle(
        &mut self,
        occurrence: &Occurrence<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Option<StrategyFailure> {
        let id = self.record.ids.strategy;
        let report = occurrence.report.filter(|report| {
            let owner =
                if report.strategy != 0 { report.strategy } else { (report.client_order_id >> 48) as u16 };
            owner == id
        });
        if let Some(report) = &report {
            self.record.take_in(report);
        }
        if let Some((_, order)) = occurrence.cancel.filter(|(owner, _)| *owner == id) {
            self.record.orders.set_state(order, OrderState::Cancelling);
        }
        // A timer that was cancelled in the meantime may have fired already: the strategy is not called for
        // it.
        let timer =
            occurrence.timer.filter(|(owner, timer_id)| *owner == id && self.record.timers.remove(*timer_id));
        self.record.budget = SUBMISSIONS_PER_EVENT_MAX;
        if self.state != StrategyState::Running {
            return None;
        }
        let MarketChange { book, trade } = occurrence.change;
        self.run(occurrence.frame, market, numbers, out, |strategy, context| {
            strategy.on_event(occurrence.frame, context);
            if matches!(
                occurrence.frame.template_id(),
                InstrumentDefinition::TEMPLATE_ID | TradingStatus::TEMPLATE_ID
            ) {
                call_for_conditions(occurrence.frame, strategy, context);
            }
            if let Some(trade) = &trade {
                strategy.on_trade(trade, context);
            }
            if let Some(report) = &report {
                strategy.on_report(report, context);
            }
            if let Some((_, timer_id)) = timer {
                strategy.on_timer(timer_id, context);
            }
            if let Some(instrument) = book {
                strategy.on_book(instrument, context);
            }
        })
    }

    /// Calls the strategy. When it panics, it has failed: the reason is submitted with a kill switch, for
    /// which the sequencer cancels its orders.
    #[inline]
    pub(super) fn run(
        &mut self,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
        call: impl FnOnce(&mut dyn Strategy, &mut Context<'_>),
    ) -> Option<StrategyFailure> {
        let (now, cause) = (frame.timestamp(), frame.sequence());
        let is_paused = self.standing.paused_at.is_some();
        let mut context = Context { now, cause, market, record: &mut self.record, is_paused, numbers, out };
        let strategy = &mut *self.strategy;
        // A strategy that panicked is never called again, so nothing observes its inconsistent state; the
        // parts of the context are only ever changed in whole steps.
        let panic = catch_unwind(AssertUnwindSafe(|| call(strategy, &mut context))).err()?;
        Some(self.fail(&*panic, frame, numbers, out))
    }

    #[cold]
    fn fail(
        &mut self,
        panic: &(dyn std::any::Any + Send),
        frame: &Frame<'_>,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> StrategyFailure {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let reason = format!("{} panicked: {said}", self.standing.name);
        self.state = StrategyState::Failed;
        let (id, publisher) = (self.record.ids.strategy, self.record.publisher);
        report_failure(id, &reason, numbers, publisher, out);
        StrategyFailure { strategy: id, sequence: frame.sequence(), reason }
    }

    /// Applies a command of an operator.
    ///
    /// # Errors
    /// Why the command does not apply; the strategy is then unchanged. When it panicked, it has failed, and
    /// the failure is returned, too.
    #[cold]
    pub(super) fn take_command(
        &mut self,
        command: &View<'_, StrategyCommand>,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> (Result<(), IgnoredCommand>, Option<StrategyFailure>) {
        let (mut standing, mut failure) = (self.standing.clone(), None);
        let applied = standing.apply(command, frame.sequence(), |wanted| {
            if self.state == StrategyState::Failed {
                return Err(IgnoredCommand::Failed);
            }
            let (parameters, _) = self.kind.start(wanted)?;
            let mut outcome = Err(ParameterError::NotWhileRunning);
            failure = self.run(frame, market, numbers, out, |strategy, _| {
                outcome = strategy.set_parameters(&parameters);
            });
            outcome?;
            self.record.parameters = parameters;
            Ok(())
        });
        self.standing = standing;
        (applied, failure)
    }

    /// Calls [`Strategy::on_stop`], then cancels the open orders, unless nothing can be sent any more.
    pub(super) fn stop(
        &mut self,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Option<StrategyFailure> {
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
        self.record.budget = SUBMISSIONS_PER_EVENT_MAX;
        failure
    }

    /// Calls [`Strategy::on_stop`] for a kill switch. The sequencer cancels the open orders.
    pub(super) fn halt(
        &mut self,
        frame: &Frame<'_>,
        market: &Market,
        numbers: &mut Numbers,
        out: &mut dyn OrderSink,
    ) -> Option<StrategyFailure> {
        let failure = self.run(frame, market, numbers, out, |strategy, context| strategy.on_stop(context));
        self.record.budget = SUBMISSIONS_PER_EVENT_MAX;
        failure
    }

    pub(super) fn suspend(&mut self) {
        if self.state != StrategyState::Failed {
            self.state = StrategyState::Suspended;
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let StrategyRecord {
            ids,
            publisher,
            account_id,
            algorithm,
            random,
            account,
            orders,
            withheld,
            suppressed,
            timers,
            ..
        } = &self.record;
        self.standing.snapshot(out);
        [self.state as u64, ids.strategy.into(), ids.epoch.into(), ids.given.into()]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        [(*publisher).into(), (*account_id).into(), (*algorithm).into(), *withheld, *suppressed]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        random.snapshot(out);
        account.snapshot(out);
        orders.snapshot(out);
        timers.snapshot(out);
        let mut own = Vec::new();
        self.strategy.snapshot(&mut own);
        out.put_bytes(&own);
    }

    pub(super) fn restore(
        reader: &mut SnapshotReader<'_>,
        registry: &Registry,
    ) -> Result<Self, RestoreError> {
        const STATES: [StrategyState; 4] =
            [StrategyState::Running, StrategyState::Halted, StrategyState::Suspended, StrategyState::Failed];
        let standing = Standing::restore(reader)?;
        let state = STATES[reader.at_most("state of a strategy", 3)? as usize];
        let ids = OrderIds {
            strategy: reader.at_most("strategy", u16::MAX.into())? as u16,
            epoch: reader.at_most("epoch", u16::MAX.into())? as u16,
            given: reader.at_most("orders", u32::MAX.into())? as u32,
        };
        let unknown = RestoreError::Value { what: "strategy of an unknown kind", found: ids.strategy.into() };
        let kind = *registry.find(&standing.name).map_err(|_| unknown)?;
        let (parameters, mut strategy) = kind.start(&standing.parameters).map_err(|_| unknown)?;
        let record = StrategyRecord {
            ids,
            publisher: reader.at_most("publisher", u16::MAX.into())? as u16,
            account_id: reader.at_most("account", u32::MAX.into())? as u32,
            algorithm: reader.at_most("algorithm", u32::MAX.into())? as u32,
            withheld: reader.u64()?,
            suppressed: reader.u64()?,
            parameters,
            random: Random::restore(reader)?,
            account: Account::restore(reader)?,
            orders: OrderTable::restore(reader)?,
            timers: Timers::restore(reader)?,
            budget: SUBMISSIONS_PER_EVENT_MAX,
        };
        strategy.restore(reader.bytes()?)?;
        Ok(Self { kind, standing, strategy, record, state })
    }
}

/// Calls the methods for definitions and trading phases. Rare events, kept out of the hot path.
#[cold]
fn call_for_conditions(frame: &Frame<'_>, strategy: &mut dyn Strategy, context: &mut Context<'_>) {
    if let Some(definition) = frame.message::<InstrumentDefinition>() {
        strategy.on_definition(definition.instrument.get(), context);
    }
    if let Some(status) = frame.message::<TradingStatus>() {
        strategy.on_status(&status, context);
    }
}

impl StrategyRecord {
    /// Updates positions and open orders by a report.
    fn take_in(&mut self, report: &OrderReport) {
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

/// Submits an engaged kill switch for the strategy, with the reason.
#[cold]
pub(super) fn report_failure(
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
