//! A feed routed to several shards, and events forwarded from one shard to another, each with a sequencer and
//! a ring of its own, driven by hand on a manual clock.

mod forwarding;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;
mod routing;
