//! The strategy layer: the [`Strategy`] trait and its host, order books, positions, streaming operators,
//! indicators and the built-in strategies.
//!
//! Everything except [`agent`] is pure: state machines that take `&mut self`, are fed events, and use no
//! clock, no thread and no I/O. A [`Host`] owns the [`Market`] (the order books) and the strategies with
//! their positions and open orders. The same events give the same orders, whether they come from a live log
//! or from a recorded trail.
//!
//! | type | thread |
//! |---|---|
//! | [`StrategyAgent`]: host, books and every strategy in it | the core that the agent is assigned to, one event at a time |
//! | [`StrategyTester`], the check of a trail, a backtest | the caller's |
//!
//! A strategy is never called from two threads, so it needs no lock and shares no state.
//!
//! # Where to start
//!
//! Implement [`Strategy`], act through the [`Context`] that every method receives, describe the parameters
//! with [`Parameter`], register a [`StrategyKind`] in a [`Registry`], and test it with a [`StrategyTester`].
#![forbid(unsafe_code)]

pub mod account;
pub mod agent;
pub mod book;
pub mod by_instrument;
pub mod contingent;
pub mod dip_buyer;
pub mod execution;
pub mod flow_momentum;
pub mod host;
pub mod indicators;
pub mod lead_lag;
pub mod market;
pub mod market_maker;
pub mod moving_average_cross;
pub mod newest_touch;
pub mod operators;
pub mod order;
pub mod pairs;
pub mod parameters;
pub mod price_source;
pub mod random;
pub mod registry;
pub mod report;
pub mod snapshot;
pub mod strategy;
pub mod tester;
pub mod throttle;
pub mod twap;
pub mod vwap;

pub use account::{Account, ContractScale, Fill, Holding, Money};
pub use agent::{AgentOptions, StrategyAgent, StrategyResults, StrategyResultsSlot};
pub use book::{Book, BookSide, Level};
pub use by_instrument::ByInstrument;
pub use contingent::{Bracket, BracketExits, Contingency, OrderPair};
pub use host::{
    HoldingSummary, Host, HostedStrategy, IgnoredCommand, Standing, StrategyFailure, StrategyResult,
    StrategyState,
};
pub use market::{Instrument, Market, MarketChange, TradePrint};
pub use newest_touch::NewestTouch;
pub use order::{OPEN_ORDERS_MAX, OpenOrder, Order, OrderState, OrderTable};
pub use parameters::{Parameter, ParameterError, Parameters};
pub use random::Random;
pub use registry::{RegisterError, Registry, StrategyKind, UnknownStrategy};
pub use report::{OrderReport, ReportKind};
pub use snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
pub use strategy::{Context, OrderSink, Profit, Strategy, StrategyRecord};
pub use tester::StrategyTester;
