//! The pre-trade checks, through the public interface: one test for each check, and all of them against a
//! naive model.

mod cancels;
mod checks;
mod closed;
mod control;
mod doubt;
mod model;
mod orders;
mod proposals;
mod random;
mod rig;
