//! Whole sessions, their checks, restarts and snapshots, and the examples with their own schema.
#![expect(clippy::duplicate_mod, reason = "both examples have the module of their session")]

mod card_fraud;
#[path = "../../examples/card_fraud/main.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod card_fraud_example;
mod foreign;
mod misbehaviour;
mod operator;
mod restart;
mod rig;
mod sensors;
#[path = "../../examples/sensors/main.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod sensors_example;
mod session;
mod snapshots;
