//! Cancels that left early, and orders that were dropped.

use super::*;
use stele_wire::messages::{CancelReleased, CancelScope, DropReason, OrderDropped, SwitchState};

/// A trail with an order and a cancel of it that wait.
fn waiting() -> (Trail, u64, u64) {
    let mut trail = Trail::begun();
    let order = trail.submit();
    let cancel = trail.cancel(order);
    let cancel = trail.push(&cancel).unwrap();
    (trail, order, cancel)
}

pub(super) fn early(trail: &Trail, cancel: u64, order: u64) -> CancelReleased {
    CancelReleased {
        cancel_sequence: U64::new(cancel),
        cancelled_sequence: U64::new(order),
        watermark: U64::new(trail.position.0),
        gateway: U16::new(4),
        kind: ReleaseWatermark::DURABLE,
        ..CancelReleased::NULL
    }
}

pub(super) fn dropped(order: u64, cause: u64, reason: DropReason) -> OrderDropped {
    OrderDropped {
        order_sequence: U64::new(order),
        cause: U64::new(cause),
        gateway: U16::new(4),
        account: U32::new(ACCOUNT),
        strategy: U16::new(1),
        reason,
        ..OrderDropped::NULL
    }
}

/// The member's end of an order that was dropped.
pub(super) fn ended(order: u64, cancel: u64) -> OrderCancelled {
    OrderCancelled {
        order_sequence: U64::new(order),
        request_sequence: U64::new(cancel),
        originator: Originator::MEMBER,
        leaves_quantity: U64::new(0),
        cumulative_quantity: U64::new(0),
        status: stele_wire::messages::OrderStatus::DONE,
        ..OrderCancelled::NULL
    }
}

#[test]
fn a_cancel_may_leave_before_orders_and_be_answered_without_their_release() {
    let (mut trail, order, cancel) = waiting();
    trail.push(&early(&trail, cancel, order)).unwrap();
    let refused = CancelRejected { request_sequence: U64::new(cancel), ..CancelRejected::NULL };
    let mut buffer = [0; 256];
    let body = refused.encode(&mut buffer, b"").unwrap();
    trail.push_body(CancelRejected::TEMPLATE_ID, CancelRejected::BLOCK_LENGTH, body).unwrap();
    trail.end().unwrap();
    // The prefix covers it again, and the gateway counts it or not.
    for count in [1, 2] {
        let (mut trail, order, cancel) = waiting();
        trail.push(&early(&trail, cancel, order)).unwrap();
        trail.push(&trail.released(cancel, count)).unwrap();
        trail.push(&trail.accepted(order)).unwrap();
        trail.end().unwrap();
    }
}

#[test]
fn an_early_release_of_an_order_of_something_that_left_or_before_its_watermark_is_found() {
    let (mut trail, order, _) = waiting();
    assert_eq!(broken(trail.push(&early(&trail, order, 0))).0, Rule::CancelLeft);
    let (mut trail, order, cancel) = waiting();
    trail.push(&early(&trail, cancel, order)).unwrap();
    assert_eq!(broken(trail.push(&early(&trail, cancel, order))).0, Rule::CancelLeft);
    let (mut trail, order, cancel) = waiting();
    trail.push(&trail.released(cancel, 2)).unwrap();
    assert_eq!(broken(trail.push(&early(&trail, cancel, order))).0, Rule::CancelLeft);
    for watermark in [-8, 8] {
        let (mut trail, order, cancel) = waiting();
        let released = early(&trail, cancel, order);
        let watermark = U64::new(trail.position.0.wrapping_add_signed(watermark));
        assert_eq!(broken(trail.push(&CancelReleased { watermark, ..released })).0, Rule::CancelLeft);
    }
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    trail.push(&dropped(cancel, cancel, DropReason::NOTHING_TO_CANCEL)).unwrap();
    assert_eq!(broken(trail.push(&early(&trail, cancel, order))).0, Rule::CancelLeft);
}

#[test]
fn an_order_that_was_dropped_with_its_cancel_ends_without_a_release() {
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    trail.push(&ended(order, cancel)).unwrap();
    trail.push(&dropped(cancel, cancel, DropReason::NOTHING_TO_CANCEL)).unwrap();
    let next = trail.submit();
    trail.push(&trail.released(next, 1)).unwrap();
    trail.end().unwrap();

    let mut trail = Trail::begun();
    let order = trail.submit();
    let cause = super::checks::switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [1, 0]).unwrap();
    trail.push(&dropped(order, cause, DropReason::KILL_SWITCH)).unwrap();
    trail.push(&ended(order, 0)).unwrap();
    trail.end().unwrap();
}

#[test]
fn a_release_that_counts_a_dropped_order_is_found() {
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    assert_eq!(broken(trail.push(&trail.released(cancel, 2))).0, Rule::ReleaseOrder);
}

#[test]
fn a_drop_of_what_had_left_of_nothing_twice_or_without_a_cause_is_found() {
    let (mut trail, order, cancel) = waiting();
    trail.push(&trail.released(order, 1)).unwrap();
    assert_eq!(broken(trail.push(&dropped(order, cancel, DropReason::CANCELLED))).0, Rule::DroppedStays);
    let (mut trail, order, cancel) = waiting();
    trail.push(&early(&trail, cancel, order)).unwrap();
    assert_eq!(
        broken(trail.push(&dropped(cancel, order, DropReason::NOTHING_TO_CANCEL))).0,
        Rule::DroppedStays
    );
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    assert_eq!(broken(trail.push(&dropped(order, cancel, DropReason::CANCELLED))).0, Rule::DroppedStays);
    let (mut trail, order, _) = waiting();
    let event = trail.push(&trade(INSTRUMENT, 1)).unwrap();
    assert_eq!(broken(trail.push(&dropped(event, order, DropReason::CANCELLED))).0, Rule::DroppedStays);
    for (reason, is_order) in [(DropReason::CANCELLED, true), (DropReason::KILL_SWITCH, false)] {
        let (mut trail, order, cancel) = waiting();
        let cause = if is_order { order } else { cancel };
        assert_eq!(broken(trail.push(&dropped(order, cause, reason))).0, Rule::DroppedStays, "{reason}");
    }
    let (mut trail, order, cancel) = waiting();
    let others = OrderDropped { account: U32::new(77), ..dropped(order, cancel, DropReason::CANCELLED) };
    let verdict = trail.push(&others);
    assert!([Rule::DroppedStays, Rule::DefinedBefore].contains(&broken(verdict).0));
}

#[test]
fn a_report_of_a_venue_about_a_dropped_order_is_found() {
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    assert_eq!(broken(trail.push(&trail.accepted(order))).0, Rule::DroppedStays);
    let (mut trail, order, cancel) = waiting();
    trail.push(&dropped(order, cancel, DropReason::CANCELLED)).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(order, 0, 1))).0, Rule::DroppedStays);
}
