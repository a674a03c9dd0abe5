//! Pre-trade checks: a pure state machine over the log, which the sequencer asks before an order gets its
//! number.

pub use stele_risk::{
    Allotment, Breach, Leg, OrderKind, OrderOwner, OrderTerms, RestoreError, Risk, RiskLimits,
    SequencedEvent, WorkingOrder,
};
