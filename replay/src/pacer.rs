//! Plays a recorded market at its own pace or faster, on the caller's thread.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::templates::{RECEIVED_DELTA_OFFSET, template};
use stele_feed::Pace;
use stele_journal::{TrailError, TrailReader};
use stele_wire::Frame;
use stele_wire::messages::{BookAdd, InstrumentDefinition, VenueNotice};

/// The longest sleep at once; it bounds how long a stop request waits.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// Computes when events are due. Pure: the caller measures the elapsed time.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    pace: Pace,
    first: Option<u64>,
}

impl Pacer {
    /// Creates a pacer that has seen no event.
    pub fn new(pace: Pace) -> Self {
        Self { pace, first: None }
    }

    /// Returns how long after the first event the event received at `received` (nanoseconds UTC) is due;
    /// zero for an event received before the first.
    pub fn due(&mut self, received: u64) -> Duration {
        let first = *self.first.get_or_insert(received);
        Duration::from_nanos(self.pace.delay(received.saturating_sub(first)))
    }
}

/// Whether an event is market data or an instrument definition.
pub fn is_market(template_id: u16) -> bool {
    (BookAdd::TEMPLATE_ID..=VenueNotice::TEMPLATE_ID).contains(&template_id)
        || template_id == InstrumentDefinition::TEMPLATE_ID
}

/// Returns when an event was received, in nanoseconds UTC: its timestamp less the receive delta that it
/// carries, or else its timestamp.
pub fn received(event: &Frame<'_>) -> u64 {
    received_delta(event)
        .map_or(event.timestamp().0, |delta| event.timestamp().0.saturating_sub(delta.into()))
}

/// Returns the nanoseconds from receipt to sequencing, when the event has them.
pub(crate) fn received_delta(event: &Frame<'_>) -> Option<u32> {
    if !event.is_stele() || !template(event.template_id())?.stamped {
        return None;
    }
    let bytes = event.body().get(RECEIVED_DELTA_OFFSET..RECEIVED_DELTA_OFFSET + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?)).filter(|delta| *delta != u32::MAX)
}

/// Passes the market events of the trail in `directory` to `on_event`, each when it is due, until it
/// breaks. Calls `is_stopped` while it waits. Returns how many events were passed.
///
/// # Errors
/// [`TrailError`].
pub fn play(
    directory: &Path,
    pace: Pace,
    mut is_stopped: impl FnMut() -> bool,
    mut on_event: impl FnMut(&Frame<'_>) -> ControlFlow<()>,
) -> Result<u64, TrailError> {
    let mut reader = TrailReader::open(directory)?;
    let (mut pacer, mut shown, start) = (Pacer::new(pace), 0, Instant::now());
    while let Some(entry) = reader.read_next()? {
        if !entry.frame.is_stele() || !is_market(entry.frame.template_id()) {
            continue;
        }
        let due = pacer.due(received(&entry.frame));
        while let Some(wait) = due.checked_sub(start.elapsed()).filter(|wait| !wait.is_zero()) {
            if is_stopped() {
                return Ok(shown);
            }
            std::thread::sleep(wait.min(SLEEP_MAX));
        }
        shown += 1;
        if on_event(&entry.frame).is_break() {
            break;
        }
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_distances_divided_by_the_speed() {
        let mut pacer = Pacer::new(Pace::Times(2.0));
        assert_eq!(pacer.due(1_000), Duration::ZERO);
        assert_eq!(pacer.due(5_000), Duration::from_nanos(2_000));
        assert_eq!(pacer.due(500), Duration::ZERO, "from before the first");
        assert_eq!(Pacer::new(Pace::Fast).due(5_000), Duration::ZERO);
    }

    #[test]
    fn only_the_market_is_played() {
        use stele_wire::messages::{NewOrder, OrderFilled, SessionStart};
        assert!(
            [BookAdd::TEMPLATE_ID, VenueNotice::TEMPLATE_ID, InstrumentDefinition::TEMPLATE_ID]
                .map(is_market)
                == [true; 3]
        );
        assert!(
            [NewOrder::TEMPLATE_ID, OrderFilled::TEMPLATE_ID, SessionStart::TEMPLATE_ID].map(is_market)
                == [false; 3]
        );
    }
}
