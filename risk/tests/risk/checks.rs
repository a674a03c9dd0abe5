//! One test for each check: an order at the limit passes, and one beyond it is refused with check, limit and
//! value.

use super::rig::*;
use stele_risk::{RestoreError, RiskLimits};
use stele_wire::Quantity;
use stele_wire::messages::{
    AccountDefinition, CancelOrder, CancelScope, Check, InstrumentDefinition, NewOrder, OrderType, Quote,
    ReleaseWatermark, Side, TradeAttributes, TradeBreak,
};

#[test]
fn an_order_beyond_the_order_quantity_is_refused() {
    let limits = RiskLimits { order_quantity_max: Some(Quantity(100)), ..RiskLimits::default() };
    let mut rig = Rig::new(limits);
    rig.put(&buy(1, 100, 5));
    assert_eq!(rig.submit(&buy(2, 101, 5)), refused(Check::ORDER_QUANTITY, 100, 101));
    for quantity in [0, u64::MAX] {
        let value = i64::try_from(quantity).unwrap_or(i64::MAX);
        assert_eq!(rig.submit(&buy(3, quantity, 5)), refused(Check::MALFORMED, 1, value));
    }
}

#[test]
fn an_order_beyond_the_notional_is_refused_in_the_currency_of_its_instrument() {
    let limits = RiskLimits { order_notional_max: Some(5_000), ..RiskLimits::default() };
    let mut rig = Rig::new(limits);
    rig.put(&buy(1, 100, 50));
    assert_eq!(rig.submit(&buy(2, 100, -51)), refused(Check::NOTIONAL, 5_000, 5_100));
    let unpriced = buy(3, 1, i64::MAX);
    assert_eq!(rig.submit(&unpriced), refused(Check::NOTIONAL, 5_000, i64::MAX), "nothing to value it at");
    rig.put(&InstrumentDefinition {
        instrument: INSTRUMENT.into(),
        multiplier: 50_000_000_000.into(),
        quantity_exponent: -1,
        ..InstrumentDefinition::NULL
    });
    rig.put(&buy(4, 20, 50));
    assert_eq!(rig.submit(&buy(5, 20, 51)), refused(Check::NOTIONAL, 5_000, 5_100));
    let huge = buy(6, u64::MAX - 1, i64::MAX - 1);
    assert_eq!(rig.submit(&huge), refused(Check::NOTIONAL, 5_000, i64::MAX), "overflow");
}

#[test]
fn a_market_order_and_a_sale_far_below_the_market_are_valued_at_the_reference() {
    let mut rig = Rig::with(&[(Check::NOTIONAL, 5_000)]);
    rig.put(&trade(50, 1));
    rig.put(&buy(1, 100, i64::MAX));
    assert_eq!(rig.submit(&buy(2, 101, i64::MAX)), refused(Check::NOTIONAL, 5_000, 5_050));
    assert_eq!(rig.submit(&sell(3, 101, 1)), refused(Check::NOTIONAL, 5_000, 5_050));
    rig.put(&buy(4, 101, 1));
}

#[test]
fn a_price_outside_the_collar_is_refused_with_its_distance() {
    let mut rig = Rig::with(&[(Check::PRICE_COLLAR, 50_000_000)]);
    assert_eq!(
        rig.submit(&buy(1, 1, 100)),
        refused(Check::PRICE_COLLAR, 50_000_000, i64::MAX),
        "no reference"
    );
    rig.put(&top(90, 110));
    for (id, price) in [(2, 95), (3, 105)] {
        rig.put(&buy(id, 1, price));
    }
    assert_eq!(rig.submit(&buy(4, 1, 106)), refused(Check::PRICE_COLLAR, 50_000_000, 60_000_000));
    assert_eq!(rig.submit(&sell(5, 1, 94)), refused(Check::PRICE_COLLAR, 50_000_000, 60_000_000));
    rig.put(&trade(200, 9));
    assert_eq!(rig.risk.reference(INSTRUMENT).unwrap().0, 110, "not outside the current market");
    rig.put(&top(190, 210));
    rig.put(&sell(6, 1, 210));
    assert_eq!(rig.submit(&sell(7, 1, 211)), refused(Check::PRICE_COLLAR, 50_000_000, 55_000_000));
    let broken = TradeBreak { instrument: INSTRUMENT.into(), trade_id: 9.into(), ..TradeBreak::NULL };
    rig.put(&broken);
    assert_eq!(rig.risk.reference(INSTRUMENT).unwrap().0, 200, "the middle again");
    let mut late = trade(1, 10);
    late.attributes = TradeAttributes::LATE;
    rig.put(&late);
    assert_eq!(rig.risk.reference(INSTRUMENT).unwrap().0, 200);
}

#[test]
fn an_instruments_own_collar_replaces_the_one_over_all() {
    let mut rig = Rig::with(&[(Check::PRICE_COLLAR, 50_000_000)]);
    rig.put(&trade(100, 1));
    rig.put(&limit(CancelScope::INSTRUMENT, INSTRUMENT, Check::PRICE_COLLAR, 200_000_000));
    rig.put(&buy(1, 1, 120));
    rig.put(&limit(CancelScope::STRATEGY, STRATEGY.into(), Check::PRICE_COLLAR, 100_000_000));
    assert_eq!(rig.submit(&buy(2, 1, 111)), refused(Check::PRICE_COLLAR, 100_000_000, 110_000_000));
    rig.put(&limit(CancelScope::STRATEGY, STRATEGY.into(), Check::PRICE_COLLAR, i64::MAX));
    rig.put(&buy(3, 1, 111));
}

#[test]
fn the_same_order_again_within_the_window_is_a_duplicate() {
    let mut rig = Rig::with(&[(Check::DUPLICATE, SECOND as i64)]);
    rig.put(&buy(1, 10, 50));
    rig.put(&cancelled(1));
    rig.now += SECOND - 1;
    assert_eq!(rig.submit(&buy(2, 10, 50)), refused(Check::DUPLICATE, SECOND as i64, SECOND as i64 - 1));
    for (id, other) in [(3, buy(3, 11, 50)), (4, buy(4, 10, 51)), (5, sell(5, 10, 50))] {
        assert_eq!(rig.submit(&other), Answer::Passed, "{id} is another order");
    }
    rig.now += 1;
    rig.put(&buy(6, 10, 50));
    assert_eq!(rig.submit(&buy(6, 99, 9)), refused(Check::DUPLICATE, 0, 6), "the id is in use");
}

#[test]
fn a_submission_on_the_log_is_not_taken_again() {
    let numbered = |id, publisher: u16, number: u64| NewOrder {
        publisher: publisher.into(),
        publisher_sequence: number.into(),
        ..buy(id, 1, 1)
    };
    let mut rig = Rig::new(RiskLimits::default());
    rig.put(&numbered(1, 4, 10));
    assert_eq!(rig.submit(&numbered(1, 4, 10)), refused(Check::DUPLICATE, 10, 10));
    assert_eq!(rig.submit(&numbered(1, 4, 9)), refused(Check::DUPLICATE, 10, 9));
    rig.put(&numbered(2, 5, 9));
    rig.put(&numbered(3, 4, 12));
    let cancel = CancelOrder { publisher: 4.into(), publisher_sequence: 13.into(), ..CancelOrder::NULL };
    rig.put(&cancel);
    assert_eq!(rig.submit(&numbered(4, 4, 13)), refused(Check::DUPLICATE, 13, 13));
}

#[test]
fn more_messages_a_second_than_allowed_are_refused_for_publisher_account_and_strategy() {
    let scopes =
        [(CancelScope::ALL, 0), (CancelScope::ACCOUNT, ACCOUNT), (CancelScope::STRATEGY, STRATEGY.into())];
    for (scope, id) in scopes {
        let mut rig = Rig::new(RiskLimits::default());
        rig.put(&limit(scope, id, Check::MESSAGE_RATE, 4));
        for id in 1..=3 {
            rig.put(&buy(id, 1, 1));
        }
        rig.put(&CancelOrder {
            account: ACCOUNT.into(),
            strategy: STRATEGY.into(),
            publisher: 0.into(),
            ..CancelOrder::NULL
        });
        assert_eq!(rig.submit(&buy(5, 1, 1)), refused(Check::MESSAGE_RATE, 4, 5), "{scope:?}");
        let mut other = buy(6, 1, 1);
        (other.account, other.strategy, other.publisher) = (8.into(), 9.into(), 3.into());
        rig.put(&other);
        rig.now += SECOND / 4;
        rig.put(&buy(7, 1, 1));
        assert_eq!(rig.submit(&buy(8, 1, 1)), refused(Check::MESSAGE_RATE, 4, 5), "{scope:?}");
    }
}

#[test]
fn more_open_orders_than_allowed_are_refused_until_one_is_done() {
    let scopes =
        [(CancelScope::ALL, 0), (CancelScope::ACCOUNT, ACCOUNT), (CancelScope::STRATEGY, STRATEGY.into())];
    for (scope, id) in scopes {
        let mut rig = Rig::new(RiskLimits::default());
        rig.put(&limit(scope, id, Check::OPEN_ORDERS, 2));
        rig.put(&buy(1, 1, 1));
        rig.put(&buy(2, 1, 1));
        assert_eq!(rig.submit(&buy(3, 1, 1)), refused(Check::OPEN_ORDERS, 2, 3), "{scope:?}");
        assert_eq!(rig.submit(&quote(3, 0, 1, 1, 2)), refused(Check::OPEN_ORDERS, 2, 4), "{scope:?}");
        rig.put(&filled(1, Side::BUY, 1, 1, 0));
        rig.put(&buy(4, 1, 1));
        assert_eq!(rig.risk.open_orders(), 2);
    }
}

#[test]
fn a_position_counts_with_every_open_order_on_its_side() {
    let mut rig = Rig::with(&[(Check::POSITION, 100)]);
    rig.put(&buy(1, 60, 5));
    rig.put(&filled(1, Side::BUY, 60, 5, 0));
    rig.put(&buy(2, 40, 5));
    assert_eq!(rig.submit(&buy(3, 1, 5)), refused(Check::POSITION, 100, 101));
    rig.put(&sell(4, 160, 9));
    assert_eq!(rig.submit(&sell(5, 1, 9)), refused(Check::POSITION, 100, 101));
    rig.put(&cancelled(2));
    rig.put(&buy(6, 40, 5));
    assert_eq!(rig.risk.position(ACCOUNT, INSTRUMENT), 60);
}

#[test]
fn a_position_limit_of_an_account_in_an_instrument_replaces_all_others() {
    let mut rig = Rig::with(&[(Check::POSITION, 100)]);
    let mut pair = limit(CancelScope::ACCOUNT, ACCOUNT, Check::POSITION, 300);
    pair.instrument = INSTRUMENT.into();
    rig.put(&pair);
    rig.put(&buy(1, 300, 5));
    assert_eq!(rig.submit(&buy(2, 1, 5)), refused(Check::POSITION, 300, 301));
    let mut elsewhere = buy(3, 101, 5);
    elsewhere.instrument = 99.into();
    assert_eq!(rig.submit(&elsewhere), refused(Check::POSITION, 100, 101));
}

#[test]
fn a_position_beyond_a_lowered_limit_can_still_be_closed() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 100, 5));
    rig.put(&filled(1, Side::BUY, 100, 5, 0));
    rig.put(&limit(CancelScope::ALL, 0, Check::POSITION, 10));
    rig.put(&limit(CancelScope::ACCOUNT, ACCOUNT, Check::CREDIT, 1));
    rig.put(&sell(2, 100, 5));
    assert_eq!(rig.submit(&sell(3, 11, 5)), refused(Check::POSITION, 10, 11));
    assert_eq!(rig.submit(&sell(3, 1, 501)), refused(Check::CREDIT, 1, 501));
}

#[test]
fn credit_is_the_cost_of_positions_and_open_orders() {
    let mut rig = Rig::with(&[]);
    rig.put(&limit(CancelScope::ACCOUNT, ACCOUNT, Check::CREDIT, 1_000));
    rig.put(&buy(1, 10, 60));
    rig.put(&buy(2, 10, 40));
    assert_eq!(rig.submit(&buy(3, 1, 1)), refused(Check::CREDIT, 1_000, 1_001));
    rig.put(&filled(1, Side::BUY, 10, 55, 0));
    assert_eq!(rig.risk.credit_used(ACCOUNT), 950);
    rig.put(&buy(4, 1, 50));
    rig.put(&sell(5, 10, 55));
    assert_eq!(rig.risk.credit_used(ACCOUNT), 1_000, "a sale that closes a position uses no credit");
    let mut elsewhere = buy(6, 1, i64::MAX);
    elsewhere.instrument = 99.into();
    assert_eq!(rig.submit(&elsewhere), refused(Check::CREDIT, 1_000, i64::MAX), "nothing to value it at");
}

#[test]
fn credit_over_all_accounts_bounds_their_sum() {
    let mut rig = Rig::with(&[(Check::CREDIT, 1_000)]);
    rig.put(&buy(1, 10, 60));
    let mut other = buy(2, 10, 40);
    other.account = 8.into();
    rig.put(&other);
    assert_eq!(rig.submit(&buy(3, 1, 7)), refused(Check::CREDIT, 1_000, 1_007));
}

#[test]
fn there_is_no_credit_in_another_currency() {
    let mut rig = Rig::with(&[(Check::CREDIT, 1_000)]);
    rig.put(&AccountDefinition { account: ACCOUNT.into(), currency: *b"EUR", ..AccountDefinition::NULL });
    let define = |currency| InstrumentDefinition {
        instrument: INSTRUMENT.into(),
        currency,
        ..InstrumentDefinition::NULL
    };
    rig.put(&define(*b"EUR"));
    rig.put(&buy(1, 10, 5));
    rig.put(&define(*b"USD"));
    assert_eq!(rig.submit(&buy(2, 10, 6)), refused(Check::CREDIT, 0, 60));
}

#[test]
fn an_owner_restricted_in_an_instrument_may_not_trade_it() {
    let scopes = [
        (CancelScope::INSTRUMENT, INSTRUMENT, 0),
        (CancelScope::ACCOUNT, ACCOUNT, 0),
        (CancelScope::STRATEGY, u32::from(STRATEGY), 0),
        (CancelScope::ACCOUNT, ACCOUNT, INSTRUMENT),
        (CancelScope::STRATEGY, u32::from(STRATEGY), INSTRUMENT),
    ];
    for (scope, id, instrument) in scopes {
        let mut rig = Rig::new(RiskLimits::default());
        let mut change = limit(scope, id, Check::RESTRICTED, 0);
        change.instrument = instrument.into();
        rig.put(&change);
        let expected = refused(Check::RESTRICTED, 0, INSTRUMENT.into());
        assert_eq!(rig.submit(&buy(1, 1, 1)), expected, "{scope:?} {instrument}");
        let mut other = buy(2, 1, 1);
        (other.account, other.instrument, other.strategy) = (8.into(), 99.into(), 9.into());
        rig.put(&other);
        change.limit = i64::MAX.into();
        rig.put(&change);
        rig.put(&buy(3, 1, 1));
    }
}

#[test]
fn an_order_that_would_match_an_own_order_is_refused_with_both_prices() {
    let mut rig = Rig::with(&[(Check::SELF_MATCH, 0)]);
    rig.put(&sell(1, 1, 105));
    rig.put(&sell(2, 1, 103));
    rig.put(&buy(3, 1, 102));
    assert_eq!(rig.submit(&buy(4, 1, 103)), refused(Check::SELF_MATCH, 103, 103));
    assert_eq!(rig.submit(&sell(4, 1, 102)), refused(Check::SELF_MATCH, 102, 102));
    assert_eq!(rig.submit(&buy(4, 1, i64::MAX)), refused(Check::SELF_MATCH, 103, i64::MAX));
    let mut other = buy(4, 1, 110);
    other.account = 8.into();
    rig.put(&other);
    rig.put(&cancelled(2));
    rig.put(&buy(5, 1, 104));
    assert_eq!(rig.submit(&buy(6, 1, 105)), refused(Check::SELF_MATCH, 105, 105));
    let mut stop = buy(7, 1, 120);
    (stop.order_type, stop.stop_price) = (OrderType::STOP_LIMIT, 110.into());
    rig.put(&stop);
    rig.put(&sell(8, 1, 119));
}

#[test]
fn a_quote_does_not_match_the_one_that_it_replaces() {
    let mut rig = Rig::with(&[(Check::SELF_MATCH, 0)]);
    rig.put(&quote(1, 0, 5, 10, 11));
    rig.put(&quote(2, 1, 5, 12, 13));
    assert_eq!(rig.submit(&quote(3, 1, 5, 14, 15)), refused(Check::SELF_MATCH, 13, 14), "the second one");
    assert_eq!(rig.submit(&quote(3, 2, 5, 9, 9)), refused(Check::SELF_MATCH, 9, 9), "itself");
}

#[test]
fn each_side_of_a_quote_is_checked() {
    let mut rig = Rig::with(&[(Check::ORDER_QUANTITY, 10), (Check::POSITION, 12)]);
    let sided = |id, bid: u64, ask: u64| Quote {
        bid_quantity: bid.into(),
        ask_quantity: ask.into(),
        ..quote(id, 0, 1, 5, 6)
    };
    assert_eq!(rig.submit(&sided(1, 10, 11)), refused(Check::ORDER_QUANTITY, 10, 11));
    rig.put(&sided(1, 10, 9));
    assert_eq!(rig.submit(&sided(2, 3, 3)), refused(Check::POSITION, 12, 13));
    rig.put(&sided(2, u64::MAX, 3));
    assert_eq!(rig.submit(&sided(3, 0, u64::MAX)), refused(Check::MALFORMED, 1, 0));
}

#[test]
fn an_order_that_waits_for_a_replica_or_a_sealer_is_refused_where_there_is_none() {
    let order = |release_watermark| NewOrder { release_watermark, ..buy(1, 1, 1) };
    let mut rig = Rig::new(RiskLimits::default());
    assert_eq!(rig.submit(&order(ReleaseWatermark::REPLICATED)), refused(Check::RELEASE_HELD, 2, 3));
    assert_eq!(rig.submit(&order(ReleaseWatermark::SEALED)), refused(Check::RELEASE_HELD, 2, 4));
    let mut sealed = Rig::new(RiskLimits { has_sealer: true, ..RiskLimits::default() });
    sealed.put(&order(ReleaseWatermark::SEALED));
}

#[test]
fn an_order_that_neither_buys_nor_sells_is_refused() {
    let sideless = order(1, Side::NONE, 1, 1);
    for limits in [&[][..], &[(Check::POSITION, 10)]] {
        assert_eq!(Rig::with(limits).submit(&sideless), refused(Check::MALFORMED, 1, 0));
    }
}

#[test]
fn bytes_that_are_not_a_snapshot_are_refused() {
    let rig = Rig::with(&[(Check::POSITION, 10)]);
    let bytes = rig.snapshot();
    let restore = |bytes: &[u8]| stele_risk::Risk::restore(RiskLimits::default(), bytes).map(drop);
    assert_eq!(restore(&bytes), Ok(()));
    assert!((0..bytes.len()).all(|length| restore(&bytes[..length]).is_err()));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(restore(&longer), Err(RestoreError::Trailing { at: bytes.len() }));
}
