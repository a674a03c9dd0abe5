//! The door of a running bus, for other processes: its ring and its counters, publishers, controls, and the
//! files of its trail, through one Unix domain socket.
//!
//! [`DoorClient::find`] connects to a bus by name. A program that composes its own bus serves it with
//! [`DoorListener`] and [`DoorServer`].

pub use stele_door::{
    AddressError, BindError, Caller, ClientError, DoorClient, DoorListener, DoorServer, Outcome, People,
    PeopleError, Permission, Person, Role, ServedBus, ServedShard, SocketAddress,
};
pub use stele_door::{bounds, protocol};
