//! What a person wants to know of a trail, from one scan over it.
//!
//! Runs on the caller's thread. Latencies are recomputed from the trail alone. An order's cause is recent, so only
//! the receive times of the last [`RECEIVED_WINDOW`] events are kept; an order whose cause lies further back is
//! counted as `untimed`, and so is one whose cause was not received from outside, such as a timer.

use crate::pacer::received_delta;
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use stele_journal::{TrailError, TrailReader};
use stele_strategies::{Account, Fill, Market, Money, Profit};
use stele_wire::codec::text;
use stele_wire::messages::{
    Boolean, CancelOrder, MassCancel, NewOrder, OrderAccepted, OrderCancelled, OrderFilled, OrderRejected,
    OrderReleased, OrderReplaced, ReplaceOrder, SCHEMA_ID, SessionEnd, SessionStart, Side,
    StrategyDefinition, TradeBusted, TradeCorrected, message_name,
};
use stele_wire::{Frame, Price, Quantity, Sequence};

/// Events whose receive times are kept for the orders that they cause.
pub const RECEIVED_WINDOW: usize = 1 << 18;

/// Orders that wait for their release at most; the oldest of more is counted as untimed.
pub const UNRELEASED_MAX: usize = 1 << 16;

const _: () = assert!(RECEIVED_WINDOW.is_power_of_two());

/// Percentiles of a latency in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Percentiles {
    /// How many were measured; with 0 the others say nothing.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// Nine of ten are no longer.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// 9,999 of 10,000.
    pub p9999: u64,
    /// The longest.
    pub max: u64,
}

impl Percentiles {
    /// Those of a histogram in nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            p9999: histogram.value_at_quantile(0.9999),
            max: histogram.max(),
        }
    }
}

/// Events of one type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TypeSummary {
    /// The schema's name.
    pub name: String,
    /// The schema: 1 is Stele's.
    pub schema_id: u16,
    /// The template id.
    pub template_id: u16,
    /// How many.
    pub count: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

fn type_name(schema: u16, template: u16) -> String {
    match message_name(template) {
        Some(name) if schema == SCHEMA_ID => name.to_owned(),
        _ if schema == SCHEMA_ID => format!("template {template}"),
        _ => format!("template {template} of schema {schema}"),
    }
}

/// What became of a strategy's orders.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct OrderSummary {
    /// New orders on the trail, refused ones included.
    pub sent: u64,
    /// Replacements asked for.
    pub replacements: u64,
    /// Cancels and mass cancels asked for.
    pub cancels: u64,
    /// Taken by the venue.
    pub accepted: u64,
    /// Refused, by the venue or before it.
    pub rejected: u64,
    /// The refusals by check.
    pub rejected_by_check: BTreeMap<String, u64>,
    /// Replaced.
    pub replaced: u64,
    /// Gone before they were executed whole.
    pub cancelled: u64,
    /// Executed whole.
    pub filled: u64,
    /// Executions.
    pub fills: u64,
    /// Quantity executed, as mantissas.
    pub volume: u64,
}

/// What a strategy holds of an instrument.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PositionSummary {
    /// The instrument.
    pub instrument: u32,
    /// Its symbol.
    pub symbol: String,
    /// Signed mantissa: positive is long.
    pub quantity: i64,
    /// Average price of what is held, as a decimal.
    pub average_price: Option<String>,
    /// What a unit was worth at the end, as a decimal.
    pub mark: Option<String>,
}

/// A strategy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StrategySummary {
    /// Its number.
    pub strategy: u16,
    /// Its kind.
    pub name: String,
    /// What became of its orders.
    pub orders: OrderSummary,
    /// What it holds, by instrument in the order of its first trade.
    pub positions: Vec<PositionSummary>,
    /// Profit of what was closed, as a decimal.
    #[serde(serialize_with = "decimal")]
    pub realised: Money,
    /// Profit of what is held at the last mark.
    #[serde(serialize_with = "decimal")]
    pub unrealised: Money,
    /// Fees paid.
    #[serde(serialize_with = "decimal")]
    pub fees: Money,
    /// Realised and unrealised, less fees.
    #[serde(serialize_with = "decimal")]
    pub net: Money,
}

/// A trail, or one epoch of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Bytes of their frames, padding not counted.
    pub bytes: u64,
    /// Sequence of the first event.
    pub first_sequence: u64,
    /// Sequence of the last event.
    pub last_sequence: u64,
    /// Time of the first event, nanoseconds UTC.
    pub first_timestamp: u64,
    /// Time of the last event, nanoseconds UTC.
    pub last_timestamp: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Whether the last session ended in order.
    pub has_ended: bool,
    /// Events by type, in the order of their template ids.
    pub types: Vec<TypeSummary>,
    /// Strategies by number; 0 are the orders of no strategy.
    pub strategies: Vec<StrategySummary>,
    /// From the receipt of an order's cause to the order's own sequence.
    pub tick_to_sequenced_order: Percentiles,
    /// From the receipt of an order's cause until the order left the host.
    pub tick_to_released_order: Percentiles,
    /// Orders and cancels whose cause was not received, or too long ago.
    pub untimed: u64,
}

/// Summarises the trail in `directory`, or one epoch of it.
///
/// # Errors
/// [`TrailError`].
pub fn summarise(directory: &Path, epoch: Option<u32>) -> Result<Summary, TrailError> {
    let mut reader = TrailReader::open(directory)?;
    let mut scan = Scan::default();
    while let Some(entry) = reader.read_next()? {
        if epoch.is_none_or(|epoch| entry.epoch.0 == epoch) {
            scan.on_event(&entry.frame);
        }
    }
    Ok(scan.finish())
}

/// The scan, fed event by event.
#[derive(Default)]
pub struct Scan {
    /// Count and bytes by schema and template.
    types: BTreeMap<(u16, u16), (u64, u64)>,
    strategies: BTreeMap<u16, Seat>,
    market: Market,
    latencies: Latencies,
    events: u64,
    bytes: u64,
    first: Option<(u64, u64)>,
    last: (u64, u64),
    sessions: u64,
    has_ended: bool,
}

#[derive(Default)]
struct Seat {
    name: String,
    orders: OrderSummary,
    account: Account,
}

impl Scan {
    /// Takes the next event; padding is passed over.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        if event.is_padding() {
            return;
        }
        let header = event.header();
        let kind = (header.schema_id.get(), header.template_id.get());
        let (count, bytes) = self.types.entry(kind).or_default();
        (*count, *bytes) = (*count + 1, *bytes + event.len() as u64);
        (self.events, self.bytes) = (self.events + 1, self.bytes + event.len() as u64);
        let place = (event.sequence().0, event.timestamp().0);
        self.first.get_or_insert(place);
        self.last = place;
        self.market.apply(event);
        self.latencies.on_event(event);
        if event.is_stele() && event.template_id() >= StrategyDefinition::TEMPLATE_ID {
            self.on_activity(event);
        }
    }

    fn on_activity(&mut self, event: &Frame<'_>) {
        match event.template_id() {
            SessionStart::TEMPLATE_ID => {
                self.market.clear_own();
                (self.sessions, self.has_ended) = (self.sessions + 1, false);
            }
            SessionEnd::TEMPLATE_ID => self.has_ended = true,
            StrategyDefinition::TEMPLATE_ID => {
                let Some(message) = event.message::<StrategyDefinition>() else { return };
                let seat = self.seat(message.strategy.get());
                seat.name = text(&message.name).to_owned();
                if message.is_resumed != Boolean::TRUE {
                    seat.account = Account::default();
                }
            }
            NewOrder::TEMPLATE_ID => self.order(event, |orders| orders.sent += 1),
            ReplaceOrder::TEMPLATE_ID => self.order(event, |orders| orders.replacements += 1),
            CancelOrder::TEMPLATE_ID => self.order(event, |orders| orders.cancels += 1),
            MassCancel::TEMPLATE_ID => self.order(event, |orders| orders.cancels += 1),
            _ => self.on_report(event),
        }
    }

    fn on_report(&mut self, event: &Frame<'_>) {
        match event.template_id() {
            OrderAccepted::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderAccepted>() else { return };
                self.seat(report.strategy.get()).orders.accepted += 1;
            }
            OrderRejected::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderRejected>() else { return };
                let orders = &mut self.seat(report.strategy.get()).orders;
                orders.rejected += 1;
                // One that the sequencer refused is nowhere else on the trail.
                orders.sent += u64::from(report.order_sequence.get() == 0);
                *orders.rejected_by_check.entry(report.check.to_string()).or_default() += 1;
            }
            OrderReplaced::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderReplaced>() else { return };
                self.seat(report.strategy.get()).orders.replaced += 1;
            }
            OrderCancelled::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderCancelled>() else { return };
                let is_gone = report.leaves_quantity.get() == 0;
                self.seat(report.strategy.get()).orders.cancelled += u64::from(is_gone);
            }
            OrderFilled::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderFilled>() else { return };
                self.on_fill(event, &report);
            }
            TradeBusted::TEMPLATE_ID => {
                let Some(report) = event.message::<TradeBusted>() else { return };
                let fill = Sequence(report.fill_sequence.get());
                self.seat(report.strategy.get()).account.bust(fill, report.execution_id.get());
            }
            TradeCorrected::TEMPLATE_ID => {
                let Some(report) = event.message::<TradeCorrected>() else { return };
                let fill = Sequence(report.fill_sequence.get());
                let (price, quantity) =
                    (Price(report.last_price.get()), Quantity(report.last_quantity.get()));
                let fee = Some(report.fee.get()).filter(|fee| *fee != i64::MAX);
                let account = &mut self.seat(report.strategy.get()).account;
                account.correct(fill, report.execution_id.get(), price, quantity, fee);
            }
            _ => {}
        }
    }

    fn on_fill(&mut self, event: &Frame<'_>, report: &OrderFilled) {
        let seat = self.seat(report.strategy.get());
        seat.orders.fills += 1;
        seat.orders.filled += u64::from(report.leaves_quantity.get() == 0);
        seat.orders.volume = seat.orders.volume.saturating_add(report.last_quantity.get());
        if report.instrument.get() == 0 {
            return;
        }
        seat.account.fill(Fill {
            sequence: event.sequence(),
            execution_id: report.execution_id.get(),
            instrument: report.instrument.get(),
            is_buy: report.side == Side::BUY,
            price: Price(report.last_price.get()),
            quantity: Quantity(report.last_quantity.get()),
            fee: Some(report.fee.get()).filter(|fee| *fee != i64::MAX).unwrap_or(0),
        });
    }

    fn order(&mut self, event: &Frame<'_>, count: impl FnOnce(&mut OrderSummary)) {
        if let Some((strategy, _)) = crate::regeneration::origin(event.template_id(), event.body()) {
            count(&mut self.seat(strategy).orders);
        }
    }

    fn seat(&mut self, strategy: u16) -> &mut Seat {
        self.strategies.entry(strategy).or_default()
    }

    /// What was seen.
    pub fn finish(self) -> Summary {
        let market = &self.market;
        let (first_sequence, first_timestamp) = self.first.unwrap_or_default();
        Summary {
            events: self.events,
            bytes: self.bytes,
            first_sequence,
            last_sequence: self.last.0,
            first_timestamp,
            last_timestamp: self.last.1,
            sessions: self.sessions,
            has_ended: self.has_ended,
            types: self
                .types
                .iter()
                .map(|((schema, id), (count, bytes))| TypeSummary {
                    name: type_name(*schema, *id),
                    schema_id: *schema,
                    template_id: *id,
                    count: *count,
                    bytes: *bytes,
                })
                .collect(),
            strategies: self.strategies.into_iter().map(|(id, seat)| seat.finish(id, market)).collect(),
            tick_to_sequenced_order: Percentiles::of(&self.latencies.sequenced),
            tick_to_released_order: Percentiles::of(&self.latencies.released),
            untimed: self.latencies.untimed,
        }
    }
}

impl Seat {
    fn finish(self, strategy: u16, market: &Market) -> StrategySummary {
        let mut profit = Profit::default();
        let mut positions = Vec::new();
        for (instrument, holding) in self.account.holdings() {
            let known = market.instrument(instrument);
            let scale = known.map(|known| known.scale()).unwrap_or_default();
            let mark = known.and_then(|known| known.mark());
            profit.realised = profit.realised + scale.money(holding.realised());
            profit.fees = profit.fees + holding.fees();
            if let Some(mark) = mark {
                profit.unrealised = profit.unrealised + scale.money(holding.unrealised(mark));
            }
            positions.push(PositionSummary {
                instrument,
                symbol: known.map(|known| known.symbol().to_owned()).unwrap_or_default(),
                quantity: holding.quantity(),
                average_price: holding.average_price().map(|price| price.to_string()),
                mark: mark.map(|price| price.to_string()),
            });
        }
        let Profit { realised, unrealised, fees } = profit;
        let net = profit.net();
        StrategySummary {
            strategy,
            name: self.name,
            orders: self.orders,
            positions,
            realised,
            unrealised,
            fees,
            net,
        }
    }
}

/// From the receipt of a cause to what it led to.
struct Latencies {
    /// Receive times by sequence: the entry of a sequence is at its remainder by the length.
    received: Vec<(u64, u64)>,
    /// Orders that have not left: sequence, and when their cause was received.
    unreleased: VecDeque<(u64, u64)>,
    sequenced: Histogram<u64>,
    released: Histogram<u64>,
    untimed: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are possible");
        Self {
            received: vec![(0, 0); RECEIVED_WINDOW],
            unreleased: VecDeque::new(),
            sequenced: histogram(),
            released: histogram(),
            untimed: 0,
        }
    }
}

impl Latencies {
    fn on_event(&mut self, event: &Frame<'_>) {
        let (sequence, timestamp) = (event.sequence().0, event.timestamp().0);
        if let Some(delta) = received_delta(event) {
            self.received[sequence as usize % RECEIVED_WINDOW] =
                (sequence, timestamp.saturating_sub(delta.into()));
        }
        match event.template_id() {
            NewOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID | CancelOrder::TEMPLATE_ID => {
                let origin = crate::regeneration::origin(event.template_id(), event.body());
                self.on_order(sequence, timestamp, origin.map_or(0, |(_, cause)| cause));
            }
            OrderReleased::TEMPLATE_ID => {
                let Some(message) = event.message::<OrderReleased>() else { return };
                self.on_released(message.through_sequence.get(), message.released_time.get());
            }
            _ => {}
        }
    }

    fn on_order(&mut self, sequence: u64, timestamp: u64, cause: u64) {
        let (of, received) = self.received[cause as usize % RECEIVED_WINDOW];
        if cause == 0 || of != cause {
            self.untimed += 1;
            return;
        }
        record(&mut self.sequenced, timestamp.saturating_sub(received));
        if self.unreleased.len() == UNRELEASED_MAX {
            self.unreleased.pop_front();
            self.untimed += 1;
        }
        self.unreleased.push_back((sequence, received));
    }

    fn on_released(&mut self, through: u64, time: u64) {
        while let Some((_, received)) = self.unreleased.pop_front_if(|(sequence, _)| *sequence <= through) {
            record(&mut self.released, time.saturating_sub(received));
        }
    }
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.record(nanos).expect("the histogram grows to any value");
}

pub(crate) fn decimal<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{money:.9}"))
}
