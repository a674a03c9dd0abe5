//! Decides whether bytes are the next frame of a log: a pure check that readers, scans, recovery and tests
//! share.

use stele_wire::bounds::{HEADER_LENGTH, PADDING_LENGTH_MIN};
use stele_wire::frame::{Frame, FrameError, Seed};
use stele_wire::units::{Nanos, Sequence};

/// Why bytes are not the next frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ContinuityFault {
    /// They are not a frame of this epoch.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The sequence does not follow.
    #[error("sequence {found} follows where {expected} is expected")]
    Sequence {
        /// The sequence after the last one.
        expected: Sequence,
        /// The sequence in the frame.
        found: Sequence,
    },
    /// The timestamp is before that of the previous frame.
    #[error("time {found} follows the later time {previous}")]
    Time {
        /// Timestamp of the previous frame.
        previous: Nanos,
        /// Timestamp in the frame.
        found: Nanos,
    },
    /// The data ends within a frame.
    #[error("the segment ends within a frame")]
    Cut,
}

impl ContinuityFault {
    /// Returns whether more bytes could complete the frame.
    pub fn is_short(&self) -> bool {
        matches!(self, Self::Frame(FrameError::Truncated { .. }))
    }
}

/// The state of a log that the next frame must continue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Continuity {
    /// Seed of the epoch.
    pub seed: Seed,
    /// Sequence of the last event.
    pub last_sequence: Sequence,
    /// Time of the last frame.
    pub last_timestamp: Nanos,
}

impl Continuity {
    /// Returns the frame at the start of `bytes` if it is the next one, by its layout, CRC, sequence and
    /// timestamp.
    ///
    /// # Errors
    /// [`ContinuityFault`]. The state is unchanged then.
    #[inline]
    pub fn admit<'a>(&mut self, bytes: &'a [u8]) -> Result<Frame<'a>, ContinuityFault> {
        match Frame::read(bytes) {
            Ok(frame) if self.is_next_event(&frame) => {
                (self.last_sequence, self.last_timestamp) = (frame.sequence(), frame.timestamp());
                Ok(frame)
            }
            read => self.admit_with_reason(read),
        }
    }

    #[inline]
    fn is_next_event(&self, frame: &Frame<'_>) -> bool {
        !frame.is_padding()
            && frame.sequence().0 == self.last_sequence.0.wrapping_add(1)
            && frame.timestamp() >= self.last_timestamp
            && frame.verify(self.seed).is_ok()
    }

    /// As [`Self::admit`], for padding and for bytes that are not the next frame. Kept out of the loop over
    /// events.
    #[inline(never)]
    fn admit_with_reason<'a>(
        &mut self,
        read: Result<Frame<'a>, FrameError>,
    ) -> Result<Frame<'a>, ContinuityFault> {
        let frame = read?;
        frame.verify(self.seed)?;
        let sequence = if frame.is_padding() {
            if frame.len() < PADDING_LENGTH_MIN {
                return Err(ContinuityFault::Frame(FrameError::Length { found: frame.len() as u16 }));
            }
            self.last_sequence
        } else {
            let expected = self.last_sequence.next();
            if frame.sequence() != expected {
                return Err(ContinuityFault::Sequence { expected, found: frame.sequence() });
            }
            expected
        };
        if frame.timestamp() < self.last_timestamp {
            return Err(ContinuityFault::Time { previous: self.last_timestamp, found: frame.timestamp() });
        }
        (self.last_sequence, self.last_timestamp) = (sequence, frame.timestamp());
        Ok(frame)
    }
}

const _: () = assert!(PADDING_LENGTH_MIN > HEADER_LENGTH);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use stele_wire::frame::write_padding;
    use stele_wire::units::Position;

    const SEED: Seed = Seed(7);

    fn start() -> Continuity {
        Continuity { seed: SEED, last_sequence: Sequence(4), last_timestamp: Nanos(100) }
    }

    #[test]
    fn the_next_event_and_padding_are_admitted() {
        let mut continuity = start();
        let event = fixture::event(Sequence(5), Nanos(100), 40, SEED);
        assert_eq!(continuity.admit(&event).unwrap().sequence(), Sequence(5));
        let mut padding = [0; 64];
        write_padding(&mut padding, Nanos(101), Position(0), Sequence(5), SEED);
        assert!(continuity.admit(&padding).unwrap().is_padding());
        assert_eq!((continuity.last_sequence, continuity.last_timestamp), (Sequence(5), Nanos(101)));
    }

    #[test]
    fn a_gap_a_repeat_and_a_step_back_in_time_are_refused_and_change_nothing() {
        for (sequence, time) in [(6, 100), (4, 100), (5, 99)] {
            let mut continuity = start();
            let event = fixture::event(Sequence(sequence), Nanos(time), 40, SEED);
            assert!(matches!(
                continuity.admit(&event),
                Err(ContinuityFault::Sequence { .. } | ContinuityFault::Time { .. })
            ));
            assert_eq!(continuity, start());
        }
    }

    #[test]
    fn a_frame_of_another_epoch_is_refused() {
        let event = fixture::event(Sequence(5), Nanos(100), 40, Seed(8));
        let fault = start().admit(&event).unwrap_err();
        assert!(matches!(fault, ContinuityFault::Frame(FrameError::Crc { .. })));
    }
}
