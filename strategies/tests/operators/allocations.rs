//! A pipeline does not allocate after it is built, whatever arrives: new keys, late events, full buffers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use stele_strategies::book::BookSide;
use stele_strategies::indicators::*;
use stele_strategies::operators::*;
use stele_strategies::{Level, Random, TradePrint};
use stele_wire::{Nanos, Price, Quantity};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, so from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `pointer` came from `alloc` above, so from the system.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Feeds random trades of 20 instruments, out of order and with pauses. Returns the number of results and the
/// drop counts.
fn feed<O: Operator<TradePrint>>(mut pipeline: O) -> (u64, DropCounts) {
    let (mut random, mut time, mut given) = (Random::new(7), 1_000u64, 0);
    let before = ALLOCATIONS.get();
    for step in 0..20_000 {
        time += random.below(20) + if random.below(500) == 0 { 2_000 } else { 0 };
        let print = TradePrint {
            instrument: 1 + random.below(20) as u32,
            price: Price(1_000 + random.below(300) as i64 - 150),
            quantity: Quantity(random.below(40)),
            resting: [None, Some(BookSide::Bid), Some(BookSide::Ask)][random.below(3) as usize],
            trade_id: step,
            venue_time: None,
        };
        let at = Nanos(time - random.below(600));
        pipeline.on_event(at, print, &mut |_, _| given += 1);
        if step % 100 == 0 {
            pipeline.on_time(Nanos(time), &mut |_, _| given += 1);
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    (given, pipeline.drops())
}

#[test]
fn windows_and_keys_allocate_nothing() {
    let aggregate = || {
        let price = |print: &TradePrint| print.price;
        (Ohlcv::default(), Vwap::default(), Quantile::<Price>::new(500, 2).of(price))
    };
    let instrument = |print: &TradePrint| print.instrument;
    let (given, drops) = feed(stream::<TradePrint>().key_by(Keys::up_to(16), instrument, |s| {
        s.fork(
            |s| s.hopping(Nanos(300), Nanos(70), Nanos(40), aggregate()),
            |s| s.sessions(Nanos(60), Nanos(40), aggregate()),
        )
    }));
    assert!(given > 5_000 && drops.keys_refused > 0 && drops.late > 0 && drops.crowded_out > 0, "{drops:?}");
    let sliding = |s: Stream<TradePrint, PassThrough>| {
        let extremes =
            (MovingMin::<Price>::new(8), MovingMax::<Price>::new(8), Quantile::<Price>::new(900, 8));
        s.map(|print| print.price).sliding(Nanos(4_000), 8, extremes)
    };
    let (given, drops) = feed(stream::<TradePrint>().key_by(Keys::newest(16), instrument, sliding));
    assert!(given > 15_000 && drops.keys_evicted > 0 && drops.crowded_out > 0, "{drops:?}");
}

#[test]
fn joins_and_indicators_allocate_nothing() {
    let (pairs, drops) = feed(
        stream::<TradePrint>()
            .map(|print| match print.resting {
                Some(BookSide::Bid) => Either::Left(print.quantity),
                _ => Either::Right(print.price),
            })
            .join(Nanos(100), Nanos(50), 8),
    );
    assert!(pairs > 10_000 && drops.crowded_out > 0 && drops.late > 0, "{drops:?}");
    let level =
        |price: i64, print: &TradePrint| Level { price: Price(price), quantity: print.quantity, orders: 1 };
    let touch = move |print: TradePrint| Touch {
        bid: Some(level(print.price.0 - 1, &print)),
        ask: Some(level(print.price.0 + 1, &print)),
    };
    let touches = feed(stream::<TradePrint>().map(touch).zip(
        |s| {
            s.then(Microprice)
                .zip(|s| s.then(Rsi::new(14)), |s| s.then(Bollinger::new(20, FixedDecimal::whole(2))))
        },
        |s| s.then(OrderFlowImbalance::default()).recent(50, Sum::default()),
    ));
    let signs =
        feed(stream::<TradePrint>().then(TradeSign::default()).then(SignAutocorrelation::new(3, 100)));
    let prices = feed(
        stream::<TradePrint>()
            .map(|print| print.price)
            .changed()
            .zip(|s| s.then(Sma::new(30)).then(Ewma::new(9)), |s| s.then(RealisedVolatility::new(30))),
    );
    assert!([touches.0, signs.0, prices.0].iter().all(|given| *given > 10_000));
}
