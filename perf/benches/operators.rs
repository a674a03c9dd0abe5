//! The cost of an event in each window and indicator: `cargo bench -p stele-perf --bench operators`.
//!
//! ```text
//! trades in memory ──> one pipeline ──> results, summed so that nothing is optimised away
//! ```
//!
//! The trades follow each other at random intervals of 1 ms on average, so a one-second window holds about a
//! thousand. Every pipeline processes all trades once to warm up and seven times for the measurement. The
//! median and the fastest run are printed next to the cost of iterating over the trades and summing them
//! without an operator.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;
use stele_strategies::book::BookSide;
use stele_strategies::indicators::*;
use stele_strategies::operators::*;
use stele_strategies::{Random, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

const TRADES: usize = 1 << 20;
const ROUNDS: usize = 7;

fn trades() -> Vec<(Nanos, TradePrint)> {
    let (mut random, mut time, mut price) = (Random::new(1), seconds(1_700_000_000).0, 100_000_000_000i64);
    let trade = |_| {
        time += random.below(2_000_000);
        price += (random.below(5) as i64 - 2) * 10_000_000;
        let print = TradePrint {
            instrument: 1 + random.below(64) as u32,
            price: Price(price),
            quantity: Quantity(1 + random.below(100)),
            resting: if random.below(2) == 0 { Some(BookSide::Bid) } else { Some(BookSide::Ask) },
            trade_id: 0,
            venue_time: None,
        };
        (Nanos(time), print)
    };
    (0..TRADES).map(trade).collect()
}

/// Runs the trades through a pipeline and prints nanoseconds per trade.
fn measure<O: Operator<TradePrint>>(name: &str, trades: &[(Nanos, TradePrint)], mut pipeline: O) {
    let span = trades[TRADES - 1].0.0 - trades[0].0.0 + 1;
    let mut given = 0u64;
    let mut rates: Vec<_> = (0..=ROUNDS as u64)
        .map(|round| {
            let start = Instant::now();
            for (at, print) in trades {
                let at = Nanos(at.0 + round * span);
                pipeline.on_event(at, *print, &mut |_, out| {
                    black_box(&out);
                    given += 1;
                });
            }
            start.elapsed().as_nanos() as f64 / TRADES as f64
        })
        .skip(1)
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{name:44} {:8.1} ns {:8.1} ns {given:10}", rates[ROUNDS / 2], rates[0]);
}

fn main() {
    let trades = trades();
    let (price, quantity) = (|print: TradePrint| print.price, |print: TradePrint| print.quantity);
    let volume = || Sum::default().of(|print: &TradePrint| print.quantity);
    println!("{:44} {:>11} {:>11} {:>10}", "", "median", "fastest", "results");
    measure(
        "iterate and sum, no window",
        &trades,
        stream::<TradePrint>().running(volume()).filter(|sum| *sum < 0),
    );
    measure(
        "tumbling 1 s, count",
        &trades,
        stream::<TradePrint>().tumbling(seconds(1), seconds(0), Count::default()),
    );
    measure("tumbling 1 s, sum", &trades, stream::<TradePrint>().tumbling(seconds(1), seconds(0), volume()));
    measure(
        "tumbling 1 s, sum, grace 100 ms",
        &trades,
        stream::<TradePrint>().tumbling(seconds(1), millis(100), volume()),
    );
    measure("time bars 1 s", &trades, stream::<TradePrint>().then(TimeBars::new(seconds(1), seconds(0))));
    measure("volume bars 50,000", &trades, stream::<TradePrint>().then(VolumeBars::new(Quantity(50_000))));
    measure(
        "hopping 1 s by 250 ms, sum",
        &trades,
        stream::<TradePrint>().hopping(seconds(1), millis(250), seconds(0), volume()),
    );
    measure(
        "sessions by 1.9 ms, sum",
        &trades,
        stream::<TradePrint>().sessions(Nanos(1_900_000), seconds(0), volume()),
    );
    measure(
        "sliding 100 ms, sum",
        &trades,
        stream::<TradePrint>().map(quantity).sliding(millis(100), 1 << 10, Sum::default()),
    );
    let extremes = (MovingMin::<Price>::new(1 << 10), MovingMax::<Price>::new(1 << 10));
    measure(
        "sliding 100 ms, min and max",
        &trades,
        stream::<TradePrint>().map(price).sliding(millis(100), 1 << 10, extremes),
    );
    let median = Quantile::<Price>::new(500, 1 << 10);
    measure(
        "sliding 100 ms, median",
        &trades,
        stream::<TradePrint>().map(price).sliding(millis(100), 1 << 10, median),
    );
    measure(
        "sliding 100 ms, VWAP",
        &trades,
        stream::<TradePrint>().sliding(millis(100), 1 << 10, Vwap::default()),
    );
    let bars = |s: Stream<TradePrint, PassThrough>| s.then(TimeBars::new(seconds(1), seconds(0)));
    measure(
        "64 keys, time bars 1 s",
        &trades,
        stream::<TradePrint>().key_by(Keys::up_to(64), |print| print.instrument, bars),
    );
    measure("SMA 20", &trades, stream::<TradePrint>().map(price).then(Sma::new(20)));
    measure("EWMA 20", &trades, stream::<TradePrint>().map(price).then(Ewma::new(20)));
    measure("RSI 14", &trades, stream::<TradePrint>().map(price).then(Rsi::new(14)));
    measure(
        "Bollinger 20",
        &trades,
        stream::<TradePrint>().map(price).then(Bollinger::new(20, FixedDecimal::whole(2))),
    );
    measure(
        "realised volatility 100",
        &trades,
        stream::<TradePrint>().map(price).then(RealisedVolatility::new(100)),
    );
    measure(
        "sign autocorrelation 1,000 at 10",
        &trades,
        stream::<TradePrint>().then(TradeSign::default()).then(SignAutocorrelation::new(10, 1_000)),
    );
}
