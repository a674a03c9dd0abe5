//! What nearly every strategy names: `use stele::prelude::*;`.

pub use stele_strategies::{
    Context, Kind, Order, Parameter, ParameterError, Parameters, Print, Report, ReportKind, RestoreError,
    SnapshotReader, SnapshotWrite, Strategy,
};
pub use stele_wire::messages::Side;
pub use stele_wire::{Nanos, Price, Quantity, Sequence};
