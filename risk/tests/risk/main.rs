//! The pre-trade checks, through the public interface: one test for each check, and all of them against a
//! naive model.

mod checks;
mod control;
mod model;
mod orders;
mod random;
mod rig;
