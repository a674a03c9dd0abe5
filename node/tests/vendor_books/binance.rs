//! The book of Binance's depth updates, compared with the exchange's own best prices.

use crate::{Books, play, price};
use std::collections::BTreeMap;
use stele_connect::binance::{BinanceFeed, BinanceOptions};
use stele_strategies::book::{BookKind, BookSide};
use stele_testkit::shared;
use stele_wire::messages::{BookLevel, MarketFlags, TopOfBook};

#[test]
fn the_best_prices_are_the_exchanges_own_wherever_both_are_at_the_same_update() {
    let Some(path) = shared::data("crypto/binance-spot-btcusdt-20240808.gz") else { return };
    let events =
        play(BinanceFeed::open(&path, BinanceOptions { source: 1, ..BinanceOptions::default() }).unwrap());
    let tickers: BTreeMap<u64, [(i64, u64); 2]> = events
        .iter()
        .filter_map(|event| event.message::<TopOfBook>())
        .map(|top| {
            let best = [
                (top.bid_price.get(), top.bid_quantity.get()),
                (top.ask_price.get(), top.ask_quantity.get()),
            ];
            (top.update_id.get(), best)
        })
        .collect();
    let (mut books, mut compared) = (Books::default(), 0);
    for event in &events {
        let change = books.apply(event);
        let Some(level) = event.message::<BookLevel>() else { continue };
        if !level.flags.contains(MarketFlags::LAST) {
            assert_eq!(change.book, None, "a book is shown at the end of an update only");
            continue;
        }
        assert_eq!(change.book, Some(1));
        let best =
            [BookSide::Bid, BookSide::Ask].map(|side| books.best(side).expect("both sides have levels"));
        assert!(best[0].0 < best[1].0, "never crossed at the end of an update");
        if let Some(exchanges) = tickers.get(&level.update_id.get()) {
            assert_eq!(best, *exchanges, "at update {}", level.update_id.get());
            compared += 1;
        }
    }
    assert_eq!(compared, 564);
    assert_eq!(books.book().kind(), BookKind::Levels);
    assert_eq!(books.best(BookSide::Bid), Some((price("61685.99").0, 100_870_000)));
    assert_eq!(books.best(BookSide::Ask), Some((price("61686.00").0, 229_327_000)));
    let counts = books.book().counts();
    assert_eq!((counts.malformed, counts.foreign, counts.crossed), (0, 0, 0), "{counts:?}");
    assert_eq!((counts.snapshots, counts.clears), (1, 0), "{counts:?}");
}
