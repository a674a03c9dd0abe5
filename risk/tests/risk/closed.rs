//! What is not known, not identified or without room is refused, also where no limit is in force.

use super::rig::*;
use stele_risk::bounds::RISK_EXECUTIONS_MAX;
use stele_risk::{RestoreError, Risk, RiskCapacity, RiskLimits};
use stele_wire::messages::{
    CancelScope, Check, InstrumentClass, InstrumentDefinition, NewOrder, OrderCancelled, OrderFilled,
    OrderStatus, ReplaceOrder, Side, TradeBusted, UpdateAction,
};

fn small() -> RiskCapacity {
    RiskCapacity {
        instruments: 6,
        accounts: 6,
        strategies: 4,
        holdings: 6,
        open_orders: 12,
        strategy_open_orders: 8,
        account_open_orders: 10,
        strategy_holdings: 4,
    }
}

fn limited(capacity: RiskCapacity) -> RiskLimits {
    RiskLimits { capacity, ..RiskLimits::default() }
}

#[test]
fn an_order_for_an_undefined_account_or_instrument_is_refused() {
    let mut rig = Rig::undefined(RiskLimits::default());
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::UNKNOWN_ACCOUNT, 0, ACCOUNT.into()));
    rig.put(&account_definition(ACCOUNT));
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::UNKNOWN_INSTRUMENT, 0, INSTRUMENT.into()));
    rig.put(&top(9, 11));
    rig.put(&trade(10, 1));
    rig.put(&limit(CancelScope::INSTRUMENT, INSTRUMENT, Check::ORDER_QUANTITY, 5));
    assert_eq!(
        rig.submit(&buy(1, 1, 1)),
        refused(Check::UNKNOWN_INSTRUMENT, 0, INSTRUMENT.into()),
        "a quote and a limit define nothing"
    );
    rig.put(&instrument_definition(INSTRUMENT));
    rig.put(&buy(1, 1, 1));
    let nowhere = NewOrder { account: 0.into(), ..buy(2, 1, 1) };
    assert_eq!(rig.submit(&nowhere), refused(Check::UNKNOWN_ACCOUNT, 0, 0));
    let nothing = NewOrder { instrument: 0.into(), ..buy(2, 1, 1) };
    assert_eq!(rig.submit(&nothing), refused(Check::UNKNOWN_INSTRUMENT, 0, 0));
    rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    rig.put(&buy(2, 1, 1));
    let deleted = InstrumentDefinition { action: UpdateAction::DELETE, ..instrument_definition(INSTRUMENT) };
    rig.put(&deleted);
    assert_eq!(rig.submit(&buy(3, 1, 1)), refused(Check::UNKNOWN_INSTRUMENT, 0, INSTRUMENT.into()));
}

/// With 16,384 instruments known, the next one passed a notional limit of 5,000 with a value of 250,000.
#[test]
fn an_instrument_beyond_the_capacity_does_not_pass_a_notional_limit() {
    let mut rig = Rig::undefined(RiskLimits { order_notional_max: Some(5_000), ..limited(small()) });
    rig.put(&account_definition(ACCOUNT));
    for instrument in 1..=7 {
        rig.put(&instrument_definition(instrument));
    }
    let of = |instrument: u32| NewOrder { instrument: instrument.into(), ..buy(1, 5_000, 50) };
    assert_eq!(rig.submit(&of(6)), refused(Check::NOTIONAL, 5_000, 250_000));
    assert_eq!(rig.submit(&of(7)), refused(Check::CAPACITY, 6, 7));
}

#[test]
fn an_order_without_room_is_refused_with_the_size_of_the_table() {
    let capacity = RiskCapacity { strategy_open_orders: 12, account_open_orders: 12, ..small() };
    let mut rig = Rig::new(limited(capacity));
    for id in 1..=12 {
        rig.put(&buy(id, 1, 1));
    }
    assert_eq!(rig.submit(&buy(13, 1, 1)), refused(Check::CAPACITY, 12, 13));
    rig.put(&cancelled(7));
    assert_eq!(rig.submit(&quote(13, 0, 1, 1, 2)), refused(Check::CAPACITY, 12, 13), "two legs");
    rig.put(&buy(13, 1, 1));
    assert_eq!((rig.risk.open_orders(), rig.risk.untracked()), (12, 0));
    let open = rig.risk.table_use().into_iter().find(|table| table.name == "open_orders").unwrap();
    assert_eq!((open.used, open.capacity), (12, 12));

    let mut rig = Rig::new(limited(RiskCapacity { holdings: 3, strategy_holdings: 3, ..small() }));
    for (id, instrument) in [(1_u64, 1_u32), (2, 2), (3, 3)] {
        rig.put(&NewOrder { instrument: instrument.into(), ..buy(id, 1, 1) });
    }
    let elsewhere = NewOrder { instrument: 99.into(), ..buy(4, 1, 1) };
    assert_eq!(rig.submit(&elsewhere), refused(Check::CAPACITY, 3, 4));

    let mut rig = Rig::new(limited(small()));
    for strategy in 1..=4_u16 {
        rig.put(&NewOrder { strategy: strategy.into(), ..buy(strategy.into(), 1, 1) });
    }
    let fifth = NewOrder { strategy: 5.into(), ..buy(5, 1, 1) };
    assert_eq!(rig.submit(&fifth), refused(Check::CAPACITY, 4, 5));
}

#[test]
fn one_strategy_or_account_cannot_fill_a_table_for_the_others() {
    let mut rig = Rig::new(limited(small()));
    for id in 1..=8 {
        rig.put(&buy(id, 1, 1));
    }
    assert_eq!(rig.submit(&buy(9, 1, 1)), refused(Check::CAPACITY, 8, 9), "the strategy's part");
    let of_other = |id, strategy: u16| NewOrder { strategy: strategy.into(), ..buy(id, 1, 1) };
    rig.put(&of_other(9, 3));
    rig.put(&of_other(10, 3));
    assert_eq!(rig.submit(&of_other(11, 3)), refused(Check::CAPACITY, 10, 11), "the account's part");
    rig.put(&NewOrder { account: 8.into(), ..of_other(11, 3) });

    let mut rig = Rig::new(limited(small()));
    let holding = |id: u64, account: u32, instrument: u32| NewOrder {
        account: account.into(),
        instrument: instrument.into(),
        ..buy(id, 1, 1)
    };
    for (id, account, instrument) in [(1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2)] {
        rig.put(&holding(id, account, instrument));
    }
    let fifth = holding(5, 3, 1);
    assert_eq!(rig.submit(&fifth), refused(Check::CAPACITY, 4, 5), "the strategy's part of the holdings");
    rig.risk = Risk::restore(limited(small()), &rig.snapshot()).unwrap();
    assert_eq!(rig.submit(&fifth), refused(Check::CAPACITY, 4, 5));
    rig.put(&NewOrder { strategy: 3.into(), ..fifth });
}

#[test]
fn a_snapshot_that_does_not_fit_the_capacity_is_refused_with_both_numbers() {
    let rig = Rig::new(RiskLimits::default());
    let bytes = rig.snapshot();
    let roomy = Risk::restore(limited(RiskCapacity { instruments: 4, ..small() }), &bytes).unwrap();
    let mut again = Vec::new();
    roomy.snapshot(&mut again);
    assert_eq!(again, bytes, "the state does not depend on the room around it");
    let error = Risk::restore(limited(RiskCapacity { instruments: 3, ..small() }), &bytes).unwrap_err();
    assert_eq!(error, RestoreError::Capacity { table: "instruments", found: 4, capacity: 3 });
    let words = "the state has 4 instruments, but [risk] instruments is 3: configure at least 4";
    assert_eq!(error.to_string(), words);
}

/// Two open orders with one client order id: one report closed both, and a position limit of 10 let 15 work.
#[test]
fn a_client_order_id_is_unique_among_the_open_orders_of_an_account_without_any_window() {
    let mut rig = Rig::with(&[(Check::POSITION, 10)]);
    rig.put(&buy(1, 5, 1));
    for strategy in [STRATEGY, 9] {
        let again = NewOrder { strategy: strategy.into(), ..buy(1, 5, 2) };
        assert_eq!(rig.submit(&again), refused(Check::DUPLICATE, 0, 1), "of strategy {strategy}");
    }
    assert_eq!(rig.submit(&quote(1, 0, 1, 1, 2)), refused(Check::DUPLICATE, 0, 1), "a quote");
    assert_eq!(rig.submit(&buy(0, 5, 2)), refused(Check::DUPLICATE, 0, 0), "0 is not an id");
    rig.put(&NewOrder { account: 8.into(), ..buy(1, 5, 2) });
    rig.put(&cancelled(1));
    rig.put(&buy(1, 10, 2));
    assert_eq!(rig.submit(&buy(2, 1, 2)), refused(Check::POSITION, 10, 11));
}

#[test]
fn a_late_report_about_a_done_order_does_not_change_the_next_one_with_its_id() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 5, 1));
    let first = rig.sequence;
    let about = |sequence: u64| {
        report!(OrderCancelled {
            client_order_id: 1.into(),
            order_sequence: sequence.into(),
            leaves_quantity: 0.into(),
            status: OrderStatus::DONE,
        })
    };
    rig.put(&about(first));
    rig.put(&buy(1, 7, 1));
    let second = rig.sequence;
    rig.put(&about(first));
    assert_eq!(rig.risk.open_orders(), 1);
    rig.put(&about(second));
    assert_eq!(rig.risk.open_orders(), 0);
}

/// A replacement that named an order of another instrument gave a position of 20 at a limit of 10.
#[test]
fn a_replacement_names_an_open_order_of_the_same_account_instrument_and_side() {
    let mut rig = Rig::with(&[(Check::POSITION, 10)]);
    rig.put(&buy(1, 10, 1));
    rig.put(&quote(2, 0, 1, 1, 2).with_instrument(99));
    let elsewhere = NewOrder { instrument: 99.into(), ..buy(3, 9, 1) };
    rig.put(&elsewhere);
    let unknown = |id| refused(Check::UNKNOWN_ORDER, 0, id);
    let of = |instrument: u32, account: u32, replaced: u64, side| ReplaceOrder {
        instrument: instrument.into(),
        account: account.into(),
        ..replace(9, replaced, side, 10, 1)
    };
    assert_eq!(rig.submit(&of(99, ACCOUNT, 1, Side::BUY)), unknown(1), "another instrument");
    assert_eq!(rig.submit(&of(INSTRUMENT, 8, 1, Side::BUY)), unknown(1), "another account");
    assert_eq!(rig.submit(&of(INSTRUMENT, ACCOUNT, 1, Side::SELL)), unknown(1), "the other side");
    assert_eq!(rig.submit(&of(99, ACCOUNT, 2, Side::BUY)), unknown(2), "a quote");
    assert_eq!(rig.submit(&of(INSTRUMENT, ACCOUNT, 4, Side::BUY)), unknown(4), "not there");
    assert_eq!(rig.submit(&of(INSTRUMENT, ACCOUNT, 0, Side::BUY)), unknown(0), "no order named");
    assert_eq!(rig.submit(&quote(9, 1, 1, 1, 2)), unknown(1), "a quote for an order");
    assert_eq!(rig.submit(&quote(9, 2, 1, 1, 2)), unknown(2), "a quote in another instrument");
    rig.put(&of(INSTRUMENT, ACCOUNT, 1, Side::BUY));
    rig.put(&cancelled(1));
    assert_eq!(rig.submit(&replace(10, 1, Side::BUY, 1, 1)), unknown(1), "done");
}

trait WithInstrument {
    fn with_instrument(self, instrument: u32) -> Self;
}

impl WithInstrument for stele_wire::messages::Quote {
    fn with_instrument(self, instrument: u32) -> Self {
        Self { instrument: instrument.into(), ..self }
    }
}

fn executed(execution_id: u64, quantity: u64, leaves: u64) -> OrderFilled {
    OrderFilled { execution_id: execution_id.into(), ..filled(1, Side::BUY, quantity, 5, leaves) }
}

#[test]
fn an_execution_id_counts_once_and_is_reversed_once() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 100, 5));
    rig.put(&executed(77, 60, 40));
    rig.put(&executed(77, 60, 40));
    assert_eq!(rig.risk.position(ACCOUNT, INSTRUMENT), 60);
    assert_eq!((rig.risk.repeated_executions(), rig.risk.credit_used(ACCOUNT)), (1, 500));
    rig.put(&executed(78, 10, 30));
    rig.put(&executed(77, 60, 40));
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.credit_used(ACCOUNT)), (70, 500));
    rig.put(&OrderFilled { account: 8.into(), ..executed(77, 1, 0) });
    assert_eq!(rig.risk.position(8, INSTRUMENT), 1, "an id of another account is another execution");
    rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    let bust = report!(TradeBusted { execution_id: 77.into(), side: Side::BUY, last_quantity: 60.into() });
    rig.put(&bust);
    rig.put(&bust);
    rig.put(&executed(77, 60, 40));
    assert_eq!(rig.risk.position(ACCOUNT, INSTRUMENT), 10);
}

#[test]
fn an_execution_is_forgotten_when_there_are_more_than_can_be_remembered() {
    let mut rig = Rig::new(limited(small()));
    let (count, most) = (RISK_EXECUTIONS_MAX as u64 + 1, RISK_EXECUTIONS_MAX as i128 + 1);
    rig.put(&buy(1, 1 << 20, 5));
    for id in 1..=count {
        rig.put(&executed(id, 1, (1 << 20) - id));
    }
    rig.put(&executed(2, 1, 95));
    assert_eq!(rig.risk.position(ACCOUNT, INSTRUMENT), most, "remembered");
    rig.put(&executed(1, 1, 95));
    assert_eq!(rig.risk.position(ACCOUNT, INSTRUMENT), most + 1, "forgotten, so it counts again");
}

#[test]
fn a_follower_has_the_state_of_the_log_whatever_the_capacity_of_its_session() {
    let mut rig = Rig::new(small_limits());
    for id in 1..=200 {
        rig.put(&NewOrder { strategy: (1 + id as u16 % 40).into(), ..buy(id, 1, 1 + id as i64 % 60) });
    }
    rig.put(&cancelled(77));
    let mut follower = Risk::follower();
    for (template_id, body, sequence, time) in &rig.log {
        follower.on_sequenced(&sequenced(*template_id, body, *sequence, *time));
    }
    let mut bytes = Vec::new();
    follower.snapshot(&mut bytes);
    assert_eq!(bytes, rig.snapshot());
    let mut again = Vec::new();
    Risk::restore_follower(&bytes).unwrap().snapshot(&mut again);
    assert_eq!(again, bytes);
    let error = follower.clone().in_session(limited(small())).unwrap_err();
    assert_eq!(error, RestoreError::Capacity { table: "strategies", found: 40, capacity: 4 });
    rig.risk = follower.in_session(small_limits()).unwrap();
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::DUPLICATE, 0, 1));
    rig.put(&buy(77, 1, 1));
}

fn future(multiplier: i64, quantity_exponent: i8) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument_class: InstrumentClass::FUTURE,
        multiplier: multiplier.into(),
        quantity_exponent,
        ..instrument_definition(50)
    }
}

/// A file without definitions replaced a multiplier of 50 by null, which counted as 1: a notional limit of
/// 10,000 let 276,450 pass.
#[test]
fn an_order_without_a_known_scale_is_refused_where_a_limit_needs_its_value() {
    let order = |id, quantity, price| NewOrder { instrument: 50.into(), ..buy(id, quantity, price) };
    for (check, max) in [(Check::NOTIONAL, 10_000), (Check::CREDIT, 10_000)] {
        let mut rig = Rig::with(&[(check, max)]);
        rig.put(&future(i64::MAX, 0));
        assert_eq!(rig.submit(&order(1, 1, 5_529)), refused(Check::UNKNOWN_SCALE, max, i64::MAX));
        rig.put(&future(50_000_000_000, i8::MIN));
        rig.put(&InstrumentDefinition { instrument_class: InstrumentClass::UNKNOWN, ..future(i64::MAX, 0) });
        assert_eq!(rig.submit(&order(1, 1, 5_529)), refused(check, max, 276_450), "null keeps 50");
        rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
        assert_eq!(rig.submit(&order(1, 1, 5_529)), refused(check, max, 276_450));
        rig.put(&order(1, 1, 200));
    }
    let mut rig = Rig::with(&[(Check::ORDER_QUANTITY, 10)]);
    rig.put(&future(i64::MAX, 0));
    rig.put(&order(1, 1, 5_529));
}

#[test]
fn credit_is_refused_while_the_value_of_a_holding_is_unknown() {
    let mut rig = Rig::with(&[]);
    rig.put(&future(i64::MAX, 0));
    rig.put(&NewOrder { instrument: 50.into(), ..buy(1, 1, 5_529) });
    rig.put(&OrderFilled { instrument: 50.into(), ..filled(1, Side::BUY, 1, 5_529, 0) });
    rig.put(&future(50_000_000_000, 0));
    rig.put(&limit(CancelScope::ACCOUNT, ACCOUNT, Check::CREDIT, 10_000));
    let unknown = refused(Check::UNKNOWN_SCALE, 10_000, i64::MAX);
    assert_eq!(rig.submit(&buy(2, 1, 1)), unknown, "it was booked without a multiplier");
    rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    assert_eq!(rig.submit(&buy(2, 1, 1)), unknown);
    rig.put(&NewOrder { account: 8.into(), ..buy(2, 1, 1) });
    rig.put(&OrderFilled { instrument: 50.into(), ..filled(7, Side::SELL, 1, 5_529, 0) });
    rig.put(&buy(2, 1, 1));
}
