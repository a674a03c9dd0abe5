//! The events that the checks depend on, and how each changes the state.

use crate::bounds::RISK_FILLS_MAX;
use crate::checks::{key, likeness, priced};
use crate::ledger::{Fill, signed};
use crate::market::Instrument;
use crate::orders::{Entry, OrderKey};
use crate::risk::Risk;
use crate::sequenced::SequencedEvent;
use crate::terms::{OrderKind, OrderTerms};
use stele_wire::messages::{
    AccountDefinition, BookClear, BookDepth, BookExecute, CancelOrder, CancelRejected, CreditAllotment,
    FeedStatus, InstrumentDefinition, KillSwitch, MassCancel, NewOrder, OpeningPosition, OrderAccepted,
    OrderCancelled, OrderExpired, OrderFilled, OrderRejected, OrderReplaced, OrderRestated, OrderSuspended,
    OrderTriggered, PublisherReset, Quote, QuoteCancel, ReplaceOrder, ReplaceRejected, RiskLimit, SCHEMA_ID,
    SessionStart, StrategyDefinition, TopOfBook, Trade, TradeBreak, TradeBusted, TradeCorrected,
};
use stele_wire::{Frame, Price, Quantity, Sequence};

/// One more than the highest template id.
const TEMPLATE_IDS: usize = 600;

macro_rules! followed {
    ($($message:ident)*) => {{
        let mut table = [false; TEMPLATE_IDS];
        $(table[$message::TEMPLATE_ID as usize] = true;)*
        table
    }};
}

static FOLLOWED: [bool; TEMPLATE_IDS] = followed! {
    AccountDefinition BookClear BookDepth BookExecute CancelOrder CancelRejected CreditAllotment FeedStatus
    InstrumentDefinition KillSwitch MassCancel NewOrder OpeningPosition OrderAccepted OrderCancelled
    OrderExpired OrderFilled OrderRejected OrderReplaced OrderRestated OrderSuspended OrderTriggered
    PublisherReset Quote QuoteCancel ReplaceOrder ReplaceRejected RiskLimit SessionStart
    StrategyDefinition TopOfBook Trade TradeBreak TradeBusted TradeCorrected
};

/// Returns whether messages of this template change the state of [`Risk`].
#[inline]
pub fn affects_risk(template_id: u16) -> bool {
    FOLLOWED.get(usize::from(template_id)).copied().unwrap_or(false)
}

impl Risk {
    /// Handles the next event of the log. Call it for every event in order, from the beginning of the trail
    /// or the position of a snapshot; those for which [`affects_risk`] is false may be omitted. A restart
    /// restores open orders, positions, limits and switches in the same way.
    pub fn on_event(&mut self, frame: &Frame<'_>) {
        let header = frame.header();
        if frame.is_padding() || header.schema_id.get() != SCHEMA_ID {
            return;
        }
        self.on_sequenced(&SequencedEvent {
            template_id: header.template_id.get(),
            block_length: header.block_length.get(),
            schema_version: header.schema_version.get(),
            sequence: frame.sequence(),
            timestamp: frame.timestamp(),
            body: frame.body(),
        });
    }

    /// As [`Risk::on_event`], for an event that is not in a frame.
    #[inline]
    pub fn on_sequenced(&mut self, event: &SequencedEvent<'_>) {
        self.take_effect(event.timestamp.0);
        match event.template_id {
            TopOfBook::TEMPLATE_ID => {
                if let Some(top) = event.message::<TopOfBook>() {
                    self.market.on_top(&top);
                }
            }
            Trade::TEMPLATE_ID => {
                if let Some(trade) = event.message::<Trade>() {
                    self.market.on_trade(&trade);
                }
            }
            BookExecute::TEMPLATE_ID => {
                if let Some(execute) = event.message::<BookExecute>() {
                    self.market.on_execute(&execute);
                }
            }
            NewOrder::TEMPLATE_ID => {
                if let Some(order) = event.message::<NewOrder>() {
                    self.on_order(&OrderTerms::of_order(&order), event);
                }
            }
            ReplaceOrder::TEMPLATE_ID => {
                if let Some(order) = event.message::<ReplaceOrder>() {
                    self.on_order(&OrderTerms::of_replacement(&order), event);
                }
            }
            Quote::TEMPLATE_ID => {
                if let Some(quote) = event.message::<Quote>() {
                    self.on_order(&OrderTerms::of_quote(&quote), event);
                }
            }
            CancelOrder::TEMPLATE_ID | MassCancel::TEMPLATE_ID | QuoteCancel::TEMPLATE_ID => {
                self.on_request(event);
            }
            401..=499 => self.on_report(event),
            501..=599 => self.on_control(event),
            _ => self.on_reference(event),
        }
    }

    /// Handles an order that has its sequence: it counts from now on.
    #[inline]
    fn on_order(&mut self, order: &OrderTerms, event: &SequencedEvent<'_>) {
        let (owner, now) = (&order.owner, event.timestamp.0);
        self.on_message([order.publisher.into(), owner.account, owner.strategy.into()], order.number(), now);
        let horizon = self.limits.horizon;
        let mut owner = order.owner;
        owner.algorithms[2] = self.algorithm(owner.strategy);
        let known = self.instrument(owner.instrument);
        for leg in order.legs() {
            if horizon > 0 && order.kind == OrderKind::New {
                self.recent.enter(likeness(order, leg), now, horizon);
            }
            let price = priced(order, leg, &known);
            let value = price.map_or(0, |price| known.value(price, leg.quantity));
            let (counted, counted_value) = self.added(order, leg, value);
            let key = key(order, leg);
            self.ledger.open(Entry {
                replaces: if order.kind == OrderKind::New { 0 } else { order.replaced_order_id },
                price: leg.price.0,
                valued_at: price.unwrap_or(Price::UNDEFINED.0),
                leaves: leg.quantity.0,
                counted,
                counted_value,
                side: leg.side,
                is_resting: !order.stop_price.is_defined(),
                ..Entry::new(key, owner, event.sequence.0)
            });
        }
    }

    /// Counts a message to a venue towards the rates of its publisher, account and strategy.
    #[inline]
    fn on_message(&mut self, [publisher, account, strategy]: [u32; 3], number: Option<u64>, now: u64) {
        if let Some(source) = self.publishers.entry(publisher) {
            source.bucket.take(self.rate, now);
            source.newest = source.newest.max(number.unwrap_or(0));
        }
        if let Some(account) = self.ledger.accounts.entry(account) {
            account.bucket.take(account.rate, now);
        }
        if let Some(strategy) = self.ledger.strategies.entry(strategy) {
            strategy.bucket.take(strategy.rate, now);
        }
    }

    /// Handles a cancel, which is counted and never refused.
    fn on_request(&mut self, event: &SequencedEvent<'_>) {
        macro_rules! named_by {
            ($request:ident, $id:ident) => {
                OrderKey {
                    client_order_id: $request.$id.get(),
                    account: $request.account.get(),
                    strategy: $request.strategy.get(),
                    leg: 0,
                }
            };
        }
        macro_rules! sender {
            ($request:ident) => {{
                let publisher = $request.publisher.get();
                let number = Some($request.publisher_sequence.get());
                let ids = [publisher.into(), $request.account.get(), $request.strategy.get().into()];
                let number = number.filter(|number| publisher != 0 && *number != u64::MAX);
                self.on_message(ids, number, event.timestamp.0);
            }};
        }
        match event.template_id {
            CancelOrder::TEMPLATE_ID => {
                if let Some(request) = event.message::<CancelOrder>() {
                    sender!(request);
                    if request.quantity.get() == u64::MAX {
                        self.set_cancelling(named_by!(request, cancelled_order_id), true);
                    }
                }
            }
            MassCancel::TEMPLATE_ID => {
                if let Some(request) = event.message::<MassCancel>() {
                    sender!(request);
                }
            }
            QuoteCancel::TEMPLATE_ID => {
                if let Some(request) = event.message::<QuoteCancel>() {
                    sender!(request);
                    self.set_cancelling(named_by!(request, original_order_id), true);
                }
            }
            _ => {}
        }
    }

    fn on_control(&mut self, event: &SequencedEvent<'_>) {
        match event.template_id {
            RiskLimit::TEMPLATE_ID => {
                if let Some(change) = event.message::<RiskLimit>() {
                    self.on_limit(&change, event.timestamp.0);
                }
            }
            CreditAllotment::TEMPLATE_ID => {
                if let Some(allotment) = event.message::<CreditAllotment>() {
                    self.on_allotment(&allotment);
                }
            }
            KillSwitch::TEMPLATE_ID => self.on_switch(event),
            FeedStatus::TEMPLATE_ID => {
                if let Some(status) = event.message::<FeedStatus>() {
                    self.market.on_feed(&status);
                }
            }
            OpeningPosition::TEMPLATE_ID => {
                if let Some(opening) = event.message::<OpeningPosition>() {
                    self.on_opening(&opening);
                }
            }
            PublisherReset::TEMPLATE_ID => {
                if let Some(reset) = event.message::<PublisherReset>()
                    && let Some(source) = self.publishers.entry(reset.publisher.get().into())
                {
                    source.newest = reset.new_number.get();
                }
            }
            SessionStart::TEMPLATE_ID => {
                if let Some(session) = event.message::<SessionStart>() {
                    self.set_shard(session.shard.get());
                    // A cancel that was under way when the previous session ended may have been lost.
                    self.ledger.orders.forget_cancels();
                }
            }
            _ => {}
        }
    }

    fn on_reference(&mut self, event: &SequencedEvent<'_>) {
        match event.template_id {
            InstrumentDefinition::TEMPLATE_ID => {
                if let Some(definition) = event.message::<InstrumentDefinition>() {
                    self.market.on_definition(&definition);
                }
            }
            AccountDefinition::TEMPLATE_ID => {
                if let Some(definition) = event.message::<AccountDefinition>() {
                    let id = definition.account.get();
                    let account = self.ledger.accounts.entry(id);
                    account.into_iter().for_each(|account| account.currency = definition.currency);
                    self.ledger.set_owner(id, definition.beneficial_owner.get());
                }
            }
            StrategyDefinition::TEMPLATE_ID => {
                if let Some(definition) = event.message::<StrategyDefinition>()
                    && let Some(strategy) = self.ledger.strategies.entry(definition.strategy.get().into())
                {
                    strategy.algorithm = definition.algorithm.get();
                }
            }
            BookClear::TEMPLATE_ID => {
                if let Some(clear) = event.message::<BookClear>() {
                    self.market.on_clear(&clear);
                }
            }
            BookDepth::TEMPLATE_ID => {
                if let Some(depth) = event.message::<BookDepth>() {
                    let best = depth.levels().next();
                    let none = [Price::UNDEFINED.0; 2];
                    let prices = best.map_or(none, |best| [best.bid_price.get(), best.ask_price.get()]);
                    self.market.on_depth(&depth, prices);
                }
            }
            TradeBreak::TEMPLATE_ID => {
                if let Some(broken) = event.message::<TradeBreak>() {
                    self.market.on_break(&broken);
                }
            }
            _ => {}
        }
    }

    /// Handles a position that the trail begins with, valued at its average price.
    fn on_opening(&mut self, opening: &OpeningPosition) {
        let quantity = opening.quantity.get();
        let price = Some(opening.average_price.get()).filter(|price| *price != Price::UNDEFINED.0);
        if quantity == 0 || quantity == i64::MAX {
            return;
        }
        let known = self.instrument(opening.instrument.get());
        let price = price.or_else(|| known.reference()).unwrap_or(0);
        let fill = Fill {
            account: opening.account.get(),
            instrument: opening.instrument.get(),
            quantity: quantity.into(),
            price,
            value: known.value(price, Quantity(quantity.unsigned_abs())),
            ..Fill::default()
        };
        self.ledger.trade(&fill, false);
    }

    #[inline]
    pub(crate) fn instrument(&self, instrument: u32) -> Instrument {
        self.market.instruments.get(instrument).copied().unwrap_or_default()
    }

    /// Handles an execution: it changes the position and is kept for a while in case the venue reverses it.
    pub(crate) fn on_fill(&mut self, fill: &OrderFilled, sequence: Sequence) {
        let quantity = fill.last_quantity.get();
        if matches!(quantity, 0 | u64::MAX) {
            return;
        }
        let instrument = fill.instrument.get();
        let price = Some(fill.last_price.get()).filter(|price| *price != Price::UNDEFINED.0).unwrap_or(0);
        let fill = Fill {
            sequence: sequence.0,
            execution_id: fill.execution_id.get(),
            account: fill.account.get(),
            instrument,
            quantity: signed(fill.side, quantity),
            price,
            value: self.instrument(instrument).value(price, Quantity(quantity)),
        };
        self.ledger.trade(&fill, false);
        if self.fills.len() == RISK_FILLS_MAX {
            self.fills.pop_front();
        }
        self.fills.push_back(fill);
    }

    /// The index of an execution among those kept: found by the event that reported it or, if that is
    /// unknown, by the venue's execution id.
    fn fill(&self, sequence: u64, execution_id: u64) -> Option<usize> {
        if sequence != 0 {
            let at = self.fills.partition_point(|fill| fill.sequence < sequence);
            return self.fills.get(at).filter(|fill| fill.sequence == sequence).map(|_| at);
        }
        self.fills.iter().rposition(|fill| execution_id != 0 && fill.execution_id == execution_id)
    }

    /// Handles the reversal of an execution: the position becomes what it would be without it. If the
    /// execution is no longer kept, the report's own values are used.
    pub(crate) fn on_bust(&mut self, bust: &TradeBusted) {
        if let Some(at) = self.fill(bust.fill_sequence.get(), bust.execution_id.get()) {
            let fill = self.fills.remove(at).expect("`fill` returns a valid index");
            return self.ledger.trade(&fill, true);
        }
        let (instrument, quantity) = (bust.instrument.get(), bust.last_quantity.get());
        if matches!(quantity, 0 | u64::MAX) {
            return;
        }
        let price = Some(bust.last_price.get()).filter(|price| *price != Price::UNDEFINED.0).unwrap_or(0);
        let fill = Fill {
            account: bust.account.get(),
            instrument,
            quantity: signed(bust.side, quantity),
            price,
            value: self.instrument(instrument).value(price, Quantity(quantity)),
            ..Fill::default()
        };
        self.ledger.trade(&fill, true);
    }

    /// Handles the correction of an execution. One that is no longer kept stays as it was and is counted as
    /// untracked.
    pub(crate) fn on_correction(&mut self, correction: &TradeCorrected) {
        let Some(at) = self.fill(correction.fill_sequence.get(), correction.execution_id.get()) else {
            self.ledger.untracked += 1;
            return;
        };
        let old = self.fills[at];
        let quantity = correction.last_quantity.get();
        let quantity = if quantity == u64::MAX { old.quantity.unsigned_abs() as u64 } else { quantity };
        let price = Some(correction.last_price.get()).filter(|price| *price != Price::UNDEFINED.0);
        let price = price.unwrap_or(old.price);
        let fill = Fill {
            quantity: i128::from(quantity) * old.quantity.signum(),
            price,
            value: self.instrument(old.instrument).value(price, Quantity(quantity)),
            ..old
        };
        self.ledger.trade(&old, true);
        self.ledger.trade(&fill, false);
        self.fills[at] = fill;
    }
}
