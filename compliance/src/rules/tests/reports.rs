//! Executions beyond their orders, and quantities that do not add up.

use super::*;
use crate::rules::fixture::{LIMIT, QUANTITY};
use stele_wire::messages::{OrderReplaced, OrderStatus, ReplaceOrder, Side, TradeBusted};

/// A trail with an order that works.
fn working() -> (Trail, u64) {
    let mut trail = Trail::begun();
    let order = trail.submit();
    trail.push(&trail.accepted(order)).unwrap();
    (trail, order)
}

#[test]
fn an_order_that_is_executed_in_parts_holds() {
    let (mut trail, order) = working();
    for (before, quantity) in [(0, 3), (3, 3), (6, 4)] {
        trail.push(&trail.filled(order, before, quantity)).unwrap();
    }
    let counts = trail.rules.counts();
    for rule in [Rule::FillOfWorking, Rule::FillWithinQuantity, Rule::FillWithinLimit, Rule::ExecutionOnce] {
        assert_eq!(counts.of(rule), 3, "{rule}");
    }
    assert_eq!(counts.of(Rule::QuantitiesAddUp), 4);
}

#[test]
fn an_execution_of_more_than_is_left_is_found() {
    let (mut trail, order) = working();
    trail.push(&trail.filled(order, 0, 4)).unwrap();
    assert_eq!(
        broken(trail.push(&trail.filled(order, 4, QUANTITY - 3))),
        (Rule::FillWithinQuantity, trail.sequence)
    );
}

#[test]
fn an_execution_beyond_the_limit_price_is_found_on_both_sides() {
    for (side, beyond) in [(Side::BUY, 1), (Side::SELL, -1)] {
        let executed = |price: i64| {
            let mut trail = Trail::begun();
            let order = NewOrder { side, ..trail.order() };
            let order = trail.push_order(&order).unwrap();
            let fill = OrderFilled { side, last_price: I64::new(price), ..trail.filled(order, 0, 1) };
            trail.push(&fill)
        };
        executed(LIMIT - 5 * beyond).unwrap();
        executed(LIMIT).unwrap();
        assert_eq!(broken(executed(LIMIT + beyond)).0, Rule::FillWithinLimit, "{side}");
    }
}

#[test]
fn an_execution_of_no_order_of_an_ended_one_or_of_another_instrument_is_found() {
    let (mut trail, order) = working();
    let nothing = OrderFilled {
        order_sequence: U64::new(0),
        client_order_id: U64::new(5),
        ..trail.filled(order, 0, 1)
    };
    assert_eq!(broken(trail.push(&nothing)).0, Rule::FillOfWorking);

    let (mut trail, order) = working();
    trail.push(&OrderCancelled { order_sequence: U64::new(order), ..OrderCancelled::NULL }).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(order, 0, 1))).0, Rule::FillOfWorking);

    let (mut trail, order) = working();
    trail.push(&trail.filled(order, 0, QUANTITY)).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(order, QUANTITY, 1))).0, Rule::FillOfWorking);

    let (mut trail, order) = working();
    let other_side = OrderFilled { side: Side::SELL, ..trail.filled(order, 0, 1) };
    assert_eq!(broken(trail.push(&other_side)).0, Rule::FillOfWorking);
}

#[test]
fn a_report_without_a_sequence_is_matched_by_account_and_client_order_id() {
    let (mut trail, order) = working();
    let fill = OrderFilled { order_sequence: U64::new(0), ..trail.filled(order, 0, 4) };
    trail.push(&fill).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(order, 4, QUANTITY))).0, Rule::FillWithinQuantity);
}

/// F-15: the same execution, reported again.
#[test]
fn an_execution_that_is_reported_twice_is_found() {
    let (mut trail, order) = working();
    let fill = trail.filled(order, 0, 4);
    trail.push(&fill).unwrap();
    let again = OrderFilled { execution_id: fill.execution_id, ..trail.filled(order, 4, 4) };
    let sold = OrderFilled { side: Side::SELL, ..again };
    assert_eq!(broken(trail.push(&again)), (Rule::ExecutionOnce, trail.sequence));
    // Both sides of a trade may have one id.
    let (mut trail, order) = working();
    trail.push(&fill).unwrap();
    let sale = NewOrder { side: Side::SELL, ..trail.order() };
    let sale = trail.push_order(&sale).unwrap();
    let _ = order;
    trail
        .push(&OrderFilled {
            order_sequence: U64::new(sale),
            cumulative_quantity: U64::new(4),
            leaves_quantity: U64::new(6),
            ..sold
        })
        .unwrap();
}

#[test]
fn cumulative_quantities_and_those_left_that_do_not_add_up_are_found() {
    type Change = (&'static str, fn(&mut OrderFilled));
    let changes: &[Change] = &[
        ("cumulative", |fill| fill.cumulative_quantity = U64::new(5)),
        ("left", |fill| fill.leaves_quantity = U64::new(5)),
        ("done with a rest", |fill| fill.status = OrderStatus::DONE),
    ];
    for (name, change) in changes {
        let (mut trail, order) = working();
        let mut fill = trail.filled(order, 0, 4);
        change(&mut fill);
        let verdict = trail.push(&fill);
        if *name == "done with a rest" {
            verdict.unwrap();
        } else {
            assert_eq!(broken(verdict), (Rule::QuantitiesAddUp, trail.sequence), "{name}");
        }
    }
}

#[test]
fn a_cancel_of_a_part_leaves_the_rest_and_one_that_loses_quantity_is_found() {
    let cancelled = |order: u64, leaves: u64, taken: u64| OrderCancelled {
        order_sequence: U64::new(order),
        cumulative_quantity: U64::new(4),
        leaves_quantity: U64::new(leaves),
        cancelled_quantity: U64::new(taken),
        status: OrderStatus::ACTIVE,
        ..OrderCancelled::NULL
    };
    let filled = || {
        let (mut trail, order) = working();
        trail.push(&trail.filled(order, 0, 4)).unwrap();
        (trail, order)
    };
    let (mut trail, order) = filled();
    trail.push(&cancelled(order, 2, 4)).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(order, 4, 3))).0, Rule::FillWithinQuantity);
    for (leaves, taken) in [(2, 3), (7, 0)] {
        let (mut trail, order) = filled();
        assert_eq!(broken(trail.push(&cancelled(order, leaves, taken))).0, Rule::QuantitiesAddUp);
    }
    let (mut trail, order) = filled();
    let ended = OrderCancelled { cumulative_quantity: U64::new(3), ..cancelled(order, 0, 6) };
    assert_eq!(broken(trail.push(&ended)).0, Rule::QuantitiesAddUp);
}

#[test]
fn a_replacement_continues_the_executions_of_its_order() {
    let replaced = || {
        let (mut trail, order) = working();
        trail.push(&trail.filled(order, 0, 4)).unwrap();
        let client_order_id = U64::new(9_000);
        let replacement = ReplaceOrder {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            client_order_id,
            replaced_order_id: U64::new(1_000 + order - 1),
            side: Side::BUY,
            order_type: stele_wire::messages::OrderType::LIMIT,
            quantity: U64::new(QUANTITY + 2),
            limit_price: I64::new(LIMIT - 1),
            ..ReplaceOrder::NULL
        };
        let mut buffer = [0; 512];
        let body = replacement.encode(&mut buffer, [], &[], &[]).unwrap();
        let new = trail.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, body).unwrap();
        let report = OrderReplaced {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            client_order_id,
            replaced_order_id: replacement.replaced_order_id,
            order_sequence: U64::new(new),
            side: Side::BUY,
            quantity: replacement.quantity,
            cumulative_quantity: U64::new(4),
            leaves_quantity: U64::new(QUANTITY + 2 - 4),
            ..OrderReplaced::NULL
        };
        (trail, order, new, report)
    };
    let fill = |trail: &Trail, order: u64, price: i64| OrderFilled {
        last_price: I64::new(price),
        cumulative_quantity: U64::new(12),
        leaves_quantity: U64::new(0),
        last_quantity: U64::new(8),
        ..trail.filled(order, 4, 8)
    };
    let (mut trail, _, new, report) = replaced();
    trail.push(&report).unwrap();
    trail.push(&fill(&trail, new, LIMIT - 1)).unwrap();
    let (mut trail, _, new, report) = replaced();
    trail.push(&report).unwrap();
    assert_eq!(broken(trail.push(&fill(&trail, new, LIMIT))).0, Rule::FillWithinLimit);
    let (mut trail, old, _, report) = replaced();
    trail.push(&report).unwrap();
    assert_eq!(broken(trail.push(&trail.filled(old, 4, 1))).0, Rule::FillOfWorking);
    let (mut trail, _, _, report) = replaced();
    let lost = OrderReplaced { cumulative_quantity: U64::new(0), ..report };
    assert_eq!(broken(trail.push(&lost)).0, Rule::QuantitiesAddUp);
}

#[test]
fn an_execution_that_was_taken_back_is_left_again() {
    let (mut trail, order) = working();
    let fill = trail.filled(order, 0, 4);
    let at = trail.push(&fill).unwrap();
    let bust = TradeBusted {
        order_sequence: U64::new(order),
        execution_id: fill.execution_id,
        last_quantity: U64::new(4),
        fill_sequence: U64::new(at),
        ..TradeBusted::NULL
    };
    trail.push(&bust).unwrap();
    trail.push(&trail.filled(order, 0, QUANTITY)).unwrap();
}

#[test]
fn reports_about_orders_before_the_trail_are_not_judged() {
    let mut trail = Trail::starting_at(1_000);
    trail.begin_session().unwrap();
    trail.push(&trail.filled(7, 90, 50)).unwrap();
    let nameless = OrderFilled { order_sequence: U64::new(0), ..trail.filled(8, 90, 50) };
    trail.push(&nameless).unwrap();
    assert_eq!(trail.rules.counts().of(Rule::FillOfWorking), 0);
}
