//! The names that nearly every strategy uses: `use stele::prelude::*;`.

pub use stele_strategies::{
    Context, Order, OrderReport, Parameter, ParameterError, Parameters, ReportKind, RestoreError,
    SnapshotReader, SnapshotWrite, Strategy, StrategyKind, TradePrint,
};
pub use stele_wire::messages::Side;
pub use stele_wire::{Nanos, Price, Quantity, Sequence};
