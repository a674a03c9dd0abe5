//! The note of an emergency mass cancel, in a file of the trail's directory.
//!
//! When the journal is poisoned or a part of the run fails, the order gateway asks the venue to cancel
//! everything (`venue/src/emergency.rs`). Nothing can be put on the log then. So the main thread writes what
//! happened to a small file once the hot threads have ended; the next writer of the trail records it as
//! `EmergencyCancel` and removes the file when that event is durable. A run that ends between the two records
//! it twice. The file reports and decides nothing: what became of each order follows from the venue's answers
//! about the orders in doubt. A file that is not such a note is reported and left where it is.

use crate::numbering::publishers;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use stele_venue::EmergencyOutcome;
use stele_wire::messages::{EmergencyCancel, EndReason};
use stele_wire::{Epoch, Sequence};

/// The name of the file in the trail's directory.
const FILE: &str = "emergency-cancel.toml";

/// The note of an emergency mass cancel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmergencyNote {
    /// The epoch in which it happened.
    epoch: u32,
    /// The name of an `EndReason`.
    reason: String,
    /// When the venue was asked, in nanoseconds UTC.
    requested: i64,
    /// When it confirmed that nothing works; missing: it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<i64>,
    /// How many orders worked, where the venue said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<u32>,
}

impl EmergencyNote {
    pub(crate) fn new(outcome: &EmergencyOutcome, epoch: Epoch) -> Self {
        let time = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        Self {
            epoch: epoch.0,
            reason: outcome.reason.to_string(),
            requested: time(outcome.requested.0),
            answered: outcome.answered.map(|at| time(at.0)),
            orders: outcome.orders,
        }
    }

    /// Writes the note into the trail's directory, durable when this returns. It replaces an earlier one: the
    /// venue has been asked about the orders of that epoch since, or this epoch would have had none.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn write(&self, trail: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let new = trail.join(format!("{FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, trail.join(FILE))?;
        File::open(trail)?.sync_all()
    }

    /// Returns the note of the trail, if there is one.
    ///
    /// # Errors
    /// Why the file is not a note.
    pub(crate) fn read(trail: &Path) -> Result<Option<Self>, String> {
        let path = trail.join(FILE);
        let bad = |error: &dyn std::fmt::Display| format!("{} is left as it is: {error}", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|error| bad(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(bad(&error)),
        }
    }

    /// Returns the event. `last` is the last event of the trail that recovery kept.
    pub(crate) fn event(&self, last: Sequence) -> EmergencyCancel {
        let reason = (0..=u8::MAX).map(EndReason).find(|reason| reason.to_string() == self.reason);
        EmergencyCancel {
            requested_time: (self.requested as u64).into(),
            answered_time: self.answered.map_or(u64::MAX, |at| at as u64).into(),
            epoch: self.epoch.into(),
            party: 0.into(),
            orders: self.orders.unwrap_or(u32::MAX).into(),
            gateway: publishers::GATEWAY.into(),
            reason: reason.unwrap_or(EndReason::UNKNOWN),
            last_sequence: last.0.into(),
            ..EmergencyCancel::NULL
        }
    }

    /// Returns what the user is told about it.
    pub(crate) fn sentence(&self) -> String {
        let orders = self.orders.map_or("every order".to_owned(), |count| format!("{count} orders"));
        match self.answered {
            Some(_) => format!("{orders} were cancelled at the venue without the log"),
            None => "the venue was asked to cancel every order and has not confirmed it: \
                     check with the venue what works"
                .to_owned(),
        }
    }
}

/// A note that is on the log and not removed yet.
#[derive(Debug)]
pub(crate) struct LoggedNote(PathBuf);

impl LoggedNote {
    pub(crate) fn of(trail: &Path) -> Self {
        Self(trail.join(FILE))
    }

    /// Removes the note, whose event is durable. A note that cannot be removed is recorded again by the next
    /// session.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::Nanos;

    fn outcome() -> EmergencyOutcome {
        EmergencyOutcome {
            reason: EndReason::JOURNAL_POISONED,
            requested: Nanos(1_700_000_000_000_000_000),
            answered: Some(Nanos(1_700_000_000_000_000_500)),
            orders: Some(500),
            is_settled: true,
        }
    }

    #[test]
    fn a_note_becomes_the_event_of_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(EmergencyNote::read(folder.path()), Ok(None));
        let note = EmergencyNote::new(&outcome(), Epoch(3));
        note.write(folder.path()).unwrap();
        let read = EmergencyNote::read(folder.path()).unwrap().unwrap();
        assert_eq!(read, note);
        let event = read.event(Sequence(77));
        assert_eq!((event.epoch.get(), event.orders.get(), event.last_sequence.get()), (3, 500, 77));
        assert_eq!(event.answered_time.get() - event.requested_time.get(), 500);
        assert_eq!(event.reason, EndReason::JOURNAL_POISONED);
        LoggedNote::of(folder.path()).remove();
        assert_eq!(EmergencyNote::read(folder.path()), Ok(None));
    }

    #[test]
    fn an_unanswered_request_stays_unanswered() {
        let folder = tempfile::tempdir().unwrap();
        let unanswered = EmergencyOutcome { answered: None, orders: None, ..outcome() };
        EmergencyNote::new(&unanswered, Epoch(1)).write(folder.path()).unwrap();
        let note = EmergencyNote::read(folder.path()).unwrap().unwrap();
        let event = note.event(Sequence(1));
        assert_eq!((event.answered_time.get(), event.orders.get()), (u64::MAX, u32::MAX));
        assert!(note.sentence().contains("has not confirmed"));
    }

    #[test]
    fn a_file_that_is_not_a_note_is_reported_and_left() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["epoch = 'three'", "epoch = 1\nreason = 'x'\nrequested = 1\nmore = 2", "\u{1}"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(EmergencyNote::read(folder.path()).unwrap_err().contains(FILE));
            assert!(folder.path().join(FILE).exists());
        }
    }
}
