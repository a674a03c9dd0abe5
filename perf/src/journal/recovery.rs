//! How long a start takes over a trail whose writer was killed.
//!
//! ```text
//!  trail of a given size, last segment open ─> open: lock, survey, recovery, first segment of the new epoch
//! ```

use super::rig::{Pool, Rig};
use super::{Extent, Place, ScenarioError, in_folder, throughput};
use crate::{Figure, Mix};
use std::time::Instant;

/// Nanoseconds from the call that opens the trail until it can be written.
pub(crate) fn measure(place: &Place, extent: &Extent) -> Result<f64, ScenarioError> {
    in_folder(place, |folder| {
        throughput::abandon_trail(folder, place, &Mix::of_64_bytes(), extent.recovery_bytes)?;
        let start = Instant::now();
        let rig = Rig::open(folder, place, place.segment_length, Pool::Meanwhile)?;
        let took = start.elapsed();
        drop(rig);
        Ok(took.as_nanos() as f64)
    })
}

/// The time, and what it was for.
pub(crate) fn figures(extent: &Extent, recoveries: &[f64]) -> Vec<Figure> {
    let size = vec![extent.recovery_bytes as f64; recoveries.len()];
    let figures =
        [Figure::single("recovery", "ns", recoveries), Figure::single("recovery_trail", "bytes", &size)];
    figures.into_iter().flatten().collect()
}
