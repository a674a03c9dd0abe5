//! The bounds of the door.

use std::time::Duration;
use stele_wire::bounds::BODY_LENGTH_MAX;

/// The longest name of a bus, in bytes.
pub const BUS_NAME_MAX: usize = 64;
/// The most connections at a time.
pub const CONNECTIONS_MAX: usize = 256;
/// The most connections of one user, so that a program that opens many keeps no other user out.
pub const CONNECTIONS_PER_USER_MAX: usize = 128;
/// The connections that wait to be accepted.
pub const BACKLOG: i32 = 64;
/// The most connections that are accepted before those that exist are served.
pub const ACCEPTS_PER_TURN: usize = 16;

/// The pause before the next connection is accepted when the kernel has no descriptors or memory for it.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The longest JSON part of a request, in bytes.
pub const REQUEST_JSON_MAX: usize = 4 << 10;
/// The longest request after its header, in bytes.
pub const REQUEST_LENGTH_MAX: usize = REQUEST_JSON_MAX + BODY_LENGTH_MAX;
/// The longest answer after its header, in bytes.
pub const ANSWER_LENGTH_MAX: usize = 256 << 10;
/// The most descriptors with one answer.
pub const DESCRIPTORS_MAX: usize = 2;
/// The most names of files in one answer.
pub const NAMES_MAX: usize = 1_000;
/// The longest name that a process claims, in bytes; a longer one is cut.
pub const PROCESS_NAME_MAX: usize = 64;

/// How long a client may take for the rest of a request that it has begun, for the first one after it has
/// connected, and for reading an answer.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// How long the bus may take to put a control on the log and to make it durable.
pub const CONTROL_DEADLINE: Duration = Duration::from_secs(5);
/// How long after a control was taken the log may show why it was refused.
pub const REFUSAL_DEADLINE: Duration = Duration::from_millis(500);
/// How often the log is read while a control is on its way.
pub const CONTROL_INTERVAL: Duration = Duration::from_micros(250);
/// The most events of the log that are read at a time for a control.
pub const EVENTS_PER_READ: usize = 4_096;

/// How long a client waits for an answer. A bus that is being opened recovers its trail first.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a client that looks at every running bus waits for each one.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// How long a client waits until what the publisher before it committed is on the log.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

const _: () = assert!(CONNECTIONS_PER_USER_MAX < CONNECTIONS_MAX);
const _: () = assert!(NAMES_MAX * 256 <= ANSWER_LENGTH_MAX, "names of 255 bytes fit");
