//! Cancels that left before orders that precede them.

use super::{Gateway, Left, Releases, is_durable};
use crate::rules::orders::Orders;
use crate::rules::{CheckCounts, Rule, Site, Verdict, breach};
use stele_wire::messages::CancelReleased;
use stele_wire::{Position, Sequence};

impl Releases {
    pub(in crate::rules) fn on_cancel_released(
        &mut self,
        site: &Site<'_>,
        orders: &mut Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(released) = site.frame.message::<CancelReleased>() else { return Ok(()) };
        let (gateway, cancel) = (released.gateway.get(), Sequence(released.cancel_sequence.get()));
        if self.may_be_begun && cancel <= self.previous {
            self.before_the_trail += 1;
            return Ok(());
        }
        counts.add(Rule::CancelLeft);
        let through = self.gateways.get(&gateway).map_or(self.previous, |known: &Gateway| known.through);
        let found = match orders.of_epoch(cancel) {
            None => Some("another event, or one of another epoch"),
            Some(order) if !order.is_cancel => Some("an order"),
            Some(order) if order.left == Left::Dropped => Some("a cancel that was dropped"),
            Some(order) if order.is_early || cancel <= through => Some("a cancel that had left already"),
            Some(_) => None,
        };
        if let Some(found) = found {
            let expected = format!("a cancel of this epoch after {through} that waits at gateway {gateway}");
            return breach(Rule::CancelLeft, expected, format!("cancelSequence {cancel}: {found}"));
        }
        let cancelled = Sequence(released.cancelled_sequence.get());
        if cancelled != Sequence(0) && cancelled >= cancel {
            let expected = format!("an order before the cancel {cancel}, or 0");
            return breach(Rule::CancelLeft, expected, format!("cancelledSequence {cancelled}"));
        }
        let order = orders.of_epoch_mut(cancel).expect("found above");
        let watermark = Position(released.watermark.get());
        // A cancel of a gateway that waits for an earlier watermark has left before it was durable.
        let least = if is_durable(released.kind) { order.end } else { Position(0) };
        if watermark < least || watermark > site.position {
            let expected = format!("a watermark from {least}, the end of the cancel, to {}", site.position);
            return breach(Rule::CancelLeft, expected, watermark.to_string());
        }
        order.is_early = true;
        order.left = if is_durable(released.kind) { Left::Durable } else { Left::Earlier };
        self.unreleased.remove(&cancel);
        if is_durable(released.kind) {
            self.claimed = self.claimed.max(watermark);
        }
        self.settle(orders, counts)
    }
}
