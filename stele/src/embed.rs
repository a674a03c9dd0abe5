//! A bus inside your own program: [`Bus::open`] opens a trail and begins a session, [`Bus::start`] starts its
//! threads, and [`RunningBus::stop`] stops it in order.

pub use stele_bus::session::{ControlPublisher, EventSink, Schema, StrategyStart, cut_text};
pub use stele_embed::{Bus, BusError, BusOptions, RemoteAccess, RunningBus, Threads};
