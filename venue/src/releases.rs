//! What has left the host, as far as a log says.
//!
//! Four readers need the answer (open orders, verification, the summary, a kill switch that waits), and this
//! is the one place that knows how it is written down:
//!
//! | event | says |
//! |---|---|
//! | `OrderReleased` | every order and cancel of the gateway up to `throughSequence` has left, except those that an earlier `OrderDropped` names |
//! | `CancelReleased` | this cancel has left before orders that precede it; a later `OrderReleased` covers it again |
//! | `OrderDropped` | this order or cancel has not left and never will |
//! | `SessionStart` | the log cannot say any more whether an order before it has left, unless it said so before |
//!
//! An order leaves before its release is logged, so one without a release may have left all the same.

use std::collections::{BTreeMap, BTreeSet};
use stele_strategies::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::messages::{CancelReleased, DropReason, OrderDropped, OrderReleased, SessionStart};
use stele_wire::{Frame, Sequence};

/// What the log says about the way of an order or a cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// It has left the host.
    Left,
    /// It never leaves.
    Dropped {
        /// The cancel or the kill switch that caused it.
        cause: Sequence,
        /// Why.
        reason: DropReason,
    },
}

/// Answers what has left the host. Pure: feed it every event in order. The events of all gateways of a log go
/// to one instance.
///
/// A log does not say which gateway an order goes to before it has left. Where a log has several gateways,
/// an order counts as left as soon as any of them has passed it; [`Releases::through`] has each gateway's own
/// prefix.
///
/// Bounded by the cancels that overtook an order which still waits, the dropped orders that were not
/// [forgotten](Releases::forget), and the epochs that ended with orders whose release is not on the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Releases {
    /// The prefix of each gateway: its id and `throughSequence`.
    gateways: BTreeMap<u16, Sequence>,
    /// Cancels that left early and that no prefix covers yet: the cancel and its gateway.
    early: BTreeMap<Sequence, u16>,
    dropped: BTreeMap<Sequence, (Sequence, DropReason)>,
    /// The ends of earlier epochs that no release covers: the first and the last sequence of each.
    unknown: BTreeSet<(Sequence, Sequence)>,
}

impl Releases {
    /// Takes the next event of the log.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        match event.template_id() {
            OrderReleased::TEMPLATE_ID => {
                let Some(released) = event.message::<OrderReleased>() else { return };
                self.on_released(released.gateway.get(), Sequence(released.through_sequence.get()));
            }
            CancelReleased::TEMPLATE_ID => {
                let Some(released) = event.message::<CancelReleased>() else { return };
                self.early.insert(Sequence(released.cancel_sequence.get()), released.gateway.get());
            }
            OrderDropped::TEMPLATE_ID => {
                let Some(dropped) = event.message::<OrderDropped>() else { return };
                let order = Sequence(dropped.order_sequence.get());
                self.dropped.insert(order, (Sequence(dropped.cause.get()), dropped.reason));
            }
            SessionStart::TEMPLATE_ID => self.on_epoch(event.sequence()),
            _ => {}
        }
    }

    fn on_released(&mut self, gateway: u16, through: Sequence) {
        let known = self.gateways.entry(gateway).or_insert(through);
        *known = (*known).max(through);
        let covered = *known;
        self.early.retain(|cancel, by| *by != gateway || *cancel > covered);
    }

    /// The releases of the new epoch, which begins with the event `first`, say nothing about the orders
    /// before it.
    fn on_epoch(&mut self, first: Sequence) {
        let known = self.unknown.last().map_or(0, |(_, last)| last.0);
        let from = self.greatest().0.max(known) + 1;
        if from < first.0 {
            self.unknown.insert((Sequence(from), Sequence(first.0 - 1)));
        }
    }

    fn greatest(&self) -> Sequence {
        self.gateways.values().copied().max().unwrap_or(Sequence(0))
    }

    /// What the log says about the order or cancel with this sequence. None: nothing. It waits, or it has
    /// left and that is not logged yet, or it is of an earlier epoch that ended before it was.
    pub fn departure(&self, order: Sequence) -> Option<Departure> {
        if let Some(&(cause, reason)) = self.dropped.get(&order) {
            return Some(Departure::Dropped { cause, reason });
        }
        if self.early.contains_key(&order) {
            return Some(Departure::Left);
        }
        let span = self.unknown.range(..=(order, Sequence(u64::MAX))).next_back();
        let is_unknown = span.is_some_and(|(_, last)| order <= *last);
        (order <= self.greatest() && !is_unknown).then_some(Departure::Left)
    }

    /// Whether the order or cancel with this sequence has left: `Some(false)` when it never will, none when
    /// the log does not say.
    pub fn has_left(&self, order: Sequence) -> Option<bool> {
        self.departure(order).map(|departure| departure == Departure::Left)
    }

    /// The last order or cancel of this gateway up to which everything has left or was dropped; 0 before the
    /// first.
    pub fn through(&self, gateway: u16) -> Sequence {
        self.gateways.get(&gateway).copied().unwrap_or(Sequence(0))
    }

    /// Forgets that this order was dropped. Call it once its end is on the log and it is not asked about any
    /// more.
    pub fn forget(&mut self, order: Sequence) {
        self.dropped.remove(&order);
    }
}

impl Releases {
    /// Appends the whole state to `out`.
    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.gateways.len() as u64);
        for (gateway, through) in &self.gateways {
            [u64::from(*gateway), through.0].into_iter().for_each(|value| out.put_u64(value));
        }
        out.put_u64(self.early.len() as u64);
        for (cancel, gateway) in &self.early {
            [cancel.0, u64::from(*gateway)].into_iter().for_each(|value| out.put_u64(value));
        }
        out.put_u64(self.dropped.len() as u64);
        for (order, (cause, reason)) in &self.dropped {
            [order.0, cause.0, u64::from(reason.0)].into_iter().for_each(|value| out.put_u64(value));
        }
        out.put_u64(self.unknown.len() as u64);
        for (first, last) in &self.unknown {
            [first.0, last.0].into_iter().for_each(|value| out.put_u64(value));
        }
    }

    /// Restores the state that [`Releases::snapshot`] wrote.
    pub(crate) fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut releases = Self::default();
        for _ in 0..reader.count("gateways")? {
            let gateway = reader.at_most("gateway", u16::MAX.into())? as u16;
            releases.gateways.insert(gateway, Sequence(reader.u64()?));
        }
        for _ in 0..reader.count("early cancels")? {
            let cancel = Sequence(reader.u64()?);
            releases.early.insert(cancel, reader.at_most("gateway", u16::MAX.into())? as u16);
        }
        for _ in 0..reader.count("dropped orders")? {
            let (order, cause) = (Sequence(reader.u64()?), Sequence(reader.u64()?));
            let reason = DropReason(reader.at_most("reason", u8::MAX.into())? as u8);
            releases.dropped.insert(order, (cause, reason));
        }
        for _ in 0..reader.count("epochs")? {
            releases.unknown.insert((Sequence(reader.u64()?), Sequence(reader.u64()?)));
        }
        Ok(releases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Log;

    /// A log and what it says.
    #[derive(Default)]
    struct Story {
        log: Log,
        releases: Releases,
    }

    impl Story {
        fn push<M: stele_wire::codec::Message>(&mut self, message: &M) {
            self.log.push(message);
            self.releases.on_event(&self.log.last());
        }

        fn released(&mut self, gateway: u16, through: u64) {
            let through_sequence = through.into();
            self.push(&OrderReleased { gateway: gateway.into(), through_sequence, ..OrderReleased::NULL });
        }

        fn cancel_released(&mut self, gateway: u16, cancel: u64) {
            let cancel_sequence = cancel.into();
            self.push(&CancelReleased { gateway: gateway.into(), cancel_sequence, ..CancelReleased::NULL });
        }

        fn dropped(&mut self, order: u64, cause: u64) {
            self.push(&OrderDropped {
                order_sequence: order.into(),
                cause: cause.into(),
                reason: DropReason::CANCELLED,
                ..OrderDropped::NULL
            });
        }

        fn left(&self, orders: &[u64]) -> Vec<Option<bool>> {
            orders.iter().map(|order| self.releases.has_left(Sequence(*order))).collect()
        }
    }

    #[test]
    fn a_release_covers_everything_before_it_except_what_was_dropped() {
        let mut story = Story::default();
        story.dropped(102, 104);
        story.released(4, 103);
        assert_eq!(story.left(&[101, 102, 103, 104]), [Some(true), Some(false), Some(true), None]);
        let cause = Sequence(104);
        let dropped = Departure::Dropped { cause, reason: DropReason::CANCELLED };
        assert_eq!(story.releases.departure(Sequence(102)), Some(dropped));
    }

    #[test]
    fn a_cancel_that_overtook_has_left_and_the_orders_before_it_have_not() {
        let mut story = Story::default();
        story.released(4, 100);
        story.cancel_released(4, 103);
        assert_eq!(story.left(&[100, 101, 102, 103, 104]), [Some(true), None, None, Some(true), None]);
        story.released(4, 104);
        assert_eq!(story.left(&[101, 103, 104]), [Some(true); 3]);
        assert!(story.releases.early.is_empty(), "the prefix covers it");
    }

    #[test]
    fn each_gateway_has_its_own_prefix() {
        let mut story = Story::default();
        story.cancel_released(5, 90);
        story.released(4, 100);
        assert_eq!(story.releases.early.len(), 1, "gateway 5 has not passed it");
        story.released(5, 95);
        assert_eq!((story.releases.through(4), story.releases.through(5)), (Sequence(100), Sequence(95)));
        assert_eq!(story.releases.through(6), Sequence(0));
        assert!(story.releases.early.is_empty());
    }

    #[test]
    fn a_release_of_a_later_epoch_says_nothing_about_the_orders_that_an_earlier_one_left_open() {
        let mut story = Story::default();
        let start = |story: &mut Story| story.push(&SessionStart::NULL);
        for _ in 1..=9 {
            story.log.push(&stele_wire::messages::NewOrder::NULL);
        }
        story.released(4, 3);
        story.dropped(5, 8);
        start(&mut story);
        story.released(4, 12);
        assert_eq!(
            story.left(&[3, 4, 5, 6, 11, 12]),
            [Some(true), None, Some(false), None, None, Some(true)]
        );
        start(&mut story);
        start(&mut story);
        story.released(4, 20);
        let order = story.log.frames().count() as u64;
        assert_eq!(story.left(&[12, 13, 14, order]), [Some(true), None, None, Some(true)]);
    }

    #[test]
    fn what_was_dropped_is_kept_until_it_is_forgotten() {
        let mut story = Story::default();
        story.dropped(102, 104);
        story.releases.forget(Sequence(102));
        assert_eq!(story.releases, Releases::default());
    }
}
