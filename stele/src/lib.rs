//! Stele is a low-latency trading event bus whose log is an audit trail. A program that uses it needs only
//! this crate, which has the parts by area, and [`Program`], with which your own strategy gets every command
//! of `stele`.
//!
//! | you want to | see |
//! |---|---|
//! | write a strategy | [`prelude`], [`strategies::Strategy`], [`strategies::Context`] |
//! | try it without a bus | [`strategies::StrategyTester`] |
//! | aggregate, join and window streams of events | [`strategies::operators`], [`strategies::indicators`] |
//! | run it live, in a backtest, or checked against its trail | [`Program`] |
//! | use the bus in your own program: publish, subscribe, stop in order | [`Bus`], [`BusOptions`], [`embed`] |
//! | assemble the parts of the bus yourself | [`bus`], [`bus::LogRing`], [`bus::Sequencer`] |
//! | keep your own state over the log, with snapshots | [`journal::Projection`], [`journal::TrailProjection`] |
//! | write a journal or read a trail | [`journal`], [`journal::Journal`], [`journal::TrailReader`] |
//! | publish, subscribe or control from another process | [`door::DoorClient`], [`bus::RemotePublisher`], [`journal::CatchUp`] |
//! | open market data, or write a feed | [`connect`], [`feed::Feed`] |
//! | check orders, send them to a venue, or simulate the venue | [`risk::Risk`], [`venue::OrderGateway`], [`venue::PaperVenue`] |
//! | read and write messages, prices and times | [`wire`], [`wire::messages`] |
//! | backtest, check and replay in code | [`replay`] |
//! | verify, seal and prove a trail | [`compliance`], [`compliance::verify()`], [`compliance::seal`] |
//!
//! The items of this crate are meant to be stable. The crates from which they come have more items, which may
//! change.
//!
//! # A strategy and its program
//!
//! ```no_run
//! use stele::prelude::*;
//!
//! const KIND: StrategyKind = StrategyKind {
//!     name: "follow",
//!     about: "buys one after each trade, up to ten",
//!     parameters: &[],
//!     make: |_| Ok(Box::new(Follow)),
//! };
//!
//! struct Follow;
//!
//! impl Strategy for Follow {
//!     fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
//!         if context.room(trade.instrument, Side::BUY, Quantity(10)).0 > 0 {
//!             context.take(trade.instrument, Side::BUY, Quantity(1));
//!         }
//!     }
//!
//!     fn snapshot(&self, _: &mut Vec<u8>) {}
//!
//!     fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     stele::Program::new().strategy(KIND).main()
//! }
//! ```
//!
//! `stele new-strategy NAME DIR` writes such a crate, with its tests; the page `docs/writing-a-strategy.md`
//! explains it.
#![forbid(unsafe_code)]

pub mod bus;
pub mod compliance;
pub mod connect;
pub mod door;
pub mod embed;
pub mod feed;
pub mod journal;
pub mod prelude;
pub mod replay;
pub mod risk;
pub mod strategies;
pub mod venue;

pub use stele_node::Program;
#[doc(inline)]
pub use stele_wire as wire;

#[doc(inline)]
pub use stele_embed::{Bus, BusError, BusOptions, Grants, RunningBus};
