//! What the checks need of an order, whichever message it came in.

use stele_wire::messages::{
    CancelScope, DeciderKind, NewOrder, OrderType, Quote, ReleaseWatermark, ReplaceOrder, Side,
};
use stele_wire::{Price, Quantity};
use zerocopy::FromBytes;

/// Who stands behind an order: everything that a kill switch can name. 0 is "not told".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderOwner {
    /// Whose order.
    pub account: u32,
    /// Of what.
    pub instrument: u32,
    /// Who decided.
    pub strategy: u16,
    /// A person or the client decided and executed: no algorithm is behind it unless it names one.
    pub is_by_person: bool,
    /// The algorithm that decided, the one that executes, and the strategy's own.
    pub algorithms: [u32; 3],
    /// The desk.
    pub desk: u32,
    /// The trader.
    pub trader: u32,
    /// The client.
    pub client: u32,
}

impl OrderOwner {
    /// Whether a switch with this scope and id covers the order. A switch fails closed: an order that does not
    /// tell what the scope asks for is covered.
    pub fn is_in(&self, scope: CancelScope, id: u32) -> bool {
        let is_or_untold = |told: u32| told == id || told == 0;
        match scope {
            CancelScope::ACCOUNT => id == self.account,
            CancelScope::INSTRUMENT => id == self.instrument,
            CancelScope::STRATEGY => id == u32::from(self.strategy),
            CancelScope::ALGORITHM => {
                let is_untold = self.algorithms == [0; 3] && !self.is_by_person;
                is_untold || self.algorithms.contains(&id)
            }
            CancelScope::DESK => is_or_untold(self.desk),
            CancelScope::TRADER => is_or_untold(self.trader),
            CancelScope::CLIENT => is_or_untold(self.client),
            _ => true,
        }
    }
}

/// One side of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// Buy, sell, or what the message says instead.
    pub side: Side,
    /// How much, as a mantissa.
    pub quantity: Quantity,
    /// Undefined without a limit.
    pub price: Price,
}

const NO_LEG: Leg = Leg { side: Side::NONE, quantity: Quantity(0), price: Price::UNDEFINED };

/// Which message an order came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderKind {
    /// A new order.
    New,
    /// The replacement of another.
    Replacement,
    /// A quote: a leg for each side that it has.
    Quote,
}

/// What the checks need of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderTerms {
    /// Given by the strategy.
    pub client_order_id: u64,
    /// The order, or the quote, that it takes the place of; 0 for none.
    pub replaced_order_id: u64,
    /// Which message it came in.
    pub kind: OrderKind,
    /// Who stands behind it.
    pub owner: OrderOwner,
    /// Who submitted it; 0 is not told.
    pub publisher: u16,
    /// The publisher's own number of the submission; 0 and `u64::MAX` are not told.
    pub publisher_sequence: u64,
    /// Undefined without a stop. An order with one does not rest before it is triggered.
    pub stop_price: Price,
    /// What must have passed before the order leaves the host.
    pub release: ReleaseWatermark,
    legs: [Leg; 2],
    leg_count: usize,
}

macro_rules! owner {
    ($message:ident) => {{
        let algorithm = |kind: DeciderKind, id: u32| if kind == DeciderKind::ALGORITHM { id } else { 0 };
        let is_person = |kind: DeciderKind| matches!(kind, DeciderKind::PERSON | DeciderKind::CLIENT);
        let (decider, executor) = ($message.investment_decision_kind, $message.executor_kind);
        let algorithms = [
            algorithm(decider, $message.investment_decision.get()),
            algorithm(executor, $message.executor.get()),
            0,
        ];
        OrderOwner {
            account: $message.account.get(),
            instrument: $message.instrument.get(),
            strategy: $message.strategy.get(),
            is_by_person: is_person(decider) && is_person(executor),
            algorithms,
            desk: $message.desk.get(),
            trader: $message.trader.get(),
            client: $message.client.get(),
        }
    }};
}

macro_rules! single {
    ($order:ident, $kind:ident) => {{
        let leg = Leg {
            side: $order.side,
            quantity: Quantity($order.quantity.get()),
            price: Price($order.limit_price.get()),
        };
        let is_stop = matches!($order.order_type, OrderType::STOP | OrderType::STOP_LIMIT);
        let stop_price = if is_stop { Price($order.stop_price.get()) } else { Price::UNDEFINED };
        Self {
            client_order_id: $order.client_order_id.get(),
            replaced_order_id: $order.replaced_order_id.get(),
            kind: OrderKind::$kind,
            owner: owner!($order),
            publisher: $order.publisher.get(),
            publisher_sequence: $order.publisher_sequence.get(),
            stop_price,
            release: $order.release_watermark,
            legs: [leg, NO_LEG],
            leg_count: 1,
        }
    }};
}

impl OrderTerms {
    /// The terms in `body`, the root block of a new order, a replacement or a quote at least; none of others.
    #[inline]
    pub fn read(template_id: u16, body: &[u8]) -> Option<Self> {
        match template_id {
            NewOrder::TEMPLATE_ID => {
                NewOrder::ref_from_prefix(body).ok().map(|(order, _)| Self::of_order(order))
            }
            ReplaceOrder::TEMPLATE_ID => {
                ReplaceOrder::ref_from_prefix(body).ok().map(|(order, _)| Self::of_replacement(order))
            }
            Quote::TEMPLATE_ID => Quote::ref_from_prefix(body).ok().map(|(quote, _)| Self::of_quote(quote)),
            _ => None,
        }
    }

    /// The terms of a new order.
    #[inline]
    pub fn of_order(order: &NewOrder) -> Self {
        single!(order, New)
    }

    /// The terms of a replacement.
    #[inline]
    pub fn of_replacement(order: &ReplaceOrder) -> Self {
        single!(order, Replacement)
    }

    /// The terms of a quote: a leg for each side with a quantity. One without any has the quantity that it states.
    pub fn of_quote(quote: &Quote) -> Self {
        let leg =
            |side, quantity: u64, price| Leg { side, quantity: Quantity(quantity), price: Price(price) };
        let bid = leg(Side::BUY, quote.bid_quantity.get(), quote.bid_price.get());
        let ask = leg(Side::SELL, quote.ask_quantity.get(), quote.ask_price.get());
        let is_there = |leg: &Leg| !matches!(leg.quantity.0, 0 | u64::MAX);
        let (legs, leg_count) = match (is_there(&bid), is_there(&ask)) {
            (true, true) => ([bid, ask], 2),
            (true, false) => ([bid, NO_LEG], 1),
            (false, true) => ([ask, NO_LEG], 1),
            (false, false) => ([Leg { side: Side::NONE, ..bid }, NO_LEG], 1),
        };
        Self {
            client_order_id: quote.client_order_id.get(),
            replaced_order_id: quote.original_order_id.get(),
            kind: OrderKind::Quote,
            owner: owner!(quote),
            publisher: quote.publisher.get(),
            publisher_sequence: quote.publisher_sequence.get(),
            stop_price: Price::UNDEFINED,
            release: quote.release_watermark,
            legs,
            leg_count,
        }
    }

    /// One side, or both sides of a quote, the bid first.
    #[inline]
    pub fn legs(&self) -> &[Leg] {
        &self.legs[..self.leg_count]
    }

    /// The side, NONE of a quote.
    pub fn side(&self) -> Side {
        if self.kind == OrderKind::Quote { Side::NONE } else { self.legs[0].side }
    }

    /// The publisher's number of the submission, where it is told.
    #[inline]
    pub(crate) fn number(&self) -> Option<u64> {
        let is_told = self.publisher != 0 && !matches!(self.publisher_sequence, 0 | u64::MAX);
        is_told.then_some(self.publisher_sequence)
    }
}
