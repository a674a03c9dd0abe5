//! Orders and cancels that have not left and never will.

use super::{Left, Releases};
use crate::rules::orders::Orders;
use crate::rules::plan::Plan;
use crate::rules::working::Order;
use crate::rules::{Breach, CheckCounts, Rule, Site, Verdict, breach, field};
use std::collections::BTreeSet;
use stele_wire::Sequence;
use stele_wire::messages::{DropReason, OrderCancelled, OrderDropped};

impl Releases {
    /// `order` is the working order that the event names, if it is known; `switches` are the kill switches on
    /// the log.
    pub(in crate::rules) fn on_dropped(
        &mut self,
        site: &Site<'_>,
        orders: &mut Orders,
        order: Option<&Order>,
        switches: &BTreeSet<u64>,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(dropped) = site.frame.message::<OrderDropped>() else { return Ok(()) };
        let (gateway, sequence) = (dropped.gateway.get(), Sequence(dropped.order_sequence.get()));
        if sequence <= self.previous && (self.may_be_begun || orders.contains(sequence)) {
            // Of an earlier epoch, or from before the trail: whether it left is not known.
            self.before_the_trail += u64::from(self.may_be_begun);
            return Ok(());
        }
        counts.add(Rule::DroppedStays);
        let through = self.gateways.get(&gateway).map_or(self.previous, |known| known.through);
        let found = match orders.of_epoch(sequence) {
            None => Some("another event"),
            Some(state) if state.left == Left::Dropped => Some("one that was dropped already"),
            Some(state) if state.is_early || sequence <= through => Some("one that had left"),
            Some(_) => None,
        };
        if let Some(found) = found {
            let expected = format!("an order or cancel after {through} that waits at gateway {gateway}");
            return breach(Rule::DroppedStays, expected, format!("orderSequence {sequence}: {found}"));
        }
        let account = dropped.account.get();
        if let Some(order) = order
            && account != 0
            && account != order.account
        {
            let expected = format!("account {}, that of order {sequence}", order.account);
            return breach(Rule::DroppedStays, expected, format!("account {account}"));
        }
        is_cause(Sequence(dropped.cause.get()), dropped.reason, self.previous, orders, switches)?;
        let state = orders.of_epoch_mut(sequence).expect("found above");
        state.left = Left::Dropped;
        Ok(())
    }
}

/// Checks the cause: a kill switch, or a request.
fn is_cause(
    cause: Sequence,
    reason: DropReason,
    previous: Sequence,
    orders: &Orders,
    switches: &BTreeSet<u64>,
) -> Verdict {
    let is_cancel = |cause| orders.of_epoch(cause).map_or(orders.contains(cause), |order| order.is_cancel);
    let (expected, is_right) = match reason {
        // A switch that was engaged before this epoch may be from before the trail.
        DropReason::KILL_SWITCH => ("a KillSwitch", switches.contains(&cause.0) || cause <= previous),
        DropReason::CANCELLED => ("a cancel", is_cancel(cause)),
        _ => return Ok(()),
    };
    if cause == Sequence(0) || is_right {
        return Ok(());
    }
    breach(Rule::DroppedStays, format!("{expected} as the cause"), format!("event {cause}"))
}

/// Whether the report ends an order that was dropped. The member's own report does; a venue never got the
/// order.
///
/// # Errors
/// A report of another kind about an order that was dropped.
pub(super) fn is_end_of_dropped(
    plan: &Plan,
    block: &[u8],
    site: &Site<'_>,
    orders: &Orders,
) -> Result<bool, Box<Breach>> {
    for &offset in &plan.answers {
        let order = Sequence(field(block, offset).map_or(0, u64::from_le_bytes));
        if orders.of_epoch(order).is_none_or(|order| order.left != Left::Dropped) {
            continue;
        }
        if plan.is_refusal || site.frame.template_id() == OrderCancelled::TEMPLATE_ID {
            return Ok(true);
        }
        let found = format!("a report about order {order}, which was dropped");
        breach(Rule::DroppedStays, "no report of a venue about an order that never left", found)?;
    }
    Ok(false)
}
