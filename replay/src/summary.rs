//! Summarises a trail in one pass.
//!
//! Runs on the caller's thread. Latencies are computed from the trail alone. An order usually follows its
//! cause soon, so only the receive times of the last [`RECEIVED_WINDOW`] events are kept. An order whose
//! cause is further back counts as `untimed`, and so does one whose cause was not received from outside,
//! such as a timer.

mod acts;
mod latency;

pub use acts::OperatorAct;
pub use latency::{LatencyPercentiles, RECEIVED_WINDOW, UNRELEASED_MAX};

use latency::Latencies;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;
use stele_journal::{TrailError, TrailReader};
use stele_strategies::{Account, Fill, Market, Money, Profit, Standing};
use stele_wire::codec::{View, text};
use stele_wire::messages::{
    Boolean, CancelOrder, DropReason, MassCancel, NewOrder, OrderAccepted, OrderCancelled, OrderDropped,
    OrderFilled, OrderRejected, OrderReplaced, ReplaceOrder, SCHEMA_ID, SessionEnd, SessionStart, Side,
    StrategyCommand, StrategyDefinition, TradeBusted, TradeCorrected, message_name,
};
use stele_wire::{Frame, Price, Quantity, Sequence};

/// The events of one type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TypeSummary {
    /// The message's name in the schema.
    pub name: String,
    /// The schema id; 1 is Stele's.
    pub schema_id: u16,
    /// The template id.
    pub template_id: u16,
    /// The number of events.
    pub count: u64,
    /// The bytes of their frames.
    pub bytes: u64,
}

fn type_name(schema: u16, template: u16) -> String {
    match message_name(template) {
        Some(name) if schema == SCHEMA_ID => name.to_owned(),
        _ if schema == SCHEMA_ID => format!("template {template}"),
        _ => format!("template {template} of schema {schema}"),
    }
}

/// The orders of a strategy and their outcomes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct OrderSummary {
    /// New orders on the trail, refused ones included.
    pub sent: u64,
    /// Replacements requested.
    pub replacements: u64,
    /// Cancels and mass cancels requested.
    pub cancels: u64,
    /// Orders accepted by the venue.
    pub accepted: u64,
    /// Orders refused, by the venue or before it.
    pub rejected: u64,
    /// Refused orders by check.
    pub rejected_by_check: BTreeMap<String, u64>,
    /// Orders replaced.
    pub replaced: u64,
    /// Orders cancelled before they were filled completely, dropped ones included.
    pub cancelled: u64,
    /// Orders, replacements and quotes that were dropped before they left the host.
    pub dropped: u64,
    /// Orders filled completely.
    pub filled: u64,
    /// Executions.
    pub fills: u64,
    /// The quantity executed, as the sum of mantissas.
    pub volume: u64,
}

/// The position of a strategy in an instrument.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PositionSummary {
    /// The instrument's id.
    pub instrument: u32,
    /// Its symbol.
    pub symbol: String,
    /// The quantity as a signed mantissa; positive is long.
    pub quantity: i64,
    /// The average price of the open position, as a decimal.
    pub average_price: Option<String>,
    /// The price at which the position was valued at the end, as a decimal.
    pub mark: Option<String>,
}

/// The orders, positions and results of a strategy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StrategySummary {
    /// The strategy's number.
    pub strategy: u16,
    /// The strategy's kind.
    pub name: String,
    /// Whether an operator has paused it.
    pub is_paused: bool,
    /// The event that set the parameters that it runs with: its definition, or an operator's command.
    pub parameters_at: u64,
    /// Its orders.
    pub orders: OrderSummary,
    /// Its positions, by instrument in the order of its first trades.
    pub positions: Vec<PositionSummary>,
    /// Profit of closed positions, as a decimal.
    #[serde(serialize_with = "decimal")]
    pub realised: Money,
    /// Profit of open positions at the last mark, as a decimal.
    #[serde(serialize_with = "decimal")]
    pub unrealised: Money,
    /// Fees paid, as a decimal.
    #[serde(serialize_with = "decimal")]
    pub fees: Money,
    /// Realised and unrealised profit less fees, as a decimal.
    #[serde(serialize_with = "decimal")]
    pub net: Money,
}

/// The summary of a trail, or of one epoch of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// The number of events.
    pub events: u64,
    /// The bytes of their frames, without padding.
    pub bytes: u64,
    /// The sequence of the first event.
    pub first_sequence: u64,
    /// The sequence of the last event.
    pub last_sequence: u64,
    /// The time of the first event, in nanoseconds UTC.
    pub first_timestamp: u64,
    /// The time of the last event, in nanoseconds UTC.
    pub last_timestamp: u64,
    /// The number of sessions begun.
    pub sessions: u64,
    /// Whether the last session ended in order.
    pub has_ended: bool,
    /// Events by type, in the order of their template ids.
    pub types: Vec<TypeSummary>,
    /// The strategies by number; 0 has the orders of no strategy.
    pub strategies: Vec<StrategySummary>,
    /// The acts of operators, in the order of the log.
    pub acts: Vec<OperatorAct>,
    /// The time from the receipt of an order's cause to the sequencing of the order.
    pub tick_to_sequenced_order: LatencyPercentiles,
    /// The time from the receipt of an order's cause to the order's release.
    pub tick_to_released_order: LatencyPercentiles,
    /// Orders and cancels whose cause was not received from outside, or too long ago.
    pub untimed: u64,
}

/// Summarises the trail in `directory`, or one epoch of it.
///
/// # Errors
/// [`TrailError`].
///
/// # Examples
///
/// ```
/// use stele_replay::summary::summarise;
/// use stele_wire::messages::Trade;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path().join("trail");
/// # let mut bus = stele_embed::Bus::open(&trail, Default::default())?;
/// # let mut feed = bus.publisher("feed", stele_bus::Grants::market())?;
/// # let bus = bus.start()?;
/// # bus.publish(&mut feed, &Trade::NULL)?;
/// # bus.stop()?;
/// let summary = summarise(&trail, None)?;
/// let trades = summary.types.iter().find(|of| of.template_id == Trade::TEMPLATE_ID);
/// assert_eq!(trades.map(|of| of.count), Some(1));
/// assert_eq!((summary.sessions, summary.has_ended), (1, true));
/// # Ok(()) }
/// ```
pub fn summarise(directory: &Path, epoch: Option<u32>) -> Result<Summary, TrailError> {
    let mut reader = TrailReader::open(directory)?;
    let mut scan = SummaryBuilder::default();
    while let Some(entry) = reader.read_next()? {
        if epoch.is_none_or(|epoch| entry.epoch.0 == epoch) {
            scan.on_event(&entry.frame);
        }
    }
    Ok(scan.finish())
}

/// A summary in the making, fed event by event.
#[derive(Default)]
pub struct SummaryBuilder {
    /// Count and bytes by schema and template.
    types: BTreeMap<(u16, u16), (u64, u64)>,
    strategies: BTreeMap<u16, Seat>,
    acts: Vec<OperatorAct>,
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
    standing: Option<Standing>,
    orders: OrderSummary,
    account: Account,
}

impl SummaryBuilder {
    /// Takes the next event; padding is ignored.
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
        self.acts.extend(OperatorAct::of(event));
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
                seat.define(&message, event.sequence());
            }
            StrategyCommand::TEMPLATE_ID => {
                let Some(message) = event.message::<StrategyCommand>() else { return };
                if let Some(standing) = &mut self.seat(message.strategy.get()).standing {
                    // A command that does not apply changes nothing. The summary runs no strategy, so it
                    // takes it that parameters were checked before they were logged.
                    let _ = standing.apply(&message, event.sequence(), |_| Ok(()));
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
                // An order that the sequencer refused is not on the trail itself.
                orders.sent += u64::from(report.order_sequence.get() == 0);
                *orders.rejected_by_check.entry(report.check.to_string()).or_default() += 1;
            }
            OrderDropped::TEMPLATE_ID => {
                let Some(dropped) = event.message::<OrderDropped>() else { return };
                // A cancel with nothing to cancel is not an order.
                let is_order = dropped.reason != DropReason::NOTHING_TO_CANCEL;
                self.seat(dropped.strategy.get()).orders.dropped += u64::from(is_order);
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

    /// Returns the summary of the events taken.
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
            acts: self.acts,
            strategies: self.strategies.into_iter().map(|(id, seat)| seat.finish(id, market)).collect(),
            tick_to_sequenced_order: LatencyPercentiles::of(&self.latencies.sequenced),
            tick_to_released_order: LatencyPercentiles::of(&self.latencies.released),
            untimed: self.latencies.untimed,
        }
    }
}

impl Seat {
    fn define(&mut self, definition: &View<'_, StrategyDefinition>, sequence: Sequence) {
        let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
        let is_resumed = definition.is_resumed == Boolean::TRUE;
        match &mut self.standing {
            Some(standing) if is_resumed => standing.resume(parameters, sequence),
            before => {
                *before = Some(Standing::begin(&self.name, parameters, sequence, before.as_ref()));
            }
        }
        if !is_resumed {
            self.account = Account::default();
        }
    }

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
        let standing = self.standing.as_ref();
        StrategySummary {
            strategy,
            name: self.name,
            is_paused: standing.is_some_and(|standing| standing.paused_at.is_some()),
            parameters_at: standing.map_or(0, |standing| standing.parameters_at.0),
            orders: self.orders,
            positions,
            realised,
            unrealised,
            fees,
            net,
        }
    }
}

pub(crate) fn decimal<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{money:.9}"))
}
