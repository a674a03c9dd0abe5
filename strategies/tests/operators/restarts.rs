//! For every operator and indicator: a snapshot at any point, fed the later events, equals a pipeline fed all
//! events.

use super::{disordered, levels, prints, run};
use proptest::prelude::*;
use std::fmt::Debug;
use stele_strategies::book::BookSide;
use stele_strategies::indicators::*;
use stele_strategies::operators::*;
use stele_strategies::{SnapshotReader, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

fn bytes(state: &impl State) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.snapshot(&mut bytes);
    bytes
}

/// The results of a pipeline for events and, now and then, for an advance of time alone.
fn feed<In: Copy, O: Operator<In>>(pipeline: &mut O, events: &[(u64, In)]) -> Vec<(u64, O::Out)> {
    let mut out = Vec::new();
    for event in events {
        out.extend(run(pipeline, &[*event]));
        if event.0 % 5 == 0 {
            out.extend(super::tick(pipeline, event.0 + 17).0);
        }
    }
    out
}

/// Splits the events in two, restores a new pipeline in between, and compares the results and the final
/// state. Also checks that a reset pipeline without drops equals a new one, and that a shortened snapshot is
/// refused.
fn check<In, O>(build: impl Fn() -> O, events: &[(u64, In)], cut: usize) -> Result<(), TestCaseError>
where
    In: Copy,
    O: Operator<In, Out: Debug + PartialEq>,
{
    let (head, tail) = events.split_at(cut.min(events.len()));
    let mut whole = build();
    feed(&mut whole, head);
    let snapshot = bytes(&whole);
    let mut restored = build();
    let mut reader = SnapshotReader::new(&snapshot);
    restored.restore(&mut reader).expect("it was just written");
    prop_assert_eq!(reader.finish(), Ok(()));
    prop_assert_eq!(bytes(&restored), snapshot.clone());
    prop_assert_eq!(feed(&mut restored, tail), feed(&mut whole, tail));
    prop_assert_eq!(restored.drops(), whole.drops());
    prop_assert_eq!(bytes(&restored), bytes(&whole));
    prop_assert_eq!(super::end(&mut restored), super::end(&mut whole));
    if !snapshot.is_empty() {
        let short = &snapshot[..(cut * 7) % snapshot.len()];
        prop_assert!(build().restore(&mut SnapshotReader::new(short)).is_err());
    }
    whole.reset();
    let after_reset = feed(&mut whole, tail);
    prop_assert_eq!(after_reset, feed(&mut build(), tail));
    Ok(())
}

/// Defines a property test that each pipeline survives a restart.
macro_rules! restarts {
    ($test:ident, $input:expr, $($build:expr),* $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn $test(events in disordered($input), cut in 0..120usize) {
                $(check(|| $build, &events, cut)?;)*
            }
        }
    };
}

restarts!(
    numbers_restart,
    (900..1_100i64).prop_map(|price| Price(price * 1_000_000)),
    stream::<Price>().filter(|price| price.0 % 2 == 0).map(|price| price.0),
    stream::<Price>().changed(),
    stream::<Price>().then(Cusum::new(Price(1_000_000_000), Price(5_000_000), Price(90_000_000))),
    stream::<Price>().tumbling(
        Nanos(30),
        Nanos(10),
        (Count::default(), Sum::default(), Min::<Price>::default(), Max::<Price>::default())
    ),
    stream::<Price>().hopping(
        Nanos(60),
        Nanos(13),
        Nanos(9),
        (
            First::<Price>::default(),
            Last::<Price>::default(),
            Mean::<Price>::default(),
            Quantile::<Price>::new(500, 8)
        )
    ),
    stream::<Price>().sessions(
        Nanos(20),
        Nanos(30),
        (First::<Price>::default(), Last::<Price>::default(), Quantile::<Price>::new(100, 8))
    ),
    stream::<Price>().sliding(
        Nanos(70),
        6,
        (MovingMin::<Price>::new(6), MovingMax::<Price>::new(6), Sum::default())
    ),
    stream::<Price>().recent(5, (MovingMin::<Price>::new(5), Last::<Price>::default())),
    stream::<Price>().sessions(
        Nanos(20),
        Nanos(30),
        (Deviation::<Price>::default(), Mean::<Price>::default())
    ),
    stream::<Price>().running((Mean::<Price>::default(), Max::<Price>::default())),
    stream::<Price>().fork(|s| s.then(Sma::new(3)), |s| s.then(Ewma::new(3))),
    stream::<Price>().zip(|s| s.then(Sma::new(3)), |s| s.then(Ewma::new(3))),
    Bollinger::<Price>::new(7, FixedDecimal::whole(2)),
    Rsi::<Price>::new(5),
    RealisedVolatility::new(6),
);

restarts!(
    trades_restart,
    prints(),
    stream::<TradePrint>().key_by(
        Keys::up_to(3),
        |print| print.instrument,
        |s| s.then(TimeBars::new(Nanos(40), Nanos(9)))
    ),
    stream::<TradePrint>().key_by(
        Keys::newest(3),
        |print| (print.instrument, print.resting.is_some()),
        |s| s.then(VolumeBars::new(Quantity(9)))
    ),
    stream::<TradePrint>().sliding(Nanos(90), 8, Vwap::default()),
    stream::<TradePrint>().sessions(Nanos(15), Nanos(40), (Ohlcv::default(), Vwap::default())),
    stream::<TradePrint>().then(TradeSign::default()).then(SignAutocorrelation::new(2, 9)),
    stream::<TradePrint>().tumbling(
        Nanos(40),
        Nanos(9),
        Sum::default().of(|print: &TradePrint| print.quantity)
    ),
);

restarts!(
    touches_restart,
    (levels(), levels()).prop_map(|(bid, ask)| Touch { bid, ask }),
    stream::<Touch>().then(Microprice),
    stream::<Touch>().then(OrderFlowImbalance::default()).tumbling(Nanos(50), Nanos(0), Sum::default()),
);

restarts!(
    joins_restart,
    (any::<bool>(), 0..50u64).prop_map(|(is_left, n)| if is_left {
        Either::Left(n)
    } else {
        Either::Right(n)
    }),
    stream::<Either<u64, u64>>().join(Nanos(40), Nanos(20), 4),
    stream::<Either<u64, u64>>()
        .map(|event| match event {
            Either::Left(left) => Either::Left(left),
            Either::Right(right) => Either::Right((right > 5).then_some(right)),
        })
        .join_table(),
);

#[test]
fn invalid_numbers_in_a_snapshot_are_refused() {
    let keyed = || stream::<u64>().key_by(Keys::newest(2), |key| *key, |s| s.running(Count::default()));
    let mut one = keyed();
    run(&mut one, &[(1, 7), (2, 8)]);
    let mut twice = bytes(&one);
    let eight = twice.windows(8).position(|word| word == 8u64.to_le_bytes()).unwrap();
    twice[eight..eight + 8].copy_from_slice(&7u64.to_le_bytes());
    let error = keyed().restore(&mut SnapshotReader::new(&twice)).unwrap_err();
    assert!(error.to_string().contains("slot of a repeated key"), "{error}");

    let mut signs = SignAutocorrelation::new(1, 3);
    run(&mut signs, &[(1, BookSide::Bid)]);
    let mut wrong = bytes(&signs);
    *wrong.last_mut().unwrap() = 5;
    assert!(SignAutocorrelation::new(1, 3).restore(&mut SnapshotReader::new(&wrong)).is_err());
}
