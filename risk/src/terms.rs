//! The terms of an order that the checks use, independent of its message.

use stele_wire::messages::{
    CancelScope, DeciderKind, NewOrder, OrderType, Quote, ReleaseWatermark, ReplaceOrder, Side,
};
use stele_wire::{Price, Quantity};
use zerocopy::FromBytes;

/// Who is responsible for an order: everything that a kill switch can name. 0 means unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderOwner {
    /// The account that the order trades for.
    pub account: u32,
    /// The instrument that it trades.
    pub instrument: u32,
    /// The strategy that sent it.
    pub strategy: u16,
    /// Whether a person or the client decided and executed, so that no algorithm is involved unless one is
    /// named.
    pub is_by_person: bool,
    /// The algorithm that decided, the one that executes, and the one of the strategy.
    pub algorithms: [u32; 3],
    /// The desk.
    pub desk: u32,
    /// The trader.
    pub trader: u32,
    /// The client.
    pub client: u32,
}

impl OrderOwner {
    /// Whether a kill switch with this scope and id covers the order. A switch fails closed: an order whose
    /// value for the scope is unknown is covered.
    pub fn is_in(&self, scope: CancelScope, id: u32) -> bool {
        let is_or_unknown = |own: u32| own == id || own == 0;
        match scope {
            CancelScope::ACCOUNT => id == self.account,
            CancelScope::INSTRUMENT => id == self.instrument,
            CancelScope::STRATEGY => id == u32::from(self.strategy),
            CancelScope::ALGORITHM => {
                let is_unknown = self.algorithms == [0; 3] && !self.is_by_person;
                is_unknown || self.algorithms.contains(&id)
            }
            CancelScope::DESK => is_or_unknown(self.desk),
            CancelScope::TRADER => is_or_unknown(self.trader),
            CancelScope::CLIENT => is_or_unknown(self.client),
            _ => true,
        }
    }
}

/// One side of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// Buy or sell, or another value that the message contains.
    pub side: Side,
    /// The quantity, as a mantissa.
    pub quantity: Quantity,
    /// The limit price; undefined without a limit.
    pub price: Price,
}

const NO_LEG: Leg = Leg { side: Side::NONE, quantity: Quantity(0), price: Price::UNDEFINED };

/// The kind of message that an order came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderKind {
    /// A new order.
    New,
    /// The replacement of another order.
    Replacement,
    /// A quote, with a leg for each of its sides.
    Quote,
}

/// The terms of an order that the checks use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderTerms {
    /// The id that the strategy gave it.
    pub client_order_id: u64,
    /// The order or quote that it replaces; 0 for none.
    pub replaced_order_id: u64,
    /// The kind of message that it came in.
    pub kind: OrderKind,
    /// Who is responsible for it.
    pub owner: OrderOwner,
    /// The publisher that submitted it; 0 when unknown.
    pub publisher: u16,
    /// The publisher's own number of the submission; 0 or `u64::MAX` when unknown.
    pub publisher_sequence: u64,
    /// The stop price; undefined without a stop. An order with a stop does not rest before it is triggered.
    pub stop_price: Price,
    /// The watermark that must have passed the order before it leaves the host.
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
    /// Reads the terms from `body`, which begins with the root block of a message of this template. None
    /// unless it is a new order, a replacement or a quote, or when `body` is too short.
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

    /// The terms of a quote: a leg for each side with a quantity. A quote without a valid quantity has one
    /// leg without a side.
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

    /// The legs: one of an order, one or two of a quote, the bid first.
    #[inline]
    pub fn legs(&self) -> &[Leg] {
        &self.legs[..self.leg_count]
    }

    /// The side of an order; NONE for a quote.
    pub fn side(&self) -> Side {
        if self.kind == OrderKind::Quote { Side::NONE } else { self.legs[0].side }
    }

    /// The publisher's number of the submission, if it is known.
    #[inline]
    pub(crate) fn number(&self) -> Option<u64> {
        let is_known = self.publisher != 0 && !matches!(self.publisher_sequence, 0 | u64::MAX);
        is_known.then_some(self.publisher_sequence)
    }
}
