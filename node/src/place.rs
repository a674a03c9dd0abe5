//! Places on a trail as users write them: a sequence, or a time.

use crate::failure::Failure;
use crate::moment::Moment;
use std::path::Path;
use std::str::FromStr;
use stele_journal::{TrailError, TrailReader};
use stele_wire::{Frame, Nanos, Sequence};

/// A place as the user wrote it: a sequence, or a time, which may be counted from the trail's last event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlaceArg {
    Sequence(Sequence),
    Time(Moment),
}

/// A place on one trail: a sequence, or a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Sequence(Sequence),
    Time(Nanos),
}

impl FromStr for PlaceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(sequence) => Ok(Self::Sequence(Sequence(sequence))),
            Err(_) => text.parse().map(Self::Time).map_err(|what| format!("not a sequence, and {what}")),
        }
    }
}

impl PlaceArg {
    /// The sequence; none where the place is a time.
    pub(crate) fn sequence(self) -> Option<Sequence> {
        match self {
            Self::Sequence(sequence) => Some(sequence),
            Self::Time(_) => None,
        }
    }

    /// Returns the place on `trail`.
    ///
    /// # Errors
    /// [`Failure`]: no event can have the time, or the trail cannot be read.
    pub(crate) fn on(self, trail: &Path) -> Result<Place, Failure> {
        Ok(match self {
            Self::Sequence(sequence) => Place::Sequence(sequence),
            Self::Time(moment) => Place::Time(moment.on(trail)?),
        })
    }
}

impl Place {
    /// Moves the reader to the first event at this place or after it.
    pub(crate) fn seek(self, reader: &mut TrailReader) -> Result<(), TrailError> {
        match self {
            Self::Sequence(Sequence(0 | 1)) => Ok(()),
            Self::Sequence(sequence) => reader.seek(sequence),
            Self::Time(time) => reader.seek_time(time),
        }
    }

    /// Whether `event` is after this place.
    pub(crate) fn is_passed_by(self, event: &Frame<'_>) -> bool {
        match self {
            Self::Sequence(sequence) => event.sequence() > sequence,
            Self::Time(time) => event.timestamp() > time,
        }
    }

    /// Whether every event after `event` is also after this place.
    pub(crate) fn ends_with(self, event: &Frame<'_>) -> bool {
        self == Self::Sequence(event.sequence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_sequence_and_anything_else_a_time() {
        assert_eq!("17".parse::<PlaceArg>().unwrap().sequence(), Some(Sequence(17)));
        for time in ["1970-01-02", "1970-01-01T00:00:01.5Z", "1h", "-1h"] {
            assert!(matches!(time.parse(), Ok(PlaceArg::Time(_))), "{time}");
        }
        let refusal = "soon".parse::<PlaceArg>().unwrap_err();
        assert!(refusal.contains("not a sequence, and `soon` is not a time; write 2026-11-21"), "{refusal}");
    }
}
