//! What decides: the trait, what it acts through, books, positions, streaming operators, indicators, the
//! strategies that come with Stele.
//!
//! A [`Strategy`] is registered by its [`Kind`], with [`Program::strategy`](crate::Program::strategy) or in a
//! [`Registry`]. A [`Host`] runs the strategies of one log: [`StrategyAgent`] on a bus, [`StrategyTester`] in
//! a test, a [backtest](crate::replay::Backtest) over a market that was.

pub use stele_strategies::{
    Account, AgentOptions, Book, BookSide, ByInstrument, Context, Desk, Host, Hosted, Instrument, Kind,
    Level, Market, Money, OPEN_ORDERS_MAX, OpenOrder, Order, OrderSink, OrderState, OrderTable, Outcome,
    OutcomeSlot, Parameter, ParameterError, Parameters, Profit, Random, Registry, RestoreError,
    SnapshotReader, SnapshotWrite, Strategy, StrategyAgent, StrategyTester, UnknownStrategy,
};
pub use stele_strategies::{contingent, execution, indicators, market, operators, report};
