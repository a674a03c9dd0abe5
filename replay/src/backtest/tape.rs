//! What is written down while a backtest runs.

use super::figures::{BasisPoints, Changes, Figures};
use super::thinned::Thinned;
use crate::summary::{Percentiles, decimal};
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

/// The number of the strategy on the log: a tape follows one.
pub(super) const STRATEGY: u16 = 1;

/// The equity is looked at so often, in the market's time.
pub const SAMPLE_INTERVAL: Nanos = Nanos(1_000_000_000);

/// How long after an execution the mid is looked at again: a second and ten.
const HORIZONS: [u64; 2] = [1_000_000_000, 10_000_000_000];

const DAY: u64 = 86_400_000_000_000;

/// Instruments whose prices, positions and executions are kept for a plot; those traded first.
const INSTRUMENTS_KEPT: usize = 4;

/// Highest latency told from higher ones: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// The equity at a time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Sample {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Profit, less fees.
    #[serde(serialize_with = "decimal")]
    pub equity: Money,
    /// How far it is below its highest so far; 0 or negative.
    #[serde(serialize_with = "decimal")]
    pub drawdown: Money,
}

/// An instrument at a time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Quoted {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Its mark, in units of 1e-9.
    pub price: i64,
    /// What is held of it, a signed mantissa.
    pub position: i64,
}

/// An execution.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Execution {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// At which price, in units of 1e-9.
    pub price: i64,
    /// How much, a mantissa.
    pub quantity: u64,
    /// Whether it was bought.
    pub is_buy: bool,
    /// Whether the order rested.
    pub is_maker: bool,
}

/// An instrument that the strategy sent orders in.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Traded {
    /// Its number on the log.
    pub instrument: u32,
    /// The venue's symbol.
    pub symbol: String,
    /// Its mark and what is held of it.
    pub quotes: Thinned<Quoted>,
    /// Executions in it.
    pub executions: Thinned<Execution>,
}

/// Series of one run, thinned for a plot.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Series {
    /// The equity from second to second.
    pub equity: Thinned<Sample>,
    /// The instruments first traded.
    pub instruments: Vec<Traded>,
    /// How many orders were answered within so many nanoseconds: upper bound and count.
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

/// An execution whose mid is looked at again.
#[derive(Clone, Copy)]
struct Marked {
    due: u64,
    instrument: u32,
    /// 1 for what was bought, -1 for what was sold.
    sign: i64,
    mid: i64,
    quantity: u64,
}

/// The tape.
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
    series: Series,
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
            series: Series::default(),
        }
    }
}

/// The only strategy, once it is defined.
fn strategy(host: &Host) -> Option<HostedStrategy<'_>> {
    host.strategies().next()
}

fn mid(market: &Market, instrument: u32) -> Option<i64> {
    market.book(instrument).and_then(|book| book.mid()).map(|mid| mid.0)
}

fn sign(side: Side) -> i64 {
    if side == Side::BUY { 1 } else { -1 }
}

/// An amount in units of the currency.
fn units(money: Money) -> f64 {
    money.0 as f64 / 1e9
}

impl Tape {
    /// The next event is of `time`; what is due before it is written down by what is known until then.
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

    /// An event was taken in by everybody.
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
                self.series.equity.push(Sample { time, equity: Money(0), drawdown: Money(0) });
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
                // Its answer is that to a replacement, not to a new order.
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
                // One that the sequencer refused is nowhere else on the log.
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
            traded.executions.push(Execution { time, price, quantity, is_buy: sign > 0, is_maker });
        }
        let equity = equity(host);
        self.stand_at(equity);
    }

    /// The highest equity so far, and the deepest fall below it.
    fn stand_at(&mut self, equity: Money) {
        self.highest = self.highest.max(equity);
        self.drawdown = self.drawdown.max(self.highest - equity);
    }

    fn trade_in(&mut self, instrument: u32, market: &Market) {
        let traded = &mut self.series.instruments;
        if traded.len() < INSTRUMENTS_KEPT && traded.iter().all(|known| known.instrument != instrument) {
            let symbol = market.instrument(instrument).map_or("", Instrument::symbol).to_owned();
            traded.push(Traded { instrument, symbol, ..Traded::default() });
        }
    }

    fn on_day(&mut self, time: u64) {
        let day = time / DAY + 1;
        self.days += usize::from(day > self.last_day);
        self.last_day = day;
    }

    /// A sample for each interval that ended before `time`: nothing changed since the last event.
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
        self.series.equity.push(Sample { time, equity, drawdown: equity - self.highest });
        let record = strategy(host).map(|strategy| strategy.record);
        for traded in &mut self.series.instruments {
            let known = host.market().instrument(traded.instrument);
            if let Some(price) = known.and_then(Instrument::mark) {
                let position = record.map_or(0, |record| record.account().position(traded.instrument));
                traded.quotes.push(Quoted { time, price: price.0, position });
            }
        }
    }

    /// The session is over.
    pub(super) fn end(&mut self, time: Nanos, host: &Host) {
        self.sample(time.0, host);
        let Series { equity, instruments, order_to_report } = &mut self.series;
        equity.close();
        for Traded { quotes, executions, .. } in instruments {
            quotes.close();
            executions.close();
        }
        let counted = self.latency.iter_recorded();
        *order_to_report =
            counted.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect();
    }

    /// Events on the log, and the times of the first and the last.
    pub(super) fn extent(&self) -> (u64, u64, u64) {
        (self.events, self.first, self.last)
    }

    /// What it all came to.
    pub(super) fn finish(self, host: &Host) -> (Figures, Series) {
        let profit = strategy(host).map(|strategy| strategy.record.profit(host.market())).unwrap_or_default();
        let Counts { orders, replacements, cancels, rejected, fills, maker_fills, turnover, .. } =
            self.figures;
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let figures = Figures {
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
            order_to_report: Percentiles::of(&self.latency),
        };
        (figures, self.series)
    }
}

fn equity(host: &Host) -> Money {
    strategy(host).map_or(Money(0), |strategy| strategy.record.profit(host.market()).net())
}
