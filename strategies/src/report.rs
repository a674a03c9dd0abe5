//! Reports about orders: those of the venue, and refusals before the order reached it, in one type.

use stele_wire::messages::{
    CancelRejected, Check, Liquidity, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled,
    OrderRejected, OrderReplaced, OrderRestated, OrderStatus, OrderSuspended, OrderTriggered,
    ReplaceRejected, RouteRejected, Side, TradeBusted, TradeCorrected,
};
use stele_wire::{Frame, Price, Quantity, Sequence};

/// The kind of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportKind {
    /// The venue accepted the order.
    Accepted,
    /// The order was rejected, by the venue or before it left the host.
    Rejected,
    /// The order, or a part of it, was cancelled.
    Cancelled,
    /// The order was replaced by one with new terms and a new id.
    Replaced,
    /// The stop price was reached.
    Triggered,
    /// The order was suspended, or is active again.
    Suspended,
    /// The venue changed the order on its own initiative.
    Restated,
    /// The order was executed, partly or completely.
    Filled,
    /// The order expired.
    Expired,
    /// An execution was cancelled (busted).
    TradeBusted,
    /// An execution was corrected: it has other terms.
    TradeCorrected,
    /// The venue rejected a cancel request.
    CancelRejected,
    /// The venue rejected a replacement request.
    ReplaceRejected,
    /// The destination that the order was routed to rejected it.
    RouteRejected,
}

/// A report about an order. Fields that do not apply to its kind are `None`, 0 or empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderReport {
    /// Kind of the report.
    pub kind: ReportKind,
    /// Sequence of the event.
    pub sequence: Sequence,
    /// The sender's id of the order.
    pub client_order_id: u64,
    /// The venue's id of the order.
    pub venue_order_id: u64,
    /// Id of the strategy that sent the order; 0 when the report does not name it.
    pub strategy: u16,
    /// Id of the instrument.
    pub instrument: u32,
    /// Side of the order.
    pub side: Side,
    /// Quantity that remains open.
    pub leaves: Quantity,
    /// Quantity executed in total.
    pub cumulative: Quantity,
    /// Status of the order.
    pub status: OrderStatus,
    /// Price of the execution, or current price of the order.
    pub price: Option<Price>,
    /// Quantity of the execution, or current quantity of the order.
    pub quantity: Option<Quantity>,
    /// Fee of the execution, in 1e-9 of the currency.
    pub fee: Option<i64>,
    /// The venue's id of the execution.
    pub execution_id: u64,
    /// Sequence of the `OrderFilled` event that is busted or corrected.
    pub fill_sequence: Sequence,
    /// Whether the order added or removed liquidity.
    pub liquidity: Liquidity,
    /// The check that rejected the order or request.
    pub check: Check,
    /// The sender's id of the order that was replaced.
    pub replaced_order_id: u64,
    /// The sender's id of the request that was rejected.
    pub request_order_id: u64,
}

macro_rules! report {
    ($frame:expr, $kind:ident, $message:ty, |$view:ident, $report:ident| $rest:expr) => {{
        let $view = $frame.message::<$message>()?;
        #[allow(unused_mut)]
        let mut $report = OrderReport {
            kind: ReportKind::$kind,
            sequence: $frame.sequence(),
            client_order_id: $view.client_order_id.get(),
            venue_order_id: $view.venue_order_id.get(),
            strategy: $view.strategy.get(),
            instrument: $view.instrument.get(),
            side: $view.side,
            leaves: Quantity($view.leaves_quantity.get()),
            cumulative: Quantity($view.cumulative_quantity.get()),
            status: $view.status,
            price: None,
            quantity: None,
            fee: None,
            execution_id: 0,
            fill_sequence: Sequence(0),
            liquidity: Liquidity::UNKNOWN,
            check: Check::NONE,
            replaced_order_id: 0,
            request_order_id: 0,
        };
        let () = $rest;
        $report
    }};
}

macro_rules! terms {
    ($view:ident, $report:ident) => {{
        $report.price = Some(Price($view.price.get())).filter(|price| price.is_defined());
        $report.quantity = Some(Quantity($view.quantity.get())).filter(|quantity| quantity.0 != u64::MAX);
    }};
}

macro_rules! execution {
    ($view:ident, $report:ident) => {{
        $report.price = Some(Price($view.last_price.get())).filter(|price| price.is_defined());
        $report.quantity =
            Some(Quantity($view.last_quantity.get())).filter(|quantity| quantity.0 != u64::MAX);
        $report.execution_id = $view.execution_id.get();
    }};
}

impl OrderReport {
    /// Reads the report that an event is; `None` for any other event.
    pub fn read(frame: &Frame<'_>) -> Option<Self> {
        Some(match frame.template_id() {
            OrderAccepted::TEMPLATE_ID => report!(frame, Accepted, OrderAccepted, |v, r| terms!(v, r)),
            OrderRejected::TEMPLATE_ID => report!(frame, Rejected, OrderRejected, |v, r| r.check = v.check),
            OrderCancelled::TEMPLATE_ID => report!(frame, Cancelled, OrderCancelled, |v, r| {
                r.quantity = Some(Quantity(v.cancelled_quantity.get())).filter(|taken| taken.0 != u64::MAX)
            }),
            OrderReplaced::TEMPLATE_ID => report!(frame, Replaced, OrderReplaced, |v, r| {
                terms!(v, r);
                r.replaced_order_id = v.replaced_order_id.get();
            }),
            OrderTriggered::TEMPLATE_ID => report!(frame, Triggered, OrderTriggered, |v, r| terms!(v, r)),
            OrderSuspended::TEMPLATE_ID => report!(frame, Suspended, OrderSuspended, |v, r| terms!(v, r)),
            OrderRestated::TEMPLATE_ID => report!(frame, Restated, OrderRestated, |v, r| terms!(v, r)),
            OrderFilled::TEMPLATE_ID => report!(frame, Filled, OrderFilled, |v, r| {
                execution!(v, r);
                r.fee = Some(v.fee.get()).filter(|fee| *fee != i64::MAX);
                r.liquidity = v.liquidity;
            }),
            OrderExpired::TEMPLATE_ID => report!(frame, Expired, OrderExpired, |v, r| {
                r.quantity = Some(Quantity(v.quantity.get())).filter(|expired| expired.0 != u64::MAX)
            }),
            TradeBusted::TEMPLATE_ID => report!(frame, TradeBusted, TradeBusted, |v, r| {
                execution!(v, r);
                r.fill_sequence = Sequence(v.fill_sequence.get());
            }),
            TradeCorrected::TEMPLATE_ID => report!(frame, TradeCorrected, TradeCorrected, |v, r| {
                execution!(v, r);
                r.fill_sequence = Sequence(v.fill_sequence.get());
                r.fee = Some(v.fee.get()).filter(|fee| *fee != i64::MAX);
            }),
            CancelRejected::TEMPLATE_ID => report!(frame, CancelRejected, CancelRejected, |v, r| {
                r.request_order_id = v.request_order_id.get();
                r.check = v.check;
            }),
            ReplaceRejected::TEMPLATE_ID => report!(frame, ReplaceRejected, ReplaceRejected, |v, r| {
                r.request_order_id = v.request_order_id.get();
                r.check = v.check;
            }),
            RouteRejected::TEMPLATE_ID => report!(frame, RouteRejected, RouteRejected, |_v, r| ()),
            _ => return None,
        })
    }

    /// Whether the order is no longer working.
    pub fn is_done(&self) -> bool {
        match self.kind {
            ReportKind::Rejected | ReportKind::Expired | ReportKind::RouteRejected => true,
            ReportKind::Cancelled | ReportKind::Filled => {
                self.leaves.0 == 0 || self.status == OrderStatus::DONE
            }
            _ => self.status == OrderStatus::DONE,
        }
    }
}
