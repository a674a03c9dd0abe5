//! Pre-trade checks: a pure state machine over the log, with which the sequencer checks an order before it
//! gets its sequence.

pub use stele_risk::{
    Allotment, Breach, CapacityError, Leg, OrderKind, OrderOwner, OrderTerms, RestoreError, Risk,
    RiskCapacity, RiskLimits, SequencedEvent, TableUse,
};
