//! Streaming operators in the manner of Kafka Streams: filter, map, keys, joins, windows, aggregates.
//!
//! A pipeline is built from [`stream`] by methods that put one operator behind another, as iterator adapters do. It is
//! one statically typed value without a thread, a clock or a lock; [`Stream::on_event`](Operator::on_event) takes an
//! event with its time and gives what follows from it to a closure. After it is built, and whoever first touches a
//! key included, it allocates nothing.
//!
//! ```
//! use stele_strategies::indicators::{Decimal, Rsi, TimeBars};
//! use stele_strategies::operators::{Keys, Operator, State, minutes, seconds, stream};
//! use stele_strategies::{Print, SnapshotReader};
//! # use stele_wire::{Nanos, Price, Quantity};
//! # fn print(step: u64) -> Print {
//! #     let price = Price(100_000_000_000 + step as i64 * 10_000_000);
//! #     Print { instrument: 7, price, quantity: Quantity(1), resting: None, trade_id: 0, venue_time: None }
//! # }
//!
//! // Of each instrument: one-minute bars, two seconds late at most, the RSI of their closes, where it is extreme.
//! let build = || {
//!     stream::<Print>().filter(|print| print.quantity.0 > 0).key_by(Keys::up_to(64), |print| print.instrument, |prints| {
//!         prints
//!             .then(TimeBars::new(minutes(1), seconds(2)))
//!             .in_time()
//!             .map(|bar| bar.value.close)
//!             .then(Rsi::new(14))
//!             .filter(|rsi| *rsi > Decimal::whole(70) || *rsi < Decimal::whole(30))
//!     })
//! };
//!
//! let (mut pipeline, mut extremes) = (build(), Vec::new());
//! for step in 0..1_000 {
//!     pipeline.on_event(Nanos(step * seconds(1).0), print(step), &mut |_, extreme| extremes.push(extreme));
//! }
//! assert_eq!((extremes[0], extremes.len()), ((7, Decimal::HUNDRED), 2));
//! assert!(pipeline.losses().is_empty());
//!
//! let mut snapshot = Vec::new();
//! pipeline.snapshot(&mut snapshot);
//! let mut restored = build();
//! restored.restore(&mut SnapshotReader::new(&snapshot)).unwrap();
//! ```
//!
//! **Time** is what the caller says it is: the time that an event was sequenced ([`crate::Context::now`]), which
//! never goes back, or the venue's, which may. A pipeline knows no other. Where nothing comes for a while,
//! [`Operator::on_time`] closes what is over, from a timer for example.
//!
//! **Late events.** Every window has a grace: an event may be that much older than the latest one and still counts.
//! What is later is counted in [`State::losses`] and given on as `Err(`[`Late`]`)` beside the results, the side output;
//! [`Stream::in_time`] drops it.
//!
//! **State** is kept by the operators alone: functions of a pipeline are `Fn`. A pipeline writes itself into a
//! snapshot and reads itself back ([`State`]); a strategy does so in its own.
//!
//! **In a strategy** the type of a pipeline need not be written: `struct Breakout<O> { closes: Stream<Print, O> }` with
//! `impl<O: Operator<Print, Out = Price> + Send> Strategy for Breakout<O>`, a function that builds the pipeline and
//! returns `Stream<Print, impl Operator<Print, Out = Price> + Send>`, and `make: |_| Ok(Box::new(Breakout { closes:
//! closes() }))` in its [`crate::Kind`]. `strategies/tests/suite/operators/strategy.rs` is one.
//!
//! | to | use |
//! |---|---|
//! | choose, convert | [`Stream::filter`], [`Stream::map`], [`Stream::filter_map`] |
//! | tell apart | [`Stream::key_by`] |
//! | aggregate in windows | [`Stream::tumbling`], [`Stream::hopping`], [`Stream::sliding`], [`Stream::sessions`], [`Stream::recent`], [`Stream::running`] |
//! | of | [`Count`], [`Sum`], [`Mean`], [`Deviation`], [`First`], [`Last`], [`Min`], [`Max`], [`MovingMin`], [`MovingMax`], [`Quantile`], tuples of them, parts by [`Aggregate::of`] |
//! | see changes | [`Stream::changed`], [`Cusum`] |
//! | join | [`Stream::fork`] or an [`Either`] of two sources, then [`Stream::join`] or [`Stream::join_table`] |
//! | put side by side | [`Stream::zip`] |
//! | anything else | [`Stream::then`] with an [`Operator`] of your own |

mod aggregate;
pub mod bounds;
mod branch;
mod change;
mod deviation;
mod join;
mod key;
mod quantile;
mod ring;
mod session;
mod sliding;
mod state;
mod stateless;
mod stream;
mod window;

pub use aggregate::{
    Aggregate, Count, First, Last, Max, Mean, Merge, Min, MovingExtreme, MovingMax, MovingMin, Of, Remove,
    Sum,
};
pub use branch::{Either, Fork, Zip};
pub use change::{Changed, Cusum, Shift};
pub use deviation::Deviation;
pub use join::{Join, TableJoin};
pub use key::{Key, KeyBy, Keys};
pub use quantile::Quantile;
pub use session::Sessions;
pub use sliding::{Recent, Running, Sliding};
pub use state::{Losses, Number, State, Value, floor_divide};
pub use stateless::{Filter, FilterMap, InTime, Map};
pub use stream::{Operator, Source, Stream, Then, stream};
pub use window::{Late, Window, Windows};

use stele_wire::Nanos;

/// So many milliseconds.
pub const fn millis(count: u64) -> Nanos {
    Nanos(count * 1_000_000)
}

/// So many seconds.
pub const fn seconds(count: u64) -> Nanos {
    Nanos(count * 1_000_000_000)
}

/// So many minutes.
pub const fn minutes(count: u64) -> Nanos {
    seconds(count * 60)
}
