//! What an order asks for, and why the exchange refuses it.

use crate::matching::{Owner, Remainder, SelfTrade};
use stele_strategies::book::BookSide;
use stele_wire::messages::{
    Check, NewOrder, OrderAttributes, OrderType, ReplaceOrder, SelfTradePrevention, Side, TimeInForce,
};

/// The terms of a new order or of a replacement that the exchange looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// The event on the log.
    pub(super) sequence: u64,
    pub(super) owner: Owner,
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

/// A request that can be worked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) side: BookSide,
    /// None takes any price.
    pub(super) limit: Option<i64>,
    /// The price that the market must reach first.
    pub(super) stop: Option<i64>,
    pub(super) remainder: Remainder,
    pub(super) is_day: bool,
    pub(super) is_post_only: bool,
    /// What others see of it at once; `u64::MAX` for all.
    pub(super) tranche: u64,
    /// None leaves it to the exchange.
    pub(super) self_trade: Option<SelfTrade>,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No definition of the instrument has come.
    UnknownInstrument,
    /// The order is neither to buy nor to sell.
    NoSide,
    /// A limit order has no limit.
    NoPrice,
    /// A stop order has no stop price.
    NoStop,
    /// The quantity is null or 0.
    NoQuantity,
    /// The price is no multiple of the instrument's tick.
    OffTick {
        /// The tick.
        tick: i64,
        /// The price.
        price: i64,
    },
    /// Neither a limit nor a market order, nor a stop of one of them.
    OrderType,
    /// Neither day, good till cancel, immediate or cancel, nor fill or kill.
    TimeInForce,
    /// A minimum quantity, all or none, or nothing displayed.
    PartialDisplay,
    /// A displayed quantity of an order that cannot rest, or post-only of a stop.
    NeverRests,
    /// The market is closed.
    Closed,
    /// A post-only order would take liquidity.
    WouldTake,
    /// The owner has an order of this identification working.
    Duplicate,
    /// The owner has no such order working.
    UnknownOrder,
    /// The replacement changes the side.
    SideChanged,
    /// As many orders work as the exchange takes.
    TooManyOrders {
        /// How many that is.
        limit: usize,
    },
    /// The exchange was lost before it answered; nobody knows whether it took the order.
    InDoubt,
}

impl Refusal {
    /// The check that refused, and its limit and value where it has any.
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
            | Self::SideChanged => (Check::VENUE, None),
            Self::Duplicate => (Check::DUPLICATE, None),
            Self::UnknownOrder => (Check::UNKNOWN_ORDER, None),
            Self::TooManyOrders { limit } => {
                (Check::OPEN_ORDERS, Some((clamped(limit as u64), clamped(limit as u64 + 1))))
            }
            Self::InDoubt => (Check::IN_DOUBT, None),
        }
    }

    /// What a person reads.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::UnknownInstrument => "the instrument is not defined",
            Self::NoSide => "the order is neither to buy nor to sell",
            Self::NoPrice => "a limit order needs a limit price",
            Self::NoStop => "a stop order needs a stop price",
            Self::NoQuantity => "the quantity is 0",
            Self::OffTick { .. } => "the price is no multiple of the tick",
            Self::OrderType => "the paper exchange takes limit, market, stop and stop-limit orders",
            Self::TimeInForce => "the paper exchange takes day, GTC, IOC and FOK orders",
            Self::PartialDisplay => {
                "the paper exchange takes no minimum or all-or-none quantity, and no order that shows nothing"
            }
            Self::NeverRests => {
                "an order that cannot rest has no displayed quantity, and a stop is never post-only"
            }
            Self::Closed => "the market is closed",
            Self::WouldTake => "a post-only order would take liquidity",
            Self::Duplicate => "an order of this identification is working",
            Self::UnknownOrder => "no such order is working",
            Self::SideChanged => "a replacement keeps the side",
            Self::TooManyOrders { .. } => "as many orders work as the paper exchange takes",
            Self::InDoubt => "the paper exchange was restarted before it answered",
        }
    }
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX - 1)
}

impl Request {
    /// What can be worked, for an instrument with this tick.
    pub(super) fn terms(&self, tick: Option<i64>) -> Result<Terms, Refusal> {
        let side = match self.side {
            Side::BUY => BookSide::Bid,
            Side::SELL => BookSide::Ask,
            _ => return Err(Refusal::NoSide),
        };
        if self.quantity == 0 || self.quantity == u64::MAX {
            return Err(Refusal::NoQuantity);
        }
        if self.displayed_quantity == 0
            || (self.minimum_quantity != u64::MAX && self.minimum_quantity > 0)
            || self.attributes.contains(OrderAttributes::ALL_OR_NONE)
        {
            return Err(Refusal::PartialDisplay);
        }
        let (limit, stop) = self.prices(tick)?;
        let remainder = match self.time_in_force {
            TimeInForce::FILL_OR_KILL => Remainder::AllOrNothing,
            TimeInForce::IMMEDIATE_OR_CANCEL => Remainder::Cancelled,
            TimeInForce::DAY | TimeInForce::GOOD_TILL_CANCEL | TimeInForce::UNKNOWN => Remainder::Rests,
            _ => return Err(Refusal::TimeInForce),
        };
        let tranche =
            if self.displayed_quantity < self.quantity { self.displayed_quantity } else { u64::MAX };
        let passive = [OrderAttributes::POST_ONLY, OrderAttributes::PASSIVE_ONLY];
        let is_post_only = passive.iter().any(|bit| self.attributes.contains(*bit));
        let can_rest = remainder == Remainder::Rests && limit.is_some();
        if (tranche != u64::MAX && !can_rest) || (is_post_only && stop.is_some()) {
            return Err(Refusal::NeverRests);
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

    /// Limit and stop price, on the tick.
    fn prices(&self, tick: Option<i64>) -> Result<(Option<i64>, Option<i64>), Refusal> {
        let (has_limit, has_stop) = match self.order_type {
            OrderType::MARKET => (false, false),
            OrderType::LIMIT => (true, false),
            OrderType::STOP => (false, true),
            OrderType::STOP_LIMIT => (true, true),
            _ => return Err(Refusal::OrderType),
        };
        let wanted = |is_wanted: bool, price: i64, refusal| match (is_wanted, price) {
            (false, _) => Ok(None),
            (true, i64::MAX) => Err(refusal),
            (true, price) => match tick {
                Some(tick) if price % tick != 0 => Err(Refusal::OffTick { tick, price }),
                _ => Ok(Some(price)),
            },
        };
        Ok((wanted(has_limit, self.limit, Refusal::NoPrice)?, wanted(has_stop, self.stop, Refusal::NoStop)?))
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
            /// The message and its sequence.
            fn from((message, sequence): (&$message, u64)) -> Self {
                Self {
                    sequence,
                    owner: Owner { strategy: message.strategy.get(), account: message.account.get() },
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
