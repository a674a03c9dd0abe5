//! The bus as a whole, driven by hand on a manual clock, and once by two threads.
#![cfg(not(loom))]

mod contracts;
mod controls;
mod own_events;
mod named_ring;
mod random_schedules;
mod refusals;
mod release;
mod rig;
mod switches;
mod threads;
