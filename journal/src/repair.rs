//! Repairs a trail that recovery refuses or in which verification finds damage. It runs only on request and
//! destroys nothing: damaged data moves to the `cut` folder.
//!
//! It has three steps, so that after a crash between or within them repair can be run again: [`diagnose`]
//! reads; [`plan_restore`] and [`plan_cut`] list what is to be done as [`RepairStep`]s, which the caller
//! records; [`perform`] runs them, and running them again does the rest.

mod diagnosis;
mod plan;

pub use diagnosis::{Damage, DamageKind, Diagnosis, diagnose};
pub use plan::{RepairError, RepairPlan, RepairStep, SetAsideBytes, perform, plan_cut, plan_restore};

#[cfg(test)]
mod tests;
