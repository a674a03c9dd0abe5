//! The door of a bus: one Unix domain socket through which every other process reaches it.
//!
//! ```text
//!  another process                                    the process of the bus
//!  DoorClient ──── the bus's socket ────────────────> DoorServer, one background thread
//!    describe, submit a control, name a file             │ the kernel says who calls
//!    <── answers, descriptors of memory and files ────── │
//!                                                        ├──> publishers "controls" and "auditors"
//!  RingView, CounterReader ── memory, read-only ─────────┼──── ring and counters
//!  RemotePublisher ────────── its own lane ──────────────┴──── port of a publisher ──> sequencer
//! ```
//!
//! The door hands over memory and files as descriptors and moves no event itself: publishing and reading cost
//! what they cost without it, and no hot thread takes part in a connection. `docs/door.md` describes the
//! protocol, for clients in other languages; `docs/decisions/0010-one-door.md` gives the reasons.
//!
//! # Who may do what
//!
//! The kernel names the user and the process of each connection, and the door writes both into the message,
//! over whatever the client sent. Where the configuration has [`People`], the user also decides which person
//! calls and what that person's roles allow ([`Permission`]); otherwise everyone who can open the socket may
//! do everything, and the number of the person that a message names is not verified.
//!
//! # What a client cannot do
//!
//! A client that sends garbage, sends half a request or does not read its answers is cut off after
//! [`bounds::REQUEST_DEADLINE`]. The number of connections and the bytes that are held for each are bounded.
//! Memory that is handed over has a sealed length and, except for a publisher's own lane, cannot be written
//! by others. When a connection ends, the client counts as dead: its lanes are taken back, and what it had
//! not committed vanishes.
#![deny(unsafe_code)]

pub mod address;
pub mod bounds;
pub mod client;
mod connection;
pub mod controls;
mod credentials;
mod listener;
mod pending;
pub mod people;
pub mod protocol;
pub mod server;
mod shard;
mod trail;

pub use address::{AddressError, SocketAddress};
pub use client::{ClientError, DoorClient, Outcome};
pub use credentials::Caller;
pub use listener::{BindError, DoorListener};
pub use people::{People, PeopleError, Permission, Person, Role};
pub use server::{DoorServer, ServedBus};
pub use shard::ServedShard;
