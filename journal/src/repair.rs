//! Repair of a trail that recovery refuses, or that verification finds damaged. Only on request, and nothing is ever
//! destroyed: what is damaged moves to the `cut` folder.
//!
//! Three steps, so that a crash between or within them leaves a trail on which repair can be run again:
//! [`diagnose`] reads; [`plan_restore`] and [`plan_cut`] say what is to be done, as a list of [`RepairStep`]s that the caller
//! writes down; [`perform`] does them, and doing them again does the rest.

mod diagnosis;
mod plan;

pub use diagnosis::{Damage, DamageKind, Diagnosis, diagnose};
pub use plan::{RepairError, RepairPlan, RepairStep, SetAsideBytes, perform, plan_cut, plan_restore};

#[cfg(test)]
mod tests;
