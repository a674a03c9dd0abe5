//! Conflation: a stage after any consumer that keeps the newest state of each instrument, for a reader that
//! is slower than the market and needs only the current state.
//!
//! ```text
//! consumer (gating, lossy or catch-up) ── on_event ──> state of each instrument ── take ──> a slow reader
//! ```
//! States are taken in the order in which they first changed, each instrument at most once, with the number
//! of updates that were folded into it. So no instrument starves, and the number of instruments bounds the
//! memory.

use crate::consumer::Event;
use std::collections::VecDeque;
use stele_risk::table::SlotIndex;
use stele_wire::Sequence;

/// Folds events into the state of an instrument.
pub trait Fold {
    /// The state of one instrument.
    type State: Default;

    /// Returns the instrument that the event updates; none when the event is of no interest.
    fn instrument(&self, event: &Event<'_>) -> Option<u32>;

    /// Updates the state with the event.
    fn fold(&mut self, state: &mut Self::State, event: &Event<'_>);

    /// Marks that events were lost, so that the state may be out of date.
    fn on_lost(&mut self, _state: &mut Self::State) {}
}

/// The newest states of a bounded number of instruments. After its creation, only the fold allocates.
///
/// ```
/// use stele_bus::{Grants, Conflation, Event, Fold};
/// # use stele_bus::{Agent, LogRing, ManualClock, NOT_RECEIVED, RingOptions, Sequencer, SequencerStart};
/// # use stele_risk::{Risk, RiskLimits};
/// # use stele_wire::{Identity, Nanos, Position, Sequence, messages::Trade};
/// # let start = SequencerStart {
/// #     identity: Identity::default(),
/// #     next_sequence: Sequence(1),
/// #     position: Position(0),
/// #     last_timestamp: Nanos(0),
/// #     segment_length: 1 << 20,
/// #     block_length: 4096,
/// # };
/// # let parts = LogRing::create(&RingOptions { capacity: 1 << 20, huge_pages: false }, start.position)?;
/// # let (clock, risk) = (ManualClock::at(Nanos(1)), Risk::new(RiskLimits::default()));
/// # let mut sequencer = Sequencer::new(&start, parts.writer, clock, risk)?;
/// /// The last price.
/// struct LastPrice;
///
/// impl Fold for LastPrice {
///     type State = i64;
///
///     fn instrument(&self, event: &Event<'_>) -> Option<u32> {
///         event.message::<Trade>().map(|trade| trade.instrument.get())
///     }
///
///     fn fold(&mut self, price: &mut i64, event: &Event<'_>) {
///         *price = event.message::<Trade>().map_or(*price, |trade| trade.price.get());
///     }
/// }
///
/// # let mut publisher = sequencer.publisher(1, "trades", 4096, Grants::market());
/// # let mut consumer = sequencer.gating_consumer("reader");
/// # for price in [100, 101, 102] {
/// #     let trade = Trade { instrument: 7.into(), price: price.into(), ..Trade::NULL };
/// #     publisher.offer_message(&trade, NOT_RECEIVED)?;
/// # }
/// # sequencer.do_work()?;
/// let mut newest = Conflation::new(LastPrice, 1_000);
/// consumer.poll(64, |event| newest.on_event(&event).expect("at most 1,000 instruments"));
/// let mut taken = Vec::new();
/// newest.take(64, |instrument| taken.push((instrument.instrument, *instrument.state, instrument.folded)));
/// assert_eq!(taken, [(7, 102, 3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Conflation<F: Fold> {
    fold: F,
    index: SlotIndex<u32>,
    entries: Vec<Entry<F::State>>,
    capacity: usize,
    /// Entries that changed since they were taken, in the order of their first change.
    changed: VecDeque<u32>,
}

struct Entry<S> {
    instrument: u32,
    state: S,
    folded: u64,
    first: Sequence,
    last: Sequence,
    /// Whether it is in `changed`.
    is_waiting: bool,
}

/// The newest state of one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflated<'a, S> {
    /// The instrument.
    pub instrument: u32,
    /// Its state after `last`.
    pub state: &'a S,
    /// The updates that were folded into it since it was last taken; 0 when only a loss changed it.
    pub folded: u64,
    /// The first of these updates.
    pub first: Sequence,
    /// The last of these updates.
    pub last: Sequence,
}

/// The event was not folded, because there is no room for its instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no room for instrument {instrument}: {capacity} are conflated already")]
pub struct TooManyInstruments {
    /// The instrument.
    pub instrument: u32,
    /// The most instruments.
    pub capacity: usize,
}

impl<F: Fold> Conflation<F> {
    /// A conflation of at most `capacity` instruments.
    pub fn new(fold: F, capacity: usize) -> Self {
        Self {
            fold,
            index: SlotIndex::new(capacity),
            entries: Vec::with_capacity(capacity),
            capacity,
            changed: VecDeque::with_capacity(capacity),
        }
    }

    /// The number of instruments that have a state to take.
    pub fn waiting(&self) -> usize {
        self.changed.len()
    }

    /// Folds the event into its instrument's state.
    ///
    /// # Errors
    /// [`TooManyInstruments`].
    #[inline]
    pub fn on_event(&mut self, event: &Event<'_>) -> Result<(), TooManyInstruments> {
        let Some(instrument) = self.fold.instrument(event) else { return Ok(()) };
        let slot = match self.index.get(instrument) {
            Some(slot) => slot,
            None => self.add(instrument)?,
        };
        let entry = &mut self.entries[slot as usize];
        self.fold.fold(&mut entry.state, event);
        entry.last = event.sequence();
        if entry.folded == 0 {
            entry.first = event.sequence();
        }
        entry.folded += 1;
        if !std::mem::replace(&mut entry.is_waiting, true) {
            self.changed.push_back(slot);
        }
        Ok(())
    }

    /// Marks every state as having lost events, so that each of them is taken again.
    pub fn on_lost(&mut self) {
        for (slot, entry) in (0..).zip(&mut self.entries) {
            self.fold.on_lost(&mut entry.state);
            if !std::mem::replace(&mut entry.is_waiting, true) {
                self.changed.push_back(slot);
            }
        }
    }

    /// Passes up to `limit` states that changed since they were last taken to `on_state`, the one that has
    /// waited longest first. Returns how many.
    pub fn take(&mut self, limit: usize, mut on_state: impl FnMut(Conflated<'_, F::State>)) -> usize {
        let count = limit.min(self.changed.len());
        for slot in self.changed.drain(..count) {
            let entry = &mut self.entries[slot as usize];
            entry.is_waiting = false;
            let folded = std::mem::take(&mut entry.folded);
            let Entry { instrument, ref state, first, last, .. } = *entry;
            on_state(Conflated { instrument, state, folded, first, last });
        }
        count
    }

    fn add(&mut self, instrument: u32) -> Result<u32, TooManyInstruments> {
        if self.entries.len() == self.capacity {
            return Err(TooManyInstruments { instrument, capacity: self.capacity });
        }
        let slot = self.entries.len() as u32;
        self.entries.push(Entry {
            instrument,
            state: F::State::default(),
            folded: 0,
            first: Sequence(0),
            last: Sequence(0),
            is_waiting: false,
        });
        self.index.set(instrument, slot);
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::frame::{FrameHeader, frame_length};
    use stele_wire::{Frame, Position};
    use zerocopy::IntoBytes as _;

    /// A body of an instrument and a value: the newest value counts, and a sum is kept.
    struct Newest;

    #[derive(Default, Debug, PartialEq)]
    struct Value {
        newest: u32,
        sum: u64,
        is_doubtful: bool,
    }

    fn word(event: &Event<'_>, at: usize) -> u32 {
        u32::from_le_bytes(event.body()[at..at + 4].try_into().unwrap())
    }

    impl Fold for Newest {
        type State = Value;

        fn instrument(&self, event: &Event<'_>) -> Option<u32> {
            Some(word(event, 0)).filter(|instrument| *instrument != 0)
        }

        fn fold(&mut self, state: &mut Value, event: &Event<'_>) {
            state.newest = word(event, 4);
            state.sum += u64::from(state.newest);
            state.is_doubtful = false;
        }

        fn on_lost(&mut self, state: &mut Value) {
            state.is_doubtful = true;
        }
    }

    fn frame(sequence: u64, instrument: u32, value: u32) -> Vec<u8> {
        let mut bytes = vec![0; frame_length(8)];
        let (header, body) = bytes.split_at_mut(size_of::<FrameHeader>());
        let mut words: FrameHeader = zerocopy::FromZeros::new_zeroed();
        words.length = (frame_length(8) as u16).into();
        words.version = stele_wire::bounds::FRAME_VERSION;
        words.sequence = sequence.into();
        words.template_id = 1.into();
        header.copy_from_slice(words.as_bytes());
        body[..4].copy_from_slice(&instrument.to_le_bytes());
        body[4..8].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    fn feed(conflation: &mut Conflation<Newest>, updates: &[(u64, u32, u32)]) {
        for (sequence, instrument, value) in updates {
            let bytes = frame(*sequence, *instrument, *value);
            let event = Event::new(Frame::read(&bytes).unwrap(), Position(0));
            conflation.on_event(&event).unwrap();
        }
    }

    fn taken(conflation: &mut Conflation<Newest>, limit: usize) -> Vec<(u32, u32, u64, u64, u64)> {
        let mut taken = Vec::new();
        conflation.take(limit, |conflated| {
            let Conflated { instrument, state, folded, first, last } = conflated;
            taken.push((instrument, state.newest, folded, first.0, last.0));
        });
        taken
    }

    #[test]
    fn each_instrument_is_taken_once_with_its_newest_state_and_the_number_of_its_updates() {
        let mut conflation = Conflation::new(Newest, 3);
        feed(&mut conflation, &[(1, 7, 10), (2, 9, 20), (3, 7, 11), (4, 0, 99), (5, 7, 12)]);
        assert_eq!(conflation.waiting(), 2);
        assert_eq!(taken(&mut conflation, 1), [(7, 12, 3, 1, 5)]);
        feed(&mut conflation, &[(6, 7, 13), (7, 9, 21)]);
        assert_eq!(
            taken(&mut conflation, 9),
            [(9, 21, 2, 2, 7), (7, 13, 1, 6, 6)],
            "the longest waiting first"
        );
        assert_eq!(taken(&mut conflation, 9), []);
        conflation.on_lost();
        assert_eq!(taken(&mut conflation, 9), [(7, 13, 0, 6, 6), (9, 21, 0, 2, 7)]);
    }

    #[test]
    fn an_instrument_too_many_is_reported_and_the_others_continue() {
        let mut conflation = Conflation::new(Newest, 1);
        feed(&mut conflation, &[(1, 7, 10)]);
        let bytes = frame(2, 8, 1);
        let event = Event::new(Frame::read(&bytes).unwrap(), Position(0));
        let error = conflation.on_event(&event).unwrap_err();
        assert_eq!(error, TooManyInstruments { instrument: 8, capacity: 1 });
        feed(&mut conflation, &[(3, 7, 11)]);
        assert_eq!(taken(&mut conflation, 9), [(7, 11, 2, 1, 3)]);
    }
}
