//! Worlds on a disk that fails, and the allocations of the simulation's own path.

mod allocations;
mod failures;
mod seals;
mod worlds;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
