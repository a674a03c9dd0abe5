//! The program `stele` as a library: configuration, layout, topology, session, commands.
//!
//! Begin with [`Program`]. The binary `stele` is a [`Program`] with the built-in strategies; your own program
//! adds its strategies and has the same commands. Applications use it through the crate `stele`, as
//! `stele::Program`.
//!
//! | thread | what it does | started by |
//! |---|---|---|
//! | main | commands, the live line, stopping | the operating system |
//! | sequencer, feed, journal (hot, pinned) | the jobs that `layout` assigns to them | `topology` alone |
//! | the journal's pool | prepares segments | `stele_journal` |
//! | snapshots | follows the trail, takes a snapshot at the end of each segment | `topology` |
//! | sealer | follows the trails, signs checkpoints, where `[seal]` names a key | `topology` |
//! | witness, one each | asks a witness for its cosignatures, where `[seal] witness` names one | `session` |
//! | keeper | makes closed segments immutable, copies them, where `[at_rest]` says so | `session` |
//! | metrics | answers over HTTP, where `[metrics]` says so | `session` |
//! | runs of a backtest | run a strategy over a market, one run on each CPU | `commands::backtest` |
//! | executors of a scan | read a trail, one on each CPU | `stele_journal` |
#![forbid(unsafe_code)]

mod access;
mod act;
mod bus_stats;
mod cli;
mod commands;
mod config;
mod doctor;
mod door;
mod emergency;
mod event_text;
mod failure;
mod feeds;
mod flush;
mod foreign_schemas;
mod forwarding;
mod gauges;
mod http;
mod keeper;
mod keys;
mod layout;
mod live;
pub mod measuring;
mod metrics;
mod moment;
mod notices;
mod numbering;
mod own_name;
mod people;
mod place;
mod prelude;
mod program;
mod progress;
mod read_method;
mod readable;
mod report;
mod running_bus;
mod screen;
mod sealer;
mod sealing;
mod session;
mod signals;
mod snapshots;
mod survey;
mod topology;
mod trails;
mod wall;
mod witnesses;

pub use program::Program;
