//! Checks that a trail's strategies send again what the trail has.
//!
//! Runs on the caller's thread. [`check`] reads a trail; [`crate::regeneration`] does the comparison. A
//! complete trail is checked from its first event. A trail whose first segments have expired is checked
//! from its oldest snapshot.

use crate::difference::Difference;
use crate::recall::{PROGRESS_INTERVAL, SnapshotPreference, load_any};
use crate::regeneration::{Interruption, Regeneration, RegenerationError, Tally};
use crate::resume::ResumeError;
use std::path::Path;
use std::sync::Arc;
use stele_journal::{Directory, Storage, TrailError, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DivergenceReport {
    /// The number of events compared: the whole trail, or up to the difference.
    pub events: u64,
    /// The sequence of the first event compared: 1, unless the trail's beginning has expired.
    pub from_sequence: u64,
    /// The strategies by number, with kind and tally.
    pub strategies: Vec<(u16, String, Tally)>,
    /// Whether the last session ended in order.
    pub has_ended: bool,
    /// The first difference; none when everything is equal.
    pub difference: Option<Box<Difference>>,
}

impl DivergenceReport {
    /// Whether the strategies send again what the trail has.
    pub fn is_equal(&self) -> bool {
        self.difference.is_none()
    }
}

/// Why a trail could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The trail could not be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Its strategies could not be run.
    #[error(transparent)]
    Strategies(#[from] RegenerationError),
    /// The beginning of the trail has expired, and no snapshot replaces it.
    #[error(transparent)]
    NoBeginning(ResumeError),
}

/// Checks the trail in `directory` against the strategies of `registry`. Calls `progress` with the current
/// sequence every [`PROGRESS_INTERVAL`] events.
///
/// # Errors
/// [`CheckError`]. A difference is not an error: see [`DivergenceReport::difference`].
///
/// # Examples
///
/// ```
/// use stele_replay::divergence::check;
/// use stele_strategies::Registry;
/// # use stele_wire::messages::Trade;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path().join("trail");
/// # let mut bus = stele_embed::Bus::open(&trail, Default::default())?;
/// # let mut feed = bus.publisher("feed", stele_bus::Grants::market())?;
/// # let bus = bus.start()?;
/// # bus.publish(&mut feed, &Trade::NULL)?;
/// # bus.stop()?;
/// let report = check(&trail, Registry::built_in(), |_sequence| ())?;
/// assert!(report.is_equal() && report.has_ended);
/// assert_eq!(report.from_sequence, 1);
/// # Ok(()) }
/// ```
pub fn check(
    directory: &Path,
    registry: Registry,
    mut progress: impl FnMut(u64),
) -> Result<DivergenceReport, CheckError> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let mut reader = TrailReader::over(storage.clone())?;
    let segments = reader.segments().to_vec();
    let mut check = DivergenceCheck::new(registry.clone());
    if segments[0].header.index > 1 {
        let loaded = load_any(storage.as_ref(), &segments, &registry, SnapshotPreference::Oldest);
        let (loaded, _) = loaded.map_err(CheckError::NoBeginning)?;
        let loaded = loaded.expect("load_any fails when an incomplete trail has no snapshot");
        reader.seek(loaded.standing.last_sequence.next())?;
        check = DivergenceCheck::from_state(loaded.resume.regeneration);
    }
    while let Some(entry) = reader.read_next()? {
        if check.on_event(&entry.frame)? {
            break;
        }
        if check.regeneration.events().is_multiple_of(PROGRESS_INTERVAL) {
            progress(entry.frame.sequence().0);
        }
    }
    Ok(check.finish())
}

/// A check that is fed event by event.
pub struct DivergenceCheck {
    regeneration: Regeneration,
    /// The number of events before the first that is compared, and their last sequence.
    before: (u64, u64),
    difference: Option<Box<Difference>>,
}

impl DivergenceCheck {
    /// Creates a check that has seen no event.
    pub fn new(registry: Registry) -> Self {
        Self::from_state(Regeneration::new(registry))
    }

    /// Creates a check that continues from a state.
    fn from_state(regeneration: Regeneration) -> Self {
        let before = (regeneration.events(), regeneration.last_sequence());
        Self { regeneration, before, difference: None }
    }

    /// Takes the next event. Returns whether a difference was found; later events are then ignored.
    ///
    /// # Errors
    /// [`RegenerationError`].
    pub fn on_event(&mut self, event: &Frame<'_>) -> Result<bool, RegenerationError> {
        if self.difference.is_none() {
            match self.regeneration.on_event(event) {
                Ok(()) => {}
                Err(Interruption::Difference(difference)) => self.difference = Some(difference),
                Err(Interruption::Error(error)) => return Err(error),
            }
        }
        Ok(self.difference.is_some())
    }

    /// Ends the check at the end of the trail, and returns its result.
    pub fn finish(mut self) -> DivergenceReport {
        let difference = self.difference.or_else(|| self.regeneration.difference_at_end());
        DivergenceReport {
            events: self.regeneration.events() - self.before.0,
            from_sequence: self.before.1 + 1,
            strategies: self
                .regeneration
                .tallies()
                .map(|(strategy, name, tally)| (strategy, name.to_owned(), tally))
                .collect(),
            has_ended: self.regeneration.has_ended(),
            difference,
        }
    }
}
