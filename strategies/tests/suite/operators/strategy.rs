//! A strategy that decides with a pipeline: registered, traded, and saved over a restart.

use stele_strategies::indicators::{Sma, TimeBars};
use stele_strategies::operators::{Keys, Operator, State, Stream, seconds, stream};
use stele_strategies::{
    Context, Host, Order, Registry, RestoreError, SnapshotReader, Strategy, StrategyKind, StrategyTester,
    TradePrint,
};
use stele_wire::messages::Side;
use stele_wire::{Nanos, Price, Quantity};

const BREAKOUT: StrategyKind = StrategyKind {
    name: "breakout",
    about: "buys when a one-second bar closes above the average of the last three",
    parameters: &[],
    make: |_| Ok(Box::new(Breakout { closes: closes() })),
};

struct Breakout<O> {
    closes: Stream<TradePrint, O>,
}

/// For each instrument, the closing prices of the bars that close above the average.
fn closes() -> Stream<TradePrint, impl Operator<TradePrint, Out = (u32, Price)> + Send> {
    stream::<TradePrint>().key_by(
        Keys::up_to(8),
        |print| print.instrument,
        |prints| {
            prints
                .then(TimeBars::new(seconds(1), seconds(0)))
                .in_time()
                .map(|bar| bar.value.close)
                .zip(|closes| closes, |closes| closes.then(Sma::new(3)))
                .filter_map(|(close, average)| (close > average).then_some(close))
        },
    )
}

impl<O: Operator<TradePrint, Out = (u32, Price)> + Send> Strategy for Breakout<O> {
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        self.closes.on_event(context.now(), *trade, &mut |_, (instrument, price)| {
            context.send(Order::limit(instrument, Side::BUY, Quantity(1), price));
        });
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.closes.snapshot(out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.closes.restore(&mut reader)?;
        reader.finish()
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(BREAKOUT).unwrap();
    registry
}

#[test]
fn a_pipeline_decides_in_a_strategy_and_is_saved_in_its_snapshot() {
    let mut tester = StrategyTester::start_of(registry(), "breakout", "").unwrap();
    for price in [100, 100, 100, 99, 101] {
        tester.trade(1, price, 5).trade(2, 7, 5).advance(Nanos(500_000_000)).trade(1, price, 5);
        tester.advance(Nanos(500_000_000));
    }
    assert!(tester.take_orders().is_empty(), "the bar of 101 is open");
    let mut state = Vec::new();
    tester.host().snapshot(&mut state);
    tester.trade(1, 50, 1);
    let orders = tester.take_orders();
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].instrument.get(), orders[0].limit_price.get()), (1, 101));

    let mut restored = Host::new(registry());
    restored.restore(&state).unwrap();
    let mut again = Vec::new();
    restored.snapshot(&mut again);
    assert_eq!(again, state);
    let mut tester = StrategyTester::start_of(registry(), "breakout", "").unwrap();
    *tester.host_mut() = restored;
    tester.advance(Nanos(5_000_000_000)).trade(1, 50, 1);
    assert_eq!(tester.take_orders()[0].limit_price.get(), 101);
}
