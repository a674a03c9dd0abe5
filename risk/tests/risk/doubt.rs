//! A stale or doubtful market, and a paused strategy: no new order, and cancels pass.

use super::rig::*;
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::{
    BookAdd, Boolean, CancelOrder, CancelScope, Check, FeedState, FeedStatus, MarketFlags, NewOrder,
    StrategyAct, StrategyCommand, TopOfBook, TradingState, TradingStatus,
};

const AGE: i64 = 2 * SECOND as i64;
const SOURCE: u16 = 5;

fn doubted(value: i64) -> Answer {
    refused(Check::DOUBTFUL_MARKET, AGE, value)
}

fn quoted(bid: i64, ask: i64) -> TopOfBook {
    TopOfBook { source: SOURCE.into(), ..top(bid, ask) }
}

fn feed(state: FeedState) -> FeedStatus {
    FeedStatus { source: SOURCE.into(), state, ..FeedStatus::NULL }
}

fn status(instrument: u32, state: TradingState) -> TradingStatus {
    TradingStatus { instrument: instrument.into(), source: SOURCE.into(), state, ..TradingStatus::NULL }
}

fn quoted_rig() -> Rig {
    let mut rig = Rig::with(&[(Check::DOUBTFUL_MARKET, AGE)]);
    rig.put(&quoted(9, 11));
    rig.put(&buy(1, 1, 9));
    rig
}

/// Whether the next order, replacement and quote are refused for this value; a cancel passes.
#[track_caller]
fn assert_doubted(rig: &Rig, value: i64) {
    let mut rig = rig.clone();
    assert_eq!(rig.submit(&buy(50, 1, 9)), doubted(value));
    assert_eq!(rig.submit(&replace(50, 1, stele_wire::messages::Side::BUY, 1, 9)), doubted(value));
    assert_eq!(rig.submit(&quote(50, 0, 1, 9, 11)), doubted(value));
    rig.put(&CancelOrder {
        account: ACCOUNT.into(),
        cancelled_order_id: 1.into(),
        strategy: STRATEGY.into(),
        ..CancelOrder::NULL
    });
    rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    assert_eq!(rig.submit(&buy(50, 1, 9)), doubted(value), "after a restart");
}

#[track_caller]
fn assert_passes(rig: &Rig) {
    assert_eq!(rig.clone().submit(&buy(50, 1, 9)), Answer::Passed);
}

#[test]
fn orders_are_refused_when_the_newest_quote_is_older_than_the_limit() {
    let mut rig = quoted_rig();
    rig.now += AGE as u64;
    assert_passes(&rig);
    rig.now += 1;
    assert_doubted(&rig, AGE + 1);
    rig.put(&trade(10, 1));
    assert_doubted(&rig, AGE + 1);
    let added = BookAdd { instrument: INSTRUMENT.into(), source: SOURCE.into(), ..BookAdd::NULL };
    rig.put(&added);
    assert_passes(&rig);
    let elsewhere = NewOrder { instrument: 99.into(), ..buy(51, 1, 9) };
    assert_eq!(rig.submit(&elsewhere), doubted(i64::MAX), "never quoted");
    rig.put(&limit(CancelScope::INSTRUMENT, 99, Check::DOUBTFUL_MARKET, 5));
    assert_eq!(rig.submit(&elsewhere), refused(Check::DOUBTFUL_MARKET, 5, i64::MAX), "its own limit");
}

#[test]
fn orders_are_refused_while_the_book_is_crossed() {
    let mut rig = quoted_rig();
    rig.put(&quoted(11, 10));
    assert_doubted(&rig, i64::MAX);
    rig.put(&quoted(10, 10));
    assert_passes(&rig);
}

#[test]
fn orders_are_refused_from_a_gap_until_it_is_healed() {
    for state in [FeedState::GAP, FeedState::DISCONNECTED, FeedState::SILENT, FeedState::FAILED] {
        let mut rig = quoted_rig();
        rig.put(&feed(state));
        assert_doubted(&rig, i64::MAX);
        rig.put(&quoted(9, 11));
        assert_doubted(&rig, i64::MAX);
        rig.put(&feed(FeedState::STARTED));
        assert_doubted(&rig, i64::MAX);
        rig.put(&quoted(9, 11));
        assert_passes(&rig);
    }
    let mut rig = quoted_rig();
    rig.put(&TopOfBook { flags: MarketFlags::MAYBE_BAD_BOOK, ..quoted(9, 11) });
    assert_doubted(&rig, i64::MAX);
    rig.put(&quoted(9, 11));
    assert_passes(&rig);
}

#[test]
fn orders_are_refused_while_the_instrument_or_its_market_is_halted() {
    for instrument in [INSTRUMENT, 0] {
        let mut rig = quoted_rig();
        for state in [TradingState::HALTED, TradingState::PAUSED, TradingState::SUSPENDED] {
            rig.put(&status(instrument, state));
            rig.put(&quoted(9, 11));
            assert_doubted(&rig, i64::MAX);
            // A status about something else.
            rig.put(&status(instrument, TradingState::UNKNOWN));
            assert_doubted(&rig, i64::MAX);
            rig.put(&status(instrument, TradingState::TRADING));
            assert_passes(&rig);
        }
        rig.put(&TradingStatus { is_trading: Boolean::FALSE, ..status(instrument, TradingState::UNKNOWN) });
        assert_doubted(&rig, i64::MAX);
    }
}

#[test]
fn without_the_limit_a_doubtful_market_refuses_nothing() {
    let mut rig = quoted_rig();
    rig.put(&status(INSTRUMENT, TradingState::HALTED));
    rig.put(&limit(CancelScope::ALL, 0, Check::DOUBTFUL_MARKET, i64::MAX));
    assert_passes(&rig);
    let of_account = limit(CancelScope::ACCOUNT, ACCOUNT, Check::DOUBTFUL_MARKET, 5);
    assert!(matches!(rig.submit(&of_account), Answer::Kept(_)), "it is a limit of markets");
}

#[test]
fn a_paused_strategy_sends_no_order_until_it_is_resumed() {
    let command = |act| StrategyCommand { strategy: STRATEGY.into(), act, ..StrategyCommand::NULL };
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 1, 1));
    rig.put(&command(StrategyAct::PAUSE));
    assert!(rig.risk.is_paused(STRATEGY));
    rig.put(&command(StrategyAct::SET_PARAMETERS));
    let paused = refused(Check::PAUSED, 0, STRATEGY.into());
    for _ in 0..2 {
        assert_eq!(rig.submit(&buy(2, 1, 1)), paused);
        assert_eq!(rig.submit(&replace(2, 1, stele_wire::messages::Side::BUY, 1, 1)), paused);
        assert_eq!(rig.submit(&quote(2, 0, 1, 1, 2)), paused);
        rig.risk = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    }
    rig.put(&CancelOrder { account: ACCOUNT.into(), strategy: STRATEGY.into(), ..CancelOrder::NULL });
    rig.put(&NewOrder { strategy: 9.into(), ..buy(2, 1, 1) });
    rig.put(&command(StrategyAct::RESUME));
    rig.put(&buy(3, 1, 1));
}
