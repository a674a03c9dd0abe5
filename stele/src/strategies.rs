//! Strategies: the trait and its context, books, positions, streaming operators, indicators, and the
//! strategies that come with Stele.
//!
//! A [`Strategy`] is registered with its [`StrategyKind`], by [`Program::strategy`](crate::Program::strategy)
//! or in a [`Registry`]. A [`Host`] runs the strategies of one log. [`StrategyAgent`] drives a host on a bus,
//! [`StrategyTester`] in a test, and a [backtest](crate::replay::Backtest) over a recorded market.

pub use stele_strategies::{
    Account, AgentOptions, Book, BookSide, ByInstrument, Context, Host, HostedStrategy, Instrument, Level,
    Market, Money, OPEN_ORDERS_MAX, OpenOrder, Order, OrderSink, OrderState, OrderTable, Parameter,
    ParameterError, Parameters, Profit, Random, RegisterError, Registry, RestoreError, SnapshotReader,
    SnapshotWrite, Strategy, StrategyAgent, StrategyKind, StrategyRecord, StrategyResults,
    StrategyResultsSlot, StrategyTester, UnknownStrategy,
};
pub use stele_strategies::{contingent, execution, indicators, market, operators, report};
