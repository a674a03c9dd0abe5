//! The checks before an order, through the public interface: one test a check, and all of them against a naive
//! model.

mod checks;
mod control;
mod model;
mod orders;
mod random;
mod rig;
