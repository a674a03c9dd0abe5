//! Every bound of routing and forwarding in one place, with the relations between them checked at compile
//! time.

use stele_bus::bounds::HEADROOM_MARKET_DIVISOR;

/// Events of another shard that a forwarder looks at per duty cycle.
pub const FORWARD_EVENTS_MAX: usize = 256;
/// Share of another shard's ring that a forwarder holds at most, as a divisor of its length; what is beyond
/// it reads from the disk. Less than what market data leaves free, so that nothing is refused for its sake.
pub const FORWARD_LAG_DIVISOR: usize = 2;
/// Shards that one feed is routed to.
pub const SHARDS_MAX: usize = 16;

const _: () = assert!(FORWARD_LAG_DIVISOR * (HEADROOM_MARKET_DIVISOR - 1) > HEADROOM_MARKET_DIVISOR);
