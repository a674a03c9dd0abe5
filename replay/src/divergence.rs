//! Do a trail's strategies send again what the trail has?
//!
//! Runs on the caller's thread. [`check`] reads a trail; the comparison itself is [`crate::regeneration`]. A trail
//! that is whole is checked from its first event. One whose first segments have expired is checked from the oldest
//! snapshot that is left.

use crate::difference::Difference;
use crate::recall::{PROGRESS_INTERVAL, Preference, load_any};
use crate::regeneration::{Interruption, Regeneration, RegenerationError, Tally};
use crate::resume::ResumeError;
use std::path::Path;
use std::sync::Arc;
use stele_journal::{Directory, Storage, TrailError, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Events compared: all of the trail, or those up to the difference.
    pub events: u64,
    /// Sequence of the first event compared: 1, unless the trail's beginning has expired.
    pub from_sequence: u64,
    /// Strategies by number, with their kind and tally.
    pub strategies: Vec<(u16, String, Tally)>,
    /// Whether the last session ended in order.
    pub has_ended: bool,
    /// The first difference; none when all is equal.
    pub difference: Option<Box<Difference>>,
}

impl Checked {
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
    /// Its beginning has expired and nothing stands for it.
    #[error(transparent)]
    NoBeginning(ResumeError),
}

/// Checks the trail in `directory` against the strategies of `registry`. `progress` is told the sequence reached
/// every [`PROGRESS_INTERVAL`] events.
///
/// # Errors
/// [`CheckError`]. That they differ is no error: see [`Checked::difference`].
pub fn check(
    directory: &Path,
    registry: Registry,
    mut progress: impl FnMut(u64),
) -> Result<Checked, CheckError> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let mut reader = TrailReader::over(storage.clone())?;
    let segments = reader.segments().to_vec();
    let mut check = Check::new(registry.clone());
    if segments[0].header.index > 1 {
        let loaded = load_any(storage.as_ref(), &segments, &registry, Preference::Oldest);
        let (loaded, _) = loaded.map_err(CheckError::NoBeginning)?;
        let loaded = loaded.expect("a trail without a beginning is refused where nothing stands for it");
        reader.seek(loaded.standing.last_sequence.next())?;
        check = Check::going_on(loaded.resume.regeneration);
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

/// A check, fed event by event.
pub struct Check {
    regeneration: Regeneration,
    /// Events in front of the first that is compared, and their last sequence.
    before: (u64, u64),
    difference: Option<Box<Difference>>,
}

impl Check {
    /// A check that has seen nothing.
    pub fn new(registry: Registry) -> Self {
        Self::going_on(Regeneration::new(registry))
    }

    /// A check that goes on from a state.
    fn going_on(regeneration: Regeneration) -> Self {
        let before = (regeneration.events(), regeneration.last_sequence());
        Self { regeneration, before, difference: None }
    }

    /// Takes the next event. Whether a difference is found, after which nothing more is looked at.
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

    /// The trail is at its end.
    pub fn finish(mut self) -> Checked {
        let difference = self.difference.or_else(|| self.regeneration.difference_at_end());
        Checked {
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
