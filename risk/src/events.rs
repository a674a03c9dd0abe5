//! The events that the checks depend on, and how each changes the state.

use crate::checks::{likeness, priced};
use crate::executions::{ExecutionKey, Fill};
use crate::ledger::signed;
use crate::market::{Instrument, Quoted};
use crate::orders::{Entry, OrderKey};
use crate::risk::Risk;
use crate::sequenced::SequencedEvent;
use crate::terms::{OrderKind, OrderTerms};
use stele_wire::codec::View;
use stele_wire::messages::{
    AccountDefinition, BookAdd, BookCancel, BookClear, BookDepth, BookExecute, BookLevel, BookModify,
    BookReplace, BookSnapshot, CancelOrder, CancelRejected, CreditAllotment, FeedStatus,
    InstrumentDefinition, KillSwitch, LimitProposed, MassCancel, NewOrder, OpeningPosition, OperatorCancel,
    OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected, OrderReplaced, OrderRestated,
    OrderSuspended, OrderTriggered, PublisherReset, Quote, QuoteCancel, ReplaceOrder, ReplaceRejected,
    RiskLimit, SCHEMA_ID, SessionStart, Side, StrategyAct, StrategyCommand, StrategyDefinition, TopOfBook,
    Trade, TradeBreak, TradeBusted, TradeCorrected, TradingStatus,
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
    AccountDefinition BookAdd BookCancel BookClear BookDepth BookExecute BookLevel BookModify BookReplace
    BookSnapshot CancelOrder CancelRejected CreditAllotment FeedStatus InstrumentDefinition KillSwitch
    LimitProposed MassCancel NewOrder OpeningPosition OperatorCancel OrderAccepted OrderCancelled
    OrderExpired OrderFilled OrderRejected OrderReplaced OrderRestated OrderSuspended OrderTriggered
    PublisherReset Quote QuoteCancel ReplaceOrder ReplaceRejected RiskLimit SessionStart StrategyCommand
    StrategyDefinition TopOfBook Trade TradeBreak TradeBusted TradeCorrected TradingStatus
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
                    self.market.on_top(&top, event.timestamp.0);
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
            BookAdd::TEMPLATE_ID
            | BookModify::TEMPLATE_ID
            | BookReplace::TEMPLATE_ID
            | BookCancel::TEMPLATE_ID
            | BookLevel::TEMPLATE_ID
            | BookSnapshot::TEMPLATE_ID => {
                if self.limits.watches_quotes {
                    self.on_book(event);
                }
            }
            _ => self.on_reference(event),
        }
    }

    /// Handles a change of a book that does not state its best prices. It only matters while a limit bounds
    /// the age of quotes.
    fn on_book(&mut self, event: &SequencedEvent<'_>) {
        macro_rules! quoted {
            ($message:ident) => {
                event.message::<$message>().map(|change: View<'_, $message>| Quoted {
                    instrument: change.instrument.get(),
                    source: change.source.get(),
                    flags: change.flags,
                    time: event.timestamp.0,
                })
            };
        }
        let quoted = match event.template_id {
            BookAdd::TEMPLATE_ID => quoted!(BookAdd),
            BookModify::TEMPLATE_ID => quoted!(BookModify),
            BookReplace::TEMPLATE_ID => quoted!(BookReplace),
            BookCancel::TEMPLATE_ID => quoted!(BookCancel),
            BookLevel::TEMPLATE_ID => quoted!(BookLevel),
            _ => quoted!(BookSnapshot),
        };
        quoted.into_iter().for_each(|quoted| self.market.on_book(&quoted));
    }

    /// Handles an order that has its sequence: it counts from now on.
    #[inline]
    fn on_order(&mut self, order: &OrderTerms, event: &SequencedEvent<'_>) {
        let now = event.timestamp.0;
        let mut owner = order.owner;
        self.on_message([order.publisher.into(), owner.account, owner.strategy.into()], order.number(), now);
        let horizon = self.limits.horizon;
        owner.algorithms[2] = self.algorithm(owner.strategy);
        let known = self.instrument(owner.instrument);
        let replaced = self.replaced(order);
        let key = OrderKey { client_order_id: order.client_order_id, account: owner.account };
        for leg in order.legs() {
            if horizon > 0 && order.kind == OrderKind::New {
                self.recent.enter(likeness(order, leg), now, horizon);
            }
            let price = priced(order, leg, &known);
            let value = price.map_or(0, |price| known.value(price, leg.quantity));
            let (counted, counted_value) = self.added(replaced, leg, value);
            let entry = Entry {
                replaces: if order.kind == OrderKind::New { 0 } else { order.replaced_order_id },
                price: leg.price.0,
                valued_at: price.unwrap_or(Price::UNDEFINED.0),
                leaves: leg.quantity.0,
                counted,
                counted_value,
                side: leg.side,
                is_quote: order.kind == OrderKind::Quote,
                ..Entry::new(key, owner, event.sequence.0)
            };
            self.ledger.open(entry, known.has_scale(), !order.stop_price.is_defined());
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
                OrderKey { client_order_id: $request.$id.get(), account: $request.account.get() }
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
                        self.on_cancel(named_by!(request, cancelled_order_id), event.timestamp.0);
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
                    self.on_cancel(named_by!(request, original_order_id), event.timestamp.0);
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
            StrategyCommand::TEMPLATE_ID => {
                if let Some(command) = event.message::<StrategyCommand>()
                    && command.strategy.get() != 0
                {
                    match command.act {
                        StrategyAct::PAUSE => self.paused.set(command.strategy.get(), true),
                        StrategyAct::RESUME => self.paused.set(command.strategy.get(), false),
                        _ => {}
                    }
                }
            }
            LimitProposed::TEMPLATE_ID => {
                if let Some(proposed) = event.message::<LimitProposed>() {
                    self.on_proposal(&proposed, event);
                }
            }
            OperatorCancel::TEMPLATE_ID => {
                if let Some(request) = event.message::<OperatorCancel>() {
                    self.on_operator_cancel(request.order_sequence.get(), event.sequence.0);
                }
            }
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
                    if let Some(account) = self.ledger.accounts.entry(id) {
                        (account.currency, account.is_defined) = (definition.currency, true);
                    }
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
                    self.market.on_depth(&depth, prices, event.timestamp.0);
                }
            }
            TradingStatus::TEMPLATE_ID => {
                if let Some(status) = event.message::<TradingStatus>() {
                    self.market.on_status(&status);
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
        self.ledger.trade(&fill, known.has_scale(), false);
    }

    #[inline]
    pub(crate) fn instrument(&self, instrument: u32) -> Instrument {
        self.market.instruments.get(instrument).copied().unwrap_or_default()
    }

    /// Handles an execution: it changes the position and is kept for a while in case the venue reverses it.
    /// Returns false, and changes nothing, when it was counted before.
    pub(crate) fn on_fill(&mut self, fill: &OrderFilled, sequence: Sequence) -> bool {
        let (quantity, side) = (fill.last_quantity.get(), fill.side);
        if matches!(quantity, 0 | u64::MAX) {
            return true;
        }
        let known = self.instrument(fill.instrument.get());
        let price = Some(fill.last_price.get()).filter(|price| *price != Price::UNDEFINED.0).unwrap_or(0);
        let fill = Fill {
            sequence: sequence.0,
            execution_id: fill.execution_id.get(),
            account: fill.account.get(),
            instrument: fill.instrument.get(),
            is_sale: side == Side::SELL,
            quantity: signed(side, quantity),
            price,
            value: known.value(price, Quantity(quantity)),
            is_busted: false,
        };
        if !self.executions.enter(fill) {
            self.repeated += 1;
            return false;
        }
        self.ledger.trade(&fill, known.has_scale(), false);
        true
    }

    /// Handles the reversal of an execution: the position becomes what it would be without it. If the
    /// execution is no longer kept, the report's own values are used. A second reversal changes nothing.
    pub(crate) fn on_bust(&mut self, bust: &TradeBusted) {
        let (instrument, quantity) = (bust.instrument.get(), bust.last_quantity.get());
        let known = self.instrument(instrument);
        let key = ExecutionKey {
            execution_id: bust.execution_id.get(),
            account: bust.account.get(),
            instrument,
            is_sale: bust.side == Side::SELL,
        };
        if let Some(kept) = self.executions.find(bust.fill_sequence.get(), key) {
            let (fill, is_first) = (*kept, !kept.is_busted);
            kept.is_busted = true;
            if is_first {
                self.ledger.trade(&fill, known.has_scale(), true);
            }
            return;
        }
        if matches!(quantity, 0 | u64::MAX) {
            return;
        }
        let price = Some(bust.last_price.get()).filter(|price| *price != Price::UNDEFINED.0).unwrap_or(0);
        let fill = Fill {
            account: bust.account.get(),
            instrument,
            quantity: signed(bust.side, quantity),
            price,
            value: known.value(price, Quantity(quantity)),
            ..Fill::default()
        };
        self.ledger.trade(&fill, known.has_scale(), true);
    }

    /// Handles the correction of an execution. One that is no longer kept, or was reversed, stays as it was
    /// and is counted as untracked.
    pub(crate) fn on_correction(&mut self, correction: &TradeCorrected) {
        let key = ExecutionKey {
            execution_id: correction.execution_id.get(),
            account: correction.account.get(),
            instrument: correction.instrument.get(),
            is_sale: correction.side == Side::SELL,
        };
        let kept = self.executions.find(correction.fill_sequence.get(), key);
        let Some(old) = kept.map(|fill| *fill).filter(|fill| !fill.is_busted) else {
            self.ledger.untracked += 1;
            return;
        };
        let known = self.instrument(old.instrument);
        let quantity = correction.last_quantity.get();
        let quantity = if quantity == u64::MAX { old.quantity.unsigned_abs() as u64 } else { quantity };
        let price = Some(correction.last_price.get()).filter(|price| *price != Price::UNDEFINED.0);
        let price = price.unwrap_or(old.price);
        let fill = Fill {
            quantity: i128::from(quantity) * old.quantity.signum(),
            price,
            value: known.value(price, Quantity(quantity)),
            ..old
        };
        self.ledger.trade(&old, known.has_scale(), true);
        self.ledger.trade(&fill, known.has_scale(), false);
        if let Some(kept) = self.executions.find(old.sequence, key) {
            *kept = fill;
        }
    }
}
