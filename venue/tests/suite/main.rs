//! The order gateway, driven by hand on a manual clock, and the allocations of the gateway and the paper
//! exchange.

mod allocations;
mod release;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
