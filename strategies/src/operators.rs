//! Streaming operators in the style of Kafka Streams: filter, map, keys, joins, windows, aggregates.
//!
//! A pipeline is built from [`stream`] by methods that append one operator each, like iterator adapters. It
//! is one statically typed value without a thread, a clock or a lock.
//! [`Stream::on_event`](Operator::on_event) receives an event with its time and passes the results to a
//! closure. A pipeline allocates only while it is built, not when a key appears for the first time.
//!
//! ```
//! use stele_strategies::indicators::{FixedDecimal, Rsi, TimeBars};
//! use stele_strategies::operators::{Keys, Operator, State, minutes, seconds, stream};
//! use stele_strategies::{SnapshotReader, TradePrint};
//! # use stele_wire::{Nanos, Price, Quantity};
//! # fn print(step: u64) -> TradePrint {
//! #     let price = Price(100_000_000_000 + step as i64 * 10_000_000);
//! #     let (resting, venue_time) = (None, None);
//! #     TradePrint { instrument: 7, price, quantity: Quantity(1), resting, trade_id: 0, venue_time }
//! # }
//!
//! // For each instrument: one-minute bars that accept trades up to two seconds late, then the RSI of
//! // their closing prices, where it is extreme.
//! let build = || {
//!     stream::<TradePrint>().filter(|print| print.quantity.0 > 0).key_by(
//!         Keys::up_to(64),
//!         |print| print.instrument,
//!         |prints| {
//!             prints
//!                 .then(TimeBars::new(minutes(1), seconds(2)))
//!                 .in_time()
//!                 .map(|bar| bar.value.close)
//!                 .then(Rsi::new(14))
//!                 .filter(|rsi| *rsi > FixedDecimal::whole(70) || *rsi < FixedDecimal::whole(30))
//!         },
//!     )
//! };
//!
//! let (mut pipeline, mut extremes) = (build(), Vec::new());
//! for step in 0..1_000 {
//!     pipeline.on_event(Nanos(step * seconds(1).0), print(step), &mut |_, extreme| extremes.push(extreme));
//! }
//! assert_eq!((extremes[0], extremes.len()), ((7, FixedDecimal::HUNDRED), 2));
//! assert!(pipeline.drops().is_empty());
//!
//! let mut snapshot = Vec::new();
//! pipeline.snapshot(&mut snapshot);
//! let mut restored = build();
//! restored.restore(&mut SnapshotReader::new(&snapshot)).unwrap();
//! ```
//!
//! **Time** is supplied by the caller: the time at which an event was sequenced ([`crate::Context::now`]),
//! which never decreases, or the venue's time, which may. A pipeline has no other clock. When no events
//! arrive, [`Operator::on_time`] closes what has ended, for example from a timer.
//!
//! **Late events.** Every window has a grace period: an event may be older than the latest one by that much
//! and still counts. A later event is counted in [`State::drops`] and emitted as `Err(`[`Late`]`)` next to
//! the results, as a side output; [`Stream::in_time`] drops it.
//!
//! **State** is kept by operators only: the functions of a pipeline are `Fn`. A pipeline writes itself into a
//! snapshot and reads itself back ([`State`]); a strategy includes it in its own snapshot.
//!
//! **In a strategy** the type of a pipeline need not be written out: declare `struct Breakout<O> { closes:
//! Stream<TradePrint, O> }` with `impl<O: Operator<TradePrint, Out = Price> + Send> Strategy for
//! Breakout<O>`, build the pipeline in a function that returns `Stream<TradePrint, impl Operator<TradePrint,
//! Out = Price> + Send>`, and make the strategy with `make: |_| Ok(Box::new(Breakout { closes: closes() }))`
//! in its [`crate::StrategyKind`]. `strategies/tests/operators/strategy.rs` is a complete example.
//!
//! | to | use |
//! |---|---|
//! | select and convert | [`Stream::filter`], [`Stream::map`], [`Stream::filter_map`] |
//! | separate by key | [`Stream::key_by`] |
//! | aggregate in windows | [`Stream::tumbling`], [`Stream::hopping`], [`Stream::sliding`], [`Stream::sessions`], [`Stream::recent`], [`Stream::running`] |
//! | … the aggregates | [`Count`], [`Sum`], [`Mean`], [`Deviation`], [`First`], [`Last`], [`Min`], [`Max`], [`MovingMin`], [`MovingMax`], [`Quantile`], tuples of them, parts of an event by [`Aggregate::of`] |
//! | detect changes | [`Stream::changed`], [`Cusum`] |
//! | join | [`Stream::fork`] or an [`Either`] of two sources, then [`Stream::join`] or [`Stream::join_table`] |
//! | combine two results | [`Stream::zip`] |
//! | anything else | [`Stream::then`] with an [`Operator`] of your own |

mod aggregate;
pub mod bounds;
mod branch;
mod change;
mod deviation;
mod join;
mod key;
mod operator;
mod quantile;
mod ring;
mod session;
mod sliding;
mod state;
mod stateless;
mod stream;
mod window;

pub use aggregate::{
    Aggregate, AggregateOf, Count, First, Last, Max, Mean, Merge, Min, MovingExtreme, MovingMax, MovingMin,
    Remove, Sum,
};
pub use branch::{Either, Fork, Zip};
pub use change::{Changed, Cusum, Shift};
pub use deviation::Deviation;
pub use join::{Join, TableJoin};
pub use key::{Key, KeyBy, Keys};
pub use operator::{Operator, PassThrough, Then};
pub use quantile::Quantile;
pub use session::Sessions;
pub use sliding::{Recent, Running, Sliding};
pub use state::{DropCounts, Number, State, StateValue, floor_divide};
pub use stateless::{Filter, FilterMap, InTime, Map};
pub use stream::{Stream, stream};
pub use window::{Late, Window, Windows};

use stele_wire::Nanos;

/// A duration of `count` milliseconds.
pub const fn millis(count: u64) -> Nanos {
    Nanos(count * 1_000_000)
}

/// A duration of `count` seconds.
pub const fn seconds(count: u64) -> Nanos {
    Nanos(count * 1_000_000_000)
}

/// A duration of `count` minutes.
pub const fn minutes(count: u64) -> Nanos {
    seconds(count * 60)
}
