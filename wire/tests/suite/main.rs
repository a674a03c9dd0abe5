//! Tests of the messages: their bytes, their readers, their schema.

mod allocation;
mod bytes;
#[expect(unreachable_pub, dead_code, reason = "generated as a library's module is")]
mod car;
mod coverage;
mod filled;
mod generated;
mod golden;
mod rules;
mod versions;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
