//! The door of a bus that a thread of this process runs, and clients in this process and in others.

mod controls;
mod harm;
mod memory;
mod people;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;
mod served;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
