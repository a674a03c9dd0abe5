//! Can we believe the numbers: what a measurement is made of, and the page it is printed on.
//!
//! A [`Report`] names the scenario, the machine, the [`Noise`] that the machine itself made during the run,
//! and [`Figure`]s, each the median of several repetitions with their spread. The JSON names are stable once
//! published. Nothing here starts a hot thread: the `stele` binary runs the scenario and hands the
//! measurements over; the [`noise::HiccupMeter`] runs on whichever thread calls it.
#![forbid(unsafe_code)]

pub mod figure;
pub mod machine;
pub mod noise;

pub use figure::{Figure, Percentiles, Report};
pub use machine::Machine;
pub use noise::{HiccupMeter, Noise};
