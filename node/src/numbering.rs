//! The numbers of publishers and sources, as events have them.

/// Publishers, by the number that is in their events; 0 is the sequencer itself.
pub(crate) mod publishers {
    /// The main thread's: what a session begins and ends with.
    pub(crate) const SESSION: u16 = 1;
    pub(crate) const FEED: u16 = 2;
    pub(crate) const STRATEGIES: u16 = 3;
    pub(crate) const GATEWAY: u16 = 4;
    pub(crate) const VENUE: u16 = 5;
    /// In another process: the commands that change limits and kill switches.
    pub(crate) const CONTROLS: u16 = 6;
    /// In another process: the commands that read the trail, which is recorded.
    pub(crate) const AUDITORS: u16 = 7;
    /// In other processes, from here on: the configuration's.
    pub(crate) const OUTSIDE: u16 = 100;
    /// Of the first shard whose events a shard gets, and on from there.
    pub(crate) const FORWARDER: u16 = 1_000;
}

/// Sources, by the number that is in their events. A feed may use the numbers after its own.
pub(crate) mod sources {
    pub(crate) const FEED: u16 = 1;
    pub(crate) const VENUE: u16 = 60_000;
}
