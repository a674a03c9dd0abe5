//! Halts, auctions and the close, in the replayed market.

use super::*;
use stele_wire::messages::{Trade, TradeAttributes, TradingPhase, TradingState, TradingStatus};

fn status(instrument: u32, state: TradingState, phase: TradingPhase) -> TradingStatus {
    TradingStatus {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        state,
        phase,
        ..TradingStatus::NULL
    }
}

fn cross(price: i64, quantity: u64) -> Trade {
    Trade { attributes: TradeAttributes::CROSS, ..trade(1, Side::NONE, price, quantity) }
}

#[test]
fn a_halted_instrument_collects_orders_and_fills_none() {
    let mut bench = bench();
    bench.market(&status(1, TradingState::HALTED, TradingPhase::UNKNOWN));
    assert_eq!(bench.buy(7, 101, 4), ["accepted 7 leaves 4"]);
    let immediate =
        NewOrder { time_in_force: TimeInForce::IMMEDIATE_OR_CANCEL, ..limit_order(1, 8, Side::BUY, 101, 4) };
    assert_eq!(bench.order(&immediate), ["accepted 8 leaves 4", "cancelled 8 4 leaves 0 CancelledByMarket"]);
    assert_eq!(bench.market(&execute(1, 1, 3)), [""; 0]);
    assert_eq!(bench.cancel(7, 1), ["cancelled 7 1 leaves 3 CancelledByMember"]);
    assert_eq!(
        bench.market(&status(1, TradingState::TRADING, TradingPhase::UNKNOWN)),
        ["filled 7 3 @ 101 leaves 0 Maker"],
        "the offer is still there"
    );
}

#[test]
fn an_auction_in_the_market_fills_what_is_better_than_its_price() {
    let mut bench = bench();
    assert_eq!(bench.market(&cross(98, 50)), [""; 0], "there is no auction");
    bench.market(&status(1, TradingState::TRADING, TradingPhase::CLOSING_AUCTION));
    let market = NewOrder {
        order_type: OrderType::MARKET,
        limit_price: I64::new(i64::MAX),
        ..limit_order(1, 7, Side::SELL, 0, 3)
    };
    assert_eq!(bench.order(&market), ["accepted 7 leaves 3"]);
    bench.order(&limit_order(1, 8, Side::SELL, 99, 9));
    bench.order(&limit_order(1, 9, Side::SELL, 100, 9));
    assert_eq!(
        bench.market(&cross(100, 10)),
        ["filled 7 3 @ 100 leaves 0 Auction", "filled 8 7 @ 100 leaves 2 Auction"]
    );
    assert_eq!(
        bench.market(&status(1, TradingState::CLOSED, TradingPhase::UNKNOWN)),
        ["expired 8 2", "expired 9 9"]
    );
    assert!(bench.buy(10, 99, 1)[0].ends_with("the market is closed"));
    assert_eq!(bench.exchange.open_orders(), 0);
}

#[test]
fn orders_without_a_limit_are_cancelled_when_continuous_trading_begins() {
    let mut bench = bench();
    bench.market(&status(1, TradingState::PRE_OPEN, TradingPhase::UNKNOWN));
    let market = NewOrder {
        order_type: OrderType::MARKET,
        limit_price: I64::new(i64::MAX),
        ..limit_order(1, 7, Side::SELL, 0, 3)
    };
    bench.order(&market);
    let kept =
        NewOrder { time_in_force: TimeInForce::GOOD_TILL_CANCEL, ..limit_order(1, 8, Side::SELL, 110, 3) };
    bench.order(&kept);
    assert_eq!(
        bench.market(&status(0, TradingState::TRADING, TradingPhase::CONTINUOUS)),
        [""; 0],
        "the market opens, the instrument has not"
    );
    assert_eq!(
        bench.market(&status(1, TradingState::TRADING, TradingPhase::CONTINUOUS)),
        ["cancelled 7 3 leaves 0 CancelledByMarket"]
    );
    assert_eq!(bench.market(&status(0, TradingState::CLOSED, TradingPhase::UNKNOWN)), [""; 0]);
    assert_eq!(bench.exchange.open_orders(), 1, "good till cancel outlives the day");
}

#[test]
fn a_halt_of_the_whole_market_ends_with_the_instruments_own_status() {
    let mut bench = bench();
    bench.market(&status(0, TradingState::HALTED, TradingPhase::UNKNOWN));
    assert_eq!(bench.buy(7, 101, 2), ["accepted 7 leaves 2"]);
    assert_eq!(
        bench.market(&status(1, TradingState::TRADING, TradingPhase::UNKNOWN)),
        ["filled 7 2 @ 101 leaves 0 Maker"]
    );
}

#[test]
fn scheduled_phases_begin_on_time_and_are_reported() {
    let after = |after, phase| ScheduledPhase { after, phase };
    let schedule =
        vec![after(0, Phase::Halted), after(5_000, Phase::Continuous), after(9_000, Phase::Closed)];
    let mut bench = Bench::with(PaperOptions { schedule, ..PaperOptions::default() });
    bench.market(&add(1, 2, Side::SELL, 101, 5));
    let began = bench.log.last().timestamp().0;
    assert_eq!(bench.buy(7, 102, 8), ["status Halted Unknown", "accepted 7 leaves 8"]);
    bench.exchange.advance(Nanos(began + 4_999));
    assert_eq!(bench.reports(), [""; 0]);
    bench.exchange.advance(Nanos(began + 20_000));
    assert_eq!(
        bench.reports(),
        [
            "status Trading Continuous",
            "filled 7 5 @ 102 leaves 3 Maker",
            "status Closed Unknown",
            "expired 7 3"
        ]
    );
    // The exchange ignores its own status on the log.
    let own =
        TradingStatus { source: U16::new(9), ..status(0, TradingState::TRADING, TradingPhase::CONTINUOUS) };
    bench.market(&own);
    assert!(bench.buy(8, 99, 1)[0].ends_with("the market is closed"));
}
