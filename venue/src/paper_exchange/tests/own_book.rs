//! Orders that trade with one another.

use super::*;

fn own_book(schedule: Vec<ScheduledPhase>) -> Bench {
    let fees = FeeSchedule { maker: FeeRate::PerUnit(-2_000_000), taker: FeeRate::PerUnit(3_000_000) };
    let counterparty = Counterparty::OwnBook;
    Bench::with(PaperOptions { counterparty, fees, schedule, ..PaperOptions::default() })
}

/// An order of another account.
fn theirs(id: u64, side: Side, price: i64, quantity: u64) -> NewOrder {
    NewOrder { strategy: U16::new(2), account: U32::new(8), ..limit_order(1, id, side, price, quantity) }
}

#[test]
fn participants_trade_with_each_other_and_not_with_the_replayed_market() {
    let mut bench = own_book(Vec::new());
    bench.market(&add(1, 2, Side::SELL, 100, 50));
    assert_eq!(bench.buy(7, 101, 5), ["accepted 7 leaves 5"]);
    bench.market(&execute(1, 2, 50));
    assert_eq!(
        bench.order(&theirs(7, Side::SELL, 100, 8)),
        [
            "accepted 7 leaves 8",
            "traded 5 @ 101",
            "filled 7 5 @ 101 leaves 0 Maker",
            "filled 7 5 @ 101 leaves 3 Taker"
        ]
    );
    assert_eq!(bench.replace(8, 7, Side::BUY, 100, 3).len(), 1, "the order is gone");
    let order = NewOrder { attributes: OrderAttributes::POST_ONLY, ..limit_order(1, 9, Side::BUY, 100, 1) };
    assert!(bench.order(&order)[0].contains("would take liquidity"));
    assert_eq!(bench.buy(10, 99, 4), ["accepted 10 leaves 4"]);
    assert_eq!(
        bench.replace(11, 10, Side::BUY, 100, 2),
        [
            "replaced 10 by 11 leaves 2",
            "traded 2 @ 100",
            "filled 7 2 @ 100 leaves 1 Maker",
            "filled 11 2 @ 100 leaves 0 Taker"
        ]
    );
    assert_eq!(bench.exchange.open_orders(), 1);
}

#[test]
fn both_sides_of_a_trade_share_its_number_and_each_pays_its_fee() {
    let mut bench = own_book(Vec::new());
    bench.buy(7, 101, 5);
    let body = order_body(&theirs(7, Side::SELL, 101, 5));
    bench.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &body);
    bench.exchange.on_order(&bench.log.last());
    let (mut fills, mut trades) = (Vec::new(), Vec::new());
    while let Some(report) = bench.exchange.pop_report() {
        match report {
            PaperReport::Filled(r) => {
                fills.push((r.execution_id.get(), r.match_id.get(), r.fee.get(), r.account.get()))
            }
            PaperReport::Traded(r) => trades.push((r.trade_id.get(), r.side, r.source.get())),
            _ => {}
        }
    }
    assert_eq!(fills, [(1, 1, -10_000_000, 7), (2, 1, 15_000_000, 8)]);
    assert_eq!(trades, [(1, Side::SELL, 9)], "the taker sold");
}

#[test]
fn an_auction_of_the_schedule_uncrosses_at_one_price() {
    let after = |after, phase| ScheduledPhase { after, phase };
    let mut bench = own_book(vec![after(0, Phase::Auction), after(50_000, Phase::Continuous)]);
    bench.market(&add(1, 2, Side::SELL, 100, 50));
    let began = bench.log.last().timestamp().0;
    assert_eq!(bench.buy(7, 105, 5), ["status Trading UnscheduledAuction", "accepted 7 leaves 5"]);
    bench.buy(8, 103, 5);
    assert_eq!(bench.order(&theirs(7, Side::SELL, 100, 8)), ["accepted 7 leaves 8"]);
    bench.exchange.advance(Nanos(began + 50_000));
    assert_eq!(
        bench.reports(),
        [
            "status Trading Continuous",
            "traded 5 @ 103",
            "filled 7 5 @ 103 leaves 0 Auction",
            "filled 7 5 @ 103 leaves 3 Auction",
            "traded 3 @ 103",
            "filled 8 3 @ 103 leaves 2 Auction",
            "filled 7 3 @ 103 leaves 0 Auction",
        ]
    );
}

#[test]
fn orders_in_the_book_of_a_lost_exchange_are_cancelled_by_the_next() {
    let mut bench = own_book(Vec::new());
    bench.buy(7, 101, 5);
    bench.order(&theirs(7, Side::SELL, 101, 2));
    let mut open = OpenOrders::default();
    bench.log.frames().for_each(|event| open.on_event(&event));
    let numbers = open.numbers();
    assert_eq!(numbers, LastIds { order: 2, execution: 2 });
    let options = PaperOptions {
        report_delay: Delay { base: 1_000_000, jitter: 5 },
        counterparty: Counterparty::OwnBook,
        ..PaperOptions::default()
    };
    bench.exchange = PaperExchange::resume(options, &open.finish(), numbers);
    assert_eq!(bench.reports(), ["cancelled 7 3 leaves 0 CancelledByMarket"], "without a delay");
}

#[test]
fn a_mass_cancel_removes_the_orders_it_names_from_the_book() {
    let mut bench = own_book(Vec::new());
    bench.buy(7, 99, 5);
    bench.order(&theirs(7, Side::SELL, 101, 2));
    bench.log.push(&MassCancel {
        strategy: U16::new(0),
        scope: CancelScope::ACCOUNT,
        scope_id: U32::new(8),
        side: Side::NONE,
        ..MassCancel::NULL
    });
    bench.exchange.on_order(&bench.log.last());
    assert_eq!(bench.reports(), ["cancelled 7 2 leaves 0 CancelledByMember"]);
    assert_eq!(bench.cancel(7, 2), ["cancelled 7 2 leaves 3 CancelledByMember"]);
    assert_eq!(bench.exchange.open_orders(), 1);
}
