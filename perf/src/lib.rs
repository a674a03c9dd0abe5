//! The benchmarks of Stele: scenarios, and the reports of their results.
//!
//! A [`PerfReport`] contains the scenario, the machine, the [`Noise`] of the machine during the run, and
//! [`Figure`]s, each the median of several repetitions with their spread. The JSON names are stable once
//! published. The scenarios [`journal`], [`bus`], [`strategies`] and [`seal`] assemble parts of Stele
//! themselves; the documentation of each module starts with a diagram of its threads. The program
//! `stele-perf` runs them, and the whole pipeline as `stele` assembles it.
#![deny(unsafe_code)]

mod arrivals;
pub mod bus;
mod cpu;
pub mod figure;
pub mod journal;
pub mod machine;
mod mix;
pub mod noise;
pub mod paired;
pub mod seal;
mod sheet;
pub mod strategies;

pub use figure::{Figure, Percentiles, PerfReport, Ratios, Route};
pub use machine::Machine;
pub use mix::MessageMix;
pub use noise::{HiccupMeter, Noise};
pub use paired::PairedRatio;
