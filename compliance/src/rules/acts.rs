//! Acts of operators that the log records: cancels of single orders, and emergency cancels.

use super::orders::Orders;
use super::working::{Found, Named, Working};
use super::{CheckCounts, EpochSummary, Rule, Setting, Site, Verdict, breach};
use std::collections::BTreeMap;
use stele_wire::Sequence;
use stele_wire::messages::{CancelOrder, EmergencyCancel, OperatorCancel, Side};

/// A time that is not stated.
const NO_TIME: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(super) struct Acts {
    /// The order that each `OperatorCancel` names, until its cancel follows.
    asked: BTreeMap<u64, u64>,
}

impl Acts {
    pub(super) fn on_operator_cancel(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        orders: &Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(asked) = site.frame.message::<OperatorCancel>() else { return Ok(()) };
        let order = Sequence(asked.order_sequence.get());
        if order < setting.first && order != Sequence(0) {
            return Ok(());
        }
        counts.add(Rule::OperatorCancels);
        if !orders.contains(order) {
            let expected = "the sequence of an order, replacement or quote";
            return breach(
                Rule::OperatorCancels,
                expected,
                format!("event {order}, which is another message"),
            );
        }
        self.asked.insert(site.sequence().0, order.0);
        Ok(())
    }

    /// Checks a cancel that follows from an `OperatorCancel`; others pass.
    pub(super) fn on_cancel(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        working: &Working,
        orders: &Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        if self.asked.is_empty() {
            return Ok(());
        }
        let Some(cancel) = site.frame.message::<CancelOrder>() else { return Ok(()) };
        let Some(order) = self.asked.remove(&cancel.cause.get()) else { return Ok(()) };
        let named = Named { sequence: order, account: 0, client_order_id: 0, side: Side::NONE };
        let Found::Works(id) = working.find(&named, setting, orders) else { return Ok(()) };
        let Some(known) = working.get(id) else { return Ok(()) };
        counts.add(Rule::OperatorCancels);
        let found = (cancel.account.get(), cancel.cancelled_order_id.get());
        if found == (known.account, known.client_order_id) {
            return Ok(());
        }
        let show = |(account, order): (u32, u64)| format!("a cancel of order {order} of account {account}");
        breach(Rule::OperatorCancels, show((known.account, known.client_order_id)), show(found))
    }

    pub(super) fn on_emergency(
        &self,
        site: &Site<'_>,
        epochs: &[EpochSummary],
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(act) = site.frame.message::<EmergencyCancel>() else { return Ok(()) };
        counts.add(Rule::EmergencyRecorded);
        let (requested, answered) = (act.requested_time.get(), act.answered_time.get());
        let now = site.frame.timestamp().0;
        if requested > now || (answered != NO_TIME && !(requested..=now).contains(&answered)) {
            let expected = format!("a request and its answer, in this order, by {now}");
            let found = format!("requestedTime {requested}, answeredTime {answered}");
            return breach(Rule::EmergencyRecorded, expected, found);
        }
        let epoch = act.epoch.get();
        let is_before = !setting.has_beginning() && epochs.first().is_some_and(|first| epoch < first.epoch);
        if !is_before && !epochs.iter().any(|known| known.epoch == epoch) {
            let found = format!("epoch {epoch}");
            return breach(Rule::EmergencyRecorded, "an epoch of this trail", found);
        }
        Ok(())
    }
}
