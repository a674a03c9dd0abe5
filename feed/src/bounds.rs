//! All bounds of routing and forwarding, with the relations between them checked at compile time.

use stele_bus::bounds::HEADROOM_MARKET_DIVISOR;

/// The greatest number of another shard's events that a forwarder reads in a duty cycle.
pub const FORWARD_EVENTS_MAX: usize = 256;
/// The greatest part of another shard's ring that a forwarder holds, as a divisor of the ring's length. It
/// reads older events from the disk. Since it holds less than what market data leaves free, nothing is
/// refused because of it.
pub const FORWARD_LAG_DIVISOR: usize = 2;
/// The greatest number of shards to which one feed is routed.
pub const SHARDS_MAX: usize = 16;

const _: () = assert!(FORWARD_LAG_DIVISOR * (HEADROOM_MARKET_DIVISOR - 1) > HEADROOM_MARKET_DIVISOR);
