//! A bus inside a program of your own: [`Bus::open`] opens a trail and begins a session, [`Bus::start`] gives
//! it threads, [`RunningBus::stop`] ends in order.

pub use stele_bus::session::{ControlPublisher, EventSink, SchemaDocument, StrategyStart, cut_text};
pub use stele_embed::{Bus, BusError, BusOptions, RemoteAccess, RunningBus, Threads};
