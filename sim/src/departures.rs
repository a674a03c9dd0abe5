//! Checks that the log says exactly what left the host: compared with what the venue got.

use crate::checkers::ReleasedOrder;
use crate::violation::{Checked, violated};
use std::collections::{BTreeMap, BTreeSet};
use stele_bus::{Event, MessageClass, template};
use stele_venue::Releases;
use stele_wire::Sequence;
use stele_wire::messages::{CancelReleased, OrderDropped, OrderReleased, SessionStart};

/// Checks the departures of one epoch.
#[derive(Clone, Debug, Default)]
pub struct DepartureChecker {
    /// Orders and cancels on the log of which it does not say what became of them: whether each is a cancel.
    open: BTreeMap<Sequence, bool>,
    /// What the venue got: the how many-th each was.
    arrived: BTreeMap<Sequence, usize>,
    dropped: BTreeSet<Sequence>,
    /// The last order and the last cancel that left.
    last: [Sequence; 2],
    releases: Releases,
}

const RULE: &str = "the log says exactly what left";

impl DepartureChecker {
    /// Records that the venue got an order or a cancel.
    ///
    /// # Errors
    /// When it got it before, out of order, or although the gateway had dropped it.
    pub fn on_left(&mut self, left: &ReleasedOrder) -> Checked {
        let sequence = left.sequence;
        let last = &mut self.last[usize::from(left.is_cancel)];
        if sequence <= *last {
            let what = format!("{sequence} after {last}");
            return Err(violated("orders leave once and in order, and so do cancels", what));
        }
        *last = sequence;
        if self.dropped.contains(&sequence) {
            return Err(violated(RULE, format!("{sequence} left and had been dropped")));
        }
        self.arrived.insert(sequence, self.arrived.len());
        Ok(())
    }

    /// Checks the next event of the log.
    ///
    /// # Errors
    /// When it says that something left or was dropped, and the venue has it not or has it.
    pub fn on_event(&mut self, event: &Event<'_>) -> Checked {
        let class = template(event.template_id()).map(|known| known.class);
        if let (Some(MessageClass::NewOrder | MessageClass::OrderCancel), true) =
            (class, event.frame().is_stele())
        {
            self.open.insert(event.sequence(), class == Some(MessageClass::OrderCancel));
            return Ok(());
        }
        // The traffic contains beginnings of sessions where none begins; this checker is of one epoch.
        if event.template_id() != SessionStart::TEMPLATE_ID {
            self.releases.on_event(&event.frame());
        }
        if let Some(released) = event.message::<OrderReleased>() {
            return self.on_released(Sequence(released.through_sequence.get()));
        }
        if let Some(released) = event.message::<CancelReleased>() {
            return self.on_early(Sequence(released.cancel_sequence.get()));
        }
        if let Some(dropped) = event.message::<OrderDropped>() {
            let order = Sequence(dropped.order_sequence.get());
            let is_new = self.open.contains_key(&order) && self.dropped.insert(order);
            if !is_new || self.arrived.contains_key(&order) {
                return Err(violated(RULE, format!("{order} was dropped and had left, or is not waiting")));
            }
        }
        Ok(())
    }

    fn on_released(&mut self, through: Sequence) -> Checked {
        let covered: Vec<Sequence> = self.open.range(..=through).map(|(order, _)| *order).collect();
        for order in covered {
            let has_left = self.arrived.contains_key(&order);
            if self.releases.has_left(order) != Some(has_left) {
                return Err(violated(RULE, format!("{order}, up to {through}: it left: {has_left}")));
            }
            self.open.remove(&order);
        }
        Ok(())
    }

    fn on_early(&mut self, cancel: Sequence) -> Checked {
        let place = self.arrived.get(&cancel).copied();
        let is_later = |order: &Sequence| self.arrived.get(order).is_none_or(|at| Some(*at) > place);
        let is_overtaking = self.open.range(..cancel).any(|(order, is_cancel)| !is_cancel && is_later(order));
        if self.open.get(&cancel) != Some(&true) || place.is_none() || !is_overtaking {
            return Err(violated(RULE, format!("cancel {cancel} did not leave, or overtook nothing")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::Position;

    fn left(sequence: u64, is_cancel: bool) -> ReleasedOrder {
        let nowhere = Position(0);
        ReleasedOrder { sequence: Sequence(sequence), end: nowhere, durable: nowhere, is_cancel }
    }

    #[test]
    fn what_leaves_twice_or_after_it_was_dropped_or_before_an_earlier_order_is_noticed() {
        let mut checker = DepartureChecker::default();
        checker.dropped.insert(Sequence(4));
        assert!(checker.on_left(&left(5, true)).is_ok());
        assert!(checker.on_left(&left(3, false)).is_ok(), "a cancel may overtake an order");
        assert!(checker.on_left(&left(3, false)).is_err());
        assert!(checker.on_left(&left(2, false)).is_err());
        assert!(checker.on_left(&left(4, false)).is_err());
    }

    #[test]
    fn a_release_of_what_did_not_leave_is_noticed() {
        let mut checker = DepartureChecker::default();
        for order in [1, 2, 3] {
            checker.open.insert(Sequence(order), false);
        }
        checker.on_left(&left(1, false)).unwrap();
        assert!(checker.clone().on_released(Sequence(2)).is_err());
        assert!(checker.clone().on_early(Sequence(1)).is_err(), "an order is not a cancel");
    }
}
