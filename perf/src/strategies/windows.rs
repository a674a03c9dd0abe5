//! `window_…`: the time of one trade in one window of a second, with a millisecond between trades on average.
//! It is compared with `…_by_hand`: the same aggregate in a loop written for it.

use super::timed;
use crate::sheet::Sheet;
use std::collections::VecDeque;
use std::hint::black_box;
use stele_strategies::operators::{Aggregate as _, Mean, MovingMax, Operator, Sum, seconds, stream};
use stele_strategies::{Random, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

/// The capacity of a sliding window in trades; a second has half as many.
const CAPACITY: usize = 4_096;

const SECOND: u64 = 1_000_000_000;

/// Measures one repetition of every window.
pub(super) fn measure(sheet: &mut Sheet, trades: &[(Nanos, TradePrint)]) {
    let volume = |print: &TradePrint| print.quantity.0;
    let tumbling = stream::<TradePrint>().tumbling(
        seconds(1),
        Nanos(0),
        Sum::default().of(|print: &TradePrint| print.quantity),
    );
    let (mut end, mut sum) = (0, 0_u64);
    pair(sheet, "window_tumbling_sum", trades, tumbling, |at, print| {
        if at.0 >= end {
            black_box(sum);
            (end, sum) = ((at.0 / SECOND + 1) * SECOND, 0);
        }
        sum += volume(print);
    });
    let sliding =
        stream::<TradePrint>().map(|print| print.quantity).sliding(seconds(1), CAPACITY, Mean::default());
    let (mut held, mut sum) = (VecDeque::with_capacity(CAPACITY), 0_u64);
    pair(sheet, "window_sliding_mean", trades, sliding, |at, print| {
        while held.front().is_some_and(|(old, _): &(Nanos, u64)| old.0 + SECOND <= at.0) {
            sum -= held.pop_front().map_or(0, |(_, quantity)| quantity);
        }
        held.push_back((*at, volume(print)));
        sum += volume(print);
        black_box(sum / held.len() as u64);
    });
    let highest = stream::<TradePrint>().map(|print| print.price).sliding(
        seconds(1),
        CAPACITY,
        MovingMax::new(CAPACITY),
    );
    let mut falling: VecDeque<(Nanos, i64)> = VecDeque::with_capacity(CAPACITY);
    pair(sheet, "window_sliding_max", trades, highest, |at, print| {
        while falling.front().is_some_and(|(old, _)| old.0 + SECOND <= at.0) {
            falling.pop_front();
        }
        while falling.back().is_some_and(|(_, price)| *price <= print.price.0) {
            falling.pop_back();
        }
        falling.push_back((*at, print.price.0));
        black_box(falling.front());
    });
}

fn pair(
    sheet: &mut Sheet,
    name: &str,
    trades: &[(Nanos, TradePrint)],
    mut window: impl Operator<TradePrint>,
    mut by_hand: impl FnMut(&Nanos, &TradePrint),
) {
    let own = timed(trades, |(at, print)| {
        window.on_event(*at, *print, &mut |_, out| {
            black_box(&out);
        });
    });
    let baseline = format!("{name}_by_hand");
    sheet.latency(name, own, None);
    sheet.latency(&baseline, timed(trades, |(at, print)| by_hand(at, print)), None);
    sheet.beside(name, &baseline);
}

/// Returns random trades of one instrument, a millisecond apart on average.
pub(super) fn trades(count: usize) -> Vec<(Nanos, TradePrint)> {
    let (mut random, mut time, mut price) = (Random::new(1), 1_700_000_000 * SECOND, 100_000_000_000_i64);
    let trade = |_| {
        time += random.below(2_000_000);
        price += (random.below(5) as i64 - 2) * 10_000_000;
        let print = TradePrint {
            instrument: 1,
            price: Price(price),
            quantity: Quantity(1 + random.below(100)),
            resting: None,
            trade_id: 0,
            venue_time: None,
        };
        (Nanos(time), print)
    };
    (0..count).map(trade).collect()
}
