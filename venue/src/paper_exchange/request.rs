//! Requests of orders and replacements, and why the exchange refuses them.

use crate::matching::{OrderOwner, Remainder, SelfTrade};
use stele_strategies::book::BookSide;
use stele_wire::messages::{
    Check, NewOrder, OrderAttributes, OrderType, ReplaceOrder, SelfTradePrevention, Side, TimeInForce,
};

/// A new order or a replacement, with the fields that the exchange uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// The sequence of the event.
    pub(super) sequence: u64,
    pub(super) owner: OrderOwner,
    pub(super) instrument: u32,
    pub(super) side: Side,
    pub(super) client_order_id: u64,
    pub(super) replaced_order_id: u64,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    pub(super) attributes: OrderAttributes,
    pub(super) self_trade: SelfTradePrevention,
    pub(super) limit: i64,
    pub(super) stop: i64,
    pub(super) quantity: u64,
    pub(super) minimum_quantity: u64,
    pub(super) displayed_quantity: u64,
}

/// The terms of a request that can be worked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) side: BookSide,
    /// The limit in units of 1e-9; an order with none takes any price.
    pub(super) limit: Option<i64>,
    /// The stop price in units of 1e-9.
    pub(super) stop: Option<i64>,
    pub(super) remainder: Remainder,
    pub(super) is_day: bool,
    pub(super) is_post_only: bool,
    /// The most that others see at once; `u64::MAX` for all.
    pub(super) tranche: u64,
    /// The self-trade mode; none leaves it to the exchange's options.
    pub(super) self_trade: Option<SelfTrade>,
}

/// Why the exchange refuses a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaperRefusal {
    /// The instrument is not defined.
    UnknownInstrument,
    /// The order is neither a buy nor a sell order.
    NoSide,
    /// A limit order has no limit.
    NoPrice,
    /// A stop order has no stop price.
    NoStop,
    /// The quantity is null or 0.
    NoQuantity,
    /// The price is not a multiple of the instrument's tick.
    OffTick {
        /// The tick, in units of 1e-9.
        tick: i64,
        /// The price, in units of 1e-9.
        price: i64,
    },
    /// The order type is not limit, market, stop or stop-limit.
    OrderType,
    /// The time in force is not day, good till cancel, immediate or cancel, or fill or kill.
    TimeInForce,
    /// The order has a minimum quantity, is all-or-none, or displays nothing.
    PartialDisplay,
    /// The order cannot rest and has a displayed quantity, or is a post-only stop.
    NeverRests,
    /// The market is closed.
    Closed,
    /// A post-only order would take liquidity.
    WouldTake,
    /// The owner has an open order with this client order id.
    Duplicate,
    /// The owner has no such open order.
    UnknownOrder,
    /// The replacement would change the side.
    SideChanged,
    /// The exchange has as many open orders as it accepts.
    TooManyOrders {
        /// The most open orders.
        limit: usize,
    },
    /// The exchange refuses cancels, as it was asked to ([`VenueFaults`](super::VenueFaults)).
    CancelsRefused,
    /// The exchange was lost before it answered; it is unknown whether it had accepted the order.
    InDoubt,
}

impl PaperRefusal {
    /// Returns the check that refused the request, with its limit and value where it has any.
    pub(super) fn check(self) -> (Check, Option<(i64, i64)>) {
        match self {
            Self::UnknownInstrument => (Check::UNKNOWN_INSTRUMENT, None),
            Self::NoSide | Self::NoPrice | Self::NoStop | Self::NoQuantity => (Check::MALFORMED, None),
            Self::OffTick { tick, price } => (Check::VENUE, Some((tick, price))),
            Self::OrderType
            | Self::TimeInForce
            | Self::PartialDisplay
            | Self::NeverRests
            | Self::Closed
            | Self::WouldTake
            | Self::SideChanged
            | Self::CancelsRefused => (Check::VENUE, None),
            Self::Duplicate => (Check::DUPLICATE, None),
            Self::UnknownOrder => (Check::UNKNOWN_ORDER, None),
            Self::TooManyOrders { limit } => {
                (Check::OPEN_ORDERS, Some((clamped(limit as u64), clamped(limit as u64 + 1))))
            }
            Self::InDoubt => (Check::IN_DOUBT, None),
        }
    }

    /// Returns the reason as text.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::UnknownInstrument => "the instrument is not defined",
            Self::NoSide => "the order is neither a buy nor a sell order",
            Self::NoPrice => "a limit order needs a limit price",
            Self::NoStop => "a stop order needs a stop price",
            Self::NoQuantity => "the quantity is 0",
            Self::OffTick { .. } => "the price is not a multiple of the tick",
            Self::OrderType => "the paper exchange takes limit, market, stop and stop-limit orders",
            Self::TimeInForce => "the paper exchange takes day, GTC, IOC and FOK orders",
            Self::PartialDisplay => {
                "the paper exchange refuses minimum and all-or-none quantities, and orders that display nothing"
            }
            Self::NeverRests => {
                "an order that cannot rest has no displayed quantity, and a stop is never post-only"
            }
            Self::Closed => "the market is closed",
            Self::WouldTake => "a post-only order would take liquidity",
            Self::Duplicate => "an order with this client order id is open",
            Self::UnknownOrder => "no such order is open",
            Self::SideChanged => "a replacement must keep the side",
            Self::TooManyOrders { .. } => "the paper exchange has as many open orders as it accepts",
            Self::CancelsRefused => "the paper exchange refuses this cancel as a fault",
            Self::InDoubt => "the paper exchange was restarted before it answered",
        }
    }
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX - 1)
}

impl Request {
    /// Returns the terms that can be worked, in an instrument with this tick.
    pub(super) fn terms(&self, tick: Option<i64>) -> Result<Terms, PaperRefusal> {
        let side = match self.side {
            Side::BUY => BookSide::Bid,
            Side::SELL => BookSide::Ask,
            _ => return Err(PaperRefusal::NoSide),
        };
        if self.quantity == 0 || self.quantity == u64::MAX {
            return Err(PaperRefusal::NoQuantity);
        }
        if self.displayed_quantity == 0
            || (self.minimum_quantity != u64::MAX && self.minimum_quantity > 0)
            || self.attributes.contains(OrderAttributes::ALL_OR_NONE)
        {
            return Err(PaperRefusal::PartialDisplay);
        }
        let (limit, stop) = self.prices(tick)?;
        let remainder = match self.time_in_force {
            TimeInForce::FILL_OR_KILL => Remainder::AllOrNothing,
            TimeInForce::IMMEDIATE_OR_CANCEL => Remainder::Cancelled,
            TimeInForce::DAY | TimeInForce::GOOD_TILL_CANCEL | TimeInForce::UNKNOWN => Remainder::Rests,
            _ => return Err(PaperRefusal::TimeInForce),
        };
        let tranche =
            if self.displayed_quantity < self.quantity { self.displayed_quantity } else { u64::MAX };
        let passive = [OrderAttributes::POST_ONLY, OrderAttributes::PASSIVE_ONLY];
        let is_post_only = passive.iter().any(|bit| self.attributes.contains(*bit));
        let can_rest = remainder == Remainder::Rests && limit.is_some();
        if (tranche != u64::MAX && !can_rest) || (is_post_only && stop.is_some()) {
            return Err(PaperRefusal::NeverRests);
        }
        Ok(Terms {
            side,
            limit,
            stop,
            remainder,
            is_day: self.time_in_force != TimeInForce::GOOD_TILL_CANCEL,
            is_post_only,
            tranche,
            self_trade: self.self_trade_mode(),
        })
    }

    /// Returns the limit and the stop price, checked against the tick.
    fn prices(&self, tick: Option<i64>) -> Result<(Option<i64>, Option<i64>), PaperRefusal> {
        let (has_limit, has_stop) = match self.order_type {
            OrderType::MARKET => (false, false),
            OrderType::LIMIT => (true, false),
            OrderType::STOP => (false, true),
            OrderType::STOP_LIMIT => (true, true),
            _ => return Err(PaperRefusal::OrderType),
        };
        let wanted = |is_wanted: bool, price: i64, refusal| match (is_wanted, price) {
            (false, _) => Ok(None),
            (true, i64::MAX) => Err(refusal),
            (true, price) => match tick {
                Some(tick) if price % tick != 0 => Err(PaperRefusal::OffTick { tick, price }),
                _ => Ok(Some(price)),
            },
        };
        Ok((
            wanted(has_limit, self.limit, PaperRefusal::NoPrice)?,
            wanted(has_stop, self.stop, PaperRefusal::NoStop)?,
        ))
    }

    fn self_trade_mode(&self) -> Option<SelfTrade> {
        match self.self_trade {
            SelfTradePrevention::CANCEL_INCOMING => Some(SelfTrade::CancelNewest),
            SelfTradePrevention::CANCEL_RESTING => Some(SelfTrade::CancelOldest),
            SelfTradePrevention::CANCEL_BOTH => Some(SelfTrade::CancelBoth),
            SelfTradePrevention::DECREMENT_AND_CANCEL => Some(SelfTrade::Decrement),
            _ if self.attributes.contains(OrderAttributes::SELF_EXECUTION_PREVENTION) => {
                Some(SelfTrade::CancelNewest)
            }
            _ => None,
        }
    }
}

macro_rules! request_from {
    ($($message:ident),*) => {$(
        impl From<(&$message, u64)> for Request {
            /// Reads a message and its sequence.
            fn from((message, sequence): (&$message, u64)) -> Self {
                Self {
                    sequence,
                    owner: OrderOwner { strategy: message.strategy.get(), account: message.account.get() },
                    instrument: message.instrument.get(),
                    side: message.side,
                    client_order_id: message.client_order_id.get(),
                    replaced_order_id: message.replaced_order_id.get(),
                    order_type: message.order_type,
                    time_in_force: message.time_in_force,
                    attributes: message.attributes,
                    self_trade: message.self_trade_prevention,
                    limit: message.limit_price.get(),
                    stop: message.stop_price.get(),
                    quantity: message.quantity.get(),
                    minimum_quantity: message.minimum_quantity.get(),
                    displayed_quantity: message.displayed_quantity.get(),
                }
            }
        }
    )*};
}
request_from!(NewOrder, ReplaceOrder);
