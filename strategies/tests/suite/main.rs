//! Strategies in their host and on a bus, and operators.

mod agent;
mod allocations;
mod host;
mod operator;
mod operators;
mod other_streams;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
