//! The bus as a whole, driven by hand with a manual clock, and in one test by threads.
#![cfg(not(loom))]

mod allocation;
mod contracts;
mod controls;
mod foreign;
mod grants;
mod kills;
mod own_events;
mod random_schedules;
mod refusals;
mod remote_publisher;
mod rig;
mod shared_ring;
mod switches;
mod threads;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
