//! A bus inside a process of your own: one type that opens a trail, puts a session's beginning on it, gives
//! out publishers and consumers, runs the sequencer and the journal, and stops in order.
//!
//! ```text
//! publishers ──> SEQUENCER ──> ring ──┬──> consumers: in place (gating), by copy (lossy), never missing one (catch-up)
//!                    ^                └──> JOURNAL ──> trail on disk ──> durable
//!                    └── agents of your own, between the two
//! ```
//! [`Bus::open`] makes everything on the caller's thread. Then either [`Bus::start`] gives sequencer and
//! journal a thread each, or the caller drives them with [`Bus::turn`]. The trail passes `stele verify`.
//!
//! ```
//! use stele_embed::{Bus, BusOptions};
//! use stele_wire::messages::Trade;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let trail = folder.path().join("trail");
//! let mut bus = Bus::open(&trail, BusOptions::default())?;
//! let mut notices = bus.publisher("notices")?;
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
//! Nothing allocates between start and stop, but what the caller's own code does. Events that name an
//! instrument, a source or an account need its definition before them: [`Bus::control`] puts it on the log
//! first.
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
