//! The samples and counts that a backtest records while it runs.

use super::figures::{BacktestFigures, BasisPoints, Changes};
use super::thinned::Thinned;
use crate::summary::{LatencyPercentiles, decimal};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use stele_strategies::{
    ContractScale, Host, HostedStrategy, Instrument, Market, Money, OrderReport, ReportKind,
};
use stele_wire::messages::{
    CancelOrder, Liquidity, MassCancel, NewOrder, OrderStatus, ReplaceOrder, Side, StrategyDefinition,
};
use stele_wire::{Frame, Nanos};

/// The id of the strategy on the log. A tape follows one strategy.
pub(super) const STRATEGY: u16 = 1;

/// The interval between samples of the equity, in the market's time.
pub const SAMPLE_INTERVAL: Nanos = Nanos(1_000_000_000);

/// How long after an execution the mid is compared again: after one second and after ten.
const HORIZONS: [u64; 2] = [1_000_000_000, 10_000_000_000];

const DAY: u64 = 86_400_000_000_000;

/// The number of instruments whose prices, positions and executions are kept for a plot: those traded
/// first.
const INSTRUMENTS_KEPT: usize = 4;

/// The highest latency that is recorded exactly: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// The equity at one time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct EquitySample {
    /// The time in nanoseconds since the epoch.
    pub time: u64,
    /// Profit, less fees.
    #[serde(serialize_with = "decimal")]
    pub equity: Money,
    /// The distance below the highest equity so far; 0 or negative.
    #[serde(serialize_with = "decimal")]
    pub drawdown: Money,
}

/// The mark and the position of an instrument at one time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct QuoteSample {
    /// The time in nanoseconds since the epoch.
    pub time: u64,
    /// Its mark, in units of 1e-9.
    pub price: i64,
    /// The position, a signed mantissa.
    pub position: i64,
}

/// One execution.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ExecutionSample {
    /// The time in nanoseconds since the epoch.
    pub time: u64,
    /// The price, in units of 1e-9.
    pub price: i64,
    /// The quantity, a mantissa.
    pub quantity: u64,
    /// Whether it was bought.
    pub is_buy: bool,
    /// Whether the order rested.
    pub is_maker: bool,
}

/// The series of one instrument that the strategy sent orders in.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct InstrumentSeries {
    /// Its id on the log.
    pub instrument: u32,
    /// The venue's symbol.
    pub symbol: String,
    /// Its marks and positions.
    pub quotes: Thinned<QuoteSample>,
    /// The executions in it.
    pub executions: Thinned<ExecutionSample>,
}

/// The series of one run, thinned for plots.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct BacktestSeries {
    /// The equity, one sample per second.
    pub equity: Thinned<EquitySample>,
    /// The instruments that were traded first.
    pub instruments: Vec<InstrumentSeries>,
    /// The distribution of the time from an order to its first report: upper bounds in nanoseconds, and
    /// counts.
    pub order_to_report: Vec<(u64, u64)>,
}

/// A new order or a replacement, until it is done.
#[derive(Clone, Copy)]
struct Sent {
    time: u64,
    mid: Option<i64>,
    is_answered: bool,
    is_filled: bool,
}

/// An execution whose mid is compared again later.
#[derive(Clone, Copy)]
struct Marked {
    due: u64,
    instrument: u32,
    /// 1 for a purchase, -1 for a sale.
    sign: i64,
    mid: i64,
    quantity: u64,
}

/// Records the samples and counts of one run.
pub(super) struct Tape {
    next_sample: u64,
    last_equity: Money,
    highest: Money,
    drawdown: Money,
    changes: Changes,
    days: usize,
    last_day: u64,
    first: u64,
    last: u64,
    events: u64,
    figures: Counts,
    sent: BTreeMap<u64, Sent>,
    slippage: BasisPoints,
    adverse: [BasisPoints; 2],
    marked: [VecDeque<Marked>; 2],
    latency: Histogram<u64>,
    series: BacktestSeries,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    orders: u64,
    replacements: u64,
    cancels: u64,
    rejected: u64,
    filled_orders: u64,
    fills: u64,
    maker_fills: u64,
    turnover: Money,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            next_sample: u64::MAX,
            last_equity: Money::default(),
            highest: Money::default(),
            drawdown: Money::default(),
            changes: Changes::default(),
            days: 0,
            last_day: 0,
            first: 0,
            last: 0,
            events: 0,
            figures: Counts::default(),
            sent: BTreeMap::new(),
            slippage: BasisPoints::default(),
            adverse: Default::default(),
            marked: Default::default(),
            latency: Histogram::new_with_bounds(1, LATENCY_MAX, 2).expect("the bounds are in order"),
            series: BacktestSeries::default(),
        }
    }
}

/// Returns the only strategy; none before it is defined.
fn strategy(host: &Host) -> Option<HostedStrategy<'_>> {
    host.strategies().next()
}

fn mid(market: &Market, instrument: u32) -> Option<i64> {
    market.book(instrument).and_then(|book| book.mid()).map(|mid| mid.0)
}

fn sign(side: Side) -> i64 {
    if side == Side::BUY { 1 } else { -1 }
}

/// Converts an amount to units of the currency.
fn units(money: Money) -> f64 {
    money.0 as f64 / 1e9
}

impl Tape {
    /// Advances the time to that of the next event; samples that are due before it use the state so far.
    #[inline]
    pub(super) fn time_is(&mut self, time: Nanos, host: &Host) {
        let time = time.0;
        if time >= self.next_sample {
            self.sample_until(time, host);
        }
        for (at, horizon) in self.marked.iter_mut().enumerate() {
            while let Some(marked) = horizon.front().filter(|marked| marked.due <= time) {
                if let Some(mid) = mid(host.market(), marked.instrument) {
                    self.adverse[at].push(marked.sign * (marked.mid - mid), marked.mid, marked.quantity);
                }
                horizon.pop_front();
            }
        }
    }

    /// Counts an event that the exchange and the strategy have processed.
    #[inline]
    pub(super) fn on_event(&mut self, frame: &Frame<'_>, host: &Host) {
        self.events += 1;
        self.last = frame.timestamp().0;
        if frame.template_id() >= StrategyDefinition::TEMPLATE_ID {
            self.on_activity(frame, host);
        }
    }

    #[cold]
    fn on_activity(&mut self, frame: &Frame<'_>, host: &Host) {
        let time = frame.timestamp().0;
        match frame.template_id() {
            StrategyDefinition::TEMPLATE_ID => {
                self.first = time;
                self.next_sample = time + SAMPLE_INTERVAL.0;
                self.series.equity.push(EquitySample { time, equity: Money(0), drawdown: Money(0) });
                self.on_day(time);
            }
            NewOrder::TEMPLATE_ID => {
                let Some(order) = frame.message::<NewOrder>() else { return };
                self.figures.orders += 1;
                let (id, instrument) = (order.client_order_id.get(), order.instrument.get());
                let mid = mid(host.market(), instrument);
                self.sent.insert(id, Sent { time, mid, is_answered: false, is_filled: false });
                self.trade_in(instrument, host.market());
            }
            ReplaceOrder::TEMPLATE_ID => {
                let Some(order) = frame.message::<ReplaceOrder>() else { return };
                self.figures.replacements += 1;
                let replaced = self.sent.get(&order.replaced_order_id.get()).copied();
                let mid = mid(host.market(), order.instrument.get());
                // The report answers a replacement, not a new order.
                let is_filled = replaced.is_some_and(|sent| sent.is_filled);
                let sent = Sent { time, mid, is_answered: true, is_filled };
                self.sent.insert(order.client_order_id.get(), sent);
            }
            CancelOrder::TEMPLATE_ID | MassCancel::TEMPLATE_ID => self.figures.cancels += 1,
            _ => {
                if let Some(report) = OrderReport::read(frame) {
                    self.on_report(&report, time, host);
                }
            }
        }
    }

    fn on_report(&mut self, report: &OrderReport, time: u64, host: &Host) {
        if let Some(sent) = self.sent.get_mut(&report.client_order_id)
            && !std::mem::replace(&mut sent.is_answered, true)
        {
            self.latency.saturating_record(time - sent.time);
        }
        match report.kind {
            ReportKind::Rejected => {
                // An order that the sequencer refused is not on the log itself.
                let was_sent = self.sent.contains_key(&report.client_order_id);
                self.figures.orders += u64::from(!was_sent);
                self.figures.rejected += 1;
            }
            ReportKind::Filled => self.on_fill(report, time, host),
            _ => {}
        }
        if report.status == OrderStatus::DONE {
            self.sent.remove(&report.client_order_id);
        }
        if report.kind == ReportKind::Replaced {
            self.sent.remove(&report.replaced_order_id);
        }
    }

    fn on_fill(&mut self, report: &OrderReport, time: u64, host: &Host) {
        let (Some(price), Some(quantity)) = (report.price, report.quantity) else { return };
        let (market, sign) = (host.market(), sign(report.side));
        let scale = market.instrument(report.instrument).map_or(ContractScale::default(), Instrument::scale);
        let is_maker = report.liquidity == Liquidity::MAKER;
        self.figures.fills += 1;
        self.figures.maker_fills += u64::from(is_maker);
        let notional = i128::from(price.0.unsigned_abs()) * i128::from(quantity.0);
        self.figures.turnover = self.figures.turnover + scale.money(notional);
        if let Some(sent) = self.sent.get_mut(&report.client_order_id) {
            self.figures.filled_orders += u64::from(!std::mem::replace(&mut sent.is_filled, true));
            if let Some(mid) = sent.mid {
                self.slippage.push(sign * (price.0 - mid), mid, quantity.0);
            }
        }
        if let Some(mid) = mid(market, report.instrument) {
            for (horizon, after) in self.marked.iter_mut().zip(HORIZONS) {
                let (instrument, quantity) = (report.instrument, quantity.0);
                horizon.push_back(Marked { due: time + after, instrument, sign, mid, quantity });
            }
        }
        let traded = self.series.instruments.iter_mut().find(|traded| traded.instrument == report.instrument);
        if let Some(traded) = traded {
            let (price, quantity) = (price.0, quantity.0);
            traded.executions.push(ExecutionSample { time, price, quantity, is_buy: sign > 0, is_maker });
        }
        let equity = equity(host);
        self.stand_at(equity);
    }

    /// Updates the highest equity so far and the deepest drawdown below it.
    fn stand_at(&mut self, equity: Money) {
        self.highest = self.highest.max(equity);
        self.drawdown = self.drawdown.max(self.highest - equity);
    }

    fn trade_in(&mut self, instrument: u32, market: &Market) {
        let traded = &mut self.series.instruments;
        if traded.len() < INSTRUMENTS_KEPT && traded.iter().all(|known| known.instrument != instrument) {
            let symbol = market.instrument(instrument).map_or("", Instrument::symbol).to_owned();
            traded.push(InstrumentSeries { instrument, symbol, ..InstrumentSeries::default() });
        }
    }

    fn on_day(&mut self, time: u64) {
        let day = time / DAY + 1;
        self.days += usize::from(day > self.last_day);
        self.last_day = day;
    }

    /// Takes a sample for each interval that ended before `time`; nothing changed since the last event.
    #[cold]
    fn sample_until(&mut self, time: u64, host: &Host) {
        while self.next_sample <= time {
            let at = self.next_sample;
            self.sample(at, host);
            self.next_sample = at + SAMPLE_INTERVAL.0;
        }
        self.on_day(time);
    }

    fn sample(&mut self, time: u64, host: &Host) {
        let equity = equity(host);
        self.changes.push(units(equity - self.last_equity));
        self.last_equity = equity;
        self.stand_at(equity);
        self.series.equity.push(EquitySample { time, equity, drawdown: equity - self.highest });
        let record = strategy(host).map(|strategy| strategy.record);
        for traded in &mut self.series.instruments {
            let known = host.market().instrument(traded.instrument);
            if let Some(price) = known.and_then(Instrument::mark) {
                let position = record.map_or(0, |record| record.account().position(traded.instrument));
                traded.quotes.push(QuoteSample { time, price: price.0, position });
            }
        }
    }

    /// Ends the session.
    pub(super) fn end(&mut self, time: Nanos, host: &Host) {
        self.sample(time.0, host);
        let BacktestSeries { equity, instruments, order_to_report } = &mut self.series;
        equity.close();
        for InstrumentSeries { quotes, executions, .. } in instruments {
            quotes.close();
            executions.close();
        }
        let counted = self.latency.iter_recorded();
        *order_to_report =
            counted.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect();
    }

    /// Returns the number of events on the log, and the times of the first and the last.
    pub(super) fn extent(&self) -> (u64, u64, u64) {
        (self.events, self.first, self.last)
    }

    /// Returns the figures and series of the run.
    pub(super) fn finish(self, host: &Host) -> (BacktestFigures, BacktestSeries) {
        let profit = strategy(host).map(|strategy| strategy.record.profit(host.market())).unwrap_or_default();
        let Counts { orders, replacements, cancels, rejected, fills, maker_fills, turnover, .. } =
            self.figures;
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let figures = BacktestFigures {
            net: profit.net(),
            realised: profit.realised,
            unrealised: profit.unrealised,
            fees: profit.fees,
            drawdown_max: self.drawdown,
            turnover,
            sharpe: self.changes.sharpe(self.days),
            sortino: self.changes.sortino(self.days),
            orders,
            replacements,
            cancels,
            rejected,
            fills,
            maker_fills,
            fill_ratio: ratio(self.figures.filled_orders, orders),
            slippage_bp: self.slippage.mean(),
            adverse_1s_bp: self.adverse[0].mean(),
            adverse_10s_bp: self.adverse[1].mean(),
            order_to_report: LatencyPercentiles::of(&self.latency),
        };
        (figures, self.series)
    }
}

fn equity(host: &Host) -> Money {
    strategy(host).map_or(Money(0), |strategy| strategy.record.profit(host.market()).net())
}
