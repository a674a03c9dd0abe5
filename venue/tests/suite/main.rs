//! Orders on their way out of the host, through the gateway, driven by hand on a manual clock.

mod release;
#[path = "../../../bus/tests/bus/rig.rs"]
mod rig;
