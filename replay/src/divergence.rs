//! Do a trail's strategies send again what the trail has?
//!
//! Runs on the caller's thread. [`check`] reads a trail; the comparison itself is [`crate::regeneration`].

use crate::difference::Difference;
use crate::regeneration::{Interruption, Regeneration, RegenerationError, Tally};
use std::path::Path;
use stele_journal::{TrailError, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Events compared: all of the trail, or those up to the difference.
    pub events: u64,
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
}

/// How often progress is told, in events.
pub const PROGRESS_INTERVAL: u64 = 1 << 16;

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
    let mut reader = TrailReader::open(directory)?;
    let mut check = Check::new(registry);
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
    difference: Option<Box<Difference>>,
}

impl Check {
    /// A check that has seen nothing.
    pub fn new(registry: Registry) -> Self {
        Self { regeneration: Regeneration::new(registry), difference: None }
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
            events: self.regeneration.events(),
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
