//! Orders that a check refuses, and changes that were not allowed.

use super::*;
use crate::rules::fixture::{LIMIT, QUANTITY};
use stele_wire::Price;
use stele_wire::messages::{
    CancelScope, Check, InstrumentDefinition, KillSwitch, LimitProposed, ReplaceOrder, RiskLimit,
    SessionStart, StrategyAct, StrategyCommand, SwitchState,
};

pub(super) fn limit(check: Check, limit: i64) -> RiskLimit {
    RiskLimit {
        check,
        scope: CancelScope::ALL,
        limit: I64::new(limit),
        scope_id: U32::new(0),
        ..RiskLimit::NULL
    }
}

pub(super) fn switch(
    trail: &mut Trail,
    scope: CancelScope,
    id: u32,
    state: SwitchState,
    by: [u32; 2],
) -> Verdict {
    let [party, approved_by] = by.map(U32::new);
    let switch = KillSwitch { scope, scope_id: U32::new(id), state, party, approved_by, ..KillSwitch::NULL };
    let mut buffer = [0; 64];
    let body = switch.encode(&mut buffer, b"").unwrap();
    trail.push_body(KillSwitch::TEMPLATE_ID, KillSwitch::BLOCK_LENGTH, body)
}

/// A trail whose session states this configuration.
fn configured(configuration: &str) -> Trail {
    let mut trail = Trail::starting_at(1);
    let start = trail.session_start();
    let mut buffer = [0; 1_024];
    let body = start.encode(&mut buffer, configuration.as_bytes()).unwrap();
    trail.push_body(SessionStart::TEMPLATE_ID, SessionStart::BLOCK_LENGTH, body).unwrap();
    trail.schema_text(SCHEMA_TEXT.as_bytes(), trail.header.schema).unwrap();
    trail.define().unwrap();
    trail
}

/// Each limit that the order of the fixture exceeds, and the greatest that it does not.
#[test]
fn an_order_beyond_a_limit_in_force_is_found_with_the_check() {
    let value = LIMIT * QUANTITY as i64;
    let cases = [
        (Check::ORDER_QUANTITY, QUANTITY as i64 - 1, QUANTITY as i64),
        (Check::NOTIONAL, value - 1, value),
        (Check::POSITION, QUANTITY as i64 - 1, QUANTITY as i64),
        (Check::CREDIT, value - 1, value),
        (Check::OPEN_ORDERS, 0, 1),
        (Check::MESSAGE_RATE, 0, 1),
    ];
    for (check, below, enough) in cases {
        let mut trail = Trail::begun();
        trail.push(&limit(check, enough)).unwrap();
        trail.submit();
        let mut trail = Trail::begun();
        trail.push(&limit(check, below)).unwrap();
        let order = trail.order();
        let violation = trail.push_order(&order).expect_err("beyond the limit");
        assert_eq!((violation.rule, violation.sequence.0), (Rule::OrderWithinLimits, trail.sequence));
        assert!(violation.found.contains(&check.to_string()), "{}", violation.found);
        assert!(violation.expected.contains(&below.to_string()), "{}", violation.expected);
    }
}

#[test]
fn an_order_beyond_the_collar_is_found_where_the_market_is_on_the_log() {
    let quoted = || {
        let mut trail = Trail::begun();
        let last = Trade { price: I64::new(LIMIT / 2), quantity: U64::new(1), ..trade(INSTRUMENT, 1) };
        trail.push(&last).unwrap();
        trail
    };
    let mut trail = quoted();
    trail.push(&limit(Check::PRICE_COLLAR, Price::SCALE)).unwrap();
    trail.submit();
    let mut trail = quoted();
    trail.push(&limit(Check::PRICE_COLLAR, Price::SCALE / 10)).unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderWithinLimits);
}

#[test]
fn a_limit_of_one_account_or_instrument_binds_only_its_own_orders() {
    let of = |scope, id: u32| RiskLimit { scope, scope_id: U32::new(id), ..limit(Check::ORDER_QUANTITY, 1) };
    for scope in [CancelScope::ACCOUNT, CancelScope::INSTRUMENT] {
        let own = if scope == CancelScope::ACCOUNT { ACCOUNT } else { INSTRUMENT };
        let mut trail = Trail::begun();
        trail.push(&of(scope, own + 1)).unwrap();
        trail.submit();
        trail.push(&of(scope, own)).unwrap();
        let order = trail.order();
        assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderWithinLimits);
    }
}

#[test]
fn the_limits_of_the_configuration_apply_from_the_first_session_on() {
    let mut trail = configured("[risk]\norder_quantity_max = 10\norder_notional_max = 1000\n");
    trail.submit();
    let mut trail = configured("[risk]\norder_quantity_max = 9\n");
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderWithinLimits);
    // A later session keeps what the log has, whatever its configuration states.
    let mut trail = configured("[risk]\norder_quantity_max = 9\n");
    trail.next_epoch();
    trail.begin_session().unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderWithinLimits);
}

/// F-1: the switch was engaged while a session was opening, and the session did not know it.
#[test]
fn an_order_under_a_switch_that_was_engaged_before_its_session_is_found() {
    let mut trail = Trail::begun();
    trail.end().unwrap();
    trail.next_epoch();
    trail.begin_session().unwrap();
    switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [1, 0]).unwrap();
    trail.end().unwrap();
    trail.next_epoch();
    trail.begin_session().unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)), (Rule::OrderUnderSwitch, trail.sequence));
}

#[test]
fn a_switch_binds_the_orders_in_its_scope_until_it_is_released() {
    for (scope, id) in
        [(CancelScope::STRATEGY, 1), (CancelScope::ACCOUNT, ACCOUNT), (CancelScope::INSTRUMENT, INSTRUMENT)]
    {
        let mut trail = Trail::begun();
        switch(&mut trail, scope, id + 1, SwitchState::ENGAGED, [1, 0]).unwrap();
        trail.submit();
        switch(&mut trail, scope, id, SwitchState::ENGAGED, [1, 0]).unwrap();
        switch(&mut trail, scope, id, SwitchState::RELEASED, [1, 0]).unwrap();
        trail.submit();
        switch(&mut trail, scope, id, SwitchState::ENGAGED, [1, 0]).unwrap();
        let cancel = trail.cancel(trail.sequence);
        trail.push(&cancel).unwrap();
        let order = trail.order();
        assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderUnderSwitch, "{scope}");
    }
}

/// F-49: the account or the instrument has no definition.
#[test]
fn an_order_for_an_undefined_account_or_instrument_is_found() {
    let changes: [fn(&mut NewOrder); 3] = [
        |order| order.account = U32::new(98),
        |order| order.account = U32::new(0),
        |order| order.instrument = U32::new(99),
    ];
    for change in changes {
        let mut trail = Trail::begun();
        let mut order = trail.order();
        change(&mut order);
        assert_eq!(broken(trail.push_order(&order)), (Rule::OrderWithinLimits, trail.sequence));
    }
}

#[test]
fn an_order_with_the_id_of_an_open_one_and_a_replacement_of_nothing_are_found() {
    let mut trail = Trail::begun();
    let first = trail.order();
    trail.push_order(&first).unwrap();
    assert_eq!(broken(trail.push_order(&first)).0, Rule::OrderWithinLimits);
    let mut trail = Trail::begun();
    let order = trail.order();
    let replacement = ReplaceOrder {
        instrument: order.instrument,
        account: order.account,
        strategy: order.strategy,
        client_order_id: order.client_order_id,
        replaced_order_id: U64::new(5),
        side: order.side,
        order_type: order.order_type,
        quantity: order.quantity,
        limit_price: order.limit_price,
        ..ReplaceOrder::NULL
    };
    let mut buffer = [0; 512];
    let body = replacement.encode(&mut buffer, [], &[], &[]).unwrap();
    let verdict = trail.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, body);
    assert_eq!(broken(verdict).0, Rule::OrderWithinLimits);
}

fn command(trail: &mut Trail, strategy: u16, act: StrategyAct) {
    let command = StrategyCommand { strategy: U16::new(strategy), act, ..StrategyCommand::NULL };
    let mut buffer = [0; 128];
    let body = command.encode(&mut buffer, b"", b"").unwrap();
    trail.push_body(StrategyCommand::TEMPLATE_ID, StrategyCommand::BLOCK_LENGTH, body).unwrap();
}

#[test]
fn an_order_of_a_paused_strategy_is_found_until_the_strategy_is_resumed() {
    let mut trail = Trail::begun();
    command(&mut trail, 1, StrategyAct::PAUSE);
    command(&mut trail, 1, StrategyAct::RESUME);
    let order = trail.submit();
    command(&mut trail, 1, StrategyAct::PAUSE);
    let cancel = trail.cancel(order);
    trail.push(&cancel).unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)), (Rule::OrderOfPaused, trail.sequence));
}

#[test]
fn of_version_1_only_the_checks_with_the_same_meaning_are_judged() {
    for (check, is_judged) in
        [(Check::ORDER_QUANTITY, true), (Check::NOTIONAL, false), (Check::POSITION, false)]
    {
        let mut trail = Trail::begun();
        trail.push(&limit(check, 1)).unwrap();
        trail.schema.1 = 1;
        let order = trail.order();
        assert_eq!(trail.push_order(&order).is_err(), is_judged, "{check}");
    }
    let mut trail = Trail::begun();
    switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [1, 0]).unwrap();
    trail.schema.1 = 1;
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderUnderSwitch);
}

/// What stood before the first event is not known; a switch that was engaged after it is.
#[test]
fn a_trail_without_its_beginning_judges_switches_and_no_limits() {
    let mut trail = Trail::starting_at(1_000);
    trail.begin_session().unwrap();
    trail.push(&limit(Check::ORDER_QUANTITY, 1)).unwrap();
    trail.submit();
    switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [1, 0]).unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderUnderSwitch);
}

#[test]
fn a_refusal_that_the_limits_on_the_log_do_not_explain_is_counted() {
    let refused = |check: Check, quantity_max: i64| {
        let mut trail = Trail::begun();
        trail.push(&limit(Check::ORDER_QUANTITY, quantity_max)).unwrap();
        refuse(&mut trail, 77).unwrap();
        rejected(&mut trail, OrderRejected { client_order_id: U64::new(77), check, ..own_refusal() })
            .unwrap();
        trail.rules.unexplained_refusals()
    };
    assert_eq!(refused(Check::ORDER_QUANTITY, 1), 0);
    assert_eq!(refused(Check::ORDER_QUANTITY, 100), 1);
    assert_eq!(refused(Check::NOTIONAL, 1), 1);
    assert_eq!(refused(Check::BUS_BEHIND, 100), 0, "the state of the ring is not on the log");
}

#[test]
fn a_change_without_the_two_people_that_the_configuration_requires_is_found() {
    const FOUR_EYES: &str = "[risk]\nfour_eyes = true\n";
    let by = |one: u32, other: u32| RiskLimit {
        changed_by: U32::new(one),
        approved_by: U32::new(other),
        ..limit(Check::ORDER_QUANTITY, 100)
    };
    let mut trail = configured(FOUR_EYES);
    trail.push(&by(5, 6)).unwrap();
    switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [5, 0]).unwrap();
    switch(&mut trail, CancelScope::ALL, 0, SwitchState::RELEASED, [5, 6]).unwrap();
    for (one, other) in [(5, 5), (5, 0), (0, 0)] {
        let mut trail = configured(FOUR_EYES);
        assert_eq!(broken(trail.push(&by(one, other))).0, Rule::ChangeAllowed);
        let mut trail = configured(FOUR_EYES);
        switch(&mut trail, CancelScope::ALL, 0, SwitchState::ENGAGED, [one, other]).unwrap();
        let released = switch(&mut trail, CancelScope::ALL, 0, SwitchState::RELEASED, [one, other]);
        assert_eq!(broken(released).0, Rule::ChangeAllowed);
        configured("").push(&by(one, other)).unwrap();
    }
    let mut trail = configured("");
    let nowhere = RiskLimit { scope: CancelScope::DESK, ..limit(Check::ORDER_QUANTITY, 100) };
    assert_eq!(broken(trail.push(&nowhere)).0, Rule::ChangeAllowed);
}

/// A proposal by person 5 of user 1000 of the limit that `approval` puts in force.
pub(super) fn propose(trail: &mut Trail) -> u64 {
    let proposed = LimitProposed {
        limit: I64::new(100),
        previous: I64::new(50),
        scope: CancelScope::ALL,
        scope_id: U32::new(0),
        check: Check::ORDER_QUANTITY,
        proposed_by: U32::new(5),
        caller_user: U32::new(1_000),
        expires: U64::new(1_000 + trail.sequence + 4),
        ..LimitProposed::NULL
    };
    let mut buffer = [0; 128];
    let body = proposed.encode(&mut buffer, b"").unwrap();
    trail.push_body(LimitProposed::TEMPLATE_ID, LimitProposed::BLOCK_LENGTH, body).unwrap()
}

pub(super) fn approval(proposal: u64) -> RiskLimit {
    RiskLimit {
        changed_by: U32::new(5),
        approved_by: U32::new(6),
        caller_user: U32::new(1_001),
        proposal: U64::new(proposal),
        previous: I64::new(50),
        ..limit(Check::ORDER_QUANTITY, 100)
    }
}

#[test]
fn an_approval_that_differs_from_its_proposal_or_is_by_the_same_person_is_found() {
    type Change = (&'static str, fn(&mut RiskLimit));
    let changes: &[Change] = &[
        ("another limit", |limit| limit.limit = I64::new(101)),
        ("another check", |limit| limit.check = Check::POSITION),
        ("another scope", |limit| limit.instrument = U32::new(INSTRUMENT)),
        ("another proposer", |limit| limit.changed_by = U32::new(7)),
        ("the same person", |limit| limit.approved_by = U32::new(5)),
        ("no approver", |limit| limit.approved_by = U32::new(0)),
        ("the same user", |limit| limit.caller_user = U32::new(1_000)),
        ("no such proposal", |limit| limit.proposal = U64::new(limit.proposal.get() - 1)),
    ];
    let proposed = || {
        let mut trail = Trail::begun();
        trail.push(&limit(Check::ORDER_QUANTITY, 50)).unwrap();
        let proposal = propose(&mut trail);
        (trail, proposal)
    };
    let (mut trail, proposal) = proposed();
    trail.push(&approval(proposal)).unwrap();
    for (name, change) in changes {
        let (mut trail, proposal) = proposed();
        let mut changed = approval(proposal);
        change(&mut changed);
        assert_eq!(broken(trail.push(&changed)), (Rule::LimitApproved, trail.sequence), "{name}");
    }
}

/// Pushes so many other events, one each nanosecond.
fn wait(trail: &mut Trail, events: u64) {
    for _ in 0..events {
        trail.push(&trade(INSTRUMENT, 1)).unwrap();
    }
}

#[test]
fn an_approval_that_comes_twice_too_late_or_after_another_change_is_found() {
    let proposed = || {
        let mut trail = Trail::begun();
        trail.push(&limit(Check::ORDER_QUANTITY, 50)).unwrap();
        let proposal = propose(&mut trail);
        (trail, proposal)
    };
    let (mut trail, proposal) = proposed();
    trail.push(&approval(proposal)).unwrap();
    assert_eq!(broken(trail.push(&approval(proposal))).0, Rule::LimitApproved);

    let (mut trail, proposal) = proposed();
    wait(&mut trail, 1);
    trail.push(&approval(proposal)).unwrap();
    let (mut trail, proposal) = proposed();
    wait(&mut trail, 2);
    assert_eq!(broken(trail.push(&approval(proposal))).0, Rule::LimitApproved);

    let (mut trail, proposal) = proposed();
    trail.push(&limit(Check::ORDER_QUANTITY, 60)).unwrap();
    assert_eq!(broken(trail.push(&approval(proposal))).0, Rule::LimitApproved);
}

/// The instrument was redefined: its value is another one, and the limit on the value refuses the order.
#[test]
fn a_value_is_computed_with_the_scale_that_the_log_has_at_that_moment() {
    let mut trail = Trail::begun();
    trail.push(&limit(Check::NOTIONAL, LIMIT * QUANTITY as i64)).unwrap();
    trail.submit();
    let scaled = InstrumentDefinition {
        instrument: U32::new(INSTRUMENT),
        source: U16::new(1),
        multiplier: I64::new(50 * Price::SCALE),
        quantity_exponent: 0,
        ..InstrumentDefinition::NULL
    };
    let mut buffer = [0; 1_024];
    let body = scaled.encode(&mut buffer, []).unwrap().to_vec();
    trail.push_body(InstrumentDefinition::TEMPLATE_ID, InstrumentDefinition::BLOCK_LENGTH, &body).unwrap();
    let order = trail.order();
    assert_eq!(broken(trail.push_order(&order)).0, Rule::OrderWithinLimits);
}
