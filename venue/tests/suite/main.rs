//! Orders on their way out of the host: through the gateway, driven by hand on a manual clock, and what
//! gateway and paper exchange allocate.

mod allocations;
mod release;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;

#[global_allocator]
static ALLOCATOR: stele_testkit::Counting = stele_testkit::Counting;
