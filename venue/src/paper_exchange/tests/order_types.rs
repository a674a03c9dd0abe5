//! Order types and queue models against the replayed market, and delays.

use super::*;
use stele_wire::messages::SelfTradePrevention;

#[test]
fn a_stop_waits_for_a_trade_at_its_price_and_is_then_worked() {
    let mut bench = bench();
    let stop = NewOrder {
        order_type: OrderType::STOP,
        time_in_force: TimeInForce::DAY,
        stop_price: I64::new(101),
        limit_price: I64::new(i64::MAX),
        ..limit_order(1, 7, Side::BUY, 0, 6)
    };
    assert_eq!(bench.order(&stop), ["accepted 7 leaves 6"]);
    let stop_limit = NewOrder {
        client_order_id: U64::new(8),
        order_type: OrderType::STOP_LIMIT,
        limit_price: I64::new(102),
        ..stop
    };
    assert_eq!(bench.order(&stop_limit), ["accepted 8 leaves 6"]);
    assert_eq!(bench.market(&add(1, 4, Side::SELL, 101, 1)), [""; 0], "a quote is not a trade");
    assert_eq!(bench.exchange.open_orders(), 2);
    assert_eq!(
        bench.market(&execute(1, 2, 1)),
        [
            "triggered 7",
            "filled 7 5 @ 101 leaves 1 Taker",
            "filled 7 1 @ 102 leaves 0 Taker",
            "triggered 8",
            "filled 8 4 @ 102 leaves 2 Taker"
        ]
    );
    let late = NewOrder { client_order_id: U64::new(9), ..stop };
    assert_eq!(
        bench.order(&late)[..2],
        ["accepted 9 leaves 6", "triggered 9"],
        "the last trade is there already"
    );
}

#[test]
fn a_stop_can_be_cancelled_and_replaced_before_it_is_reached() {
    let mut bench = bench();
    let stop = NewOrder {
        order_type: OrderType::STOP_LIMIT,
        stop_price: I64::new(98),
        ..limit_order(1, 7, Side::SELL, 97, 6)
    };
    bench.order(&stop);
    assert_eq!(bench.cancel(7, 2), ["cancelled 7 2 leaves 4 CancelledByMember"]);
    assert_eq!(
        bench.replace(8, 7, Side::SELL, 99, 3),
        ["replaced 7 by 8 leaves 3", "filled 8 3 @ 99 leaves 0 Taker"]
    );
    assert_eq!(bench.exchange.open_orders(), 0);
}

#[test]
fn an_iceberg_fills_a_tranche_at_a_time_and_each_joins_the_back_of_the_queue() {
    let mut bench = bench();
    let iceberg = NewOrder { displayed_quantity: U64::new(2), ..limit_order(1, 7, Side::BUY, 99, 5) };
    bench.order(&iceberg);
    bench.market(&add(1, 4, Side::BUY, 99, 6));
    bench.market(&execute(1, 1, 10));
    assert_eq!(
        bench.market(&execute(1, 4, 3)),
        ["filled 7 2 @ 99 leaves 3 Maker", "restated 7 shows 2"],
        "no more than it shows"
    );
    assert_eq!(bench.market(&execute(1, 4, 1)), [""; 0], "three are displayed ahead of the second tranche");
    bench.market(&add(1, 5, Side::BUY, 99, 9));
    assert_eq!(bench.market(&execute(1, 4, 2)), [""; 0]);
    assert_eq!(
        bench.market(&execute(1, 5, 1)),
        ["filled 7 1 @ 99 leaves 2 Maker"],
        "what was ahead is executed"
    );
}

#[test]
fn self_trade_prevention_covers_resting_orders_of_the_account() {
    let table = [
        (SelfTradePrevention::NONE, vec!["accepted 8 leaves 6", "filled 8 5 @ 101 leaves 1 Taker"]),
        (
            SelfTradePrevention::CANCEL_INCOMING,
            vec!["accepted 8 leaves 6", "cancelled 8 6 leaves 0 CancelledByMarket"],
        ),
        (
            SelfTradePrevention::CANCEL_RESTING,
            vec![
                "accepted 8 leaves 6",
                "cancelled 7 4 leaves 0 CancelledByMarket",
                "filled 8 5 @ 101 leaves 1 Taker",
            ],
        ),
        (
            SelfTradePrevention::CANCEL_BOTH,
            vec![
                "accepted 8 leaves 6",
                "cancelled 7 4 leaves 0 CancelledByMarket",
                "cancelled 8 6 leaves 0 CancelledByMarket",
            ],
        ),
        (
            SelfTradePrevention::DECREMENT_AND_CANCEL,
            vec![
                "accepted 8 leaves 6",
                "cancelled 7 4 leaves 0 CancelledByMarket",
                "cancelled 8 4 leaves 2 CancelledByMarket",
                "filled 8 2 @ 101 leaves 0 Taker",
            ],
        ),
    ];
    for (self_trade_prevention, reports) in table {
        let mut bench = bench();
        bench.order(&limit_order(1, 7, Side::SELL, 101, 4));
        let order = NewOrder { self_trade_prevention, ..limit_order(1, 8, Side::BUY, 101, 6) };
        assert_eq!(bench.order(&order), reports);
    }
}

#[test]
fn the_queue_by_order_counts_only_cancels_that_were_ahead() {
    for (queue, filled) in [(QueueModel::Conservative, 0), (QueueModel::ByOrder, 1)] {
        let mut bench = Bench::with(PaperOptions { queue, ..PaperOptions::default() });
        bench.market(&add(1, 1, Side::BUY, 99, 10));
        bench.market(&add(1, 2, Side::BUY, 99, 10));
        bench.buy(7, 99, 4);
        bench.market(&add(1, 3, Side::BUY, 99, 10));
        bench.market(&cancel(1, 1, 10));
        bench.market(&cancel(1, 3, 5));
        assert_eq!(bench.market(&execute(1, 2, 10)), [""; 0], "ten were ahead in either model");
        let reports = bench.market(&execute(1, 3, 1));
        assert_eq!(reports.len(), filled, "{queue:?}: {reports:?}");
    }
}

#[test]
fn orders_and_reports_arrive_after_their_delays() {
    let delay = |base| Delay { base, jitter: 0 };
    let mut bench = Bench::with(PaperOptions {
        order_delay: delay(2_500),
        report_delay: delay(10_000),
        ..PaperOptions::default()
    });
    bench.market(&add(1, 2, Side::SELL, 101, 5));
    assert_eq!(bench.buy(7, 101, 5), [""; 0]);
    let left = bench.log.last().timestamp().0;
    // One microsecond passes between two events: the offer is gone when the order arrives.
    bench.market(&cancel(1, 2, 5));
    assert_eq!(bench.exchange.open_orders(), 0, "it is on its way");
    bench.market(&add(1, 3, Side::BUY, 99, 5));
    bench.market(&add(1, 4, Side::SELL, 103, 5));
    assert_eq!(bench.exchange.open_orders(), 1);
    bench.exchange.advance(Nanos(left + 12_499));
    assert_eq!(bench.reports(), [""; 0]);
    bench.exchange.advance(Nanos(left + 12_500));
    assert_eq!(bench.reports(), ["accepted 7 leaves 5"], "and it rests");
}
