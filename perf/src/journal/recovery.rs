//! The time to open a trail whose writer was killed.
//!
//! ```text
//!  trail of a given size, last segment open ─> open: lock, survey, recovery, first segment of the new epoch
//! ```

use super::rig::{Pool, Rig};
use super::{JournalSetup, JournalWorkload, ScenarioError, in_folder, throughput};
use crate::{Figure, MessageMix};
use std::time::Instant;

/// Returns the nanoseconds from the call that opens the trail until it can be written.
pub(crate) fn measure(setup: &JournalSetup, workload: &JournalWorkload) -> Result<f64, ScenarioError> {
    in_folder(setup, |folder| {
        throughput::abandon_trail(folder, setup, &MessageMix::of_64_bytes(), workload.recovery_bytes)?;
        let start = Instant::now();
        let rig = Rig::open(folder, setup, setup.segment_length, Pool::Meanwhile)?;
        let took = start.elapsed();
        drop(rig);
        Ok(took.as_nanos() as f64)
    })
}

/// Returns the recovery time and the size of the trail.
pub(crate) fn figures(workload: &JournalWorkload, recoveries: &[f64]) -> Vec<Figure> {
    let size = vec![workload.recovery_bytes as f64; recoveries.len()];
    let figures =
        [Figure::single("recovery", "ns", recoveries), Figure::single("recovery_trail", "bytes", &size)];
    figures.into_iter().flatten().collect()
}
