//! Pre-trade checks: a pure state machine over the log, which the sequencer asks before an order gets its
//! number.

pub use stele_risk::{
    Allotment, Breach, Leg, OrderKind, OrderTerms, Owner, RestoreError, Risk, RiskLimits, Sequenced,
    WorkingOrder,
};
