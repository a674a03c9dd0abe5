//! Can we believe the numbers: what a measurement is made of, and the page it is printed on.
//!
//! A [`Report`] names the scenario, the machine, the [`Noise`] that the machine itself made during the run,
//! and [`Figure`]s, each the median of several repetitions with their spread. The JSON names are stable
//! once published. A scenario of parts ([`journal`], [`bus`], [`strategies`], [`seal`]) composes and drives
//! them itself, and shows its threads in the diagram that it opens with; the program `stele-perf` runs
//! them, and the whole pipeline as `stele` composes it. The [`noise::HiccupMeter`] runs on whichever thread
//! calls it.
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

pub use figure::{Figure, Percentiles, Ratios, Report, Route};
pub use machine::Machine;
pub use mix::Mix;
pub use noise::{HiccupMeter, Noise};
pub use paired::PairedRatio;
