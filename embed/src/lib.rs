//! A bus inside your own process: one type that opens a trail, begins a session on it, creates publishers and
//! consumers, runs the sequencer and the journal, and stops in order.
//!
//! ```text
//! publishers ──> SEQUENCER ──> ring ──┬──> consumers: gating, lossy, catch-up
//!                    ^                └──> JOURNAL ──> trail on disk ──> durable
//!                    └── your own agents
//! ```
//! [`Bus::open`] creates everything on the caller's thread. Then either [`Bus::start`] gives the sequencer
//! and the journal a thread each, or the caller drives them with [`Bus::turn`]. The trail passes
//! `stele verify`.
//!
//! ```
//! use stele_embed::{Bus, BusOptions, Grants};
//! use stele_wire::messages::Trade;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let trail = folder.path().join("trail");
//! let mut bus = Bus::open(&trail, BusOptions::default())?;
//! let mut notices = bus.publisher("notices", Grants::market())?;
//! let mut reader = bus.gating_consumer("reader")?;
//! let bus = bus.start()?;
//! bus.publish(&mut notices, &Trade::NULL)?;
//! bus.wait_durable(&notices)?;
//! bus.stop()?;
//! let mut seen = 0;
//! while reader.poll(64, |event| seen += usize::from(event.message::<Trade>().is_some())) > 0 {}
//! assert_eq!(seen, 1);
//! # Ok(()) }
//! ```
//! The bus does not allocate between start and stop. Events that name an instrument, a source or an account
//! need its definition before them, which [`Bus::control`] publishes.
#![forbid(unsafe_code)]

mod bus;
mod earlier;
mod error;
mod options;
mod running;

pub use bus::Bus;
pub use error::BusError;
pub use options::{BusOptions, RemoteAccess, Threads};
pub use running::RunningBus;
pub use stele_bus::Grants;
