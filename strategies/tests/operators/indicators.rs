//! Indicators compared with computations that keep all values, some of them in floating point.

use super::{levels, prints, results};
use proptest::prelude::*;
use stele_strategies::book::BookSide;
use stele_strategies::indicators::*;
use stele_strategies::operators::*;
use stele_strategies::{Book, Level, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

fn prices() -> impl Strategy<Value = Vec<Price>> {
    prop::collection::vec((1..2_000_000i64).prop_map(|cents| Price(cents * 10_000_000)), 1..80)
}

fn close(one: f64, other: f64, within: f64) -> bool {
    (one - other).abs() <= within
}

fn floats(prices: &[Price]) -> Vec<f64> {
    prices.iter().map(|price| price.0 as f64).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sma_is_the_mean_of_the_last(prices in prices(), count in 1..20usize) {
        let given = results(&mut Sma::new(count), prices.iter().copied());
        let mean = |window: &[Price]| {
            let sum: i128 = window.iter().map(|price| i128::from(price.0)).sum();
            Price(sum.div_euclid(count as i128) as i64)
        };
        prop_assert_eq!(given, prices.windows(count).map(mean).collect::<Vec<_>>());
    }

    #[test]
    fn ewma_is_the_sum_of_all_values_with_falling_weights(prices in prices(), span in 1..40usize) {
        let given = results(&mut Ewma::new(span), prices.iter().copied());
        let (values, weight) = (floats(&prices), 2.0 / (span as f64 + 1.0));
        for (last, given) in given.iter().enumerate() {
            let newest_first = values[..=last].iter().rev().enumerate();
            let weighted = newest_first.map(|(age, value)| {
                let own = if age == last { 1.0 } else { weight };
                value * own * (1.0 - weight).powi(age as i32)
            });
            let expected: f64 = weighted.sum();
            // Each step is rounded by less than a unit, of which a share of 1 - weight is left at the next.
            let rounding = 1.0 / weight + expected.abs() * 1e-12;
            prop_assert!(close(given.0 as f64, expected, rounding), "{given} is not {expected}");
        }
    }

    #[test]
    fn bollinger_bands_are_mean_and_population_deviation(prices in prices(), count in 1..20usize) {
        let given = results(&mut Bollinger::new(count, FixedDecimal(2_500_000_000)), prices.iter().copied());
        prop_assert_eq!(given.len(), prices.len().saturating_sub(count - 1));
        for (window, bands) in floats(&prices).windows(count).zip(given) {
            let mean = window.iter().sum::<f64>() / count as f64;
            let variance = window.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64;
            let width = 2.5 * variance.sqrt();
            let within = 4.0 + mean * 1e-12;
            prop_assert!(close(bands.middle.0 as f64, mean, within));
            prop_assert!(close(bands.lower.0 as f64, mean - width, within), "{bands:?} {mean} {width}");
            prop_assert!(close(bands.upper.0 as f64, mean + width, within), "{bands:?} {mean} {width}");
        }
    }

    #[test]
    fn rsi_agrees_with_wilders_formula_in_floating_point(prices in prices(), span in 1..20usize) {
        let given = results(&mut Rsi::new(span), prices.iter().copied());
        let changes: Vec<_> = floats(&prices).windows(2).map(|pair| pair[1] - pair[0]).collect();
        let n = span as f64;
        let mut expected = Vec::new();
        let (mut rise, mut fall) = (0.0, 0.0);
        for (index, change) in changes.iter().enumerate() {
            let (up, down) = (change.max(0.0), (-change).max(0.0));
            if index < span {
                (rise, fall) = (rise + up / n, fall + down / n);
            } else {
                (rise, fall) = ((rise * (n - 1.0) + up) / n, (fall * (n - 1.0) + down) / n);
            }
            if index + 1 >= span {
                expected.push(if rise + fall == 0.0 { 50.0 } else { 100.0 - 100.0 / (1.0 + rise / fall) });
            }
        }
        prop_assert_eq!(given.len(), expected.len());
        for (given, expected) in given.iter().zip(expected) {
            prop_assert!(close(given.0 as f64 / 1e9, expected, 1e-6), "{given} is not {expected}");
        }
    }

    #[test]
    fn realised_volatility_is_the_root_of_squared_returns(prices in prices(), count in 1..20usize) {
        let given = results(&mut RealisedVolatility::new(count), prices.iter().copied());
        let returns: Vec<_> = floats(&prices).windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
        let expected: Vec<f64> =
            returns.windows(count).map(|window| window.iter().map(|r| r * r).sum::<f64>().sqrt()).collect();
        prop_assert_eq!(given.len(), expected.len());
        for (given, expected) in given.iter().zip(expected) {
            prop_assert!(close(*given, expected, 1e-10), "{given} is not {expected}");
        }
    }

    #[test]
    fn vwap_and_bars_agree_with_lists_of_trades(prints in prop::collection::vec(prints(), 1..80)) {
        let naive = |prints: &[TradePrint]| {
            let volume: u64 = prints.iter().map(|print| print.quantity.0).sum();
            let value = |print: &TradePrint| i128::from(print.price.0) * i128::from(print.quantity.0);
            Candle {
                open: prints[0].price,
                high: prints.iter().map(|print| print.price).max().unwrap(),
                low: prints.iter().map(|print| print.price).min().unwrap(),
                close: prints[prints.len() - 1].price,
                volume: Quantity(volume),
                notional: prints.iter().map(value).sum(),
                trades: prints.len() as u64,
            }
        };
        let average = |prints: &[TradePrint]| {
            let candle = naive(prints);
            let volume = i128::from(candle.volume.0);
            (volume > 0).then(|| Price(candle.notional.div_euclid(volume) as i64))
        };
        let given = results(&mut Recent::new(5, Vwap::default()), prints.iter().copied());
        prop_assert_eq!(given, prints.windows(5).map(average).collect::<Vec<_>>());

        let mut bars = stream().then(TimeBars::new(Nanos(7), Nanos(0))).in_time();
        let mut given = results(&mut bars, prints.iter().copied());
        given.extend(super::end(&mut bars).into_iter().map(|(_, bar)| bar));
        // The times are 1, 2, 3 …, so the first bar has six trades and the others seven.
        let chunks = std::iter::once(&prints[..prints.len().min(6)]).chain(prints[prints.len().min(6)..].chunks(7));
        let expected: Vec<_> = chunks.map(naive).collect();
        prop_assert_eq!(given.iter().map(|bar| bar.value).collect::<Vec<_>>(), expected);
        prop_assert!(given.iter().all(|bar| bar.value.vwap().is_none_or(|vwap| vwap >= bar.value.low)));

        let given = results(&mut VolumeBars::new(Quantity(20)), prints.iter().copied());
        let (mut rest, mut at) = (&prints[..], 0);
        for bar in given {
            let reaches = |count: &usize| rest[..*count].iter().map(|print| print.quantity.0).sum::<u64>() >= 20;
            let count = (1..=rest.len()).find(reaches).unwrap();
            prop_assert_eq!(bar.value, naive(&rest[..count]));
            prop_assert_eq!((bar.start, bar.end), (Nanos(at + 1), Nanos(at + count as u64 + 1)));
            (rest, at) = (&rest[count..], at + count as u64);
        }
        prop_assert!(rest.iter().map(|print| print.quantity.0).sum::<u64>() < 20);
    }

    #[test]
    fn order_flow_imbalance_agrees_with_the_formula_of_the_paper(touches in prop::collection::vec((levels(), levels()), 1..60)) {
        let inputs = touches.iter().map(|(bid, ask)| Touch { bid: *bid, ask: *ask });
        let given = results(&mut OrderFlowImbalance::default(), inputs);
        let nothing = |price| Level { price: Price(price), quantity: Quantity(0), orders: 0 };
        let whole = |(bid, ask): &(Option<Level>, Option<Level>)| {
            (bid.unwrap_or(nothing(i64::MIN)), ask.unwrap_or(nothing(i64::MAX)))
        };
        let expected = touches.windows(2).map(|pair| {
            let ((bid, ask), (new_bid, new_ask)) = (whole(&pair[0]), whole(&pair[1]));
            let [q_bid, q_ask, q_new_bid, q_new_ask] = [bid, ask, new_bid, new_ask].map(|level| level.quantity.0 as i64);
            let when = |is: bool| i64::from(is);
            when(new_bid.price >= bid.price) * q_new_bid - when(new_bid.price <= bid.price) * q_bid
                - when(new_ask.price <= ask.price) * q_new_ask + when(new_ask.price >= ask.price) * q_ask
        });
        prop_assert_eq!(given, expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_autocorrelation_of_signs_agrees_with_the_textbook(
        buys in prop::collection::vec(any::<bool>(), 2..80), count in 2..20usize, lag in 1..6usize,
    ) {
        prop_assume!(lag < count);
        let side = |is_buy: &bool| if *is_buy { BookSide::Bid } else { BookSide::Ask };
        let mut operator = SignAutocorrelation::new(lag, count);
        let given = results(&mut operator, buys.iter().map(side));
        let signs: Vec<_> = buys.iter().map(|is_buy| if *is_buy { 1.0 } else { -1.0f64 }).collect();
        let mut expected = Vec::new();
        let mut undefined = 0;
        for window in signs.windows(count) {
            let mean = window.iter().sum::<f64>() / count as f64;
            let covariance = |lag: usize| -> f64 {
                (0..count - lag).map(|i| (window[i] - mean) * (window[i + lag] - mean)).sum()
            };
            if window.iter().all(|sign| *sign == window[0]) {
                undefined += 1;
            } else {
                expected.push(covariance(lag) / covariance(0));
            }
        }
        prop_assert_eq!(given.len(), expected.len());
        prop_assert_eq!(operator.drops(), DropCounts { undefined, ..DropCounts::default() });
        for (given, expected) in given.iter().zip(expected) {
            prop_assert!(close(given.0 as f64 / 1e9, expected, 2e-9), "{given} is not {expected}");
        }
    }

    #[test]
    fn the_microprice_is_the_weighted_mid_of_the_book(bid in (1..100i64, 1..50u64), above in 1..20i64, quantity in 1..50u64) {
        let mut book = Book::default();
        book.set_level(BookSide::Bid, Price(bid.0), Quantity(bid.1), 1);
        book.set_level(BookSide::Ask, Price(bid.0 + above), Quantity(quantity), 1);
        let given = results(&mut Microprice, [Touch::of(&book)]);
        let (bids, asks) = (bid.1 as f64, quantity as f64);
        let expected = (bid.0 as f64 * asks + (bid.0 + above) as f64 * bids) / (bids + asks);
        prop_assert_eq!(&given, &[book.weighted_mid().unwrap()]);
        prop_assert_eq!(given[0].0, (expected + 1e-9).floor() as i64);
    }
}

#[test]
fn the_mid_needs_both_sides() {
    let level = Level { price: Price(5), quantity: Quantity(1), orders: 1 };
    let touches = [
        Touch::default(),
        Touch { bid: Some(level), ask: None },
        Touch { bid: None, ask: Some(level) },
        Touch { bid: Some(level), ask: Some(Level { price: Price(8), quantity: Quantity(2), orders: 1 }) },
    ];
    assert_eq!(results(&mut Microprice, touches), [Price(6)]);
}

#[test]
fn a_trade_is_signed_by_its_source_or_else_by_the_tick() {
    let trade = |price, resting| TradePrint {
        instrument: 1,
        price: Price(price),
        quantity: Quantity(1),
        resting,
        trade_id: 0,
        venue_time: None,
    };
    let trades = [
        trade(10, None),
        trade(10, None),
        trade(11, None),
        trade(11, None),
        trade(10, None),
        trade(12, Some(BookSide::Bid)),
        trade(12, None),
        trade(12, Some(BookSide::Ask)),
    ];
    let (buyer, seller) = (BookSide::Bid, BookSide::Ask);
    assert_eq!(results(&mut TradeSign::default(), trades), [buyer, buyer, seller, seller, seller, buyer]);
}

#[test]
fn a_price_without_a_logarithm_is_skipped_and_counted() {
    let mut operator = RealisedVolatility::new(1);
    let given = results(&mut operator, [1, 0, -5, 1].map(Price));
    assert_eq!(given, [0.0]);
    assert_eq!(operator.drops(), DropCounts { undefined: 2, ..DropCounts::default() });
}

#[test]
fn extreme_prices_do_not_panic() {
    let extremes = [i64::MAX, i64::MIN, 0, i64::MIN, i64::MAX, 1].map(Price);
    assert_eq!(results(&mut Sma::new(2), extremes).len(), 5);
    assert_eq!(results(&mut Ewma::new(3), extremes).len(), 6);
    assert_eq!(results(&mut Bollinger::new(2, FixedDecimal::whole(2)), extremes).len(), 5);
    let rsi = results(&mut Rsi::new(1), extremes);
    assert_eq!(rsi, [0, 100, 0, 100, 0].map(FixedDecimal::whole));
    assert_eq!(results(&mut RealisedVolatility::new(1), extremes).len(), 2);
    let flat = results(&mut Rsi::new(2), [7; 4].map(Price));
    assert_eq!(flat, [FixedDecimal::whole(50); 2]);
}

#[test]
fn a_decimal_prints_its_exact_value() {
    assert_eq!(FixedDecimal(70_532_789_483).to_string(), "70.532789483");
    assert_eq!(FixedDecimal(-500_000_000).to_string(), "-0.5");
    assert_eq!(FixedDecimal::HUNDRED.to_string(), "100");
}
