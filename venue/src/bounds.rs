//! The bounds of the order gateway and the paper venue.

/// Orders that wait for their release watermark in one gateway.
pub const RELEASE_QUEUE_MAX: usize = 4096;
/// Events that a gateway looks at per duty cycle.
pub const GATEWAY_SCAN_MAX: usize = 256;
/// Events of the log that the paper venue looks at in one duty cycle at most.
pub const MARKET_POLL_MAX: usize = 256;
