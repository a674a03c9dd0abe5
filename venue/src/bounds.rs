//! The bounds of the order gateway and the paper venue.

use stele_wire::bounds::FRAME_LENGTH_MAX;

/// The most orders that wait in one gateway. An order beyond that is refused.
pub const RELEASE_QUEUE_MAX: usize = 4096;
/// The bytes of all orders that wait in one gateway: twice what the usual order needs.
pub const RELEASE_QUEUE_BYTES: usize = RELEASE_QUEUE_MAX * 512;
/// The most cancels that wait in one gateway: as many as there are orders that can work. A cancel beyond that
/// is refused.
pub const CANCEL_QUEUE_MAX: usize = 16 << 10;
/// The bytes of all cancels that wait in one gateway.
pub const CANCEL_QUEUE_BYTES: usize = CANCEL_QUEUE_MAX * 160;
/// The most dropped orders and cancels of one gateway that are not on the log yet.
pub const DROPS_MAX: usize = 4 * RELEASE_QUEUE_MAX;
/// The most cancels that left before earlier orders and are not logged as released yet.
pub const EARLY_CANCELS_MAX: usize = 1024;
/// The most events that a gateway reads in one duty cycle.
pub const GATEWAY_SCAN_MAX: usize = 256;
/// The most events of the log that the paper venue reads in one duty cycle.
pub const MARKET_POLL_MAX: usize = 256;
/// How often a gateway that stops after a failure asks the venue to cancel everything, a millisecond apart.
pub const EMERGENCY_TRIES_MAX: u32 = 1_000;

const _: () = assert!(RELEASE_QUEUE_BYTES >= 2 * FRAME_LENGTH_MAX, "the longest order has room");
const _: () = assert!(CANCEL_QUEUE_BYTES >= 2 * FRAME_LENGTH_MAX, "the longest cancel has room");
const _: () = assert!(DROPS_MAX >= 2 * (RELEASE_QUEUE_MAX + 2), "one event can drop everything that waits");
