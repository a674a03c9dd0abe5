//! Windows that move with every event: by time, by number of events, and over all events so far.

use super::aggregate::{Aggregate, Remove};
use super::operator::Operator;
use super::ring::Ring;
use super::state::{DropCounts, State, StateValue};
use super::window::{Late, Window};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// An aggregate over the last `length` of time, emitted at every event. The window is `(time - length,
/// time]`, where time is the latest of an event or of [`Operator::on_time`].
///
/// An event that arrives out of order within the window is inserted at its place, and the current window is
/// emitted again. An event from before the window is counted and emitted as [`Late`]. The window holds at
/// most `capacity` events; when it is full the oldest is removed and counted as [`DropCounts::crowded_out`].
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Mean, Operator, seconds, stream};
/// use stele_wire::{Nanos, Price};
///
/// let mut pipeline = stream::<Price>().sliding(seconds(1), 100, Mean::default()).in_time();
/// let mut means = Vec::new();
/// for (millis, price) in [(0, 10), (500, 20), (1_200, 40)] {
///     pipeline.on_event(Nanos(millis * 1_000_000), Price(price), &mut |_, mean| means.push(mean.value));
/// }
/// assert_eq!(means, [Price(10), Price(15), Price(30)]);
/// ```
#[derive(Clone, Debug)]
pub struct Sliding<In, A> {
    length: u64,
    events: Ring<(u64, In)>,
    aggregate: A,
    time: u64,
    drops: DropCounts,
}

impl<In: StateValue, A: Remove<In>> Sliding<In, A> {
    /// A window of `length` that holds at most `capacity` events.
    ///
    /// # Panics
    /// When `length` is 0, or `capacity` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(length: Nanos, capacity: usize, aggregate: A) -> Self {
        assert!(length.0 > 0, "the length of a window must not be 0");
        let (events, drops) = (Ring::new(capacity), DropCounts::default());
        Self { length: length.0, events, aggregate, time: 0, drops }
    }

    /// Whether a time is before the window.
    #[inline]
    fn is_before(&self, at: u64) -> bool {
        self.time.checked_sub(self.length).is_some_and(|end| at <= end)
    }

    #[inline]
    fn advance(&mut self, at: u64) {
        self.time = self.time.max(at);
        while let Some(&(at, input)) = self.events.front()
            && self.is_before(at)
        {
            self.events.pop_front();
            self.aggregate.remove(at, &input);
        }
    }
}

impl<In: StateValue, A: State> State for Sliding<In, A> {
    fn reset(&mut self) {
        self.events.clear();
        self.aggregate.reset();
        self.time = 0;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.time.put(out);
        self.drops.put(out);
        self.events.snapshot(out);
        self.aggregate.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.time = StateValue::take(reader)?;
        self.drops = StateValue::take(reader)?;
        self.events.restore(reader)?;
        self.aggregate.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.drops + self.aggregate.drops()
    }
}

impl<In: StateValue, A: Remove<In>> Operator<In> for Sliding<In, A> {
    type Out = Result<Window<A::Out>, Late<In>>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        self.advance(at.0);
        if self.is_before(at.0) {
            self.drops.late += 1;
            return emit(at, Err(Late(input)));
        }
        if self.events.is_full() {
            self.drops.crowded_out += 1;
            match self.events.front().copied() {
                Some((oldest, crowded_out)) if oldest <= at.0 => {
                    self.events.pop_front();
                    self.aggregate.remove(oldest, &crowded_out);
                }
                _ => return,
            }
        }
        let place = self.events.place(at.0);
        self.events.insert(place, (at.0, input));
        self.aggregate.add(at.0, &input);
        let end = self.time.saturating_add(1);
        let (start, end) = (Nanos(end.saturating_sub(self.length)), Nanos(end));
        emit(Nanos(self.time), Ok(Window { start, end, value: self.aggregate.value() }));
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, _: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        self.advance(at.0);
        at
    }
}

/// An aggregate over a fixed number of latest events in the order of arrival, emitted at every event once
/// there are that many.
#[derive(Clone, Debug)]
pub struct Recent<In, A> {
    events: Ring<(u64, In)>,
    aggregate: A,
    arrivals: u64,
    waits: bool,
}

impl<In: StateValue, A: Remove<In>> Recent<In, A> {
    /// The last `count` events, emitted from event number `count` on.
    ///
    /// # Panics
    /// When `count` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(count: usize, aggregate: A) -> Self {
        Self { events: Ring::new(count), aggregate, arrivals: 0, waits: true }
    }

    /// The last `count` events, emitted from the first event on.
    ///
    /// # Panics
    /// As [`Recent::new`].
    pub fn from_first(count: usize, aggregate: A) -> Self {
        Self { waits: false, ..Self::new(count, aggregate) }
    }

    /// Adds an event, and returns the result if one is to be emitted.
    #[inline]
    pub(crate) fn push(&mut self, input: In) -> Option<A::Out> {
        if self.events.is_full()
            && let Some((order, oldest)) = self.events.pop_front()
        {
            self.aggregate.remove(order, &oldest);
        }
        self.events.push_back((self.arrivals, input));
        self.aggregate.add(self.arrivals, &input);
        self.arrivals += 1;
        (!self.waits || self.events.is_full()).then(|| self.aggregate.value())
    }
}

impl<In: StateValue, A: State> State for Recent<In, A> {
    fn reset(&mut self) {
        self.events.clear();
        self.aggregate.reset();
        self.arrivals = 0;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.arrivals.put(out);
        self.events.snapshot(out);
        self.aggregate.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.arrivals = StateValue::take(reader)?;
        self.events.restore(reader)?;
        self.aggregate.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.aggregate.drops()
    }
}

impl<In: StateValue, A: Remove<In>> Operator<In> for Recent<In, A> {
    type Out = A::Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, A::Out)) {
        if let Some(value) = self.push(input) {
            emit(at, value);
        }
    }
}

/// An aggregate over all events so far, emitted at every event.
#[derive(Clone, Debug)]
pub struct Running<A> {
    aggregate: A,
}

impl<A> Running<A> {
    /// Aggregates from the first event on.
    pub fn new(aggregate: A) -> Self {
        Self { aggregate }
    }
}

impl<A: State> State for Running<A> {
    fn reset(&mut self) {
        self.aggregate.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.aggregate.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.aggregate.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.aggregate.drops()
    }
}

impl<In, A: Aggregate<In>> Operator<In> for Running<A> {
    type Out = A::Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, A::Out)) {
        self.aggregate.add(at.0, &input);
        emit(at, self.aggregate.value());
    }
}
