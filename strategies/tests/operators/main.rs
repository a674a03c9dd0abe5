//! Operators and indicators compared with simple versions, over restarts at any point, and without
//! allocation.

mod aggregates;
mod allocations;
mod indicators;
mod joins;
mod keys;
mod published;
mod restarts;
mod strategy;
mod windows;

use proptest::prelude::*;
use stele_strategies::book::BookSide;
use stele_strategies::operators::Operator;
use stele_strategies::{Level, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

/// The results of a pipeline for events, with their times.
fn run<In: Copy, O: Operator<In>>(pipeline: &mut O, events: &[(u64, In)]) -> Vec<(u64, O::Out)> {
    let mut out = Vec::new();
    for (at, input) in events {
        pipeline.on_event(Nanos(*at), *input, &mut |at, result| out.push((at.0, result)));
    }
    out
}

/// The results when the time advances to `at`, and the time that is passed on.
fn tick<In, O: Operator<In>>(pipeline: &mut O, at: u64) -> (Vec<(u64, O::Out)>, u64) {
    let mut out = Vec::new();
    let behind = pipeline.on_time(Nanos(at), &mut |at, result| out.push((at.0, result)));
    (out, behind.0)
}

/// The results at the end of time.
fn end<In, O: Operator<In>>(pipeline: &mut O) -> Vec<(u64, O::Out)> {
    tick(pipeline, u64::MAX).0
}

/// The results without their times.
fn results<In: Copy, O: Operator<In>>(pipeline: &mut O, inputs: impl IntoIterator<Item = In>) -> Vec<O::Out> {
    let events: Vec<_> = inputs.into_iter().zip(1..).map(|(input, at)| (at, input)).collect();
    run(pipeline, &events).into_iter().map(|(_, result)| result).collect()
}

/// Events whose time mostly advances by about 10, often goes back by as much, and sometimes jumps far ahead.
fn disordered<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<(u64, T)>> {
    let step = prop_oneof![12 => -25..45i64, 1 => 200..600i64];
    prop::collection::vec((step, value), 1..120).prop_map(|steps| {
        let mut time = 1_000i64;
        steps
            .into_iter()
            .map(|(step, value)| {
                time = (time + step).max(0);
                (time as u64, value)
            })
            .collect()
    })
}

fn prints() -> impl Strategy<Value = TradePrint> {
    let side = prop_oneof![Just(None), Just(Some(BookSide::Bid)), Just(Some(BookSide::Ask))];
    (1..6u32, 900..1_100i64, 0..9u64, side).prop_map(|(instrument, price, quantity, resting)| TradePrint {
        instrument,
        price: Price(price * 10_000_000),
        quantity: Quantity(quantity),
        resting,
        trade_id: 0,
        venue_time: None,
    })
}

fn levels() -> impl Strategy<Value = Option<Level>> {
    let level = (90..110i64, 1..50u64).prop_map(|(price, quantity)| Level {
        price: Price(price),
        quantity: Quantity(quantity),
        orders: 1,
    });
    prop_oneof![9 => level.prop_map(Some), 1 => Just(None)]
}
