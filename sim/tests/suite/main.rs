//! Worlds on a disk that fails, and what the simulation's own path costs.

mod allocations;
mod failures;
mod seals;
mod worlds;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
