//! The bounds of the order gateway and the paper venue.

/// The most orders that wait for their release watermark in one gateway.
pub const RELEASE_QUEUE_MAX: usize = 4096;
/// The most events that a gateway reads in one duty cycle.
pub const GATEWAY_SCAN_MAX: usize = 256;
/// The most events of the log that the paper venue reads in one duty cycle.
pub const MARKET_POLL_MAX: usize = 256;
