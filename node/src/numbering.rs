//! The numbers of publishers and sources in events.

/// The numbers of publishers; 0 is the sequencer itself.
pub(crate) mod publishers {
    /// The main thread, which publishes the first and the last events of a session.
    pub(crate) const SESSION: u16 = 1;
    pub(crate) const FEED: u16 = 2;
    pub(crate) const STRATEGIES: u16 = 3;
    pub(crate) const GATEWAY: u16 = 4;
    pub(crate) const VENUE: u16 = 5;
    /// Commands in another process that change limits and kill switches.
    pub(crate) const CONTROLS: u16 = 6;
    /// Commands in another process that read the trail, each of which is recorded.
    pub(crate) const AUDITORS: u16 = 7;
    /// The first number of the publishers that the configuration names, in other processes.
    pub(crate) const OUTSIDE: u16 = 100;
    /// The number of the first shard whose events are forwarded to a shard; the next ones follow.
    pub(crate) const FORWARDER: u16 = 1_000;
}

/// The numbers of sources. A feed may use the numbers after its own.
pub(crate) mod sources {
    pub(crate) const FEED: u16 = 1;
    pub(crate) const VENUE: u16 = 60_000;
}
