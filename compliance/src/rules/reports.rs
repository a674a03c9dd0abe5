//! What venues report about orders: executions within their orders, and quantities that add up.

use super::orders::Orders;
use super::working::{Found, Named, Order, OrderId, Working};
use super::{CheckCounts, Rule, Setting, Site, Verdict, breach};
use std::collections::BTreeSet;
use stele_wire::messages::{
    Check, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected, OrderReplaced,
    OrderRestated, OrderStatus, OrderSuspended, OrderTriggered, ReplaceRejected, Side, TradeBusted,
    TradeCorrected,
};
use stele_wire::{Frame, Price};

/// A quantity that a report does not state.
const NONE: u64 = u64::MAX;

/// The fields that all reports have.
#[derive(Clone, Copy)]
struct Report {
    named: Named,
    leaves: u64,
    cumulative: u64,
    status: OrderStatus,
}

macro_rules! report {
    ($message:ident) => {
        Report {
            named: Named {
                sequence: $message.order_sequence.get(),
                account: $message.account.get(),
                client_order_id: $message.client_order_id.get(),
                side: $message.side,
            },
            leaves: $message.leaves_quantity.get(),
            cumulative: $message.cumulative_quantity.get(),
            status: $message.status,
        }
    };
}

/// An execution, by what it may occur only once for: account, instrument, side, trade date, id.
type Execution = (u32, u32, u8, u32, u64);

#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) working: Working,
    executions: BTreeSet<Execution>,
}

/// What the report of an order is judged with.
pub(super) struct Judge<'a> {
    pub(super) setting: &'a Setting,
    pub(super) orders: &'a Orders,
    pub(super) counts: &'a mut CheckCounts,
}

impl Reports {
    pub(super) fn on_report(&mut self, site: &Site<'_>, judge: &mut Judge<'_>) -> Verdict {
        macro_rules! stated {
            ($message:ident) => {{
                let Some(message) = site.frame.message::<$message>() else { return Ok(()) };
                self.on_stated(&report!(message), judge)
            }};
        }
        let frame = &site.frame;
        match frame.template_id() {
            OrderFilled::TEMPLATE_ID => self.on_filled(frame, judge),
            OrderAccepted::TEMPLATE_ID => stated!(OrderAccepted),
            OrderSuspended::TEMPLATE_ID => stated!(OrderSuspended),
            OrderTriggered::TEMPLATE_ID => stated!(OrderTriggered),
            OrderCancelled::TEMPLATE_ID => self.on_cancelled(frame, judge),
            OrderExpired::TEMPLATE_ID => {
                let Some(expired) = frame.message::<OrderExpired>() else { return Ok(()) };
                self.on_ended(&report!(expired), expired.quantity.get(), judge)
            }
            OrderRejected::TEMPLATE_ID => {
                let Some(rejected) = frame.message::<OrderRejected>() else { return Ok(()) };
                // The sequencer's own refusal is of an order that is not on the log.
                let is_ours = !matches!(rejected.check, Check::NONE | Check::VENUE | Check::NULL);
                if is_ours && rejected.order_sequence.get() == 0 {
                    return Ok(());
                }
                self.on_ended(&report!(rejected), NONE, judge)
            }
            OrderReplaced::TEMPLATE_ID => self.on_replaced(frame, judge),
            ReplaceRejected::TEMPLATE_ID => {
                self.on_replace_rejected(frame, judge);
                Ok(())
            }
            OrderRestated::TEMPLATE_ID => self.on_restated(frame, judge),
            TradeBusted::TEMPLATE_ID => {
                let Some(busted) = frame.message::<TradeBusted>() else { return Ok(()) };
                self.on_amended(&report!(busted), Some(busted.last_quantity.get()), judge);
                Ok(())
            }
            TradeCorrected::TEMPLATE_ID => {
                let Some(corrected) = frame.message::<TradeCorrected>() else { return Ok(()) };
                self.on_amended(&report!(corrected), None, judge);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn order(&self, named: &Named, judge: &Judge<'_>) -> Option<(OrderId, Order)> {
        match self.working.find(named, judge.setting, judge.orders) {
            Found::Works(id) => self.working.get(id).map(|order| (id, *order)),
            _ => None,
        }
    }

    /// A report that states quantities and changes nothing else.
    fn on_stated(&mut self, report: &Report, judge: &mut Judge<'_>) -> Verdict {
        let Some((id, order)) = self.order(&report.named, judge) else { return Ok(()) };
        add_up(&order, report, judge)?;
        if report.status == OrderStatus::DONE {
            self.working.end(id);
        }
        Ok(())
    }

    fn on_filled(&mut self, frame: &Frame<'_>, judge: &mut Judge<'_>) -> Verdict {
        let Some(fill) = frame.message::<OrderFilled>() else { return Ok(()) };
        self.once(&fill, judge)?;
        let report = report!(fill);
        let Some((id, mut order)) = self.filled_order(&fill, &report, judge)? else { return Ok(()) };
        let (quantity, price) = (fill.last_quantity.get(), Price(fill.last_price.get()));
        if quantity != NONE {
            within_quantity(&order, quantity, judge)?;
            order.cumulative = order.cumulative.map(|before| before + quantity);
        }
        within_limit(&order, price, judge)?;
        add_up(&order, &report, judge)?;
        if report.status == OrderStatus::DONE || order.left() == Some(0) {
            self.working.end(id);
        } else if let Some(known) = self.working.get_mut(id) {
            *known = order;
        }
        Ok(())
    }

    fn once(&mut self, fill: &OrderFilled, judge: &mut Judge<'_>) -> Verdict {
        let id = fill.execution_id.get();
        if id == 0 || !judge.setting.judges(Rule::ExecutionOnce) {
            return Ok(());
        }
        judge.counts.add(Rule::ExecutionOnce);
        let (account, instrument) = (fill.account.get(), fill.instrument.get());
        if self.executions.insert((account, instrument, fill.side.0, fill.trade_date.get(), id)) {
            return Ok(());
        }
        let expected = format!("an execution of account {account} that was not reported before");
        breach(Rule::ExecutionOnce, expected, format!("execution {id} again"))
    }

    /// The order of an execution, if it is known.
    fn filled_order(
        &self,
        fill: &OrderFilled,
        report: &Report,
        judge: &mut Judge<'_>,
    ) -> Result<Option<(OrderId, Order)>, Box<super::Breach>> {
        let found = self.working.find(&report.named, judge.setting, judge.orders);
        let is_judged = judge.setting.judges(Rule::FillOfWorking);
        if is_judged && found != Found::Unknown {
            judge.counts.add(Rule::FillOfWorking);
        }
        let Named { sequence, account, client_order_id, .. } = report.named;
        let what = match found {
            Found::Works(id) => {
                let order = self.working.get(id).copied();
                let other = order.and_then(|order| other_than(&order, fill));
                match other {
                    None => return Ok(order.map(|order| (id, order))),
                    Some(other) => other,
                }
            }
            Found::Unknown => return Ok(None),
            Found::Ended => format!("order {sequence}, which has ended"),
            Found::Nothing if sequence != 0 => format!("event {sequence}, which is not an order"),
            Found::Nothing => {
                format!("client order id {client_order_id} of account {account}, without an order")
            }
        };
        if !is_judged {
            return Ok(None);
        }
        breach(Rule::FillOfWorking, "an execution of an order that works", what).map(|()| None)
    }

    fn on_cancelled(&mut self, frame: &Frame<'_>, judge: &mut Judge<'_>) -> Verdict {
        let Some(cancelled) = frame.message::<OrderCancelled>() else { return Ok(()) };
        let (report, taken) = (report!(cancelled), cancelled.cancelled_quantity.get());
        let is_over = report.status == OrderStatus::DONE || matches!(report.leaves, 0 | NONE);
        if is_over {
            return self.on_ended(&report, taken, judge);
        }
        let Some((id, order)) = self.order(&report.named, judge) else { return Ok(()) };
        let (Some(left), Some(before)) = (order.left(), order.cumulative) else { return Ok(()) };
        judge.counts.add(Rule::QuantitiesAddUp);
        let is_more =
            report.leaves > left || (taken != NONE && report.leaves.checked_add(taken) != Some(left));
        if is_more || (report.cumulative != NONE && report.cumulative != before) {
            let expected = format!("{before} executed, and what is left and was cancelled together {left}");
            return breach(Rule::QuantitiesAddUp, expected, stated(&report, taken));
        }
        if let Some(known) = self.working.get_mut(id) {
            known.quantity = before.saturating_add(report.leaves);
        }
        Ok(())
    }

    /// The end of an order without an execution; `rest` is what was left of it, where stated.
    fn on_ended(&mut self, report: &Report, rest: u64, judge: &mut Judge<'_>) -> Verdict {
        let Some((id, order)) = self.order(&report.named, judge) else { return Ok(()) };
        if let (Some(left), Some(before)) = (order.left(), order.cumulative)
            && !order.is_quote
        {
            judge.counts.add(Rule::QuantitiesAddUp);
            let is_other = |stated: u64, known: u64| stated != NONE && stated != known;
            if is_other(report.cumulative, before)
                || is_other(report.leaves, 0)
                || (rest > left && rest != NONE)
            {
                let expected = format!("{before} executed, 0 left, at most {left} cancelled");
                return breach(Rule::QuantitiesAddUp, expected, stated(report, rest));
            }
        }
        self.working.end(id);
        Ok(())
    }

    /// The replaced order ends, and the replacement continues its executions.
    fn on_replaced(&mut self, frame: &Frame<'_>, judge: &mut Judge<'_>) -> Verdict {
        let Some(replaced) = frame.message::<OrderReplaced>() else { return Ok(()) };
        let report = report!(replaced);
        let old = Named { sequence: 0, client_order_id: replaced.replaced_order_id.get(), ..report.named };
        let before = self.order(&old, judge).filter(|(_, order)| !order.is_quote);
        let Some((id, mut order)) = self.order(&report.named, judge).or(before) else { return Ok(()) };
        if let Some((replaced, before)) = before {
            self.working.end(replaced);
            order.cumulative = before.cumulative;
        } else if report.cumulative != NONE {
            // The replaced order is not known.
            order.cumulative = Some(report.cumulative);
        }
        order.client_order_id = report.named.client_order_id;
        if replaced.quantity.get() != NONE {
            order.quantity = replaced.quantity.get();
        }
        if order.limit.is_defined() && replaced.price.get() != Price::UNDEFINED.0 {
            order.limit = Price(replaced.price.get());
        }
        add_up(&order, &report, judge)?;
        self.working.end(id);
        if report.status != OrderStatus::DONE {
            self.working.insert(id, order);
        }
        Ok(())
    }

    fn on_replace_rejected(&mut self, frame: &Frame<'_>, judge: &Judge<'_>) {
        let Some(rejected) = frame.message::<ReplaceRejected>() else { return };
        let request = Named {
            sequence: rejected.request_sequence.get(),
            account: rejected.account.get(),
            client_order_id: rejected.request_order_id.get(),
            side: rejected.side,
        };
        let is_named = request.sequence != 0 || request.client_order_id != rejected.client_order_id.get();
        if is_named && let Some((id, _)) = self.order(&request, judge) {
            self.working.end(id);
        }
    }

    fn on_restated(&mut self, frame: &Frame<'_>, judge: &mut Judge<'_>) -> Verdict {
        let Some(restated) = frame.message::<OrderRestated>() else { return Ok(()) };
        let report = report!(restated);
        let Some((id, mut order)) = self.order(&report.named, judge) else { return Ok(()) };
        if restated.quantity.get() != NONE {
            order.quantity = restated.quantity.get();
        }
        if order.limit.is_defined() && restated.price.get() != Price::UNDEFINED.0 {
            order.limit = Price(restated.price.get());
        }
        add_up(&order, &report, judge)?;
        if report.status == OrderStatus::DONE {
            self.working.end(id);
        } else if let Some(known) = self.working.get_mut(id) {
            *known = order;
        }
        Ok(())
    }

    /// An execution was taken back or corrected: what the report states holds from now on.
    fn on_amended(&mut self, report: &Report, taken_back: Option<u64>, judge: &Judge<'_>) {
        let Some((id, order)) = self.order(&report.named, judge) else { return };
        let without = |quantity: u64| Some(order.cumulative?.saturating_sub(quantity));
        let computed = taken_back.filter(|quantity| *quantity != NONE).and_then(without);
        if let Some(known) = self.working.get_mut(id) {
            known.cumulative = Some(report.cumulative).filter(|stated| *stated != NONE).or(computed);
        }
    }
}

/// What the execution states differently from its order.
fn other_than(order: &Order, fill: &OrderFilled) -> Option<String> {
    let (instrument, side) = (fill.instrument.get(), fill.side);
    if instrument != 0 && instrument != order.instrument {
        return Some(format!(
            "one of instrument {instrument}, and an order of instrument {}",
            order.instrument
        ));
    }
    if matches!(side, Side::BUY | Side::SELL) && side != order.side {
        return Some(format!("one on the side {side}, and an order on the side {}", order.side));
    }
    None
}

fn within_quantity(order: &Order, quantity: u64, judge: &mut Judge<'_>) -> Verdict {
    let Some(left) = order.left() else { return Ok(()) };
    judge.counts.add(Rule::FillWithinQuantity);
    if quantity <= left {
        return Ok(());
    }
    let expected = format!("at most {left}, what was left of order {}", order.client_order_id);
    breach(Rule::FillWithinQuantity, expected, format!("an execution of {quantity}"))
}

fn within_limit(order: &Order, price: Price, judge: &mut Judge<'_>) -> Verdict {
    if !order.limit.is_defined() || !price.is_defined() {
        return Ok(());
    }
    judge.counts.add(Rule::FillWithinLimit);
    let (limit, side) = (order.limit, order.side);
    let is_beyond = match side {
        Side::BUY => price.0 > limit.0,
        Side::SELL => price.0 < limit.0,
        _ => false,
    };
    if !is_beyond {
        return Ok(());
    }
    let expected =
        format!("a price not beyond {limit}, the limit of order {} ({side})", order.client_order_id);
    breach(Rule::FillWithinLimit, expected, format!("an execution at {price}"))
}

/// Checks what a report states against the order as it is after the report.
fn add_up(order: &Order, report: &Report, judge: &mut Judge<'_>) -> Verdict {
    let (Some(cumulative), Some(left)) = (order.cumulative, order.left()) else { return Ok(()) };
    if order.is_quote {
        return Ok(());
    }
    judge.counts.add(Rule::QuantitiesAddUp);
    let is_sum = matches!(report.cumulative, NONE) || report.cumulative == cumulative;
    let is_done = report.status == OrderStatus::DONE && report.leaves == 0;
    let is_rest = report.leaves == NONE || report.leaves == left || is_done;
    if is_sum && is_rest {
        return Ok(());
    }
    let expected = format!("{cumulative} executed and {left} left of {}", order.quantity);
    breach(Rule::QuantitiesAddUp, expected, stated(report, NONE))
}

fn stated(report: &Report, cancelled: u64) -> String {
    let show = |what: &str, quantity: u64| match quantity {
        NONE => None,
        quantity => Some(format!("{quantity} {what}")),
    };
    let parts =
        [show("executed", report.cumulative), show("left", report.leaves), show("cancelled", cancelled)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
