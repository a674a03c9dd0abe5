//! The order gateway, driven by hand on a manual clock: releases, the lane of cancels, what a kill switch
//! drops, the emergency mass cancel; an exchange that outlives its gateway; and the allocations of the
//! gateway and the paper exchange.

mod allocations;
mod disconnect;
mod emergency;
mod lanes;
mod release;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;

#[global_allocator]
static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
