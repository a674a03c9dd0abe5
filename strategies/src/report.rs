//! What became of an order: the reports of the venue, and the refusals before it, in one shape.

use stele_wire::messages::{
    CancelRejected, Check, Liquidity, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled,
    OrderRejected, OrderReplaced, OrderRestated, OrderStatus, OrderSuspended, OrderTriggered,
    ReplaceRejected, RouteRejected, Side, TradeBusted, TradeCorrected,
};
use stele_wire::{Frame, Price, Quantity, Sequence};

/// What a report says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportKind {
    /// The venue took the order.
    Accepted,
    /// The order was refused, by the venue or before it left.
    Rejected,
    /// The order, or part of it, is no longer working.
    Cancelled,
    /// The order has new terms, and the id of its replacement.
    Replaced,
    /// A stop was reached.
    Triggered,
    /// The order is suspended, or active again.
    Suspended,
    /// The venue changed the order by itself.
    Restated,
    /// An execution, in part or whole.
    Filled,
    /// The order's time is over.
    Expired,
    /// An execution was undone.
    TradeBusted,
    /// An execution has other terms.
    TradeCorrected,
    /// The venue did not cancel.
    CancelRejected,
    /// The venue did not replace.
    ReplaceRejected,
    /// The place that the order was sent to refused it.
    RouteRejected,
}

/// A report about an order. Fields that its kind does not have are none or 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderReport {
    /// What it says.
    pub kind: ReportKind,
    /// The event that it is.
    pub sequence: Sequence,
    /// The order, as its sender calls it.
    pub client_order_id: u64,
    /// The order, as the venue calls it.
    pub venue_order_id: u64,
    /// Whose order it is; 0 where the report does not say.
    pub strategy: u16,
    /// What the order is in.
    pub instrument: u32,
    /// Side of the order.
    pub side: Side,
    /// What is left working.
    pub leaves: Quantity,
    /// What was executed in all.
    pub cumulative: Quantity,
    /// Status of the order.
    pub status: OrderStatus,
    /// Price of the execution, or of the order as it works.
    pub price: Option<Price>,
    /// Quantity of the execution, or of the order as it works.
    pub quantity: Option<Quantity>,
    /// What was paid for an execution, in 1e-9 of the currency.
    pub fee: Option<i64>,
    /// The venue's identification of an execution.
    pub execution_id: u64,
    /// The `OrderFilled` that is amended.
    pub fill_sequence: Sequence,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// What refused an order or a request.
    pub check: Check,
    /// The order that was replaced.
    pub replaced_order_id: u64,
    /// The request that was refused.
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
    /// The report that an event is; none when it is another event.
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

    /// Whether the order is not working any longer.
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
